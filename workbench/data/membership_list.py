"""Lists of who entered and left, with both clocks, as someone supplies them: read, checked, nothing taken on trust."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from workbench.data.membership import ACTIONS, Change, moment_of
from workbench.errors import BadData

COLUMNS = ("symbol", "action", "happened", "learned")


def changes_in(rows: pd.DataFrame, reason: str) -> list[Change]:
    """The changes of a list, each once. Raises BadData (a column, an action) or DataError (a clock is no moment)."""
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise BadData(
            f"the list lacks the columns {', '.join(missing)}; nothing was written.",
            remedy=f"it needs {', '.join(COLUMNS)}.",
        )
    given: dict[tuple[object, ...], Change] = {}
    for row in rows.to_dict("records"):
        if row["action"] not in ACTIONS:
            raise BadData(
                f"action={row['action']!r} of {row['symbol']} is not one of {', '.join(ACTIONS)}; nothing was written.",
                remedy="use these words.",
            )
        happened, learned = (moment_of(clock, row[clock]) for clock in ("happened", "learned"))
        said = row.get("reason")
        change = Change(
            str(row["symbol"]), row["action"], happened, learned, said if isinstance(said, str) and said else reason
        )
        given[change.symbol, change.action, happened, learned] = change
    return list(given.values())


def refuse_orphans(every: Sequence[Change], name: str) -> None:
    """Raises BadData where a symbol leaves that never entered before: its entry, and when it was known, is missing."""
    first: dict[str, pd.Timestamp] = {}
    for change in every:
        if change.action == "enter":
            first[change.symbol] = min(change.happened, first.get(change.symbol, change.happened))
    for change in every:
        if change.action == "leave" and not first.get(change.symbol, change.happened) < change.happened:
            raise BadData(
                f"{change.symbol} leaves {name!r} on {change.happened.date()} without having entered; nothing was "
                "written.",
                remedy="supply its entry too, with the moment from which it was known.",
            )
