import itertools
import json
import math
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.arena.evidence import EvidencePack, significant
from workbench.arena.facts import CATALOGUE, ROWS
from workbench.errors import ArenaError, NoData
from workbench.market.bars import Bars
from workbench.market.view import MarketView
from workbench.study import digest

PRINT_HASH = """
import numpy as np, pandas as pd
from workbench.arena.evidence import EvidencePack
from workbench.market.bars import Bars
from workbench.market.view import MarketView
index = pd.bdate_range("2014-01-01", periods=300)
walk = np.random.default_rng(5).normal(0, 0.01, (300, 6)).cumsum(axis=0)
close = pd.DataFrame(np.exp(walk), index=index, columns=list("ABCDEF"))
view = MarketView(as_of=pd.Timestamp("2015-03-01T21:00Z"), bars=Bars(close=close), label="SYNTHETIC · ü")
print(EvidencePack.of(view, "C").hash)
"""


def wilder_rsi(closes, window=14):
    """Wilder's own recursion (New Concepts in Technical Trading Systems, 1978), spelled out."""
    changes = [after - before for before, after in itertools.pairwise(closes)]
    gain = sum(max(change, 0) for change in changes[:window]) / window
    loss = sum(max(-change, 0) for change in changes[:window]) / window
    for change in changes[window:]:
        gain = (gain * (window - 1) + max(change, 0)) / window
        loss = (loss * (window - 1) + max(-change, 0)) / window
    return 100 - 100 / (1 + gain / loss)


def test_values_agree_with_pandas_and_with_recursions_spelled_out(draw_view):
    view = draw_view(full=True)
    pack = EvidencePack.of(view, "S02")
    close, bars = view.bars.close["S02"], view.bars
    daily = close.pct_change()
    momentum = bars.close.iloc[-22] / bars.close.iloc[-253] - 1
    quarter = bars.close.iloc[-1] / bars.close.iloc[-64] - 1
    gaps = (bars.open["S02"] / close.shift(1) - 1).iloc[-252:]
    expected = {
        "last_close": close.iloc[-1],
        "closes_known": 253,
        "return_5": close.iloc[-1] / close.iloc[-6] - 1,
        "return_252": close.iloc[-1] / close.iloc[-253] - 1,
        "momentum_252_21": momentum["S02"],
        "trend_50": close.iloc[-1] / close.rolling(50).mean().iloc[-1] - 1,
        "trend_50_200": close.rolling(50).mean().iloc[-1] / close.rolling(200).mean().iloc[-1] - 1,
        "below_high_252": close.iloc[-1] / close.rolling(252).max().iloc[-1] - 1,
        "above_low_252": close.iloc[-1] / close.rolling(252).min().iloc[-1] - 1,
        "breakout_63": close.iloc[-1] / close.iloc[-64:-1].max() - 1,
        "worst_drawdown_252": (close.iloc[-252:] / close.iloc[-252:].cummax() - 1).min(),
        "volatility_21": daily.rolling(21).std().iloc[-1] * math.sqrt(252),
        "volatility_ratio": daily.rolling(21).std().iloc[-1] / daily.rolling(252).std().iloc[-1],
        "worst_session_252": daily.iloc[-252:].min(),
        "rsi_14": wilder_rsi(close.iloc[-253:].tolist()),
        "rank_momentum": (momentum.drop("S02") < momentum["S02"]).mean(),
        "excess_63": quarter["S02"] - quarter.drop("S02").median(),
        "breadth_200": (bars.close.iloc[-1] > bars.close.rolling(200).mean().iloc[-1]).mean(),
        "breadth_21": (bars.close.iloc[-1] > bars.close.iloc[-22]).mean(),
        "gap": gaps.iloc[-1],
        "worst_gap_252": gaps.min(),
        "volume_ratio_5_63": bars.volume["S02"].iloc[-5:].mean() / bars.volume["S02"].iloc[-63:].mean(),
    }
    for name, value in expected.items():
        assert pack.item(name).value == pytest.approx(value, rel=1e-5), name
    assert not pack.missing
    assert pack.item("worst_session_252").happened == daily.iloc[-252:].idxmin().date().isoformat()
    assert pack.item("worst_gap_252").happened == gaps.idxmin().date().isoformat()
    assert 0 < pack.item("range_14").value < 0.2
    assert {item.happened for item in pack.items} <= {day.date().isoformat() for day in view.bars.sessions}


def test_the_hash_is_the_same_in_another_process_with_another_hash_seed():
    namespace = {"print": lambda text: namespace.update(here=text)}
    exec(PRINT_HASH, namespace)  # noqa: S102 - the same lines here and there
    there = subprocess.run(
        [sys.executable, "-c", PRINT_HASH],
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == namespace["here"]


def test_the_hash_does_not_depend_on_the_order_of_keys_or_columns(draw_view):
    view = draw_view()
    pack = EvidencePack.of(view, "S03")
    backwards = json.loads(json.dumps({key: pack.body[key] for key in reversed(pack.body)}))
    assert digest(backwards) == pack.hash
    assert EvidencePack.from_body(backwards) == pack
    turned = MarketView(as_of=view.as_of, bars=view.bars.of(view.symbols[::-1]), venue=view.venue, label=view.label)
    assert EvidencePack.of(turned, "S03").hash == pack.hash


def test_one_other_close_in_reach_is_another_pack_and_one_out_of_reach_is_not(draw_view):
    view = draw_view(length=400)
    pack = EvidencePack.of(view, "S00")
    for row, same in ((-1, False), (-100, False), (-253, False), (-ROWS - 1, True)):
        close = view.bars.close.copy()
        close.iloc[row, 0] *= 1.01
        changed = MarketView(as_of=view.as_of, bars=Bars(close=close), venue=view.venue, label=view.label)
        assert (EvidencePack.of(changed, "S00").hash == pack.hash) is same, row


def test_where_the_history_starts_does_not_matter(draw_view):
    view = draw_view(length=500)
    shorter = MarketView(
        as_of=view.as_of, bars=view.bars.between(view.bars.sessions[-ROWS], view.session), label=view.label
    )
    for symbol in view.symbols:
        assert EvidencePack.of(view, symbol).text == EvidencePack.of(shorter, symbol).text


def test_label_and_kind_of_data_are_part_of_the_pack(draw_view):
    view = draw_view()
    real = MarketView(as_of=view.as_of, bars=view.bars, label="real")
    assert EvidencePack.of(view, "S00").hash != EvidencePack.of(real, "S00").hash


def test_what_a_short_history_cannot_tell_is_named_with_a_reason(view_of):
    rising = [100 + step for step in range(70)]
    pack = EvidencePack.of(view_of({"A": rising}), "A")
    known = {item.name for item in pack.items}
    reasons = {line.name: line.reason for line in pack.missing}
    assert {"last_close", "return_63", "breakout_63", "volatility_21"} <= known
    assert reasons["trend_200"] == "needs 200 closes; 70 are known"
    assert reasons["rsi_14"] == "needs 120 closes; 70 are known"
    assert "other symbols" in reasons["excess_63"]
    assert reasons["gap"] == "the source gives no open for this symbol"
    assert known.isdisjoint(reasons)
    assert len(known) + len(reasons) == len(CATALOGUE)
    assert {item.id for item in pack.items}.isdisjoint(line.id for line in pack.missing)
    assert "NaN" not in pack.text


def test_a_symbol_without_a_close_in_the_newest_session_has_only_its_count(view_of):
    stale = [100.0 + step for step in range(299)] + [math.nan]
    pack = EvidencePack.of(view_of({"A": stale, "B": range(1, 301)}), "A")
    assert [item.name for item in pack.items] == ["closes_known"]
    assert all("no close in the newest session 2015-06-30" in line.reason for line in pack.missing)


def test_a_symbol_that_never_had_a_close_is_all_missing(view_of):
    pack = EvidencePack.of(view_of({"A": [math.nan] * 10, "B": range(1, 11)}), "A")
    assert pack.items == ()
    assert len(pack.missing) == len(CATALOGUE)


def test_prices_that_are_none_count_as_absent(view_of):
    closes = [100.0 + step % 7 for step in range(300)]
    broken = [*closes]
    broken[150], broken[160], broken[170] = math.inf, 0.0, -3.0
    pack = EvidencePack.of(view_of({"A": broken}), "A")
    assert pack.item("below_high_252").value > -0.07
    assert pack.item("worst_session_252").value > -0.07


def test_a_price_that_never_moves_has_no_rsi_and_a_true_volatility_of_zero(view_of):
    pack = EvidencePack.of(view_of({"A": [50.0] * 300}), "A")
    assert pack.item("rsi_14") is None
    assert pack.item("volatility_ratio") is None
    assert pack.item("volatility_252").value == 0.0


def test_a_gap_in_the_opens_is_a_missing_fact_not_a_zero(draw_view):
    view = draw_view(full=True)
    opens = view.bars.open.copy()
    opens.iloc[-10, 0] = np.nan
    bars = Bars(close=view.bars.close, open=opens, high=view.bars.high, low=view.bars.low)
    pack = EvidencePack.of(MarketView(as_of=view.as_of, bars=bars), "S00")
    reasons = {line.name: line.reason for line in pack.missing}
    assert reasons["worst_gap_252"] == "open is absent in 1 of 252 sessions"
    assert pack.item("gap") is not None
    assert "volume" in reasons["volume_ratio_5_63"]


def test_the_frame_shows_known_and_missing(draw_view):
    frame = EvidencePack.of(draw_view(), "S00").as_frame()
    assert frame.index.name == "id"
    assert len(frame) == len(CATALOGUE)
    assert frame.loc["e01", "name"] == "last_close"
    missing = frame[frame["value"].isna()]
    assert missing["note"].str.startswith("missing: ").all()
    assert set(missing["name"]) == {"gap", "worst_gap_252", "range_14", "volume_ratio_5_63"}


def test_wrong_questions_are_refused(pack, draw_view):
    with pytest.raises(NoData, match="TSLA"):
        EvidencePack.of(draw_view(), "TSLA")
    with pytest.raises(ArenaError, match="moonphase"):
        pack.item("moonphase")
    with pytest.raises(ArenaError, match="schema 99"):
        EvidencePack.from_body({**pack.body, "schema": 99})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_is_stable_and_never_minus_zero(value):
    once = significant(value)
    assert significant(once) == once
    assert math.copysign(1, once) == 1 or once != 0
    if math.isfinite(once) and value:
        assert once == pytest.approx(value, rel=1e-5, abs=1e-320)


def test_all_symbols_at_once_equal_one_by_one(draw_view):
    view = draw_view()
    assert EvidencePack.of_all(view, view.symbols) == [EvidencePack.of(view, symbol) for symbol in view.symbols]
    assert pd.Timestamp(EvidencePack.of(view, "S00").as_of) == view.as_of
