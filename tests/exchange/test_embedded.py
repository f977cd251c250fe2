"""The embedded exchange: one for each folder and source, found again, stopped for good."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.errors import ExchangeUnavailable
from workbench.exchange import embedded

AT = dt.datetime(2022, 6, 30, 20, tzinfo=dt.UTC)


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "home"
    embedded.stop(tmp_path / "home")


def test_started_once_found_again_stopped_for_good(folder):
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: embedded.ensure(folder), range(3)))
    assert {address.pid for address in found} == {found[0].pid}
    assert sorted(address.started for address in found) == [False, False, True]
    url = found[0].url
    health = embedded.health(url)
    assert (health["ok"], health["pid"], health["source"]) == (True, found[0].pid, "bundled")
    assert "real" in health["label"]
    keys = embedded.open_account(url, name="daily-2022-06-30", cash=100_000, at=AT)
    done = embedded.advance(url, name=keys.name, to=AT + dt.timedelta(days=1))
    assert done == embedded.Advanced(AT + dt.timedelta(days=1), 0, 0)
    assert embedded.stop(folder) == 1
    assert embedded.running(folder) is None
    with pytest.raises(ExchangeUnavailable, match="no exchange answers"):
        embedded.accounts(url)
    again = embedded.ensure(folder)
    assert again.started
    assert embedded.account(again.url, name=keys.name) == embedded.AccountKeys(
        keys.name, keys.key_id, keys.secret_key, keys.account_number, AT + dt.timedelta(days=1), replayed=True
    )


def test_a_synthetic_market_has_an_exchange_of_its_own_and_leaves_with_its_parent(folder):
    script = (
        "import pathlib, sys; from workbench.exchange import embedded; "
        "address = embedded.ensure(pathlib.Path(sys.argv[1]), source='synthetic', exit_with_parent=True); "
        "print(address.pid, embedded.health(address.url)['label'])"
    )
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    pid, _, label = printed.stdout.strip().partition(" ")
    assert label == "SYNTHETIC · seed 7"
    deadline = time.monotonic() + 60
    while embedded.running(folder, source="synthetic") is not None:
        assert time.monotonic() < deadline, "it outlived its parent"
        time.sleep(0.05)
    assert int(pid) > 0


def test_an_address_that_is_not_true_any_more_is_not_believed(folder):
    folder.mkdir()
    (folder / "exchange.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": 1}))
    assert embedded.running(folder) is None
    assert embedded.stop(folder) == 0
    assert not (folder / "exchange.json").exists()


def test_a_source_that_does_not_exist_is_told_with_the_log(folder):
    with pytest.raises(ExchangeUnavailable, match="astrology") as caught:
        embedded.ensure(folder, source="astrology")
    assert "bundled" in str(caught.value)


def test_a_moment_without_a_timezone_is_not_sent():
    with pytest.raises(ExchangeUnavailable, match="timezone"):
        embedded.open_account("http://127.0.0.1:9", name="x", cash=1, at=dt.datetime(2022, 6, 30, 20))  # noqa: DTZ001


def test_a_fault_that_is_none_is_told_before_anything_listens(folder, capsys):
    from workbench.exchange.__main__ import main

    assert main(["--db", str(folder / "x.db"), "--source", "synthetic", "--fault", "earthquake:often"]) == 1
    assert "earthquake:often" in capsys.readouterr().err


def test_importing_it_is_light():
    heavy = "pandas, numpy, tornado, sqlalchemy, requests, alpaca"
    script = (
        "import sys; import workbench.exchange.embedded; "
        f"print([name for name in '{heavy}'.split(', ') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert printed.stdout.strip() == "[]"
