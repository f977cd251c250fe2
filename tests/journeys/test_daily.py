"""The trading day as its user runs it: once, again, and session by session, from the command line."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from workbench.exchange import embedded
from workbench.orchestration.hosting import exchange_folder
from workbench.store.schema import Table

ROOT = Path(__file__).parents[2]
WORKBENCH = Path(sys.executable).with_name("workbench")
SMALL = ["-p", "symbols=AAPL,JPM,KO,PG,XOM", "-p", "start=2014-01-02"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("daily") / "home"
    yield folder
    embedded.stop(exchange_folder(folder))


def workbench(home, *words):
    environment = {**os.environ, "WORKBENCH_HOME": str(home)}
    done = subprocess.run(
        [WORKBENCH, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(home):
    """Every row of every table."""
    with sqlite3.connect(home / "workbench.db") as connection:
        found = {name: pd.read_sql(f"SELECT * FROM {name}", connection) for name in Table.metadata.tables}  # noqa: S608
    connection.close()
    return found


def placed(home):
    """Every order that the exchange ever accepted, from its own database."""
    with sqlite3.connect(home / "exchange" / "exchange.db") as connection:
        found = connection.execute("SELECT count(*) FROM orders").fetchone()[0]
    connection.close()
    return found


@pytest.fixture(scope="module")
def day(home):
    """The day of 30 June 2015: what it printed, and what it left, before another test goes on from there."""
    said = workbench(home, "run", "daily", "--as-of", "2015-06-30", *SMALL)
    logs = [Path(said.splitlines()[-1]).with_name("run.log"), *(home / "desks").glob("*.log")]
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines() if line.startswith("{")]
    return said, rows(home), lines


@pytest.fixture(scope="module")
def first(day):
    """What the day of 30 June 2015 printed."""
    return day[0]


def test_the_last_line_is_the_report_and_its_first_lines_repeat_the_study(home, first):
    report = Path(first.splitlines()[-1])
    assert report.is_file()
    assert report.is_relative_to(home / "runs" / "daily" / "2015-06-30")
    page = report.read_text()
    text = re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert "AAPL, JPM, KO, PG, XOM · 2014-01-02 → 2015-06-30 · as_of 2015-06-30 20:00 UTC" in text[:4000]
    assert "yes: orders, fills, positions and cash" in text
    assert page.count("plotly.js v") == 1
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="https?://|url\(["\']?https?://|@import', markup)
    assert "import workbench" not in text


def test_each_step_left_its_notebook_and_its_log(first):
    folder = Path(first.splitlines()[-1]).parent
    steps = ["data", "backtest", "arena", "execution", "report"]
    for step in steps:
        notebook = json.loads((folder / f"{step}.ipynb").read_text())
        assert notebook["metadata"]["workbench"]["status"] == "DONE"
        assert (folder / f"{step}.log").exists()
        assert "widgets" not in notebook["metadata"]


def test_one_trace_id_goes_from_the_pipeline_to_the_order_and_onto_every_log_line(day):
    _, found, lines = day
    (trace,) = found["pipeline_run"]["trace_id"]
    carrying = {
        name: set(frame["trace_id"]) for name, frame in found.items() if "trace_id" in frame.columns and len(frame)
    }
    expected = {"step_run", "backtest_run", "decision", "intent", "fill", "position", "reconciliation", "audit"}
    assert expected <= set(carrying)
    assert carrying == {name: {trace} for name in carrying}
    assert len(lines) > 10
    assert {line["trace_id"] for line in lines} == {trace}


def test_the_same_day_again_changes_nothing_and_places_no_second_order(home, first):
    before, orders = rows(home), placed(home)
    assert orders >= len(before["intent"].query("session == '2015-06-30'")) > 0
    said = workbench(home, "run", "daily", "--as-of", "2015-06-30", *SMALL)
    assert "nothing was run" in said
    assert said.splitlines()[-1] == first.splitlines()[-1]
    after = rows(home)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, after[name], obj=name)
    assert placed(home) == orders

    # Even where every notebook is executed again, answers are found and no order is placed.
    workbench(home, "run", "daily", "--as-of", "2015-06-30", "--again", *SMALL)
    forced = rows(home)
    for name in ("backtest_run", "decision", "evidence_pack", "intent", "fill", "trading_session", "quality_finding"):
        pd.testing.assert_frame_equal(before[name], forced[name], obj=name)
    assert placed(home) == orders
    assert len(forced["pipeline_run"]) == len(before["pipeline_run"]) + 1
    assert orders == len(forced["intent"])


@pytest.mark.usefixtures("first")
def test_a_backfill_goes_on_from_the_book_of_the_session_before(home):
    account = rows(home)["trading_session"]["account"].iloc[0]
    workbench(home, "run", "daily", "--from", "2015-07-01", "--to", "2015-07-02", *SMALL)
    days = rows(home)["trading_session"].sort_values("session")
    assert days["session"].tolist() == ["2015-06-30", "2015-07-01", "2015-07-02"]
    assert days["filled_in"].tolist() == ["2015-07-01", "2015-07-02", "2015-07-06"]  # the third is a holiday
    assert set(days["account"]) == {account}
    assert set(days["status"]) == {"CLOSED"}
    assert "daily" in workbench(home, "runs")
    assert account in workbench(home, "positions")
    assert "wb1-daily-20150630-" in workbench(home, "orders")
