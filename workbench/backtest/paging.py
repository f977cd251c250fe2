"""Stored tables of a run page by page: trades, orders or equity too long for one answer, with lasting cursors."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from workbench.errors import NoData, ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow.parquet as pq

    from workbench.store.workspace import Workspace

LONGEST_PAGE = 10_000
_ID = re.compile(r"[0-9a-f]{32}")
_CURSOR = re.compile(r"([0-9a-f]{8})\.([a-z_]+)\.(\d{1,12})")


class Page(NamedTuple):
    """Some rows of a stored table.

    Attributes:
        rows: in the order of the table, with its index.
        cursor: asks for the next page; None when these are the last rows.
        total: rows of the whole table.
    """

    rows: pd.DataFrame
    cursor: str | None
    total: int


def folder_of(workspace: Workspace, run_id: str) -> Path:
    """The folder of a stored run.

    Raises:
        ParameterError: `run_id` is not 32 hex digits.
        NoData: no such run is stored.
    """
    if not _ID.fullmatch(run_id):
        raise ParameterError(f"run={run_id!r} is not an id of 32 hex digits.", remedy="take it from run.id.")
    folder = workspace.artifacts / run_id
    if not (folder / "run.json").exists():
        raise NoData(
            f"no answer of run {run_id} is stored in {workspace.artifacts}.",
            remedy="ask the question again, or look where its worker keeps its files.",
        )
    return folder


def page(
    folder: Path,
    table: str = "trades",
    *,
    after: str | None = None,
    limit: int = 100,
    columns: Sequence[str] | None = None,
) -> Page:
    """The rows of a stored table after a cursor. Only the needed columns and row groups are read.

    A stored run never changes, so a cursor stays good for as long as the run is there.

    Args:
        folder: of the run, see `folder_of`.
        table: `trades`, `orders`, `equity`, or any other that the run has.
        after: the cursor that came with the page before; None: from the first row.
        limit: rows at most, 1 to 10,000.
        columns: only these, in this order (the index always comes along); all when None.

    Raises:
        ParameterError: the run has no such table or column, `limit` is out of bounds, or `after` is not a cursor of
            this table of this run.
        NoData: the folder holds no complete run.
    """
    import pyarrow.parquet as pq

    run_id, tables = _about(folder)
    if table not in tables:
        raise _no("this run", "table", table, tables)
    if not 1 <= limit <= LONGEST_PAGE:
        raise ParameterError(f"limit={limit!r} must lie from 1 to {LONGEST_PAGE:,}.", remedy="ask page by page.")
    with pq.ParquetFile(folder / f"{table}.parquet") as file:
        total = file.metadata.num_rows
        first = 0 if after is None else _position(after, run_id, table, total)
        rows = _rows(file, first, limit, columns, table)
    end = first + len(rows)
    return Page(rows, f"{run_id[:8]}.{table}.{end}" if end < total else None, total)


def _about(folder: Path) -> tuple[str, list[str]]:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoData(f"{folder} holds no complete run.", remedy="run the question again.") from None
    return record["id"], record["tables"]


def _position(cursor: str, run_id: str, table: str, total: int) -> int:
    found = _CURSOR.fullmatch(cursor)
    if found is None or (found[1], found[2]) != (run_id[:8], table) or int(found[3]) > total:
        raise ParameterError(
            f"after={cursor!r} is no cursor of the table {table!r} of this run.",
            remedy="take the one that came with the page before, or None to begin.",
        )
    return int(found[3])


def _rows(file: pq.ParquetFile, first: int, limit: int, columns: Sequence[str] | None, table: str) -> pd.DataFrame:
    """`limit` rows from position `first` on; row groups before and after them are not read."""
    import pyarrow as pa

    frame_meta = file.schema_arrow.pandas_metadata or {}
    index = frame_meta.get("index_columns", [])
    levels = [name for name in index if isinstance(name, str)]
    known = [name for name in file.schema_arrow.names if name not in levels]
    for name in columns or []:
        if name not in known:
            raise _no(f"the table {table!r}", "column", name, known)
    wanted = [*(known if columns is None else columns), *levels]
    groups, skipped, seen = [], 0, 0
    for number in range(file.num_row_groups):
        length = file.metadata.row_group(number).num_rows
        if seen + length <= first:
            skipped += length
        elif seen < first + limit:
            groups.append(number)
        seen += length
    left, missing = first - skipped, limit
    taken: list[pa.RecordBatch] = []
    for batch in file.iter_batches(batch_size=max(limit, 1024), row_groups=groups, columns=wanted):
        part = batch.slice(min(left, batch.num_rows), missing)
        left = max(0, left - batch.num_rows)
        missing -= part.num_rows
        taken.append(part)
        if missing == 0:
            break
    schema = pa.schema([file.schema_arrow.field(name) for name in wanted], metadata=file.schema_arrow.metadata)
    frame: pd.DataFrame = pa.Table.from_batches([part.cast(schema) for part in taken], schema=schema).to_pandas()
    numbered: Any = index[0] if len(index) == 1 and isinstance(index[0], dict) else None
    if numbered is not None:  # a plain row count, which is not stored row by row
        start, step = numbered["start"] + first * numbered["step"], numbered["step"]
        frame.index = pd.RangeIndex(start, start + len(frame) * step, step, name=numbered["name"])
    return frame


def _no(where: str, what: str, given: str, known: Sequence[str]) -> ParameterError:
    near = difflib.get_close_matches(given, known, n=1)
    return ParameterError(
        f"{where} has no {what} {given!r}.",
        remedy=f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}.",
    )
