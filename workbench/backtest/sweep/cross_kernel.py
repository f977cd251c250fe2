"""The fused kernel of one symbol, all in or all out: crosses, fills, costs and metrics in one pass, nothing stored.

Why it is fast. Averages are shared columns, so a cell is a pair of column numbers. Crosses are found by comparing whole
blocks of bars at once. While everything is invested the strategy's return is the symbol's own, so what a holding adds
to the sums of returns, and how deep it fell, is looked up in a table prepared once per symbol, whatever its length;
only the bars of the two fills are worked out one by one.

Why it is exact. The table holds sums from each bar to the borders of its block, and of runs of whole blocks; a holding
is put together from them by addition alone. Differences of long running sums, which lose digits, do not occur.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from workbench.backtest.sweep.compiled import compiled, inlined

# ruff: noqa: C901, PLR0912, PLR0915, PLR0917 - a kernel is one pass, with many plain arguments in a fixed order

# Sums so far of r, r², r³, r⁴, min(r, 0)² and of the equity; its highest value, and the least value / highest before.
Sums: TypeAlias = tuple[float, float, float, float, float, float, float, float]

# What the table says about a span of bars: sums of r, r², r³, r⁴, min(r, 0)² and of the closes; the highest and the
# lowest close, and the least close / earlier highest close.
_R1, _R2, _R3, _R4, _DOWN, _SUM, _HIGH, _LOW, _FALL = range(9)
_SPAN = 9
# Bars of a block: 2 ** _SHIFT.
_SHIFT = 4
_BLOCK = 1 << _SHIFT
# Bars that are compared at once, and few of them.
_STRETCH, _FEW = 64, 8

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

# The reference engine's rule: what is smaller than this part of the initial cash is no order.
_DUST = 1e-9
# Below this part of the initial cash the rule above comes near, and the cell is left to the plain kernel.
_DECAYED = 1e-6
# A variance this small beside the mean square has lost digits; the plain kernel computes it in two passes.
_CANCELLED = 1e-3


@inlined
def _nothing(span: np.ndarray) -> None:
    for item in range(6):
        span[item] = 0.0
    span[_HIGH], span[_LOW], span[_FALL] = 0.0, np.inf, np.inf


@inlined
def _join(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """The span of two neighbouring spans; `out` may be one of them."""
    for item in range(6):
        out[item] = left[item] + right[item]
    fall = min(left[_FALL], right[_FALL])
    if left[_HIGH] > 0.0:
        fall = min(fall, right[_LOW] / left[_HIGH])
    out[_HIGH], out[_LOW] = max(left[_HIGH], right[_HIGH]), min(left[_LOW], right[_LOW])
    out[_FALL] = fall


@inlined
def _bar(close: float, before: float, out: np.ndarray) -> None:
    change = close / before - 1.0
    square = change * change
    out[_R1], out[_R2], out[_R3], out[_R4] = change, square, square * change, square * square
    out[_DOWN] = square if change < 0.0 else 0.0
    out[_SUM], out[_HIGH], out[_LOW], out[_FALL] = close, close, close, 1.0


@compiled
def spans(close: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The table of a symbol: for each bar from its block's begin and to its end, and for runs of whole blocks.

    Args:
        close: closes without NaN from row `first` on.

    Returns:
        `begin` and `end`, (bar × 9); `whole`, (level × block × 9): a disjoint sparse table, in which the span of blocks
        i … j is that of level ℓ at i joined with that at j, where ℓ is the highest bit in which i and j differ.
    """
    length = len(close)
    blocks = (length + _BLOCK - 1) // _BLOCK
    begin, end = np.empty((length, _SPAN)), np.empty((length, _SPAN))
    one = np.empty(_SPAN)
    levels = 1
    while (1 << levels) < blocks:
        levels += 1
    whole = np.empty((levels + 1, blocks, _SPAN))
    for block in range(blocks):
        low, high = block * _BLOCK, min((block + 1) * _BLOCK, length)
        _nothing(one)
        for row in range(low, high):
            if row > first:
                _bar(close[row], close[row - 1], begin[row])
                _join(one, begin[row], begin[row])
                one[:] = begin[row]
            else:
                _nothing(begin[row])
        _nothing(one)
        for row in range(high - 1, low - 1, -1):
            if row > first:
                _bar(close[row], close[row - 1], end[row])
                _join(end[row], one, end[row])
                one[:] = end[row]
            else:
                _nothing(end[row])
        whole[0, block] = begin[high - 1]
    for level in range(1, levels + 1):
        half = 1 << level
        for middle in range(half, blocks + half, 2 * half):
            low, high = middle - half, min(middle + half, blocks)
            _nothing(one)
            for block in range(min(middle, blocks) - 1, low - 1, -1):
                _join(whole[0, block], one, whole[level, block])
                one[:] = whole[level, block]
            _nothing(one)
            for block in range(middle, high):
                _join(one, whole[0, block], whole[level, block])
                one[:] = whole[level, block]
    return begin, end, whole


@inlined
def _over(fast: np.ndarray, slow: np.ndarray) -> np.int32:
    """In how many bars fast > slow: a sum of comparisons, which the compiler does eight at a time."""
    over = np.int32(0)
    for item in range(len(fast)):
        over += np.int32(fast[item] > slow[item])
    return over


@compiled
def _crosses(fast: np.ndarray, slow: np.ndarray, first: int, last: int, events: np.ndarray) -> int:
    """Rows from `first` to `last` in which fast > slow begins or ends, alternating; how many there are.

    A stretch of bars, and within it a few bars, are passed over when all of them lie on the side that is known.
    """
    found, above, row = 0, False, first
    while row <= last:
        size = min(_STRETCH, last + 1 - row)
        if size < _STRETCH or _over(fast[row : row + _STRETCH], slow[row : row + _STRETCH]) != (_STRETCH * above):
            for few in range(row, row + size, _FEW):
                width = min(_FEW, row + size - few)
                f, s = fast[few : few + width], slow[few : few + width]
                if width < _FEW or _over(f[:_FEW], s[:_FEW]) != (_FEW * above):
                    for item in range(width):
                        now = f[item] > s[item]
                        events[found] = few + item
                        found += now != above
                        above = now
        row += size
    return found


@inlined
def _absorb(span: np.ndarray, qty: float, left: float, sums: Sums) -> Sums:
    """Add a span of bars with `qty` shares and `left` cash to the sums so far."""
    r1, r2, r3, r4, down, total, peak, fall = sums
    low = qty * span[_LOW] + left
    if low < fall * peak:
        fall = low / peak
    return (
        r1 + span[_R1],
        r2 + span[_R2],
        r3 + span[_R3],
        r4 + span[_R4],
        down + span[_DOWN],
        total + span[_SUM] * qty,
        max(peak, qty * span[_HIGH] + left),
        min(fall, span[_FALL]),
    )


@inlined
def _step(before: float, after: float, sums: Sums) -> Sums:
    """Add one bar in which the equity went from `before` to `after`."""
    r1, r2, r3, r4, down, total, peak, fall = sums
    change = after / before - 1.0
    square = change * change
    if after < fall * peak:
        fall = after / peak
    return (
        r1 + change,
        r2 + square,
        r3 + square * change,
        r4 + square * square,
        down + (square if change < 0.0 else 0.0),
        total + after,
        max(peak, after),
        fall,
    )


@inlined
def _held(
    begin: np.ndarray,
    end: np.ndarray,
    whole: np.ndarray,
    close: np.ndarray,
    low: int,
    high: int,
    qty: float,
    left: float,
    sums: Sums,
) -> Sums:
    """Add the bars from `low` to `high`, both included, in which nothing was traded."""
    block, other = low >> _SHIFT, high >> _SHIFT
    if block == other:
        for row in range(low, high + 1):
            sums = _step(qty * close[row - 1] + left, qty * close[row] + left, sums)
        return sums
    sums = _absorb(end[low], qty, left, sums)
    inner, outer = block + 1, other - 1
    if inner == outer:
        sums = _absorb(whole[0, inner], qty, left, sums)
    elif inner < outer:
        level, apart = 0, (inner ^ outer) >> 1
        while apart:
            level, apart = level + 1, apart >> 1
        sums = _absorb(whole[level, inner], qty, left, sums)
        sums = _absorb(whole[level, outer], qty, left, sums)
    return _absorb(begin[high], qty, left, sums)


@compiled
def all_in_crosses(
    columns: np.ndarray,
    fast: np.ndarray,
    slow: np.ndarray,
    close: np.ndarray,
    fill: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    whole: np.ndarray,
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
        begin, end, whole: see `spans`.
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
        wins, closed, won, lost, opened, final = 0, 0, 0.0, 0.0, 0, cash0
        sums = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, cash0, 1.0)
        for event in range(0, found, 2):
            row = events[event] + lag
            if cash < _DECAYED * cash0:
                unsure = 1.0
                break
            price = fill[row] * (1.0 + worse)
            qty = cash / fill[row]
            asked = qty * price
            asked += asked * fee
            if not (asked <= cash or asked - cash <= _DUST * asked):
                qty = cash / (1.0 + fee) / price
            qty = min(qty, cash / (price * (1.0 + fee)))
            value = qty * price
            paid = value * fee
            left = max(0.0, cash - value - paid)
            traded += value
            cost += paid + abs(price - fill[row]) * qty
            r1, r2, r3, r4, down, total, peak, fall = sums
            total += (row - flat_from) * cash
            equity = left + qty * close[row]
            later = row + 1
            if row == first:  # only at the close of the decision: there is no return yet
                sums = (r1, r2, r3, r4, down, total + equity, peak, fall)
            else:
                sums = _step(cash, equity, (r1, r2, r3, r4, down, total, peak, fall))
            leaves = event + 1 < found
            until = events[event + 1] + lag - 1 if leaves else last
            if row == first and until > row:  # the first return counts from the initial cash
                sums = _step(cash0, left + qty * close[later], sums)
                later += 1
            if until >= later:
                sums = _held(begin, end, whole, close, later, until, qty, left, sums)
            held += until - row + 1
            opened += 1
            if leaves:
                out = until + 1
                got = fill[out] * (1.0 - worse)
                gain = qty * got
                owed = gain * fee
                before = left + qty * close[until] if until > first else cash0
                cash = left + gain - owed
                traded += gain
                cost += owed + abs(got - fill[out]) * qty
                r1, r2, r3, r4, down, total, peak, fall = _step(before, cash, sums)
                sums = (r1, r2, r3, r4, down, total - cash, peak, fall)
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
                final = left + qty * close[last]
        r1, r2, r3, r4, down, total, peak, fall = sums
        total += (last + 1 - flat_from) * cash
        mean = r1 / count
        m2 = r2 - count * mean * mean
        if r2 > 0.0 and m2 < _CANCELLED * r2:
            unsure = 1.0
        line = raw[cell]
        line[_COUNT], line[_GROWTH], line[_MEAN], line[_M2] = count, final / cash0, mean, m2
        line[_M3] = r3 - 3.0 * mean * r2 + 2.0 * count * mean**3
        line[_M4] = r4 - 4.0 * mean * r3 + 6.0 * mean**2 * r2 - 3.0 * count * mean**4
        line[_SQUARES], line[_DEEPEST], line[_EXPOSURE] = down, fall - 1.0, held / (count + 1.0)
        line[_EQUITY], line[_VALUE], line[_COST], line[_FINAL] = total / (count + 1.0), traded, cost, final
        line[_TRADES], line[_OPEN], line[_WINS], line[_CLOSED] = opened, opened - closed, wins, closed
        line[_WON], line[_LOST], line[_UNSURE] = won, lost, unsure
