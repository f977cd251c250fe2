"""The requests that all processes together may send to a vendor: exact windows, shared through the database.

Each request has a token with a moment. A token of a limit of N requests in W seconds is not before `W + SLACK` after
the token N places before it, and it is used within `USE_WITHIN` of its moment or not at all. Therefore no window of W
seconds, open or closed at its ends, sees more than N requests leave, as long as the clocks of the machines that share
the database differ by less than `SLACK − USE_WITHIN`; the same margin covers a request that travels faster than an
earlier one. The price is a little speed: N requests in `W + SLACK` seconds.

Tokens are given out in order and ahead of time: who must wait gets the moment at which to send, and nobody overtakes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from workbench.errors import ParameterError
from workbench.store.insert import insert_of
from workbench.store.tables.connector import ConnectorRow

SLACK: Final = 0.2  # seconds between the return of a token and the end of its window
USE_WITHIN: Final = 0.1  # seconds; a token that was not used by then is lost
GRAINS: Final = 64  # a limit above this many requests is counted in this many parts of its window
SECOND: Final = 1_000_000  # microseconds
MOST_AHEAD: Final = 3600.0  # seconds; a token is never given out further ahead than this
MOST_LIMITED: Final = 86400.0  # seconds; a vendor is never left alone for longer at its word

_SLACK_US: Final = round(SLACK * SECOND)
_AHEAD_US: Final = round(MOST_AHEAD * SECOND)
_LIMITED_US: Final = round(MOST_LIMITED * SECOND)

_TABLE: Final = ConnectorRow.__table__
_ROW: Final = (
    select(
        _TABLE.c.limits,
        _TABLE.c.used,
        _TABLE.c.newest_us,
        _TABLE.c.limited_until_us,
        _TABLE.c.failures,
        _TABLE.c.opened,
        _TABLE.c.open_until_us,
        _TABLE.c.probe_until_us,
    )
    .where(_TABLE.c.vendor == bindparam("of"))
    .with_for_update()
)
_TAKE: Final = (
    update(ConnectorRow)
    .where(_TABLE.c.vendor == bindparam("of"))
    .values(used=bindparam("now_used"), newest_us=bindparam("now_newest"))
)
_EMPTY: Final[dict[str, Any]] = {
    "limits": [],
    "used": {},
    "newest_us": 0,
    "limited_until_us": None,
    "failures": 0,
    "opened": 0,
    "open_until_us": None,
    "probe_until_us": None,
}


@dataclass(frozen=True, slots=True)
class Limit:
    """Never more than `requests` in any window of `seconds`.

    Raises:
        ParameterError: a number that is not positive, or a window below a millisecond.
    """

    requests: int
    seconds: float

    def __post_init__(self) -> None:
        if not isinstance(self.requests, int) or self.requests < 1:
            raise ParameterError(f"requests={self.requests!r} must be a whole number of at least 1.")
        if not (math.isfinite(self.seconds) and self.seconds >= 0.001):
            raise ParameterError(f"seconds={self.seconds!r} must be at least 0.001.")

    @property
    def window_us(self) -> int:
        """The window in whole microseconds, rounded up."""
        return math.ceil(self.seconds * SECOND)

    def __str__(self) -> str:
        return f"{self.requests} per {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is stored of a vendor, read under its lock. Moments are microseconds since 1970 UTC."""

    limits: list[list[float]]
    used: dict[str, list[list[int]]]
    newest_us: int
    limited_until_us: int | None
    failures: int
    opened: int
    open_until_us: int | None
    probe_until_us: int | None


def locked(connection: Connection, vendor: str) -> Standing:
    """The vendor's row, made where there is none, locked until the transaction ends (SQLite has one writer anyway)."""
    found = connection.execute(_ROW, {"of": vendor}).one_or_none()
    if found is None:
        # Two processes may meet an absent row: the second waits for the first one's commit, and then finds it.
        insert = insert_of(connection)
        connection.execute(insert(ConnectorRow).values(vendor=vendor, **_EMPTY).on_conflict_do_nothing())
        found = connection.execute(_ROW, {"of": vendor}).one()
    return Standing(*found)


def change(connection: Connection, vendor: str, **values: Any) -> None:
    """Set columns of the vendor's row."""
    connection.execute(update(ConnectorRow).where(_TABLE.c.vendor == vendor).values(**values))


def take(
    connection: Connection, vendor: str, standing: Standing, limits: Sequence[Limit], *, at_us: int, latest_us: int
) -> tuple[int, bool]:
    """Take a token in the caller's transaction, in which `standing` was read: its moment, and whether it was taken.

    A moment before the newest one that is stored counts as that one, so a clock that lags uses no token twice.

    Args:
        at_us: now, read after the row was locked.
        latest_us: the last moment that is of use; where the token's would be later, none is taken.
    """
    standing = believed(standing, at_us=at_us)
    moment = next_moment(standing, limits, at_us=at_us)
    if moment > latest_us:
        return moment, False
    said = [[limit.requests, limit.seconds] for limit in limits]
    if said != standing.limits:
        change(connection, vendor, limits=said)
    if limits or standing.used:
        used = with_token(standing.used, limits, moment)
        connection.execute(_TAKE, {"of": vendor, "now_used": used, "now_newest": moment})
    return moment, True


def believed(standing: Standing, *, at_us: int) -> Standing:
    """The standing without moments so far ahead that only a wrong clock can have written them: they count as now.

    Without this one clock that once ran ahead by a year would close a vendor for a year.
    """
    ahead = standing.newest_us > at_us + _AHEAD_US
    limited = (standing.limited_until_us or 0) > at_us + _LIMITED_US
    if not (ahead or limited):
        return standing
    used = {window: [[min(when, at_us), count] for when, count in kept] for window, kept in standing.used.items()}
    return replace(
        standing,
        used=used if ahead else standing.used,
        newest_us=at_us if ahead else standing.newest_us,
        limited_until_us=None if limited else standing.limited_until_us,
    )


def next_moment(standing: Standing, limits: Sequence[Limit], *, at_us: int) -> int:
    """When the next token is: now, or as soon as every limit and the vendor's own word allow it."""
    moment = max(at_us, standing.newest_us, standing.limited_until_us or 0)
    for limit in limits:
        left = limit.requests
        for when, count in reversed(_entries(standing.used, limit.window_us)):
            left -= count
            if left <= 0:
                moment = max(moment, when + limit.window_us + _SLACK_US)
                break
    return moment


def with_token(used: dict[str, Any], limits: Sequence[Limit], moment: int) -> dict[str, list[list[int]]]:
    """What is used after one more token: entries that no window reaches any more are gone.

    Windows that this caller does not know, because another one gave other limits, are counted all the same.
    """
    grains = {int(window): 1 for window in used} | {limit.window_us: _grain(limit) for limit in limits}
    after: dict[str, list[list[int]]] = {}
    for window, grain in grains.items():
        kept = [[when, count] for when, count in _entries(used, window) if when + window + _SLACK_US > moment]
        end = -(-moment // grain) * grain  # the end of the part that the moment lies in: never too early
        if kept and kept[-1][0] >= end:
            kept[-1][1] += 1
        else:
            kept.append([end, 1])
        after[str(window)] = kept
    return after


def left(standing: Standing, limit: Limit, *, at_us: int) -> int:
    """How many requests the limit allows now; 0 while the vendor wants to be left alone, or others wait already."""
    if max(standing.limited_until_us or 0, standing.newest_us) > at_us:
        return 0
    window = limit.window_us
    counted = sum(count for when, count in _entries(standing.used, window) if when + window + _SLACK_US > at_us)
    return max(0, limit.requests - counted)


def _entries(used: dict[str, Any], window: int) -> list[list[int]]:
    """The tokens that count in a window: its own, or, where the window is new, those of the longest that is stored."""
    own: list[list[int]] | None = used.get(str(window))
    if own is not None or not used:
        return own or []
    longest: list[list[int]] = used[max(used, key=int)]
    return longest


def _grain(limit: Limit) -> int:
    return 1 if limit.requests <= GRAINS else math.ceil(limit.window_us / GRAINS)
