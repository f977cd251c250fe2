import itertools

import numpy as np
import plotly.io
import pytest

from workbench.report.theme import GREY, PALETTE, TEMPLATES, line_style, register_templates, template

# Viénot, Brettel and Mollon, "Digital video colourmaps for checking the legibility of displays by dichromats" (1999).
DICHROMATS = {
    "deuteranopia": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    "protanopia": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
}


def linear(colour):
    channels = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(light):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ light
    scaled = xyz / np.array([0.9505, 1, 1.089])
    f = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    light, dark = sorted((linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05 for colour in (one, other)), reverse=True)
    return light / dark


@pytest.mark.parametrize("colour", [*PALETTE, GREY])
@pytest.mark.parametrize("page", ["#ffffff", "#14161a"])
def test_every_line_stands_out_on_both_pages(colour, page):
    assert contrast(colour, page) >= 3


@pytest.mark.parametrize("eyes", DICHROMATS)
def test_colours_differ_for_readers_who_see_two(eyes):
    seen = [lab(np.clip(np.array(DICHROMATS[eyes]) @ linear(colour), 0, 1)) for colour in PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


def test_text_is_legible_where_its_template_is_used():
    pages = {"workbench": ["#ffffff", "#14161a"], "workbench_light": ["#ffffff"], "workbench_dark": ["#14161a"]}
    for name, backgrounds in pages.items():
        layout = template(name).layout
        for background in backgrounds:
            least = 4 if name == "workbench" else 4.5
            assert contrast(layout.font.color, background) >= least
            assert contrast(layout.xaxis.tickfont.color, background) >= least


def test_twenty_lines_look_different():
    assert len({tuple(line_style(number).values()) for number in range(20)}) == 20
    assert line_style(20) == line_style(0)


def test_templates_are_registered_on_request_and_never_forced():
    before = plotly.io.templates.default
    try:
        register_templates()
        assert set(TEMPLATES) <= set(plotly.io.templates)
        assert plotly.io.templates.default == before
    finally:
        for name in TEMPLATES:
            del plotly.io.templates[name]
