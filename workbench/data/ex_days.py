"""When a corporate action could be known, of which a vendor tells days only."""

from __future__ import annotations

import datetime as dt
from typing import Final

import pandas as pd

from workbench.data import learned
from workbench.data.regular import NEW_YORK

OPEN: Final = dt.time(9, 30)


def known(ex_days: pd.Series, *, now: dt.datetime, declared: pd.Series | None = None) -> pd.DatetimeIndex:
    """The moments (UTC) from which actions with these ex-days count as known.

    That is the open of the ex-day, when the price shows it to everybody: actions are announced days before, but the
    vendors do not say when. Where the day of declaration is said, it is the end of that day if that is earlier. An
    action that lies before us is known now.

    Args:
        ex_days: timezone-naive midnights.
        now: when the vendor was asked.
        declared: the days of declaration; NaT where it is not said.
    """
    moments = learned.at(ex_days, OPEN, zone=NEW_YORK)
    if declared is not None:
        said = declared.notna().to_numpy()
        ends = learned.end_of(declared.where(said, ex_days), zone=NEW_YORK)
        moments = moments.where(~said | (moments < ends), ends)
    return learned.seen_by(moments, now)


def processed(days: pd.Series, *, now: dt.datetime) -> pd.DatetimeIndex:
    """The moments (UTC) from which actions count as known of which only the day is said that they were carried out."""
    return learned.seen_by(learned.end_of(days, zone=NEW_YORK), now)
