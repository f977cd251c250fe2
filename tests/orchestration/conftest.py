"""Tiny projects for pipelines: notebooks and YAML written into a temporary folder."""

from __future__ import annotations

import json
import textwrap

import pytest

from workbench.orchestration.pipeline import Pipeline
from workbench.orchestration.project import Project

AS_OF = 'as_of: str = "2015-06-30"  # the session'


class Site:
    """A project under construction."""

    def __init__(self, root):
        self.root = root
        self.project = Project(root)
        (root / "pipelines").mkdir(parents=True)
        (root / "notebooks").mkdir()

    def notebook(self, name, *cells, parameters=AS_OF):
        """Write notebooks/<name>.ipynb: a parameters cell (none when empty), then one cell per text."""
        written = [_cell(parameters, ["parameters"])] if parameters else []
        written += [{"cell_type": "markdown", "id": "md", "metadata": {}, "source": f"# {name}"}]
        written += [_cell(textwrap.dedent(source), []) for source in cells]
        for number, cell in enumerate(written):
            cell["id"] = f"c{number}"
        path = self.root / "notebooks" / f"{name}.ipynb"
        content = {"cells": written, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def yaml(self, text, name="tiny"):
        """Write pipelines/<name>.yaml and return its path."""
        path = self.root / "pipelines" / f"{name}.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def pipeline(self, *steps, name="tiny", parameters="{}"):
        """A valid pipeline of steps written as flow mappings, e.g. "name: a, notebook: notebooks/a.ipynb"."""
        listed = "\n".join(f"  - {{{step}}}" for step in steps)
        text = f"name: {name}\nparameters: {parameters}\nsteps:\n{listed}\n"
        path = self.root / "pipelines" / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return Pipeline.load(path)


def _cell(source, tags):
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": tags} if tags else {},
        "outputs": [],
        "source": source,
    }


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")
