import datetime as dt

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from workbench import sessions
from workbench.data import quarantine
from workbench.data.collected import collected_ranges
from workbench.data.facts import read_facts
from workbench.data.finding import Finding, Word, with_word
from workbench.data.intake import take_in
from workbench.data.kinds import kind_of
from workbench.data.sources import open_source
from workbench.errors import BadData, DataError, NoData, ParameterError
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.quality import QualityFindingRow
from workbench.store.vintages import Vintages

DAYS = sessions.sessions("XNYS", "2015-06-01", "2015-06-12")
KNOWN = sessions.closes("XNYS", DAYS[-1])
DATASET = "bars/1d/test"
RELEASED = dt.datetime(2020, 1, 2, 12, tzinfo=dt.UTC)
LATER = dt.datetime(2020, 1, 3, 12, tzinfo=dt.UTC)
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def bars(**changed):
    """Ten good bars of one symbol; `changed` maps a column to its value in the fifth of them."""
    closes = sessions.close_times("XNYS", DAYS)
    close = 100.0 + np.arange(len(DAYS))
    rows = pd.DataFrame(
        {"symbol": "AAPL", "session": DAYS, "open": close, "high": close + 1, "low": close - 1, "close": close}
    ).assign(volume=1000.0, happened=closes, learned=closes)
    for name, value in changed.items():
        rows.loc[4, name] = value
    return rows


def taken(workspace, rows, *, at=RELEASED, **options):
    asked = {"dataset": DATASET, "known_until": KNOWN, "symbols": ["AAPL"], "record": (DAYS[0], DAYS[-1])}
    return take_in(rows, workspace=workspace, clock=lambda: at, **(asked | options))


def known(workspace, as_of, dataset=DATASET):
    moment = pd.Timestamp(as_of)
    store = Vintages(workspace.vintages_url)
    return store.read(dataset, ["AAPL"], start=DAYS[0], end=DAYS[-1], as_of=moment)


def the_id(workspace):
    return quarantine.rows(workspace)["id"].item()


def audits(workspace):
    with transaction(workspace.engine) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.entity == "quarantined_row")).all()
    return sorted((row.action, row.who, row.after["reason"]) for row in rows)


def test_a_bad_row_waits_with_its_reason_and_nothing_downstream_reads_it(workspace):
    result = taken(workspace, bars(close=-1.0, volume=-5.0))
    assert (result.new_rows, result.quarantined) == (9, 1)
    held = quarantine.rows(workspace)
    assert list(held.columns) == list(quarantine.COLUMNS)
    row = held.iloc[0]
    assert (row["dataset"], row["symbol"], row["session"], row["state"]) == (DATASET, "AAPL", DAYS[4], "held")
    assert row["why"] == "bad-price, bad-volume"
    assert "close=-1" in row["detail"]
    assert "volume=-5" in row["detail"]
    assert row["row"]["close"] == -1.0
    assert DAYS[4] not in set(known(workspace, LATER)["session"])


def test_taking_the_same_in_again_changes_nothing(workspace):
    taken(workspace, bars(close=-1.0))
    before = quarantine.rows(workspace)
    again = taken(workspace, bars(close=-1.0), at=LATER)
    assert (again.new_rows, again.quarantined) == (0, 1)
    pd.testing.assert_frame_equal(quarantine.rows(workspace), before)


@sqlite_only
def test_no_bad_row_is_lost_however_many_a_session_has(workspace):
    source = open_source("synthetic")
    day = pd.Timestamp("2015-06-30")
    rows = source.bars(["SYN01"], start=day, end=day, timeframe="1m").assign(volume=-1.0)
    result = take_in(
        rows, workspace=workspace, dataset="bars/1m/test", known_until=sessions.closes("XNYS", day), symbols=["SYN01"]
    )
    held = quarantine.rows(workspace, "bars/1m/test", "SYN01")
    assert result.quarantined == len(rows) == len(held) == 390
    assert sorted(row["time"] for row in held["row"]) == [moment.isoformat() for moment in rows["time"]]
    assert len(quarantine.rows(workspace, limit=7)) == 7
    assert quarantine.rows(workspace, "bars/1d/other").empty


def test_a_released_row_is_learned_at_its_release_and_not_before(workspace):
    taken(workspace, bars(low=104.5))
    assert quarantine.release(workspace, the_id(workspace), reason="as printed", who="ann", clock=lambda: RELEASED) == 1
    early = RELEASED - dt.timedelta(microseconds=1)
    assert DAYS[4] not in set(known(workspace, early)["session"])
    row = known(workspace, RELEASED).set_index("session").loc[DAYS[4]]
    assert (row["low"], row["learned"]) == (104.5, pd.Timestamp(RELEASED))
    assert quarantine.rows(workspace).empty
    closed = quarantine.rows(workspace, state="released").iloc[0]
    assert (closed["closed_by"], closed["closed_reason"]) == ("ann", "as printed")
    assert closed["closed_at"] == pd.Timestamp(RELEASED)
    assert audits(workspace) == [("release", "ann", "as printed")]


def test_releasing_twice_changes_nothing(workspace):
    taken(workspace, bars(low=104.5))
    name = the_id(workspace)
    quarantine.release(workspace, name, reason="as printed", clock=lambda: RELEASED)
    before = known(workspace, LATER)
    assert quarantine.release(workspace, name, reason="again", clock=lambda: LATER) == 0
    pd.testing.assert_frame_equal(known(workspace, LATER), before)
    assert len(audits(workspace)) == 1


def test_what_was_released_passes_the_next_check_and_another_bad_row_does_not(workspace):
    taken(workspace, bars(low=104.5))
    quarantine.release(workspace, the_id(workspace), reason="as printed", clock=lambda: RELEASED)
    same = taken(workspace, bars(low=104.5), at=LATER)
    assert (same.new_rows, same.quarantined, same.findings) == (0, 0, [])
    assert len(same.good) == len(DAYS)
    other = taken(workspace, bars(low=104.6), at=LATER)
    assert (other.new_rows, other.quarantined) == (0, 1)
    assert quarantine.rows(workspace)["row"].item()["low"] == 104.6


def test_a_release_that_was_cut_off_is_completed_by_repeating_it(workspace, monkeypatch):
    taken(workspace, bars(low=104.5))
    name = the_id(workspace)
    with monkeypatch.context() as patch:
        patch.setattr(Vintages, "append", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            quarantine.release(workspace, name, reason="as printed", clock=lambda: RELEASED)
    assert DAYS[4] not in set(known(workspace, LATER)["session"])
    assert quarantine.release(workspace, name, reason="as printed", clock=lambda: LATER) == 0
    assert known(workspace, LATER).set_index("session").loc[DAYS[4], "learned"] == pd.Timestamp(LATER)
    assert len(audits(workspace)) == 1


@sqlite_only
def test_a_release_that_was_cut_off_is_completed_by_the_next_collection(workspace, monkeypatch):
    taken(workspace, bars(low=104.5))
    with monkeypatch.context() as patch:
        patch.setattr(Vintages, "append", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            quarantine.release(workspace, the_id(workspace), reason="as printed", clock=lambda: RELEASED)
    assert taken(workspace, bars(low=104.5), at=LATER).new_rows == 1
    assert known(workspace, LATER).set_index("session").loc[DAYS[4], "learned"] == pd.Timestamp(LATER)
    assert taken(workspace, bars(low=104.5), at=LATER + dt.timedelta(days=1)).new_rows == 0


def test_a_correction_that_comes_after_a_release_is_in_force_from_then_on(workspace):
    taken(workspace, bars(low=104.5))
    quarantine.release(workspace, the_id(workspace), reason="as printed", clock=lambda: RELEASED)
    assert taken(workspace, bars(), at=LATER).new_rows == 1  # it claims to be known since 2015
    at_release = known(workspace, RELEASED).set_index("session")
    later = known(workspace, LATER).set_index("session")
    assert (at_release.loc[DAYS[4], "low"], later.loc[DAYS[4], "low"]) == (104.5, 103.0)
    assert taken(workspace, bars(), at=LATER + dt.timedelta(days=1)).new_rows == 0
    assert DAYS[4] not in set(known(workspace, RELEASED - dt.timedelta(microseconds=1))["session"])


@sqlite_only
def test_what_the_store_had_said_before_a_release_does_not_undo_it(workspace):
    taken(workspace, bars())
    taken(workspace, bars(low=104.5))
    quarantine.release(workspace, the_id(workspace), reason="as printed", clock=lambda: RELEASED)
    assert taken(workspace, bars(), at=LATER).new_rows == 0
    assert known(workspace, LATER).set_index("session").loc[DAYS[4], "low"] == 104.5


def test_refused_rows_stay_where_they_are(workspace):
    taken(workspace, bars(close=-1.0))
    name = the_id(workspace)
    assert quarantine.refuse(workspace, name, "a typing error", who="ann") == 1
    assert quarantine.refuse(workspace, name, "a typing error", who="ann") == 0
    assert quarantine.rows(workspace).empty
    assert taken(workspace, bars(close=-1.0), at=LATER).quarantined == 1
    assert quarantine.rows(workspace).empty
    assert DAYS[4] not in set(known(workspace, LATER)["session"])
    assert audits(workspace) == [("refuse", "ann", "a typing error")]
    assert quarantine.release(workspace, name, reason="it was right", clock=lambda: LATER) == 1
    assert quarantine.refuse(workspace, name, "wrong after all") == 0  # what was readable cannot be made unknown


@sqlite_only
def test_a_row_that_came_too_early_is_closed_when_it_passes(workspace):
    early = taken(workspace, bars(), known_until=sessions.closes("XNYS", DAYS[-2]), symbols=None, record=None)
    assert early.findings[0].kind == "from-the-future"
    assert taken(workspace, bars(), at=LATER).quarantined == 0
    assert quarantine.rows(workspace).empty
    assert quarantine.rows(workspace, state="passed")["closed_by"].tolist() == ["check"]
    assert quarantine.release(workspace, quarantine.rows(workspace, state="passed")["id"].item(), reason="no") == 0
    assert len(known(workspace, LATER)) == len(DAYS)


@sqlite_only
def test_of_rows_that_contradict_each_other_one_can_be_released(workspace):
    both = pd.concat([bars(), bars(close=104.5).iloc[[4]]], ignore_index=True)
    assert taken(workspace, both).quarantined == 2
    held = quarantine.rows(workspace)
    with pytest.raises(DataError, match=r"speak of one fact \(AAPL.*nothing was released"):
        quarantine.release(workspace, held["id"].tolist(), reason="both")
    assert audits(workspace) == []
    right = next(one for one, row in zip(held["id"], held["row"], strict=True) if row["close"] == 104.5)
    quarantine.release(workspace, [right], reason="checked by hand", clock=lambda: RELEASED)
    again = taken(workspace, both, at=LATER)
    assert (again.new_rows, again.quarantined) == (0, 1)
    assert known(workspace, LATER).set_index("session").loc[DAYS[4], "close"] == 104.5


@sqlite_only
def test_what_cannot_be_decided_is_said(workspace):
    taken(workspace, bars(close=-1.0))
    with pytest.raises(NoData, match="1 of 2 rows are not in the quarantine, 'nothere'"):
        quarantine.release(workspace, [the_id(workspace), "nothere"], reason="so")
    for ids, reason in (([], "so"), (the_id(workspace), " ")):
        with pytest.raises(ParameterError, match="nothing was released"):
            quarantine.release(workspace, ids, reason=reason)
    assert len(quarantine.rows(workspace)) == 1


@sqlite_only
def test_a_row_keeps_every_value_through_the_quarantine(workspace):
    odd = bars(high=np.inf, open=np.nan, volume=0.1 + 0.2)
    odd["source"] = "massive"
    taken(workspace, odd)
    quarantine.release(workspace, the_id(workspace), reason="so", clock=lambda: RELEASED)
    row = known(workspace, RELEASED).set_index("session").loc[DAYS[4]]
    assert (row["high"], row["volume"], row["source"]) == (np.inf, 0.1 + 0.2, "massive")
    assert np.isnan(row["open"])
    assert row["happened"] == bars().loc[4, "happened"]


# Facts with a key: several of them can be wrong in one session.
def articles(*headlines):
    moment = pd.Timestamp("2015-06-05T14:30", tz="UTC")
    rows = pd.DataFrame({"key": [f"n{k}" for k in range(len(headlines))], "headline": headlines})
    moments = {"time": moment, "happened": moment, "learned": moment}
    return kind_of("news").typed(
        rows.assign(symbol="AAPL", session=pd.Timestamp("2015-06-05"), source="alpaca", **moments)
    )


def test_facts_are_taken_in_kept_back_and_released_too(workspace):
    asked = {"kind": "news", "dataset": "news/alpaca"}
    result = taken(workspace, articles("Rises", "", " "), **asked)
    assert (result.new_rows, result.quarantined) == (1, 2)
    assert quarantine.rows(workspace)["why"].tolist() == ["missing-value", "missing-value"]
    between = {"start": "2015-06-01", "end": "2015-06-30"}
    assert read_facts(workspace, "news", "alpaca", "AAPL", as_of=KNOWN, **between)["key"].tolist() == ["n0"]
    quarantine.release(workspace, quarantine.rows(workspace)["id"].tolist(), reason="so", clock=lambda: RELEASED)
    now = read_facts(workspace, "news", "alpaca", ["AAPL"], as_of=pd.Timestamp(RELEASED), **between)
    assert now["key"].tolist() == ["n0", "n1", "n2"]
    assert taken(workspace, articles("Rises", "", " "), at=LATER, **asked).new_rows == 0


@sqlite_only
def test_reading_facts_says_what_is_wrong_with_the_question(workspace):
    between = {"start": "2015-06-01", "end": "2015-06-30"}
    none = read_facts(workspace, "fx", "frankfurter", "EUR/USD", as_of=KNOWN, **between)
    assert list(none.columns) == list(kind_of("fx").columns)
    assert none.empty
    with pytest.raises(DataError, match="no timezone"):
        read_facts(workspace, "fx", "frankfurter", "EUR/USD", as_of=pd.Timestamp("2015-06-30"), **between)
    with pytest.raises(DataError, match="start='soon' is not a day"):
        read_facts(workspace, "fx", "frankfurter", "EUR/USD", as_of=KNOWN, start="soon", end="2015-06-30")
    with pytest.raises(ParameterError, match="kind='weather'"):
        read_facts(workspace, "weather", "frankfurter", "EUR/USD", as_of=KNOWN, **between)


@sqlite_only
def test_a_malformed_response_stores_nothing(workspace):
    with pytest.raises(BadData, match="lacks the columns headline"):
        taken(workspace, articles("Rises").drop(columns="headline"), kind="news", dataset="news/alpaca")
    with pytest.raises(BadData, match="symbol has 33 characters"):
        taken(workspace, bars().assign(symbol="A" * 33))
    with pytest.raises(ParameterError, match="record is given without symbols"):
        taken(workspace, bars(), symbols=None)
    assert Vintages(workspace.vintages_url).files("news/alpaca") == []
    assert collected_ranges(workspace.engine, DATASET, ["AAPL"]).by_symbol == {}


@sqlite_only
@pytest.mark.parametrize("killed", ["keep", "store_findings", "append", "record_collected"])
def test_killed_at_any_step_the_same_call_again_completes_it(workspace, monkeypatch, killed):
    target = {
        "keep": "workbench.data.quarantine.keep",
        "store_findings": "workbench.data.intake.store_findings",
        "append": "workbench.store.vintages.Vintages.append",
        "record_collected": "workbench.data.intake.record_collected",
    }[killed]

    def die(*_, **__):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(target, die)
        with pytest.raises(OSError, match="killed"):
            taken(workspace, bars(close=-1.0))
    assert collected_ranges(workspace.engine, DATASET, ["AAPL"]).by_symbol == {}
    taken(workspace, bars(close=-1.0))
    assert len(known(workspace, LATER)) == 9
    assert len(quarantine.rows(workspace)) == 1
    assert collected_ranges(workspace.engine, DATASET, ["AAPL"]).covers("AAPL", DAYS[0], DAYS[-1], venue="XNYS")


@sqlite_only
def test_what_the_source_says_beside_its_rows_is_stored_and_the_unanswered_are_not_noted(workspace):
    said = Finding("", "MSFT", DAYS[0], "fallback", "warning", "nobody answered", quarantined=False)
    rows = with_word(bars(), Word(findings=(said,), unanswered=("MSFT",)))
    result = taken(workspace, rows, symbols=["AAPL", "MSFT"])
    assert result.unanswered == ("MSFT",)
    assert {finding.kind for finding in result.findings} == {"fallback", "no-rows"}
    assert set(collected_ranges(workspace.engine, DATASET, ["AAPL", "MSFT"]).by_symbol) == {"AAPL"}
    with transaction(workspace.engine) as session:
        stored = session.scalars(select(QualityFindingRow).where(QualityFindingRow.kind == "fallback")).one()
    assert (stored.dataset, stored.symbol, stored.detail) == (DATASET, "MSFT", "nobody answered")
