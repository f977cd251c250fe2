"""Shortfalls: the published examples, and splits that add up to the whole."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.drawn import body, numbers
from workbench.errors import NoData, ParameterError
from workbench.report.figures.shortfall import waterfall
from workbench.report.run_shortfall import of_fills, of_run
from workbench.report.shortfall import CAUSES, of_order
from workbench.run import Run
from workbench.study import Study

NAN = float("nan")
KEYS = ["session", "symbol", "side", "qty_exchange", "qty_backtest", "price_exchange", "price_backtest"]


def fills(*rows):
    return pd.DataFrame(rows, columns=["qty", "price", "fee"]).astype(float)


def percent(found, cause):
    return found.causes.loc[cause, "bp"] / 100


def test_the_published_example_of_an_order_that_was_filled_in_part():
    """1,000 shares decided at 40.00, 700 filled a day later at 40.05 (40.04 at its start), $17, the rest cancelled at
    40.08 (gaodun.com/q/b03v1i): 0.0425 + 0.0175 + 0.07 + 0.06 = 0.19 %."""
    found = of_order(
        fills((700, 40.05, 17)), side="buy", ordered=1000, decision_price=40.0, arrival_price=40.04, end_price=40.08
    )
    assert percent(found, "fees") == pytest.approx(0.0425)
    assert percent(found, "price") == pytest.approx(0.0175)
    assert percent(found, "delay") == pytest.approx(0.07)
    assert percent(found, "missed") == pytest.approx(0.06)
    assert found.total_bp / 100 == pytest.approx(0.19)
    assert found.total == pytest.approx(76.0)


def test_the_published_example_of_an_order_that_cost_less_than_nothing():
    """4,000 shares at 16.24 filled at 16.20 for a fee of 38.50 (bloombergprep.com): 0.06 % − 0.25 % = −0.19 %."""
    found = of_order(
        fills((4000, 16.20, 38.50)),
        side="buy",
        ordered=4000,
        decision_price=16.24,
        arrival_price=16.24,
        end_price=16.28,
    )
    assert round(percent(found, "fees"), 2) == 0.06
    assert round(percent(found, "price"), 2) == -0.25
    assert (percent(found, "delay"), percent(found, "missed")) == (0, 0)
    assert round(found.total_bp / 100, 2) == -0.19
    assert "more than paper" in found.verdict


def test_a_sale_worked_out_by_hand():
    """5,000 decided at 40, 39.50 a day later, 4,000 sold at 39.70 for $75, the rest given up at 39."""
    found = of_order(
        fills((4000, 39.70, 75)), side="sell", ordered=5000, decision_price=40.0, arrival_price=39.5, end_price=39.0
    )
    costs = found.causes["cost"]
    assert costs.to_dict() == pytest.approx({"delay": 2000, "price": -800, "fees": 75, "missed": 1000})
    assert found.total == pytest.approx(5000 * (40 - 39) - (4000 * (39.70 - 39) - 75))
    assert "The most was lost to delay (100.0 bp) and missed (50.0 bp)." in found.verdict
    assert "Price (40.0 bp) was gained." in found.verdict


PRICES = st.floats(1, 1000)


@settings(deadline=None, max_examples=150)
@given(
    side=st.sampled_from(["buy", "sell"]),
    parts=st.lists(st.tuples(st.integers(1, 1000), PRICES, st.floats(0, 50)), max_size=6),
    left=st.tuples(st.integers(0, 500), st.floats(0, 0.99)),
    prices=st.tuples(PRICES, PRICES, PRICES),
    half_spread=st.none() | st.floats(0, 1),
)
def test_the_causes_add_up_to_paper_gain_less_real_gain(side, parts, left, prices, half_spread):
    (unfilled, rounded), (decision, arrival, end) = left, prices
    filled = sum(qty for qty, _, _ in parts)
    ordered = filled + unfilled + 1
    found = of_order(
        fills(*parts), side=side, ordered=ordered, wished=ordered + rounded, decision_price=decision,
        arrival_price=arrival, end_price=end, half_spread=half_spread,
    )  # fmt: skip
    sign = 1 if side == "buy" else -1
    paper = sign * (ordered + rounded) * (end - decision)
    real = sum(sign * qty * (end - price) - fee for qty, price, fee in parts)
    assert found.total == pytest.approx(paper - real, rel=1e-9, abs=1e-6)
    assert set(found.causes.index) <= set(CAUSES)
    assert found.causes["bp"].sum() == pytest.approx(found.total_bp, rel=1e-9, abs=1e-9)


def test_without_an_arrival_price_there_is_no_delay_and_it_is_not_called_0():
    found = of_order(fills((100, 50.5, 0)), side="buy", ordered=100, decision_price=50.0)
    assert list(found.causes.index) == ["price", "fees", "missed"]
    assert found.causes.loc["price", "cost"] == pytest.approx(50)


def test_an_order_without_a_fill_missed_everything():
    found = of_order(fills(), side="sell", ordered=100, decision_price=50.0, arrival_price=49.0, end_price=45.0)
    assert found.causes["cost"].to_dict() == {"delay": 0, "price": 0, "fees": 0, "missed": 500}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"end_price": None}, "end_price is missing"),
        ({"decision_price": NAN}, "decision_price"),
        ({"arrival_price": 0.0}, "arrival_price"),
        ({"side": "hold"}, "side"),
        ({"ordered": 50}, "more than ordered"),
        ({"half_spread": NAN}, "half_spread"),
        ({"ordered": math.inf}, "ordered"),
    ],
)
def test_a_number_that_is_missing_is_never_counted_as_0(change, said):
    named = {"side": "buy", "ordered": 100, "decision_price": 40.0, "arrival_price": 40.0, "end_price": 41.0}
    with pytest.raises(ParameterError, match=said):
        of_order(fills((70, 40.0, 0)), **{**named, **change})


@pytest.mark.parametrize("row", [(NAN, 40, 0), (10, NAN, 0), (10, 40, NAN), (-10, 40, 0), (10, 40, -1)])
def test_a_fill_without_sense_is_refused(row):
    with pytest.raises(ParameterError, match="of a fill"):
        of_order(fills(row), side="buy", ordered=100, decision_price=40.0, end_price=40.0)
    with pytest.raises(ParameterError, match="no column 'qty'"):
        of_order(pd.DataFrame({"price": [1.0]}), side="buy", ordered=1, decision_price=1.0, end_price=1.0)


# --- whole runs


def pairs(*rows, **columns):
    frame = pd.DataFrame([("2022-06-30", *row) for row in rows], columns=KEYS)
    return frame.assign(**columns)


def test_a_run_worked_out_by_hand():
    frame = pairs(
        ("A", "buy", 100.0, 100.0, 50.5, 50.0),  # 50 dearer
        ("A", "sell", 60.0, 100.0, 52.0, 52.0),  # 40 of 100 ordered were not sold; the mark is 51: 40 lost
        ("B", "buy", 10.0, 10.4, 20.0, 20.0),  # 0.4 rounded away, the mark is 25: 2 lost
        ("C", "buy", 0.0, 5.0, NAN, 10.0),  # never ordered, the mark is 9: 5 gained
        ("D", "buy", 3.0, 0.0, 10.0, NAN),  # only in reality, the mark is 12: 6 gained
        ordered=[100.0, 100.0, 10.0, 0.0, 3.0],
        fee_exchange=[1.0, 1.0, 1.0, NAN, 1.0],
        fee_backtest=[0.5, 0.5, 0.5, NAN, 0.0],
    )
    frame.loc[3, ["fee_exchange", "fee_backtest"]] = 0.0
    found = of_fills(frame, marks={"A": 51.0, "B": 25.0, "C": 9.0, "D": 12.0}, base=10_000, gap=90.0)
    expected = {"price": 50, "missed": 40, "rounding": 2, "sizing": -5, "extra": -6, "fees": 2.5, "other": 6.5}
    assert found.causes["cost"].to_dict() == pytest.approx(expected)
    assert found.total == pytest.approx(90)
    assert found.total_bp == pytest.approx(90)
    assert list(found.causes.index) == [name for name in CAUSES if name in expected]
    assert found.rows.loc[1, "missed"] == pytest.approx(40)


def test_where_both_reference_prices_are_known_the_delay_is_told_from_the_price():
    frame = pairs(("A", "sell", 100.0, 100.0, 49.0, 50.0), reference_exchange=[49.4], reference_backtest=[50.1])
    costs = of_fills(frame, marks={}, base=1e4).causes["cost"]
    assert costs.to_dict() == pytest.approx({"delay": 70, "price": 30})


def test_where_nobody_knows_what_was_ordered_nothing_is_called_missed():
    found = of_fills(pairs(("A", "buy", 60.0, 100.0, 50.0, 50.0)), marks={"A": 51.0}, base=1e4)
    assert found.causes["cost"].to_dict() == pytest.approx({"price": 0, "quantity": 40})


ROW = st.tuples(
    st.sampled_from("AB"), st.sampled_from(["buy", "sell"]), st.integers(0, 500), st.floats(0, 500), PRICES, PRICES
).filter(lambda row: row[2] or row[3])


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(ROW, max_size=8), marks=st.tuples(PRICES, PRICES), ordered=st.lists(st.integers(0, 600), min_size=8)
)
def test_the_causes_of_a_run_add_up_to_the_difference_of_the_two_books(rows, marks, ordered):
    prices = dict(zip("AB", marks, strict=True))
    frame = pairs(*[(s, side, float(real), paper, px, pb) for s, side, real, paper, px, pb in rows])
    frame = frame.assign(ordered=[float(n) for n in ordered[: len(rows)]])
    found = of_fills(frame, marks=prices, base=1e6)
    books = [0.0, 0.0]
    for symbol, side, real, paper, bought, on_paper in rows:
        sign = 1 if side == "buy" else -1
        books[0] += sign * paper * (prices[symbol] - on_paper)
        books[1] += sign * real * (prices[symbol] - bought)
    assert found.total == pytest.approx(books[0] - books[1], rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "marks", "said"),
    [
        (("A", "buy", 60.0, 100.0, 50.0, 50.0), {}, "mark of A"),
        (("A", "buy", NAN, 100.0, 50.0, 50.0), {"A": 50.0}, "qty_exchange"),
        (("A", "buy", 60.0, 60.0, NAN, 50.0), {"A": 50.0}, "price_exchange"),
        (("A", "short", 60.0, 60.0, 50.0, 50.0), {"A": 50.0}, "side"),
    ],
)
def test_a_row_without_a_number_is_refused(row, marks, said):
    with pytest.raises(ParameterError, match=said):
        of_fills(pairs(row), marks=marks, base=1e4)


def fidelity(**changes):
    """A run as `orchestration.fidelity` makes it, with numbers worked out by hand."""
    steps = pd.Series(
        {"default rules": 110_000.0, "with a cushion": 109_900.0, "in whole lots": 109_880.0,
         "sized at the decision": 109_920.0, "exchange": 109_850.0}
    )  # fmt: skip
    frame = steps.rename("final_equity").to_frame().rename_axis("step")
    frame["change"] = frame["final_equity"].diff()
    study = Study.of(["A"], start="2022-01-03", end="2022-06-30", as_of="2022-06-30")
    tables = {"steps": frame, "fills": pairs(("A", "buy", 100.0, 120.0, 50.5, 50.0))}
    named = {"id": "r", "kind": "fidelity", "study": study, "title": "sma", "label": "real", "tables": tables}
    named |= {"config": {}, "config_hash": "c", "summary": {}, "provenance": {}, "trace_id": "t"}
    return Run(**{**named, **changes})


def test_a_fidelity_run_is_explained_from_the_default_rules_down_to_the_exchange():
    found = of_run(fidelity())
    expected = {"cushion": 100, "rounding": 20, "timing": -40, "price": 50, "quantity": 20}
    assert found.causes["cost"].to_dict() == pytest.approx(expected)
    assert found.total == pytest.approx(110_000 - 109_850)
    marked = of_run(fidelity(), marks={"A": 51.0})
    assert marked.causes["cost"].to_dict() == pytest.approx({**expected, "quantity": 20, "other": 0})
    assert marked.total == pytest.approx(150)
    with pytest.raises(NoData, match="kind 'backtest'"):
        of_run(fidelity(kind="backtest"))


# --- what is shown


@pytest.fixture
def found():
    return of_order(
        fills((700, 40.05, 17)), side="buy", ordered=1000, decision_price=40.0, arrival_price=40.04, end_price=40.08,
        title="1,000 <A>", label="SYNTHETIC · seed 7",
    )  # fmt: skip


def test_the_verdict_and_the_table_say_the_numbers(found):
    assert found.verdict == (
        "1,000 <A>: reality gave 76.00 USD (19.0 bp) less than paper on 40,000.00 USD. "
        "The most was lost to delay (7.0 bp) and missed (6.0 bp)."
    )
    assert "total" in repr(found)
    assert "&lt;A&gt;" in found._repr_html_()
    assert "<A>" not in found._repr_html_()
    nothing = of_order(fills((10, 40.0, 0)), side="buy", ordered=10, decision_price=40.0, title="T")
    assert nothing.verdict == "T: reality gave what paper promised, to a hundredth of a basis point."


def test_the_waterfall_has_every_cause_and_ends_at_the_total(found):
    figure = found.figure()
    drawn = body(figure)["data"][0]
    assert drawn["x"] == ["delay", "price", "fees", "missed", "total"]
    assert np.allclose(numbers(drawn["y"]), [7.0, 1.75, 4.25, 6.0, 19.0])
    assert drawn["measure"] == ["relative"] * 4 + ["total"]
    assert drawn["text"][-1] == "+19.0"
    assert figure.layout.meta["text"] == found.verdict
    assert "watermark" in {note.name for note in figure.layout.annotations}
    assert "&lt;A&gt;" in figure.layout.title.text
    assert "bp" in figure.layout.yaxis.title.text
    assert len(figure.to_json()) < 300_000


def test_a_waterfall_of_nothing_is_refused(found):
    with pytest.raises(NoData):
        waterfall(found.causes.iloc[:0], title="T", label="", text="")
    with pytest.raises(NoData):
        waterfall(found.causes.assign(bp=NAN), title="T", label="", text="")


def test_a_shortfall_is_frozen(found):
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.base = 1.0
