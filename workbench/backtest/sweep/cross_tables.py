"""Tables of one symbol for the cross kernel: what any holding was worth, and what entering and leaving it returned.

Each number of a holding comes from two rows, whatever its length. Where digits could get lost they are kept: extremes
and sums of closes are never differences, and running sums of powers of returns carry what rounding took from them.
"""

from __future__ import annotations

import numpy as np

from workbench.backtest.sweep.compiled import compiled, inlined

# ruff: noqa: PLR0917 - a kernel has many plain arguments in a fixed order

# What `spans` says about a run of bars: the highest and the lowest close, the least close / earlier highest close, and
# the sum of the closes.
_SPAN = 4
# What `turns` says about a bar: sums of r, r², r³, r⁴ and min(r, 0)², and what rounding took from r², r³ and r⁴.
_TURN = 8
# Bytes per number.
_FLOAT = 8


def spans_fit(length: int, most: int) -> bool:
    """Whether the table of `spans` over so many bars stays within `most` bytes."""
    return length * max(1, (length - 1).bit_length()) * _SPAN * _FLOAT <= most


@compiled
def spans(close: np.ndarray, first: int) -> np.ndarray:
    """A disjoint sparse table, (level × bar × 4): high, low, least close / earlier high, and sum.

    The span of bars i < j is row i joined with row j of level ℓ, the highest bit in which i and j differ; that of one
    bar is its row of level 0.

    Args:
        close: closes without NaN from row `first` on; rows before it are not to be asked for.
    """
    length = len(close)
    levels = 1
    while (1 << levels) < length:
        levels += 1
    out = np.empty((levels, length, _SPAN))
    for level in range(levels):
        half = 1 << level
        table = out[level]
        for middle in range(half, length + half, 2 * half):
            high, low, fall, total = 0.0, np.inf, 1.0, 0.0
            for row in range(min(middle, length) - 1, max(middle - half, first) - 1, -1):
                now = close[row]
                fall = min(fall, low / now)
                high, low, total = max(high, now), min(low, now), total + now
                table[row, 0], table[row, 1], table[row, 2], table[row, 3] = high, low, fall, total
            high, low, fall, total = 0.0, np.inf, 1.0, 0.0
            for row in range(max(middle, first), min(middle + half, length)):
                now = close[row]
                high, low, total = max(high, now), min(low, now), total + now
                fall = min(fall, now / high)
                table[row, 0], table[row, 1], table[row, 2], table[row, 3] = high, low, fall, total
    return out


@inlined
def _both(one: float, other: float) -> tuple[float, float]:
    """The sum and what its rounding took (Knuth 1969, TAOCP 2, 4.2.2 theorem B)."""
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)


@inlined
def _write(out: np.ndarray, change: float, high: np.ndarray, low: np.ndarray, sign: float) -> None:
    """A bar's return joined with `sign` times the running sums."""
    square = change * change
    down = square if change < 0.0 else 0.0
    r1, lost1 = _both(change, sign * high[0])
    r2, lost2 = _both(square, sign * high[1])
    r3, lost3 = _both(square * change, sign * high[2])
    r4, lost4 = _both(square * square, sign * high[3])
    squares, lost = _both(down, sign * high[4])
    out[0], out[4] = r1 + (lost1 + sign * low[0]), squares + (lost + sign * low[4])
    out[1], out[2], out[3] = r2, r3, r4
    out[5], out[6], out[7] = lost2 + sign * low[1], lost3 + sign * low[2], lost4 + sign * low[3]


@compiled
def turns(
    close: np.ndarray, fill: np.ndarray, first: int, last: int, fee: float, worse: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What entering in one bar and leaving in a later one adds to the sums of returns, between all cash and no cash.

    Args:
        close, fill: closes and prices of fills, without NaN from `first` to `last`.
        fee, worse: fractions, of the value traded and of the price.

    Returns:
        `enter`, `leave`: (bar from `first` on × 8): the sums over a holding bought in bar i and sold in bar j are
        enter[i] + leave[j]; `leave` has one row more, for what is not sold. The return of the first bar counts nowhere,
        and what is bought there counts from the bar after it.
        `shares`: what one unit of cash buys, per bar.
        `size`: the largest number of each of the 8 columns, in which their rounding is to be measured.
    """
    length = last + 1 - first
    enter, leave = np.zeros((length, _TURN)), np.zeros((length + 1, _TURN))
    shares, size = np.empty(length), np.zeros(_TURN)
    high, low = np.zeros(5), np.zeros(5)
    powers = np.empty(5)
    for bar in range(length):
        row = first + bar
        shares[bar] = 1.0 / (fill[row] * (1.0 + worse) * (1.0 + fee))
        if bar > 0:
            _write(leave[bar], fill[row] * (1.0 - worse) * (1.0 - fee) / close[row - 1] - 1.0, high, low, 1.0)
            change = close[row] / close[row - 1] - 1.0
            square = change * change
            powers[0], powers[1], powers[2], powers[3] = change, square, square * change, square * square
            powers[4] = square if change < 0.0 else 0.0
            for item in range(5):
                total, lost = _both(high[item], powers[item])
                high[item], low[item] = _both(total, low[item] + lost)
            _write(enter[bar], close[row] * shares[bar] - 1.0, high, low, -1.0)
        if bar == 1:
            _write(enter[0], close[row] * shares[0] - 1.0, high, low, -1.0)
    _write(leave[length], 0.0, high, low, 1.0)
    for bar in range(length):
        for item in range(_TURN):
            size[item] = max(size[item], abs(enter[bar, item]), abs(leave[bar, item]), abs(leave[length, item]))
    return enter, leave, shares, size
