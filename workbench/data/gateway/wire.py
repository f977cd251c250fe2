"""The wire: sends one question over pooled connections, adds its secrets last, and bounds time and size of the answer.

The library's transports are used, not its client: that keeps no cookies between vendors, follows no redirect, and
writes no address with a key into a log.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from workbench.data.gateway.question import Question
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import httpx

CONNECTIONS: Final = 32
IDLE: Final = 16
IDLE_SECONDS: Final = 30.0
_ANSWERED: Final = "receive_response_headers.complete"
_CONNECTED: Final = "http11.send_request_headers.started"


class Unanswered(Exception):
    """The vendor did not answer; it may if it is asked again."""


class TooLarge(Exception):
    """The answer is larger than the vendor's answers may be."""


class _HeadersUnsaid(logging.Filter):
    """Whoever turns on the library's debug log does not see headers of answers: vendors repeat keys in them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str) and record.msg.startswith(_ANSWERED):
            record.msg = _ANSWERED
        return True


class _Stopped(Exception):
    """The request was stopped before it left."""


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it came."""

    status: int
    headers: httpx.Headers = field(repr=False)
    content: bytes = field(repr=False)


class Wire:
    """Pooled connections to every vendor; safe for threads, not for a forked process.

    Args:
        transport: an `httpx.BaseTransport` to use instead of the network; it is closed with the wire.
        timer: monotonic seconds.
    """

    def __init__(self, transport: Any = None, *, timer: Callable[[], float] = time.perf_counter) -> None:
        self._given: httpx.BaseTransport | None = transport
        self._timer = timer
        self._transports: dict[tuple[str, str | None], httpx.BaseTransport] = {}
        self._proxies: dict[str, str] | None = None
        self._lock = threading.Lock()
        log = logging.getLogger("httpcore.http11")
        if not any(isinstance(each, _HeadersUnsaid) for each in log.filters):
            log.addFilter(_HeadersUnsaid())

    def prepare(self, question: Question) -> None:
        """Have everything ready that takes its time at the first call, so that no token grows old over it."""
        self._transport(question.url)

    def send(self, question: Question, *, leaving: Callable[[], None]) -> Received:
        """Send it once.

        Args:
            leaving: called when a connection is there, right before the first byte leaves; what it raises is raised.

        Raises:
            Unanswered: no connection, no answer in time, or half of one; the text says which, and has no secret.
            TooLarge: more bytes than `Vendor.largest`.
        """
        stopped: list[WorkbenchError] = []

        def last_word() -> None:
            try:
                leaving()
            except WorkbenchError as error:
                stopped.append(error)
                raise _Stopped from None

        outcome = self._exchange(question, last_word)
        # Raised here, where no variable holds a secret: tracebacks may be shown with the values in them.
        if stopped:
            raise stopped[0]
        if isinstance(outcome, str):
            raise Unanswered(outcome)
        if outcome is None:
            raise TooLarge
        return outcome

    def _exchange(self, question: Question, leaving: Callable[[], None]) -> Received | str | None:
        """The answer; or what went wrong; or None: the answer is too large."""
        import httpx

        until = self._timer() + question.vendor.whole
        try:
            response = self._transport(question.url).handle_request(_request(question, leaving))
            try:
                content = self._content(response, question.vendor.largest, until)
            finally:
                response.close()
        except _Stopped:
            return "was not asked"
        except (httpx.TransportError, httpx.DecodingError) as error:
            return _what_went_wrong(error, question)
        if isinstance(content, bytes):
            return Received(response.status_code, response.headers, content)
        return content

    def _content(self, response: httpx.Response, largest: int, until: float) -> bytes | str | None:
        pieces, size = [], 0
        for piece in response.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > largest:
                return None
            if self._timer() > until:
                return "was still sending its answer when its time was over"
        return b"".join(pieces)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            transports = [*self._transports.values(), *([self._given] if self._given is not None else [])]
            self._transports.clear()
        for transport in transports:
            transport.close()

    def _transport(self, url: str) -> httpx.BaseTransport:
        if self._given is not None:
            return self._given
        parts = urlsplit(url)
        with self._lock:
            if self._proxies is None:
                self._proxies = getproxies()
            key = (parts.scheme, proxy_for(parts.scheme, parts.hostname or "", self._proxies))
            if key not in self._transports:
                import httpx

                pool = httpx.Limits(
                    max_connections=CONNECTIONS, max_keepalive_connections=IDLE, keepalive_expiry=IDLE_SECONDS
                )
                self._transports[key] = httpx.HTTPTransport(limits=pool, proxy=key[1])
            return self._transports[key]


def _what_went_wrong(error: httpx.RequestError, question: Question) -> str:
    """It follows "the vendor". The library's own text is left out: it may repeat a header with a key in it."""
    import httpx

    connect, read = question.vendor.timeout
    if isinstance(error, httpx.TimeoutException):
        return f"did not answer in time ({type(error).__name__}: {connect:g} s to connect, {read:g} s to answer)"
    if isinstance(error, httpx.DecodingError):
        return "sent a body that cannot be unpacked"
    if isinstance(error, httpx.RemoteProtocolError):
        return "broke off in the middle of its answer, or did not speak HTTP"
    return f"could not be reached, or the connection broke ({type(error).__name__})"


def _request(question: Question, leaving: Callable[[], None]) -> httpx.Request:
    """The request with its secrets: it exists on the wire only, where no error, log or cache sees it."""
    import httpx

    connect, read = question.vendor.timeout
    url, headers = question.url, {"Accept-Encoding": "gzip, deflate", **question.headers}
    if question.secrets:
        hidden = question.secrets.query()
        url = f"{url}{'&' if '?' in url else '?'}{hidden}" if hidden else url
        headers |= question.secrets.headers()
    # A thread may wait long for a place in the pool; that is no fault of the vendor.
    times = {"connect": connect, "read": read, "write": read, "pool": question.vendor.whole}
    return httpx.Request(
        question.method,
        url,
        headers=headers,
        content=question.body or None,
        extensions={"timeout": times, "trace": lambda name, _info: leaving() if name == _CONNECTED else None},
    )


def proxy_for(scheme: str, host: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy that this machine's environment names for a host; never one for this machine itself."""
    if is_loopback(host) or not proxies or proxy_bypass(host):
        return None
    return proxies.get(scheme) or proxies.get("all")


def is_loopback(host: str) -> bool:
    """True for this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
