"""How a figure is handed to a notebook: as data for the reader's screen, and as one line of text for a comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.report.mime import PLOTLY

if TYPE_CHECKING:
    import plotly.graph_objects as go

CONFIG = {"displaylogo": False, "responsive": True}


@dataclass(frozen=True)
class Shown:
    """A figure as a mime bundle: `application/vnd.plotly.v1+json` and a short text/plain.

    JupyterLab draws the first with the labextension inside the plotly package; a notebook test compares the second.
    """

    figure: go.Figure
    text: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # Through plotly's own JSON: arrays become base64, NaN becomes null, nothing in it depends on the moment.
        body = json.loads(self.figure.to_json(validate=False))
        return {PLOTLY: {**body, "config": CONFIG}, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def shown(figure: go.Figure, text: str | None = None) -> Shown:
    """The figure as a value that displays itself; `text` is the figure's own line when None."""
    meta = figure.layout.meta
    own = meta.get("text") if isinstance(meta, dict) else None
    traces = len(figure.data)
    return Shown(figure, text or own or f"figure: {traces} {'trace' if traces == 1 else 'traces'}")


def show(figure: go.Figure, text: str | None = None) -> None:
    """Display a figure in the notebook now. Outside of one, its text is printed."""
    from IPython.display import display

    display(shown(figure, text))  # type: ignore[no-untyped-call] # IPython annotates only half of it
