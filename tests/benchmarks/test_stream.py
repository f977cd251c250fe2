"""The stream: events decoded and folded per second, beside a plain queue per event; one event alone; a short soak.

Run: pytest tests/benchmarks/test_stream.py --benchmark-only -o addopts=--import-mode=importlib -p no:randomly
The long soak: python tests/benchmarks/stream_soak.py --seconds 600 --rate 50000
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict, deque

import msgpack
import numpy as np
import pytest

from tests.benchmarks.stream_frames import START, Market
from tests.benchmarks.stream_soak import soak
from workbench.data.stream.decode import Decoder
from workbench.data.stream.state import TickState

BATCH, FRAMES = 1024, 200
LEARNED = START + 10**15
LEAST_RATE, LEAST_RATIO, MOST_MICROSECONDS = 1_000_000, 10, 200
MOST_GROWTH_MB = 10.0


@pytest.fixture(scope="module")
def frames():
    market = Market(BATCH)
    return [market.frame() for _ in range(FRAMES)]


def fresh():
    decoder = Decoder()
    return decoder, TickState(decoder.symbols)


def folded(frames):
    decoder, state = fresh()
    for frame in frames:
        state.fold(decoder.decode(frame, LEARNED).rows)
    return state


class Plain:
    """The same indicators of one symbol in plain Python, as one writes them."""

    def __init__(self):
        self.count = self.spreads = 0
        self.last = self.ema = self.variance = self.gain = self.loss = self.spread_ema = 0.0
        self.high, self.low, self.volume, self.notional = -math.inf, math.inf, 0.0, 0.0
        self.window, self.bid, self.ask, self.time = deque(maxlen=20), 0.0, 0.0, None
        self.seen = set()

    def trade(self, message):
        if message["i"] in self.seen:
            return
        self.seen.add(message["i"])
        price, size = message["p"], message["s"]
        self.count += 1
        self.ema = price if self.count == 1 else self.ema + 2 / 21 * (price - self.ema)
        self.window.append(price)
        if self.count > 1:
            change = price - self.last
            self.gain += (max(change, 0.0) - self.gain) / 14
            self.loss += (max(-change, 0.0) - self.loss) / 14
            self.variance = 0.94 * self.variance + 0.06 * math.log(price / self.last) ** 2
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume += size
        self.notional += price * size
        self.last, self.time = price, message["t"]

    def quote(self, message):
        self.bid, self.ask = message["bp"], message["ap"]
        self.spread_ema += 2 / 21 * (self.ask - self.bid - self.spread_ema)


async def queued(frames):
    """A plain loop: one task unpacks and puts each event on a queue, another takes each and updates its symbol."""
    queue, states = asyncio.Queue(maxsize=10_000), defaultdict(Plain)

    async def produce():
        for frame in frames:
            for message in msgpack.unpackb(frame, timestamp=1):
                await queue.put(message)
        await queue.put(None)

    async def consume():
        while (message := await queue.get()) is not None:
            one = states[message["S"]]
            one.trade(message) if message["T"] == "t" else one.quote(message)

    await asyncio.gather(produce(), consume())
    return states


def best(work, rounds):
    """The least seconds of this process's processor time, and of the wall."""
    processor, wall = math.inf, math.inf
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        work()
        wall, processor = min(wall, time.perf_counter() - began), min(processor, time.process_time() - used)
    return processor, wall


@pytest.mark.benchmark(group="stream")
def test_events_decoded_and_folded_in_batches_beside_a_queue_per_event(benchmark, frames):
    few = frames[:20]
    state, plain = folded(few), asyncio.run(queued(few))
    for symbol in ("S000", "S499"):  # both have seen the same market
        assert state.of(symbol)["last"] == plain[symbol].last
        assert state.of(symbol)["vwap"] == pytest.approx(plain[symbol].notional / plain[symbol].volume)
    benchmark.pedantic(folded, args=(frames,), rounds=15, warmup_rounds=1)
    count, few_count = BATCH * len(frames), BATCH * len(few)
    mine, mine_wall = best(lambda: folded(frames), 10)
    theirs, theirs_wall = best(lambda: asyncio.run(queued(few)), 3)
    rate, plain_rate = count / mine, few_count / theirs
    benchmark.extra_info["events per second of one core"] = round(rate)
    benchmark.extra_info["events per second, wall, best and median"] = (
        round(count / min(mine_wall, benchmark.stats.stats.min)),
        round(count / benchmark.stats.stats.median),
    )
    benchmark.extra_info["a queue per event, core and wall"] = (round(plain_rate), round(few_count / theirs_wall))
    benchmark.extra_info["ratio"] = round(rate / plain_rate, 1)
    assert rate >= LEAST_RATE
    assert rate / plain_rate >= LEAST_RATIO


@pytest.mark.benchmark(group="stream")
def test_one_event_alone(benchmark):
    """From the bytes of a frame of one event to the state that holds it, warm: the 99th percentile."""
    market = Market(2)
    frames = [_halves(market.frame())[number % 2] for number in range(5_000)]
    decoder, state = fresh()
    taken = []

    def each():
        took = np.empty(len(frames))
        for number, frame in enumerate(frames):
            began = time.perf_counter_ns()
            state.fold(decoder.decode(frame, LEARNED).rows)
            took[number] = time.perf_counter_ns() - began
        taken.append(took / 1000)

    benchmark.pedantic(each, rounds=8, warmup_rounds=1)
    ninety_nine = [float(np.percentile(took, 99)) for took in taken[1:]]
    benchmark.extra_info["µs, median"] = round(float(np.median(taken[1:])), 1)
    benchmark.extra_info["µs, 99 %, best and median of the rounds"] = (
        round(min(ninety_nine), 1),
        round(float(np.median(ninety_nine)), 1),
    )
    assert min(ninety_nine) < MOST_MICROSECONDS


def _halves(frame):
    """A frame of a trade and a quote as two frames of one."""
    trade, quote = msgpack.unpackb(frame, timestamp=0)
    return msgpack.packb([trade]), msgpack.packb([quote])


@pytest.mark.benchmark(group="stream")
def test_a_soak_over_a_loopback_socket(benchmark):
    """Fifteen seconds at 50,000 events a second: nothing lost, memory flat."""
    seen = benchmark.pedantic(soak, args=(15.0, 50_000), kwargs={"every": 0.5}, rounds=1)
    memory = seen["memory"]
    benchmark.extra_info["events per second"] = round(seen["sent"] / seen["took"])
    benchmark.extra_info["share of a core"] = round(seen["processor"] / seen["took"], 3)
    benchmark.extra_info["MB, settled and last"] = (round(memory[8], 1), round(memory[-1], 1))
    stats = seen["stats"]
    assert seen["heard"] == seen["sent"] == 750_000
    assert (stats["dropped"], stats["late"], stats["duplicates"], stats["bad"], stats["refused_frames"]) == (0,) * 5
    assert memory[-1] - memory[8] < MOST_GROWTH_MB
