"""nbval for these notebooks: one fresh workspace, reading order, and a comparison of what the reader reads."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

# The stored outputs hold text. Figures are checked by their one-line summary (text/plain beside the figure), tables by
# their text form; the HTML form may change its looks without a notebook being wrong.
NOT_COMPARED = ("application/vnd.plotly.v1+json", "application/vnd.workbench.record+json", "text/html")
_home: list[Path] = []


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Cells run in the order they are written and notebooks in reading order, whatever the other tests do."""
    cells = [item for item in items if isinstance(item, IPyNbCell)]
    for cell in cells:
        if NOT_COMPARED[0] not in cell.parent.skip_compare:
            cell.parent.skip_compare = (*cell.parent.skip_compare, *NOT_COMPARED)
    cells.sort(key=lambda cell: (cell.fspath.strpath, cell.cell_num))
    items[:] = [item for item in items if not isinstance(item, IPyNbCell)] + cells


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """A kernel that starts here finds the temporary workspace in its environment; other tests do not."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    if not _home:
        _home.append(Path(tempfile.mkdtemp(prefix="workbench-notebooks-")))
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(_home[0])
    try:
        return (yield)
    finally:
        if before is None:
            del os.environ["WORKBENCH_HOME"]
        else:
            os.environ["WORKBENCH_HOME"] = before


def pytest_sessionfinish():
    for folder in _home:
        shutil.rmtree(folder, ignore_errors=True)
