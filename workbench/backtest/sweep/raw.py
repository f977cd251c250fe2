"""Raw numbers of a cell: the columns of what the kernels count."""

from __future__ import annotations

# Columns of a kernel's output, one row per cell: sessions after the first, final / first equity, mean return, sums of
# the second to fourth powers of the returns' distance from it, sum of squared negative returns, deepest wealth over
# peak − 1, mean invested fraction, mean equity, value of all fills, trades, trades still open, closed trades that won,
# closed trades, money won, money lost, fees and slippage, last equity, and whether another engine must do the cell.
(
    COUNT,
    GROWTH,
    MEAN,
    M2,
    M3,
    M4,
    DOWN,
    FALL,
    EXPOSURE,
    EQUITY,
    VALUE,
    TRADES,
    OPEN,
    WINS,
    CLOSED,
    WON,
    LOST,
    COST,
    FINAL,
    UNSURE,
) = range(20)
WIDTH = 20
