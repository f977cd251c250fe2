"""The gateway's own time per call: beside the same call of httpx to the same server on loopback, in one run.

Everything is on: the SQLite store, two limits, breaker, counts with their writes, the cache's files, keys and
redaction. The two calls alternate, so that load from outside meets both. The server is a process of its own. What is
asserted is this process's own time; medians by the wall are noted beside it and agree with it on a quiet machine.
"""

import itertools
import statistics
import subprocess
import sys
import time

import httpx
import pytest
from pydantic import SecretStr

from workbench.data.gateway import Gateway, Limit, Vendor
from workbench.store.workspace import Workspace

OVERHEAD_SECONDS = 0.001
CALLS = 400
SERVER = """
import asyncio
BODY = b'{"bars": [' + b",".join(b'{"c": 101.5, "v": 1200}' for _ in range(100)) + b"]}"
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY
async def serve(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\\r\\n\\r\\n")
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def url():
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.terminate()


@pytest.fixture
def gateway(tmp_path):
    workspace = Workspace.open(tmp_path / "home")
    with Gateway.of(workspace) as opened:
        yield opened
    workspace.close()


@pytest.fixture
def client():
    with httpx.Client(trust_env=False) as opened:
        yield opened


def measure(benchmark, gateway, client, url, query_of):
    """What the gateway takes more than httpx, in seconds of this process."""
    vendor = Vendor("acme", url, limits=(Limit(10_000_000, 60.0), Limit(1_000_000, 1.0)))
    secret, wall, cpu = SecretStr("a-key-that-nobody-reads"), {"gateway": [], "httpx": []}, {"gateway": [], "httpx": []}

    def ask(query):
        answer = gateway.get(vendor, "/bars", kind="bars", query=query, headers={"X-Key": secret})
        assert len(answer.content) > 2_000

    def plain(query):
        reply = client.get(f"{url}/bars", params=query, headers={"X-Key": secret.get_secret_value()})
        assert len(reply.content) > 2_000

    def timed(name, call, query):
        began, spent = time.perf_counter(), time.process_time()
        call(query)
        wall[name].append(time.perf_counter() - began)
        cpu[name].append(time.process_time() - spent)

    def pair():
        query = query_of()
        timed("gateway", ask, query)
        timed("httpx", plain, query)

    benchmark.pedantic(pair, rounds=CALLS, iterations=1, warmup_rounds=20)

    def said(spent, name, of):
        return round(of(sorted(spent[name])) * 1e6)

    found = {
        f"{name}_{clock}_{how}_us": said(spent, name, of)
        for clock, spent in (("wall", wall), ("cpu", cpu))
        for how, of in (("median", statistics.median), ("undisturbed", undisturbed))
        for name in ("gateway", "httpx")
    }
    overhead = undisturbed(sorted(cpu["gateway"])) - undisturbed(sorted(cpu["httpx"]))
    benchmark.extra_info.update(found, overhead_us=round(overhead * 1e6))
    return overhead


def undisturbed(ordered):
    """The tenth part from below: what a call costs when nothing else wants the machine."""
    return ordered[len(ordered) // 10]


def test_a_miss_costs_less_than_a_millisecond_more_than_the_call_itself(benchmark, gateway, client, url):
    numbers = itertools.count()
    overhead = measure(benchmark, gateway, client, url, lambda: {"page": next(numbers)})
    assert gateway.stats()["misses"].sum() == CALLS + 20
    assert overhead < OVERHEAD_SECONDS


def test_a_hit_costs_less_than_a_millisecond(benchmark, gateway, client, url):
    overhead = measure(benchmark, gateway, client, url, lambda: {"page": 1})
    assert gateway.stats()["hits"].sum() >= CALLS
    assert overhead < OVERHEAD_SECONDS
    assert benchmark.extra_info["gateway_cpu_undisturbed_us"] < OVERHEAD_SECONDS * 1e6
