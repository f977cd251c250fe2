import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select

from workbench import sessions
from workbench.data import history
from workbench.data.collected import Ranges, collected_ranges, record_collected
from workbench.data.sources import open_source
from workbench.data.sources.bundled import STOCKS, BundledSource
from workbench.errors import BadData, DataError, NoData
from workbench.store.engine import transaction
from workbench.store.tables.quality import QualityFindingRow
from workbench.store.vintages import Vintages
from workbench.study import Study

SHORT = Study.of(["MSFT", "AAPL"], start="2015-01-02", as_of="2015-06-30")
LATER = pd.Timestamp("2015-07-01")


class Tampered(BundledSource):
    """The bundled source, with its answers changed on the way."""

    def __init__(self, change):
        self.change = change

    def bars(self, symbols, **asked):
        return self.change(super().bars(symbols, **asked))


def test_collect_brings_the_study_and_its_warm_up(workspace):
    collected = history.collect(SHORT, workspace=workspace, source=open_source("bundled"))
    days = sessions.sessions("XNYS", "1990-01-02", "2015-06-30")
    first = days[days.get_loc(pd.Timestamp("2015-01-02")) - 300]
    assert collected.dataset == "bars/1d/bundled"
    assert collected.new_rows == 2 * len(sessions.sessions("XNYS", first, "2015-06-30"))
    assert (collected.quarantined, len(collected.findings)) == (0, 0)
    coverage = collected.coverage.set_index("symbol")
    assert list(coverage.index) == ["MSFT", "AAPL"]
    assert coverage["first"].tolist() == [first, first]
    assert coverage["last"].tolist() == [pd.Timestamp("2015-06-30")] * 2
    assert coverage["missing"].tolist() == [0, 0]
    assert coverage["close_only"].all()
    assert set(coverage["source"]) == {collected.label}
    assert "real" in repr(collected)


def test_collecting_twice_changes_nothing(workspace):
    history.collect(SHORT, workspace=workspace)
    files = Vintages(workspace.vintages_url).files("bars/1d/bundled")
    before = history.load(SHORT, workspace=workspace).provenance
    again = history.collect(SHORT, workspace=workspace)
    assert again.new_rows == 0
    assert len(again.coverage) == 2
    assert Vintages(workspace.vintages_url).files("bars/1d/bundled") == files
    assert history.load(SHORT, workspace=workspace).provenance == before


def test_load_gives_the_bars_of_the_source(workspace):
    history.collect(SHORT, workspace=workspace)
    loaded = history.load(SHORT, workspace=workspace)
    assert loaded.symbols == ("MSFT", "AAPL")
    assert loaded.study == SHORT
    assert loaded.bars.close_only
    assert loaded.bars.volume is None
    assert not loaded.synthetic
    assert loaded.label == open_source("bundled").label
    assert len(loaded.sessions) - len(loaded.evaluated) == 300
    assert loaded.evaluated[0] == pd.Timestamp("2015-01-02")
    rows = open_source("bundled").bars(["AAPL"], start=loaded.sessions[0], end=SHORT.end)
    assert loaded.close["AAPL"].tolist() == rows["close"].tolist()
    assert loaded.provenance["rows"] == 2 * len(loaded.sessions)
    assert loaded.provenance["source"] == "bundled"
    assert len(loaded.provenance["fingerprint"]) == 64


def test_load_reads_the_store_and_not_the_source(workspace, monkeypatch):
    history.collect(SHORT, workspace=workspace)
    monkeypatch.setattr(BundledSource, "bars", None)
    assert len(history.load(SHORT, workspace=workspace).evaluated) == 124


def test_open_high_low_are_there_where_the_source_has_them(workspace):
    study = Study.of("^GSPC", start="2015-01-02", as_of="2015-06-30")
    assert history.collect(study, workspace=workspace).coverage["close_only"].tolist() == [False]
    bars = history.load(study, workspace=workspace).bars
    assert not bars.close_only
    assert bars.open is not None
    assert bars.open.notna().all().all()


def test_what_was_not_collected_is_not_loaded(workspace):
    with pytest.raises(NoData, match=r"(?s)MSFT, AAPL was not collected.*collect first"):
        history.load(SHORT, workspace=workspace)
    history.collect(SHORT, workspace=workspace)
    for other in (
        Study.of(["MSFT", "AAPL"], start="2015-01-02", as_of="2015-07-01"),
        Study.of(["MSFT", "AAPL"], start="2014-12-31", as_of="2015-06-30"),
        Study.of(["MSFT", "XOM"], start="2015-01-02", as_of="2015-06-30"),
        Study.of(["SYN01"], start="2015-01-02", as_of="2015-06-30", source="synthetic"),
    ):
        with pytest.raises(NoData, match="was not collected"):
            history.load(other, workspace=workspace)
    with pytest.raises(NoData, match="was not collected"):
        history.load(SHORT, workspace=workspace, warm_up=301)


def test_a_smaller_question_needs_no_new_collection(workspace):
    history.collect(SHORT, workspace=workspace)
    smaller = Study.of("AAPL", start="2015-02-02", as_of="2015-05-29")
    assert history.load(smaller, workspace=workspace).evaluated[-1] == pd.Timestamp("2015-05-29")
    assert len(history.load(smaller, workspace=workspace, warm_up=0).sessions) == len(
        sessions.sessions("XNYS", "2015-02-02", "2015-05-29")
    )


def test_sessions_are_collected_one_after_the_other(workspace):
    for as_of in ("2015-06-26", "2015-06-29", "2015-06-30"):
        study = SHORT.at(as_of)
        history.collect(study, workspace=workspace)
        assert history.load(study, workspace=workspace).sessions[-1] == pd.Timestamp(as_of)
    assert len(Vintages(workspace.vintages_url).files("bars/1d/bundled")) == 3
    assert len(collected_ranges(workspace.engine, "bars/1d/bundled", ["AAPL"]).by_symbol["AAPL"]) == 1


def test_load_answers_with_what_was_known_then(workspace):
    history.collect(SHORT, workspace=workspace)
    before = history.load(SHORT, workspace=workspace)
    day, late = pd.Timestamp("2015-03-16"), pd.Timestamp("2015-06-30T20:00:01", tz="UTC")
    row = open_source("bundled").bars(["AAPL"], start=day, end=day)
    Vintages(workspace.vintages_url).append("bars/1d/bundled", row.assign(close=1.0, learned=late))
    after = history.load(SHORT, workspace=workspace)
    assert after.provenance == before.provenance
    pd.testing.assert_frame_equal(after.close, before.close)
    later = history.load(Study.of(SHORT.symbols, start="2015-01-02", as_of=late), workspace=workspace)
    assert later.close.loc[day, "AAPL"] == 1.0
    assert later.provenance["fingerprint"] != before.provenance["fingerprint"]


def test_impossible_rows_do_not_reach_the_store(workspace):
    def spoil(rows):
        rows.loc[rows["session"] == pd.Timestamp("2015-03-16"), "close"] = -1.0
        return rows

    collected = history.collect(SHORT, workspace=workspace, source=Tampered(spoil))
    assert collected.quarantined == 2
    assert sorted(collected.findings["kind"]) == ["bad-price", "bad-price", "gap", "gap"]
    assert collected.coverage["missing"].tolist() == [1, 1]
    close = history.load(SHORT, workspace=workspace).close
    assert close.loc["2015-03-16"].isna().all()
    assert close.drop(pd.Timestamp("2015-03-16")).notna().all().all()
    history.collect(SHORT, workspace=workspace, source=Tampered(spoil))
    with transaction(workspace.engine) as session:
        assert session.scalar(select(func.count()).select_from(QualityFindingRow)) == 4


def test_a_malformed_response_stores_nothing(workspace):
    with pytest.raises(BadData, match="lacks the columns volume"):
        history.collect(SHORT, workspace=workspace, source=Tampered(lambda rows: rows.drop(columns="volume")))
    assert Vintages(workspace.vintages_url).files("bars/1d/bundled") == []
    with pytest.raises(NoData):
        history.load(SHORT, workspace=workspace)


def test_a_row_from_after_the_moment_of_the_study_is_refused(workspace):
    more = Tampered(lambda rows: pd.concat([rows, BundledSource().bars(["AAPL"], start=LATER, end=LATER)]))
    collected = history.collect(SHORT, workspace=workspace, source=more)
    assert collected.findings["kind"].tolist() == ["from-the-future"]
    assert history.load(SHORT, workspace=workspace).sessions[-1] == SHORT.end


def test_a_symbol_without_rows_is_named(workspace):
    collected = history.collect(
        SHORT, workspace=workspace, source=Tampered(lambda rows: rows[rows["symbol"] == "AAPL"])
    )
    assert collected.coverage.set_index("symbol").loc["MSFT", "sessions"] == 0
    assert collected.findings["kind"].tolist() == ["no-rows"]
    with pytest.raises(NoData, match="nothing is known of MSFT from"):
        history.load(SHORT, workspace=workspace)


def test_a_symbol_that_begins_later_is_empty_before(workspace):
    def cut(rows):
        return rows[(rows["symbol"] == "AAPL") | (rows["session"] >= "2015-03-16")]

    history.collect(SHORT, workspace=workspace, source=Tampered(cut))
    close = history.load(SHORT, workspace=workspace).close
    assert close.loc[:"2015-03-13", "MSFT"].isna().all()
    assert close.loc["2015-03-16":].notna().all().all()


def test_a_series_that_ended_before_the_study_cannot_be_decided_on(workspace):
    study = Study.of("^GSPC", start="2018-01-02", as_of="2019-06-28")
    assert history.collect(study, workspace=workspace).findings["kind"].tolist() == ["stale"]
    with pytest.raises(NoData, match=r"(?s)2018-12-31, but the study ends 2019-06-28.*as_of <= 2018-12-31"):
        history.load(study, workspace=workspace)


def test_two_seeds_are_two_markets_and_labelled(workspace):
    closes = []
    for seed in (7, 8):
        study = Study.of("SYN01", start="2015-01-02", as_of="2015-06-30", source="synthetic", seed=seed)
        assert history.collect(study, workspace=workspace).dataset == f"bars/1d/synthetic-{seed}"
        loaded = history.load(study, workspace=workspace)
        assert loaded.synthetic
        assert loaded.label == f"SYNTHETIC · seed {seed}"
        closes.append(loaded.close["SYN01"].to_numpy())
    assert not np.array_equal(*closes)


def test_intraday_bars_are_collected_and_read(workspace):
    study = Study.of("SYN01", start="2015-06-29", as_of="2015-06-30", source="synthetic", timeframe="5m")
    collected = history.collect(study, workspace=workspace, warm_up=78)  # as many bars as a session has
    assert collected.new_rows == 3 * 78
    assert collected.coverage["sessions"].tolist() == [3]
    half = pd.Timestamp("2015-06-30T16:00", tz="UTC")
    rows = Vintages(workspace.vintages_url).read(
        "bars/5m/synthetic-7", ["SYN01"], start=study.end, end=study.end, as_of=half
    )
    assert rows["happened"].max() == half
    loaded = history.load(study, workspace=workspace, warm_up=78)
    assert (loaded.intraday, len(loaded.sessions), loaded.begins) == (True, 3 * 78, 78)
    assert loaded.evaluated[0] == pd.Timestamp("2015-06-29T13:35", tz="UTC")  # a bar is stamped with its end
    assert loaded.sessions[-1] == pd.Timestamp("2015-06-30T20:00", tz="UTC")
    assert loaded.close.notna().all(axis=None)
    assert (
        loaded.close["SYN01"].iloc[-78:].tolist()
        == Vintages(workspace.vintages_url)
        .read("bars/5m/synthetic-7", ["SYN01"], start=study.end, end=study.end, as_of=study.as_of)["close"]
        .tolist()
    )


def test_the_index_of_intraday_bars_follows_early_closes(workspace):
    study = Study.of("SYN01", start="2015-11-27", as_of="2015-11-30", source="synthetic", timeframe="1h")
    history.collect(study, workspace=workspace, warm_up=0)
    loaded = history.load(study, workspace=workspace, warm_up=0)
    friday = loaded.sessions[loaded.session_of_bar == pd.Timestamp("2015-11-27")]
    # The day after Thanksgiving closes at 13:00 in New York, 18:00 UTC; its bars begin at 14:30.
    assert [f"{moment:%H:%M}" for moment in friday] == ["15:30", "16:30", "17:30", "18:00"]
    assert loaded.ends_session.tolist() == [False] * 3 + [True] + [False] * 6 + [True]
    assert loaded.close.notna().all(axis=None)
    assert loaded.until("2015-11-27").sessions[-1] == friday[-1]
    assert loaded.view().session == pd.Timestamp("2015-11-30")


def test_another_source_than_the_study_names_is_refused(workspace):
    with pytest.raises(DataError, match="names source='bundled'"):
        history.collect(SHORT, workspace=workspace, source=open_source("synthetic"))
    study = Study.of("SYN01", start="2015-01-02", as_of="2015-06-30", source="synthetic", seed=7)
    with pytest.raises(DataError, match="seed 8 was given"):
        history.collect(study, workspace=workspace, source=open_source("synthetic", seed=8))
    with pytest.raises(DataError, match="warm_up=-1"):
        history.collect(SHORT, workspace=workspace, warm_up=-1)


def test_ranges_cover_what_lies_in_them_together():
    days = {text: pd.Timestamp(text) for text in ("2015-06-26", "2015-06-29", "2015-06-30", "2015-07-01", "2015-07-06")}
    friday, monday, tuesday, wednesday, later = days.values()
    ranges = Ranges({"A": [(monday, tuesday), (friday, friday)], "B": [(friday, monday), (wednesday, later)]})
    assert ranges.covers("A", friday, tuesday, venue="XNYS")  # a weekend is no hole
    assert ranges.covers("A", monday, tuesday, venue="XNYS")
    assert not ranges.covers("A", friday, wednesday, venue="XNYS")
    assert not ranges.covers("B", friday, later, venue="XNYS")  # Tuesday is a hole
    assert ranges.covers("B", wednesday, later, venue="XNYS")
    assert not ranges.covers("C", friday, friday, venue="XNYS")


def test_ranges_are_kept_on_each_database(engine):
    def note(first, last):
        record_collected(engine, "d", ["A", "B"], first=pd.Timestamp(first), last=pd.Timestamp(last))
        return sorted(collected_ranges(engine, "d", ["A"]).by_symbol["A"])

    assert note("2015-01-02", "2015-06-26") == note("2015-01-02", "2015-06-26")
    assert note("2015-01-02", "2015-06-30") == [(pd.Timestamp("2015-01-02"), pd.Timestamp("2015-06-30"))]
    assert len(note("2015-02-02", "2015-07-01")) == 2
    assert collected_ranges(engine, "other", ["A"]).by_symbol == {}


def test_the_default_study_loads_whole(workspace):
    study = Study.of(STOCKS, start="2013-01-02", as_of="2022-06-30")
    history.collect(study, workspace=workspace)
    assert history.load(study, workspace=workspace).close.shape == (2691, 20)
