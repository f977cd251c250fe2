import multiprocessing
import os
import threading

import pytest

from workbench.data.gateway import Gateway
from workbench.data.gateway.wire import is_loopback, proxy_for
from workbench.errors import ParameterError

PROXIES = {"http": "http://proxy.invalid:3128", "https": "http://proxy.invalid:3129", "all": "http://proxy.invalid:1"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "a.localhost", "::1"])
def test_this_machine_is_never_asked_through_a_proxy(host):
    assert is_loopback(host)
    assert proxy_for("http", host, PROXIES) is None


def test_the_network_is_asked_through_the_proxy_that_the_environment_names(monkeypatch):
    monkeypatch.setenv("no_proxy", "inside.example,.corp.example")
    assert proxy_for("https", "data.acme.example", PROXIES) == "http://proxy.invalid:3129"
    assert proxy_for("gopher", "data.acme.example", PROXIES) == "http://proxy.invalid:1"
    assert proxy_for("https", "a.corp.example", PROXIES) is None
    assert proxy_for("https", "data.acme.example", {}) is None


def test_a_proxy_in_the_environment_does_not_stand_before_loopback(monkeypatch, make, vendor, server):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert make().get(vendor(), "/ok", kind="news").json() == {"value": 1}
    assert len(server.asked) == 1


def test_connections_are_used_again(gateway, vendor, server):
    ports = set()
    server.route("/port", lambda _: ports.add(threading.get_ident()) or {})
    for _ in range(5):
        gateway.get(vendor(), "/port", kind="news")
    assert len(ports) == 1  # the server has one thread per connection


def test_no_cookie_is_kept_and_none_is_sent(gateway, vendor, server):
    from tests.vendors.server import Reply

    server.route("/cookie", Reply({}, headers={"Set-Cookie": "who=alice"}))
    answer = gateway.get(vendor(), "/cookie", kind="news")
    gateway.get(vendor(), "/ok", kind="news")
    assert "set-cookie" not in answer.headers
    assert "cookie" not in server.asked[-1].headers


def test_packed_answers_are_unpacked(gateway, vendor, server):
    import gzip

    from tests.vendors.server import Reply

    server.route("/gz", Reply(gzip.compress(b'{"value": 2}'), headers={"Content-Encoding": "gzip"}))
    answer = gateway.get(vendor(), "/gz", kind="news")
    assert answer.json() == {"value": 2}
    assert "gzip" in server.asked[-1].headers["accept-encoding"]
    assert gateway.stats()["bytes_network"].sum() == len(b'{"value": 2}')


def _in_a_fork(gateway, acme, queue):
    try:
        gateway.get(acme, "/ok", kind="news")
    except ParameterError as error:
        queue.put(str(error))
    gateway.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_must_open_its_own_and_leaves_its_parents_alone(gateway, vendor, server):
    gateway.get(vendor(), "/ok", kind="news")
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    child = fork.Process(target=_in_a_fork, args=(gateway, vendor(), queue))
    child.start()
    child.join(60)
    child.kill()
    assert child.exitcode == 0
    assert not queue.empty()  # or reading it would wait for ever
    assert "open a Gateway in each process" in queue.get()
    queue.close()
    assert gateway.get(vendor(), "/ok", kind="news").status == 200
    assert len(server.asked) == 2
    assert gateway.stats()["calls"].sum() == 2


def test_a_closed_gateway_says_so(vendor):
    with Gateway() as gateway:
        pass
    gateway.close()
    with pytest.raises(ParameterError, match="is closed"):
        gateway.get(vendor(), "/ok", kind="news")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_gateway_of_a_workspace_lies_in_its_home(workspace, vendor, server):
    with Gateway.of(workspace) as gateway:
        gateway.get(vendor(), "/ok", kind="news")
    with Gateway.of(workspace) as gateway:
        assert gateway.get(vendor(), "/ok", kind="news").cached
    assert (workspace.home / "cache" / "vendors" / "answers.db").is_file()
    assert len(server.asked) == 1
