import threading

import pandas as pd
import pytest
from sqlalchemy import select

from workbench.data import universe
from workbench.errors import DataError, NoData
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.workspace import Workspace


def at(text):
    return pd.Timestamp(text, tz="UTC")


def audit(workspace):
    with transaction(workspace.engine) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.entity == "universe").order_by(AuditRow.happened)).all()
    return [(row.entity_id, row.action, row.before, row.after) for row in rows]


def test_members_are_those_of_the_moment(workspace):
    assert universe.define(workspace, "tech", ["MSFT", "AAPL"], entered="2013-01-02", reason="start") == 2
    assert universe.define(workspace, "tech", "AMD", entered="2015-06-01", reason="grown") == 1
    assert universe.leave(workspace, "tech", "MSFT", left="2016-01-04", reason="rotation") == 1
    assert universe.members(workspace, "tech", at("2013-01-01")) == ()
    assert universe.members(workspace, "tech", at("2013-01-02")) == ("AAPL", "MSFT")
    assert universe.members(workspace, "tech", at("2015-06-01")) == ("AAPL", "AMD", "MSFT")
    assert universe.members(workspace, "tech", at("2016-01-03T23:59")) == ("AAPL", "AMD", "MSFT")
    assert universe.members(workspace, "tech", at("2016-01-04")) == ("AAPL", "AMD")
    assert universe.names(workspace) == ("tech",)


def test_the_history_keeps_every_stay_and_its_reasons(workspace):
    universe.define(workspace, "tech", "AMD", entered="2013-01-02", reason="start")
    universe.leave(workspace, "tech", "AMD", left="2014-01-02", reason="too small")
    universe.define(workspace, "tech", "AMD", entered="2016-01-04", reason="back")
    stays = universe.history(workspace, "tech")
    assert stays["symbol"].tolist() == ["AMD", "AMD"]
    assert stays["entered"].tolist() == [at("2013-01-02"), at("2016-01-04")]
    assert stays["left"].iloc[0] == at("2014-01-02")
    assert pd.isna(stays["left"].iloc[1])
    assert stays["reason"].tolist() == ["start", "back"]
    assert stays["left_reason"].iloc[0] == "too small"
    assert universe.members(workspace, "tech", at("2015-01-02")) == ()


def test_saying_it_twice_changes_nothing_and_leaves_no_trace(workspace):
    for _ in range(2):
        universe.define(workspace, "tech", ["AAPL", "AMD"], entered="2013-01-02", reason="start")
        universe.leave(workspace, "tech", "AMD", left="2014-01-02", reason="out")
    assert universe.define(workspace, "tech", "AAPL", entered="2015-01-02", reason="in anyway") == 0
    assert len(universe.history(workspace, "tech")) == 2
    assert [action for _, action, _, _ in audit(workspace)] == ["enter", "leave"]


def test_every_change_is_audited_with_before_and_after(workspace):
    universe.define(workspace, "tech", ["AAPL", "AMD"], entered="2013-01-02", reason="start")
    universe.leave(workspace, "tech", "AMD", left="2014-01-02", reason="out")
    universe.leave(workspace, "tech", "AMD", left="2013-06-03", reason="earlier than thought")
    entries = audit(workspace)
    assert entries[0] == (
        "tech",
        "enter",
        None,
        {"symbols": ["AAPL", "AMD"], "entered": "2013-01-02T00:00:00+00:00", "reason": "start"},
    )
    assert [entry[2] for entry in entries[1:]] == [{"AMD": None}, {"AMD": "2014-01-02T00:00:00+00:00"}]
    assert universe.members(workspace, "tech", at("2013-07-01")) == ("AAPL",)


def test_an_earlier_entry_ends_where_the_later_stay_begins(workspace):
    universe.define(workspace, "tech", "AAPL", entered="2015-01-02", reason="first study")
    assert universe.define(workspace, "tech", "AAPL", entered="2013-01-02", reason="longer study") == 1
    stays = universe.history(workspace, "tech")
    assert stays["left"].tolist()[0] == at("2015-01-02")
    assert universe.members(workspace, "tech", at("2014-01-02")) == ("AAPL",)
    assert universe.members(workspace, "tech", at("2016-01-04")) == ("AAPL",)


def test_who_is_not_in_cannot_leave(workspace):
    universe.define(workspace, "tech", ["AAPL", "AMD"], entered="2013-01-02", reason="start")
    with pytest.raises(DataError, match="XOM is not in the universe 'tech'"):
        universe.leave(workspace, "tech", ["AAPL", "XOM"], left="2014-01-02", reason="out")
    with pytest.raises(DataError, match="AAPL is not in"):
        universe.leave(workspace, "tech", "AAPL", left="2013-01-02", reason="before it was in")
    assert universe.members(workspace, "tech", at("2015-01-02")) == ("AAPL", "AMD")
    assert len(audit(workspace)) == 1


def test_an_unknown_universe_is_named_with_the_nearest(workspace):
    universe.define(workspace, "tech", "AAPL", entered="2013-01-02", reason="start")
    with pytest.raises(NoData, match=r"(?s)no universe 'teck'.*did you mean 'tech'"):
        universe.members(workspace, "teck", at("2015-01-02"))
    with pytest.raises(NoData, match="no universe 'zzz'"):
        universe.leave(workspace, "zzz", "AAPL", left="2014-01-02", reason="out")


@pytest.mark.parametrize(
    ("symbols", "entered", "said"),
    [
        ([], "2013-01-02", "symbols is empty"),
        ("AAPL", "soon", "entered='soon' is not a moment"),
        ("AAPL", None, "entered=None is not a moment"),
        ("AAPL", "2013-01-02 10:00", "time of day but no timezone"),
    ],
)
def test_a_malformed_entry_is_refused(workspace, symbols, entered, said):
    with pytest.raises(DataError, match=said):
        universe.define(workspace, "tech", symbols, entered=entered, reason="")
    assert universe.names(workspace) == ()


def test_a_moment_without_a_timezone_is_refused(workspace):
    with pytest.raises(DataError, match="has no timezone"):
        universe.members(workspace, "tech", pd.Timestamp("2015-01-02"))


def test_many_writers_of_one_universe_agree(tmp_path, database_url):
    workspaces = [Workspace.open(tmp_path / "home", database_url=database_url) for _ in range(4)]
    start, errors = threading.Barrier(4), []

    def writer(number):
        try:
            start.wait()
            universe.define(
                workspaces[number], "tech", ["AAPL", f"S{number}"], entered="2013-01-02", reason=f"writer {number}"
            )
        except Exception as error:  # noqa: BLE001 - any failure at all is the finding
            errors.append(error)

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = universe.history(workspaces[0], "tech")["symbol"].tolist()
    for workspace in workspaces:
        workspace.close()
    assert errors == []
    assert found == ["AAPL", "S0", "S1", "S2", "S3"]
