"""A worker process of the tests, on the work of `tests/orchestration/job_tasks.py`: it may be killed at any instant."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.orchestration import worker_main
from workbench.orchestration.worker import Worker
from workbench.store.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parents[2]))  # where the child finds the work, too
PERFORM = "tests.orchestration.job_tasks:perform"


def main(home: str, url: str) -> None:
    workspace = Workspace.open(Path(home), database_url=url)
    worker = Worker(workspace, perform=PERFORM, poll_s=0.02, grace_s=0.0)
    worker_main.obeying_signals(worker, until_idle=True)
    workspace.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
