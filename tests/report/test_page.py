import base64
import hashlib
import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from tests.report.conftest import LABEL, STUDY_LINE
from tests.report.reading import LOADING, Parsed
from workbench.errors import ReportError
from workbench.report import exporter, figures
from workbench.report.page import page
from workbench.report.shown import PLOTLY, shown
from workbench.report.tables import table

WORDS = {"study_line": STUDY_LINE, "label": LABEL, "session": "2022-06-30", "trace_id": "ab" * 16}


@pytest.fixture
def executed(written, cell, equity):
    """Two figures, a table, text on both streams."""
    return written(
        new_markdown_cell("# The day\n\nWhat was known."),
        cell(shown(figures.equity(equity, label=LABEL)), source="hidden_call(equity)"),
        new_markdown_cell("## Months\n\n> quoted & *stressed*"),
        cell(
            shown(figures.monthly_returns(equity.pct_change(), label=LABEL)),
            {"text/html": table(equity.tail(3), label=LABEL)._repr_html_(), "text/plain": "the table"},
            streams=(("stdout", "5 orders\n"), ("stderr", "100%|###| progress")),
        ),
        new_markdown_cell("## Done"),
    )


@pytest.fixture
def executed_text(written, cell):
    return written(cell({"text/plain": "1"}))


@pytest.fixture
def made(executed, tmp_path):
    written = page(executed, out_path=tmp_path / "report.html", versions={"workbench": "0.1.0"}, **WORDS)
    return written, Parsed(written.path.read_text(encoding="utf-8"))


def test_the_first_lines_are_the_question_and_where_its_answer_comes_from(made):
    _, parsed = made
    assert parsed.texts[0] == STUDY_LINE
    assert parsed.texts[1] == "The day"
    particulars = "Session 2022-06-30 Data real · US stocks, adjusted closes Trace " + "ab" * 16
    assert " ".join(parsed.texts[2:10]) == particulars + " Versions workbench 0.1.0"


def test_the_browser_has_nothing_to_load(made):
    _, parsed = made
    for tag, attributes in parsed.elements:
        loaded = {name: value for name, value in attributes.items() if name in LOADING and value}
        assert not loaded, (tag, loaded)
    assert not parsed.named("link")
    assert not any("url(" in style or "@import" in style for style in parsed.styles)
    policy = parsed.named("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy
    assert "connect-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_only_our_two_scripts_run_and_the_policy_names_them(made):
    _, parsed = made
    allowed = re.findall(r"'sha256-([^']+)'", parsed.named("meta")[1]["content"])
    assert len(parsed.scripts) == 2
    assert [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in parsed.scripts] == allowed


def test_plotly_is_embedded_exactly_once(made):
    written, parsed = made
    assert sum("plotly.js v" in script for script in parsed.scripts) == 1
    assert written.path.read_text(encoding="utf-8").count("* plotly.js v") == 1
    assert 4_800_000 < written.size < 5_400_000


def test_every_figure_of_the_notebook_has_its_place_and_its_data(made, equity):
    written, parsed = made
    places = parsed.classed("wbfigure")
    assert [place["id"] for place in places] == ["figure-1", "figure-2"]
    assert places[0]["aria-label"] == figures.equity(equity, label=LABEL).layout.meta["text"]
    assert written.figures == len(parsed.blocks["figures"]) == 2
    assert parsed.blocks["figures"][0] == json.loads(json.dumps(_bundle(figures.equity(equity, label=LABEL))))
    assert sorted(parsed.blocks["templates"]) == ["workbench_dark", "workbench_light"]


def test_code_prompts_and_progress_bars_are_hidden_and_the_rest_is_there(made):
    _, parsed = made
    assert "hidden_call" not in parsed.text
    assert "secret_source" not in parsed.text
    assert "In [" not in parsed.text
    assert "progress" not in parsed.text
    assert "5 orders" in parsed.text
    assert "quoted & stressed" in parsed.text
    assert "the table" not in parsed.text
    assert len(parsed.named("table")) == 1
    assert {"style": "text-align:right;"} in parsed.named("td")


def test_sections_can_be_reached(made):
    _, parsed = made
    assert [a.get("href") for a in parsed.named("a")] == ["#section-1", "#section-2"]
    assert [a.get("id") for a in parsed.named("h2")] == ["section-1", "section-2"]
    assert len(parsed.named("h1")) == 1


def test_the_same_notebook_gives_the_same_bytes(executed, tmp_path):
    first, second = (page(executed, out_path=tmp_path / f"{n}.html", **WORDS).path.read_bytes() for n in "ab")
    assert first == second


def test_a_linked_page_is_small_and_shares_one_plotly(executed, tmp_path):
    store = tmp_path / "shared assets"
    one = page(executed, out_path=tmp_path / "a" / "report.html", linked=store, **WORDS)
    script = next(store.iterdir())
    before = script.stat().st_mtime_ns
    two = page(executed, out_path=tmp_path / "b" / "report.html", linked=store, **WORDS)
    assert script.stat().st_mtime_ns == before
    assert max(one.size, two.size) < 300_000
    parsed = Parsed(two.path.read_text(encoding="utf-8"))
    assert [a["src"] for a in parsed.named("script") if "src" in a] == [f"../shared%20assets/{script.name}"]
    assert (two.path.parent / ".." / "shared assets" / script.name).exists()
    beside = page(executed, out_path=tmp_path / "c" / "report.html", linked=True, **WORDS)
    assert (beside.path.parent / script.name).exists()


def test_a_page_without_figures_carries_no_plotly(written, cell, tmp_path):
    made = page(written(cell({"text/plain": "42"})), out_path=tmp_path / "r.html", **WORDS)
    assert made.figures == 0
    assert made.size < 40_000
    assert "42" in Parsed(made.path.read_text(encoding="utf-8")).text


@pytest.mark.parametrize(
    ("label", "synthetic", "warned"),
    [("SYNTHETIC · seed 7", None, True), ("made up", True, True), (LABEL, None, False), ("SYNTHETIC", False, False)],
)
def test_synthetic_data_carry_a_banner(executed_text, label, synthetic, warned):
    said = {**WORDS, "label": label, "synthetic": synthetic}
    made = page(executed_text, out_path=executed_text.with_name("r.html"), **said)
    banners = [t for t in Parsed(made.path.read_text(encoding="utf-8")).texts if t.startswith("SYNTHETIC data")]
    assert bool(banners) is warned


def test_a_failed_cell_is_said_at_the_top_and_shown_below(written, tmp_path):
    failed = new_code_cell(
        "1/0",
        execution_count=1,
        outputs=[
            new_output(
                "error", ename="ZeroDivisionError", evalue="no", traceback=["\x1b[31mZeroDivisionError\x1b[0m: no <b>"]
            )
        ],
    )
    made = page(written(failed), out_path=tmp_path / "r.html", **WORDS)
    parsed = Parsed(made.path.read_text(encoding="utf-8"))
    assert "A cell of this notebook failed" in parsed.text
    assert "ZeroDivisionError" in parsed.text
    assert "no <b>" in parsed.text
    assert "\x1b" not in parsed.text


def test_a_lost_figure_is_an_error_and_nothing_is_written(executed, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "_place", lambda *_: "")
    with pytest.raises(ReportError, match="2 figures, but 0 have a place"):
        page(executed, out_path=tmp_path / "r.html", **WORDS)
    assert not (tmp_path / "r.html").exists()


def test_a_notebook_that_was_never_run_is_refused(written, tmp_path):
    with pytest.raises(ReportError, match="never run"):
        page(written(new_code_cell("1")), out_path=tmp_path / "r.html", **WORDS)


@pytest.mark.parametrize("content", [None, "not json", '{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReportError, match="cannot be read as a notebook"):
        page(path, out_path=tmp_path / "r.html", **WORDS)


@pytest.mark.parametrize(
    "figure",
    [
        go.Figure(go.Choropleth(locations=["USA"], z=[1], locationmode="ISO-3")),
        go.Figure(go.Scattermap(lat=[1], lon=[1])),
        go.Figure(layout={"images": [{"source": "https://example.org/x.png"}]}),
        go.Figure(go.Image(source="http://example.org/x.png")),
    ],
    ids=["choropleth", "map", "layout image", "image trace"],
)
def test_a_figure_that_loads_from_the_net_is_refused(written, cell, tmp_path, figure):
    with pytest.raises(ReportError, match=r"figure 1 (has a trace|shows the picture)"):
        page(written(cell({PLOTLY: _bundle(figure)})), out_path=tmp_path / "r.html", **WORDS)


def test_heatmaps_and_treemaps_are_no_maps(written, cell, tmp_path):
    figure = go.Figure([go.Heatmap(z=[[1.0, np.nan]]), go.Treemap(labels=["a"], parents=[""])])
    made = page(written(cell({PLOTLY: _bundle(figure)})), out_path=tmp_path / "r.html", **WORDS)
    assert made.figures == 1


def test_numbers_that_json_does_not_know_become_null(written, cell, tmp_path):
    bundle = {PLOTLY: {"data": [{"y": [1.5, float("nan"), float("inf")]}], "layout": {}}}
    made = page(written(cell(bundle)), out_path=tmp_path / "r.html", **WORDS)
    blocks = Parsed(made.path.read_text(encoding="utf-8")).blocks
    assert blocks["figures"][0]["data"] == [{"y": [1.5, None, None]}]


def test_outputs_that_a_page_cannot_show_are_left_out(written, cell, tmp_path):
    made = page(
        written(
            cell(
                {"application/javascript": "alert(1)"},
                {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "IntSlider"},
                {"image/svg+xml": "<svg onload='alert(2)'/>", "text/plain": "a drawing"},
            )
        ),
        out_path=tmp_path / "r.html",
        **WORDS,
    )
    parsed = Parsed(made.path.read_text(encoding="utf-8"))
    assert "IntSlider" in parsed.text
    assert "a drawing" in parsed.text
    assert "alert" not in parsed.text + "".join(parsed.scripts)[-4000:]


def test_pictures_are_embedded(written, cell, tmp_path):
    pixel = base64.b64encode(b"\x89PNG").decode()
    markdown = new_markdown_cell("![p](attachment:p.png)", attachments={"p.png": {"image/png": pixel}})
    made = page(
        written(markdown, cell({"image/png": pixel, "text/plain": "a plot"})), out_path=tmp_path / "r.html", **WORDS
    )
    sources = [a["src"] for a in Parsed(made.path.read_text(encoding="utf-8")).named("img")]
    assert sources == [f"data:image/png;base64,{pixel}"] * 2


def _bundle(figure):
    return shown(figure)._repr_mimebundle_()[PLOTLY]
