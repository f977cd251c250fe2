"""`bench.data`: whom to ask, what came, what was kept back, what was known when; each verb as a notebook calls it."""

from __future__ import annotations

import random
import shutil
from decimal import Decimal

import pandas as pd
import pytest
from pydantic import SecretStr

from tests.data.stream.played import until
from tests.data.stream.traded import QUICK, new_york
from workbench import sessions
from workbench.bench import open_bench
from workbench.data.access import Access
from workbench.data.kinds import kind_of
from workbench.data.sources import SOURCES, open_source
from workbench.errors import DataError, NoData, ParameterError, StudyError
from workbench.exchange import embedded
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.workspace import Workspace

DAYS = {"start": "2015-06-01", "end": "2015-06-12"}
AS_OF = "2015-06-12"
RATES = {"2015-06-11": (1.25, 0.8), "2015-06-12": (1.28, 0.84)}  # dollars, pounds
HEADLINES = {"2015-06-10": "KO holds annual meeting", "2015-06-11": "KO beats earnings estimates, raises guidance"}
SESSIONS = sessions.sessions("XNYS", DAYS["start"], DAYS["end"])


def utc(text):
    return pd.Timestamp(text, tz="UTC")


class Rates:
    """Two pairs a day, published at four in the afternoon of Frankfurt (14:00 UTC in summer)."""

    name, label, synthetic = "frankfurter", "by hand", False

    def fx(self, symbols, *, start, end):
        rows = []
        for symbol in symbols:
            for day, (usd, gbp) in RATES.items():
                session, moment = pd.Timestamp(day), utc(f"{day} 14:00")
                if start <= session <= end:
                    rate = {"EUR/USD": usd, "EUR/GBP": gbp}[symbol]
                    rows.append(
                        {"symbol": symbol, "session": session, "rate": rate, "happened": moment, "learned": moment}
                    )
        return kind_of("fx").typed(pd.DataFrame(rows).assign(source=self.name))


class Press:
    """One article a day at ten in New York, the second of which is glad."""

    name, label, synthetic = "press", "by hand", False

    def news(self, symbols, *, start, end):
        rows = [
            {
                "symbol": symbol,
                "session": pd.Timestamp(day),
                "time": utc(f"{day} 14:00"),
                "key": f"{symbol}-{day}",
                "headline": head,
                "happened": utc(f"{day} 14:00"),
                "learned": utc(f"{day} 14:00"),
            }
            for symbol in symbols
            for day, head in HEADLINES.items()
            if start <= pd.Timestamp(day) <= end
        ]
        return kind_of("news").typed(
            pd.DataFrame(rows).assign(source=self.name, summary="", publisher="", author="", url="")
        )


class Torn:
    """The synthetic market with two sessions of SYN01 that cannot be true."""

    name, label, venue, synthetic = "torn", "by hand", "XNYS", True

    def bars(self, symbols, *, start, end, timeframe="1d"):
        rows = open_source("synthetic").bars(symbols, start=start, end=end, timeframe=timeframe)
        return rows.assign(volume=rows["volume"].mask(rows["session"].isin(SESSIONS[3:5]), -5.0))


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """An empty home with the newest schema, to copy from: migrating takes longer."""
    folder = tmp_path_factory.mktemp("migrated") / "home"
    Workspace.open(folder).close()
    return folder


@pytest.fixture
def bench(tmp_path, migrated):
    shutil.copytree(migrated, tmp_path / "home")
    opened = open_bench(home=tmp_path / "home", actor="ann", alpaca_key_id="", alpaca_secret_key="")
    yield opened
    opened.data.close()
    opened.workspace.close()


@pytest.fixture
def local(tmp_path, migrated, exchange):
    """A bench that knows a local exchange."""
    shutil.copytree(migrated, tmp_path / "home")
    opened = open_bench(home=tmp_path / "home", exchange_url=exchange.url)
    yield opened
    opened.data.close()
    opened.workspace.close()


# --- sources


def test_nothing_is_opened_before_it_is_needed(bench):
    assert bench.data is bench.data
    bench.data.source("synthetic")
    bench.data.quarantine()
    assert "vendors" not in vars(bench.data)
    assert len(bench.data.stats()) == 0
    assert "vendors" in vars(bench.data)
    bench.data.close()
    assert len(bench.data.stats()) == 0  # it is opened anew
    bench.data.close()


def test_every_source_is_listed_and_one_that_needs_a_key_says_which(bench):
    table = bench.data.sources().set_index("source")
    assert table.index.tolist() == list(SOURCES)
    assert table.loc["massive", ["ready", "missing"]].tolist() == [False, "WORKBENCH_MASSIVE_KEY"]
    assert bench.data.source("synthetic", seed=11).label.endswith("seed 11")
    assert bench.data.source("yahoo").name == "yahoo"
    with pytest.raises(DataError, match="WORKBENCH_MASSIVE_KEY"):
        bench.data.source("massive")


def test_the_health_of_all_vendors_is_shown_before_anybody_was_asked(bench):
    health = bench.data.health().set_index("vendor")
    assert set(health.index) == {
        "alpaca", "massive", "yahoo", "edgar", "fred", "finra", "frankfurter", "finnhub", "newsapi"
    }  # fmt: skip
    assert set(health["state"]) == {"unknown"}


# --- collect and read


def test_by_name_and_by_object_the_same_market_lies_in_one_place(bench):
    by_name = bench.data.collect(["SYN01", "SYN02"], source="synthetic", seed=11, **DAYS)
    assert (by_name.dataset, by_name.new_rows, by_name.complete) == ("bars/1d/synthetic-11", 20, True)
    by_object = bench.data.collect("SYN01", source=open_source("synthetic", seed=11), **DAYS)
    assert (by_object.dataset, by_object.known, by_object.new_rows) == ("bars/1d/synthetic-11", 1, 0)


def test_each_part_is_told_and_what_is_missing_is_named(bench):
    told = []
    result = bench.data.collect(["SYN01", "NOSUCH"], source="synthetic", progress=told.append, **DAYS)
    assert not result.complete
    assert result.failures()["symbols"].tolist() == ["NOSUCH"]
    assert (told[-1].done, told[-1].new_rows) == (told[-1].total, 10)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"kind": "news"}, r"cannot be asked for past news; nothing was asked.(?s:.*)it has bars"),
        ({"kind": "nwes"}, "'nwes' is not a kind"),
        ({"start": "soon"}, "start='soon' is not a day"),
        ({"start": None}, "start=None is not a day"),
        ({"end": utc("2015-06-12")}, "end=.* is not a day"),
        ({"symbols": []}, "symbols is empty"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(bench, question, words):
    asked = {"symbols": "SYN01", "source": "synthetic"} | DAYS | question
    with pytest.raises(ParameterError, match=words):
        bench.data.collect(**asked)


def test_facts_are_read_as_they_were_known(bench):
    bench.data.collect(["EUR/USD", "EUR/GBP"], source=Rates(), kind="fx", **DAYS)
    asked = {"source": "frankfurter"} | DAYS
    late = bench.data.facts("fx", ["EUR/USD", "EUR/GBP"], as_of=AS_OF, **asked)
    assert late["rate"].tolist() == [0.8, 0.84, 1.25, 1.28]
    early = bench.data.facts("fx", "EUR/USD", as_of=utc("2015-06-12 13:59"), **asked)
    assert early["rate"].tolist() == [1.25]
    with pytest.raises(DataError, match="start='soon' is not a day"):
        bench.data.facts("fx", "EUR/USD", as_of=AS_OF, **asked | {"start": "soon"})
    with pytest.raises(StudyError, match="no timezone"):
        bench.data.facts("fx", "EUR/USD", as_of=pd.Timestamp("2015-06-12 13:59"), **asked)


def test_money_is_converted_in_the_language_of_its_amount(bench):
    bench.data.collect(["EUR/USD", "EUR/GBP"], source=Rates(), kind="fx", **DAYS)
    whole = bench.data.convert(64, "USD", "GBP", AS_OF)
    assert (whole.amount, type(whole.amount)) == (Decimal(42), Decimal)  # 64 · 0.84 / 1.28
    assert whole.used == ("EUR/USD", "EUR/GBP")
    exact = bench.data.convert(Decimal("0.10"), "EUR", "USD", AS_OF)
    assert exact.amount == Decimal("0.1280")
    rough = bench.data.convert(64.0, "USD", "GBP", utc("2015-06-14 12:00"))
    assert (rough.amount, type(rough.amount), rough.age) == (pytest.approx(42.0), float, 2)
    before = bench.data.convert(1.0, "EUR", "USD", utc("2015-06-12 13:59"))
    assert (before.rate, before.session) == (1.25, pd.Timestamp("2015-06-11"))
    with pytest.raises(NoData, match="no rate of EUR/JPY"):
        bench.data.convert(1.0, "EUR", "JPY", AS_OF)


def test_the_tone_of_news_is_that_of_what_was_published_by_then(bench):
    bench.data.collect(["KO", "XOM"], source=Press(), kind="news", **DAYS)
    late = bench.data.tone(["KO", "SYN09"], utc("2015-06-11 20:00"), source="press")
    assert late.index.tolist() == ["KO", "SYN09"]
    assert late.loc["KO", "score"] > 0
    assert pd.isna(late.loc["SYN09", "score"])
    early = bench.data.tone("KO", utc("2015-06-11 13:59"), source="press")
    assert not early.loc["KO", "score"] > 0
    assert early.loc["KO", "articles"] < late.loc["KO", "articles"]


def test_everything_known_is_one_record_and_the_same_each_time(bench):
    bench.data.collect("SYN01", source="synthetic", **DAYS)
    first = bench.data.fuse("SYN01", AS_OF, sources="synthetic")
    assert first.text == bench.data.fuse("SYN01", sessions.closes("XNYS", SESSIONS[-1]), sources="synthetic").text
    close = open_source("synthetic").bars("SYN01", start=SESSIONS[-1], end=SESSIONS[-1])["close"].item()
    assert [fact.says["close"] for fact in first.facts] == [pytest.approx(close, rel=1e-5)]
    nobody = bench.data.fuse("SYN01", AS_OF, sources="synthetic", seed=11)
    assert ([one.source for one in nobody.missing], nobody.facts) == (["synthetic-11"], ())


# --- quarantine


def test_rows_are_kept_back_let_out_or_closed_by_a_person(bench):
    result = bench.data.collect("SYN01", source=Torn(), **DAYS)
    assert (result.new_rows, result.quarantined) == (8, 2)
    held = bench.data.quarantine(dataset=result.dataset).sort_values("session")
    assert held["session"].tolist() == SESSIONS[3:5].tolist()
    good, bad = held["id"]
    assert bench.data.release(good, reason="it is so") == 1
    assert bench.data.release([good], reason="it is so") == 0
    assert bench.data.refuse([bad], reason="it is not") == 1
    assert bench.data.quarantine().empty
    closed = bench.data.quarantine(state=None).set_index("id")
    assert closed.loc[[good, bad], ["state", "closed_by"]].to_numpy().tolist() == [
        ["released", "ann"],
        ["refused", "ann"],
    ]
    with transaction(bench.workspace.engine) as session:
        audits = [(row.action, row.who) for row in session.query(AuditRow).filter_by(entity="quarantined_row")]
    assert sorted(audits) == [("refuse", "ann"), ("release", "ann")]
    assert bench.data.collect("SYN01", source=Torn(), **DAYS).quarantined == 0
    with pytest.raises(NoData, match="not in the quarantine"):
        bench.data.release("0" * 32, reason="who knows")
    with pytest.raises(ParameterError, match="no reason"):
        bench.data.refuse(bad, reason=" ")


# --- the local exchange


def test_the_local_exchange_is_a_vendor_whose_facts_lie_apart(local):
    source = local.data.local_source(AS_OF)
    result = local.data.collect(["SYN01", "SYN02"], source=source, start="2015-06-01")
    assert (result.dataset, result.new_rows, result.complete) == ("bars/1d/exchange-7", 20, True)
    health = local.data.health().set_index("vendor")
    assert health.loc["exchange", "state"] == "up"
    assert health.loc["alpaca", "state"] == "unknown"
    stats = local.data.stats().set_index("vendor")
    assert stats.loc["exchange", "requests"] >= 1
    record = local.data.fuse("SYN01", AS_OF, sources=source)
    assert "SYNTHETIC" in repr(record)
    assert {fact.source for fact in record.facts} == {"exchange-7"}


def test_what_comes_after_its_moment_is_not_taken_for_collected(local):
    for as_of, rows in (("2015-06-05", 5), ("2015-06-12", 5)):
        result = local.data.collect("SYN01", source=local.data.local_source(as_of), start="2015-06-01")
        assert (result.new_rows, result.complete) == (rows, True)
    again = local.data.collect("SYN01", source=local.data.local_source("2015-06-12"), start="2015-06-01")
    assert (again.known, again.new_rows) == (1, 0)


# --- streams


@pytest.fixture(scope="module")
def minutes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minutes")
    yield embedded.ensure(folder, source="synthetic", timeframe="1m", exit_with_parent=True).url
    embedded.stop(folder)


@pytest.mark.parametrize("given", ["settings", "access"])
def test_bars_stream_from_the_local_exchange(bench, minutes, tmp_path, given):
    at = new_york("09:29")
    keys = embedded.open_account(minutes, name=f"bench-{given}", cash=1e5, at=at.to_pydatetime())
    clock, heard, options = [at], [], {}
    if given == "access":
        options["access"] = Access(key=SecretStr(keys.key_id), secret=SecretStr(keys.secret_key))
    else:
        said = {"alpaca_key_id": keys.key_id, "alpaca_secret_key": keys.secret_key}
        bench = open_bench(home=tmp_path / "other", **said)
    try:
        with bench.data.stream(
            url="ws" + minutes[4:], pacing=QUICK, rng=random.Random(1), clock=lambda: clock[0].value, **options
        ) as stream:
            assert stream.address.url.endswith("/v2/iex")
            stream.subscribe_bars(heard.append, "SYN03", each=True)
            stream.start().wait_live()
            clock[0] = new_york("09:33")
            embedded.advance(minutes, name=keys.name, to=clock[0].to_pydatetime())
            until(lambda: len(heard) >= 3)
            assert keys.secret_key not in repr(stream)
        assert stream.state == "stopped"
        assert {event.symbol for event in heard} == {"SYN03"}
    finally:
        if given == "settings":
            bench.data.close()
            bench.workspace.close()


def test_a_stream_without_keys_names_the_setting_before_anybody_is_asked(bench):
    with pytest.raises(DataError, match="WORKBENCH_ALPACA_KEY_ID and WORKBENCH_ALPACA_SECRET_KEY"):
        bench.data.stream(feed="iex")
    access = Access(key=SecretStr("k"), secret=SecretStr("s"))
    with pytest.raises(ParameterError, match="feed='ixe'"):
        bench.data.stream(feed="ixe", access=access)
    assert bench.data.stream(feed="sip", access=access).address.feed == "sip"
