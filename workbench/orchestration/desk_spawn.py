"""Starting a desk in a process of its own: the command, the environment that carries its keys, and its log."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.trace import ENVIRONMENT, trace_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.store.workspace import Workspace

BrokerKind = Literal["local", "alpaca-paper", "alpaca-live"]


def spawn(
    workspace: Workspace,
    log: Path,
    *,
    account: str,
    keys: tuple[str, str],
    broker: BrokerKind,
    url: str,
    stream_url: str,
    reconcile_seconds: float,
    exit_with: int | None,
) -> subprocess.Popen[bytes]:
    """Start the desk of an account in a process of its own; its output goes to `log`, its keys into its environment."""
    command = [sys.executable, "-P", "-m", "workbench.orchestration.desk"]
    command += ["--home", str(workspace.home), "--account", account, "--url", url, "--stream-url", stream_url]
    command += ["--reconcile-seconds", str(reconcile_seconds), "--no-bots"]  # it is hosted for what its caller writes
    if exit_with is not None:
        command += ["--exit-with-parent", str(exit_with)]
    environment = {
        **os.environ,
        ENVIRONMENT: trace_id(),
        "WORKBENCH_BROKER": broker,
        "WORKBENCH_ALPACA_KEY_ID": keys[0],
        "WORKBENCH_ALPACA_SECRET_KEY": keys[1],
        "WORKBENCH_DATABASE_URL": workspace.engine.url.render_as_string(hide_password=False),
        "WORKBENCH_VINTAGES_URL": workspace.vintages_url,
        # The local exchange is on this machine: a proxy that the environment names has no way to it.
        "NO_PROXY": _without_proxy(os.environ),
        "no_proxy": _without_proxy(os.environ),
    }
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=environment
        )
    # Somebody has to collect the process when it ends while we are still here; a thread costs nothing and waits for it.
    threading.Thread(target=process.wait, name=f"desk-reaper-{account}", daemon=True).start()
    return process


def stem(account: str) -> str:
    """A file name for an account: its own where that is one, else a readable and unique one."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", account)
    return plain if plain == account else f"{plain}-{hashlib.sha256(account.encode()).hexdigest()[:8]}"


def tail(log: Path) -> str:
    """The last lines of a log, for a message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:]) if log.exists() else "(no log)"


def _without_proxy(environment: Mapping[str, str]) -> str:
    """The hosts that are reached directly: those that the environment names, and this machine."""
    named = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    return ",".join(dict.fromkeys([*filter(None, named.split(",")), "127.0.0.1", "localhost"]))
