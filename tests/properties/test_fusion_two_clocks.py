"""A fused record depends on what was known at its moment, and on nothing else: not on order, not on what came later."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from tests.data.fusion.facts import AS_OF, DAY, bar, put, row
from workbench.data.fusion import Fusion
from workbench.store.vintages import Vintages
from workbench.store.workspace import Workspace

DAYS = [pd.Timestamp(day) for day in ("2015-06-25", "2015-06-26", "2015-06-29", "2015-06-30")]
SOURCES = ("alpaca", "yahoo", "finnhub", "fred")
HOUR = pd.Timedelta(hours=1)

learned = st.integers(-3, 3).map(lambda hours: AS_OF + hours * HOUR)
value = st.sampled_from([90.0, 100.0, 110.0])


def fact(kind, source, made):
    return st.tuples(st.just(kind), st.just(source), made)


def happened(day):
    return pd.Timestamp(day).tz_localize("UTC") + 14 * HOUR


def bar_of(day, close, at):
    return bar(day, close, happened=happened(day), learned=at)


def tone_of(day, tone, at, story):
    key = f"{story}{tone}{day}"
    clocks = {"happened": happened(day), "learned": at, "time": happened(day)}
    return row(day, **clocks, key=key, score=tone, confidence=0.5, story=story, method="rules-1")


def rate_of(day, number, at):
    return row(day, symbol="DFF", happened=happened(day), learned=at, value=number)


def dividend_of(day, at):
    return row(day + 30 * DAY, key="dividend:1", happened=at, learned=at, amount=0.5)


days, tones, stories = st.sampled_from(DAYS), st.sampled_from([-0.5, 0.0, 0.5]), st.sampled_from(["0" * 16, "f" * 16])
facts = st.one_of(
    fact("bars", "alpaca", st.builds(bar_of, days, value, learned)),
    fact("bars", "yahoo", st.builds(bar_of, days, value, learned)),
    fact("sentiment", "alpaca", st.builds(tone_of, days, tones, learned, stories)),
    fact("sentiment", "finnhub", st.builds(tone_of, days, tones, learned, stories)),
    fact("macro", "fred", st.builds(rate_of, days, value, learned)),
    fact("actions", "alpaca", st.builds(dividend_of, days, learned)),
)


def name_of(told):
    kind, source, line = told
    return (kind, source, line["symbol"], line["session"], line.get("key"), line["learned"])


scripts = st.lists(facts, min_size=1, max_size=8, unique_by=name_of)


@pytest.fixture(scope="module")
def database():
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder))
        yield workspace
        workspace.close()


_count = iter(range(10**9))


def fused(database, told, *, fusion=Fusion, **more):
    """The record of a fresh store in which these facts were appended one by one."""
    workspace = Workspace(database.home, database.engine, f"memory://fusion{next(_count)}")
    for kind, source, line in told:
        put(workspace, kind, source, [line])
    return fusion(workspace, **{"sources": SOURCES, **more}).of("AAPL", AS_OF, store=False)


class Peeks(Vintages):
    """A planted leak: it answers with what will be known tomorrow."""

    def every(self, dataset, symbols, *, as_of, **more):
        return super().every(dataset, symbols, as_of=as_of + DAY, **more)


def peeking(workspace, **more):
    return Fusion(workspace, **more, vintages=Peeks(workspace.vintages_url))


def known(told):
    return [each for each in told if each[2]["learned"] <= AS_OF]


def chronological(told):
    return sorted(told, key=lambda each: each[2]["learned"])


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(told=scripts)
def test_what_is_learned_later_never_changes_a_byte(database, told):
    told = chronological(told)
    assert fused(database, told).text == fused(database, known(told)).text


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(told=scripts, random=st.randoms(use_true_random=False))
def test_the_order_of_appends_and_sources_never_changes_a_byte(database, told, random):
    sources = list(SOURCES)
    one = fused(database, chronological(told))
    # Vintages of one fact keep their order; what is said of different facts is told in any.
    facts_of = {}
    for each in chronological(told):
        facts_of.setdefault(name_of(each)[:-1], []).append(each)
    queues = list(facts_of.values())
    random.shuffle(queues)
    mixed = [each for queue in queues for each in queue]
    random.shuffle(sources)
    assert fused(database, mixed, sources=sources).text == one.text


def test_a_planted_leak_is_caught(database):
    def leaks(told):
        told = chronological(told)
        return fused(database, told, fusion=peeking).text != fused(database, known(told), fusion=peeking).text

    found = find(scripts, leaks, settings=settings(max_examples=200, phases=[Phase.generate], derandomize=True))
    assert any(each[2]["learned"] > AS_OF for each in found)
