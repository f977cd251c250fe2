"""What the market-data resources share: reading their parameters, and answering in pages."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from workbench.exchange.api.resource import AccountResource
from workbench.exchange.clock import moment_of
from workbench.exchange.market.candles import NoSuchTimeframe, Timeframe, timeframe
from workbench.exchange.telling.data_wire import DERIVED, as_json
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    # symbol, start, end, descending → (moment, message) of each row, in order
    Rows = Callable[[str, dt.datetime | None, dt.datetime | None, bool], Iterator[tuple[dt.datetime, dict[str, Any]]]]

DEFAULT_ROWS: Final = 1000
LARGEST_PAGE: Final = 10_000
INVALID: Final = 40010001
_BREATHE: Final = 1000  # rows after which others get a turn
_FEEDS: Final = frozenset({"sip", "iex", "otc", "boats", "overnight", "delayed_sip", "opra", "indicative", "test"})
_ADJUSTMENTS: Final = frozenset({"raw", "split", "dividend", "spin-off", "all"})


class DataResource(AccountResource):
    """One resource of market data, as the asking account may see it at its clock."""

    made: str = DERIVED  # what is said about numbers that no source has

    async def prepare(self) -> None:
        """Say in a header what the numbers are."""
        await super().prepare()
        self.keep_headers({"X-Market-Data": ascii_only(f"{self.exchange.venue.market.feed.label}; {self.made}")})

    @property
    def now(self) -> dt.datetime:
        """The moment whose knowledge is told."""
        return self.account.now

    def exists(self, symbol: str) -> bool:
        """Whether this resource has the symbol."""
        return symbol in self.exchange.venue.market.stocks()

    def symbols(self) -> list[str]:
        """The symbols asked for, once each, in order. Unknown ones are dropped, as Alpaca does. Raises Refusal 400."""
        asked = [symbol for text in self.get_query_arguments("symbols") for symbol in text.split(",") if symbol]
        if not asked:
            raise Refusal(400, INVALID, "symbols is required")
        return [symbol for symbol in dict.fromkeys(asked) if self.exists(symbol)]

    def check_words(self) -> None:
        """Refuse a feed, a currency, an adjustment, an order or a date that does not exist. Raises Refusal 400.

        There are no corporate actions and no renamed symbols here, so `adjustment` and `asof` change no number.
        """
        for name, words in (("feed", _FEEDS), ("sort", {"asc", "desc"}), ("currency", {"usd"})):
            given = self.query(name)
            if given is not None and given.lower() not in words:
                raise Refusal(400, INVALID, f"invalid {name}: {given}")
        adjustment = self.query("adjustment")
        if adjustment is not None and not set(adjustment.lower().split(",")) <= _ADJUSTMENTS:
            raise Refusal(400, INVALID, f"invalid adjustment: {adjustment}")
        if self.query("asof") not in {None, "-"}:
            self.bound("asof")

    def length(self) -> Timeframe:
        """The timeframe asked for, 1Day where none is. Raises Refusal 400."""
        try:
            return timeframe(self.query("timeframe") or "1Day")
        except NoSuchTimeframe as error:
            raise Refusal(400, INVALID, str(error)) from error

    def bound(self, name: str) -> dt.datetime | None:
        """A moment of the query. Raises Refusal 400."""
        text = self.query(name)
        if text is None:
            return None
        try:
            return moment_of(text)
        except ValueError as error:
            raise Refusal(400, INVALID, f"invalid format for {name}") from error

    def limit(self, *, default: int = DEFAULT_ROWS, largest: int = LARGEST_PAGE) -> int:
        """How many rows a page holds. Raises Refusal 400."""
        text = self.query("limit") or str(default)
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= largest:
            raise Refusal(400, INVALID, f"limit must be between 1 and {largest}")
        return int(text)

    async def pages(self, key: str, symbols: Iterable[str], rows: Rows, *, single: str | None = None) -> None:
        """Answer one page of rows, by symbol, then by time; `limit` counts rows of all symbols.

        Args:
            key: the name of the rows in the answer.
            rows: the rows of one symbol between two moments (both included), in order, every moment once.
            single: the answer is for this symbol alone and has no level of symbols.
        """
        self.check_words()
        start, end, left = self.bound("start"), self.bound("end"), self.limit()
        if start is not None and end is not None and end < start:
            raise Refusal(400, INVALID, "end should not be before start")
        descending = (self.query("sort") or "asc").lower() == "desc"
        after, since = self._token()
        shown: dict[str, list[Any]] = {}
        token, last, count = None, ("", self.now), 0
        try:
            for symbol in sorted(set(symbols)):
                if symbol < after:
                    continue
                first, until = (start, end) if symbol > after else (start, since) if descending else (since, end)
                for moment, message in rows(symbol, first, until, descending):
                    if symbol == after and moment == since:
                        continue
                    if count == left:
                        token = f"{last[0]}|{last[1].isoformat()}"
                        break
                    shown.setdefault(symbol, []).append(as_json(message))
                    last, count = (symbol, moment), count + 1
                    if count % _BREATHE == 0:
                        await asyncio.sleep(0)
                if token is not None:
                    break
        except NoSuchTimeframe as error:
            raise Refusal(400, INVALID, str(error)) from error
        page = None if token is None else base64.urlsafe_b64encode(token.encode()).decode()
        told: Any = shown if single is None else shown.get(single, [])
        await self.reply({key: told, "next_page_token": page} | ({} if single is None else {"symbol": single}))

    def _token(self) -> tuple[str, dt.datetime | None]:
        text = self.query("page_token")
        if text is None:
            return "", None
        try:
            symbol, _, moment = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
            return symbol, dt.datetime.fromisoformat(moment)
        except ValueError as error:
            raise Refusal(400, INVALID, "invalid page_token") from error


def ascii_only(text: str) -> str:
    """Text that a header can hold."""
    return text.replace("·", "-").encode("ascii", "replace").decode()
