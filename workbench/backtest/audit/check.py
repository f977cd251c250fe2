"""What a check is: a verdict with its sentence, numbers, reason and threshold; and what every check is handed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from workbench.backtest import metrics
from workbench.backtest.weights import replayed, weights_of
from workbench.errors import StrategyFailed, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workbench.backtest.costs import Costs
    from workbench.backtest.engine import Simulation
    from workbench.backtest.fill_rules import FillRules
    from workbench.market.history import History
    from workbench.strategy import Strategy

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"
VERDICTS = (PASS, WARN, FAIL)


@dataclass(frozen=True)
class Check:
    """One finding about a strategy.

    Attributes:
        name: of the check: `future`, `warm_up`, `delay`, `costs`, `trades` or `universe`.
        verdict: PASS, WARN or FAIL.
        headline: what was found, in one sentence with its numbers.
        numbers: what was measured, one row per world asked in.
        why: why a reader should care.
        threshold: from which number on the verdict is which.
        summary: headline numbers by name, for the run's summary; NaN where undefined.
    """

    name: str
    verdict: str
    headline: str
    numbers: pd.DataFrame
    why: str
    threshold: str
    summary: dict[str, float] = field(default_factory=dict)


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Subject:
    """Who is audited, on what, and what it does in the world as it was.

    Attributes:
        weights: of the evaluated sessions, frame (session × symbol).
        simulation: their replay, after costs.
        before_each: called before each question and replay; what it raises (a cancelled job) ends the audit.
    """

    strategy: Strategy
    history: History
    costs: Costs
    rules: FillRules
    weights: pd.DataFrame
    simulation: Simulation
    before_each: Callable[[], None] = _nothing

    @classmethod
    def of(
        cls,
        strategy: Strategy,
        history: History,
        *,
        costs: Costs,
        rules: FillRules,
        before_each: Callable[[], None] = _nothing,
    ) -> Subject:
        """Ask and replay once. Raises what the strategy raises: without this there is nothing to audit."""
        weights = weights_of(strategy, history)
        simulation = replayed(weights, history, costs=costs, rules=rules)
        return cls(strategy, history, costs, rules, weights, simulation, before_each)

    def weights_in(self, world: History, what: str) -> pd.DataFrame:
        """The strategy's weights of the evaluated sessions of another world.

        Args:
            what: the world in words, e.g. `"the future after 2015-06-30 redrawn"`.

        Raises:
            StrategyFailed: it raised there; the message is its own and says in which world.
        """
        self.before_each()
        return asked(self.strategy, world, what)

    def replay(
        self, weights: pd.DataFrame, *, history: History | None = None, costs: Costs | None = None
    ) -> Simulation:
        """Weights replayed under the audit's rules; another history or other costs where they are given."""
        self.before_each()
        return replayed(weights, history or self.history, costs=costs or self.costs, rules=self.rules)

    def sharpe(self, simulation: Simulation) -> float:
        """Annual Sharpe ratio of a replay; NaN where the returns do not vary."""
        return metrics.sharpe(simulation.returns, periods=self.history.study.bars_per_year)

    @property
    def no_edge(self) -> str:
        """A sentence when the strategy has nothing that could be taken away: no trade, or no Sharpe ratio above 0."""
        if not len(self.simulation.orders):
            return "It never traded: there is no profit that could be fragile."
        sharpe = self.sharpe(self.simulation)
        if not sharpe > 0:
            return f"Its Sharpe ratio after costs is {ratio(sharpe)}: there is no edge that could be fragile."
        return ""


def asked(strategy: Strategy, world: History, what: str) -> pd.DataFrame:
    """A strategy's weights in another world; see `Subject.weights_in`."""
    try:
        return weights_of(strategy, world)
    except Exception as error:
        raise StrategyFailed(
            f"with {what}, {strategy.line} stopped with {type(error).__name__}: {said_by(error)}",
            remedy="make the strategy answer there: it could have been the real world.",
        ) from error


def total_return(simulation: Simulation) -> float:
    """Of a replay from its initial cash on, a fraction."""
    return metrics.total_return(simulation.returns)


def worst(verdicts: Iterable[str]) -> str:
    """The worst of some verdicts; PASS when there is none."""
    return max(verdicts, key=VERDICTS.index, default=PASS)


def ratio(value: float) -> str:
    """A ratio for a sentence."""
    return "undefined" if math.isnan(value) else f"{value:.2f}"


def percent(value: float) -> str:
    """A fraction for a sentence."""
    return "undefined" if math.isnan(value) else f"{value:.1%}"


def many(number: int, noun: str) -> str:
    """`1 trade`, `2 trades`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def said_by(error: BaseException) -> str:
    """The first line of an error's message, without the code of our own."""
    text = error.message if isinstance(error, WorkbenchError) else str(error)
    return (text.splitlines() or [""])[0]
