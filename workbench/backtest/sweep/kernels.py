"""The generic kernels: any weights, any number of symbols, one shared purse, filled and measured without order records.

`_replay` does what the reference engine does (`workbench.backtest.engine.simulate`), operation by operation: a wish
waits for the symbol's next price; the book is valued once per session, at the prices of the fills; sales come before
purchases, purchases from small to large, and the last ones are cut to the cash that is left; what is smaller than 1e-9
of the initial cash is no order. Trades run from flat to flat as in `workbench.backtest.trades`.
"""

from __future__ import annotations

import numpy as np

from workbench.backtest.sweep.compiled import compiled, reordered, reordered_finite

# ruff: noqa: C901, PLR0912, PLR0915, PLR0917 - a kernel is one pass, with many plain arguments in a fixed order

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
# Amounts that agree to this fraction are the same amount: the reference engine's rule.
_SAME = 1e-9
# Weights that are looked at at once when the next wish is searched for.
_FEW = 16


@compiled
def weighted(
    weights: np.ndarray,
    fill: np.ndarray,
    value_at: np.ndarray,
    mark: np.ndarray,
    lag: int,
    fee: float,
    worse: float,
    cash0: float,
    equity: np.ndarray,
    raw: np.ndarray,
) -> None:
    """Replay ready weights, cell by cell.

    Args:
        weights: (cell × session × symbol), the wish decided after each session; NaN leaves the holding as it is.
        fill: prices of fills (session × symbol), NaN where there is none.
        value_at: what a share counts when fills are sized; NaN where it never had a price.
        mark: the last known close, (symbol × session).
        lag: sessions from wish to fill, 1 or 0.
        fee, worse: fractions, of the value traded and of the price.
        cash0: the initial cash.
        equity: (cell × session) or (1 × session), written; with one row each cell overwrites the one before.
        raw: (cell × `raw.WIDTH`), written.
    """
    shelf = np.empty((_SHELVES, fill.shape[1]))
    invested = np.empty(len(fill))
    order = np.empty(fill.shape[1], dtype=np.int64)
    for cell in range(len(weights)):
        row = cell if len(equity) > 1 else 0
        _replay(
            weights[cell], fill, value_at, mark, lag, fee, worse, cash0, shelf, order, equity[row], invested, raw[cell]
        )
        _measure(equity[row], invested, cash0, raw[cell])


@compiled
def crossed(
    columns: np.ndarray,
    fast: np.ndarray,
    slow: np.ndarray,
    priced: np.ndarray,
    first: int,
    fill: np.ndarray,
    value_at: np.ndarray,
    mark: np.ndarray,
    lag: int,
    fee: float,
    worse: float,
    cash0: float,
    equity: np.ndarray,
    raw: np.ndarray,
) -> None:
    """Replay cells in which each symbol is wished for with 1/N while its column `fast` lies above its column `slow`.

    Args:
        columns: averages, (symbol × window × session of the whole history), NaN where there is none.
        fast, slow: (cell,) numbers of windows.
        priced: (session of the whole history × symbol), whether there is a close.
        first: the row of the whole history that is the first session of `fill` and the other frames.
        fill, value_at, mark, lag, fee, worse, cash0, equity, raw: see `weighted`.
    """
    shelf = np.empty((_SHELVES, fill.shape[1]))
    invested = np.empty(len(fill))
    order = np.empty(fill.shape[1], dtype=np.int64)
    wishes = np.empty(fill.shape)
    for cell in range(len(fast)):
        row = cell if len(equity) > 1 else 0
        _wish(columns, fast[cell], slow[cell], priced, first, wishes)
        _replay(wishes, fill, value_at, mark, lag, fee, worse, cash0, shelf, order, equity[row], invested, raw[cell])
        _measure(equity[row], invested, cash0, raw[cell])


@compiled
def _wish(columns: np.ndarray, fast: int, slow: int, priced: np.ndarray, first: int, wishes: np.ndarray) -> None:
    """The rows that `workbench.strategies.wishes.emit_changes` makes of the crosses: whole rows when one changes."""
    length, symbols = wishes.shape
    share = 1.0 / symbols
    said = np.zeros(symbols)
    silent = True
    for row in range(length):
        at = first + row
        able, changed = False, False
        for symbol in range(symbols):
            under = columns[symbol, slow, at]
            wish = np.nan
            if not np.isnan(under) and priced[at, symbol]:
                able = True
                wish = share if columns[symbol, fast, at] > under else 0.0
                changed |= wish != said[symbol]
            wishes[row, symbol] = wish
        if able and (silent or changed):
            silent = False
            for symbol in range(symbols):
                if not np.isnan(wishes[row, symbol]):
                    said[symbol] = wishes[row, symbol]
        else:
            wishes[row] = np.nan


# Rows of the shelf: per symbol the wish that waits, shares, sort key, and of the open trade the money spent, the money
# received and the fees.
_WAITING, _HELD, _KEY, _SPENT, _RECEIVED, _FEES = range(6)
_SHELVES = 6


@compiled
def _replay(
    weights: np.ndarray,
    fill: np.ndarray,
    value_at: np.ndarray,
    mark: np.ndarray,
    lag: int,
    fee: float,
    worse: float,
    cash0: float,
    shelf: np.ndarray,
    order: np.ndarray,
    equity: np.ndarray,
    invested: np.ndarray,
    line: np.ndarray,
) -> None:
    """Keep one book; writes `equity`, `invested` (session,) and the counts of fills and trades into `line`."""
    length, symbols = fill.shape
    waiting, held, key = shelf[_WAITING], shelf[_HELD], shelf[_KEY]
    spent, received, fees = shelf[_SPENT], shelf[_RECEIVED], shelf[_FEES]
    shelf[:] = 0.0
    waiting[:] = np.nan
    line[:] = 0.0
    cash, traded, cost, waits = cash0, 0.0, 0.0, 0
    opened, closed, wins, won, lost = 0, 0, 0, 0.0, 0.0
    row = 0
    while row < length:
        if waits == 0:  # nothing happens before the next wish
            until = _next_wish(weights, max(row - lag, 0)) + lag
            if until > row:
                until = min(until, length)
                _mark(mark, held, cash, row, until, equity, invested)
                row = until
                continue
        if row >= lag:
            for symbol in range(symbols):
                wish = weights[row - lag, symbol]
                if not np.isnan(wish):
                    waits += np.isnan(waiting[symbol])
                    waiting[symbol] = wish
        if waits:
            value = cash
            for symbol in range(symbols):
                if held[symbol] != 0.0:
                    value += held[symbol] * value_at[row, symbol]
            due = 0
            for symbol in range(symbols):
                if not (np.isnan(waiting[symbol]) or np.isnan(fill[row, symbol])):
                    sort = waiting[symbol] * value - held[symbol] * fill[row, symbol]
                    place = due
                    while place > 0 and key[place - 1] > sort:
                        key[place], order[place] = key[place - 1], order[place - 1]
                        place -= 1
                    key[place], order[place] = sort, symbol
                    due += 1
            waits -= due
            for place in range(due):
                symbol = order[place]
                price0 = fill[row, symbol]
                size = waiting[symbol] * value / price0 - held[symbol]
                waiting[symbol] = np.nan
                buys = size > 0.0
                if buys:
                    price = price0 * (1.0 + worse)
                    asked = size * price
                    asked += asked * fee
                    if not (asked <= cash or asked - cash <= _SAME * asked):
                        size = cash / (1.0 + fee) / price
                    qty = min(size, cash / (price * (1.0 + fee)))
                else:
                    price = price0 * (1.0 - worse)
                    qty = min(-size, held[symbol])
                    if qty >= held[symbol] * (1.0 - _SAME):
                        qty = held[symbol]
                if qty * price <= _SAME * cash0:
                    continue
                money = qty * price
                paid = money * fee
                traded += money
                cost += paid + abs(price - price0) * qty
                if held[symbol] == 0.0:
                    opened += 1
                fees[symbol] += paid
                if buys:
                    cash = max(0.0, cash - money - paid)
                    held[symbol] += qty
                    spent[symbol] += money
                else:
                    cash = cash + money - paid
                    held[symbol] -= qty
                    received[symbol] += money
                if held[symbol] == 0.0:
                    pnl = received[symbol] - spent[symbol] - fees[symbol]
                    closed += 1
                    if pnl > 0.0:
                        wins += 1
                        won += pnl
                    elif pnl < 0.0:
                        lost -= pnl
                    spent[symbol], received[symbol], fees[symbol] = 0.0, 0.0, 0.0
        _mark(mark, held, cash, row, row + 1, equity, invested)
        row += 1
    line[_VALUE], line[_COST], line[_TRADES], line[_OPEN] = traded, cost, opened, opened - closed
    line[_WINS], line[_CLOSED], line[_WON], line[_LOST] = wins, closed, won, lost


@compiled
def _next_wish(weights: np.ndarray, row: int) -> int:
    """The first row from `row` on that wishes for something; the number of rows where none does."""
    length, symbols = len(weights), weights.shape[1]
    flat = weights.reshape(length * symbols)
    place = row * symbols
    while place < len(flat):
        few = flat[place : place + _FEW]
        said = np.int32(0)
        for item in range(len(few)):
            said += np.int32(not np.isnan(few[item]))
        if said:
            for item in range(len(few)):
                if not np.isnan(few[item]):
                    found: int = (place + item) // symbols
                    return found
        place += _FEW
    return length


@compiled
def _mark(
    mark: np.ndarray, held: np.ndarray, cash: float, low: int, high: int, equity: np.ndarray, invested: np.ndarray
) -> None:
    """Value the book at the closes of rows `low` to `high`, the second not included."""
    value = invested[low:high]
    value[:] = 0.0
    for symbol in range(len(held)):
        if held[symbol] != 0.0:
            qty, closes = held[symbol], mark[symbol, low:high]
            for row in range(len(value)):
                value[row] += qty * closes[row]
    total = equity[low:high]
    for row in range(len(value)):
        total[row] = cash + value[row]


@reordered_finite
def _extremes(values: np.ndarray) -> tuple[float, float]:
    low, high = values[0], values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
    return low, high


@compiled
def _deepest(values: np.ndarray, peak: float) -> float:
    """The least value / highest one before it, `peak` being the first, and at most 1.

    A few values are passed over where even the lowest below the highest of them would be no deeper fall.
    """
    fall = 1.0
    for place in range(0, len(values), _FEW):
        few = values[place : place + _FEW]
        low, high = _extremes(few)
        if low < fall * max(peak, high):
            for value in few:
                if value < fall * peak:
                    fall = value / peak
                peak = max(peak, value)
        peak = max(peak, high)
    return fall


@reordered
def _measure(equity: np.ndarray, invested: np.ndarray, cash0: float, line: np.ndarray) -> None:
    """The numbers of `raw` that follow from the equity and what of it was invested; `invested` is overwritten.

    The first return counts from the initial cash, which is the first equity unless something was filled on that bar.
    """
    count = len(equity) - 1
    exposure = total = mean = down = 0.0
    for row in range(count + 1):
        exposure += invested[row] / equity[row]
        total += equity[row]
    later, sooner, change = equity[1:], equity[:count], invested[:count]
    for row in range(count):
        change[row] = later[row] / sooner[row] - 1.0
    change[0] = later[0] / cash0 - 1.0
    for row in range(count):
        lower = min(change[row], 0.0)
        mean += change[row]
        down += lower * lower
    fall = _deepest(later, cash0)
    mean /= count
    m2 = m3 = m4 = 0.0
    for row in range(count):
        away = change[row] - mean
        square = away * away
        m2 += square
        m3 += square * away
        m4 += square * square
    line[_COUNT], line[_GROWTH], line[_MEAN], line[_M2] = count, equity[count] / cash0, mean, m2
    line[_M3], line[_M4], line[_SQUARES], line[_DEEPEST] = m3, m4, down, fall - 1.0
    line[_EXPOSURE], line[_EQUITY], line[_FINAL] = exposure / (count + 1), total / (count + 1), equity[count]
    line[_UNSURE] = 0.0 if equity[count] > 0.0 else 1.0
