import datetime as dt
import http.server
import json
import logging
import threading
import time as wall
from contextlib import contextmanager
from decimal import Decimal

import pytest
import websockets.sync.server

from workbench.errors import BrokerRefused, ExchangeUnavailable, ParameterError
from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.brokers.broker import OrderRequest, Outcome, RateSeen
from workbench.execution.brokers.rate_headers import retry_moment
from workbench.market.order import Side

NOW = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)
SECRET = "the-secret-of-the-account"
ORDER = {"id": "b1", "client_order_id": "wb1-1", "symbol": "SYN01", "side": "buy", "qty": "1", "status": "new"}


def until(condition):
    """Wait until the condition holds; fails the test where it never does."""
    end = wall.monotonic() + 60
    while not condition():
        assert wall.monotonic() < end, "waited in vain"
        wall.sleep(0.01)


def request(number=1, symbol="SYN01", side=Side.BUY, qty="1", **more):
    return OrderRequest(f"wb1-{number}", symbol, side, Decimal(qty), **more)


def session_of(exchange, keys, timeout):
    return AlpacaBroker(
        name=keys.name, url=exchange.url, key_id=keys.key_id, secret_key=keys.secret_key, timeout=timeout
    )


@pytest.fixture
def broker(exchange, keys):
    """A session that waits as long as a loaded machine may need."""
    opened = session_of(exchange, keys, (60.0, 60.0))
    yield opened
    opened.close()


@pytest.fixture
def impatient(exchange, keys):
    """A session of the same account that soon gives up, for answers that never come."""
    opened = session_of(exchange, keys, (60.0, 0.5))
    yield opened
    opened.close()


# --- the contract, kept by the local exchange


def test_an_order_lives_from_submit_to_fill(broker, exchange, keys):
    reply = broker.submit(request(qty="10"))
    assert (reply.outcome, reply.http_status) == (Outcome.PLACED, 200)
    assert (reply.order.client_order_id, reply.order.qty, reply.order.side) == ("wb1-1", 10, Side.BUY)
    assert broker.order(reply.order.id).id == reply.order.id
    assert broker.order_by_client_id("wb1-1").id == reply.order.id
    assert [order.id for order in broker.open_orders()] == [reply.order.id]
    embedded.advance(exchange.url, name=keys.name, to=NOW + dt.timedelta(days=1))
    filled = broker.order(reply.order.id)
    assert (filled.status, filled.filled_qty, filled.is_open) == ("filled", 10, False)
    (fill,) = broker.fills_since()
    assert (fill.broker_order_id, fill.qty, fill.cum_qty) == (reply.order.id, 10, 10)
    assert abs(fill.price - filled.avg_price) < Decimal("1e-6")
    assert [(held.symbol, held.qty) for held in broker.positions()] == [("SYN01", 10)]
    assert broker.account().cash == Decimal(100_000 - fill.qty * fill.price).quantize(Decimal("0.01"))
    assert broker.clock().now == NOW + dt.timedelta(days=1)
    assert broker.open_orders() == []


def test_an_id_is_taken_once_and_its_order_can_be_found(broker):
    first = broker.submit(request())
    again = broker.submit(request())
    assert (again.outcome, again.http_status, again.code) == (Outcome.DUPLICATE, 422, 40010001)
    assert broker.order_by_client_id("wb1-1").id == first.order.id


def test_a_cancel_is_accepted_once(broker):
    placed = broker.submit(request(type="limit", limit_price=Decimal("0.01")))
    assert broker.cancel(placed.order.id).outcome is Outcome.PLACED
    assert broker.order(placed.order.id).status == "canceled"
    again = broker.cancel(placed.order.id)
    assert (again.outcome, again.http_status) == (Outcome.REFUSED, 422)


def test_what_is_not_there_is_none_and_what_is_wrong_is_refused(broker):
    assert broker.order_by_client_id("wb1-nobody") is None
    assert broker.order("00000000-0000-0000-0000-000000000000") is None
    unknown = broker.submit(request(symbol="NOSUCH"))
    assert unknown.outcome is Outcome.REFUSED
    assert 400 <= unknown.http_status < 500
    assert unknown.message
    poor = broker.submit(request(number=2, qty="1000000"))
    assert (poor.outcome, poor.http_status, poor.code) == (Outcome.REFUSED, 403, 40310000)


def test_prices_arrive_on_the_tick(broker):
    limit = broker.submit(request(type="limit", limit_price=Decimal("10.129")))
    assert limit.order.limit_price == Decimal("10.12")
    stop = broker.submit(request(number=2, type="stop", stop_price=Decimal("9999.001")))
    assert stop.order.stop_price == Decimal("9999.01")


def test_fills_and_orders_are_paged_to_the_end_and_continued(broker, exchange, keys):
    for number in range(105):
        assert broker.submit(request(number)).outcome is Outcome.PLACED
    embedded.advance(exchange.url, name=keys.name, to=NOW + dt.timedelta(days=1))
    fills = broker.fills_since()
    assert len(fills) == len({fill.execution_id for fill in fills}) == 105
    assert [fill.execution_id for fill in broker.fills_since(fills[49].execution_id)] == [
        fill.execution_id for fill in fills[50:]
    ]
    assert len(broker.fills_since(after=NOW)) == 105
    assert broker.fills_since(after=NOW + dt.timedelta(days=1)) == []
    orders = broker.orders_since(NOW - dt.timedelta(days=1))
    assert [order.client_order_id for order in orders] == [f"wb1-{number}" for number in range(105)]


def test_orders_are_paged_by_their_time(broker, monkeypatch):
    monkeypatch.setattr("workbench.execution.brokers.paging.ORDERS_PAGE", 4)
    for number in range(10):
        broker.submit(request(number, type="limit", limit_price=Decimal("0.01")))
    assert len(broker.open_orders()) == 10
    assert len(broker.orders_since(NOW - dt.timedelta(days=1))) == 10


def test_wrong_keys_are_refused_everywhere(exchange):
    stranger = AlpacaBroker(name="x", url=exchange.url, key_id="nobody", secret_key=SECRET)
    assert (stranger.submit(request()).outcome, stranger.submit(request()).http_status) == (Outcome.REFUSED, 401)
    with pytest.raises(BrokerRefused) as caught:
        stranger.account()
    assert caught.value.facts["http_status"] == 401
    stranger.close()


@pytest.mark.parametrize(
    ("kind", "expected", "placed"),
    [
        ("504-before-accept", (Outcome.UNKNOWN, 504), False),
        ("504-after-accept", (Outcome.UNKNOWN, 504), True),
        ("500-html", (Outcome.UNKNOWN, 500), False),
        ("reset-before", (Outcome.UNKNOWN, None), False),
        ("reset-after", (Outcome.UNKNOWN, None), True),
        ("hang", (Outcome.UNKNOWN, None), True),
        ("429", (Outcome.LIMITED, 429), False),
        ("unknown-status", (Outcome.PLACED, 200), True),
    ],
)
def test_each_fault_has_its_outcome_after_one_request(broker, impatient, exchange, kind, expected, placed):  # noqa: PLR0917 - fixtures
    embedded.add_fault(exchange.url, kind=kind, count=1)
    reply = (impatient if kind == "hang" else broker).submit(request())
    assert (reply.outcome, reply.http_status) == expected
    if placed:
        until(lambda: broker.order_by_client_id("wb1-1") is not None)  # who gave up may have been faster than the work
    else:
        assert broker.order_by_client_id("wb1-1") is None
    assert (reply.retry_at is not None) is (kind == "429")


def test_a_reading_that_brings_no_word_is_unavailable(broker, impatient, exchange):
    for kind in ("500-html", "hang", "reset-before", "429"):
        embedded.add_fault(exchange.url, kind=kind, count=1, path="/v2/account")
        with pytest.raises(ExchangeUnavailable) as caught:
            (impatient if kind == "hang" else broker).account()
        assert (caught.value.facts.get("retry_at") is not None) is (kind == "429")
    assert broker.account().cash == 100_000


def test_nobody_there_is_unknown_for_an_order_and_unavailable_for_a_question():
    nobody = AlpacaBroker(name="x", url="http://127.0.0.1:9", key_id="k", secret_key=SECRET)
    assert nobody.submit(request()).outcome is Outcome.UNKNOWN
    with pytest.raises(ExchangeUnavailable, match="workbench exchange"):
        nobody.clock()
    nobody.close()


# --- answers that only a scripted server gives


@contextmanager
def scripted(*answers):
    """A server that gives these answers in turn: (status, headers, body). Yields (broker, requests)."""
    queue, seen = list(answers), []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            seen.append((self.command, self.path, json.loads(self.rfile.read(length) or "null")))
            status, headers, body = queue.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        broker = AlpacaBroker(name="x", url=url, key_id="k", secret_key=SECRET, clock=lambda: NOW)
        yield broker, seen
        broker.close()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code", "message"),
    [
        (401, '{"message":"unauthorized."}', Outcome.REFUSED, None, "unauthorized."),
        (403, '{"code":40310000,"message":"insufficient buying power"}', Outcome.REFUSED, 40310000, "insufficient"),
        (422, '{"code":40010001,"message":"qty is required"}', Outcome.REFUSED, 40010001, "qty is required"),
        (422, '{"code":40010001,"message":"client_order_id must be unique"}', Outcome.DUPLICATE, 40010001, "unique"),
        (422, '{"code":40010001,"message":"client order id must be unique"}', Outcome.DUPLICATE, 40010001, "unique"),
        (404, "<html>", Outcome.REFUSED, None, "<html>"),
        (408, "", Outcome.UNKNOWN, None, ""),
        (502, "<html>Bad Gateway</html>", Outcome.UNKNOWN, None, "Bad Gateway"),
        (503, '{"code":"odd","message":null}', Outcome.UNKNOWN, None, ""),
        (302, "", Outcome.UNKNOWN, None, ""),
        (200, "", Outcome.UNKNOWN, None, "no order id"),
        (200, "not json", Outcome.UNKNOWN, None, "JSONDecodeError"),
        (200, '{"status":"new"}', Outcome.UNKNOWN, None, "no order id"),
        (200, '["a list"]', Outcome.UNKNOWN, None, "no order id"),
        (200, '{"id":"b1"}', Outcome.PLACED, None, ""),
    ],
)
def test_every_answer_is_one_outcome_of_one_request(status, body, outcome, code, message):
    with scripted((status, {}, body)) as (broker, seen):
        reply = broker.submit(request())
    assert (reply.outcome, reply.code) == (outcome, code)
    assert message in reply.message
    assert len(seen) == 1
    assert SECRET not in str(reply)


def test_what_is_sent_has_our_id_and_exact_numbers():
    with scripted((200, {}, json.dumps(ORDER))) as (broker, seen):
        broker.submit(request(qty="0.100000001", type="limit", limit_price=Decimal("0.30000000000000004")))
    assert seen == [
        (
            "POST",
            "/v2/orders",
            {
                "symbol": "SYN01",
                "qty": "0.100000001",
                "side": "buy",
                "type": "limit",
                "time_in_force": "day",
                "client_order_id": "wb1-1",
                "limit_price": "0.3000",
            },
        )
    ]


def test_a_limited_request_says_when_to_come_back():
    reset = NOW + dt.timedelta(seconds=30)
    headers = {"Retry-After": "2", "X-RateLimit-Reset": str(int(reset.timestamp()))}
    with scripted((429, headers, '{"message":"too many requests."}')) as (broker, seen):
        assert broker.submit(request()).retry_at == reset
    assert len(seen) == 1


def test_every_response_tells_the_budget_of_requests():
    reset = NOW + dt.timedelta(seconds=30)

    def headers(left):
        named = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": str(left)}
        return {**named, "X-RateLimit-Reset": str(int(reset.timestamp()))}

    answers = [
        (200, headers(9), json.dumps(ORDER)),
        (204, headers(8), ""),
        (422, headers(7), '{"code":40010001,"message":"qty is required"}'),
        (200, {}, json.dumps(ORDER)),
        (200, headers(6), "[]"),
    ]
    with scripted(*answers) as (broker, _):
        assert broker.rate is None
        assert broker.submit(request()).rate == RateSeen(200, 9, reset)
        assert broker.cancel("b1").rate == RateSeen(200, 8, reset)
        assert broker.submit(request(2)).rate == RateSeen(200, 7, reset)
        assert broker.submit(request(3)).rate is None, "no header is no word, not an old word"
        assert broker.rate == RateSeen(200, 7, reset)
        assert broker.positions() == []
        assert broker.rate == RateSeen(200, 6, reset)


def test_replacing_suspending_and_closing_speak_alpacas_protocol():
    closed = [
        {"symbol": "A", "status": 200, "body": ORDER},
        {"symbol": "B", "status": 403, "body": {"code": 40310000, "message": "insufficient qty"}},
        {"symbol": "C", "status": 500, "body": {}},
        {"symbol": "D", "status": 200, "body": None},
    ]
    answers = [
        (200, {}, json.dumps({**ORDER, "id": "b2", "replaces": "b1"})),
        (200, {}, '{"suspend_trade": true}'),
        (200, {}, '{"suspend_trade": true, "no_shorting": false}'),
        (207, {}, json.dumps(closed)),
        (500, {}, ""),
    ]
    with scripted(*answers) as (broker, seen):
        replaced = broker.replace("b1", client_order_id="wb1-n", qty=Decimal(5), limit_price=Decimal("10.50"))
        assert (replaced.outcome, replaced.order.id, replaced.order.replaces) == (Outcome.PLACED, "b2", "b1")
        assert broker.suspend(True).outcome is Outcome.PLACED
        assert broker.configurations() == {"suspend_trade": True, "no_shorting": False}
        outcomes = {symbol: reply.outcome for symbol, reply in broker.close_all()}
        assert outcomes == {
            "A": Outcome.PLACED,
            "B": Outcome.REFUSED,
            "C": Outcome.UNKNOWN,
            "D": Outcome.UNKNOWN,
        }
        with pytest.raises(ExchangeUnavailable):
            broker.close_all()
    assert seen[0] == ("PATCH", "/v2/orders/b1", {"client_order_id": "wb1-n", "qty": "5", "limit_price": "10.50"})
    assert seen[1] == ("PATCH", "/v2/account/configurations", {"suspend_trade": True})


def test_moments_to_come_back():
    assert retry_moment({}, NOW) is None
    assert retry_moment({"Retry-After": "1.5"}, NOW) == NOW + dt.timedelta(seconds=1.5)
    assert retry_moment({"Retry-After": "Tue, 30 Jun 2015 20:01:00 GMT"}, NOW) == NOW + dt.timedelta(seconds=55)
    assert retry_moment({"Retry-After": "soon", "X-RateLimit-Reset": "later"}, NOW) is None


def test_a_404_that_is_not_the_brokers_own_is_no_denial():
    with scripted((404, {}, "<html>nginx</html>")) as (broker, _seen), pytest.raises(ExchangeUnavailable):
        broker.order_by_client_id("wb1-1")


def test_a_list_that_is_none_is_unavailable():
    with scripted((200, {}, '{"orders": []}')) as (broker, _seen), pytest.raises(ExchangeUnavailable, match="list"):
        broker.positions()


def test_activities_that_are_no_fills_are_left_out_and_logged(caplog):
    rows = [{"id": "a1", "qty": None}, {"id": "a2", "order_id": "b1", "side": "buy", "qty": "1", "price": "2"}]
    rows[1]["transaction_time"] = "2015-07-01T13:30:00Z"
    with caplog.at_level(logging.WARNING), scripted((200, {}, json.dumps(rows))) as (broker, _seen):
        assert [fill.execution_id for fill in broker.fills_since()] == ["a2"]
    assert "a1" in caplog.text


def test_keys_are_in_no_repr_and_malformed_ones_are_refused_unseen():
    broker = AlpacaBroker(name="x", key_id=" key\n", secret_key=SECRET)
    assert SECRET not in repr(broker)
    assert "Alpaca paper" in repr(broker)
    assert "LIVE" in repr(AlpacaBroker(name="x", key_id="k", secret_key=SECRET, paper=False))
    broker.close()
    for bad in ("", "two words", "line\nbreak", "schlüssel"):
        with pytest.raises(ParameterError) as caught:
            AlpacaBroker(name="x", key_id="k", secret_key=bad)
        assert not bad or bad not in str(caught.value)


# --- the stream


class Listener:
    def __init__(self):
        self.events = []
        self.connects = 0
        self.something = threading.Condition()
        self.raising = False

    def on_event(self, event):
        with self.something:
            self.events.append(event)
            self.something.notify_all()
        if self.raising:
            raise ValueError("the handler stumbled")

    def on_connect(self):
        with self.something:
            self.connects += 1
            self.something.notify_all()

    def wait(self, condition):
        with self.something:
            assert self.something.wait_for(condition, timeout=60)


def ended(handle):
    return not handle._thread.is_alive()


def test_the_exchanges_events_arrive_and_closing_ends_the_thread(broker, exchange, keys):
    heard = Listener()
    handle = broker.stream(heard.on_event, heard.on_connect)
    heard.wait(lambda: heard.connects == 1)
    assert handle.connected
    placed = broker.submit(request(qty="10"))
    embedded.advance(exchange.url, name=keys.name, to=NOW + dt.timedelta(days=1))
    heard.wait(lambda: any(event.fill for event in heard.events))
    assert {event.order.id for event in heard.events} == {placed.order.id}
    fill = next(event.fill for event in heard.events if event.fill)
    assert (fill.qty, fill.cum_qty, fill.client_order_id) == (10, 10, "wb1-1")
    assert fill.execution_id == broker.fills_since()[0].execution_id.rpartition("::")[2]
    assert handle.failures == 0
    handle.close()
    assert ended(handle)
    assert not handle.connected
    handle.close()  # twice is harmless


@contextmanager
def streaming(*connections, authorized=True):
    """A server whose n-th connection sends the n-th list of messages, then hangs up; the last one stays."""
    count = [0]

    def serve(socket):
        mine = count[0]
        count[0] += 1
        credentials = json.loads(socket.recv())
        assert credentials["data"]["secret_key"] == SECRET
        status = "authorized" if authorized else "unauthorized"
        socket.send(json.dumps({"stream": "authorization", "data": {"status": status, "action": "authenticate"}}))
        if not authorized:
            return
        socket.recv()
        socket.send(json.dumps({"stream": "listening", "data": {"streams": ["trade_updates"]}}).encode())
        for message in connections[min(mine, len(connections) - 1)]:
            socket.send(message)
        if mine >= len(connections) - 1:
            for _ in socket:
                pass

    with websockets.sync.server.serve(serve, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/stream"
        broker = AlpacaBroker(name="x", url="http://127.0.0.1:9", stream_url=url, key_id="k", secret_key=SECRET)
        yield broker
        broker.close()
        server.shutdown()
        thread.join()


def update(event="new", **more):
    return json.dumps({"stream": "trade_updates", "data": {"event": event, "order": ORDER, **more}})


def test_every_reconnect_is_announced_so_that_it_can_be_reconciled():
    heard = Listener()
    with streaming([update()], [update("canceled")]) as broker:
        handle = broker.stream(heard.on_event, heard.on_connect)
        heard.wait(lambda: len(heard.events) == 2)
        assert heard.connects == 2
        assert [event.event for event in heard.events] == ["new", "canceled"]
        handle.close()
        assert ended(handle)


def test_what_cannot_be_read_or_handled_is_counted_and_logged_and_the_stream_goes_on(caplog):
    heard = Listener()
    broken = ["not json", "[1, 2]", json.dumps({"stream": "trade_updates", "data": {"event": "fill"}})]
    with caplog.at_level(logging.ERROR), streaming([update(), *broken, update("canceled")]) as broker:
        heard.raising = True
        handle = broker.stream(heard.on_event, heard.on_connect)
        heard.wait(lambda: len(heard.events) == 2)
        handle.close()
        assert handle.failures == 5
        assert "the handler stumbled" in handle.trouble
    assert "the handler stumbled" in caplog.text
    assert SECRET not in caplog.text


def test_a_refused_login_is_not_silent(caplog):
    heard = Listener()
    with caplog.at_level(logging.ERROR), streaming([], authorized=False) as broker:
        handle = broker.stream(heard.on_event, heard.on_connect)
        until(lambda: handle.failures)
        assert "failed to authenticate" in handle.trouble
        assert not handle.connected
        handle.close()
        assert ended(handle)
    assert heard.connects == 0
    assert SECRET not in caplog.text
    assert SECRET not in repr(handle)


def test_closing_at_once_ends_the_thread():
    heard = Listener()
    with streaming([]) as broker:
        for _ in range(5):
            handle = broker.stream(heard.on_event, heard.on_connect)
            handle.close()
            assert ended(handle)


def test_a_handler_may_close_its_own_stream():
    heard, handles = Listener(), []
    with streaming([update()]) as broker:
        ready = threading.Event()

        def close_it(event):
            ready.wait(60)
            handles[0].close()
            heard.on_event(event)

        handles.append(broker.stream(close_it, heard.on_connect))
        ready.set()
        heard.wait(lambda: len(heard.events) == 1)
        handles[0].close()
        assert ended(handles[0])
