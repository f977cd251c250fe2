"""The kernels that fold events into the state of their symbols: one pass over the rows, no object, no allocation.

What an event does is said in `state.TickState`. A kernel marks the rows (LATE, DUPLICATE, BAD) and counts them.
"""

from __future__ import annotations

import math

import numpy as np

from workbench.data.stream.compiled import Row, Whole, compiled, inlined
from workbench.data.stream.events import BAD, DUPLICATE, LATE
from workbench.data.stream.seen import identity_of, is_new

# Places of a symbol's numbers …
LAST, LAST_SIZE, EMA, EMA_SEED, SMA_SUM, GAIN, LOSS, VARIANCE, HIGH, LOW, VOLUME, NOTIONAL = range(12)
BID, ASK, BID_SIZE, ASK_SIZE, SPREAD_EMA, SPREAD_SEED = range(12, 18)
BAR_OPEN, BAR_HIGH, BAR_LOW, BAR_CLOSE, BAR_VOLUME = range(18, 23)
FLOATS = 23
# … and of its whole numbers: counts, and moments in ns.
TRADES, DAY_TRADES, NEWEST_TRADE, DAY_START, DAY_END, SPREADS, QUOTES, NEWEST_QUOTE = range(8)
BARS, NEWEST_BAR, NEWEST_DAY, LATES, DUPLICATES, BADS = range(8, 14)
WHOLES = 14
# Places of the settings.
EMA_WINDOW, SMA_WINDOW, RSI_WINDOW, SPREAD_WINDOW, DECAY, AHEAD_NS = range(6)
SETTINGS = 6
# Columns of the tally.
EVENTS, TALLY_LATE, TALLY_DUPLICATE, TALLY_BAD = range(4)
TALLY = 4

_TRADE, _QUOTE, _DAILY = 1, 2, 5


@compiled
def fold(  # noqa: PLR0917 - a kernel takes what it works on by position
    rows: np.ndarray,
    floats: np.ndarray,
    wholes: np.ndarray,
    window: np.ndarray,
    days: np.ndarray,
    memory: np.ndarray,
    remembered: np.ndarray,
    settings: np.ndarray,
    tally: np.ndarray,
) -> None:
    """Fold the rows, in their order.

    Args:
        rows: events; their flags are set.
        floats, wholes: (symbol × FLOATS), (symbol × WHOLES) state.
        window: (symbol × SMA window) the newest prices, as a ring.
        days: the first moments of days, ascending ns; the first is the lowest number there is.
        memory, remembered: see `seen`.
        settings: (SETTINGS).
        tally: (kind × TALLY) counts.
    """
    for number in range(len(rows)):
        row = rows[number]
        kind, symbol = row["kind"], row["symbol"]
        numbers, counts = floats[symbol], wholes[symbol]
        if not row["time"] <= row["learned"] + settings[AHEAD_NS]:
            mark = BAD
        elif kind == _TRADE:
            mark = _trade(row, numbers, counts, window[symbol], days, memory, remembered, settings)
        elif kind == _QUOTE:
            mark = _quote(row, numbers, counts, settings)
        else:
            mark = _bar(row, numbers, counts, memory, remembered)
        row["flags"] |= mark
        tally[kind, EVENTS] += 1
        if mark == LATE:
            counts[LATES] += 1
            tally[kind, TALLY_LATE] += 1
        elif mark == DUPLICATE:
            counts[DUPLICATES] += 1
            tally[kind, TALLY_DUPLICATE] += 1
        elif mark == BAD:
            counts[BADS] += 1
            tally[kind, TALLY_BAD] += 1


@inlined
def _trade(  # noqa: PLR0917 - as above
    row: Row,
    numbers: np.ndarray,
    counts: np.ndarray,
    window: np.ndarray,
    days: np.ndarray,
    memory: np.ndarray,
    remembered: np.ndarray,
    settings: np.ndarray,
) -> Whole:
    price, size, time = row["v0"], row["v1"], row["time"]
    if not (price > 0.0 and price < math.inf) or size < 0.0 or size == math.inf:
        return BAD
    if not is_new(memory, remembered, identity_of(row, 2)):
        return DUPLICATE
    if time >= counts[DAY_END]:
        _new_day(time, numbers, counts, days)
    if time >= counts[DAY_START]:  # the order within a day does not matter to these
        counts[DAY_TRADES] += 1
        if not numbers[HIGH] >= price:
            numbers[HIGH] = price
        if not numbers[LOW] <= price:
            numbers[LOW] = price
        if size > 0.0:
            numbers[VOLUME] += size
            numbers[NOTIONAL] += price * size
    if time < counts[NEWEST_TRADE]:
        return LATE
    counts[NEWEST_TRADE] = time
    _price(price, numbers, counts, window, settings)
    numbers[LAST], numbers[LAST_SIZE] = price, size
    return 0


@inlined
def _price(price: float, numbers: np.ndarray, counts: np.ndarray, window: np.ndarray, settings: np.ndarray) -> None:
    """The indicators that depend on the order of prices."""
    seen = counts[TRADES]
    counts[TRADES] = seen + 1
    numbers[EMA], numbers[EMA_SEED] = _ema(price, seen, numbers[EMA], numbers[EMA_SEED], settings[EMA_WINDOW])
    length = len(window)
    place = seen % length
    if place == length - 1:  # once in a window the sum is taken anew: rounding cannot gather
        window[place] = price
        total = 0.0
        for one in window:
            total += one
        numbers[SMA_SUM] = total
    else:
        numbers[SMA_SUM] += price - (window[place] if seen >= length else 0.0)
        window[place] = price
    if seen == 0:
        return
    before = numbers[LAST]
    change, periods = price - before, settings[RSI_WINDOW]
    up, down = max(change, 0.0), max(-change, 0.0)
    if seen <= periods:
        numbers[GAIN] += up / periods
        numbers[LOSS] += down / periods
    else:
        numbers[GAIN] += (up - numbers[GAIN]) / periods
        numbers[LOSS] += (down - numbers[LOSS]) / periods
    squared = math.log(price / before) ** 2
    decay = settings[DECAY]
    numbers[VARIANCE] = squared if seen == 1 else decay * numbers[VARIANCE] + (1.0 - decay) * squared


@inlined
def _ema(value: float, seen: Whole, average: float, seed: float, window: float) -> tuple[float, float]:
    """The next exponential mean and sum of the seed: the mean of the first `window` values begins it."""
    if seen + 1 < window:
        return average, seed + value
    if seen + 1 == window:
        return (seed + value) / window, 0.0
    return average + 2.0 / (window + 1.0) * (value - average), 0.0


@compiled
def _new_day(time: Whole, numbers: np.ndarray, counts: np.ndarray, days: np.ndarray) -> None:
    day = np.searchsorted(days, time, side="right") - 1
    counts[DAY_START] = days[day]
    counts[DAY_END] = days[day + 1] if day + 1 < len(days) else np.iinfo(np.int64).max
    counts[DAY_TRADES] = 0
    numbers[HIGH] = numbers[LOW] = np.nan
    numbers[VOLUME] = numbers[NOTIONAL] = 0.0


@inlined
def _quote(row: Row, numbers: np.ndarray, counts: np.ndarray, settings: np.ndarray) -> Whole:
    bid, ask, bid_size, ask_size = row["v0"], row["v1"], row["v2"], row["v3"]
    if bid == 0.0:  # nobody bids: absent, not a price of nothing
        row["v0"] = bid = np.nan
    if ask == 0.0:
        row["v1"] = ask = np.nan
    if bid < 0.0 or ask < 0.0 or math.inf in (bid, ask) or bid_size < 0.0 or ask_size < 0.0:
        return BAD
    if math.isnan(bid) and math.isnan(ask):
        return BAD
    time = row["time"]
    if time < counts[NEWEST_QUOTE]:
        return LATE
    if (
        time == counts[NEWEST_QUOTE]
        and _same(bid, numbers[BID])
        and _same(ask, numbers[ASK])
        and _same(bid_size, numbers[BID_SIZE])
        and _same(ask_size, numbers[ASK_SIZE])
    ):
        return DUPLICATE
    counts[NEWEST_QUOTE] = time
    counts[QUOTES] += 1
    numbers[BID], numbers[ASK], numbers[BID_SIZE], numbers[ASK_SIZE] = bid, ask, bid_size, ask_size
    if ask >= bid:
        numbers[SPREAD_EMA], numbers[SPREAD_SEED] = _ema(
            ask - bid, counts[SPREADS], numbers[SPREAD_EMA], numbers[SPREAD_SEED], settings[SPREAD_WINDOW]
        )
        counts[SPREADS] += 1
    return 0


@compiled
def _bar(row: Row, numbers: np.ndarray, counts: np.ndarray, memory: np.ndarray, remembered: np.ndarray) -> Whole:
    if _impossible(row["v0"], row["v1"], row["v2"], row["v3"], row["v4"]):
        return BAD
    if not is_new(memory, remembered, identity_of(row, 5)):
        return DUPLICATE
    time = row["time"]
    newest = NEWEST_DAY if row["kind"] == _DAILY else NEWEST_BAR
    if time < counts[newest]:
        return LATE
    if newest == NEWEST_BAR:
        counts[BARS] += time > counts[NEWEST_BAR]
        numbers[BAR_OPEN], numbers[BAR_HIGH], numbers[BAR_LOW] = row["v0"], row["v1"], row["v2"]
        numbers[BAR_CLOSE], numbers[BAR_VOLUME] = row["v3"], row["v4"]
    counts[newest] = time
    return 0


@compiled
def _impossible(opened: float, high: float, low: float, closed: float, volume: float) -> Whole:
    """Whether a bar cannot be: no close, a price that is not above zero, high and low that do not hold the others."""
    if not (closed > 0.0 and closed < math.inf) or volume < 0.0 or volume == math.inf:
        return True
    if opened <= 0.0 or high <= 0.0 or low <= 0.0 or math.inf in (opened, high, low):
        return True
    return high < low or high < opened or high < closed or low > opened or low > closed


@inlined
def _same(one: float, other: float) -> Whole:
    return one == other or (math.isnan(one) and math.isnan(other))
