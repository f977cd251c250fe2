"""Kill a collection at any instant and start it again: every row is there once, nothing finished is asked again."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.vendors.server import Vendor
from workbench import sessions
from workbench.data.collected import collected_ranges
from workbench.data.parts import PART_SYMBOLS
from workbench.store.vintages import Vintages

WORKER = Path(__file__).with_name("collect_worker.py")
START, END = "2015-01-02", "2015-06-30"
SYMBOLS = [f"S{number:03d}" for number in range(8 * PART_SYMBOLS)]
KILLS = {"sqlite": 10, "postgresql": 4}
KILLED = -9


def close_of(symbol, place):
    """A price that tells symbol and session: whose rows are whose can be checked."""
    return 10.0 + int(symbol[1:]) + place / 1000


def answer(asked):
    days = sessions.sessions("XNYS", START, END)
    inside = [day for day in days if asked.query["start"] <= day.date().isoformat() <= asked.query["end"]]
    closes = {day: moment.isoformat() for day, moment in zip(days, sessions.close_times("XNYS", days), strict=True)}
    rows = []
    for symbol in asked.query["symbols"].split(","):
        for day in inside:
            price = close_of(symbol, days.get_loc(day))
            rows.append([symbol, day.date().isoformat(), *[price] * 4, 1e6, closes[day], closes[day]])
    return rows


@pytest.fixture
def vendor():
    with Vendor() as opened:
        yield opened.route("/bars", answer)


def test_nothing_is_lost_doubled_or_asked_again(workspace, database_url, worker, vendor):
    rng = random.Random(7)
    wanted = KILLS[workspace.engine.dialect.name]
    job = {"home": str(workspace.home), "database": database_url, "url": vendor.url, "symbols": SYMBOLS}
    job |= {"start": START, "end": END}
    kills = lives = 0
    while worker.live(job, seconds=rng.uniform(0.02, 0.5) if kills < wanted else None) == KILLED:
        kills += 1
        lives += 1
        assert lives < 10 * wanted
    assert kills > 0

    rows = Vintages(workspace.vintages_url).read(
        "bars/1d/loopback",
        SYMBOLS,
        start=pd.Timestamp(START),
        end=pd.Timestamp(END),
        as_of=pd.Timestamp("2100-01-01", tz="UTC"),
    )
    days = sessions.sessions("XNYS", START, END)
    assert len(rows) == len(SYMBOLS) * len(days)
    assert not rows.duplicated(["symbol", "session"]).any()
    for symbol, of_symbol in rows.groupby("symbol"):
        assert of_symbol["close"].tolist() == [close_of(symbol, place) for place in range(len(days))]
    ranges = collected_ranges(workspace.engine, "bars/1d/loopback", SYMBOLS)
    whole = (pd.Timestamp(START), pd.Timestamp(END))
    assert all(list(ranges.by_symbol[symbol]) == [whole] for symbol in SYMBOLS)

    # A part is asked again only by the life after the one that died in it: at most once more per kill.
    asked = Counter(one.query["symbols"] for one in vendor.asked)
    assert sum(asked.values()) <= len(SYMBOLS) / PART_SYMBOLS + kills
    before = len(vendor.asked)
    assert worker.live(job) == 0
    assert len(vendor.asked) == before
