"""The sources without a vendor for their contract; and that every source of the list has one for each of its kinds."""

import importlib
from pathlib import Path

import pytest

from tests.contracts.bars_contract import BarContract
from tests.contracts.http_contract import HttpContract
from workbench.data.sources import MARKET, SOURCES, open_source
from workbench.errors import DataError


class Open(BarContract):
    """A source that is open to everybody: it asks nobody."""

    @pytest.fixture
    def fresh(self):
        return lambda: open_source(self.name)

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls):
        return open_source(cls.name)


class TestBundled(Open):
    name = "bundled"
    symbols = ("MSFT", "^GSPC")
    says = "real"
    timeframes = ("1d",)


class TestSynthetic(Open):
    name = "synthetic"
    symbols = ("SYN03", "SYN01")
    says = "SYNTHETIC · seed 7"
    timeframes = ("1d", "1h", "5m", "1m")


def test_every_source_has_the_contract_of_each_of_its_kinds():
    for path in Path(__file__).parent.glob("test_*.py"):
        importlib.import_module(f"tests.contracts.{path.stem}")
    found, waiting = set(), [BarContract, HttpContract]
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one.__name__.startswith("Test"):
            found.add((one.name, getattr(one, "kind", None)))
    wanted = {(name, kind) for name, listed in SOURCES.items() for kind in listed.kinds}
    assert wanted - {(MARKET, "bars")} <= found, "the chain is made of others, and tested with them"


def test_an_unknown_source_is_refused_with_the_nearest_name():
    with pytest.raises(DataError, match=r"(?s)source='sinthetic'.*bundled, synthetic.*did you mean 'synthetic'"):
        open_source("sinthetic")
