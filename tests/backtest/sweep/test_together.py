"""Pieces of work on a few threads."""

from __future__ import annotations

import threading

import pytest

from workbench.backtest.sweep.together import together


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_piece_is_called_once(workers):
    called = []
    together([lambda number=number: called.append(number) for number in range(50)], workers=workers)
    assert sorted(called) == list(range(50))


def test_one_worker_is_the_thread_that_asks_in_order():
    called = []
    together([lambda number=number: called.append((number, threading.get_ident())) for number in range(5)], workers=1)
    assert called == [(number, threading.get_ident()) for number in range(5)]


def test_two_workers_work_at_the_same_time():
    both = threading.Barrier(2)
    together([lambda: both.wait(60), lambda: both.wait(60)], workers=2)
    assert not both.broken


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_any_thread_is_raised(workers):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        together([fail] * 4, workers=workers)
