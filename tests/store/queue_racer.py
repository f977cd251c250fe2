"""A worker of a race: claims jobs until none is left, says which, and sometimes forgets to go on."""

from __future__ import annotations

import json
import random
import sys

from workbench.store import queue
from workbench.store.engine import open_engine
from workbench.store.holders import this_process

# Half of the jobs at most: however the machine divides its time, no worker is left alone with all of them.
MOST = 20


def main(url: str, seed: int) -> None:
    engine, rng, me = open_engine(url, migrate=False), random.Random(seed), this_process()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # all start together
    done = 0
    while done < MOST and queue.alive(engine):
        claimed = queue.claim(engine, holder=me)
        if claimed is None:
            continue
        if rng.random() < 0.1:
            claimed.give_back()
            sys.stdout.write(json.dumps({"gave back": claimed.job.id}) + "\n")
            continue
        claimed.progress(1, 2)
        claimed.finish({"by": me})
        done += 1
        sys.stdout.write(json.dumps({"did": claimed.job.id, "by": me}) + "\n")
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
