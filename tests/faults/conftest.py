"""What the fault tests share: a real local exchange in a process of its own."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from workbench.exchange import embedded

NOW = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)
_number = itertools.count(1)


@pytest.fixture
def open_account(exchange):
    """Opens fresh accounts at the exchange, with cash enough for anything; no faults before or after."""
    embedded.clear_faults(exchange.url)
    yield lambda: embedded.open_account(exchange.url, name=f"faults-{next(_number)}", cash=1e9, at=NOW)
    embedded.clear_faults(exchange.url)
