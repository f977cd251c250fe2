"""A process that takes from an account's budget of requests as fast as it can, and says when it got each."""

from __future__ import annotations

import datetime as dt
import json
import sys

from workbench.store import rate_budget
from workbench.store.engine import open_engine, transaction


def main(url: str, turns: int) -> None:
    engine = open_engine(url, migrate=False)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # all start together
    at, taken = dt.datetime(2026, 1, 5, 15, tzinfo=dt.UTC), []
    for turn in range(turns):
        at += dt.timedelta(seconds=1.7)  # a clock that runs fast, so that several windows pass
        lane = ("order", "cancel", "read")[turn % 3]
        with transaction(engine) as session:
            if rate_budget.take(session, "a", lane=lane, at=at, per_minute=30) is None:
                # The budget counts with the newest moment that it has seen, when the clock of a process lags behind.
                taken.append(session.get(rate_budget.RateBudgetRow, "a").updated_at.timestamp())
    sys.stdout.write(json.dumps(taken) + "\n")
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
