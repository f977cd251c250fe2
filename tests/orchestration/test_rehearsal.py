"""A rehearsal: bots trade a past session through a real desk, also on a bad day; what cannot be is refused before."""

from __future__ import annotations

import logging

import pytest

from workbench.errors import BotRefused, ExecutionError
from workbench.exchange import embedded
from workbench.execution.bots.bot import BotState
from workbench.execution.bots.roster import Bots
from workbench.orchestration.rehearsal import rehearse
from workbench.settings import Settings
from workbench.store.workspace import Workspace

DAY = "2024-03-05"
WINDOW = {"start": "09:30", "end": "11:30", "at_end": "flatten"}
DIPS = {
    "entry": [{"left": "rsi(5)", "op": "<", "right": 45}],
    "exit": [{"left": "rsi(5)", "op": ">", "right": 55}],
}
TRADE = ["bot", "symbol", "opened", "closed", "qty", "entry_price", "exit_price", "realized"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    workspace = Workspace.open(home)
    yield workspace, Settings(home=home)
    workspace.close()
    embedded.stop(home / "exchange")


def dips(workspace, account):
    bots = Bots(workspace.engine, account)
    bots.create(
        "dips",
        capital=20_000,
        symbols=["SYN01", "SYN02"],
        params=DIPS,
        timeframe="5m",
        every_seconds=300,
        window=WINDOW,
        risk={"stop_loss": 0.02},
    )
    bots.start("dips")
    return bots


def test_a_bad_day_ends_with_the_trades_of_the_calm_one(place):
    workspace, settings = place
    calm = dips(workspace, "calm")
    seen = []
    done = rehearse(workspace, settings, "calm", start=DAY, progress=lambda *bars: seen.append(bars))
    row = done.sessions.iloc[0]
    assert (row["session"], row["discrepancies"], row["refused"]) == (DAY, 0, 0)
    assert row["orders"] >= row["fills"] - row["orders"] > -1
    assert seen[-1] == (78, 78)
    assert "SYNTHETIC" in done.line

    trades = calm.trades()
    assert len(trades) >= 4
    assert not trades["open"].any(), "the window ends flat"
    assert trades["why_out"].str.contains("the window ends").any()
    # All that was made or lost is in the account: nothing is held, so its cash is its capital and the bot's profit.
    assert row["equity"] == pytest.approx(100_000 + trades["realized"].sum(), abs=0.02)
    assert calm.positions().empty

    again = dips(workspace, "rough")
    before = logging.getLogger("workbench").handlers[:]
    rehearse(
        workspace, settings, "rough", start=DAY, faults=["504-after-accept:0.3", "reset-after:0.1", "drop-events:0.5"]
    )
    assert again.trades()[TRADE].equals(trades[TRADE])
    assert logging.getLogger("workbench").handlers == before
    url = embedded.running(workspace.home / "exchange", source="synthetic", timeframe="5m").url
    assert sum(embedded.struck(url).values()) > 5


def test_what_cannot_be_rehearsed_is_said_before_anything_is_traded(place):
    workspace, settings = place
    with pytest.raises(BotRefused, match="no bot of 'nobody' runs"):
        rehearse(workspace, settings, "nobody", start=DAY)
    dips(workspace, "twice")
    rehearse(workspace, settings, "twice", start=DAY)
    with pytest.raises(BotRefused, match="cannot go back to 2024-03-05"):
        rehearse(workspace, settings, "twice", start=DAY)
    assert Bots(workspace.engine, "twice").get("dips").state is BotState.RUNNING
    paper = Settings(home=workspace.home, broker="alpaca-paper", alpaca_key_id="k" * 20, alpaca_secret_key="s" * 40)
    with pytest.raises(ExecutionError, match="cannot be replayed"):
        rehearse(workspace, paper, "twice", start=DAY)
