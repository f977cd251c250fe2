"""Questions: what Alpaca is asked: paths, queries, pages, and so many symbols at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from workbench.data import reading
from workbench.data.portions import portions
from workbench.data.sources.alpaca import actions, shapes
from workbench.data.sources.alpaca.client import SYMBOLS, AlpacaClient

_PAGE, _PAGE_OF_NEWS, _PAGE_OF_OPTIONS, _PAGE_OF_ACTIONS = 10_000, 50, 1_000, 1_000


class Questions:
    """Each gives the rows of all symbols and pages as they were answered; order and bounds are the source's.

    Args:
        source: the name that the rows carry.
        feed, options_feed: of stocks, and of options.
    """

    def __init__(self, client: AlpacaClient, *, source: str, feed: str, options_feed: str) -> None:
        self._client, self._source, self._feed, self._options_feed = client, source, feed, options_feed

    def rows(
        self,
        what: str,
        wanted: Sequence[str],
        since: dt.datetime,
        until: dt.datetime,
        columns: Any,
        *,
        more: Mapping[str, Any] | None = None,
        ttl: float | None = None,
    ) -> pd.DataFrame:
        """Bars, quotes or trades from `since` on, up to `until`, with `more` in the query."""
        query = dict(more or {}) | _between(since, until) | {"limit": _PAGE, "feed": self._feed}
        read = partial(shapes.by_symbol, columns=columns, of=f"Alpaca's {what}")
        pages = [
            page
            for part in portions(wanted, SYMBOLS)
            for page in self._client.pages(
                f"/stocks/{what}", query | {"symbols": ",".join(part)}, what, read, kind=what, ttl=ttl
            )
        ]
        return pd.concat(pages, ignore_index=True)

    def newest(self, what: str, wanted: Sequence[str], columns: Any) -> pd.DataFrame:
        """The newest bar, quote or trade of each symbol; never from a cache."""

        def read(answer: dict[str, Any]) -> pd.DataFrame:
            of = f"Alpaca's newest {what}"
            return shapes.one_each(reading.part(answer, what, dict, of=of), columns, of=of)

        found = [
            self._client.get(
                f"/stocks/{what}/latest", {"symbols": ",".join(part), "feed": self._feed}, read, kind=what, ttl=0.0
            )
            for part in portions(wanted, SYMBOLS)
        ]
        return pd.concat(found, ignore_index=True)

    def snapshots(self, wanted: Sequence[str]) -> pd.DataFrame:
        """How each symbol stands now; never from a cache."""
        read = partial(shapes.one_each, columns=shapes.SNAPSHOTS, of="Alpaca's snapshots")
        found = [
            self._client.get(
                "/stocks/snapshots", {"symbols": ",".join(part), "feed": self._feed}, read, kind="quotes", ttl=0.0
            )
            for part in portions(wanted, SYMBOLS)
        ]
        return pd.concat(found, ignore_index=True)

    def news(self, wanted: Sequence[str], since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
        """Articles revised from `since` on, up to `until`; nobody is asked where that is no time at all."""
        query = _between(since, until) | {"limit": _PAGE_OF_NEWS, "include_content": "false"}
        pages = [
            page
            for part in (portions(wanted, SYMBOLS) if since < until else ())
            for page in self._client.pages(
                "/news",
                query | {"symbols": ",".join(part)},
                "news",
                partial(shapes.news, wanted=set(part), source=self._source),
                form=list,
                kind="news",
                version="v1beta1",
            )
        ] or [shapes.news([], (), source=self._source)]
        return pd.concat(pages, ignore_index=True)

    def actions(
        self, wanted: Sequence[str], first: pd.Timestamp, last: pd.Timestamp, *, clock: Callable[[], dt.datetime]
    ) -> pd.DataFrame:
        """Actions that Alpaca carried out on the days from `first` to `last`."""
        query = {
            "types": ",".join(actions.TYPES),
            "start": f"{first:%Y-%m-%d}",
            "end": f"{last:%Y-%m-%d}",
            "limit": _PAGE_OF_ACTIONS,
            "sort": "asc",
        }
        pages = [
            page
            for part in portions(wanted, SYMBOLS)
            for page in self._client.pages(
                "/corporate-actions",
                query | {"symbols": ",".join(part)},
                "corporate_actions",
                partial(actions.read, now=clock(), source=self._source),
                kind="actions",
                version="v1",
            )
        ]
        return pd.concat([page for page in pages if len(page)] or pages[:1], ignore_index=True)

    def chain(self, underlying: str, *, delay: dt.timedelta) -> pd.DataFrame:
        """All contracts of an underlying as they stand now; `delay` of the feed."""
        return self._contracts(f"/options/snapshots/{underlying}", {}, underlying, delay)

    def contracts(self, wanted: Sequence[str], *, delay: dt.timedelta) -> pd.DataFrame:
        """Single contracts as they stand now; `delay` of the feed."""
        found = [
            self._contracts("/options/snapshots", {"symbols": ",".join(part)}, None, delay)
            for part in portions(wanted, SYMBOLS)
        ]
        return pd.concat(found, ignore_index=True)

    def _contracts(
        self, path: str, query: Mapping[str, Any], underlying: str | None, delay: dt.timedelta
    ) -> pd.DataFrame:
        read = partial(shapes.options, underlying=underlying, delay=delay, source=self._source)
        asked = dict(query) | {"feed": self._options_feed, "limit": _PAGE_OF_OPTIONS}
        pages = self._client.pages(path, asked, "snapshots", read, kind="options", version="v1beta1")
        return pd.concat(pages, ignore_index=True)


def _between(since: dt.datetime, until: dt.datetime) -> dict[str, Any]:
    return {"start": _iso(since), "end": _iso(until), "sort": "asc"}


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
