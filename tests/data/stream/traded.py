"""An account at the local exchange of minute bars: its clock, its streams, and what REST tells of the same market."""

from __future__ import annotations

import contextlib
import itertools
import random

import httpx
import pandas as pd
from pydantic import SecretStr

from workbench.data.access import Access
from workbench.data.kinds import kind_of
from workbench.data.stream.market_stream import MarketStream
from workbench.data.stream.pacing import Pacing
from workbench.exchange import embedded

_number = itertools.count()
DAY = pd.Timestamp("2024-03-05")
QUICK = Pacing(first=0.02, longest=0.1, heartbeat=60, login=60)


@contextlib.contextmanager
def minutes(folder):
    """The address of an exchange of minute bars on the synthetic market."""
    yield embedded.ensure(folder, source="synthetic", timeframe="1m", exit_with_parent=True).url
    embedded.stop(folder)


def new_york(text):
    return pd.Timestamp(f"2024-03-05 {text}", tz="America/New_York").tz_convert("UTC")


class Account:
    """One replayed account; it is also a source of trades, quotes, bars and news over REST."""

    def __init__(self, url, at="09:29"):
        self.url, self.now = url, new_york(at)
        self.keys = embedded.open_account(url, name=f"hears-{next(_number)}", cash=1e6, at=self.now.to_pydatetime())
        self.access = Access(key=SecretStr(self.keys.key_id), secret=SecretStr(self.keys.secret_key))
        headers = {"APCA-API-KEY-ID": self.keys.key_id, "APCA-API-SECRET-KEY": self.keys.secret_key}
        self.client = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)

    def advance(self, text):
        self.now = new_york(text)
        embedded.advance(self.url, name=self.keys.name, to=self.now.to_pydatetime())

    def stream(self, **options):
        options = {"feed": "iex", "pacing": QUICK, "linger": 0.0, "rng": random.Random(1)} | options
        return MarketStream("ws" + self.url[4:], self.access, clock=lambda: self.now.value, **options)

    def pages(self, path, name, **query):
        found, token = [], None
        while True:
            answer = self.client.get(path, params=query | ({"page_token": token} if token else {}))
            answer.raise_for_status()
            body = answer.json()
            found.append(body[name])
            token = body.get("next_page_token")
            if token is None:
                return found

    def rest(self, path, symbols, **query):
        """Long rows of one kind of market data of the day, up to the account's clock."""
        kind = path.rsplit("/", 1)[-1]
        query = {"symbols": ",".join(symbols), "start": "2024-03-05", "limit": 10_000} | query
        rows = [
            {"symbol": symbol} | row
            for page in self.pages(path, kind, **query)
            for symbol, told in page.items()
            for row in told
        ]
        frame = pd.DataFrame(rows)
        if len(frame):
            frame["time"] = pd.to_datetime(frame["t"], utc=True, format="ISO8601")
            frame["session"] = DAY
            frame["happened"] = frame["learned"] = frame["time"]
            frame["source"] = "exchange"
        return frame

    # ---- as a source

    def trades(self, symbols, *, start, end):
        assert (start, end) == (DAY, DAY)
        frame = self.rest("/v2/stocks/trades", symbols)
        if not len(frame):
            return kind_of("trades").empty()
        return kind_of("trades").typed(frame.rename(columns={"p": "price", "s": "size", "x": "venue"}).assign(key=""))

    def quotes(self, symbols, *, start, end):
        frame = self.rest("/v2/stocks/quotes", symbols)
        if not len(frame):
            return kind_of("quotes").empty()
        names = {"bp": "bid", "ap": "ask", "bs": "bid_size", "as": "ask_size"}
        return kind_of("quotes").typed(frame.rename(columns=names))

    def bars(self, symbols, *, start, end, timeframe):
        assert timeframe == "1m"
        frame = self.rest("/v2/stocks/bars", symbols, timeframe="1Min")
        names = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
        return frame.rename(columns=names) if len(frame) else pd.DataFrame({"time": pd.DatetimeIndex([], tz="UTC")})

    def close(self):
        self.client.close()
