"""The clock and the gateway that every source of these tests asks through."""

import pytest

from tests.contracts.http_contract import Clock, Wire
from workbench.data.gateway import Gateway


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gateway(clock):
    wire = Wire()
    with Gateway(clock=clock, sleep=clock.sleep, transport=wire) as opened:
        yield opened
    wire.end()
