"""The commands of research: sweep, audit, questions in the background, the worker and its jobs, and warming up."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.opening import home_option, named, opened, settings_of, state_of, workspace_of
from workbench.cli.printing import show
from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.bench import Bench
    from workbench.study import Study

FAILED = 1
KINDS = ("backtest", "sweep", "walk_forward", "cross_validation", "optimize", "audit")


def _study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--symbols", help="Separated by commas [the 20 bundled stocks]."),
            click.option("--start", default="2013-01-02", show_default=True, help="First session evaluated."),
            click.option("--as-of", default="2022-06-30", show_default=True, help="Last session known."),
            click.option("--source", default="bundled", show_default=True, help="bundled or synthetic."),
            click.option("--seed", default=7, show_default=True, help="Seeds every random draw."),
            click.option("--fee", default=0.0, show_default=True, help="Fraction of traded value."),
            click.option("--slippage", default=0.0005, show_default=True, help="Fraction of the price."),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.option("--kind", "kinds", multiple=True, help="Only jobs of this kind (may be repeated).")
@click.option("--until-idle", is_flag=True, help="End when no job is left.")
@home_option
def worker(*, kinds: tuple[str, ...], until_idle: bool, home: Path | None) -> None:
    """Do the jobs of the queue, one after the other, until Ctrl-C.

    Several workers may share one queue; the first Ctrl-C lets the present job finish or gives it back.
    """
    from workbench.orchestration.worker_main import work

    with workspace_of(home) as (workspace, settings):
        click.echo(f"working on the queue of {workspace.home}; Ctrl-C ends it.")
        sys.stdout.flush()
        worked = work(workspace, kinds=kinds, until_idle=until_idle, compute=settings.compute, said=click.echo)
    click.echo(str(worked))


@click.command()
@click.argument("job_id", required=False)
@click.option("--cancel", is_flag=True, help="Ask the job JOB_ID to stop.")
@click.option("--status", help="Only queued, running, done, failed or cancelled ones.")
@click.option("--last", default=20, show_default=True, help="How many at most.")
@home_option
def jobs(*, job_id: str | None, cancel: bool, status: str | None, last: int, home: Path | None) -> None:
    """Show the newest jobs, or the job JOB_ID (its first digits are enough)."""
    from workbench.orchestration import job_list

    if cancel and job_id is None:
        raise click.UsageError("--cancel needs the JOB_ID.")
    with opened(home) as engine:
        if cancel and job_id is not None:
            click.echo(job_list.cancel(engine, job_id))
        elif job_id is not None:
            show(job_list.job(engine, job_id), empty="")
        else:
            frame, _ = job_list.jobs(engine, status=None if status is None else status.upper(), last=last)
            frame["job"] = frame["job"].str[:8]
            show(frame, empty="no job was enqueued.")


@click.command()
@click.argument("strategy")
@click.option(
    "-g", "axes", multiple=True, required=True, metavar="NAME=VALUES", help="5:45:1 (first:stop:step) or 5,10,20."
)
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter that does not vary.")
@_study_options
@home_option
def sweep(
    *, strategy: str, axes: tuple[str, ...], parameters: tuple[str, ...], home: Path | None, **question: Any
) -> None:
    """Evaluate STRATEGY over a grid: the plateau, what came after it out of sample, and whether it is luck."""
    grid = {name: _values(name, text) for name, text in named(axes).items()}
    bench, study = _bench(home), _study(question)
    begun = time.monotonic()

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            left = (time.monotonic() - begun) / max(done, 1) * (total - done)
            click.echo(f"\r{done:,} of {total:,} cells ({done / total:.0%}), {left:.0f} s left  ", nl=False, err=True)

    run = bench.sweep(strategy, grid, study, costs=_costs(question), fixed=_parameters(parameters), progress=progress)
    if sys.stderr.isatty():
        click.echo(err=True)
    click.echo(repr(run))
    for note in run.provenance["notes"]:
        click.echo(f"note: {note}")
    click.echo("\nis it luck?")
    luck = run.table("luck")
    for name in ("psr", "dsr", "pbo", "spa_consistent"):
        click.echo(f"  {luck['meaning'][name]}")
    click.echo(f"\nkept as run {run.id} in {bench.workspace.artifacts / run.id}")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("strategy")
@click.option(
    "-g", "axes", multiple=True, metavar="NAME=VALUES", help="Of a grid: 5:45:1 (first:stop:step) or 5,10,20."
)
@click.option(
    "-s", "ranges", multiple=True, metavar="NAME=RANGE", help="Of a search: 5:60 (first:last[:step|:log]) or 5,10,20."
)
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter that does not vary.")
@click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help="What else the kind can be asked for.")
@click.option("--detach", is_flag=True, help="Return at once; `workbench jobs` shows how far it is.")
@_study_options
@home_option
def submit(
    *,
    kind: str,
    strategy: str,
    axes: tuple[str, ...],
    ranges: tuple[str, ...],
    parameters: tuple[str, ...],
    options: tuple[str, ...],
    detach: bool,
    home: Path | None,
    **question: Any,
) -> None:
    """Ask for a KIND of job about STRATEGY in the background; a worker is started when none is there.

    Ctrl-C ends the watching, not the job. A job that was killed goes on where it was; the same question asked again
    is answered from the store.
    """
    from workbench.backtest.job_question import JobQuestion
    from workbench.orchestration.background import submit as submitted

    bench = _bench(home)
    asked = submitted(
        bench.workspace,
        JobQuestion.of(
            kind,
            strategy,
            _study(question),
            params=_parameters(parameters),
            grid={name: _values(name, text) for name, text in named(axes).items()} or None,
            space={name: _range(name, text) for name, text in named(ranges).items()} or None,
            costs=_costs(question),
            options=_parameters(options),
        ),
        compute=bench.settings.compute,
    )
    click.echo(f"job {asked.id[:8]} · {asked.job.title}")
    if detach:
        return
    asked.watch()
    run = asked.wait()
    click.echo(repr(run))
    for note in run.provenance.get("notes", ()):
        click.echo(f"note: {note}")
    click.echo(f"\nkept as run {run.id} in {bench.workspace.artifacts / run.id}")


@click.group()
def audit() -> None:
    """Look for look-ahead and fragility."""


@audit.command()
@click.argument("name")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy.")
@_study_options
@home_option
def strategy(*, name: str, parameters: tuple[str, ...], home: Path | None, **question: Any) -> None:
    """Audit the strategy NAME; the last line printed is the path of the verdict page.

    Redrawn futures, shorter warm-ups, delay, costs, best trades, symbols. Ends with 1 when a check fails.
    """
    from workbench.backtest.audit.auditing import checks_of, verdict_of
    from workbench.backtest.audit.check import FAIL
    from workbench.orchestration.audits import audit_strategy

    bench, study = _bench(home), _study(question)
    run, page = audit_strategy(name, named(parameters), study, bench.workspace, bench.load, costs=_costs(question))
    click.echo(f"{run.title} · {run.study.line}\n{run.label}")
    colours = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}
    for check in checks_of(run):
        click.echo(
            f"{click.style(check.verdict, fg=colours[check.verdict], bold=True)}  {check.name}: {check.headline}"
        )
    click.echo(page)
    if verdict_of(run) == FAIL:
        raise click.exceptions.Exit(FAILED)


@click.command()
def warmup() -> None:
    """Compile every kernel and keep it on disk, so that the first sweep does not wait for the compiler."""
    from workbench.backtest.sweep.warmup import warm_up

    for name, seconds in warm_up().items():
        click.echo(f"{seconds:6.1f} s  {name}")


COMMANDS = (sweep, audit, submit, worker, jobs, warmup)


def _bench(home: Path | None) -> Bench:
    from workbench.bench import open_bench

    settings_of(home)
    return open_bench(home=state_of(home))


def _study(question: dict[str, Any]) -> Study:
    from workbench.data.sources.bundled import STOCKS
    from workbench.study import Study

    symbols = question["symbols"]
    return Study.of(
        list(STOCKS) if symbols is None else symbols.split(","),
        start=question["start"],
        as_of=question["as_of"],
        source=question["source"],
        seed=question["seed"],
    )


def _costs(question: dict[str, Any]) -> Any:
    from workbench.backtest.costs import Costs

    return Costs(fee=question["fee"], slippage=question["slippage"])


def _parameters(texts: tuple[str, ...]) -> dict[str, Any]:
    """Values as Python where they read as such, else as text; the strategy's own schema judges them."""
    return {name: _read(text) for name, text in named(texts).items()}


def _values(name: str, text: str) -> list[Any]:
    """`5:45:1` as a range with its stop excluded, `5,10,20` as a list."""
    if ":" in text:
        try:
            return list(range(*(int(part) for part in text.split(":"))))
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"-g {name}={text}: a range is first:stop or first:stop:step in whole numbers; nothing was computed.",
                remedy="write e.g. -g fast=5:45:1, or -g fast=5,10,20.",
            ) from error
    return [_read(part) for part in text.split(",")]


def _range(name: str, text: str) -> Any:
    """`5:60`, `5:60:5` and `0.01:1:log` as ranges with both ends, `5,10,20` as a list."""
    if ":" not in text:
        return [_read(part) for part in text.split(",")]
    parts = tuple(_read(part) for part in text.split(":"))
    if len(parts) > 3 or any(isinstance(part, str) for part in parts if part != "log"):
        raise ParameterError(
            f"-s {name}={text}: a range is first:last, first:last:step or first:last:log; nothing was computed.",
            remedy="write e.g. -s fast=5:60, or -s fast=5,10,20.",
        )
    return parts


def _read(text: str) -> Any:
    import ast

    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
