"""Tables in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd


def show(frame: pd.DataFrame, *, empty: str) -> None:
    """A frame as a table; never cut off where the output is not a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if frame.empty:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in frame.columns:
        table.add_column(Text(str(name)), overflow="fold", no_wrap=not sys.stdout.isatty())
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))  # as text: what is stored may hold brackets
    console = Console() if sys.stdout.isatty() else Console(width=100_000)
    console.print(table, highlight=False)


def _cell(value: Any) -> str:
    import datetime as dt

    import pandas as pd

    if value is None or value is pd.NaT or value != value:  # noqa: PLR0124 - NaN is the value that differs from itself
        return "–"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.4f}"
    return str(value)
