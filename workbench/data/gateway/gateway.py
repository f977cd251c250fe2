"""Gateway: the one way to every vendor: limits, retries, breaker, cache, single flight, counts."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from workbench.data.gateway import seen
from workbench.data.gateway.admission import Admission
from workbench.data.gateway.answer import Answer
from workbench.data.gateway.asker import Asker
from workbench.data.gateway.cache import Cache, Kept
from workbench.data.gateway.counts import Counts
from workbench.data.gateway.flight import Flights
from workbench.data.gateway.question import Question
from workbench.data.gateway.ttl import seconds_of
from workbench.data.gateway.vendor import Vendor
from workbench.data.gateway.wire import Received, Wire
from workbench.errors import ParameterError
from workbench.store.relaxed import of_this_process, relaxed
from workbench.store.schema import utc_now
from workbench.store.vendor_budget import MOST_AHEAD

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Engine

    from workbench.store.workspace import Workspace


class Gateway:
    """Asks vendors politely, and remembers what they said.

    Threads may share one. A process that was forked must open its own: it is refused here. Processes that are given
    the same database share limits, breakers and counts; those with the same folder share the cache.

    Args:
        engine: the database; None: limits, breakers and counts are this process's own and end with it.
        cache: folder of the cache; None: nothing is kept.
        clock: the wall clock (UTC).
        sleep: waits so many seconds.
        rng: of the jitter of retries; None: seeded by the operating system.
        transport: an `httpx.BaseTransport` in place of the network.
        timer: monotonic seconds, for latencies.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        cache: str | Path | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        transport: Any = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._process = os.getpid()
        where = engine if engine is not None else of_this_process()
        quick = relaxed(where)
        self._admission = Admission(where, quick, clock=clock, sleep=sleep)
        self._counts = Counts(self._admission.transaction, clock=clock)
        self._cache = None if cache is None else Cache(Path(cache))
        self._salt = os.urandom(32) if self._cache is None else self._cache.salt
        self._flights: Flights[Answer] = Flights()
        self._wire = Wire(transport, timer=timer)
        self._asker = Asker(
            self._admission,
            self._wire,
            self._counts,
            clock=clock,
            sleep=sleep,
            rng=rng or random.Random(),
            timer=timer,
        )
        own = {id(each): each for each in (quick, where) if each is not engine}
        # A notebook closes nothing: what was counted is written when the kernel ends.
        self._closing = weakref.finalize(
            self, _let_go, self._counts, self._wire, self._cache, tuple(own.values()), self._process
        )

    @classmethod
    def of(cls, workspace: Workspace) -> Gateway:
        """The gateway of a workspace: its database, and a cache in its home."""
        return cls(engine=workspace.engine, cache=workspace.home / "cache" / "vendors")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what was counted and close every connection. The gateway cannot be used afterwards."""
        alive = self._closing.detach()
        if alive is not None:
            _close(*alive[2])

    def get(
        self,
        vendor: Vendor,
        path: str,
        *,
        kind: str,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | SecretStr] | None = None,
        secrets: Mapping[str, SecretStr] | None = None,
        ttl: float | None = None,
        absent: Collection[int] = (404,),
        patience: float | None = None,
    ) -> Answer:
        """Ask for something.

        Args:
            path: appended to the vendor's address; or a whole address, where a vendor has several.
            kind: a kind of facts; it decides how long the answer may be used again, and is counted.
            query: None is left out, sequences are joined by a comma, a SecretStr is a secret.
            headers: a SecretStr is a secret.
            secrets: added to the query, for vendors that take no header; shown and stored nowhere.
            ttl: seconds that the answer may be used again, in place of the kind's; 0: it is neither kept nor looked up.
            absent: statuses that mean that there is no such thing; the answer says so and is not kept.
            patience: in place of the vendor's.

        Raises:
            SourceRefused: the vendor said no; asking again would not help.
            SourceUnavailable: no answer after all attempts, the breaker is open, or the wait would be longer than
                `patience`.
            BadData: the answer is larger than the vendor's may be.
            ParameterError: the question cannot be put.
        """
        question = Question.of(vendor, path, kind=kind, query=query, headers=headers, secrets=secrets)
        return self._ask(question, ttl, absent, patience)

    def post(
        self,
        vendor: Vendor,
        path: str,
        *,
        kind: str,
        body: Any,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | SecretStr] | None = None,
        secrets: Mapping[str, SecretStr] | None = None,
        ttl: float | None = None,
        absent: Collection[int] = (404,),
        patience: float | None = None,
    ) -> Answer:
        """Ask something that needs a body: bytes, text, or what becomes JSON. See `get`.

        For questions only: it is sent again when it fails, so it must not change anything.
        """
        question = Question.of(
            vendor, path, kind=kind, query=query, headers=headers, secrets=secrets, body=body, method="POST"
        )
        return self._ask(question, ttl, absent, patience)

    def stats(self) -> pd.DataFrame:
        """What was asked, per vendor and kind, ever and by all processes; see `workbench.data.gateway.seen.stats`."""
        self._counts.flush()
        with self._admission.transaction() as connection:
            return seen.stats(connection)

    def health(self, *, minutes: float = 60.0, vendors: Collection[str] = ()) -> pd.DataFrame:
        """How every vendor is doing; see `workbench.data.gateway.seen.health`."""
        self._counts.flush()
        with self._admission.transaction() as connection:
            return seen.health(connection, at=self._clock(), minutes=minutes, vendors=vendors)

    def history(self, vendor: str, *, since: dt.datetime | None = None) -> pd.DataFrame:
        """How a vendor did, minute by minute; see `workbench.data.gateway.seen.history`."""
        self._counts.flush()
        with self._admission.transaction() as connection:
            return seen.history(connection, vendor, since=since)

    def _ask(self, question: Question, ttl: float | None, absent: Collection[int], patience: float | None) -> Answer:
        if os.getpid() != self._process:
            raise ParameterError(
                "this gateway was opened by another process, of which this one is a fork; nothing was asked.",
                remedy="open a Gateway in each process.",
            )
        if not self._closing.alive:
            raise ParameterError("this gateway is closed; nothing was asked.", remedy="open another one.")
        seconds = seconds_of(question.kind, ttl)
        wait = question.vendor.patience if patience is None else patience
        if not 0 <= wait <= MOST_AHEAD:
            raise ParameterError(f"patience={wait!r} must be from 0 to {MOST_AHEAD:g} s; nothing was asked.")
        key = question.key(self._salt)
        name, kind = question.vendor.name, question.kind

        def find() -> Answer:
            return self._kept(question, key, seconds) or self._fetch(question, key, seconds, frozenset(absent), wait)

        try:
            answer, joined = self._flights.join((key, frozenset(absent), seconds > 0), find)
        except Exception:
            self._counts.add(name, kind, calls=1, failures=1)
            raise
        finally:
            if self._counts.due():
                with contextlib.suppress(Exception):  # the answer is worth more than its count, which is kept
                    self._counts.flush()
        if joined:
            self._counts.add(name, kind, calls=1, joined=1)
        elif answer.cached:
            self._counts.add(name, kind, calls=1, hits=1, bytes_cache=len(answer.content))
        else:
            self._counts.add(name, kind, calls=1, misses=1)
        return answer

    def _kept(self, question: Question, key: str, seconds: float) -> Answer | None:
        if self._cache is None or not seconds:
            return None
        kept = self._cache.read(key, at=self._clock())
        return None if kept is None else self._answer(question, key, kept, cached=True)

    def _fetch(self, question: Question, key: str, seconds: float, absent: frozenset[int], patience: float) -> Answer:
        """Ask the vendor, and keep what may be kept."""
        received = self._asker.ask(question, absent=absent, patience=patience)
        missing = not 200 <= received.status < 300
        kept = Kept(received.status, _stored(received, question), received.content, self._clock())
        if self._cache is not None and seconds and not missing and _may_be_kept(received, question):
            self._cache.write(key, kept, seconds=seconds)
        return self._answer(question, key, kept, cached=False, absent=missing)

    def _answer(self, question: Question, key: str, kept: Kept, *, cached: bool, absent: bool = False) -> Answer:
        import httpx

        def reject(_why: str) -> None:
            self._counts.add(question.vendor.name, question.kind, unreadable=1)
            if self._cache is not None:
                self._cache.drop(key)

        return Answer(
            vendor=question.vendor.name,
            kind=question.kind,
            status=kept.status,
            headers=httpx.Headers(dict(kept.headers)),
            content=kept.content,
            url=question.shown,
            fetched_at=kept.fetched_at,
            cached=cached,
            absent=absent,
            _clean=question.secrets.clean,
            _reject=reject,
        )


def _stored(received: Received, question: Question) -> dict[str, str]:
    """The headers of an answer, without cookies and without secrets that the vendor repeats."""
    headers = {name: value for name, value in received.headers.items() if name != "set-cookie"}
    if not question.secrets:
        return headers
    return {name: question.secrets.clean(value) for name, value in headers.items()}


def _may_be_kept(received: Received, question: Question) -> bool:
    """False where the vendor forbids it, the answer is a page for people, or it repeats a secret."""
    said = {part.strip().partition("=")[0].lower() for part in received.headers.get("cache-control", "").split(",")}
    if said & {"no-store", "private", "no-cache"}:
        return False
    if not received.content or received.headers.get("content-type", "").startswith("text/html"):
        return False
    return not question.secrets.within(received.content)


def _let_go(*held: Any) -> None:
    """Nobody closed it, and nobody is there to hear of a fault."""
    with contextlib.suppress(Exception):
        _close(*held)


def _close(counts: Counts, wire: Wire, cache: Cache | None, engines: tuple[Engine, ...], process: int) -> None:
    """Not a method: it must run after the gateway is gone. A fork leaves its parent's connections alone."""
    if os.getpid() != process:
        return
    try:
        counts.flush()
    finally:
        wire.close()
        if cache is not None:
            cache.close()
        for engine in engines:
            engine.dispose()
