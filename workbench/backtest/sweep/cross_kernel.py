"""The fused kernel of one symbol, all in or all out: crosses, fills, costs and metrics in one pass, nothing stored.

Why it is fast. Averages are shared columns, so a cell is a pair of column numbers. Crosses are found in words of 64
bars: which of them lie above, and where that changes. Between all cash and no cash returns do not depend on how much is
invested, so what a holding adds to the sums of returns, and how deep it fell, is looked up in two rows each of tables
prepared once per symbol, whatever its length; only the purse is carried from trade to trade.

Why it is exact. See `cross_tables` for what rounding takes; where it could reach the tenth digit, the cell is left to
the plain kernel.
"""

from __future__ import annotations

import numpy as np

from workbench.backtest.sweep.bits import highest_bit, lowest_bit
from workbench.backtest.sweep.compiled import compiled, inlined

# ruff: noqa: C901, PLR0912, PLR0915, PLR0917 - a kernel is one pass, with many plain arguments in a fixed order

# Bars that are compared at once.
_WORD = 64

# The columns of `raw`, written out again: what is compiled is kept until this file changes, whatever other files say.
(
    _COUNT,
    _GROWTH,
    _MEAN,
    _M2,
    _M3,
    _M4,
    _SQUARES,
    _DEEPEST,
    _EXPOSURE,
    _EQUITY,
    _VALUE,
    _TRADES,
    _OPEN,
    _WINS,
    _CLOSED,
    _WON,
    _LOST,
    _COST,
    _FINAL,
    _UNSURE,
) = range(20)

# Below this part of the initial cash the reference engine's rule, that 1e-9 of it is no order, comes near, and the cell
# is left to the plain kernel.
_DECAYED = 1e-6
# A variance this small beside the mean square has lost digits; the plain kernel computes it in two passes.
_CANCELLED = 1e-3
# Rounding per holding of a sum of rows of the table, and per bar and holding of what carries the rounding along: more
# than can be.
_ROUNDING, _CARRIED = 4.5e-16, 1e-31
# What rounding may change of a sum of powers, and of a mean beside the deviation (a year has up to 100,000 bars).
_PART, _MEANS = 1e-10, 1e-13


@inlined
def _above(fast: np.ndarray, slow: np.ndarray) -> np.uint64:
    """In which of 64 bars fast > slow, one bit each: comparisons that the compiler does eight at a time."""
    word = np.uint64(0)
    for bar in range(_WORD):
        word |= np.uint64(fast[bar] > slow[bar]) << np.uint64(bar)
    return word


@compiled
def _crosses(fast: np.ndarray, slow: np.ndarray, first: int, last: int, events: np.ndarray) -> int:
    """Rows from `first` to `last` in which fast > slow begins or ends, alternating; how many there are."""
    found, before, row = 0, np.uint64(0), first
    while row + _WORD <= last + 1:
        word = _above(fast[row : row + _WORD], slow[row : row + _WORD])
        changes = word ^ ((word << np.uint64(1)) | before)
        before = word >> np.uint64(_WORD - 1)
        while changes != np.uint64(0):
            events[found] = row + lowest_bit(changes)
            found += 1
            changes &= changes - np.uint64(1)
        row += _WORD
    above = before != np.uint64(0)
    for rest in range(row, last + 1):
        now = fast[rest] > slow[rest]
        events[found] = rest
        found += now != above
        above = now
    return found


@compiled
def all_in_crosses(
    columns: np.ndarray,
    fast: np.ndarray,
    slow: np.ndarray,
    close: np.ndarray,
    fill: np.ndarray,
    table: np.ndarray,
    enter: np.ndarray,
    leave: np.ndarray,
    shares: np.ndarray,
    size: np.ndarray,
    first: int,
    last: int,
    lag: int,
    fee: float,
    worse: float,
    cash0: float,
    raw: np.ndarray,
) -> None:
    """The raw numbers of each cell, which is invested with everything while column `fast` lies above column `slow`.

    Args:
        columns: averages, (window × session); NaN compares as "not above".
        fast, slow: (cell,) rows of `columns`.
        close, fill: closes and prices of fills, without NaN from `first` − 1 (if there is one) to `last`.
        table: see `cross_tables.spans`.
        enter, leave, shares, size: see `cross_tables.turns`.
        first, last: the sessions evaluated, both included.
        lag: sessions from wish to fill: 1, or 0 for fills at the close of the decision.
        fee, worse: fractions, of the value traded and of the price.
        cash0: the initial cash.
        raw: (cell × `raw.WIDTH`), written.
    """
    count = float(last - first)
    events = np.empty(last - first + 2, dtype=np.int64)
    for cell in range(len(fast)):
        found = _crosses(columns[fast[cell]], columns[slow[cell]], first, last - lag, events)
        cash, flat_from, held, traded, cost, unsure = cash0, first, 0, 0.0, 0.0, 0.0
        wins, closed, won, lost, final = 0, 0, 0.0, 0.0, cash0
        r1, r2, r3, r4, down, more2, more3, more4 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        total, peak, fall = 0.0, cash0, 1.0
        for event in range(0, found, 2):
            row = events[event] + lag
            leaves = event + 1 < found
            out = events[event + 1] + lag if leaves else last + 1
            qty = cash * shares[row - first]
            price = fill[row] * (1.0 + worse)
            value = qty * price
            paid = value * fee
            traded += value
            cost += paid + abs(price - fill[row]) * qty
            total += (row - flat_from) * cash
            low = row
            if row == first:  # only at the close of the decision: there is no return yet
                total += qty * close[row]
                low = row + 1
            if low < out:
                here, there = enter[row - first], leave[out - first]
                r1 += here[0] + there[0]
                r2 += here[1] + there[1]
                r3 += here[2] + there[2]
                r4 += here[3] + there[3]
                down += here[4] + there[4]
                more2 += here[5] + there[5]
                more3 += here[6] + there[6]
                more4 += here[7] + there[7]
                high = out - 1
                level = 0
                if low < high:
                    level = highest_bit(np.uint64(low ^ high))
                    span = table[level, low]
                    if qty * span[1] < fall * peak:
                        fall = qty * span[1] / peak
                    fall = min(fall, span[2])
                    peak = max(peak, qty * span[0])
                    total += qty * span[3]
                span = table[level, high]
                if qty * span[1] < fall * peak:
                    fall = qty * span[1] / peak
                fall = min(fall, span[2])
                peak = max(peak, qty * span[0])
                total += qty * span[3]
            held += out - row
            if leaves:
                got = fill[out] * (1.0 - worse)
                gain = qty * got
                owed = gain * fee
                cash = gain - owed
                if cash < _DECAYED * cash0:
                    unsure = 1.0
                    break
                traded += gain
                cost += owed + abs(got - fill[out]) * qty
                if low == out:  # bought in the first session, sold in the second: their only return
                    change = cash / cash0 - 1.0
                    square = change * change
                    r1, r2, r3, r4 = r1 + change, r2 + square, r3 + square * change, r4 + square * square
                    down += square if change < 0.0 else 0.0
                if cash < fall * peak:
                    fall = cash / peak
                peak = max(peak, cash)
                flat_from = out
                closed += 1
                pnl = gain - value - (paid + owed)
                if pnl > 0.0:
                    wins += 1
                    won += pnl
                elif pnl < 0.0:
                    lost -= pnl
                final = cash
            else:
                flat_from = last + 1
                final = qty * close[last]
        total += (last + 1 - flat_from) * cash
        opened = (found + 1) // 2
        r2, r3, r4 = r2 + more2, r3 + more3, r4 + more4
        mean = r1 / count
        m2 = r2 - count * mean * mean
        if opened > 0:
            blur, slip = _ROUNDING * opened * size[0], _CARRIED * (count + opened)
            if (
                m2 < _CANCELLED * r2
                or blur * blur > _MEANS * _MEANS * count * min(m2, down)
                or _ROUNDING * opened * size[4] > _PART * down
                or slip * size[1] > _PART * r2
                or slip * abs(size[2]) > _PART * m2 * np.sqrt(m2 / count)
                or slip * size[3] > _PART * r4
            ):
                unsure = 1.0
        line = raw[cell]
        line[_COUNT], line[_GROWTH], line[_MEAN], line[_M2] = count, final / cash0, mean, m2
        line[_M3] = r3 - 3.0 * mean * r2 + 2.0 * count * mean**3
        line[_M4] = r4 - 4.0 * mean * r3 + 6.0 * mean**2 * r2 - 3.0 * count * mean**4
        line[_SQUARES], line[_DEEPEST], line[_EXPOSURE] = down, fall - 1.0, held / (count + 1.0)
        line[_EQUITY], line[_VALUE], line[_COST], line[_FINAL] = total / (count + 1.0), traded, cost, final
        line[_TRADES], line[_OPEN], line[_WINS], line[_CLOSED] = opened, opened - closed, wins, closed
        line[_WON], line[_LOST], line[_UNSURE] = won, lost, unsure
