"""Run the notebooks in reading order in an empty workspace and store what a reader reads; nbval compares with that.

    .venv/bin/python tests/refresh_notebooks.py [01_data …]

Figures stay out of the stored outputs (their one-line text stays), so that a diff of a notebook can be read.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NOT_STORED = ("application/vnd.plotly.v1+json", "application/vnd.workbench.record+json")


def clean(notebook: nbformat.NotebookNode) -> None:
    """Drop figures, timings and widget state; number the cells in order."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            for mime in NOT_STORED:
                output.get("data", {}).pop(mime, None)
                output.get("metadata", {}).pop(mime, None)


def main(names: list[str]) -> None:
    """Refresh the named notebooks, all of them without a name; the ones before are run too, since they prepare."""
    with tempfile.TemporaryDirectory(prefix="workbench-refresh-") as home:
        os.environ["WORKBENCH_HOME"] = home
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            kernel = {"metadata": {"path": str(NOTEBOOKS)}}
            NotebookClient(notebook, timeout=600, store_widget_state=False, resources=kernel).execute()
            clean(notebook)
            if not names or path.stem in names:
                nbformat.write(notebook, path)
                print(path.name, f"{path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
