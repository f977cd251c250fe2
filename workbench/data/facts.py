"""Facts: reading the stored rows of any kind as they were known at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.data.kinds import dataset_name, kind_of
from workbench.data.source import symbols_of
from workbench.errors import DataError
from workbench.store.vintages import Vintages

if TYPE_CHECKING:
    from workbench.store.workspace import Workspace


def read_facts(
    workspace: Workspace,
    kind: str,
    source: str,
    symbols: str | Sequence[str],
    *,
    start: Any,
    end: Any,
    as_of: pd.Timestamp,
) -> pd.DataFrame:
    """What was known at `as_of`: one row per fact, its newest vintage learned by then.

    Args:
        workspace: where to read; no source is asked.
        kind: one of `workbench.data.kinds`.
        source: the name of the source that they were collected from.
        symbols: one or several.
        start, end: first and last `session` of the facts, both included: days (text is read as one).
        as_of: UTC moment; no row learned later is in the answer.

    Returns:
        Rows of the kind by symbol (alphabetical), session, time and key; no row where nothing was known.

    Raises:
        ParameterError: there is no such kind, or no symbol is named.
        DataError: `as_of` has no timezone, or `start` or `end` is no day.
        StoreError: a file cannot be read.
    """
    shape, wanted = kind_of(kind), symbols_of(symbols)
    if as_of.tzinfo is None:
        raise DataError(f"as_of={as_of} has no timezone; nothing was read.", remedy="pass a UTC Timestamp.")
    rows = Vintages(workspace.vintages_url).read(
        dataset_name(kind, source), wanted, start=_day("start", start), end=_day("end", end), as_of=as_of
    )
    return shape.typed(rows) if len(rows) else shape.empty()


def _day(name: str, value: Any) -> pd.Timestamp:
    try:
        day = pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}={value!r} is not a day; nothing was read.", remedy="write '2015-06-30'.") from error
    if pd.isna(day) or day.tzinfo is not None or day != day.normalize():
        raise DataError(f"{name}={value!r} is not a day; nothing was read.", remedy="write '2015-06-30'.")
    return day
