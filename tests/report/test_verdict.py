"""The verdict page: the question first, a verdict per check, nothing that runs, loads or poses as the page."""

from __future__ import annotations

import dataclasses
import re

import pandas as pd
import pytest

from tests.backtest.audit.planted import NeedsThree, TomorrowsReturn
from tests.properties.future import random_history
from tests.report.reading import LOADING, Parsed
from tests.report.test_browser import needs_browser, seen
from workbench.backtest.audit.auditing import CHECKS, audit
from workbench.errors import NoData, ReportError
from workbench.report.verdict import QUESTIONS, Verdict, verdict_page, write_verdict
from workbench.strategies import SmaCross

HISTORY = random_history(seed=1, length=420)
BOMB = '</style><script>window.hacked=1</script><img src=x onerror="window.hacked=1">$title${css}'

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def answer(workspace):
    return audit(SmaCross(fast=5, slow=20), HISTORY, workspace=workspace)


def assert_static(parsed):
    """Nothing runs, nothing loads, nothing is asked of anybody."""
    assert not {"script", "img", "iframe", "link", "object", "embed", "form", "base"} & {
        tag for tag, _ in parsed.elements
    }
    for tag, attributes in parsed.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in LOADING
            assert name != "href" or value.startswith("#")
    assert not any("url(" in style or "@import" in style for style in parsed.styles)
    policy = [meta["content"] for meta in parsed.named("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]


def test_the_question_comes_first_and_each_check_has_its_verdict_and_sentence(answer):
    parsed = Parsed(verdict_page(answer))
    assert parsed.texts[0] == answer.study.line
    assert "Audit of sma_cross(fast=5, slow=20)" in parsed.text
    checks = answer.table("checks")
    for row in checks.to_dict("records"):
        # In the list and in its section; two checks may have found the same.
        assert parsed.text.count(row["headline"]) == 2 * (checks["headline"] == row["headline"]).sum()
        assert row["why"] in parsed.text
        assert row["threshold"] in parsed.text
        assert QUESTIONS[row["check"]] in parsed.text
    assert [section["id"] for section in parsed.named("section")] == list(CHECKS)
    badges = [attributes["class"].split()[1].upper() for attributes in parsed.classed("badge")]
    verdicts = checks["verdict"].tolist()
    assert badges == [Verdict(answer).verdict, *verdicts, *verdicts]
    assert "✓ PASS" in parsed.text  # never colour alone
    assert "SYNTHETIC data" in parsed.text


def test_it_is_one_static_page_for_light_and_dark(answer):
    page = verdict_page(answer)
    assert_static(Parsed(page))
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"https?://", page)
    assert len(page) < 100_000
    assert verdict_page(answer) == page


def test_a_strategy_that_peeks_is_called_so_with_its_numbers(workspace):
    page = Parsed(verdict_page(audit(TomorrowsReturn(), HISTORY, workspace=workspace)))
    assert "do not trust this backtest" in page.text
    assert "It peeks: with the future after" in page.text
    assert "weights changed" in page.text
    assert_static(page)


def test_a_check_that_could_not_be_made_shows_the_message(workspace):
    page = Parsed(verdict_page(audit(NeedsThree(), HISTORY, workspace=workspace)))
    assert page.text.count("three symbols at least, <please>") == 3
    assert_static(page)


def test_whatever_a_strategy_or_a_message_says_stays_text(answer):
    checks = answer.table("checks").assign(headline=BOMB, why=BOMB, threshold=BOMB)
    numbers = answer.table("universe").assign(symbols=BOMB)
    hostile = dataclasses.replace(
        answer,
        title=BOMB,
        label=BOMB,
        tables={**answer.tables, "checks": checks, "universe": numbers, "delay": pd.DataFrame({BOMB: [BOMB]})},
    )
    hostile = dataclasses.replace(hostile, tables={**hostile.tables, "delay": pd.DataFrame({"stopped": [BOMB]})})
    page = Parsed(verdict_page(hostile))
    assert_static(page)
    assert page.text.count("window.hacked=1") > 10
    shown = Parsed(f"<body>{Verdict(hostile)._repr_html_()}</body>")
    assert not shown.named("script")
    assert not shown.named("img")


def test_it_is_written_below_the_workspace_or_where_it_is_wanted(answer, workspace, tmp_path):
    path = write_verdict(answer, workspace=workspace)
    assert path == workspace.home / "reports" / f"audit-sma_cross-{answer.config_hash[:12]}.html"
    assert path.read_text(encoding="utf-8") == verdict_page(answer)
    other = write_verdict(answer, path=tmp_path / "a" / "b.html")
    assert other.read_bytes() == path.read_bytes()
    assert [file.name for file in other.parent.iterdir()] == ["b.html"]
    with pytest.raises(ReportError, match="no place is given"):
        write_verdict(answer)


def test_in_a_notebook_it_is_a_table(answer):
    shown = Verdict(answer)
    assert repr(shown).startswith(f"{HISTORY.study.line}\nsma_cross(fast=5, slow=20): {shown.verdict}\n")
    assert all(name.replace("_", " ") in repr(shown) for name in CHECKS)
    assert "<table>" in shown._repr_html_()


def test_a_run_that_is_no_audit_has_no_verdict(answer):
    with pytest.raises(NoData, match="no table 'checks'"):
        verdict_page(dataclasses.replace(answer, tables={}))


@pytest.mark.browser
@needs_browser
def test_a_browser_has_nothing_to_complain_about(answer, tmp_path):
    path = write_verdict(answer, path=tmp_path / "verdict.html")
    dom, console = seen(path, tmp_path / "profile")
    assert console == []
    assert dom.count("<section") == len(CHECKS)
