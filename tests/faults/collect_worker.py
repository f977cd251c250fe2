"""A process that collects from a vendor on loopback and may be killed at any instant; forked from a warm parent."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd

from workbench.data.collect import collect
from workbench.data.source import DAILY_COLUMNS
from workbench.store.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, it finds what the tests share
from tests.faults.lives import say, serve


class Loopback:
    """Daily bars as JSON from the test's own server."""

    name, label, synthetic, venue = "loopback", "loopback", False, "XNYS"

    def __init__(self, url):
        self._url = url

    def bars(self, symbols, *, start, end, timeframe="1d"):
        query = urlencode({"symbols": ",".join(symbols), "start": start.date(), "end": end.date()})
        with urllib.request.urlopen(f"{self._url}/bars?{query}", timeout=30) as answer:  # noqa: S310 - loopback
            rows = pd.DataFrame(json.load(answer), columns=list(DAILY_COLUMNS))
        rows["session"] = pd.to_datetime(rows["session"]).astype("datetime64[us]")
        for clock in ("happened", "learned"):
            rows[clock] = pd.to_datetime(rows[clock], utc=True).astype("datetime64[us, UTC]")
        return rows.astype({"symbol": "str", **dict.fromkeys(("open", "high", "low", "close", "volume"), float)})


def bring(job):
    workspace = Workspace.open(Path(job["home"]), database_url=job["database"])
    say(began=os.getpid())
    result = collect(
        Loopback(job["url"]), workspace=workspace, symbols=job["symbols"], start=job["start"], end=job["end"]
    )
    workspace.close()
    if not result.complete:
        raise AssertionError(repr(result))


if __name__ == "__main__":
    serve(bring)
