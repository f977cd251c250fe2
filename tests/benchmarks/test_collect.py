"""How long collecting ten years of daily bars of 500 symbols takes, from a vendor on loopback through the gateway.

.venv/bin/python -m pytest tests/benchmarks/test_collect.py --benchmark-only -o addopts=--import-mode=importlib \
    -p no:randomly
"""

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr

from tests.vendors.server import Vendor
from workbench import sessions
from workbench.data.access import Access
from workbench.data.collect import collect
from workbench.data.gateway import Gateway
from workbench.data.sources.alpaca import LOCAL, AlpacaSource
from workbench.store.vintages import Vintages
from workbench.store.workspace import Workspace

SYMBOLS = tuple(f"S{number:03d}" for number in range(500))
START, END = pd.Timestamp("2006-01-03"), pd.Timestamp("2015-12-31")
DAYS = sessions.sessions("XNYS", START, END)
PAGE = 10_000


def close_of(symbol, place):
    """A price that tells symbol and session."""
    return round(10.0 + int(symbol[1:]) + place / 10_000, 4)


def answer(asked):
    """Alpaca's pages of bars, in its order: by symbol, then by time."""
    wanted = asked.query["symbols"].split(",")
    begun = int(asked.query.get("page_token") or 0)
    ended = min(begun + PAGE, len(wanted) * len(DAYS))
    bars = {}
    for at in range(begun, ended):
        symbol, place = wanted[at // len(DAYS)], at % len(DAYS)
        price = close_of(symbol, place)
        moment = f"{DAYS[place]:%Y-%m-%d}T05:00:00Z"
        bars.setdefault(symbol, []).append(
            {"t": moment, "o": price, "h": price, "l": price, "c": price, "v": 1000, "n": 10, "vw": price}
        )
    return {"bars": bars, "next_page_token": str(ended) if ended < len(wanted) * len(DAYS) else None}


@pytest.fixture
def workspace(tmp_path):
    opened = Workspace.open(tmp_path / "home")
    yield opened
    opened.close()


def test_ten_years_of_500_symbols(benchmark, workspace):
    with Vendor() as vendor, Gateway.of(workspace) as gateway:
        vendor.route("/v2/stocks/bars", answer)
        access = Access(key=SecretStr("k"), secret=SecretStr("s"), url=vendor.url)
        source = AlpacaSource(gateway, access, vendor=LOCAL)

        def bring():
            return collect(source, workspace=workspace, symbols=SYMBOLS, start=START, end=END)

        result = benchmark.pedantic(bring, rounds=1)
        assert result.complete
        assert result.new_rows == len(SYMBOLS) * len(DAYS)
        asked = len(vendor.asked)
        assert bring().parts == 0
        assert len(vendor.asked) == asked
    benchmark.extra_info.update(rows=result.new_rows, requests=asked)
    for symbol in SYMBOLS[::50]:  # without loss: every price where it belongs
        rows = Vintages(workspace.vintages_url).read(
            "bars/1d/alpaca", symbol, start=START, end=END, as_of=pd.Timestamp("2100-01-01", tz="UTC")
        )
        assert list(rows["session"]) == list(DAYS)
        np.testing.assert_array_equal(rows["close"], [close_of(symbol, place) for place in range(len(DAYS))])
