"""The state of a symbol, folded event by event, against TA-Lib and numpy over all events at once."""

from __future__ import annotations

import math
import threading

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.stream import events
from workbench.data.stream.events import BAD, DUPLICATE, LATE, ROW
from workbench.data.stream.seen import new_memory
from workbench.data.stream.state import TickState, Windows
from workbench.data.stream.symbol_table import SymbolTable
from workbench.errors import NoData, ParameterError

T0 = 1_700_000_000 * 10**9
SECOND = 10**9
NAN = math.nan


def rows_of(kind, symbols, times, *columns, keys=None, learned=None):
    rows = np.zeros(len(times), dtype=ROW)
    rows["kind"], rows["symbol"], rows["time"] = kind, symbols, times
    rows["learned"] = rows["time"] if learned is None else learned
    for place in range(events.VALUES):
        rows[f"v{place}"] = NAN
    for place, column in enumerate(columns):
        rows[f"v{place}"] = column
    if keys is not None:
        rows["key"] = keys
    return rows


def trades(prices, sizes=1.0, *, times=None, keys=None, symbol=0, learned=None):
    count = len(prices)
    moments = T0 + SECOND * np.arange(count) if times is None else T0 + np.round(np.asarray(times) * SECOND).astype(int)
    return rows_of(
        1, symbol, moments, prices, sizes, keys=np.arange(1, count + 1) if keys is None else keys, learned=learned
    )


def state(*names, **options):
    table = SymbolTable()
    for name in names or ("A",):
        table.number(name)
    return TickState(table, **options)


def folded(rows, *, batch=None, **options):
    made = state(**options)
    for first in range(0, len(rows), batch or len(rows)):
        made.fold(rows[first : first + (batch or len(rows))])
    return made


def walk_of(count, seed=1, *, start=100.0):
    return np.round(start * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, count))), 4)


@pytest.mark.parametrize("batch", [1, 7, 1024])
@pytest.mark.parametrize("count", [1, 2, 5, 14, 15, 20, 21, 3000])
def test_every_indicator_is_what_talib_and_numpy_say_over_all_events(count, batch):
    rng = np.random.default_rng(count)
    prices, sizes = walk_of(count, count), rng.integers(1, 500, count).astype(float)
    seen = folded(trades(prices, sizes), batch=batch).of("A")

    def last(values):
        return values[-1]

    truth = {
        "last": prices[-1],
        "size": sizes[-1],
        "ema": last(talib.EMA(prices, 20)),
        "sma": last(talib.SMA(prices, 20)),
        "rsi": last(talib.RSI(prices, 14)),
        "high": prices.max(),
        "low": prices.min(),
        "volume": sizes.sum(),
        "vwap": np.average(prices, weights=sizes),
        "trades": count,
        "volatility": volatility(prices, 0.94),
    }
    for name, value in truth.items():
        assert seen[name] == pytest.approx(value, rel=1e-9, nan_ok=True), name
    assert seen["time"].value == T0 + (count - 1) * SECOND


def volatility(prices, decay):
    """By weights, not by recursion: the first squared return weighs what is left over."""
    squared = np.diff(np.log(prices)) ** 2
    if not len(squared):
        return NAN
    ages = np.arange(len(squared))[::-1]
    weights = (1 - decay) * decay**ages
    weights[0] = decay ** ages[0]
    return math.sqrt(squared @ weights)


def test_quotes_have_their_middle_and_the_mean_of_their_spread():
    rng = np.random.default_rng(5)
    count = 400
    bid = walk_of(count)
    ask = bid + np.round(rng.uniform(-0.02, 0.3, count), 3)  # some are crossed
    ask[7] = bid[9] = 0.0
    moments = T0 + SECOND * np.arange(count)
    rows = rows_of(2, 0, moments, bid, ask, 1.0, 2.0)
    seen = folded(rows).of("A")
    assert math.isnan(rows["v1"][7])
    assert math.isnan(rows["v0"][9])
    whole = (ask >= bid) & (bid > 0) & (ask > 0)
    truth = talib.EMA((ask - bid)[whole], 20)[-1]
    assert seen["spread_ema"] == pytest.approx(truth, rel=1e-9)
    assert (seen["bid"], seen["ask"], seen["quotes"]) == (bid[-1], ask[-1], count)
    assert seen["mid"] == pytest.approx((bid[-1] + ask[-1]) / 2)
    assert seen["spread"] == pytest.approx(ask[-1] - bid[-1])


def test_many_symbols_do_not_touch_each_other():
    rng = np.random.default_rng(2)
    names = [f"S{number}" for number in range(300)]
    owners = rng.integers(0, 300, 20_000)
    prices = rng.uniform(50, 60, 20_000)
    rows = trades(prices)
    rows["symbol"] = owners
    together = state(*names)
    for first in range(0, 20_000, 1024):
        together.fold(rows[first : first + 1024])
    frame = together.frame()
    assert list(frame.index) == names
    for number in (0, 17, 299):
        alone = prices[owners == number]
        assert frame.loc[f"S{number}", "ema"] == pytest.approx(talib.EMA(alone, 20)[-1], rel=1e-9)
        assert frame.loc[f"S{number}", "trades"] == len(alone)
    assert list(together.frame(["S5", "S1"]).index) == ["S5", "S1"]


def test_sums_do_not_gather_rounding_over_a_million_trades():
    prices = np.random.default_rng(3).uniform(1e-4, 1e7, 1_000_000)
    prices[-50:] = np.linspace(1e-4, 2e-4, 50)
    seen = folded(trades(prices, keys=np.arange(1_000_000)), windows=Windows(sma=20, remembered=1024)).of("A")
    assert seen["sma"] == pytest.approx(prices[-20:].mean(), rel=1e-9)


def test_nothing_is_said_before_it_is_known():
    assert len(state().frame()) == 0
    seen = folded(trades([-1.0])).frame().iloc[0]
    numbers = seen.drop(["time", "quote_time", "bar_time", "trades", "quotes", "bars", "late", "duplicates", "bad"])
    assert numbers.isna().all()
    assert pd.isna(seen["time"])
    flat = folded(trades([5.0] * 30, NAN)).of("A")
    assert math.isnan(flat["rsi"])  # no price has changed: neither strong nor weak
    assert flat["volatility"] == 0.0
    assert math.isnan(flat["vwap"])  # no size was said
    assert math.isnan(flat["volume"])
    assert flat["trades"] == 30
    with pytest.raises(NoData, match="no event of B"):
        state().of("B")


def test_a_late_trade_counts_where_order_does_not_matter_and_nowhere_else():
    prices = walk_of(40)
    made = folded(trades(prices, 2.0))
    before = made.of("A")
    late = trades([1.0], [8.0], times=[10.5], keys=[99])
    made.fold(late)
    after = made.of("A")
    assert late["flags"][0] == LATE
    for name in ("last", "ema", "sma", "rsi", "volatility", "time", "high"):
        assert after[name] == before[name], name
    assert after["low"] == 1.0
    assert after["volume"] == before["volume"] + 8
    assert after["vwap"] == pytest.approx((2 * prices.sum() + 8) / (80 + 8), rel=1e-12)
    assert (after["trades"], after["late"]) == (41, 1)


def test_trades_of_one_moment_are_in_the_order_of_their_coming():
    made = folded(trades([10.0, 11.0, 12.0], times=[1, 1, 1]))
    assert made.of("A")["last"] == 12.0
    assert made.of("A")["late"] == 0


def test_a_trade_counts_once_by_its_number_and_without_one_by_what_it_says():
    rows = trades([10.0, 10.0, 10.0, 10.0, 10.0], times=[1, 1, 1, 1, 1], keys=[5, 6, 5, 0, 0])
    made = folded(rows)
    assert rows["flags"].tolist() == [0, 0, DUPLICATE, 0, DUPLICATE]
    assert made.of("A")["trades"] == 3
    # The nanoseconds that a source has lost do not make another trade of it.
    again = trades([10.0], times=[1], keys=[5])
    again["time"] += 999
    made.fold(again)
    assert again["flags"].tolist() == [DUPLICATE]


def test_at_least_the_last_remembered_trades_are_known_again():
    keys = np.arange(1, 1001)
    made = folded(trades(np.full(1000, 10.0), keys=keys), windows=Windows(remembered=64))
    assert new_memory(64).shape == (2, 128)
    again = trades(np.full(64, 10.0), times=np.arange(936, 1000), keys=keys[936:])
    made.fold(again)
    assert set(again["flags"].tolist()) == {DUPLICATE}
    forgotten = trades([10.0], times=[0], keys=[1])
    made.fold(forgotten)
    assert forgotten["flags"].tolist() == [LATE]


@pytest.mark.parametrize(
    ("price", "size"), [(0.0, 1), (-1.0, 1), (NAN, 1), (math.inf, 1), (10.0, -1), (10.0, math.inf)]
)
def test_a_trade_that_cannot_be_changes_nothing(price, size):
    made = folded(trades([10.0, 11.0]))
    before = made.of("A")
    wrong = trades([price], [size], times=[5], keys=[9])
    made.fold(wrong)
    assert wrong["flags"].tolist() == [BAD]
    after = made.of("A")
    assert after.pop("bad") == before.pop("bad") + 1
    pd.testing.assert_series_equal(pd.Series(after), pd.Series(before))


def test_a_moment_far_ahead_of_its_arrival_does_not_make_everything_after_it_late():
    rows = trades([10.0, 11.0, 12.0], times=[1, 400, 2], learned=T0 + 2 * SECOND)
    made = folded(rows)
    assert rows["flags"].tolist() == [0, BAD, 0]
    assert made.of("A")["last"] == 12.0


@pytest.mark.parametrize(
    ("bid", "ask", "bid_size", "ask_size", "flag"),
    [
        (1, 2, 1, 1, 0), (0, 2, 1, 1, 0), (1, 0, 1, 1, 0), (1, NAN, NAN, NAN, 0), (0, 0, 1, 1, BAD),
        (NAN, NAN, 1, 1, BAD),
        (-1, 2, 1, 1, BAD), (1, math.inf, 1, 1, BAD), (1, 2, -1, 1, BAD), (1, 2, 1, -1, BAD),
    ],
)  # fmt: skip
def test_a_quote_needs_one_side(bid, ask, bid_size, ask_size, flag):
    rows = rows_of(2, 0, [T0], bid, ask, bid_size, ask_size)
    assert folded(rows).of("A")["quotes"] == (0 if flag else 1)
    assert rows["flags"].tolist() == [flag]


def test_a_repeated_quote_is_a_duplicate_a_changed_one_is_not_and_an_older_one_is_late():
    rows = rows_of(2, 0, [T0, T0, T0, T0 - 1], [1, 1, 1, 0.5], [2, 2, 3, 2], [NAN, NAN, NAN, 1], 5)
    made = folded(rows)
    assert rows["flags"].tolist() == [0, DUPLICATE, 0, LATE]
    assert (made.of("A")["ask"], made.of("A")["quotes"]) == (3, 2)


def bars(kind, minutes, closes, **more):
    closes = np.asarray(closes, dtype=float)
    return rows_of(
        kind, 0, T0 + 60 * SECOND * np.asarray(minutes), closes, closes + 1, closes - 0.5, closes, 10.0, **more
    )


def test_an_updated_bar_replaces_the_newest_and_a_repeated_one_counts_once():
    far = {"learned": T0 + 3600 * SECOND}
    made, first = state(), bars(3, [0, 1, 1, 0], [5, 6, 6, 5], **far)
    made.fold(first)
    assert first["flags"].tolist() == [0, 0, DUPLICATE, DUPLICATE]
    updated = bars(4, [1, 1, 0], [6.5, 6.5, 5.5], **far)
    made.fold(updated)
    assert updated["flags"].tolist() == [0, DUPLICATE, LATE]
    seen = made.of("A")
    assert (seen["bar_close"], seen["bar_high"], seen["bars"]) == (6.5, 7.5, 2)
    older = bars(3, [-1], [9], **far)
    made.fold(older)
    assert older["flags"].tolist() == [LATE]
    days = bars(5, [-600, -600, -600], [7, 8, 8], **far)
    made.fold(days)
    assert days["flags"].tolist() == [0, 0, DUPLICATE]
    assert made.of("A")["bar_close"] == 6.5


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ((5, 6, 4, 5, 1), 0), ((NAN, NAN, NAN, 5, NAN), 0), ((5, 4, 6, 5, 1), BAD), ((7, 6, 4, 5, 1), BAD),
        ((5, 6, 4, 7, 1), BAD),
        ((3, 6, 4, 5, 1), BAD), ((5, 6, 4, 3, 1), BAD), ((5, 6, 4, NAN, 1), BAD), ((5, 6, 4, 0, 1), BAD),
        ((5, 6, 4, 5, -1), BAD),
        ((0, 6, 4, 5, 1), BAD), ((5, math.inf, 4, 5, 1), BAD), ((5, 6, -4, 5, 1), BAD), ((5, 6, 4, 5, math.inf), BAD),
    ],
)  # fmt: skip
def test_a_bar_must_hold_its_prices(values, flag):
    rows = rows_of(3, 0, [T0], *values)
    folded(rows)
    assert rows["flags"].tolist() == [flag]


def test_day_figures_begin_anew_and_a_late_trade_of_yesterday_stays_out_of_today():
    days = pd.DatetimeIndex([pd.Timestamp(T0 + 100 * SECOND, tz="UTC"), pd.Timestamp(T0 + 200 * SECOND, tz="UTC")])
    made = folded(trades([10.0, 30.0, 20.0], [1.0, 1.0, 3.0], times=[50, 60, 120]), days=days)
    seen = made.of("A")
    assert (seen["high"], seen["low"], seen["volume"], seen["vwap"], seen["trades"]) == (20, 20, 3, 20, 1)
    made.fold(trades([99.0], [1.0], times=[99], keys=[8]))
    assert made.of("A")["high"] == 20
    assert made.of("A")["late"] == 1
    made.fold(trades([5.0], [2.0], times=[250], keys=[9]))
    assert (made.of("A")["high"], made.of("A")["vwap"]) == (5, 5)
    assert made.of("A")["last"] == 5


def test_the_tally_is_kept_by_channel():
    made = state()
    made.fold(trades([1.0, 2.0, -1.0], keys=[1, 2, 3]))
    made.fold(trades([1.0], times=[0], keys=[1]))
    made.fold(rows_of(2, 0, [T0, T0 - 1], 1, 2, 1, 1))
    tally = made.tally()
    assert tally.loc["trades"].tolist() == [4, 0, 1, 1]
    assert tally.loc["quotes"].tolist() == [2, 1, 0, 0]
    assert made.newest(1) == T0 + SECOND
    assert made.newest(2) == T0


sent = st.lists(
    st.tuples(
        st.integers(0, 30), st.sampled_from([9.5, 10.0, 10.25, 11.0]), st.sampled_from([1.0, 5.0]), st.integers(1, 40)
    ),
    min_size=1,
    max_size=60,
)


@settings(deadline=None, max_examples=60)
@given(sent, st.integers(1, 60))
def test_any_order_with_repeats_gives_what_a_plain_reading_gives(given_, batch):
    rows = trades(
        [price for _, price, _, _ in given_],
        [size for _, _, size, _ in given_],
        times=[time for time, *_ in given_],
        keys=[key for *_, key in given_],
        learned=T0 + 3600 * SECOND,
    )
    made = state()
    for first in range(0, len(rows), batch):
        made.fold(rows[first : first + batch])
    seen, unique, path, newest = set(), [], [], -1
    for one in given_:
        if one in seen:
            continue
        seen.add(one)
        unique.append(one)
        if one[0] >= newest:
            newest = one[0]
            path.append(one[1])
    told = made.of("A")
    assert told["trades"] == len(unique)
    assert told["duplicates"] == len(given_) - len(unique)
    assert told["late"] == len(unique) - len(path)
    assert told["last"] == path[-1]
    assert told["vwap"] == pytest.approx(
        sum(p * s for _, p, s, _ in unique) / sum(s for _, _, s, _ in unique), rel=1e-12
    )
    truth = np.array(path)
    assert told["ema"] == pytest.approx(talib.EMA(truth, 20)[-1], rel=1e-9, nan_ok=True)
    assert told["sma"] == pytest.approx(talib.SMA(truth, 20)[-1], rel=1e-9, nan_ok=True)
    if len(truth) > 14 and np.any(np.diff(truth)):
        assert told["rsi"] == pytest.approx(talib.RSI(truth, 14)[-1], rel=1e-9, abs=1e-9)


def test_a_state_can_be_read_while_it_is_folded():
    made, stop, read = folded(trades([10.0], keys=[30_000])), threading.Event(), []

    def look():
        while not stop.is_set():
            read.append(made.frame().loc["A", "trades"])

    thread = threading.Thread(target=look)
    thread.start()
    for first in range(0, 20_000, 100):
        made.fold(trades(np.full(100, 10.0), times=np.arange(first, first + 100), keys=np.arange(first, first + 100)))
    stop.set()
    thread.join()
    assert read == sorted(read)
    assert made.of("A")["trades"] == 20_001


@pytest.mark.parametrize(
    "wrong",
    [
        {"ema": 0},
        {"sma": 20_000},
        {"rsi": 1.5},
        {"spread": True},
        {"decay": 1.0},
        {"remembered": 0},
        {"ahead_seconds": -1},
    ],
)
def test_windows_have_bounds(wrong):
    with pytest.raises(ParameterError):
        Windows(**wrong)
