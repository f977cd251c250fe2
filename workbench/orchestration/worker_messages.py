"""What a worker and its child process say to each other, as values that fit through a pipe.

A worker that waits costs little, so nothing heavy is imported here: only the child loads the libraries of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from workbench.store.failure import Failure

# What does a job: `module:function`, called in the child as
# function(payload, *, workspace, progress, load, compute, job_id) and returning plain JSON values.
PERFORM = "workbench.backtest.jobs:perform"


@dataclass(frozen=True)
class Place:
    """Where a job's answer goes and how it is computed: what the child opens for itself; `logs`: whether it logs."""

    home: Path
    database_url: str
    vintages_url: str
    compute: str | None = None
    logs: bool = False


class Begin(NamedTuple):
    """To the child: do this."""

    job: str
    payload: dict[str, Any]
    trace_id: str


class Stop(NamedTuple):
    """To the child: stop doing this, as soon as the work looks up."""

    job: str


class Moved(NamedTuple):
    """From the child: how far it is."""

    job: str
    done: int
    total: int
    note: str


class Ended(NamedTuple):
    """From the child: how it ended. `result` of what is done, `failure` of what failed."""

    job: str
    how: Literal["done", "failed", "stopped"]
    result: dict[str, Any] | None = None
    failure: Failure | None = None


class Ready(NamedTuple):
    """From the child: it is there."""

    process: int
