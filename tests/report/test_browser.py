"""The page in a real browser without a net. Skipped where there is none."""

import os
import re
import shutil
import subprocess

import pytest
from nbformat.v4 import new_markdown_cell

from tests.report.conftest import LABEL, STUDY_LINE
from tests.report.test_fold_figures import EQUITY, SCORED
from tests.report.test_run_figures import EVERY
from tests.report.test_sweep_figures import HILL
from workbench.errors import ReportError
from workbench.report import figures
from workbench.report.page import page
from workbench.report.pdf import pdf
from workbench.report.shown import shown

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture
def made(written, cell, closes, equity, tmp_path):
    executed = written(
        new_markdown_cell("# The day"),
        cell(shown(figures.equity(equity, label=LABEL)), shown(figures.coverage(closes, label=LABEL))),
        cell(shown(figures.monthly_returns(equity.pct_change(), label="</script><script>document.title='x'</script>"))),
    )

    def make(**options):
        return page(executed, out_path=tmp_path / "r.html", study_line=STUDY_LINE, label=LABEL, **options)

    return make


def seen(path, profile, *switches):
    """The elements after the scripts have run, and what the browser's console said."""
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless=new",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            *("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}"),
            *("--virtual-time-budget=8000", "--enable-logging=stderr", "--window-size=1200,3000", *switches),
            *("--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize(
    ("linked", "scheme", "ink"), [(False, 0, "rgb(228, 231, 236)"), (True, 1, "rgb(31, 36, 48)")], ids=["dark", "light"]
)
def test_every_figure_is_drawn_with_the_net_switched_off(made, tmp_path, linked, scheme, ink):
    written = made(linked=linked)
    dom, console = seen(written.path, tmp_path / "profile", f"--blink-settings=preferredColorScheme={scheme}")
    assert console == []
    drawn = dom[: dom.index('<script type="application/json"')]
    assert len(re.findall(r'class="wbfigure js-plotly-plot"', drawn)) == written.figures == 3
    # plotly draws several layers per figure; each figure has at least one
    assert len(re.findall(r'<svg class="main-svg"', drawn)) >= 3
    assert "could not be drawn" not in drawn
    assert drawn.count(ink) >= 3  # the ink of the template for the reader's colours, on each title
    assert "<title>The day</title>" in drawn


@pytest.mark.browser
@needs_browser
def test_the_figures_of_runs_and_sweeps_are_drawn_without_a_graphics_card(written, cell, tmp_path):
    drawn = [build() for build in EVERY.values()]
    drawn += [draw(HILL) for draw in (figures.heatmap, figures.parallel, figures.stability)]
    drawn += [figures.fold_scores(SCORED, label=LABEL), figures.out_of_sample_equity(EQUITY, SCORED, label=LABEL)]
    drawn += [figures.parameter_drift(SCORED.assign(fast=[20, None, 30]), label=LABEL)]
    executed = written(new_markdown_cell("# All of them"), cell(*map(shown, drawn)))
    one = page(executed, out_path=tmp_path / "r.html", study_line=STUDY_LINE, label=LABEL)
    dom, console = seen(one.path, tmp_path / "profile", "--disable-webgl")
    assert console == []
    before = dom[: dom.index('<script type="application/json"')]
    assert len(re.findall(r'class="wbfigure js-plotly-plot"', before)) == one.figures == len(drawn)
    assert "could not be drawn" not in before
    assert "WebGL" not in before


@pytest.mark.browser
@needs_browser
def test_the_page_prints_to_pdf(made, tmp_path):
    path = pdf(made().path, chromium=CHROMIUM, out_path=tmp_path / "out" / "r.pdf")
    content = path.read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(content) > 20_000
    assert [file.name for file in path.parent.iterdir()] == ["r.pdf"]


def test_a_browser_that_is_not_there_is_named(made, tmp_path):
    with pytest.raises(ReportError, match="could not be started"):
        pdf(made().path, chromium=tmp_path / "no-browser", out_path=tmp_path / "r.pdf")
    with pytest.raises(ReportError, match="no page at"):
        pdf(tmp_path / "none.html", chromium="chromium", out_path=tmp_path / "r.pdf")


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo broken >&2; exit 3", "ended with code 3 and wrote no PDF: broken"), ("sleep 30", "within")],
)
def test_a_browser_that_fails_or_hangs_leaves_nothing_behind(made, tmp_path, script, said):
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\n{script}\n")
    browser.chmod(0o755)
    with pytest.raises(ReportError, match=said):
        pdf(made(linked=True).path, chromium=browser, out_path=tmp_path / "r.pdf", timeout=0.5)
    assert not (tmp_path / "r.pdf").exists()
