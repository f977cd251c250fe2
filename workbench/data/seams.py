"""Seams: where the bars that arrive meet those that are stored, and do not stand on the same basis.

A source that adjusts its bars changes the old ones after each split and dividend. Who asks it for the newest days only
has new days on the new basis beside old days on the old one, and a leap between them that no market made. The same
happens where another source answers than before. Both show in the sessions that are there twice.

| kind | severity | a symbol is found when |
|---|---|---|
| `rebased` | warning | its first common close moved by more than `REBASED`, and older rows stay as they were |
| `seam` | warning | its rows come from another source than the stored ones beside them |
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from workbench.data.finding import Finding

REBASED: Final = 1e-4  # |log|; a dividend of 0.05 % of the price is 5e-4, rounding to a cent at 100 is 5e-5
LOOK_BACK: Final = pd.Timedelta(days=10)


def seams(good: pd.DataFrame, stored: pd.DataFrame, *, dataset: str) -> tuple[list[Finding], tuple[str, ...]]:
    """What is found between good new rows of bars and the stored ones around them.

    Args:
        good: new rows, long.
        stored: what is stored of these symbols from `LOOK_BACK` before the first new session on.

    Returns:
        Findings of the kinds `rebased` and `seam`, and the symbols that should be asked for again as a whole.
    """
    findings: list[Finding] = []
    again: list[str] = []
    if good.empty or stored.empty:
        return findings, ()
    moment = "time" if "time" in good.columns and "time" in stored.columns else "session"
    there = dict(list(stored.groupby("symbol", sort=False)))
    for name, fresh in good.groupby("symbol", sort=False):
        old, symbol = there.get(name), str(name)
        first = fresh["session"].min()
        if old is None or not (old["session"] < first).any():
            continue
        columns = list(dict.fromkeys([moment, "session", "close"]))
        common = old[columns].merge(fresh[[moment, "close"]], on=moment).sort_values(moment)
        common = common[(common["close_x"] > 0) & (common["close_y"] > 0)]  # a person may have released others
        apart = np.log((common["close_y"] / common["close_x"]).to_numpy())
        before, now = _sources(old[old["session"] < first]), _sources(fresh)
        if before and now and before != now:
            said = (
                f"over {len(apart)} common bars closes differ by at most {np.abs(apart).max():.3%}"
                if len(apart)
                else ""
            )
            findings.append(
                _found(dataset, symbol, first, "seam", f"{now} follows {before}; {said or 'no bar in common'}")
            )
        if len(apart) and abs(apart[0]) > REBASED:
            findings.append(
                _found(
                    dataset,
                    symbol,
                    first,
                    "rebased",
                    f"the close of {common['session'].iloc[0].date()} is {apart[0]:+.3%} against the stored one, and "
                    "older bars stay as they were: ask for the whole range again",
                )
            )
            again.append(symbol)
    return findings, tuple(again)


def _sources(rows: pd.DataFrame) -> str:
    return " + ".join(sorted(rows["source"].dropna().unique())) if "source" in rows.columns else ""


def _found(dataset: str, symbol: str, session: pd.Timestamp, kind: str, said: str) -> Finding:
    return Finding(dataset, symbol, pd.Timestamp(session), kind, "warning", said, quarantined=False)
