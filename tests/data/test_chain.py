import datetime as dt

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from workbench import sessions
from workbench.data import chain as chains
from workbench.data import history, quarantine
from workbench.data.access import Access
from workbench.data.chain import Chain
from workbench.data.collected import collected_ranges
from workbench.data.finding import word_of
from workbench.data.gateway import Gateway
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS, BarSource, no_bars
from workbench.data.sources import about, open_source
from workbench.errors import BadData, DataError, NoData, ParameterError, SourceRefused, SourceUnavailable
from workbench.store.engine import transaction
from workbench.store.tables.quality import QualityFindingRow
from workbench.store.vintages import Vintages
from workbench.study import Study

DAYS = sessions.sessions("XNYS", "2015-06-01", "2015-06-30")
START, END = DAYS[0], DAYS[-1]
NOW = dt.datetime(2015, 7, 1, tzinfo=dt.UTC)
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Link:
    """A vendor on a string: it has some sessions of some symbols, fails when it is told to, and counts its questions.

    Args:
        has: per symbol the sessions it has; all of `DAYS` for None.
        off: the closes are multiplied by this.
        fails: per symbol the error that a question with it raises; "*": any question.
    """

    synthetic = False
    venue = "XNYS"

    def __init__(self, name, has, *, off=1.0, fails=None, spoil=None, adjustment="split"):
        self.name, self.label = name, name.title()
        self.has, self.off, self.fails, self.spoil, self.adjustment = has, off, fails or {}, spoil, adjustment
        self.asked = []

    def symbols(self):
        return tuple(self.has)

    def bars(self, symbols, *, start, end, timeframe="1d"):
        self.asked.append((tuple(symbols), start, end))
        for symbol in ("*", *symbols):
            if symbol in self.fails:
                raise self.fails[symbol]
        parts = [self._one(symbol, start, end, timeframe) for symbol in symbols if symbol in self.has]
        parts = [part for part in parts if len(part)]
        rows = pd.concat(parts, ignore_index=True) if parts else no_bars(intraday=timeframe != "1d")
        return self.spoil(rows) if self.spoil else rows

    def _one(self, symbol, start, end, timeframe):
        if timeframe != "1d":
            rows = open_source("synthetic").bars(["SYN01"], start=start, end=end, timeframe=timeframe)
            return rows[rows["session"].isin(self._days(symbol, start, end))].assign(symbol=symbol)
        days = self._days(symbol, start, end)
        moments = sessions.close_times("XNYS", days)
        close = self.off * (100.0 + DAYS.get_indexer(days))
        rows = pd.DataFrame({"symbol": symbol, "session": days, "open": close, "high": close + 1, "low": close - 1})
        return rows.assign(close=close, volume=1000.0, happened=moments, learned=moments)

    def _days(self, symbol, start, end):
        days = DAYS if self.has[symbol] is None else self.has[symbol]
        return days[(days >= start) & (days <= end)]


DOWN = SourceUnavailable("timed out")
NO_KEY = SourceRefused("the key is refused", http_status=401)


def asked(*links, symbols=("A", "B"), clock=lambda: NOW, start=START, end=END, **options):
    rows = Chain(links, clock=clock).bars(symbols, start=start, end=end, **options)
    found = [(one.kind, one.symbol, one.detail) for one in word_of(rows).findings]
    return rows, found


def sources(rows):
    return {name: "+".join(of["source"].unique()) for name, of in rows.groupby("symbol", sort=False)}


def test_a_chain_is_a_source_of_bars():
    chain = Chain([Link("alpaca", {"A": None}), Link("yahoo", {"B": None, "A": None})], without={"massive": "no key"})
    assert isinstance(chain, BarSource)
    assert (chain.name, chain.venue, chain.synthetic) == ("market", "XNYS", False)
    assert chain.label == "market · Alpaca → Yahoo · adjusted for splits only · without massive (no key)"
    assert chain.symbols() == ("A", "B")
    assert repr(chain) == "Chain(alpaca, yahoo)"
    with pytest.raises(ParameterError, match="one or more sources of one venue"):
        Chain([])


def test_who_answers_first_answers_alone():
    first, second = Link("alpaca", {"A": None, "B": None}), Link("massive", {"A": None, "B": None})
    rows, found = asked(first, second, symbols=["B", "A", "B"])
    assert list(rows.columns) == [*DAILY_COLUMNS, "source"]
    assert rows["symbol"].drop_duplicates().tolist() == ["B", "A"]
    assert (len(rows), found, second.asked) == (2 * len(DAYS), [], [])
    assert sources(rows) == {"B": "alpaca", "A": "alpaca"}
    assert sources(asked(first, symbols="A")[0]) == {"A": "alpaca"}


@pytest.mark.parametrize("error", [DOWN, NO_KEY])
def test_who_does_not_answer_is_replaced_and_it_is_said(error):
    first, second = Link("alpaca", {}, fails={"*": error}), Link("massive", {"A": None, "B": None})
    rows, found = asked(first, second)
    assert sources(rows) == {"A": "massive", "B": "massive"}
    assert [(kind, symbol) for kind, symbol, _ in found] == [("fallback", "A"), ("fallback", "B")]
    assert f"alpaca failed: {error.message}" in found[0][2]
    assert f"massive gave {len(DAYS)} bars" in found[0][2]
    assert len(first.asked) == 1  # it is not asked for each symbol once more


@pytest.mark.parametrize("error", [SourceRefused("no such symbol", http_status=422), NoData("none"), BadData("half")])
def test_one_symbol_that_fails_does_not_cost_the_others(error):
    first = Link("alpaca", dict.fromkeys("ABCDEFGH"), fails={"F": error})
    second = Link("massive", {"F": None})
    rows, found = asked(first, second, symbols=list("ABCDEFGH"))
    assert sources(rows) == {name: "massive" if name == "F" else "alpaca" for name in "ABCDEFGH"}
    assert [(kind, symbol) for kind, symbol, _ in found] == [("fallback", "F")]
    assert [question[0] for question in second.asked] == [("F",)]
    assert len(first.asked) <= 2 * 3 + 1  # halves of eight


def test_a_vendor_that_refuses_every_symbol_alone_is_left_alone():
    names = [f"S{number}" for number in range(64)]
    first = Link("alpaca", {}, fails={"*": DataError("no such timeframe")})
    rows, _ = asked(first, Link("yahoo", dict.fromkeys(names)), symbols=names)
    assert set(sources(rows).values()) == {"yahoo"}
    assert len(first.asked) <= 2 * chains.PATIENCE + 6


def test_a_malformed_answer_counts_as_none():
    first = Link("alpaca", {"A": None}, spoil=lambda rows: rows.drop(columns="close"))
    rows, found = asked(first, Link("yahoo", {"A": None}), symbols="A")
    assert sources(rows) == {"A": "yahoo"}
    assert "lacks the columns close" in found[0][2]


def test_what_a_vendor_does_not_have_is_asked_of_the_next():
    rows, found = asked(Link("alpaca", {"A": None}), Link("massive", {}), Link("yahoo", {"B": None}))
    assert sources(rows) == {"A": "alpaca", "B": "yahoo"}
    assert found == [("fallback", "B", f"alpaca has nothing; massive has nothing; yahoo gave {len(DAYS)} bars")]
    rows, found = asked(Link("alpaca", {"A": None}), Link("yahoo", {}))
    assert sources(rows) == {"A": "alpaca"}
    assert found == [("fallback", "B", "alpaca has nothing; yahoo has nothing; nobody had a bar")]
    assert word_of(rows).unanswered == ()


def test_where_two_vendors_agree_the_second_fills_what_the_first_lacks():
    first = Link("alpaca", {"A": DAYS[8:]})
    second = Link("massive", {"A": None}, off=1.001)
    rows, found = asked(first, second, symbols="A")
    assert rows["session"].tolist() == DAYS.tolist()
    assert rows["source"].tolist() == ["massive"] * 8 + ["alpaca"] * (len(DAYS) - 8)
    assert second.asked == [(("A",), DAYS[0], DAYS[7 + chains.COMMON])]
    assert [kind for kind, _, _ in found] == ["seam"]
    assert "8 sessions from 2015-06-01 on are of massive, the others of alpaca" in found[0][2]
    assert f"over {chains.COMMON} common bars the closes differ by at most 0.100%" in found[0][2]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (Link("massive", {"A": None}, off=0.5), "closes differ by up to 69.31%"),
        (Link("massive", {"A": DAYS[:8]}), "no bar in common"),
        (Link("massive", {"A": None}, adjustment="all"), "adjusted as 'split', massive as 'all'"),
    ],
)
def test_where_they_do_not_agree_they_are_not_mixed(second, why):
    rows, found = asked(Link("alpaca", {"A": DAYS[8:]}), second, symbols="A")
    assert (sources(rows), len(rows)) == ({"A": "alpaca"}, len(DAYS) - 8)
    assert [kind for kind, _, _ in found] == ["disagreement"]
    assert why in found[0][2]


def test_a_hole_in_the_middle_is_filled_too():
    rows, found = asked(Link("alpaca", {"A": DAYS.delete([9, 11])}), Link("yahoo", {"A": None}), symbols="A")
    assert rows.loc[rows["source"] == "yahoo", "session"].tolist() == [DAYS[9], DAYS[11]]
    assert [kind for kind, _, _ in found] == ["seam"]


def test_the_session_that_is_not_over_is_not_missed():
    link, second = Link("alpaca", {"A": DAYS[:-1]}), Link("yahoo", {"A": None})
    asked(link, second, symbols="A", clock=lambda: dt.datetime(2015, 6, 30, 19, tzinfo=dt.UTC))
    assert second.asked == []


def test_an_impossible_row_is_replaced_or_goes_to_the_quarantine():
    def spoil(rows):
        rows.loc[[3, 5], "close"] = -1.0
        return rows

    first = Link("alpaca", {"A": None}, spoil=spoil)
    rows, found = asked(first, Link("yahoo", {"A": DAYS.delete(5)}), symbols="A")
    assert rows["session"].tolist() == DAYS.tolist()
    assert (rows.loc[3, "source"], rows.loc[3, "close"]) == ("yahoo", 103.0)
    assert (rows.loc[5, "source"], rows.loc[5, "close"]) == ("alpaca", -1.0)
    assert [kind for kind, _, _ in found] == ["seam", "replaced"]
    replaced = next(one for one in word_of(rows).findings if one.kind == "replaced")
    assert (replaced.session, replaced.row["close"], replaced.row["source"]) == (DAYS[3], -1.0, "alpaca")


def test_who_was_not_answered_is_named_and_nobody_at_all_is_an_error():
    first, second = Link("alpaca", {"A": None}), Link("massive", {}, fails={"*": DOWN})
    rows, found = asked(first, second)
    assert word_of(rows).unanswered == ("B",)
    assert "massive failed: timed out" in found[0][2]
    with pytest.raises(SourceUnavailable, match=r"alpaca: the key is refused; massive: timed out"):
        asked(Link("alpaca", {}, fails={"*": NO_KEY}), second)
    with pytest.raises(SourceRefused, match="no source of the market answered"):
        asked(Link("alpaca", {}, fails={"*": NO_KEY}))


def test_intraday_bars_are_chained_by_whole_sessions():
    days = DAYS[:3]
    first, second = Link("alpaca", {"A": days[1:]}), Link("yahoo", {"A": days})
    rows, found = asked(first, second, symbols="A", start=days[0], end=days[-1], timeframe="1h")
    assert list(rows.columns) == [*INTRADAY_COLUMNS, "source"]
    assert rows["time"].is_monotonic_increasing
    assert rows.groupby("session")["source"].unique().map(list).tolist() == [["yahoo"], ["alpaca"], ["alpaca"]]
    assert [kind for kind, _, _ in found] == ["seam"]
    empty, _ = asked(first, symbols="Z", timeframe="1h")
    assert (list(empty.columns), len(empty)) == ([*INTRADAY_COLUMNS, "source"], 0)


def test_a_source_that_adjusts_otherwise_is_said():
    _, found = asked(Link("alpaca", {}), Link("massive", {"A": None}, adjustment="all"), symbols="A")
    assert "massive gives bars adjusted as 'all', where 'split' is wanted" in found[0][2]


STUDY = Study.of(["A", "B"], start=DAYS[5], as_of="2015-06-30", source="market")


def collect(workspace, *links, study=STUDY):
    return history.collect(study, workspace=workspace, source=Chain(links, clock=lambda: NOW), warm_up=5)


def test_a_study_may_name_the_market(workspace):
    collected = collect(workspace, Link("alpaca", {"A": None}), Link("massive", {"B": None}))
    assert collected.dataset == "bars/1d/market"
    assert collected.coverage["source"].tolist() == ["alpaca", "massive"]
    assert collected.findings["kind"].tolist() == ["fallback"]
    with transaction(workspace.engine) as session:
        stored = session.scalars(select(QualityFindingRow)).one()
    assert (stored.dataset, stored.symbol, stored.kind) == ("bars/1d/market", "B", "fallback")
    loaded = history.load(STUDY, workspace=workspace, warm_up=5)
    assert loaded.label == about("market").label
    assert loaded.provenance["sources"] == {"A": "alpaca", "B": "massive"}
    assert collect(workspace, Link("alpaca", {"A": None}), Link("massive", {"B": None})).new_rows == 0


@sqlite_only
def test_what_nobody_answered_is_not_noted_as_collected(workspace):
    collect(workspace, Link("alpaca", {"A": None}), Link("massive", {}, fails={"*": DOWN}))
    assert set(collected_ranges(workspace.engine, "bars/1d/market", ["A", "B"]).by_symbol) == {"A"}
    with pytest.raises(NoData, match="B was not collected"):
        history.load(STUDY, workspace=workspace, warm_up=5)


@sqlite_only
def test_an_impossible_row_of_the_chain_waits_with_its_source(workspace):
    def spoil(rows):
        return rows.assign(close=rows["close"].where(rows["session"] != DAYS[6], -1.0))

    collect(workspace, Link("alpaca", {"A": None, "B": None}, spoil=spoil))
    held = quarantine.rows(workspace)
    assert [row["source"] for row in held["row"]] == ["alpaca", "alpaca"]


@sqlite_only
def test_two_sources_in_one_symbol_over_two_collections_are_said(workspace):
    earlier = Study.of(["A", "B"], start=DAYS[5], as_of="2015-06-16", source="market")
    collect(workspace, Link("yahoo", {"A": None, "B": None}), study=earlier)
    later = Study.of(["A", "B"], start=DAYS[10], as_of="2015-06-30", source="market")
    found = collect(workspace, Link("alpaca", {"A": None, "B": None}, off=1.01), study=later).findings
    assert sorted(found["kind"]) == ["rebased", "rebased", "seam", "seam"]
    assert found.loc[found["kind"] == "seam", "detail"].str.startswith("alpaca follows yahoo; over 7 common bars").all()
    rows = Vintages(workspace.vintages_url).read(
        "bars/1d/market", ["A"], start=START, end=END, as_of=pd.Timestamp("2200-01-01", tz="UTC")
    )
    assert rows["source"].unique().tolist() == ["yahoo", "alpaca"]


def test_the_market_is_opened_with_the_vendors_that_can_be_opened():
    with pytest.raises(DataError, match="source='market' needs one of alpaca, massive, yahoo"):
        open_source("market")
    assert about("market") is Chain


@sqlite_only
def test_all_links_of_the_market_stand_on_one_basis(workspace):
    keys = Access(key=SecretStr("k"), secret=SecretStr("s"))
    with Gateway.of(workspace) as gateway:
        whole = open_source("market", gateway=gateway, accesses={"alpaca": keys, "massive": keys})
        assert repr(whole) == "Chain(alpaca, massive, yahoo)"
        assert [link.adjustment for link in whole.links] == ["split", "split", "split"]
        assert whole.label == about("market").label
        last = open_source("market", gateway=gateway, accesses={"massive": keys})
        assert "without alpaca (WORKBENCH_ALPACA_KEY_ID, WORKBENCH_ALPACA_SECRET_KEY)" in last.label
        raw = open_source("alpaca-raw", gateway=gateway, accesses={"alpaca": keys})
        assert (raw.name, raw.adjustment) == ("alpaca-raw", "raw")


def test_the_log_of_a_close_of_one_session_is_compared_not_its_difference():
    """The bound is relative: a stock of 5 and one of 5,000 are treated alike."""
    for scale in (0.05, 50.0):
        first = Link("alpaca", {"A": DAYS[8:]}, off=scale)
        inside = Link("yahoo", {"A": None}, off=scale * np.exp(chains.SEAM * 0.99))
        outside = Link("yahoo", {"A": None}, off=scale * np.exp(chains.SEAM * 1.01))
        assert asked(first, inside, symbols="A")[1][0][0] == "seam"
        assert asked(first, outside, symbols="A")[1][0][0] == "disagreement"
