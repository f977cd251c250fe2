"""What fusion looks for: the kinds of facts, how far back, how fast they age, and whom it trusts how much.

The weight of a source within a kind (and a subject: a series, a pair, a tag) is

    weight = freshness · quality · reliability, divided by the sum over the sources that have the fact
    freshness = 2^(−age / half_life), age counted from when the fact happened
    quality   = product of what is said at `Quality` in `gather`
    reliability as in `RELIABILITY`

Half-lives, bounds and reliabilities are judgements, not fits: they say that a filing outlives a quote, and that who
makes a number is believed before who passes it on. All of them are in the record's `method`: change one and you change
that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

METHOD: Final = "fusion-1"
Subject = Literal["symbol", "series", "pair"]
_DAY: Final = pd.Timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KindRule:
    """How one kind of facts is fused.

    Attributes:
        kind: a name of `workbench.data.kinds`, or `bars`.
        lookback: so many whole days back the store is asked.
        bound: a fact that happened longer ago than this is stale: named as missing, and not weighed.
        half_life: so long until a fact counts half.
        columns: what is told.
        compare: the column in which sources are held against each other; "" where they cannot be.
        subject: what the column `symbol` holds.
        spread: how a disagreement is measured: `relative` ((max − min) / mean of the absolute values) or `absolute`
            (max − min).
        ahead: so many whole days after the moment facts are looked for that were announced before they happen.
        also: columns that are read and not told.
    """

    kind: str
    lookback: pd.Timedelta
    bound: pd.Timedelta
    half_life: pd.Timedelta
    columns: tuple[str, ...]
    compare: str = ""
    subject: Subject = "symbol"
    spread: Literal["relative", "absolute"] = "relative"
    ahead: pd.Timedelta = _DAY
    also: tuple[str, ...] = ()

    def reach(self, as_of: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
        """First and last day (timezone-naive midnights, both included) for which the store is asked at a moment."""
        day = as_of.tz_localize(None).normalize()
        return day - self.lookback, day + self.ahead


def _days(number: float) -> pd.Timedelta:
    return pd.Timedelta(days=number)


_RULES = (
    KindRule(
        "bars",
        _days(45),
        _days(7),
        _days(2),
        ("open", "high", "low", "close", "volume"),
        "close",
        also=("source",),
    ),
    KindRule("quotes", _days(7), _days(1), _days(0.02), ("bid", "ask", "bid_size", "ask_size"), "mid"),
    KindRule("trades", _days(7), _days(1), _days(0.02), ("price", "size", "venue"), "price"),
    KindRule("news", _days(30), _days(30), _days(2), ("headline", "publisher")),
    KindRule(
        "sentiment",
        _days(30),
        _days(10),
        _days(1),
        ("score", "confidence", "stories", "articles", "silent", "dispersion"),
        "score",
        spread="absolute",
        also=("source", "story", "events", "method"),
    ),
    KindRule("filings", _days(400), _days(200), _days(90), ("form", "period", "items", "url")),
    KindRule("fundamentals", _days(550), _days(460), _days(180), ("value", "from", "form", "fiscal_year"), "value"),
    KindRule(
        "short_interest",
        _days(90),
        _days(45),
        _days(15),
        ("short_shares", "average_volume", "days_to_cover"),
        "short_shares",
    ),
    KindRule(
        "short_volume",
        _days(30),
        _days(7),
        _days(2),
        ("short_volume", "short_exempt_volume", "total_volume"),
        "short_volume",
    ),
    KindRule("actions", _days(400), _days(400), _days(180), ("amount", "ratio", "other_symbol"), ahead=_days(400)),
    KindRule("macro", _days(150), _days(120), _days(45), ("value",), "value", subject="series"),
    KindRule("fx", _days(21), _days(7), _days(2), ("rate",), "rate", subject="pair"),
)
RULES: Final[Mapping[str, KindRule]] = {rule.kind: rule for rule in _RULES}

RELIABILITY: Final[Mapping[str, float]] = {
    "edgar": 1.0,  # who makes the number
    "fred": 1.0,
    "finra": 1.0,
    "frankfurter": 1.0,
    "alpaca": 0.9,  # who is paid to pass it on
    "massive": 0.9,
    "market": 0.8,  # a chain of sources: as good as the one that answered
    "bundled": 0.8,
    "finnhub": 0.7,
    "newsapi": 0.6,
    "yahoo": 0.5,  # undocumented
    "synthetic": 1.0,  # never weighed against a real one
}
UNKNOWN_SOURCE: Final = 0.5

# Not vendors of their own: `market` says what one of its members said and counts where no member does; raw prices are
# another form of what the vendor says already, and are fused where they are named.
CHAIN: Final = "market"
RAW: Final = "-raw"
NOT_EXPECTED: Final = ("synthetic", "alpaca-raw", "massive-raw")

SERIES: Final = ("DFF", "DGS2", "DGS10", "CPIAUCSL", "UNRATE")
PAIRS: Final = ("EUR/USD", "USD/JPY", "GBP/USD")
TAGS: Final = (
    "Revenues",
    "RevenueFromContractWithCustomerExcludingAssessedTax",
    "NetIncomeLoss",
    "EarningsPerShareDiluted",
    "Assets",
    "Liabilities",
    "StockholdersEquity",
    "NetCashProvidedByUsedInOperatingActivities",
    "CashAndCashEquivalentsAtCarryingValue",
    "EntityCommonStockSharesOutstanding",
)
FROZEN: Final = 10  # equal closes in a row, as in the checks of quality
COMPARED: Final = 40  # newest facts of a source among which another's is looked for
HEADLINE: Final = 200  # characters of a headline that are kept
