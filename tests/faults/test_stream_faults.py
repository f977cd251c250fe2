"""Market data through a bad network: the exchange cuts, repeats and reorders, and every event is heard once."""

from __future__ import annotations

import contextlib

import pytest

from tests.data.stream.played import until
from tests.data.stream.traded import Account, minutes
from workbench.exchange import embedded

SYMBOLS = ("SYN03", "SYN04", "SYN05")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with minutes(tmp_path_factory.mktemp("minutes")) as address:
        yield address


@pytest.fixture
def account(url):
    embedded.clear_faults(url)
    with contextlib.closing(Account(url)) as opened:
        yield opened
    embedded.clear_faults(url)


class Kept(list):
    def __call__(self, batch):
        names = batch.channel.columns
        self += [(event.symbol, event.time, event[names[0]], event.late, event.filled) for event in batch]

    def of(self, symbol):
        return [(time, value) for name, time, value, _, _ in self if name == symbol]


def truth_of(account, path, field, symbol, **query):
    frame = account.rest(path, [symbol], **query)
    return list(zip(frame["time"], frame[field], strict=True))


def test_cuts_in_the_middle_of_a_session_lose_nothing_and_repeat_nothing(account):
    trades, bars = Kept(), Kept()
    with account.stream(fill=account) as one:
        one.subscribe_trades(trades, *SYMBOLS)
        one.subscribe_bars(bars, *SYMBOLS)
        one.start().wait_live()
        for cut, minute in enumerate(range(31, 43, 3), 1):
            account.advance(f"09:{minute}")
            embedded.add_fault(account.url, text="disconnect@0.1s:/v2/iex")
            account.advance(f"09:{minute + 2}")
            until(lambda cut=cut: one.stats()["reconnects"].iloc[0] >= cut and one.state == "live")
            until(lambda cut=cut: len(one.gaps()) >= 2 * cut)
        embedded.clear_faults(account.url)
        account.advance("09:45")
        until(lambda: all(len(bars.of(symbol)) >= 15 for symbol in SYMBOLS))
        until(lambda: one.stats()["waiting"].iloc[0] == 0)
        stats, gaps = one.stats().iloc[0], one.gaps()
    for symbol in SYMBOLS:
        assert bars.of(symbol) == truth_of(account, "/v2/stocks/bars", "o", symbol, timeframe="1Min")
        assert trades.of(symbol) == truth_of(account, "/v2/stocks/trades", "p", symbol)
    assert stats["filled"] >= 8
    assert stats["unfilled"] == 0
    assert stats["late"] == 0
    assert set(gaps["channel"]) == {"trades", "bars"}
    assert {filled for *_, filled in bars} == {False, True}


def test_repeated_messages_are_heard_once(account):
    trades = Kept()
    with account.stream() as one:
        one.subscribe_trades(trades, *SYMBOLS)
        one.start().wait_live()
        embedded.add_fault(account.url, text="duplicate-events:0.4:/v2/iex")
        account.advance("09:40")
        until(lambda: all(len(trades.of(symbol)) >= 20 for symbol in SYMBOLS))
        until(lambda: one.stats()["waiting"].iloc[0] == 0)
        assert one.stats()["duplicates"].iloc[0] > 0
    for symbol in SYMBOLS:
        assert trades.of(symbol) == truth_of(account, "/v2/stocks/trades", "p", symbol)


def test_reordered_messages_are_all_heard_and_the_late_ones_marked(account):
    trades = Kept()
    with account.stream() as one:
        one.subscribe_trades(trades, *SYMBOLS)
        one.start().wait_live()
        embedded.add_fault(account.url, text="reorder-events:0.3:/v2/iex")
        account.advance("09:40")
        until(lambda: all(len(trades.of(symbol)) >= 20 for symbol in SYMBOLS))
        late = one.stats()["late"].iloc[0]
    assert late > 0
    assert sum(marked for *_, marked, _ in trades) == late
    for symbol in SYMBOLS:
        assert sorted(trades.of(symbol)) == truth_of(account, "/v2/stocks/trades", "p", symbol)
        in_order = [time for name, time, _, marked, _ in trades if name == symbol and not marked]
        assert in_order == sorted(in_order)
