import datetime as dt
from decimal import Decimal

import pytest

from workbench.errors import NoData
from workbench.orchestration import history
from workbench.orchestration.plan import Plan
from workbench.orchestration.run_store import RunStore
from workbench.store.engine import transaction
from workbench.store.tables.execution import IntentRow, PositionRow
from workbench.store.tables.pipeline import Status

NOW = dt.datetime(2015, 6, 30, 21, tzinfo=dt.UTC)


@pytest.fixture
def run_ids(engine, site, tmp_path):
    site.notebook("a", "1")
    plan = Plan.of(site.pipeline("name: a, notebook: notebooks/a.ipynb", parameters="{as_of: 2015-06-30}"))
    ids = []
    for number, status in enumerate((Status.FAILED, Status.DONE)):
        moment = NOW + dt.timedelta(minutes=number)
        store = RunStore(engine, clock=lambda moment=moment: moment)
        claim = store.begin(plan, tmp_path)
        store.step(claim, "a", status=status, cells=3, cells_done=number + 2, runtime_s=2.5, kernel_s=0.5)
        store.end(claim, status, report="page.html" if number else None, error=None if number else "no")
        ids.append(claim.run_id)
    return ids


def test_runs_newest_first(engine, run_ids):
    frame = history.runs(engine)
    assert list(frame["run"]) == run_ids[::-1]
    assert list(frame["status"]) == ["DONE", "FAILED"]
    assert list(frame["done"]) == ["1/1", "0/1"]
    assert list(frame["seconds"]) == [0.0, 0.0]
    assert frame["report"][0] == "page.html"
    assert len(history.runs(engine, last=1)) == 1
    assert len(history.runs(engine, session="2015-06-30", pipeline="tiny")) == 2
    assert history.runs(engine, pipeline="other").empty


def test_steps_of_one_run(engine, run_ids):
    frame = history.steps(engine, run_ids[1][:8])
    assert frame.loc[0, ["step", "status", "cells", "seconds", "outside_cells"]].tolist() == [
        "a",
        "DONE",
        "3/3",
        2.5,
        0.5,
    ]
    with pytest.raises(NoData, match="no run"):
        history.steps(engine, "zzz")
    with pytest.raises(NoData, match="2 runs"):
        history.steps(engine, "")


def test_orders_and_positions(engine):
    def intent(symbol, minute):
        return IntentRow(
            account="daily-2015-06-30", bot="daily", session="2015-06-30", symbol=symbol,
            client_order_id=f"wb-{symbol}", side="buy", qty=Decimal("3.5"), type="market", time_in_force="day",
            trace_id="t", created_at=NOW + dt.timedelta(minutes=minute), updated_at=NOW,
        )  # fmt: skip

    def position(symbol, closed_at):
        return PositionRow(
            account="daily-2015-06-30", symbol=symbol, qty=Decimal(2), avg_price=Decimal("10.25"), source="broker",
            trace_id="t", synced_at=NOW, closed_at=closed_at,
        )  # fmt: skip

    with transaction(engine) as session:
        session.add_all([intent("KO", 0), intent("PEP", 1), position("PEP", None), position("KO", NOW)])
    frame = history.orders(engine)
    assert list(frame["symbol"]) == ["PEP", "KO"]
    assert frame["qty"][0] == Decimal("3.5")
    assert frame["state"][0] == "intent"
    assert len(history.orders(engine, last=1)) == 1
    assert history.orders(engine, session="2015-07-01").empty
    assert history.orders(engine, account="other").empty
    held = history.positions(engine)
    assert list(held["symbol"]) == ["PEP"]
    assert held["avg_price"][0] == Decimal("10.25")
    assert history.positions(engine, account="other").empty
