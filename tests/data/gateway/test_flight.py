import threading
import time

import pytest

from tests.vendors.server import Reply
from workbench.data.gateway.flight import Flights
from workbench.errors import SourceRefused, SourceUnavailable


def together(count, work):
    """The results of `work` in so many threads; an exception is a result."""
    found = [None] * count

    def one(number):
        try:
            found[number] = work()
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            found[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads, found


def held(server, reply):
    """The server answers only when it is let go."""
    there, go = threading.Event(), threading.Event()

    def answer(_):
        there.set()
        go.wait(60)
        return reply

    server.route("/held", answer)
    return there, go


def waiting(flights):
    """How many threads wait for another one's answer."""
    return sum(len(flight.done._cond._waiters) for flight in list(flights._under_way.values()))


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def ask_together(gateway, acme, there, go, count=6, **given):
    given = {"kind": "news"} | given
    threads, found = together(count, lambda: gateway.get(acme, "/held", **given))
    assert there.wait(60)
    wait_for(lambda: waiting(gateway._flights) == count - 1)
    go.set()
    for thread in threads:
        thread.join(60)
    return found


@pytest.mark.parametrize("ttl", [0, None])
def test_threads_that_ask_the_same_at_once_cause_one_request(make, vendor, server, tmp_path, ttl):
    gateway = make(cache=tmp_path / "answers")
    found = ask_together(gateway, vendor(), *held(server, {"value": 7}), ttl=ttl)
    assert [answer.json() for answer in found] == [{"value": 7}] * 6
    assert len(server.asked) == 1
    (line,) = gateway.stats().to_dict("records")
    assert (line["calls"], line["misses"], line["joined"], line["saved_calls"]) == (6, 1, 5, 5)


def test_all_of_them_get_its_error_each_their_own(make, vendor, server):
    found = ask_together(make(), vendor(), *held(server, Reply({"message": "no"}, status=401)))
    assert {type(error) for error in found} == {SourceRefused}
    assert len({str(error) for error in found}) == 1
    assert len({id(error) for error in found}) == 6
    assert found[0].facts == {"http_status": 401, "vendor": "acme"}
    assert len(server.asked) == 1


def test_other_questions_fly_alone(gateway, vendor, server):
    server.route("/a", Reply({}, wait=0.05))
    number = iter(range(5))
    threads, found = together(5, lambda: gateway.get(vendor(), "/a", kind="news", query={"n": next(number)}))
    for thread in threads:
        thread.join(60)
    assert len(server.asked) == 5
    assert all(answer.status == 200 for answer in found)


def test_one_that_comes_later_asks_anew(gateway, vendor, server):
    for _ in range(3):
        gateway.get(vendor(), "/ok", kind="news")
    assert len(server.asked) == 3


def test_those_who_wait_for_a_thread_that_is_stopped_are_told():
    flights, there, go = Flights(), threading.Event(), threading.Event()

    def stopped():
        there.set()
        go.wait(60)
        raise KeyboardInterrupt

    threads, found = together(1, lambda: flights.join("a", stopped))
    assert there.wait(60)
    more, others = together(3, lambda: flights.join("a", stopped))
    wait_for(lambda: waiting(flights) == 3)
    go.set()
    for thread in (*threads, *more):
        thread.join(60)
    assert isinstance(found[0], KeyboardInterrupt)
    assert [type(error) for error in others] == [SourceUnavailable] * 3
    assert flights.join("a", lambda: 5) == (5, False)
