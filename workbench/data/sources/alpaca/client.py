"""The way to Alpaca: alpaca-py's client for paths, versions and keys, our gateway for everything that can go wrong.

alpaca-py repeats requests on its own schedule, waits without a timeout and joins pages so that a null in a later page
drops the rows of the earlier ones. Here its HTTP session hands every request to the gateway, which has the limits, the
retries and the cache, and pages are followed by us.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from workbench.data import reading
from workbench.data.gateway import Limit, Vendor
from workbench.errors import ParameterError

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Gateway

Read = TypeVar("Read")

# Basic plan: 200 requests a minute for market data (Algo Trader Plus has 10,000).
VENDOR: Final = Vendor(
    name="alpaca", url="https://data.alpaca.markets", limits=(Limit(requests=200, seconds=60.0),), timeout=(2.0, 10.0)
)
# For a desk, whose orders wait meanwhile: asked once, and not at all where its turn is far away.
LIVE: Final = replace(VENDOR, attempts=1, patience=2.0, breaker_at_most=60.0)
# The local exchange has no limit, comes back at once, and has nothing to do with what is known of Alpaca.
LOCAL: Final = replace(LIVE, name="exchange", limits=(), breaker_for=1.0, breaker_at_most=1.0)
SYMBOLS: Final = 100  # in one request: an address must not grow without end


class AlpacaClient:
    """Asks Alpaca. Keys are given, never read from anywhere; they appear in no repr and no message.

    One instance belongs to one thread.

    Args:
        vendor: limits and patience, see `VENDOR`, `LIVE`, `LOCAL`; its address is that of `access` where it has one.

    Raises:
        ParameterError: a key is empty.
    """

    def __init__(self, gateway: Gateway, access: Access, *, vendor: Vendor = VENDOR) -> None:
        key, secret = access.key.get_secret_value().strip(), access.secret.get_secret_value().strip()
        if not key or not secret:
            raise ParameterError(
                "the key or the secret of Alpaca is empty; no source was made.",
                remedy="set WORKBENCH_ALPACA_KEY_ID and WORKBENCH_ALPACA_SECRET_KEY.",
            )
        url = (access.url or vendor.url).rstrip("/")
        vendor = replace(vendor, url=url)
        with warnings.catch_warnings():
            # alpaca-py 0.44 still builds on the legacy half of websockets, which says so on import.
            warnings.simplefilter("ignore", DeprecationWarning)
            from alpaca.data.historical.stock import StockHistoricalDataClient

            from workbench.data.sources.alpaca.wire import GatewayAdapter

        self._client = StockHistoricalDataClient(key, secret, raw_data=True, url_override=url)
        # The library repeats a request after 429 and 504 by itself, three seconds apart; the gateway knows better.
        self._client._retry, self._client._retry_codes = 0, []  # noqa: SLF001 - the constructor does not offer it
        self._wire = GatewayAdapter(gateway, vendor)
        for prefix in ("http://", "https://"):
            self._client._session.mount(prefix, self._wire)  # noqa: SLF001 - the only way to the wire

    def get(
        self,
        path: str,
        query: Mapping[str, Any],
        read: Callable[[dict[str, Any]], Read],
        *,
        kind: str,
        version: str = "v2",
        ttl: float | None = None,
    ) -> Read:
        """What `read` makes of one answer; an answer that it cannot use is not used again either.

        Args:
            path: below the version: `/stocks/bars`.
            kind: of facts; it says how long the gateway may use the answer again where `ttl` does not.

        Raises:
            SourceRefused, SourceUnavailable: Alpaca said no, or did not answer.
            BadData: the answer is not an object of JSON, or `read` says so.
        """
        self._wire.kind, self._wire.ttl = kind, ttl
        asked = {name: value for name, value in query.items() if value is not None}
        answer: Any = self._client.get(path, asked, api_version=version)
        with reading.of(self._wire.answer):
            return read(reading.mapping(answer, of="Alpaca"))

    def pages(
        self,
        path: str,
        query: Mapping[str, Any],
        part: str,
        read: Callable[[Any], Read],
        *,
        form: type = dict,
        kind: str,
        version: str = "v2",
        ttl: float | None = None,
    ) -> list[Read]:
        """What `read` makes of the part `part` (an object or a list) of each page.

        Raises:
            SourceRefused, SourceUnavailable: as `get`.
            BadData: a page lacks the part, or comes twice, or `read` says so.
        """
        asked, of, seen, found = dict(query), f"Alpaca's {part}", set[str](), list[Read]()

        def turned(answer: dict[str, Any]) -> tuple[Read, str | None]:
            token = reading.next_page(answer, "next_page_token", seen, of=of)
            return read(reading.part(answer, part, form, of=of)), token

        while True:
            page, token = self.get(path, asked, turned, kind=kind, version=version, ttl=ttl)
            found.append(page)
            if token is None:
                return found
            asked["page_token"] = token
