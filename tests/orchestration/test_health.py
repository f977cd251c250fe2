import socket
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from workbench.orchestration import health
from workbench.orchestration.health import Finding, Health
from workbench.settings import Settings
from workbench.store.engine import NEWEST, open_engine

KEYS = {"alpaca_key_id": "AKID-1234", "alpaca_secret_key": "s3cret-5678"}


def test_this_machine_has_a_fit_python_and_all_packages():
    assert health.python().health is Health.OK
    assert [finding.health for finding in health.packages()] == [Health.OK]


def test_a_python_outside_the_bounds_is_a_failure(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    found = health.python()
    assert found.health is Health.FAIL
    assert found.found.startswith("3.9.1 is outside")


def test_packages_that_are_absent_or_outside_their_bounds_are_named(monkeypatch):
    needs = ["pandas<1", "nosuchpackage>=2", "click>=8", "other; extra == 'ml'", "pywin32; sys_platform == 'win32'"]
    monkeypatch.setattr(metadata, "requires", lambda _: needs)
    pandas, absent = health.packages()
    assert (pandas.name, pandas.health, pandas.fix) == ("pandas", Health.FAIL, "pip install 'pandas<1'")
    assert "is outside <1" in pandas.found
    assert (absent.name, absent.found) == ("nosuchpackage", "is not installed")


def test_a_home_that_cannot_be_written_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("")
    assert health.writable(tmp_path / "home").health is Health.OK
    found = health.writable(tmp_path / "file" / "home")
    assert found.health is Health.FAIL
    assert "WORKBENCH_HOME" in found.fix


@pytest.mark.parametrize(("free", "expected"), [(50e9, Health.OK), (5e9, Health.WARN), (1e9, Health.FAIL)])
def test_disk_space(monkeypatch, tmp_path, free, expected):
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    found = health.disk(tmp_path / "not" / "yet")
    assert found.health is expected
    assert bool(found.fix) == (expected is not Health.OK)


def test_a_database_that_answers(database_url):
    opened = open_engine(database_url)
    assert health.database(database_url).health is Health.OK
    with opened.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    opened.dispose()
    older = health.database(database_url)
    assert older.health is Health.WARN
    assert f"schema empty, newest is {NEWEST}" in older.found


def test_a_database_file_that_does_not_exist_is_not_made(tmp_path):
    found = health.database(f"sqlite:///{tmp_path / 'absent.db'}")
    assert found.health is Health.OK
    assert "does not exist yet" in found.found
    assert not (tmp_path / "absent.db").exists()


def test_a_database_that_does_not_answer_keeps_its_password(tmp_path):
    found = health.database("postgresql://me:s3cret@127.0.0.1:1/none")
    assert found.health is Health.FAIL
    assert "s3cret" not in f"{found}"
    assert health.database("oracle://x/y").health is Health.FAIL
    (tmp_path / "broken.db").write_text("this is no database, and it is long enough to be seen as none at all")
    assert health.database(f"sqlite:///{tmp_path / 'broken.db'}").health is Health.FAIL


@pytest.mark.parametrize(
    ("settings", "expected", "said"),
    [
        ({}, Health.OK, "absent"),
        (KEYS, Health.OK, "present"),
        ({"alpaca_key_id": "AKID-1234"}, Health.WARN, "only one of two"),
        ({**KEYS, "broker": "alpaca-paper"}, Health.OK, "present for broker=alpaca-paper"),
    ],
)
def test_keys_are_counted_and_never_shown(settings, expected, said):
    found = health.keys(Settings(**settings))
    assert found.health is expected
    assert said in found.found
    assert "1234" not in f"{found}"
    assert "5678" not in f"{found}"


def test_sources_that_wait_for_a_key_are_named_and_no_key_is_shown():
    found = health.sources(Settings(**KEYS, fred_key="fred-9999"))
    assert found.health is Health.OK
    ready, waiting = found.found.split("; ")
    assert "alpaca" in ready
    assert "fred" in ready
    assert waiting == "without a key: massive, edgar, finnhub, newsapi"
    assert "9999" not in f"{found}"


def test_the_project_is_checked_with_its_pipelines(site):
    assert health.notebooks(None).health is Health.FAIL
    assert "no notebook" in health.notebooks(site.project).found
    site.notebook("a", "1")
    site.pipeline("name: a, notebook: notebooks/a.ipynb")
    assert health.notebooks(site.project) == Finding(
        "project", Health.OK, f"1 notebooks, 1 valid pipelines in {site.root}"
    )
    site.yaml("name: tiny\nsteps: [{name: a, notebook: b}]")
    assert "line 2" in health.notebooks(site.project).found


def test_an_exchange_is_found_started_or_missed(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        absent = health.exchange(f"http://127.0.0.1:{free.getsockname()[1]}", tmp_path)
    assert absent.health is Health.FAIL
    startable = health.exchange("", tmp_path)
    assert startable.health is Health.OK
    assert "none is running; one starts in" in startable.found
    assert not (tmp_path / "exchange").exists()


def test_a_heavy_library_is_tried_in_a_process_of_its_own():
    assert health.importable("click").health is Health.OK
    broken = health.importable("nosuchmodule")
    assert broken.health is Health.FAIL
    assert "No module named 'nosuchmodule'" in broken.found


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(monkeypatch, site):
    def broken(*_):
        raise RuntimeError("boom")

    for name in ("disk", "exchange", "importable"):
        monkeypatch.setattr(health, name, broken)
    found = {finding.name: finding for finding in health.examine(Settings(), site.project, site.root / "home")}
    assert list(found) == [
        "Python",
        "packages",
        "home",
        "disk",
        "database",
        "project",
        "keys",
        "sources",
        "exchange",
        "vectorbt",
    ]
    assert "RuntimeError: boom" in found["disk"].found
    assert found["database"].health is Health.OK
