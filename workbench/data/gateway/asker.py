"""Asker: brings one question to a vendor: tokens, attempts, and what each end means for budget, breaker and counts."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from workbench.data.gateway import retry
from workbench.data.gateway.admission import NO_TOKEN, Admission, Token
from workbench.data.gateway.counts import Counts, Ended
from workbench.data.gateway.question import Question
from workbench.data.gateway.wire import Received, TooLarge, Unanswered, Wire
from workbench.errors import BadData, SourceRefused, SourceUnavailable

HOPS: Final = 3  # redirects within one host
SHOWN: Final = 200  # characters of a refusal that a message shows
_LOOKED_AT: Final = 16_384  # bytes of a refusal that are searched for words
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_REMEDIES: Final = {
    401: "is the key right, and set for this vendor?",
    402: "the plan does not include this.",
    403: "is the key right, and does the plan include this?",
    **dict.fromkeys(_MOVED, "the vendor's address has changed; set its url."),
}


class _Again(Exception):
    """This attempt brought nothing; another one may."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


@dataclass(slots=True)
class _Errand:
    """One call on its way: how long it may still wait for tokens (seconds), the newest token, when it was sent."""

    question: Question
    absent: frozenset[int]
    patience: float
    token: Token = NO_TOKEN
    began: float = 0.0


class Asker:
    """Holds nothing of a question between calls; safe for threads."""

    def __init__(
        self,
        admission: Admission,
        wire: Wire,
        counts: Counts,
        *,
        clock: Callable[[], dt.datetime],
        sleep: Callable[[float], None],
        rng: random.Random,
        timer: Callable[[], float],
    ) -> None:
        self._admission = admission
        self._wire = wire
        self._counts = counts
        self._clock = clock
        self._sleep = sleep
        self._rng = rng
        self._timer = timer

    def ask(self, question: Question, *, absent: frozenset[int], patience: float) -> Received:
        """What the vendor answered: a 2xx, or a status in `absent`. Raises as `Gateway.get` does."""
        import tenacity

        vendor = question.vendor
        asking = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(vendor.attempts),
            wait=lambda state: retry.backoff(state.attempt_number, self._rng),
            sleep=self._sleep,
            retry=tenacity.retry_if_exception_type(_Again),
            before_sleep=lambda _: self._counts.add(vendor.name, question.kind, retries=1),
            reraise=True,
        )
        errand = _Errand(question, absent, patience)
        try:
            return asking(self._attempt, errand)
        except _Again as last:
            said = last.said
        raise SourceUnavailable(
            f"{vendor.name} was asked {vendor.attempts} times for {question.kind}; the last time it {said}. "
            "Nothing was read.",
            remedy="ask again in a while; health() shows how it is doing.",
            vendor=vendor.name,
        )

    def _attempt(self, errand: _Errand) -> Received:
        """One request, and those it is redirected to within its host."""
        question = errand.question
        for _ in range(HOPS + 1):
            received = self._send(question, errand)
            if 200 <= received.status < 300 or received.status in errand.absent:
                return received
            if received.status not in _MOVED:
                raise self._refused(question, received, "gave an answer that was not asked for")
            there = question.moved(received.headers.get("location", ""))
            if there is None:
                raise self._refused(question, received, "has moved to another host, which is not followed")
            question = there
        raise self._refused(question, received, "redirects in a circle")

    def _send(self, question: Question, errand: _Errand) -> Received:
        """One request: a token, the wire, and what its end means for budget and breaker."""
        vendor = question.vendor
        self._wire.prepare(question)
        errand.token = self._enter(errand)
        errand.began = self._timer()

        def leaving() -> None:
            # Making a connection may outlast the token; the request leaves on a fresh one then.
            if not self._admission.in_time(errand.token):
                self._let_go(errand)
                errand.token = self._enter(errand)
                errand.began = self._timer()

        try:
            received = self._wire.send(question, leaving=leaving)
        except Unanswered as error:
            said = str(error)
        except TooLarge:
            self._ended(errand, "answered")
            raise BadData(
                f"{vendor.name} answered {question.shown} with more than {vendor.largest:,} bytes; they were not read.",
                remedy="ask for less at a time.",
            ) from None
        except BaseException:
            self._let_go(errand)
            raise
        else:
            self._counts.add(vendor.name, question.kind, bytes_network=len(received.content))
            return self._judged(question, received, errand)
        self._failed(errand, said)
        raise _Again(said)

    def _judged(self, question: Question, received: Received, errand: _Errand) -> Received:
        """The answer, where it is one."""
        vendor, status = question.vendor, received.status
        if status < 400 or status in errand.absent:
            self._ended(errand, "answered")
            return received
        asked = retry.retry_after(received.headers.get("retry-after"), at=self._clock(), at_most=vendor.busy_at_most)
        if status in vendor.busy_statuses:
            said = f"answered HTTP {status}: it was asked too often"
            self._ended(errand, "busy", said)
            self._admission.busy(vendor, vendor.busy_for if asked is None else asked, said)
            raise _Again(said)
        said = f"answered HTTP {status}{self._first_words(question, received)}"
        if retry.worth_asking_again(status):
            self._failed(errand, said, alone=asked or 0.0)
            raise _Again(said)
        self._ended(errand, "refused", said)
        raise self._refused(question, received, "refused")

    def _enter(self, errand: _Errand) -> Token:
        vendor = errand.question.vendor
        token = self._admission.enter(vendor, patience=errand.patience)
        if token.waited > 0:
            errand.patience = max(0.0, errand.patience - token.waited)
            self._counts.add(vendor.name, errand.question.kind, waits=1, waited_ms=round(token.waited * 1000))
        return token

    def _let_go(self, errand: _Errand) -> None:
        """The token is not used; where it was the probe's, another request may be the probe."""
        if errand.token.probe:
            self._admission.give_up_probe(errand.question.vendor)
            errand.token = replace(errand.token, probe=False)

    def _ended(self, errand: _Errand, ended: Ended, said: str | None = None) -> None:
        """The vendor is there, whatever it answered."""
        self._counted(errand, ended, said)
        self._admission.succeeded(errand.question.vendor, errand.token)

    def _failed(self, errand: _Errand, said: str, *, alone: float = 0.0) -> None:
        self._counted(errand, "failed", said)
        self._admission.failed(errand.question.vendor, errand.token, said, alone=alone)

    def _counted(self, errand: _Errand, ended: Ended, said: str | None) -> None:
        vendor = errand.question.vendor.name
        self._counts.add(vendor, errand.question.kind, requests=1)
        self._counts.request(vendor, seconds=self._timer() - errand.began, ended=ended, said=said)

    def _refused(self, question: Question, received: Received, how: str) -> SourceRefused:
        status, vendor = received.status, question.vendor
        return SourceRefused(
            f"{vendor.name} {how}: {question.method} {question.shown} was answered with HTTP {status}"
            f"{self._first_words(question, received)}. Nothing was read.",
            remedy=_REMEDIES.get(status, "change the question."),
            http_status=status,
            vendor=vendor.name,
        )

    def _first_words(self, question: Question, received: Received) -> str:
        # Cleaned before it is cut: half a secret would not be found.
        words = question.secrets.clean(received.content[:_LOOKED_AT].decode("utf-8", "replace"))
        # A database may refuse what no page can show (PostgreSQL: the character 0).
        shown = " ".join("".join(each if each.isprintable() else " " for each in words).split())[:SHOWN]
        return f": {shown}" if shown else ""
