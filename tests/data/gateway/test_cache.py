import datetime as dt
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.data.gateway.conftest import START
from tests.vendors.server import EMPTY, HTML, Reply
from workbench.data.gateway.cache import Cache, Kept
from workbench.data.gateway.ttl import TTL, seconds_of
from workbench.data.kinds import KINDS
from workbench.errors import BadData, ParameterError, SourceRefused, SourceUnavailable, StoreError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "answers"


@pytest.fixture
def cache(folder):
    opened = Cache(folder, largest=1_000_000)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def counted(server):
    """Answers with how often it was asked."""
    server.route("/n", lambda asked: {"n": len(server.asked), "for": len(asked.headers.get("x-key", ""))})
    return server


def kept(content=b"x", at=START):
    return Kept(200, {"content-type": "text/plain"}, content, at)


def ask(gateway, acme, **given):
    return gateway.get(acme, "/n", **({"kind": "news"} | given))


def test_an_answer_is_used_again_for_as_long_as_its_kind_says(make, vendor, counted, folder, clock):
    gateway, acme = make(cache=folder), vendor()
    first = ask(gateway, acme)
    clock.later(TTL["news"].seconds - 1)
    again = ask(gateway, acme)
    assert (first.cached, again.cached, again.json()) == (False, True, first.json())
    assert again.fetched_at == first.fetched_at == START
    assert again.headers["Content-Type"] == first.headers["content-type"] == "application/json"
    clock.later(1)
    assert ask(gateway, acme).json()["n"] == 2
    assert len(counted.asked) == 2


def test_the_caller_may_say_for_how_long(make, vendor, counted, folder, clock):
    gateway, acme = make(cache=folder), vendor()
    ask(gateway, acme, ttl=10)
    clock.later(9.9)
    assert ask(gateway, acme, ttl=10).cached
    clock.later(0.2)
    assert not ask(gateway, acme, ttl=10).cached
    assert len(counted.asked) == 2


def test_zero_neither_keeps_nor_looks(make, vendor, counted, folder):
    gateway, acme = make(cache=folder), vendor()
    ask(gateway, acme, ttl=0)
    ask(gateway, acme)
    assert not ask(gateway, acme, ttl=0).cached
    assert len(counted.asked) == 3


def test_without_a_folder_nothing_is_kept(make, vendor, counted):
    gateway, acme = make(), vendor()
    assert not any(ask(gateway, acme).cached for _ in range(2))
    assert len(counted.asked) == 2


def test_what_was_kept_outlives_the_gateway(make, vendor, folder):
    first = make(cache=folder)
    ask(first, vendor())
    first.close()
    assert ask(make(cache=folder), vendor()).cached


def test_every_part_of_the_question_counts(make, vendor, folder):
    gateway, acme = make(cache=folder), vendor()
    for given in ({}, {"query": {"a": 1}}, {"query": {"a": 2}}, {"headers": {"Accept": "text/csv"}}):
        assert not ask(gateway, acme, **given).cached
    assert not gateway.post(acme, "/n", kind="news", body={"a": 1}).cached
    assert not gateway.post(acme, "/n", kind="news", body={"a": 2}).cached
    assert not ask(gateway, vendor(name="other")).cached
    assert gateway.post(acme, "/n", kind="news", body={"a": 2}).cached
    assert ask(gateway, acme, query={"a": "1"}).cached


def test_two_keys_never_see_each_others_answers(make, vendor, counted, folder):
    gateway, acme = make(cache=folder), vendor()
    ours, theirs = SecretStr("the-key-of-one"), SecretStr("the-key-of-another")
    for place in ("headers", "secrets"):
        mine = ask(gateway, acme, **{place: {"X-Key": ours}})
        other = ask(gateway, acme, **{place: {"X-Key": theirs}})
        nobody = ask(gateway, acme)
        assert other.json() != mine.json()
        assert not other.cached
        assert ask(gateway, acme, **{place: {"X-Key": ours}}).json() == mine.json()
        assert nobody.json() not in (mine.json(), other.json())
    assert len(counted.asked) == 5


def test_a_key_that_is_read_from_the_folder_is_no_key(make, vendor, folder, key):
    gateway, acme = make(cache=folder), vendor()
    ask(gateway, acme, headers={"X-Other": key}, secrets={"apikey": key}, query={"a": key})
    gateway.close()
    for path in folder.rglob("*"):
        assert key.get_secret_value().encode() not in path.read_bytes()
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}


@pytest.mark.parametrize("said", ["no-store", "private, max-age=60", "No-Store", "no-cache", 'private="x"'])
def test_what_the_vendor_forbids_is_not_kept(make, vendor, server, folder, said):
    server.route("/n", Reply({"value": 1}, headers={"Cache-Control": said}))
    gateway, acme = make(cache=folder), vendor()
    assert not any(ask(gateway, acme).cached for _ in range(2))


@pytest.mark.parametrize("reply", [HTML, EMPTY, Reply({}, status=404)])
def test_pages_for_people_and_empty_and_absent_answers_are_not_kept(make, vendor, server, folder, reply):
    gateway, acme = make(cache=folder), vendor()
    server.next(reply)
    assert not ask(gateway, acme).cached
    server.route("/n", {"value": 1})
    assert ask(gateway, acme).json() == {"value": 1}


def test_errors_are_not_kept(make, vendor, server, folder):
    gateway, acme = make(cache=folder), vendor(attempts=1)
    server.next(Reply({}, status=401), Reply({}, status=500))
    for error in (SourceRefused, SourceUnavailable):
        with pytest.raises(error):
            gateway.get(acme, "/ok", kind="news")
    assert gateway.get(acme, "/ok", kind="news").json() == {"value": 1}


def test_an_answer_that_its_reader_rejects_is_forgotten(make, vendor, server, folder):
    gateway, acme = make(cache=folder), vendor()
    server.next(Reply(b'{"value": '), Reply({"error": "in maintenance"}))
    with pytest.raises(BadData, match="not whole JSON"):
        gateway.get(acme, "/ok", kind="news").json()
    with pytest.raises(BadData, match="says in maintenance"):
        gateway.get(acme, "/ok", kind="news").reject("says in maintenance")
    assert gateway.get(acme, "/ok", kind="news").json() == {"value": 1}
    assert gateway.stats()["unreadable"].sum() == 2


def test_an_answer_that_repeats_a_key_is_not_kept(make, vendor, server, folder, key):
    server.route("/n", lambda _: {"next": f"https://x/?apikey={key.get_secret_value()}"})
    gateway, acme = make(cache=folder), vendor()
    assert not any(ask(gateway, acme, secrets={"apikey": key}).cached for _ in range(2))
    assert ask(gateway, acme).cached is False  # without the key it is another question
    assert ask(gateway, acme).cached


def test_a_damaged_body_is_seen_and_asked_for_again(make, vendor, folder):
    gateway, acme = make(cache=folder), vendor()
    ask(gateway, acme)
    with sqlite3.connect(folder / "answers.db") as other:
        other.execute("UPDATE body SET content = ?", (b'{"n": 999}',))
    other.close()
    again = ask(gateway, acme)
    assert (again.cached, again.json()["n"]) == (False, 2)
    assert ask(gateway, acme).json()["n"] == 2


def test_a_damaged_file_is_started_anew(cache, folder):
    cache.write("a", kept(b"y" * 50_000), seconds=60)
    cache.close()
    (folder / "answers.db").write_bytes(b"this is no database, but it is long enough to look like one" * 40)
    again = Cache(folder)
    assert again.read("a", at=START) is None
    assert again.write("a", kept(), seconds=60)
    assert again.read("a", at=START).content == b"x"
    again.close()


def test_a_file_that_is_damaged_while_it_is_open_is_started_anew(cache, folder):
    for number in range(50):
        cache.write(str(number), kept(b"%d" % number * 5_000), seconds=60)
    with sqlite3.connect(folder / "answers.db") as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    path = folder / "answers.db"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    found = [cache.read(str(number), at=START) for number in range(50)]
    assert all(each is None or each.content == b"%d" % number * 5_000 for number, each in enumerate(found))
    assert cache.write("new", kept(), seconds=60)
    assert cache.read("new", at=START).content == b"x"


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be opened"):
        Cache(tmp_path / "file")


def test_the_same_body_is_stored_once(cache):
    for key in ("a", "b", "c"):
        cache.write(key, kept(b"z" * 1_000), seconds=60)
    assert cache.bytes() == 1_000
    cache.drop("a")
    assert cache.read("b", at=START).content == b"z" * 1_000


def test_what_was_used_longest_ago_goes_first_and_the_bound_holds(cache):
    for number in range(100):
        at = START + dt.timedelta(seconds=number)
        assert cache.write(str(number), kept(b"%04d" % number * 5_000, at), seconds=86_400)  # 20 kB each
        cache.read("0", at=START + dt.timedelta(seconds=100 * number))
        assert cache.bytes() <= 1_000_000 * 1.05 + 20_000
    later = START + dt.timedelta(seconds=10_000)
    there = [number for number in range(100) if cache.read(str(number), at=later)]
    assert there[0] == 0
    assert there[1:] == list(range(there[1], 100))
    assert 20 < len(there) < 55


def test_a_body_that_would_fill_the_cache_is_not_kept(cache):
    assert not cache.write("a", kept(b"x" * 250_001), seconds=60)
    assert cache.write("a", kept(b"x" * 250_000), seconds=60)


def test_an_answer_of_the_future_is_no_answer(cache):
    """The clock was set back."""
    cache.write("a", kept(), seconds=60)
    assert cache.read("a", at=START - dt.timedelta(seconds=1)) is None


def test_a_closed_cache_is_a_miss(cache):
    cache.write("a", kept(), seconds=60)
    cache.close()
    assert cache.read("a", at=START) is None
    assert not cache.write("b", kept(), seconds=60)


WORKER = """
import datetime as dt, sys
from pathlib import Path
from workbench.data.gateway.cache import Cache, Kept
at = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
cache, name = Cache(Path(sys.argv[1]), largest=400_000), int(sys.argv[2])
wrong = 0
for number in range(120):
    key = str(number % 40)
    body = (key * 2_000).encode()
    if (number + name) % 3:
        cache.write(key, Kept(200, {}, body, at), seconds=60)
    found = cache.read(key, at=at)
    wrong += found is not None and found.content != body
print(wrong, cache.salt.hex())
cache.close()
"""


def test_two_processes_write_one_folder_at_once(folder):
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(folder), str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    said = [worker.communicate(timeout=180)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert [wrong for wrong, _ in said] == ["0", "0"]
    assert said[0][1] == said[1][1]  # one salt, whoever came first


def test_every_kind_has_a_time_to_live_and_a_reason():
    assert set(KINDS) | {"bars"} <= set(TTL)
    assert all(life.seconds >= 0 and len(life.reason) > 10 for life in TTL.values())
    assert TTL["quotes"].seconds <= 2


def test_a_kind_without_a_time_needs_one():
    assert seconds_of("weather", 5) == 5
    with pytest.raises(ParameterError, match="'weather' has no time to live"):
        seconds_of("weather")
    for kind in ("", "News", "a kind", "x" * 33):
        with pytest.raises(ParameterError, match="must be like short_interest"):
            seconds_of(kind, 5)
    for ttl in (-1, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="ttl="):
            seconds_of("news", ttl)


def test_nothing_of_the_house_is_in_the_folder_but_the_cache(make, vendor, folder):
    ask(make(cache=folder), vendor())
    assert {path.name for path in Path(folder).iterdir()} <= {"answers.db", "answers.db-wal", "answers.db-shm"}
    with sqlite3.connect(folder / "answers.db") as other:
        (headers,) = other.execute("SELECT headers FROM entry").fetchone()
    other.close()
    assert set(json.loads(headers)) <= {"server", "date", "content-type", "content-length"}
