"""Market data in Alpaca's field names, once for REST (JSON) and once for the streams (msgpack): the same numbers.

A message is built with plain values: `datetime` moments, floats, NaN where the source has no value. `as_json` writes
moments as text and NaN as `"NaN"`; `packed` writes moments as msgpack Timestamps and NaN as a float.

**Made by the model.** No source of the workbench has trades or quotes. Trades are the two prints that each bar stands
for, its open and its close, of unknown size; quotes are the newest print ∓ the matching's slippage, of unknown size.
Every price of an option is made by a model (see `option_marks`), every crypto price is invented (see `crypto`). The
header `X-Market-Data` of each answer says what its numbers are.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any, Final

from workbench.exchange.clock import text_of

if TYPE_CHECKING:
    from workbench.exchange.market.black_scholes import Valuation
    from workbench.exchange.market.prices import Candle, Print, Quote

# Where a source has no value the wire says "NaN", in quotes: valid JSON, and alpaca-py's models read it as a float NaN.
# A zero would be an invented fact, and null would make the client's models refuse the whole answer.
ABSENT: Final = "NaN"
EXCHANGE: Final = "V"
DERIVED: Final = "trades and quotes are MADE BY A MODEL from bars"
_DAYS_PER_YEAR: Final = 365
_PERCENT: Final = 100


def bar_message(candle: Candle) -> dict[str, Any]:
    """One bar. How many trades it had and their average price are not known."""
    return {
        "t": candle.begins,
        "o": candle.open,
        "h": candle.high,
        "l": candle.low,
        "c": candle.close,
        "v": candle.volume,
        "n": None,
        "vw": None,
    }


def trade_message(seen: Print) -> dict[str, Any]:
    """One print; its size is not known."""
    return {"t": seen.moment, "p": float(seen.price), "s": math.nan, "x": EXCHANGE}


def quote_message(quote: Quote) -> dict[str, Any]:
    """One quote."""
    return {
        "t": quote.moment,
        "bp": float(quote.bid),
        "bs": math.nan if quote.bid_size is None else float(quote.bid_size),
        "bx": EXCHANGE,
        "ap": float(quote.ask),
        "as": math.nan if quote.ask_size is None else float(quote.ask_size),
        "ax": EXCHANGE,
    }


def orderbook_message(quote: dict[str, Any]) -> dict[str, Any]:
    """The order book that a quote message stands for: one level on each side."""
    return {
        "t": quote["t"],
        "b": [{"p": quote["bp"], "s": quote["bs"]}],
        "a": [{"p": quote["ap"], "s": quote["as"]}],
    }


def greeks_message(valuation: Valuation) -> dict[str, float]:
    """The sensitivities as Alpaca gives them: theta per day, vega and rho per percentage point."""
    return {
        "delta": valuation.delta,
        "gamma": valuation.gamma,
        "theta": valuation.theta / _DAYS_PER_YEAR,
        "vega": valuation.vega / _PERCENT,
        "rho": valuation.rho / _PERCENT,
    }


def as_json(value: Any) -> Any:
    """The same value as JSON can hold it."""
    # By type and not by pattern: a page has ten thousand rows of eight values.
    kind = type(value)
    if kind is float:
        return ABSENT if math.isnan(value) else value
    if kind is dict:
        return {name: as_json(entry) for name, entry in value.items()}
    if kind is list:
        return [as_json(entry) for entry in value]
    if kind is dt.datetime:
        return text_of(value) if value.microsecond else f"{value.isoformat()[:19]}Z"
    return value


def packed(messages: list[dict[str, Any]]) -> bytes:
    """A frame of the streams: a msgpack array of messages."""
    import msgpack

    frame: bytes = msgpack.packb(messages, default=_timestamp)
    return frame


def _timestamp(value: Any) -> Any:
    import msgpack

    if isinstance(value, dt.datetime):
        return msgpack.Timestamp.from_datetime(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")
