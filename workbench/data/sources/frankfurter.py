"""Frankfurter v2: the European Central Bank's reference rates of the euro, one per day and currency.

What to know before believing a number made of them:

- They are reference rates of one moment (a concertation about 14:15 in Frankfurt), not prices anybody trades at.
- The service blends a hundred institutions unless one is pinned; here it is always the ECB, whose digits are passed
  on unchanged. The ECB quotes the euro only: EUR/USD is a fact of this source, USD/GBP is made of two of them, by
  `workbench.data.fx`.
- There is no row for a day on which the ECB does not publish: weekends, and the holidays of its payment system.
- The ECB publishes about 16:00 Frankfurt time (before July 2016 about 14:30). Here a rate is learned at 16:30 Frankfurt
  time on its day.

Paths and fields: https://frankfurter.dev (OpenAPI document of v2).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from workbench.data import learned
from workbench.data.gateway import Limit, Vendor
from workbench.data.kinds import kind_of
from workbench.data.source import symbols_of
from workbench.errors import DataError

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Answer, Gateway

BASE: Final = "EUR"
ZONE: Final = "Europe/Berlin"
CONCERTED: Final = dt.time(14, 15)
PUBLISHED: Final = dt.time(16, 30)
_PAIR = re.compile(r"([A-Z]{3})/([A-Z]{3})")
_YEARS = 5  # of one question: about 1,300 rows per currency
_KIND = kind_of("fx")


class FrankfurterSource:
    """Reference rates of the euro. A symbol is a pair whose first currency is the euro: `EUR/USD`."""

    name = "frankfurter"
    label = "ECB reference rates · Frankfurter"
    synthetic = False

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._gateway = gateway
        # Its owner names no number, only that abuse is cut off.
        self._vendor = Vendor(
            name=self.name, url=access.url or "https://api.frankfurter.dev", limits=(Limit(requests=5, seconds=1.0),)
        )

    def fx(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Rates of the days from `start` to `end`, both included: rows of kind `fx`.

        Raises:
            DataError: a symbol is not a pair of the euro; nothing was asked.
            SourceRefused: the service does not know a currency.
            BadData: an answer is not what was asked for; nothing was passed on.
        """
        wanted = symbols_of(symbols)
        quoted = {_quoted(symbol): symbol for symbol in wanted}
        frames = []
        for since, until in _spans(start, end):
            query = {
                "base": BASE,
                "quotes": sorted(quoted),
                "providers": "ecb",
                "from": f"{since:%Y-%m-%d}",
                "to": f"{until:%Y-%m-%d}",
            }
            answer = self._gateway.get(self._vendor, "/v2/rates", query=query, kind="fx")
            if answer.absent:
                continue
            frame = _checked(answer, quoted)
            # The service opens a span that begins on a silent day with the newest rate before it.
            frame = frame[frame["session"].between(since, until)]
            known = learned.seen_by(learned.at(frame["session"], PUBLISHED, zone=ZONE), answer.fetched_at)
            happened = learned.at(frame["session"], CONCERTED, zone=ZONE)
            frames.append(frame.assign(happened=happened.where(happened <= known, known), learned=known))
        if not frames:
            return _KIND.empty()
        rows = pd.concat(frames, ignore_index=True).assign(source=self.name)
        order = rows["symbol"].map({symbol: place for place, symbol in enumerate(wanted)})
        rows = rows.assign(order=order).sort_values(["order", "session"], kind="stable")
        return _KIND.typed(rows)


def _quoted(symbol: str) -> str:
    said = _PAIR.fullmatch(symbol)
    if said is None or said[1] != BASE or said[2] == BASE:
        raise DataError(
            f"{symbol!r} is not a pair of the euro; nothing was asked.",
            remedy=f"ask for {BASE}/USD; workbench.data.fx.convert makes the other pairs of two of these.",
        )
    return said[2]


def _spans(start: pd.Timestamp, end: pd.Timestamp) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    since = start
    while since <= end:
        until = min(end, since + pd.DateOffset(years=_YEARS) - pd.Timedelta(days=1))
        yield since, until
        since = until + pd.Timedelta(days=1)


def _checked(answer: Answer, quoted: dict[str, str]) -> pd.DataFrame:
    """The rows of an answer: `symbol`, `session`, `rate`. Raises BadData."""
    body = answer.json()
    if not isinstance(body, list):
        answer.reject("is not a list of rates")
    rows: dict[tuple[str, dt.date], float] = {}
    for row in body:
        try:
            symbol, day = quoted[row["quote"]], dt.date.fromisoformat(row["date"])
            rate = float(row["rate"]) if type(row["rate"]) in {int, float} and row["base"] == BASE else 0.0
        except (ArithmeticError, KeyError, TypeError, ValueError):
            rate = 0.0
        if not rate > 0:
            answer.reject(f"has a row that cannot be read, or was not asked for: {row!r:.200}")
        if rows.setdefault((symbol, day), rate) != rate:
            answer.reject(f"gives two rates of {symbol} for {day}")
    frame = pd.DataFrame([(*named, rate) for named, rate in rows.items()], columns=["symbol", "session", "rate"])
    return frame.assign(session=pd.to_datetime(frame["session"]).astype("datetime64[us]"))
