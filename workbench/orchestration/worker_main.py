"""The command line of a worker process: settings in, signals obeyed, one line per job or log lines out."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError, WorkbenchError
from workbench.orchestration.worker import Worked, Worker
from workbench.settings import Settings
from workbench.store.workspace import Workspace
from workbench.trace import get_logger, log_to

if TYPE_CHECKING:
    from types import FrameType

FAILED = 1


def work(
    workspace: Workspace,
    *,
    kinds: Collection[str] | None = None,
    until_idle: bool = False,
    linger_s: float = 0.0,
    compute: str | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Worked:
    """Run a worker until it is told to stop by Ctrl-C or SIGTERM, or nothing is left to do. For the main thread.

    The first signal gives the present job three seconds to finish, then it goes back to the queue; what a sweep has
    finished is kept. A second signal sends it back at once.

    Args:
        kinds: only jobs of these kinds; all when empty or None.
        until_idle: end when no job is queued or running any more, and none came for `linger_s` seconds.
        compute: the setting of that name.
        said: is told one line per job that begins or ends.

    Raises:
        ParameterError: there is no such kind.
    """
    if kinds:
        from workbench.backtest import jobs

        known = jobs.kinds()
        for kind in kinds:
            if kind not in known:
                raise ParameterError(
                    f"kind={kind!r} is no kind of job; no worker was started.", remedy=f"it can be {', '.join(known)}."
                )
    worker = Worker(workspace, kinds=kinds or None, compute=compute, said=said)
    return obeying_signals(worker, until_idle=until_idle, linger_s=linger_s)


def obeying_signals(worker: Worker, *, until_idle: bool = False, linger_s: float = 0.0) -> Worked:
    """Run a worker that stops at SIGTERM and SIGINT; for the main thread."""

    def obey(_number: int, _frame: FrameType | None) -> None:
        worker.stop()

    before: dict[int, Any] = {number: signal.signal(number, obey) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return worker.run(until_idle=until_idle, linger_s=linger_s)
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def main(arguments: list[str] | None = None) -> int:
    """Work until told to stop; 0 after an orderly end, 1 when the worker could not start or failed."""
    parser = argparse.ArgumentParser(prog="python -m workbench.orchestration.worker_main", description=__doc__)
    parser.add_argument("--home", type=Path, help="folder of user state; the settings' when not given")
    parser.add_argument("--kinds", default="", help="only jobs of these kinds, separated by commas")
    parser.add_argument("--until-idle", action="store_true", help="end when nothing is left to do")
    parser.add_argument("--linger", type=float, default=0.0, metavar="SECONDS", help="wait so long for further jobs")
    given = parser.parse_args(arguments)
    handler = log_to(None)
    log = get_logger(__name__)
    try:
        settings = Settings.read(**({} if given.home is None else {"home": given.home}))
        workspace = Workspace.open(
            settings.resolved_home,
            database_url=settings.resolved_database_url,
            vintages_url=settings.resolved_vintages_url,
        )
        try:
            worked = work(
                workspace,
                kinds=[kind.strip() for kind in given.kinds.split(",") if kind.strip()],
                until_idle=given.until_idle,
                linger_s=given.linger,
                compute=settings.compute,
            )
            log.info("worker ended", worked=str(worked))
        finally:
            workspace.close()
    except WorkbenchError as error:
        log.error("no worker", error=error.message, code=error.code)  # noqa: TRY400 - the message is meant to be read
        return FAILED
    except Exception:
        log.exception("the worker ended by an error that nobody expected")
        return FAILED
    finally:
        logging.getLogger("workbench").removeHandler(handler)
    return 0


if __name__ == "__main__":
    sys.exit(main())
