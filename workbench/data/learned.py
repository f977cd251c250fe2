"""When a fact could be known of which its vendor tells a day only: the end of that day, or a known hour of it.

Every rule here errs on the late side. A reader of the past may miss a fact for some hours; it never sees one early.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

_FAR = pd.Timestamp("9999-01-01").as_unit("us")


def at(days: pd.Series | pd.DatetimeIndex, time: dt.time, *, zone: str) -> pd.DatetimeIndex:
    """The moment (UTC) at which clocks in `zone` show `time` on each day.

    Args:
        days: timezone-naive; their own time of day is added to, so that a moment on the wall may be handed over too.
        time: hours, minutes and seconds on the wall.
        zone: e.g. `"America/New_York"`.

    Returns:
        Same length and order. An hour that clocks show twice is the second of them; one that they skip is the end of
        the gap.
    """
    later = pd.Timedelta(hours=time.hour, minutes=time.minute, seconds=time.second)
    wall = pd.DatetimeIndex(days).as_unit("us") + later
    wall = wall.where(wall < _FAR, _FAR)  # vendors write 9999-12-31 for never, and clocks end with that year
    second = np.zeros(len(wall), dtype=bool)  # "not summer time": the second of two equal hours
    return wall.tz_localize(zone, ambiguous=second, nonexistent="shift_forward").tz_convert("UTC").as_unit("us")


def end_of(days: pd.Series | pd.DatetimeIndex, *, zone: str) -> pd.DatetimeIndex:
    """The first moment (UTC) after each day in `zone`."""
    return at(pd.DatetimeIndex(days) + pd.Timedelta(days=1), dt.time(), zone=zone)


def seen_by(moments: pd.DatetimeIndex, read: dt.datetime) -> pd.DatetimeIndex:
    """The moments, none after `read`: what lies before us was public when we read it, whatever the rule says."""
    limit = pd.Timestamp(read).tz_convert("UTC").as_unit("us")
    return moments.where(moments <= limit, limit)
