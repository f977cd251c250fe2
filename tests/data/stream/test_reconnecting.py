"""What happens when a connection ends: another one, everything subscribed to again, what was missed put in place."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.data.stream.played import ACCESS, NOON, bar, moment, played, quote, trade, until
from tests.data.stream.test_market_stream import Heard
from workbench.data.kinds import kind_of
from workbench.data.stream.market_stream import MarketStream
from workbench.data.stream.pacing import Pacing
from workbench.errors import ParameterError, SourceUnavailable

QUICK = Pacing(first=0.01, longest=0.05, heartbeat=60, login=60)
NOW = [NOON + 100]


def stream(server, **options):
    options = {
        "feed": "iex",
        "pacing": QUICK,
        "clock": lambda: NOW[0] * 10**9,
        "linger": 0.0,
        "rng": random.Random(1),
    } | options
    return MarketStream(server.url, ACCESS, **options)


def at(seconds):
    return pd.Timestamp(NOON + seconds, unit="s", tz="UTC")


class Archive:
    """A source that knows everything that was traded, in seconds after NOON."""

    def __init__(self, *trades, error=None):
        self.rows, self.asked, self.error = trades, [], error
        self.hold = threading.Event()
        self.hold.set()

    def trades(self, symbols, *, start, end):
        self.asked.append((tuple(symbols), start, end))
        assert self.hold.wait(60)
        if self.error:
            raise self.error
        rows = [
            {
                "symbol": symbol,
                "session": at(seconds).tz_convert("America/New_York").normalize().tz_localize(None),
                "time": at(seconds),
                "key": str(key),
                "price": price,
                "size": 1.0,
                "venue": "V",
                "happened": at(seconds),
                "learned": at(seconds),
                "source": "archive",
            }
            for symbol, seconds, price, key in self.rows
            if symbol in symbols
        ]
        return kind_of("trades").typed(pd.DataFrame(rows)) if rows else kind_of("trades").empty()


def test_after_a_cut_everything_is_subscribed_to_again_and_the_gap_is_filled_in_order_once():
    async def first(talk):
        await talk.welcome()
        await talk.tell(trade("A", 1, 10.0, key=1), trade("B", 2, 20.0, key=2), trade("A", 3, 11.0, key=3))
        await asyncio.sleep(0.05)
        talk.cut()

    async def second(talk):
        assert await talk.welcome() == {"trades": ["A", "B"]}
        # What the source will tell as well, and then something newer.
        await talk.tell(trade("A", 60, 13.0, key=6), trade("A", 70, 14.0, key=7))
        await talk.stay()

    archive = Archive(
        ("A", 3, 11.0, 3),  # known already
        ("A", 50, 12.5, 5),
        ("B", 40, 21.0, 4),
        ("A", 60, 13.0, 6),  # the stream tells it too
        ("C", 50, 99.0, 9),  # nobody asked
        ("A", 5000, 77.0, 8),  # after the new subscription
        ("A", -5000, 77.0, 8),  # long before
    )
    heard = Heard()
    with played(first, second) as server, stream(server, fill=archive) as one:
        one.subscribe_trades(heard, "A", "B")
        one.start()
        until(lambda: len(heard) == 7)
        assert heard == [
            ("A", 10.0, False, False),
            ("B", 20.0, False, False),
            ("A", 11.0, False, False),
            ("B", 21.0, False, True),
            ("A", 12.5, False, True),
            ("A", 13.0, False, True),
            ("A", 14.0, False, False),
        ]
        day = pd.Timestamp("2023-11-14")
        assert archive.asked == [(("A", "B"), day, day)]
        stats = one.stats().iloc[0]
        assert (stats["reconnects"], stats["gaps"], stats["filled"], stats["unfilled"]) == (1, 1, 3, 0)
        assert (stats["duplicates"], stats["late"]) == (2, 0)
        gap = one.gaps().iloc[0]
        assert (gap["channel"], gap["events"], gap["trouble"]) == ("trades", 3, "")
        assert gap["start"] == at(3 - 10)
        assert gap["end"] == at(100)
        assert one.ticks.of("A")["last"] == 14.0
        assert one.ticks.of("A")["trades"] == 5


def test_live_events_wait_behind_the_filling_of_a_gap():
    async def first(talk):
        await talk.welcome()
        await talk.tell(trade("A", 1, 10.0, key=1))
        await asyncio.sleep(0.05)
        talk.cut()

    async def second(talk):
        await talk.welcome()
        await talk.tell(trade("A", 70, 14.0, key=7))
        await talk.stay()

    archive = Archive(("A", 50, 12.0, 5))
    archive.hold.clear()
    heard = Heard()
    with played(first, second) as server, stream(server, fill=archive) as one:
        one.subscribe_trades(heard, "*")
        one.start()
        until(lambda: one.stats()["waiting"].iloc[0] == 1)
        assert [price for _, price, _, _ in heard] == [10.0]
        archive.hold.set()
        until(lambda: len(heard) == 3)
        assert [price for _, price, _, _ in heard] == [10.0, 12.0, 14.0]
        assert archive.asked[0][0] == ("A",)  # of everything: the symbols that have been seen


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (None, "no source was given"),
        (object(), "has no trades"),
        (Archive(error=SourceUnavailable("the vendor is away")), "the vendor is away"),
        (Archive(error=RuntimeError("a bug")), "a bug"),
    ],
    ids=["none", "not of trades", "away", "broken"],
)
def test_a_gap_that_cannot_be_filled_is_counted_and_the_stream_goes_on(fill, said):
    async def first(talk):
        await talk.welcome()
        talk.cut()

    async def second(talk):
        await talk.welcome()
        await talk.tell(trade("A", 70, 14.0))
        await talk.stay()

    heard = Heard()
    with played(first, second) as server, stream(server, fill=fill) as one:
        one.subscribe_trades(heard, "A")
        one.start()
        until(lambda: len(heard) == 1)
        stats = one.stats().iloc[0]
        assert (stats["gaps"], stats["unfilled"], stats["filled"]) == (1, 1, 0)
        assert said in one.gaps()["trouble"].iloc[0]
        assert "broke" in one.gaps()["why"].iloc[0]


def test_bars_are_filled_and_one_that_was_heard_is_not_told_twice():
    class Bars:
        def bars(self, symbols, *, start, end, timeframe):
            assert (timeframe, tuple(symbols)) == ("1m", ("A",))
            times = pd.DatetimeIndex([at(0), at(60), at(120)])
            return pd.DataFrame(
                {
                    "symbol": "A",
                    "session": start,
                    "time": times,
                    "open": [5.0, 6.0, 7.0],
                    "high": [6.0, 7.0, 8.0],
                    "low": [4.0, 5.0, 6.0],
                    "close": [5.0, 6.0, 7.0],
                    "volume": 10.0,
                    "happened": times + pd.Timedelta(minutes=1),
                    "learned": times + pd.Timedelta(minutes=1),
                }
            )

    async def first(talk):
        await talk.welcome()
        await talk.tell(bar("A", 0, 5.0))
        await asyncio.sleep(0.05)
        NOW[0] = NOON + 130
        talk.cut()

    async def second(talk):
        await talk.welcome()
        await talk.stay()

    heard = []
    NOW[0] = NOON + 60
    with played(first, second) as server, stream(server, fill=Bars()) as one:
        one.subscribe_bars(heard.append, "A", each=True)
        one.start()
        until(lambda: len(one.gaps()) == 1)
        # The minute that begins at 120 has not ended at 130.
        assert [(event["close"], event.filled) for event in heard] == [(5.0, False), (6.0, True)]
        assert heard[1].happened == at(120)
        assert heard[1].learned == at(130)
    NOW[0] = NOON + 100


def test_a_connection_that_goes_silent_is_given_up():
    async def hangs(talk):
        await talk.welcome()
        # Reads nothing any more: no frame, no answer to a ping.
        talk.socket.transport.pause_reading()
        await again.wait()
        talk.cut()

    async def answers(talk):
        again.set()
        await talk.welcome()
        await talk.stay()

    again = asyncio.Event()
    pacing = Pacing(first=0.01, longest=0.02, heartbeat=2, login=60)
    with played(hangs, answers) as server, stream(server, pacing=pacing) as one:
        one.subscribe_trades(print, "A")
        one.start().wait_live()
        until(lambda: len(one.gaps()) == 1)
        assert "nothing was heard" in one.gaps()["why"].iloc[0]
        until(lambda: one.state == "live")
        frames, moments = one.stats()["frames"].iloc[0], {one._listening._heard}
        until(lambda: moments.add(one._listening._heard) or len(moments) == 3)  # two pings are answered
        assert one.state == "live"
        assert (len(server.talks), one.stats()["frames"].iloc[0]) == (2, frames)


def test_a_connection_that_answers_but_tells_nothing_is_given_up_where_that_is_wanted():
    async def mute(talk):
        await talk.welcome()
        await talk.stay()

    pacing = Pacing(first=0.01, longest=0.02, heartbeat=60, quiet=0.1, login=60)
    with played(mute) as server, stream(server, pacing=pacing) as one:
        one.subscribe_trades(print, "A")
        one.start()
        until(lambda: len(server.talks) >= 3 and len(one.gaps()) >= 1)
        assert "no event came" in one.gaps()["why"].iloc[0]


@pytest.mark.parametrize("how", ["says nothing", "closes", "no answer to the login"])
def test_a_login_that_does_not_end_is_tried_again(how):
    async def odd(talk):
        if how == "no answer to the login":
            await talk.tell({"T": "success", "msg": "connected"})
        if how != "closes":
            await talk.stay()

    async def answers(talk):
        await talk.welcome()
        await talk.stay()

    login = 60 if how == "closes" else 0.5  # a slow machine may need more than one new try within half a second
    with played(odd, answers) as server, stream(server, pacing=Pacing(first=0.01, longest=0.02, login=login)) as one:
        one.subscribe_trades(print, "A")
        one.start().wait_live(60)
        assert len(server.talks) >= 2
        assert one.stats()["gaps"].iloc[0] == 0  # there was nothing before that could have been missed


def test_nobody_at_the_address_is_tried_again_with_growing_waits():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can begin to
        with stream(SimpleNamespace(url=f"ws://127.0.0.1:{taken.getsockname()[1]}")) as one:
            one.start()
            until(lambda: one.state == "reconnecting")
            with pytest.raises(SourceUnavailable, match="reconnecting"):
                one.wait_live(0.05)
            assert "no connection" in one.reason


def test_the_waits_grow_to_their_bound_and_are_spread():
    pacing, rng = Pacing(first=0.5, longest=30), random.Random(3)
    waits = [[pacing.wait(failures, rng) for _ in range(200)] for failures in (1, 2, 3, 7, 1000)]
    for found, whole in zip(waits, (0.5, 1.0, 2.0, 30.0, 30.0), strict=True):
        assert whole / 2 <= min(found) < 0.6 * whole
        assert 0.9 * whole < max(found) <= whole
    for wrong in ({"heartbeat": 0}, {"first": 9, "longest": 1}, {"quiet": -1}, {"taken_tries": -1}, {"login": True}):
        with pytest.raises(ParameterError):
            Pacing(**wrong)


def test_a_gap_that_ends_in_another_cut_is_filled_when_the_line_holds():
    async def first(talk):
        await talk.welcome()
        await talk.tell(trade("A", 1, 10.0, key=1))
        await asyncio.sleep(0.05)
        talk.cut()

    async def cut_in_the_login(talk):
        await talk.greet()
        await talk.hear()
        talk.cut()

    async def last(talk):
        await talk.welcome()
        await talk.tell(trade("A", 90, 15.0, key=9))
        await talk.stay()

    archive = Archive(("A", 50, 12.0, 5))
    heard = Heard()
    with played(first, cut_in_the_login, last) as server, stream(server, fill=archive) as one:
        one.subscribe_trades(heard, "A")
        one.start()
        until(lambda: len(heard) == 3)
        assert [price for _, price, _, _ in heard] == [10.0, 12.0, 15.0]
        assert len(archive.asked) == 1
        assert one.stats()["gaps"].iloc[0] == 1


def test_quotes_and_news_are_filled_too():
    class Vendor:
        def quotes(self, symbols, *, start, end):
            rows = {"bid": [9.0, 10.0], "ask": [11.0, 12.0], "bid_size": 1.0, "ask_size": 2.0}
            times = pd.DatetimeIndex([at(1), at(50)])
            return pd.DataFrame({"symbol": "A", "session": start, "time": times} | rows)

        def news(self, symbols, *, start, end):
            frame = pd.DataFrame({"symbol": ["A", "B", "A"], "key": ["1", "1", "2"]})
            frame["time"] = pd.DatetimeIndex([at(1), at(1), at(55)])
            return frame.assign(
                headline="h", summary="", publisher="p", author="", url="u", session=start, learned=frame["time"]
            )

    async def first(talk):
        await talk.welcome()
        article = {"T": "n", "id": 1, "headline": "h", "created_at": moment(1), "symbols": ["A", "B"]}
        await talk.tell(quote("A", 1, 9.0, 11.0), article)
        await asyncio.sleep(0.05)
        talk.cut()

    async def second(talk):
        await talk.welcome()
        await talk.tell(quote("A", 60, 13.0, 14.0))
        await talk.stay()

    heard, told = Heard(), []
    with (
        played(first, second) as server,
        MarketStream(
            server.url + "/any", ACCESS, fill=Vendor(), pacing=QUICK, clock=lambda: NOW[0] * 10**9, linger=0.0
        ) as one,
    ):
        one.subscribe_quotes(heard, "A")
        one.subscribe_news(told.append, "A", each=True)
        one.start()
        until(lambda: len(heard) == 3 and len(told) == 2)
        assert [(bid, filled) for _, bid, _, filled in heard] == [(9.0, False), (10.0, True), (13.0, False)]
        assert [(article.key, article.symbols, article.filled) for article in told] == [
            ("1", ("A", "B"), False),
            ("2", ("A",), True),
        ]
