import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.data import adjust, history
from workbench.data.adjust import adjusted, as_actions, factors, not_applied
from workbench.data.intake import take_in
from workbench.data.kinds import kind_of
from workbench.data.raw import RawBars
from workbench.data.source import DAILY_COLUMNS
from workbench.data.sources import SOURCES, about, open_source
from workbench.data.sources.bundled import BundledSource
from workbench.errors import BadData, DataError, NoData
from workbench.market.actions import Delisting, Dividend, Split
from workbench.study import Study

DAYS = sessions.sessions("XNYS", "2015-06-01", "2015-06-10")  # eight sessions
FAR = pd.Timestamp("2015-12-31", tz="UTC")
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def bars(closes, symbol="ABC", days=DAYS):
    moments = sessions.close_times("XNYS", days)
    close = np.asarray(closes, dtype=float)
    rows = pd.DataFrame({"symbol": symbol, "session": days, "open": close - 1, "high": close + 1, "low": close - 2})
    return rows.assign(close=close, volume=1000.0, happened=moments, learned=moments)[list(DAILY_COLUMNS)]


def acts(*told, symbol="ABC"):
    """Actions told as (key, day, number, day learned)."""
    rows = [
        {
            "symbol": symbol,
            "session": pd.Timestamp(day),
            "key": key,
            "ratio": number if key.startswith(("split", "spinoff")) else np.nan,
            "amount": np.nan if key.startswith(("split", "spinoff", "name")) else number,
            "happened": pd.Timestamp(learned, tz="UTC"),
            "learned": pd.Timestamp(learned, tz="UTC"),
            "source": "test",
        }
        for key, day, number, learned in told
    ]
    return kind_of("actions").typed(pd.DataFrame(rows)) if rows else kind_of("actions").empty()


SPLIT = ("split:1", "2015-06-04", 2.0, "2015-05-20")
DIVIDEND = ("dividend:1", "2015-06-08", 0.50, "2015-05-25")
# 100 → 102 → 104, two for one: 52 → 50, half a dollar of dividend: 49.5 → 51 → 50
RAW = [100, 102, 104, 52, 50, 49.5, 51, 50]


def test_an_example_worked_by_hand():
    """The dividend is 0.50 / 50 = 1 % of the close before it; before the split prices are halved as well."""
    result = adjusted(bars(RAW), acts(SPLIT, DIVIDEND), until=DAYS[-1])
    half = 0.99 / 2
    wanted = [100 * half, 102 * half, 104 * half, 52 * 0.99, 50 * 0.99, 49.5, 51, 50]
    np.testing.assert_allclose(result["close"], wanted, rtol=1e-15)
    np.testing.assert_allclose(wanted[:4], [49.5, 50.49, 51.48, 51.48])
    assert result["volume"].tolist() == [2000, 2000, 2000, 1000, 1000, 1000, 1000, 1000]
    np.testing.assert_allclose(result["open"], [99 * half, 101 * half, 103 * half, 51 * 0.99, 49 * 0.99, 48.5, 50, 49])
    # A holder of one share at the first close has two at the end, and a dollar; reinvested before it fell off, as much
    # as the adjusted prices say: 2 · 50 · (50 / 49.5) = 100 · 50 / 49.5.
    assert result["close"].iloc[-1] / result["close"].iloc[0] == pytest.approx((2 * 50 * (50 / 49.5)) / 100)


def test_splits_only_leaves_dividends_in_the_prices():
    result = adjusted(bars(RAW), acts(SPLIT, DIVIDEND), until=DAYS[-1], dividends=False)
    assert result["close"].tolist() == [50, 51, 52, 52, 50, 49.5, 51, 50]


def test_an_action_after_the_last_session_changes_nothing_yet():
    rows = bars(RAW)
    pd.testing.assert_frame_equal(adjusted(rows, acts(SPLIT, DIVIDEND), until=pd.Timestamp("2015-06-03")), rows)
    before = adjusted(rows, acts(SPLIT, DIVIDEND), until=pd.Timestamp("2015-06-05"))
    assert before["close"].tolist() == [50, 51, 52, 52, 50, 49.5, 51, 50]


def test_a_split_and_a_dividend_on_one_day_pay_the_new_shares():
    both = acts(SPLIT, ("dividend:1", "2015-06-04", 0.52, "2015-05-25"))
    rows = bars(RAW)
    result = adjusted(rows, both, until=DAYS[-1])
    # 104 becomes two shares of 52 that pay 0.52 each, one part in a hundred of them
    np.testing.assert_allclose(result["close"][:3], np.array([100, 102, 104]) / 2 * 0.99)
    two = acts(SPLIT, ("split:2", "2015-06-04", 3.0, "2015-05-20"))
    np.testing.assert_allclose(adjusted(rows, two, until=DAYS[-1])["close"][:3], np.array([100, 102, 104]) / 6)


def test_symbols_do_not_touch_each_other_and_the_order_of_rows_does_not_matter():
    rows = pd.concat([bars(RAW), bars(RAW, symbol="XYZ")], ignore_index=True)
    known = pd.concat([acts(SPLIT), acts(("split:9", "2015-06-05", 0.1, "2015-05-01"), symbol="XYZ")])
    known = pd.concat([known, acts(SPLIT, symbol="NOTHERE")])
    result = adjusted(rows, known, until=DAYS[-1])
    assert result["close"][:8].tolist() == [50, 51, 52, 52, 50, 49.5, 51, 50]
    np.testing.assert_allclose(result["close"][8:], [1000, 1020, 1040, 520, 50, 49.5, 51, 50])
    mixed = rows.sample(frac=1, random_state=7)
    pd.testing.assert_frame_equal(adjusted(mixed, known, until=DAYS[-1]).sort_index(), result)


def test_missing_closes_are_passed_over_and_stay_missing():
    rows = bars([100, np.nan, 104, 52, np.nan, 49.5, 51, 50])
    result = adjusted(rows, acts(SPLIT, DIVIDEND), until=DAYS[-1])
    part = 1 - 0.5 / 52  # the last close before the ex-day is that of the split
    np.testing.assert_allclose(result["close"][[0, 2, 3]], [50 * part, 52 * part, 52 * part])
    assert result["close"].isna().tolist() == rows["close"].isna().tolist()
    first = acts(("dividend:0", "2015-06-01", 0.5, "2015-05-25"))
    assert (factors(rows, first, until=DAYS[-1]) == 1).all().all()  # nothing is known before it


def test_intraday_bars_use_the_last_close_of_the_session_before():
    source = open_source("synthetic")
    rows = source.bars(["SYN01"], start=DAYS[0], end=DAYS[2], timeframe="1h")
    known = acts(("dividend:1", str(DAYS[1].date()), 1.0, "2015-05-25"), symbol="SYN01")
    last = rows[rows["session"] == DAYS[0]]["close"].iloc[-1]
    by = factors(rows, known, until=DAYS[2])["price"]
    np.testing.assert_allclose(by[rows["session"] == DAYS[0]], 1 - 1.0 / last)
    assert (by[rows["session"] > DAYS[0]] == 1).all()


def test_a_dividend_above_the_price_is_refused():
    with pytest.raises(BadData, match=r"'ABC' pays 60 per share on 2015-06-08.*nothing was adjusted"):
        adjusted(bars(RAW), acts(("dividend:1", "2015-06-08", 60.0, "2015-05-25")), until=DAYS[-1])


def test_actions_of_a_replay_and_what_nobody_can_apply():
    known = acts(
        SPLIT,
        DIVIDEND,
        ("delisting:1", "2015-06-10", 0.0, "2015-05-25"),
        ("delisting:2", "2015-06-10", np.nan, "2015-05-25"),
        ("merger:1", "2015-06-09", 55.0, "2015-05-25"),
        ("spinoff:1", "2015-06-09", 0.2, "2015-05-25"),
        ("dividend:2", "2015-06-06", 0.1, "2015-05-25"),  # a Saturday
        ("name:1", "2015-06-09", np.nan, "2015-05-25"),
    )
    actions = as_actions(known)
    assert actions.splits == (Split("ABC", pd.Timestamp("2015-06-04"), 2.0),)
    assert actions.dividends == (
        Dividend("ABC", pd.Timestamp("2015-06-08"), 0.5),
        Dividend("ABC", pd.Timestamp("2015-06-08"), 0.1),
    )
    assert set(actions.delistings) == {
        Delisting("ABC", pd.Timestamp("2015-06-09"), 0.0),
        Delisting("ABC", pd.Timestamp("2015-06-08"), 55.0),
    }
    assert not_applied(known)["key"].tolist() == ["delisting:2", "spinoff:1"]
    assert not as_actions(kind_of("actions").empty())


# A study over raw bars: the actions are those known at its moment.
class Rising(BundledSource):
    """Closes of 100 and more, halved by a split on the tenth of June."""

    name = "alpaca"
    label = "raw prices of a test"

    def bars(self, symbols, *, start, end, timeframe="1d"):
        days = sessions.sessions("XNYS", start, end)
        close = np.where(days < pd.Timestamp("2015-06-10"), 200.0, 100.0) + np.arange(len(days)) / 100
        return pd.concat([bars(close, symbol=symbol, days=days) for symbol in symbols], ignore_index=True)


@pytest.fixture
def raw(workspace, monkeypatch):
    """A workspace with raw bars of one symbol; its split is announced twice, in different words."""
    study = Study.of("ABC", start="2015-06-01", as_of="2015-06-30", source="alpaca-raw")
    monkeypatch.setattr(
        "workbench.data.history.about", lambda name, **_: RawBars(Rising()) if "raw" in name else about(name)
    )
    history.collect(study, workspace=workspace, source=RawBars(Rising()), warm_up=5)
    for ratio, learned in ((4.0, "2015-06-01"), (2.0, "2015-06-15")):
        take_in(
            acts(("split:1", "2015-06-10", ratio, learned)),
            workspace=workspace,
            kind="actions",
            dataset="actions/alpaca",
            known_until=FAR,
            symbols=["ABC"],
            record=(pd.Timestamp("2015-01-01"), pd.Timestamp("2015-06-30")),
        )
    return workspace


@sqlite_only
def test_a_history_is_adjusted_with_what_was_known_at_its_moment(raw):
    def close(as_of, **options):
        study = Study.of("ABC", start="2015-06-01", as_of=as_of, source="alpaca-raw")
        return history.load(study, workspace=raw, warm_up=5, **options)

    early, middle, late = (close(day, actions="alpaca") for day in ("2015-06-09", "2015-06-12", "2015-06-30"))
    first = early.sessions[0]
    assert early.close.loc[first, "ABC"] == 200.0  # the split is known, but not yet in the prices
    assert middle.close.loc[first, "ABC"] == 50.0  # as it was first announced
    assert late.close.loc[first, "ABC"] == 100.0  # as it was corrected
    assert middle.close.iloc[-1].item() == close("2015-06-12").close.iloc[-1].item()
    assert middle.bars.volume.loc[first, "ABC"] == 4000.0
    assert not late.actions
    assert "adjusted with the actions of alpaca" in late.provenance["adjustment"]
    assert late.provenance["fingerprint"] != close("2015-06-30").provenance["fingerprint"]
    assert late.provenance["learned_until"] == "2015-06-30T20:00:00+00:00"


@sqlite_only
def test_raw_bars_can_be_replayed_with_their_actions(raw):
    study = Study.of("ABC", start="2015-06-01", as_of="2015-06-30", source="alpaca-raw")
    loaded = history.load(study, workspace=raw, warm_up=5, actions="alpaca", adjust=False)
    assert loaded.close.iloc[0].item() == 200.0
    assert loaded.actions.splits == (Split("ABC", pd.Timestamp("2015-06-10"), 2.0),)
    assert "raw" in loaded.label
    plain = history.load(study, workspace=raw, warm_up=5)
    assert plain.provenance["adjustment"] == adjust.SAYS["raw"]


@sqlite_only
def test_nothing_is_adjusted_twice_or_without_having_asked_for_the_actions(raw):
    study = Study.of("AAPL", start="2015-06-01", as_of="2015-06-30")
    history.collect(study, workspace=raw, warm_up=5)
    with pytest.raises(DataError, match="'bundled' adjusts its bars itself; nothing was adjusted twice"):
        history.load(study, workspace=raw, warm_up=5, actions="alpaca")
    assert history.load(study, workspace=raw, warm_up=5).provenance["adjustment"] == adjust.SAYS["all"]
    asked = Study.of("ABC", start="2015-06-01", as_of="2015-06-30", source="alpaca-raw")
    with pytest.raises(NoData, match="ABC was not collected"):
        history.load(asked, workspace=raw, warm_up=5, actions="massive")
    with pytest.raises(DataError, match="stored as 'raw', and this source gives 'all'"):
        history.collect(asked, workspace=raw, source=Named())


class Named(BundledSource):
    """Adjusted bars under the name of raw ones."""

    name = "alpaca-raw"


def test_what_a_source_does_not_say_counts_as_adjusted():
    assert adjust.adjustment_of(BundledSource()) == "all"
    assert adjust.adjustment_of(RawBars(BundledSource())) == "raw"
    with pytest.raises(DataError, match="adjustment='half'"):
        adjust.adjustment_of(type("Half", (), {"name": "half", "adjustment": "half"})())
    raws = [name for name in SOURCES if name.endswith("-raw")]
    assert raws == ["alpaca-raw", "massive-raw"]
    assert [(about(name).name, about(name).adjustment) for name in raws] == [(name, "raw") for name in raws]
