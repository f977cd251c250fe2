"""Filtered: the rows of tables of facts that a question is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from workbench.store.footer import Wanted, micro

if TYPE_CHECKING:
    import pyarrow as pa

_SHORT: Final = 4_096


def rows_of(groups: list[pa.Table], wanted: Wanted) -> pa.Table:
    """The wanted rows of some groups."""
    import pyarrow as pa

    return filtered(groups[0], wanted) if len(groups) == 1 else pa.concat_tables(filtered(of, wanted) for of in groups)


def filtered(table: pa.Table, wanted: Wanted) -> pa.Table:
    """The wanted rows of a table, in its order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    symbol = table.column("symbol")
    if len(wanted.symbols) == 1:
        ours = pc.equal(symbol, pa.scalar(wanted.symbols[0], type=symbol.type))
    else:
        ours = pc.is_in(symbol, value_set=pa.array(wanted.symbols, type=symbol.type))
    mask = ours.to_numpy()
    first, after = _ends(mask)
    if after - first < table.num_rows:  # the moments of the others need not be looked at
        table, mask = table.slice(first, after - first), mask[first:after]
    # The moments through numpy: on a few thousand rows its calls cost a tenth of Arrow's.
    session = table.column("session").to_numpy()
    mask = mask & (session >= _moment(wanted.start)) & (session <= _moment(wanted.end))
    if wanted.as_of is not None:
        mask &= table.column("learned").to_numpy() <= _moment(wanted.as_of)
    first, after = _ends(mask)
    if np.count_nonzero(mask) == after - first:  # rows of one symbol lie together: nothing need be copied
        return table.slice(first, after - first)
    return table.filter(pa.array(mask))


def _ends(mask: np.ndarray) -> tuple[int, int]:
    """The place of the first true, and the one after the last; (0, 0) where none is."""
    if not len(mask):
        return 0, 0
    first = int(mask.argmax())
    return (first, len(mask) - int(mask[::-1].argmax())) if mask[first] else (0, 0)


def few(table: pa.Table, wanted: Wanted) -> pa.Table:
    """The wanted rows of a long table; a short one is filtered together with others."""
    return filtered(table, wanted) if table.num_rows > _SHORT else table


def _moment(moment: pd.Timestamp) -> np.datetime64:
    return np.datetime64(micro(moment), "us")
