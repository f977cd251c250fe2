"""Write `docs/facts.md`: every kind of facts and every source, from the definitions in the code.

    .venv/bin/python tests/refresh_facts_page.py

A test holds the page equal to what this writes.
"""

from __future__ import annotations

import math
from pathlib import Path

from workbench.data.kinds import KINDS, Column, Kind
from workbench.data.parts import REVISITED
from workbench.data.sources import SOURCES

PAGE = Path(__file__).parents[1] / "docs" / "facts.md"
HEAD = """# Kinds of facts, and who has them

Written from `workbench/data/kinds.py` and `workbench/data/sources/__init__.py` by `tests/refresh_facts_page.py`.

Every kind is a long table with two clocks. A fact is named by the columns its heading gives; two rows that agree in
them and differ in `learned` are vintages of one fact, and a reader `as_of` a moment sees the newest one learned by
then. All rows end with `happened`, `learned` (UTC) and `source`.
"""


def page() -> str:
    """The whole text of the page."""
    kinds = "\n".join(_kind(kind) for kind in KINDS.values())
    sources = [
        (
            f"`{one.name}`",
            ", ".join(one.kinds),
            ", ".join(f"`{setting}`" for _, setting in one.needs) or "nothing",
            one.terms,
        )
        for one in SOURCES.values()
    ]
    return "\n".join(
        [
            HEAD,
            "## Sources\n",
            _table(("source", "kinds", "needs", "what its owner allows; read the terms yourself"), sources),
            "",
            "## Kinds\n",
            "Bars are daily (`symbol`, `session`) or intraday (`time` as well) with open, high, low, close and volume.",
            "*Again*: so many days before the newest ones are asked again, because vendors correct themselves.\n",
            kinds,
        ]
    )


def _kind(kind: Kind) -> str:
    again = REVISITED.get(kind.name)
    said = "" if again is None else f" Again: {'everything' if again > 36_500 else f'{again} d'}."
    rows = [(f"`{column.name}`", column.unit or column.form, _bounds(column), _may(column)) for column in kind.values]
    names = ", ".join(f"`{name}`" for name in kind.names)
    head = f"### {kind.name}\n\n{kind.meaning[0].upper()}{kind.meaning[1:]}. Named by {names}.{said}\n"
    return f"{head}\n{_table(('column', 'unit', 'bounds', 'may be absent'), rows)}\n"


def _bounds(column: Column) -> str:
    said = []
    if not math.isinf(column.least):
        said.append("> 0" if 0 < column.least < 1e-6 else f"≥ {column.least:g}")
    if not math.isinf(column.most):
        said.append(f"≤ {column.most:g}")
    return ", ".join(said)


def _may(column: Column) -> str:
    return "" if column.needed else "yes"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
