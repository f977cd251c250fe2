"""Run: the frozen answer to one question, with the question inside."""

from __future__ import annotations

import dataclasses
import html
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import NoData
from workbench.study import Study

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Run:
    """What came out of one question.

    Attributes:
        id: 32 hex digits.
        kind: what was asked for: `backtest`, `debate`, `trade`.
        study: the question.
        title: who answered, on one line, e.g. `sma_cross(fast=50, slow=200)`.
        label: what must be said about the data, e.g. `"real · adjusted closes"` or `"SYNTHETIC · seed 7"`.
        config: everything that determines the answer, as plain JSON values; `config_hash` is its sha256.
        summary: headline numbers by name; None where a number is undefined, never 0 in its place.
        intervals: for each headline number that has one, (low, high) of its interval.
        tables: frames by name, e.g. `equity`, `weights`, `orders`, `trades`.
        provenance: versions, data fingerprints, machine.
        reused: True when this is a stored answer to an identical question.
    """

    id: str
    kind: str
    study: Study
    title: str
    label: str
    config: dict[str, Any]
    config_hash: str
    summary: dict[str, float | None]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    trace_id: str = ""
    runtime_s: float = 0.0
    reused: bool = False

    def table(self, name: str) -> pd.DataFrame:
        """One of the frames. Raises NoData, naming those that exist."""
        if name not in self.tables:
            raise NoData(f"this run has no table {name!r}.", remedy=f"it has {', '.join(sorted(self.tables))}.")
        return self.tables[name]

    def save(self, folder: Path) -> Path:
        """Write `run.json` and one Parquet file per table; the folder is complete once `run.json` is there."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in self.tables.items():
            frame.to_parquet(folder / f"{name}.parquet")
        record = {
            **{
                item.name: getattr(self, item.name)
                for item in dataclasses.fields(self)
                if item.name not in {"study", "tables", "reused"}
            },
            "study": self.study.to_dict(),
            "tables": sorted(self.tables),
        }
        partial = folder / "run.json.partial"
        partial.write_text(json.dumps(record, indent=1, allow_nan=False), encoding="utf-8")
        partial.replace(folder / "run.json")
        return folder

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read what `save` wrote. Raises NoData when the folder holds no complete run."""
        path = folder / "run.json"
        if not path.exists():
            raise NoData(f"{folder} holds no complete run.", remedy="run the question again.")
        record = json.loads(path.read_text(encoding="utf-8"))
        names = record.pop("tables")
        record["intervals"] = {key: (low, high) for key, (low, high) in record["intervals"].items()}
        return cls(
            **{**record, "study": Study.from_dict(record["study"])},
            tables={name: pd.read_parquet(folder / f"{name}.parquet") for name in names},
        )

    def headline(self) -> pd.DataFrame:
        """The summary as a frame: metric, value, low and high of the interval (NaN where there is none)."""
        rows = [
            (name, value, *self.intervals.get(name, (float("nan"), float("nan"))))
            for name, value in self.summary.items()
        ]
        frame = pd.DataFrame(rows, columns=["metric", "value", "low", "high"])
        return frame.astype({"value": float, "low": float, "high": float}).set_index("metric")

    def __repr__(self) -> str:
        lines = [f"{self.title} — {self.kind}{' (stored answer)' if self.reused else ''}", self.study.line, self.label]
        for name, value in self.summary.items():
            shown = _shown(value)
            interval = self.intervals.get(name)
            bounds = f"   [{interval[0]:,.4f}, {interval[1]:,.4f}]" if interval else ""
            lines.append(f"  {name:<24}{shown:>16}{bounds}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        def bounds(name: str) -> str:
            if not self.intervals:
                return ""
            low, high = self.intervals.get(name, (None, None))
            return "<td></td>" if low is None else f"<td>{_shown(low)} … {_shown(high)}</td>"

        left = " style='text-align:left'"
        rows = "".join(
            f"<tr><td{left}>{html.escape(name)}</td><td>{_shown(value)}</td>{bounds(name)}</tr>"
            for name, value in self.summary.items()
        )
        stored = " · stored answer" if self.reused else ""
        head = f"<th{left}>metric</th><th>value</th>" + ("<th>interval</th>" if self.intervals else "")
        return (
            f"<div><b>{html.escape(self.title)}</b>{stored}<br><small>{html.escape(self.study.line)}<br>"
            f"{html.escape(self.label)}</small><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )


def _shown(value: float | None) -> str:
    """Counts without decimals, money with two, ratios with four."""
    if value is None:
        return "undefined"
    if value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:,.4f}"
