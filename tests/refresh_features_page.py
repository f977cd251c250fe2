"""Write `docs/features.md`: every feature from the registry.

    .venv/bin/python tests/refresh_features_page.py

A test holds the page equal to what this writes.
"""

from __future__ import annotations

from pathlib import Path

from workbench.features import table
from workbench.features.registry import GROUPS

PAGE = Path(__file__).parents[1] / "docs" / "features.md"
HEAD = """# Features

{count} features of a symbol's bars. A rule, a bot, an evidence pack and a model that name `rsi(14)` mean the same
number: each feature is defined once, in `workbench/features/`, and this page is written from those definitions by
`tests/refresh_features_page.py`.

```python
from workbench import features

features.feature("rsi(14)").over(bars)  # one, of all symbols (bar × symbol)
features.frame(history, ["rsi(14)", "momentum_12_1"])  # a tidy frame (session, symbol) for a model
features.newest(history.view("2015-06-30"), ["rsi(14)"])  # what was known at a moment

stream = features.feature("rsi(14)").stream(history_of_one_symbol)  # the same, bar by bar
stream.update({{"close": 101.5}})
```

Rules for all of them.

- Row t is computed from bars up to t only.
- A bar that lacks a field which is read is a gap: it is taken out before, never filled, and has no value itself. What
  has no finite answer is NaN, never 0 or 50 (the indices of TA-Lib that say 0 where nothing moved say so below).
- Windows count bars of the symbol, so a gap makes a window reach further back. "Per year" means × √252, for daily bars.
- `warm-up` is the number of bars, for the arguments shown, after which the value no longer depends on where the history
  begins, to about 1e-9 of its scale. `frame` leaves out what comes before unless told otherwise (`warm=False`).
- Batch and stream agree: to the bit where TA-Lib computes both (●), else to 1e-9.
"""


def page() -> str:
    """The whole text of the page."""
    shown = table()
    parts = [HEAD.format(count=len(shown))]
    for title, group in GROUPS.items():
        rows = shown.loc[[definition.name for definition in group]]
        parts.append(f"## {title}\n\n{_table(rows)}\n")
    return "\n".join(parts)


def _table(rows: object) -> str:
    heads = ("feature", "what it is", "unit", "reads", "parameters", "warm-up", "source")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows.itertuples():  # type: ignore[attr-defined]  # a frame
        mark = " ●" if row.stream == "same bits" else ""
        cells = (
            f"`{row.example}`{mark}",
            row.meaning,
            row.unit,
            row.fields,
            row.parameters,
            str(row.warm_up),
            row.source,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
