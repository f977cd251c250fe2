"""A trading session from wish to reconciled book: real exchange, real desk process, alpaca-py between them."""

import datetime as dt
import os
import signal
import sqlite3
import time
from decimal import Decimal

import pandas as pd
import pytest
from sqlalchemy import select

from workbench import sessions
from workbench.data.sources import open_source
from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.positions import book_of, enriched
from workbench.execution.trading import propose
from workbench.market.order import IntentState
from workbench.orchestration import desk
from workbench.store.engine import transaction
from workbench.store.schema import Table
from workbench.store.tables.execution import FillRow
from workbench.trace import tracing

SESSION = dt.date(2015, 6, 30)
CLOSE = sessions.closes("XNYS", SESSION).to_pydatetime()
NEXT_CLOSE = sessions.closes("XNYS", sessions.next_session("XNYS", SESSION)).to_pydatetime()
TRACE = "c0ffee" * 5 + "00"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exchange")
    yield embedded.ensure(folder, source="bundled", exit_with_parent=True)
    embedded.stop(folder)


@pytest.fixture(scope="module")
def prices():
    source = open_source("bundled")
    day = pd.Timestamp(SESSION)
    rows = source.bars([name for name in source.symbols() if not name.startswith("^")], start=day, end=day)
    return dict(zip(rows["symbol"], rows["close"], strict=True))


class Account:
    """An account of the exchange, asked through alpaca-py."""

    def __init__(self, url, name):
        self.url = url
        self.keys = embedded.open_account(url, name=name, cash=100_000, at=CLOSE)
        self.name = name
        self.broker = AlpacaBroker(name=name, url=url, key_id=self.keys.key_id, secret_key=self.keys.secret_key)

    def advance(self):
        return embedded.advance(self.url, name=self.name, to=NEXT_CLOSE)

    def ids(self):
        return sorted(order.client_order_id for order in self.broker.orders_since(CLOSE - dt.timedelta(days=3)))

    def held(self):
        return {position.symbol: float(position.qty) for position in self.broker.positions()}


@pytest.fixture
def account(exchange, request):
    opened = Account(exchange.url, request.node.name[:60])
    yield opened
    opened.broker.close()


@pytest.fixture
def start(workspace, account):
    """Starts (or finds) the desk of the account; stops it in the end."""

    def ensure(**more):
        return desk.ensure(
            workspace,
            account=account.name,
            key_id=account.keys.key_id,
            secret_key=account.keys.secret_key,
            url=account.url,
            exit_with=os.getpid(),
            timeout=180,
            **more,
        )

    yield ensure
    embedded.clear_faults(account.url)
    desk.stop(workspace, account.name)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other process finds it by its folder
def test_a_session_from_wish_to_clean_book_and_the_second_run_changes_nothing(workspace, account, prices, start):
    with tracing(TRACE):
        handle = start(reconcile_seconds=3600.0)  # only when it is asked to
        assert handle.started
        journal = Journal(workspace.engine, account.name)
        weights = dict.fromkeys(sorted(prices)[:5], 0.18)
        proposal = propose(journal, weights, bot="momentum", session=SESSION, prices=prices, as_of=CLOSE)
        assert len(proposal.written) == 5
        acked = handle.settled(proposal.intents, timeout=120)
        assert {intent.state for intent in acked} == {IntentState.ACKED}

        assert account.advance().fills == 5
        ended = handle.settled(proposal.intents, until="ended", timeout=120)
        assert {intent.state for intent in ended} == {IntentState.FILLED}
        reconciliation = handle.reconciled(timeout=120)
        assert reconciliation.clean, reconciliation

        again = propose(journal, weights, bot="momentum", session=SESSION, prices=prices, as_of=CLOSE)
        assert (again.written, len(again.existed)) == ((), 5)
        assert "nothing new was written" in again.line
        assert start().pid == handle.pid
        assert handle.reconciled(timeout=120).clean
        handle.stop()

    assert account.ids() == sorted(intent.client_order_id for intent in proposal.intents)
    held = enriched(workspace.engine, account.name)
    assert account.held() == held["qty"].to_dict()
    assert set(held["source"]) == {"workbench"}
    assert set(held["strategy"]) == {"momentum"}
    assert abs(book_of(workspace.engine, account.name).cash - account.broker.account().cash) <= Decimal("0.05")
    with transaction(workspace.engine) as session:
        # The fills were heard, not swept up by a reconciliation.
        assert {fill.source for fill in session.scalars(select(FillRow))} == {"stream"}

    written = {}
    with sqlite3.connect(workspace.home / "workbench.db") as connection:
        for name, table in Table.metadata.tables.items():
            if "trace_id" in table.columns:
                rows = connection.execute(f"SELECT DISTINCT trace_id FROM {name}").fetchall()  # noqa: S608 - our own names
                if rows:
                    written[name] = {row[0] for row in rows}
    connection.close()
    assert {"intent", "fill", "position", "reconciliation", "audit", "desk"} <= written.keys()
    assert written == {name: {TRACE} for name in written}
    for path in (workspace.home / "workbench.db", workspace.home / "desks" / f"{account.name}.log"):
        content = path.read_bytes()
        assert account.keys.secret_key.encode() not in content
        assert account.keys.key_id.encode() not in content
    assert (workspace.home / "desks" / f"{account.name}.log").read_text().count(TRACE) > 10


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other process finds it by its folder
def test_a_desk_killed_in_the_middle_is_replaced_and_each_intent_has_one_order(workspace, account, prices, start):
    handle = start()
    # Three orders are placed whose answers never come; while the desk waits for the last of them, it is killed.
    for kind in ("reset-after", "504-after-accept", "hang"):
        embedded.add_fault(account.url, kind=kind, count=1)
    journal = Journal(workspace.engine, account.name)
    proposal = propose(journal, dict.fromkeys(sorted(prices)[:8], 0.12), bot="momentum", session=SESSION, prices=prices)
    being_sent = ()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        before, being_sent = being_sent, [one.id for one in journal.intents(states=[IntentState.SENDING])]
        if being_sent and before == being_sent:
            break
        time.sleep(0.3)
    os.kill(handle.pid, signal.SIGKILL)
    assert being_sent
    assert journal.intents(states=[IntentState.INTENT])
    while handle.status().alive and time.monotonic() < deadline + 60:
        time.sleep(0.01)
    embedded.clear_faults(account.url)

    second = start()
    assert second.started
    assert second.pid != handle.pid
    acked = second.settled(proposal.intents, timeout=120)
    assert {intent.state for intent in acked} == {IntentState.ACKED}
    account.advance()
    ended = second.settled(proposal.intents, until="ended", timeout=120)
    assert {intent.state for intent in ended} == {IntentState.FILLED}
    assert second.reconciled(timeout=120).clean

    assert account.ids() == sorted(intent.client_order_id for intent in proposal.intents)
    wished = {intent.symbol: float(intent.side.sign * intent.qty) for intent in proposal.intents}
    assert account.held() == wished
    assert enriched(workspace.engine, account.name)["qty"].to_dict() == wished
