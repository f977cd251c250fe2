"""The kill file: an account's trading state beside the database, readable when the database is not."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.market.trading_state import TradingState
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

HOME = "workbench_home"  # the execution option of an engine that names the folder of user state


@dataclass(frozen=True, slots=True)
class Mirror:
    """What a kill file says; `since` is None where it does not say when."""

    state: TradingState
    reason: str
    who: str
    since: dt.datetime | None


def home_of(bind: Engine | Connection) -> Path | None:
    """The folder of user state that belongs to a database: named by its workspace, else where its SQLite file lies.

    None for a server or a database in memory that no workspace opened: then there is no mirror.
    """
    named = bind.get_execution_options().get(HOME)
    if named:
        return Path(str(named))
    url = bind.engine.url
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        return Path(url.database).resolve().parent
    return None


def path_of(home: Path, account: str) -> Path:
    """Where the file of an account lies: its own name where that is a file name, else a readable and unique one."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", account)
    stem = plain if plain == account else f"{plain}-{hashlib.sha256(account.encode()).hexdigest()[:8]}"
    return home / "kill" / f"{stem}.json"


def read(home: Path, account: str) -> Mirror | None:
    """What the file says; None when there is none. A file that cannot be read, or says nothing known, means HALTED."""
    path = path_of(home, account)
    try:
        said: Any = json.loads(path.read_bytes())
        since = said.get("since")
        return Mirror(
            state=TradingState(said["state"]),
            reason=str(said.get("reason", "")),
            who=str(said.get("who", "")),
            since=dt.datetime.fromisoformat(since) if since else None,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{path} cannot be read ({type(error).__name__}), which counts as halted"
        return Mirror(TradingState.HALTED, why, "", None)


def write(home: Path, account: str, state: TradingState, *, reason: str, who: str) -> Path:
    """Put the file in place as a whole, on disk before this returns. Raises OSError when the disk refuses."""
    path = path_of(home, account)
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {"account": account, "state": state.value, "reason": reason, "who": who, "since": utc_now().isoformat()}
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with draft.open("w") as handle:
            json.dump(body, handle, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name is part of the folder
    finally:
        os.close(folder)
    return path
