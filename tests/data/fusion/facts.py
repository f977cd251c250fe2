"""Facts for tests of fusion: one row of any kind, told in a line."""

import pandas as pd

from workbench.data.kinds import dataset_name, kind_of
from workbench.store.vintages import Vintages

AS_OF = pd.Timestamp("2015-06-30T20:00", tz="UTC")  # the close in New York
DAY = pd.Timedelta(days=1)


def row(session, *, symbol="AAPL", happened=None, learned=None, **values):
    """A row of a day; it happened at the close (20:00 UTC) and was learned then, unless said otherwise."""
    session = pd.Timestamp(session)
    happened = session.tz_localize("UTC") + pd.Timedelta(hours=20) if happened is None else happened
    learned = happened if learned is None else learned
    return {"symbol": symbol, "session": session, "happened": happened, "learned": learned, **values}


def bar(session, close, **more):
    prices = dict.fromkeys(("open", "high", "low", "close"), float(close)) | {"volume": 1000.0}
    return row(session, **prices, **more)


def bars_of(closes, *, symbol="AAPL", last="2015-06-30"):
    """Bars of the last sessions up to a day, one per close."""
    from workbench import sessions

    days = sessions.sessions("XNYS", pd.Timestamp(last) - 60 * DAY, pd.Timestamp(last))[-len(closes) :]
    return [bar(day, close, symbol=symbol) for day, close in zip(days, closes, strict=True)]


def put(workspace, kind, source, rows):
    """Append rows of a kind from a source to the store, and say how many were new."""
    frame = pd.DataFrame(rows)
    if "source" not in frame:
        frame["source"] = source
    if kind == "bars":
        return Vintages(workspace.vintages_url).append(f"bars/1d/{source}", frame)
    if kind_of(kind).timed and "time" not in frame:
        frame["time"] = frame["happened"]
    return Vintages(workspace.vintages_url).append(dataset_name(kind, source), kind_of(kind).typed(frame))
