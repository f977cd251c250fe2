"""Failure: why a job did not succeed, by the tree of errors; whether trying again may help; and the error again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import (
    ClusterUnavailable,
    JobCancelled,
    JobLost,
    StoreError,
    StrategyFailed,
    VersionConflict,
    WorkbenchError,
)

if TYPE_CHECKING:
    from workbench.store.job import Job

_TO_DO = "\nWhat to do: "
# Of our own errors those that another attempt may get over; all others are about what was asked.
_PASSING = (StoreError, ClusterUnavailable)
_FINAL = (JobCancelled, VersionConflict)


class Failure(NamedTuple):
    """What is stored of an error: its code, its text with what to do, and whether the same work may succeed later."""

    code: str
    text: str
    retryable: bool

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """How an error is stored.

        Retryable are lost workers, trouble with the database or the cluster, and OSError (a full disk, a broken
        connection), also where a strategy's run was ended by one. An error of the question is not: asked again it would
        fail again. What is not from our tree gets the code of what it is about: WB400 (database, files), else WB000.
        """
        if isinstance(error, WorkbenchError):
            retryable = isinstance(error, _PASSING) and not isinstance(error, _FINAL)
            if isinstance(error, StrategyFailed) and error.__cause__ is not None:
                retryable = _from_outside(error.__cause__)
            return cls(error.code, _text(error.message, error.remedy), retryable)
        passing = _from_outside(error)
        code = (StoreError if passing else WorkbenchError).code
        remedy = "" if passing else "this is a defect of the workbench or of a library: the worker's log shows where."
        return cls(code, _text(f"{type(error).__name__}: {error}", remedy), passing)

    @classmethod
    def lost(cls, how: str) -> Failure:
        """The process that did the work is gone: it was killed, or its native code crashed."""
        return cls(JobLost.code, _text(how, "if it runs out of memory, ask for less at once; the rest is kept."), True)


def error_of(job: Job) -> WorkbenchError:
    """The error that a FAILED or CANCELLED job ended with, of its own class, ready to be raised."""
    if job.error_code is None:
        by = job.cancel_requested_by or "somebody"
        return JobCancelled(
            f"job {job.id[:8]} ({job.title}) was cancelled by {by}; what was finished is kept.",
            remedy="submit it again to go on.",
            job=job.id,
        )
    message, _, remedy = (job.error or "").partition(_TO_DO)
    kinds = {kind.code: kind for kind in _tree(WorkbenchError)}
    return kinds.get(job.error_code, WorkbenchError)(message, remedy=remedy, job=job.id)


def _text(message: str, remedy: str) -> str:
    return message + (f"{_TO_DO}{remedy}" if remedy else "")


def _from_outside(error: BaseException) -> bool:
    """Whether the machine, the network or the database is to blame, not the question."""
    from sqlalchemy.exc import InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as NoConnection

    return isinstance(error, (OSError, OperationalError, InterfaceError, NoConnection))


def _tree(kind: type[WorkbenchError]) -> list[type[WorkbenchError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _tree(child))]
