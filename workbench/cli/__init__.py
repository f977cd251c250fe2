"""The terminal: parse, call, print. Every heavy import waits inside its command, so that `--help` answers at once."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import bots, facts, research, trading
from workbench.cli.opening import home_option, named, opened, project_option, settings_of, state_of
from workbench.cli.printing import show
from workbench.errors import PipelineError, WorkbenchError

if TYPE_CHECKING:
    from workbench.orchestration.runner import RunSummary

INTERRUPTED = 130


class _Commands(click.Group):
    """Says what is wrong and what to do, without a traceback; `--debug` shows it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("interrupted; what was finished is kept.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:  # `workbench orders | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(1)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            if isinstance(error, WorkbenchError):
                click.echo(str(error), err=True)
            else:
                click.echo(f"{type(error).__name__}: {error}\nWhat to do: `workbench --debug …` shows where.", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="workbench", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def main(*, debug: bool) -> None:  # noqa: ARG001 - read in `_Commands.invoke`
    """A quant workbench: data, backtest, arena and execution, driven from notebooks."""
    # jsonschema (reached by papermill) spends a second building grammars for a format that no schema of Jupyter uses;
    # it goes without when the import fails.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None means: must not be imported


@main.command()
@click.argument("pipeline")
@click.option("--as-of", help="Session to run for, e.g. 2015-06-30 [the pipeline's own].")
@click.option("--from", "start", help="First session of a backfill.")
@click.option("--to", "end", help="Last session of a backfill.")
@click.option(
    "-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter; STEP.NAME=VALUE for one notebook."
)
@click.option("--resume", is_flag=True, help="Reuse the finished steps of the run that failed.")
@click.option("--again", is_flag=True, help="Run even though the same was run already.")
@home_option
@project_option
def run(
    *,
    pipeline: str,
    as_of: str | None,
    start: str | None,
    end: str | None,
    parameters: tuple[str, ...],
    resume: bool,
    again: bool,
    home: Path | None,
    project: Path | None,
) -> None:
    """Run a PIPELINE; the last line printed is the path of its report.

    The same question is not run twice: the report of the finished run is named instead.
    """
    if (start is None) != (end is None):
        raise click.UsageError("a backfill needs both --from and --to.")
    if start is not None and as_of is not None:
        raise click.UsageError("--as-of is one session and --from/--to are many; give one of the two.")
    texts = named(parameters)

    from workbench.orchestration import runner
    from workbench.orchestration.hosting import embedded_exchange
    from workbench.orchestration.pipeline import Pipeline
    from workbench.orchestration.progress import progress_on
    from workbench.orchestration.project import Project
    from workbench.store.workspace import Workspace

    found = Project.find(project)
    asked = Pipeline.load(found.pipeline_file(pipeline), root=found.root)
    settings = settings_of(home)
    workspace = Workspace.open(
        found.home(settings.home), database_url=settings.database_url, vintages_url=settings.vintages_url
    )
    embeds = "exchange" in asked.hosts and settings.broker == "local" and not settings.exchange_url
    options: dict[str, Any] = {
        "workspace": workspace,
        "texts": texts,
        "resume": resume,
        "again": again,
        "hosting": embedded_exchange(workspace) if embeds else None,
        "progress": progress_on(sys.stdout),
    }
    # A scheduler ends a job with SIGTERM; the run must end as CANCELLED then, as it does after Ctrl-C.
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        if start is None:
            summaries = [runner.run(asked, as_of=as_of, **options)]
        else:
            summaries = runner.backfill(asked, start=start, end=end, **options)
    finally:
        signal.signal(signal.SIGTERM, before)
        workspace.close()
    for summary in summaries:
        click.echo(_in_short(summary))
    click.echo(summaries[-1].report or summaries[-1].folder)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("jupyter", nargs=-1, type=click.UNPROCESSED)
@home_option
@project_option
def lab(*, jupyter: tuple[str, ...], home: Path | None, project: Path | None) -> None:
    """Open JupyterLab on the notebooks; further options are Jupyter's own, e.g. --no-browser."""
    from workbench.lab.launch import command, environment
    from workbench.orchestration.project import Project

    found = Project.find(project)
    if not found.notebooks.is_dir():
        raise PipelineError(f"{found.notebooks} does not exist.", remedy="check out the whole project.")
    state = found.home(settings_of(home).home)
    click.echo(f"JupyterLab on {found.notebooks}, state in {state}")
    sys.stdout.flush()
    os.execve(sys.executable, command(found.notebooks, jupyter), environment(state, os.environ))  # noqa: S606 - no shell


@main.command()
@click.option("--port", default=0, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--source", default="bundled", show_default=True, help="Source of prices: bundled or synthetic.")
@click.option("--seed", default=7, show_default=True, help="Seed of a synthetic source.")
@click.option("--timeframe", default="1d", show_default=True, help="Bars it steps by: 1d, 1h, 15m, 5m or 1m.")
@click.option("--rate-limit", default=0, show_default=True, help="Requests per minute and key; 0 is off.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds for which a replace or cancel travels.")
@click.option("--fault", "faults", multiple=True, metavar="TEXT", help="A bad day, e.g. 504-after-accept:0.1, hang:2x.")
@click.option("--stop", is_flag=True, help="Stop those that are running.")
@home_option
def exchange(
    *,
    port: int,
    source: str,
    seed: int,
    timeframe: str,
    rate_limit: int,
    latency: float,
    faults: tuple[str, ...],
    stop: bool,
    home: Path | None,
) -> None:
    """Run the local exchange, which speaks Alpaca's protocol, until Ctrl-C.

    With --fault it has a bad day; where one runs already, the faults are switched on there.
    """
    from workbench.exchange import embedded
    from workbench.orchestration.hosting import exchange_folder

    folder = exchange_folder(state_of(home))
    if stop:
        click.echo(f"{embedded.stop(folder)} stopped." if folder.exists() else "none was running.")
        return
    running = embedded.running(folder, source=source, seed=seed, timeframe=timeframe)
    if running is not None:
        click.echo(f"already running at {running.url} (process {running.pid}); --stop ends it.")
        for fault in faults:
            embedded.add_fault(running.url, text=fault)
            click.echo(f"from now on: {fault}")
        return
    from workbench.exchange.__main__ import main as serve
    from workbench.exchange.embedded import stem_of

    folder.mkdir(parents=True, exist_ok=True)
    address = folder / f"{stem_of(source, seed, timeframe)}.json"
    address.unlink(missing_ok=True)
    click.echo(f"the address is written to {address} once it listens; Ctrl-C ends it.")
    arguments = ["--port", str(port), "--db", str(address.with_suffix(".db")), "--ready-file", str(address)]
    arguments += ["--source", source, "--seed", str(seed), "--timeframe", timeframe, "--rate-limit", str(rate_limit)]
    arguments += ["--latency", str(latency)]
    code = serve([*arguments, *(part for fault in faults for part in ("--fault", fault))])
    if code:
        raise click.exceptions.Exit(code)


@main.command()
@home_option
@project_option
def doctor(*, home: Path | None, project: Path | None) -> None:
    """Check this machine, and say how to fix what is not well."""
    from workbench.errors import SettingsError
    from workbench.orchestration.health import Finding, Health, examine
    from workbench.orchestration.project import Project

    marks = {Health.OK: ("✔", "green"), Health.WARN: ("!", "yellow"), Health.FAIL: ("✘", "red")}
    failed = False

    def say(finding: Finding) -> None:
        mark, colour = marks[finding.health]
        click.echo(f"{click.style(mark, fg=colour, bold=True)} {finding.name:<10} {finding.found}")
        if finding.fix:
            click.echo(f"             fix: {finding.fix}")

    place: Project | None = None
    try:
        place = Project.find(project)
    except PipelineError as error:
        click.echo(error.message, err=True)
    try:
        settings = settings_of(home)
    except SettingsError as error:
        say(Finding("settings", Health.FAIL, error.message, error.remedy))
        raise click.exceptions.Exit(1) from None
    state = place.home(settings.home) if place else settings.resolved_home
    for finding in examine(settings, place, state):
        say(finding)
        failed = failed or finding.health is Health.FAIL
    if failed:
        raise click.exceptions.Exit(1)


@main.command()
@click.argument("run_id", required=False)
@click.option("--pipeline", help="Only of this pipeline.")
@click.option("--session", help="Only for this session, e.g. 2015-06-30.")
@click.option("--last", default=20, show_default=True, help="How many at most.")
@home_option
def runs(*, run_id: str | None, pipeline: str | None, session: str | None, last: int, home: Path | None) -> None:
    """Show the newest runs of pipelines, or the steps of the run RUN_ID (its first digits are enough)."""
    from workbench.orchestration import history

    with opened(home) as engine:
        if run_id is not None:
            show(history.steps(engine, run_id), empty="this run has no step.")
            return
        frame = history.runs(engine, pipeline=pipeline, session=session, last=last)
    frame["run"] = frame["run"].str[:8]
    show(frame, empty="nothing was run yet; `workbench run daily` does.")


@main.command()
@click.option("--account", help="Only of this account.")
@click.option("--session", help="Only of this session, e.g. 2015-06-30.")
@click.option("--last", default=50, show_default=True, help="How many at most.")
@home_option
def orders(*, account: str | None, session: str | None, last: int, home: Path | None) -> None:
    """Show the newest orders of the journal."""
    from workbench.orchestration import history

    with opened(home) as engine:
        frame = history.orders(engine, account=account, session=session, last=last)
    show(frame, empty="no order was written.")


@main.command()
@click.option("--account", help="Only of this account.")
@home_option
def positions(*, account: str | None, home: Path | None) -> None:
    """Show what is held."""
    from workbench.orchestration import history

    with opened(home) as engine:
        frame = history.positions(engine, account=account)
    show(frame, empty="nothing is held.")


def _in_short(summary: RunSummary) -> str:
    if summary.reused:
        return f"{summary.pipeline} · {summary.session} · done before, in run {summary.run_id[:8]}"
    outside = sum(step.kernel_s or 0.0 for step in summary.steps)
    share = outside / summary.runtime_s if summary.runtime_s else 0.0
    return (
        f"{summary.pipeline} · {summary.session} · {summary.status} in {summary.runtime_s:.1f} s, "
        f"{outside:.1f} s ({share:.0%}) of it for kernels and papermill · run {summary.run_id[:8]}"
    )


for command in (*facts.COMMANDS, *research.COMMANDS, *trading.COMMANDS, *bots.COMMANDS):
    main.add_command(command)
