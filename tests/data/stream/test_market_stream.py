"""The stream as its user sees it, against a server that plays scripts on loopback."""

from __future__ import annotations

import logging
import random
import threading

import pytest

from tests.data.stream.played import ACCESS, NOON, SECRET, bar, played, quote, trade, until
from workbench.data.stream.market_stream import MarketStream
from workbench.data.stream.pacing import Pacing
from workbench.errors import DataError, ParameterError, SourceRefused

QUICK = Pacing(first=0.01, longest=0.05, heartbeat=60, login=60, taken_tries=2)


def clock():
    return (NOON + 100) * 10**9


def stream(server, **options):
    options = {"feed": "iex", "pacing": QUICK, "clock": clock, "linger": 0.0, "rng": random.Random(1)} | options
    return MarketStream(server.url, ACCESS, **options)


class Heard(list):
    """A handler that keeps what it gets, in rows of (symbol, first number, late, filled)."""

    def __call__(self, batch):
        first = batch[batch.channel.columns[0]]
        self += list(zip(batch.symbols, first.tolist(), batch.late.tolist(), batch.filled.tolist(), strict=True))


def test_every_channel_reaches_its_handler_and_the_state():
    async def script(talk):
        asked = await talk.welcome()
        assert asked == {
            "trades": ["A", "B"],
            "quotes": ["A"],
            "bars": ["*"],
            "updatedBars": ["A"],
            "dailyBars": ["A"],
        }
        await talk.tell(
            trade("A", 1, 10.0), quote("A", 2, 9.0, 11.0), bar("A", 0, 5.0), bar("B", 0, 7.0), bar("A", 0, 5.5, "u")
        )
        await talk.tell(bar("A", -3600, 6.0, "d"), trade("B", 3, 20.0))
        await talk.stay()

    trades, quotes, bars, updated, days = Heard(), Heard(), Heard(), Heard(), Heard()
    with played(script) as server, stream(server) as one:
        one.subscribe_trades(trades, "A")
        one.subscribe_trades(trades, ["B"])
        one.subscribe_quotes(quotes, ("A",))
        one.subscribe_bars(bars, "*")
        one.subscribe_updated_bars(updated, "A")
        one.subscribe_daily_bars(days, "A")
        one.start().wait_live()
        until(lambda: one.stats()["handed_on"].iloc[0] == 7)  # counted when the handlers have returned
        assert trades == [("A", 10.0, False, False), ("B", 20.0, False, False)]
        assert quotes == [("A", 9.0, False, False)]
        assert bars == [("A", 5.0, False, False), ("B", 7.0, False, False)]
        assert updated == [("A", 5.5, False, False)]
        assert days == [("A", 6.0, False, False)]
        seen = one.ticks.of("A")
        assert (seen["last"], seen["mid"], seen["bar_close"], seen["bars"]) == (10.0, 10.0, 5.5, 1)
        stats = one.stats().iloc[0]
        assert (stats["events"], stats["connections"], stats["dropped"]) == (7, 1, 0)
        assert server.paths == ["/v2/iex"]
        assert server.headers[0]["Content-Type"] == "application/msgpack"
    assert one.state == "stopped"
    assert threading.active_count() == 1 or not any(t.name.startswith("stream-") for t in threading.enumerate())


def test_a_text_stream_is_heard_as_well():
    async def script(talk):
        await talk.welcome()
        written = {"T": "t", "S": "A", "t": "2023-11-14T22:13:21.123456789Z", "p": 10.5, "s": 3, "i": 7, "x": "Q"}
        await talk.tell(written, {"T": "q", "S": "A", "t": "2023-11-14T17:13:22-05:00", "bp": "NaN", "ap": 11, "as": 1})
        await talk.tell(frame='[{"T": "t", "S": "A"')
        await talk.tell(written | {"i": 8})
        await talk.stay()

    heard, quotes = [], []
    with played(script, text=True) as server, stream(server) as one:
        one.subscribe_trades(heard.append, "A", each=True)
        one.subscribe_quotes(quotes.append, "A", each=True)
        one.start().wait_live()
        until(lambda: len(heard) == 2)
        assert [(event.key, event["price"], event.venue) for event in heard] == [(7, 10.5, "Q"), (8, 10.5, "Q")]
        assert heard[0].time.value == NOON * 10**9 + 1_123_456_789
        assert quotes[0].time.value == (NOON + 2) * 10**9
        assert quotes[0]["bid"] != quotes[0]["bid"]
        assert quotes[0]["ask"] == 11
        assert one.stats()["refused_frames"].iloc[0] == 1


def test_fragmented_and_long_messages_both_ways():
    symbols = [f"SYMBOL{number:05}" for number in range(4000)]

    async def script(talk):
        asked = await talk.welcome()
        assert asked["trades"] == symbols
        packed = __import__("msgpack").packb([trade(symbol, 1, 10.0) for symbol in symbols])
        await talk.socket.send(packed[start : start + 999] for start in range(0, len(packed), 999))
        await talk.stay()

    heard = Heard()
    with played(script) as server, stream(server) as one:
        one.subscribe_trades(heard, *symbols)
        one.start().wait_live()
        until(lambda: len(heard) == 4000)
        assert [symbol for symbol, *_ in heard] == symbols
        assert one.stats()["frames"].iloc[0] == 4


def test_duplicates_count_once_late_events_are_marked_and_impossible_ones_kept_back():
    async def script(talk):
        await talk.welcome()
        await talk.tell(trade("A", 5, 10.0, key=1), trade("A", 6, 11.0, key=2), trade("A", 5, 10.0, key=1))
        await talk.tell(trade("A", 4, 9.0, key=3), trade("A", 7, -1.0, key=4), trade("A", 10_000, 9.0, key=5))
        await talk.tell(trade("A", 6, 11.0, key=6))
        await talk.stay()

    heard = Heard()
    with played(script) as server, stream(server) as one:
        one.subscribe_trades(heard, "A")
        one.start().wait_live()
        until(lambda: len(heard) == 4)
        assert [(price, late) for _, price, late, _ in heard] == [(10, False), (11, False), (9, True), (11, False)]
        row = one.channels().loc["trades"]
        assert (row["events"], row["late"], row["duplicates"], row["bad"]) == (7, 1, 1, 2)
        assert one.ticks.of("A")["last"] == 11.0
        assert one.ticks.of("A")["low"] == 9.0


def test_a_handler_that_raises_is_counted_and_the_others_go_on():
    async def script(talk):
        await talk.welcome()
        for second in range(3):
            await talk.tell(trade("A", second, 10.0 + second))
        await talk.stay()

    def broken(_):
        raise RuntimeError("by design")

    heard = Heard()
    with played(script) as server, stream(server) as one:
        one.subscribe_trades(broken, "A", each=True)
        one.subscribe_trades(heard, "A")
        one.start().wait_live()
        until(lambda: len(heard) == 3)
        until(lambda: one.stats()["handler_failures"].iloc[0] == 3)
        assert one.state == "live"
        assert "by design" in one.stats()["trouble"].iloc[0]


def test_a_slow_handler_costs_the_oldest_events_and_they_are_counted():
    told, waits = 500, threading.Event()

    async def script(talk):
        await talk.welcome()
        for second in range(told):
            await talk.tell(trade("A", second / 1000, 100.0 + second, key=second + 1, t=moment_ms(second)))
        await talk.stay()

    heard = Heard()

    def slow(batch):
        heard(batch)
        waits.wait(60)

    with played(script) as server, stream(server, capacity=64, most=16) as one:
        one.subscribe_trades(slow, "A")
        one.start().wait_live()
        until(lambda: one.stats()["frames"].iloc[0] == told + 3)
        waits.set()
        until(lambda: one.stats()["waiting"].iloc[0] == 0)
        dropped = one.stats()["dropped"].iloc[0]
        until(lambda: one.stats()["handed_on"].iloc[0] == told - dropped == len(heard))
        assert dropped >= told - 64 - 16
        assert one.channels().loc["trades", "dropped"] == dropped
        prices = [price for _, price, _, _ in heard]
        assert prices == sorted(prices)
        assert prices[-64:] == [100.0 + second for second in range(told - 64, told)]
        assert one.stats()["most_waiting"].iloc[0] == 64


def moment_ms(milliseconds):
    from tests.data.stream.played import moment

    return moment(0, milliseconds * 1_000_000)


def test_batches_are_bounded_by_size_and_by_time():
    async def script(talk):
        await talk.welcome()
        await talk.tell(*(trade("A", second, 10.0, key=second + 1) for second in range(25)))
        await talk.stay()

    sizes = []
    with played(script) as server, stream(server, most=10, linger=0.05) as one:
        one.subscribe_trades(lambda batch: sizes.append(len(batch)), "A")
        one.start().wait_live()
        until(lambda: sum(sizes) == 25)
        assert sizes == [10, 10, 5]


def test_a_wrong_key_ends_the_stream_with_its_reason_and_without_its_secret():
    async def script(talk):
        await talk.tell({"T": "success", "msg": "connected"})
        await talk.hear()
        await talk.tell({"T": "error", "code": 402, "msg": "auth failed"})
        await talk.stay()

    with played(script) as server, stream(server) as one:
        one.subscribe_trades(print, "A")
        with pytest.raises(SourceRefused, match="402") as refused:
            one.start().wait_live()
        assert one.state == "failed"
        assert "402" in one.reason
        assert len(server.talks) == 1
        said = f"{refused.value} {one.stats().to_dict()} {one!r} {one.reason}"
        assert SECRET not in said
        assert ACCESS.key.get_secret_value() not in said
    assert one.state == "failed"


@pytest.mark.parametrize(("code", "connections"), [(406, 1), (409, 1), (405, 1)])
def test_what_asking_again_would_not_change_is_not_asked_again(code, connections):
    async def script(talk):
        if code == 405:
            await talk.greet()
            await talk.hear()
        else:
            await talk.tell({"T": "success", "msg": "connected"})
            await talk.hear()
        await talk.tell({"T": "error", "code": code, "msg": "no"})
        await talk.stay()

    with played(script) as server, stream(server) as one:
        one.subscribe_trades(print, "A")
        with pytest.raises(SourceRefused, match=str(code)):
            one.start().wait_live()
        assert len(server.talks) == connections


def test_a_place_that_is_still_taken_after_a_cut_is_asked_for_a_few_times():
    async def cut(talk):
        await talk.welcome()
        talk.cut()

    async def taken(talk):
        await talk.tell({"T": "success", "msg": "connected"})
        await talk.hear()
        await talk.tell({"T": "error", "code": 406, "msg": "connection limit exceeded"})
        await talk.stay()

    with played(cut, taken) as server, stream(server) as one:
        one.subscribe_trades(print, "A")
        one.start()
        until(lambda: one.state == "failed")
        assert "406" in one.reason
        assert len(server.talks) == 1 + QUICK.taken_tries + 1


def test_a_changed_subscription_is_told_and_a_refused_one_leaves_the_others_alone():
    async def script(talk):
        await talk.welcome()
        assert await talk.hear() == {"action": "subscribe", "quotes": ["B"], "trades": ["B"]}
        await talk.tell({"T": "subscription", "trades": ["A", "B"], "quotes": ["B"]})
        assert await talk.hear() == {"action": "subscribe", "trades": ["C"]}
        await talk.tell({"T": "error", "code": 405, "msg": "symbol limit exceeded"})
        assert await talk.hear() == {"action": "unsubscribe", "quotes": ["B"]}
        await talk.tell({"T": "subscription", "trades": ["A", "B"]})
        await talk.tell(trade("A", 1, 10.0), trade("B", 1, 11.0), quote("B", 1, 10.0, 11.0))
        talk.cut()

    async def again(talk):
        assert await talk.welcome() == {"trades": ["A", "B"]}
        await talk.tell(trade("A", 2, 12.0))
        await talk.stay()

    heard = Heard()
    with played(script, again) as server, stream(server) as one:
        one.subscribe_trades(heard, "A")
        one.start().wait_live()

        def at_once():
            one.subscribe_quotes(heard, "B")
            one.subscribe_trades(heard, "B")

        one._listening._loop.call_soon_threadsafe(at_once)  # in its own thread: it cannot look between the two
        until(lambda: len(server.talks[0].heard) == 3)
        one.subscribe_trades(heard, "C")
        until(lambda: "405" in one.stats()["trouble"].iloc[0])
        assert "trades C" in one.stats()["trouble"].iloc[0]
        one.unsubscribe("quotes")
        until(lambda: len(heard) == 3)
        assert heard == [("A", 10.0, False, False), ("B", 11.0, False, False), ("A", 12.0, False, False)]
        assert one.state == "live"


def test_a_handler_may_stop_its_own_stream():
    async def script(talk):
        await talk.welcome()
        await talk.tell(trade("A", 1, 10.0))
        await talk.stay()

    with played(script) as server:
        one = stream(server)
        one.subscribe_trades(lambda _: one.stop(), "A")
        one.start()
        until(lambda: one.state == "stopped")
        one.stop()
        assert not any(thread.is_alive() for thread in one._threads)


def test_what_was_received_is_handed_on_before_the_end():
    async def script(talk):
        await talk.welcome()
        await talk.tell(*(trade("A", second, 10.0, key=second + 1) for second in range(50)))
        await talk.stay()

    heard = Heard()
    with played(script) as server:
        one = stream(server, most=1024, linger=5.0)
        one.subscribe_trades(heard, "A")
        one.start().wait_live()
        until(lambda: one.stats()["waiting"].iloc[0] == 50)
        assert heard == []
        one.stop()
        assert len(heard) == 50


def test_a_handler_that_does_not_return_is_named_at_the_stop():
    hangs = threading.Event()

    async def script(talk):
        await talk.welcome()
        await talk.tell(trade("A", 1, 10.0))
        await talk.stay()

    with played(script) as server:
        one = stream(server)
        one.subscribe_trades(lambda _: hangs.wait(60), "A")
        one.start().wait_live()
        until(lambda: one.stats()["events"].iloc[0] == 1)
        with pytest.raises(DataError, match="stream-folding did not end"):
            one.stop(0.2)
        hangs.set()
        one.stop()
        assert one.state == "stopped"


def test_news_reaches_its_handlers_once_per_version():
    def article(number, seconds, *symbols):
        from tests.data.stream.played import moment

        return {
            "T": "n",
            "id": number,
            "headline": f"story {number}",
            "summary": "",
            "author": "us",
            "source": "made",
            "url": "https://example.org/1",
            "created_at": moment(0),
            "updated_at": moment(seconds),
            "symbols": list(symbols),
            "content": "x" * 300,
        }

    async def script(talk):
        assert await talk.welcome() == {"news": ["*", "A"]}
        await talk.tell(article(1, 5, "A", "B"), article(1, 5, "A", "B"), article(2, 6), article(1, 7, "A"))
        await talk.tell({"T": "n", "headline": "no id"}, article(3, 1, "B"))
        await talk.stay()

    everything, of_a = [], []
    with played(script) as server, stream(server, feed="news") as one:
        one.subscribe_news(everything.append, "*", each=True)
        one.subscribe_news(of_a.extend, "A")
        one.start().wait_live()
        until(lambda: one.stats()["articles"].iloc[0] == 4)  # counted when the handlers have returned
        assert [(a.key, a.happened.value // 10**9 - NOON) for a in everything] == [
            ("1", 5),
            ("2", 6),
            ("1", 7),
            ("3", 1),
        ]
        assert [(a.key, a.symbols) for a in of_a] == [("1", ("A", "B")), ("1", ("A",))]
        assert everything[0].learned.value == clock()
        stats = one.stats().iloc[0]
        assert (stats["articles"], stats["duplicates"], stats["late"], stats["others"]) == (4, 1, 1, 1)


def test_a_feed_has_its_channels_and_keys_do_not_travel_in_the_clear():
    with pytest.raises(ParameterError, match="in the clear"):
        MarketStream("ws://example.org", ACCESS, feed="iex")
    with pytest.raises(ParameterError, match="not the address"):
        MarketStream("https://example.org", ACCESS, feed="iex")
    with pytest.raises(ParameterError, match="not one of"):
        MarketStream("", ACCESS, feed="everything")
    options = MarketStream("", ACCESS, feed="opra")
    assert options.address.url == "wss://stream.data.alpaca.markets/v1beta1/opra"
    options.subscribe_option_quotes(print, "AAPL240315C00150000")
    for refused in (options.subscribe_bars, options.subscribe_news, options.subscribe_quotes):
        with pytest.raises(ParameterError, match="has no"):
            refused(print, "AAPL")
    with pytest.raises(ParameterError, match="handler"):
        options.subscribe_trades("AAPL")
    for wrong in ((), ([],), (5,), ("",), ([7],)):
        with pytest.raises(ParameterError, match="symbol"):
            options.subscribe_trades(print, *wrong)
    options.stop()
    assert options.state == "stopped"


@pytest.mark.parametrize("text", [True, False], ids=["text", "binary"])
def test_keys_are_in_no_log_however_much_is_logged(caplog, text):
    async def script(talk):
        await talk.welcome()
        await talk.stay()

    with caplog.at_level(logging.DEBUG), played(script, text=text) as server, stream(server) as one:
        one.subscribe_trades(print, "A")
        one.start().wait_live()
    said = "\n".join(record.getMessage() for record in caplog.records if record.name != "websockets.server")
    assert "the stream is live" in said
    for secret in (SECRET, ACCESS.key.get_secret_value()):
        assert secret not in said
        assert secret.encode().hex(" ")[:20] not in said


def test_day_figures_begin_anew_at_midnight_in_new_york():
    async def script(talk):
        await talk.welcome()
        # NOON is 17:13:20 in New York; its midnight is 24,400 s later.
        await talk.tell(trade("A", 24_399, 10.0, 2.0), trade("A", 24_400, 20.0, 1.0))
        await talk.stay()

    with played(script) as server, stream(server, clock=lambda: (NOON + 24_400) * 10**9) as one:
        one.subscribe_trades(print, "A")
        one.start().wait_live()
        until(lambda: one.stats()["events"].iloc[0] == 2)
        seen = one.ticks.of("A")
        assert (seen["low"], seen["vwap"], seen["volume"]) == (20.0, 20.0, 1.0)


def test_a_stream_is_started_once():
    async def script(talk):
        await talk.stay()

    with played(script) as server, stream(server) as one:
        one.start()
        with pytest.raises(DataError, match="started before"):
            one.start()
