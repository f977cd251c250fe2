"""Buy and hold, SMA cross and momentum against weights worked out by hand on tiny markets."""

from __future__ import annotations

import linecache

import numpy as np
import pandas as pd
import pytest

from tests.properties.future import random_history
from workbench import sessions
from workbench.errors import ParameterError
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.market.rebalance import standing
from workbench.strategies import BuyAndHold, Momentum, SmaCross, build, registered
from workbench.strategies.momentum import month_ends
from workbench.study import Study

NAN = np.nan


def history_of(columns, *, begin="2015-01-02", start_row=0):
    """A close-only history from columns of closes on consecutive sessions."""
    length = len(next(iter(columns.values())))
    index = sessions.sessions("XNYS", begin, pd.Timestamp(begin) + pd.Timedelta(days=2 * length + 10))[:length]
    study = Study.of(list(columns), start=index[start_row], as_of=sessions.closes("XNYS", index[-1]))
    return History(study=study, bars=Bars(close=pd.DataFrame(columns, index=index, dtype=float)), label="by hand")


def rows(weights):
    return weights.to_numpy().tolist()


def assert_same(weights, expected):
    np.testing.assert_array_equal(weights.to_numpy(), np.array(expected, dtype=float))


class TestBuyAndHold:
    def test_one_row_of_equal_weights_then_nothing(self):
        history = history_of({"AAA": [1, 2, 3, 4], "BBB": [5, 5, 5, 5]}, start_row=1)
        assert_same(BuyAndHold().target_weights(history), [[NAN, NAN], [0.5, 0.5], [NAN, NAN], [NAN, NAN]])

    def test_a_symbol_is_bought_when_it_gets_its_first_price(self):
        history = history_of({"AAA": [1, 2, 3, 4], "BBB": [NAN, NAN, 5, 5]})
        assert_same(BuyAndHold().target_weights(history), [[0.5, NAN], [NAN, NAN], [NAN, 0.5], [NAN, NAN]])

    def test_a_symbol_without_any_price_is_never_wished(self):
        history = history_of({"AAA": [1, 2], "BBB": [NAN, NAN]})
        assert_same(BuyAndHold().target_weights(history), [[0.5, NAN], [NAN, NAN]])


class TestSmaCross:
    def test_it_speaks_when_something_changes(self):
        # AAA, sma(2) over sma(3): rows 2..6
        #   closes 3 2 1 2 4 4 1 | sma2: 2.5 1.5 1.5 3 4 2.5 | sma3: – 2 5/3 7/3 10/3 3
        #   above:  row2 1.5>2 no · row3 1.5>1.67 no · row4 3>2.33 yes · row5 4>3.33 yes · row6 2.5>3 no
        # BBB never moves: never above.
        history = history_of({"AAA": [3, 2, 1, 2, 4, 4, 1], "BBB": [9] * 7}, start_row=2)
        assert_same(
            SmaCross(fast=2, slow=3).target_weights(history),
            [[NAN, NAN]] * 2 + [[0, 0], [NAN, NAN], [0.5, 0], [NAN, NAN], [0, 0]],
        )

    def test_a_wish_that_stands_at_the_start_is_said_there(self):
        history = history_of({"AAA": [1, 2, 3, 4, 5, 6]}, start_row=4)
        assert_same(SmaCross(fast=1, slow=2).target_weights(history), [[NAN]] * 4 + [[1.0], [NAN]])

    def test_a_missing_close_is_skipped_and_never_wished_for(self):
        # AAA's averages run over 1, 2, 4 only; in row 2 it has no price and no wish.
        history = history_of({"AAA": [1, 2, NAN, 4, 1]})
        assert_same(SmaCross(fast=1, slow=2).target_weights(history), [[NAN], [1.0], [NAN], [NAN], [0.0]])

    def test_a_change_during_a_gap_is_said_after_it(self):
        # BBB falls in row 2 while AAA has no close; AAA's own fall shows in row 3.
        history = history_of({"AAA": [1, 2, NAN, 1], "BBB": [1, 2, 1, 1]})
        assert_same(SmaCross(fast=1, slow=2).target_weights(history), [[NAN, NAN], [0.5, 0.5], [NAN, 0.0], [0.0, 0.0]])

    def test_a_slow_window_that_is_not_slower_is_refused(self):
        with pytest.raises(ParameterError, match=r"fast=50 must be less than slow=50"):
            SmaCross(fast=50, slow=50)


class TestMomentum:
    def test_month_ends_come_from_the_calendar(self):
        index = sessions.sessions("XNYS", "2015-01-02", "2015-04-30")
        ends = index[month_ends(index, "XNYS")]
        assert [day.date().isoformat() for day in ends] == ["2015-01-30", "2015-02-27", "2015-03-31", "2015-04-30"]

    def test_the_last_row_knows_that_it_is_a_month_end(self):
        cut = sessions.sessions("XNYS", "2015-04-01", "2015-04-29")
        assert not month_ends(cut, "XNYS").any()

    def test_winners_by_the_return_that_leaves_the_newest_sessions_out(self):
        # lookback 4, skip 1, top 1, at 2015-01-30 (row 5): return from row 1 to row 4.
        #   AAA 10 → 12 = +20 % (its fall in row 5 does not count) · BBB 10 → 11 = +10 % (its jump does not count)
        columns = {"AAA": [9, 10, 10, 10, 12, 5, 5, 5], "BBB": [9, 10, 10, 10, 11, 50, 50, 50]}
        history = history_of(columns, begin="2015-01-23")
        assert history.sessions[5] == pd.Timestamp("2015-01-30")
        weights = Momentum(lookback=4, skip=1, top=1).target_weights(history)
        assert_same(weights, [[NAN, NAN]] * 5 + [[1.0, 0.0]] + [[NAN, NAN]] * 2)

    def test_the_wish_of_the_last_month_end_stands_at_the_start(self):
        columns = {"AAA": [9, 10, 10, 10, 12, 5, 5, 5], "BBB": [9, 10, 10, 10, 11, 50, 50, 50]}
        history = history_of(columns, begin="2015-01-23", start_row=6)
        weights = Momentum(lookback=4, skip=1, top=1).target_weights(history)
        assert_same(weights, [[NAN, NAN]] * 6 + [[1.0, 0.0], [NAN, NAN]])

    def test_fewer_symbols_than_top_share_the_book_and_unranked_ones_leave_cash(self):
        columns = {"AAA": [1, 1, 1, 1, 1, 1], "BBB": [NAN, NAN, NAN, 1, 1, 1]}
        history = history_of(columns, begin="2015-01-23")
        assert rows(Momentum(lookback=4, skip=1, top=5).target_weights(history))[5] == [0.5, 0.0]

    def test_a_price_older_than_a_week_does_not_rank(self):
        columns = {"AAA": [1, 1, 1, NAN, NAN, NAN, NAN, NAN, NAN, 2], "BBB": [1.0] * 10}
        history = history_of(columns, begin="2015-01-16")
        assert history.sessions[9] == pd.Timestamp("2015-01-30")
        assert rows(Momentum(lookback=9, skip=1, top=1).target_weights(history))[9] == [0.0, 1.0]

    def test_a_skip_beyond_the_lookback_is_refused(self):
        with pytest.raises(ParameterError, match="skip=30 must be less than lookback=20"):
            Momentum(lookback=20, skip=30)


class TestWrittenInANotebook:
    CELL = """
from typing import ClassVar
from workbench.strategy import Strategy

class Mine(Strategy):
    name: ClassVar[str] = "mine"
    level: float = 5.0

    @property
    def warm_up(self):
        return 0

    def target_weights(self, history):
        return (history.close > self.level) / 2
"""

    def written(self, text, name):
        """Run a cell as IPython does: the text is known to linecache, the class belongs to `__main__`."""
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        space = {"__name__": "__main__"}
        exec(compile(text, name, "exec"), space)  # noqa: S102 - a notebook cell is executed text
        return space["Mine"]

    def test_it_has_a_hash_that_follows_its_code_and_parameters(self):
        mine = self.written(self.CELL, "<cell 1>")
        again = self.written(self.CELL, "<cell 2>")
        edited = self.written(self.CELL.replace("/ 2", "/ 3"), "<cell 3>")
        assert mine().hash == again().hash
        assert len({mine().hash, edited().hash, mine(level=6.0).hash}) == 3


class TestAll:
    @pytest.mark.parametrize("name", registered())
    @pytest.mark.parametrize("close_only", [False, True])
    def test_the_contract_of_weights(self, name, close_only):
        history = random_history(seed=3, gaps=0.03, close_only=close_only)
        weights = build(name).target_weights(history)
        assert weights.index.equals(history.sessions)
        assert tuple(weights.columns) == history.symbols
        assert weights.loc[weights.index < history.study.start].isna().to_numpy().all()
        assert not (weights.to_numpy()[history.close.isna().to_numpy()] > 0).any()
        assert (weights.abs().sum(axis=1) <= 1 + 1e-12).all()
        assert (weights.fillna(0) >= 0).to_numpy().all()

    @pytest.mark.parametrize("name", registered())
    def test_the_present_is_the_last_row_of_the_past(self, name):
        history = random_history(seed=8)
        weights = build(name).target_weights(history)
        for row in (290, 310, 399):
            evening = history.until(history.sessions[row])
            assert standing(build(name).target_weights(evening)) == standing(weights.iloc[: row + 1])

    def test_names_and_parameters_are_suggested(self):
        with pytest.raises(ParameterError, match="did you mean 'sma_cross'"):
            build("sma_crossing")
        with pytest.raises(ParameterError, match="it can be buy_and_hold, sma_cross, momentum, rules"):
            build("zzz")
        with pytest.raises(ParameterError, match="did you mean 'slow'"):
            build("sma_cross", slwo=3)
        with pytest.raises(ParameterError, match="it has none"):
            build("buy_and_hold", top=3)
        with pytest.raises(ParameterError, match="fast='quick'"):
            build("sma_cross", fast="quick")

    def test_a_strategy_is_rebuilt_from_its_parameters(self):
        for name in registered():
            assert build(name, **build(name).params).hash == build(name).hash
        assert build("sma_cross", fast=20).hash != build("sma_cross").hash
