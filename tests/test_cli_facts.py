"""The commands of facts in the terminal: what they print, what they refuse, and what they exit with."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from workbench import cli, sessions
from workbench.data import quarantine, universe
from workbench.data.gateway import Gateway
from workbench.data.intake import take_in
from workbench.data.sources import open_source
from workbench.store.engine import transaction
from workbench.store.tables.quality import QuarantinedRow
from workbench.store.vintages import Vintages
from workbench.store.workspace import Workspace

pytestmark = pytest.mark.usefixtures("home")
DATASET = "bars/1d/synthetic-7"
DAYS = ("--start", "2015-06-01", "--end", "2015-06-12")
FAR = pd.Timestamp("2100-01-01", tz="UTC")
SESSIONS = sessions.sessions("XNYS", "2015-06-01", "2015-06-12")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """An empty home with the newest schema, to copy from: migrating takes longer."""
    folder = tmp_path_factory.mktemp("migrated") / "home"
    Workspace.open(folder).close()
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch, migrated):
    shutil.copytree(migrated, tmp_path / "home")
    for name in [name for name in os.environ if name.startswith("WORKBENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def workspace(home):
    opened = Workspace.open(home)
    yield opened
    opened.close()


def say(*arguments):
    done = CliRunner().invoke(cli.main, list(arguments), catch_exceptions=True)
    return done.exit_code, done.output


def collect(*arguments, source="synthetic", days=DAYS):
    return say("collect", *arguments, "--source", source, *days)


def stored(place, symbols=("SYN01", "SYN02", "SYN03"), dataset=DATASET):
    start, end = pd.Timestamp("2015-01-01"), pd.Timestamp("2016-01-01")
    return Vintages(place).read(dataset, symbols, start=start, end=end, as_of=FAR)


# --- collect


def test_collecting_stores_the_market_and_a_second_time_nothing_is_asked(workspace):
    code, said = collect("SYN01", "SYN02")
    assert (code, said) == (
        0,
        f"{DATASET} · 2 symbols, 0 of them up to date · 1 parts, 20 new rows, 0 quarantined\n",
    )
    truth = open_source("synthetic", seed=7).bars(["SYN01", "SYN02"], start=SESSIONS[0], end=SESSIONS[-1])
    mine = stored(workspace.vintages_url)
    assert mine[["symbol", "session", "close"]].to_numpy().tolist() == (
        truth[["symbol", "session", "close"]].to_numpy().tolist()
    )
    assert "2 of them up to date · 0 parts, 0 new rows" in collect("SYN01", "SYN02")[1]


def test_what_did_not_come_is_a_table_and_the_exit_code_and_the_others_are_stored(workspace):
    code, said = collect("SYN01", "NOSUCH", "SYN02")
    assert code == 1
    assert "FAILED: NOSUCH" in said
    header = next(line for line in said.splitlines() if line.startswith("symbols"))
    assert header.split() == ["symbols", "first", "last", "error", "remedy"]
    row = next(line for line in said.splitlines() if line.startswith("NOSUCH"))
    assert row.split()[:3] == ["NOSUCH", "2015-06-01", "2015-06-12"]
    assert "[WB300]" in row
    assert "it has SYN01 to SYN100." in row
    assert set(stored(workspace.vintages_url)["symbol"]) == {"SYN01", "SYN02"}


def test_symbols_come_from_a_file_and_from_a_universe_too(workspace, tmp_path):
    universe.define(workspace, "mine", ["SYN03"], entered="2015-01-02", reason="chosen")
    (tmp_path / "list.txt").write_text("SYN02\n\n  SYN01  \n")
    code, said = collect("SYN01", "--file", "list.txt", "--universe", "mine")
    assert code == 0
    assert "3 symbols" in said
    assert set(stored(workspace.vintages_url)["symbol"]) == {"SYN01", "SYN02", "SYN03"}


def test_a_seed_is_a_market_of_its_own(workspace):
    assert "bars/1d/synthetic-11" in collect("SYN01", "--seed", "11")[1]
    assert stored(workspace.vintages_url).empty


def test_without_a_symbol_nothing_is_asked():
    (code, said), (empty, also) = collect(), collect("--file", os.devnull)
    assert (code, empty) == (2, 2)
    for words in (said, also):
        assert "name SYMBOLS, --file or --universe" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("SYN01", "--source", "syntetic", *DAYS), "did you mean 'synthetic'"),
        (("AAPL", "--source", "massive", *DAYS), "set WORKBENCH_MASSIVE_KEY"),
        (("AAPL", "--source", "edgar", "--kind", "filings", *DAYS), "set WORKBENCH_EDGAR_CONTACT"),
        (("SYN01", "--source", "synthetic", "--kind", "news", *DAYS), "cannot be asked for past news"),
        (("SYN01", "--source", "synthetic", "--kind", "nwes", *DAYS), "'nwes' is not a kind of facts"),
        (("SYN01", "--source", "synthetic", "--timeframe", "3d", *DAYS), "use 1d, 1h, 5m, 1m"),
        (("SYN01", "--source", "synthetic", "--universe", "nobody", *DAYS), "there is no universe 'nobody'"),
        (("SYN01", "--source", "synthetic", "--start", "soon"), "start='soon' is not a day"),
        (("SYN01", "--source", "synthetic", *DAYS[:2], "--end", "late"), "end='late' is not a day"),
        (("SYN01", "--source", "synthetic", *DAYS[:2], "--end", "2015-05-29"), "lies after 2015-05-29"),
    ],
)
def test_what_is_wrong_with_a_question_is_said_and_nothing_is_asked(workspace, arguments, words):
    code, said = say("collect", *arguments)
    assert (code, words in said) == (1, True), said
    assert "Traceback" not in said
    assert Vintages(workspace.vintages_url).datasets() == []


# --- data


def test_sources_show_what_they_need_and_no_key(monkeypatch):
    monkeypatch.setenv("WORKBENCH_FRED_KEY", "fred-9999")
    code, said = say("data", "sources")
    rows = {line.split()[0]: line for line in said.splitlines()}
    assert code == 0
    assert rows["source"].split() == ["source", "kinds", "ready", "missing", "terms"]
    assert "False" in rows["massive"]
    assert "WORKBENCH_MASSIVE_KEY" in rows["massive"]
    assert "True" in rows["fred"]
    assert "9999" not in said


def test_an_address_for_nobody_is_refused(monkeypatch):
    monkeypatch.setenv("WORKBENCH_VENDOR_URLS", '{"frankfuter": "http://127.0.0.1:9"}')
    code, said = say("data", "sources")
    assert (code, "vendor_urls names 'frankfuter', which is no vendor" in said) == (1, True)


def test_health_and_statistics_before_anybody_was_asked():
    code, said = say("data", "health")
    rows = {line.split()[0]: line.split() for line in said.splitlines()}
    assert code == 0
    assert rows["frankfurter"][1:3] == ["unknown", "closed"]
    assert not {"synthetic", "market", "alpaca-raw"} & set(rows)
    assert say("data", "stats") == (0, "no vendor was asked yet.\n")
    assert say("data", "health", "--history", "yahoo") == (0, "yahoo was not asked in the minutes that are kept.\n")


def test_health_and_statistics_of_a_vendor_that_is_away(monkeypatch):
    monkeypatch.setattr(Gateway, "of", classmethod(in_no_time))
    monkeypatch.setenv("WORKBENCH_VENDOR_URLS", '{"frankfurter": "http://127.0.0.1:9"}')
    code, said = collect("EUR/USD", "--kind", "fx", source="frankfurter")
    assert code == 1
    assert "WB304" in said
    rows = {line.split()[0]: line.split() for line in say("data", "health")[1].splitlines()}
    assert rows["frankfurter"][1] == "down"
    assert rows["finra"][1] == "unknown"
    header, row = say("data", "stats")[1].splitlines()
    counts = dict(zip(header.split(), row.split(), strict=True))
    assert (counts["vendor"], counts["kind"], counts["failures"]) == ("frankfurter", "fx", "1")
    header, *minutes = say("data", "health", "--history", "frankfurter")[1].splitlines()
    assert header.split()[:2] == ["minute", "requests"]
    assert len(minutes) >= 1


def in_no_time(kind, workspace):
    """A gateway as `Gateway.of` makes it, which does not wait between tries."""
    return kind(engine=workspace.engine, sleep=lambda _: None)


# --- quarantine


@pytest.fixture
def kept_back(workspace):
    """Two bad bars of AAPL, one of KO: [id of AAPL's first, of its second, of KO's]."""
    for symbol, bad in (("AAPL", (3, 4)), ("KO", (4,))):
        closes = sessions.close_times("XNYS", SESSIONS)
        close = 100.0 + np.arange(len(SESSIONS))
        rows = pd.DataFrame(
            {"symbol": symbol, "session": SESSIONS, "open": close, "high": close + 1, "low": close - 1, "close": close}
        ).assign(volume=1000.0, happened=closes, learned=closes)
        rows.loc[list(bad), "volume"] = -5.0
        dataset, known = f"bars/1d/{symbol.lower()}", sessions.closes("XNYS", SESSIONS[-1])
        take_in(rows, workspace=workspace, dataset=dataset, known_until=known, symbols=[symbol], record=None)
    held = quarantine.rows(workspace).sort_values(["symbol", "session"])
    assert held["symbol"].tolist() == ["AAPL", "AAPL", "KO"]
    return held["id"].tolist()


def test_an_empty_quarantine_says_so():
    assert say("data", "quarantine") == (0, "nothing is in quarantine.\n")
    assert say("data", "quarantine", "--all") == (0, "nothing is in quarantine.\n")


def test_what_is_kept_back_is_a_table_that_fits_a_terminal(kept_back):
    code, said = say("data", "quarantine")
    lines = said.splitlines()
    assert code == 0
    assert [line for line in lines if line.startswith("bars/")] == ["bars/1d/aapl", "bars/1d/ko"]
    assert lines[1].split() == ["id", "symbol", "session", "why", "detail", "state"]
    rows = [line.split() for line in lines if not line.startswith(("bars/", "id"))]
    assert sorted(row[0] for row in rows) == sorted(one[:8] for one in kept_back)
    assert [(row[1], row[3], row[-1]) for row in rows] == [
        ("AAPL", "bad-volume", "held"),
        ("AAPL", "bad-volume", "held"),
        ("KO", "bad-volume", "held"),
    ]
    assert "{" not in said
    assert max(map(len, lines)) <= 120


def test_only_of_a_dataset_or_of_a_symbol(kept_back):
    assert kept_back[2][:8] not in say("data", "quarantine", "--symbol", "AAPL")[1]
    said = say("data", "quarantine", "--dataset", "bars/1d/ko")[1]
    assert kept_back[2][:8] in said
    assert "AAPL" not in said
    assert say("data", "quarantine", "--symbol", "XOM") == (0, "nothing is in quarantine.\n")


def test_a_row_is_released_by_the_first_digits_of_its_id_and_then_read(workspace, kept_back):
    place = workspace.vintages_url
    assert len(stored(place, ["AAPL"], "bars/1d/aapl")) == 8
    code, said = say("data", "quarantine", "--release", kept_back[0][:10].upper(), "--reason", "it is true")
    assert (code, said) == (0, "1 released; readers know them from now on.\n")
    assert stored(place, ["AAPL"], "bars/1d/aapl")["volume"].tolist().count(-5.0) == 1
    assert kept_back[0][:8] not in say("data", "quarantine")[1]
    everything = say("data", "quarantine", "--all")[1]
    row = next(line for line in everything.splitlines() if line.startswith(kept_back[0][:8]))
    assert row.endswith("released")
    assert say("data", "quarantine", "--release", kept_back[0], "--reason", "again")[1].startswith("0 released")


def test_rows_are_released_and_closed_at_once(workspace, kept_back):
    code, said = say(
        "data",
        "quarantine",
        *("--release", kept_back[0], "--refuse", kept_back[1][:12], "--refuse", kept_back[2], "--reason", "looked at"),
    )
    assert (code, said) == (0, "1 released; readers know them from now on.\n2 closed.\n")
    states = quarantine.rows(workspace, state=None).set_index("id")
    assert states.loc[kept_back, "state"].tolist() == ["released", "refused", "refused"]
    assert set(states["closed_reason"]) == {"looked at"}
    assert say("data", "quarantine") == (0, "nothing is in quarantine.\n")


@pytest.mark.parametrize("reason", [(), ("--reason", "  ")])
@pytest.mark.parametrize("verb", ["--release", "--refuse"])
def test_nothing_is_decided_without_a_reason(workspace, kept_back, verb, reason):
    code, said = say("data", "quarantine", verb, kept_back[0], *reason)
    assert (code, "need a --reason" in said) == (2, True)
    assert len(quarantine.rows(workspace)) == 3


def test_an_id_that_is_none_or_several_or_both_changes_nothing(workspace, kept_back):
    because = ("--reason", "why not")
    code, said = say("data", "quarantine", "--refuse", kept_back[0], "--release", "zz", *because)
    assert (code, "begins with 'zz'" in said) == (1, True)
    assert say("data", "quarantine", "--release", "", *because)[0] == 1
    code, said = say("data", "quarantine", "--release", kept_back[0], "--refuse", kept_back[0][:9], *because)
    assert (code, "name the same row" in said) == (2, True)
    assert len(quarantine.rows(workspace)) == 3


def test_ids_that_begin_alike_are_shown_longer_and_must_be_given_longer(workspace):
    ids = ["0123456789" + end + "0" * 21 for end in "ab"]
    with transaction(workspace.engine) as session:
        for one, symbol in zip(ids, ("AAPL", "KO"), strict=True):
            told = {"symbol": symbol, "session": "2015-06-04", "why": "odd", "detail": "by hand", "row": {}}
            session.add(QuarantinedRow(id=one, dataset="bars/1d/x", kind="bars", trace_id="0" * 32, **told))
    said = say("data", "quarantine")[1]
    assert "0123456789a " in said
    assert "0123456789b " in said
    code, said = say("data", "quarantine", "--refuse", "0123456789", "--reason", "both")
    assert (code, "begins the ids of 2 rows" in said, "give more digits" in said) == (1, True, True)
    assert say("data", "quarantine", "--refuse", "0123456789b", "--reason", "this one") == (0, "1 closed.\n")
    assert quarantine.rows(workspace)["id"].tolist() == [ids[0]]


# --- fuse


def test_what_was_known_is_a_table_and_a_record_with_its_hash():
    collect("SYN01")
    code, said = say("fuse", "SYN01", "--as-of", "2015-06-10", "--source", "synthetic")
    assert code == 0
    truth = open_source("synthetic").bars("SYN01", start=SESSIONS[7], end=SESSIONS[7])["close"].item()
    assert f"close {truth:.6g}" in said
    assert said.splitlines()[-1].startswith("SYNTHETIC · SYN01 · as_of 2015-06-10T20:00:00+00:00 · 1 facts")
    code, text = say("fuse", "SYN01", "--as-of", "2015-06-10", "--source", "synthetic", "--json")
    record = json.loads(text)
    assert code == 0
    assert record["as_of"] == "2015-06-10T20:00:00+00:00"
    assert record["facts"][0]["says"]["close"] == pytest.approx(truth, rel=1e-5)
    early = json.loads(say("fuse", "SYN01", "--as-of", "2015-06-10T19:59Z", "--source", "synthetic", "--json")[1])
    assert early["facts"][0]["session"] == "2015-06-09"  # the day's close was not known yet


def test_a_record_of_another_seed_is_of_another_market():
    collect("SYN01", "--seed", "11")
    asked = ("fuse", "SYN01", "--as-of", "2015-06-10", "--source", "synthetic")
    assert "0 facts" in say(*asked)[1]
    assert "1 facts" in say(*asked, "--seed", "11")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--as-of", "2015-06-10", "--source", "syntetic"), "did you mean 'synthetic'"),
        (("--as-of", "noon", "--source", "synthetic"), "'noon' is neither a date nor a moment"),
        (("--as-of", "2015-06-10", "--source", "synthetic", "--source", "fred"), "mixes an invented market"),
    ],
)
def test_a_record_of_nobody_or_of_no_moment_is_refused(arguments, words):
    code, said = say("fuse", "SYN01", *arguments)
    assert (code, words in said) == (1, True), said


# --- store


def test_compacting_merges_what_lies_loose_and_keeps_every_answer(workspace):
    assert say("store", "compact") == (0, "nothing is stored yet.\n")
    for symbol in ("SYN01", "SYN02", "SYN03"):
        collect(symbol)
    before = stored(workspace.vintages_url)
    code, said = say("store", "compact")
    assert (code, said.splitlines()[0].startswith(f"{DATASET}: 3 parts merged into 1 (30 rows) · 1 in force")) == (
        0,
        True,
    ), said
    assert say("store", "compact", DATASET)[1].startswith(f"{DATASET}: 0 parts merged")
    pd.testing.assert_frame_equal(stored(workspace.vintages_url), before)
    code, said = say("store", "compact", DATASET, "bars/1d/nobody")
    assert (code, "bars/1d/nobody: no such dataset" in said, DATASET in said) == (1, True, True)


def test_the_store_is_moved_verified_and_a_second_time_nothing_is_copied(workspace, tmp_path):
    collect("SYN01", "SYN02")
    before, second = stored(workspace.vintages_url), tmp_path / "second"
    code, said = say("store", "move", "second")
    assert code == 0
    assert said.splitlines()[-1].endswith(f"set WORKBENCH_VINTAGES_URL={second}")  # the whole path, from anywhere
    pd.testing.assert_frame_equal(stored(str(second)), before)
    assert "· 0 copied now (0 bytes)" in say("store", "move", str(second))[1]
    assert len(stored(workspace.vintages_url)) == 20
    assert "removed at the source" in say("store", "move", str(second), "--remove")[1]
    assert stored(workspace.vintages_url).empty
    pd.testing.assert_frame_equal(stored(str(second)), before)


def test_a_store_is_not_moved_over_something_else(workspace, tmp_path):
    assert "there is nothing below" in say("store", "move", "second")[1]
    collect("SYN01")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "photo.png").write_bytes(b"x")
    code, said = say("store", "move", "second")
    assert (code, "photo.png" in said) == (1, True)
    assert [one.name for one in (tmp_path / "second").iterdir()] == ["photo.png"]
    code, said = say("store", "move", workspace.vintages_url)
    assert (code, "one place" in said) == (1, True)


# --- help


@pytest.mark.parametrize(
    "command", ["collect", "data sources", "data health", "data stats", "data quarantine", "fuse", "store move"]
)
def test_every_command_explains_itself(command):
    code, said = say(*command.split(), "-h")
    assert (code, said.startswith("Usage:")) == (0, True)
