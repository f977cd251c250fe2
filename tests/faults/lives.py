"""Lives of a worker: a warm parent forks one per job that it reads, each a process of its own that may be killed.

A worker is a script that calls `serve`. The parent reads one JSON job per line; each life says on a line that it has
begun, and the parent how it ended. `conftest.ForkingParent` is the other side.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any


def say(**what: int) -> None:
    """One line to the other side."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def serve(work: Callable[[dict[str, Any]], None]) -> None:
    """Fork one life per line of standard input; it ends with 0 when the work returns, with 1 when it raises."""
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(job)
                code = 0
            except Exception:  # noqa: BLE001 - said, because nobody else can
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        say(ended=os.waitstatus_to_exitcode(status))
