"""A soak of the stream over a real loopback WebSocket: so many events per second for so long, memory and drops watched.

Run: python tests/benchmarks/stream_soak.py --seconds 600 --rate 50000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PER_FRAME = 250


def tell(line: object) -> None:
    """A line of this script's page, or of the talk between its two processes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def serve(rate: int, seconds: float) -> None:
    """The vendor: greets, confirms, tells `rate` events a second for so long, says how many, and stays."""
    import contextlib

    import msgpack
    from websockets.asyncio.server import serve as listen
    from websockets.exceptions import ConnectionClosed

    from tests.benchmarks.stream_frames import Market

    done = asyncio.Event()

    async def talk(socket: object) -> None:
        market, frames = Market(PER_FRAME), int(rate * seconds) // PER_FRAME
        with contextlib.suppress(ConnectionClosed):
            for answer in (
                [{"T": "success", "msg": "connected"}],
                [{"T": "success", "msg": "authenticated"}],
                [{"T": "subscription", "trades": ["*"], "quotes": ["*"]}],
            ):
                await socket.send(msgpack.packb(answer))
                if answer[0]["T"] != "subscription":
                    await socket.recv()
            began = time.monotonic()
            for number in range(frames):
                await socket.send(market.frame())
                wait = began + (number + 1) * PER_FRAME / rate - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
            tell(json.dumps({"sent": frames * PER_FRAME, "took": time.monotonic() - began}))
            await socket.recv()
        done.set()

    async with listen(talk, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        tell(server.sockets[0].getsockname()[1])
        await done.wait()


def soak(seconds: float, rate: int, *, every: float = 1.0, say: bool = False) -> dict:
    """Soak; returns what was seen: events, drops, seconds of the processor, resident memory (MB) at each sample."""
    import psutil
    from pydantic import SecretStr

    from workbench.data.access import Access
    from workbench.data.stream.market_stream import MarketStream

    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, __file__, "--serve", "--seconds", str(seconds), "--rate", str(rate)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        port = int(server.stdout.readline())
        access = Access(key=SecretStr("key"), secret=SecretStr("secret"))
        heard = np.zeros(2, dtype=np.int64)
        process = psutil.Process()

        def trades(batch: object) -> None:
            heard[0] += len(batch)

        def quotes(batch: object) -> None:
            heard[1] += len(batch)

        with MarketStream(f"ws://127.0.0.1:{port}", access, feed="sip") as stream:
            stream.subscribe_trades(trades, "*")
            stream.subscribe_quotes(quotes, "*")
            stream.start().wait_live()
            began, used, memory = time.monotonic(), time.process_time(), []
            while time.monotonic() - began < seconds:
                time.sleep(every)
                memory.append(process.memory_info().rss / 1e6)
                if say and len(memory) % 30 == 0:
                    row = stream.stats().iloc[0]
                    tell(
                        f"{time.monotonic() - began:6.0f} s  {memory[-1]:7.1f} MB  {row['events']:>11,} events  "
                        f"{row['dropped']} dropped  {row['waiting']} waiting (most {row['most_waiting']})",
                    )
            told = json.loads(server.stdout.readline())
            deadline = time.monotonic() + 20
            while heard.sum() < told["sent"] and time.monotonic() < deadline:
                time.sleep(0.05)
            used = time.process_time() - used
            stats = stream.stats().iloc[0].to_dict()
        return {"stats": stats, "heard": int(heard.sum()), "memory": memory, "processor": used} | told
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=int, default=50_000)
    parser.add_argument("--serve", action="store_true")
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(serve(asked.rate, asked.seconds))
        return
    seen = soak(asked.seconds, asked.rate, say=True)
    memory, stats = seen["memory"], seen["stats"]
    settled = memory[min(len(memory) // 6, 30) :]
    tell(
        f"{seen['sent']:,} events sent in {seen['took']:.1f} s ({seen['sent'] / seen['took']:,.0f}/s), "
        f"{seen['heard']:,} heard; "
        f"dropped {stats['dropped']}, late {stats['late']}, duplicates {stats['duplicates']}, bad {stats['bad']}, "
        f"reconnects {stats['reconnects']}; processor {seen['processor']:.1f} s\n"
        f"memory: {memory[0]:.1f} MB at the first second, {settled[0]:.1f} when settled, {memory[-1]:.1f} at the end, "
        f"most {max(memory):.1f}"
    )


if __name__ == "__main__":
    main()
