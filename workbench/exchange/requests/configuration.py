"""Account configurations: what the owner can switch, with the values that are understood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.exchange.requests.fields import MALFORMED
from workbench.exchange.wire import Refusal, plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

_REMOVED = frozenset({"dtbp_check", "pdt_check"})  # taken back by Alpaca in 2026; alpaca-py may still send them
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "trade_confirm_email": ("all", "none"),
    "max_margin_multiplier": ("1", "2", "4"),
    "max_options_trading_level": (None, 0, 1, 2, 3),
}


def initial(*, multiplier: Decimal, shorting: bool) -> dict[str, Any]:
    """The configurations of a new account."""
    return {
        "fractional_trading": True,
        "max_margin_multiplier": plain(multiplier),
        "no_shorting": not shorting,
        "suspend_trade": False,
        "trade_confirm_email": "none",
        "ptp_no_exception_entry": False,
        "max_options_trading_level": None,
    }


def changed(configurations: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The configurations after the changes.

    Raises:
        Refusal: 422 for a name or a value that is not known; nothing is changed then.
    """
    after = dict(configurations)
    for name, value in changes.items():
        if name in _REMOVED:
            continue
        if name not in after:
            raise Refusal(422, MALFORMED, f"unknown account configuration: {str(name)[:64]}")
        after[name] = _flag(name, value) if isinstance(after[name], bool) else _choice(name, value, after[name])
    return after


def _flag(name: str, value: Any) -> bool:
    text = str(value).lower()
    if text not in {"true", "false"}:
        raise Refusal(422, MALFORMED, f"invalid {name}: {str(value)[:64]}; it is true or false")
    return text == "true"


def _choice(name: str, value: Any, now: Any) -> Any:
    for known in (*_CHOICES.get(name, ()), now):
        if value == known or (known is not None and str(value).lower() == str(known)):
            return known
    raise Refusal(422, MALFORMED, f"invalid {name}: {str(value)[:64]}")
