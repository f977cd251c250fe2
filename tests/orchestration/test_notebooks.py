"""The engine, on real kernels: each start costs about a second, so one notebook answers many questions."""

import asyncio
import json
import os
import time
from types import SimpleNamespace

import pytest

from workbench.orchestration import cells
from workbench.orchestration.cells import Ask
from workbench.orchestration.notebooks import BANNER, execute, mark
from workbench.store.tables.pipeline import Status


@pytest.fixture
def run(site, tmp_path):
    folder = tmp_path / "out {as_of}"  # papermill takes braces in a path for parameters

    def go(*written, values=None, timeout_s=600.0, **asked):
        notebook = site.notebook("n", *written)
        ask = Ask(
            environment={"WORKBENCH_TRACE_ID": "trace-1"},
            log=folder / "n.log",
            timeout_s=timeout_s,
            cwd=notebook.parent,
            identity={"run_id": "r1"},
            **asked,
        )
        ended = execute(notebook, folder / "n.ipynb", values or {}, ask)
        ended_file = json.loads(ended.path.read_text())
        assert ended_file["metadata"]["workbench"]["status"] == ended.status
        assert ended_file["metadata"]["workbench"]["run_id"] == "r1"
        return ended, ended_file

    return go


def test_a_notebook_that_ends_well(run, site, tmp_path):
    heard = []
    ended, file = run(
        """
        import os, sys
        from workbench.orchestration.outputs import record
        from workbench.trace import get_logger
        record("as_of", as_of)
        record("trace", os.environ["WORKBENCH_TRACE_ID"])
        record("python", sys.executable)
        record("cwd", os.getcwd())
        record("stubbed", sys.modules.get("rfc3987_syntax", "no") is None)
        """,
        """
        print("printed")
        os.write(2, b"from below\\n")
        get_logger("workbench.test").info("logged")
        import ipykernel.kernelapp as app
        record("transport", app.IPKernelApp.instance().transport)
        """,
        "",
        values={"as_of": "2015-07-01"},
        on_cell=lambda done, cells: heard.append((done, cells)),
    )
    assert (ended.status, ended.reason, ended.cell) == (Status.DONE, "", None)
    import sys

    assert ended.outputs == {
        "as_of": "2015-07-01",
        "trace": "trace-1",
        "python": sys.executable,
        "cwd": str(site.root / "notebooks"),
        "stubbed": True,
        "transport": "ipc",
    }
    assert heard == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]  # parameters, the injected values, and two cells with code
    assert (ended.cells_done, ended.cells) == (4, 4)
    assert 0 < ended.kernel_s < ended.runtime_s
    assert "widgets" not in file["metadata"]
    log = (tmp_path / "out {as_of}" / "n.log").read_text()
    assert "printed" in log
    assert "from below" in log
    line = next(json.loads(row) for row in log.splitlines() if '"logged"' in row)
    assert line["trace_id"] == "trace-1"


def test_a_cell_that_raises(run):
    ended, file = run("1", "raise ValueError('first\\nsecond')", "never = 1")
    assert ended.status is Status.FAILED
    assert ended.reason == "cell In [3] raised ValueError: first second"
    assert ended.cell == 3
    assert (ended.cells_done, ended.cells) == (2, 4)
    assert file["cells"][0]["metadata"]["tags"] == [BANNER]
    assert file["cells"][0]["source"] == "**FAILED** · cell In [3] raised ValueError: first second"
    statuses = [cell["metadata"]["papermill"]["status"] for cell in file["cells"][1:]]
    assert statuses == ["completed", "completed", "completed", "failed", "pending"]


def test_a_kernel_that_is_killed(run):
    """papermill's own engine writes `completed` here."""
    ended, file = run(
        "from workbench.orchestration.outputs import record; record('early', 1)", "import os; os.kill(os.getpid(), 9)"
    )
    assert ended.status is Status.FAILED
    assert ended.reason.startswith("the kernel died in cell In [3]: killed by SIGKILL")
    assert ended.outputs == {"early": 1}
    assert file["cells"][-1]["metadata"]["papermill"]["status"] == "failed"


def test_a_notebook_that_takes_too_long_is_stopped_where_it_is(run, tmp_path, monkeypatch):
    begun = tmp_path / "begun"  # an hour passes when the cell runs, however long its kernel took to start
    monkeypatch.setattr(cells, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600 * begun.exists()))
    monkeypatch.setattr(cells, "_INTERRUPT_S", 60.0)
    ended, file = run(
        "from pathlib import Path; import time", f"Path({str(begun)!r}).touch()\ntime.sleep(600)", timeout_s=600
    )
    assert ended.status is Status.FAILED
    assert ended.reason == "cell In [3] was still running when the notebook's 600 s were over"
    assert file["cells"][-1]["outputs"][0]["ename"] == "KeyboardInterrupt"  # the traceback shows where it hung


def test_a_stop_that_is_asked_for_is_no_failure(run, tmp_path):
    ended, _ = run(
        "from pathlib import Path; import os, time",
        f"Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\nwhile True:\n    time.sleep(0.1)",
        stop=lambda: "asked by {somebody}" if (tmp_path / "pid").exists() else "",
    )
    assert ended.status is Status.CANCELLED
    assert ended.reason == "stopped in cell In [3]: asked by {somebody}"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_end_can_be_marked_afterwards(tmp_path):
    path = tmp_path / "n.ipynb"
    mark(path, Status.FAILED, "gone")  # a file that was never written stays so
    assert not path.exists()
    path.write_text("{ cut off in the middle")
    mark(path, Status.FAILED, "gone")
    path.write_text(json.dumps({"cells": [], "metadata": {"workbench": {"status": "RUNNING", "step": "a"}}}))
    mark(path, Status.FAILED, "gone")
    mark(path, Status.FAILED, "gone for good")
    content = json.loads(path.read_text())
    assert content["metadata"]["workbench"] == {"status": "FAILED", "step": "a", "reason": "gone for good"}
    assert [cell["source"] for cell in content["cells"]] == ["**FAILED** · gone for good"]


def test_a_pipeline_can_be_run_from_a_notebook(run, tmp_path):
    """A kernel's loop is busy with the calling cell; the notebook that is run then gets a thread and a loop of its own.

    A notebook may leave threads and exit handlers behind: they are waited for.
    """

    async def cell():
        return run(
            f"""
            import atexit, threading, time
            from concurrent.futures import ThreadPoolExecutor
            from pathlib import Path
            left = Path({str(tmp_path / "left")!r})
            def late():
                time.sleep(0.5)
                left.write_text("thread")
            threading.Thread(target=late).start()
            ThreadPoolExecutor(1).submit(int)
            atexit.register(lambda: left.write_text(left.read_text() + " and handler"))
            """
        )

    ended, _ = asyncio.run(cell())
    assert ended.status is Status.DONE
    assert (tmp_path / "left").read_text() == "thread and handler"
