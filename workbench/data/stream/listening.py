"""Listening: the thread in front of the buffer: it connects, logs in, subscribes, decodes, and connects again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.data.access import Access
from workbench.data.stream.address import Address
from workbench.data.stream.buffer import Ring
from workbench.data.stream.connection import open_socket, said
from workbench.data.stream.counts import Counts
from workbench.data.stream.decode import Decoder
from workbench.data.stream.dialogue import (
    ABOUT_SUBSCRIPTIONS,
    ALREADY,
    CONNECTION_LIMIT,
    Dialogue,
    in_fragments,
)
from workbench.data.stream.gap import Gap
from workbench.data.stream.pacing import Pacing
from workbench.data.stream.subscriptions import Subscriptions
from workbench.errors import BadData, DataError, SourceRefused, SourceUnavailable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


class Listening:
    """The only one who touches the socket and the decoder, from one thread with an event loop of its own.

    Args:
        clock: ns since 1970, the arrival of events.
        told: hears each state (`connecting`, `live`, `reconnecting`, `stopped`, `failed`) and its reason.
    """

    def __init__(
        self,
        address: Address,
        access: Access,
        *,
        decoder: Decoder,
        ring: Ring,
        subscriptions: Subscriptions,
        counts: Counts,
        pacing: Pacing,
        clock: Callable[[], int],
        rng: random.Random,
        told: Callable[[str, str], None],
    ) -> None:
        self._address, self._access, self._decoder, self._ring = address, access, decoder, ring
        self._subscriptions, self._counts, self._pacing = subscriptions, counts, pacing
        self._clock, self._rng, self._told = clock, rng, told
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._ending = False
        self._changed: asyncio.Event | None = None
        self._answered: asyncio.Event | None = None
        self._outstanding: dict[str, frozenset[str]] = {}  # subscribed to, and not answered yet
        self._dialogue = Dialogue()
        self._asked: dict[str, frozenset[str]] = {}
        self._heard = self._heard_event = 0.0
        self._given_up = ""  # why we cut the connection ourselves
        self._listened: tuple[Mapping[str, frozenset[str]], int] | None = None
        self.trouble = ""

    def run(self) -> None:
        """Listen until `end`, or until it is hopeless."""
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._forever())

    def end(self) -> None:
        """Let `run` come to its end; any thread may call it, several times."""
        self._ending = True
        loop, main = self._loop, self._main
        if loop is not None and main is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended between the two lines
                loop.call_soon_threadsafe(main.cancel)

    def ask(self) -> None:
        """The subscriptions have changed: tell the server, where there is a connection; any thread may call it."""
        loop, changed = self._loop, self._changed
        if loop is not None and changed is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

    # ---- one connection after the other

    async def _forever(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        self._changed, self._answered = asyncio.Event(), asyncio.Event()
        failures = taken = 0
        why = ""
        self._told("connecting", "")
        while not self._ending:
            began = time.monotonic()
            try:
                why = await self._connected(why)
                taken = 0
            except DataError as error:
                code = error.facts.get("code")
                taken = taken + 1 if code == CONNECTION_LIMIT else 0
                if isinstance(error, SourceRefused) or taken > self._patience_with_a_taken_place():
                    self._told("failed", error.message)
                    return
                why = error.message
            failures = 1 if time.monotonic() - began >= self._pacing.settled else failures + 1
            self._told("reconnecting", why)
            await asyncio.sleep(self._pacing.wait(failures, self._rng))

    def _patience_with_a_taken_place(self) -> int:
        return self._pacing.taken_tries if self._counts.connections else 0

    async def _connected(self, why: str) -> str:
        """Connect and listen until the connection ends; returns what ended it.

        Raises:
            SourceRefused: hopeless.
            SourceUnavailable: no login; to be tried again.
        """
        from websockets.exceptions import ConnectionClosed

        self._dialogue, self._given_up, self._asked = Dialogue(), "", {}
        self._outstanding = {}
        socket = await open_socket(self._address, within=self._pacing.login)
        watching: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(self._pacing.login):
                await self._login(socket, why)
            self._heard = self._heard_event = time.monotonic()
            watching = asyncio.gather(self._watch(socket), self._keep_asking(socket))  # type: ignore[assignment]
            self._told("live", "")
            async for frame in socket:
                self._take(frame)
        except TimeoutError as error:
            raise SourceUnavailable(
                f"no login within {self._pacing.login:g} s.", remedy="nothing: it is tried again."
            ) from error
        except ConnectionClosed as error:
            if watching is None:
                raise SourceUnavailable(
                    f"the connection was closed during the login: {said(error)}.", remedy="nothing: it is tried again."
                ) from error
            return self._given_up or f"the connection broke: {said(error)}"
        finally:
            if watching is not None:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                    await watching
            try:
                await socket.close()
            finally:
                socket.transport.abort()  # whatever has interrupted the goodbye: nothing stays open
        return self._given_up or "the server closed the connection"

    async def _login(self, socket: ClientConnection, why: str) -> None:
        """Greeting, login, subscription; ends the gap since the connection before."""
        first = await socket.recv()
        self._dialogue.text = isinstance(first, str)
        self._take(first)
        while not self._dialogue.greeted:
            self._take(await socket.recv())
        await socket.send(self._dialogue.login(self._access))
        while not self._dialogue.authenticated:
            self._take(await socket.recv())
        gap = None
        if self._listened is not None:
            # Before anything of this connection: what is asked for comes before what is told from now on.
            gap = Gap(why=why, listened=self._listened[0], since=self._listened[1])
            self._ring.put_object(gap, keep=True)
        try:
            wanted = self._subscriptions.wanted()
            if wanted:
                await self._send(socket, "subscribe", wanted)
                while self._dialogue.confirmed is None:
                    self._take(await socket.recv())
            self._counts.connections += 1
            now = self._clock()
            self._listened = (self._dialogue.confirmed or {}, now)
            if gap is not None:
                gap.until = now
        finally:
            if gap is not None:
                gap.settled.set()

    async def _send(self, socket: ClientConnection, action: str, channels: Mapping[str, frozenset[str]]) -> None:
        await socket.send(in_fragments(self._dialogue.change(action, channels)))
        for name, symbols in channels.items():
            had = self._asked.get(name, frozenset())
            self._asked[name] = had | symbols if action == "subscribe" else had - symbols

    async def _keep_asking(self, socket: ClientConnection) -> None:
        """Tell the server of each change of the subscriptions, the next one when it has answered the last."""
        assert self._changed is not None
        assert self._answered is not None
        while True:
            self._changed.clear()
            wanted = self._subscriptions.wanted()
            names = {*wanted, *self._asked}
            more = {name: wanted.get(name, frozenset()) - self._asked.get(name, frozenset()) for name in names}
            less = {name: self._asked.get(name, frozenset()) - wanted.get(name, frozenset()) for name in names}
            for action, changes in (("subscribe", more), ("unsubscribe", less)):
                changed = {name: symbols for name, symbols in changes.items() if symbols}
                if changed:
                    self._outstanding = changed if action == "subscribe" else {}
                    self._answered.clear()
                    await self._send(socket, action, changed)
                    await self._answered.wait()
            await self._changed.wait()

    async def _watch(self, socket: ClientConnection) -> None:
        """Ping where nothing comes; give the connection up where no answer comes either."""
        pacing, asked = self._pacing, 0.0
        while True:
            await asyncio.sleep(min(pacing.heartbeat, pacing.quiet or pacing.heartbeat) / 4)
            now = time.monotonic()
            silent, quiet = now - self._heard, now - self._heard_event
            unanswered = asked > self._heard
            # Only a ping that was sent can be left unanswered: where this process itself stood still, it asks first.
            if unanswered and now - asked >= pacing.heartbeat * 3 / 4:
                self._given_up = f"nothing was heard for {silent:.1f} s, not even an answer to a ping"
            elif pacing.quiet is not None and quiet >= pacing.quiet:
                self._given_up = f"no event came for {quiet:.1f} s"
            if self._given_up:
                socket.transport.abort()
                return
            if silent >= pacing.heartbeat / 4 and not unanswered:
                asked = now
                asyncio.ensure_future(await socket.ping()).add_done_callback(self._pong)

    def _pong(self, pong: asyncio.Future[Any]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._heard = time.monotonic()

    # ---- one frame

    def _take(self, frame: bytes | str) -> None:
        """Decode a frame and pass on what is in it. Raises DataError for an error that ends the connection."""
        self._heard = time.monotonic()
        self._counts.frames += 1
        self._counts.bytes += len(frame)
        try:
            decoded = self._decoder.decode(frame, self._clock())
        except BadData as unreadable:
            self._counts.refused_frames += 1
            self.trouble = unreadable.message
            return
        self._counts.others += decoded.others
        if len(decoded.rows):
            self._heard_event = self._heard
            self._ring.put(decoded.rows)
        for article in decoded.articles:
            self._heard_event = self._heard
            self._ring.put_object(article)
        for message in decoded.controls:
            error = self._dialogue.hear(message)
            if error is not None:
                self._refused(error)
            elif message.get("T") == "subscription":
                if self._listened is not None:
                    self._listened = (self._dialogue.confirmed or {}, self._clock())
                self._settle_change()

    def _refused(self, error: DataError) -> None:
        """What an error of the server means. Raises it where the connection cannot go on."""
        self._counts.refusals += 1
        code = error.facts.get("code")
        self.trouble = error.message
        if code == ALREADY:
            return
        if code not in ABOUT_SUBSCRIPTIONS or not (self._outstanding or self._dialogue.confirmed):
            raise error
        # A change was refused; what was confirmed before goes on.
        refused = [f"{name} {symbol}" for name, symbols in self._outstanding.items() for symbol in sorted(symbols)]
        self._subscriptions.remove_refused(self._outstanding)
        for name, symbols in self._outstanding.items():
            self._asked[name] -= symbols
        self.trouble = f"{error.message} Not subscribed to: {', '.join(refused)}."
        self._settle_change()

    def _settle_change(self) -> None:
        self._outstanding = {}
        if self._answered is not None:
            self._answered.set()
