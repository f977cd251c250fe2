"""Inspection: one pass over one response; it marks the rows that are kept back and writes down why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench.data.finding import Finding, Severity

MOST: Final = 50  # findings of one kind for one symbol; the last of them counts the rest
WHY: Final = "why"
DETAIL: Final = "detail"

Say = str | Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Checked:
    """What passed (index 0…n−1), what was found, and what was kept back.

    Attributes:
        good: the rows that are passed on.
        findings: what was found, the strange and the impossible.
        quarantined: how many rows were kept back.
        kept_back: these rows as they came, with two more columns: `why` (the kinds of findings, joined by ", ") and
            `detail` (what was said of the row).
    """

    good: pd.DataFrame
    findings: list[Finding]
    quarantined: int
    kept_back: pd.DataFrame


class Inspection:
    """The rows of one response (index 0…n−1), and what is wrong with them.

    Args:
        rows: of the right shape.
        dataset: under which name findings are filed.
        venue: calendar name of the sessions.
        several: whether a symbol can have several rows in a session, so that a finding may stand for several.
        trusted: rows (a boolean per row) that a person released before: nothing said of them keeps them back.
    """

    def __init__(
        self, rows: pd.DataFrame, *, dataset: str, venue: str, several: bool, trusted: np.ndarray | None = None
    ) -> None:
        self.rows = rows
        self.dataset = dataset
        self.venue = venue
        self.several = several
        self.bad = np.zeros(len(rows), dtype=bool)
        self.findings: list[Finding] = []
        self._trusted = np.zeros(len(rows), dtype=bool) if trusted is None else trusted
        self._why: dict[int, list[str]] = {}
        self._said: dict[int, list[str]] = {}

    def impossible(self, kind: str, mask: Any, say: Say) -> None:
        """Keep the marked rows back (an `error`)."""
        marked = np.asarray(mask, dtype=bool) & ~self._trusted
        if not marked.any():
            return
        self.bad |= marked
        for place in np.flatnonzero(marked):
            self._why.setdefault(int(place), []).append(kind)
        self._found(kind, "error", self.rows[marked], say)

    def strange(self, kind: str, rows: pd.DataFrame, say: Say) -> None:
        """Pass the rows on and say what is strange about them (a `warning`)."""
        if len(rows):
            self._found(kind, "warning", rows, say)

    def absent(self, kind: str, symbol: str, session: pd.Timestamp, said: str) -> None:
        """Say that something is not there (a `warning`); `session` is where."""
        self.findings.append(
            Finding(self.dataset, symbol, pd.Timestamp(session), kind, "warning", said, quarantined=False)
        )

    def repeated(self, names: Sequence[str], values: Sequence[str]) -> None:
        """Of rows that agree in `names` and `values` keep one; of those that agree in `names` only keep none."""
        names, values = list(names), [*names, *values]
        several = self.rows.duplicated(names, keep=False).to_numpy()
        if not several.any():
            return
        among = self.rows[several]
        if self._trusted[several].any():  # the released row is the one to keep, wherever it stands
            among = among.iloc[np.argsort(~self._trusted[several], kind="stable")]
        repeats = among.duplicated(values).reindex(self.rows.index, fill_value=False).to_numpy()
        different = among.drop_duplicates(values)
        different = different[different.duplicated(names, keep=False)]
        there = pd.MultiIndex.from_frame(self.rows.loc[several, names])
        contradicts = np.zeros(len(self.rows), dtype=bool)
        contradicts[several] = there.isin(pd.MultiIndex.from_frame(different[names]))
        self.impossible("duplicate", repeats & ~contradicts, "repeats another row; one of them was passed on")
        self.impossible("duplicate", contradicts, "another row gives other values for it; none was passed on")

    def checked(self, good: pd.DataFrame) -> Checked:
        """The end of the pass."""
        back = self.rows[self.bad]
        kept = back.assign(
            **{
                WHY: pd.Series([", ".join(self._why[place]) for place in back.index], index=back.index, dtype="str"),
                DETAIL: pd.Series(
                    ["; ".join(self._said.get(place, ())) for place in back.index], index=back.index, dtype="str"
                ),
            }
        )
        return Checked(good, self.findings, int(self.bad.sum()), kept.reset_index(drop=True))

    def _found(self, kind: str, severity: Severity, rows: pd.DataFrame, say: Say) -> None:
        """One finding per symbol and session, at most `MOST` per symbol."""
        for symbol, of_symbol in rows.groupby("symbol", sort=False):
            if severity == "error":
                self._write_down(of_symbol, say)
            firsts = of_symbol.drop_duplicates("session")
            for place, (_, row) in enumerate(firsts.iloc[:MOST].iterrows()):
                said = say if isinstance(say, str) else say(row)
                if self.several and (count := int((of_symbol["session"] == row["session"]).sum())) > 1:
                    said += f" ({count} such rows in this session)"
                if place == MOST - 1 and len(firsts) > MOST:
                    said += f" (and {len(firsts) - MOST} more sessions, up to {_day(firsts['session'].iloc[-1])})"
                self.findings.append(
                    Finding(
                        dataset=self.dataset,
                        symbol=str(symbol),
                        session=pd.Timestamp(row["session"]),
                        kind=kind,
                        severity=severity,
                        detail=said,
                        quarantined=severity == "error",
                        row=plain(row),
                    )
                )

    def _write_down(self, rows: pd.DataFrame, say: Say) -> None:
        """What is said of each bad row; after the first `MOST` of a symbol the row itself has to speak."""
        for place, row in rows.iloc[:MOST].iterrows():
            self._said.setdefault(int(str(place)), []).append(say if isinstance(say, str) else say(row))


def log_change(values: pd.Series, by: pd.Series) -> pd.Series:
    """The log of each value over the one before it in its group; NaN where one of them is not above 0, or absent."""
    change: pd.Series = np.log(values.where(values > 0)).groupby(by, sort=False).diff()
    return change


def plain(row: Any) -> dict[str, Any]:
    """A row as JSON values: moments as ISO text, NaN and infinity as None and text."""
    made: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, pd.Timestamp):
            made[str(name)] = value.isoformat()
        elif isinstance(value, float | np.floating):
            made[str(name)] = None if np.isnan(value) else float(value) if np.isfinite(value) else str(value)
        else:
            made[str(name)] = value.item() if isinstance(value, np.generic) else value
    return made


def _day(session: Any) -> str:
    return pd.Timestamp(session).date().isoformat()
