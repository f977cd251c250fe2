"""Child slippage, worked out by hand."""

import math
from decimal import Decimal

import pytest

from tests.execution.algos.conftest import SYMBOL
from workbench.errors import StoreError
from workbench.execution.algos.analysis import COLUMNS, fills_of, slippage
from workbench.execution.risk.limits import Limits
from workbench.market.order import Side


def played(world, **named):
    """300 shares in two slices: 150 at 50.05 when the market was at 50.00, 100 of 150 at 50.25 when it was at 50.20."""
    parent = world.start(300, minutes=20, **named)
    world.step(0)
    world.desk()
    world.fill(price="50.05")
    world.facts.prices = {SYMBOL: Decimal("50.20")}
    world.step(10)
    world.desk()
    world.fill(100, price="50.25")
    world.step(20)
    world.desk()
    assert world.step(20.1) is None
    return parent


def test_each_child_and_the_parent_against_four_benchmarks(world):
    parent = played(world, decision_price=Decimal("49.90"))
    frame = slippage(world.journal.engine, parent.id)
    assert list(frame.columns) == list(COLUMNS)
    first, second, whole = (frame.iloc[i] for i in range(3))
    assert (first["slice"], first["filled"], first["price"], first["state"]) == (0, 150.0, 50.05, "filled")
    assert first["arrival_bp"] == pytest.approx(0.05 / 50 * 1e4)
    assert first["arrival_cost"] == pytest.approx(7.5)
    assert first["decision_bp"] == pytest.approx(0.15 / 49.9 * 1e4)
    assert first["vwap_bp"] == pytest.approx(-0.05 / 50.1 * 1e4)  # better than the market's average
    assert first["slice_bp"] == pytest.approx(10.0)
    assert second["slice_bp"] == pytest.approx(0.05 / 50.2 * 1e4)
    assert (second["qty"], second["filled"], second["state"]) == (150.0, 100.0, "canceled")
    assert (whole["client_order_id"], whole["filled"], whole["state"]) == ("all", 250.0, "expired")
    assert whole["price"] == pytest.approx((150 * 50.05 + 100 * 50.25) / 250)
    for name in ("arrival", "vwap", "decision", "slice"):
        assert whole[f"{name}_cost"] == pytest.approx(first[f"{name}_cost"] + second[f"{name}_cost"])


def test_a_sale_below_its_benchmark_is_a_cost(world):
    world.limits = Limits(allow_short=True)
    world.reborn()
    parent = world.start(100, minutes=20, side=Side.SELL, limit=Decimal("49.00"))
    world.facts.prices = {SYMBOL: Decimal("50.00")}
    world.step(0)
    world.desk()
    world.fill(price="49.95")
    frame = slippage(world.journal.engine, parent.id)
    assert frame["arrival_bp"].iloc[0] == pytest.approx(10.0)
    assert frame["arrival_cost"].iloc[0] == pytest.approx(2.5)


def test_a_benchmark_that_is_not_known_is_nan_and_never_0(world):
    world.facts.average = None
    parent = played(world)
    frame = slippage(world.journal.engine, parent.id)
    unknown = [f"{name}_{unit}" for name in ("vwap", "decision") for unit in ("price", "bp", "cost")]
    assert frame[unknown].isna().all(axis=None)
    assert frame[["arrival_bp", "slice_bp"]].notna().all(axis=None)


def test_a_child_without_a_fill_has_no_price_and_no_slippage(world):
    parent = world.start(300, minutes=20)
    world.step(0)
    frame = slippage(world.journal.engine, parent.id)
    assert frame["filled"].tolist() == [0.0, 0.0]
    assert frame[["price", "arrival_bp", "arrival_cost", "slice_bp"]].isna().all(axis=None)
    assert frame["arrival_price"].tolist() == [50.0, 50.0]
    assert fills_of(world.journal.engine, parent.id).empty


def test_the_fills_of_a_parent_for_the_report(world):
    parent = played(world)
    frame = fills_of(world.journal.engine, parent.id)
    assert frame[["qty", "price", "fee"]].to_numpy().tolist() == [[150.0, 50.05, 0.0], [100.0, 50.25, 0.0]]
    assert not math.isnan(frame["happened"].iloc[0].timestamp())
    with pytest.raises(StoreError, match="no parent order"):
        slippage(world.journal.engine, "nobody")
