from decimal import Decimal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest

from tests.report.conftest import LABEL
from tests.report.drawn import body, numbers
from workbench.errors import NoData, ParameterError
from workbench.report import figures
from workbench.report.theme import ACTION_COLOURS, ACTION_SHAPES

DECISIONS = pd.DataFrame(
    {"action": ["buy", "sell", "abstain", "hold"], "p_up": [0.62, 0.41, np.nan, 0.5]},
    index=pd.Index(["AAPL", "XOM", "GE", "KO"], name="symbol"),
)
FILLS = pd.DataFrame(
    {"symbol": ["AAPL", "AAPL", "XOM", "KO"], "side": ["buy", "buy", "sell", "buy"], "qty": [10, 5, 7, 9]}
).assign(price=[Decimal("100.5"), Decimal(101), Decimal(60), None])


def weights_of(closes):
    wish = (closes.rolling(50).mean() > closes.rolling(200).mean()).astype(float) / 20
    return wish.where(np.broadcast_to(np.arange(len(closes))[:, None] % 21 == 0, wish.shape))


@pytest.fixture(scope="module")
def every(closes, equity):
    """One of each builder on frames of the default study's size."""
    return {
        "equity": figures.equity(equity, benchmark=closes.iloc[:, 0], label=LABEL),
        "growth": figures.growth(closes.iloc[:, :4], benchmark="SYM03", label=LABEL),
        "price_lines": figures.price_lines(closes, label=LABEL),
        "monthly_returns": figures.monthly_returns(equity.pct_change(), label=LABEL),
        "weights": figures.weights(weights_of(closes), label=LABEL),
        "coverage": figures.coverage(closes, label=LABEL),
        "decisions": figures.decisions(DECISIONS, label=LABEL),
        "fills": figures.fills(FILLS, label=LABEL),
        "metric_intervals": figures.metric_intervals(
            pd.DataFrame({"value": [0.8], "low": [0.1], "high": [1.5]}, index=["sma"]), name="sharpe", label=LABEL
        ),
    }


def test_each_is_static_small_named_and_says_where_its_data_come_from(every):
    for name, figure in every.items():
        assert type(figure) is go.Figure, name
        assert len(figure.to_json()) < 300_000, name
        assert figure.layout.title.text, name
        assert figure.layout.annotations[-1].text == LABEL, name
        assert not any(note.text == "SYNTHETIC" for note in figure.layout.annotations), name
        assert isinstance(figure.layout.meta["text"], str), name
        assert "uid" not in figure.to_json(), name


def test_axes_name_their_units(every):
    units = {
        "equity": "book value (USD)",
        "growth": "growth of 1 (log scale)",
        "price_lines": "index, first close = 100 (log scale)",
        "weights": "invested (%)",
        "fills": "symbol",
    }
    for name, unit in units.items():
        assert every[name].layout.yaxis.title.text == unit
    assert every["equity"].layout.yaxis2.title.text == "drawdown (%)"
    assert every["decisions"].layout.xaxis.title.text == "probability of rising (p_up, fraction)"
    assert every["fills"].layout.xaxis.title.text.startswith("money (USD)")
    for name in ("monthly_returns", "weights", "coverage"):
        assert every[name].data[-1].colorbar.title.text == "%"


def test_the_same_frames_give_the_same_json(closes, equity):
    assert figures.equity(equity, label=LABEL).to_json() == figures.equity(equity.copy(), label=LABEL).to_json()
    assert figures.weights(weights_of(closes), label=LABEL).to_json() == (
        figures.weights(weights_of(closes.copy()), label=LABEL).to_json()
    )


def test_synthetic_data_carry_a_watermark_unless_the_caller_knows_better(equity):
    marked = figures.equity(equity, label="SYNTHETIC · seed 7")
    assert [note.text for note in marked.layout.annotations] == ["<b>SYNTHETIC · seed 7</b>", "SYNTHETIC"]
    assert figures.equity(equity, label="made up", synthetic=True).layout.annotations[-1].text == "SYNTHETIC"
    assert len(figures.equity(equity, label="SYNTHETIC", synthetic=False).layout.annotations) == 1


def test_the_benchmark_starts_with_the_same_money(closes, equity):
    figure = figures.equity(equity, benchmark=closes.iloc[100:, 0], label=LABEL)
    shown = {trace.name: numbers(trace.y) for trace in figure.data if trace.showlegend is None}
    first = np.flatnonzero(~np.isnan(shown["benchmark"]))[0]
    assert shown["benchmark"][first] == pytest.approx(shown["strategy"][first], rel=1e-6)
    with pytest.raises(ParameterError, match="shares no session"):
        figures.equity(equity, benchmark=closes.iloc[:, 0].shift(freq="20000D"), label=LABEL)


def test_thinning_never_hides_the_worst_moment():
    sessions = pd.date_range("1990-01-01", periods=60_000, freq="D", unit="s")
    values = pd.Series(100.0, sessions)
    values.iloc[31_234] = 55.0
    figure = figures.equity(values, label=LABEL)
    assert len(figure.to_json()) < 300_000
    assert len(figure.data[0].x) < 20_000
    assert figure.data[0].x[0] == "1990-01-01"
    assert figure.data[0].x[-1] == f"{sessions[-1]:%Y-%m-%d}"
    assert numbers(figure.data[0].y).min() == 55.0
    assert numbers(figure.data[1].y).min() == pytest.approx(-45.0)


def test_drawdown_is_measured_from_the_highest_value_so_far():
    values = pd.Series([100.0, 120.0, 90.0, 150.0], pd.bdate_range("2020-01-01", periods=4))
    figure = figures.equity(values, label=LABEL)
    assert numbers(figure.data[1].y).tolist() == pytest.approx([0, 0, -25, 0])


def test_months_are_compounded_and_empty_months_stay_empty():
    days = pd.to_datetime(["2020-01-02", "2020-01-03", "2020-03-02", "2021-12-31"])
    figure = figures.monthly_returns(pd.Series([0.1, 0.1, -0.5, 0.0], days), label=LABEL)
    grid = numbers(body(figure)["data"][0]["z"])
    assert figure.data[0].y == ("2020", "2021")
    assert grid[0, 0] == pytest.approx(21.0, rel=1e-6)
    assert np.isnan(grid[0, 1])
    assert grid[0, 12] == pytest.approx((1.21 * 0.5 - 1) * 100, rel=1e-6)
    assert grid[1, 11] == 0.0
    assert np.isnan(grid[1, :11]).all()


def test_a_weight_stays_in_force_until_the_next_number():
    days = pd.bdate_range("2020-01-01", periods=4)
    wish = pd.DataFrame({"A": [np.nan, 0.5, np.nan, 0.0], "B": [np.nan, -0.25, np.nan, np.nan]}, days)
    figure = figures.weights(wish, label=LABEL)
    gross, net, grid = figure.data
    assert [gross.name, net.name] == ["gross exposure", "net exposure"]
    assert numbers(gross.y).tolist() == [0, 75, 75, 25]
    assert numbers(net.y).tolist() == [0, 25, 25, -25]
    assert list(grid.y) == ["B", "A"]
    shown = numbers(body(figure)["data"][2]["z"])
    assert np.isnan(shown[:, 0]).all()
    assert shown[:, 1:].tolist() == [[-25, -25, -25], [50, 50, 0]]


def test_coverage_counts_the_sessions_that_should_be_there():
    days = pd.bdate_range("2020-01-01", "2020-02-28")
    closes = pd.DataFrame({"A": 1.0, "B": np.where(days < "2020-02-01", 1.0, np.nan)}, days)
    figure = figures.coverage(closes.iloc[:-10], sessions=days, label=LABEL)
    assert list(figure.data[0].y) == ["B", "A"]
    shown = numbers(body(figure)["data"][0]["z"])
    assert shown.tolist() == [[100.0, 0.0], [100.0, 50.0]]
    assert figure.layout.xaxis.title.text == "month"


def test_a_decision_without_probability_has_no_mark():
    figure = figures.decisions(DECISIONS, label=LABEL)
    marks = {trace.name: (list(trace.y), numbers(trace.x)) for trace in figure.data if trace.mode == "markers"}
    assert {name: symbols for name, (symbols, _) in marks.items()} == {"buy": ["AAPL"], "hold": ["KO"], "sell": ["XOM"]}
    assert marks["buy"][1].tolist() == pytest.approx([0.62])
    said = next(trace for trace in figure.data if trace.mode == "text")
    assert (list(said.y), list(said.text)) == (["GE"], ["no probability (abstain)"])
    assert figure.layout.meta["text"] == "decisions: 4 symbols, 1 abstain, 1 buy, 1 hold, 1 sell"
    with pytest.raises(ParameterError, match="action='maybe'"):
        figures.decisions(DECISIONS.assign(action="maybe"), label=LABEL)


def test_actions_differ_in_shape_too():
    assert len(set(ACTION_SHAPES.values())) == len(ACTION_COLOURS) == len(ACTION_SHAPES)


def test_fills_are_money_and_what_was_not_filled_is_left_out():
    figure = figures.fills(FILLS, label=LABEL)
    bought, sold = figure.data
    assert dict(zip(bought.y, numbers(bought.x).tolist(), strict=True))["AAPL"] == 10 * 100.5 + 5 * 101
    assert dict(zip(sold.y, numbers(sold.x).tolist(), strict=True))["XOM"] == -420
    assert "KO" not in bought.y
    assert figure.layout.meta["text"] == "fills: 3 in 2 symbols, 2 buys, 1 sells"
    orders = FILLS.assign(filled=[10.0, 0.0, 7.0, 0.0])
    assert figures.fills(orders, label=LABEL).layout.meta["text"] == "fills: 2 in 2 symbols, 1 buys, 1 sells"
    with pytest.raises(ParameterError, match="side='short'"):
        figures.fills(FILLS.assign(side="short"), label=LABEL)


def test_an_empty_day_is_drawn_as_one():
    for figure, said in (
        (figures.fills(FILLS.iloc[:0], label=LABEL), "no fill"),
        (figures.decisions(DECISIONS.iloc[:0], label=LABEL), "no decision"),
    ):
        assert [note.text for note in figure.layout.annotations] == [said, LABEL]
        assert not figure.data


def test_intervals_are_bars_around_the_value_and_undefined_is_said():
    frame = pd.DataFrame(
        {"value": [0.8, np.nan, 0.3], "low": [0.2, np.nan, np.nan], "high": [1.1, np.nan, np.nan]},
        index=["a", "b", "c"],
    )
    points, undefined, *_ = figures.metric_intervals(frame, name="sharpe", unit="per year", label=LABEL).data
    assert list(points.y) == ["c", "b", "a"]
    assert numbers(points.error_x.array)[2] == pytest.approx(0.3)
    assert numbers(points.error_x.arrayminus).tolist() == pytest.approx([0, 0, 0.6])
    assert list(undefined.y) == ["b"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.equity(pd.Series([np.nan], pd.bdate_range("2020", periods=1)), label=LABEL),
        lambda: figures.price_lines(pd.DataFrame({"A": []}, pd.DatetimeIndex([])), label=LABEL),
        lambda: figures.monthly_returns(pd.Series([], pd.DatetimeIndex([]), dtype=float), label=LABEL),
        lambda: figures.weights(pd.DataFrame({"A": [np.nan]}, pd.bdate_range("2020", periods=1)), label=LABEL),
        lambda: figures.metric_intervals(pd.DataFrame(columns=["value", "low", "high"]), name="x", label=LABEL),
        lambda: figures.compare([]),
    ],
)
def test_nothing_to_draw_is_said(draw):
    with pytest.raises(NoData):
        draw()


def test_missing_columns_are_named():
    with pytest.raises(ParameterError, match="no column 'side'"):
        figures.fills(FILLS.drop(columns="side"), label=LABEL)
    with pytest.raises(ParameterError, match="benchmark='x' is not one of the runs"):
        figures.growth(pd.DataFrame({"a": [1.0]}, pd.bdate_range("2020", periods=1)), benchmark="x", label=LABEL)


def test_plotlys_own_defaults_are_left_alone(every):
    assert every
    assert plotly.io.templates.default == "plotly"
