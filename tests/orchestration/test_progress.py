import io

from workbench.orchestration import progress
from workbench.orchestration.progress import Lines, Silent, TwoBars, progress_on


def tell(shown):
    with shown:
        shown.said("already there")
        shown.run_began("tiny · 2015-06-30", 3)
        shown.step_ended("a", "not run again")
        shown.step_began("b", 2)
        shown.cell(0, 2)
        shown.cell(1, 2)
        shown.cell(2, 2)
        shown.step_ended("b", "done in 1.0 s")


def test_away_from_a_terminal_there_are_plain_lines():
    stream = io.StringIO()
    tell(progress_on(stream))
    assert stream.getvalue().splitlines() == [
        "already there",
        "tiny · 2015-06-30",
        "[1/3] a: not run again",
        "[2/3] b: 2 cells",
        "[2/3] b: done in 1.0 s",
    ]


def test_a_long_notebook_speaks_up_now_and_then(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    stream = io.StringIO()
    tell(Lines(stream))
    assert "[2/3] b: cell 1 of 2 done" in stream.getvalue()


def test_on_a_terminal_there_are_two_bars():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    shown = progress_on(stream)
    assert isinstance(shown, TwoBars)
    shown._bars.live.console.file = stream
    tell(shown)
    tell(shown)  # a backfill shows one run after the other
    run, cells = shown._bars.tasks
    assert (run.completed, run.total) == (2, 3)
    assert (cells.completed, cells.total) == (2, 2)
    assert "b: done in 1.0 s" in stream.getvalue()


def test_silence_is_silent(capsys):
    tell(Silent())
    assert capsys.readouterr().out == ""
