"""Moments of a stream: nanoseconds since 1970 as UTC, and the midnights around one of them."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

_DAYS: Final = 7 + 400


def moments(ns: np.ndarray) -> pd.DatetimeIndex:
    """UTC moments of int64 ns since 1970, copied; NaT where it is the least of all numbers (`NEVER`)."""
    return pd.DatetimeIndex(np.array(ns).view("M8[ns]")).tz_localize("UTC")


def midnights(now: int, zone: str) -> pd.DatetimeIndex:
    """The first moments (UTC) of the days of a zone, from a week before `now` (ns) on for more than a year."""
    today = pd.Timestamp(now, tz="UTC").tz_convert(zone).normalize().tz_localize(None)
    days = pd.date_range(today - pd.Timedelta(days=7), periods=_DAYS, freq="D")
    return days.tz_localize(zone).tz_convert("UTC")
