import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import events
from workbench.errors import StoreError
from workbench.events import KINDS, Event, MarketPhaseChanged, OrderFilled

texts = st.text(max_size=12)
moments = st.datetimes(timezones=st.just(dt.UTC))
money = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**12), max_value=10**12)
VALUES = {
    "str": texts,
    "int": st.integers(0, 2**31),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "Decimal": money,
    "Decimal | None": st.none() | money,
    "dt.datetime": moments,
    "dt.datetime | None": st.none() | moments,
}


@st.composite
def any_event(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    return KINDS[kind](**{one.name: draw(VALUES[one.type]) for one in dataclasses.fields(KINDS[kind])})


@given(any_event())
def test_every_event_survives_the_way_through_json(event):
    body = json.loads(json.dumps(event.to_body()))
    assert events.of(event.kind, event.version, body) == event
    assert isinstance(event.subject, str)


def test_every_class_of_events_has_a_place_in_the_table_of_kinds():
    public = [one for name, one in vars(events).items() if not name.startswith("_")]
    here = {one for one in public if isinstance(one, type) and issubclass(one, Event)}
    assert {one.__name__: one for one in here - {Event}} == dict(KINDS)


def test_an_event_cannot_be_changed():
    event = KINDS["SymbolHalted"](account="a", symbol="S", reason="r")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.symbol = "T"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved(Event):
    """A kind of which two versions were written: 1 had `size` in hundreds, 2 has `qty`; 3 added `venue`."""

    version: ClassVar[int] = 3

    qty: int
    venue: str = "XNYS"

    @classmethod
    def upgraded(cls, body, version):
        if version < 2:
            body["qty"] = body.pop("size") * 100
        return body


def test_a_later_version_reads_an_older_body():
    assert Moved.of({"account": "a", "size": 3}, 1) == Moved(account="a", qty=300)
    assert Moved.of({"account": "a", "qty": 3}, 2) == Moved(account="a", qty=3)
    assert Moved.of({"account": "a", "qty": 3, "venue": "XLON"}, 3) == Moved(account="a", qty=3, venue="XLON")


def test_an_older_program_reads_a_newer_body_without_what_it_does_not_know():
    assert Moved.of({"account": "a", "qty": 3, "colour": "red"}, 4) == Moved(account="a", qty=3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"account": "a", "venue": "XNYS", "before": "pre"}, "missing"),
        ({"account": "a", "venue": "XNYS", "before": "pre", "after": "regular", "at": "soon"}, "soon"),
        ({"account": "a", "venue": "XNYS", "before": "pre", "after": "regular", "at": None}, "a value is missing"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(body, said):
    with pytest.raises(StoreError, match=said):
        MarketPhaseChanged.of(body)


def test_money_that_is_no_number_is_refused():
    body = {one.name: "1" for one in dataclasses.fields(OrderFilled)} | {"price": "dear"}
    with pytest.raises(StoreError, match="version 1 cannot be read"):
        events.of("OrderFilled", 1, body)


def test_an_unknown_kind_is_refused():
    with pytest.raises(StoreError, match="'Elsewhere' is not known"):
        events.of("Elsewhere", 1, {})


def test_small_money_is_written_out_in_full():
    assert (
        KINDS["DecisionMade"](
            account="a", bot="b", session="2026-11-16", symbol="S", action="buy", price=Decimal("1E-8")
        ).to_body()["price"]
        == "0.00000001"
    )
