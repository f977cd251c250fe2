"""Which sessions of which symbols were asked for already: what tells "never collected" from "there is none"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from workbench import sessions

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges of sessions per symbol, both ends included, in any order and with any overlap."""

    by_symbol: Mapping[str, Sequence[tuple[pd.Timestamp, pd.Timestamp]]]

    def covers(self, symbol: str, first: pd.Timestamp, last: pd.Timestamp, *, venue: str) -> bool:
        """Whether the ranges together hold every session of the venue from `first` to `last`."""
        reached = first  # the first session not yet covered
        for start, end in sorted(self.by_symbol.get(symbol, ())):
            if start > reached:
                return False
            if end >= last:
                return True
            if end >= reached:
                reached = sessions.next_session(venue, end)
        return False


def collected_ranges(engine: Engine, dataset: str, symbols: Sequence[str]) -> Ranges:
    """What was collected of these symbols."""
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.tables.collected import CollectedRow as Row

    found: dict[str, list[tuple[pd.Timestamp, pd.Timestamp]]] = {}
    with transaction(engine) as session:
        rows = session.execute(
            select(Row.symbol, Row.first, Row.last).where(Row.dataset == dataset, Row.symbol.in_(symbols))
        )
        for symbol, first, last in rows:
            found.setdefault(symbol, []).append((pd.Timestamp(first), pd.Timestamp(last)))
    return Ranges(found)


def record_collected(
    engine: Engine, dataset: str, symbols: Sequence[str], *, first: pd.Timestamp, last: pd.Timestamp
) -> None:
    """Note that these symbols were collected from `first` to `last`; noting it twice changes nothing.

    Ranges that lie inside the new one are dropped, so that a growing history keeps one row per symbol.
    """
    from sqlalchemy import delete

    from workbench.store.engine import transaction
    from workbench.store.insert import insert_of
    from workbench.store.tables.collected import CollectedRow as Row
    from workbench.trace import trace_id

    insert = insert_of(engine)
    day_first, day_last = first.date().isoformat(), last.date().isoformat()
    with transaction(engine) as session:
        session.execute(
            delete(Row).where(
                Row.dataset == dataset,
                Row.symbol.in_(symbols),
                Row.first >= day_first,
                Row.last <= day_last,
                (Row.first != day_first) | (Row.last != day_last),
            )
        )
        session.execute(
            insert(Row).on_conflict_do_nothing(index_elements=["dataset", "symbol", "first", "last"]),
            [
                {"dataset": dataset, "symbol": symbol, "first": day_first, "last": day_last, "trace_id": trace_id()}
                for symbol in symbols
            ],
        )


def forget_collected(engine: Engine, dataset: str, symbols: Sequence[str]) -> None:
    """Note that nothing is collected of these symbols any more: they will be asked for again as a whole."""
    from sqlalchemy import delete

    from workbench.store.engine import transaction
    from workbench.store.tables.collected import CollectedRow as Row

    if not symbols:
        return
    with transaction(engine) as session:
        session.execute(delete(Row).where(Row.dataset == dataset, Row.symbol.in_(symbols)))
