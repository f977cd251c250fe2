"""Single fields of a request: text, numbers, prices and flags, refused in Alpaca's words where they are wrong."""

from __future__ import annotations

import uuid
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

MALFORMED: Final = 40010001
UNPROCESSABLE: Final = 42210000
LONGEST_CLIENT_ORDER_ID: Final = 128
LARGEST: Final = Decimal(10) ** 12  # of a quantity, a price, an amount; beyond it decimals lose digits
_PENNY, _MILL, _ONE = Decimal("0.01"), Decimal("0.0001"), Decimal(1)


def client_order_id(body: Mapping[str, Any], *, new: str | None = None) -> str:
    """The name given by the owner, or a new random one. Raises Refusal where it is too long or not readable text."""
    given = body.get("client_order_id")
    if given is None or given == "":
        return new or str(uuid.uuid4())
    if not isinstance(given, str) or len(given) > LONGEST_CLIENT_ORDER_ID or not given.isprintable():
        raise Refusal(422, MALFORMED, f"client_order_id must be no more than {LONGEST_CLIENT_ORDER_ID} characters")
    return given


def number(body: Mapping[str, Any], name: str) -> Decimal | None:
    """A finite number from JSON (a string or a number), None where it is absent. Raises Refusal."""
    given = body.get(name)
    if given is None or given == "":
        return None
    try:
        value = Decimal(str(given)[:64])
    except InvalidOperation:
        value = Decimal("NaN")
    if isinstance(given, bool) or not value.is_finite():
        raise Refusal(422, MALFORMED, f"{name} is not a number: {str(given)[:64]}")
    return value


def positive(body: Mapping[str, Any], name: str) -> Decimal | None:
    """A finite number above zero and not above 10¹², None where it is absent. Raises Refusal."""
    value = number(body, name)
    if value is not None and value <= 0:
        raise Refusal(422, MALFORMED, f"{name} must be > 0")
    _check_size(name, value)
    return value


def price(body: Mapping[str, Any], name: str, *, signed: bool = False) -> Decimal | None:
    """A price on the tick: two decimals from one dollar on, four below. None where it is absent. Raises Refusal.

    `signed` prices (of multi-leg orders: a debit or a credit) may be zero or negative, and have two decimals.
    """
    value = number(body, name) if signed else positive(body, name)
    if value is None:
        return None
    _check_size(name, value)
    if value % (_PENNY if signed or value >= _ONE else _MILL):
        raise Refusal(
            422,
            UNPROCESSABLE,
            f"invalid {name} {str(value)[:32]}. sub-penny increment does not fulfill minimum pricing criteria",
        )
    return value


def truth(given: Any) -> bool:
    """A boolean from JSON or from a query, in any case: alpaca-py writes `True`."""
    return str(given).lower() in {"true", "1", "yes"}


def one_of(body: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    """One of the known words. Raises Refusal where it is absent or another."""
    given = body.get(name)
    if given is None:
        raise Refusal(422, MALFORMED, f"{name} is required")
    if given not in known:
        raise Refusal(
            422, MALFORMED, f"invalid {name}: {str(given)[:64]}; the local exchange offers {', '.join(known)}"
        )
    return str(given)


def _check_size(name: str, value: Decimal | None) -> None:
    if value is not None and abs(value) > LARGEST:
        raise Refusal(422, MALFORMED, f"{name} must be <= {LARGEST:f}")
