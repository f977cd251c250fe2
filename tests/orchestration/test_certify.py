"""The certificate: what is right passes, what is careless is caught, and the page says what was counted."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from workbench.errors import ExecutionError, ParameterError
from workbench.orchestration.certify import KILLS, PLANS, certify
from workbench.report.certificate import FAILED, PASSED, Certificate, Row, certificate_page, write_certificate

CARELESS = (sys.executable, str(Path(__file__).with_name("careless_worker.py")))
ROW = Row("hang", "no answer", struck=5, wanted=5, orders=9, lost=0, doubled=0, unresolved=0, misbooked=0, seconds=1.5)
MADE = Certificate(
    rows=(ROW,),
    kills=20,
    strikes=5,
    seed=7,
    workers=2,
    database="sqlite",
    versions={"workbench": "0.1.0"},
    machine="a machine <with> brackets",
    started_at=dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC),
    seconds=12.0,
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_order_path_passes_each_row_and_leaves_nothing_but_its_page(workspace):
    heard = Counter()
    made = certify(workspace, kills=4, strikes=2, workers=2, progress=lambda row, *_: heard.update([row]))
    assert [row.name for row in made.rows] == [KILLS, *(plan.name for plan in PLANS)]
    assert made.passed, made
    assert (made.table[["lost", "doubled", "unresolved", "misbooked"]] == 0).all(axis=None)
    assert (made.table["orders"] > 0).all()
    assert [row.struck >= row.wanted for row in made.rows] == [True] * len(made.rows)
    assert [row.wanted for row in made.rows] == [4] + [2] * len(PLANS)
    assert set(heard) == {row.name for row in made.rows}
    assert list((workspace.home / "certify").iterdir()) == []
    assert made.path.parent == workspace.home / "reports"
    stored = json.loads(made.path.with_suffix(".json").read_text())
    assert (stored["verdict"], len(stored["rows"]), stored["seed"]) == (PASSED, len(made.rows), 7)
    with workspace.engine.connect() as connection:  # the owner's orders are the owner's
        assert connection.execute(text("SELECT count(*) FROM intent")).scalar_one() == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_on_postgresql_a_schema_of_its_own_is_used_and_removed(workspace):
    made = certify(workspace, kills=2, strikes=2, workers=2, kinds=[KILLS, "504-after-accept"])
    assert made.passed, made
    assert made.database == "postgresql"
    assert [name for name in inspect(workspace.engine).get_schema_names() if name.startswith("certify")] == []
    with workspace.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM intent")).scalar_one() == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_takes_a_new_id_for_each_attempt_is_caught(workspace):
    made = certify(workspace, kills=1, strikes=3, workers=1, kinds=["504-after-accept"], command=CARELESS)
    (row,) = made.rows
    assert row.doubled >= row.struck / 2  # each strike places an order that is then placed again
    assert (row.verdict, made.verdict, made.passed) == (FAILED, FAILED, False)
    assert "FAILED" in made.path.read_text()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_breaks_is_an_error_with_its_log(workspace):
    broken = (sys.executable, "-c", "raise SystemExit('no hands')")
    with pytest.raises(ExecutionError, match="no hands"):
        certify(workspace, kills=1, strikes=1, workers=1, command=broken)
    assert list((workspace.home / "certify").iterdir()) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("wrong", [{"kills": 0}, {"strikes": 0}, {"kinds": ["earthquake"]}])
def test_what_cannot_be_certified_is_refused(workspace, wrong):
    with pytest.raises(ParameterError):
        certify(workspace, **wrong)


@pytest.mark.parametrize("name", ["lost", "doubled", "unresolved", "misbooked"])
def test_any_count_fails_the_row_and_the_certificate(name):
    bad = dataclasses.replace(ROW, **{name: 1})
    made = dataclasses.replace(MADE, rows=(ROW, bad))
    assert (ROW.verdict, bad.verdict, made.verdict) == (PASSED, FAILED, FAILED)


def test_too_few_strikes_or_no_row_prove_nothing():
    assert dataclasses.replace(ROW, struck=4).verdict == FAILED
    assert dataclasses.replace(ROW, orders=0).verdict == FAILED
    assert not dataclasses.replace(MADE, rows=()).passed


def test_the_page_holds_every_number_and_loads_nothing(tmp_path):
    made = write_certificate(MADE, tmp_path)
    page = made.path.read_text()
    assert page == certificate_page(made)
    assert made.path.name == "certificate-20150630T200000Z.html"
    for told in ("PASSED", "hang", "no answer", "<td>9</td>", "<td>1.5</td>", "2015-06-30 20:00 UTC", "&lt;with&gt;"):
        assert told in page
    for loading in ("http://", "https://", "<script", "<img", "@import", "url("):
        assert loading not in page
    assert "PASSED: 9 orders" in repr(made)
    assert "hang" in made._repr_html_()
