import datetime as dt
import itertools
import json
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from workbench.errors import ParameterError, StoreError
from workbench.execution.journal.journal import Journal
from workbench.execution.risk import kill_file, trading_state
from workbench.execution.risk.trading_state import change, known, may_send, standing
from workbench.market.order import IntentState, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.store.engine import open_engine, transaction
from workbench.store.schema import new_id
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.event import EventRow
from workbench.store.tables.execution import FillRow, IntentRow
from workbench.store.workspace import Workspace

ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
DAY = dt.date(2015, 6, 30)
_number = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def account():
    return f"state-{next(_number)}"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def now(engine, account, home):
    with transaction(engine) as session:
        return standing(session, account, home=home)


def forget(engine, account):
    """What a restored copy of the database does: it knows nothing of the newest state."""
    with transaction(engine) as session:
        session.delete(session.get(trading_state.TradingStateRow, account))


def test_an_account_is_active_until_somebody_says_otherwise(engine, account, home):
    assert now(engine, account, home) is ACTIVE
    assert known(engine, account, home=home).told_by == "nobody"


def test_a_change_is_stored_filed_audited_and_told(engine, account, home):
    done = change(engine, account, HALTED, reason="a test", who="ann", home=home)
    assert (done.state, done.reason, done.who) == (HALTED, "a test", "ann")
    assert f"{account} is HALTED since" in done.line
    assert now(engine, account, home) is HALTED
    assert kill_file.read(home, account).state is HALTED
    with transaction(engine) as session:
        (row,) = session.scalars(select(AuditRow).where(AuditRow.entity_id == account)).all()
        assert (row.entity, row.action, row.who) == ("trading_state", "halted", "ann")
        assert (row.before, row.after) == ({"state": "active"}, {"state": "halted", "reason": "a test"})
        (event,) = session.scalars(select(EventRow).where(EventRow.account == account)).all()
        assert (event.body["before"], event.body["after"], event.body["reason"]) == ("active", "halted", "a test")


def test_going_back_needs_a_reason_and_going_stricter_does_not(engine, account, home):
    change(engine, account, HALTED, reason="", home=home)
    for to in (ACTIVE, REDUCING):
        with pytest.raises(ParameterError, match="reason is empty") as error:
            change(engine, account, to, reason="  ", home=home)
        assert "stays HALTED" in error.value.message
    assert now(engine, account, home) is HALTED
    assert change(engine, account, REDUCING, reason="calm again", home=home).state is REDUCING
    assert change(engine, account, ACTIVE, reason="all is well", home=home).state is ACTIVE
    assert now(engine, account, home) is ACTIVE
    assert kill_file.read(home, account).state is ACTIVE


@pytest.mark.parametrize(
    ("stored", "filed", "counts"), [(ACTIVE, HALTED, HALTED), (HALTED, ACTIVE, HALTED), (REDUCING, HALTED, HALTED)]
)
def test_the_stricter_of_database_and_file_counts(engine, account, home, stored, filed, counts):  # noqa: PLR0917
    change(engine, account, stored, reason="x", home=home)
    kill_file.write(home, account, filed, reason="y", who="z")
    assert now(engine, account, home) is counts
    assert known(engine, account, home=home).state is counts


def test_a_restored_database_does_not_undo_a_halt(engine, account, home):
    change(engine, account, HALTED, reason="x", home=home)
    forget(engine, account)
    assert now(engine, account, home) is HALTED
    assert known(engine, account, home=home).told_by == "file"
    with pytest.raises(ParameterError, match="stays HALTED"):
        change(engine, account, ACTIVE, reason="", home=home)
    change(engine, account, ACTIVE, reason="looked at it", home=home)
    assert now(engine, account, home) is ACTIVE


@pytest.mark.parametrize("text", ["", "{", '"halted"', '{"state": "asleep"}', "[]", "\x00"])
def test_a_file_that_cannot_be_read_means_halted(engine, account, home, text):
    path = kill_file.path_of(home, account)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert now(engine, account, home) is HALTED
    assert "cannot be read" in known(engine, account, home=home).reason
    change(engine, account, ACTIVE, reason="the file was broken", home=home)
    assert now(engine, account, home) is ACTIVE


def test_the_file_says_who_why_and_since_when(home, account):
    kill_file.write(home, account, HALTED, reason="über", who="ann")
    said = json.loads(kill_file.path_of(home, account).read_text())
    assert (said["account"], said["state"], said["reason"], said["who"]) == (account, "halted", "über", "ann")
    assert kill_file.read(home, account).since.tzinfo is not None
    assert [path.name for path in (home / "kill").iterdir()] == [f"{account}.json"]


def test_names_that_are_no_file_names_have_files_of_their_own(home):
    names = ["local/paper", "local_paper", "../x", "a" * 80]
    assert len({kill_file.path_of(home, name) for name in names}) == len(names)
    assert {kill_file.path_of(home, name).parent for name in names} == {home / "kill"}


def test_the_file_lies_where_the_workspace_is(tmp_path, database_url):
    workspace = Workspace.open(tmp_path / "here", database_url=database_url)
    change(workspace.engine, "a", HALTED, reason="x")
    assert kill_file.path_of(tmp_path / "here", "a").exists()
    workspace.close()


def test_without_a_workspace_it_lies_beside_the_file_of_the_database(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'there' / 'workbench.db'}")
    change(engine, "a", HALTED, reason="x")
    assert kill_file.path_of(tmp_path / "there", "a").exists()
    engine.dispose()


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A database that does not answer."""
    engine = open_engine(f"sqlite:///{tmp_path / 'workbench.db'}")
    monkeypatch.setattr(
        trading_state, "transaction", lambda _: (_ for _ in ()).throw(OperationalError("select", {}, Exception("gone")))
    )
    yield engine
    engine.dispose()


def test_without_the_database_the_file_speaks(broken, home):
    with pytest.raises(StoreError, match="is not known"):
        known(broken, "a", home=home)
    with pytest.raises(StoreError, match="the kill file says it, and that counts"):
        change(broken, "a", HALTED, reason="x", home=home)
    assert known(broken, "a", home=home).state is HALTED
    with pytest.raises(StoreError, match="nothing was changed"):
        change(broken, "a", ACTIVE, reason="x", home=home)
    assert known(broken, "a", home=home).state is HALTED


def test_a_disk_that_refuses_does_not_keep_the_database_from_being_told(engine, account, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = change(engine, account, HALTED, reason="x", home=blocked)
    assert done.state is HALTED
    with transaction(engine) as session:
        assert session.get(trading_state.TradingStateRow, account).state == "halted"


# --- what may leave


def write(engine, account, *, symbol="SYN01", side=Side.SELL, qty=10, bot="bot", generation=0):
    wish = OrderWish(symbol, side, Decimal(qty))
    (written,) = Journal(engine, account).write([wish], bot=bot, session=DAY, generation=generation)
    return written.intent.id


def hold(engine, account, qty, symbol="SYN01"):
    """A booked fill of `qty` signed shares."""
    side = Side.BUY if qty > 0 else Side.SELL
    name = write(engine, account, symbol=symbol, side=side, qty=abs(qty), bot="hold")
    with transaction(engine) as session:
        row = session.get(IntentRow, name)
        row.state = IntentState.SENDING.value
        row.state, row.filled_qty, row.booked_qty = IntentState.FILLED.value, row.qty, row.qty
        fill = FillRow(
            id=new_id(), account=account, execution_id=new_id(), intent_id=name, broker_order_id=new_id(),
            symbol=symbol, side=side.value, qty=row.qty, price=Decimal(100),
            happened=dt.datetime(2015, 6, 30, tzinfo=dt.UTC), source="stream", trace_id="x",
        )  # fmt: skip
        session.add(fill)


def allowed(engine, home, intent_id):
    with transaction(engine) as session:
        return may_send(session, session.get(IntentRow, intent_id), home=home)


def test_active_lets_everything_out(engine, account, home):
    assert allowed(engine, home, write(engine, account)) == ""


def test_halted_lets_out_only_what_reduces_and_belongs_to_the_kill_switch(engine, account, home):
    hold(engine, account, 10)
    change(engine, account, HALTED, reason="x", home=home)
    assert "is HALTED" in allowed(engine, home, write(engine, account))
    assert allowed(engine, home, write(engine, account, bot="kill")) == ""
    assert "would add" in allowed(engine, home, write(engine, account, bot="kill", side=Side.BUY, generation=1))


@pytest.mark.parametrize(
    ("held", "side", "qty", "may"),
    [
        (10, Side.SELL, 10, True),
        (10, Side.SELL, 11, False),
        (10, Side.BUY, 1, False),
        (-10, Side.BUY, 10, True),
        (-10, Side.BUY, 11, False),
        (-10, Side.SELL, 1, False),
    ],
)
def test_reducing_lets_out_what_brings_a_holding_nearer_to_zero(engine, account, home, held, side, qty, may):  # noqa: PLR0917
    hold(engine, account, held)
    change(engine, account, REDUCING, reason="x", home=home)
    assert (allowed(engine, home, write(engine, account, side=side, qty=qty)) == "") is may


def test_other_orders_that_may_be_live_count_as_filled(engine, account, home):
    hold(engine, account, 10)
    first = write(engine, account, qty=6)
    with transaction(engine) as session:
        for state in (IntentState.SENDING, IntentState.UNKNOWN):
            session.get(IntentRow, first).state = state.value
    change(engine, account, REDUCING, reason="x", home=home)
    assert allowed(engine, home, write(engine, account, qty=5, generation=1)) != ""
    assert allowed(engine, home, write(engine, account, qty=4, generation=2)) == ""
