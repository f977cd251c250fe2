"""A sweep as a run: what it says, that it is stored, goes on after a kill, and is counted."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from tests.properties.future import random_history
from workbench.backtest import ledger
from workbench.backtest.costs import Costs
from workbench.backtest.luck import trials
from workbench.backtest.runs import run
from workbench.backtest.sweep.chunk_store import ChunkStore
from workbench.backtest.sweeps import sweep
from workbench.errors import GridRefused, JobCancelled, ParameterError
from workbench.strategies import BuyAndHold, SmaCross
from workbench.strategies.wishes import as_weights
from workbench.strategy import Strategy

HISTORY = random_history(symbols=("AAPL",), seed=4, length=1200)
GRID = {"fast": range(2, 8), "slow": range(10, 40, 5)}


class Moody(Strategy):
    """Long on odd moods; the even ones raise."""

    name: ClassVar[str] = "moody"
    mood: int = 1

    @property
    def warm_up(self):
        return 0

    def target_weights(self, history):
        if self.mood % 2 == 0:
            raise ZeroDivisionError(f"mood {self.mood}")
        values = np.full((len(history.sessions), 1), np.nan)
        values[history.begins :: self.mood, 0] = 1.0
        values[history.begins + 1 :: 2 * self.mood, 0] = 0.0
        return as_weights(values, history)


class TestAnswer:
    def test_it_says_how_good_the_plateau_is_and_how_likely_luck(self, workspace):
        found = sweep(SmaCross, GRID, HISTORY, workspace=workspace, costs=Costs(fee=0.001))
        cells = found.table("cells")
        assert (found.kind, len(cells), found.summary["cells"]) == ("sweep", 36, 36)
        assert {"fast", "slow", "sharpe", "score", "stability", "engine", "error"} <= set(cells.columns)
        assert set(cells["engine"]) == {"kernel:cross"}
        assert found.summary["best_sharpe"] == cells["sharpe"].max()
        # The plateau is judged by its neighbours: its score is the best one, its own Sharpe ratio need not be.
        assert found.summary["region_score"] == pytest.approx(cells["score"].max())
        assert found.table("luck")["value"]["trials"] == 36
        assert len(found.table("folds")) == found.summary["folds"] > 1
        assert found.table("equity").columns.tolist() == ["benchmark", "centre", "out_of_sample"]

    def test_a_cell_is_what_a_backtest_of_it_says(self, workspace):
        costs = Costs(fee=0.001)
        cells = sweep(SmaCross, GRID, HISTORY, workspace=workspace, costs=costs).table("cells")
        row = cells[(cells["fast"] == 5) & (cells["slow"] == 20)].iloc[0]
        alone = run(SmaCross(fast=5, slow=20), HISTORY, workspace=workspace, costs=costs).summary
        for name in ("total_return", "sharpe", "max_drawdown", "win_rate", "trades", "turnover", "cost"):
            assert row[name] == pytest.approx(alone[name], rel=1e-9)

    def test_a_cell_that_raises_spoils_itself_only(self, workspace):
        found = sweep(Moody, {"mood": [1, 2, 3, 4]}, HISTORY, workspace=workspace)
        cells = found.table("cells").set_index("mood")
        assert cells["error"].str.contains("mood").tolist() == [False, True, False, True]
        assert found.summary["failed"] == 2
        assert any("2 of 4 cells failed" in note for note in found.provenance["notes"])

    def test_what_the_kernels_do_not_take_is_said(self, workspace):
        found = sweep(SmaCross, {"fast": [3, 4]}, HISTORY, workspace=workspace, costs=Costs(fee_per_order=1.0))
        assert found.provenance["engines"] == {"reference": 2}
        assert any("costs other than fee, slippage and spread are set" in note for note in found.provenance["notes"])

    def test_few_sessions_have_no_walk_forward_and_it_is_said(self, workspace):
        short = HISTORY.until(HISTORY.evaluated[15])
        found = sweep(SmaCross, {"fast": [3, 4], "slow": [10]}, short, workspace=workspace)
        assert found.table("folds").empty
        assert any("no walk-forward" in note for note in found.provenance["notes"])


class TestMemory:
    def test_the_identical_sweep_is_stored_however_it_is_written(self, workspace):
        first = sweep("sma_cross", GRID, HISTORY, workspace=workspace)
        again = sweep(
            SmaCross, {"slow": [*range(35, 5, -5)], "fast": [7, 6, 5, 4, 3, 2, 2]}, HISTORY, workspace=workspace
        )
        assert again.reused
        assert again.id == first.id
        pd.testing.assert_frame_equal(again.table("cells"), first.table("cells"))

    def test_its_cells_are_counted_once_with_those_tried_alone(self, workspace):
        run(SmaCross(fast=5, slow=20), HISTORY, workspace=workspace)  # one of the cells below
        run(BuyAndHold(), HISTORY, workspace=workspace)
        found = sweep(SmaCross, GRID, HISTORY, workspace=workspace)
        assert found.summary["trials"] == 37
        run(SmaCross(fast=50, slow=200), HISTORY, workspace=workspace)
        again = sweep(SmaCross, GRID, HISTORY, workspace=workspace)
        assert again.reused
        assert again.summary["trials"] == again.table("luck")["value"]["trials"] == 38
        assert again.summary["dsr"] != found.summary["dsr"]
        assert list(again.table("luck").index) == list(found.table("luck").index)
        assert trials.tried(workspace.engine, ledger.slice_hash(HISTORY.study)).count == 38

    def test_a_cancelled_sweep_goes_on_where_it_stopped(self, workspace, monkeypatch):
        monkeypatch.setattr("workbench.backtest.sweeps.chunk_size", lambda _setup: 6)
        seen = []

        def stop(done, _total):
            seen.append(done)
            if done >= 12:
                raise JobCancelled("enough")

        with pytest.raises(JobCancelled):
            sweep(SmaCross, GRID, HISTORY, workspace=workspace, progress=stop)
        folder = next((workspace.home / "sweeps").iterdir())
        kept = ChunkStore(folder).finished()
        assert kept == {0, 1}
        monkeypatch.setattr(ChunkStore, "save", _only_new(kept))
        whole = sweep(SmaCross, GRID, HISTORY, workspace=workspace)
        assert len(whole.table("cells")) == 36
        assert not folder.exists()
        assert whole.summary["best_sharpe"] == whole.table("cells")["sharpe"].max()


class TestRefusals:
    def test_nothing_is_computed_for_a_grid_without_cells_or_with_too_many(self, workspace):
        with pytest.raises(GridRefused, match="0 cells"):
            sweep(SmaCross, {"fast": []}, HISTORY, workspace=workspace)
        with pytest.raises(GridRefused, match="1,000,000,000 cells, more than 10,000,000"):
            sweep(SmaCross, {"fast": range(1, 31_251), "slow": range(1, 32_001)}, HISTORY, workspace=workspace)

    def test_a_misspelt_parameter_is_named(self, workspace):
        with pytest.raises(ParameterError, match="no parameter 'fats'"):
            sweep(SmaCross, {"fats": [1]}, HISTORY, workspace=workspace)


def _only_new(kept):
    save = ChunkStore.save

    def saved(self, number, frame):
        assert number not in kept, "a finished chunk was computed again"
        save(self, number, frame)

    return saved
