"""Each feature against a published example, another library, or the formula spelled out another way."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.features.markets import columns
from workbench.features import feature, registered

ANSWERS = json.loads((Path(__file__).parents[1] / "answers" / "indicators.json").read_text(encoding="utf-8"))
DRAWN = columns(700, seed=21)
C, O, H, L, V = (pd.Series(DRAWN[name]) for name in ("close", "open", "high", "low", "volume"))  # noqa: E741
R = C / C.shift(1) - 1
YEAR = math.sqrt(252)


def wilder(values, window):
    """Wilder's mean: the first is the plain mean of the first window, then (n − 1) parts old and one part new."""
    known = values.dropna()
    mean, found = known.iloc[:window].mean(), {known.index[window - 1]: None}
    found[known.index[window - 1]] = mean
    for row, value in known.iloc[window:].items():
        mean = (mean * (window - 1) + value) / window
        found[row] = mean
    return pd.Series(found).reindex(values.index)


def seeded_ema(values, window):
    """The exponential mean whose first value is the mean of the first window."""
    known = values.dropna()
    seeded = pd.concat([pd.Series([known.iloc[:window].mean()], index=[known.index[window - 1]]), known.iloc[window:]])
    return seeded.ewm(alpha=2 / (window + 1), adjust=False).mean().reindex(values.index)


def rsi(window):
    change = C.diff()
    gain, loss = wilder(change.clip(lower=0), window), wilder(-change.clip(upper=0), window)
    return 100 - 100 / (1 + gain / loss)


def true_range():
    return pd.concat([H - L, (H - C.shift(1)).abs(), (L - C.shift(1)).abs()], axis=1).max(axis=1, skipna=False)


def mfi(window):
    typical = (H + L + C) / 3
    flow, change = typical * V, typical.diff()
    up = flow.where(change > 0, 0.0).where(change.notna()).rolling(window).sum()
    down = flow.where(change < 0, 0.0).where(change.notna()).rolling(window).sum()
    return 100 * up / (up + down)


def stochastic(window, smooth):
    lowest, highest = L.rolling(window).min(), H.rolling(window).max()
    return (100 * (C - lowest) / (highest - lowest)).rolling(smooth).mean()


def directional(window):
    """Wilder's own sums: the first is that of window − 1 movements, as TA-Lib begins, then (n − 1)/n old plus new."""
    up, down = H.diff(), -L.diff()
    plus = up.where((up > down) & (up > 0), 0.0).where(up.notna())
    minus = down.where((down > up) & (down > 0), 0.0).where(up.notna())
    ranges = true_range()

    def total(values):
        known, found = values.dropna(), {}
        running = known.iloc[: window - 1].sum()
        for row, value in known.iloc[window - 1 :].items():
            running = running * (window - 1) / window + value
            found[row] = running
        return pd.Series(found).reindex(values.index)

    return 100 * total(plus) / total(ranges), 100 * total(minus) / total(ranges)


def adx(window):
    plus, minus = directional(window)
    return wilder(100 * (plus - minus).abs() / (plus + minus), window)


def macd(fast, slow):
    # TA-Lib begins the fast mean so that both have their first value at the same row.
    later = C.where(C.index >= slow - fast)
    return seeded_ema(later, fast) - seeded_ema(C, slow)


def ewma(decay):
    found, mean = [math.nan], math.nan
    for value in R.iloc[1:]:
        mean = value**2 if math.isnan(mean) else decay * mean + (1 - decay) * value**2
        found.append(math.sqrt(mean) * YEAR)
    return pd.Series(found)


def fitted(window):
    x = np.arange(window)
    rows = {}
    for end in range(window, len(C) + 1):
        y = np.log(C.to_numpy()[end - window : end])
        slope, start = np.polyfit(x, y, 1)
        rest = y - (slope * x + start)
        rows[end - 1] = (slope * 252, 1 - (rest**2).sum() / ((y - y.mean()) ** 2).sum())
    return pd.DataFrame(rows, index=["slope", "fit"]).T.reindex(C.index)


def lowest_drawdown(values):
    return (values / values.cummax() - 1).min()


SIGNAL = seeded_ema(macd(12, 26).where(C.index >= 25), 9)
BAND = C.rolling(20).std(ddof=0)
EXPECTED = {
    "return(5)": C.pct_change(5),
    "log_return(5)": np.log(C).diff(5),
    "momentum(60, 5)": C.shift(5) / C.shift(60) - 1,
    "momentum_12_1": C.shift(21) / C.shift(252) - 1,
    "worst_return(30)": R.rolling(30).min(),
    "gap": O / C.shift(1) - 1,
    "worst_gap(30)": (O / C.shift(1) - 1).rolling(30).min(),
    "intraday_return": C / O - 1,
    "sma(20)": C.rolling(20).mean(),
    "ema(20)": seeded_ema(C, 20),
    "sma_ratio(50)": C / C.rolling(50).mean() - 1,
    "ema_ratio(20)": C / seeded_ema(C, 20) - 1,
    "sma_spread(10, 50)": C.rolling(10).mean() / C.rolling(50).mean() - 1,
    "ema_spread(10, 50)": seeded_ema(C, 10) / seeded_ema(C, 50) - 1,
    "macd(12, 26, 9)": macd(12, 26).where(C.index >= 33),
    "macd_signal(12, 26, 9)": SIGNAL,
    "macd_histogram(12, 26, 9)": macd(12, 26) - SIGNAL,
    "slope(30)": fitted(30)["slope"],
    "slope_fit(30)": fitted(30)["fit"],
    "rsi(14)": rsi(14),
    "stochastic_k(14, 3)": stochastic(14, 3),
    "stochastic_d(14, 3, 3)": stochastic(14, 3).rolling(3).mean(),
    "adx(14)": adx(14),
    "di_spread(14)": directional(14)[0] - directional(14)[1],
    "mfi(14)": mfi(14),
    "zscore(20)": (C - C.rolling(20).mean()) / C.rolling(20).std(),
    "bb_upper(20, 2)": C.rolling(20).mean() + 2 * BAND,
    "bb_middle(20, 2)": C.rolling(20).mean(),
    "bb_lower(20, 2)": C.rolling(20).mean() - 2 * BAND,
    "bb_position(20, 2)": (C - C.rolling(20).mean() + 2 * BAND) / (4 * BAND),
    "bb_width(20, 2)": 4 * BAND / C.rolling(20).mean(),
    "donchian_position(20)": (C - L.rolling(20).min()) / (H.rolling(20).max() - L.rolling(20).min()),
    "close_location": (C - L) / (H - L),
    "below_high(60)": C / C.rolling(60).max() - 1,
    "above_low(60)": C / C.rolling(60).min() - 1,
    "breakout(60)": C / C.shift(1).rolling(60).max() - 1,
    "worst_drawdown(60)": C.rolling(60).apply(lowest_drawdown),
    "bars_since_high(60)": C.rolling(60).apply(lambda window: 59 - np.argmax(window), raw=True),
    "atr(14)": wilder(true_range(), 14),
    "atr_ratio(14)": wilder(true_range(), 14) / C,
    "range": (H - L) / C,
    "volatility(21)": R.rolling(21).std() * YEAR,
    "volatility_ratio(21, 100)": R.rolling(21).std() / R.rolling(100).std(),
    "ewma_volatility(0.94)": ewma(0.94),
    "downside_volatility(63)": np.sqrt((R.clip(upper=0) ** 2).rolling(63).mean()) * YEAR,
    "parkinson_volatility(21)": np.sqrt((np.log(H / L) ** 2).rolling(21).mean() / (4 * math.log(2))) * YEAR,
    "skew(63)": R.rolling(63).apply(lambda window: window.skew()),
    "kurtosis(63)": R.rolling(63).apply(lambda window: window.kurt()),
    "autocorrelation(63, 2)": R.rolling(63).corr(R.shift(2)),
    "volume_ratio(5, 63)": V.rolling(5).mean() / V.rolling(63).mean(),
    "dollar_volume(21)": (C * V).rolling(21).median(),
    "amihud(21)": (R.abs() / (C * V)).rolling(21).mean() * 1e6,
    "signed_volume(21)": (np.sign(C.diff()) * V).rolling(21).sum() / V.rolling(21).sum(),
}


def test_every_feature_has_an_independent_answer():
    assert {feature(text).name for text in EXPECTED} == set(registered())


@pytest.mark.parametrize("text", EXPECTED)
def test_it_is_what_the_formula_says(text):
    found, expected = feature(text).batch(DRAWN), EXPECTED[text].to_numpy(dtype=float)
    assert int(np.isnan(found).sum()) < 300
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["term"])
def test_published_values(answer):
    values = feature(answer["term"]).batch({"close": answer["closes"]})
    assert int(np.isnan(values).sum()) == answer["first"]
    assert np.round(values[answer["first"] :], 2).tolist() == answer["values"]


@pytest.mark.parametrize(
    ("text", "drawn", "expected"),
    [
        # (close·volume) 10, 40, 90: the median
        ("dollar_volume(3)", {"close": [1, 2, 3], "volume": [10, 20, 30]}, 40.0),
        # |2/1 − 1| / (2·20) and |3/2 − 1| / (3·30), their mean in millions
        ("amihud(2)", {"close": [1, 2, 3], "volume": [10, 20, 30]}, (1 / 40 + 0.5 / 90) / 2 * 1e6),
        # +20 − 30 of 50
        ("signed_volume(2)", {"close": [1, 2, 1], "volume": [10, 20, 30]}, -0.2),
        ("worst_drawdown(4)", {"close": [4, 2, 8, 6]}, -0.5),
        ("bars_since_high(4)", {"close": [8, 2, 8, 6]}, 1.0),
        ("momentum(3, 1)", {"close": [4, 9, 5, 100]}, 0.25),
        ("stochastic_k(2, 1)", {"close": [5, 6], "high": [8, 7], "low": [4, 5]}, 50.0),
        ("gap", {"close": [10, 12], "open": [9, 11]}, 0.1),
        # the deviation of returns +100 % and −50 % about their mean of 25 % is 75 %·√2 (n − 1)
        ("volatility(2)", {"close": [1, 2, 1]}, 0.75 * math.sqrt(2) * YEAR),
    ],
)
def test_arithmetic_by_hand(text, drawn, expected):
    assert feature(text).batch(drawn)[-1] == pytest.approx(expected, rel=1e-12)


FLAT = {name: np.full(300, 50.0) for name in ("close", "open", "high", "low", "volume")}
# What is 0 where nothing moves is 0; what has no answer is NaN, never 0, 50 or a rounding error blown up.
UNDEFINED = {
    "slope_fit",
    "stochastic_k",
    "stochastic_d",
    "zscore",
    "bb_position",
    "donchian_position",
    "close_location",
    "volatility_ratio",
    "skew",
    "kurtosis",
    "autocorrelation",
}


@pytest.mark.parametrize("name", registered())
@pytest.mark.parametrize("price", [50.0, 0.1, 1 / 3, 45.2789])
def test_a_price_that_never_moves_gives_no_rounding_errors(name, price):
    one = registered()[name].of()
    value = one.batch({field: np.full(1_000, price) for field in FLAT})[-1]
    if name in UNDEFINED:
        assert math.isnan(value)
    elif one.unit == "currency" and name not in {"atr", "macd", "macd_signal", "macd_histogram"}:
        assert value == pytest.approx(price, rel=1e-6)
    elif name not in {"dollar_volume", "volume_ratio"}:
        assert value == pytest.approx(0.0, abs=1e-12)


def test_no_volume_is_no_number():
    quiet = {**columns(100), "volume": np.zeros(100)}
    for text in ("volume_ratio(5, 20)", "amihud(20)", "signed_volume(20)"):
        assert np.isnan(feature(text).batch(quiet)).all()
    assert feature("dollar_volume(20)").batch(quiet)[-1] == 0.0


def test_a_close_of_zero_gives_no_infinity():
    broken = columns(900, seed=5)
    broken["close"][400] = 0.0
    for definition in registered().values():
        values = definition.of().batch(broken)
        assert not np.isinf(values).any(), definition.name
        assert np.isfinite(values[-1]), definition.name


# What happens to a feature when all prices are multiplied by k: nothing, or it is multiplied too; and all volumes.
BY_PRICE = {
    "sma", "ema", "macd", "macd_signal", "macd_histogram", "bb_upper", "bb_middle", "bb_lower", "atr", "dollar_volume",
}  # fmt: skip


@pytest.mark.parametrize("name", registered())
def test_in_another_currency_and_after_a_split(name):
    one, drawn = registered()[name].of(), columns(900, seed=8)
    values = one.batch(drawn)[one.warm_up :]
    dearer = {field: column * (1.0 if field == "volume" else 8.0) for field, column in drawn.items()}
    power = 1 if name in BY_PRICE else -1 if name == "amihud" else 0
    np.testing.assert_allclose(one.batch(dearer)[one.warm_up :], values * 8.0**power, rtol=1e-7, atol=1e-9)
    split = {field: column * (4.0 if field == "volume" else 0.25) for field, column in drawn.items()}
    power = -1 if name in BY_PRICE - {"dollar_volume"} else 0
    np.testing.assert_allclose(one.batch(split)[one.warm_up :], values * 4.0**power, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", registered())
def test_bounds_hold(name):
    one = registered()[name].of()
    values = one.batch(columns(900, seed=13))[one.warm_up :]
    bounds = {"0 to 100": (0, 100), "0 to 1": (0, 1), "−1 to 1": (-1, 1), "−100 to 100": (-100, 100)}
    low, high = bounds.get(one.unit, (-math.inf, math.inf))
    assert ((values >= low - 1e-9) & (values <= high + 1e-9)).all()
