"""Optimized: what a search found: every trial, the best region, and the way to its examination."""

from __future__ import annotations

import dataclasses
import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.backtest.validation.report import Sheet
from workbench.backtest.validation.splits import default_lengths, sessions_of
from workbench.backtest.validation.walk_forward import WalkForward, walk_forward
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from workbench.backtest.optimize.objective import Objective
    from workbench.backtest.optimize.space import Space
    from workbench.backtest.sweep.evaluate import Setup
    from workbench.backtest.validation.regions import Region

# Trials listed on the page.
LISTED = 10


@dataclass(frozen=True)
class Optimized:
    """The answer of a search.

    Attributes:
        trials: one row per cell tried: the parameters, `objective` (NaN unless `state` is `done`), `state` (`done`,
            `pruned`, `failed`), `origin` (`search`, or `region`: measured around the leading region), `share` of the
            sessions searched that it was evaluated on, `so_far` (the objective there), the metrics of a sweep, `error`.
        region: the best region, None where no cell has a neighbourhood that can be judged.
        searched: first and last session the search saw.
        holdout: the sessions after them, kept for the examination.
        journal: the stored study, None where nothing was stored.
    """

    trials: pd.DataFrame
    region: Region | None
    method: str
    objective: Objective
    space: Space
    setup: Setup
    searched: tuple[pd.Timestamp, pd.Timestamp]
    holdout: pd.DatetimeIndex
    seed: int
    radius: int
    journal: Path | None

    @property
    def evaluated(self) -> pd.DataFrame:
        """The trials that count as tried when luck is judged: all but those refused or failed."""
        return self.trials[self.trials["state"] != "failed"]

    def walk_forward(self, **asked: Any) -> WalkForward:
        """The best region, walked forward: its cells compete in every fold, never the best cell alone.

        The first test session is the first one the search did not see. Without a holdout the search has seen all folds,
        and the label says so.

        Args:
            asked: see `workbench.backtest.validation.walk_forward.walk_forward`.

        Raises:
            BacktestError: there is no region, or as there.
        """
        from workbench.backtest.optimize.space import defaults_of

        if self.region is None:
            raise BacktestError(
                "the search found no region: every neighbourhood has more cells without a number than with one.",
                remedy="search a space with more cells that trade.",
            )
        setup = self.setup
        cells = self.region.members[list(self.space.names)].reset_index(drop=True)
        days = sessions_of(setup.history)
        train = asked.get("train") or default_lengths(len(days))[0]
        # as many trades as were wished for over all the sessions searched cannot be asked of one window
        share = min(1.0, train / max(1, len(days) - len(self.holdout)))
        judge = self.objective.judge(defaults_of(setup.kind), share=share)
        defaults = {"judge": judge, "radius": self.radius}
        if len(self.holdout):
            return walk_forward(setup, cells, **{**defaults, "first_test": self.holdout[0], **asked})
        found = walk_forward(setup, cells, **{**defaults, **asked})
        return _labelled(found, "the search has seen these sessions: not out of sample")

    def sheet(self) -> Sheet:
        """The leading trials; all their numbers are in sample."""
        best = self.trials.sort_values("objective", ascending=False, kind="stable", na_position="last").head(LISTED)
        columns = [*self.space.names, "objective", "sharpe", "total_return", "max_drawdown", "trades", "turnover"]
        counts = self.trials["state"].value_counts()
        told = ", ".join(f"{counts[state]:,} {state}" for state in ("done", "pruned", "failed") if state in counts)
        return Sheet(
            title=f"{self.method} search of {self.setup.kind.name} · {told}",
            frame=best[list(dict.fromkeys(columns))],
            grey=tuple(column for column in columns if column not in self.space.names),
            formats={"total_return": ".2%", "max_drawdown": ".2%", "turnover": ".2f"},
            note=f"searched {self.searched[0].date()} → {self.searched[1].date()}, {len(self.holdout):,} later "
            f"sessions unseen · {self.setup.history.label}",
        )

    def __repr__(self) -> str:
        return f"{self.region!r}\n{self.sheet()!r}"

    def _repr_html_(self) -> str:
        region = "<div>no region was found</div>" if self.region is None else self.region._repr_html_()
        kept = "" if self.journal is None else f"<div><small>{html.escape(self.journal.name)}</small></div>"
        return f"{region}{self.sheet()._repr_html_()}{kept}"


def _labelled(found: WalkForward, warning: str) -> WalkForward:
    return dataclasses.replace(found, label=f"{found.label} · {warning}")
