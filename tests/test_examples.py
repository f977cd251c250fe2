"""The default run draws the same examples each time, whatever was imported before and however slow the machine is."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

NUMBERS = "NUMBERS = [" + ", ".join(str(number) for number in range(100_003, 100_403)) + "]\n"


@pytest.fixture
def regression():
    before = settings.get_current_profile_name()
    settings.load_profile("regression")
    yield settings()
    settings.load_profile(before)


def drawn():
    seen = []

    @given(st.integers(), st.text())
    def look(number, text):
        seen.append((number, text))

    look()
    return seen


@pytest.mark.usefixtures("regression")
def test_a_module_that_is_imported_meanwhile_changes_no_example(tmp_path, monkeypatch):
    before = drawn()
    (tmp_path / "numbers_of_ours.py").write_text(NUMBERS)
    found = importlib.util.spec_from_file_location("numbers_of_ours", tmp_path / "numbers_of_ours.py")
    monkeypatch.setitem(sys.modules, found.name, importlib.util.module_from_spec(found))
    assert drawn() == before
    assert len(before) == 100
    assert len(providers._get_local_constants()) == 0


def test_a_slow_machine_fails_no_example(regression):
    assert regression.deadline is None
    assert HealthCheck.too_slow in regression.suppress_health_check
