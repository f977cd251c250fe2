"""Sampling: cells asked from optuna one after the other, weighed on growing parts of the sessions, and written down."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.optimize.journal import STUDY, open_journal, quiet
from workbench.backtest.sweep.evaluate import METRICS

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.study import Study as OptunaStudy
    from optuna.trial import Trial

    from workbench.backtest.optimize.space import Space

# Random cells do not wait for each other's answers; TPE learns from every one.
BATCH = {"random": 32, "tpe": 1}
# Of the sessions searched: a trial that is below the median of the finished ones there goes no further.
RUNGS = (0.25, 0.5)
# Trials that are finished before anything is pruned.
STARTUP = 10
# Draws per trial wished for, before a search ends because it keeps meeting the same or refused cells.
PATIENCE = 20

# Metrics and objective of cells on the first `share` of the sessions searched.
Weigh = Callable[[pd.DataFrame, float], tuple[pd.DataFrame, np.ndarray]]


@dataclass(slots=True)
class Found:
    """What is known of one cell.

    Attributes:
        cell: the parameters.
        state: `done`, `pruned` or `failed`.
        objective: NaN unless done.
        share: of the sessions searched that it was evaluated on.
        so_far: the objective there.
        error: why it failed.
        metrics: on that share; NaN where undefined.
    """

    cell: tuple[Any, ...]
    state: str = "failed"
    objective: float = math.nan
    share: float = 0.0
    so_far: float = math.nan
    error: str = ""
    metrics: dict[str, float] = field(default_factory=dict)

    def row(self, names: tuple[str, ...], origin: str) -> dict[str, Any]:
        """As a row of the table of trials."""
        return {
            **dict(zip(names, self.cell, strict=True)),
            "objective": self.objective,
            "state": self.state,
            "origin": origin,
            "share": self.share,
            "so_far": self.so_far,
            **{name: self.metrics.get(name, math.nan) for name in METRICS},
            "error": self.error,
        }

    def note(self) -> str:
        """As the text that is kept with the trial; exact, since JSON keeps every digit of a float64."""
        plain = {name: None if math.isnan(value) else value for name, value in self.metrics.items()}
        kept = [self.state, _or_none(self.objective), self.share, _or_none(self.so_far), self.error, plain]
        return json.dumps(kept, allow_nan=False)

    @classmethod
    def read(cls, cell: tuple[Any, ...], note: str) -> Found:
        """What `note` wrote."""
        state, objective, share, so_far, error, plain = json.loads(note)
        known = {name: math.nan if value is None else value for name, value in plain.items()}
        return cls(cell, state, _or_nan(objective), share, _or_nan(so_far), error, known)


def sample(
    space: Space,
    weigh: Weigh,
    *,
    method: str,
    trials: int,
    seed: int,
    pruning: bool,
    path: Path | None,
    resume: bool,
    sessions: int,
    progress: Callable[[int, int], None] | None,
    patient: bool = False,
) -> list[Found]:
    """Search until `trials` different cells were evaluated; refused cells are not counted, repeats are not evaluated.

    A journal that holds more, because more were asked for before, gives the first ones. Every draw is seeded by `seed`
    and the trial's number and sees finished trials only, so a search that was killed and resumed ends with the same
    trials as one that was not.

    Args:
        weigh: evaluates cells.
        path: the journal; None keeps nothing.
        resume: False: begin anew, the old journal is deleted.
        sessions: how many `weigh` has at share 1: a rung needs 21.
        patient: wait for another process that is searching with this journal instead of an error.
    """
    known: dict[tuple[Any, ...], Found] = {}
    with quiet(), open_journal(path, anew=not resume, patient=patient) as storage:
        import optuna

        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP) if pruning else optuna.pruners.NopPruner()
        study = optuna.create_study(
            storage=storage, study_name=STUDY, direction="maximize", load_if_exists=True, pruner=pruner
        )
        waiting = _read(study, space, known, method, seed)
        rungs = [share for share in RUNGS if pruning and share * sessions >= 21]
        while not _enough(known, trials, space, len(study.get_trials(deepcopy=False)) - len(waiting)):
            if progress is not None:
                progress(min(_counted(known), trials), trials)
            batch = waiting or [_ask(study, space, method, seed)]
            waiting = []
            missing = trials - _counted(known)
            while (batch[-1][0].number + 1) % BATCH[method] and len({cell for _, cell in batch} - set(known)) < missing:
                batch.append(_ask(study, space, method, seed))
            _answer(batch, known, weigh, space, rungs)
    if progress is not None:
        progress(min(_counted(known), trials), trials)
    return _first(list(known.values()), trials)


def _first(found: list[Found], trials: int) -> list[Found]:
    """The cells up to the one with which `trials` were counted: what was tried after it was another wish."""
    counted = np.cumsum([one.state != "failed" for one in found])
    return found[: int(np.searchsorted(counted, trials)) + 1]


def _counted(known: dict[tuple[Any, ...], Found]) -> int:
    return sum(found.state != "failed" for found in known.values())


def _enough(known: dict[tuple[Any, ...], Found], trials: int, space: Space, asked: int) -> bool:
    return _counted(known) >= trials or len(known) == space.size or asked >= PATIENCE * trials + 100


def _sampler(method: str, seed: int, number: int) -> Any:
    import optuna

    drawn = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if method == "random":
        return optuna.samplers.RandomSampler(seed=drawn)
    return optuna.samplers.TPESampler(seed=drawn, n_startup_trials=STARTUP)


def _ask(study: OptunaStudy, space: Space, method: str, seed: int) -> tuple[Trial, tuple[Any, ...]]:
    study.sampler = _sampler(method, seed, len(study.get_trials(deepcopy=False)))
    trial = study.ask()
    return trial, space.suggest(trial)


def _read(
    study: OptunaStudy, space: Space, known: dict[tuple[Any, ...], Found], method: str, seed: int
) -> list[tuple[Trial, tuple[Any, ...]]]:
    """Fill `known` from the stored trials, and return those that were under way when the search was killed."""
    from optuna.trial import Trial, TrialState

    waiting = []
    for stored in study.get_trials(deepcopy=False):
        if stored.state is TrialState.RUNNING:
            study.sampler = _sampler(method, seed, stored.number)
            trial = Trial(study, stored._trial_id)  # noqa: SLF001 - optuna has no other way back into a trial
            waiting.append((trial, space.suggest(trial)))
        elif "cell" in stored.user_attrs:
            cell = _typed(space, stored.user_attrs["cell"])
            known.setdefault(cell, Found.read(cell, stored.user_attrs["note"]))
    return waiting


def _answer(
    batch: list[tuple[Trial, tuple[Any, ...]]],
    known: dict[tuple[Any, ...], Found],
    weigh: Weigh,
    space: Space,
    rungs: list[float],
) -> None:
    """Evaluate the new cells of a batch, write all answers down, and only then tell optuna.

    In this order, because a trial that optuna was told about takes part in the pruning of the rest.
    """
    from optuna.trial import TrialState

    fresh: dict[tuple[Any, ...], Trial] = {}
    for trial, cell in batch:
        if "note" in trial.user_attrs:
            known.setdefault(cell, Found.read(cell, trial.user_attrs["note"]))
        elif cell not in known:
            fresh.setdefault(cell, trial)
    known |= _evaluated(fresh, weigh, space, rungs)
    for trial, cell in batch:
        if "note" not in trial.user_attrs:
            trial.set_user_attr("cell", _places(space, cell))
            trial.set_user_attr("note", known[cell].note())
    for trial, cell in batch:
        found = known[cell]
        if found.state == "done" and not math.isnan(found.objective):
            trial.study.tell(trial, found.objective)
        else:  # the sampler takes a pruned trial for a bad one, and would come back to a failed one
            trial.study.tell(trial, state=TrialState.PRUNED)


def _evaluated(
    fresh: dict[tuple[Any, ...], Trial], weigh: Weigh, space: Space, rungs: list[float]
) -> dict[tuple[Any, ...], Found]:
    answers = {cell: Found(cell) for cell in fresh}
    alive = list(fresh)
    for step, share in enumerate([*rungs, 1.0]):
        if not alive:
            break
        frame, scores = weigh(space.frame(alive), share)
        going = []
        for place, cell in enumerate(alive):
            found, score, trial = answers[cell], float(scores[place]), fresh[cell]
            found.error = str(frame["error"].iloc[place])
            found.share, found.so_far = share, score
            found.metrics = {name: float(frame[name].iloc[place]) for name in METRICS}
            if found.error:
                found.state = "failed"
            elif share == 1.0:
                found.state, found.objective = "done", score
            elif math.isnan(score):
                going.append(cell)  # nothing traded yet: unknown, and not bad
            else:
                if step not in trial.storage.get_trial(trial._trial_id).intermediate_values:  # noqa: SLF001 - see _read
                    trial.report(score, step)
                if trial.should_prune():
                    found.state = "pruned"
                else:
                    going.append(cell)
        alive = going
    return answers


def _places(space: Space, cell: tuple[Any, ...]) -> list[Any]:
    """A cell as plain JSON values: listed values by their place, since a value may be anything."""
    return [
        dimension.choices.index(value) if dimension.choices else value
        for dimension, value in zip(space.dimensions, cell, strict=True)
    ]


def _typed(space: Space, places: list[Any]) -> tuple[Any, ...]:
    return tuple(
        dimension.choices[value] if dimension.choices else value
        for dimension, value in zip(space.dimensions, places, strict=True)
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
