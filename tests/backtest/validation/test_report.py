"""The page of a validation: what is grey, what is in brackets, and that hostile text stays text."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.backtest.validation.report import GREY, MOST, Sheet
from workbench.report.sanitize import sanitize

FRAME = pd.DataFrame(
    {
        "fold": [0, 1],
        "day": pd.to_datetime(["2020-01-02", None]),
        "sharpe": [1.25, np.nan],
        "inside": [2.5, 0.5],
        "drift": [0.25, None],
    }
)


def sheet(**more):
    return Sheet(title="a & b", frame=FRAME, beside={"sharpe": "inside"}, grey=("drift",), **more)


def test_as_text_every_in_sample_number_says_so():
    lines = repr(sheet(note="SYNTHETIC")).splitlines()
    assert lines[0] == "a & b"
    assert lines[1].split() == ["fold", "day", "sharpe", "drift", "(in", "sample)"]
    assert lines[2].split() == ["0", "2020-01-02", "1.2500", "(in", "sample", "2.5000)", "0.2500"]
    assert lines[3].split() == ["1", "–", "–", "(in", "sample", "0.5000)", "–"]
    assert lines[4] == "SYNTHETIC"


def test_as_html_every_in_sample_number_is_grey():
    page = sheet()._repr_html_()
    assert page.count(f"color:{GREY}") == 2 + 1 + 2 + 1  # beside two numbers, a head, two cells below it, the legend
    assert "<b>a &amp; b</b>" in page
    assert ">inside<" not in page


def test_the_grey_survives_the_page_that_is_published():
    assert sanitize(sheet()._repr_html_()).replace("color: #777;", f"color:{GREY}").count(f"color:{GREY}") == 6


def test_the_grey_can_be_read_on_white_and_on_black():
    def luminance(text):
        values = [int(text[at] * 2, 16) / 255 for at in (1, 2, 3)]
        parts = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    grey = luminance(GREY)
    assert (1.0 + 0.05) / (grey + 0.05) > 4.4
    assert (grey + 0.05) / (luminance("#111") + 0.05) > 4.0


def test_formats_are_obeyed_and_hostile_text_is_escaped():
    page = Sheet(
        title="<i>", frame=pd.DataFrame({"<b>": ["<script>alert(1)</script>"], "n": [0.123]}), formats={"n": ".1%"}
    )
    assert "12.3%" in repr(page)
    assert "<script>" not in page._repr_html_()
    assert "<i>" not in page._repr_html_()


def test_many_folds_are_cut_in_the_middle():
    long = Sheet(title="t", frame=pd.DataFrame({"fold": range(100)}))
    lines = repr(long).splitlines()
    assert len(lines) == 2 + MOST + 1
    assert lines[2 + MOST // 2].strip() == "…"
    assert lines[-1].strip() == "99"
