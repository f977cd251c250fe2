"""An exchange of minute bars in a process of its own, beside the one of daily bars."""

from __future__ import annotations

import datetime as dt

import pytest
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.trading.client import TradingClient

from workbench.exchange import embedded
from workbench.exchange.__main__ import main

AT = dt.datetime(2024, 3, 5, 14, 29, tzinfo=dt.UTC)


def test_minutes_are_stepped_through_and_an_order_fills_in_them(tmp_path):
    address = embedded.ensure(tmp_path, source="synthetic", timeframe="1m", exit_with_parent=True)
    try:
        assert embedded.running(tmp_path, source="synthetic") is None
        assert embedded.running(tmp_path, source="synthetic", timeframe="1m").url == address.url
        keys = embedded.open_account(address.url, name="one", cash=10_000, at=AT)
        api = TradingClient(keys.key_id, keys.secret_key, raw_data=True, url_override=address.url)
        data = StockHistoricalDataClient(keys.key_id, keys.secret_key, raw_data=True, url_override=address.url)
        order = {"symbol": "SYN03", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        api.post("/orders", order)
        embedded.advance(address.url, name="one", to=AT + dt.timedelta(minutes=3))
        # Placed after a bar is known, it trades at the open of the next.
        api.post("/orders", order)
        embedded.advance(address.url, name="one", to=AT + dt.timedelta(minutes=3, seconds=1))
        bars = data.get("/stocks/bars", {"symbols": "SYN03", "timeframe": "1Min"})["bars"]["SYN03"]
        trades = data.get("/stocks/trades", {"symbols": "SYN03"})["trades"]["SYN03"]
        fills = api.get("/account/activities/FILL", {"direction": "asc"})
        assert [bar["t"] for bar in bars] == ["2024-03-05T14:30:00Z", "2024-03-05T14:31:00Z"]
        assert [fill["transaction_time"][:19] for fill in fills] == ["2024-03-05T14:30:00", "2024-03-05T14:32:01"]
        assert [float(fill["price"]) for fill in fills] == pytest.approx(
            [bars[0]["o"] * 1.0005, trades[-1]["p"] * 1.0005]
        )
        api._session.close()
        data._session.close()
    finally:
        assert embedded.stop(tmp_path) == 1


def test_a_length_that_does_not_exist_is_refused_in_words(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["--db", str(tmp_path / "exchange.db"), "--timeframe", "7m"])
    assert "1m, 5m, 15m, 1h" in capsys.readouterr().err.replace("'", "")
