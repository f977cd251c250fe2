"""Alpaca's corporate actions, read into ours."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from workbench.data import ex_days, reading
from workbench.data.kinds import kind_of
from workbench.data.reading import Field
from workbench.errors import BadData

OF: Final = "Alpaca's corporate actions"


@dataclass(frozen=True, slots=True)
class _Group:
    """One of Alpaca's groups.

    Attributes:
        asked: its name in the question.
        key: the beginning of our key.
        symbol, other: fields of the symbol that it happens to, and of the other one.
        day: field of the day from which prices show it.
        amount: field of currency per share.
        new, old: fields of the shares that `old` shares become; `new` alone: shares in addition to one.
    """

    asked: str
    key: str
    day: str
    symbol: str = "symbol"
    other: str = ""
    amount: str = ""
    new: str = ""
    old: str = ""


GROUPS: Final[Mapping[str, _Group]] = {
    "forward_splits": _Group("forward_split", "split", "ex_date", new="new_rate", old="old_rate"),
    "reverse_splits": _Group("reverse_split", "split", "ex_date", new="new_rate", old="old_rate"),
    "stock_dividends": _Group("stock_dividend", "split", "ex_date", new="rate"),
    "cash_dividends": _Group("cash_dividend", "dividend", "ex_date", amount="rate"),
    "spin_offs": _Group("spin_off", "spinoff", "ex_date", "source_symbol", "new_symbol", "", "new_rate", "source_rate"),
    "cash_mergers": _Group("cash_merger", "merger", "effective_date", "acquiree_symbol", "acquirer_symbol", "rate"),
    "stock_mergers": _Group(
        "stock_merger",
        "merger",
        "effective_date",
        "acquiree_symbol",
        "acquirer_symbol",
        "",
        "acquirer_rate",
        "acquiree_rate",
    ),
    "stock_and_cash_mergers": _Group(
        "stock_and_cash_merger",
        "merger",
        "effective_date",
        "acquiree_symbol",
        "acquirer_symbol",
        "cash_rate",
        "acquirer_rate",
        "acquiree_rate",
    ),
    "name_changes": _Group("name_change", "name", "process_date", "old_symbol", "new_symbol"),
    "redemptions": _Group("redemption", "delisting", "process_date", amount="rate"),
    "worthless_removals": _Group("worthless_removal", "delisting", "process_date"),
}
TYPES: Final = tuple(group.asked for group in GROUPS.values())


def read(page: Mapping[str, Any], *, now: dt.datetime, source: str) -> pd.DataFrame:
    """Columns of kind `actions`.

    Raises:
        BadData: a group that was not asked for, or a row that lacks a field.
    """
    strange = sorted(set(page) - set(GROUPS))
    if strange:
        raise BadData(
            f"Alpaca's corporate actions have groups that were not asked for: {', '.join(strange)}; none was passed on."
        )
    made = [_rows(name, reading.part(page, name, list, of=OF), now, source) for name in page]
    return pd.concat(made, ignore_index=True) if made else _rows("cash_dividends", [], now, source)


def _rows(name: str, rows: list[Any], now: dt.datetime, source: str) -> pd.DataFrame:
    group = GROUPS[name]
    fields = {
        "id": Field("id", "text"),
        "symbol": Field(group.symbol, "text"),
        "session": Field(group.day, "day"),
        **({"other_symbol": Field(group.other, "text", needed=name != "cash_mergers")} if group.other else {}),
        **({"amount": Field(group.amount)} if group.amount else {}),
        **({"new": Field(group.new)} if group.new else {}),
        **({"old": Field(group.old)} if group.old else {}),
    }
    table = reading.table(rows, fields, of=f"{OF}, {name}")
    known = ex_days.processed if group.day == "process_date" else ex_days.known
    moments = pd.Series(known(table["session"], now=now))
    ratio = table["new"] / table["old"] if group.old else 1.0 + table["new"] if group.new else math.nan
    return table.assign(
        key=f"{group.key}:" + table["id"], ratio=ratio, happened=moments, learned=moments, source=source
    ).reindex(columns=list(kind_of("actions").columns))
