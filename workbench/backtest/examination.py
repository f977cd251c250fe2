"""An examination as a question with a memory: named by its hash, answered once, kept piece by piece while under way."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest import ledger
from workbench.backtest.answering import answer
from workbench.backtest.audit.future import require_causal
from workbench.backtest.engine import execution_price_for
from workbench.backtest.luck import trials
from workbench.backtest.preconditions import check_history
from workbench.backtest.question import config_of, provenance_of, row_of
from workbench.backtest.sweep.chunk_store import ChunkStore, forget_old
from workbench.errors import LookAhead
from workbench.run import Run
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from workbench.backtest.sweep.setup import Setup
    from workbench.store.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    """What an examination found.

    Attributes:
        summary: headline numbers, None where undefined.
        cells: every cell it tried, to be counted as trials, and the Sharpe ratio of each.
        notes: what was left out or done otherwise, and why.
    """

    summary: dict[str, float | None]
    tables: dict[str, pd.DataFrame]
    cells: pd.DataFrame
    sharpes: np.ndarray
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Examination:
    """A question about many cells of one setup. Build one with `of`.

    Attributes:
        kind: `walk_forward`, `cross_validation` or `optimize`; of the run, and of the job.
        setup: with the fill price that the bars allow.
        asked: everything else that determines the answer, as plain JSON values.
        title: the question on one line.
        config: everything that determines the answer, as a stored run has it.
    """

    kind: str
    setup: Setup
    asked: dict[str, Any]
    title: str
    workspace: Workspace
    config: dict[str, Any]

    @classmethod
    def of(
        cls, kind: str, setup: Setup, asked: dict[str, Any], *, ideas: dict[str, Any], title: str, workspace: Workspace
    ) -> Examination:
        """Name a question.

        Args:
            ideas: which cells are meant, as plain JSON values: their hash, or a space.

        Raises:
            BarsRefused: the history cannot be replayed.
        """
        check_history(setup.history)
        price = execution_price_for(setup.history.bars, setup.rules.execution_price)
        setup = dataclasses.replace(setup, rules=dataclasses.replace(setup.rules, execution_price=price))
        code = setup.kind.code_hash()
        strategy = {
            "name": setup.kind.name,
            "hash": digest({"name": setup.kind.name, "code": code}),
            "code": code,
            "fixed": setup.fixed,
            **ideas,
        }
        config = config_of(setup.history, costs=setup.costs, rules=setup.rules, strategy=strategy, asked=asked)
        return cls(kind, setup, asked, title, workspace, config | {"kind": kind})

    def store(self, part: str) -> ChunkStore:
        """Where finished pieces of a part of the work are kept until the question is answered."""
        return ChunkStore(self._folder / f"{digest(self.config)}-{part}")

    def answered(self, compute: Callable[[], Answer]) -> Run:
        """The stored answer, or a new one by `compute`, whose cells are counted as trials.

        What was kept on the way is forgotten when the answer is kept, and by nothing else before 30 days have passed:
        a kill at any instant costs one piece.
        """
        forget_old(self._folder)
        provenance = provenance_of(self.setup.history)

        def computed(identifier: str) -> Run:
            found = compute()
            keys = trials.trial_keys(self.setup.kind.name, self.setup.kind.code_hash(), ideas(self.setup, found.cells))
            trials.remember(
                self.workspace.engine,
                run_id=identifier,
                data_slice=ledger.slice_hash(self.setup.history.study),
                strategy=self.setup.kind.name,
                keys=keys,
                sharpes=found.sharpes,
            )
            return Run(
                id=identifier,
                kind=self.kind,
                study=self.setup.history.study,
                title=self.title,
                label=self.setup.history.label,
                config=self.config,
                config_hash=digest(self.config),
                summary=found.summary,
                tables=found.tables,
                provenance=provenance | {"notes": found.notes},
                trace_id=trace_id(),
            )

        row = row_of(self.kind, self.setup.history, self.config, provenance)
        run = answer(self.workspace, row, computed, title=self.title)
        for place in self._folder.glob(f"{digest(self.config)}-*"):
            ChunkStore(place).clear()
        return run

    @property
    def _folder(self) -> Path:
        return self.workspace.home / "examinations"


def refuse_peeking(setup: Setup, cell: Mapping[Any, Any]) -> None:
    """Ask one cell whether it looks ahead; one that cannot be asked says so itself among the others.

    Raises:
        LookAhead: it does.
    """
    try:
        require_causal(setup.strategy({str(name): value for name, value in cell.items()}), setup.history)
    except LookAhead:
        raise
    except Exception:  # noqa: BLE001 - whatever a strategy raises spoils its own cell only
        return


def ideas(setup: Setup, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per cell with ALL parameters, so that an idea tried alone has the same key as in a sweep."""
    varied = [name for name in cells.columns if name in setup.kind.model_fields]
    if not len(cells):
        return cells[varied]
    first = {str(name): cells[name].iloc[0] for name in varied}
    whole = pd.DataFrame(index=cells.index)
    for name, value in setup.strategy(first).params.items():
        whole[name] = (
            cells[name] if name in varied else pd.Series([value] * len(cells), index=cells.index, dtype=object)
        )
    return whole


def storable(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame as Parquet takes it: a parameter that is sometimes absent is no column of mixed objects."""
    mixed = [name for name in frame.columns if frame[name].dtype == object]
    return frame.assign(**{name: frame[name].convert_dtypes(dtype_backend="numpy_nullable") for name in mixed})
