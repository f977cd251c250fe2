"""The `trade_updates` stream on `/stream`: binary frames that hold JSON, as Alpaca's paper venue sends them.

Like the real one it does not replay: who reconnects has missed what happened meanwhile and must ask over REST.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tornado import web, websocket

from workbench.exchange.telling.faults import STREAM_PATH

if TYPE_CHECKING:
    from workbench.exchange.api.resource import Exchange


class TradeUpdates(websocket.WebSocketHandler):
    """One client of the stream."""

    def initialize(self, exchange: Exchange) -> None:
        """Tornado's way of handing over the parts."""
        self.exchange = exchange
        self.account_id: str | None = None

    def prepare(self) -> None:
        """No stream while a fault keeps it cut."""
        if self.exchange.faults.is_cut(STREAM_PATH):
            raise web.HTTPError(503)

    def check_origin(self, origin: str) -> bool:
        """A browser page has no business here; clients without a browser send no Origin at all."""
        return False

    def on_message(self, message: str | bytes) -> None:
        """`authenticate`, then `listen`; anything else ends the connection."""
        try:
            request = json.loads(message)
            action, data = request["action"], request.get("data") or {}
        except (ValueError, TypeError, KeyError):
            self.close(1003, "not understood")
            return
        if action in {"authenticate", "auth"}:
            self._authenticate(data or request)
        elif action == "listen" and self.account_id is not None:
            streams = [name for name in data.get("streams", []) if name == "trade_updates"]
            if streams:
                self.exchange.subscribers.add(self.account_id, self)
            else:
                self.exchange.subscribers.remove(self)
            self._tell("listening", {"streams": streams})
        else:
            self._tell("listening", {"error": "you are not authorized to listen to streams"})

    def on_close(self) -> None:
        """Forget the client."""
        self.exchange.subscribers.remove(self)

    def send(self, frame: bytes) -> None:
        """Send one prepared frame; a client that has just gone away is forgotten."""
        try:
            self.write_message(frame, binary=True)
        except websocket.WebSocketClosedError:
            self.exchange.subscribers.remove(self)

    def drop(self) -> None:
        """Cut the connection without a goodbye, as a broken network does."""
        self.exchange.subscribers.remove(self)
        stream = getattr(self.ws_connection, "stream", None)
        if stream is not None:
            stream.close()

    def _authenticate(self, data: dict[str, Any]) -> None:
        key_id = str(data.get("key_id") or data.get("key") or "")
        secret = str(data.get("secret_key") or data.get("secret") or "")
        account = self.exchange.venue.authenticate(key_id, secret)
        self.account_id = None if account is None else account.id
        status = "unauthorized" if account is None else "authorized"
        self._tell("authorization", {"status": status, "action": "authenticate"})

    def _tell(self, stream: str, data: dict[str, Any]) -> None:
        self.send(json.dumps({"stream": stream, "data": data}).encode())
