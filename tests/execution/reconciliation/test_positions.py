import datetime as dt
from decimal import Decimal

import pytest
from sqlalchemy import select

from workbench.errors import NoData, ParameterError
from workbench.execution.brokers.broker import BrokerPosition
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.explained import explained
from workbench.execution.reconciliation.positions import annotate, book_of, enriched, sync
from workbench.execution.risk.halts import clear, halt, halted
from workbench.market.order import OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.schema import new_id
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.execution import FillRow, PositionRow, ReconciliationRow

NOW = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
DAY = dt.date(2015, 6, 30)


@pytest.fixture
def journal(engine):
    return Journal(engine, "a")


@pytest.fixture
def fill(engine, journal):
    """Books a fill of an intent written for it."""
    counter = iter(range(100))

    def booked(symbol="AAPL", *, qty=10, price=10, side=Side.BUY, minutes=0, bot="bot"):
        number = next(counter)
        wish = OrderWish(symbol, side, Decimal(qty))
        (written,) = journal.write([wish], bot=bot, session=DAY + dt.timedelta(days=number))
        with transaction(engine) as session:
            session.add(
                FillRow(
                    account=journal.account,
                    execution_id=f"e{number}",
                    intent_id=written.intent.id,
                    symbol=symbol,
                    broker_order_id=f"b{number}",
                    side=side.value,
                    qty=Decimal(qty),
                    price=Decimal(price),
                    happened=NOW + dt.timedelta(minutes=minutes),
                    source="stream",
                    trace_id="t" * 32,
                )
            )

    return booked


@pytest.fixture
def synced(engine, journal):
    """A sync with what the broker holds: symbol → quantity."""

    def run(pending=None, at=NOW, **held):
        theirs = [BrokerPosition(n, Decimal(q), Decimal(10), Decimal(12), Decimal(q) * 2) for n, q in held.items()]
        with transaction(engine) as session:
            known, _ = explained(session, journal.account)
            return sync(session, journal.account, theirs, known, now=at, pending=pending)

    return run


def stored(engine, symbol="AAPL"):
    with transaction(engine) as session:
        return session.get(PositionRow, ("a", symbol))


def test_fills_are_folded_into_holdings_profit_and_cash(engine, journal, fill):
    fill(qty=10, price=10)
    fill(qty=4, price=13, side=Side.SELL, minutes=5)
    fill("MSFT", qty=3, price=20, side=Side.SELL, minutes=1, bot="other")
    with transaction(engine) as session:
        known, moved = explained(session, journal.account)
    assert moved == -100 + 52 + 60
    apple, microsoft = known["AAPL"], known["MSFT"]
    assert (apple.position.qty, apple.position.realized, apple.opened_at, apple.ended_at) == (6, 12, NOW, None)
    assert (microsoft.position.qty, microsoft.strategy) == (-3, "other")


def test_a_busted_fill_explains_nothing(engine, journal, fill):
    fill()
    with transaction(engine) as session:
        session.scalars(select(FillRow)).one().busted_at = NOW
    with transaction(engine) as session:
        assert explained(session, journal.account) == ({}, 0)


def test_metadata_survives_changes_and_ends_with_the_holding(engine, fill, synced):
    fill()
    assert synced(AAPL=10) == []
    annotate(engine, "a", "AAPL", stop=Decimal(8), target=Decimal(15))
    fill(qty=5, minutes=1, bot="another")
    assert synced(AAPL=15) == []
    row = stored(engine)
    assert (row.qty, row.stop, row.target, row.strategy, row.source) == (15, 8, 15, "bot", "workbench")
    assert (row.opened_at, row.unrealized, row.trace_id) == (NOW, 30, "t" * 32)
    fill(qty=15, price=11, side=Side.SELL, minutes=9)
    assert synced() == []
    row = stored(engine)
    assert (row.qty, row.realized, row.closed_at) == (0, 15, NOW + dt.timedelta(minutes=9))
    fill(qty=1, minutes=20, bot="third")
    synced(AAPL=1)
    row = stored(engine)
    assert (row.stop, row.target, row.strategy, row.closed_at) == (None, None, "third", None)
    assert row.opened_at == NOW + dt.timedelta(minutes=20)
    with transaction(engine) as session:
        actions = [
            a.action for a in session.scalars(select(AuditRow).order_by(AuditRow.happened)) if a.entity == "position"
        ]
    assert actions == ["opened", "annotated", "changed", "closed", "opened"]


def test_fills_on_their_way_are_not_a_drift(engine, journal, synced, fill):
    fill()
    assert synced(pending={"AAPL": Decimal(5)}, AAPL=15) == []
    assert stored(engine).unexplained == 0
    assert [(d.kind, d.action) for d in synced(AAPL=15)] == [("position_drift", "halted")]
    assert stored(engine).unexplained == 5
    with transaction(engine) as session:
        assert list(halted(session, journal.account)) == ["AAPL"]


def test_syncing_again_changes_nothing(engine, fill, synced):
    fill()
    synced(AAPL=10, OLD=3)
    assert synced(AAPL=10, OLD=3) == []
    with transaction(engine) as session:
        assert len([a for a in session.scalars(select(AuditRow)) if a.entity == "position"]) == 2


def test_the_frame_shows_open_holdings_and_why_they_are_halted(engine, journal, fill, synced):
    fill()
    fill("MSFT", side=Side.SELL, qty=2)
    synced(AAPL=10, MSFT=-2)
    with transaction(engine) as session:
        halt(session, journal.account, "MSFT", reason="looks wrong")
    frame = enriched(engine, journal.account)
    assert frame.index.tolist() == ["AAPL", "MSFT"]
    assert frame["value"].tolist() == [120, -24]
    assert frame["halted"].tolist() == ["", "looks wrong"]
    assert frame["stop"].isna().all()
    assert enriched(engine, "nobody").empty


def test_metadata_is_checked(engine, fill, synced):
    fill()
    synced(AAPL=10)
    with pytest.raises(ParameterError, match="colour"):
        annotate(engine, "a", "AAPL", colour="red")
    with pytest.raises(ParameterError, match="stop"):
        annotate(engine, "a", "AAPL", stop=Decimal("NaN"))
    with pytest.raises(NoData):
        annotate(engine, "a", "MSFT", stop=Decimal(1))
    assert stored(engine).stop is None


def test_the_book_is_the_last_reconciliation_plus_the_fills_since(engine, journal, fill, synced):
    with pytest.raises(NoData):
        book_of(engine, "a")
    fill()
    synced(AAPL=10, OLD=3)
    with transaction(engine) as session:
        session.add(
            ReconciliationRow(
                id=new_id(),
                account="a",
                occasion="start",
                clean=True,
                orders=0,
                positions=0,
                fills=0,
                trace_id="t",
                cash=Decimal(900),
                cash_basis=Decimal(1000),
                started_at=NOW,
            )
        )
    fill("MSFT", qty=2, price=50, minutes=3)
    book = book_of(engine, journal.account)
    assert book.cash == 800
    assert {symbol: position.qty for symbol, position in book.positions.items()} == {"AAPL": 10, "MSFT": 2, "OLD": 3}


def test_a_halt_is_set_once_and_cleared_with_a_reason(engine):
    with transaction(engine) as session:
        assert halt(session, "a", "AAPL", reason="first")
        assert not halt(session, "a", "AAPL", reason="second")
        assert halted(session, "a") == {"AAPL": "first"}
        assert halted(session, "b") == {}
    with pytest.raises(ParameterError):
        clear(engine, "a", "AAPL", reason=" ")
    assert clear(engine, "a", "AAPL", reason="looked at it") == 1
    assert clear(engine, "a", "AAPL", reason="again") == 0
    with transaction(engine) as session:
        assert halted(session, "a") == {}
        actions = [row.action for row in session.scalars(select(AuditRow).order_by(AuditRow.happened))]
    assert actions == ["halted", "cleared"]
