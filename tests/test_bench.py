import pytest

from workbench.arena.decisions import stored
from workbench.bench import open_bench
from workbench.errors import NoData, ParameterError
from workbench.study import Study

SYMBOLS = ["AAPL", "KO", "XOM"]


@pytest.fixture
def bench(tmp_path):
    opened = open_bench(home=tmp_path / "home")
    yield opened
    opened.workspace.close()


def study(as_of="2015-06-30"):
    return Study.of(SYMBOLS, start="2014-01-02", as_of=as_of)


def test_loading_collects_what_is_missing_and_only_then(bench):
    history = bench.load(study())
    assert history.symbols == tuple(SYMBOLS)
    assert history.sessions[-1] == study().end
    assert bench.universe(study()) == tuple(SYMBOLS)
    assert bench.collect(study()).new_rows == 0


def test_a_symbol_that_the_source_does_not_know_is_named(bench):
    from workbench.errors import DataError

    with pytest.raises(DataError, match="NOSUCH"):
        bench.load(Study.of(["AAPL", "NOSUCH"], start="2014-01-02", as_of="2015-06-30"))


def test_a_misspelt_strategy_or_parameter_is_refused_with_a_suggestion(bench):
    assert "momentum" in bench.strategies()
    with pytest.raises(ParameterError, match="did you mean 'momentum'"):
        bench.strategy("momentun")
    with pytest.raises(ParameterError, match="fast"):
        bench.strategy("sma_cross", fsat=20)


def test_a_backtest_asked_twice_is_answered_from_the_store(bench):
    history = bench.load(study())
    first = bench.backtest(bench.strategy("sma_cross", fast=10, slow=50), history)
    again = bench.backtest(bench.strategy("sma_cross", fast=10, slow=50), history)
    assert not first.reused
    assert again.reused
    assert again.id == first.id
    assert again.summary == first.summary
    board = bench.compare([first], benchmark=bench.backtest(bench.strategy("buy_and_hold"), history))
    assert board.loc[first.title, "trials"] == 2


def test_decisions_are_stored_once_expire_in_time_and_can_be_traced_to_their_evidence(bench):
    history = bench.load(study())
    first = bench.decide(history)
    assert [one.id for one in bench.decide(history)] == [one.id for one in first]
    assert set(bench.decisions_table(first)["label"]) == {"rules"}
    assert len(bench.evidence(first[0])) == 28
    cited = {part for text in bench.transcript(first[0])["evidence"] for part in text.split(", ") if part}
    assert cited <= set(
        bench.evidence(first[0])["id"] if "id" in bench.evidence(first[0]) else bench.evidence(first[0]).index
    )
    bench.decide(bench.load(study("2015-09-30")))
    assert {str(one.status) for one in stored(bench.workspace, as_of=study().as_of)} == {"expired"}


def test_nothing_traded_is_an_empty_list(bench):
    assert bench.traded().empty


def test_what_was_not_known_then_cannot_be_loaded(bench):
    bench.load(study())
    view = bench.load(study("2015-03-31")).view()
    with pytest.raises(Exception, match="not known") as caught:
        view.close("AAPL", "2015-04-01")
    assert not isinstance(caught.value, NoData)
