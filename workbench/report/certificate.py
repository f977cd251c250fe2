"""The certificate of the order path: what was killed and struck, what was counted, and the page that says so."""

from __future__ import annotations

import dataclasses
import datetime as dt
import html
import json
import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.report.tables import Table, table

if TYPE_CHECKING:
    from collections.abc import Mapping

ASSETS = Path(__file__).with_name("assets")
PASSED, FAILED = "PASSED", "FAILED"
_SIGNS = {PASSED: ("✓", "pass"), FAILED: ("✕", "fail")}
_COUNTS = ("lost", "doubled", "unresolved", "misbooked")
_MEANING = {
    PASSED: "every order is at the exchange once, and every book says what the exchange says",
    FAILED: "do not trade with this installation before it is understood what went wrong",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way of breaking the order path, and what was counted after it.

    Attributes:
        name: `kill -9` or a fault; `what` says it in words.
        struck: how often it happened, of the `wanted`.
        orders: orders that were wished.
        lost: of these, not at the exchange.
        doubled: at the exchange beyond one per wish.
        unresolved: orders of which the journal does not say what the exchange says.
        misbooked: orders whose booked fills, and symbols whose positions, are not the exchange's.
        seconds: how long the row took.
    """

    name: str
    what: str
    struck: int
    wanted: int
    orders: int
    lost: int
    doubled: int
    unresolved: int
    misbooked: int
    seconds: float
    note: str = ""

    @property
    def verdict(self) -> str:
        """PASSED only where nothing was counted that must not be, and it struck as often as was wanted."""
        clean = self.lost == self.doubled == self.unresolved == self.misbooked == 0
        return PASSED if clean and self.struck >= self.wanted and self.orders else FAILED


@dataclass(frozen=True)
class Certificate:
    """What came of breaking the order path on one machine; as the last line of a cell it displays its table.

    Attributes:
        rows: one per way of breaking it.
        kills, strikes, seed, workers: what was asked for.
        database: `sqlite` or `postgresql`.
        versions, machine: on what.
        started_at: UTC.
        seconds: how long all of it took.
        path: the page, where it was written.
    """

    rows: tuple[Row, ...]
    kills: int
    strikes: int
    seed: int
    workers: int
    database: str
    versions: Mapping[str, str]
    machine: str
    started_at: dt.datetime
    seconds: float
    path: Path | None = None

    @property
    def verdict(self) -> str:
        """PASSED where every row is, else FAILED; FAILED without a row."""
        return PASSED if self.passed else FAILED

    @property
    def passed(self) -> bool:
        """Whether every row passed, and there is one."""
        return bool(self.rows) and all(row.verdict == PASSED for row in self.rows)

    @property
    def table(self) -> pd.DataFrame:
        """One row per way of breaking it: its name, how often it struck, what was counted, seconds, verdict."""
        columns = ["row", "struck", "orders", *_COUNTS, "seconds", "verdict"]
        cells = [
            (row.name, row.struck, row.orders, *(getattr(row, name) for name in _COUNTS), row.seconds, row.verdict)
            for row in self.rows
        ]
        return pd.DataFrame(cells, columns=columns)

    @property
    def line(self) -> str:
        """The result in one sentence."""
        sums = {name: sum(getattr(row, name) for row in self.rows) for name in ("orders", *_COUNTS)}
        counted = ", ".join(f"{sums[name]:,} {name}" for name in _COUNTS)
        return f"{self.verdict}: {sums['orders']:,} orders, {counted}, in {self.seconds:,.0f} s on {self.database}."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        plain = dataclasses.asdict(self) | {"started_at": self.started_at.isoformat(), "verdict": self.verdict}
        return plain | {"versions": dict(self.versions), "path": None if self.path is None else str(self.path)}

    def __repr__(self) -> str:
        return f"{self.line}\n{self._shown()!r}"

    def _repr_html_(self) -> str:
        return f'<div><p class="wb-note">{html.escape(self.line)}</p>{self._shown()._repr_html_()}</div>'

    def _shown(self) -> Table:
        return table(self.table, formats={"seconds": ",.1f"}, index=False)


def certificate_page(certificate: Certificate) -> str:
    """A certificate as one HTML page, which loads nothing and runs nothing and follows the reader's light or dark."""
    return string.Template((ASSETS / "certificate.html").read_text(encoding="utf-8")).substitute(
        css=(ASSETS / "page.css").read_text(encoding="utf-8") + (ASSETS / "verdict.css").read_text(encoding="utf-8"),
        badge=_badge(certificate.verdict),
        meaning=_MEANING[certificate.verdict],
        line=html.escape(certificate.line),
        particulars=_particulars(certificate),
        rows="".join(map(_row, certificate.rows)),
    )


def write_certificate(certificate: Certificate, folder: Path) -> Certificate:
    """Write page and JSON into `folder` under the certificate's moment; the certificate with its `path`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"certificate-{certificate.started_at:%Y%m%dT%H%M%SZ}.html"
    written = dataclasses.replace(certificate, path=path)
    for target, text in (
        (path.with_suffix(".json"), json.dumps(written.to_dict(), indent=1)),
        (path, certificate_page(written)),
    ):
        partial = target.with_name(target.name + ".partial")
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(target)
    return written


def _row(row: Row) -> str:
    counts = "".join(f"<td>{getattr(row, name):,}</td>" for name in _COUNTS)
    what = " · ".join(part for part in (row.what, row.note) if part)
    return (
        f'<tr><th scope="row">{html.escape(row.name)}</th><td class="wb-text">{html.escape(what)}</td>'
        f"<td>{row.struck:,}</td><td>{row.orders:,}</td>{counts}<td>{row.seconds:,.1f}</td>"
        f"<td>{_badge(row.verdict)}</td></tr>"
    )


def _badge(verdict: str) -> str:
    sign, kind = _SIGNS[verdict]
    return f'<span class="badge {kind}">{sign} {verdict}</span>'


def _particulars(certificate: Certificate) -> str:
    rows = (
        ("Made", f"{certificate.started_at:%Y-%m-%d %H:%M} UTC, in {certificate.seconds:,.0f} s"),
        ("Asked for", f"{certificate.kills:,} kills, each fault {certificate.strikes:,} times"),
        ("Seed", str(certificate.seed)),
        ("Accounts at the same time", str(certificate.workers)),
        ("Database", certificate.database),
        ("Machine", certificate.machine),
        ("Versions", " · ".join(f"{name} {version}" for name, version in certificate.versions.items())),
    )
    return "".join(f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in rows)
