"""Whether a process of this machine still runs: how a lease or a claim of a dead one is told from a silent one."""

from __future__ import annotations

import os


def process_runs(pid: int) -> bool:
    """Whether a process with this id runs on this machine (in this process's own namespace of ids)."""
    try:
        os.kill(pid, 0)  # signal 0 asks whether the process exists
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it exists and belongs to somebody else
    return True
