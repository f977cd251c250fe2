"""No pack and no decision may know the future, whether it has not happened yet or was only learned later.

Three planted leaks show that these tests can fail: each is caught at every moment tried.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.properties.future import Leak, assert_unchanged, random_history, redraw
from workbench import sessions
from workbench.arena.analysts.rules import rule_analysts
from workbench.arena.consensus import ArenaRules, conclude
from workbench.arena.debate import hold_all
from workbench.arena.decision import config_hash, decision_id
from workbench.arena.decisions import decide_all
from workbench.arena.evidence import EvidencePack
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.market.view import MarketView
from workbench.store.vintages import Vintages
from workbench.study import Study

SYMBOLS = ("AAPL", "JNJ", "KO", "MSFT", "PG", "XOM")
HISTORIES = {
    (close_only, gaps): random_history(symbols=SYMBOLS, close_only=close_only, gaps=gaps, seed=11)
    for close_only in (False, True)
    for gaps in (0.0, 0.02)
}
MOMENTS = HISTORIES[False, 0.0].evaluated[5:-8:7]
RULES = ArenaRules()
CONFIG = config_hash(rule_analysts(), RULES, horizon=21)


def everything(view: MarketView) -> list[object]:
    """Packs, decision ids, debates and conclusions about every symbol of a view, as comparable text."""
    packs = EvidencePack.of_all(view, view.symbols)
    debates = hold_all(packs, rule_analysts(), max_shift=RULES.max_shift)
    return [
        (pack.text, pack.hash, decision_id(pack, CONFIG), repr(debate), repr(conclude(debate, RULES)))
        for pack, debate in zip(packs, debates, strict=True)
    ]


@settings(max_examples=25, deadline=None)
@given(
    history=some.sampled_from(sorted(HISTORIES)).map(HISTORIES.get),
    place=some.integers(0, 100),
    seed=some.integers(0, 2**16),
)
def test_packs_and_decisions_do_not_know_the_future(history, place, seed):
    after = history.evaluated[place]
    assert_unchanged(lambda known: everything(known.view(after)), history, after=after, seed=seed)


def test_a_stored_decision_is_found_again_when_the_future_turned_out_otherwise(workspace):
    history, after = HISTORIES[False, 0.0], MOMENTS[3]
    first = decide_all(history.view(after), workspace=workspace)
    again = decide_all(redraw(history, after=after, seed=3).view(after), workspace=workspace)
    assert again == [dataclasses.replace(decision, reused=True) for decision in first]
    later = decide_all(history.view(MOMENTS[4]), workspace=workspace)
    assert not {decision.id for decision in later} & {decision.id for decision in first}


def window_past_as_of(history: History, after: pd.Timestamp) -> MarketView:
    """A leak: the price window reaches three sessions past the moment."""
    end = history.sessions[history.sessions.get_loc(after) + 3] if after < history.sessions[-1] else after
    return dataclasses.replace(history.view(after), bars=history.bars.between(history.sessions[0], end))


def full_sample_normalisation(history: History, after: pd.Timestamp) -> MarketView:
    """A leak: closes are divided by the mean of the whole sample."""
    view = history.view(after)
    return dataclasses.replace(view, bars=Bars(close=view.bars.close / history.close.mean()))


@pytest.mark.parametrize("leaky", [window_past_as_of, full_sample_normalisation])
def test_a_planted_leak_is_caught_at_every_moment(leaky):
    history = HISTORIES[True, 0.0]
    honest = {after: everything(history.view(after)) for after in MOMENTS}
    assert len(MOMENTS) == 14
    for seed, after in enumerate(MOMENTS):
        future = redraw(history, after=after, seed=seed)
        assert everything(future.view(after)) == honest[after]
        packs, others = (EvidencePack.of_all(leaky(known, after), SYMBOLS) for known in (history, future))
        assert all(pack.hash != other.hash for pack, other in zip(packs, others, strict=True))
        with pytest.raises(Leak):
            assert_unchanged(lambda known, day=after: everything(leaky(known, day)), history, after=after, seed=seed)


# --- the second clock: facts that happened before the moment and were learned after it ---

DAYS = sessions.sessions("XNYS", "2014-01-02", "2015-06-30")[:330]
CLOSES = sessions.close_times("XNYS", DAYS)


def vintages(folder, *, seed: int, after: int, future: int) -> Vintages:
    """A market in which one close in ten is revised some sessions later; `future` draws what is learned late."""
    past, later = np.random.default_rng(seed), np.random.default_rng(future)
    shape = (len(DAYS), len(SYMBOLS))
    first = 100 * np.exp(past.normal(0, 0.01, shape).cumsum(axis=0))
    revised = first * np.exp(past.normal(0, 0.02, shape))
    learned = np.arange(len(DAYS))[:, None] + past.integers(1, 31, shape)
    is_revised = (past.random(shape) < 0.1) & (learned < len(DAYS))
    first[after + 1 :] *= np.exp(later.normal(0, 0.05, (len(DAYS) - after - 1, len(SYMBOLS))))
    revised[learned > after] *= np.exp(later.normal(0, 0.05, int((learned > after).sum())))
    rows = [_long(first, np.broadcast_to(np.arange(len(DAYS))[:, None], shape), np.full(shape, True))]
    rows.append(_long(revised, learned, is_revised))
    stored = Vintages(folder.as_uri())
    stored.append("bars/1d/drawn", pd.concat(rows, ignore_index=True))
    return stored


def _long(values: np.ndarray, learned: np.ndarray, there: np.ndarray) -> pd.DataFrame:
    day, column = np.nonzero(there)
    return pd.DataFrame(
        {
            "symbol": np.array(SYMBOLS)[column],
            "session": DAYS[day],
            "close": values[there],
            "happened": CLOSES[day],
            "learned": CLOSES[learned[there]],
        }
    )


def view_from(stored: Vintages, after: int, *, leak: bool) -> MarketView:
    """The view at the close of day `after`. The leak reads what happened by then as it was known at the very end."""
    as_of = CLOSES[-1] if leak else CLOSES[after]
    rows = stored.read("bars/1d/drawn", SYMBOLS, start=DAYS[0], end=DAYS[after], as_of=as_of)
    study = Study.of(SYMBOLS, start=DAYS[0], as_of=CLOSES[after])
    bars = Bars.from_long(rows, index=DAYS[: after + 1], symbols=SYMBOLS)
    return History(study=study, bars=bars, label="SYNTHETIC").view()


def test_what_was_learned_later_is_not_in_a_pack_and_the_leak_that_puts_it_there_is_caught(tmp_path):
    caught = 0
    moments = range(280, 322, 3)
    for seed, after in enumerate(moments):
        one, two = (
            vintages(tmp_path / f"{after}-{future}", seed=seed, after=after, future=future) for future in (1, 2)
        )
        assert everything(view_from(one, after, leak=False)) == everything(view_from(two, after, leak=False))
        caught += everything(view_from(one, after, leak=True)) != everything(view_from(two, after, leak=True))
    assert caught == len(moments) == 14
