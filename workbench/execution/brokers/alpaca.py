"""AlpacaBroker: one account at Alpaca, or at the local exchange that speaks its protocol, through alpaca-py."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import requests

from workbench.errors import BrokerRefused, ExchangeUnavailable, OutcomeUnknown, ParameterError
from workbench.execution.brokers.answers import answer, item
from workbench.execution.brokers.broker import (
    BrokerAccount,
    BrokerClock,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    OrderRequest,
    Outcome,
    RateSeen,
    Raw,
    Reply,
)
from workbench.execution.brokers.http_adapter import HeaderAdapter
from workbench.execution.brokers.order_body import replace_body, submit_body
from workbench.execution.brokers.paging import all_fills, all_orders, text_of
from workbench.execution.brokers.stream import EventStream
from workbench.market.order import Fill
from workbench.store.schema import utc_now

with warnings.catch_warnings():
    # alpaca-py 0.44 still builds on the legacy half of websockets, which says so on import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient
    from alpaca.trading.stream import TradingStream


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
        self._adapter = HeaderAdapter(timeout)
        for prefix in ("http://", "https://"):
            client._session.mount(prefix, self._adapter)  # noqa: SLF001 - the only place to set a timeout
        self._client = client

    def __repr__(self) -> str:
        where = self._url or ("Alpaca paper" if self._paper else "Alpaca LIVE")
        return f"AlpacaBroker(name={self.name!r}, at={where!r})"

    @property
    def rate(self) -> RateSeen | None:
        """What the newest response with such headers said about the budget of requests."""
        return self._adapter.newest

    # --- orders

    def submit(self, order: OrderRequest) -> Reply:
        """POST the order once. Whatever happens is in the Reply; see the outcomes there."""
        return self._ask(lambda: self._client.post("/orders", submit_body(order)))

    def replace(
        self,
        broker_order_id: str,
        *,
        client_order_id: str,
        qty: Decimal | None = None,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        trail: Decimal | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """PATCH the order once: a new order in its place, if it has not filled by then. `qty` is the total of both."""
        body = replace_body(
            client_order_id=client_order_id,
            qty=qty,
            limit_price=limit_price,
            stop_price=stop_price,
            trail=trail,
            time_in_force=time_in_force,
        )
        return self._ask(lambda: self._client.patch(f"/orders/{broker_order_id}", body))

    def cancel(self, broker_order_id: str) -> Reply:
        """DELETE the order. PLACED: the request was accepted; REFUSED: it cannot be cancelled (any more)."""
        return self._ask(lambda: self._client.delete(f"/orders/{broker_order_id}"), empty=True)

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        """The order with our id; None when Alpaca says that there is none."""
        raw = self._read("/orders:by_client_order_id", {"client_order_id": client_order_id}, absent=True)
        return None if raw is None else BrokerOrder.of(raw)

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """The order with Alpaca's id; None when Alpaca says that there is none."""
        raw = self._read(f"/orders/{broker_order_id}", {"nested": "true"}, absent=True)
        return None if raw is None else BrokerOrder.of(raw)

    def open_orders(self) -> list[BrokerOrder]:
        """All open orders, oldest first."""
        return all_orders(self._list, "open", None)

    def orders_since(self, moment: dt.datetime) -> list[BrokerOrder]:
        """All orders submitted after a moment of the broker's clock, oldest first."""
        return all_orders(self._list, "all", text_of(moment))

    # --- the account

    def fills_since(self, activity_id: str | None = None, *, after: dt.datetime | None = None) -> list[Fill]:
        """Fills from the activities, oldest first, after an activity or a moment of the broker's clock; all without.

        Rows that are no bookable fill are left out and logged.
        """
        return all_fills(self._list, account=self.name, activity_id=activity_id, after=after)

    def positions(self) -> list[BrokerPosition]:
        """All holdings."""
        return [BrokerPosition.of(row) for row in self._list("/positions")]

    def account(self) -> BrokerAccount:
        """Cash, equity, buying power."""
        return BrokerAccount.of(self._read("/account"))

    def configurations(self) -> Raw:
        """The settings of the account: `suspend_trade`, `no_shorting` and the rest, as Alpaca tells them."""
        raw = self._read("/account/configurations")
        return raw if isinstance(raw, dict) else {}

    def suspend(self, suspended: bool) -> Reply:
        """Set `suspend_trade`: Alpaca itself refuses every new order until it is taken back. Working orders stay."""
        body = {"suspend_trade": suspended}
        return self._ask(lambda: self._client.patch("/account/configurations", body), empty=True)

    def close_all(self, *, cancel_orders: bool = False) -> list[tuple[str, Reply]]:
        """DELETE all holdings: symbol and outcome of each. The closing orders have names that Alpaca makes up.

        Raises:
            ExchangeUnavailable, BrokerRefused: the request as a whole was not carried out, or nobody knows.
        """
        path = "/positions"
        raw = self._guarded("DELETE", path, lambda: self._client.delete(path, {"cancel_orders": cancel_orders}))
        rows = raw if isinstance(raw, list) else []
        return [item(row, now=self._clock()) for row in rows if isinstance(row, dict)]

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
        """Send once and say what is known. `empty`: success says nothing about an order."""
        self._adapter.seen = None
        try:
            raw = request()
            order = None if empty else BrokerOrder.of(raw)
        except APIError as error:
            return self._answer(error)
        except (requests.RequestException, OutcomeUnknown, ValueError, OSError) as error:
            message = f"{type(error).__name__}: {error}"[:500]
            return Reply(Outcome.UNKNOWN, message=message, rate=self._adapter.seen)
        status = 204 if raw is None else 200
        return Reply(Outcome.PLACED, order, status, raw=raw if isinstance(raw, dict) else {}, rate=self._adapter.seen)

    def _answer(self, error: APIError) -> Reply:
        """The outcome of an HTTP status of 400 and above."""
        headers = error.response.headers if error.response is not None else {}
        reply = answer(int(error.status_code or 0), str(error), headers, now=self._clock())
        return dataclasses.replace(reply, rate=self._adapter.seen)

    def _read(self, path: str, query: Raw | None = None, *, absent: bool = False) -> Any:
        """GET. None for a 404 with Alpaca's own words, where `absent` allows it."""
        return self._guarded("GET", path, lambda: self._client.get(path, query), absent=absent)

    def _guarded(self, verb: str, path: str, request: Callable[[], Any], *, absent: bool = False) -> Any:
        """The answer's body, or one of our two errors: the broker said no, or there is no word that can be read."""
        try:
            return request()
        except APIError as error:
            reply = self._answer(error)
            if absent and reply.http_status == requests.codes.not_found and "message" in reply.raw:
                return None
            done = "read" if verb == "GET" else "concluded"
            if reply.outcome in {Outcome.LIMITED, Outcome.UNKNOWN} or reply.http_status == requests.codes.not_found:
                raise ExchangeUnavailable(
                    f"{verb} {path} was answered with HTTP {reply.http_status}: {reply.message}. Nothing was {done}.",
                    remedy="it is asked again; look at the broker's status page if this lasts.",
                    retry_at=reply.retry_at,
                    http_status=reply.http_status,
                ) from error
            raise BrokerRefused(
                f"the broker refused {verb} {path} with HTTP {reply.http_status}: {reply.message}.",
                remedy="check the account's keys: `workbench doctor` says which are used.",
                http_status=reply.http_status,
            ) from error
        except (requests.RequestException, ValueError, OSError) as error:
            raise ExchangeUnavailable(
                f"{verb} {path} at {self!r} brought no readable answer ({type(error).__name__}).",
                remedy="is the exchange running? `workbench exchange` starts the local one.",
            ) from error

    def _list(self, path: str, query: Raw | None = None) -> list[Raw]:
        answer = self._read(path, query)
        if not isinstance(answer, list):
            raise ExchangeUnavailable(f"GET {path} was answered with {type(answer).__name__} instead of a list.")
        return [row for row in answer if isinstance(row, dict)]


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


def _key(name: str, value: str) -> str:
    """A key without the newline that files end in; malformed ones stop here, as an HTTP library would print them."""
    key = value.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ParameterError(
            f"{name} is empty or has characters that no key has; no client was made.",
            remedy="copy the key again from the broker's page, without quotes or line breaks.",
        )
    return key


def _message(frame: str | bytes) -> Raw:
    try:
        message = json.loads(frame)
    except ValueError:
        return {"stream": "unreadable", "data": repr(frame[:200])}
    return message if isinstance(message, dict) else {"stream": "unreadable", "data": message}
