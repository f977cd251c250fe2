"""The desk as others meet it: find or start the process that trades an account, wait for what it does, look at it.

`python -m workbench.orchestration.desk --home … --account NAME` is that process (`desk_process.Desk`). Keys reach it
through its environment or a file only its owner can read, never through the command line.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.errors import ExecutionError, OutcomeUnknown
from workbench.execution.journal.intent import Intent
from workbench.execution.journal.ledger import Ledger
from workbench.execution.reconciliation.discrepancy import Reconciliation, load
from workbench.execution.risk.halts import halted
from workbench.execution.risk.limits import ACCOUNT
from workbench.market.order import IntentState
from workbench.orchestration import desk_lease, desk_state
from workbench.orchestration.desk_process import Desk
from workbench.orchestration.desk_spawn import BrokerKind, spawn, stem, tail
from workbench.orchestration.desk_state import DeskState, DeskStatus
from workbench.store.engine import transaction

if TYPE_CHECKING:
    import subprocess

    from workbench.store.workspace import Workspace

__all__ = [
    "BrokerKind",
    "Desk",
    "DeskHandle",
    "DeskState",
    "DeskStatus",
    "ensure",
    "reconciled",
    "settled",
    "status",
    "stop",
]

_POLL_SECONDS = 0.03
_LONGEST_ACCOUNT = 80


@dataclass(frozen=True)
class DeskHandle:
    """A desk that is ready; `started` says whether this call has started it."""

    workspace: Workspace
    account: str
    pid: int
    started: bool

    def status(self) -> DeskStatus:
        """How it is now."""
        return status(self.workspace, self.account)

    def settled(
        self, intents: Iterable[Intent], *, until: Literal["acked", "ended"] = "acked", timeout: float = 30.0
    ) -> list[Intent]:
        """See `settled`."""
        return settled(self.workspace, self.account, intents, until=until, timeout=timeout)

    def reconciled(self, *, timeout: float = 30.0) -> Reconciliation:
        """See `reconciled`."""
        return reconciled(self.workspace, self.account, timeout=timeout)

    def stop(self, *, timeout: float = 30.0) -> None:
        """See `stop`."""
        stop(self.workspace, self.account, timeout=timeout)

    def __repr__(self) -> str:
        return self.status().line

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()


def status(workspace: Workspace, account: str) -> DeskStatus:
    """How the desk of an account is; also when none runs."""
    return desk_state.read(workspace.engine, account)


def ensure(
    workspace: Workspace,
    *,
    account: str,
    key_id: str,
    secret_key: str,
    broker: BrokerKind = "local",
    url: str = "",
    stream_url: str = "",
    reconcile_seconds: float = 45.0,
    exit_with: int | None = None,
    timeout: float = 60.0,
) -> DeskHandle:
    """The ready desk of an account: the one that holds its lease, else a new process. Safe to call at the same time.

    A desk that talks to another `url` (the local exchange came back on another port) is stopped and replaced.

    Args:
        account: our name for the account, up to 80 characters.
        key_id, secret_key: the broker's keys; they travel in the new process's environment.
        broker: the local exchange at `url`, or Alpaca.
        exit_with: process id with which the desk ends, after it has found out what may be live; None: it goes on.
        timeout: seconds until it must be ready.

    Raises:
        ExecutionError: it did not become ready; the message holds its own words and the end of its log.
    """
    if not account or len(account) > _LONGEST_ACCOUNT:
        raise ExecutionError(
            f"account={account!r} must have 1 to {_LONGEST_ACCOUNT} characters; no desk was started.",
            remedy="use a shorter name.",
        )
    folder = workspace.home / "desks"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{stem(account)}.log"
    deadline = time.monotonic() + timeout
    with _locked(folder / f"{stem(account)}.starting"):
        now = status(workspace, account)
        if now.alive and now.state is not DeskState.STOPPING and now.url != url:
            stop(workspace, account, timeout=timeout)
        process: subprocess.Popen[bytes] | None = None
        while True:
            now = status(workspace, account)
            if now.ready and now.url == url:
                return DeskHandle(workspace, account, now.pid, started=process is not None)
            ended = process is not None and process.poll() is not None
            if ended or time.monotonic() > deadline:
                if process is not None and not ended:
                    process.terminate()
                raise ExecutionError(
                    f"the desk of {account} did not become ready: {now.line}\nThe end of {log}:\n" + tail(log),
                    remedy=f"read {log}; intents that are written stay written, and nothing is sent twice.",
                    account=account,
                )
            if process is None and not now.alive:
                process = spawn(
                    workspace,
                    log,
                    account=account,
                    keys=(key_id, secret_key),
                    broker=broker,
                    url=url,
                    stream_url=stream_url,
                    reconcile_seconds=reconcile_seconds,
                    exit_with=exit_with,
                )
            time.sleep(_POLL_SECONDS)


def settled(
    workspace: Workspace,
    account: str,
    intents: Iterable[Intent],
    *,
    until: Literal["acked", "ended"] = "acked",
    timeout: float = 30.0,
) -> list[Intent]:
    """Wait until each intent is with the broker (`acked`) or over, or until all are over (`ended`); as they are then.

    Raises:
        ExecutionError: no desk of the account is alive, or halts keep back all that is left: nothing will happen.
        OutcomeUnknown: not all got there in time; the message says which and how far they came.
    """
    ledger, wanted = Ledger(workspace.engine, account), [intent.id for intent in intents]
    deadline = time.monotonic() + timeout
    while True:
        alive = status(workspace, account).alive
        with transaction(workspace.engine) as session:
            halts = halted(session, account)
        now = {intent.id: intent for intent in ledger.intents()}
        found = [now[identifier] for identifier in wanted]
        open_ones = [intent for intent in found if not _is_settled(intent, until)]
        if not open_ones:
            return found
        said = ", ".join(f"{one.symbol} {one.state}{f' ({one.note})' if one.note else ''}" for one in open_ones)
        if not alive:
            raise ExecutionError(
                f"no desk of {account} is alive while {len(open_ones)} of {len(found)} orders wait: {said}.",
                remedy="start it again with ensure(…): it finds out what happened and goes on.",
            )
        kept_back = {halts.get(one.symbol, halts.get(ACCOUNT, "")) for one in open_ones if _is_unsent(one)}
        if all(map(_is_unsent, open_ones)) and all(kept_back):
            why = "; ".join(sorted(kept_back))
            raise ExecutionError(
                f"{len(open_ones)} of {len(found)} orders are written and kept back by a halt: {why}.",
                remedy="find out why, then halts.clear(engine, account, symbol, reason=…); they are sent after that.",
                intents=[one.id for one in open_ones],
            )
        if time.monotonic() > deadline:
            raise OutcomeUnknown(
                f"{len(open_ones)} of {len(found)} orders are not {until} after {timeout:.0f} s: {said}.",
                remedy="wait longer, or look at the halts and discrepancies of the account.",
                intents=[one.id for one in open_ones],
            )
        time.sleep(_POLL_SECONDS)


def reconciled(workspace: Workspace, account: str, *, timeout: float = 30.0) -> Reconciliation:
    """Ask the desk to compare the book with the broker's now, and wait for what it finds.

    Raises:
        ExecutionError: no desk of the account is alive, or it did not answer in time.
    """
    number = desk_state.ask(workspace.engine, account)
    deadline = time.monotonic() + timeout
    while number:
        with transaction(workspace.engine) as session:
            _, answered, identifier = desk_state.asked(session, account)
            if answered >= number and identifier is not None:
                return load(session, identifier)
        if time.monotonic() > deadline or not status(workspace, account).alive:
            break
        time.sleep(_POLL_SECONDS)
    raise ExecutionError(
        f"the book of {account} was not compared: {status(workspace, account).line}",
        remedy="start its desk with ensure(…) and ask again.",
    )


def stop(workspace: Workspace, account: str, *, timeout: float = 30.0) -> bool:
    """Stop the desk of an account and wait until it has given its lease back; False when none runs.

    Raises:
        ExecutionError: it runs on another machine, or did not stop in time.
    """
    now = status(workspace, account)
    if not now.alive:
        return False
    if now.host != desk_lease.host_name():
        raise ExecutionError(
            f"the desk of {account} runs on {now.host}; it was not stopped.",
            remedy=f"send SIGTERM to process {now.pid} there.",
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(now.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while status(workspace, account).alive:
        if time.monotonic() > deadline:
            raise ExecutionError(
                f"the desk of {account} (process {now.pid}) did not stop within {timeout:.0f} s.",
                remedy=f"look at {workspace.home / 'desks' / (stem(account) + '.log')}.",
            )
        time.sleep(_POLL_SECONDS)
    return True


def _is_settled(intent: Intent, until: str) -> bool:
    with_broker = intent.state in {IntentState.ACKED, IntentState.PARTIALLY_FILLED}
    return intent.state.is_end or (until == "acked" and with_broker)


def _is_unsent(intent: Intent) -> bool:
    return intent.state is IntentState.INTENT


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    from workbench.orchestration.desk_main import main

    sys.exit(main())
