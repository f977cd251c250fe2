import threading

import pandas as pd
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from workbench.data import universe
from workbench.data.membership import Change, members_of, stays_of
from workbench.errors import BadData, DataError, NoData
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.universe import UniverseMemberRow, UniverseRow
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


class TestTwoClocks:
    def test_what_is_learned_later_is_not_seen_before(self, workspace):
        universe.define(workspace, "tech", "AAPL", entered="2013-01-02", reason="start")
        universe.define(workspace, "tech", "AMD", entered="2013-01-02", learned="2014-01-02", reason="found out late")
        universe.leave(workspace, "tech", "AAPL", left="2013-06-03", learned="2015-01-02", reason="delisted")
        assert universe.members(workspace, "tech", at("2013-07-01")) == ("AAPL",)
        assert universe.members(workspace, "tech", at("2014-01-01T23:59")) == ("AAPL",)
        assert universe.members(workspace, "tech", at("2014-01-02")) == ("AAPL", "AMD")
        assert universe.members(workspace, "tech", at("2015-01-02")) == ("AMD",)
        known = universe.history(workspace, "tech", as_of=at("2013-07-01"))
        assert known["symbol"].tolist() == ["AAPL"]
        assert known["left"].isna().all()
        assert universe.history(workspace, "tech")["left"].tolist()[0] == at("2013-06-03")

    def test_an_announced_entry_is_not_in_before_it_happens(self, workspace):
        universe.define(workspace, "tech", "AMD", entered="2014-03-03", learned="2014-02-01", reason="announced")
        assert universe.members(workspace, "tech", at("2014-03-02")) == ()
        assert universe.members(workspace, "tech", at("2014-03-03")) == ("AMD",)
        assert universe.history(workspace, "tech", as_of=at("2014-02-01"))["entered"].tolist() == [at("2014-03-03")]

    def test_said_again_as_known_earlier_is_news_for_the_time_between(self, workspace):
        universe.define(workspace, "tech", "AMD", entered="2014-03-03", learned="2016-01-04", reason="rotation")
        assert universe.define(workspace, "tech", "AMD", entered="2014-03-03", reason="I knew") == 1
        assert universe.members(workspace, "tech", at("2014-03-03")) == ("AMD",)
        assert universe.define(workspace, "tech", "AMD", entered="2014-03-03", learned="2015-01-02", reason="so") == 0

    def test_whoever_says_nothing_of_learned_vouches_that_it_was_known_then(self, workspace):
        universe.define(workspace, "tech", "AMD", entered="2013-01-02", reason="named by a study")
        log = universe.said(workspace, "tech")
        assert log["learned"].tolist() == log["happened"].tolist() == [at("2013-01-02")]

    def test_a_list_is_supplied_once_and_an_orphan_is_refused(self, workspace):
        rows = pd.DataFrame(
            [
                ("OLD", "enter", "2010-01-04", "2010-01-04"),
                ("OLD", "leave", "2015-03-23", "2015-03-13"),
                ("NEW", "enter", "2015-03-23", "2015-03-13"),
            ],
            columns=["symbol", "action", "happened", "learned"],
        )
        assert universe.supply(workspace, "index", rows, reason="press releases") == 3
        assert universe.supply(workspace, "index", rows.iloc[::-1], reason="again") == 0
        assert universe.members(workspace, "index", at("2015-03-22")) == ("OLD",)
        assert universe.members(workspace, "index", at("2015-03-23")) == ("NEW",)
        assert [action for _, action, _, _ in audit(workspace)] == ["supply"]
        lost = pd.DataFrame([("LOST", "leave", "2015-01-02", "2015-01-02")], columns=rows.columns)
        with pytest.raises(BadData, match="LOST leaves 'index' on 2015-01-02 without having entered"):
            universe.supply(workspace, "index", lost, reason="")
        with pytest.raises(BadData, match="lacks the columns learned"):
            universe.supply(workspace, "index", rows.drop(columns="learned"), reason="")
        with pytest.raises(BadData, match="action='out' of OLD"):
            universe.supply(workspace, "index", rows.replace("leave", "out"), reason="")
        with pytest.raises(DataError, match="learned=None is not a moment"):
            universe.supply(workspace, "index", rows.assign(learned=None), reason="")
        assert len(universe.said(workspace, "index")) == 3

    def test_stays_from_before_the_log_count_as_known_when_they_began_and_ended(self, workspace):
        with transaction(workspace.engine) as session:
            session.add(UniverseRow(name="old", rule="manual"))
            session.flush()
            moments = [at(text).to_pydatetime() for text in ("2013-01-02", "2014-01-02", "2015-01-02")]
            for symbol, first, last, why in (
                ("AAPL", 0, 1, "entered again"),
                ("AAPL", 1, None, None),
                ("GE", 0, 2, "sold"),
            ):
                left = None if last is None else moments[last]
                session.add(
                    UniverseMemberRow(
                        universe="old", symbol=symbol, entered=moments[first], left=left, reason="r", left_reason=why
                    )
                )
        assert universe.members(workspace, "old", at("2013-06-03")) == ("AAPL", "GE")
        assert universe.members(workspace, "old", at("2015-01-02")) == ("AAPL",)
        universe.leave(workspace, "old", "AAPL", left="2014-06-02", learned="2016-01-04", reason="out")
        assert universe.members(workspace, "old", at("2015-12-31")) == ("AAPL",)
        assert universe.members(workspace, "old", at("2016-01-04")) == ()
        assert universe.history(workspace, "old")["left_reason"].tolist() == ["entered again", "sold", "out"]
        assert len(universe.said(workspace, "old")) == 5


MOMENTS = pd.date_range("2015-01-05", periods=6, freq="7D", tz="UTC")
statements = st.lists(
    st.tuples(
        st.sampled_from(["AAPL", "GE"]),
        st.sampled_from(["enter", "leave"]),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=10,
)


def in_by_the_model(said, moment):
    """The definition, word for word: of what happened and was learned by then, the last to happen decides."""
    found = set()
    for symbol in ("AAPL", "GE"):
        known = [
            (happened, learned, number, action)
            for number, (name, action, happened, learned) in enumerate(said)
            if name == symbol and max(happened, learned) <= moment
        ]
        if known and max(known)[3] == "enter":
            found.add(symbol)
    return found


def changes_of(said):
    return [
        Change(symbol, action, MOMENTS[happened], MOMENTS[learned], number=number)
        for number, (symbol, action, happened, learned) in enumerate(said)
    ]


@settings(max_examples=200, deadline=None)
@given(said=statements, later=statements)
def test_nothing_said_later_alters_an_earlier_answer(said, later):
    for place, moment in enumerate(MOMENTS):
        known = members_of(changes_of(said), at=moment, known=moment)
        assert known == in_by_the_model(said, place)
        news = [(symbol, action, happened, learned) for symbol, action, happened, learned in later if learned > place]
        assert members_of(changes_of([*said, *news]), at=moment, known=moment) == known


@settings(max_examples=60, deadline=None)
@given(said=statements)
def test_the_stays_say_the_same_as_the_log(said):
    stays = stays_of(changes_of(said))
    for moment in MOMENTS:
        inside = {stay.symbol for stay in stays if stay.entered <= moment and (stay.left is None or moment < stay.left)}
        assert inside == members_of(changes_of(said), at=moment, known=MOMENTS[-1])


def test_a_reader_that_ignores_learned_is_caught():
    def leaky(said, moment):
        return members_of(changes_of(said), at=MOMENTS[moment], known=MOMENTS[-1])

    said = find(statements, lambda said: any(leaky(said, place) != in_by_the_model(said, place) for place in range(6)))
    assert len(said) == 1
    assert said[0][3] > said[0][2]


class TestPicture:
    def test_stays_are_cut_to_the_stretch_longest_first(self, workspace):
        universe.define(workspace, "tech", ["AAPL", "AMD"], entered="2013-01-02", reason="start")
        universe.leave(workspace, "tech", "AMD", left="2014-01-02", reason="too small")
        universe.define(workspace, "tech", "AMD", entered="2016-01-04", reason="back")
        shown = universe.picture(workspace, "tech", start="2013-07-01", end="2015-07-01")
        assert shown["symbol"].tolist() == ["AAPL", "AMD"]
        assert shown["start"].tolist() == [at("2013-07-01")] * 2
        assert shown["end"].tolist() == [at("2015-07-01"), at("2014-01-02")]
        assert shown["open"].tolist() == [True, False]
        assert shown["left_reason"].tolist()[1] == "too small"
        whole = universe.picture(workspace, "tech")
        assert whole["end"].max() == at("2016-01-04")
        assert whole["open"].sum() == 2
        known = universe.picture(workspace, "tech", as_of=at("2013-07-01"))
        assert known["end"].tolist() == [at("2013-07-01")] * 2
        with pytest.raises(DataError, match="is not after start"):
            universe.picture(workspace, "tech", start="2015-01-01", end="2014-01-01")
