import threading

import pandas as pd
import pytest

from workbench.data.stream.stage import CONNECTING, FAILED, LIVE, NEW, STOPPED, Stage


class Log:
    def __init__(self):
        self.said = []

    def info(self, words, *, reason):
        self.said.append((words, reason))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def stage(log):
    moments = iter(range(0, 10**12, 10**9))
    return Stage(lambda: next(moments), log)


def test_a_move_is_timed_and_told(stage, log):
    assert (stage.state, stage.reason, stage.since) == (NEW, "", pd.Timestamp(0, tz="UTC"))
    stage.move(CONNECTING, "again")
    assert (stage.state, stage.reason, stage.since) == (CONNECTING, "again", pd.Timestamp(10**9, tz="UTC"))
    assert log.said == [("the stream is connecting", "again")]


def test_the_first_end_is_the_true_one(stage, log):
    stage.move(FAILED, "the key is wrong")
    stage.move(STOPPED, "")
    stage.move(LIVE, "")
    assert (stage.state, stage.reason) == (FAILED, "the key is wrong")
    assert len(log.said) == 1


def test_who_waits_is_woken_by_the_move_of_another_thread_and_by_an_end(stage):
    mover = threading.Thread(target=stage.move, args=(LIVE, ""))
    mover.start()
    assert stage.wait_live(20.0) == (LIVE, "")
    mover.join()
    stage.move(STOPPED, "enough")
    assert stage.wait_live(20.0) == (STOPPED, "enough")


def test_who_waits_in_vain_is_told_where_it_stands(stage):
    stage.move(CONNECTING, "slow")
    assert stage.wait_live(0.0) == (CONNECTING, "slow")
