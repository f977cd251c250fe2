"""Invented prices for vendors on loopback: any symbol has them at any moment, always the same ones, and no others."""

from __future__ import annotations

import hashlib

import pandas as pd

NAMES = ("open", "high", "low", "close", "volume")


def bar(symbol, begins):
    """open, high, low, close, volume of the bar that begins then; high and low hold the others."""
    seed = hashlib.sha256(f"{symbol} {pd.Timestamp(begins).isoformat()}".encode()).digest()
    low = 20 + seed[0] / 4 + seed[1] / 100
    spread = 0.1 + seed[2] / 64
    first, last = sorted((seed[3] / 255, seed[4] / 255))
    return {
        "open": round(low + spread * (first if seed[5] % 2 else last), 4),
        "high": round(low + spread, 4),
        "low": round(low, 4),
        "close": round(low + spread * (last if seed[5] % 2 else first), 4),
        "volume": 1_000 + seed[6] * 251 + seed[7],
    }


def begins(start, end, *, minutes=None):
    """The first moments (UTC) of the bars of sessions start…end: New York's midnight, or all of the regular session.

    With minutes there is one bar before the open and one after the close too, which no regular session has.
    """
    from workbench import sessions

    found = []
    for day in sessions.sessions("XNYS", pd.Timestamp(start), pd.Timestamp(end)):
        if minutes is None:
            found.append(day.tz_localize("America/New_York").tz_convert("UTC"))
            continue
        opened, closed = sessions.opens("XNYS", day), sessions.closes("XNYS", day)
        step = pd.Timedelta(minutes=minutes)
        found += list(pd.date_range(opened - step, closed, freq=step))
    return found
