"""The commands of bots and desks: make a bot, let it work, rehearse it, and certify the order path of this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.opening import home_option, named, workspace_of
from workbench.cli.printing import show
from workbench.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.execution.bots.roster import Bots
    from workbench.store.workspace import Workspace

# Too wide for a terminal; `create` and `start` say them.
_WIDE = ("symbols", "window", "invested", "timeframe", "every_seconds")


@click.command()
@click.argument("account")
@click.option("--source", default="synthetic", show_default=True, help="Market of a local account that is opened.")
@click.option("--seed", default=7, show_default=True, help="Seed of a synthetic source.")
@click.option("--timeframe", default="1m", show_default=True, help="Bars by which the local exchange steps.")
@click.option("--cash", default=100_000.0, show_default=True, help="What a local account is opened with.")
@click.option("--standby", is_flag=True, help="Wait while another desk has the account, then take over.")
@click.option("--check", is_flag=True, help="Go through the start without trading, print it and end.")
@click.option("--no-bots", is_flag=True, help="Let no bot work here; only send what others write.")
@home_option
def desk(
    *,
    account: str,
    source: str,
    seed: int,
    timeframe: str,
    cash: float,
    standby: bool,
    check: bool,
    no_bots: bool,
    home: Path | None,
) -> None:
    """Trade ACCOUNT until Ctrl-C: its bots, and what notebooks and pipelines write.

    Paper money: an account that does not exist yet is opened on the local exchange, on the wall's clock, unless the
    settings name Alpaca.
    """
    with workspace_of(home) as (workspace, settings):
        url = ""
        if settings.broker == "local":
            url = _local_url(workspace, settings, account, source=source, seed=seed, timeframe=timeframe, cash=cash)
        place = workspace.home
    from workbench.orchestration.desk_main import main as serve

    flags = {"--standby": standby, "--check": check, "--no-bots": no_bots}
    arguments = ["--home", str(place), "--account", account, *(["--url", url] if url else [])]
    code = serve([*arguments, *(flag for flag, on in flags.items() if on)])
    if code:
        raise click.exceptions.Exit(code)


def _local_url(workspace: Workspace, settings: Any, account: str, **market: Any) -> str:
    """The exchange of a local account, opened now where no running exchange knows it."""
    import pandas as pd

    from workbench.errors import ExecutionError
    from workbench.orchestration.accounts import opened, reach

    try:
        return reach(workspace, settings, account).url
    except ExecutionError:
        now = pd.Timestamp.now("UTC").to_pydatetime()
        found = opened(workspace, settings, account, **market, at=now, clock="real", exit_with_parent=False)
        click.echo(f"account {account} is open at {found.url}, source {market['source']}, clock: the wall's.")
        return found.url


@click.group(invoke_without_command=True)
@click.option("--account", default="paper", show_default=True, help="The account they trade.")
@home_option
@click.pass_context
def bots(context: click.Context, *, account: str, home: Path | None) -> None:
    """Show the bots of an account, or act on one of them."""
    context.obj = (account, home)
    if context.invoked_subcommand is None:
        with workspace_of(home) as (workspace, _):
            frame = _bots(workspace, account).frame()
        show(frame.drop(columns=list(_WIDE)), empty=f"{account} has no bot; `workbench bots create NAME …` makes one.")


@bots.command()
@click.argument("name")
@click.argument("symbols", nargs=-1, required=True)
@click.option("--capital", default="10000", show_default=True, help="What it starts with.")
@click.option("--strategy", default="rules", show_default=True, help="A registered strategy.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter; VALUE as JSON, or text.")
@click.option("--every", default=60.0, show_default=True, help="Seconds between its looks at the market.")
@click.option("--timeframe", default="1m", show_default=True, help="Bars its strategy sees.")
@click.option("--window", default="09:30-16:00", show_default=True, help="Hours in which it may trade, exchange time.")
@click.option("--at-end", default="hold", type=click.Choice(["hold", "flatten"]), help="At the end of its window.")
@click.option("-r", "risk", multiple=True, metavar="NAME=VALUE", help="A bound of its own, e.g. stop_loss=0.02.")
@click.pass_obj
def create(
    place: tuple[str, Path | None],
    *,
    name: str,
    symbols: tuple[str, ...],
    capital: str,
    strategy: str,
    parameters: tuple[str, ...],
    every: float,
    timeframe: str,
    window: str,
    at_end: str,
    risk: tuple[str, ...],
) -> None:
    """Make the bot NAME, which may trade SYMBOLS. It does nothing until it is started."""
    begins, sign, ends = window.partition("-")
    if not sign:
        raise ParameterError(f"window={window!r} is not HH:MM-HH:MM; nothing was made.")
    account, home = place
    with workspace_of(home) as (workspace, _):
        bot = _bots(workspace, account).create(
            name,
            capital=capital,
            symbols=list(symbols),
            strategy=strategy,
            params=_values(parameters),
            every_seconds=every,
            timeframe=timeframe,
            window={"start": begins.strip(), "end": ends.strip(), "at_end": at_end},
            risk=_values(risk),
        )
    click.echo(bot.line)


def _acting(verb: str, help_text: str) -> click.Command:
    """A command that does one thing to a bot and says how it stands then."""

    @click.command(verb, help=help_text)
    @click.argument("name")
    @click.pass_obj
    def act(place: tuple[str, Path | None], *, name: str) -> None:
        account, home = place
        with workspace_of(home) as (workspace, _):
            bot = getattr(_bots(workspace, account), verb)(name)
        click.echo(bot.line)

    return act


for _verb, _help in {
    "start": "Let the bot NAME trade.",
    "pause": "Let the bot NAME decide nothing; its stops and targets are still watched.",
    "resume": "Let the paused bot NAME go on.",
    "delete": "Put the bot NAME away; it must be stopped and hold nothing.",
}.items():
    bots.add_command(_acting(_verb, _help))


@bots.command()
@click.argument("name")
@click.option("--flatten", is_flag=True, help="Sell what it holds first.")
@click.pass_obj
def stop(place: tuple[str, Path | None], *, name: str, flatten: bool) -> None:
    """End the bot NAME: its open orders are cancelled."""
    account, home = place
    with workspace_of(home) as (workspace, _):
        bot = _bots(workspace, account).stop(name, flatten=flatten)
    click.echo(bot.line)


def _showing(verb: str, help_text: str, empty: str) -> click.Command:
    """A command that shows one table, of one bot or of all."""

    @click.command(verb, help=help_text)
    @click.argument("name", required=False)
    @click.pass_obj
    def look(place: tuple[str, Path | None], *, name: str | None) -> None:
        account, home = place
        with workspace_of(home) as (workspace, _):
            frame: pd.DataFrame = getattr(_bots(workspace, account), verb)(name)
        show(frame, empty=empty)

    return look


for _verb, _help, _empty in (
    ("positions", "What the bot NAME (all of them without a name) holds.", "nothing is held."),
    ("trades", "The round trips of the bot NAME, with the indicators they were opened on.", "nothing was traded."),
    ("decisions", "What the bot NAME has decided, newest first, and what came of it.", "nothing was decided."),
):
    bots.add_command(_showing(_verb, _help, _empty))


@click.command()
@click.argument("account")
@click.option("--start", required=True, help="First session, e.g. 2024-03-05.")
@click.option("--end", help="Last session [the first].")
@click.option("--source", default="synthetic", show_default=True, help="The market.")
@click.option("--seed", default=7, show_default=True, help="Seed of a synthetic source.")
@click.option("--cash", default=100_000.0, show_default=True, help="What the account is opened with.")
@click.option("--fault", "faults", multiple=True, help="What goes wrong meanwhile, e.g. 504-after-accept:0.1.")
@home_option
def rehearse(
    *,
    account: str,
    start: str,
    end: str | None,
    source: str,
    seed: int,
    cash: float,
    faults: tuple[str, ...],
    home: Path | None,
) -> None:
    """Let the running bots of ACCOUNT trade past sessions on the local exchange, at the speed of this machine."""
    from workbench.orchestration.rehearsal import rehearse as play

    with workspace_of(home) as (workspace, settings):
        done = play(
            workspace,
            settings,
            account,
            start=start,
            end=end,
            source=source,
            seed=seed,
            cash=cash,
            faults=faults,
            progress=_bar,
        )
    click.echo(done.line)
    show(done.sessions, empty="no session lies there.")
    show(done.bots.drop(columns=list(_WIDE)), empty="no bot.")


@click.command()
@click.option("--kills", default=200, show_default=True, help="How often the trading process is killed.")
@click.option("--strikes", default=50, show_default=True, help="How often each fault strikes at least.")
@click.option("--seed", default=7, show_default=True, help="Seed of the instants and of the faults.")
@click.option("--only", "kinds", multiple=True, help="Only this row, e.g. 'kill -9'; may be repeated.")
@home_option
def certify(*, kills: int, strikes: int, seed: int, kinds: tuple[str, ...], home: Path | None) -> None:
    """Kill and strike the order path on this machine, count every order, and write the certificate as a page.

    It ends with 1 unless nothing was lost, doubled, left unresolved or booked wrongly.
    """
    from workbench.orchestration.certify import certify as prove

    def told(row: str, done: int, wanted: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{row}: {done}/{wanted}\x1b[K", err=True, nl=False)

    with workspace_of(home) as (workspace, _):
        done = prove(workspace, kills=kills, strikes=strikes, seed=seed, kinds=kinds or None, progress=told)
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    show(done.table, empty="nothing was tried.")
    click.echo(done.line)
    if done.path is not None:
        click.echo(done.path)
    if not done.passed:
        raise click.exceptions.Exit(1)


def _bots(workspace: Workspace, account: str) -> Bots:
    from workbench.execution.bots.roster import Bots

    return Bots(workspace.engine, account)


def _values(given: tuple[str, ...]) -> dict[str, Any]:
    """`NAME=VALUE` texts as values: JSON where it is JSON, else the text itself."""
    found: dict[str, Any] = {}
    for name, text in named(given).items():
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _bar(done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done}/{total} bars\x1b[K" + ("\n" if done == total else ""), err=True, nl=False)


COMMANDS = (desk, bots, rehearse, certify)
