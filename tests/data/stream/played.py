"""A stream server on loopback that plays scripts: one for each connection, the last one again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from types import SimpleNamespace

import msgpack
from pydantic import SecretStr
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from workbench.data.access import Access

KEY, SECRET = "PKAPPLE", "s3cret-of-the-test"
ACCESS = Access(key=SecretStr(KEY), secret=SecretStr(SECRET))
NOON = 1_700_000_000  # seconds; 2023-11-14 22:13:20 UTC


def moment(seconds, ns=0):
    """`seconds` after NOON as a msgpack Timestamp."""
    return msgpack.Timestamp(NOON + int(seconds), ns)


def trade(symbol, seconds, price, size=1.0, key=None, **more):
    return (
        {"T": "t", "S": symbol, "t": moment(seconds), "p": price, "s": size, "x": "V"}
        | ({} if key is None else {"i": key})
        | more
    )


def quote(symbol, seconds, bid, ask, *, bid_size=1, ask_size=2):
    return {"T": "q", "S": symbol, "t": moment(seconds), "bp": bid, "bs": bid_size, "ap": ask, "as": ask_size}


def bar(symbol, seconds, close, letter="b", **more):
    numbers = {"o": close, "h": close + 1, "l": close - 1, "c": close, "v": 10.0, "n": 3, "vw": close}
    return {"T": letter, "S": symbol, "t": moment(seconds)} | numbers | more


class Talk:
    """One connection, from the server's side."""

    def __init__(self, socket, *, text=False):
        self.socket, self.text, self.heard = socket, text, []

    async def tell(self, *messages, frame=None):
        packed = (
            frame if frame is not None else (json.dumps(list(messages)) if self.text else msgpack.packb(list(messages)))
        )
        await self.socket.send(packed)

    async def hear(self):
        said = await self.socket.recv()
        self.heard.append(json.loads(said) if isinstance(said, str) else msgpack.unpackb(said))
        return self.heard[-1]

    async def greet(self):
        await self.tell({"T": "success", "msg": "connected"})
        login = await self.hear()
        assert login == {"action": "auth", "key": KEY, "secret": SECRET}
        await self.tell({"T": "success", "msg": "authenticated"})

    async def subscribe(self):
        asked = await self.hear()
        assert asked.pop("action") == "subscribe"
        await self.tell({"T": "subscription"} | asked)
        return asked

    async def welcome(self):
        """Greeting, login and the first subscription."""
        await self.greet()
        return await self.subscribe()

    async def stay(self):
        """Until the client goes."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.hear()

    def cut(self):
        self.socket.transport.abort()


@contextlib.contextmanager
def played(*scripts, text=False):
    """Serve; yields an object with `url`, `talks` (one per connection) and `errors` (of the scripts)."""
    told = SimpleNamespace(url="", talks=[], errors=[], paths=[], headers=[])
    ready, loop_of, stop_of = threading.Event(), [], []

    async def handle(socket):
        number = len(told.talks)
        talk = Talk(socket, text=text)
        told.talks.append(talk)
        told.headers.append(socket.request.headers)
        told.paths.append(socket.request.path)
        try:
            await scripts[min(number, len(scripts) - 1)](talk)
        except ConnectionClosed:
            pass
        except Exception as error:  # noqa: BLE001 - the test looks at them
            told.errors.append(error)

    async def main():
        loop_of.append(asyncio.get_running_loop())
        stop_of.append(asyncio.Event())
        async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.2) as server:
            told.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await stop_of[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(60)
    try:
        yield told
    finally:
        loop_of[0].call_soon_threadsafe(stop_of[0].set)
        thread.join(60)
        assert not thread.is_alive()
    assert told.errors == []


def until(condition, seconds=60.0):
    """Wait until the condition holds; fails the test where it never does (only a defect makes it wait long)."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.003)
