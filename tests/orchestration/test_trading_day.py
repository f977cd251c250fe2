import numpy as np
import pandas as pd
import pytest

from workbench.arena.decisions import decide_all
from workbench.bench import Bench, open_bench
from workbench.errors import ExecutionError
from workbench.exchange import embedded
from workbench.execution.journal.ledger import Ledger
from workbench.market.rebalance import standing
from workbench.orchestration.hosting import exchange_folder
from workbench.orchestration.trading_day import _wished
from workbench.settings import Settings
from workbench.store.workspace import Workspace
from workbench.strategies import build
from workbench.strategy import Strategy
from workbench.study import Study

SYMBOLS = ["AAPL", "JPM", "KO", "XOM"]


class Once(Strategy):
    """Wishes a quarter of each symbol on one session, and nothing after it."""

    name = "once"
    on: str = "2015-06-30"

    @property
    def warm_up(self):
        return 0

    def target_weights(self, history):
        weights = history.close * np.nan
        if pd.Timestamp(self.on) in weights.index:
            weights.loc[self.on] = 0.25
        return weights


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    opened = open_bench(home=home)
    yield opened
    embedded.stop(exchange_folder(home))
    opened.workspace.close()


def study(as_of="2015-06-30", **changes):
    return Study.of(SYMBOLS, start="2015-01-02", as_of=as_of, **changes)


def orders(bench, run):
    return {intent.client_order_id for intent in Ledger(bench.workspace.engine, run.config["account"]).intents()}


def test_a_day_is_traded_once_and_the_next_goes_on_from_its_book(bench):
    first = bench.load(study())
    run = bench.trade(Once(), first, [])
    assert run.summary["orders"] == run.summary["filled"] == 4
    assert run.summary["discrepancies"] == run.summary["refused"] == 0
    assert run.config["filled_in"] == "2015-07-01"
    assert run.summary["cash"] > 0
    # Independent of the order path: the fill is the next session's close and 5 bp of slippage against us.
    closes = bench.load(study("2015-07-01")).close.loc["2015-07-01"]
    paid = run.table("orders").set_index("symbol")["price"]
    assert np.allclose(paid / closes[paid.index] - 1, 0.0005, atol=1e-6)
    before = orders(bench, run)

    again = bench.trade(Once(), first, [])
    assert again.reused
    assert again.summary == run.summary
    assert orders(bench, run) == before

    # The next session wishes nothing new: the holding that drifted is left alone, on the same account.
    quiet = bench.trade(Once(), bench.load(study("2015-07-01")), [])
    assert quiet.config["account"] == run.config["account"]
    assert quiet.summary["orders"] == 0
    assert set(quiet.table("positions")["symbol"]) == set(SYMBOLS)

    listed = bench.traded().query("account == @run.config['account']")
    assert listed["session"].tolist() == ["2015-07-01", "2015-06-30"]


def test_a_lost_answer_is_found_again_without_a_second_order(bench):
    """As after a kill between the fills and the last line: the row is open, everything else has happened."""
    from sqlalchemy import update

    from workbench.store.engine import transaction
    from workbench.store.tables.trading import TradingSessionRow

    past = bench.load(study(seed=11))
    run = bench.trade(Once(), past, [])
    before = orders(bench, run)
    with transaction(bench.workspace.engine) as session:
        session.execute(
            update(TradingSessionRow).where(TradingSessionRow.id == run.id).values(status="OPEN", run_folder=None)
        )
    again = bench.trade(Once(), past, [])
    assert not again.reused
    assert orders(bench, again) == before
    assert again.summary == run.summary


def test_decisions_are_marked_with_what_became_of_them(bench):
    past = bench.load(study(seed=12))
    decisions = decide_all(past.view(), workspace=bench.workspace)
    run = bench.trade(build("buy_and_hold"), past, decisions)
    from workbench.arena.decisions import stored

    status = {decision.symbol: str(decision.status) for decision in stored(bench.workspace, as_of=past.as_of)}
    bought = set(run.table("orders").query("side == 'buy'")["symbol"])
    assert {symbol for symbol, word in status.items() if word == "executed"} >= bought
    taken = set(run.table("reductions")["symbol"])
    assert not taken & bought


def test_a_joining_book_takes_the_standing_wish_and_a_going_one_only_the_news(bench):
    past = bench.load(study())
    late = Once(on="2015-06-01")
    joined, _ = _wished(late, past, [], joins=True)
    assert joined == standing(late.target_weights(past)) == dict.fromkeys(SYMBOLS, 0.25)
    going, _ = _wished(late, past, [], joins=False)
    assert going == {}
    news, _ = _wished(Once(), past, [], joins=False)
    assert news == dict.fromkeys(SYMBOLS, 0.25)


def test_what_the_arena_takes_away_is_sold_also_without_news(bench):
    past = bench.load(study("2015-08-25"))
    decisions = decide_all(past.view(), workspace=bench.workspace)
    sold = {decision.symbol for decision in decisions if str(decision.action) == "sell"}
    assert sold, "the sample must hold a sell"
    going, reductions = _wished(Once(), past, decisions, joins=False)
    assert going == dict.fromkeys(sold, 0.0)
    assert set(reductions.index) == sold


def test_an_exchange_of_another_source_is_refused(bench, tmp_path):
    url = embedded.ensure(exchange_folder(bench.workspace.home), source="bundled").url
    other = Bench(workspace=bench.workspace, settings=Settings.read(home=tmp_path, exchange_url=url))
    past = bench.load(Study.of(["SYN01", "SYN02"], start="2015-01-02", as_of="2015-06-30", source="synthetic"))
    with pytest.raises(ExecutionError, match="replays source 'bundled', the study asks for 'synthetic'"):
        other.trade(Once(), past, [])
    assert isinstance(other.workspace, Workspace)
