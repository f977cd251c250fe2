"""The command line of a desk process: settings and keys in, log lines out, signals and a parent's end obeyed."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import stat
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from workbench.errors import LeaseLost, SettingsError, WorkbenchError
from workbench.execution.submitter.pace import Pace
from workbench.orchestration import desk_lease
from workbench.orchestration.at_work import at_work
from workbench.orchestration.desk_process import Desk
from workbench.orchestration.startup import Startup, StepReport
from workbench.settings import Settings
from workbench.store.processes import process_runs
from workbench.store.workspace import Workspace
from workbench.trace import get_logger, log_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from workbench.execution.brokers.broker import Broker
    from workbench.execution.journal.journal import Journal
    from workbench.orchestration.desk_bots import BotsAtWork

FAILED, TAKEN, LOST = 1, 3, 4
_PARENT_SECONDS = 0.5
# A process that was stopped inside a transaction must not keep its locks from the one that takes over.
_IDLE_TRANSACTION = "4s"


@dataclass(frozen=True)
class _Reach:
    """How the account's broker is reached."""

    url: str
    keys: tuple[str, str]
    where_from: str


def main(arguments: list[str] | None = None) -> int:
    """Trade one account until told to stop.

    Returns:
        0 after an orderly end, 1 when it could not start or failed, 3 when another desk has the account, 4 when the
        lease was lost on the way.
    """
    given = _parser().parse_args(arguments)
    handler = log_to(None)
    log = get_logger("workbench.orchestration.desk").bind(account=given.account, pid=os.getpid())
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    startup = Startup(given.account)

    def told(one: StepReport) -> None:
        log.info("start step", step=f"{one.number}/8", what=one.step, state=one.state, detail=one.detail)

    startup.on_step = told
    try:
        return _trade(given, startup, stop)
    except LeaseLost as error:
        log.warning("another desk has the account", error=error.message)
        sys.stderr.write(f"{startup.report}\n{error}\n")
        return TAKEN
    except WorkbenchError as error:
        log.error("no desk", error=error.message, code=error.code)  # noqa: TRY400 - the message is meant to be read
        sys.stderr.write(f"{startup.report}\n{error}\n")
        return FAILED
    except Exception:
        log.exception("the desk ended by an error that nobody expected")
        return FAILED
    finally:
        startup.on_step = told
        startup.close()
        for number, old in before.items():
            signal.signal(number, old)
        logging.getLogger("workbench").removeHandler(handler)


def _trade(given: argparse.Namespace, startup: Startup, stop: threading.Event) -> int:
    opened: list[Workspace] = []
    settings, workspace = startup.step(
        "configuration",
        lambda: _configured(given, opened),
        undo=lambda: _close(opened),
        detail=lambda made: f"broker {made[0].broker}, home {made[1].home}, {made[1].engine.dialect.name}",
    )
    reach = startup.step(
        "credentials", lambda: _reach(given, settings, workspace), detail=lambda found: found.where_from
    )
    if given.exit_with_parent is not None:
        watcher = threading.Thread(target=_watch, args=(given.exit_with_parent, stop), name="parent-watch", daemon=True)
        watcher.start()
    mark = startup.mark()
    while not stop.is_set():
        if given.standby and not _is_free(workspace, given.account):
            stop.wait(desk_lease.STANDBY_SECONDS)
            continue
        desk = Desk(
            workspace.engine,
            _broker(given, settings, reach.url, reach.keys),
            url=given.url or reach.url,
            reconcile_seconds=given.reconcile_seconds or settings.reconcile_seconds,
            ttl=desk_lease.DESK_TTL,
            keep=True,
            # The local exchange says itself when it limits requests.
            pace=None if settings.broker == "local" else Pace(per_minute=settings.requests_per_minute),
            bots=None if given.no_bots else _bots(reach),
            venue=given.venue,
            startup=startup,
        )
        try:
            desk.start(check=given.check)
        except LeaseLost as error:
            desk.fail(error.message)
            if not given.standby:
                raise
            startup.forget(mark)  # somebody else was faster
            continue
        except Exception as error:
            desk.fail(error.message if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}")
            raise
        if given.check or sys.stdout.isatty():
            sys.stdout.write(f"{startup.report}\n")
            sys.stdout.flush()
        if given.check:
            desk.close()
            return 0
        return _run(desk, stop)
    return 0


def _is_free(workspace: Workspace, account: str) -> bool:
    """Whether a standby should try; a database that is away for a while does not end its waiting."""
    try:
        return desk_lease.is_free(workspace.engine, account)
    except SQLAlchemyError as error:
        log = get_logger("workbench.orchestration.desk").bind(account=account)
        log.warning("the lease could not be looked at", error=f"{type(error).__name__}: {error}")
        return False


def _run(desk: Desk, stop: threading.Event) -> int:
    try:
        desk.run(stop)
    except LeaseLost as error:
        desk.fail(error.message)
        return LOST
    except Exception as error:
        desk.fail(f"{type(error).__name__}: {error}")
        raise
    desk.close()
    return 0


def _configured(given: argparse.Namespace, opened: list[Workspace]) -> tuple[Settings, Workspace]:
    settings = Settings.read(**({} if given.home is None else {"home": given.home}))
    workspace = Workspace.open(
        settings.resolved_home,
        database_url=settings.resolved_database_url,
        vintages_url=settings.resolved_vintages_url,
    )
    opened.append(workspace)
    _end_idle_transactions(workspace.engine)
    return settings, workspace


def _close(opened: list[Workspace]) -> None:
    while opened:
        opened.pop().close()


def _end_idle_transactions(engine: Engine) -> None:
    """Let the server end a transaction in which this process does nothing for seconds: it hangs, or was stopped."""
    if engine.dialect.name != "postgresql":
        return
    engine.dispose()

    def limit(connection: Any, _record: Any) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_TRANSACTION}'")
        connection.commit()

    event.listen(engine, "connect", limit)


def _reach(given: argparse.Namespace, settings: Settings, workspace: Workspace) -> _Reach:
    """Address and keys: the keys from a file, the settings, or the local exchange that knows the account."""
    keys = _keys(given.keys_file, settings)
    url = given.url or settings.exchange_url
    if all(keys):
        where = f"keys from {given.keys_file}" if given.keys_file is not None else "keys from the settings"
        return _Reach(url if settings.broker == "local" else "", keys, where)
    if settings.broker != "local":
        raise SettingsError(
            f"broker={settings.broker!r} needs two keys and there are none; the desk did not start.",
            remedy="set WORKBENCH_ALPACA_KEY_ID and WORKBENCH_ALPACA_SECRET_KEY, or pass --keys-file.",
        )
    from workbench.orchestration.accounts import reach

    found = reach(workspace, settings, given.account)
    return _Reach(found.url, (found.key_id, found.secret_key), f"keys from the local exchange at {found.url}")


def _bots(reach: _Reach) -> Callable[[Journal], BotsAtWork]:
    """Makes what works on the account: bots and algorithms, which read the market data of the same broker."""
    return lambda journal: at_work(journal, key_id=reach.keys[0], secret_key=reach.keys[1], url=reach.url)


def _broker(given: argparse.Namespace, settings: Settings, url: str, keys: tuple[str, str]) -> Broker:
    from workbench.execution.brokers.alpaca import AlpacaBroker

    if settings.broker == "local":
        if not url:
            raise SettingsError(
                "broker='local' needs the address of a local exchange; the desk did not start.",
                remedy="pass --url, or set WORKBENCH_EXCHANGE_URL.",
            )
        return AlpacaBroker(
            name=given.account, url=url, stream_url=given.stream_url or None, key_id=keys[0], secret_key=keys[1]
        )
    paper = settings.broker == "alpaca-paper"
    return AlpacaBroker(name=given.account, key_id=keys[0], secret_key=keys[1], paper=paper)


def _keys(path: Path | None, settings: Settings) -> tuple[str, str]:
    """The broker's keys: from a file that only its owner can read, else from the settings (the environment)."""
    if path is None:
        # Children of this process and a look at its environment have no business with them.
        for name in ("WORKBENCH_ALPACA_KEY_ID", "WORKBENCH_ALPACA_SECRET_KEY"):
            os.environ.pop(name, None)
        return settings.alpaca_key_id.get_secret_value(), settings.alpaca_secret_key.get_secret_value()
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):o}); it was not used.",
                remedy=f"chmod 600 {path}",
            )
        record = json.loads(path.read_text(encoding="utf-8"))
        return str(record["key_id"]), str(record["secret_key"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} holds no keys ({type(error).__name__}); the desk did not start.",
            remedy='write {"key_id": "…", "secret_key": "…"} into it and chmod 600.',
        ) from error


def _watch(parent: int, stop: threading.Event) -> None:
    while not stop.is_set():
        if not process_runs(parent):
            stop.set()
        time.sleep(_PARENT_SECONDS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workbench.orchestration.desk", description=__doc__)
    parser.add_argument("--home", type=Path, help="folder of user state; the settings' when not given")
    parser.add_argument("--account", required=True, help="our name for the account")
    parser.add_argument("--url", default="", help="address of the local exchange (broker `local`)")
    parser.add_argument("--stream-url", default="", help="address of its stream; derived from --url when empty")
    parser.add_argument(
        "--keys-file", type=Path, help="JSON with key_id and secret_key, mode 600; else the environment"
    )
    parser.add_argument("--reconcile-seconds", type=float, help="how often the book is compared; the settings' if not")
    parser.add_argument(
        "--standby", action="store_true", help="wait while another desk has the account, then take over"
    )
    parser.add_argument("--check", action="store_true", help="go through the start without trading, print it and end")
    parser.add_argument("--no-bots", action="store_true", help="let no bot work here; only send what others write")
    parser.add_argument("--venue", default="XNYS", help="calendar whose hours are watched")
    parser.add_argument("--exit-with-parent", type=int, metavar="PID", help="stop, in order, when that process is gone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
