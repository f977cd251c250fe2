"""Connection: one WebSocket, opened as a stream needs it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from workbench.data.stream.address import Address
from workbench.data.stream.dialogue import not_upgraded
from workbench.errors import SourceUnavailable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

MOST_FRAME_BYTES: Final = 16 * 1024 * 1024
_WAITING_FRAMES = 64  # in the library, between the wire and us
_CLOSE_SECONDS = 1.0
# The library writes whole messages at its debug level, and one of them holds the keys. This logger has no such level,
# whatever anybody sets on the root, and nobody listens to it.
_SILENT: Final = logging.Logger("websockets of a stream", logging.CRITICAL)  # noqa: LOG001


async def open_socket(address: Address, *, within: float) -> ClientConnection:
    """A new connection; nothing is said on it yet.

    Args:
        within: seconds that it may take.

    Raises:
        SourceRefused: the server will not open a stream, and asking again would not help.
        SourceUnavailable: no connection; to be tried again.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

    try:
        async with asyncio.timeout(within):
            return await connect(
                address.url,
                additional_headers={"Content-Type": "application/msgpack"},
                user_agent_header="workbench",
                proxy=None if address.is_local else True,
                compression=None,  # inflating costs more than the bytes
                max_size=MOST_FRAME_BYTES,
                max_queue=_WAITING_FRAMES,
                ping_interval=None,  # the listening does it, and counts frames as signs of life too
                close_timeout=_CLOSE_SECONDS,
                logger=_SILENT,
            )
    except InvalidStatus as error:
        raise not_upgraded(error.response.status_code) from error
    except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
        raise SourceUnavailable(
            f"no connection to {address.url}: {said(error)}.", remedy="nothing: it is tried again."
        ) from error


def said(error: BaseException) -> str:
    """An error of the library in words: its name, and its text where it has one."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
