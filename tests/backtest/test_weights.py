"""Bad histories and bad weights are refused by name before anything is replayed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests.properties.future import random_history
from workbench import sessions
from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.preconditions import check_history
from workbench.backtest.weights import replayed, weights_of
from workbench.errors import BarsRefused, WeightsRefused
from workbench.market.actions import Actions, Dividend
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.strategies import BuyAndHold
from workbench.strategy import Strategy
from workbench.study import Study

HISTORY = random_history(length=60, warm_up=30, seed=2)


def having(change, history=HISTORY):
    """The history with other bars."""
    frames = {name: frame.copy() for name, frame in history.bars}
    change(frames)
    return dataclasses.replace(history, bars=Bars(**frames))


class TestHistories:
    def test_a_good_one_is_accepted(self):
        check_history(HISTORY)

    def test_a_symbol_without_any_close(self):
        def change(frames):
            for frame in frames.values():
                frame["KO"] = np.nan

        with pytest.raises(BarsRefused, match="KO: no close in 60 bars; nothing was computed"):
            check_history(having(change))

    def test_a_symbol_that_starts_later_is_fine(self):
        def change(frames):
            for frame in frames.values():
                frame.loc[: HISTORY.sessions[40], "KO"] = np.nan

        check_history(having(change))

    @pytest.mark.parametrize("bad", [0.0, -5.0, np.inf])
    @pytest.mark.parametrize("field", ["open", "high", "low", "close"])
    def test_a_price_that_cannot_be(self, field, bad):
        def change(frames):
            frames[field].iloc[5, 1] = bad

        history = having(change)
        with pytest.raises(BarsRefused, match=rf"{field} of JNJ on {history.sessions[5].date()} is {bad}"):
            check_history(history)
        with pytest.raises(BarsRefused, match=f"{field} of JNJ"):
            weights_of(Untouchable(), history)

    def test_an_empty_one(self):
        history = dataclasses.replace(HISTORY, bars=Bars(**{name: frame.iloc[:0] for name, frame in HISTORY.bars}))
        with pytest.raises(BarsRefused, match="the bars are empty"):
            check_history(history)
        with pytest.raises(BarsRefused, match="the bars are empty"):
            weights_of(Untouchable(), history)

    def test_one_evaluated_bar(self):
        study = dataclasses.replace(HISTORY.study, start=HISTORY.sessions[-1])
        history = dataclasses.replace(HISTORY, study=study)
        with pytest.raises(BarsRefused, match="1 bar lies between"):
            check_history(history)
        with pytest.raises(BarsRefused, match="1 session lies between"):
            replayed(weights_of(BuyAndHold(), history), history, costs=Costs(), rules=FillRules())


class TestWeights:
    def test_each_breach_of_the_contract_has_its_sentence(self):
        good = pd.DataFrame(0.1, index=HISTORY.sessions, columns=list(HISTORY.symbols))
        early, infinite = good.copy(), good.copy()
        infinite.iloc[: HISTORY.begins] = np.nan
        infinite.iloc[-1, 0] = -np.inf
        for answer, said in (
            (good.iloc[1:], "returned weights of shape"),
            (good[["KO"]], "returned weights of shape"),
            (good.rename(columns={"KO": "ZZZ"}), "or with another index or other columns"),
            (early, "wished for something in the warm-up"),
            (infinite, "the weight of AAPL on .* is -inf"),
            (good.to_numpy(), "returned ndarray, not a frame"),
        ):
            with pytest.raises(WeightsRefused, match=said):
                weights_of(Saying.of(answer), HISTORY)


class TestReplayed:
    def test_the_actions_and_the_rules_of_the_question_count(self):
        paid = HISTORY.evaluated[10]
        history = dataclasses.replace(HISTORY, actions=Actions(dividends=(Dividend("KO", paid, 1.0),)))
        weights = weights_of(BuyAndHold(), history)
        done = replayed(weights, history, costs=Costs(), rules=FillRules(lot=1.0))
        held = done.positions["KO"].shift(1)[paid]
        assert held > 0
        assert done.financing.loc[paid, "dividends"] == pytest.approx(held)
        assert (done.positions["KO"] % 1 == 0).all()
        assert done.engine == "replay"

    def test_volatility_is_known_from_the_warm_up(self):
        weights = weights_of(BuyAndHold(), HISTORY)
        done = replayed(weights, HISTORY, costs=Costs(impact=1.0), rules=FillRules())
        assert (done.orders["session"] == HISTORY.evaluated[1]).all()
        assert (done.orders["impact"] > 0).all()


class TestIntraday:
    def test_an_intraday_history_is_replayed_with_its_own_sessions(self):
        """Hourly bars of New York; a dividend belongs to the first bar of its session, as the venue counts sessions."""
        days = sessions.sessions("XNYS", "2015-01-02", "2015-01-30")
        ends = pd.DatetimeIndex(
            [
                close - pd.Timedelta(hours=hour)
                for close in sessions.close_times("XNYS", days)
                for hour in range(6, -1, -1)
            ]
        )
        draw = np.random.default_rng(4)
        close = pd.DataFrame({"AAPL": 100 * np.exp(np.cumsum(draw.normal(0, 0.01, len(ends))))}, index=ends)
        study = Study.of("AAPL", start="2015-01-08", as_of="2015-01-30", timeframe="1h")
        paid = pd.Timestamp("2015-01-15")
        history = History(
            study=study,
            bars=Bars(close=close),
            label="by hand",
            actions=Actions(dividends=(Dividend("AAPL", paid, 1.0),)),
        )
        check_history(history)
        done = replayed(weights_of(BuyAndHold(), history), history, costs=Costs(), rules=FillRules())
        assert done.orders["session"].dt.tz is not None
        assert done.orders["session"].tolist() == [history.evaluated[1]]
        received = done.financing["dividends"]
        first = ends[sessions.of_bars("XNYS", ends) == paid][0]
        assert received[received != 0.0].index.tolist() == [first]
        free = dataclasses.replace(history, actions=Actions())
        one, other = (
            replayed(weights_of(BuyAndHold(), free), free, costs=Costs(), rules=FillRules(), engine=engine)
            for engine in ("vectorbt", "replay")
        )
        np.testing.assert_allclose(one.equity, other.equity, rtol=1e-12)
        pd.testing.assert_frame_equal(one.orders, other.orders, check_exact=False, rtol=1e-9)


class Untouchable(Strategy):
    """Must not be asked."""

    name = "untouchable"

    @property
    def warm_up(self):
        return 0

    def target_weights(self, history):
        raise AssertionError("work was started")


class Saying(Strategy):
    """Answers with what it was given."""

    name = "saying"

    @property
    def warm_up(self):
        return 0

    @classmethod
    def of(cls, answer):
        made = cls()
        cls.answer = answer
        return made

    def target_weights(self, history):
        return type(self).answer
