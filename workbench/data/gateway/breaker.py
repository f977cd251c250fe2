"""The breaker of a vendor: closed, open, half-open; pure rules over what is stored for all processes."""

from __future__ import annotations

from typing import Any, Literal

from workbench.data.gateway.vendor import Vendor
from workbench.store.vendor_budget import MOST_AHEAD, SECOND, Standing

State = Literal["closed", "open", "half-open"]
_MARGIN = 5.0  # seconds that a probe may take beyond the vendor's own times, before another one may start
_AHEAD_US = round(MOST_AHEAD * SECOND)


def state(open_until_us: int | None, at_us: int) -> State:
    """Closed: ask. Open: leave the vendor alone. Half-open: one request, over all processes, finds out."""
    if open_until_us is None:
        return "closed"
    return "open" if at_us < open_until_us else "half-open"


def closed_until(standing: Standing, vendor: Vendor, at_us: int) -> int | None:
    """Until when nobody may ask; None: the caller may, and where the breaker is half-open it is the one probe.

    A moment so far ahead that only a wrong clock can have written it counts as past.
    """
    until, probe = standing.open_until_us, standing.probe_until_us
    if until is None:
        return None
    if at_us < until <= at_us + _AHEAD_US + round(vendor.breaker_at_most * SECOND):
        return until
    if probe is not None and at_us < probe <= probe_until(vendor, at_us + _AHEAD_US):
        return probe
    return None


def probe_until(vendor: Vendor, moment_us: int) -> int:
    """When a probe that starts at `moment_us` is given up, should its process have died."""
    return moment_us + round((vendor.timeout[0] + vendor.whole + _MARGIN) * SECOND)


def after_failure(standing: Standing, vendor: Vendor, *, probe: bool, at_us: int) -> dict[str, Any]:
    """What is stored after a request failed."""
    failures = standing.failures + 1
    changed: dict[str, Any] = {"failures": failures}
    opens = standing.open_until_us is None and failures >= vendor.breaker_after
    if probe or opens:
        length = min(vendor.breaker_for * 2.0 ** min(standing.opened, 60), vendor.breaker_at_most)
        changed["opened"] = standing.opened + 1
        changed["open_until_us"] = at_us + round(length * SECOND)
        changed["probe_until_us"] = None
    return changed


def after_success(standing: Standing, *, probe: bool) -> dict[str, Any]:
    """What is stored after a request was answered; only a probe closes an open breaker."""
    if probe:
        return {"failures": 0, "opened": 0, "open_until_us": None, "probe_until_us": None}
    if standing.open_until_us is None and (standing.failures or standing.opened):
        return {"failures": 0, "opened": 0}
    return {}
