"""What every HTTP resource shares: who asks, how often they may, faults on the way, refusals in Alpaca's words."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
import time
import traceback
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import structlog
from tornado import httputil, iostream, web

from workbench.exchange.telling.faults import UNKNOWN_STATUS, Fault, Faults
from workbench.exchange.telling.skew import asked, skewed
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.exchange.market.crypto import CryptoMarket
    from workbench.exchange.market.newsroom import Newsroom
    from workbench.exchange.state.records import Account
    from workbench.exchange.telling.data_hub import DataHub
    from workbench.exchange.telling.subscribers import Subscribers
    from workbench.exchange.venue import Venue

log = structlog.get_logger("workbench.exchange")
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
USUAL_PER_MINUTE = 200  # what Alpaca gives to an account without a subscription
_RESET = struct.pack("ii", 1, 0)  # linger on, zero seconds: closing sends a reset instead of a goodbye


@dataclass(slots=True)
class RateLimit:
    """`per_minute` requests for each key in fixed windows of a minute; 0 switches it off, and its headers too."""

    per_minute: int = 0
    _windows: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, key: str, now: float) -> tuple[bool, dict[str, str]]:
        """Whether this request is let in, and the headers that say how many are left until when (unix seconds)."""
        if not self.per_minute:
            return True, {}
        window = int(now // 60)
        seen, count = self._windows.get(key, (window, 0))
        count = count + 1 if seen == window else 1
        self._windows[key] = (window, count)
        headers = {
            "X-RateLimit-Limit": str(self.per_minute),
            "X-RateLimit-Remaining": str(max(0, self.per_minute - count)),
            "X-RateLimit-Reset": str((window + 1) * 60),
        }
        return count <= self.per_minute, headers

    def spent(self, seconds: float, now: float) -> dict[str, str]:
        """The headers of a 429 that comes to an end in so many seconds."""
        return {
            "Retry-After": str(math.ceil(seconds)),
            "X-RateLimit-Limit": str(self.per_minute or USUAL_PER_MINUTE),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(math.ceil(now + seconds)),
        }


@dataclass(slots=True)
class Exchange:
    """The parts of one running exchange, handed to every resource."""

    venue: Venue
    faults: Faults
    subscribers: Subscribers
    rate_limit: RateLimit
    started_at: float
    crypto: CryptoMarket
    newsroom: Newsroom
    data: DataHub


class Resource(web.RequestHandler):
    """One HTTP resource without an account: the admin API."""

    exchange: Exchange
    fault: Fault | None = None
    skew: float = 0.0
    kept_headers: Mapping[str, str] = MappingProxyType({})  # Tornado forgets headers when an error is answered

    def initialize(self, exchange: Exchange) -> None:
        """Tornado's way of handing over the parts."""
        self.exchange = exchange

    def set_default_headers(self) -> None:
        """No caching, no word about the server."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.clear_header("Server")
        for name, value in self.kept_headers.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        """Refuse a foreign Host (a web page that rebinds its name to loopback), then let faults strike."""
        host = self.request.host.rsplit(":", 1)[0] if self.request.host else ""
        if host not in LOOPBACK_NAMES:
            raise Refusal(403, None, "forbidden: the local exchange answers on loopback only.")
        self.admit()
        self.skew = self.exchange.faults.skew(self.request.method or "", self.request.path)
        if self.skew:
            self.keep_headers({"Date": httputil.format_timestamp(time.time() + self.skew)})
        self.fault = self.exchange.faults.strike(self.request.method or "", self.request.path)
        match self.fault.kind if self.fault is not None else None:
            case "429":
                assert self.fault is not None
                self.keep_headers(self.exchange.rate_limit.spent(self.fault.seconds, time.time()))
                raise Refusal(429, 42910000, "rate limit exceeded")
            case "504-before-accept":
                self._gateway_timeout()
            case "500-html":
                self._html(500, "Internal Server Error")
            case "502-html":
                self._html(502, "Bad Gateway")
            case "reset-before":
                self._reset()
                raise web.Finish

    def admit(self) -> None:
        """Nobody has to say who they are on the admin API."""

    def keep_headers(self, headers: Mapping[str, str]) -> None:
        """Headers of this answer, whether it is a good one or an error."""
        self.kept_headers = {**self.kept_headers, **headers}
        for name, value in headers.items():
            self.set_header(name, value)

    def compute_etag(self) -> None:
        """No etags: they cost a hash for each answer."""

    def body_json(self) -> dict[str, Any]:
        """The JSON object of the request; {} for an empty body. Raises Refusal 400."""
        if not self.request.body:
            return {}
        try:
            body = json.loads(self.request.body)
        except ValueError as error:
            raise Refusal(400, 40010000, "request body format is invalid") from error
        if not isinstance(body, dict):
            raise Refusal(400, 40010000, "request body format is invalid")
        return body

    def query(self, name: str) -> str | None:
        """One query parameter, None where it is absent or empty."""
        given = self.get_query_argument(name, None) or None
        return asked(given, self.skew) if given and self.skew and name in {"after", "until"} else given

    async def reply(self, body: Any, *, status: int = 200) -> None:
        """Answer with JSON (nothing for None), unless a fault takes the answer away after the work was done."""
        match self.fault.kind if self.fault is not None else None:
            case "504-after-accept":
                self._gateway_timeout()
                return
            case "reset-after":
                self._reset()
                return
            case "hang":
                assert self.fault is not None
                if not await self._gone_within(self.fault.seconds):
                    self._reset()
                return
            case "slow":
                assert self.fault is not None
                if await self._gone_within(self.fault.seconds):
                    return
            case "unknown-status" if isinstance(body, dict) and "status" in body:
                body = body | {"status": UNKNOWN_STATUS}
        if self.skew:
            body = skewed(body, self.skew)
        self.set_status(status)
        self.finish(None if body is None else json.dumps(body, separators=(",", ":")).encode())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Refusals become Alpaca's error body; anything else is a 500 that says nothing about the inside."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, Refusal):
            self.set_status(error.status)
            self.finish(json.dumps(error.body))
        elif isinstance(error, web.HTTPError):
            code = {404: 40410000, 405: 40510000}.get(status_code)
            self.finish(json.dumps(({"code": code} if code else {}) | {"message": self._reason}))
        else:
            self.finish(json.dumps({"code": 50010000, "message": "internal server error occurred"}))

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        """Only what nobody expected is logged."""
        if not isinstance(value, (Refusal, web.HTTPError, iostream.StreamClosedError)):
            log.error("request failed", path=self.request.path, trace=trace_text(value))

    def _gateway_timeout(self) -> None:
        self.set_status(504)
        self.finish(json.dumps({"message": "upstream request timeout"}))

    def _html(self, status: int, words: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/html")
        self.finish(f"<html><body><h1>{status} {words}</h1></body></html>")

    def _reset(self) -> None:
        connection = self.request.connection
        stream = getattr(connection, "stream", None)
        if stream is not None and stream.socket is not None:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            stream.close()

    async def _gone_within(self, seconds: float) -> bool:
        """Say nothing for so long; True as soon as the client goes away."""
        gone = asyncio.Event()
        self._gone = gone
        try:
            await asyncio.wait_for(gone.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def on_connection_close(self) -> None:
        """The client went away."""
        gone = getattr(self, "_gone", None)
        if gone is not None:
            gone.set()


class AccountResource(Resource):
    """One HTTP resource of an account, which is told by its keys."""

    account: Account

    def admit(self) -> None:
        """Find the account by its keys and count the request. Raises Refusal 401 and 429."""
        headers = self.request.headers
        key_id, secret = headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", "")
        account = self.exchange.venue.authenticate(key_id, secret)
        if account is None:
            raise Refusal(401, None, "unauthorized.")
        allowed, counted = self.exchange.rate_limit.take(key_id, time.time())
        self.keep_headers(counted)
        if not allowed:
            self.keep_headers({"Retry-After": str(max(1, int(counted["X-RateLimit-Reset"]) - int(time.time())))})
            raise Refusal(429, 42910000, "rate limit exceeded")
        self.account = account


def trace_text(error: BaseException) -> str:
    """A traceback as text without local variables: a pretty one would print headers, and they carry keys."""
    return "".join(traceback.format_exception(error))


class NotFound(Resource):
    """Every path that is not there."""

    async def prepare(self) -> None:
        """Nothing is found here, whoever asks."""
        raise Refusal(404, 40410000, f"endpoint not found: {self.request.method} {self.request.path}")
