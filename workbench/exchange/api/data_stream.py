"""The WebSocket of market data: greeting, login, subscriptions, and data as msgpack arrays in binary frames.

A client that does not ask for msgpack by its Content-Type header gets JSON in text frames. Errors: 400 invalid syntax,
401 not authenticated, 402 auth failed, 403 already authenticated, 404 auth timeout, 405 symbol limit exceeded (an
options stream carries `MOST_CONTRACTS`), 406 connection limit exceeded (one connection for each key and endpoint),
407 slow client, 409 insufficient subscription (a feed that the exchange does not have), 410 a channel that the feed
does not have, 500 internal error. 408 does not occur.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

import structlog
from tornado import web, websocket

from workbench.exchange.api.resource import trace_text
from workbench.exchange.telling.data_hub import CHANNELS, EVERYTHING
from workbench.exchange.telling.data_wire import as_json, packed
from workbench.exchange.telling.delivery import Delivery

if TYPE_CHECKING:
    import datetime as dt

    from workbench.exchange.api.resource import Exchange

log = structlog.get_logger("workbench.exchange")
KINDS: Final = {
    "/v2/iex": "stocks",
    "/v2/sip": "stocks",
    "/v2/delayed_sip": "stocks",
    "/v2/test": "stocks",
    "/v1beta1/opra": "options",
    "/v1beta1/indicative": "options",
    "/v1beta3/crypto/us": "crypto",
    "/v1beta1/news": "news",
}
MOST_CONTRACTS: Final = 1000
_ERRORS: Final = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}
_FOLLOWING_TRADES: Final = ("corrections", "cancelErrors")


class DataStream(websocket.WebSocketHandler):
    """One client of a data stream."""

    auth_seconds = 10.0

    def initialize(self, exchange: Exchange) -> None:
        """Tornado's way of handing over the parts."""
        self.exchange, self.endpoint = exchange, self.request.path
        self.kind = KINDS.get(self.endpoint, "")
        self.account_id = ""
        self.wanted: dict[str, set[str]] = {channel: set() for channel in CHANNELS.get(self.kind, ())}
        self.cursor: dt.datetime
        self._binary = "msgpack" in self.request.headers.get("Content-Type", "")
        self._pending = 0
        self._writing: set[asyncio.Future[None]] = set()
        self._timeout: asyncio.TimerHandle | None = None
        self._delivery = Delivery(exchange.faults, self.endpoint)

    def prepare(self) -> None:
        """No stream while a fault keeps it cut."""
        if self.exchange.faults.is_cut(self.endpoint):
            raise web.HTTPError(503)

    def check_origin(self, origin: str) -> bool:
        """A browser page has no business here; clients without a browser send no Origin at all."""
        return False

    def open(self, *_: str) -> None:
        """Greet; who sent keys in the headers is logged in at once."""
        self.send(self._encode([{"T": "success", "msg": "connected"}]))
        headers = self.request.headers
        if headers.get("APCA-API-KEY-ID"):
            self._login(headers["APCA-API-KEY-ID"], headers.get("APCA-API-SECRET-KEY", ""))
            return
        self._timeout = asyncio.get_running_loop().call_later(self.auth_seconds, self._too_late)

    def on_message(self, message: str | bytes) -> None:
        """`auth`, `subscribe` or `unsubscribe`."""
        try:
            request = self._decode(message)
            match request.get("action"):
                case "auth":
                    self._login(str(request.get("key", "")), str(request.get("secret", "")))
                case "subscribe" | "unsubscribe" as action:
                    self._subscribe(request, adding=action == "subscribe")
                case _:
                    self._error(400)
        except ValueError:
            self._error(400)
        except Exception as error:  # noqa: BLE001 - the client is told, and the exchange goes on
            log.error("a data stream failed", trace=trace_text(error))  # noqa: TRY400 - see trace_text
            self._error(500)

    def on_close(self) -> None:
        """Forget the client."""
        self._forget()

    # ---- what the hub and the faults ask of a connection

    def tell(self, messages: list[dict[str, Any]]) -> None:
        """Send messages as one frame, past the faults of the stream."""
        self._delivery.send(self.endpoint, self._encode(messages), [self])

    def send(self, frame: bytes) -> None:
        """Send one prepared frame; a client that has just gone away is forgotten."""
        try:
            future = self.write_message(frame, binary=self._binary)
        except websocket.WebSocketClosedError:
            self._forget()
            return
        self._pending += len(frame)
        self._writing.add(future)
        future.add_done_callback(lambda done: self._written(done, len(frame)))

    def drop(self) -> None:
        """Cut the connection without a goodbye, as a broken network does."""
        self._forget()
        stream = getattr(self.ws_connection, "stream", None)
        if stream is not None:
            stream.close()

    def pending(self) -> int:
        """Bytes handed over that the client has not taken yet."""
        return self._pending

    async def progress(self, seconds: float) -> bool:
        """Wait until the client has taken something; False where it did not within so many seconds."""
        if not self._writing:
            return True
        done, _ = await asyncio.wait(self._writing, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    def slow(self) -> None:
        """Tell 407 and cut the connection."""
        self._error(407)
        self._forget()
        self.close(1008, "slow client")

    # ---- inside

    def _login(self, key_id: str, secret: str) -> None:
        if self.account_id:
            self._error(403)
            return
        account = self.exchange.venue.authenticate(key_id, secret)
        if account is None:
            self._error(402)
            return
        if not self.kind:
            self._error(409)
            return
        if self.exchange.data.is_taken(self.endpoint, account.id):
            self._error(406)
            return
        if self._timeout is not None:
            self._timeout.cancel()
        self.account_id, self.cursor = account.id, account.now
        self.exchange.data.add(self)
        self.send(self._encode([{"T": "success", "msg": "authenticated"}]))

    def _subscribe(self, request: dict[str, Any], *, adding: bool) -> None:
        if not self.account_id:
            self._error(401)
            return
        changes = {name: _names(symbols) for name, symbols in request.items() if name != "action"}
        if not set(changes) <= set(self.wanted) or (adding and not any(changes.values())):
            self._error(410 if changes else 400)
            return
        after = {
            name: had | changes.get(name, set()) if adding else had - changes.get(name, set())
            for name, had in self.wanted.items()
        }
        if "corrections" in after:
            after |= {name: set(after["trades"]) for name in _FOLLOWING_TRADES}
        if self.kind == "options":
            asked = set().union(*after.values())
            if EVERYTHING in asked or len(asked) > MOST_CONTRACTS:
                self._error(410 if EVERYTHING in asked else 405)
                return
        self.wanted.update(after)
        self.send(self._encode([{"T": "subscription"} | {name: sorted(had) for name, had in self.wanted.items()}]))

    def _too_late(self) -> None:
        if not self.account_id:
            self._error(404)
            self.close(1008, "auth timeout")

    def _error(self, code: int) -> None:
        self.send(self._encode([{"T": "error", "code": code, "msg": _ERRORS[code]}]))

    def _forget(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
        self.exchange.data.remove(self)

    def _written(self, done: asyncio.Future[None], count: int) -> None:
        self._pending -= count
        self._writing.discard(done)
        if not done.cancelled():
            done.exception()  # looked at, so that nobody complains of a client that went away

    def _encode(self, messages: list[dict[str, Any]]) -> bytes:
        return packed(messages) if self._binary else json.dumps(as_json(messages), separators=(",", ":")).encode()

    def _decode(self, message: str | bytes) -> dict[str, Any]:
        """The object in a message. Raises ValueError."""
        request: Any = None
        if isinstance(message, bytes):
            import msgpack

            with contextlib.suppress(msgpack.exceptions.ExtraData, msgpack.exceptions.FormatError):
                request = msgpack.unpackb(message)
        else:
            request = json.loads(message)
        if not isinstance(request, dict):
            raise ValueError("not an object")  # noqa: TRY004 - one kind of error for everything that is not understood
        return request


def _names(value: Any) -> set[str]:
    """The symbols of a subscription. Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("not a list of symbols")
    return set(value)
