"""Quality of every kind of facts other than bars: what cannot be true is kept back, what is strange is said.

What holds for all kinds (severity `error` keeps a row back, `warning` passes it on):

| kind | severity | a row, or a symbol, is found when |
|---|---|---|
| `missing-value` | error | a needed number, text or key is not there |
| `bad-value` | error | a number is infinite, or outside the bounds of its column |
| `duplicate` | error | it is there twice, learned at one moment: one of equal rows passes, none of different ones |
| `clocks` | error | it was learned before it happened, or before the day that it is about began in New York |
| `from-the-future` | error | it happened after `known_until` |
| `wrong-day` | error | its `time` does not lie on its `session` in New York (quotes, trades, news, sentiment) |
| `not-a-session` | error | the venue does not trade on that day (quotes, trades, short volume) |
| `order` | warning | it stands after a later row of the same symbol |
| `no-rows` | warning | a symbol was asked for and nothing (good) came, of a kind that every symbol has |

Per kind, in `workbench.data.fact_checks`:

| of | kind | severity | found when |
|---|---|---|---|
| quotes | `empty-quote` | error | there is neither bid nor ask |
| quotes | `crossed` | error | bid > ask |
| quotes | `wide` | warning | ask − bid is more than `WIDE` of the middle |
| quotes | `frozen` | warning | bid, ask and sizes repeat `FROZEN_QUOTES` times or more over `FROZEN_FOR` or longer |
| quotes, trades | `stale` | warning | the newest is older than `STALE` while the venue is open at `known_until` |
| trades | `jump` | warning | the price moved by more than bars may (`workbench.data.quality.JUMP`) |
| news | `same-article` | warning | the same headline about the same symbol within a day, under another key |
| news | `late` | warning | learned more than `LATE` after it was published |
| filings | `bad-key` | error | the key is no accession number |
| filings | `period-not-over` | warning | the period ends after the day of filing |
| fundamentals | `bad-key` | error | the key is not taxonomy:tag:unit:first day, or that day is after the last |
| fundamentals | `period-not-over` | warning | learned before the period was over |
| fundamentals | `scale` | warning | the number is `SCALE` times that of the period before, or a part of it as small |
| macro | `revision` | warning | a vintage differs from the one before it by more than half of it |
| macro, fx | `stale` | warning | the newest day is further back than `BEHIND` times the usual distance of its days |
| fx | `bad-key` | error | the symbol is no pair such as EUR/USD |
| fx | `jump` | warning | the rate moved by more than `FX_JUMP` against the day before it |
| fx | `frozen` | warning | the rate repeats `FROZEN_RATES` times or more in a row |
| fx | `gap` | warning | more than `FX_GAP` lies between two days of a pair |
| fx | `inconsistent` | warning | a pair and its inverse do not multiply to 1 within 1 % |
| short interest | `inconsistent` | warning | days to cover are not shares / average volume (within 1 %; at least 1) |
| short interest | `too-early` | warning | learned within `DISSEMINATED` of the settlement day; FINRA publishes later |
| short interest | `gap` | warning | more than `CYCLE` lies between two settlement days |
| short volume | `inconsistent` | error | more was sold short than was traded |
| short volume | `gap` | warning | sessions are missing between a symbol's first and last |
| actions | `bad-key` | error | the key does not begin with a known word |
| actions | `no-amount` | error | a split has no ratio, or a dividend no amount above 0 |
| actions | `unlikely` | warning | a split's ratio is 1, or further from 1 than `SPLIT` |
| actions | `same-day` | warning | a symbol has two splits on one ex-day |
| options | `bad-key` | error | the symbol is no OCC symbol |
| options | `crossed` | error | bid > ask |
| options | `expired` | error | the contract expired before its session |
| options | `inconsistent` | warning | a call's delta is negative or a put's positive, or gamma or vega is negative |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data.fact_checks import OF_KIND
from workbench.data.inspection import Checked, Inspection
from workbench.data.kinds import Kind, kind_of
from workbench.data.shape import refuse_wrong_shape

NEW_YORK: Final = "America/New_York"
_ON_ITS_DAY: Final = {"quotes", "trades", "news", "sentiment"}  # `time` lies on `session`
_IN_SESSIONS: Final = {"quotes", "trades", "short_volume"}
_AHEAD: Final = {"actions", "fundamentals", "filings", "macro"}  # their day may lie ahead of what was learned
_EXPECTED: Final = {"quotes", "trades", "fundamentals", "macro", "fx", "short_interest", "short_volume", "options"}


def check_facts(
    rows: pd.DataFrame,
    *,
    kind: str,
    dataset: str,
    venue: str,
    known_until: pd.Timestamp,
    symbols: Sequence[str] | None = None,
    trusted: np.ndarray | None = None,
) -> Checked:
    """Check one response of facts.

    Args:
        rows: as the kind promises them (`workbench.data.kinds`); columns that it does not have are dropped.
        kind: its name.
        dataset: the name under which findings are filed, e.g. `"news/alpaca"`.
        venue: calendar name of the sessions.
        known_until: UTC moment after which nothing can have happened.
        symbols: those that were asked for.
        trusted: a boolean per row, True for rows that a person released from quarantine: they are not kept back again.

    Returns:
        Good rows by symbol in order of appearance, then by session, time, key and when they were learned.

    Raises:
        BadData: columns are missing or of a wrong type; no row was passed on.
        ParameterError: there is no such kind.
    """
    shape = kind_of(kind)
    refuse_wrong_shape(rows, dataset=dataset, kind=shape)
    inspection = _FactInspection(shape.typed(rows), shape=shape, dataset=dataset, venue=venue, trusted=trusted)
    inspection.order()
    inspection.values()
    inspection.repeated([*shape.names, "learned"], [one.name for form in ("number", "text") for one in shape.of(form)])
    inspection.clocks(known_until)
    inspection.days()
    checks = OF_KIND.get(kind)
    if checks is not None and checks.impossible is not None:
        checks.impossible(inspection)
    good = inspection.passed()
    if checks is not None and checks.strange is not None:
        checks.strange(inspection, good, known_until)
    inspection.no_rows(good, known_until=known_until, asked=symbols)
    return inspection.checked(good)


class _FactInspection(Inspection):
    """One pass over one response of facts of one kind: what holds for all of them."""

    def __init__(
        self, rows: pd.DataFrame, *, shape: Kind, dataset: str, venue: str, trusted: np.ndarray | None
    ) -> None:
        super().__init__(rows, dataset=dataset, several=shape.timed or shape.keyed, trusted=trusted, venue=venue)
        self.shape = shape
        self.moment = rows["time"] if shape.timed else rows["session"]

    def order(self) -> None:
        earlier = self.moment.groupby(self.rows["symbol"], sort=False).diff() < pd.Timedelta(0)
        self.strange("order", self.rows[earlier], "comes after a later row; the rows were sorted")

    def values(self) -> None:
        columns = [*self.shape.of("number"), *self.shape.of("text")]
        lacking = {one.name: self._is_absent(self.rows[one.name]) for one in columns if one.needed}
        if self.shape.keyed:
            lacking["key"] = self._is_absent(self.rows["key"])
        for name, absent in lacking.items():
            self.impossible("missing-value", absent, f"{name} is empty")
        for column in self.shape.of("number"):
            numbers = self.rows[column.name].to_numpy(dtype=float)
            outside = np.isinf(numbers) | (numbers < column.least) | (numbers > column.most)
            bounds = f"must be a finite number from {column.least:g} to {column.most:g} {column.unit}".rstrip()
            self.impossible("bad-value", outside, _says(column.name, bounds))

    def clocks(self, known_until: pd.Timestamp) -> None:
        rows = self.rows
        self.impossible(
            "clocks",
            rows["learned"] < rows["happened"],
            lambda row: f"it was learned {row['learned']}, before it happened {row['happened']}",
        )
        if self.shape.name not in _AHEAD:
            known_on = rows["learned"].dt.tz_convert(NEW_YORK).dt.tz_localize(None)
            # A day that begins earlier in the east: in Tokyo it is tomorrow already.
            self.impossible(
                "clocks",
                known_on < rows["session"] - pd.Timedelta(hours=14),
                lambda row: f"it was learned {row['learned']}, before its day {row['session'].date()} began",
            )
        self.impossible(
            "from-the-future",
            rows["happened"] > known_until,
            lambda row: f"happened {row['happened']}, which is after {known_until}",
        )

    def days(self) -> None:
        rows = self.rows
        if rows.empty:
            return
        if self.shape.name in _ON_ITS_DAY:
            local = rows["time"].dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize()
            self.impossible(
                "wrong-day",
                local != rows["session"],
                lambda row: f"its time {row['time']} does not lie on {row['session'].date()} in New York",
            )
        if self.shape.name in _IN_SESSIONS:
            trades = rows["session"].isin(sessions.sessions(self.venue, rows["session"].min(), rows["session"].max()))
            self.impossible("not-a-session", ~trades, f"{self.venue} does not trade on that day")

    def passed(self) -> pd.DataFrame:
        good = self.rows[~self.bad]
        by = ["session", *(["time"] if self.shape.timed else []), *(["key"] if self.shape.keyed else []), "learned"]
        ordered = good.assign(_place=pd.factorize(good["symbol"])[0]).sort_values(["_place", *by], kind="stable")
        return ordered.drop(columns="_place").reset_index(drop=True)

    def no_rows(self, good: pd.DataFrame, *, known_until: pd.Timestamp, asked: Sequence[str] | None) -> None:
        if self.shape.name not in _EXPECTED:
            return
        present = set(good["underlying" if self.shape.name == "options" else "symbol"].unique())
        newest = known_until.tz_convert(NEW_YORK).tz_localize(None).normalize()
        for symbol in dict.fromkeys(asked or ()):
            if symbol not in present:
                self.absent("no-rows", symbol, newest, "was asked for, and no good row came")

    @staticmethod
    def _is_absent(column: pd.Series) -> np.ndarray:
        empty = column.isna() if column.dtype.kind == "f" else column.str.strip() == ""
        return empty.to_numpy(dtype=bool)


def _says(name: str, bounds: str) -> Any:
    return lambda row: f"{name}={row[name]:g} {bounds}"
