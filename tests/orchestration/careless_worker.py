"""A worker as many write it: a new id for each attempt, and no question whether the last one arrived."""

from __future__ import annotations

import dataclasses
import secrets
import sys

from workbench.orchestration import certify_worker


def careless(job):
    broker = certify_worker.broker_of(job)
    submit = broker.submit

    def submit_anew(order):
        again = f"{order.client_order_id[:40]}-{secrets.token_hex(3)}"
        return submit(dataclasses.replace(order, client_order_id=again))

    broker.submit = submit_anew
    broker.order_by_client_id = lambda _: None
    return broker


if __name__ == "__main__":
    certify_worker.main(
        [int(text) for text in sys.argv[1:]],
        lambda job, say, engine: certify_worker.trade(job, say, engine, broker_of=careless),
    )
