"""Fifty bots on a hundred symbols with bars of a minute, on one desk: how much of each minute they take."""

import datetime as dt
import itertools
import time
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select

from workbench import sessions
from workbench.execution.bots.roster import Bots
from workbench.execution.journal.bookings import book_fill
from workbench.execution.journal.journal import Journal
from workbench.execution.risk.limits import Limits
from workbench.market.order import Fill, Side
from workbench.orchestration.bot_bars import Seen
from workbench.orchestration.bot_engine import BotEngine
from workbench.store.engine import transaction
from workbench.store.tables.bot import BotDecisionRow
from workbench.store.tables.execution import IntentRow, ReconciliationRow

BOTS, SYMBOLS = 50, [f"S{number:03d}" for number in range(100)]
MINUTE = 60.0
OPEN = dt.datetime(2024, 3, 8, 14, 30, tzinfo=dt.UTC)
WARM = 60  # minutes of the session that have passed before anything is measured
MEASURED = 5
_number = itertools.count(1)


class Tape:
    """Minute bars of a hundred symbols over a week, as arrays; a feed that costs little, like one already received."""

    name, venue = "tape", "XNYS"

    def __init__(self):
        self.ends = sessions.bar_ends("XNYS", "2024-03-01", "2024-03-08", minutes=1)
        self.naive = self.ends.tz_localize(None).to_numpy()
        self.of = sessions.of_bars("XNYS", self.ends)
        steps = np.random.default_rng(3).normal(0, 0.001, (len(self.ends), len(SYMBOLS)))
        self.close = np.round(100 * np.exp(np.cumsum(steps, axis=0)), 2)
        self.column = {symbol: number for number, symbol in enumerate(SYMBOLS)}

    def bars(self, symbols, *, first, as_of, timeframe, after):
        begin = (
            self.ends.searchsorted(pd.Timestamp(after), side="right")
            if after
            else self.of.searchsorted(pd.Timestamp(first))
        )
        rows = slice(int(begin), int(self.ends.searchsorted(pd.Timestamp(as_of), side="right")))
        wanted = [self.column[symbol] for symbol in symbols]
        close = self.close[rows, wanted].ravel(order="F")
        count = rows.stop - rows.start
        frame = pd.DataFrame(
            {
                "symbol": np.repeat(np.asarray(symbols), count),
                "session": np.tile(self.of[rows], len(symbols)),
                "happened": pd.DatetimeIndex(np.tile(self.naive[rows], len(symbols))).tz_localize("UTC"),
            }
        )
        frame["learned"] = frame["happened"]
        for name in ("open", "high", "low", "close", "volume"):
            frame[name] = close
        return frame

    def prices(self, symbols, *, as_of):
        row = int(self.ends.searchsorted(pd.Timestamp(as_of), side="right")) - 1
        stamp = self.ends[row].to_pydatetime()
        return {symbol: Seen(Decimal(str(self.close[row, self.column[symbol]])), stamp) for symbol in symbols}


def idea(number):
    """No two bots think alike: nothing is shared between them but the bars."""
    if number % 2:
        return {"strategy": "sma_cross", "params": {"fast": 5 + number, "slow": 80 + number}}
    rules = {"entry": [{"left": f"rsi({5 + number // 2})", "op": "<", "right": 25}]}
    return {
        "strategy": "rules",
        "params": {**rules, "exit": [{"left": f"rsi({5 + number // 2})", "op": ">", "right": 75}]},
    }


@pytest.fixture
def desk(engine):
    """The engine of an account with fifty running bots, an hour into a session."""
    with transaction(engine) as session:
        session.add(
            ReconciliationRow(
                account="bench", occasion="start", clean=True, orders=0, positions=0, fills=0, cash=Decimal(10**8),
                equity=Decimal(10**8), buying_power=Decimal(4 * 10**8), cash_basis=Decimal(10**8), trace_id="t",
                started_at=OPEN,
            )
        )  # fmt: skip
    bots = Bots(engine, "bench")
    for number in range(BOTS):
        bots.create(f"bot-{number}", capital=100_000, symbols=SYMBOLS, timeframe="1m", **idea(number))
        bots.start(f"bot-{number}")
    limits = Limits(max_orders_per_session=10**9, one_order_per_symbol=False, allow_self_cross=True)
    found = BotEngine(Journal(engine, "bench", clock=lambda: OPEN), Tape(), limits=limits)
    found.start()
    whole_minute(found, 0)
    return found


def whole_minute(engine, number):
    """Every bot looks once, in as many turns as that takes; the longest turn in seconds."""
    moment, longest = OPEN + dt.timedelta(minutes=WARM + number), 0.0
    while True:
        begun = time.perf_counter()
        due = engine.step(moment)
        longest = max(longest, time.perf_counter() - begun)
        if due is None or due > moment:
            return longest


def fill_all(engine):
    """What was ordered is filled at the price it was sized with; that is the work of others, and not measured."""
    with transaction(engine) as session:
        for row in session.scalars(select(IntentRow).where(IntentRow.state == "intent")).all():
            name = f"x{next(_number)}"
            fill = Fill(
                name,
                f"b-{name}",
                row.client_order_id,
                row.symbol,
                Side(row.side),
                row.qty,
                row.reference_price,
                OPEN + dt.timedelta(microseconds=next(_number)),
                cum_qty=row.qty,
            )
            row.state = "sending"
            row.state, row.filled_qty = "filled", row.qty
            book_fill(session, row, fill, source="stream")


@pytest.mark.benchmark(group="bots")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_fifty_bots_on_a_hundred_symbols_keep_up_with_every_minute(benchmark, desk, engine):
    minutes, turns = itertools.count(1), []
    benchmark.pedantic(
        lambda: turns.append(whole_minute(desk, next(minutes))),
        setup=lambda: fill_all(engine),
        rounds=MEASURED,
        iterations=1,
    )
    with transaction(engine) as session:
        decided = session.scalar(select(func.count(func.distinct(BotDecisionRow.bot_id))))
        decisions = session.scalar(select(func.count()).select_from(BotDecisionRow))
    benchmark.extra_info["part_of_a_minute"] = round(benchmark.stats.stats.max / MINUTE, 4)
    benchmark.extra_info["longest_turn_seconds"] = round(max(turns), 3)
    benchmark.extra_info["decisions"] = decisions
    assert decided > BOTS // 2  # they trade, so it is not the cost of doing nothing
    assert benchmark.stats.stats.max < MINUTE
