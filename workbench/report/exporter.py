"""An executed notebook as the body of a page: text and outputs, no code, figures taken out as data."""

from __future__ import annotations

import copy
import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from traitlets.config import Config

from workbench.errors import ReportError
from workbench.report.mime import PLOTLY, RECORD
from workbench.report.sanitize import sanitize

ASSETS = Path(__file__).parent / "assets"
# In the order of preference; what is not named here does not reach the page.
MIME_TYPES = ("text/html", "text/markdown", "image/png", "image/jpeg", "text/plain")
# These draw on maps that plotly.js fetches from the net.
_MAPS = re.compile(r"choropleth.*|scattergeo|.*map(box)?$")
_HEADING = re.compile(r"<h([1-3])>(.*?)</h\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
# In text `<` is escaped and in attributes `"` is, so that only a real element matches.
_PLACE = re.compile(r'<div [^>]*\bclass="wbfigure"')


@dataclass(frozen=True)
class Section:
    """A heading of the page: `anchor` is its id, `text` is escaped HTML without tags."""

    anchor: str
    level: int
    text: str


@dataclass(frozen=True)
class Body:
    """The body of a page.

    Attributes:
        markup: sanitized HTML; `<div class="wbfigure" …>` stands where a figure goes.
        figures: the figures' plotly JSON (data, layout, config), in the order of the divs.
        sections: the headings, in order.
        title: the text of the first heading of level 1, which is not in the markup; empty when there is none.
        failed: whether a cell ended with an error.
    """

    markup: str
    figures: tuple[dict[str, Any], ...]
    sections: tuple[Section, ...]
    title: str
    failed: bool


class CleanOutputs(Preprocessor):
    """Takes the figures out of the outputs, sanitizes the HTML, and drops every type the page does not show."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        nb = copy.deepcopy(nb)
        figures: list[dict[str, Any]] = []
        for cell in nb.cells:
            for output in cell.get("outputs", ()):
                if "data" not in output:
                    continue
                if RECORD in output.data:  # a word from the notebook to the pipeline, not to the reader
                    output.data = {}
                elif PLOTLY in output.data:
                    figures.append(_checked(output.data[PLOTLY], number=len(figures) + 1))
                    output.data = {"text/html": _place(len(figures), output.data.get("text/plain", ""))}
                else:
                    output.data = {kind: output.data[kind] for kind in MIME_TYPES if kind in output.data}
                    if "text/html" in output.data:
                        output.data["text/html"] = sanitize(output.data["text/html"])
            if "outputs" in cell:
                cell.outputs = [output for output in cell.outputs if output.get("data", True)]
        resources["figures"] = figures
        return nb, resources


class BodyExporter(HTMLExporter):
    """nbconvert's HTML exporter with our template, which has no code, no prompts and no scripts."""

    def __init__(self) -> None:
        super().__init__(  # type: ignore[no-untyped-call] # traitlets writes it at run time
            config=Config({"NbConvertBase": {"display_data_priority": list(MIME_TYPES)}}),
            template_name="workbench",
            extra_template_basedirs=[str(ASSETS)],
            preprocessors=[CleanOutputs],
        )

    def markdown2html(self, source: str, attachments: dict[str, Any] | None = None) -> str:
        """Markdown to sanitized HTML; the order matters, since sanitizing the source would break quotes and code."""
        renderer = IPythonRenderer(escape=False, exclude_anchor_links=True, attachments=attachments)
        return sanitize(MarkdownWithMath(renderer=renderer).render(source))


def body_of(notebook: NotebookNode) -> Body:
    """The body of a page from an executed notebook. Does not change the notebook.

    Raises:
        ReportError: a figure would load from the net, or not every figure found its place.
    """
    markup, resources = BodyExporter().from_notebook_node(notebook)
    figures = tuple(resources["figures"])
    places = len(_PLACE.findall(markup))
    wanted = sum(PLOTLY in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))
    if not len(figures) == places == wanted:
        raise ReportError(
            f"the notebook has {wanted} figures, but {places} have a place in the page; no page was written.",
            remedy="report this notebook as a bug.",
            wanted=wanted,
            places=places,
        )
    markup, sections, title = _with_sections(markup)
    failed = any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", ()))
    return Body(markup=markup, figures=figures, sections=sections, title=title, failed=failed)


def _place(number: int, text: str) -> str:
    """Where figure `number` goes; its text stays readable until it is drawn, or where it cannot be."""
    said = html.escape(text)
    return f'<div class="wbfigure" id="figure-{number}" role="img" aria-label="{said}"><p>{said}</p></div>'


def _checked(figure: Any, *, number: int) -> dict[str, Any]:
    """A figure's JSON, refused if drawing it would load something from the net."""
    body = {"data": figure.get("data", []), "layout": figure.get("layout", {}), "config": figure.get("config", {})}
    for trace in body["data"]:
        if _MAPS.fullmatch(str(trace.get("type", "scatter"))) and trace.get("type") not in {"heatmap", "treemap"}:
            raise ReportError(
                f"figure {number} has a trace of type {trace['type']!r}, which loads maps from the net.",
                remedy="draw it without a map, or as a picture.",
            )
        _no_remote(trace.get("source"), number=number)
    for image in body["layout"].get("images", ()):
        _no_remote(image.get("source"), number=number)
    return body


def _no_remote(source: Any, *, number: int) -> None:
    if source is not None and not str(source).startswith("data:image/"):
        raise ReportError(
            f"figure {number} shows the picture {str(source)[:80]!r}, which is not embedded.",
            remedy="embed it as data:image/png;base64,….",
        )


def _with_sections(markup: str) -> tuple[str, tuple[Section, ...], str]:
    """Give each heading an id. The first heading of level 1 becomes the title and leaves the body.

    A regular expression is enough: the markup is bleach's, so that headings are closed and carry no attribute.
    """
    sections: list[Section] = []
    title: list[str] = []

    def number(found: re.Match[str]) -> str:
        level, inner = int(found[1]), found[2]
        text = " ".join(_TAG.sub("", inner).split())
        if level == 1 and not title and not sections:
            title.append(html.unescape(text))
            return ""
        sections.append(Section(anchor=f"section-{len(sections) + 1}", level=level, text=text))
        return f'<h{level} id="{sections[-1].anchor}">{inner}</h{level}>'

    return _HEADING.sub(number, markup), tuple(sections), title[0] if title else ""
