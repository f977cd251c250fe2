"""The Jupyter server's extension over HTTP, with a server of its own and the token that Jupyter asks for."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.execution.submitter.submit import pump
from workbench.lab.launch import environment
from workbench.market.order import IntentState, OrderType, OrderWish, Side
from workbench.store.lease import Lease
from workbench.store.workspace import Workspace

TOKEN = "a-token-for-the-test"
NOW = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)


def call(url, method, path, body=None, *, token=TOKEN):
    connection = http.client.HTTPConnection(*url, timeout=120)
    headers = {"Authorization": f"token {token}"} if token else {}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text.decode()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    workspace = Workspace.open(home)
    address = embedded.ensure(home / "exchange", exit_with_parent=True)
    # No look at the reader's own configuration: what is tested is what `workbench lab` sets.
    variables = environment(home, {**os.environ, "JUPYTER_NO_CONFIG": "", "JUPYTER_RUNTIME_DIR": str(home / "runtime")})
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.root_dir={home}", f"--IdentityProvider.token={TOKEN}"]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
    for _ in range(1800):
        # Which port it found free is in its own file: one that is chosen here could be taken before it listens.
        try:
            written = json.loads((home / "runtime" / f"jpserver-{server.pid}.json").read_text())
            url = ("127.0.0.1", written["port"])
            if call(url, "GET", "/workbench/api/accounts")[0] == 200:
                break
        except (OSError, ValueError):
            pass
        assert server.poll() is None, (home / "server.log").read_text()
        time.sleep(0.1)
    else:
        pytest.fail((home / "server.log").read_text())
    yield url, workspace, address.url
    server.terminate()
    server.wait(60)
    workspace.close()
    embedded.stop(home / "exchange")


@pytest.fixture
def account(place, request):
    """A new account with two limit orders working at the broker, and no desk."""
    _, workspace, exchange = place
    name = f"rest-{abs(hash(request.node.name)) % 10**8}"
    keys = embedded.open_account(exchange, name=name, cash=100_000, at=NOW)
    broker = AlpacaBroker(name=name, url=exchange, key_id=keys.key_id, secret_key=keys.secret_key)
    journal = Journal(workspace.engine, name)
    lease = Lease.acquire(workspace.engine, f"account:{name}", "a test")
    wishes = [
        OrderWish(symbol, Side.BUY, Decimal(1), OrderType.LIMIT, limit_price=Decimal(1)) for symbol in ("AAPL", "KO")
    ]
    journal.write(wishes, bot="rest", session=SESSION)
    assert pump(journal, broker, lease).acked == 2
    lease.release()
    yield name, broker, journal
    broker.close()


def test_a_stranger_without_the_token_gets_nothing(place, account):
    url, *_ = place
    name, broker, _ = account
    for method, path in (("GET", ""), ("POST", f"/{name}/kill")):
        status, _ = call(url, method, f"/workbench/api/accounts{path}", {"reason": "mine"}, token="wrong")
        assert status == 403
    assert len(broker.open_orders()) == 2


def test_accounts_are_listed_with_their_orders(place, account):
    url, *_ = place
    name, *_ = account
    status, rows = call(url, "GET", "/workbench/api/accounts")
    mine = next(row for row in rows if row["account"] == name)
    assert (status, mine["state"], mine["desk"], mine["open"]) == (200, "active", "none runs", 2)
    status, one = call(url, "GET", f"/workbench/api/accounts/{name}")
    assert status == 200
    assert {order["symbol"] for order in one["orders"]} == {"AAPL", "KO"}
    assert {order["state"] for order in one["orders"]} == {"acked"}


def test_kill_cancels_everything_without_a_desk_and_keeps_the_account_halted(place, account):
    url, *_ = place
    name, broker, journal = account
    status, done = call(url, "POST", f"/workbench/api/accounts/{name}/kill", {"reason": "a rehearsal"})
    assert status == 200, done
    assert broker.open_orders() == []
    assert {intent.state for intent in journal.intents()} == {IntentState.CANCELED}
    assert call(url, "GET", f"/workbench/api/accounts/{name}")[1]["state"] == "halted"

    status, refused = call(url, "POST", f"/workbench/api/accounts/{name}/state", {"state": "active", "reason": " "})
    assert (status, refused["code"]) == (400, "WB210")
    asked = {"state": "active", "reason": "it is over"}
    status, again = call(url, "POST", f"/workbench/api/accounts/{name}/state", asked)
    assert (status, again) == (200, {"state": "active"})


def test_a_cancel_is_written_down_for_the_desk(place, account):
    url, *_ = place
    name, _, journal = account
    first = journal.intents()[0]
    path = f"/workbench/api/accounts/{name}/cancel"
    assert call(url, "POST", path, {"client_order_id": first.client_order_id}) == (200, {"state": "acked"})
    assert journal.intent(first.id).cancel_asked_at is not None
    status, said = call(url, "POST", path, {"client_order_id": "wb1-nobody"})
    assert (status, said["code"]) == (404, "WB302")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("kill", {}, 400), ("kill", [], 400), ("state", {"state": "asleep", "reason": "x"}, 400), ("cancel", {}, 400)],
)
def test_a_body_that_says_too_little_does_nothing(place, account, path, body, status):
    url, *_ = place
    name, broker, _ = account
    assert call(url, "POST", f"/workbench/api/accounts/{name}/{path}", body)[0] == status
    assert len(broker.open_orders()) == 2


def test_an_account_that_no_exchange_knows_is_halted_all_the_same(place):
    url, *_ = place
    status, said = call(url, "POST", "/workbench/api/accounts/nowhere/kill", {"reason": "panic"})
    assert status == 409
    assert "is HALTED here" in said["message"]
    assert call(url, "GET", "/workbench/api/accounts/nowhere")[1]["state"] == "halted"
