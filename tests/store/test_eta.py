"""The estimate of the time left, against arithmetic that can be done by hand."""

import pytest

from workbench.store.eta import Eta


def test_nothing_is_known_before_something_has_moved():
    eta = Eta()
    assert eta.left(0.0) is None
    eta.heard(0, 100, at=10.0)
    assert eta.left(10.0) is None
    eta.heard(0, 100, at=20.0)
    assert eta.left(20.0) is None


def test_steady_work_is_estimated_exactly_and_counts_down_between_reports():
    eta = Eta()
    for second in range(11):
        eta.heard(4 * second, 100, at=float(second))
    assert eta.left(10.0) == pytest.approx(60 / 4)
    assert eta.left(13.0) == pytest.approx(60 / 4 - 3)
    assert eta.left(1000.0) == 0.0


def test_what_was_done_before_a_resume_is_no_rate():
    eta = Eta()
    eta.heard(900, 1000, at=0.0)
    eta.heard(910, 1000, at=5.0)  # two a second: 90 left take 45 s
    assert eta.left(5.0) == pytest.approx(45.0)


def test_finished_work_has_nothing_left():
    eta = Eta()
    eta.heard(7, 7, at=3.0)
    assert eta.left(3.0) == 0.0


def test_work_of_unknown_size_has_no_estimate():
    eta = Eta()
    eta.heard(0, 0, at=0.0)
    eta.heard(5, 0, at=1.0)
    assert eta.left(1.0) is None


def test_it_follows_work_that_becomes_slower():
    eta = Eta(horizon_s=20.0)
    eta.heard(0, 1000, at=0.0)
    eta.heard(100, 1000, at=10.0)  # ten a second
    eta.heard(110, 1000, at=20.0)  # one a second, for ten seconds: weight 1 − exp(−10/20)
    rate = 10 + (1 - 2.718281828459045**-0.5) * (1 - 10)
    assert eta.left(20.0) == pytest.approx(890 / rate)


def test_many_small_reports_weigh_no_more_than_one_large():
    often, seldom = Eta(), Eta()
    often.heard(0, 10_000, at=0.0)
    seldom.heard(0, 10_000, at=0.0)
    for tenth in range(1, 101):
        often.heard(tenth, 10_000, at=tenth / 10)
    seldom.heard(100, 10_000, at=10.0)
    for eta in (often, seldom):
        eta.heard(100 + 50, 10_000, at=20.0)
    assert often.left(20.0) == pytest.approx(seldom.left(20.0))


def test_a_new_stage_begins_anew():
    eta = Eta()
    eta.heard(0, 10, at=0.0)
    eta.heard(10, 10, at=1.0)
    eta.heard(0, 1000, at=2.0)
    assert eta.left(2.0) is None
    eta.heard(1, 1000, at=3.0)
    assert eta.left(3.0) == pytest.approx(999.0)
