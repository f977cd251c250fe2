"""What quotes, trades and quoted options have for checks of their own."""

from __future__ import annotations

from typing import Final

import pandas as pd

from workbench import sessions
from workbench.data.inspection import Inspection, log_change
from workbench.data.quality import JUMP

WIDE: Final = 0.2  # of the middle
FROZEN_QUOTES: Final = 50
FROZEN_FOR: Final = pd.Timedelta(minutes=5)
STALE: Final = pd.Timedelta(minutes=15)
_OCC = r"(?P<root>[A-Z0-9.]{1,6})\s*(?P<day>\d{6})(?P<side>[CP])\d{8}"


def quotes_impossible(of: Inspection) -> None:
    rows = of.rows
    of.impossible("empty-quote", rows["bid"].isna() & rows["ask"].isna(), "there is neither bid nor ask")
    _crossed(of)


def quotes_strange(of: Inspection, good: pd.DataFrame, known_until: pd.Timestamp) -> None:
    middle = (good["bid"] + good["ask"]) / 2
    of.strange(
        "wide",
        good[(good["ask"] - good["bid"]) > WIDE * middle],
        lambda row: f"bid={row['bid']:g}, ask={row['ask']:g}: more than {WIDE:.0%} of the middle lies between them",
    )
    said = ["symbol", "bid", "ask", "bid_size", "ask_size"]
    same = (good[said] == good[said].shift()) | (good[said].isna() & good[said].shift().isna())
    run = (~same.all(axis=1)).cumsum()
    length = run.map(run.value_counts())
    lasts = good["time"].groupby(run).transform("last") - good["time"].groupby(run).transform("first")
    of.strange(
        "frozen",
        good[~run.duplicated() & (length >= FROZEN_QUOTES) & (lasts >= FROZEN_FOR)],
        lambda row: f"{length[row.name]} quotes in a row say the same, over {lasts[row.name]}; bound {FROZEN_QUOTES}",
    )
    _behind_the_clock(of, good, known_until)


def trades_strange(of: Inspection, good: pd.DataFrame, known_until: pd.Timestamp) -> None:
    change = log_change(good["price"], by=good["symbol"])
    of.strange(
        "jump",
        good[change.abs() > JUMP],
        lambda row: f"log return {change[row.name]:+.3f} on the trade before; bound ±{JUMP:.3f}",
    )
    _behind_the_clock(of, good, known_until)


def options_impossible(of: Inspection) -> None:
    rows = of.rows
    said = rows["symbol"].str.extract(_OCC)
    formed = rows["symbol"].str.fullmatch(_OCC)
    expires = pd.to_datetime(said["day"], format="%y%m%d", errors="coerce")
    of.impossible("bad-key", ~formed | expires.isna(), lambda row: f"{row['symbol']!r} is no OCC symbol")
    of.impossible(
        "expired", expires < rows["session"], lambda row: f"it expired before its session {row['session'].date()}"
    )
    _crossed(of)


def options_strange(of: Inspection, good: pd.DataFrame, _known_until: pd.Timestamp) -> None:
    call = good["symbol"].str.extract(_OCC)["side"] == "C"
    wrong = (call & (good["delta"] < 0)) | (~call & (good["delta"] > 0)) | (good["gamma"] < 0) | (good["vega"] < 0)
    of.strange(
        "inconsistent",
        good[wrong],
        lambda row: f"delta={row['delta']:g}, gamma={row['gamma']:g}, vega={row['vega']:g}: the signs cannot be",
    )


def _crossed(of: Inspection) -> None:
    crossed = of.rows["bid"] > of.rows["ask"]
    of.impossible("crossed", crossed, lambda row: f"bid={row['bid']:g} is above ask={row['ask']:g}")


def _behind_the_clock(of: Inspection, good: pd.DataFrame, known_until: pd.Timestamp) -> None:
    """The newest quote or trade is old while the venue is open."""
    day = known_until.tz_convert(sessions.timezone(of.venue)).tz_localize(None).normalize()
    if not sessions.is_session(of.venue, day):
        return
    if not sessions.opens(of.venue, day) + STALE <= known_until <= sessions.closes(of.venue, day):
        return
    for symbol, newest in good.groupby("symbol", sort=False)["time"].max().items():
        if known_until - newest > STALE:
            of.absent("stale", str(symbol), day, f"the newest is of {newest}; bound {STALE} before {known_until}")
