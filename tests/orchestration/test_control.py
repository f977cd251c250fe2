"""What a person does to an account from outside, while a real desk process trades it."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal

import pytest

from workbench.errors import ExecutionError, NoData, ParameterError
from workbench.exchange import embedded
from workbench.execution import halts
from workbench.execution.journal import Journal
from workbench.market.order import IntentState, OrderType, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.orchestration import desk
from workbench.orchestration.accounts import opened, reach
from workbench.orchestration.control import Control
from workbench.settings import Settings
from workbench.store.engine import transaction
from workbench.store.workspace import Workspace

ACCOUNT = "by-hand"
NOW = dt.datetime(2015, 6, 30, 15, 0, tzinfo=dt.UTC)  # the regular session runs
SESSION = dt.date(2015, 6, 30)


@pytest.fixture
def place(tmp_path):
    """A workspace, its control, and a desk of its own at work on an account of the local exchange."""
    workspace = Workspace.open(tmp_path)
    settings = Settings(home=tmp_path)
    found = opened(workspace, settings, ACCOUNT, source="bundled", seed=7, cash=100_000, at=NOW)
    handle = desk.ensure(
        workspace, account=ACCOUNT, key_id=found.key_id, secret_key=found.secret_key, url=found.url, timeout=180
    )
    yield Control(workspace, settings), handle, Journal(workspace.engine, ACCOUNT)
    handle.stop()
    workspace.close()
    embedded.stop(tmp_path / "exchange")


def wishes(*symbols):
    return [OrderWish(one, Side.BUY, Decimal(2), OrderType.LIMIT, limit_price=Decimal(1)) for one in symbols]


def test_the_switch_beside_a_desk_that_is_at_work(place):
    control, handle, journal = place
    written = [one.intent for one in journal.write(wishes("AAPL", "KO", "XOM"), bot="hand", session=SESSION)]
    handle.settled(written, timeout=120)
    row = control.accounts().set_index("account").loc[ACCOUNT]
    assert (row["state"], row["desk"], row["open"]) == ("active", "ready", 3)

    done = control.kill(ACCOUNT, reason="a rehearsal")
    assert done.clean
    assert len(done.cancelled) == 3
    assert control.state(ACCOUNT).state is TradingState.HALTED
    assert reach(control.workspace, control.settings, ACCOUNT).broker(ACCOUNT).open_orders() == []

    # What is written now is not sent, whatever the desk does, until a person sets the account active again.
    late = journal.write(wishes("PG"), bot="hand", session=SESSION)[0].intent
    time.sleep(0.5)
    assert journal.intent(late.id).state is IntentState.INTENT
    assert control.change(ACCOUNT, "active", reason="it was a rehearsal") is TradingState.ACTIVE
    handle.settled([late], timeout=120)
    assert journal.intent(late.id).state is IntentState.ACKED

    assert not control.cancel(ACCOUNT, late.client_order_id).state.is_end
    handle.settled([late], until="ended", timeout=120)
    assert journal.intent(late.id).state is IntentState.CANCELED


def test_what_does_not_exist_is_said(tmp_path):
    workspace = Workspace.open(tmp_path)
    control = Control(workspace, Settings(home=tmp_path))
    assert control.accounts().empty
    with pytest.raises(NoData, match="nothing is known of account 'nobody'"):
        control.look("nobody")
    with pytest.raises(NoData, match="has no order"):
        control.cancel("nobody", "wb1-x")
    with pytest.raises(ParameterError, match="state='asleep' is none of active, reducing, halted"):
        control.change("nobody", "asleep", reason="x")
    with pytest.raises(ExecutionError, match=r"is HALTED here .* no local exchange runs"):
        control.kill("nobody", reason="panic")
    assert control.look("nobody")["state"] == "halted"
    workspace.close()


def test_a_halt_is_listed_and_cleared_with_a_reason(tmp_path):
    workspace = Workspace.open(tmp_path)
    control = Control(workspace, Settings(home=tmp_path))
    with transaction(workspace.engine) as session:
        halts.halt(session, ACCOUNT, "KO", reason="position drift")
    assert control.halts().to_dict("records")[0]["reason"] == "position drift"
    with pytest.raises(ParameterError, match="reason is empty"):
        control.clear(ACCOUNT, "KO", reason=" ")
    assert control.clear(ACCOUNT, "KO", reason="a split, booked by hand") == 1
    assert control.halts().empty
    workspace.close()
