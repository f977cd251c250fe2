"""The engine: weights replayed through bars after costs. The only file that knows vectorbt."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.trades import round_trips
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from workbench.backtest.costs import Costs
    from workbench.market.bars import Bars

EXECUTION_PRICES = ("next_open", "next_close")
ORDER_COLUMNS = ("symbol", "decided", "session", "side", "qty", "price", "reference_price", "value", "fee", "slippage")
_ORDER_TYPES: dict[str, Any] = {
    **dict.fromkeys(("symbol", "side"), str),
    **dict.fromkeys(("decided", "session"), "datetime64[us]"),
    **dict.fromkeys(("qty", "price", "reference_price", "value", "fee", "slippage"), float),
}
# Amounts that agree to this fraction are the same amount.
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came out of a replay; every frame has the sessions of the weights as its index.

    Attributes:
        equity: book value at each close, in currency; the first row is the initial cash, because the first wish is
            decided at the first close and filled a session later.
        returns: simple return of the equity from the session before; one row fewer than `equity`.
        orders: one row per fill, in the order of filling, see `ORDER_COLUMNS`: `decided` (session of the wish),
            `session` (of the fill), `side`, `qty` in shares, `price` paid, `reference_price` before slippage, `value`
            (qty × price), `fee` and `slippage` in currency, ≥ 0.
        trades: round trips, see `workbench.backtest.trades.round_trips`.
        positions: shares held after each session's fills (session × symbol), ≥ 0.
        cash: cash after each session's fills, ≥ 0.
        exposure: value of the holdings / equity at each close, from 0 to 1.
        execution_price: `next_open` or `next_close`: where the wishes were filled.
    """

    equity: pd.Series
    returns: pd.Series
    orders: pd.DataFrame
    trades: pd.DataFrame
    positions: pd.DataFrame
    cash: pd.Series
    exposure: pd.Series
    execution_price: str


def simulate(
    weights: pd.DataFrame, bars: Bars, *, costs: Costs, initial_cash: float, execution_price: str = "auto"
) -> Simulation:
    """Replay wishes through bars: one book, one purse, no leverage, long only.

    1. **When.** The row of session t is a wish decided at the close of t. It is filled in the next session t+1, at its
       open (`next_open`) or at its close (`next_close`), never at the close it was decided on. If the symbol has no
       such price in t+1, the wish stands and is filled at the first later one, unless a newer wish replaced it. The
       wishes of the last row are never filled.
    2. **How many shares.** A weight w becomes w × V / p shares, fractions allowed, where p is the symbol's price at the
       moment of the fill (before slippage) and V the book's value at that same moment: cash plus every holding at its
       price then (at its last known price where it has none). V is taken once, before the first fill of the session.
    3. **In which order.** Sales come before purchases, so that they pay for them; purchases go from small to large.
       Fees and slippage come out of cash, so with weights that sum to 1 the largest purchase is cut to the cash that
       is left. Cash is never negative.
    4. **Marking.** Equity is cash plus holdings at the session's close, at the last known close where there is none.

    Args:
        weights: wished fractions (session × symbol), same index and columns as the bars. NaN: leave as it is.
        bars: prices; NaN where a symbol has no bar.
        costs: fee and slippage.
        initial_cash: book value before the first fill.
        execution_price: `next_open`, `next_close`, or `auto`: opens where every symbol has them, else closes. The two
            are never mixed, since one purse cannot be spent at two moments of a session at once.

    Raises:
        BacktestError: weights do not fit the bars, are negative, infinite, or sum to more than 1; a price is not
            positive; opens were asked for and are not there. Nothing was simulated.
    """
    _check(weights, bars, initial_cash)
    where = execution_price_for(bars, execution_price)
    prices = bars.open.where(bars.close.notna()) if where == "next_open" and bars.open is not None else bars.close
    reference = prices.to_numpy(dtype=float)
    size, decided = _due(weights.to_numpy(dtype=float), reference)
    records = _orders_by_vectorbt(size, reference, bars.close, costs=costs, initial_cash=initial_cash)
    return _account(records, decided, reference, bars, costs=costs, initial_cash=initial_cash, execution_price=where)


def execution_price_for(bars: Bars, execution_price: str = "auto") -> str:
    """`next_open` or `next_close`: what `execution_price` means for these bars.

    Raises:
        BacktestError: the name is unknown, or opens were asked for and some symbol has closes but no open at all.
    """
    if execution_price not in {"auto", *EXECUTION_PRICES}:
        raise BacktestError(
            f"execution_price={execution_price!r} is not one of auto, {', '.join(EXECUTION_PRICES)}.",
            remedy="use 'auto'. A fill at the close that the decision was made on does not exist here.",
        )
    without = list(bars.symbols)
    if bars.open is not None:
        lacking = bars.open.isna().all() & bars.close.notna().any()
        without = [str(symbol) for symbol in lacking.index[lacking]]
    if execution_price == "auto":
        return "next_close" if without else "next_open"
    if execution_price == "next_open" and without:
        raise BacktestError(
            f"execution_price='next_open', but {', '.join(without[:5])} have closes only.",
            remedy="use 'next_close' or 'auto', or drop these symbols.",
        )
    return execution_price


def _check(weights: pd.DataFrame, bars: Bars, initial_cash: float) -> None:
    close = bars.close
    if not weights.index.equals(close.index) or list(weights.columns) != list(close.columns):
        raise BacktestError(
            f"weights of shape {weights.shape} do not have the sessions and symbols of the bars, {close.shape}.",
            remedy="return a frame over all sessions and symbols of the history.",
        )
    if not (np.isfinite(initial_cash) and initial_cash > 0):
        raise BacktestError(f"initial_cash={initial_cash!r} must be greater than 0.", remedy="use e.g. 100_000.")
    values = weights.to_numpy(dtype=float)
    for bad, what in (
        (np.isinf(values), "is infinite"),
        (values < 0, "is negative: short sales are not simulated, since borrow fees and margin calls would be missing"),
    ):
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise BacktestError(
                f"the weight of {weights.columns[column]} on {weights.index[row].date()} is {values[row, column]}: it "
                f"{what}.",
                remedy="wish for fractions from 0 to 1.",
            )
    sums = np.nansum(values, axis=1)
    if (sums > 1.0 + TOLERANCE).any():
        row = int((sums > 1.0 + TOLERANCE).argmax())
        raise BacktestError(
            f"the weights of {weights.index[row].date()} sum to {sums[row]:.6f}, more than 1; there is no leverage.",
            remedy="scale the row so that it sums to at most 1.",
        )
    for name, frame in bars:
        if name == "volume":
            continue
        prices = frame.to_numpy(dtype=float)
        if (bad := (prices <= 0) | np.isinf(prices)).any():
            row, column = np.argwhere(bad)[0]
            raise BacktestError(
                f"{name} of {frame.columns[column]} on {frame.index[row].date()} is {prices[row, column]}; a price "
                "must be finite and greater than 0.",
                remedy="repair or drop the row; the data notebook lists findings.",
            )


def _due(wishes: np.ndarray, prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which weight is due for filling in which session, NaN where none is, and in which row it was decided."""
    due = np.full(wishes.shape, np.nan)
    decided = np.zeros(wishes.shape, dtype=np.int64)
    waiting = np.full(wishes.shape[1], np.nan)
    since = np.zeros(wishes.shape[1], dtype=np.int64)
    for row in range(1, len(wishes)):
        newer = ~np.isnan(wishes[row - 1])
        waiting[newer] = wishes[row - 1, newer]
        since[newer] = row - 1
        now = ~np.isnan(waiting) & ~np.isnan(prices[row])
        if now.any():
            due[row, now] = waiting[now]
            decided[row, now] = since[now]
            waiting[now] = np.nan
    return due, decided


def _orders_by_vectorbt(
    size: np.ndarray, price: np.ndarray, close: pd.DataFrame, *, costs: Costs, initial_cash: float
) -> np.ndarray:
    """Order records (idx, col, size, price, fees, side), in the order of filling.

    Four habits of vectorbt are overruled. It fills at the close of the decision: prices and sizes come shifted. It
    values a symbol without a price at the last price it was *ordered* at: `val_price` says the last known close. It
    sorts sales before purchases by order value, where NaN has no place: a cell without a wish becomes an order of zero
    shares at a finite value. And it guesses a frequency from the index, which fails for business days.
    """
    known = close.ffill().shift(1).to_numpy(dtype=float)
    value_at = np.where(np.isnan(price), known, price)
    silent = np.isnan(size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vectorbt 1.2 and pandas 3 disagree about deprecations in vectorbt's code
        import vectorbt
        from vectorbt.portfolio.enums import SizeType

        book = vectorbt.Portfolio.from_orders(
            close.set_axis(range(close.shape[1]), axis=1).set_axis(range(len(close)), axis=0),
            size=np.where(silent, 0.0, size),
            size_type=np.where(silent, int(SizeType.Amount), int(SizeType.TargetPercent)).astype(np.int64),
            price=price,
            val_price=np.where(np.isnan(value_at), 1.0, value_at),  # 1 where never priced: nothing can be held there
            direction="longonly",
            fees=costs.fee,
            slippage=costs.slippage,
            init_cash=float(initial_cash),
            cash_sharing=True,
            group_by=True,
            call_seq="auto",
            update_value=False,
            freq="1D",
        )
        records: np.ndarray = book.order_records
    return records


def _account(
    records: np.ndarray,
    decided: np.ndarray,
    reference: np.ndarray,
    bars: Bars,
    *,
    costs: Costs,
    initial_cash: float,
    execution_price: str,
) -> Simulation:
    """Keep the book from the fills alone, one after the other: cash, shares, and their value at each close.

    vectorbt calls two amounts equal when they agree to 1e-9: it may sell a hair more than is held or spend a hair more
    than there is. Here a sale ends exactly at zero, a purchase at the last cent, and dust is not an order.
    """
    index, symbols = pd.DatetimeIndex(bars.sessions.rename("session")), bars.symbols
    stamps = index.to_numpy().astype("datetime64[us]")
    cash_at = np.full(len(index), np.nan)
    held_at = np.full(bars.close.shape, np.nan)
    cash_at[0], held_at[0] = initial_cash, 0.0
    cash, held = float(initial_cash), np.zeros(bars.close.shape[1])
    rows: list[tuple[Any, ...]] = []
    for row, column, size, price, side in zip(
        *(records[name].tolist() for name in ("idx", "col", "size", "price", "side")), strict=True
    ):
        buys, qty = side == 0, size
        if buys:
            qty = min(qty, cash / (price * (1.0 + costs.fee)))
        elif qty >= held[column] * (1.0 - TOLERANCE):
            qty = float(held[column])
        if qty * price <= TOLERANCE * initial_cash:
            continue
        value, fee = qty * price, qty * price * costs.fee
        cash = max(0.0, cash - value - fee) if buys else cash + value - fee
        held[column] = held[column] + qty if buys else held[column] - qty
        cash_at[row], held_at[row, column] = cash, held[column]
        before = reference[row, column]
        said = stamps[decided[row, column]]
        slippage = abs(price - before) * qty
        symbol, name = symbols[column], "buy" if buys else "sell"
        rows.append((symbol, said, stamps[row], name, qty, price, before, value, fee, slippage))
    orders = pd.DataFrame(rows, columns=list(ORDER_COLUMNS)).astype(_ORDER_TYPES).rename_axis(index="order")
    positions = pd.DataFrame(held_at, index=index, columns=bars.close.columns).ffill()
    marks = bars.close.ffill()
    holdings = (positions * marks.set_axis(index, axis=0)).sum(axis=1)
    money = pd.Series(cash_at, index=index, name="cash").ffill()
    equity = (money + holdings).rename("equity")
    return Simulation(
        equity=equity,
        returns=(equity / equity.shift(1) - 1.0).iloc[1:].rename("return"),
        orders=orders,
        trades=round_trips(orders, marks=marks.iloc[-1]),
        positions=positions,
        cash=money,
        exposure=(holdings / equity).rename("exposure"),
        execution_price=execution_price,
    )


def engine_version() -> dict[str, str | None]:
    """Which engine answers, for the provenance; nothing heavy is imported."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {"vectorbt": version("vectorbt")}
    try:
        found["vectorbt-rust"] = version("vectorbt-rust")
    except PackageNotFoundError:  # vectorbt falls back to numba by itself
        found["vectorbt-rust"] = None
    return found
