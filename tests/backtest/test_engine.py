"""The engine against tiny markets worked out by hand; each step of the arithmetic stands beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench.backtest.costs import Costs
from workbench.backtest.engine import execution_price_for, simulate
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.timing import due
from workbench.errors import BacktestError, BarsRefused, ParameterError, WeightsRefused
from workbench.market.actions import Actions, Delisting
from workbench.market.bars import Bars

NAN = np.nan
FREE = Costs(fee=0.0, slippage=0.0)


def frame(columns):
    index = pd.DatetimeIndex(["2015-01-02", "2015-01-05", "2015-01-06", "2015-01-07", "2015-01-08"], name="session")
    length = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=index[:length], dtype=float)


@pytest.fixture(params=["vectorbt", "replay"])
def replay(request):
    """Every hand-calculated market is asked of both engines."""

    def ask(weights, close, *, opening=None, costs=FREE, cash=1000.0, at="auto"):
        bars = Bars(close=frame(close), open=None if opening is None else frame(opening))
        rules = FillRules(execution_price=at)
        return simulate(frame(weights), bars, costs=costs, initial_cash=cash, rules=rules, engine=request.param)

    return ask


def fills(simulation):
    table = simulation.orders
    return [
        (row.symbol, row.decided.day, row.session.day, row.side, pytest.approx(row.qty), pytest.approx(row.price))
        for row in table.itertuples()
    ]


class TestWhen:
    def test_a_wish_is_filled_at_the_next_close_where_there_is_no_open(self, replay):
        # 1000 of cash at 10 are 100 shares; the jump from 5 to 10 on the day after the decision is not earned
        done = replay({"A": [1, NAN, NAN, NAN]}, {"A": [5, 10, 20, 10]})
        assert done.execution_price == "next_close"
        assert fills(done) == [("A", 2, 5, "buy", 100, 10)]
        assert done.equity.tolist() == [1000, 1000, 2000, 1000]
        assert done.returns.tolist() == [0, 1, -0.5]
        assert done.cash.tolist() == [1000, 0, 0, 0]

    def test_a_wish_is_filled_at_the_next_open_where_there_is_one(self, replay):
        # 1000 at the open of 8 are 125 shares, worth 1250 at that day's close
        done = replay({"A": [1, NAN, NAN]}, {"A": [5, 10, 20]}, opening={"A": [5, 8, 11]})
        assert done.execution_price == "next_open"
        assert fills(done) == [("A", 2, 5, "buy", 125, 8)]
        assert done.equity.tolist() == [1000, 1250, 2500]

    def test_the_wish_of_the_last_session_is_not_filled(self, replay):
        done = replay({"A": [NAN, NAN, 1]}, {"A": [5, 10, 20]})
        assert done.orders.empty
        assert done.trades.empty
        assert done.equity.tolist() == [1000, 1000, 1000]

    def test_a_wish_waits_for_the_symbols_next_price(self, replay):
        done = replay({"A": [1, NAN, NAN, NAN]}, {"A": [5, NAN, NAN, 10]})
        assert fills(done) == [("A", 2, 7, "buy", 100, 10)]

    def test_a_newer_wish_replaces_the_one_that_waits(self, replay):
        done = replay({"A": [1, NAN, 0.5, NAN]}, {"A": [5, NAN, NAN, 10]})
        assert fills(done) == [("A", 6, 7, "buy", 50, 10)]

    def test_an_open_without_a_close_is_no_bar(self, replay):
        done = replay({"A": [1, NAN, NAN]}, {"A": [5, NAN, 20]}, opening={"A": [5, 8, 10]})
        assert fills(done) == [("A", 2, 6, "buy", 100, 10)]


# AAA  open – 8 12, close 10 10 11;  BBB  open – 25 30, close 20 20 24;  cash 1000
CLOSE = {"AAA": [10, 10, 11], "BBB": [20, 20, 24]}
OPEN = {"AAA": [10, 8, 12], "BBB": [20, 25, 30]}
WEIGHTS = {"AAA": [0.5, 0.0, NAN], "BBB": [0.25, 0.5, NAN]}


class TestHowMany:
    def test_without_costs(self, replay):
        # 5 Jan, value at the opens 1000: AAA 500/8 = 62.5, BBB 250/25 = 10; cash 250; closes: 250 + 625 + 200 = 1075
        # 6 Jan, value at the opens 250 + 62.5·12 + 10·30 = 1300: AAA sold for 750; BBB 650/30 = 21⅔, buy 11⅔ for 350
        #        cash 650; closes: 650 + 21⅔·24 = 1170
        done = replay(WEIGHTS, CLOSE, opening=OPEN)
        assert fills(done) == [
            ("BBB", 2, 5, "buy", 10, 25),
            ("AAA", 2, 5, "buy", 62.5, 8),
            ("AAA", 5, 6, "sell", 62.5, 12),
            ("BBB", 5, 6, "buy", 35 / 3, 30),
        ]
        assert done.cash.tolist() == pytest.approx([1000, 250, 650])
        assert done.equity.tolist() == pytest.approx([1000, 1075, 1170])
        assert done.exposure.tolist() == pytest.approx([0, 825 / 1075, 520 / 1170])
        assert done.positions["AAA"].tolist() == [0, 62.5, 0]

    def test_with_slippage(self, replay):
        # slippage 10 %. 5 Jan: 62.5 AAA at 8.80 = 550, 10 BBB at 27.50 = 275, cash 175; equity 175 + 625 + 200 = 1000
        # 6 Jan: value 175 + 750 + 300 = 1225; AAA sold at 10.80 = 675, cash 850; BBB 612.50/30 = 20 5/12, buy 10 5/12
        #        at 33 = 343.75, cash 506.25; equity 506.25 + 20 5/12·24 = 996.25
        done = replay(WEIGHTS, CLOSE, opening=OPEN, costs=Costs(fee=0, slippage=0.1))
        assert done.cash.tolist() == pytest.approx([1000, 175, 506.25])
        assert done.equity.tolist() == pytest.approx([1000, 1000, 996.25])
        assert done.orders["slippage"].tolist() == pytest.approx([25, 50, 75, 31.25])
        assert done.orders["reference_price"].tolist() == [25, 8, 12, 30]
        assert done.orders["fee"].tolist() == [0, 0, 0, 0]

    def test_a_full_wish_is_cut_to_the_cash_that_pays_for_it(self, replay):
        # fee 25 %: 100 shares at 10 would cost 1250; 1000/12.50 = 80 shares, 200 of fee
        done = replay({"A": [1, NAN]}, {"A": [10, 10]}, costs=Costs(fee=0.25, slippage=0))
        assert fills(done) == [("A", 2, 5, "buy", 80, 10)]
        assert done.orders["fee"].tolist() == pytest.approx([200])
        assert done.cash.tolist() == pytest.approx([1000, 0], abs=1e-9)
        assert done.equity.tolist() == pytest.approx([1000, 800])

    def test_a_fee_is_paid_on_sales_too(self, replay):
        # buy 40 at 10 with fee 100 (500 out), sell them at 20 with fee 200
        done = replay({"A": [0.4, 0, NAN]}, {"A": [10, 10, 20]}, costs=Costs(fee=0.25, slippage=0))
        assert done.cash.tolist() == [1000, 500, 1100]
        assert done.trades.iloc[0][["pnl", "cost", "bought"]].tolist() == [100, 300, 40]

    def test_sales_pay_for_purchases_whatever_the_order_of_the_columns(self, replay):
        for first, second in (("AAA", "BBB"), ("BBB", "AAA")):
            done = replay({first: [1, 0, NAN], second: [0, 1, NAN]}, {first: [10, 10, 10], second: [10, 10, 10]})
            assert [row[3] for row in fills(done)] == ["buy", "sell", "buy"]
            assert done.positions[second].iloc[-1] == 100

    def test_a_silent_symbol_does_not_disturb_the_order_of_fills(self, replay):
        # BBB says nothing on the second day and stands between the purchase and the sale
        done = replay(
            {"AAA": [0, 0.75, NAN], "BBB": [0.25, NAN, NAN], "CCC": [0.75, 0, NAN]},
            {"AAA": [10, 10, 10], "BBB": [10, 10, 10], "CCC": [10, 10, 10]},
        )
        assert [(row[0], row[3]) for row in fills(done)][2:] == [("CCC", "sell"), ("AAA", "buy")]
        assert done.positions.iloc[-1].tolist() == [75, 25, 0]

    def test_a_holding_without_a_price_counts_at_its_last_close(self, replay):
        # 6 Jan: AAA has no price, its 50 shares count 12 each (the close of 5 Jan, not its fill at 10):
        # value 500 + 600 = 1100, so BBB gets 0.2 · 1100 / 10 = 22
        done = replay(
            {"AAA": [0.5, NAN, NAN], "BBB": [NAN, 0.2, NAN]},
            {"AAA": [10, 12, NAN], "BBB": [10, 10, 10]},
            opening={"AAA": [10, 10, NAN], "BBB": [10, 10, 10]},
        )
        assert fills(done)[1] == ("BBB", 5, 6, "buy", 22, 10)
        assert done.equity.tolist() == [1000, 1100, 1100]

    def test_a_wish_that_is_met_already_makes_no_order(self, replay):
        done = replay({"A": [1 / 3, 1 / 3, 1 / 3, NAN]}, {"A": [3, 7, 7, 7]})
        assert len(done.orders) == 1


class TestRefusals:
    """Bad input gets a named error, and nothing is simulated."""

    def test_weights_that_are_no_wishes(self, replay):
        with pytest.raises(WeightsRefused, match=r"weights of 2015-01-02 sum to 1.200000, more than rules.max_gross=1"):
            replay({"A": [0.6, NAN], "B": [0.6, NAN]}, {"A": [1, 1], "B": [1, 1]})
        with pytest.raises(WeightsRefused, match=r"weight of A on 2015-01-02 is inf: it is infinite"):
            replay({"A": [np.inf, NAN]}, {"A": [1, 1]})
        with pytest.raises(WeightsRefused, match="do not have the sessions and symbols"):
            replay({"B": [1, NAN]}, {"A": [1, 1]})

    def test_shorts_and_leverage_are_bounded_by_the_weights_in_force(self):
        def ask(weights, **rules):
            bars = Bars(close=frame({name: [1, 1, 1] for name in weights}))
            return simulate(frame(weights), bars, costs=FREE, initial_cash=1.0, rules=FillRules(**rules))

        with pytest.raises(
            WeightsRefused, match=r"in force on 2015-01-05 sum to 1.500000, more than rules.max_gross=1"
        ):
            ask({"A": [-1, NAN, NAN], "B": [NAN, -0.5, NAN]})
        with pytest.raises(
            WeightsRefused, match=r"in force on 2015-01-05 sum to 3.000000, more than rules.max_gross=2"
        ):
            ask({"A": [2, NAN, NAN], "B": [NAN, 1, NAN]}, max_gross=2.0)
        # long only and without leverage the cash bounds them
        assert ask({"A": [1, NAN, NAN], "B": [NAN, 0.5, NAN]}).positions.iloc[-1].tolist() == [1, 0]

    @pytest.mark.parametrize("bad", [0.0, -1.0, np.inf])
    def test_prices_that_cannot_be(self, replay, bad):
        with pytest.raises(BarsRefused, match=rf"close of A on 2015-01-05 is {bad}; a price must be finite and > 0"):
            replay({"A": [1, NAN]}, {"A": [1, bad]})
        with pytest.raises(BarsRefused, match=rf"open of A on 2015-01-02 is {bad}"):
            replay({"A": [1, NAN]}, {"A": [1, 1]}, opening={"A": [bad, 1]})

    def test_bars_that_are_too_few(self, replay):
        with pytest.raises(BarsRefused, match="there is one bar"):
            replay({"A": [1]}, {"A": [1]})
        with pytest.raises(BarsRefused, match="the bars are empty: 0 sessions × 1 symbols"):
            replay({"A": []}, {"A": []})

    def test_a_symbol_without_any_price_cannot_be_wished_for(self, replay):
        close = {"A": [1, 1], "B": [NAN, NAN]}
        with pytest.raises(BarsRefused, match="B: wished for, but without any close in 2 bars"):
            replay({"A": [NAN, NAN], "B": [0.5, NAN]}, close)
        assert replay({"A": [0.5, NAN], "B": [0, NAN]}, close).positions["B"].tolist() == [0, 0]

    @pytest.mark.parametrize(
        ("asked", "what"),
        [
            ({"rules": FillRules(max_participation=0.1)}, "rules.max_participation"),
            ({"costs": Costs(slippage_participation=0.1)}, "costs.slippage_participation"),
            ({"costs": Costs(impact=1.0)}, "costs.impact"),
        ],
    )
    def test_volumes_that_are_asked_for_must_be_there(self, asked, what):
        close, weights = frame({"A": [1, 1], "B": [1, 1]}), frame({"A": [0.5, NAN], "B": [NAN, NAN]})
        ask = {"costs": FREE, "rules": FillRules(), "initial_cash": 1.0} | asked
        with pytest.raises(BarsRefused, match=rf"{what} need volumes, but A has none on 2015-01-02"):
            simulate(weights, Bars(close=close), **ask)
        with pytest.raises(BarsRefused, match=rf"{what} need volumes, but A has none on 2015-01-05"):
            simulate(weights, Bars(close=close, volume=frame({"A": [1, NAN], "B": [1, 1]})), **ask)
        # a symbol that nobody wishes for needs none
        simulate(weights, Bars(close=close, volume=frame({"A": [1, 1], "B": [NAN, NAN]})), **ask)

    def test_a_symbol_that_trades_after_its_delisting(self):
        actions = Actions(delistings=(Delisting("A", pd.Timestamp("2015-01-02"), 1.0),))
        with pytest.raises(BarsRefused, match="A was delisted on 2015-01-02, but has closes after it"):
            simulate(
                frame({"A": [NAN, NAN]}),
                Bars(close=frame({"A": [1, 1]})),
                costs=FREE,
                initial_cash=1.0,
                actions=actions,
            )

    def test_cash_and_costs(self, replay):
        with pytest.raises(BacktestError, match=r"initial_cash=0\.0"):
            replay({"A": [1, NAN]}, {"A": [1, 1]}, cash=0.0)
        for wrong in ({"fee": -0.1}, {"slippage": 1.0}, {"fee": NAN}):
            with pytest.raises(ParameterError, match=r"must be a fraction from 0 up to 1"):
                Costs(**wrong)

    def test_no_sale_is_worth_nothing(self):
        bars = Bars(close=frame({"A": [1, 1, 1]}), volume=frame({"A": [9, 9000, 1]}))
        with pytest.raises(BacktestError, match=r"selling 500 A on 2015-01-06 would lose 5000% of the price"):
            simulate(
                frame({"A": [0.5, 0, NAN]}),
                bars,
                costs=Costs(slippage=0, slippage_participation=0.1),
                initial_cash=1000.0,
            )


class TestWhere:
    PRICES = frame({"A": [1, 1], "B": [1, 1]})

    def test_opens_are_used_only_where_every_symbol_has_them(self):
        mixed = Bars(close=self.PRICES, open=frame({"A": [1, 1], "B": [NAN, NAN]}))
        full = Bars(close=self.PRICES, open=frame({"A": [1, NAN], "B": [NAN, 1]}))
        assert execution_price_for(Bars(close=self.PRICES)) == "next_close"
        assert execution_price_for(mixed) == "next_close"
        assert execution_price_for(full) == "next_open"
        assert execution_price_for(full, "next_close") == "next_close"

    def test_opens_that_are_asked_for_must_be_there(self):
        with pytest.raises(BacktestError, match="'next_open', but A, B have closes only"):
            execution_price_for(Bars(close=self.PRICES), "next_open")

    def test_a_fill_at_the_close_of_the_decision_must_be_asked_for_by_name(self):
        assert execution_price_for(Bars(close=self.PRICES), "same_close") == "same_close"
        with pytest.raises(BacktestError, match="'close' is not one of auto, next_open, next_close, same_close"):
            execution_price_for(Bars(close=self.PRICES), "close")

    def test_a_symbol_without_any_price_asks_for_nothing(self):
        close, opening = frame({"A": [1, 1], "B": [NAN, NAN]}), frame({"A": [1, 1], "B": [NAN, NAN]})
        assert execution_price_for(Bars(close=close, open=opening)) == "next_open"


class TestDue:
    @settings(max_examples=60, deadline=None)
    @given(some.integers(0, 2**32 - 1), some.sampled_from([0, 1]))
    def test_it_is_what_somebody_who_waits_would_do(self, seed, lag):
        chance = np.random.default_rng(seed)
        wishes = np.where(chance.random((30, 3)) < 0.7, NAN, chance.random((30, 3)))
        priced = chance.random((30, 3)) < 0.6
        weights, decided = due(wishes, priced, lag=lag)
        for column in range(3):
            waiting = None
            for row in range(30):
                if row >= lag and not np.isnan(wishes[row - lag, column]):
                    waiting = row - lag
                if waiting is not None and priced[row, column]:
                    assert weights[row, column] == wishes[waiting, column]
                    assert decided[row, column] == waiting
                    waiting = None
                else:
                    assert np.isnan(weights[row, column])


class TestWarmUp:
    def test_volatility_and_volume_look_back_into_the_bars_before(self):
        """The same fill as in answers/engine/impact.json, with the first three bars as a warm-up."""
        close, volume = frame({"A": [10, 11, 9.9, 10, 10]}), frame({"A": [400, 200, 300, 7, 7]})
        bars, index = Bars(close=close, volume=volume), close.index
        weights = pd.DataFrame({"A": [0.6, NAN]}, index=index[3:])
        ask = {"costs": Costs(slippage=0, impact=1.0), "initial_cash": 1000.0}
        cold = simulate(weights, bars.between(index[3], index[4]), **ask)
        warm = simulate(weights, bars.between(index[3], index[4]), warm_up=bars.between(index[0], index[2]), **ask)
        assert cold.orders.empty  # nobody knows a volatility
        sigma = np.std([0.1, -0.1, 10 / 9.9 - 1], ddof=1)
        volume = (400 + 200 + 300 + 7) / 4
        assert warm.orders["price"].tolist() == pytest.approx([10 * (1 + sigma * np.sqrt(60 / volume))], rel=1e-12)
