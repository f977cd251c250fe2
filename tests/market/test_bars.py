"""Bars: which indexes they accept, and the sentence for each that they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.errors import BadData
from workbench.market.bars import Bars


def bars(index, columns=("A",)):
    return Bars(close=pd.DataFrame(np.ones((len(index), len(columns))), index=index, columns=list(columns)))


@pytest.mark.parametrize(
    "index",
    [
        pd.to_datetime(["2015-01-02", "2015-01-05"]),
        pd.to_datetime(["2015-01-02T15:30Z", "2015-01-02T16:30Z"]),
        pd.to_datetime(["2015-01-02T15:30", "2015-01-02T16:30"]).tz_localize("UTC").as_unit("ns"),
        pd.DatetimeIndex([]),
    ],
)
def test_sessions_are_naive_midnights_and_moments_are_utc(index):
    assert bars(index).sessions.equals(index)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (pd.to_datetime(["2015-01-02", "2015-01-02"]), "strictly ascending: 2015-01-02 00:00:00 is there twice"),
        (
            pd.to_datetime(["2015-01-05", "2015-01-02"]),
            "strictly ascending: 2015-01-02 00:00:00 comes after a later one",
        ),
        (
            pd.to_datetime(["2015-01-02 15:30", "2015-01-02 16:30"]),
            "2015-01-02 15:30:00 has a time of day but no timezone",
        ),
        (pd.to_datetime(["2015-01-02 15:30"]).tz_localize("America/New_York"), "are in America/New_York, not in UTC"),
        (pd.DatetimeIndex(["2015-01-02", pd.NaT]), "hold an empty one"),
        (pd.Index([1, 2]), "need a DatetimeIndex of sessions, not Index"),
    ],
)
def test_every_other_index_is_refused_by_name(index, said):
    with pytest.raises(BadData, match=said):
        bars(index)


def test_a_symbol_is_there_once():
    with pytest.raises(BadData, match="two columns for A"):
        bars(pd.to_datetime(["2015-01-02"]), columns=("A", "B", "A"))
