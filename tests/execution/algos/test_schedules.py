"""Schedules add up, keep to the lot, and refuse what makes none."""

import datetime as dt
import itertools
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import AlgorithmRefused
from workbench.execution.algos.algorithm import Algorithm, Plan, algorithm_of, params_of
from workbench.execution.algos.pov import pov
from workbench.execution.algos.schedule import Span, split
from workbench.execution.algos.twap import twap
from workbench.execution.algos.vwap import VolumeProfile, vwap

OPENS = dt.datetime(2022, 6, 30, 13, 30, tzinfo=dt.UTC)
CLOSES = dt.datetime(2022, 6, 30, 20, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
NAN = float("nan")

LOTS = st.sampled_from([Decimal(1), Decimal(100), Decimal("0.001")])


def span(minutes=70, interval=10):
    return Span(OPENS, OPENS + minutes * MINUTE, interval * MINUTE)


def plan(name, minutes=70, lot=1, **params):
    checked = params_of(Algorithm(name), {"interval_seconds": 600, **params})
    return Plan(checked, OPENS, OPENS + minutes * MINUTE, OPENS, CLOSES, Decimal(lot))


def test_a_thousand_in_seven_slots_is_143_six_times_and_then_142():
    schedule = twap(Decimal(1000), span())
    assert [int(one.qty) for one in schedule] == [143] * 6 + [142]
    assert [one.due_at for one in schedule] == [OPENS + 10 * i * MINUTE for i in range(7)]


def test_a_last_slot_that_is_half_as_long_gets_half_as_much():
    assert [int(one.qty) for one in twap(Decimal(700), span(minutes=35))] == [200, 200, 200, 100]


@settings(deadline=None)
@given(
    lots=st.integers(0, 10**9),
    lot=LOTS,
    weights=st.lists(st.fractions(0, 1000), min_size=1, max_size=60).filter(any),
)
def test_a_split_adds_up_and_no_part_is_a_lot_away_from_its_share(lots, lot, weights):
    parts = split(lots * lot, weights, lot=lot)
    total = sum(weights)
    assert sum(parts) == lots * lot
    for part, weight in zip(parts, weights, strict=True):
        assert part >= 0
        assert part % lot == 0
        assert abs(Fraction(part) - Fraction(lots * lot) * weight / total) < Fraction(lot)


@settings(deadline=None)
@given(weights=st.lists(st.integers(0, 5), min_size=2, max_size=20).filter(any), lots=st.integers(0, 500))
def test_more_weight_never_gets_less(weights, lots):
    parts = split(Decimal(lots), weights)
    for (w1, p1), (w2, p2) in itertools.combinations(zip(weights, parts, strict=True), 2):
        if w1 > w2:
            assert p1 >= p2
        if w1 == w2:
            assert p1 >= p2  # the earlier one of equals is not behind


@pytest.mark.parametrize("weights", [[1.0, NAN], [1.0, math.inf], [1, -1], [0, 0], []])
def test_weights_that_are_no_shares_are_refused(weights):
    with pytest.raises(AlgorithmRefused, match="weights"):
        split(Decimal(10), weights)


@pytest.mark.parametrize("qty", ["0", "-5", "NaN", "Infinity"])
def test_a_quantity_that_is_none_is_refused(qty):
    with pytest.raises(AlgorithmRefused, match="qty"):
        twap(Decimal(qty), span())


def test_a_quantity_that_is_no_multiple_of_the_lot_names_its_neighbours():
    with pytest.raises(AlgorithmRefused, match="no multiple of lot=100") as caught:
        twap(Decimal(250), span(), lot=Decimal(100))
    assert "200 or 300" in caught.value.remedy


@pytest.mark.parametrize(("minutes", "interval"), [(10, 10), (5, 10), (0, 10), (-10, 10)])
def test_a_horizon_that_is_not_longer_than_the_interval_is_refused(minutes, interval):
    with pytest.raises(AlgorithmRefused, match="horizon"):
        span(minutes, interval)


def test_an_interval_of_nothing_a_naive_moment_and_a_million_slices_are_refused():
    with pytest.raises(AlgorithmRefused, match="interval"):
        span(interval=0)
    with pytest.raises(AlgorithmRefused, match="timezone"):
        Span(OPENS.replace(tzinfo=None), CLOSES, MINUTE)
    with pytest.raises(AlgorithmRefused, match="slices"):
        Span(OPENS, CLOSES, dt.timedelta(milliseconds=20))


# --- VWAP


def test_vwap_follows_the_profile():
    profile = VolumeProfile(600, (600.0, 300.0, 100.0, 0.0, 0.0, 0.0, 1000.0))
    schedule = vwap(Decimal(200), span(), profile, opens_at=OPENS)
    assert [int(one.qty) for one in schedule] == [60, 30, 10, 0, 0, 0, 100]


def test_a_slot_that_lies_across_buckets_takes_its_part_of_each():
    profile = VolumeProfile(600, (600.0, 0.0, 300.0))
    assert profile.between(5 * MINUTE, 25 * MINUTE) == pytest.approx(300 + 0 + 150)
    assert math.isnan(profile.between(25 * MINUTE, 35 * MINUTE))
    assert math.isnan(profile.between(-MINUTE, MINUTE))


def test_an_unknown_volume_is_refused_and_not_taken_for_none():
    profile = VolumeProfile(600, (600.0, NAN, *[100.0] * 5))
    with pytest.raises(AlgorithmRefused, match="1 of 7 slots"):
        vwap(Decimal(200), span(), profile, opens_at=OPENS)
    with pytest.raises(AlgorithmRefused, match="not all 0"):
        vwap(Decimal(200), span(), VolumeProfile(600, (0.0,) * 7), opens_at=OPENS)


def test_a_profile_survives_being_stored():
    profile = VolumeProfile(600.0, (600.0, NAN, 1.5), 20, OPENS)
    again = VolumeProfile.of(profile.to_dict())
    assert again.to_dict() == profile.to_dict()
    assert math.isnan(again.volumes[1])
    with pytest.raises(AlgorithmRefused, match="profile"):
        VolumeProfile.of({"seconds": 60})


# --- POV


def test_ten_percent_of_nine_thousand_of_others_is_a_thousand_of_ours():
    assert pov(0.1, Decimal(9000), own=Decimal(0), remaining=Decimal(5000)) == 1000


@settings(deadline=None)
@given(
    rate=st.decimals("0.001", "0.95", places=3),
    others=st.integers(0, 10**7),
    own=st.integers(0, 10**6),
    remaining=st.integers(0, 10**6),
    cap=st.none() | st.integers(1, 10**5),
)
def test_pov_never_passes_its_rate_its_bounds_or_the_lot(rate, others, own, remaining, cap):
    remaining *= 10
    most = None if cap is None else Decimal(cap)
    qty = pov(rate, Decimal(others), own=Decimal(own), remaining=Decimal(remaining), lot=Decimal(10), max_child=most)
    assert 0 <= qty <= remaining
    assert qty % 10 == 0
    assert most is None or qty <= most
    if qty:  # our part of all that traded, this order included
        assert Fraction(own + int(qty), own + int(qty) + others) <= Fraction(rate)
    more = Fraction(own + int(qty) + 10, own + int(qty) + 10 + others)
    free = qty + 10 <= remaining and (most is None or qty + 10 <= most)
    assert more > Fraction(rate) or not free  # and one lot more would pass it


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, NAN])
def test_a_rate_outside_0_and_1_is_refused(rate):
    with pytest.raises(AlgorithmRefused, match="rate"):
        pov(rate, Decimal(1), own=Decimal(0), remaining=Decimal(1))
    with pytest.raises(AlgorithmRefused, match="rate"):
        params_of(Algorithm.POV, {"interval_seconds": 60, "rate": rate})


# --- plans and their parameters


def test_parameters_are_refused_with_all_that_is_wrong():
    with pytest.raises(AlgorithmRefused, match=r"rate.*interval|interval.*rate") as caught:
        params_of(Algorithm.POV, {"interval_seconds": NAN, "rate": 2})
    assert caught.value.facts["errors"] == 2
    with pytest.raises(AlgorithmRefused, match="extra"):
        params_of(Algorithm.TWAP, {"interval_seconds": 60, "rate": 0.1})
    with pytest.raises(AlgorithmRefused, match="not known") as caught:
        algorithm_of("iceberg")
    assert "twap, vwap, pov, shortfall" in caught.value.remedy


def test_a_sweep_comes_last_and_takes_all():
    made = plan("twap", sweep_seconds=30)
    slices = made.slices(Decimal(1000))
    assert slices[-1].due_at == OPENS + 70 * MINUTE - dt.timedelta(seconds=30)
    assert slices[-1].qty == 0
    assert made.next_qty(7, remaining=Decimal(321), own=Decimal(0), others=None) == 321
    with pytest.raises(AlgorithmRefused, match="sweep"):
        plan("twap", sweep_seconds=600)


def test_what_was_not_filled_is_spread_over_the_slices_that_are_left():
    made = plan("twap")
    assert made.next_qty(0, remaining=Decimal(1000), own=Decimal(0), others=None) == 143
    assert made.next_qty(3, remaining=Decimal(1000), own=Decimal(0), others=None) == 250
    assert made.next_qty(6, remaining=Decimal(1000), own=Decimal(0), others=None) == 1000


def test_a_largest_child_bounds_every_slice_but_the_sweep():
    made = plan("twap", max_child=100, sweep_seconds=30)
    assert made.next_qty(6, remaining=Decimal(1000), own=Decimal(0), others=None) == 100
    assert made.next_qty(7, remaining=Decimal(1000), own=Decimal(0), others=None) == 1000
    with pytest.raises(AlgorithmRefused, match="max_child"):
        plan("twap", lot=100, max_child=50)


def test_less_than_a_lot_is_left_alone():
    assert plan("twap", lot=100).next_qty(6, remaining=Decimal(99), own=Decimal(0), others=None) == 0


def test_pov_plans_looks_and_waits_where_the_volume_is_not_known():
    made = plan("pov", rate=0.1)
    slices = made.slices(Decimal(1000))
    assert [one.due_at for one in slices] == [OPENS + 10 * i * MINUTE for i in range(1, 7)]
    assert {one.qty for one in slices} == {0}
    assert made.next_qty(0, remaining=Decimal(1000), own=Decimal(0), others=None) == 0
    assert made.next_qty(0, remaining=Decimal(1000), own=Decimal(50), others=Decimal(900)) == 50


@settings(deadline=None, max_examples=60)
@given(
    lots=st.integers(1, 10**6),
    lot=LOTS,
    minutes=st.integers(11, 390),
    asked=st.just(("twap", {}))
    | st.just(("shortfall", {"sigma": 0.95, "eta": 2.5e-6, "risk_aversion": 1e-6}))
    | st.lists(st.integers(1, 1000).map(float), min_size=39, max_size=39).map(
        lambda volumes: ("vwap", {"profile": VolumeProfile(600, tuple(volumes))})
    ),
    filled=st.lists(st.floats(0, 1), max_size=39),
)
def test_whatever_part_of_each_slice_fills_no_more_is_ordered_than_was_asked(lots, lot, minutes, asked, filled):
    name, more = asked
    made = plan(name, minutes=minutes, lot=lot, **more)
    qty, booked = lots * lot, Decimal(0)
    slices = made.slices(qty)
    assert sum(one.qty for one in slices) == qty
    for one, part in zip(slices, filled, strict=False):
        ordered = made.next_qty(one.number, remaining=qty - booked, own=booked, others=None)
        assert 0 <= ordered <= qty - booked
        assert ordered % lot == 0
        booked += min(ordered, Decimal(math.floor(part * float(ordered / lot))) * lot)
    # The last slice orders all that is left: an algorithm whose orders fill is done at its end.
    last = made.next_qty(len(slices) - 1, remaining=qty - booked, own=booked, others=None)
    assert last == qty - booked
