import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.data import headlines
from workbench.data.simulated import joined
from workbench.data.sources.synthetic import SYMBOLS, SyntheticSource
from workbench.errors import DataError

START, END = pd.Timestamp("2003-01-02"), pd.Timestamp("2022-12-30")
PINNED_DAY = (144.66, 146.41, 143.55, 145.1, 1358318.0)
PINNED_MINUTE = (144.15, 144.17, 144.04, 144.04, 2183.0)


@pytest.fixture(scope="module")
def source():
    return SyntheticSource(seed=7)


@pytest.fixture(scope="module")
def rows(source):
    return source.bars(SYMBOLS, start=START, end=END)


@pytest.fixture(scope="module")
def returns(rows):
    return np.log(rows.pivot_table(index="session", columns="symbol", values="close")).diff().dropna()


def test_the_market_of_a_seed_never_changes(source):
    """Pinned: whoever changes how the market is drawn changes every stored synthetic result, and should know it."""
    row = source.bars(["SYN01"], start=pd.Timestamp("2013-01-02"), end=pd.Timestamp("2013-01-02")).iloc[0]
    assert (row["open"], row["high"], row["low"], row["close"], row["volume"]) == PINNED_DAY
    minute = source.bars(["SYN01"], start=row["session"], end=row["session"], timeframe="1m").iloc[100]
    assert (minute["open"], minute["high"], minute["low"], minute["close"], minute["volume"]) == PINNED_MINUTE


def test_more_symbols_leave_the_first_ones_alone():
    """The symbols from SYN21 on are drawn in a block of their own, on the same market factor."""
    day = {"start": pd.Timestamp("2013-01-02"), "end": pd.Timestamp("2013-03-28")}
    alone = SyntheticSource(seed=7).bars(SYMBOLS[:20], **day)
    whole = SyntheticSource(seed=7).bars(SYMBOLS, **day)
    pd.testing.assert_frame_equal(whole.iloc[: len(alone)], alone)
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 100
    closes = whole.pivot_table(index="session", columns="symbol", values="close")
    assert len({tuple(closes[symbol]) for symbol in SYMBOLS}) == 100


def test_another_seed_is_another_market(source):
    day = {"start": pd.Timestamp("2013-01-02"), "end": pd.Timestamp("2013-03-28")}
    here = source.bars(SYMBOLS, **day)["close"].to_numpy()
    there = SyntheticSource(seed=8).bars(SYMBOLS, **day)["close"].to_numpy()
    assert (here != there).mean() > 0.99


def test_a_holiday_more_or_less_moves_no_other_session(source, monkeypatch):
    before = source.bars(["SYN05"], start=pd.Timestamp("2015-06-01"), end=pd.Timestamp("2015-06-30"))
    real = sessions.sessions
    closed = pd.Timestamp("2015-06-10")
    monkeypatch.setattr(sessions, "sessions", lambda *asked: real(*asked).drop(closed, errors="ignore"))
    after = SyntheticSource(seed=7).bars(["SYN05"], start=pd.Timestamp("2015-06-01"), end=pd.Timestamp("2015-06-30"))
    pd.testing.assert_frame_equal(after, before[before["session"] != closed].reset_index(drop=True))


def test_tails_are_fat(returns):
    assert returns.kurt().median() > 1.0  # excess: 0 for a normal distribution
    standard = (returns - returns.mean()) / returns.std()
    assert (standard.abs() > 4).to_numpy().mean() > 10 * 6.3e-5


def test_volatility_clusters_and_direction_does_not(returns):
    size = np.mean([returns[symbol].abs().autocorr(1) for symbol in returns])
    later = np.mean([returns[symbol].abs().autocorr(20) for symbol in returns])
    direction = np.mean([returns[symbol].autocorr(1) for symbol in returns])
    assert size > 0.05
    assert later > 0.02
    assert abs(direction) < 0.03


def test_symbols_move_together_but_not_as_one(returns):
    correlation = returns.corr().to_numpy()[np.triu_indices(len(SYMBOLS), 1)]
    assert correlation.min() > 0
    assert 0.15 < correlation.mean() < 0.6


def test_volatility_is_that_of_stocks(returns):
    yearly = returns.std() * np.sqrt(252)
    assert yearly.min() > 0.12
    assert yearly.max() < 0.60


def test_the_range_of_a_day_agrees_with_its_volatility(rows):
    """Parkinson's variance from high and low against the variance from open to close: both estimate the same."""
    from_range = (np.log(rows["high"] / rows["low"]) ** 2).mean() / (4 * np.log(2))
    from_ends = (np.log(rows["close"] / rows["open"]) ** 2).mean()
    assert from_range / from_ends == pytest.approx(1.0, abs=0.15)


def test_the_open_is_neither_the_close_before_nor_far_from_it(rows):
    of_one = rows[rows["symbol"] == "SYN02"]
    gap = np.log(of_one["open"] / of_one["close"].shift()).dropna()
    assert 0.15 < gap.var() / np.log(of_one["close"]).diff().var() < 0.35


def test_prices_are_whole_cents_and_volumes_whole_shares(rows):
    for name in ("open", "high", "low", "close"):
        assert (rows[name] == rows[name].round(2)).all()
        assert rows[name].min() >= 0.01
    assert (rows["volume"] == rows["volume"].round()).all()
    assert rows["volume"].min() > 0


@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "1h"])
def test_intraday_bars_add_up_to_the_day(source, timeframe):
    asked = {"start": pd.Timestamp("2015-11-23"), "end": pd.Timestamp("2015-12-04")}  # with an early close
    inside = source.bars(SYMBOLS[:4], timeframe=timeframe, **asked)
    whole = source.bars(SYMBOLS[:4], **asked).set_index(["symbol", "session"])
    added = inside.groupby(["symbol", "session"]).agg(
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        volume=("volume", "sum"),
    )
    pd.testing.assert_frame_equal(added, whole[added.columns].sort_index())
    minutes = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}[timeframe]
    count = inside[inside["symbol"] == "SYN01"].groupby("session").size()
    assert count[pd.Timestamp("2015-11-25")] == -(-390 // minutes)
    assert count[pd.Timestamp("2015-11-27")] == -(-210 // minutes)


def test_five_minutes_are_five_times_a_minute(source):
    day = {"start": pd.Timestamp("2015-06-30"), "end": pd.Timestamp("2015-06-30")}
    one, five = (source.bars(["SYN09"], timeframe=timeframe, **day) for timeframe in ("1m", "5m"))
    again = joined({name: one[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}, 5)
    for name, values in again.items():
        assert five[name].tolist() == values.tolist()
    assert five["time"].tolist() == one["time"].tolist()[::5]


def test_minutes_follow_each_other(source):
    day = {"start": pd.Timestamp("2015-06-30"), "end": pd.Timestamp("2015-06-30")}
    minutes = source.bars(["SYN09"], timeframe="1m", **day)
    assert (minutes["open"].iloc[1:].to_numpy() == minutes["close"].iloc[:-1].to_numpy()).all()
    assert (minutes["volume"] >= 0).all()


def test_today_has_bars_too(source):
    today = sessions.session_of("XNYS", pd.Timestamp.now("UTC"))
    assert len(source.bars(SYMBOLS, start=today, end=today)) == len(SYMBOLS)
    assert len(source.bars(SYMBOLS[:1], start=today, end=today, timeframe="5m")) > 30


def test_before_the_first_day_there_is_nothing(source):
    rows = source.bars(["SYN01"], start=pd.Timestamp("1999-12-01"), end=pd.Timestamp("2000-01-04"))
    assert rows["session"].tolist() == [pd.Timestamp("2000-01-03"), pd.Timestamp("2000-01-04")]


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="seed=-1"):
        SyntheticSource(seed=-1)


def test_headlines_carry_a_planted_tone(source):
    news = source.news(SYMBOLS, start=pd.Timestamp("2015-01-02"), end=pd.Timestamp("2015-12-31"))
    count = 252 * len(SYMBOLS)
    assert len(news) / count == pytest.approx(0.2, abs=0.03)
    planted = dict((*headlines.GOOD, *headlines.BAD, *headlines.NEUTRAL))
    for row in news.itertuples():
        assert planted[row.headline.replace(row.symbol, "{symbol}")] == row.tone
    assert set(np.sign(news["tone"])) == {-1.0, 0.0, 1.0}
    assert set(news["source"]) == {"SYNTHETIC"}
    assert (news["learned"] == news["time"]).all()


def test_headlines_mostly_tell_the_truth_about_the_session(source):
    news = source.news(SYMBOLS, start=pd.Timestamp("2015-01-02"), end=pd.Timestamp("2016-12-30"))
    bars = source.bars(SYMBOLS, start=pd.Timestamp("2014-12-31"), end=pd.Timestamp("2016-12-30"))
    change = np.log(bars.pivot_table(index="session", columns="symbol", values="close")).diff()
    own = change.sub(change.mean(axis=1), axis=0)  # roughly: without the market's part
    told = news[news["tone"] != 0]
    true = [own.loc[row.session, row.symbol] * row.tone > 0 for row in told.itertuples()]
    assert 0.6 < np.mean(true) < 0.85


def test_headlines_appear_while_the_venue_is_open_and_do_not_depend_on_the_range(source):
    news = source.news(SYMBOLS, start=pd.Timestamp("2015-11-23"), end=pd.Timestamp("2015-12-04"))
    for row in news.itertuples():
        assert sessions.opens("XNYS", row.session) <= row.time < sessions.closes("XNYS", row.session)
    part = source.news(SYMBOLS[3:6], start=pd.Timestamp("2015-11-27"), end=pd.Timestamp("2015-12-01"))
    inside = news["symbol"].isin(SYMBOLS[3:6]) & news["session"].between("2015-11-27", "2015-12-01")
    assert len(part) > 0
    pd.testing.assert_frame_equal(part, news[inside].reset_index(drop=True))
    assert source.news([], start=START, end=START).empty
