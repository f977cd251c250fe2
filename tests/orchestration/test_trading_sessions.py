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


def test_a_session_is_claimed_once(any_workspace):
    first, again = ask(any_workspace, history()), ask(any_workspace, history())
    assert first.id == again.id
    assert first.session == "2015-06-30"
    assert first.filled_in == "2015-07-01"


def test_the_next_session_continues_the_account_once_the_one_before_is_closed(any_workspace):
    before = ask(any_workspace, history())
    finish(any_workspace, before, history())
    after = ask(any_workspace, history("2015-07-01"))
    assert after.account == before.account
    assert continues(any_workspace, after)
    assert not continues(any_workspace, before)


@pytest.mark.parametrize("gap", ["2015-07-02", "2015-06-29"])
def test_a_gap_or_an_earlier_session_opens_a_new_account(any_workspace, gap):
    before = ask(any_workspace, history())
    finish(any_workspace, before, history())
    other = ask(any_workspace, history(gap))
    assert other.account != before.account
    assert not continues(any_workspace, other)


def test_an_unfinished_session_is_not_continued(any_workspace):
    before = ask(any_workspace, history())
    after = ask(any_workspace, history("2015-07-01"))
    assert after.account != before.account


def test_another_question_has_another_book(any_workspace):
    rows = [
        ask(any_workspace, history()),
        ask(any_workspace, history(seed=8)),
        ask(any_workspace, history(initial_cash=5_000)),
        ask(any_workspace, history(), strategy=build("momentum", top=3)),
        ask(any_workspace, history(), bot="other"),
    ]
    assert len({row.account for row in rows}) == len(rows)


def test_only_the_moment_is_left_out_of_the_chain():
    def chain(past):
        return chain_of(MOMENTUM, past, bot="daily", broker="local")

    assert chain(history()) == chain(history("2015-07-01"))
    assert chain(history()) != chain(history(seed=8))


def test_a_real_broker_has_one_account(any_workspace):
    rows = [ask(any_workspace, history(day), broker="alpaca-paper") for day in ("2015-06-30", "2015-07-02")]
    assert {row.account for row in rows} == {"alpaca-paper"}


def test_processes_that_race_for_a_session_get_the_same_row(any_workspace):
    found, together = [], threading.Barrier(6)

    def race():
        together.wait()
        found.append(ask(any_workspace, history()).id)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_closing_twice_keeps_the_first_word_and_the_list_shows_it(any_workspace):
    row = ask(any_workspace, history())
    finish(any_workspace, row, history())
    close(any_workspace, row, answer(row, history()), folder=any_workspace.home / "elsewhere")
    again = ask(any_workspace, history())
    assert again.run_folder == str(any_workspace.home)
    listed = traded(any_workspace)
    assert listed[["session", "status", "orders"]].to_dict("records") == [
        {"session": "2015-06-30", "status": "CLOSED", "orders": 2.0}
    ]
    assert traded(any_workspace, bot="nobody").empty
