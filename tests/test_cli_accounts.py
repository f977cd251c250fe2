"""The commands of accounts and bots in the terminal: what they print, what they refuse, and what they exit with."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from workbench import cli
from workbench.execution.risk import halts
from workbench.store.engine import transaction
from workbench.store.workspace import Workspace

pytestmark = pytest.mark.usefixtures("home")
RULES = [
    "-p",
    "entry=" + json.dumps([{"left": "rsi(5)", "op": "<", "right": 45}]),
    "-p",
    "exit=" + json.dumps([{"left": "rsi(5)", "op": ">", "right": 55}]),
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WORKBENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return tmp_path


def say(*arguments):
    done = CliRunner().invoke(cli.main, list(arguments), catch_exceptions=True)
    return done.exit_code, done.output


def test_a_bot_from_nothing_to_deleted():
    assert say("bots") == (0, "paper has no bot; `workbench bots create NAME …` makes one.\n")
    code, said = say(
        "bots", "create", "dips", "SYN01", "SYN02", *RULES, "--window", "09:45-15:30", "--at-end", "flatten"
    )
    assert code == 0
    assert "dips: created" in said
    assert "09:45–15:30 XNYS, then flatten" in said
    for verb, state in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        code, said = say("bots", verb, "dips")
        assert (code, f"dips: {state}" in said) == (0, True), said
    assert say("bots", "trades", "dips") == (0, "nothing was traded.\n")
    assert say("bots", "positions") == (0, "nothing is held.\n")
    assert say("bots", "delete", "dips")[0] == 0
    assert "has no bot" in say("bots")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "x", "SYN01", "--strategy", "sma_crss"), "did you mean 'sma_cross'"),
        (("create", "x", "SYN01", "--capital", "-5"), "capital"),
        (("create", "x", "SYN01", "--window", "noon"), "is not HH:MM-HH:MM"),
        (("create", "x", "SYN01", "-r", "stop_los=0.1"), "stop_los"),
        (("start", "nobody"), "has no bot 'nobody'"),
    ],
)
def test_what_is_wrong_with_a_bot_is_said_and_nothing_is_made(arguments, words):
    code, said = say("bots", *arguments)
    assert code == 1
    assert words in said
    assert "Traceback" not in said
    assert "has no bot" in say("bots")[1]


def test_the_state_of_an_account_needs_a_reason_to_allow_more():
    assert say("accounts") == (0, "no account was ever traded.\n")
    assert say("state", "paper") == (0, "paper is ACTIVE\n")
    assert "paper is HALTED" in say("state", "paper", "halted", "--reason", "lunch")[1]
    code, said = say("state", "paper", "active")
    assert (code, "reason is empty" in said) == (1, True)
    assert "halted" in say("accounts")[1]
    assert "paper is ACTIVE" in say("state", "paper", "active", "--reason", "it is over")[1]


def test_a_kill_that_reaches_no_broker_says_so_and_halts_all_the_same():
    code, said = say("kill", "paper", "--reason", "panic")
    assert code == 1
    assert "is HALTED here" in said
    assert "workbench exchange" in said
    assert "paper is HALTED" in say("state", "paper")[1]


def test_an_order_without_a_broker_says_so_and_writes_nothing():
    code, said = say("order", "paper", "buy", "10", "KO")
    assert code == 1
    assert "cannot be reached" in said
    assert "qty='ten' is not a number" in say("order", "paper", "buy", "ten", "KO")[1]


def test_halts_are_shown_and_cleared(home):
    workspace = Workspace.open(home)
    with transaction(workspace.engine) as session:
        halts.halt(session, "paper", "KO", reason="position drift")
    workspace.close()
    assert "position drift" in say("halts")[1]
    assert say("halts", "--account", "other") == (0, "nothing is halted.\n")
    assert say("halts", "clear", "paper", "KO", "--reason", "a split")[1] == "1 halt of KO on paper ended.\n"
    assert say("halts") == (0, "nothing is halted.\n")


def test_an_order_that_is_not_there_cannot_be_cancelled():
    code, said = say("cancel", "paper", "wb1-x")
    assert (code, "has no order 'wb1-x'" in said) == (1, True)
