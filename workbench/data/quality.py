"""Quality: what is wrong with a response, row by row, before anybody may believe it.

A response of the wrong shape is refused as a whole (BadData). In one of the right shape, every row that cannot be true
is quarantined (severity `error`): it is not passed on, but it is recorded. A row that is only strange is passed on and
recorded (`warning`).

| kind | severity | a row, or a symbol, is found when |
|---|---|---|
| `duplicate` | error | it is there twice: of equal rows one is passed on, of different ones none |
| `not-a-session` | error | the venue does not trade on that day |
| `clocks` | error | it happened before its session could end, or was learned before it happened |
| `from-the-future` | error | it happened after `known_until` |
| `bad-price` | error | a price is zero, negative or infinite, or there is no close |
| `bad-range` | error | high < low, or open or close lies outside [low, high] |
| `bad-volume` | error | the volume is negative or infinite |
| `order` | warning | its time is before that of the row above it, of the same symbol |
| `partial` | warning | it has some of open, high and low, but not all |
| `jump` | warning | the close moved by more than `JUMP` against the close before it: as splits do |
| `frozen` | warning | the close repeats `FROZEN` times or more in a row |
| `gap` | warning | sessions are missing between a symbol's first and last row |
| `stale` | warning | the last row is older than the session complete at `known_until` |
| `no-rows` | warning | a symbol was asked for and nothing (good) came |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data.finding import Finding, as_frame, store_findings
from workbench.data.inspection import MOST, Checked, Inspection, log_change
from workbench.data.shape import refuse_wrong_shape
from workbench.data.source import PRICES

__all__ = ["FROZEN", "JUMP", "MOST", "Checked", "Finding", "as_frame", "check", "store_findings"]

JUMP: Final = float(np.log(1.5))  # |log return| of a 3-for-2 split, the smallest usual one (0.405)
FROZEN: Final = 10  # equal closes in a row
TOLERANCE: Final = 1e-9  # relative; adjusting prices by a factor moves the last digit


def check(
    rows: pd.DataFrame,
    *,
    dataset: str,
    venue: str,
    known_until: pd.Timestamp,
    symbols: Sequence[str] | None = None,
    trusted: np.ndarray | None = None,
) -> Checked:
    """Check one response of bars.

    Args:
        rows: long rows as `BarSource.bars` promises them, daily or (with a column `time`) intraday; a column `source`
            (text) may say of each row who gave it, and is kept.
        dataset: the name under which findings are filed, e.g. `"bars/1d/bundled"`.
        venue: calendar name of the sessions.
        known_until: UTC moment after which nothing can have happened; also where an up-to-date response ends.
        symbols: those that were asked for; one that did not come is a finding. Not checked when None.
        trusted: a boolean per row, True for rows that a person released from quarantine: they are not kept back again.

    Returns:
        Good rows by symbol in order of appearance, then by time.

    Raises:
        BadData: columns are missing or of a wrong type; no row was passed on.
    """
    refuse_wrong_shape(rows, dataset=dataset)
    inspection = _BarInspection(rows.reset_index(drop=True), dataset=dataset, venue=venue, trusted=trusted)
    inspection.order()
    inspection.repeated(["symbol", "time" if inspection.several else "session"], [*PRICES, "volume"])
    inspection.clocks(known_until)
    inspection.numbers()
    good = inspection.passed()
    inspection.jumps(good)
    if not inspection.several:
        inspection.frozen(good)
    inspection.gaps_and_ends(good, known_until=known_until, asked=symbols)
    return inspection.checked(good)


class _BarInspection(Inspection):
    """One pass over one response of bars."""

    def __init__(self, rows: pd.DataFrame, *, dataset: str, venue: str, trusted: np.ndarray | None) -> None:
        intraday = "time" in rows.columns
        super().__init__(rows, dataset=dataset, venue=venue, several=intraday, trusted=trusted)
        self.moment = rows["time"] if intraday else rows["session"]

    def order(self) -> None:
        earlier = self.moment.groupby(self.rows["symbol"], sort=False).diff() < pd.Timedelta(0)
        self.strange("order", self.rows[earlier], "comes after a later row; the rows were sorted")

    def clocks(self, known_until: pd.Timestamp) -> None:
        rows = self.rows
        if rows.empty:
            return
        days = sessions.sessions(self.venue, rows["session"].min(), rows["session"].max())
        trades = rows["session"].isin(days)
        self.impossible("not-a-session", ~trades, f"{self.venue} does not trade on that day")
        closes = pd.Series(sessions.close_times(self.venue, days), index=days)
        close = rows["session"].map(closes)
        if self.several:
            opens = pd.Series([sessions.opens(self.venue, day) for day in days], index=days, dtype=close.dtype)
            outside = (rows["time"] < rows["session"].map(opens)) | (rows["happened"] > close)
            outside |= rows["happened"] <= rows["time"]
            said = "the bar does not lie inside the session"
        else:
            outside, said = rows["happened"] < close, "it happened before the session closed"
        early = rows["learned"] < rows["happened"]
        self.impossible(
            "clocks",
            trades & (outside | early),
            lambda row: (
                f"{said if outside[row.name] else 'it was learned before it happened'}: happened "
                f"{row['happened']}, learned {row['learned']}, session close {close[row.name]}"
            ),
        )
        self.impossible(
            "from-the-future",
            rows["happened"] > known_until,
            lambda row: f"happened {row['happened']}, which is after {known_until}",
        )

    def numbers(self) -> None:
        rows = self.rows
        prices = rows[list(PRICES)].to_numpy(dtype=float)
        unreal = ((prices <= 0) | np.isinf(prices)).any(axis=1) | rows["close"].isna()
        self.impossible("bad-price", unreal, lambda row: f"{_prices(row)}: every price must be above 0, with a close")
        opened, high, low, closed = prices.T
        top, bottom = high * (1 + TOLERANCE), low * (1 - TOLERANCE)
        outside = (high < bottom) | (opened > top) | (opened < bottom) | (closed > top) | (closed < bottom)
        self.impossible("bad-range", outside & ~unreal, lambda row: f"{_prices(row)}: not inside [low, high]")
        volume = rows["volume"].to_numpy(dtype=float)
        self.impossible(
            "bad-volume", (volume < 0) | np.isinf(volume), lambda row: f"volume={row['volume']} must be 0 or more"
        )
        missing = np.isnan(prices[:, :3]).sum(axis=1)
        partial = rows[(missing > 0) & (missing < 3) & ~self.bad]
        self.strange("partial", partial, lambda row: f"{_prices(row)}: some of them are missing")

    def passed(self) -> pd.DataFrame:
        good = self.rows[~self.bad]
        appearance = pd.factorize(good["symbol"])[0]
        moment = self.moment[~self.bad].dt.tz_localize(None).to_numpy()
        ordered: pd.DataFrame = good.iloc[np.lexsort((moment, appearance))].reset_index(drop=True)
        return ordered

    def jumps(self, good: pd.DataFrame) -> None:
        change = log_change(good["close"], by=good["symbol"])
        self.strange(
            "jump",
            good[change.abs() > JUMP],
            lambda row: f"log return {change[row.name]:+.3f} on the close before; bound ±{JUMP:.3f}, as for a split",
        )

    def frozen(self, good: pd.DataFrame) -> None:
        before = good[["symbol", "close"]].shift()
        run = ((good["symbol"] != before["symbol"]) | (good["close"] != before["close"])).cumsum()
        length = run.map(run.value_counts())
        first = ~run.duplicated()
        self.strange(
            "frozen",
            good[first & (length >= FROZEN)],
            lambda row: f"the close stays at {row['close']:g} for {length[row.name]} sessions; bound {FROZEN}",
        )

    def gaps_and_ends(self, good: pd.DataFrame, *, known_until: pd.Timestamp, asked: Sequence[str] | None) -> None:
        newest = sessions.session_of(self.venue, known_until)
        present = set(good["symbol"].unique())
        for symbol in dict.fromkeys(asked or ()):
            if symbol not in present:
                self.absent("no-rows", symbol, newest, "was asked for, and no good row came")
        if good.empty:
            return
        days = sessions.sessions(self.venue, good["session"].min(), max(newest, good["session"].max()))
        for name, of_symbol in good.groupby("symbol", sort=False)["session"]:
            where = days.get_indexer(pd.DatetimeIndex(of_symbol.unique()))
            for hole in np.flatnonzero(np.diff(where) > 1)[:MOST]:
                first, last = where[hole] + 1, where[hole + 1] - 1
                count = f"{last - first + 1} missing" if last > first else "1 missing"
                self.absent("gap", str(name), days[first], f"{count}, up to {days[last].date()}")
            behind = len(days) - 1 - where[-1]
            if behind > 0 and days[where[-1]] < newest:
                said = f"ends {behind} sessions before {newest.date()}, the newest complete at {known_until}"
                self.absent("stale", str(name), days[where[-1]], said)


def _prices(row: Any) -> str:
    return ", ".join(f"{name}={row[name]:g}" for name in PRICES)
