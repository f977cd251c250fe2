"""The verdict on a strategy: one self-contained page from an audit, without a script, and the same in short."""

from __future__ import annotations

import html
import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from workbench.backtest.audit.auditing import checks_of
from workbench.backtest.audit.check import FAIL, PASS, WARN, worst
from workbench.errors import ReportError
from workbench.report import pictures
from workbench.report.tables import Table, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.backtest.audit.check import Check
    from workbench.run import Run
    from workbench.store.workspace import Workspace

ASSETS = Path(__file__).with_name("assets")

QUESTIONS = {
    "future": "Does it peek into the future?",
    "warm_up": "Does it depend on where the history begins?",
    "delay": "Does it live off being instant?",
    "costs": "How much dearer may trading become?",
    "trades": "Is it a handful of lucky trades?",
    "universe": "Is it one lucky symbol?",
}
# Never colour alone: each verdict has a sign of its own.
_SIGNS = {PASS: "✓", WARN: "!", FAIL: "✕"}
_MEANING = {
    PASS: "no check found anything",
    WARN: "no check failed, but look at what was found",
    FAIL: "do not trust this backtest before what failed is understood",
}
_FORMATS = {
    "total_return": ".1%", "return": ".1%", "max_drawdown": ".1%", "sharpe": ",.2f", "cost": ",.0f", "pnl": ",.0f",
    "share_dropped": ".0%", "win_rate": ".1%", "profit_factor": ",.2f", "multiple": "g", "old": ".6g", "new": ".6g",
    "largest_change": ".2g", "changed": ",.0f",
}  # fmt: skip
# Rows of a table, and of each kind of choice of symbols.
_MOST, _LOWEST = 12, 4


@dataclass(frozen=True)
class Verdict:
    """An audit in short; as the last line of a cell it displays the table of its checks."""

    run: Run

    @property
    def checks(self) -> list[Check]:
        """The findings, in the order of the page."""
        return checks_of(self.run)

    @property
    def verdict(self) -> str:
        """PASS, WARN or FAIL: the worst of the checks."""
        return worst(check.verdict for check in self.checks)

    @property
    def table(self) -> Table:
        """One row per check."""
        rows = [(check.name.replace("_", " "), _sign(check.verdict), check.headline) for check in self.checks]
        frame = pd.DataFrame(rows, columns=["check", "verdict", "what was found"])
        return table(frame, caption=f"{self.run.title}: {self.verdict}", label=self.run.label, index=False)

    def __repr__(self) -> str:
        return f"{self.run.study.line}\n{self.table!r}"

    def _repr_html_(self) -> str:
        return f'<div><p class="wb-note">{html.escape(self.run.study.line)}</p>{self.table._repr_html_()}</div>'


def verdict_page(run: Run) -> str:
    """An audit as one HTML page: the question, the verdict, then each check with its sentence, numbers and reason.

    The page loads nothing and runs nothing; it follows the reader's choice of light or dark.

    Raises:
        NoData: the run is no audit.
    """
    shown = Verdict(run)
    checks = shown.checks
    page = (ASSETS / "verdict.html").read_text(encoding="utf-8")
    return string.Template(page).substitute(
        css=(ASSETS / "page.css").read_text(encoding="utf-8")
        + (ASSETS / "verdict.css").read_text(encoding="utf-8")
        + pictures.STYLE,
        study_line=html.escape(run.study.line),
        banner=(
            '<p class="banner">SYNTHETIC data: every price was generated; none of it happened on a market.</p>'
            if run.label.upper().startswith("SYNTHETIC")
            else ""
        ),
        title=html.escape(run.title),
        badge=_badge(shown.verdict),
        meaning=_MEANING[shown.verdict],
        particulars=_particulars(run),
        rows="".join(map(_row, checks)),
        sections="".join(map(_section, checks)),
    )


def write_verdict(run: Run, *, workspace: Workspace | None = None, path: Path | None = None) -> Path:
    """Write the page of an audit, to `path` or to the workspace's `reports` under the strategy's name and question.

    Raises:
        ReportError: neither place is given; nothing was written.
        NoData: the run is no audit.
    """
    if path is None:
        if workspace is None:
            raise ReportError("no place is given for the page; nothing was written.", remedy="pass workspace or path.")
        path = workspace.home / "reports" / f"audit-{run.config['strategy']['name']}-{run.config_hash[:12]}.html"
    text = verdict_page(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
    return path


def _row(check: Check) -> str:
    name = html.escape(check.name)
    return (
        f'<tr><th scope="row"><a href="#{name}">{html.escape(_question(check))}</a></th>'
        f'<td>{_badge(check.verdict)}</td><td class="wb-text">{html.escape(check.headline)}</td></tr>'
    )


def _section(check: Check) -> str:
    name = html.escape(check.name)
    return (
        f'<section id="{name}"><h2>{html.escape(_question(check))} {_badge(check.verdict)}</h2>'
        f'<p class="finding">{html.escape(check.headline)}</p>'
        f'<div class="measured">{_picture(check)}<div class="shown">{_numbers(check)._repr_html_()}</div></div>'
        f'<p class="prose">{html.escape(check.why)}</p><p class="wb-note">{html.escape(check.threshold)}</p></section>'
    )


def _question(check: Check) -> str:
    return QUESTIONS.get(check.name, check.name)


def _sign(verdict: str) -> str:
    return f"{_SIGNS[verdict]} {verdict}"


def _badge(verdict: str) -> str:
    return f'<span class="badge {verdict.lower()}">{_sign(verdict)}</span>'


def _particulars(run: Run) -> str:
    def number(name: str, show: str) -> str:
        value = run.summary.get(name)
        return "undefined" if value is None else format(value, show)

    costs = ", ".join(f"{name} {value:g}" for name, value in run.config["costs"].items() if _is_set(value))
    rows = (
        ("Data", run.label),
        ("Sharpe ratio, after costs", number("sharpe", ".2f")),
        ("Total return", number("total_return", ".1%")),
        ("Costs", costs or "none"),
        ("Filled at", str(run.config["rules"]["execution_price"]).replace("_", " ")),
        ("Question", run.config_hash[:12]),
        ("Versions", " · ".join(f"{name} {version}" for name, version in _versions(run).items())),
    )
    return "".join(f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in rows if value)


def _is_set(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def _versions(run: Run) -> dict[str, str]:
    found = run.provenance.get("versions", {})
    return {name: str(found[name]) for name in ("workbench", "vectorbt", "numpy", "pandas") if found.get(name)}


def _numbers(check: Check) -> Table:
    """What of a check's numbers is worth a reader's time."""
    frame = check.numbers
    if check.name == "future" and "changed" in frame:
        changed = frame[frame["changed"] > 0]
        if changed.empty:
            asked = frame.groupby("world", sort=False).agg(moments=("after", "size"), changed=("changed", "sum"))
            return table(asked.reset_index(), index=False, empty="nothing was asked")
        frame = changed.rename(columns={"changed": "weights changed"})
    if check.name == "universe" and "kind" in frame:
        lowest = frame.sort_values(["kind", "sharpe"], kind="stable").groupby("kind", sort=False).head(_LOWEST)
        frame = lowest.drop(columns="kind")
    shown = frame.rename(columns=lambda name: str(name).replace("_", " "))
    formats = {str(name).replace("_", " "): _FORMATS[str(name)] for name in frame.columns if str(name) in _FORMATS}
    caption = "All of them, and the lowest of each kind" if check.name == "universe" and len(frame) else ""
    return table(shown, index=False, formats=formats, most=_MOST, caption=caption, empty="nothing was asked")


def _picture(check: Check) -> str:
    """A static picture where one says more than the table; nothing where the check could not be made."""
    drawn = _PICTURES.get(check.name)
    if drawn is None or check.numbers.empty or "stopped" in check.numbers:
        return ""
    return drawn(check.numbers)


def _delay(numbers: pd.DataFrame) -> str:
    rows = [
        (f"{bars:.0f} bar{'s' if bars > 1 else ''} later" if bars else "as wished", sharpe)
        for bars, sharpe in _pairs(numbers, "bars_late", "sharpe")
    ]
    return pictures.bars(rows, title="Sharpe ratio by delay in bars", show="{:.2f}".format)


def _costs(numbers: pd.DataFrame) -> str:
    rows = [(f"costs × {multiple:g}", left) for multiple, left in _pairs(numbers, "multiple", "total_return")]
    return pictures.bars(rows, title="Total return by multiple of the costs", show="{:.1%}".format)


def _trades(numbers: pd.DataFrame) -> str:
    rows = [
        (f"without best {share:.0%}" if share else "all trades", left)
        for share, left in _pairs(numbers, "share_dropped", "return")
    ]
    return pictures.bars(rows, title="Profit in parts of the initial cash", show="{:.1%}".format)


def _universe(numbers: pd.DataFrame) -> str:
    found = dict(list(numbers.groupby("kind")["sharpe"]))
    labels = {"half": "random halves", "without": "without one"}
    rows = [(label, found[kind].tolist()) for kind, label in labels.items() if kind in found]
    if not rows:
        return ""
    whole = float(found["all"].iloc[0])
    return pictures.dots(rows, mark=whole, title="Sharpe ratio by choice of symbols", show="all: {:.2f}".format)


def _pairs(numbers: pd.DataFrame, label: str, value: str) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in zip(numbers[label], numbers[value], strict=True)]


_PICTURES: dict[str, Callable[[pd.DataFrame], str]] = {
    "delay": _delay,
    "costs": _costs,
    "trades": _trades,
    "universe": _universe,
}
