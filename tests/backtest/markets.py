"""Random markets, wishes, costs and rules for tests of the engines: drawn by hypothesis, made by a seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from hypothesis import strategies as some

from tests.properties.future import random_history
from workbench.backtest.costs import Costs
from workbench.backtest.engine import simulate
from workbench.backtest.fill_rules import FillRules
from workbench.market.actions import Actions, Delisting, Dividend, Split
from workbench.market.bars import Bars

SESSIONS = 60
PRICES = ("next_open", "next_close", "same_close")


@dataclass(frozen=True)
class Question:
    """Everything that `simulate` is asked."""

    weights: pd.DataFrame
    bars: Bars
    costs: Costs
    rules: FillRules
    actions: Actions = field(default_factory=Actions)
    cash: float = 100_000.0

    def ask(self, engine="auto"):
        return simulate(
            self.weights,
            self.bars,
            costs=self.costs,
            initial_cash=self.cash,
            rules=self.rules,
            actions=self.actions,
            engine=engine,
        )


def wishes(chance, bars, *, full, shorts=False, gross=1.0, silent=0.5):
    """Random weights: some rows silent, some cells NaN, some 0; with `full`, rows that spend everything."""
    number = len(bars.symbols)
    drawn = chance.dirichlet(np.ones(number + 1), len(bars.sessions))[:, :number]
    if full:
        drawn /= drawn.sum(axis=1, keepdims=True)
    drawn[chance.random(drawn.shape) < 0.3] = 0.0
    if shorts:
        drawn *= np.where(chance.random(number) < 0.5, -1.0, 1.0)
        drawn[chance.random(len(drawn)) < 0.3] *= -1.0
    else:
        drawn[chance.random(drawn.shape) < 0.3] = np.nan
    drawn[chance.random(len(drawn)) < silent] = np.nan
    return pd.DataFrame(drawn * gross, index=bars.sessions, columns=bars.close.columns)


@some.composite
def simple_questions(draw):
    """What vectorbt can express."""
    chance = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    bars = _bars(draw, chance)
    costs = Costs(
        fee=draw(some.sampled_from([0.0, 0.001, 0.05])),
        slippage=draw(some.sampled_from([0.0, 0.0005, 0.05])),
        spread=draw(some.sampled_from([0.0, 0.002])),
    )
    weights = wishes(chance, bars, full=draw(some.booleans()), silent=draw(some.sampled_from([0.0, 0.5, 0.9])))
    return Question(weights, bars, costs, FillRules(execution_price=draw(some.sampled_from(PRICES))))


@some.composite
def questions(draw, *, lots=True):
    """Everything at once, in any combination: shorts, leverage, all costs, all rules, corporate actions."""
    chance = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    bars = _bars(draw, chance)
    asked = lambda *values: draw(some.sampled_from(values))  # noqa: E731 - a word for "one of these"
    costs = Costs(
        fee=asked(0.0, 0.001),
        slippage=asked(0.0, 0.0005),
        spread=asked(0.0, 0.002),
        fee_per_order=asked(0.0, 1.0) if lots else 0.0,
        fee_per_share=asked(0.0, 0.005) if lots else 0.0,
        fee_min=asked(0.0, 2.0) if lots else 0.0,
        fee_max=asked(None, 0.01),
        fee_tiers=asked((), ((50_000, 0.002), (200_000, 0.0005))) if lots else (),
        regulatory=asked("", "us_equities") if lots else "",
        slippage_volatility=asked(0.0, 0.1),
        slippage_participation=asked(0.0, 0.1),
        impact=asked(0.0, 0.7),
        borrow=asked(0.0, 0.3),
        cash_interest=asked(0.0, 0.05),
        margin_interest=asked(0.0, 0.1),
    )
    shorts, gross = asked(False, True), asked(1.0, 1.5)
    rules = FillRules(
        execution_price=asked(*PRICES),
        lot=asked(0.0, 1.0, 10.0) if lots else 0.0,
        band=asked(0.0, 0.05),
        max_gross=gross,
        max_participation=asked(None, 0.02),
    )
    weights = wishes(chance, bars, full=asked(False, True), shorts=shorts, gross=gross, silent=asked(0.2, 0.8))
    if gross > 1.0 and not shorts:
        weights = weights.where(weights.isna().all(axis=1), weights.fillna(0.0))  # whole rows, so that they sum right
    bars, actions = _with_actions(draw, chance, bars)
    return Question(weights, bars, costs, rules, actions)


def _bars(draw, chance):
    return random_history(
        symbols=tuple("ABCDE"[: draw(some.integers(1, 5))]),
        length=SESSIONS,
        warm_up=0,
        seed=int(chance.integers(2**31)),
        gaps=draw(some.sampled_from([0.0, 0.2])),
    ).bars


def _with_actions(draw, chance, bars):
    """Some dividends and splits, and perhaps the end of the last symbol; prices fall with the splits."""
    frames = {name: frame.copy() for name, frame in bars}
    day = lambda: bars.sessions[int(chance.integers(2, SESSIONS - 2))]  # noqa: E731
    splits, dividends, delistings = [], [], []
    for symbol in bars.symbols:
        if draw(some.booleans()):
            dividends.append(Dividend(symbol, day(), float(chance.uniform(0.1, 3.0))))
        if draw(some.booleans()):
            split = Split(symbol, day(), float(chance.choice([2.0, 1.5, 0.1])))
            splits.append(split)
            for name, frame in frames.items():
                frame.loc[split.session :, symbol] *= split.ratio if name == "volume" else 1.0 / split.ratio
    if draw(some.booleans()):
        symbol = bars.symbols[-1]
        first = frames["close"][symbol].first_valid_index()  # with gaps, not always the first session
        end = Delisting(symbol, max(day(), first), float(chance.choice([0.0, 20.0])))
        delistings.append(end)
        for frame in frames.values():
            frame.loc[frame.index > end.session, end.symbol] = np.nan
    return Bars(**frames), Actions(tuple(dividends), tuple(splits), tuple(delistings))
