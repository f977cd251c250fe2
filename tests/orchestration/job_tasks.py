"""Work for workers of the tests: each job's payload says what its work shall do. A worker's child imports this file."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any

from workbench.errors import StrategyFailed


def perform(payload: dict[str, Any], *, workspace: Any, progress: Any, job_id: str, **_: Any) -> dict[str, Any]:
    """Do what `payload["work"]` names; `payload["notes"]` is a folder where the work leaves traces."""
    notes = Path(payload["notes"])
    _append(notes / "begun", f"{job_id} {os.getpid()}")
    return {name: work for name, work in globals().items() if name.startswith("do_")}[f"do_{payload['work']}"](
        payload, notes, workspace=workspace, progress=progress, job_id=job_id
    )


def do_chunks(payload: Any, notes: Path, *, workspace: Any, progress: Any, job_id: str) -> dict[str, Any]:
    """A sweep in small: chunks that are kept on disk, each noted once it is kept."""
    import pandas as pd

    from workbench.backtest.sweep.chunk_store import ChunkStore

    total = payload["chunks"]
    store = ChunkStore(workspace.home / "sweeps" / payload["name"])
    done = store.finished()
    for number in range(total):
        if number not in done:
            time.sleep(payload.get("seconds", 0.0))
            store.save(number, pd.DataFrame({"value": [number]}))
            _append(notes / "kept", f"{job_id} {number} {os.getpid()}")
        progress(number + 1, total, "evaluating")
    frames = [store.load(number) for number in range(total)]
    return {"sum": int(pd.concat(frames)["value"].sum())}


def do_spin(*_: Any, **__: Any) -> dict[str, Any]:
    """Never look up."""
    while True:
        pass


def do_hold(*_: Any, **__: Any) -> dict[str, Any]:
    """Sleep in native code that lets no other thread of the process run: nothing in the process can hear a word."""
    return {"slept": ctypes.PyDLL(None).sleep(60)}


def do_wait(_: Any, notes: Path, *, progress: Any, **__: Any) -> dict[str, Any]:
    """Look up often; end when a file appears."""
    looks = 0
    while not (notes / "enough").exists():
        looks += 1
        progress(looks, 1_000_000, "waiting")
        time.sleep(0.005)
    return {"looks": looks}


def do_crash(payload: Any, notes: Path, **_: Any) -> dict[str, Any]:
    """Native code that crashes, as often as the payload says."""
    if len(_lines(notes / "begun")) <= payload["times"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    return {"survived": True}


def do_disk(_: Any, notes: Path, **__: Any) -> dict[str, Any]:
    """A disk that is full, the first time."""
    if len(_lines(notes / "begun")) == 1:
        raise OSError(28, "No space left on device")
    return {"survived": True}


def do_raise(*_: Any, **__: Any) -> dict[str, Any]:
    raise StrategyFailed("the strategy divided by zero", remedy="repair it.")


def do_nan(*_: Any, **__: Any) -> dict[str, Any]:
    return {"sharpe": float("nan")}


def do_exit(*_: Any, **__: Any) -> dict[str, Any]:
    raise SystemExit(3)


def do_answer(payload: Any, _: Path, *, workspace: Any, **__: Any) -> dict[str, Any]:
    """Claim a row of the ledger as an answer does, and never get to its end."""
    from tests.backtest.test_runs import ONE_ROW
    from workbench.backtest import ledger

    ledger.claim(workspace.engine, {**ONE_ROW, "config_hash": payload["name"]}, complete=lambda _identifier: False)
    return do_spin()


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:  # one short write: lines of several processes do not mix
        file.write(line + "\n")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
