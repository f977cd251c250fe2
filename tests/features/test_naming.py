"""Features are named by text, refuse what they cannot be, and are all documented."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.features.markets import columns
from tests.properties.future import random_history
from tests.refresh_features_page import PAGE, page
from workbench.errors import BadData, DataError, NoData, ParameterError
from workbench.features import feature, frame, newest, registered, table
from workbench.market.bars import Bars
from workbench.strategies import Condition, Rules
from workbench.strategies.indicators import Term

HISTORY = random_history(seed=7, gaps=0.02, length=420)


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "name", "arguments"),
        [
            ("rsi(14)", "rsi", (14.0,)),
            (" RSI ", "rsi", (14.0,)),
            ("macd( 12,26 , 9 )", "macd", (12.0, 26.0, 9.0)),
            ("momentum_12_1", "momentum_12_1", ()),
            ("gap()", "gap", ()),
            ("ewma_volatility(0.97)", "ewma_volatility", (0.97,)),
        ],
    )
    def test_that_are_read(self, text, name, arguments):
        one = feature(text)
        assert (one.name, one.arguments) == (name, arguments)
        assert feature(str(one)) == one

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("rsy(14)", "did you mean 'rsi'"),
            ("rsi(1)", "window of 1 sessions is not a whole number from 2 to 5000"),
            ("rsi(14.5)", "whole number"),
            ("rsi(14, 2)", "rsi takes 1 numbers"),
            ("rsi(x)", "rsi takes 1 numbers"),
            ("gap(3)", "gap takes no numbers"),
            ("momentum(21, 21)", "skip 21 must be less than the lookback 21"),
            ("sma_spread(200, 50)", "fast window 200 must be less than the slow one 50"),
            ("volatility_ratio(30, 30)", "fast window 30 must be less"),
            ("volume_ratio(63, 5)", "fast window 63 must be less"),
            ("bb_width(20, 0)", "band's width 0 must be greater than 0"),
            ("ewma_volatility(1)", "decay=1 is not between 0.5 and 0.999"),
            ("ewma_volatility(nan)", "not a finite number"),
            ("close + 1", "is not a feature"),
            ("close", "names no feature"),
        ],
    )
    def test_that_are_refused_with_advice(self, text, says):
        with pytest.raises(ParameterError, match=says):
            feature(text)

    def test_it_says_what_it_is(self):
        one = feature("bb_position(20, 2.5)")
        assert str(one) == "bb_position(20, 2.5)"
        assert one.parameters == {"window": 20.0, "width": 2.5}
        assert (one.unit, one.fields, one.warm_up, one.exact) == ("ratio", ("close",), 19, False)


class TestTable:
    def test_every_feature_is_documented(self):
        shown = table()
        assert list(shown.index) == list(registered())
        assert len(shown) >= 50
        texts = shown.drop(columns=["warm_up", "parameters"])
        assert (texts.map(str.strip).map(len) > 2).to_numpy().all()
        assert shown.loc["rsi", "example"] == "rsi(14)"
        assert shown.loc["bb_width", "parameters"] == "window ≥ 2, ≤ 5000, width > 0"
        assert not shown["meaning"].duplicated().any() or set(shown.index[shown["meaning"].duplicated(keep=False)]) == {
            "sma",
            "bb_middle",
        }

    def test_the_close_is_always_read_and_nothing_twice(self):
        for definition in registered().values():
            assert definition.fields[0] == "close"
            assert len(set(definition.fields)) == len(definition.fields)
            assert definition.of().warm_up >= 0


class TestColumns:
    def test_other_types_of_numbers_are_converted(self):
        closes = columns(60)["close"].round(0)
        for kind in (np.float32, np.int64):
            values = feature("sma(5)").batch({"close": closes.astype(kind)})
            np.testing.assert_array_equal(values, feature("sma(5)").batch({"close": closes}))
        strided = feature("rsi(5)").batch({"close": np.repeat(closes, 2)[::2]})
        np.testing.assert_array_equal(strided, feature("rsi(5)").batch({"close": closes}))

    @pytest.mark.parametrize(
        ("drawn", "kind", "says"),
        [
            ({"open": [1.0]}, NoData, "needs the column 'close'"),
            ({"close": [[1.0, 2.0]]}, BadData, "2 dimensions"),
            ({"close": [1.0, np.nan]}, BadData, "1 of 2 values of close are not finite"),
            ({"close": [1.0, np.inf]}, BadData, "not finite"),
        ],
    )
    def test_what_would_spoil_the_rest_is_refused(self, drawn, kind, says):
        with pytest.raises(kind, match=says):
            feature("ema(2)").batch(drawn)
        with pytest.raises(BadData, match=r"differ in length \(close 2, volume 1\)"):
            feature("amihud(1)").batch({"close": [1.0, 2.0], "volume": [1.0]})

    def test_nothing_and_too_little_give_nan(self):
        for definition in registered().values():
            one = definition.of()
            assert len(one.batch({field: [] for field in one.fields})) == 0
            if one.warm_up > 0:
                assert np.isnan(one.batch({field: [5.0] for field in one.fields})).all()


class TestFrames:
    def test_gaps_are_taken_out_and_never_filled(self):
        one = feature("ema(5)")
        wide = one.over(HISTORY.bars)
        for symbol in HISTORY.symbols:
            alone = one.values(HISTORY.bars, symbol)
            pd.testing.assert_series_equal(wide[symbol].dropna(), alone.dropna(), check_names=False, check_freq=False)
            assert wide[symbol][HISTORY.close[symbol].isna()].isna().all()
            closes = HISTORY.close[symbol].dropna()
            np.testing.assert_array_equal(alone, one.batch({"close": closes}))

    def test_a_tidy_frame_of_the_evaluated_sessions(self):
        found = frame(HISTORY, ["rsi(5)", "momentum_12_1"])
        assert list(found.columns) == ["rsi(5)", "momentum_12_1"]
        assert found.index.names == ["session", "symbol"]
        assert len(found) == len(HISTORY.evaluated) * 4
        assert found.index[0] == (HISTORY.study.start, "AAPL")
        day = HISTORY.evaluated[40]
        wide = feature("rsi(5)").over(HISTORY.bars).loc[day]
        np.testing.assert_array_equal(found.loc[day, "rsi(5)"], wide)

    def test_values_that_depend_on_the_beginning_are_left_out_unless_wanted(self):
        bars = HISTORY.bars.of(["AAPL"])
        cold, warm = (frame(bars, "ema(10)", warm=choice)["ema(10)"].droplevel("symbol") for choice in (False, True))
        traded = bars.close["AAPL"].dropna().index
        assert cold.dropna().index[0] == traded[9]
        assert warm.dropna().index[0] == traded[104]

    def test_as_of_another_moment_is_the_view_of_that_moment(self):
        day = HISTORY.evaluated[30]
        found = newest(HISTORY.view(day), ["rsi(5)", "gap"])
        assert list(found.columns) == ["session", "rsi(5)", "gap"]
        whole = frame(HISTORY, ["rsi(5)", "gap"], warm=False).loc[day]
        np.testing.assert_array_equal(found[["rsi(5)", "gap"]], whole)

    def test_the_newest_value_may_be_some_sessions_old_but_not_older(self):
        close = HISTORY.close[["AAPL", "KO"]].dropna().copy()
        close.iloc[-3:, 0] = np.nan
        bars = Bars(close=close)
        assert np.isnan(newest(bars, "sma(5)", stale=2).loc["AAPL", "sma(5)"])
        late = newest(bars, "sma(5)", stale=3).loc["AAPL"]
        assert late["sma(5)"] == pytest.approx(close["AAPL"].iloc[-8:-3].mean())
        assert late["session"] == close.index[-4]
        assert newest(bars, "sma(5)").loc["KO", "session"] == close.index[-1]

    def test_a_field_that_is_not_there_is_named(self):
        close_only = Bars(close=HISTORY.close)
        with pytest.raises(NoData, match=r"atr\(14\) needs the high, which these bars do not have \(close-only"):
            frame(close_only, "atr(14)")
        some = HISTORY.bars.volume.copy()
        some["KO"] = np.nan
        lacking = Bars(close=HISTORY.close, volume=some)
        found = feature("volume_ratio(5, 63)").over(lacking)
        assert found["KO"].isna().all()
        assert found["AAPL"].notna().any()
        with pytest.raises(NoData, match="needs the volume of KO"):
            feature("volume_ratio(5, 63)").values(lacking, "KO")

    def test_wrong_questions_are_refused(self):
        with pytest.raises(ParameterError, match="asked twice"):
            frame(HISTORY, ["rsi(5)", "rsi(5)"])
        with pytest.raises(ParameterError, match="did you mean 'rsi'"):
            frame(HISTORY, ["rsy"])
        with pytest.raises(DataError, match="stale=-1"):
            newest(HISTORY, "rsi", stale=-1)
        with pytest.raises(DataError, match="no bars"):
            newest(Bars(close=HISTORY.close.iloc[:0]), "rsi")


class TestRules:
    @pytest.mark.parametrize("name", registered())
    def test_every_feature_is_a_term_of_a_rule_with_the_same_numbers(self, name):
        text = registered()[name].of_defaults()
        term = Term.parse(text)
        assert str(term) == text
        assert (term.fields, term.warm_up) == (feature(text).fields, feature(text).warm_up)
        pd.testing.assert_series_equal(term.values(HISTORY.bars, "KO"), feature(text).values(HISTORY.bars, "KO"))

    def test_rules_can_be_written_in_them(self):
        rules = Rules(
            entry=(
                Condition(left="close", op=">", right="sma(20)"),
                Condition(left="volume_ratio(5, 63)", op=">", right=1),
                Condition(left="momentum_12_1", op=">", right=0),
            ),
            exit=(Condition(left="below_high(63)", op="<", right=-0.05),),
        )
        assert rules.warm_up == 253
        weights = rules.target_weights(HISTORY).loc[HISTORY.study.start :]
        assert (weights.fillna(0.0) > 0).to_numpy().any()
        assert rules.line.endswith("leave below_high(63) < -0.05)")


def test_the_page_is_what_the_definitions_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "run tests/refresh_features_page.py"
