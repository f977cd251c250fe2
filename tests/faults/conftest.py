"""What the fault tests share: a real local exchange in a process of its own, and a parent whose children are killed."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from workbench.exchange import embedded

NOW = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)
_number = itertools.count(1)


class ForkingParent:
    """The forking parent: `live` starts a life, kills it `seconds` after it began, and says how it ended (0: done)."""

    def __init__(self, script):
        self.process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def live(self, job, *, seconds=None):
        self.process.stdin.write(json.dumps(job) + "\n")
        said = json.loads(self.process.stdout.readline())
        if "began" in said:
            if seconds is not None:
                time.sleep(seconds)
                with contextlib.suppress(ProcessLookupError):  # it was faster
                    os.kill(said["began"], signal.SIGKILL)
            said = json.loads(self.process.stdout.readline())
        return said["ended"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def worker(request):
    """The forking parent of the test module's `WORKER`."""
    started = ForkingParent(request.module.WORKER)
    yield started
    started.close()


@pytest.fixture
def open_account(exchange):
    """Opens fresh accounts at the exchange, with cash enough for anything; no faults before or after."""
    embedded.clear_faults(exchange.url)
    yield lambda: embedded.open_account(exchange.url, name=f"faults-{next(_number)}", cash=1e9, at=NOW)
    embedded.clear_faults(exchange.url)
