"""The look of every figure: one palette that colour-blind readers can tell apart, and a template per background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

FONT = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", "DejaVu Sans", '
    "sans-serif"
)

# Blue, vermillion, bluish green and reddish purple of Okabe and Ito, "Color Universal Design" (2008); the purple is
# darkened, so that each colour has a contrast of at least 3:1 (WCAG 2.2, 1.4.11) on the white and on the dark page.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#C4689B"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE)
GREY = "#7F7F7F"

# Four colours and five dashes tell twenty lines apart, also where colour is not seen.
DASHES = ("solid", "dot", "dash", "dashdot", "longdash")

# An action has a colour and a shape of its own: never colour alone.
ACTION_COLOURS = {"buy": BLUE, "hold": GREY, "sell": VERMILLION, "abstain": GREY}
ACTION_SHAPES = {"buy": "triangle-up", "hold": "circle", "sell": "triangle-down", "abstain": "x-thin-open"}

# name of the template: (text, muted text, grid, zero line, middle of a diverging scale, hover background)
_INKS = {
    "workbench": ("#757B85", "#757B85", "rgba(127,127,127,0.22)", "rgba(127,127,127,0.60)", "#F1EEE8", "#FFFFFF"),
    "workbench_light": ("#1F2430", "#5B6270", "#E6E8EC", "#AEB4BF", "#F4F2EE", "#FFFFFF"),
    "workbench_dark": ("#E4E7EC", "#A3ABB8", "#2B313B", "#5A6372", "#262B34", "#1D222B"),
}
TEMPLATES = tuple(_INKS)


def line_style(number: int) -> dict[str, str]:
    """Colour and dash of line `number` (0, 1, …): twenty different pairs, then they repeat."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "dash": DASHES[number // len(PALETTE) % len(DASHES)],
    }


def template(name: str = "workbench") -> go.layout.Template:
    """One of `TEMPLATES`: `workbench` is legible on light and dark (notebooks); the page switches between the others.

    Backgrounds are transparent, so that a figure takes the colour of the page it stands on.
    """
    import plotly.graph_objects as go

    text, muted, grid, zero, middle, hover = _INKS[name]
    axis: dict[str, Any] = {
        "gridcolor": grid,
        "zerolinecolor": zero,
        "linecolor": zero,
        "tickcolor": zero,
        "tickfont": {"color": muted, "size": 12},
        "title": {"font": {"color": muted, "size": 12.5}, "standoff": 8},
        "automargin": True,
        "ticklabelstandoff": 4,
        "zerolinewidth": 1,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": text},
            "title": {
                "font": {"size": 17, "color": text},
                "x": 0,
                "xref": "container",
                "xanchor": "left",
                "yref": "container",
            },
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(PALETTE),
            "colorscale": {
                "diverging": [[0, VERMILLION], [0.5, middle], [1, BLUE]],
                "sequential": [[0, middle], [1, BLUE]],
                "sequentialminus": [[0, VERMILLION], [1, middle]],
            },
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"bgcolor": hover, "bordercolor": zero, "font": {"family": FONT, "size": 12, "color": text}},
            "legend": {"font": {"color": text, "size": 12.5}, "bgcolor": "rgba(0,0,0,0)"},
            "annotationdefaults": {"font": {"color": muted, "size": 11.5}, "arrowcolor": muted},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": muted, "activecolor": text},
            "separators": ".,",
        }
    )


def register_templates() -> None:
    """Make the templates known to plotly under their names; plotly's own default stays as it is."""
    import plotly.io

    for name in TEMPLATES:
        plotly.io.templates[name] = template(name)
