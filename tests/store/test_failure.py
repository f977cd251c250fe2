"""Why a job failed: what may be tried again, what may not, and the error as it was."""

import pytest
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from tests.store.test_job import made
from workbench.errors import (
    ClusterUnavailable,
    GridRefused,
    JobCancelled,
    JobLost,
    NoData,
    ParameterError,
    StoreError,
    StrategyFailed,
    VersionConflict,
    WeightsRefused,
    WorkbenchError,
)
from workbench.store.failure import Failure, error_of
from workbench.store.job import JobStatus


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device"), "WB400"),
        (ConnectionResetError("reset"), "WB400"),
        (OperationalError("SELECT 1", {}, Exception("database is locked")), "WB400"),
        (InterfaceError("SELECT 1", {}, Exception("connection already closed")), "WB400"),
        (StoreError("the database cannot be reached"), "WB400"),
        (JobLost("gone"), "WB411"),
        (ClusterUnavailable("no worker left"), "WB505"),
        (caused(StrategyFailed("stopped with OSError"), OSError("disk")), "WB503"),
    ],
)
def test_what_another_attempt_may_get_over(error, code):
    assert Failure.of(error)[::2] == (code, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParameterError("fast=0"), "WB210"),
        (NoData("no such symbol"), "WB302"),
        (WeightsRefused("NaN"), "WB502"),
        (StrategyFailed("divided by zero"), "WB503"),
        (caused(StrategyFailed("stopped with ZeroDivisionError"), ZeroDivisionError()), "WB503"),
        (GridRefused("no cell"), "WB504"),
        (VersionConflict("changed"), "WB420"),
        (JobCancelled("stop"), "WB410"),
        (IntegrityError("INSERT", {}, Exception("unique")), "WB000"),
        (KeyError("x"), "WB000"),
        (MemoryError(), "WB000"),
    ],
)
def test_what_would_only_fail_again(error, code):
    assert Failure.of(error)[::2] == (code, False)


def test_a_lost_process_may_be_tried_again():
    assert Failure.lost("killed by signal SIGKILL")[::2] == ("WB411", True)


@pytest.mark.parametrize(
    "error",
    [
        WeightsRefused("row 3 sums to 1.2, more than 1", remedy="scale it."),
        NoData("no such symbol"),
        ParameterError("two\nlines", remedy="and a\nlong remedy"),
    ],
)
def test_an_error_comes_back_as_it_was(error):
    code, text, _ = Failure.of(error)
    back = error_of(made(status=JobStatus.FAILED, error_code=code, error=text))
    assert (type(back), back.message, back.remedy) == (type(error), error.message, error.remedy)


def test_a_cancelled_job_is_an_error_that_says_by_whom():
    back = error_of(made(status=JobStatus.CANCELLED, cancel_requested_by="ann"))
    assert isinstance(back, JobCancelled)
    assert "cancelled by ann" in back.message


def test_a_code_of_another_version_is_still_an_error_of_ours():
    back = error_of(made(status=JobStatus.FAILED, error_code="WB999", error="from the future"))
    assert type(back) is WorkbenchError
    assert back.message == "from the future"
