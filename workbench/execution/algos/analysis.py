"""What a parent order cost: each child's fills against arrival, the market's average price and the decision price."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd

from workbench.execution.algos.parent import load_parent, progress_in, slices_in
from workbench.execution.algos.tally import tally_in
from workbench.market.order import Side
from workbench.store.engine import transaction

if TYPE_CHECKING:
    from sqlalchemy import Engine

BENCHMARKS = ("arrival", "vwap", "decision", "slice")
COLUMNS = (
    "slice",
    "client_order_id",
    "state",
    "qty",
    "filled",
    "price",
    "fee",
    *(f"{name}_{unit}" for name in BENCHMARKS for unit in ("price", "bp", "cost")),
)
_NAN = float("nan")


def slippage(engine: Engine, parent_id: str) -> pd.DataFrame:
    """One row per child in the order written, and a last one, `all`, of the parent: fills against four benchmarks.

    With s = +1 for a purchase and −1 for a sale, p the mean price of the fills and b the benchmark: the cost is
    s·(p − b)·filled in currency and s·(p − b)/b·10⁴ in basis points; above 0 it cost us. Fees are not in it.

    Returns:
        `COLUMNS`, indexed by position: `slice` (number; <NA> for the parent), `qty` ordered and `filled` shares,
        `price` (mean; NaN without a fill), `fee` in currency, and for each benchmark its price, `_bp` and `_cost`:
        `arrival` (when the parent began), `vwap` (of the market while it worked), `decision`, and `slice` (when the
        child was written; the parent's is the mean over its fills). NaN where the benchmark or the price is not known,
        never 0.

    Raises:
        StoreError: there is no such parent.
    """
    with transaction(engine) as opened:
        parent = progress_in(opened, load_parent(opened, parent_id)).parent
        tally = tally_in(opened, parent_id)
        slices = {one.intent_id: one for one in slices_in(opened, parent_id) if one.intent_id}
    common = {"arrival": parent.arrival_price, "vwap": parent.market_vwap, "decision": parent.decision_price}
    rows: list[dict[str, object]] = []
    for child in tally.children:
        one = slices.get(child.intent.id)
        price = child.value / child.booked if child.booked else None
        named: dict[str, object] = {
            "slice": pd.NA if one is None else one.number,
            "client_order_id": child.intent.client_order_id,
            "state": child.intent.state.value,
            "qty": float(child.intent.qty),
        }
        own = None if one is None else one.arrival_price
        measured = _against(parent.side, child.booked, price, {**common, "slice": own})
        rows.append({**named, **_filled(child.booked, price, child.fee), **measured})
    whole: dict[str, object] = {
        "slice": pd.NA,
        "client_order_id": "all",
        "state": parent.state,
        "qty": float(parent.qty),
    }
    known = [
        (child.booked, slices[child.intent.id].arrival_price)
        for child in tally.children
        if child.booked and child.intent.id in slices
    ]
    every = sum(booked for booked, price in known if price is not None) == tally.booked
    own = (
        sum((booked * price for booked, price in known if price is not None), Decimal(0)) / tally.booked
        if tally.booked and every
        else None
    )
    measured = _against(parent.side, tally.booked, tally.avg_price, {**common, "slice": own})
    rows.append({**whole, **_filled(tally.booked, tally.avg_price, tally.fee), **measured})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"slice": "Int64"})


def fills_of(engine: Engine, parent_id: str) -> pd.DataFrame:
    """The booked fills of a parent, one row per child that filled: `qty` shares, mean `price`, `fee`, `happened` (UTC).

    What `report.shortfall.of_order` takes.
    """
    with transaction(engine) as opened:
        load_parent(opened, parent_id)
        children = [child for child in tally_in(opened, parent_id).children if child.booked]
    rows = [(float(c.booked), float(c.value / c.booked), float(c.fee), c.last_fill) for c in children]
    return pd.DataFrame(rows, columns=["qty", "price", "fee", "happened"])


def _filled(booked: Decimal, price: Decimal | None, fee: Decimal) -> dict[str, float]:
    return {"filled": float(booked), "price": _NAN if price is None else float(price), "fee": float(fee)}


def _against(
    side: Side, booked: Decimal, price: Decimal | None, benchmarks: dict[str, Decimal | None]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, benchmark in benchmarks.items():
        found[f"{name}_price"] = _NAN if benchmark is None else float(benchmark)
        known = benchmark is not None and price is not None
        away = side.sign * (price - benchmark) if benchmark is not None and price is not None else Decimal(0)
        found[f"{name}_bp"] = float(away / benchmark * 10_000) if known and benchmark is not None else _NAN
        found[f"{name}_cost"] = float(away * booked) if known else _NAN
    return found
