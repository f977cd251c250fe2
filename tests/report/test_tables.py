import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench.errors import ParameterError
from workbench.report.tables import table


def rows(frame, **options):
    return [list(row) for row in table(frame, index=False, **options).rows]


def test_text_is_aligned_rounded_and_dated():
    frame = pd.DataFrame(
        {
            "equity": [100000.0, 123456.789],
            "sharpe": [0.123456, -0.5],
            "orders": [3, 12345],
            "open": [True, False],
            "who": ["sma", "momentum"],
        },
        index=pd.DatetimeIndex(["2020-01-02", "2020-01-03"], name="session"),
    )
    assert repr(table(frame, caption="Runs", label="real")) == (
        "Runs\n"
        "session         equity   sharpe  orders  open  who\n"
        "2020-01-02  100,000.00   0.1235       3  yes   sma\n"
        "2020-01-03  123,456.79  -0.5000  12,345  no    momentum\n"
        "real"
    )


def test_absence_is_a_dash_never_zero():
    frame = pd.DataFrame(
        {"a": [np.nan, 1.0], "b": [None, "x"], "c": [pd.NaT, pd.Timestamp("2020-01-01")], "d": [0.0, Decimal("NaN")]}
    )
    assert rows(frame) == [["–", "–", "–", "0"], ["1", "x", "2020-01-01", "–"]]
    assert rows(pd.DataFrame({"n": pd.array([1, None], dtype="Int64")})) == [["1"], ["–"]]


def test_rounding_to_zero_has_no_sign():
    assert rows(pd.DataFrame({"a": [-1e-12, -0.0, -12.5]})) == [["0.00"], ["0.00"], ["-12.50"]]
    assert rows(pd.DataFrame({"a": [-1e-12]}), formats=".1%") == [["0.0%"]]


def test_a_hair_does_not_change_the_text():
    values = pd.DataFrame({"a": [0.1 + 0.2, 1e5 / 3]})
    nudged = values * (1 + 2e-16)
    assert repr(table(values)) == repr(table(nudged))
    assert table(values)._repr_html_() == table(nudged)._repr_html_()


def test_moments_are_told_in_utc_and_sessions_as_dates():
    frame = pd.DataFrame(
        {
            "session": [pd.Timestamp("2020-01-02")],
            "at": [pd.Timestamp("2020-01-02 16:00", tz="America/New_York")],
            "local": [pd.Timestamp("2020-01-02 09:30")],
            "day": [dt.date(2020, 1, 2)],
        }
    )
    assert rows(frame) == [["2020-01-02", "2020-01-02 21:00 UTC", "2020-01-02 09:30", "2020-01-02"]]


def test_known_fractions_are_percent_and_formats_come_first():
    frame = pd.DataFrame({"cagr": [0.0712], "sharpe": [0.8]})
    assert rows(frame) == [["7.1%", "0.8000"]]
    assert rows(frame, formats={"cagr": ".3f", "sharpe": ".1f"}) == [["0.071", "0.8"]]
    assert rows(pd.DataFrame({"n": [3]}), formats=",.2f") == [["3.00"]]
    with pytest.raises(ParameterError, match=r"'cagrr'[^$]*did you mean 'cagr'"):
        table(frame, formats={"cagrr": ".1%"})


def test_money_stays_exact():
    assert rows(pd.DataFrame({"cash": [Decimal("12345678901234567.895")]}), formats=",.2f") == [
        ["12,345,678,901,234,567.90"]
    ]


def test_long_tables_are_cut_in_the_middle_and_say_so():
    cut = table(pd.DataFrame({"n": range(100)}, index=pd.Index(range(100), name="i")), most=5, label="real")
    assert [row[1] for row in cut.rows] == ["0", "1", "2", "…", "98", "99"]
    assert cut.note == "real · 95 of 100 rows in the middle are not shown"
    with pytest.raises(ParameterError, match="most=1"):
        table(pd.DataFrame({"n": [1]}), most=1)


def test_an_index_that_only_counts_is_not_shown():
    frame = pd.DataFrame({"n": [5, 6, 7]})
    assert table(frame.tail(2)).columns == ("n",)
    assert table(frame, index=True).columns == ("", "n")
    assert table(frame.rename_axis("order")).columns == ("order", "n")
    assert table(pd.Series([0.5], index=["a"], name="share")).columns == ("", "share")


def test_wide_and_short_frames_are_turned_on_their_side():
    frame = pd.DataFrame(np.arange(26.0).reshape(2, 13), index=pd.Index(["sma", "momentum"], name="run"))
    frame.columns = [f"m{n}" for n in range(13)]
    turned = table(frame)
    assert turned.columns == ("run", "sma", "momentum")
    assert turned.rows[12] == ("m12", "12", "25")
    assert turned.left == (True, False, False)
    assert table(frame.iloc[:, :12]).columns == ("run", *frame.columns[:12])


def test_an_empty_frame_says_so():
    nothing = table(pd.DataFrame(columns=["symbol"]), empty="no order was needed", label="real")
    assert repr(nothing) == "no order was needed · real"
    assert nothing._repr_html_() == '<div><p class="wb-note">no order was needed · real</p></div>'


def test_several_index_levels_and_column_levels_are_named():
    index = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["who", "round"])
    frame = pd.DataFrame([[1, 2], [3, 4]], index=index, columns=pd.MultiIndex.from_tuples([("x", "lo"), ("x", "hi")]))
    shown = table(frame)
    assert shown.columns == ("who", "round", "x · lo", "x · hi")
    assert shown.rows == (("a", "1", "1", "2"), ("b", "2", "3", "4"))
    assert shown._repr_html_().count('<th style="text-align:left">') == 2 + 4


def test_html_is_escaped_and_marks_what_is_synthetic():
    shown = table(pd.DataFrame({"<a>": ["<script>"]}), caption="<c>", label="SYNTHETIC <b>")._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert '<caption style="text-align:left">&lt;c&gt;</caption>' in shown
    assert '<p class="wb-note wb-synthetic">SYNTHETIC &lt;b&gt;</p>' in shown


def test_long_texts_may_wrap():
    frame = pd.DataFrame({"why": ["x" * 80], "session": ["2020-01-01"]})
    shown = table(frame)._repr_html_()
    assert shown.count('class="wb-text"') == 2  # the head and the cell of the long column
    assert repr(table(frame)).splitlines()[1] == "x" * 71 + "…  2020-01-01"
    assert "line\nbreak" not in repr(table(pd.DataFrame({"a": ["line\nbreak"]})))
