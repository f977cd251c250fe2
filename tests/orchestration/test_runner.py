"""Runs: once each, resumable, one at a time. Most notebooks are acted by a function; the last tests use kernels."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from workbench.errors import LeaseLost, NotebookFailed, PipelineError, StudyError
from workbench.orchestration import notebooks
from workbench.orchestration.notebooks import Executed
from workbench.orchestration.progress import Lines
from workbench.orchestration.runner import backfill, run
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.pipeline import PipelineRunRow, Status, StepRunRow

THREE = (
    "name: a, notebook: notebooks/a.ipynb",
    "name: b, notebook: notebooks/b.ipynb, needs: [a], outputs: [x]",
    "name: c, notebook: notebooks/c.ipynb, needs: [b]",
)


class Actors:
    """Stands in for the execution of notebooks: counts, and fails where told."""

    def __init__(self):
        self.played = []
        self.asked = {}
        self.wrong = {}
        self.meanwhile = lambda _step: None

    def __call__(self, notebook, executed, parameters, ask):
        step = executed.stem
        self.played.append(step)
        self.asked[step] = (dict(parameters), ask)
        ask.on_cell(0, 2)
        self.meanwhile(step)
        executed.parent.mkdir(parents=True, exist_ok=True)
        executed.write_text(json.dumps({"cells": [], "metadata": {}}))
        status, reason = self.wrong.get(step, (Status.DONE, ""))
        if ask.stop():
            status, reason = Status.CANCELLED, ask.stop()
        outputs = {"x": 1} if step == "b" else {}
        return Executed(executed, status, reason, 2 if reason else None, 1, 2, outputs, 0.25, 1.0)


@pytest.fixture
def actors(monkeypatch):
    acting = Actors()
    monkeypatch.setattr(notebooks, "execute", acting)
    return acting


@pytest.fixture
def three(site):
    for name in "abc":
        site.notebook(name, "1")
    return site.pipeline(*THREE, parameters="{as_of: 2015-06-30}")


def rows(workspace, kind):
    """All rows of a table in the order of writing."""
    key = next(
        getattr(kind, name) for name in ("position", "happened", "started_at") if getattr(kind, name, None) is not None
    )
    with transaction(workspace.engine) as session:
        return session.scalars(select(kind).order_by(key)).all()


def test_a_run_is_written_down(three, actors, workspace):
    summary = run(three, workspace=workspace)
    assert actors.played == ["a", "b", "c"]
    assert summary.status is Status.DONE
    assert summary.session == "2015-06-30"
    assert summary.folder == workspace.runs / "tiny" / "2015-06-30" / summary.run_id
    assert [(step.name, step.status, step.kernel_s, step.runtime_s) for step in summary.steps] == [
        (name, Status.DONE, 0.25, 1.0) for name in "abc"
    ]
    assert summary.steps[1].outputs == {"x": 1}
    parameters, ask = actors.asked["b"]
    assert parameters == {"as_of": "2015-06-30"}
    assert ask.environment["WORKBENCH_TRACE_ID"] == summary.trace_id
    assert ask.environment["WORKBENCH_HOME"] == str(workspace.home)
    assert ask.environment["WORKBENCH_RUN_FOLDER"] == str(summary.folder)
    assert ask.environment["WORKBENCH_STEP"] == "b"
    assert {row.trace_id for kind in (PipelineRunRow, StepRunRow, AuditRow) for row in rows(workspace, kind)} == {
        summary.trace_id
    }
    log = [json.loads(line) for line in (summary.folder / "run.log").read_text().splitlines()]
    assert {line["trace_id"] for line in log} == {summary.trace_id}
    assert log[-1]["event"] == "run ended"


def test_the_same_question_is_not_run_twice(three, actors, workspace, capsys):
    first = run(three, workspace=workspace)
    second = run(three, workspace=workspace, progress=Lines(sys.stdout))
    assert actors.played == ["a", "b", "c"]
    assert (second.run_id, second.reused, first.reused) == (first.run_id, True, False)
    assert "nothing was run" in capsys.readouterr().out
    assert len(rows(workspace, PipelineRunRow)) == 1
    run(three, workspace=workspace, as_of="2015-07-01")
    assert len(actors.played) == 6
    run(three, workspace=workspace, again=True)
    assert len(actors.played) == 9


@pytest.mark.usefixtures("actors")
def test_an_edited_notebook_is_another_question(site, three, workspace):
    run(three, workspace=workspace)
    site.notebook("c", "2")
    assert not run(type(three).load(three.path), workspace=workspace).reused


def test_a_failure_stops_the_pipeline_and_says_where(three, actors, workspace):
    actors.wrong["b"] = (Status.FAILED, "cell In [2] raised ValueError: no")
    with pytest.raises(NotebookFailed) as caught:
        run(three, workspace=workspace)
    assert actors.played == ["a", "b"]
    error = caught.value
    assert (
        "step 'b' of pipeline 'tiny' for session 2015-06-30 failed: cell In [2] raised ValueError: no" in error.message
    )
    assert error.facts["executed"] in error.remedy
    assert "--as-of 2015-06-30 --resume" in error.remedy
    assert error.facts["cell"] == 2
    (row,) = rows(workspace, PipelineRunRow)
    assert (row.status, row.error_code) == ("FAILED", "WB802")
    steps = {step.step: step for step in rows(workspace, StepRunRow)}
    assert {name: step.status for name, step in steps.items()} == {"a": "DONE", "b": "FAILED", "c": "SKIPPED"}
    assert steps["b"].error == "cell In [2] raised ValueError: no"


def test_resume_reuses_what_is_finished(three, actors, workspace):
    actors.wrong["c"] = (Status.FAILED, "no")
    with pytest.raises(NotebookFailed):
        run(three, workspace=workspace)
    with pytest.raises(NotebookFailed):
        run(three, workspace=workspace, resume=True)
    del actors.wrong["c"]
    summary = run(three, workspace=workspace, resume=True)
    assert actors.played == ["a", "b", "c", "c", "c"]
    original = rows(workspace, PipelineRunRow)[0].id
    assert [step.reused_from for step in summary.steps] == [original, original, None]
    assert summary.steps[1].outputs == {"x": 1}
    assert summary.steps[0].executed.parent.name == original
    assert summary.status is Status.DONE


def test_resume_runs_again_what_has_changed_and_what_stands_on_it(site, three, actors, workspace):
    actors.wrong["c"] = (Status.FAILED, "no")
    with pytest.raises(NotebookFailed):
        run(three, workspace=workspace)
    actors.wrong.clear()
    site.notebook("b", "2")
    run(type(three).load(three.path), workspace=workspace, resume=True)
    assert actors.played == ["a", "b", "c", "b", "c"]


def test_resume_does_not_trust_a_step_whose_notebook_is_gone(three, actors, workspace):
    actors.wrong["c"] = (Status.FAILED, "no")
    with pytest.raises(NotebookFailed) as caught:
        run(three, workspace=workspace)
    (workspace.runs / "tiny" / "2015-06-30" / caught.value.facts["run_id"] / "a.ipynb").unlink()
    actors.wrong.clear()
    run(three, workspace=workspace, resume=True)
    assert actors.played == ["a", "b", "c", "a", "b", "c"]


def test_resume_without_a_broken_run_runs_all(three, actors, workspace, capsys):
    run(three, workspace=workspace, resume=True, progress=Lines(sys.stdout))
    assert actors.played == ["a", "b", "c"]
    assert "no run of this session is broken" in capsys.readouterr().out


@pytest.mark.usefixtures("actors")
def test_a_promised_output_that_is_missing_is_a_failure(site, workspace):
    site.notebook("a", "1")
    pipeline = site.pipeline(THREE[0] + ", outputs: [best, x]", parameters="{as_of: 2015-06-30}")
    with pytest.raises(NotebookFailed, match="without recording best, x; it recorded nothing"):
        run(pipeline, workspace=workspace)
    (step,) = rows(workspace, StepRunRow)
    assert step.status == "FAILED"
    about = json.loads((workspace.runs / "tiny" / "2015-06-30" / step.run_id / "a.ipynb").read_text())["metadata"]
    assert about["workbench"]["status"] == "FAILED"


def test_two_runners_do_not_meet(three, actors, workspace):
    refused = []

    def meanwhile(step):
        if step == "b":
            with pytest.raises(PipelineError, match="already being run") as caught:
                run(three, workspace=workspace)
            refused.append(caught.value)

    actors.meanwhile = meanwhile
    assert run(three, workspace=workspace).status is Status.DONE
    assert len(refused) == 1
    assert actors.played == ["a", "b", "c"]


def test_two_runners_of_two_sessions_do_not_mind_each_other(three, actors, workspace):
    def meanwhile(step):
        if step == "b" and actors.asked["b"][0] == {"as_of": "2015-06-30"}:
            run(three, workspace=workspace, as_of="2015-07-01")

    actors.meanwhile = meanwhile
    run(three, workspace=workspace)
    assert {row.session: row.status for row in rows(workspace, PipelineRunRow)} == {
        "2015-06-30": "DONE", "2015-07-01": "DONE",
    }  # fmt: skip


def test_a_runner_that_was_taken_over_stops_and_writes_nothing_more(three, actors, workspace):
    def meanwhile(step):
        if step == "b":
            with transaction(workspace.engine) as session:
                session.execute(update(PipelineRunRow).values(holder="other:1:other:x"))

    actors.meanwhile = meanwhile
    with pytest.raises(LeaseLost):
        run(three, workspace=workspace)
    (row,) = rows(workspace, PipelineRunRow)
    assert (row.status, row.holder) == ("RUNNING", "other:1:other:x")


def test_cancelling_ends_the_run_as_cancelled(three, actors, workspace):
    cancel = threading.Event()
    actors.meanwhile = lambda step: cancel.set() if step == "b" else None
    with pytest.raises(PipelineError, match="was cancelled"):
        run(three, workspace=workspace, cancel=cancel)
    assert [row.status for row in rows(workspace, PipelineRunRow)] == ["CANCELLED"]
    assert sorted(row.status for row in rows(workspace, StepRunRow)) == ["CANCELLED", "DONE", "SKIPPED"]


def test_a_surprise_ends_the_run_as_failed(three, actors, workspace):
    def meanwhile(_step):
        raise RuntimeError("disk full")

    actors.meanwhile = meanwhile
    with pytest.raises(RuntimeError):
        run(three, workspace=workspace)
    (row,) = rows(workspace, PipelineRunRow)
    assert (row.status, row.error) == ("FAILED", "RuntimeError: disk full")
    assert sorted(row.status for row in rows(workspace, StepRunRow)) == ["FAILED", "SKIPPED", "SKIPPED"]


def hosting_that_counts(opened):
    @contextmanager
    def hosting(plan):
        opened.append(plan.session)
        yield {"WORKBENCH_EXCHANGE_URL": "http://127.0.0.1:1"}
        opened.append("closed")

    return hosting


def test_what_is_hosted_is_open_while_notebooks_run_and_only_then(three, actors, workspace):
    opened = []
    run(three, workspace=workspace, hosting=hosting_that_counts(opened))
    assert opened == ["2015-06-30", "closed"]
    assert actors.asked["a"][1].environment["WORKBENCH_EXCHANGE_URL"] == "http://127.0.0.1:1"
    run(three, workspace=workspace, hosting=hosting_that_counts(opened))
    assert opened == ["2015-06-30", "closed"]


def test_a_backfill_runs_the_sessions_in_order(three, actors, workspace):
    opened = []
    summaries = backfill(
        three, start="2015-07-01", end="2015-07-06", workspace=workspace, hosting=hosting_that_counts(opened)
    )
    assert [summary.session for summary in summaries] == ["2015-07-01", "2015-07-02", "2015-07-06"]
    assert opened == ["2015-07-01", "closed"]  # once for all sessions
    assert actors.asked["c"][0] == {"as_of": "2015-07-06"}


def test_a_backfill_stops_at_the_first_failure(three, actors, workspace):
    def meanwhile(_step):
        if actors.played.count("b") == 2:
            actors.wrong["b"] = (Status.FAILED, "no")

    actors.meanwhile = meanwhile
    with pytest.raises(NotebookFailed, match="2015-07-02"):
        backfill(three, start="2015-07-01", end="2015-07-06", workspace=workspace)
    assert {row.session: row.status for row in rows(workspace, PipelineRunRow)} == {
        "2015-07-01": "DONE", "2015-07-02": "FAILED",
    }  # fmt: skip


def test_a_backfill_without_a_session_or_with_a_wrong_one_runs_nothing(three, actors, workspace):
    with pytest.raises(PipelineError, match="no session"):
        backfill(three, start="2015-07-06", end="2015-07-01", workspace=workspace)
    with pytest.raises(StudyError):
        run(three, workspace=workspace, as_of="2015-07-04")
    assert actors.played == []
    assert rows(workspace, PipelineRunRow) == []


# -- with kernels -----------------------------------------------------------------------------------------------------


def test_a_real_day(site, workspace, capsys):
    site.notebook(
        "a",
        "import workbench.trace as trace",
        "from workbench.orchestration.outputs import record\nrecord('trace', trace.trace_id())",
    )
    site.notebook(
        "b",
        """
        import os
        from pathlib import Path
        from workbench.orchestration.outputs import record
        page = Path(os.environ["WORKBENCH_RUN_FOLDER"]) / "own.html"
        page.write_text(os.environ["WORKBENCH_SESSION"])
        record("report", page)
        """,
    )
    pipeline = site.pipeline(
        "name: a, notebook: notebooks/a.ipynb, outputs: [trace]",
        "name: b, notebook: notebooks/b.ipynb, report: true, needs: [a]",
        parameters="{as_of: 2015-06-30}",
    )
    summary = run(pipeline, workspace=workspace, progress=Lines(sys.stdout))
    assert summary.steps[0].outputs == {"trace": summary.trace_id}
    assert summary.report == summary.folder / "own.html"
    assert summary.report.read_text() == "2015-06-30"
    about = json.loads(summary.steps[0].executed.read_text())["metadata"]["workbench"]
    assert about == {
        "pipeline": "tiny", "session": "2015-06-30", "run_id": summary.run_id, "step": "a",
        "trace_id": summary.trace_id, "status": "DONE", "reason": "",
    }  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"tiny · 2015-06-30 · run {summary.run_id[:8]} · 2 steps"
    assert lines[1] == "[1/2] a: 4 cells"
    assert lines[2].startswith("[1/2] a: done in ")
    assert len(lines) == 5
    summary.report.unlink()
    assert not run(pipeline, workspace=workspace).reused  # a run whose page is gone answers nothing


def test_the_page_is_made_from_the_report_notebook(site, workspace):
    record = "from workbench.orchestration.outputs import record\n"
    site.notebook("a", record + "record('study', 'AAPL · 2015')")
    steps = "name: a, notebook: notebooks/a.ipynb, report: true"
    with pytest.raises(NotebookFailed, match="did not record label"):
        run(site.pipeline(steps, parameters="{as_of: 2015-06-30}"), workspace=workspace)
    site.notebook("a", record + "record('study', 'AAPL · 2015')\nrecord('label', 'real · closes')")
    summary = run(site.pipeline(steps, parameters="{as_of: 2015-06-30}"), workspace=workspace)
    page = summary.report.read_text()
    assert summary.report == summary.folder / "report.html"
    assert page.index("AAPL · 2015") < page.index("real · closes") < page.index(summary.trace_id)


@pytest.fixture
def long_run(site, tmp_path):
    """`workbench run tiny` in a process of its own, standing in the second notebook."""
    site.notebook("a", f"with open({str(tmp_path / 'a.count')!r}, 'a') as f: f.write('x')")
    wait = f"""
        import os, time
        from pathlib import Path
        if not Path({str(tmp_path / "go")!r}).exists():
            Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
            time.sleep(600)
        """
    site.notebook("b", wait)
    site.pipeline(
        "name: a, notebook: notebooks/a.ipynb",
        "name: b, notebook: notebooks/b.ipynb, needs: [a]",
        parameters="{as_of: 2015-06-30}",
    )
    command = [sys.executable, "-c", "from workbench.cli import main; main()", "run", "tiny"]
    with subprocess.Popen(
        [*command, "--home", str(tmp_path / "home")],
        cwd=site.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 180
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, int((tmp_path / "pid").read_text())
        process.kill()


def gone(pid):
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other process finds it by its folder
def test_a_terminated_run_is_cancelled_and_leaves_no_kernel(long_run, workspace):
    process, kernel = long_run
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted; what was finished is kept."
    assert "Traceback" not in said
    assert gone(kernel)
    (row,) = rows(workspace, PipelineRunRow)
    assert (row.status, row.error) == ("CANCELLED", "the process was interrupted")
    assert [step.status for step in rows(workspace, StepRunRow)] == ["DONE", "CANCELLED"]
    executed = json.loads((workspace.runs / "tiny" / "2015-06-30" / row.id / "b.ipynb").read_text())
    assert executed["metadata"]["workbench"]["status"] == "CANCELLED"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other process finds it by its folder
def test_a_killed_run_is_taken_over_and_resumed(long_run, workspace, site, tmp_path):
    process, kernel = long_run
    process.kill()
    process.wait()
    (dead,) = rows(workspace, PipelineRunRow)
    assert dead.status == "RUNNING"
    (tmp_path / "go").touch()
    from workbench.orchestration.pipeline import Pipeline

    summary = run(Pipeline.load(site.root / "pipelines" / "tiny.yaml"), workspace=workspace, resume=True)
    assert (tmp_path / "a.count").read_text() == "x"
    assert [step.reused_from for step in summary.steps] == [dead.id, None]
    before = {row.id: row for row in rows(workspace, PipelineRunRow)}[dead.id]
    assert before.status == "FAILED"
    assert "stopped without a word" in before.error
    executed = json.loads((workspace.runs / "tiny" / "2015-06-30" / dead.id / "b.ipynb").read_text())
    assert executed["metadata"]["workbench"]["status"] == "FAILED"
    assert gone(kernel)  # it notices that its parent is gone
