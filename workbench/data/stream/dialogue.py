"""Dialogue: what is said on one connection: greeting, login, subscriptions, errors. No socket in here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from workbench.data.access import Access
from workbench.errors import DataError, SourceRefused, SourceUnavailable

ERRORS: Final[Mapping[int, str]] = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "authentication failed: the key or the secret is wrong",
    403: "already authenticated",
    404: "the login took too long",
    405: "more symbols than the plan allows",
    406: "another connection of this account is open, and the plan allows one",
    407: "this client reads too slowly",
    408: "the account is not enabled for this",
    409: "the plan does not include this feed",
    410: "the feed does not have this channel",
    500: "a failure inside the vendor",
}
AUTH_FAILED, ALREADY, CONNECTION_LIMIT, SLOW = 402, 403, 406, 407
_HOPELESS: Final = frozenset({402, 408, 409})  # asking again would not help
ABOUT_SUBSCRIPTIONS: Final = frozenset({400, 405, 410})
_RETRIED_STATUS = frozenset({408, 425, 429})
LONGEST_MESSAGE: Final = 32_768  # bytes; a longer one is sent in fragments, as the vendor's own client does


class Dialogue:
    """Where the talk of one connection stands.

    Attributes:
        text: the server speaks JSON in text frames; otherwise msgpack in binary ones.
        greeted, authenticated: it has said so.
        confirmed: the subscriptions it has confirmed last, by its names; None: nothing yet.
    """

    def __init__(self) -> None:
        self.text = False
        self.greeted = self.authenticated = False
        self.confirmed: dict[str, frozenset[str]] | None = None

    def hear(self, message: Mapping[str, Any]) -> DataError | None:
        """One control message. Returns the error where it is one, None otherwise."""
        match message.get("T"), message.get("msg"):
            case "success", "connected":
                self.greeted = True
            case "success", "authenticated":
                self.authenticated = True
            case "subscription", _:
                self.confirmed = {
                    str(channel): frozenset(str(symbol) for symbol in symbols)
                    for channel, symbols in message.items()
                    if channel != "T" and isinstance(symbols, (list, tuple)) and symbols
                }
            case "error", said:
                return told(message.get("code"), said)
        return None

    def login(self, access: Access) -> bytes | str:
        """The message that logs in. It holds the keys: nobody may log it."""
        key, secret = access.key.get_secret_value(), access.secret.get_secret_value()
        return self._coded({"action": "auth", "key": key, "secret": secret})

    def change(self, action: str, channels: Mapping[str, Iterable[str]]) -> bytes | str:
        """The message that subscribes or unsubscribes."""
        return self._coded({"action": action} | {name: sorted(symbols) for name, symbols in channels.items()})

    def _coded(self, message: Mapping[str, Any]) -> bytes | str:
        if self.text:
            return json.dumps(message, separators=(",", ":"))
        import msgpack

        packed: bytes = msgpack.packb(message)
        return packed


def told(code: Any, said: Any) -> DataError:
    """The error that a server's error message stands for: refused where asking again would not help."""
    number = code if isinstance(code, int) and not isinstance(code, bool) else 0
    words = ERRORS.get(number, f"the server says {str(said)[:200]!r}")
    if number in _HOPELESS or number in ABOUT_SUBSCRIPTIONS:
        return SourceRefused(
            f"the stream was refused with {number}: {words}.",
            remedy="check the key, the plan and the symbols.",
            code=number,
        )
    return SourceUnavailable(
        f"the stream answered {number}: {words}.", remedy="nothing: it is tried again.", code=number
    )


def in_fragments(message: bytes | str) -> bytes | str | list[bytes] | list[str]:
    """A message as it is sent: whole, or in pieces where it is long."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    starts = range(0, len(message), LONGEST_MESSAGE)
    if isinstance(message, str):
        return [message[start : start + LONGEST_MESSAGE] for start in starts]
    return [message[start : start + LONGEST_MESSAGE] for start in starts]


def not_upgraded(status: int) -> DataError:
    """The error of a server that answers with a status of HTTP instead of opening the stream."""
    if 400 <= status < 500 and status not in _RETRIED_STATUS:
        return SourceRefused(
            f"the server refused the stream with HTTP {status}.", remedy="check the address, the key and the plan."
        )
    return SourceUnavailable(f"the server answered HTTP {status}.", remedy="nothing: it is tried again.")
