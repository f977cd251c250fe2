"""An audit is one question: stored, found again, complete also where a check could not be made, and cancellable."""

from __future__ import annotations

import pandas as pd
import pytest
from sqlalchemy import select

from tests.backtest.audit.planted import NeedsThree, TomorrowsReturn
from tests.properties.future import random_history
from workbench.backtest.audit.auditing import CHECKS, audit, checks_of, verdict_of
from workbench.backtest.audit.check import FAIL, PASS, VERDICTS, WARN, worst
from workbench.backtest.costs import Costs
from workbench.backtest.runs import run
from workbench.errors import JobCancelled, NoData, ParameterError, StrategyFailed, WeightsRefused
from workbench.store.engine import transaction
from workbench.store.tables.backtest import BacktestRunRow
from workbench.strategies import SmaCross

HISTORY = random_history(seed=1, length=420)
FAST = SmaCross(fast=5, slow=20)


def rows(workspace):
    with transaction(workspace.engine) as session:
        return list(session.scalars(select(BacktestRunRow).where(BacktestRunRow.kind == "audit")))


def test_it_has_a_row_a_table_and_numbers_for_every_check(workspace):
    answer = audit(FAST, HISTORY, workspace=workspace)
    assert (answer.kind, answer.title, answer.label) == ("audit", FAST.line, HISTORY.label)
    assert answer.table("checks")["check"].tolist() == list(CHECKS)
    assert set(answer.tables) == {"checks", *CHECKS}
    for check in checks_of(answer):
        assert check.verdict in VERDICTS
        assert check.headline.endswith(".")
        assert check.why
        assert check.threshold
        pd.testing.assert_frame_equal(check.numbers, answer.table(check.name))
    summary = answer.summary
    assert summary["checks"] == 6 == summary["pass"] + summary["warn"] + summary["fail"]
    plain = run(FAST, HISTORY, workspace=workspace)
    assert summary["sharpe"] == pytest.approx(plain.summary["sharpe"])
    assert summary["total_return"] == pytest.approx(plain.summary["total_return"])
    row = rows(workspace)[0]
    assert (row.id, row.status, row.config_hash, row.summary) == (answer.id, "DONE", answer.config_hash, summary)


def test_the_same_question_is_answered_from_the_store_and_another_is_not(workspace):
    first = audit(FAST, HISTORY, workspace=workspace, checks=["future", "trades"])
    again = audit(FAST, HISTORY, workspace=workspace, checks=["trades", "future", "trades"])
    assert (first.reused, again.reused, again.id) == (False, True, first.id)
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(again.table(name), table)
    assert [check.name for check in checks_of(again)] == ["future", "trades"]
    dearer = audit(FAST, HISTORY, workspace=workspace, checks=["future", "trades"], costs=Costs(fee=0.01))
    assert (dearer.reused, len(rows(workspace))) == (False, 2)


def test_an_audit_is_not_mistaken_for_the_backtest(workspace):
    answer = audit(FAST, HISTORY, workspace=workspace, checks=["trades"])
    plain = run(FAST, HISTORY, workspace=workspace)
    assert (plain.reused, plain.kind) == (False, "backtest")
    assert plain.id != answer.id


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestOneDatabase:
    def test_a_strategy_that_peeks_fails_as_a_whole(self, workspace):
        answer = audit(TomorrowsReturn(), HISTORY, workspace=workspace)
        assert verdict_of(answer) == FAIL
        assert answer.summary["weights_changed_by_the_future"] > 0

    def test_where_it_raises_in_a_changed_world_that_check_fails_and_the_others_go_on(self, workspace):
        answer = audit(NeedsThree(), HISTORY, workspace=workspace)
        found = {check.name: check for check in checks_of(answer)}
        assert found["universe"].verdict == FAIL
        assert "three symbols at least, <please>" in found["universe"].headline
        assert "three symbols at least" in found["universe"].numbers["stopped"].iloc[0]
        assert found["future"].verdict == PASS
        assert len(found) == 6

    def test_a_fault_of_ours_is_not_blamed_on_the_strategy(self, workspace, monkeypatch):
        def broken(_subject):
            raise KeyError("our own")

        monkeypatch.setattr("workbench.backtest.audit.trades.check", broken)
        with pytest.raises(StrategyFailed) as caught:
            audit(FAST, HISTORY, workspace=workspace)
        assert isinstance(caught.value.__cause__, KeyError)
        assert rows(workspace)[0].status == "FAILED"

    def test_where_it_cannot_be_replayed_at_all_there_is_no_audit(self, workspace):
        class Short(NeedsThree):
            def target_weights(self, history):
                return super().target_weights(history).iloc[5:]

        with pytest.raises(WeightsRefused):
            audit(Short(), HISTORY, workspace=workspace)
        assert rows(workspace)[0].status == "FAILED"

    def test_a_check_that_does_not_exist_is_refused_with_the_nearest(self, workspace):
        with pytest.raises(ParameterError, match="'fture', which is no check") as caught:
            audit(FAST, HISTORY, workspace=workspace, checks=["fture"])
        assert caught.value.remedy == "did you mean 'future'?"
        with pytest.raises(ParameterError, match="checks is empty"):
            audit(FAST, HISTORY, workspace=workspace, checks=[])
        assert rows(workspace) == []

    def test_it_tells_how_far_it_is_and_ends_at_once_when_it_is_cancelled(self, workspace):
        heard = []
        audit(FAST, HISTORY, workspace=workspace, progress=lambda *told: heard.append(told))
        assert heard[0] == (0, 6, "future")
        assert heard[-1] == (6, 6, "done")
        assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)
        assert len(heard) > 60  # before every question and replay, so that a cancel is heard within one of them

        def stop(done, _total, _name):
            if done == 3:
                raise JobCancelled("stopped")

        with pytest.raises(JobCancelled):
            audit(SmaCross(fast=6, slow=20), HISTORY, workspace=workspace, progress=stop)
        assert {row.params["fast"]: row.status for row in rows(workspace)} == {5: "DONE", 6: "CANCELLED"}

    def test_a_run_of_another_kind_has_no_checks(self, workspace):
        with pytest.raises(NoData, match="no table 'checks'"):
            checks_of(run(FAST, HISTORY, workspace=workspace))


def test_the_worst_counts():
    assert worst([PASS, FAIL, WARN]) == FAIL
    assert worst([PASS, WARN]) == WARN
    assert worst([]) == PASS
