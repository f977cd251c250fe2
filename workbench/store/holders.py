"""Names of processes that hold a claim: unique, and such that another process can tell whether the holder is gone."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from pathlib import Path

from workbench.store.processes import process_runs


def this_process() -> str:
    """A new name for this process: `host:process:place:mark`, at most 80 characters."""
    host = platform.node().replace(":", "-")[:40]
    return f"{host}:{os.getpid()}:{_place()}:{uuid.uuid4().hex[:8]}"


def certainly_gone(holder: str) -> bool:
    """True only when the holder ran in this machine's own space of process numbers and its process has ended.

    A process number can be given out anew; then the answer is False, and the lease has to run out.
    """
    parts = holder.split(":")
    if os.name != "posix" or len(parts) != 4 or parts[2] != _place() or not parts[1].isdigit():
        return False
    return not process_runs(int(parts[1]))


def _place() -> str:
    """A mark of the space in which a process number means something: this boot of this machine, this container."""
    parts = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(str(Path(path).readlink()) if path.endswith("pid") else Path(path).read_text().strip())
        except OSError:
            continue  # not Linux: the host's name has to do
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]
