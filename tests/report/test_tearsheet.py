import numpy as np
import pandas as pd
import pytest

from workbench.errors import NoData, ParameterError
from workbench.report import figures
from workbench.report.shown import PLOTLY, show, shown
from workbench.report.tearsheet import tearsheet, worst_drawdowns
from workbench.run import Run
from workbench.study import Study

STUDY = Study.of(["AAPL", "MSFT"], start="2013-01-02", as_of="2013-06-28")


def run(*, title="sma_cross(fast=50, slow=200)", label="SYNTHETIC · seed 7", tables=None, **changes):
    days = pd.bdate_range("2013-01-02", periods=120, unit="us", name="session")
    rng = np.random.default_rng(7)
    equity = pd.DataFrame({"cash": 0.0, "equity": 100_000 * (1 + rng.normal(0, 0.01, 120)).cumprod()}, days)
    orders = pd.DataFrame({"symbol": ["AAPL"], "side": ["buy"], "qty": [3.0], "price": [50.0]})
    trades = pd.DataFrame({"symbol": ["AAPL"], "opened": [days[3]], "pnl": [12.5], "return": [0.1], "open": [True]})
    weights = pd.DataFrame({"AAPL": [0.5, *[np.nan] * 119], "MSFT": [0.0, *[np.nan] * 119]}, days)
    everything = {"equity": equity, "orders": orders, "trades": trades, "weights": weights}
    return Run(
        **{
            "id": "0" * 32,
            "kind": "backtest",
            "study": STUDY,
            "title": title,
            "label": label,
            "config": {},
            "config_hash": "x",
            "summary": {"cagr": 0.0712, "sharpe": 0.8, "trades": 12.0, "profit_factor": None},
            "intervals": {"cagr": (-0.01, 0.15), "sharpe": (0.1, 1.5)},
            "tables": everything if tables is None else tables,
            **changes,
        }
    )


def test_the_first_line_is_the_question():
    sheet = tearsheet(run(reused=True), benchmark=run(title="buy_and_hold"))
    assert sheet.lines == (
        STUDY.line,
        "sma_cross(fast=50, slow=200) · backtest · stored answer",
        "SYNTHETIC · seed 7",
    )
    assert repr(sheet).startswith(STUDY.line)
    markup = sheet._repr_html_()
    assert markup.index(STUDY.line) < markup.index("sma_cross")


def test_it_holds_what_the_run_has():
    sheet = tearsheet(run(), benchmark=run(title="buy_and_hold"))
    assert list(sheet.figures) == ["equity", "monthly returns", "weights"]
    assert list(sheet.tables) == ["metrics", "worst drawdowns", "last trades"]
    assert {trace.name for trace in sheet.figures["equity"].data} == {"sma_cross(fast=50, slow=200)", "buy_and_hold"}
    bare = tearsheet(run(tables={"equity": run().table("equity")}))
    assert list(bare.figures) == ["equity", "monthly returns"]
    assert "last trades" not in bare.tables
    assert all(any(note.text == "SYNTHETIC" for note in f.layout.annotations) for f in sheet.figures.values())


def test_metrics_have_units_and_intervals_and_undefined_is_said():
    metrics = tearsheet(run()).tables["metrics"]
    assert metrics.rows == (
        ("cagr", "7.12%", "-1.00%", "15.00%"),
        ("sharpe", "0.80", "0.10", "1.50"),
        ("trades", "12", "–", "–"),
        ("profit factor", "undefined", "–", "–"),
    )


def test_a_run_without_equity_is_refused():
    with pytest.raises(NoData, match="no table 'equity'"):
        tearsheet(run(tables={}))
    with pytest.raises(NoData, match="no column 'equity'"):
        tearsheet(run(tables={"equity": pd.DataFrame({"value": [1.0]})}))


def test_a_title_cannot_break_out():
    sheet = tearsheet(run(title="<script>alert(1)</script>", label="<img src=x>"))
    assert "<script>" not in sheet._repr_html_()
    assert "<img" not in sheet._repr_html_()


def test_in_a_notebook_the_head_comes_first_and_then_each_figure(monkeypatch):
    sent = []
    monkeypatch.setattr("IPython.display.publish_display_data", sent.append)
    monkeypatch.setattr("IPython.display.display", lambda value: sent.append(value._repr_mimebundle_()))
    tearsheet(run())._ipython_display_()
    assert sent[0]["text/plain"].startswith(STUDY.line)
    assert "text/html" in sent[0]
    assert [PLOTLY in bundle for bundle in sent] == [False, True, True, True]


def test_drawdowns_run_from_peak_to_recovery_deepest_first():
    days = pd.bdate_range("2020-01-01", periods=9)
    worst = worst_drawdowns(pd.Series([100, 90, 100, 110, 66, 88, 110, 120, 108.0], days))
    assert worst["peak"].tolist() == [days[3], days[0], days[7]]
    assert worst["trough"].tolist() == [days[4], days[1], days[8]]
    assert worst["recovered"].tolist()[:2] == [days[6], days[2]]
    assert pd.isna(worst["recovered"].iloc[2])
    assert worst["depth"].tolist() == pytest.approx([-0.4, -0.1, -0.1])
    assert worst["sessions"].tolist() == [3, 2, 1]
    assert worst_drawdowns(pd.Series([1.0, 2.0], days[:2])).empty


def test_a_shown_figure_is_data_for_the_screen_and_one_line_for_a_comparison(capsys):
    figure = figures.months(run())
    bundle = shown(figure)._repr_mimebundle_()
    assert sorted(bundle) == [PLOTLY, "text/plain"]
    assert bundle["text/plain"] == "monthly returns: 1 years × 12 months, 2013-01-03 → 2013-06-18"
    assert bundle[PLOTLY]["data"][0]["type"] == "heatmap"
    assert bundle == shown(figures.months(run()))._repr_mimebundle_()
    assert shown(figure, "mine")._repr_mimebundle_()["text/plain"] == "mine"
    show(figure)
    assert capsys.readouterr().out.strip() == bundle["text/plain"]


def test_figures_of_several_runs():
    runs = [run(), run(label="real", summary={"sharpe": None})]
    drawn = figures.compare(runs, benchmark=run(title="buy_and_hold"))
    assert [trace.name for trace in drawn.data if trace.showlegend is None] == [
        "sma_cross(fast=50, slow=200)",
        "sma_cross(fast=50, slow=200) #2",
        "buy_and_hold",
    ]
    assert drawn.layout.annotations[0].text == "<b>SYNTHETIC · seed 7 · real</b>"
    odds = figures.intervals(runs, metric="sharpe")
    assert list(odds.data[1].text) == ["undefined"]
    assert figures.intervals([run()], metric="cagr").layout.xaxis.title.text == "cagr (%)"
    with pytest.raises(ParameterError, match="metric='beauty'"):
        figures.intervals(runs, metric="beauty")
