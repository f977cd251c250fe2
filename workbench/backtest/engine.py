"""The engine: weights replayed through bars after costs, by vectorbt where it can, else by our own replay.

The only file that knows vectorbt.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.accounting import filled_forward, told
from workbench.backtest.booked import Booked, Fills
from workbench.backtest.calendar import sessions_of
from workbench.backtest.fees import schedule_for
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.preconditions import TOLERANCE, check
from workbench.backtest.simulation import ORDER_COLUMNS, Simulation
from workbench.backtest.timing import due, execution_price_for, lag_of, prices_at
from workbench.errors import BacktestError
from workbench.market.actions import Actions

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.costs import Costs
    from workbench.market.bars import Bars

__all__ = ["ORDER_COLUMNS", "Simulation", "engine_version", "execution_price_for", "simulate"]

ENGINES = ("auto", "vectorbt", "replay")
# vectorbt compares amounts with absolute tolerances: it always plays with this much money.
_PURSE = 1e6


def simulate(
    weights: pd.DataFrame,
    bars: Bars,
    *,
    costs: Costs,
    initial_cash: float,
    rules: FillRules | None = None,
    actions: Actions | None = None,
    warm_up: Bars | None = None,
    sessions: pd.DatetimeIndex | None = None,
    engine: str = "auto",
) -> Simulation:
    """Replay wishes through bars: one book, one purse, long and short.

    1. **When.** The row of bar t is a wish decided at the close of t. It is filled in the next bar t+1, at its open
       (`next_open`) or at its close (`next_close`). If the symbol has no such price in t+1, the wish stands and is
       filled at the first later one, unless a newer wish replaced it. The wishes of the last row are never filled.
       `same_close` fills at the very close of t: a look-ahead, only for comparison, and only by that name.
    2. **How many shares.** A weight w becomes w · V / p shares (negative: short), where p is the symbol's price at the
       moment of the fill before costs, and V the book's value at that same moment: cash plus every holding at its
       price then (at its last known price where it has none). V is taken once, before the first fill of the bar; where
       it is not above 0, nothing is filled. A wish whose |w − weight held at that moment| ≤ `rules.band` is not traded,
       unless w is 0. What is traded is rounded toward zero to multiples of `rules.lot`, except when it ends a holding.
       With `rules.cushion` c, w · (1 - c) stands for w. With `rules.sized_at` `decision`, p and V are those of the
       close of t, and rules 1 to 4 are those of `workbench.backtest.day_orders`: the desk's.
    3. **In which order.** Sales come before purchases, so that they pay for them: from the largest sale to the
       largest purchase. Costs come out of cash. A purchase, except of what covers a short, is cut to the money there
       is: cash, less the value of the shorts, plus (`rules.max_gross` − 1) · V where that is above 0. So without
       shorts and leverage cash is never negative, and with weights that sum to 1 the largest purchase pays the costs.
       Short sales are not cut. Amounts below 1e-9 of the initial cash are not traded.
    4. **Volume.** One fill takes at most `rules.max_participation` of its bar's volume; the rest waits for the next
       bar, and is then sized anew. Where volumes are asked for, a bar with volume 0 fills nothing.
    5. **Price.** A purchase is filled at p · (1 + x), a sale at p · (1 − x), x being half the spread, the slippage and
       the impact of `workbench.backtest.slippage.worse`. σ and V there look back over at most 20 bars before the bar of
       the fill, `warm_up` included. A fill whose σ or V is not known yet (fewer than two returns, no volume) waits.
    6. **Fees.** See `workbench.backtest.fees.Fees`.
    7. **Holding.** Before anything else in a bar, the calendar days since the bar before are charged: each short pays
       borrow · days / 360 of its value at the close before; cash without the proceeds of shorts (their value at the
       close before) earns `cash_interest` or, below 0, pays `margin_interest`, · days / 360.
    8. **Corporate actions.** At the open of its session a split multiplies the shares held, and a dividend is paid to
       who held at the close before, and taken from who was short. After the close of its session, a delisting turns
       each share into its value in cash; a wish for the symbol lapses. See `workbench.backtest.calendar.effects`.
    9. **Marking.** Equity is cash plus holdings at the bar's close, at the last known close where there is none. Where
       it is 0 or less, everything is closed at that close without costs, and nothing is traded or charged any more:
       equity stays what it is, and `ruined` says when. There is no margin call before that.

    vectorbt computes what it can express: long only, nothing but proportional costs, no lot, band, participation limit,
    leverage or corporate action. The rest is computed by `workbench.backtest.replay`, which gives the same numbers to
    1e-9 where both apply.

    Args:
        weights: wished signed fractions (bar × symbol), same index and columns as the bars. NaN: leave as it is.
        bars: prices; NaN where a symbol has no bar.
        costs: what trading and holding take away.
        initial_cash: book value before the first fill.
        rules: when and in which amounts wishes are filled; `FillRules()` when None.
        actions: corporate actions of unadjusted bars; none when None. Those of other symbols have no effect.
        warm_up: bars of the same symbols before the first row of `bars`.
        sessions: the session of each bar; the index itself, or the UTC date of an intraday moment, when None.
        engine: `auto`, or who must compute: `vectorbt` or `replay`.

    Raises:
        WeightsRefused: weights do not fit the bars, are infinite, or exceed `rules.max_gross`.
        BarsRefused: there are fewer than two bars, a price is not positive, a wished symbol has none, or a volume or
            fee that the costs and rules ask for is not known.
        BacktestError: opens were asked for and are not there, or vectorbt for what it cannot express.
            In all these cases nothing was simulated. Or costs eat the whole price of a sale.
    """
    rules, actions = rules or FillRules(), actions or Actions()
    sessions = sessions_of(bars.sessions) if sessions is None else sessions
    check(weights, bars, costs=costs, initial_cash=initial_cash, rules=rules, actions=actions, sessions=sessions)
    where = execution_price_for(bars, rules.execution_price)
    wishes = weights.to_numpy(dtype=float)
    chosen = _chosen(engine, _beyond_vectorbt(wishes, costs, rules, actions))
    if chosen == "vectorbt":
        booked = _booked_by_vectorbt(wishes, bars, costs=costs, initial_cash=initial_cash, execution_price=where)
    else:
        from workbench.backtest.replay import replay
        from workbench.backtest.tape import Tape

        tape = Tape.of(
            bars,
            costs=costs,
            rules=rules,
            actions=actions,
            execution_price=where,
            sessions=sessions,
            warm_up=warm_up,
        )
        booked = replay(
            wishes,
            tape,
            costs=costs,
            rules=rules,
            schedule=schedule_for(costs.regulatory, sessions),
            initial_cash=initial_cash,
            lag=lag_of(where),
        )
    return told(booked, bars, execution_price=where, engine=chosen, initial_cash=initial_cash)


def _beyond_vectorbt(wishes: np.ndarray, costs: Costs, rules: FillRules, actions: Actions) -> list[str]:
    """What is asked for that vectorbt cannot express; empty when it can express all of it."""
    found = {
        "shorts": bool((wishes < 0.0).any()),
        "costs that are not proportional": not costs.proportional,
        "rules.lot": bool(rules.lot),
        "rules.band": bool(rules.band),
        "rules.max_gross above 1": rules.max_gross > 1.0,
        "rules.max_participation": rules.max_participation is not None,
        "rules.sized_at": rules.sized_at != "fill",
        "rules.cushion": bool(rules.cushion),
        "corporate actions": bool(actions),
    }
    return [name for name, asked in found.items() if asked]


def _chosen(engine: str, beyond: list[str]) -> str:
    if engine not in ENGINES:
        raise BacktestError(f"engine={engine!r} is not one of {', '.join(ENGINES)}.", remedy="use 'auto'.")
    if engine == "vectorbt" and beyond:
        raise BacktestError(
            f"engine='vectorbt' cannot express {', '.join(beyond)}; nothing was simulated.",
            remedy="use engine='auto' or engine='replay'.",
        )
    return ("replay" if beyond else "vectorbt") if engine == "auto" else engine


def _booked_by_vectorbt(
    wishes: np.ndarray, bars: Bars, *, costs: Costs, initial_cash: float, execution_price: str
) -> Booked:
    reference = prices_at(bars, execution_price)
    close = bars.close.to_numpy(dtype=float)
    size, decided = due(wishes, ~np.isnan(reference), lag=lag_of(execution_price))
    rows = np.flatnonzero(~np.isnan(size).all(axis=1))
    if not len(rows):
        return Booked(Fills(), cash=np.full(len(close), float(initial_cash)), positions=np.zeros(close.shape))
    known = np.vstack([np.full((1, close.shape[1]), np.nan), filled_forward(close)[:-1]])
    value_at = np.where(np.isnan(reference), known, reference)[rows]
    records = _orders_by_vectorbt(size[rows], reference[rows], value_at, costs=costs)
    return _kept(rows[records["idx"]], records, decided, reference, costs=costs, initial_cash=initial_cash)


def _orders_by_vectorbt(size: np.ndarray, price: np.ndarray, value_at: np.ndarray, *, costs: Costs) -> np.ndarray:
    """Order records (idx, col, size, price, fees, side) of a purse of `_PURSE`, in the order of filling.

    Only bars in which something is due are shown. vectorbt's function under `Portfolio.from_orders` is called, since
    the wrapping of its results takes longer than the simulation. Three habits are overruled. It fills at the close of
    the decision: sizes come shifted. It values a symbol without a price at the last price it was *ordered* at:
    `val_price` says the last known close. It sorts sales before purchases by order value, where NaN has no place: a
    cell without a wish becomes an order of zero shares at a finite value.

    Args:
        size: the weights that are due (bar × symbol), NaN where none is.
        value_at: the prices at which holdings count, NaN where none was ever known: nothing can be held there.
    """
    silent = np.isnan(size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vectorbt 1.2 and pandas 3 disagree about deprecations in vectorbt's code
        from vectorbt.portfolio.dispatch import simulate_from_orders
        from vectorbt.portfolio.enums import Direction, SizeType

        records, _ = simulate_from_orders(
            size.shape,
            np.array([size.shape[1]], dtype=np.int64),
            np.array([_PURSE]),
            np.tile(np.arange(size.shape[1]), (len(size), 1)),
            size=np.where(silent, 0.0, size),
            price=np.ascontiguousarray(price),
            size_type=np.where(silent, int(SizeType.Amount), int(SizeType.TargetPercent)).astype(np.int64),
            direction=np.asarray(int(Direction.LongOnly)),
            fees=np.asarray(costs.fee),
            slippage=np.asarray(costs.worse),
            val_price=np.where(np.isnan(value_at), 1.0, value_at),
            close=np.ascontiguousarray(price),
            auto_call_seq=True,
            update_value=False,
            max_orders=int((~silent).sum()),
        )
    found: np.ndarray = records
    return found


def _kept(
    rows: np.ndarray,
    records: np.ndarray,
    decided: np.ndarray,
    reference: np.ndarray,
    *,
    costs: Costs,
    initial_cash: float,
) -> Booked:
    """Keep the book from the fills alone, one after the other: cash and shares.

    vectorbt calls two amounts equal when they agree to 1e-9: it may sell a hair more than is held or spend a hair more
    than there is. Here a sale ends exactly at zero, a purchase at the last cent, and dust is not an order.
    """
    cash, dust, outlay = float(initial_cash), TOLERANCE * initial_cash, 1.0 + costs.fee
    held = [0.0] * reference.shape[1]
    kept: list[int] = []
    signed: list[float] = []
    cash_after: list[float] = []
    held_after: list[float] = []
    sizes = (records["size"] * (initial_cash / _PURSE)).tolist()
    columns, prices, sides = (records[name].tolist() for name in ("col", "price", "side"))
    for number, (column, qty, price, side) in enumerate(zip(columns, sizes, prices, sides, strict=True)):
        buys, before = side == 0, held[column]
        if buys:
            qty = min(qty, cash / (price * outlay))  # noqa: PLW2901
        elif qty >= before * (1.0 - TOLERANCE):
            qty = before  # noqa: PLW2901
        value = qty * price
        if value <= dust:
            continue
        if buys:
            cash = max(0.0, cash - value - value * costs.fee)
            held[column] = before + qty
        else:
            cash = cash + value - value * costs.fee
            held[column] = before - qty
        kept.append(number)
        signed.append(qty if buys else -qty)
        cash_after.append(cash)
        held_after.append(held[column])
    row, column = rows[kept], records["col"][kept].astype(np.int64)
    price, shares, after = records["price"][kept], np.array(signed), np.array(held_after)
    before_costs = reference[row, column]
    qty = np.abs(shares)
    lost, spread = np.abs(price - before_costs) * qty, qty * before_costs * (costs.spread / 2.0)
    cash_at = np.full(len(reference), np.nan)
    cash_at[0] = initial_cash
    cash_at[row] = cash_after
    positions = np.full(reference.shape, np.nan)
    positions[0] = 0.0
    positions[row, column] = after
    return Booked(
        Fills(
            row=row,
            column=column,
            decided=decided[row, column],
            signed=shares,
            price=price,
            reference=before_costs,
            fee=qty * price * costs.fee,
            slippage=np.maximum(0.0, lost - spread),
            spread=spread,
            impact=np.zeros(len(row)),
            held=after,
            ruin=np.zeros(len(row), dtype=bool),
        ),
        cash=filled_forward(cash_at[:, None])[:, 0],
        positions=filled_forward(positions),
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
