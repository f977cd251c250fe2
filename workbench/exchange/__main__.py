"""`python -m workbench.exchange`: one exchange on loopback, in the foreground."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from decimal import Decimal
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.exchange.clock import DAILY, MINUTES


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run until a signal. Returns 0, or 1 where the exchange could not start."""
    parser = argparse.ArgumentParser(prog="python -m workbench.exchange", description=__doc__)
    parser.add_argument("--db", type=Path, required=True, help="SQLite file of the ledger; made where it is missing")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--source", default="bundled", help="source of prices: bundled or synthetic")
    parser.add_argument("--timeframe", choices=(DAILY, *MINUTES), default=DAILY, help="length of the bars it steps by")
    parser.add_argument("--seed", type=int, default=7, help="seed of a synthetic source and of the faults")
    parser.add_argument(
        "--slippage", type=Decimal, default=Decimal("0.0005"), help="fraction of the price, against you"
    )
    parser.add_argument("--participation", type=Decimal, default=Decimal("0.10"), help="largest part of a bar's volume")
    parser.add_argument("--spread", type=Decimal, default=Decimal(0), help="fraction of the price; half of it is paid")
    parser.add_argument("--queue", type=Decimal, default=Decimal(0), help="part of the volume before a touched limit")
    parser.add_argument("--partial", type=Decimal, default=Decimal(0), help="probability of a random partial fill")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an order or a change of it arrives")
    parser.add_argument("--rate-limit", type=int, default=0, help="requests per minute and key; 0 is off")
    parser.add_argument("--durability", choices=("process", "power"), default="process", help="what a commit survives")
    parser.add_argument("--ready-file", type=Path, help="gets {url, pid} as JSON once the exchange listens")
    parser.add_argument("--exit-with-parent", type=int, metavar="PID", help="stop when that process is gone")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="TEXT",
        help="a fault from the start, e.g. 504-after-accept:0.1, slow:0.2@1.5s or hang:2x; may be repeated",
    )
    given = parser.parse_args(arguments)

    from workbench.exchange.api.app import Options, run
    from workbench.exchange.market.market import SourceFeed

    options = Options(
        db=given.db,
        port=given.port,
        slippage=given.slippage,
        participation=given.participation,
        spread=given.spread,
        queue=given.queue,
        partial=given.partial,
        latency=dt.timedelta(seconds=given.latency),
        rate_limit=given.rate_limit,
        durability=given.durability,
        seed=given.seed,
        ready_file=given.ready_file,
        exit_with_parent=given.exit_with_parent or None,
        faults=tuple(given.fault),
    )
    try:
        run(SourceFeed(given.source, seed=given.seed, timeframe=given.timeframe), options)
    except WorkbenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the warm-up thread may still be reading prices that nobody needs any more
