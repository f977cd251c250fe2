"""A desk in little: it owns an account and sends what is in its outbox, until it stops itself."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from workbench.errors import LeaseLost
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.execution.submitter.submit import pump
from workbench.market.order import IntentState
from workbench.store.engine import open_engine, transaction
from workbench.store.lease import Lease, account_lease


def say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def main(job: dict[str, Any]) -> None:
    engine = open_engine(job["database"], migrate=False)
    journal = Journal(engine, job["account"])
    broker = AlpacaBroker(
        name=job["account"], url=job["url"], key_id=job["key_id"], secret_key=job["secret_key"], timeout=(60.0, 60.0)
    )
    lease = Lease.acquire(engine, account_lease(job["account"]), "desk")
    assert lease is not None
    say("ready")
    try:
        while True:
            if pump(journal, broker, lease).acked and job["stop"] == "idle":
                say("sent")
                os.kill(os.getpid(), signal.SIGSTOP)
            if job["stop"] == "writing" and not journal.intents(states=[IntentState.INTENT]):
                with transaction(engine) as session:
                    lease.check(session)  # holds the lock of the database, or of the lease
                    say("sent")
                    os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.02)
    except LeaseLost:
        say("lease lost")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
