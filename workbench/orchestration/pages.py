"""The page a run ends with: the one the report notebook recorded, or one made from the executed notebook."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Mapping

REPORT = "report"  # the output that holds the page's path
_NEEDED = ("study", "label")


def write_page(executed: Path, outputs: Mapping[str, Any], *, session: str, trace_id: str) -> Path:
    """The path of the page of an executed report notebook, which is written unless the notebook recorded its own.

    Args:
        executed: the notebook; the page is written beside it, as `report.html`.
        outputs: what it recorded: either `report`, the path of a page, or `study` and `label`, the first lines of one.

    Raises:
        PipelineError: the recorded page does not exist, or a first line was not recorded.
        ReportError: the notebook cannot be made a page.
    """
    if REPORT in outputs:
        path = Path(str(outputs[REPORT]))
        if not path.is_file():
            raise PipelineError(f"the recorded report {path} is not a file", remedy="record the path after writing it.")
        return path.resolve()
    missing = [name for name in _NEEDED if name not in outputs]
    if missing:
        raise PipelineError(
            f"no page can be made: the notebook did not record {' and '.join(missing)}",
            remedy='end it with record("study", study.line) and record("label", history.label).',
        )
    from workbench.report.page import page

    written = page(
        executed,
        out_path=executed.with_name("report.html"),
        study_line=str(outputs["study"]),
        label=str(outputs["label"]),
        session=session,
        trace_id=trace_id,
        versions={"workbench": version("workbench"), "Python": platform.python_version()},
    )
    return written.path
