"""A process that appends to a store and compacts it, and may be killed at any instant; forked for each life.

One JSON job per line; each life says when it has begun, and the parent process how it ended. A life writes down every
append that returned, so that a test knows what must never be missing.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.store.place import Place
from workbench.store.vintages import Vintages

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, it finds what the tests share
from tests.faults.lives import say, serve

DAYS = pd.bdate_range("2015-06-29", periods=5).as_unit("us")
SYMBOLS = ("AAPL", "MSFT")
T0 = pd.Timestamp("2016-01-01", tz="UTC")


def rows_of(number: int) -> pd.DataFrame:
    """What is learned of every fact in round `number`."""
    every = pd.MultiIndex.from_product([SYMBOLS, DAYS, ["a", "b"]], names=["symbol", "session", "key"]).to_frame(
        index=False
    )
    happened = every["session"].dt.tz_localize("UTC")
    return every.assign(value=float(number), happened=happened, learned=T0 + pd.Timedelta(days=number))


def die_at(number: int) -> None:
    """Be killed before or after the write, the naming or the removal of that number."""
    done = itertools.count()

    def counted(act: Any) -> Any:
        def acting(*arguments: Any) -> Any:
            if next(done) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = act(*arguments)
            if next(done) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return acting

    Place.write = counted(Place.write)  # type: ignore[method-assign]
    Place.remove = counted(Place.remove)  # type: ignore[method-assign]
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]


def work(job: dict[str, Any]) -> None:
    """Append the rounds that are left, and compact between them."""
    say(began=os.getpid())
    if job.get("die_at") is not None:
        die_at(job["die_at"])
    vintages = Vintages(job["url"], loose=3)
    with Path(job["returned"]).open("a", encoding="utf-8") as returned:
        for number in range(job["first"], job["rounds"]):
            vintages.append("news/x", rows_of(number))
            returned.write(f"{number}\n")
            returned.flush()
            if number % 4 == 3:
                vintages.compact("news/x", grace=pd.Timedelta(0))


if __name__ == "__main__":
    serve(work)
