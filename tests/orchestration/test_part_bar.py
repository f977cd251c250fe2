"""The bar of a collection: it follows the parts, is drawn seldom, and says truly how it ended."""

from __future__ import annotations

import contextlib
import io
import re
import sys

import pytest

from workbench.data.collect import Progress
from workbench.orchestration import live_bar, part_bar

PARTS = [Progress(done, 4, 10 * done, f"part {done}") for done in (1, 2, 3, 4)]


class Screen:
    """A notebook's output area; remembers everything that stood in it."""

    def __init__(self):
        self.seen, self.areas = [], 0

    def display(self, bundle, *, raw, display_id):
        assert raw
        assert display_id
        self.areas += 1
        self.seen.append(bundle)
        return self

    def update(self, bundle, *, raw):
        assert raw
        self.seen.append(bundle)

    @property
    def texts(self):
        return [bundle["text/plain"] for bundle in self.seen]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    made = Screen()
    monkeypatch.setattr("IPython.display.display", made.display)
    monkeypatch.setattr(live_bar, "in_notebook", lambda: True)
    monkeypatch.setattr(part_bar, "EVERY_S", 0.0)
    return made


def test_a_listener_is_called_with_every_part_and_nothing_is_drawn(screen):
    heard = []
    with part_bar.following("bars of test", heard.append) as told:
        for part in PARTS:
            told(part)
    assert heard == PARTS
    assert screen.seen == []


def test_under_a_cell_one_bar_moves_to_its_end(screen):
    with part_bar.following("bars of test") as told:
        for part in PARTS:
            told(part)
    assert screen.areas == 1
    assert screen.texts == [*["bars of test — under way"] * 3, "bars of test — done"]
    for share, bundle in zip(("0.2500", "0.5000", "0.7500", "1.0000"), screen.seen, strict=True):
        assert f"value='{share}'" in bundle["text/html"]
    assert "4 of 4 parts · 40 new rows · part 4" in screen.seen[-1]["text/html"]


def test_it_is_drawn_at_once_then_seldom_and_always_at_its_end(screen, monkeypatch):
    monkeypatch.setattr(part_bar, "EVERY_S", 1e9)
    with part_bar.following("bars of test") as told:
        for part in PARTS:
            told(part)
    assert screen.texts == ["bars of test — under way", "bars of test — done"]


def test_one_that_is_stopped_says_so_and_where(screen, monkeypatch):
    monkeypatch.setattr(part_bar, "EVERY_S", 1e9)
    with contextlib.suppress(KeyboardInterrupt), part_bar.following("bars of test") as told:
        for part in PARTS[:3]:
            told(part)
        raise KeyboardInterrupt
    assert screen.texts == ["bars of test — under way", "bars of test — stopped"]
    assert "3 of 4 parts · 30 new rows · part 3 · stopped" in screen.seen[-1]["text/html"].replace("</div>", "")


def test_one_that_grows_after_its_last_part_goes_on(screen):
    with part_bar.following("bars of test") as told:
        told(Progress(1, 1, 1, "whole"))
        told(Progress(1, 2, 1, "half"))
        told(Progress(2, 2, 2, "other half"))
    assert screen.texts == ["bars of test — done", "bars of test — under way", "bars of test — done"]


def test_nothing_to_do_draws_nothing(screen):
    with part_bar.following("bars of test"):
        pass
    assert screen.seen == []


def test_names_are_text_and_not_html(screen):
    with part_bar.following("bars of <b>") as told:
        told(Progress(1, 1, 1, "<script>"))
    said = screen.seen[0]["text/html"]
    assert "&lt;b&gt;" in said
    assert "&lt;script&gt;" in said
    assert "<script>" not in said


def test_a_terminal_has_a_bar_and_names_with_brackets_are_shown_as_they_are(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with part_bar.following("bars of [red]") as told:
        for part in (*PARTS[:3], Progress(4, 4, 40, "[/b] … A")):
            told(part)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).strip()
    last = re.split(r"[\r\n]+", shown)[-1]
    for words in ("bars of [red]", "4/4", "40 rows · [/b] … A"):
        assert words in last


def test_where_nobody_looks_nothing_is_written(capsys):
    with part_bar.following("bars of test") as told:
        for part in PARTS:
            told(part)
    assert capsys.readouterr() == ("", "")
