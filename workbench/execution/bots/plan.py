"""What a person tells a bot: name, capital, strategy, symbols, hours and bounds, each part checked."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError
from workbench.execution.bots.risk import BotRisk, read_risk
from workbench.execution.risk.limits import KILL_BOT
from workbench.market.hours import TradingWindow
from workbench.strategies.schema import parse_params
from workbench.study import TIMEFRAMES

if TYPE_CHECKING:
    from workbench.strategy import Strategy

SHORTEST_SECONDS = 1.0
RESERVED = frozenset({KILL_BOT, "fidelity"})  # names under which the workbench itself writes intents
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-^_/]{0,31}")


@dataclass(frozen=True, slots=True)
class BotPlan:
    """What a person tells a bot. Build one with `BotPlan.of`, which checks every part.

    Attributes:
        name: small letters, digits, `-` and `_`; unique in its account for ever.
        capital: what it starts with, currency.
        strategy, params: a registered strategy; `rules` holds declarative indicator rules.
        symbols: what it may trade, in this order.
        every_seconds: how often it looks at the market, on the clock (every full minute for 60).
        timeframe: of the bars that the strategy sees.
        window: the hours in which it may trade, and what becomes of its holdings at their end.
        risk: its own bounds, under those of the account.
    """

    name: str
    capital: Decimal
    strategy: str
    params: dict[str, Any]
    symbols: tuple[str, ...]
    every_seconds: float
    timeframe: str
    window: TradingWindow
    risk: BotRisk

    @classmethod
    def of(
        cls,
        name: str,
        *,
        capital: Decimal | float | str,
        symbols: str | Sequence[str],
        strategy: str = "rules",
        params: Mapping[str, Any] | None = None,
        every_seconds: float = 60.0,
        timeframe: str = "1d",
        window: TradingWindow | Mapping[str, Any] | None = None,
        risk: BotRisk | Mapping[str, Any] | None = None,
        known_symbols: Collection[str] | None = None,
    ) -> BotPlan:
        """Check every part and say everything that is wrong at once.

        Args:
            known_symbols: what can be traded at all; any well-formed symbol when None.

        Raises:
            ParameterError: at least one part is not accepted. `facts["details"]` has one row (`loc`, `msg`, `input`)
                for each.
        """
        wrong: list[dict[str, Any]] = []

        def checked(loc: str, read: Any, given: Any) -> Any:
            try:
                return read(given)
            except ParameterError as error:
                inner = error.facts.get("details") or [{"loc": [], "msg": _said(error), "input": given}]
                wrong.extend({**row, "loc": [loc, *row["loc"]]} for row in inner)
                return None

        plan = {
            "name": checked("name", _name, name),
            "capital": checked("capital", _capital, capital),
            "symbols": checked("symbols", lambda given: _symbols(given, known_symbols), symbols),
            "every_seconds": checked("every_seconds", _seconds, every_seconds),
            "timeframe": checked("timeframe", _timeframe, timeframe),
            "window": checked("window", _window, window),
            "risk": checked("risk", read_risk, risk),
        }
        found = checked("params", lambda given: parse_params(strategy, dict(given or {})), params)
        if wrong:
            rows = "; ".join(f"{'.'.join(map(str, row['loc']))}: {str(row['msg']).rstrip('.')}" for row in wrong)
            raise ParameterError(
                f"the bot is not accepted: {rows}. Nothing was made.",
                remedy="correct what is named.",
                details=wrong,
            )
        return cls(strategy=strategy, params=found.params, **plan)

    @property
    def built(self) -> Strategy:
        """The strategy. Raises ParameterError when its schema no longer accepts the stored parameters."""
        return parse_params(self.strategy, self.params)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `BotPlan.of(**plan.to_dict())` is the same plan."""
        return {
            "name": self.name,
            "capital": str(self.capital),
            "strategy": self.strategy,
            "params": self.params,
            "symbols": list(self.symbols),
            "every_seconds": self.every_seconds,
            "timeframe": self.timeframe,
            "window": self.window.to_dict(),
            "risk": self.risk.to_dict(),
        }


def nearest(given: str, known: Collection[str]) -> str:
    """Advice for a name that is not known: the nearest one, or a few that are."""
    near = difflib.get_close_matches(given, known, n=1)
    some = ", ".join(sorted(known)[:8]) + (" …" if len(known) > 8 else "")
    return f"did you mean {near[0]!r}?" if near else f"it can be {some}." if known else "there is none yet."


def _said(error: ParameterError) -> str:
    return f"{error.message} {error.remedy}".strip()


def _name(given: Any) -> str:
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise ParameterError(
            f"{given!r} is no name of a bot.",
            remedy="use small letters, digits, - and _, up to 48, beginning with a letter or digit.",
        )
    if given in RESERVED:
        raise ParameterError(f"{given!r} is a name that the workbench uses itself.", remedy="choose another one.")
    return given


def _capital(given: Any) -> Decimal:
    try:
        capital = Decimal(str(given))
    except InvalidOperation:
        capital = Decimal("NaN")
    if isinstance(given, bool) or not capital.is_finite() or capital <= 0:
        raise ParameterError(f"{given!r} is not a finite number greater than 0.", remedy="give currency, e.g. 10_000.")
    return capital


def _symbols(given: Any, known: Collection[str] | None) -> tuple[str, ...]:
    raw = [given] if isinstance(given, str) else list(given)
    names = tuple(dict.fromkeys(str(symbol).strip().upper() for symbol in raw))
    if not names:
        raise ParameterError("there is no symbol to trade.", remedy="name at least one.")
    for name in names:
        if not _SYMBOL.fullmatch(name):
            raise ParameterError(f"{name!r} is not a symbol.", remedy="pass a list such as ['AAPL', 'MSFT'].")
        if known is not None and name not in known:
            raise ParameterError(f"{name!r} cannot be traded here.", remedy=nearest(name, known))
    return names


def _seconds(given: Any) -> float:
    number = float(given) if isinstance(given, int | float) and not isinstance(given, bool) else math.nan
    if not (math.isfinite(number) and number >= SHORTEST_SECONDS):
        raise ParameterError(f"{given!r} is not a number of seconds ≥ {SHORTEST_SECONDS:g}.", remedy="use e.g. 60.")
    if number > 86_400:
        raise ParameterError(f"{given!r} is longer than a day.", remedy="use at most 86400; a daily bot can use 3600.")
    return number


def _timeframe(given: Any) -> str:
    if given not in TIMEFRAMES:
        raise ParameterError(f"{given!r} is no timeframe.", remedy=f"it can be {', '.join(TIMEFRAMES)}.")
    return str(given)


def _window(given: Any) -> TradingWindow:
    if given is None:
        return TradingWindow()
    return given if isinstance(given, TradingWindow) else TradingWindow.of(given)
