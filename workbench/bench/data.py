"""The verbs of facts: whom to ask, what came, what was kept back, what was known when."""

from __future__ import annotations

import contextlib
import functools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import DataError, ParameterError
from workbench.study import moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.data.access import Access
    from workbench.data.collect import Collection, Progress
    from workbench.data.fusion import EvidenceRecord
    from workbench.data.fx import Converted
    from workbench.data.source import Source
    from workbench.data.stream.market_stream import MarketStream
    from workbench.orchestration.local_alpaca import LocalAlpaca
    from workbench.orchestration.vendors import Vendors
    from workbench.settings import Settings
    from workbench.store.workspace import Workspace

TONE_REACH = pd.Timedelta(days=30)  # older news has faded to nothing


class Facts:
    """`bench.data`: the sources of this machine and what is stored of them. Nothing is asked before a verb is called.

    Args:
        workspace: where facts are kept.
        settings: the keys and addresses of vendors.
    """

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace, self._settings = workspace, settings

    @functools.cached_property
    def vendors(self) -> Vendors:
        """The gateway and the keys; opened when first used."""
        from workbench.orchestration.vendors import Vendors

        return Vendors.of(self._workspace, self._settings)

    def source(self, name: str, *, seed: int = 7) -> Any:
        """A source by name, e.g. to ask it directly. Raises DataError when it does not exist or needs a key."""
        from workbench.data.sources import NAMES, open_source

        return open_source(name, seed=seed) if name in NAMES else self.vendors.open(name, seed=seed)

    def local_source(self, as_of: Any, *, seed: int = 7) -> LocalAlpaca:
        """The local exchange as a vendor: Alpaca's protocol, no key, a made-up market that stands at `as_of`."""
        from workbench.orchestration.local_alpaca import open_local

        gateway = self.vendors.gateway
        return open_local(self._workspace, self._settings, gateway, as_of=moment_of(as_of), seed=seed)

    def sources(self) -> pd.DataFrame:
        """One row per source: what it can be asked for, whether its keys are there, what its owner allows."""
        return self.vendors.table()

    def collect(
        self,
        symbols: str | Sequence[str],
        *,
        source: str | Any,
        start: Any,
        end: Any = None,
        kind: str = "bars",
        timeframe: str = "1d",
        seed: int = 7,
        progress: Callable[[Progress], None] | None = None,
    ) -> Collection:
        """Bring facts of a kind from a source to the store; what is there is not asked again.

        In a notebook a bar moves under the cell; elsewhere `progress` is called after each part.

        Args:
            source: its name, or an object with a method named after `kind`. Of one that stands at a moment (it has
                `as_of`), nothing after that is asked, and nothing after it is noted as collected.
            start, end: days.

        See `workbench.data.collect.collect` for the rest.
        """
        from workbench.data.collect import collect
        from workbench.data.kinds import KINDS
        from workbench.data.sources import listed
        from workbench.orchestration.part_bar import following
        from workbench.store.schema import utc_now

        first, last = _day("start", start), None if end is None else _day("end", end)
        if isinstance(source, str) and kind in {"bars", *KINDS} - {*listed(source).kinds}:
            raise ParameterError(
                f"source={source!r} cannot be asked for past {kind}; nothing was asked.",
                remedy=f"it has {', '.join(listed(source).kinds)}; `workbench data sources` shows the others.",
            )
        opened = self.source(source, seed=seed) if isinstance(source, str) else source
        stands = getattr(opened, "as_of", None)
        with following(f"{kind} of {opened.name}", progress) as told:
            return collect(
                opened,
                workspace=self._workspace,
                symbols=symbols,
                start=first,
                end=last,
                kind=kind,
                timeframe=timeframe,
                seed=getattr(opened, "seed", None) if kind == "bars" else None,
                clock=utc_now if stands is None else stands.to_pydatetime,
                progress=told,
            )

    def facts(
        self, kind: str, symbols: str | Sequence[str], *, source: str, start: Any, end: Any, as_of: Any
    ) -> pd.DataFrame:
        """Stored facts of a kind as they were known at `as_of`; see `workbench.data.facts.read_facts`."""
        from workbench.data.facts import read_facts

        return read_facts(self._workspace, kind, source, symbols, start=start, end=end, as_of=moment_of(as_of))

    def stream(
        self, *, url: str = "", feed: str = "", access: Access | None = None, fill: Any = None, **options: Any
    ) -> MarketStream:
        """A market-data stream of Alpaca with this machine's keys; `start()` connects it.

        Args:
            url: of another server that speaks its protocol, e.g. a local exchange; Alpaca's own when empty.
            feed: `iex`, `sip`, `opra`, `indicative`, `crypto`, `news` or `test`; the one of the settings when empty.
            access: other keys, e.g. those of an account at a local exchange; the settings' when None.
            fill: a source of its own that is asked for what was missed while the connection was away.
            options: see `workbench.data.stream.market_stream.MarketStream`.

        Raises:
            DataError: there is no key; the setting that is missing is named.
            ParameterError: there is no such feed, or `url` is not the address of a stream.
        """
        from workbench.data.sources import lacking, listed
        from workbench.data.stream.market_stream import MarketStream

        ours = self.vendors.accesses["alpaca"]
        given = ours if access is None else access
        missing = lacking(listed("alpaca"), given)
        if missing:
            raise DataError(
                f"a stream needs {' and '.join(missing)}, which was not given; nothing was opened.",
                remedy=f"set {' and '.join(missing)}, or pass access=.",
            )
        return MarketStream(url, given, feed=feed or given.feed or ours.feed, fill=fill, **options)

    def fuse(
        self, symbol: str, as_of: Any, *, sources: str | Source | Sequence[str | Source] | None = None, **options: Any
    ) -> EvidenceRecord:
        """Everything known of a symbol at a moment, as one record: each source's facts, age, quality and weight.

        Args:
            sources: those that are expected; every real vendor when None. A made-up market must be named.
            options: `series`, `pairs`, `seed`: see `workbench.data.fusion.Fusion`.
        """
        from workbench.data.fusion import Fusion

        return Fusion(self._workspace, sources=sources, **options).of(symbol, moment_of(as_of))

    def tone(self, symbols: str | Sequence[str], as_of: Any, *, source: str) -> pd.DataFrame:
        """What the news of a source says of each symbol at a moment: score, confidence, number of stories, age."""
        from workbench.data.facts import read_facts
        from workbench.data.sentiment import tone_of
        from workbench.data.source import symbols_of

        moment, wanted = moment_of(as_of), symbols_of(symbols)
        days = {"start": moment.tz_localize(None).normalize() - TONE_REACH, "end": moment.tz_localize(None).normalize()}
        rows = read_facts(self._workspace, "sentiment", source, wanted, as_of=moment, **days)
        return tone_of(rows, wanted, as_of=moment)

    def convert(self, amount: float | Decimal, base: str, quote: str, as_of: Any) -> Converted[Any]:
        """An amount in another currency at the newest rate known at `as_of`, with the rate's age."""
        from workbench.data.fx import convert

        exact = Decimal(amount) if isinstance(amount, int) else amount
        return convert(exact, base, quote, moment_of(as_of), workspace=self._workspace)

    def quarantine(self, **wanted: Any) -> pd.DataFrame:
        """The rows that were kept back, with the reason; see `workbench.data.quarantine.rows`."""
        from workbench.data import quarantine

        return quarantine.rows(self._workspace, **wanted)

    def release(self, ids: str | Sequence[str], *, reason: str) -> int:
        """Let rows out of quarantine: readers know them from now on, and not before."""
        from workbench.data import quarantine
        from workbench.data.source import symbols_of

        return quarantine.release(self._workspace, symbols_of(ids), reason=reason, who=self._settings.actor or None)

    def refuse(self, ids: str | Sequence[str], *, reason: str) -> int:
        """Close rows of the quarantine for good."""
        from workbench.data import quarantine
        from workbench.data.source import symbols_of

        return quarantine.refuse(self._workspace, symbols_of(ids), reason=reason, who=self._settings.actor or None)

    def members(self, universe: str, as_of: Any = None) -> tuple[str, ...]:
        """Who is in a universe, or who was at `as_of`."""
        from workbench.data.universe import members

        return members(self._workspace, universe, pd.Timestamp.now("UTC") if as_of is None else moment_of(as_of))

    def stats(self) -> pd.DataFrame:
        """What the gateway did per vendor and kind: calls, hits, misses, bytes, saved calls, waits, failures."""
        return self.vendors.gateway.stats()

    def health(self) -> pd.DataFrame:
        """How each vendor is: up or down, latency, errors, breaker, last success, what is left of its limits."""
        from workbench.data.raw import SUFFIX
        from workbench.data.sources import NAMES, SOURCES

        asked = [name for name, one in SOURCES.items() if one.place and name not in NAMES and SUFFIX not in name]
        return self.vendors.gateway.health(vendors=asked)

    def close(self) -> None:
        """Give the connections back; a verb that is called later opens them anew."""
        if "vendors" in self.__dict__:
            self.__dict__.pop("vendors").close()


def _day(name: str, value: Any) -> pd.Timestamp:
    with contextlib.suppress(TypeError, ValueError):
        day = pd.Timestamp(value)
        if not pd.isna(day) and day.tzinfo is None:
            return day.normalize()
    raise ParameterError(f"{name}={value!r} is not a day; nothing was asked.", remedy="write '2015-06-30'.")
