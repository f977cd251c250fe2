"""What a bot's strategy wishes now: the newest rows of the same weights that a backtest replays, and why."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench import sessions
from workbench.backtest.weights import weights_of
from workbench.market.history import History
from workbench.market.rebalance import standing
from workbench.orchestration.bot_bars import stamp_of
from workbench.strategies.indicators import Term
from workbench.strategies.rules import Rules
from workbench.study import MINUTES, Study

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.execution.bots.bot import Bot
    from workbench.market.bars import Bars
    from workbench.strategy import Strategy

# A stretch this long is begun anew where that changes no wish, so that a bot of minute bars does not grow slow.
LONGEST = 1_500  # bars
EVERY = 30  # how often that is tried, in bars: it asks the strategy once more


@dataclass(frozen=True, slots=True)
class Signal:
    """What a strategy says at one bar.

    Attributes:
        bar_at: the stamp of the newest bar.
        began: the session from which the strategy counts.
        rows: the wishes since the bar that was acted on last, oldest first; each by symbol, without NaN.
        bars: what it was computed from.
    """

    bar_at: dt.datetime
    began: dt.date
    rows: tuple[Mapping[str, float], ...]
    bars: Bars

    @property
    def wish(self) -> dict[str, float]:
        """The newest weight of each symbol that any of the rows names."""
        return {symbol: weight for row in self.rows for symbol, weight in row.items()}


def first_needed(bot: Bot, strategy: Strategy, *, now_session: dt.date) -> dt.date:
    """The session from which bars are needed: the bot's first, and the strategy's warm-up before it."""
    per_session = _bars_per_session(bot)
    count = math.ceil(strategy.warm_up / per_session) + 1
    venue, began = bot.plan.window.venue, pd.Timestamp(bot.began or now_session)
    before = sessions.sessions(venue, began - pd.Timedelta(days=7 * (count // 3 + 2)), began - pd.Timedelta(days=1))
    return pd.Timestamp(before[max(0, len(before) - count)]).date()


def signal(bot: Bot, strategy: Strategy, bars: Bars, *, as_of: dt.datetime, source: str) -> Signal | None:
    """Ask the strategy with what is known; None when there is no bar since the one that was acted on last.

    A bot that has not acted yet joins: it takes the whole wish in force. Any other takes what the rows since its last
    bar say, so that a bar which nobody looked at (the desk was down) is not lost.

    Raises:
        BarsRefused, WeightsRefused: the bars are impossible, or the weights break their contract.
        Exception: whatever the code of the strategy raises.
    """
    newest = stamp_of(bars.sessions[-1])
    if bot.bar_at is not None and newest <= bot.bar_at:
        return None
    history = _history(bot, bars, as_of=as_of, source=source)
    weights = weights_of(strategy, history)
    if bot.bar_at is None:
        rows: tuple[Mapping[str, float], ...] = (standing(weights),) if len(weights) else ()
    else:
        acted = pd.Timestamp(bot.bar_at)
        since = weights.loc[weights.index > (acted.tz_localize(None) if weights.index.tz is None else acted)]  # type: ignore[attr-defined]
        rows = tuple(
            {str(symbol): float(weight) for symbol, weight in row.dropna().items()} for _, row in since.iterrows()
        )
    began = history.study.start.date()
    if len(weights) > LONGEST and len(weights) % EVERY == 0:
        began = _begun_anew(bot, strategy, history, weights) or began
    return Signal(newest, began, tuple(row for row in rows if row), history.bars)


def indicators(strategy: Strategy, bars: Bars, symbol: str) -> dict[str, float | None]:
    """The values that the strategy looked at, of one symbol at the newest bar; None: not known there.

    Of `rules` all terms; of the crossing strategies their two averages; of momentum the return it ranks by. The close
    is always there.
    """
    terms: dict[str, Term] = {"close": Term.parse("close")}
    if isinstance(strategy, Rules):
        for condition in (*strategy.entry, *strategy.exit):
            terms |= {str(term): term for term in condition.terms if term.name != "number"}
    kind = {"sma_cross": "sma", "ema_cross": "ema"}.get(strategy.name)
    if kind is not None:
        for window in (strategy.params["fast"], strategy.params["slow"]):
            if window >= 2:
                terms[f"{kind}({window})"] = Term.parse(f"{kind}({window})")
    found: dict[str, float | None] = {}
    for name, term in terms.items():
        values = term.values(bars, symbol)
        known = not values.empty and values.index[-1] == bars.sessions[-1] and math.isfinite(float(values.iloc[-1]))
        found[name] = float(values.iloc[-1]) if known else None
    if strategy.name == "momentum":
        found |= _momentum(strategy.params, bars.close[symbol])
    return found


def _momentum(params: Mapping[str, Any], closes: pd.Series) -> dict[str, float | None]:
    lookback, skip = int(params["lookback"]), int(params["skip"])
    name = f"return({lookback}, {skip})"
    if len(closes) <= lookback:
        return {name: None}
    then, now = float(closes.iloc[-1 - lookback]), float(closes.iloc[-1 - skip])
    return {name: now / then - 1.0 if math.isfinite(now) and then > 0 else None}


def _history(bot: Bot, bars: Bars, *, as_of: dt.datetime, source: str, start: pd.Timestamp | None = None) -> History:
    """The bars as the history of a study that begins with the bot's first session."""
    venue, plan = bot.plan.window.venue, bot.plan
    index = bars.sessions
    newest = index[-1] if index.tz is None else sessions.of_bars(venue, index[-1:])[0]
    study = Study(
        symbols=plan.symbols,
        start=start if start is not None else pd.Timestamp(bot.began) if bot.began else newest,
        end=newest,
        as_of=pd.Timestamp(as_of),
        timeframe=plan.timeframe,
        venue=venue,
        source=source,
        initial_cash=float(plan.capital),
    )
    return History(study=study, bars=bars, label=f"{source}, as bot {bot.name} saw it")


def _begun_anew(bot: Bot, strategy: Strategy, history: History, weights: pd.DataFrame) -> dt.date | None:
    """A later session from which the strategy may count, because its wishes are the same either way; None: no such.

    What the strategies remember beyond their warm-up is what they have wished; where that is the same from both
    beginnings, it stays the same for ever.
    """
    of = history.session_of_bar
    start = pd.Timestamp(of[len(of) - LONGEST // 2])
    acted = None if bot.bar_at is None else pd.Timestamp(bot.bar_at)
    if acted is None or start <= history.study.start or not bool((of < start).any()):
        return None
    first = history.sessions[int(of.searchsorted(start))]
    if stamp_of(first) > acted.to_pydatetime():
        return None
    later = _history(bot, history.bars, as_of=history.as_of.to_pydatetime(), source=history.study.source, start=start)
    anew = weights_of(strategy, later)
    return start.date() if standing(anew) == standing(weights) else None


def _bars_per_session(bot: Bot) -> int:
    timeframe = bot.plan.timeframe
    if timeframe == "1d":
        return 1
    return -(-sessions.minutes_per_session(bot.plan.window.venue) // MINUTES[timeframe])
