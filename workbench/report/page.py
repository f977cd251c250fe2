"""One self-contained page from an executed notebook: the question first, the figures inside, nothing from the net."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import string
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ReportError
from workbench.report.theme import template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.report.exporter import Body, Section


@dataclass(frozen=True)
class Page:
    """A page that was written: where, how many figures it draws, its size in bytes."""

    path: Path
    figures: int
    size: int


def page(
    executed: Path,
    *,
    out_path: Path,
    study_line: str,
    label: str,
    session: str = "",
    trace_id: str = "",
    versions: Mapping[str, str] | None = None,
    title: str | None = None,
    synthetic: bool | None = None,
    linked: bool | Path = False,
) -> Page:
    """Write an executed notebook as one HTML file: markdown and outputs, code hidden, figures drawn by plotly.js.

    The file loads nothing: its content security policy forbids the browser every request, and every script but the two
    that this function wrote (plotly.js from the plotly package, once, and the few lines that call it). HTML and
    markdown of the notebook are sanitized, everything else is escaped; figures travel as JSON. What a cell wrote to
    stderr (progress bars) is left out. The same notebook gives the same bytes.

    Args:
        executed: the notebook, after its run.
        study_line: the question; the first line of the page.
        label: what must be said about the data; a banner warns when it begins with "SYNTHETIC" or `synthetic` is True.
        session, trace_id, versions: the next lines; left out when empty.
        title: of the page; the notebook's first heading of level 1 when None, else its file name.
        linked: True puts plotly.js beside the page (once for all pages there), a folder puts it there; the page then
            weighs some 100 kB instead of 5 MB, and needs that file.

    Raises:
        ReportError: the notebook cannot be read or was never run, a figure would load from the net, or a figure of the
            notebook has no place in the page. Nothing is written then.
    """
    from workbench.report.exporter import ASSETS, body_of

    body = body_of(_read(executed))
    headline = title or body.title or executed.stem
    script = (ASSETS / "page.js").read_text(encoding="utf-8")
    plotly_js, plotly_source = _plotly(linked, out_path=out_path)
    text = string.Template((ASSETS / "page.html").read_text(encoding="utf-8")).substitute(
        policy=html.escape(f"default-src 'none'; script-src {plotly_source} {_hash(script)}; {_POLICY}", quote=True),
        title=html.escape(headline),
        css=(ASSETS / "page.css").read_text(encoding="utf-8"),
        study_line=html.escape(study_line),
        banners=_banners(body, label=label, synthetic=synthetic),
        particulars=_particulars(label=label, session=session, trace_id=trace_id, versions=versions or {}),
        navigation=_navigation(body.sections),
        columns="columns navigated" if len(body.sections) > 1 else "columns",
        body=body.markup,
        templates=_data({name: template(name).to_plotly_json() for name in ("workbench_light", "workbench_dark")}),
        figures=_data(body.figures),
        plotly=plotly_js if body.figures else "",
        script=script,
    )
    out_path.parent.mkdir(parents=True, exist_ok=True)
    partial = out_path.with_name(out_path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(out_path)
    return Page(path=out_path, figures=len(body.figures), size=out_path.stat().st_size)


_POLICY = (
    "style-src 'unsafe-inline'; img-src data: blob:; font-src 'none'; connect-src 'none'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)


def _read(path: Path) -> Any:
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call] # nbformat is untyped
    except (OSError, ValueError, TypeError, KeyError, AttributeError, nbformat.ValidationError) as error:
        raise ReportError(
            f"{path} cannot be read as a notebook ({type(error).__name__}); no page was written.",
            remedy="pass the executed .ipynb of a run.",
        ) from error
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if code and all(cell.execution_count is None and not cell.outputs for cell in code):
        raise ReportError(
            f"{path} was never run: none of its {len(code)} code cells has an output; no page was written.",
            remedy="run it first, e.g. with `workbench run`.",
        )
    return notebook


def _plotly(linked: bool | Path, *, out_path: Path) -> tuple[str, str]:
    """The script element of plotly.js, and the source that the page's policy allows for it."""
    import plotly

    source = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    if linked is False:
        # An HTML parser ends a script at the first end tag, wherever it stands; in JavaScript `<\/` means the same.
        source = source.replace("</script", "<\\/script")
        return f"<script>{source}</script>", _hash(source)
    folder = out_path.parent if linked is True else linked
    file = folder / f"plotly-{plotly.__version__}.min.js"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(file.name + f".{os.getpid()}.partial")
        partial.write_text(source, encoding="utf-8", newline="\n")
        partial.replace(file)
    relative = urllib.parse.quote(Path(os.path.relpath(file, out_path.parent)).as_posix())
    return f'<script src="{relative}"></script>', "'self' file:"


def _hash(script: str) -> str:
    """A script's name in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _data(value: Any) -> str:
    """JSON that no HTML parser can leave: `<`, `>` and `&` are written as escapes. NaN becomes null."""
    text = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124 - NaN differs from itself
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _banners(body: Body, *, label: str, synthetic: bool | None) -> str:
    said = []
    if synthetic if synthetic is not None else label.upper().startswith("SYNTHETIC"):
        said.append("SYNTHETIC data: every price on this page was generated; none of it happened on a market.")
    if body.failed:
        said.append("A cell of this notebook failed: what follows it is missing.")
    return "\n".join(f'<p class="banner">{html.escape(text)}</p>' for text in said)


def _particulars(*, label: str, session: str, trace_id: str, versions: Mapping[str, str]) -> str:
    rows = (
        ("Session", session, ""),
        ("Data", label, ""),
        ("Trace", trace_id, ' class="code"'),
        ("Versions", " · ".join(f"{name} {version}" for name, version in versions.items()), ""),
    )
    return "\n".join(
        f"<div><dt>{name}</dt><dd{style}>{html.escape(value)}</dd></div>" for name, value, style in rows if value
    )


def _navigation(sections: tuple[Section, ...]) -> str:
    shown = [section for section in sections if section.level <= 2]
    if len(shown) < 2:
        return ""
    items = "".join(f'<li><a href="#{section.anchor}">{section.text}</a></li>' for section in shown)
    return f'<nav aria-label="Sections"><ul>{items}</ul></nav>'
