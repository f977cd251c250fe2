"""What the tests of the arena share: views of drawn markets, and analysts that do as they are told."""

from __future__ import annotations

import dataclasses
import time
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.arena.analysts import AnalystView, Claim, Role
from workbench.arena.evidence import EvidencePack
from workbench.market.bars import Bars
from workbench.market.view import MarketView

DAYS = sessions.sessions("XNYS", "2013-06-03", "2015-06-30")


@pytest.fixture
def draw_view():
    """A function that draws a view of `symbols` symbols over the last `length` sessions up to 2015-06-30."""

    def draw(*, symbols=6, length=300, seed=1, drift=0.0, volatility=0.015, full=False):
        index = DAYS[-length:]
        rng = np.random.default_rng(seed)
        names = [f"S{number:02d}" for number in range(symbols)]
        steps = rng.normal(drift, volatility, (length, symbols))
        close = pd.DataFrame(100 * np.exp(steps.cumsum(axis=0)), index=index, columns=names)
        frames = {"close": close}
        if full:
            frames["open"] = close.shift(1).fillna(100.0) * np.exp(rng.normal(0, 0.004, close.shape))
            frames["high"] = np.maximum(close, frames["open"]) * 1.004
            frames["low"] = np.minimum(close, frames["open"]) * 0.996
            frames["volume"] = pd.DataFrame(rng.integers(1_000, 9_000, close.shape), index=index, columns=names) * 1.0
        return MarketView(as_of=sessions.closes("XNYS", index[-1]), bars=Bars(**frames), label="SYNTHETIC · drawn")

    return draw


@pytest.fixture
def view_of():
    """A function that turns closes per symbol (equally long lists) into a view that ends on 2015-06-30."""

    def make(closes, **fields):
        frame = pd.DataFrame(closes, dtype=float)
        frame.index = DAYS[-len(frame) :]
        others = {name: pd.DataFrame(values, dtype=float).set_axis(frame.index) for name, values in fields.items()}
        return MarketView(as_of=sessions.closes("XNYS", frame.index[-1]), bars=Bars(close=frame, **others))

    return make


@pytest.fixture
def pack(draw_view):
    """The pack of one symbol in a drawn market."""
    return EvidencePack.of(draw_view(), "S00")


@dataclasses.dataclass
class Scripted:
    """An analyst that says what it was built with. Exceptions are raised, other objects handed over."""

    name: str
    blind: object = 0.5
    again: object = "the same"
    role: Role = Role.VOICE
    kind: str = "rules"
    delay: float = 0.0
    veto: bool = False
    cost: Decimal = Decimal(0)
    heard: list = dataclasses.field(default_factory=list)
    calls: int = 0

    @property
    def config(self):
        return {"blind": repr(self.blind), "again": repr(self.again), "veto": self.veto}

    def view(self, pack):
        self.calls += 1
        time.sleep(self.delay)
        return self._say(self.blind)

    def rebut(self, pack, own, others):
        self.heard.append(others)
        time.sleep(self.delay)
        return dataclasses.replace(own, round=1) if self.again == "the same" else self._say(self.again)

    def _say(self, answer):
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            return AnalystView(
                analyst=self.name,
                kind=self.kind,
                role=self.role,
                p_up=answer,
                reasons=(Claim(f"{self.name} says so", ("e01",)),),
                veto=self.veto,
                cost=self.cost,
            )
        return answer


@pytest.fixture(scope="session")
def scripted():
    """The class of scripted analysts."""
    return Scripted
