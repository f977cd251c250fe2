"""What a person does to an account from outside, while a real desk process trades it."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from decimal import Decimal

import pytest

from workbench.errors import ExecutionError, NoData, ParameterError
from workbench.exchange import embedded
from workbench.execution.algos.parents import Parents
from workbench.execution.journal.journal import Journal
from workbench.execution.risk import halts
from workbench.execution.routing.router import RouteRules
from workbench.market.order import IntentState, OrderType, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.orchestration import desk
from workbench.orchestration.accounts import opened, reach
from workbench.orchestration.at_work import at_work
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


@pytest.fixture
def minutes(tmp_path):
    """The same at an exchange that steps through the synthetic market by minutes."""
    workspace = Workspace.open(tmp_path)
    settings = Settings(home=tmp_path)
    found = opened(workspace, settings, ACCOUNT, source="synthetic", seed=7, cash=1e6, at=NOW, timeframe="1m")
    handle = desk.ensure(
        workspace, account=ACCOUNT, key_id=found.key_id, secret_key=found.secret_key, url=found.url, timeout=60
    )
    yield Control(workspace, settings), handle, Journal(workspace.engine, ACCOUNT)
    handle.stop()
    workspace.close()
    embedded.stop(tmp_path / "exchange")


def test_an_order_by_hand_is_routed_at_the_brokers_own_prices_and_the_desk_sends_it(minutes):
    control, handle, journal = minutes
    done = control.order(ACCOUNT, "SYN01", "buy", 2, key="two")
    assert (done.outcome, done.rule) == ("ordered", "direct"), done
    intent = journal.intent(done.intent_id)
    assert 0 < intent.limit_price / intent.reference_price - 1 < Decimal("0.0051"), "within the collar of its price"
    handle.settled([intent])
    assert journal.intent(intent.id).state is IntentState.ACKED
    assert control.order(ACCOUNT, "SYN01", "buy", 2, key="two").stood
    assert len(journal.intents()) == 1

    # The desk's limits stand between a person and a larger order, and let through what they allow.
    refused = control.replace(ACCOUNT, intent.client_order_id, qty=10**7)
    assert [one["code"] for one in refused.refusals] == ["order_qty"]
    assert [one["code"] for one in control.replace(ACCOUNT, intent.client_order_id, qty="NaN").refusals] == [
        "not_a_number"
    ]
    (newer,) = control.replace(ACCOUNT, intent.client_order_id, qty=3).written
    handle.settled([newer])
    assert (journal.intent(newer.id).state, journal.intent(newer.id).qty) == (IntentState.ACKED, 3)

    # What the router gives to an algorithm is worked by what a desk puts to work on the account, from the rows alone.
    many = control.order(ACCOUNT, "SYN02", "buy", 600, rules=RouteRules(small=Decimal("0.0000001")))
    assert (many.outcome, many.rule) == ("started", "medium"), many
    (progress,) = Parents(control.workspace.engine, ACCOUNT).all()
    assert (progress.parent.id, progress.parent.qty, progress.parent.algorithm) == (many.parent_id, 600, "twap")
    found = reach(control.workspace, control.settings, ACCOUNT)
    with contextlib.closing(at_work(journal, key_id=found.key_id, secret_key=found.secret_key, url=found.url)) as work:
        work.start()
        work.step(NOW)
    children = [one for one in journal.intents() if one.algo_id == many.parent_id]
    assert [one.symbol for one in children] == ["SYN02"]
    handle.settled(children)
    assert journal.intent(children[0].id).state is IntentState.ACKED


def test_a_wish_that_is_none_is_named_before_anybody_is_asked(tmp_path):
    workspace = Workspace.open(tmp_path)
    control = Control(workspace, Settings(home=tmp_path))
    for wrong, said in (
        (("KO", "hold", 1), "side='hold' is neither buy nor sell"),
        (("KO", "buy", "ten"), "qty='ten' is not a number"),
    ):
        with pytest.raises(ParameterError, match=said):
            control.order("paper", *wrong)
    with pytest.raises(ParameterError, match="urgency='now' is none of patient, normal, urgent"):
        control.order("paper", "KO", "buy", 1, urgency="now")
    with pytest.raises(ExecutionError, match="cannot be reached"):
        control.order("paper", "KO", "buy", 1)
    assert Journal(workspace.engine, "paper").intents() == []
    workspace.close()


def test_what_does_not_exist_is_said(tmp_path):
    workspace = Workspace.open(tmp_path)
    control = Control(workspace, Settings(home=tmp_path))
    assert control.accounts().empty
    with pytest.raises(NoData, match="nothing is known of account 'nobody'"):
        control.look("nobody")
    with pytest.raises(NoData, match="has no order"):
        control.cancel("nobody", "wb1-x")
    with pytest.raises(NoData, match="has no order"):
        control.replace("nobody", "wb1-x", qty=1)
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
