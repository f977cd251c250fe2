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
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import LeaseLost, SettingsError, WorkbenchError
from workbench.orchestration.desk_process import Desk
from workbench.settings import Settings
from workbench.store.processes import process_runs
from workbench.store.workspace import Workspace
from workbench.trace import get_logger, log_to

if TYPE_CHECKING:
    from workbench.execution.broker import Broker

FAILED, TAKEN, LOST = 1, 3, 4
_PARENT_SECONDS = 0.5
_STANDBY_SECONDS = 1.0


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
    try:
        settings = Settings.read(**({} if given.home is None else {"home": given.home}))
        log.info("start step", what="settings", broker=settings.broker, home=str(settings.resolved_home))
        workspace = Workspace.open(
            settings.resolved_home,
            database_url=settings.resolved_database_url,
            vintages_url=settings.resolved_vintages_url,
        )
        log.info("start step", what="database", dialect=workspace.engine.dialect.name)
        try:
            return _trade(given, settings, workspace, stop)
        finally:
            workspace.close()
    except LeaseLost as error:
        log.warning("another desk has the account", error=error.message)
        sys.stderr.write(f"{error}\n")
        return TAKEN
    except WorkbenchError as error:
        log.error("no desk", error=error.message, code=error.code)  # noqa: TRY400 - the message is meant to be read
        sys.stderr.write(f"{error}\n")
        return FAILED
    except Exception:
        log.exception("the desk ended by an error that nobody expected")
        return FAILED
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        logging.getLogger("workbench").removeHandler(handler)


def _trade(given: argparse.Namespace, settings: Settings, workspace: Workspace, stop: threading.Event) -> int:
    keys = _keys(given.keys_file, settings)
    if given.exit_with_parent is not None:
        watcher = threading.Thread(target=_watch, args=(given.exit_with_parent, stop), name="parent-watch", daemon=True)
        watcher.start()
    while not stop.is_set():
        url = given.url or settings.exchange_url
        desk = Desk(
            workspace.engine,
            _broker(given, settings, url, keys),
            url=given.url,
            reconcile_seconds=given.reconcile_seconds or settings.reconcile_seconds,
        )
        try:
            desk.start()
        except LeaseLost:
            desk.close()
            if not given.standby:
                raise
            stop.wait(_STANDBY_SECONDS)
            continue
        except WorkbenchError as error:
            desk.fail(error.message)
            raise
        return _run(desk, stop)
    return 0


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


def _broker(given: argparse.Namespace, settings: Settings, url: str, keys: tuple[str, str]) -> Broker:
    from workbench.execution.alpaca import AlpacaBroker

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
    parser.add_argument("--standby", action="store_true", help="wait while another desk has the account")
    parser.add_argument("--exit-with-parent", type=int, metavar="PID", help="stop, in order, when that process is gone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
