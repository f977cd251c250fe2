"""The commands of facts: collect, look at sources, connectors and the quarantine, keep the store in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli.opening import home_option, workspace_of
from workbench.cli.printing import show
from workbench.errors import NoData, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import pandas as pd

    from workbench.bench.data import Facts

FAILED = 1
SHORT = 8  # digits of an id, unless two begin alike


@click.command()
@click.argument("symbols", nargs=-1)
@click.option("--source", required=True, help="Whom to ask; `workbench data sources` lists them.")
@click.option("--kind", default="bars", show_default=True, help="bars, news, filings, macro, fx, short_interest, …")
@click.option("--start", required=True, help="First day, e.g. 2015-01-02.")
@click.option("--end", help="Last day [the newest complete one].")
@click.option("--timeframe", default="1d", show_default=True, help="Of bars: 1d, 1h, 5m or 1m.")
@click.option("--universe", help="Also every symbol that is in this universe.")
@click.option(
    "--file", "listed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="One symbol a line."
)
@click.option("--seed", default=7, show_default=True, help="Of a synthetic source.")
@home_option
def collect(
    *,
    symbols: tuple[str, ...],
    source: str,
    kind: str,
    start: str,
    end: str | None,
    timeframe: str,
    universe: str | None,
    listed: Path | None,
    seed: int,
    home: Path | None,
) -> None:
    """Bring facts about SYMBOLS to the store; what is there already is not asked again.

    Stopped at any moment and started again, it goes on where it was. The exit code is 1 when something did not come.
    """
    with _facts(home) as facts:
        wanted = [*symbols, *(_lines(listed) if listed else ()), *(facts.members(universe) if universe else ())]
        if not wanted:
            raise click.UsageError("name SYMBOLS, --file or --universe.")
        result = facts.collect(wanted, source=source, kind=kind, start=start, end=end, timeframe=timeframe, seed=seed)
        click.echo(repr(result))
        if not result.complete:
            failed = result.failures()
            days = {name: failed[name].dt.strftime("%Y-%m-%d") for name in ("first", "last")}
            show(failed.assign(**days), empty="")
            raise click.exceptions.Exit(FAILED)


@click.group()
def data() -> None:
    """Look at sources, connectors and what was kept back."""


@data.command()
@home_option
def sources(*, home: Path | None) -> None:
    """Show every source: what it can be asked for, and which settings it still needs."""
    with _facts(home) as facts:
        show(facts.sources(), empty="")


@data.command()
@click.option("--history", "vendor", metavar="VENDOR", help="Of one vendor, minute by minute.")
@home_option
def health(*, vendor: str | None, home: Path | None) -> None:
    """Show how each vendor is: up or down, latency, errors, breaker, last success, what is left of its limits."""
    with _facts(home) as facts:
        if vendor is None:
            show(facts.health(), empty="no vendor was asked yet.")
        else:
            show(facts.vendors.gateway.history(vendor), empty=f"{vendor} was not asked in the minutes that are kept.")


@data.command()
@home_option
def stats(*, home: Path | None) -> None:
    """Show what the gateway did: calls, hits, misses, bytes, waits and failures per vendor and kind."""
    with _facts(home) as facts:
        show(facts.stats(), empty="no vendor was asked yet.")


@data.command()
@click.option("--dataset", help="Only of this dataset, e.g. bars/1d/alpaca.")
@click.option("--symbol", help="Only of this symbol.")
@click.option("--all", "closed", is_flag=True, help="Also the rows that somebody or a later check has decided on.")
@click.option("--release", "released", multiple=True, metavar="ID", help="Let this row out (its first digits do).")
@click.option("--refuse", "refused", multiple=True, metavar="ID", help="Close this row for good (as above).")
@click.option("--reason", help="Why; needed with --release and --refuse.")
@home_option
def quarantine(
    *,
    dataset: str | None,
    symbol: str | None,
    closed: bool,
    released: tuple[str, ...],
    refused: tuple[str, ...],
    reason: str | None,
    home: Path | None,
) -> None:
    """Show the rows that were kept back, or let some of them out."""
    if (released or refused) and not (reason and reason.strip()):
        raise click.UsageError("--release and --refuse need a --reason.")
    with _facts(home) as facts:
        rows = facts.quarantine(state=None)
        if not released and not refused:
            _show_quarantine(rows, dataset=dataset, symbol=symbol, closed=closed)
            return
        out, shut = (_whole(ids, rows["id"].tolist()) for ids in (released, refused))
        if set(out) & set(shut):
            raise click.UsageError("--release and --refuse name the same row.")
        if out and reason:
            click.echo(f"{facts.release(out, reason=reason)} released; readers know them from now on.")
        if shut and reason:
            click.echo(f"{facts.refuse(shut, reason=reason)} closed.")


@click.command()
@click.argument("symbol")
@click.option("--as-of", required=True, help="A session, e.g. 2015-06-30 (then: its close), or a moment with a zone.")
@click.option("--source", "sources", multiple=True, help="Only these sources; a made-up market must be named.")
@click.option("--seed", default=7, show_default=True, help="Of a synthetic source.")
@click.option("--json", "as_json", is_flag=True, help="The canonical text that is hashed.")
@home_option
def fuse(*, symbol: str, as_of: str, sources: tuple[str, ...], seed: int, as_json: bool, home: Path | None) -> None:
    """Show all that was known of SYMBOL at a moment: each source's facts, age, quality, weight; and what is missing."""
    with _facts(home) as facts:
        record = facts.fuse(symbol, as_of, sources=sources or None, seed=seed)
        if as_json:
            click.echo(record.text)
            return
        show(record.as_frame().reset_index(), empty="nothing is known.")
        click.echo(repr(record))


@click.group()
def store() -> None:
    """Keep the store of facts in order."""


@store.command()
@click.argument("url")
@click.option("--remove", is_flag=True, help="Remove the files of the old place when all is verified.")
@home_option
def move(*, url: str, remove: bool, home: Path | None) -> None:
    """Copy all stored facts to URL (a folder or s3://bucket/prefix), and verify each file by its hash."""
    from workbench.store.move import move as moved

    # The address is printed as the setting to change: a relative one would mean another folder elsewhere.
    target = url if "://" in url else str(Path(url).expanduser().resolve())
    with workspace_of(home) as (workspace, _):
        click.echo(str(moved(workspace.vintages_url, target, remove=remove)))


@store.command()
@click.argument("datasets", nargs=-1)
@home_option
def compact(*, datasets: tuple[str, ...], home: Path | None) -> None:
    """Merge the many small files of DATASETS (all of them when none is named); no answer changes."""
    from workbench.store.vintages import Vintages

    with workspace_of(home) as (workspace, _):
        vintages = Vintages(workspace.vintages_url)
        there = vintages.datasets()
        strange = sorted(set(datasets) - set(there))
        if strange:
            raise NoData(
                f"{', '.join(strange)}: no such dataset; nothing was merged.",
                remedy=f"there is {', '.join(there)}." if there else "nothing is stored yet.",
            )
        if not there:
            click.echo("nothing is stored yet.")
        for dataset in dict.fromkeys(datasets) or there:
            click.echo(str(vintages.compact(dataset)))


def _show_quarantine(rows: pd.DataFrame, *, dataset: str | None, symbol: str | None, closed: bool) -> None:
    """The rows by dataset; ids are as short as tells them all apart."""
    length = SHORT
    while rows["id"].str[:length].nunique() < len(rows):
        length += 1
    wanted = rows if closed else rows[rows["state"] == "held"]
    for column, value in (("dataset", dataset), ("symbol", symbol)):
        wanted = wanted if value is None else wanted[wanted[column] == value]
    if wanted.empty:
        click.echo("nothing is in quarantine.")
    for name, part in wanted.groupby("dataset"):
        click.echo(name)
        short = part.assign(id=part["id"].str[:length], session=part["session"].dt.strftime("%Y-%m-%d"))
        show(short[["id", "symbol", "session", "why", "detail", "state"]], empty="")


def _whole(given: tuple[str, ...], ids: list[str]) -> list[str]:
    """The ids that begin with what was given, one each."""
    found = []
    for text in given:
        digits = text.strip().lower()
        fits = [one for one in ids if digits and one.startswith(digits)]
        if not fits:
            raise NoData(
                f"no row of the quarantine has an id that begins with {text!r}; nothing was changed.",
                remedy="`workbench data quarantine --all` shows them.",
            )
        if len(fits) > 1:
            raise ParameterError(
                f"{text!r} begins the ids of {len(fits)} rows: {', '.join(fits[:5])}; nothing was changed.",
                remedy="give more digits.",
            )
        found.append(fits[0])
    return found


def _lines(path: Path) -> Iterator[str]:
    return (line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def _facts(home: Path | None) -> AbstractContextManager[Facts]:
    import contextlib

    @contextlib.contextmanager
    def opened() -> Iterator[Facts]:
        from workbench.bench.data import Facts

        with workspace_of(home) as (workspace, settings), contextlib.closing(Facts(workspace, settings)) as facts:
            yield facts

    return opened()


COMMANDS = (collect, data, fuse, store)
