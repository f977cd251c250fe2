"""Plan: one pipeline for one session with every parameter in force, and the hashes that say whether it ran already."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench import sessions
from workbench.errors import ParameterError, PipelineError, StudyError
from workbench.orchestration.parameters import did_you_mean
from workbench.store.code import code_seal
from workbench.study import Study, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.orchestration.pipeline import Pipeline, Step


@dataclass(frozen=True)
class PlannedStep:
    """A step with all its parameters, defaults included, as plain JSON values.

    Attributes:
        key: sha256 over notebook, parameters and the keys of what it needs; an equal key is a reusable step.
    """

    step: Step
    parameters: dict[str, Any]
    key: str

    @property
    def name(self) -> str:
        """The step's name."""
        return self.step.name


@dataclass(frozen=True)
class Plan:
    """What exactly will run.

    Attributes:
        session: the session the run belongs to, `2015-06-30`.
        as_of: the moment as the notebooks are given it: the session's date, or the moment asked for.
        overrides: parameters that were given for this run only.
        config_hash: sha256 over pipeline, parameters, notebooks and our own source code.
    """

    pipeline: Pipeline
    session: str
    as_of: str
    steps: tuple[PlannedStep, ...]
    overrides: dict[str, Any]
    config_hash: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of all steps by name; where steps differ, the first one's."""
        return {name: value for step in reversed(self.steps) for name, value in step.parameters.items()}

    @classmethod
    def of(
        cls,
        pipeline: Pipeline,
        *,
        as_of: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> Plan:
        """Work out a run; nothing is executed and nothing is stored.

        Args:
            pipeline: what to run.
            as_of: a session's date, or a moment with its timezone; the pipeline's own when None.
            parameters: values for this run only; `name` for every notebook that knows it, `step.name` for one.
            texts: the same as they were typed on a command line; lists as `AAPL,MSFT`.

        Raises:
            ParameterError: a name is unknown or a value does not fit.
            PipelineError: no `as_of` was given, here or in the file.
            StudyError: `as_of` is no session, or the parameters make no question that can be asked.
        """
        given = {**_from_texts(pipeline, texts or {}), **(parameters or {})}
        if as_of is not None:
            given["as_of"] = as_of
        for name in given:
            _targets(pipeline, name)
        moment = given.get("as_of", pipeline.parameters.get("as_of"))
        if moment is None:
            raise PipelineError(
                f"pipeline {pipeline.name!r} has no as_of and none was given; nothing was run.",
                remedy="say for which session, e.g. --as-of 2015-06-30.",
            )
        session = _session(pipeline.venue, moment)
        values = _checked(pipeline, [_values(pipeline, step, given) for step in pipeline.steps])
        planned: dict[str, PlannedStep] = {}
        code = code_seal()  # edited code gives another answer, so another run
        for step, chosen in zip(pipeline.steps, values, strict=True):
            upstream = [planned[needed].key for needed in step.needs]
            key = digest([code, step.notebook.source_hash, chosen, sorted(upstream), list(step.outputs)])
            planned[step.name] = PlannedStep(step, chosen, key)
        shape = [[step.name, list(step.needs), step.report, planned[step.name].key] for step in pipeline.steps]
        return cls(
            pipeline=pipeline,
            session=str(session.date()),
            as_of=str(moment),
            steps=tuple(planned.values()),
            overrides=given,
            config_hash=digest([pipeline.name, pipeline.venue, code, shape]),
        )


def _from_texts(pipeline: Pipeline, texts: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, text in texts.items():
        step, bare = _targets(pipeline, name)[0]
        given[name] = step.notebook.from_text(bare, text)
    return given


def _targets(pipeline: Pipeline, name: str) -> list[tuple[Step, str]]:
    """The steps an override reaches, with the parameter's bare name."""
    steps = {step.name: step for step in pipeline.steps}
    owner, _, bare = name.partition(".")
    if bare:
        if owner not in steps:
            raise ParameterError(
                f"{name!r}: pipeline {pipeline.name!r} has no step {owner!r}; nothing was run.",
                remedy=f"{did_you_mean(owner, steps)}.",
            )
        found = [steps[owner]] if bare in steps[owner].notebook.names else []
        known = list(steps[owner].notebook.names)
    else:
        bare = name
        found = [step for step in pipeline.steps if name in step.notebook.names]
        known = list(dict.fromkeys(each for step in pipeline.steps for each in step.notebook.names))
    if not found:
        where = f"step {owner!r}" if "." in name else f"any notebook of pipeline {pipeline.name!r}"
        raise ParameterError(
            f"{bare!r} is not a parameter of {where}; nothing was run.", remedy=f"{did_you_mean(bare, known)}."
        )
    return [(step, bare) for step in found]


def _values(pipeline: Pipeline, step: Step, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is passed to one notebook: shared values, the step's own, this run's, the nearer one winning."""
    for_all = {name: value for name, value in given.items() if name in step.notebook.names}
    for_this = {
        name.partition(".")[2]: value
        for name, value in given.items()
        if name.partition(".")[0] == step.name and "." in name
    }
    return {**pipeline.parameters, **step.parameters, **for_all, **for_this}


def _checked(pipeline: Pipeline, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All values of all steps, defaults filled in; wrong ones and impossible questions are refused."""
    pairs = list(zip(pipeline.steps, values, strict=True))
    said = [message for step, chosen in pairs for message in step.notebook.problems(chosen).values()]
    if said:
        raise ParameterError(
            f"pipeline {pipeline.name!r} cannot be asked so: {'; '.join(said)}. Nothing was run.",
            remedy="correct these parameters.",
        )
    checked = [step.notebook.checked(chosen) for step, chosen in pairs]
    fields = {field.name for field in dataclasses.fields(Study)}
    for chosen in checked:
        question = {name: value for name, value in chosen.items() if name in fields}
        if {"symbols", "start", "as_of"} <= set(question):
            Study.of(**{"venue": pipeline.venue, **question})
    return checked


def _session(venue: str, as_of: Any) -> pd.Timestamp:
    try:
        moment = pd.Timestamp(as_of)
    except (ValueError, TypeError) as error:
        raise StudyError(
            f"as_of={as_of!r} is neither a date nor a moment; nothing was run.",
            remedy="write '2015-06-30' or '2015-06-30T20:00Z'.",
        ) from error
    if pd.isna(moment) or (moment.tzinfo is None and moment != moment.normalize()):
        wrong = "is empty" if pd.isna(moment) else "has a time of day but no timezone"
        raise StudyError(
            f"as_of={as_of!r} {wrong}; nothing was run.",
            remedy="write '2015-06-30' for that session's close, or '2015-06-30T20:00Z'.",
        )
    if moment.tzinfo is not None:
        return sessions.session_of(venue, moment)
    sessions.closes(venue, moment)  # refuses a day without trading, naming its neighbours
    return moment.normalize()
