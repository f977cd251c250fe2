"""A question is answered once: what is stored, what is reused, what makes another question, and who wins a race."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from tests.properties.future import random_history
from workbench.backtest import ledger, metrics
from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.question import fingerprint
from workbench.backtest.runs import run
from workbench.errors import BacktestError, NoData
from workbench.market.bars import Bars
from workbench.run import Run
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.backtest import BacktestRunRow
from workbench.strategies import BuyAndHold, Condition, Rules, SmaCross
from workbench.strategy import Strategy
from workbench.trace import tracing

HISTORY = random_history(seed=1)
FAST = SmaCross(fast=5, slow=20)
ONE_ROW = {
    **dict.fromkeys(("strategy", "strategy_hash", "slice_hash", "timeframe", "start", "end", "data_source"), "x"),
    **{name: {} for name in ("params", "study", "costs", "provenance")},
    "universe": [],
    "initial_cash": 1.0,
    "execution_price": "next_open",
}


def stored(workspace):
    with transaction(workspace.engine) as session:
        return list(session.scalars(select(BacktestRunRow).order_by(BacktestRunRow.created_at)))


class TestAnswer:
    def test_it_repeats_the_question_and_says_everything_about_itself(self, workspace):
        with tracing("a" * 32):
            answer = run(FAST, HISTORY, workspace=workspace, costs=Costs(fee=0.001))
        assert (answer.kind, answer.title, answer.label) == (
            "backtest",
            "sma_cross(fast=5, slow=20)",
            "SYNTHETIC · seed 1",
        )
        assert answer.study == HISTORY.study
        assert answer.config["costs"] == Costs(fee=0.001).to_dict()
        assert answer.config["rules"]["execution_price"] == "next_open"
        assert answer.provenance["versions"]["vectorbt"] == "1.2.0"
        assert answer.provenance["data"]["synthetic"] is True
        row = stored(workspace)[0]
        assert (row.id, row.config_hash, row.status, row.trace_id) == (answer.id, answer.config_hash, "DONE", "a" * 32)
        assert (row.strategy, row.params, row.data_source) == ("sma_cross", {"fast": 5, "slow": 20}, "synthetic")
        assert (row.start, row.end) == (str(HISTORY.study.start.date()), str(HISTORY.study.end.date()))
        assert row.summary == answer.summary
        assert row.runtime_s > 0

    def test_its_tables_agree_with_its_numbers(self, workspace):
        answer = run(FAST, HISTORY, workspace=workspace)
        equity = answer.table("equity")
        assert list(equity.columns) == ["equity", "cash", "exposure", "gross", "return"]
        assert equity.index.equals(HISTORY.evaluated)
        assert equity["equity"].iloc[0] == HISTORY.study.initial_cash
        assert answer.summary["final_equity"] == equity["equity"].iloc[-1]
        assert answer.summary["total_return"] == pytest.approx(equity["equity"].iloc[-1] / 100_000 - 1)
        assert answer.summary["max_drawdown"] == pytest.approx(answer.table("drawdown")["drawdown"].min())
        assert answer.summary["sharpe"] == metrics.sharpe(equity["return"])
        assert answer.summary["trades"] == len(answer.table("trades"))
        assert list(answer.summary)[:4] == ["total_return", "cagr", "annual_volatility", "sharpe"]
        assert {"total_return", "cagr", "sharpe", "max_drawdown", "sortino", "win_rate"} <= set(answer.intervals)
        assert set(answer.intervals) <= set(answer.summary)
        own = {"equity", "drawdown", "weights", "orders", "trades", "positions", "financing", "luck"}
        odds = {"shuffled_returns", "shuffled_trades", "fan_returns", "fan_trades"}
        assert set(answer.tables) == own | odds
        assert (answer.table("orders")["decided"] >= HISTORY.study.start).all()

    def test_close_only_data_is_filled_at_closes(self, workspace):
        answer = run(BuyAndHold(), random_history(close_only=True), workspace=workspace)
        assert answer.config["rules"]["execution_price"] == "next_close"

    def test_undefined_numbers_are_none_and_never_zero(self, workspace):
        answer = run(Never(), HISTORY, workspace=workspace)
        assert answer.summary["total_return"] == 0
        assert answer.summary["trades"] == 0
        assert [answer.summary[name] for name in ("sharpe", "psr", "calmar", "win_rate", "profit_factor")] == [None] * 5
        assert answer.intervals == {}
        assert run(Never(), HISTORY, workspace=workspace).table("orders").empty


class TestLabel:
    def test_a_fill_that_nobody_can_have_is_said_wherever_a_number_stands(self, workspace):
        answer = run(FAST, HISTORY, workspace=workspace, rules=FillRules(execution_price="same_close"))
        assert answer.label == "SYNTHETIC · seed 1 · FILLED AT THE CLOSE OF THE DECISION, which nobody can do"

    def test_the_engine_is_named(self, workspace):
        assert run(FAST, HISTORY, workspace=workspace).provenance["engine"] == "vectorbt"
        costly = run(FAST, HISTORY, workspace=workspace, costs=Costs(fee_per_order=1.0))
        assert costly.provenance["engine"] == "replay"


class TestLuck:
    def test_every_answer_says_how_many_ideas_were_tried_before_it(self, workspace):
        counts = [
            run(SmaCross(fast=fast, slow=20), HISTORY, workspace=workspace).table("luck")["value"]["trials"]
            for fast in (5, 6, 5)
        ]
        # The third is the first one again: stored, and yet counted anew.
        assert counts == [1, 2, 2]

    def test_another_year_of_the_same_market_does_not_forget_them(self, workspace):
        run(FAST, HISTORY, workspace=workspace)
        later = run(SmaCross(fast=6, slow=20), HISTORY.until(HISTORY.sessions[-50]), workspace=workspace)
        assert later.table("luck")["value"]["trials"] == 2


class TestReuse:
    def test_the_identical_question_is_answered_from_the_store(self, workspace):
        first = run(FAST, HISTORY, workspace=workspace)
        second = run(SmaCross(fast=5, slow=20), random_history(seed=1), workspace=workspace)
        assert (first.reused, second.reused) == (False, True)
        assert dataclasses.replace(second, reused=False, tables={}) == dataclasses.replace(first, tables={})
        assert "stored answer" in repr(second)
        for name, table in first.tables.items():
            pd.testing.assert_frame_equal(second.table(name), table, check_freq=False)
        assert len(stored(workspace)) == 1

    def test_every_part_of_the_question_makes_another_one(self, workspace):
        nudged = Bars(**{name: frame.copy() for name, frame in HISTORY.bars})
        nudged.close.iloc[3, 0] += 1e-9
        study = HISTORY.study
        asked = [
            (FAST, HISTORY, {}),
            (SmaCross(fast=6, slow=20), HISTORY, {}),
            (BuyAndHold(), HISTORY, {}),
            (FAST, HISTORY, {"costs": Costs(fee=0.001)}),
            (FAST, HISTORY, {"rules": FillRules(execution_price="next_close")}),
            (FAST, dataclasses.replace(HISTORY, bars=nudged), {}),
            (FAST, dataclasses.replace(HISTORY, study=dataclasses.replace(study, seed=8)), {}),
            (FAST, dataclasses.replace(HISTORY, study=dataclasses.replace(study, initial_cash=5e4)), {}),
            (FAST, dataclasses.replace(HISTORY, study=dataclasses.replace(study, start=HISTORY.sessions[300])), {}),
        ]
        answers = [run(strategy, history, workspace=workspace, **rest) for strategy, history, rest in asked]
        assert len({answer.config_hash for answer in answers}) == len({answer.id for answer in answers}) == len(asked)
        assert not any(answer.reused for answer in answers)

    def test_where_a_default_is_said_aloud_the_question_is_the_same(self, workspace):
        first = run(FAST, HISTORY, workspace=workspace)
        assert (
            run(FAST, HISTORY, workspace=workspace, costs=Costs(), rules=FillRules(execution_price="next_open")).id
            == first.id
        )

    def test_an_answer_whose_artifacts_are_gone_is_computed_again(self, workspace):
        first = run(FAST, HISTORY, workspace=workspace)
        (workspace.artifacts / first.id / "run.json").unlink()
        again = run(FAST, HISTORY, workspace=workspace)
        assert (again.id, again.reused, again.summary) == (first.id, False, first.summary)
        assert Run.load(workspace.artifacts / first.id).summary == first.summary
        assert [entry.name for entry in workspace.artifacts.iterdir()] == [first.id]

    def test_the_fingerprint_sees_every_number(self):
        def with_close(row, column, value):
            frame = HISTORY.close.copy()
            frame.iloc[row, column] = value
            return dataclasses.replace(HISTORY, bars=dataclasses.replace(HISTORY.bars, close=frame))

        fingerprints = {
            fingerprint(HISTORY),
            fingerprint(with_close(0, 0, 1.0)),
            fingerprint(with_close(0, 0, np.nan)),
            fingerprint(with_close(0, 1, np.nan)),
            fingerprint(dataclasses.replace(HISTORY, bars=dataclasses.replace(HISTORY.bars, volume=None))),
        }
        assert len(fingerprints) == 5
        assert fingerprint(random_history(seed=1)) == fingerprint(HISTORY)


class Never(Strategy):
    """Wishes for nothing."""

    name: ClassVar[str] = "never"
    warm_up: ClassVar[int] = 0

    def target_weights(self, history):
        return history.close * np.nan


class Moody(Strategy):
    """Does what the test says."""

    name: ClassVar[str] = "moody"
    warm_up: ClassVar[int] = 0
    mood: ClassVar[list[object]] = []

    def target_weights(self, history):
        answer = self.mood[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer(history)


class TestFailure:
    def test_a_failed_run_says_why_and_asking_again_tries_again(self, workspace):
        Moody.mood[:] = [ZeroDivisionError("division by zero")]
        with pytest.raises(BacktestError, match=r"moody\(\) stopped with ZeroDivisionError: division by zero"):
            run(Moody(), HISTORY, workspace=workspace)
        row = stored(workspace)[0]
        assert (row.status, row.error_code, row.summary, row.artifacts) == ("FAILED", "WB503", None, None)
        assert "ZeroDivisionError" in row.error
        Moody.mood[:] = [lambda history: history.close * np.nan]
        again = run(Moody(), HISTORY, workspace=workspace)
        row = stored(workspace)[0]
        assert (row.id, row.status, row.error_code, row.error) == (again.id, "DONE", None, None)
        with transaction(workspace.engine) as session:
            steps = session.scalars(select(AuditRow.action).where(AuditRow.entity_id == row.id)).all()
        assert sorted(steps) == ["DONE", "FAILED", "RUNNING", "RUNNING"]

    def test_an_error_of_the_tree_keeps_its_code(self, workspace):
        needs_range = Rules(
            entry=(Condition(left="atr(14)", op=">", right=1),), exit=(Condition(left="close", op="<", right=1),)
        )
        with pytest.raises(NoData, match="close-only"):
            run(needs_range, random_history(close_only=True), workspace=workspace)
        assert (stored(workspace)[0].status, stored(workspace)[0].error_code) == ("FAILED", "WB302")

    def test_an_interrupted_run_is_cancelled(self, workspace):
        Moody.mood[:] = [KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            run(Moody(), HISTORY, workspace=workspace)
        assert stored(workspace)[0].status == "CANCELLED"

    def test_weights_that_break_the_contract_are_refused(self, workspace):
        cases = {
            "wished for something in the warm-up": lambda history: history.close * 0.0,
            r"returned weights of shape \(110, 4\)": lambda history: history.close.loc[history.study.start :] * 0.0,
            "sum to 2.0": lambda history: (history.close * 0 + 0.5).where(
                pd.Series(history.sessions >= history.study.start, index=history.sessions), axis=0
            ),
        }
        for says, wrong in cases.items():
            Moody.mood[:] = [wrong]
            with pytest.raises(BacktestError, match=says):
                run(Moody(), HISTORY, workspace=workspace)

    def test_one_session_is_too_few(self, workspace):
        with pytest.raises(BacktestError, match="1 bar lies between"):
            run(BuyAndHold(), random_history(length=300, warm_up=299), workspace=workspace)


class TestRace:
    def test_of_many_asking_at_once_one_answers(self, workspace):
        answers, together = [], threading.Barrier(4)

        def ask():
            together.wait()
            answers.append(run(FAST, HISTORY, workspace=workspace))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({answer.id for answer in answers}) == 1
        assert sorted(answer.reused for answer in answers) == [False, True, True, True]
        assert len(stored(workspace)) == 1

    def test_two_processes_end_with_one_row(self, workspace):
        row = {**ONE_ROW, "config_hash": "f" * 64}
        code = (
            "import json, sys, time\n"
            "from workbench.backtest import ledger\n"
            "from workbench.store.engine import open_engine\n"
            "engine = open_engine(sys.argv[1])\n"
            "done = lambda _: True\n"
            "claimed = ledger.claim(engine, json.loads(sys.argv[2]), complete=done)\n"
            "if claimed.mine:\n"
            "    time.sleep(0.5)\n"
            "    ledger.finish(engine, claimed, summary={'sharpe': 1.0}, artifacts='here', runtime_s=0.5)\n"
            "print(claimed.id, claimed.mine)\n"
            "engine.dispose()\n"
        )
        url = workspace.engine.url.render_as_string(hide_password=False)
        command = [sys.executable, "-c", code, url, json.dumps(row)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = sorted(process.communicate(timeout=120)[0].split() for process in processes)
        assert [process.returncode for process in processes] == [0, 0]
        assert said[0][0] == said[1][0]
        assert sorted(line[1] for line in said) == ["False", "True"]
        assert [(found.status, found.summary) for found in stored(workspace)] == [("DONE", {"sharpe": 1.0})]

    def _abandon(self, workspace, owner):
        """Leave a RUNNING row behind, as a killed process does."""
        answer = run(FAST, HISTORY, workspace=workspace)
        with transaction(workspace.engine) as session:
            row = session.get(BacktestRunRow, answer.id)
            row.status, row.owner, row.summary = "RUNNING", owner, None
        (workspace.artifacts / answer.id / "run.json").unlink()
        return answer

    def test_the_claim_of_a_dead_process_is_taken_over(self, workspace):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        left = self._abandon(workspace, ledger.owner_of(dead.pid))
        again = run(FAST, HISTORY, workspace=workspace)
        assert (again.id, again.reused, stored(workspace)[0].status) == (left.id, False, "DONE")

    def test_a_silent_owner_elsewhere_is_waited_for_but_not_for_ever(self, workspace):
        left = self._abandon(workspace, "another-machine/1")
        values = {"config_hash": left.config_hash}
        claimed = ledger.claim(workspace.engine, values, complete=lambda _: False, patience=0.2)
        assert (claimed.id, claimed.mine) == (left.id, True)

    def test_a_claim_that_was_taken_over_writes_nothing(self, workspace):
        left = self._abandon(workspace, "another-machine/1")
        with transaction(workspace.engine) as session:
            late = ledger.Claim(left.id, mine=True, version=session.get(BacktestRunRow, left.id).version)
        taken = ledger.claim(
            workspace.engine, {"config_hash": left.config_hash}, complete=lambda _: False, patience=0.0
        )
        ledger.give_up(workspace.engine, late, "FAILED", error_code="WB500", error="late", runtime_s=1.0)
        assert stored(workspace)[0].status == "RUNNING"
        ledger.finish(workspace.engine, taken, summary={"sharpe": 1.0}, artifacts="here", runtime_s=1.0)
        assert (stored(workspace)[0].status, stored(workspace)[0].summary) == ("DONE", {"sharpe": 1.0})

    def test_a_row_that_the_database_refuses_is_an_error_not_an_endless_wait(self, workspace):
        from sqlalchemy.exc import IntegrityError

        with pytest.raises(IntegrityError):
            ledger.claim(workspace.engine, {"config_hash": "x"}, complete=lambda _: False)


def test_artifacts_are_plain_files(workspace):
    answer = run(FAST, HISTORY, workspace=workspace)
    folder = workspace.artifacts / answer.id
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["config"] == answer.config
    assert sorted(path.name for path in folder.glob("*.parquet")) == sorted(f"{name}.parquet" for name in answer.tables)
