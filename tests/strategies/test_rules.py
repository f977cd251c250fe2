"""The language of indicator rules: what it reads, what it refuses, what TA-Lib makes of it, and the state machine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.properties.future import random_history
from workbench import sessions
from workbench.errors import DataError, NoData, ParameterError
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.strategies import Condition, Rules, build
from workbench.strategies.indicators import Term
from workbench.study import Study

ANSWERS = json.loads((Path(__file__).parent.parent / "answers" / "indicators.json").read_text(encoding="utf-8"))
NAN = np.nan


def bars_of(closes, **fields):
    index = sessions.sessions("XNYS", "2015-01-02", "2016-12-30")[: len(closes)]
    frames = {"close": closes, **fields}
    return Bars(**{name: pd.DataFrame({"AAA": values}, index=index, dtype=float) for name, values in frames.items()})


def history_of(closes, **fields):
    bars = bars_of(closes, **fields)
    study = Study.of("AAA", start=bars.sessions[0], as_of=sessions.closes("XNYS", bars.sessions[-1]))
    return History(study=study, bars=bars, label="by hand")


class TestReading:
    @pytest.mark.parametrize(
        ("text", "name", "arguments"),
        [
            ("rsi(14)", "rsi", (14,)),
            ("RSI", "rsi", (14,)),
            (" bb_upper( 20 , 2.5 ) ", "bb_upper", (20, 2.5)),
            ("macd_signal(5,35,5)", "macd_signal", (5, 35, 5)),
            ("close", "close", ()),
            ("30", "number", (30,)),
            (-0.5, "number", (-0.5,)),
        ],
    )
    def test_terms(self, text, name, arguments):
        assert Term.parse(text) == Term(name, arguments)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("rsy(14)", "did you mean 'rsi'"),
            ("rsi(1)", "whole number from 2 to 5000"),
            ("rsi(14.5)", "whole number"),
            ("rsi(14, 2)", "rsi takes 1 numbers"),
            ("rsi(x)", "rsi takes 1 numbers"),
            ("macd(26, 12, 9)", "fast window 26 must be less"),
            ("bb_lower(20, -1)", "must be greater than 0"),
            ("close(3)", "takes no arguments"),
            ("nan", "not a finite number"),
            ("__import__('os').system('true')", "neither a number, a field nor an indicator"),
            ("rsi(14) + 1", "neither a number, a field nor an indicator"),
            ("", "neither"),
        ],
    )
    def test_anything_else_is_refused_with_advice(self, text, says):
        with pytest.raises(ParameterError, match=says):
            Condition(left=text, op="<", right=30)

    def test_rules_are_built_from_plain_json(self):
        rules = build(
            "rules",
            entry=[{"left": "rsi(14)", "op": "<", "right": 30}],
            exit=[{"left": "close", "op": ">", "right": "sma(5)"}],
        )
        assert rules.line == "rules(enter rsi(14) < 30; leave close > sma(5))"
        assert build("rules", **rules.params).hash == rules.hash
        with pytest.raises(ParameterError, match="op"):
            build("rules", entry=[{"left": "rsi(14)", "op": "==", "right": 30}])
        with pytest.raises(ParameterError, match="entry"):
            build("rules", entry=[])


class TestIndicators:
    @pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["term"])
    def test_published_values(self, answer):
        values = Term.parse(answer["term"]).values(bars_of(answer["closes"]), "AAA")
        assert values.dropna().round(2).tolist() == answer["values"]
        assert int(values.isna().sum()) == answer["first"]

    def test_simple_ones_by_hand(self):
        bars = bars_of([1, 2, 3, 4, 8], high=[2, 3, 4, 5, 9], low=[0, 1, 2, 3, 5])
        assert Term.parse("sma(2)").values(bars, "AAA").tolist()[1:] == [1.5, 2.5, 3.5, 6.0]
        # population deviation of (4, 8) is 2
        assert Term.parse("bb_upper(2, 1.5)").values(bars, "AAA").iloc[-1] == pytest.approx(9.0)
        assert Term.parse("bb_lower(2, 1.5)").values(bars, "AAA").iloc[-1] == pytest.approx(3.0)
        # true ranges 2 2 2 2 5 (9 − 4); Wilder over 2: seed mean of the first two after the first bar = 2, then
        # (2 + 2)/2 = 2 and (2 + 5)/2 = 3.5
        assert Term.parse("atr(2)").values(bars, "AAA").iloc[-1] == pytest.approx(3.5)

    @pytest.mark.parametrize("text", ["sma(3)", "ema(3)", "rsi(3)", "bb_middle(3,2)", "macd(3,6,2)", "atr(3)"])
    def test_a_gap_does_not_poison_what_comes_after(self, text):
        bars = random_history(seed=2, symbols=("AAA",), length=80, warm_up=0).bars
        holed = Bars(**{name: frame.mask(np.arange(80)[:, None] == 20) for name, frame in bars})
        without = Bars(**{name: frame.drop(frame.index[20]) for name, frame in bars})
        pd.testing.assert_series_equal(
            Term.parse(text).values(holed, "AAA"), Term.parse(text).values(without, "AAA"), check_freq=False
        )
        assert Term.parse(text).values(holed, "AAA").iloc[21:].notna().all()

    @pytest.mark.parametrize(
        "text", ["sma(20)", "ema(20)", "rsi(14)", "bb_lower(20,2)", "macd_histogram(12,26,9)", "atr(14)"]
    )
    def test_the_warm_up_is_long_enough_to_forget_where_the_history_begins(self, text):
        term = Term.parse(text)
        bars = random_history(seed=4, symbols=("AAA",), length=800, warm_up=0).bars
        row = term.warm_up
        later = Bars(**{name: frame.iloc[300:] for name, frame in bars})
        full, short = term.values(bars, "AAA").iloc[300 + row], term.values(later, "AAA").iloc[row]
        # 1e-9 of the price (about 100) for prices' means, of the scale for an oscillator
        assert short == pytest.approx(full, abs=2e-7)

    def test_close_only_data_has_no_range(self):
        rules = Rules(
            entry=(Condition(left="atr(14)", op="<", right=2),), exit=(Condition(left="close", op="<", right=1),)
        )
        with pytest.raises(NoData, match=r"atr\(14\) needs the high of AAPL.*close-only") as caught:
            rules.target_weights(random_history(close_only=True))
        assert isinstance(caught.value, DataError)
        assert "use indicators of the close" in str(caught.value)

    def test_too_few_rows_are_unknown_not_an_error(self):
        bars = bars_of([5.0], high=[6.0], low=[4.0])
        for text in ("rsi(14)", "sma(2)", "macd(12,26,9)", "bb_upper(20,2)", "atr(14)", "ema(3)"):
            assert Term.parse(text).values(bars, "AAA").isna().all()


class TestStates:
    def test_hysteresis_holds_between_entry_and_exit(self):
        rules = Rules(
            entry=(Condition(left="close", op="<", right=3),), exit=(Condition(left="close", op=">", right=7),)
        )
        weights = rules.target_weights(history_of([5, 2, 5, 6, 8, 5, 1]))
        # out · in (2 < 3) · still in at 5 and 6 · out (8 > 7) · still out at 5 · in again
        np.testing.assert_array_equal(weights["AAA"], [0, 1, NAN, NAN, 0, NAN, 1])

    def test_the_exit_wins_where_both_hold(self):
        rules = Rules(
            entry=(Condition(left="close", op=">", right=1),), exit=(Condition(left="close", op=">", right=7),)
        )
        np.testing.assert_array_equal(rules.target_weights(history_of([8, 2, 8]))["AAA"], [0, 1, 0])

    def test_all_entries_are_needed_and_any_exit_is_enough(self):
        rules = Rules(
            entry=(Condition(left="close", op=">", right=2), Condition(left="volume", op=">=", right=10)),
            exit=(Condition(left="close", op="<=", right=1), Condition(left="volume", op="<", right=5)),
        )
        history = history_of([3, 1, 3, 3, 3], volume=[9, 10, 10, 4, 9])
        np.testing.assert_array_equal(rules.target_weights(history)["AAA"], [0, NAN, 1, 0, NAN])

    def test_crossing_is_an_instant(self):
        rules = Rules(
            entry=(Condition(left="close", op="crosses_above", right=5),),
            exit=(Condition(left="close", op="crosses_below", right=5),),
        )
        # 5 → 6 crosses above; 6 → 6 does not; 6 → 5 does not cross below (5 is not less), 5 → 4 does
        history = history_of([6, 5, 6, 6, 5, 4, 4])
        np.testing.assert_array_equal(rules.target_weights(history)["AAA"], [0, NAN, 1, NAN, NAN, 0, NAN])

    def test_the_warm_up_loaded_does_not_change_the_answer(self):
        history = random_history(seed=6, close_only=True)
        rules = Rules(
            entry=(Condition(left="rsi(5)", op="<", right=35),), exit=(Condition(left="rsi(5)", op=">", right=60),)
        )
        assert rules.warm_up == 105
        short = dataclasses.replace(history, bars=history.bars.between(history.sessions[150], history.sessions[-1]))
        pd.testing.assert_frame_equal(
            rules.target_weights(history).loc[history.study.start :],
            rules.target_weights(short).loc[history.study.start :],
        )
