"""Frames with the shape of the real ones, and a writer of executed notebooks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

LABEL = "real · US stocks, adjusted closes"
STUDY_LINE = "AAPL, MSFT · 2013-01-02 → 2022-06-30 · as_of 2022-06-30 20:00 UTC · 1d · bundled · seed 7"


@pytest.fixture(scope="session")
def closes():
    """Twenty symbols over 2,391 sessions, fat-tailed; the sizes of the default study."""
    rng = np.random.default_rng(7)
    sessions = pd.bdate_range("2013-01-02", periods=2391, unit="us")
    moves = rng.standard_t(4, size=(len(sessions), 20)) * 0.011 + 0.0003
    return pd.DataFrame(50 * np.exp(moves.cumsum(axis=0)), sessions, [f"SYM{n:02d}" for n in range(20)])


@pytest.fixture(scope="session")
def equity(closes):
    return (closes.mean(axis=1) / closes.mean(axis=1).iloc[0] * 100_000).rename("equity")


@pytest.fixture
def cell():
    """An executed code cell that displayed these values (each has a mime bundle, or is a dict that is one)."""

    def build(*values, source="secret_source = 1", streams=()):
        outputs = [
            new_output("display_data", value if isinstance(value, dict) else value._repr_mimebundle_())
            for value in values
        ]
        outputs += [new_output("stream", name=name, text=text) for name, text in streams]
        return new_code_cell(source, execution_count=1, outputs=outputs)

    return build


@pytest.fixture
def written(tmp_path):
    """Writes cells as an executed notebook and returns its path."""

    def write(*cells, name="executed.ipynb") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(new_notebook(cells=list(cells), metadata={})), encoding="utf-8")
        return path

    return write
