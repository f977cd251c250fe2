"""Of every kind of facts, of adjusted prices, of the quarantine and of universes: what is learned later is never shown.

Writes and reads come in random order. A reader that answers with what was learned later is caught, whoever it is.
"""

import contextlib
import datetime as dt
import itertools
import uuid

import fsspec
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from workbench import sessions
from workbench.data import adjust, quarantine, universe
from workbench.data.facts import read_facts
from workbench.data.intake import take_in
from workbench.data.kinds import KINDS, kind_of
from workbench.errors import DataError, NoData
from workbench.store.engine import open_engine
from workbench.store.vintages import Vintages
from workbench.store.workspace import Workspace

FAR = pd.Timestamp("2200-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)
DAYS = sessions.sessions("XNYS", "2015-06-01", "2015-06-03").as_unit("us")
MOMENTS = pd.date_range("2015-06-20T20:00", periods=4, freq="1D", tz="UTC").as_unit("us")
FACTS = list(itertools.product(range(len(DAYS)), range(2), range(len(MOMENTS))))  # day, name, moment learned
QUICK = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
}

# One good fact of each kind; the number or text in which vintages differ, and its values.
SHAPES = {
    "quotes": ({"ask": 9.0}, "bid", (1.0, 2.0)),
    "trades": ({"size": 1.0}, "price", (1.0, 2.0)),
    "news": ({}, "headline", ("up", "down")),
    "filings": ({}, "form", ("8-K", "8-K/A")),
    "fundamentals": ({}, "value", (1.0, 2.0)),
    "macro": ({}, "value", (1.0, 2.0)),
    "fx": ({}, "rate", (1.0, 2.0)),
    "short_interest": ({}, "short_shares", (1.0, 2.0)),
    "short_volume": ({"total_volume": 9.0}, "short_volume", (1.0, 2.0)),
    "actions": ({}, "amount", (1.0, 2.0)),
    "options": ({"underlying": "ABC", "ask": 9.0}, "bid", (1.0, 2.0)),
    "sentiment": ({"confidence": 1.0, "method": "rules"}, "score", (0.5, 1.0)),
}
SYMBOLS = {"fx": ("EUR/USD", "EUR/GBP"), "options": ("ABC   150717C00050000", "ABC   150717P00050000")}
KEYS = {
    "filings": "0000000001-15-00000{}",
    "fundamentals": "us-gaap:Cash:USD:2015-05-0{}",
    "actions": "dividend:{}",
}

world = st.fixed_dictionaries({fact: st.integers(0, 1) for fact in FACTS})
step = st.one_of(
    st.tuples(st.just("take in"), st.lists(st.sampled_from(FACTS), min_size=1, max_size=8, unique=True)),
    st.tuples(st.just("read"), st.integers(-1, len(MOMENTS) - 1)),
)
scripts = st.tuples(world, st.lists(step, min_size=2, max_size=6))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    opened = open_engine(f"sqlite:///{tmp_path_factory.mktemp('clocks') / 'workbench.db'}")
    yield opened
    opened.dispose()


@contextlib.contextmanager
def box(engine):
    """A workspace whose vintages are new and in memory; the database is shared, the datasets have their own names."""
    root = f"/{uuid.uuid4().hex}"
    memory = fsspec.filesystem("memory")
    try:
        yield Workspace(home=None, engine=engine, vintages_url=f"memory://{root}")
    finally:
        if memory.exists(root):
            memory.rm(root, recursive=True)


def symbols_of(kind):
    return SYMBOLS.get(kind, ("ABC", "XYZ"))


def frame(kind, batch, values):
    """Rows of a kind: (day, name, moment learned) with the value that the world gives them."""
    fixed, column, choices = SHAPES[kind]
    days, names, learned = (list(part) for part in zip(*batch, strict=True))
    moments = DAYS[days].tz_localize("UTC") + 15 * HOUR
    rows = pd.DataFrame({"session": DAYS[days], "time": moments, "happened": moments, "learned": MOMENTS[learned]})
    keyed = kind_of(kind).keyed
    rows = rows.assign(**fixed, symbol=[symbols_of(kind)[0 if keyed else name] for name in names], source="s")
    rows["key"] = [KEYS.get(kind, "k{}").format(name + 1) for name in names]
    rows[column] = [choices[values[fact]] for fact in batch]
    return kind_of(kind).typed(rows)


def in_force(known, moment):
    """By (day, name), the newest word learned by a moment."""
    return {fact[:2]: known[fact] for fact in sorted(known, key=lambda one: one[2]) if fact[2] <= moment}


def disagreement(kind, script, engine, reader=read_facts):
    """Play a script on the store and on a list of what was taken in; the first answer that differs, or None."""
    values, steps = script
    column, source = SHAPES[kind][1], uuid.uuid4().hex
    known = {}
    with box(engine) as workspace:
        for verb, argument in [*steps, *(("read", moment) for moment in range(-1, len(MOMENTS)))]:
            if verb == "take in":
                rows = frame(kind, argument, values)
                taken = take_in(rows, workspace=workspace, kind=kind, dataset=f"{kind}/{source}", known_until=FAR)
                assert taken.quarantined == 0, taken.findings
                for fact in sorted(argument, key=lambda one: one[2]):
                    value = SHAPES[kind][2][values[fact]]
                    if in_force(known, fact[2]).get(fact[:2]) != value:  # what is said again says nothing
                        known[fact] = value
                continue
            as_of = MOMENTS[argument] if argument >= 0 else MOMENTS[0] - pd.Timedelta(1, unit="us")
            rows = reader(workspace, kind, source, symbols_of(kind), start=DAYS[0], end=DAYS[-1], as_of=as_of)
            wanted = in_force(known, argument)
            named = rows["key"].str[-1].astype(int) - 1 if kind_of(kind).keyed else None
            if named is None:
                named = rows["symbol"].map(symbols_of(kind).index)
            days = map(DAYS.get_loc, rows["session"])
            got = dict(zip(zip(days, named, strict=True), rows[column], strict=True))
            if got != wanted or (rows["learned"] > as_of).any():
                return verb, argument, wanted, got
    return None


def test_every_kind_is_tested():
    assert set(SHAPES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learned_later_is_never_shown(kind, engine):
    @settings(max_examples=5, **QUICK)
    @given(scripts)
    def holds(script):
        assert disagreement(kind, script, engine) is None

    holds()


def ignores_learned(*question, **asked):
    """A planted leak: whatever the moment, the newest there is."""
    return read_facts(*question, **(asked | {"as_of": FAR}))


def knows_a_day_early(*question, **asked):
    """A planted leak of one day."""
    return read_facts(*question, **(asked | {"as_of": asked["as_of"] + pd.Timedelta(days=1)}))


@pytest.mark.parametrize("leak", [ignores_learned, knows_a_day_early])
@pytest.mark.parametrize("kind", ["news", "macro"])
def test_a_leaking_reader_is_caught(kind, leak, engine):
    caught(scripts, lambda script: disagreement(kind, script, engine, leak))


def caught(strategy, played):
    find(
        strategy,
        lambda script: played(script) is not None,
        settings=settings(max_examples=100, database=None, phases=[Phase.generate], **QUICK),
    )


# Adjusted prices: splits become known, are corrected, and fall due, in any order.
SPAN = sessions.sessions("XNYS", "2015-06-01", "2015-06-08").as_unit("us")
RAW = pd.DataFrame({"symbol": "ABC", "session": SPAN, "close": 100.0, "volume": 1.0})
split = st.tuples(
    st.integers(0, 2),  # which split: its ex-day is so many sessions after the second one
    st.sampled_from((2.0, 4.0)),
    st.integers(0, len(SPAN) - 1),  # the session after whose close it was learned
)
announcements = st.lists(split, min_size=1, max_size=5, unique_by=lambda one: (one[0], one[2]))


def closes(day):
    return sessions.closes("XNYS", SPAN[day]).as_unit("us")


def told(announced):
    rows = pd.DataFrame(
        [
            {
                "symbol": "ABC",
                "session": SPAN[1 + number],
                "key": f"split:{number}",
                "ratio": ratio,
                "learned": closes(day),
            }
            for number, ratio, day in announced
        ]
    )
    return kind_of("actions").typed(rows.assign(happened=pd.Timestamp("2015-05-01", tz="UTC"), source="s"))


def adjusted_wrongly(announced, engine, reader=read_facts):
    """The first session on whose evening the adjusted closes are not those of what was known, or None."""
    source = uuid.uuid4().hex
    with box(engine) as workspace:
        for one in announced:
            take_in(told([one]), workspace=workspace, kind="actions", dataset=f"actions/{source}", known_until=FAR)
        for evening in range(len(SPAN)):
            known = reader(workspace, "actions", source, "ABC", start=SPAN[0], end=SPAN[-1], as_of=closes(evening))
            rows = RAW.iloc[: evening + 1]
            got = adjust.adjusted(rows, known, until=SPAN[evening])["close"].tolist()
            wanted = []
            for day in range(evening + 1):
                price = 100.0
                for number in {one[0] for one in announced}:
                    words = [one for one in announced if one[0] == number and one[2] <= evening]
                    if words and day < 1 + number <= evening:
                        price /= max(words, key=lambda one: one[2])[1]
                wanted.append(price)
            if got != wanted:
                return evening, wanted, got
    return None


def test_prices_are_adjusted_with_what_was_known(engine):
    @settings(max_examples=10, **QUICK)
    @given(announcements)
    def holds(announced):
        assert adjusted_wrongly(announced, engine) is None

    holds()


def test_an_adjuster_that_uses_later_actions_is_caught(engine):
    caught(announcements, lambda announced: adjusted_wrongly(announced, engine, ignores_learned))


# The quarantine: a bad row comes, is released at some tick, comes again, is corrected; nobody knows it before.
ticks = st.lists(st.sampled_from(("bad", "good", "release", "nothing")), min_size=2, max_size=6)
BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def known_too_early(script, engine):
    """The first answer about the past that changed after it was given, or None."""
    moment = closes(0)
    row = {"symbol": "ABC", "session": SPAN[0], "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 1.0}
    good = pd.DataFrame([{**row, "happened": moment, "learned": moment}])
    dataset = f"bars/1d/{uuid.uuid4().hex}"
    answers, released = {}, False
    with box(engine) as workspace:
        store = Vintages(workspace.vintages_url)
        for number, verb in enumerate(script):
            clock = BEGIN + dt.timedelta(days=number)
            if verb == "good" and "good" not in script[:number] and not released:
                good = good.assign(learned=pd.Timestamp(clock))  # an honest source; after a release it may claim more
            if verb in {"good", "bad"}:
                rows = good if verb == "good" else good.assign(high=8.0)
                take_in(rows, workspace=workspace, dataset=dataset, known_until=FAR, clock=lambda at=clock: at)
            if verb == "release" and len(held := quarantine.rows(workspace, dataset)):
                quarantine.release(workspace, held["id"].tolist(), reason="so", clock=lambda at=clock: at)
                released = True
            answers[pd.Timestamp(clock)] = None
            for as_of, before in answers.items():
                rows = store.read(dataset, ["ABC"], start=SPAN[0], end=SPAN[0], as_of=as_of)
                said = rows["high"].tolist() if len(rows) else []
                if before not in (None, said):
                    return as_of, before, said
                answers[as_of] = said
    return None


def test_what_is_released_was_not_known_before(engine):
    @settings(max_examples=12, **QUICK)
    @given(ticks)
    def holds(script):
        assert known_too_early(script, engine) is None

    holds()


def test_a_release_that_reaches_back_is_caught(engine, monkeypatch):
    monkeypatch.setattr(quarantine, "learned_by", lambda rows, _: rows)
    caught(ticks, lambda script: known_too_early(script, engine))


# Universes: what is said of a later moment does not alter the answer of an earlier one.
NAMES = ("AAA", "BBB")
change = st.tuples(
    st.sampled_from(("define", "leave")), st.sampled_from(NAMES), st.integers(0, 5), st.integers(0, 5)
)  # what, who, the day it happens, the day it is learned


def day(number):
    return pd.Timestamp("2015-06-01", tz="UTC") + number * pd.Timedelta(days=1)


def membership_changed(said, engine, reader=universe.members):
    """The first moment whose answer changed by what was learned after it, or None."""
    name = uuid.uuid4().hex
    workspace = Workspace(home=None, engine=engine, vintages_url="memory://none")

    def answers():
        try:
            return {number: reader(workspace, name, day(number)) for number in range(6)}
        except NoData:
            return dict.fromkeys(range(6), ())

    for what, symbol, happens, learned in said:
        before = answers()
        try:
            if what == "define":
                universe.define(workspace, name, symbol, entered=day(happens), reason="r", learned=day(learned))
            else:
                universe.leave(workspace, name, symbol, left=day(happens), reason="r", learned=day(learned))
        except DataError:
            continue
        after = answers()
        for number in range(6):
            if number < learned and before[number] != after[number]:
                return number, before[number], after[number]
    return None


def test_membership_learned_later_does_not_change_an_earlier_answer(engine):
    @settings(max_examples=15, **QUICK)
    @given(st.lists(change, min_size=1, max_size=6))
    def holds(said):
        assert membership_changed(said, engine) is None

    holds()


def with_hindsight(workspace, name, as_of):
    """A planted leak: who was in at a moment by all that is known by now."""
    stays = universe.history(workspace, name)
    held = (stays["entered"] <= as_of) & (stays["left"].isna() | (stays["left"] > as_of))
    return tuple(sorted(stays.loc[held, "symbol"]))


def test_a_universe_read_with_hindsight_is_caught(engine):
    caught(st.lists(change, min_size=1, max_size=6), lambda said: membership_changed(said, engine, with_hindsight))
