"""Strategies with a planted fault, one each, and markets small enough to be worked out by hand."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from workbench import sessions
from workbench.backtest.audit.check import Subject
from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.strategies.wishes import as_weights, emit_changes
from workbench.strategy import Strategy
from workbench.study import Study

FREE = Costs(slippage=0.0)


def history_of(columns, *, warm_up=0, **fields):
    """A close-only history from columns of closes on consecutive sessions; `fields` are more frames of that shape."""
    length = len(next(iter(columns.values())))
    index = sessions.sessions("XNYS", "2012-01-03", "2016-12-30")[:length].rename("session")
    study = Study.of(list(columns), start=index[warm_up], as_of=sessions.closes("XNYS", index[-1]))
    frames = {"close": columns, **fields}
    bars = Bars(
        **{
            name: pd.DataFrame(values, index=index, dtype=float).rename_axis(columns="symbol")
            for name, values in frames.items()
        }
    )
    return History(study=study, bars=bars, label="by hand")


def subject_of(strategy, history, *, costs=FREE, rules=None):
    return Subject.of(strategy, history, costs=costs, rules=rules or FillRules())


def evaluated_only(frame, history):
    """The frame with NaN in the warm-up and where there is no price."""
    values = np.where(np.isnan(history.close.to_numpy()), np.nan, np.asarray(frame, dtype=float))
    values[: history.begins] = np.nan
    return as_weights(values, history)


class Planted(Strategy):
    """The base of what follows."""

    warm_up: ClassVar[int] = 0

    def target_weights(self, history):
        return evaluated_only(self.wish(history) / len(history.symbols), history)


class TomorrowsReturn(Planted):
    """Leak: shift(-1) looks one row ahead."""

    name: ClassVar[str] = "leak_shifted"

    def wish(self, history):
        return history.close.pct_change(fill_method=None).shift(-1) > 0


class NextWeekSeldomSaid(Planted):
    """Leak: a crossing of averages five rows ahead, said only when it changes."""

    name: ClassVar[str] = "leak_seldom"

    def target_weights(self, history):
        close = history.close.ffill().shift(-5)
        above = close.rolling(10).mean() > close.rolling(40).mean()
        return emit_changes(above / len(history.symbols), history)


class WholeSampleMean(Planted):
    """Leak: the mean is taken over all sessions, the future's too."""

    name: ClassVar[str] = "leak_mean"

    def wish(self, history):
        return history.close < history.close.mean()


class NextRowTellsTheMonthEnd(Planted):
    """Leak: the month ends where the next row begins another; on the last evening there is no next row."""

    name: ClassVar[str] = "leak_month_end"

    def wish(self, history):
        months = history.session_of_bar.month
        ends = np.append(months[1:] != months[:-1], False)
        return pd.DataFrame(
            np.where(ends[:, None], 1.0, history.close * np.nan), history.close.index, history.close.columns
        )


class GapsFilledFromBehind(Planted):
    """Leak: a missing close is replaced by the next one."""

    name: ClassVar[str] = "leak_bfill"

    def target_weights(self, history):
        filled = history.close.bfill()
        wanted = (filled > filled.rolling(3).mean()) / len(history.symbols)
        values = wanted.to_numpy(dtype=float).copy()
        values[: history.begins] = np.nan
        return as_weights(values, history)


class KnowsTheDividends(Planted):
    """Leak: it reads corporate actions that have not been announced."""

    name: ClassVar[str] = "leak_actions"

    def wish(self, history):
        ahead = len(history.actions.dividends)
        return history.close * 0.0 + min(1.0, ahead / 10)


class Chance(Planted):
    """Not a leak, but no answer either: unseeded noise."""

    name: ClassVar[str] = "chance"

    def wish(self, history):
        return history.close * 0.0 + np.random.default_rng().random(history.close.shape)


class RecursiveMean(Planted):
    """The share wished is a recursive mean of closes / 1000: its memory decays by (n−1)/(n+1) a bar, and no bound."""

    name: ClassVar[str] = "recursive"
    warm_up: ClassVar[int] = 0

    declared: Annotated[int, Field(ge=0)] = 0
    span: Annotated[int, Field(ge=2)] = 9

    @property
    def warm_up(self):  # noqa: F811 - a field of this one
        return self.declared

    def wish(self, history):
        return history.close.ewm(span=self.span, adjust=False).mean() / 1000


class Always(Planted):
    """Everything in equal parts from the first bar on, said once."""

    name: ClassVar[str] = "always"

    def target_weights(self, history):
        values = np.full(history.close.shape, np.nan)
        values[history.begins] = 1.0 / len(history.symbols)
        return as_weights(values, history)


class OddBars(Planted):
    """In the market for every other bar, said in every bar."""

    name: ClassVar[str] = "odd_bars"

    def wish(self, history):
        odd = np.arange(len(history.sessions)) % 2 == 1
        return pd.DataFrame(np.repeat(odd[:, None], len(history.symbols), axis=1), history.close.index, history.symbols)


class NeedsThree(Always):
    """Raises where there are fewer than three symbols."""

    name: ClassVar[str] = "needs_three"

    def target_weights(self, history):
        if len(history.symbols) < 3:
            raise ValueError("three symbols at least, <please>")
        return super().target_weights(history)


class Never(Planted):
    """Wishes for nothing."""

    name: ClassVar[str] = "never"

    def wish(self, history):
        return history.close * np.nan


LEAKS = (TomorrowsReturn, NextWeekSeldomSaid, WholeSampleMean)
