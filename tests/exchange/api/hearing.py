"""Listening to the market-data streams with alpaca-py's own clients, on a thread of their own."""

import asyncio
import contextlib
import threading
import warnings

from workbench.exchange import embedded


@contextlib.contextmanager
def heard(one, kind, path, subscribe, wait_until, *, raw=False):
    """The messages of one of alpaca-py's data streams, as a list that grows."""
    messages: list = []

    async def handler(message):
        messages.append(message)

    stream = kind(one.keys.key_id, one.keys.secret_key, raw_data=raw, url_override=f"ws{one.url[4:]}{path}")
    subscribe(stream, handler)

    def run():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream.run()

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: stream._running)
    # `_running` is set when the subscription has been sent: another question and its answer put it behind us.
    asyncio.run_coroutine_threadsafe(stream._send_subscribe_msg(), stream._loop).result(60)
    embedded.account(one.url, name=one.keys.name)
    try:
        yield messages
    finally:
        asyncio.run_coroutine_threadsafe(closed(stream), stream._loop).result(60)
        thread.join(60)
        assert not thread.is_alive()


async def closed(stream):
    """Stop without the five seconds for which the client looks at nothing but its socket."""
    await stream.stop_ws()
    if stream._ws is not None:
        await stream._ws.close()
