"""AlpacaBroker: one account at Alpaca, or at the local exchange that speaks its protocol, through alpaca-py."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from workbench.errors import BrokerRefused, ExchangeUnavailable, OutcomeUnknown, ParameterError
from workbench.execution.broker import (
    BrokerAccount,
    BrokerClock,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    OrderRequest,
    Outcome,
    Raw,
    Reply,
    fill_of_activity,
    limit_on_tick,
    stop_on_tick,
)
from workbench.execution.stream import EventStream
from workbench.market.order import Fill
from workbench.store.schema import utc_now
from workbench.trace import get_logger

with warnings.catch_warnings():
    # alpaca-py 0.44 still builds on the legacy half of websockets, which says so on import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient
    from alpaca.trading.stream import TradingStream

_ORDERS_PAGE = 500
_ACTIVITIES_PAGE = 100
_NO_WORD = frozenset({408, 425, 499})  # 4xx by number, but not an answer about the order


class AlpacaBroker:
    """A `Broker`. Paper money unless `paper=False` is said; keys appear in no repr and no log line.

    One instance belongs to one thread; the stream runs on its own.

    Args:
        name: the account's name in our journal.
        url: base address of the REST API; None: Alpaca itself, paper or live.
        stream_url: address of the trade_updates stream; None: derived from `url`, or Alpaca itself.
        timeout: seconds to connect and seconds between bytes of the answer. A request never blocks for longer.
        clock: wall clock, to turn a relative Retry-After into a moment.

    Raises:
        ParameterError: a key is empty or has characters that no key has.
    """

    def __init__(
        self,
        *,
        name: str,
        key_id: str,
        secret_key: str,
        url: str | None = None,
        stream_url: str | None = None,
        paper: bool = True,
        timeout: tuple[float, float] = (2.0, 5.0),
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self.name = name
        self._keys = (_key("key_id", key_id), _key("secret_key", secret_key))
        self._paper = paper
        self._url = url.rstrip("/") if url else None
        self._stream_url = stream_url or (f"ws{self._url.removeprefix('http')}/stream" if self._url else None)
        self._clock = clock
        client = TradingClient(*self._keys, paper=paper, raw_data=True, url_override=self._url)
        # The library repeats a POST after 429 and 504 by itself, which can place an order twice, and it waits for ever.
        client._retry, client._retry_codes = 0, []  # noqa: SLF001 - the constructor does not offer it
        for prefix in ("http://", "https://"):
            client._session.mount(prefix, _TimeoutAdapter(timeout))  # noqa: SLF001 - the only place to set a timeout
        self._client = client

    def __repr__(self) -> str:
        where = self._url or ("Alpaca paper" if self._paper else "Alpaca LIVE")
        return f"AlpacaBroker(name={self.name!r}, at={where!r})"

    # --- orders

    def submit(self, order: OrderRequest) -> Reply:
        """POST the order once. Whatever happens is in the Reply; see the outcomes there."""
        body = {
            "symbol": order.symbol,
            "qty": format(order.qty, "f"),
            "side": order.side.value,
            "type": str(order.type),
            "time_in_force": str(order.time_in_force),
            "client_order_id": order.client_order_id,
        }
        for field, price in (
            ("limit_price", limit_on_tick(order.limit_price, order.side)),
            ("stop_price", stop_on_tick(order.stop_price, order.side)),
        ):
            if price is not None:
                body[field] = format(price, "f")
        return self._ask(lambda: self._client.post("/orders", body))

    def cancel(self, broker_order_id: str) -> Reply:
        """DELETE the order. PLACED: the request was accepted; REFUSED: it cannot be cancelled (any more)."""
        return self._ask(lambda: self._client.delete(f"/orders/{broker_order_id}"), empty=True)

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        """The order with our id; None when Alpaca says that there is none."""
        raw = self._read("/orders:by_client_order_id", {"client_order_id": client_order_id}, absent=True)
        return None if raw is None else BrokerOrder.of(raw)

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """The order with Alpaca's id; None when Alpaca says that there is none."""
        raw = self._read(f"/orders/{broker_order_id}", absent=True)
        return None if raw is None else BrokerOrder.of(raw)

    def open_orders(self) -> list[BrokerOrder]:
        """All open orders, oldest first."""
        return self._orders("open", None)

    def orders_since(self, moment: dt.datetime) -> list[BrokerOrder]:
        """All orders submitted after a moment of the broker's clock, oldest first."""
        return self._orders("all", moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"))

    # --- the account

    def fills_since(self, activity_id: str | None = None, *, after: dt.datetime | None = None) -> list[Fill]:
        """Fills from the activities, oldest first, after an activity or a moment of the broker's clock; all without.

        Rows that are no bookable fill are left out and logged.
        """
        fills: list[Fill] = []
        token, seen = activity_id, set[str]()
        while True:
            query: Raw = {"direction": "asc", "page_size": _ACTIVITIES_PAGE}
            if after is not None:
                query["after"] = after.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
            if token:
                query["page_token"] = token
            page = [row for row in self._list("/account/activities/FILL", query) if row.get("id") not in seen]
            for row in page:
                fill = fill_of_activity(row)
                if fill is None:
                    get_logger(__name__).warning("activity is no fill", account=self.name, activity=row.get("id"))
                else:
                    fills.append(fill)
            seen.update(str(row.get("id")) for row in page)
            if len(page) < _ACTIVITIES_PAGE:
                return fills
            token = str(page[-1].get("id"))

    def positions(self) -> list[BrokerPosition]:
        """All holdings."""
        return [BrokerPosition.of(row) for row in self._list("/positions")]

    def account(self) -> BrokerAccount:
        """Cash, equity, buying power."""
        return BrokerAccount.of(self._read("/account"))

    def clock(self) -> BrokerClock:
        """The broker's clock."""
        return BrokerClock.of(self._read("/clock"))

    def stream(self, on_event: Callable[[BrokerEvent], None], on_connect: Callable[[], None]) -> EventStream:
        """Start the trade_updates stream on a daemon thread; `on_connect` follows every confirmed subscription."""
        return EventStream(
            self.name,
            lambda owner: _Socket(owner, self._keys, self._stream_url, paper=self._paper),
            on_event=on_event,
            on_connect=on_connect,
        )

    def close(self) -> None:
        """Give the HTTP connections back."""
        self._client._session.close()  # noqa: SLF001 - alpaca-py has no close

    # --- HTTP

    def _ask(self, request: Callable[[], Any], *, empty: bool = False) -> Reply:
        """Send once and say what is known. `empty`: success has no body."""
        try:
            raw = request()
            order = None if empty else BrokerOrder.of(raw)
        except APIError as error:
            return self._answer(error)
        except (requests.RequestException, OutcomeUnknown, ValueError, OSError) as error:
            return Reply(Outcome.UNKNOWN, message=f"{type(error).__name__}: {error}"[:500])
        return Reply(Outcome.PLACED, order, 204 if empty else 200, raw=raw if isinstance(raw, dict) else {})

    def _answer(self, error: APIError) -> Reply:
        """The outcome of an HTTP status of 400 and above."""
        status = int(error.status_code or 0)
        body = _body(str(error))
        code, message = body.get("code"), str(body.get("message") or str(error)[:500])
        outcome, retry_at = Outcome.REFUSED, None
        if status == requests.codes.too_many_requests:
            outcome, retry_at = Outcome.LIMITED, retry_moment(_headers(error), self._clock())
        elif status >= requests.codes.server_error or status < requests.codes.bad_request or status in _NO_WORD:
            outcome = Outcome.UNKNOWN
        elif status == requests.codes.unprocessable and _names_a_taken_id(message):
            outcome = Outcome.DUPLICATE
        number = code if isinstance(code, int) else None
        return Reply(outcome, None, status, number, message, {"http_status": status, **body}, retry_at)

    def _read(self, path: str, query: Raw | None = None, *, absent: bool = False) -> Any:
        """GET. None for a 404 with Alpaca's own words, where `absent` allows it."""
        try:
            return self._client.get(path, query)
        except APIError as error:
            reply = self._answer(error)
            if absent and reply.http_status == requests.codes.not_found and "message" in reply.raw:
                return None
            if reply.outcome in {Outcome.LIMITED, Outcome.UNKNOWN} or reply.http_status == requests.codes.not_found:
                raise ExchangeUnavailable(
                    f"GET {path} was answered with HTTP {reply.http_status}: {reply.message}. Nothing was read.",
                    remedy="it is asked again; look at the broker's status page if this lasts.",
                    retry_at=reply.retry_at,
                    http_status=reply.http_status,
                ) from error
            raise BrokerRefused(
                f"the broker refused GET {path} with HTTP {reply.http_status}: {reply.message}.",
                remedy="check the account's keys: `workbench doctor` says which are used.",
                http_status=reply.http_status,
            ) from error
        except (requests.RequestException, ValueError, OSError) as error:
            raise ExchangeUnavailable(
                f"GET {path} at {self!r} brought no readable answer ({type(error).__name__}). Nothing was read.",
                remedy="is the exchange running? `workbench exchange` starts the local one.",
            ) from error

    def _list(self, path: str, query: Raw | None = None) -> list[Raw]:
        answer = self._read(path, query)
        if not isinstance(answer, list):
            raise ExchangeUnavailable(f"GET {path} was answered with {type(answer).__name__} instead of a list.")
        return [row for row in answer if isinstance(row, dict)]

    def _orders(self, status: str, after: str | None) -> list[BrokerOrder]:
        found: dict[str, BrokerOrder] = {}
        while True:
            query = {"status": status, "limit": _ORDERS_PAGE, "direction": "asc", "nested": "false"}
            if after:
                query["after"] = after
            rows = self._list("/orders", query)
            fresh = [order for order in map(BrokerOrder.of, rows) if order.id not in found]
            found |= {order.id: order for order in fresh}
            if len(rows) < _ORDERS_PAGE or not fresh:
                return list(found.values())
            last = fresh[-1].raw
            after = str(last.get("submitted_at") or last.get("created_at"))


class _Socket(TradingStream):
    """alpaca-py's stream with the hooks it lacks: confirmed connection, lost connection, unreadable message."""

    def __init__(self, owner: EventStream, keys: tuple[str, str], url: str | None, *, paper: bool) -> None:
        super().__init__(
            *keys,
            paper=paper,
            raw_data=True,
            url_override=url,  # type: ignore[arg-type]  # its default is None
            websocket_params={"ping_interval": 10, "ping_timeout": 30, "max_queue": 1024, "close_timeout": 1},
        )
        self._owner = owner
        self.subscribe_trade_updates(self._ignore)  # the library connects only when there is a handler

    async def forever(self) -> None:
        """Connect, listen, reconnect with growing pauses, until cancelled."""
        await self._run_forever()  # type: ignore[no-untyped-call]

    async def _ignore(self, _message: Any) -> None:
        """Events are handed over in `_consume`."""

    async def _start_ws(self) -> None:
        try:
            await super()._start_ws()  # type: ignore[no-untyped-call]
        except Exception as error:
            self._owner.failed("the stream could not be opened", error)
            raise

    async def _consume(self) -> None:
        # Written anew: the library's loop drops a message that it cannot read, and says so nowhere but in its own log.
        while True:
            message = _message(await self._ws.recv())  # type: ignore[attr-defined]  # set by _start_ws
            stream, data = message.get("stream"), message.get("data")
            if stream == "listening":
                self._owner.subscribed()
            elif stream == "trade_updates" and isinstance(data, dict):
                self._data_received = True
                self._owner.received(data)
            else:
                self._owner.failed("a message of the stream was not understood", ValueError(str(stream)), message)

    async def close(self) -> None:
        self._owner.connected = False
        await super().close()


class _TimeoutAdapter(HTTPAdapter):
    """Gives every request the timeout that requests leaves infinite."""

    def __init__(self, timeout: tuple[float, float]) -> None:
        self._timeout = timeout
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        options["timeout"] = options.get("timeout") or self._timeout
        return super().send(request, *args, **options)


def retry_moment(headers: Mapping[str, str], now: dt.datetime) -> dt.datetime | None:
    """When a limited request may be repeated: the later of Retry-After and X-RateLimit-Reset; None without both."""
    moments = []
    after, reset = headers.get("Retry-After"), headers.get("X-RateLimit-Reset")
    if after:
        try:
            moments.append(now + dt.timedelta(seconds=float(after)))
        except ValueError:
            with contextlib.suppress(ValueError):
                moments.append(email.utils.parsedate_to_datetime(after).astimezone(dt.UTC))
    if reset:
        with contextlib.suppress(ValueError, OverflowError, OSError):
            moments.append(dt.datetime.fromtimestamp(float(reset), dt.UTC))
    return max(moments, default=None)


def _key(name: str, value: str) -> str:
    """A key without the newline that files end in; malformed ones stop here, as an HTTP library would print them."""
    key = value.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ParameterError(
            f"{name} is empty or has characters that no key has; no client was made.",
            remedy="copy the key again from the broker's page, without quotes or line breaks.",
        )
    return key


def _names_a_taken_id(message: str) -> bool:
    return "client order id must be unique" in message.lower().replace("_", " ")


def _headers(error: APIError) -> Mapping[str, str]:
    return error.response.headers if error.response is not None else {}


def _body(text: str) -> Raw:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _message(frame: str | bytes) -> Raw:
    try:
        message = json.loads(frame)
    except ValueError:
        return {"stream": "unreadable", "data": repr(frame[:200])}
    return message if isinstance(message, dict) else {"stream": "unreadable", "data": message}
