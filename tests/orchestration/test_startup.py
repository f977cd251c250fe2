import pytest

from workbench.errors import SettingsError
from workbench.orchestration.startup import STEPS, Startup, StartupReport


class Time:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.25
        return self.now


def boom(error):
    raise error


def test_the_steps_are_in_the_order_of_the_mission():
    assert STEPS == (
        "configuration",
        "credentials",
        "connections",
        "history",
        "streams",
        "engine",
        "bots",
        "monitoring",
    )


def test_each_step_is_timed_and_told_and_its_value_handed_on():
    told = []
    startup = Startup("paper", on_step=told.append, monotonic=Time())
    assert startup.step("configuration", lambda: 7, detail=lambda made: f"{made} found") == 7
    startup.skip("credentials", "none needed")
    assert [(one.number, one.step, one.state, one.seconds, one.detail) for one in told] == [
        (1, "configuration", "done", 0.25, "7 found"),
        (2, "credentials", "skipped", 0.25, "none needed"),
    ]
    assert startup.report.steps == tuple(told)
    assert not startup.report.complete
    assert startup.report.seconds == 0.5


def test_what_was_started_is_closed_in_reverse_and_once():
    order = []
    startup = Startup("paper")
    for name in STEPS[:4]:
        startup.step(name, lambda name=name: order.append(name), undo=lambda name=name: order.append(f"end {name}"))
    mark = startup.mark()
    startup.step(STEPS[4], lambda: None, undo=lambda: order.append("end streams"))
    assert [one.step for one in startup.close(mark)] == ["streams"]
    closed = startup.close()
    assert order[4:] == ["end streams", "end history", "end connections", "end credentials", "end configuration"]
    assert [(one.step, one.state) for one in closed] == [(name, "closed") for name in reversed(STEPS[:4])]
    assert startup.close() == []


def test_a_failed_step_says_which_and_why_and_what_to_do_and_is_undone_too():
    order = []
    startup = Startup("paper")
    startup.step("configuration", lambda: None, undo=lambda: order.append("configuration"))
    error = SettingsError("no keys are there.", remedy="set them.")
    with pytest.raises(SettingsError) as caught:
        startup.step("credentials", lambda: boom(error), undo=lambda: order.append("half of credentials"))
    assert caught.value.__notes__ == ["in step 2/8 of the start, credentials"]
    failed = startup.report.failed
    assert (failed.step, failed.detail, failed.remedy) == ("credentials", "no keys are there.", "set them.")
    startup.close()
    assert order == ["half of credentials", "configuration"]
    printed = str(startup.report)
    assert "✘ 2/8 credentials" in printed
    assert "step credentials failed; what was started before it is closed again." in printed
    assert printed.endswith("What to do: set them.")


def test_an_error_that_nobody_expected_is_reported_with_its_kind():
    startup = Startup("paper")
    with pytest.raises(ZeroDivisionError):
        startup.step("configuration", lambda: 1 / 0)
    assert startup.report.failed.detail == "ZeroDivisionError: division by zero"


def test_one_that_does_not_close_does_not_keep_the_others_open():
    order = []
    startup = Startup("paper")
    startup.step("configuration", lambda: None, undo=lambda: order.append("configuration"))
    startup.step("credentials", lambda: None, undo=lambda: boom(OSError("stuck")))
    assert startup.close()[0].detail == "not closed in order: OSError: stuck"
    assert order == ["configuration"]


def test_steps_can_be_forgotten_to_be_tried_again():
    startup = Startup("paper")
    startup.step("configuration", lambda: None)
    mark = startup.mark()
    startup.skip("credentials", "")
    startup.forget(mark)
    assert [one.step for one in startup.report.steps] == ["configuration"]


def test_a_report_survives_a_row_and_prints_a_table():
    startup = Startup("paper <1>", monotonic=Time())
    for name in STEPS:
        startup.step(name, lambda: None, detail=lambda _: "a < b")
    report = startup.report
    assert report.complete
    assert StartupReport.of(report.to_dict()) == report
    assert len(str(report).splitlines()) == 10
    assert str(report).endswith("all steps took 2.000 s.")
    page = report._repr_html_()
    assert page.count("<tr>") == 9
    assert "a &lt; b" in page
    assert "paper &lt;1&gt;" in page
