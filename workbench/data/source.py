"""What every supplier of facts promises, whoever it is: one protocol per kind, one method, named after the kind.

All methods ask alike: `symbols` (one or several), `start` and `end` (days, timezone-naive midnights, both included).
All answer alike: rows of the kind in `workbench.data.kinds` (bars: `DAILY_COLUMNS`, `INTRADAY_COLUMNS`), by symbol as
asked, then by time; no row where there is nothing; never a row that was made up. All refuse alike: DataError for what
the source does not have, SourceRefused and SourceUnavailable for what the vendor says or does not say, BadData for an
answer that cannot be read; then nothing was passed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import pandas as pd

from workbench.errors import ParameterError

PRICES: Final = ("open", "high", "low", "close")
DAILY_COLUMNS: Final = ("symbol", "session", *PRICES, "volume", "happened", "learned")
INTRADAY_COLUMNS: Final = ("symbol", "session", "time", *PRICES, "volume", "happened", "learned")


@runtime_checkable
class Source(Protocol):
    """A vendor of facts.

    Attributes:
        name: what a Study calls it, e.g. `"bundled"`.
        label: what is said under every table and plot made of it, e.g. `"SYNTHETIC · seed 7"`.
        synthetic: True where no real market stands behind the numbers.
    """

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def synthetic(self) -> bool: ...


@runtime_checkable
class BarSource(Source, Protocol):
    """A supplier of bars.

    Attributes:
        venue: calendar name of the sessions, e.g. `"XNYS"`.
    """

    @property
    def venue(self) -> str: ...

    def symbols(self) -> tuple[str, ...]:
        """Every symbol it knows, in a fixed order."""
        ...

    def bars(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars of the sessions from `start` to `end`, both included: long rows by symbol (as asked), then time.

        Returns:
            Columns `DAILY_COLUMNS`, or `INTRADAY_COLUMNS` where the timeframe is shorter than a session:
            `session` is a timezone-naive midnight, `time` the bar's first moment (UTC), `happened` the bar's close
            (UTC), `learned` the moment a reader could have known it (UTC). Prices are in the venue's currency,
            `volume` in shares. A field the source does not have is NaN in every row, never invented. There is no row
            for a session without a bar; no row at all is an empty frame with these columns.

        Raises:
            DataError: a symbol or a timeframe that the source does not have; nothing was fetched.
        """
        ...


def no_bars(*, intraday: bool = False) -> pd.DataFrame:
    """The empty answer: no row, the right columns and types."""
    columns: dict[str, pd.Series] = {"symbol": pd.Series(dtype="str"), "session": pd.Series(dtype="datetime64[us]")}
    if intraday:
        columns["time"] = pd.Series(dtype="datetime64[us, UTC]")
    columns |= {name: pd.Series(dtype=float) for name in (*PRICES, "volume")}
    columns |= {name: pd.Series(dtype="datetime64[us, UTC]") for name in ("happened", "learned")}
    return pd.DataFrame(columns)


@runtime_checkable
class QuoteSource(Source, Protocol):
    """A supplier of best bids and asks."""

    def quotes(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class TradeSource(Source, Protocol):
    """A supplier of single trades."""

    def trades(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class NewsSource(Source, Protocol):
    """A supplier of articles; `session` is the day of publication in New York."""

    def news(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class FilingSource(Source, Protocol):
    """A supplier of documents filed with a regulator."""

    def filings(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class FundamentalSource(Source, Protocol):
    """A supplier of the numbers inside filings; `start` and `end` are days of filing."""

    def fundamentals(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class MacroSource(Source, Protocol):
    """A supplier of economic series, all vintages; `start` and `end` are days observed."""

    def macro(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class FxSource(Source, Protocol):
    """A supplier of exchange rates; a symbol is a pair such as `EUR/USD`."""

    def fx(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class ShortInterestSource(Source, Protocol):
    """A supplier of short positions; `start` and `end` are settlement days."""

    def short_interest(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame: ...


@runtime_checkable
class ShortVolumeSource(Source, Protocol):
    """A supplier of short sale volumes of single sessions."""

    def short_volume(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class ActionSource(Source, Protocol):
    """A supplier of corporate actions; `start` and `end` are ex-days."""

    def actions(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame: ...


@runtime_checkable
class OptionSource(Source, Protocol):
    """A supplier of option chains as they stand now; a symbol is an underlying."""

    def options(self, symbols: str | Sequence[str]) -> pd.DataFrame: ...


def symbols_of(symbols: str | Sequence[str]) -> tuple[str, ...]:
    """One symbol or several, as the sequence it is inside: in the order given, without repeats.

    Raises:
        ParameterError: none is named, or one of them is not a word.
    """
    given = [symbols] if isinstance(symbols, str) else list(symbols)
    for symbol in given:
        if not isinstance(symbol, str) or not symbol.strip():
            raise ParameterError(
                f"symbols={symbols!r} holds {symbol!r}, which is not a symbol; nothing was asked.",
                remedy="write 'AAPL' or ['AAPL', 'MSFT'].",
            )
    wanted = tuple(dict.fromkeys(symbol.strip() for symbol in given))
    if not wanted:
        raise ParameterError("symbols is empty; nothing was asked.", remedy="write 'AAPL' or ['AAPL', 'MSFT'].")
    return wanted
