"""The ledger of backtests: one row per question, who is answering it, and which slice of the data it is about."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from workbench.errors import BacktestError
from workbench.store.audit import record
from workbench.store.engine import transaction
from workbench.store.processes import process_runs
from workbench.store.schema import new_id
from workbench.store.tables.backtest import BacktestRunRow
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from workbench.study import Study

# Sources whose bars are drawn from the study's seed.
SEEDED = ("synthetic",)
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Claim:
    """Who answers a question.

    Attributes:
        id: of the row and of the folder of artifacts.
        mine: True: this process answers; False: the answer is stored already.
        version: of the row when it was claimed; a later writer has a higher one.
    """

    id: str
    mine: bool
    version: int


def slice_hash(study: Study) -> str:
    """sha256 naming the data slice of a study: the same symbols, timeframe, venue and source are the same slice.

    Not in it: `start`, `end`, `as_of` and cash, so that asking about the same market over other years or on another
    evening does not forget the trials. The seed is in it only where the source is synthetic: there it is the data.
    """
    return slice_of(study.to_dict())


def slice_of(asked: dict[str, Any]) -> str:
    """`slice_hash` of a study in its stored form."""
    names = ("timeframe", "venue", "source", *(("seed",) if asked["source"] in SEEDED else ()))
    return digest({"symbols": sorted(asked["symbols"])} | {name: asked[name] for name in names})


def claim(engine: Engine, values: dict[str, Any], *, complete: Callable[[str], bool], patience: float = 120.0) -> Claim:
    """Claim the question with `values["config_hash"]`, or find its answer.

    Of several processes asking at once one gets the claim; the others wait until it is done and find its answer. A
    claim is taken over when its owner ended without an answer: it failed, it was cancelled, its process on this machine
    is gone, its artifacts are missing, or nothing was heard for `patience` seconds. Answers are deterministic, so a
    takeover that was premature costs time, not truth.

    Args:
        values: columns of the new row.
        complete: whether the artifacts of a row id are there.
        patience: seconds to wait for another owner.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            with transaction(engine) as session:
                found = _try(session, values, complete=complete, insist=time.monotonic() > deadline)
        except StaleDataError:
            continue  # somebody took it over in the same instant
        except IntegrityError:
            if not _exists(engine, values["config_hash"]):
                raise  # not the race for the unique hash, which the other one won
            continue
        if found is not None:
            return found
        time.sleep(_POLL_SECONDS)


def _try(session: Session, values: dict[str, Any], *, complete: Callable[[str], bool], insist: bool) -> Claim | None:
    """One attempt: the claim, or None while somebody else is at work."""
    row = session.scalar(select(BacktestRunRow).where(BacktestRunRow.config_hash == values["config_hash"]))
    if row is None:
        row = BacktestRunRow(id=new_id(), status="RUNNING", owner=owner_of(os.getpid()), trace_id=trace_id(), **values)
        session.add(row)
        record(session, entity="backtest_run", entity_id=row.id, action="RUNNING")
        return Claim(row.id, mine=True, version=1)
    if row.status == "DONE" and complete(row.id):
        return Claim(row.id, mine=False, version=row.version)
    if row.status == "RUNNING" and _alive(row.owner) and not insist:
        return None
    before = {"status": row.status, "owner": row.owner}
    row.status, row.owner, row.trace_id, row.error_code, row.error = (
        "RUNNING",
        owner_of(os.getpid()),
        trace_id(),
        None,
        None,
    )
    record(session, entity="backtest_run", entity_id=row.id, action="RUNNING", before=before)
    session.flush()  # the version that the database has given it
    return Claim(row.id, mine=True, version=row.version)


def _exists(engine: Engine, config_hash: str) -> bool:
    with transaction(engine) as session:
        return session.scalar(select(BacktestRunRow.id).where(BacktestRunRow.config_hash == config_hash)) is not None


def finish(engine: Engine, claimed: Claim, *, summary: dict[str, Any], artifacts: str, runtime_s: float) -> None:
    """DONE: the answer is stored. Does nothing when the claim was taken over meanwhile: the same answer comes there."""
    _end(engine, claimed, "DONE", summary=summary, artifacts=artifacts, runtime_s=runtime_s)


def give_up(engine: Engine, claimed: Claim, status: str, *, error_code: str, error: str, runtime_s: float) -> None:
    """FAILED or CANCELLED, with a code of the error tree; asking again tries again."""
    _end(engine, claimed, status, error_code=error_code, error=error, runtime_s=runtime_s)


def _end(engine: Engine, claimed: Claim, status: str, **changes: Any) -> None:
    with suppress(StaleDataError), transaction(engine) as session:
        row = session.get(BacktestRunRow, claimed.id)
        if row is None:
            raise BacktestError(
                f"the row {claimed.id} of this backtest is gone from the database; the answer was not stored.",
                remedy="run the question again.",
            )
        if row.version != claimed.version:
            return
        row.status = status
        for name, value in changes.items():
            setattr(row, name, value)
        record(
            session,
            entity="backtest_run",
            entity_id=row.id,
            action=status,
            before={"status": "RUNNING"},
            after={name: value for name, value in changes.items() if name in {"error_code", "runtime_s"}},
        )


def owner_of(process: int) -> str:
    """How a process of this machine is named as the owner of an answer."""
    return f"{platform.node()[:100]}/{process}"


def _alive(owner: str) -> bool:
    """False only when the owner certainly ended: it ran on this machine and its process is gone."""
    machine, _, process = owner.rpartition("/")
    if os.name != "posix" or machine != platform.node()[:100] or not process.isdigit():
        return True
    return process_runs(int(process))
