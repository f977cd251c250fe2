"""The inputs of the golden values: series, trades and orders as `tests/answers/metrics.json` describes them."""

from __future__ import annotations

import functools
import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

ANSWERS = json.loads((Path(__file__).parents[2] / "answers" / "metrics.json").read_text(encoding="utf-8"))


def index_prices(name: str) -> pd.Series:
    """Daily Adj Close of an index from the data files of the arch wheel, read without importing arch."""
    folder = Path(importlib.util.find_spec("arch").origin).parent / "data" / name
    return pd.read_csv(folder / f"{name}.csv.gz", index_col=0, parse_dates=True)["Adj Close"]


def index_returns(name: str) -> pd.Series:
    """2,515 daily returns, 2009-01-05 to 2018-12-31."""
    return index_prices(name).pct_change(fill_method=None).loc["2009-01-05":"2018-12-31"]


@functools.cache
def inputs_of(case: str) -> dict[str, Any]:
    """What the case offers a metric, by the name of the parameter."""
    return {"bacon": _bacon, "nasdaq": _nasdaq, "tharp": _tharp, "desk": _desk}.get(case, lambda: _returns(case))()


def _bacon() -> dict[str, Any]:
    months = pd.date_range("2000-01-31", periods=24, freq="ME")
    found = {name: pd.Series(ANSWERS["bacon"][name], index=months) for name in ("returns", "benchmark")}
    return found | {"periods": ANSWERS["bacon"]["periods"]}


def _nasdaq() -> dict[str, Any]:
    equity = index_prices("nasdaq").loc["2009-01-02":"2018-12-31"]
    return {"returns": index_returns("nasdaq"), "benchmark": index_returns("sp500"), "equity": equity, "periods": 252}


def _returns(case: str) -> dict[str, Any]:
    described = ANSWERS["cases"][case]
    if "equity" in described:
        equity = pd.Series(described["equity"])
        return {"equity": equity.set_axis(pd.to_datetime(equity.index))}
    index = pd.to_datetime(described["dates"]) if "dates" in described else None
    return {"returns": pd.Series(described["returns"], index=index)}


def _tharp() -> dict[str, Any]:
    described = ANSWERS["cases"]["tharp"]
    sessions = pd.to_datetime(described["sessions"])
    trades = pd.DataFrame(described["trades"])
    for name in ("opened", "closed"):
        trades[name] = pd.Series([pd.NaT if pd.isna(row) else sessions[int(row)] for row in trades[name]])
    return {"trades": trades.assign(open=trades["closed"].isna()), "equity": pd.Series(1.0, index=sessions)}


def _desk() -> dict[str, Any]:
    described = ANSWERS["cases"]["desk"]
    sessions = pd.bdate_range("2020-01-06", periods=5)
    frames = {name: pd.DataFrame(described[name]).astype(float) for name in ("orders", "financing")}
    series = {name: pd.Series(described[name], index=sessions, dtype=float) for name in ("equity", "exposure", "gross")}
    return {**frames, **series}


def vectorbt_returns(own: pd.Series, other: pd.Series | None = None, *, year: str | None = "252 days"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vectorbt 1.2 and pandas 3 disagree about deprecations in vectorbt's code
        import vectorbt  # noqa: F401 - it registers the accessor

        return own.vbt.returns(freq="1D", year_freq=year, benchmark_rets=other)
