"""The evaluator: one setup made ready once, then any cells over any of its sessions, by the fastest exact engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.fill_rules import FillRules
from workbench.backtest.summary import summarise
from workbench.backtest.sweep.families import family_of
from workbench.backtest.sweep.measured import measured
from workbench.backtest.sweep.raw import UNSURE, WIDTH
from workbench.backtest.sweep.setup import METRICS, Setup
from workbench.backtest.sweep.stretch import Part
from workbench.backtest.weights import replayed, weights_of
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.backtest.simulation import Simulation
    from workbench.backtest.sweep.crossing import Crossing

CROSS, WEIGHTS, REFERENCE = "kernel:cross", "kernel:weights", "reference"
_ENGINES = (REFERENCE, CROSS, WEIGHTS)
_REFERENCE, _CROSS, _WEIGHTS = range(3)
# Ranges of sessions that are kept ready: the folds of a validation come back for each of its steps.
_KEPT = 64
# Weights that sum to 1 may miss it by rounding: the reference engine's tolerance.
_TOLERANCE = 1e-9


def unsupported(setup: Setup) -> str:
    """Why the kernels leave a setup to the reference engine; empty when they take it."""
    if not setup.costs.proportional:
        return "costs other than fee, slippage and spread are set"
    if setup.rules != FillRules(execution_price=setup.rules.execution_price):
        return "fill rules other than execution_price are set"
    if setup.history.actions:
        return "the history has corporate actions"
    return ""


class Evaluator:
    """Evaluates cells of one setup. What cells share (prices, averages, tables) is computed once and kept here.

    Args:
        setup: the strategy's class, the history, costs and rules.
        workers: threads of the kernels; they run without the interpreter's lock, and the answer does not depend on
            how many there are. Strategies without a kernel of their own decide in Python, one after the other.
    """

    def __init__(self, setup: Setup, *, workers: int = 1) -> None:
        self.setup = setup
        self.unsupported = unsupported(setup)
        self._family = family_of(setup.kind)
        self._workers = max(1, workers)
        self._crossing: Crossing | None = None
        self._parts: dict[tuple[Any, Any], Part] = {}

    def metrics(self, cells: pd.DataFrame, start: Any = None, end: Any = None) -> pd.DataFrame:
        """The metrics of each cell over the sessions from `start` to `end`, those of the study when None.

        The bars before `start` are warm-up; the book begins at `start` with the initial cash and with the wish that
        holds there, exactly as in a backtest of a study that starts there.

        Args:
            cells: one row per cell, one column per varied parameter.

        Returns:
            The index of `cells`; `METRICS` (NaN where undefined or failed), `engine` (who computed it) and `error`
            (empty, or why the cell has no number: a strategy that raises spoils its own cell only).

        Raises:
            NotYetKnown: `end` is later than the history.
        """
        answers = self._answers(cells, self._part(start, end), None)
        found = measured(answers.raw, periods=self.setup.history.study.bars_per_year)
        for row, summary in answers.summaries.items():
            for name in METRICS:
                value = summary[name]
                found[name][row] = np.nan if value is None else value
        # Numbers as one block, and texts made once each and repeated: a frame put together column by column, or from an
        # array of texts, takes longer than the kernels for few cells.
        block = np.column_stack([found[name] for name in METRICS])
        answer = pd.DataFrame(block, index=cells.index, columns=METRICS, copy=False)
        answer["engine"] = pd.Series(_ENGINES).array.take(answers.engine)
        answer["error"] = answers.error if answers.error.any() else ""
        return answer

    def returns(self, cells: pd.DataFrame, start: Any = None, end: Any = None) -> np.ndarray:
        """Simple returns (session × cell) from the second session on; a column of NaN where a cell failed.

        Every column is contiguous. Takes 8 bytes per session and cell, three times that while it is computed.
        """
        part = self._part(start, end)
        equity = np.full((len(cells), max(part.length, 1)), np.nan)
        answers = self._answers(cells, part, equity)
        before = equity[:, :-1].copy()
        before[:, :1] = self.setup.history.study.initial_cash
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(before > 0.0, equity[:, 1:] / before - 1.0, np.nan)
        for row, values in answers.returns.items():
            found[row] = values
        return found.T

    def _part(self, start: Any, end: Any) -> Part:
        key = (None if start is None else pd.Timestamp(start), None if end is None else pd.Timestamp(end))
        found = self._parts.get(key)
        if found is None:
            if len(self._parts) >= _KEPT:
                self._parts.clear()
            found = self._parts[key] = Part.of(self.setup if key == (None, None) else self.setup.between(*key))
        return found

    def _answers(self, cells: pd.DataFrame, part: Part, equity: np.ndarray | None) -> _Answers:
        answers = _Answers.none(len(cells))
        if part.refusal:
            answers.error[:] = part.refusal
            return answers
        left = np.arange(len(cells))
        if not self.unsupported and part.stretch is not None:
            left = self._by_crosses(cells, part, answers, equity)
            left = self._by_weights(cells, part, left, answers, equity)
        for row, cell in _records(cells, left):
            self._by_reference(part.setup, cell, row, answers, whole=equity is not None)
        return answers

    def _by_crosses(self, cells: pd.DataFrame, part: Part, answers: _Answers, equity: np.ndarray | None) -> np.ndarray:
        """Do what the family's kernel can do; the rows that are left."""
        pairs = self._pairs(cells)
        if pairs is None or self._family is None or part.stretch is None:
            return np.arange(len(cells))
        if self._crossing is None:
            from workbench.backtest.sweep.crossing import Crossing

            close = np.array(self.setup.history.close, dtype=float, order="C")
            self._crossing = Crossing(self._family, close, self._money, workers=self._workers)
        able = self._family.allowed(*pairs)
        rows = np.flatnonzero(able)
        whole = None if equity is None else equity[rows]
        raw = self._crossing.raw(pairs[0][rows], pairs[1][rows], part.stretch, whole)
        answers.raw[rows] = raw
        able[rows] = raw[:, UNSURE] == 0
        answers.engine[able] = _CROSS
        if equity is not None and whole is not None:
            equity[rows] = whole
        return np.flatnonzero(~able)

    def _pairs(self, cells: pd.DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
        """The two windows of each cell; None where that is not all there is to a cell."""
        if self._family is None:
            return None
        names, fixed = self._family.parameters, self.setup.fixed
        given = {*cells.columns, *fixed}
        if len(given) != len(cells.columns) + len(fixed) or not given <= set(names):
            return None
        found = []
        for name in names:
            default = fixed.get(name, self.setup.kind.model_fields[name].default)
            values = cells[name].to_numpy() if name in cells.columns else np.full(len(cells), default)
            if values.dtype.kind not in "iu":
                return None
            found.append(values.astype(np.int64))
        return found[0], found[1]

    def _by_weights(
        self, cells: pd.DataFrame, part: Part, rows: np.ndarray, answers: _Answers, equity: np.ndarray | None
    ) -> np.ndarray:
        """Let the strategies decide and replay their weights by the kernel; the rows that are left."""
        if not len(rows) or part.stretch is None:
            return rows
        from workbench.backtest.sweep.kernels import weighted

        stretch = part.stretch
        left: list[int] = []
        scratch = np.empty((1, stretch.length))
        for row, cell in _records(cells, rows):
            try:
                wished = weights_of(self.setup.strategy(cell), part.setup.history)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a strategy raises spoils its own cell only
                answers.error[row] = _said(error)
                continue
            weights = np.array(wished, dtype=float, order="C")
            if _plain(weights, stretch.close):
                found = answers.raw[row : row + 1]
                weighted(
                    weights[None],
                    stretch.fill,
                    stretch.value_at,
                    stretch.mark,
                    stretch.lag,
                    *self._money,
                    scratch if equity is None else equity[row : row + 1],
                    found,
                )
                if found[0, UNSURE] == 0:
                    answers.engine[row] = _WEIGHTS
                    continue
            left.append(row)
        return np.array(left, dtype=np.int64)

    def _by_reference(self, setup: Setup, cell: dict[str, Any], row: int, answers: _Answers, *, whole: bool) -> None:
        answers.raw[row] = np.nan
        try:
            simulation = simulated(setup, cell)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a strategy raises spoils its own cell only
            answers.error[row] = _said(error)
            return
        if whole:
            answers.returns[row] = simulation.returns.to_numpy(dtype=float)
        else:
            answers.summaries[row] = summarise(simulation, periods=setup.history.study.bars_per_year)

    @property
    def _money(self) -> tuple[float, float, float]:
        costs = self.setup.costs
        return float(costs.fee), float(costs.worse), float(self.setup.history.study.initial_cash)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What was found so far: raw numbers of the kernels, summaries or returns of the reference engine, by row."""

    raw: np.ndarray
    engine: np.ndarray
    error: np.ndarray
    summaries: dict[int, dict[str, float | None]] = field(default_factory=dict)
    returns: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def none(cls, cells: int) -> _Answers:
        return cls(np.full((cells, WIDTH), np.nan), np.full(cells, _REFERENCE), np.full(cells, "", dtype=object))


def simulated(setup: Setup, cell: dict[str, Any]) -> Simulation:
    """One cell by the reference engine. Raises whatever the strategy or the engine raises."""
    weights = weights_of(setup.strategy(cell), setup.history)
    return replayed(weights, setup.history, costs=setup.costs, rules=setup.rules)


def _records(cells: pd.DataFrame, rows: np.ndarray) -> list[tuple[int, dict[str, Any]]]:
    """(row, parameters) of these rows."""
    if not len(rows):
        return []
    names = [str(name) for name in cells.columns]
    columns = [cells.iloc[rows, place].tolist() for place in range(len(names))]
    if not columns:
        return [(int(row), {}) for row in rows]
    return [(int(row), dict(zip(names, values, strict=True))) for row, *values in zip(rows, *columns, strict=True)]


def _plain(weights: np.ndarray, close: np.ndarray) -> bool:
    """Whether these are long-only wishes without leverage for symbols that have prices; the rest is not for kernels."""
    wished = np.where(np.isnan(weights), 0.0, weights)
    empty = np.isnan(close).all(axis=0)
    return bool(
        (wished >= 0.0).all() and (wished.sum(axis=1) <= 1.0 + _TOLERANCE).all() and not (wished[:, empty] != 0.0).any()
    )


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
