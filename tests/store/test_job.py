"""A job as a value: what it says of itself, in text and as a bar."""

import datetime as dt
import html.parser
import re

import pytest

from workbench.store.job import Job, JobStatus

NOW = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)


def made(**more):
    values = {
        "id": "ab" * 16,
        "kind": "sweep",
        "key": "k",
        "title": "sweep · sma_cross",
        "payload": {},
        "status": JobStatus.RUNNING,
        "priority": 0,
        "attempts": 1,
        "max_attempts": 3,
        "available_at": NOW,
        "holder": "me",
        "lease_until": NOW,
        "heartbeat_at": NOW,
        "done": 0,
        "total": 0,
        "eta_s": None,
        "note": None,
        "cancel_requested_at": None,
        "cancel_requested_by": None,
        "error_code": None,
        "error": None,
        "result": None,
        "trace_id": "t",
        "created_at": NOW,
        "started_at": NOW,
        "ended_at": None,
    }
    return Job(**{**values, **more})


def at(seconds):
    return NOW + dt.timedelta(seconds=seconds)


class Reader(html.parser.HTMLParser):
    """The elements of a page: fails on one that is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.styles, self.bars, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        found = dict(attrs)
        self.styles.append(found.get("style", ""))
        if found.get("role") == "progressbar":
            self.bars.append(found)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize(
    ("status", "done", "total", "percent"),
    [
        (JobStatus.RUNNING, 0, 0, None),
        (JobStatus.RUNNING, 1, 8, 12.5),
        (JobStatus.RUNNING, 9, 8, 100.0),
        (JobStatus.CANCELLED, 2, 8, 25.0),
        (JobStatus.DONE, 0, 0, 100.0),
    ],
)
def test_percent_is_none_while_nobody_knows(status, done, total, percent):
    assert made(status=status, done=done, total=total).percent == percent


def test_only_a_running_job_has_time_left():
    assert made(eta_s=61.0).eta == dt.timedelta(seconds=61)
    assert made(eta_s=61.0, status=JobStatus.QUEUED).eta is None
    assert made().eta is None


def test_a_running_job_says_how_far_it_is_and_the_estimate_counts_down():
    job = made(done=420, total=1000, eta_s=100.0, note="evaluating")
    assert job.facts(at(12)) == ["42 %", "420 of 1,000", "12 s elapsed", "about 1 min 28 s left", "evaluating"]
    assert "about 0.0 s left" in job.facts(at(5000))
    judging = made(done=1000, total=1000, eta_s=0.0, note="judging")  # the cells are done, the work is not
    assert judging.facts(at(12)) == ["100 %", "1,000 of 1,000", "12 s elapsed", "judging"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.25, "0.2 s"), (9.94, "9.9 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7505, "2 h 5 min")]
)
def test_times_are_said_as_people_say_them(seconds, said):
    assert f"{said} elapsed" in made().facts(at(seconds))


def test_an_ended_job_says_how_long_it_took_and_what_went_wrong():
    job = made(status=JobStatus.FAILED, attempts=2, error_code="WB503", error="it raised", ended_at=at(30))
    assert job.facts(at(9999)) == ["30 s in all", "attempt 2 of 3", "WB503: it raised"]
    assert repr(job).startswith("sweep · sma_cross — FAILED · 30 s in all")
    assert repr(job).endswith("job abababab")


def test_a_waiting_job_does_not_show_the_time_of_its_last_attempt():
    job = made(status=JobStatus.QUEUED, attempts=1, error_code="WB400", error="the disk is full")
    assert job.facts(at(9)) == ["WB400: the disk is full"]
    assert "stopping" in made(cancel_requested_at=NOW).facts(NOW)


class TestBar:
    def test_it_is_as_long_as_the_work_is_far(self):
        (bar,) = Reader(made(done=1, total=8).html(NOW)).bars
        assert (bar["aria-valuenow"], bar["aria-valuemin"], bar["aria-valuemax"]) == ("12", "0", "100")
        assert "width:12.5%" in made(done=1, total=8).html(NOW)

    def test_without_a_total_it_claims_nothing(self):
        page = Reader(made(note="loading the history").html(NOW))
        assert "aria-valuenow" not in page.bars[0]
        assert not any("%" in word for word in page.words)

    def test_the_state_stands_there_in_words_not_only_in_colour(self):
        for status in JobStatus:
            assert str(status) in Reader(made(status=status).html(NOW)).words

    def test_it_is_legible_on_light_and_on_dark(self):
        """Text takes the page's own colour; what is coloured has a contrast of 3:1 (WCAG 2.2, 1.4.11) on both."""
        for status in JobStatus:
            for style in Reader(made(status=status, done=1, total=2).html(NOW)).styles:
                for colour in re.findall(r"#([0-9A-Fa-f]{6})", style):
                    for page in ("ffffff", "111111"):
                        assert contrast(colour, page) >= 3.0, (status, colour, page)

    def test_nothing_that_anybody_wrote_can_run(self):
        hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>"
        text = made(title=hostile, note=hostile, error=hostile, error_code="WB503").html(NOW)
        assert "<script" not in text
        assert "<img" not in text
        assert Reader(text).words.count(hostile) >= 1

    def test_a_notebook_finds_it(self):
        assert "progressbar" in made()._repr_html_()


def contrast(one, other):
    """The contrast ratio of WCAG 2.2."""

    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
