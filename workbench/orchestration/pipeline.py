"""Pipeline: which notebooks, in which order, with which parameters; read from YAML and checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import ParameterError, PipelineInvalid
from workbench.orchestration.parameters import NotebookParameters, did_you_mean
from workbench.orchestration.yaml_marks import Marked, Problem, read_marked

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class StepEntry(BaseModel):
    """One step as it is written in the file."""

    model_config = _STRICT

    name: _Name
    notebook: str
    parameters: dict[str, Any] = {}
    needs: list[str] = []
    outputs: list[str] = []
    timeout_s: Annotated[float, Field(gt=0)] = 900.0
    report: bool = False


class PipelineFile(BaseModel):
    """A pipeline as it is written in the file."""

    model_config = _STRICT

    name: _Name
    description: str = ""
    venue: str = "XNYS"
    hosts: list[Literal["exchange"]] = []
    parameters: dict[str, Any] = {}
    steps: Annotated[list[StepEntry], Field(min_length=1)]


@dataclass(frozen=True)
class Step:
    """One notebook of a pipeline.

    Attributes:
        name: also the name of the executed file.
        notebook: the file and what it may be asked with.
        parameters: values for this notebook only; they win over the shared ones.
        needs: names of the steps that must be done before.
        outputs: names the notebook must record, see `workbench.orchestration.outputs.record`.
        timeout_s: seconds the whole notebook may take.
        report: whether the run ends with a page made from this notebook, see `workbench.orchestration.pages`.
    """

    name: str
    notebook: NotebookParameters
    parameters: dict[str, Any]
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    timeout_s: float
    report: bool


@dataclass(frozen=True)
class Pipeline:
    """A pipeline found valid, with the notebooks it names.

    Attributes:
        name: equals the file's stem.
        hosts: what runs for the pipeline's own duration unless this machine's settings name one: `exchange`.
        parameters: shared by all notebooks; each of them knows every one.
        steps: in an order that respects `needs`, else as written.
        path: the file.
    """

    name: str
    description: str
    venue: str
    hosts: tuple[str, ...]
    parameters: dict[str, Any]
    steps: tuple[Step, ...]
    path: Path

    @classmethod
    def load(cls, path: Path, *, root: Path | None = None) -> Pipeline:
        """Read and check a pipeline file; nothing is executed.

        Args:
            path: the YAML file.
            root: the folder that notebook paths start from; when None, the one that holds the file's `pipelines/`.

        Raises:
            PipelineInvalid: the file is wrong; every problem is listed with its line and field.
        """
        base = root or (path.parent.parent if path.parent.name == "pipelines" else path.parent)
        marked = read_marked(path)
        problems = list(marked.problems)
        written = _validated(marked, problems)
        if written is None:
            raise _invalid(path, problems)
        if written.name != path.stem:
            problems.append(marked.problem(("name",), f"{written.name!r} differs from the file's name {path.stem!r}"))
        order = _ordered(written, marked, problems)
        notebooks = _notebooks(written, base, marked, problems)
        _check_parameters(written, notebooks, marked, problems)
        if problems:
            raise _invalid(path, problems)
        return cls(
            name=written.name,
            description=written.description,
            venue=written.venue,
            hosts=tuple(written.hosts),
            parameters=dict(written.parameters),
            steps=tuple(_step(written.steps[index], notebooks[index]) for index in order),
            path=path,
        )


def _step(entry: StepEntry, notebook: NotebookParameters) -> Step:
    return Step(
        name=entry.name,
        notebook=notebook,
        parameters=dict(entry.parameters),
        needs=tuple(dict.fromkeys(entry.needs)),
        outputs=tuple(dict.fromkeys(entry.outputs)),
        timeout_s=entry.timeout_s,
        report=entry.report,
    )


def _validated(marked: Marked, problems: list[Problem]) -> PipelineFile | None:
    if not isinstance(marked.content, dict):
        if not problems:
            problems.append(marked.problem((), "a pipeline is a mapping with name and steps"))
        return None
    try:
        return PipelineFile.model_validate(marked.content)
    except ValidationError as error:
        for row in error.errors(include_url=False):
            where = row["loc"]
            if row["type"] == "extra_forbidden":
                known = PipelineFile if len(where) == 1 else StepEntry
                said = f"unknown key ({did_you_mean(str(where[-1]), known.model_fields)})"
            elif row["type"] == "missing":
                said = "is missing"
            else:
                said = f"{row['input']!r}: {row['msg'][:1].lower()}{row['msg'][1:]}"
            problems.append(marked.problem(where, said))
        return None


def _ordered(written: PipelineFile, marked: Marked, problems: list[Problem]) -> list[int]:
    """Indices of the steps in dependency order, as written where that is free; problems for what has no order."""
    names = [step.name for step in written.steps]
    for index, name in enumerate(names):
        if name in names[:index]:
            problems.append(marked.problem(("steps", index, "name"), f"duplicate step {name!r}"))
    reports = [index for index, step in enumerate(written.steps) if step.report]
    problems.extend(
        marked.problem(("steps", index, "report"), "a second step with report: true; a run ends with one page")
        for index in reports[1:]
    )
    for index, step in enumerate(written.steps):
        for position, needed in enumerate(step.needs):
            if needed not in names:
                said = f"needs the unknown step {needed!r} ({did_you_mean(needed, names)})"
                problems.append(marked.problem(("steps", index, "needs", position), said))
    order: list[int] = []
    waiting = list(range(len(names)))
    while waiting:
        done = {names[index] for index in order}
        ready = [i for i in waiting if all(needed in done or needed not in names for needed in written.steps[i].needs)]
        if not ready:
            cycle = _cycle(written, waiting)
            where = ("steps", names.index(cycle[0]), "needs")
            problems.append(marked.problem(where, f"steps wait for each other: {' → '.join(cycle)}"))
            break
        order.append(ready[0])
        waiting.remove(ready[0])
    return order


def _cycle(written: PipelineFile, waiting: list[int]) -> list[str]:
    """Follow `needs` among the waiting steps until a name repeats: `[a, b, a]`."""
    needs = {written.steps[index].name: written.steps[index].needs for index in waiting}
    trail = [written.steps[waiting[0]].name]
    while trail.count(trail[-1]) == 1:
        trail.append(next(needed for needed in needs[trail[-1]] if needed in needs))
    return trail[trail.index(trail[-1]) :]


def _notebooks(
    written: PipelineFile, root: Path, marked: Marked, problems: list[Problem]
) -> dict[int, NotebookParameters]:
    found: dict[int, NotebookParameters] = {}
    for index, step in enumerate(written.steps):
        path = (root / step.notebook).resolve()
        where = ("steps", index, "notebook")
        if not path.is_file():
            beside = [str(Path(step.notebook).with_name(other.name)) for other in sorted(path.parent.glob("*.ipynb"))]
            said = f"no notebook {step.notebook} in {root} ({did_you_mean(step.notebook, beside)})"
            problems.append(marked.problem(where, said))
            continue
        try:
            found[index] = NotebookParameters.of(path)
        except ParameterError as error:
            problems.append(marked.problem(where, error.message))
    return found


def _check_parameters(
    written: PipelineFile, notebooks: dict[int, NotebookParameters], marked: Marked, problems: list[Problem]
) -> None:
    """Names and types of all parameters.

    A shared one must be known to every notebook: one that ignored it would silently answer another question.
    """
    for index, notebook in notebooks.items():
        own = written.steps[index].parameters
        for name, said in notebook.problems({**written.parameters, **own}).items():
            if name in own:
                problems.append(marked.problem(("steps", index, "parameters", name), said))
            elif name in written.parameters:
                problems.append(marked.problem(("parameters", name), said))


def _invalid(path: Path, problems: list[Problem]) -> PipelineInvalid:
    rows = sorted(problems, key=lambda problem: problem.line)
    count = "1 problem" if len(rows) == 1 else f"{len(rows)} problems"
    listed = "".join(f"\n  {path.name}, line {row.line}, {row.field}: {row.said}" for row in rows)
    return PipelineInvalid(
        f"{path} is no valid pipeline ({count}); nothing was run.{listed}",
        remedy=f"correct {'this line' if len(rows) == 1 else 'these lines'} and run again.",
        problems=[{"line": row.line, "field": row.field, "said": row.said} for row in rows],
    )
