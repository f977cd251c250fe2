"""What a headline, a symbol or a notebook writes must never run, load or pose as the page."""

import pandas as pd
import plotly.graph_objects as go
import pytest
from nbformat.v4 import new_markdown_cell

from tests.report.reading import LOADING, Parsed
from workbench.report import figures
from workbench.report.page import page
from workbench.report.sanitize import sanitize
from workbench.report.shown import shown
from workbench.report.tables import table

BOMB = "</script></style><script>window.hacked=1</script><img src=x onerror=window.hacked=1><!--"
MARKUP = [
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<img src='https://example.org/spy.png'>",
    "<svg onload=window.hacked=1></svg>",
    "<svg><style><img src=x onerror=window.hacked=1></style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.hacked=1>",
    "<iframe src='https://example.org'></iframe>",
    "<link rel=stylesheet href=https://example.org/x.css>",
    "<style>@import 'https://example.org/x.css';</style>",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "<base href='https://example.org'>",
    "<a href='javascript:window.hacked=1'>x</a>",
    "<a href='java&#115;cript:window.hacked=1'>x</a>",
    "<a href='data:text/html,<script>window.hacked=1</script>'>x</a>",
    "<form action='https://example.org'><input name=a></form>",
    "<div style='background:url(https://example.org/x.png)'>x</div>",
    "<div style='position:fixed;inset:0;color:red'>x</div>",
    "<p class='banner'>all is well</p><div class='wbfigure' id='figure-1'>x</div>",
    "<video poster='https://example.org/x.png' src='https://example.org/x.mp4'></video>",
    "<object data='https://example.org/x'></object><embed src='https://example.org/x'>",
    "<scr<script></script>ipt>window.hacked=1</scr<script></script>ipt>",
    "<p id='templates' onclick='window.hacked=1'>x</p>",
]


def assert_harmless(parsed, *, scripts):
    assert len(parsed.named("script")) == scripts
    for tag, attributes in parsed.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in LOADING or (value or "").startswith("data:image/"), (tag, name, value)
            if name == "href":
                assert (value or "").startswith(("#", "http://", "https://", "mailto:")), value
            if name == "style":
                assert "url" not in value
                assert "position" not in value
    forbidden = {"iframe", "object", "embed", "link", "base", "form", "svg", "math", "video"}
    assert not forbidden & {tag for tag, _ in parsed.elements}


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_is_made_harmless(markup):
    parsed = Parsed(sanitize(markup))
    assert_harmless(parsed, scripts=0)
    assert not parsed.named("meta") + parsed.named("style")
    assert not parsed.classed("banner") + parsed.classed("wbfigure")
    assert not any("id" in attributes for _, attributes in parsed.elements)


def test_what_is_harmless_survives():
    kept = (
        '<table class="dataframe"><caption>c</caption><thead><tr><th style="text-align:left;">a</th></tr></thead>'
        '<tbody><tr><td colspan="2">1 &lt; 2</td></tr></tbody></table><p><b>b</b> <code>c</code> '
        '<a href="https://example.org/?a=1&amp;b=2" title="t">l</a> <a href="#section-1">s</a></p>'
        '<div class="highlight"><pre><span class="nb">print</span></pre></div>'
    )
    assert sanitize(kept) == kept


def test_our_tables_survive_as_they_are(closes):
    ours = table(closes.iloc[:3, :3], caption="Closes <USD>", label="SYNTHETIC · seed 7")._repr_html_()
    assert Parsed(sanitize(ours)).texts == Parsed(ours).texts
    assert [tag for tag, _ in Parsed(sanitize(ours)).elements] == [tag for tag, _ in Parsed(ours).elements]
    assert Parsed(sanitize(ours)).classed("wb-synthetic")


def test_a_hostile_notebook_makes_a_harmless_page(written, cell, tmp_path):
    figure = go.Figure(go.Scatter(y=[1, 2], name=BOMB, text=[BOMB, BOMB]), layout={"title": {"text": BOMB}})
    frame = pd.DataFrame({BOMB: [BOMB]}, index=pd.Index([BOMB], name=BOMB))
    executed = written(
        new_markdown_cell(f"# {BOMB}\n\n" + "\n\n".join(MARKUP)),
        new_markdown_cell(f"## Headline {BOMB}\n\n`{BOMB}`\n\n```\n{BOMB}\n```\n\n$$ {BOMB} $$"),
        cell(
            shown(figure, f'{BOMB}" onmouseover="window.hacked=1'),
            shown(figures.equity(pd.Series([1.0, 2.0], pd.bdate_range("2020-01-01", periods=2)), label=BOMB)),
            {"text/html": table(frame, caption=BOMB, label=BOMB)._repr_html_()},
            *({"text/html": markup} for markup in MARKUP),
            {"text/markdown": BOMB},
            {"text/plain": BOMB},
            {"image/png": f'AAAA" onerror="window.hacked=1{BOMB}', "text/plain": f'" onerror="window.hacked=1{BOMB}'},
            streams=(("stdout", BOMB),),
        ),
    )
    made = page(
        executed,
        out_path=tmp_path / "r.html",
        study_line=BOMB,
        label=BOMB,
        session=BOMB,
        trace_id=BOMB,
        versions={BOMB: BOMB},
        title=f"{BOMB} $title ${{css}}",
    )
    parsed = Parsed(made.path.read_text(encoding="utf-8"))
    assert_harmless(parsed, scripts=4)  # two blocks of data, plotly.js, and the lines that call it
    assert parsed.texts[0] == BOMB
    assert len(parsed.classed("wbfigure")) == made.figures == 2
    assert not parsed.classed("banner")[1:]  # the one in <noscript> is ours
    assert parsed.blocks["figures"][0]["data"][0]["name"] == BOMB
    assert sum("hacked" in script for script in parsed.scripts) == 0


def test_labels_are_shown_literally_by_plotly():
    series = pd.Series([1.0, 2.0], pd.bdate_range("2020-01-01", periods=2))
    figure = figures.equity(series, label="<b>x</b> & y", title="<a href='https://example.org'>t</a>", name="<i>n</i>")
    assert figure.layout.title.text == "&lt;a href='https://example.org'&gt;t&lt;/a&gt;"
    assert figure.data[0].name == "&lt;i&gt;n&lt;/i&gt;"
    assert figure.layout.annotations[-1].text == "&lt;b&gt;x&lt;/b&gt; &amp; y"
