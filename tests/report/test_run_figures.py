"""Pictures of what a run was like along the way and of its trades, read back as a browser reads them."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.report.conftest import LABEL
from tests.report.drawn import body, numbers
from workbench.errors import NoData, ParameterError
from workbench.report import figures
from workbench.run import Run
from workbench.study import Study

SESSIONS = pd.bdate_range("2013-01-02", periods=600, unit="us")
STUDY = Study.of(["AAPL", "KO"], start="2013-01-02", as_of="2015-06-30")
TRADES = pd.DataFrame(
    {
        "symbol": ["AAPL", "KO", "AAPL", "KO"],
        "opened": pd.to_datetime(["2013-02-01", "2013-02-04", "2013-05-01", "2014-01-02"]),
        "closed": pd.to_datetime(["2013-03-01", "2013-02-14", "2013-06-03", None]),
        "return": [0.10, -0.04, 0.02, 0.01],
        "open": [False, False, False, True],
        "bars_held": [20, 8, 22, 100],
        "mae": [-0.03, -0.05, -0.20, -0.01],
        "mfe": [0.12, 0.01, 0.06, 0.02],
        "exit_reason": ["signal", "stop", "signal", None],
    }
)


def returns_of(mean, seed, sessions=SESSIONS):
    return pd.Series(np.random.default_rng(seed).normal(mean, 0.01, len(sessions)), sessions)


def run_of(returns, *, title="sma_cross(fast=20, slow=100)", label=LABEL, exposure=1.0, cash=0.0, trades=TRADES):
    equity = 100_000 * (1 + returns).cumprod()
    frame = pd.DataFrame({"equity": equity, "cash": equity * cash, "exposure": exposure})
    tables = {"equity": frame, "trades": trades}
    for number, what in enumerate(("returns", "trades")):
        draw = np.random.default_rng(number)
        paths = np.cumprod(1 + draw.normal(0.0005, 0.01, (300, 600)), axis=1)
        falls = (paths / np.maximum.accumulate(paths, axis=1)).min(axis=1) - 1
        tables[f"shuffled_{what}"] = pd.DataFrame({"max_drawdown": falls, "final": paths[:, -1]})
        at = np.arange(0, 600, 7)
        bands = np.quantile(paths[:, at], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).T
        index = pd.Index(at, name="session" if what == "returns" else "trade")
        tables[f"fan_{what}"] = pd.DataFrame(bands, index, ["5%", "25%", "50%", "75%", "95%"])
    summary = {"max_drawdown": float((equity / equity.cummax()).min() - 1)}
    return Run(
        id="0" * 32, kind="backtest", study=STUDY, title=title, label=label, config={}, config_hash="",
        summary=summary, tables=tables,
    )  # fmt: skip


RUN = run_of(returns_of(0.001, 1))
OTHER = run_of(returns_of(0.0, 2), title="momentum(lookback=252)")
EVERY = {
    "rolling_sharpe": lambda: figures.rolling_sharpe(RUN, benchmark=OTHER),
    "exposure": lambda: figures.exposure(RUN),
    "trades": lambda: figures.trades(RUN),
    "excursions": lambda: figures.excursions(RUN),
    "daily_returns": lambda: figures.daily_returns(RUN),
    "redrawn": lambda: figures.redrawn(
        np.random.default_rng(0).normal(-0.2, 0.05, 1000), observed=-0.25, metric="max_drawdown", label=LABEL
    ),
    "outcomes": lambda: figures.outcomes(RUN),
    "outcomes of trades": lambda: figures.outcomes(RUN, metric="final", of="trades"),
    "fan": lambda: figures.fan(RUN),
    "fan of trades": lambda: figures.fan(RUN, of="trades"),
}


@pytest.mark.parametrize("name", EVERY)
def test_each_is_static_small_named_and_says_where_its_data_come_from(name):
    figure = EVERY[name]()
    assert type(figure) is go.Figure
    assert len(figure.to_json()) < 300_000
    assert figure.layout.title.text
    assert figure.layout.annotations[-1].text == LABEL
    assert isinstance(figure.layout.meta["text"], str)
    assert "uid" not in figure.to_json()
    assert figure.layout.xaxis.title.text
    assert figure.layout.yaxis.title.text
    assert figure.to_json() == EVERY[name]().to_json()


def test_synthetic_runs_carry_a_watermark():
    made_up = run_of(returns_of(0.001, 1), label="SYNTHETIC · seed 7")
    for draw in (figures.exposure, figures.trades, figures.excursions, figures.daily_returns):
        assert draw(made_up).layout.annotations[-1].text == "SYNTHETIC"


class TestRollingSharpe:
    def test_each_point_is_the_ratio_of_its_window(self):
        returns = returns_of(0.001, 5).to_frame("a")
        figure = figures.rolling_ratio(returns, window=50, label=LABEL)
        line = next(trace for trace in figure.data if trace.name == "a")
        window = returns["a"].iloc[100:150]
        assert line.x[0] == f"{SESSIONS[49]:%Y-%m-%d}"
        shown = numbers(line.y)[100]
        assert shown == pytest.approx(window.mean() / window.std(ddof=1) * np.sqrt(252), rel=1e-5)

    def test_chance_is_the_error_of_lo_around_the_whole_period(self):
        # Lo 2002: the error of a ratio SR over T returns is sqrt((1 + SR²/2) / T). With SR = 0 and a window of 63
        # sessions, ± 1.96 · sqrt(252 / 63) = ± 3.92 a year.
        flat = pd.DataFrame({"a": np.tile([0.01, -0.01], 300)}, SESSIONS)
        figure = figures.rolling_ratio(flat, window=63, label=LABEL)
        low, high = (numbers(trace.y) for trace in figure.data[:2])
        assert low.tolist() == pytest.approx([-3.92, -3.92], abs=0.001)
        assert high.tolist() == pytest.approx([3.92, 3.92], abs=0.001)
        assert "0 % of them outside of what chance moves" in figure.layout.meta["text"]

    def test_two_runs_have_no_band_and_the_benchmark_is_grey(self):
        figure = figures.rolling_sharpe([RUN, OTHER], benchmark=run_of(returns_of(0, 9), title="buy_and_hold()"))
        assert [trace.name for trace in figure.data] == ["sma_cross", "momentum", "buy_and_hold"]
        assert figure.data[-1].line.dash == "dash"

    def test_a_still_window_has_no_ratio(self):
        noisy = list(returns_of(0.003, 1)[:300])
        still = pd.DataFrame({"a": [*noisy, *[0.0] * 300]}, SESSIONS)
        line = numbers(figures.rolling_ratio(still, window=50, label=LABEL).data[-1].y)
        assert np.isfinite(line[:300]).all()
        assert np.isnan(line[300:]).all()

    @pytest.mark.parametrize("window", [19, 601])
    def test_a_window_that_does_not_fit_is_refused(self, window):
        with pytest.raises(ParameterError, match=f"window={window}"):
            figures.rolling_sharpe(RUN, window=window)

    def test_nothing_to_draw_is_said(self):
        with pytest.raises(NoData):
            figures.rolling_sharpe([])
        with pytest.raises(ParameterError, match="benchmark='x'"):
            figures.rolling_ratio(returns_of(0, 1).to_frame("a"), benchmark="x", label=LABEL)


class TestExposure:
    def test_a_long_only_run_is_one_line_in_percent(self):
        figure = figures.exposure(run_of(returns_of(0, 1), exposure=0.6, cash=0.4))
        (line,) = figure.data
        assert set(numbers(line.y).round(4)) == {60.0}
        assert figure.layout.meta["text"].startswith("exposure: mean 60 %, ")

    def test_shorts_show_gross_beside_net(self):
        # long 60 %, short 30 %: gross 90 %, cash 70 % of the book, net 30 %
        figure = figures.exposure(run_of(returns_of(0, 1), exposure=0.9, cash=0.7))
        gross, net = figure.data
        assert [gross.name, net.name] == ["gross exposure", "net exposure"]
        assert set(numbers(gross.y).round(3)) == {90.0}
        assert set(numbers(net.y).round(3)) == {30.0}
        assert "90 % gross, 30 % net" in figure.layout.title.text

    def test_what_is_missing_is_named(self):
        with pytest.raises(NoData, match="no column 'cash'"):
            figures.exposure(Run(**{**vars(RUN), "tables": {"equity": RUN.table("equity")[["equity"]]}}))
        with pytest.raises(ParameterError, match="no column 'gross'"):
            figures.exposures(pd.DataFrame({"x": [1.0]}), label=LABEL)


class TestTrades:
    def test_results_stand_over_the_time_held(self):
        figure = figures.trade_results(TRADES, label=LABEL)
        marks = {trace.name: (numbers(trace.x).tolist(), numbers(trace.y).tolist()) for trace in figure.data}
        assert marks["won"][0] == [20, 22]
        assert marks["won"][1] == pytest.approx([10.0, 2.0])
        assert marks["lost"][0] == [8]
        assert marks["still open"][1] == pytest.approx([1.0])
        assert figure.data[1].text == ("KO 2013-02-04 stop · ",)
        assert figure.layout.xaxis.title.text == "held (bars)"
        assert figure.layout.meta["text"] == "trades: 2 won, 1 lost, 1 open"
        assert len({trace.marker.symbol for trace in figure.data}) == 3

    def test_without_a_count_of_bars_days_are_counted(self):
        figure = figures.trade_results(TRADES.drop(columns="bars_held"), label=LABEL)
        assert figure.layout.xaxis.title.text == "held (calendar days)"
        assert numbers(figure.data[1].x).tolist() == [10]
        assert figure.layout.meta["text"] == "trades: 2 won, 1 lost"

    @pytest.mark.parametrize("sign", [1, -1])
    def test_excursions_are_distances_whatever_their_sign(self, sign):
        figure = figures.trade_excursions(TRADES.assign(mae=sign * TRADES["mae"]), label=LABEL)
        won = [trace for trace in figure.data if trace.name == "won"]
        assert numbers(won[0].x).tolist() == pytest.approx([3.0, 20.0])
        assert numbers(won[1].x).tolist() == pytest.approx([12.0, 6.0])
        assert figure.layout.meta["text"].endswith("winners first went 11.5 % against (median)")

    @pytest.mark.parametrize("column", ["mae", "mfe", "return"])
    def test_missing_columns_make_a_figure_that_says_so(self, column):
        figure = figures.trade_excursions(TRADES.drop(columns=column), label=LABEL)
        assert figure.layout.annotations[0].text == f"these trades have no column {column}"
        assert not figure.data

    @pytest.mark.parametrize("draw", [figures.trade_results, figures.trade_excursions])
    def test_no_trade_is_an_answer(self, draw):
        figure = draw(TRADES.iloc[:0], label=LABEL)
        assert figure.layout.annotations[0].text == "no trade"
        assert figure.layout.meta["text"].endswith(": none")

    def test_many_trades_stay_small_and_keep_the_extremes(self):
        rng = np.random.default_rng(1)
        many = pd.DataFrame(
            {"symbol": "AAPL", "opened": SESSIONS[0], "open": False, "exit_reason": "signal", "bars_held": 5}
            | {name: rng.normal(0, 0.05, 20_000) for name in ("return", "mae", "mfe")}
        )
        many.loc[777, "return"] = -0.9
        for draw in (figures.trade_results, figures.trade_excursions):
            figure = draw(many, label=LABEL)
            assert len(figure.to_json()) < 300_000
            assert min(numbers(trace.y).min() for trace in figure.data) == pytest.approx(-90)
            assert "of them drawn" in figure.layout.meta["text"]

    def test_what_a_trade_says_is_shown_literally(self):
        figure = figures.trade_results(TRADES.assign(exit_reason="<b>x</b>"), label=LABEL)
        assert "&lt;b&gt;" in figure.data[0].text[0]


class TestDistributions:
    def test_bars_count_every_session_and_marks_are_those_of_the_metrics(self):
        returns = pd.Series(np.arange(-50, 51) / 1000, pd.bdate_range("2013-01-02", periods=101))
        figure = figures.return_histogram(returns, label=LABEL)
        assert numbers(body(figure)["data"][0]["y"]).sum() == 101
        # the 5 % quantile of −5.0 … 5.0 % in steps of 0.1 % is −4.5 %; the mean of −5.0 … −4.5 % is −4.75 %
        assert "VaR 95 % −4.50 %, CVaR 95 % −4.75 %" in figure.layout.meta["text"]
        marks = sorted(shape.x0 for shape in figure.layout.shapes)
        assert marks == pytest.approx([-4.75, -4.5])

    def test_the_normal_curve_has_as_many_sessions(self):
        returns = returns_of(0, 4)
        figure = figures.return_histogram(returns, label=LABEL)
        bars, curve = figure.data
        x, y = numbers(curve.x), numbers(curve.y)
        expected = np.trapezoid(y, x) / bars.width * 0.92
        assert expected == pytest.approx(600, rel=0.03)

    def test_a_fat_tail_is_counted_against_the_normal_one(self):
        returns = returns_of(0, 4)
        returns.iloc[[10, 20, 30]] = -0.2
        text = figures.return_histogram(returns, label=LABEL).layout.meta["text"]
        assert "3 beyond 4 deviations (a normal curve expects 0.0)" in text

    def test_a_constant_is_drawn_too(self):
        figure = figures.return_histogram(pd.Series(0.0, SESSIONS), label=LABEL)
        assert numbers(figure.data[0].y).tolist() == [600]

    def test_outcomes_show_the_interval_and_how_bad_the_observed_one_is(self):
        drawn = np.arange(1, 1001) / -1000  # −0.1 % … −100 %
        figure = figures.redrawn(drawn, observed=-0.9, metric="max_drawdown", level=0.9, label=LABEL)
        text = figure.layout.meta["text"]
        assert "90 % from −95.0 % to −5.1 %" in text
        assert "observed −90.0 %; 10 % were as bad or worse" in text
        assert figure.layout.xaxis.title.text == "max drawdown (%)"
        inside, tails = figure.data
        assert (numbers(inside.y).sum(), numbers(tails.y).sum()) == (900, 100)

    def test_of_some_metrics_less_is_better(self):
        drawn = np.linspace(0.1, 0.3, 201)
        text = figures.redrawn(drawn, observed=0.25, metric="annual_volatility", label=LABEL).layout.meta["text"]
        assert "25 % were as bad or worse" in text

    def test_undefined_draws_are_counted_and_not_drawn(self):
        drawn = np.append(np.linspace(0, 1, 50), [np.nan, np.inf])
        figure = figures.redrawn(drawn, observed=np.nan, metric="sharpe", label=LABEL)
        assert "50 draws" in figure.layout.meta["text"]
        assert figure.layout.meta["text"].endswith("2 undefined")
        assert "observed" not in figure.layout.meta["text"]

    def test_a_run_shows_what_its_own_days_and_trades_could_have_made(self):
        run = run_of(returns_of(0.001, 1))
        lost = figures.outcomes(run)
        assert f"observed {run.summary['max_drawdown'] * 100:.1f} %".replace("-", "−") in lost.layout.meta["text"]
        assert "observed" not in figures.outcomes(run, of="trades").layout.meta["text"]
        equity = run.table("equity")["equity"]
        final = figures.outcomes(run, metric="final")
        assert f"observed {equity.iloc[-1] / equity.iloc[0]:.2f}" in final.layout.meta["text"]
        assert final.layout.xaxis.title.text == "wealth at the end (times the start)"
        with pytest.raises(ParameterError, match="metric='luck' was not drawn"):
            figures.outcomes(run, metric="luck")
        with pytest.raises(NoData, match="no table 'shuffled_returns'"):
            figures.outcomes(Run(**{**vars(run), "tables": {"equity": run.table("equity")}}))

    def test_the_fan_of_a_run_holds_what_happened(self):
        run = run_of(returns_of(0.001, 1))
        figure = figures.fan(run)
        happened = next(trace for trace in figure.data if trace.name == "what happened")
        equity = run.table("equity")["equity"].to_numpy()
        at = [int(step) for step in happened.x]
        assert numbers(happened.y).tolist() == pytest.approx((equity / equity[0])[at].tolist(), rel=1e-6)
        assert figure.layout.xaxis.title.text == "sessions gone by"
        assert "what happened" not in [trace.name for trace in figures.fan(run, of="trades").data]

    def test_bands_are_the_quantiles_from_the_outside_in(self):
        bands = pd.DataFrame({"50%": [1.0, 1.1], "5%": [1.0, 0.7], "95%": [1.0, 1.9]}, pd.Index([0, 40], name="trade"))
        figure = figures.fan_of(bands, label=LABEL)
        lines = {trace.name: numbers(trace.y).tolist() for trace in figure.data if trace.showlegend is not False}
        assert lines["90 % of the histories"] == pytest.approx([1.0, 1.9])
        assert lines["median"] == pytest.approx([1.0, 1.1])
        assert figure.layout.meta["text"] == (
            "fan: 90 % of the histories end between 0.70 and 1.90 times the start, after 40 trades"
        )
        assert figure.layout.xaxis.title.text == "trades gone by"

    def test_bands_over_sessions_have_dates(self):
        bands = pd.DataFrame({0.1: [1.0, 0.9], 0.5: [1.0, 1.0], 0.9: [1.0, 1.2]}, SESSIONS[:2])
        figure = figures.fan_of(bands, observed=pd.Series([50.0, 55.0], SESSIONS[:2]), label=LABEL)
        assert figure.data[0].x == ("2013-01-02", "2013-01-03")
        assert figure.layout.meta["text"].endswith("2013-01-02 → 2013-01-03")
        assert numbers(figure.data[-1].y).tolist() == pytest.approx([1.0, 1.1])

    @pytest.mark.parametrize("columns", [["5%", "95%"], ["5%", "25%", "95%"]])
    def test_a_fan_without_its_middle_is_refused(self, columns):
        with pytest.raises(ParameterError, match="a fan needs"):
            figures.fan_of(pd.DataFrame(1.0, [0, 1], columns), label=LABEL)

    @pytest.mark.parametrize(
        "draw",
        [
            lambda: figures.return_histogram(returns_of(0, 1).iloc[:19], label=LABEL),
            lambda: figures.redrawn([1.0] * 19, observed=1.0, metric="sharpe", label=LABEL),
        ],
    )
    def test_too_few_make_no_distribution(self, draw):
        with pytest.raises(NoData, match="19"):
            draw()

    def test_a_level_that_is_none_is_refused(self):
        with pytest.raises(ParameterError, match="level=95"):
            figures.redrawn([1.0] * 30, observed=1.0, metric="sharpe", level=95, label=LABEL)
