import threading

import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.orchestration.trading_sessions import chain_of, claim, close, continues, traded
from workbench.run import Run
from workbench.strategies import build
from workbench.study import Study

MOMENTUM = build("momentum")


def history(as_of="2015-06-30", **changes):
    index = sessions.sessions("XNYS", "2015-01-02", as_of)
    frame = pd.DataFrame(np.full((len(index), 2), 10.0), index=index, columns=pd.Index(["AAPL", "MSFT"]))
    study = Study.of(["AAPL", "MSFT"], start="2015-02-02", as_of=as_of, **changes)
    return History(study=study, bars=Bars(close=frame), label="test")


def answer(row, past):
    return Run(
        id=row.id,
        kind="trade",
        study=past.study,
        title="t",
        label="test",
        config={},
        config_hash="",
        summary={"orders": 2.0},
    )


def finish(workspace, row, past):
    close(workspace, row, answer(row, past), folder=workspace.home)


def ask(workspace, past, *, strategy=MOMENTUM, bot="daily", broker="local"):
    return claim(workspace, strategy, past, bot=bot, broker=broker)


def test_a_session_is_claimed_once(workspace):
    first, again = ask(workspace, history()), ask(workspace, history())
    assert first.id == again.id
    assert first.session == "2015-06-30"
    assert first.filled_in == "2015-07-01"


def test_the_next_session_continues_the_account_once_the_one_before_is_closed(workspace):
    before = ask(workspace, history())
    finish(workspace, before, history())
    after = ask(workspace, history("2015-07-01"))
    assert after.account == before.account
    assert continues(workspace, after)
    assert not continues(workspace, before)


@pytest.mark.parametrize("gap", ["2015-07-02", "2015-06-29"])
def test_a_gap_or_an_earlier_session_opens_a_new_account(workspace, gap):
    before = ask(workspace, history())
    finish(workspace, before, history())
    other = ask(workspace, history(gap))
    assert other.account != before.account
    assert not continues(workspace, other)


def test_an_unfinished_session_is_not_continued(workspace):
    before = ask(workspace, history())
    after = ask(workspace, history("2015-07-01"))
    assert after.account != before.account


def test_another_question_has_another_book(workspace):
    rows = [
        ask(workspace, history()),
        ask(workspace, history(seed=8)),
        ask(workspace, history(initial_cash=5_000)),
        ask(workspace, history(), strategy=build("momentum", top=3)),
        ask(workspace, history(), bot="other"),
    ]
    assert len({row.account for row in rows}) == len(rows)


def test_only_the_moment_is_left_out_of_the_chain():
    def chain(past):
        return chain_of(MOMENTUM, past, bot="daily", broker="local")

    assert chain(history()) == chain(history("2015-07-01"))
    assert chain(history()) != chain(history(seed=8))


def test_a_real_broker_has_one_account(workspace):
    rows = [ask(workspace, history(day), broker="alpaca-paper") for day in ("2015-06-30", "2015-07-02")]
    assert {row.account for row in rows} == {"alpaca-paper"}


def test_processes_that_race_for_a_session_get_the_same_row(workspace):
    found, together = [], threading.Barrier(6)

    def race():
        together.wait()
        found.append(ask(workspace, history()).id)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_closing_twice_keeps_the_first_word_and_the_list_shows_it(workspace):
    row = ask(workspace, history())
    finish(workspace, row, history())
    close(workspace, row, answer(row, history()), folder=workspace.home / "elsewhere")
    again = ask(workspace, history())
    assert again.run_folder == str(workspace.home)
    listed = traded(workspace)
    assert listed[["session", "status", "orders"]].to_dict("records") == [
        {"session": "2015-06-30", "status": "CLOSED", "orders": 2.0}
    ]
    assert traded(workspace, bot="nobody").empty
