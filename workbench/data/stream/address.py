"""Where a stream answers: the vendor's endpoints by feed, and the check that keys never travel in the clear."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from workbench.errors import ParameterError

ALPACA: Final = "wss://stream.data.alpaca.markets"
PATHS: Final[Mapping[str, str]] = {
    "iex": "/v2/iex",
    "sip": "/v2/sip",
    "delayed_sip": "/v2/delayed_sip",
    "test": "/v2/test",
    "opra": "/v1beta1/opra",
    "indicative": "/v1beta1/indicative",
    "crypto": "/v1beta3/crypto/us",
    "news": "/v1beta1/news",
}
_BARS = ("bars", "updated_bars", "daily_bars")
_BY_FEED: Final[Mapping[str, tuple[str, ...]]] = {
    "opra": ("trades", "option_quotes"),
    "indicative": ("trades", "option_quotes"),
    "news": ("news",),
}
_DELAYS: Final[Mapping[str, float]] = {"delayed_sip": 900.0}


@dataclass(frozen=True, slots=True)
class Address:
    """One endpoint.

    Attributes:
        url: with the path.
        feed: its name in `PATHS`, "" where it is none of them.
        channels: what can be subscribed to there.
        delay: how many seconds the feed is behind by agreement.
    """

    url: str
    feed: str
    channels: tuple[str, ...]
    delay: float

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return _is_local(urllib.parse.urlsplit(self.url).hostname or "")


def address_of(url: str, feed: str = "") -> Address:
    """The endpoint of a feed.

    Args:
        url: `wss://host`, to which the feed's path is added, or the whole address where no feed is named; empty:
            Alpaca's own.
        feed: one of `PATHS`.

    Raises:
        ParameterError: an unknown feed, no WebSocket address, or one to which keys would travel unencrypted.
    """
    if feed and feed not in PATHS:
        raise ParameterError(f"feed={feed!r} is not one of {', '.join(PATHS)}.", remedy="use one of these.")
    if not url and not feed:
        raise ParameterError("neither url nor feed is given.", remedy="write feed='iex', or the whole address.")
    whole = (url or ALPACA).rstrip("/") + (PATHS[feed] if feed else "")
    parts = urllib.parse.urlsplit(whole)
    host = parts.hostname or ""
    if parts.scheme not in {"ws", "wss"} or not host or parts.username is not None:
        raise ParameterError(
            f"url={parts.scheme}://{host} is not the address of a stream.",
            remedy="it begins with wss://, without a login.",
        )
    if parts.scheme == "ws" and not _is_local(host):
        raise ParameterError(
            f"url=ws://{host} would send keys in the clear; nothing was connected.", remedy="use wss://."
        )
    named = feed or next((name for name, path in PATHS.items() if parts.path == path), "")
    channels = _BY_FEED.get(named, ("trades", "quotes", *_BARS) if named else ("trades", "quotes", *_BARS, "news"))
    return Address(whole, named, channels, _DELAYS.get(named, 0.0))


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
