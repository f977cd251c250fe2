"""What a notebook hands to the pipeline: named values, recorded in a cell's output and read from the executed file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError
from workbench.report.mime import RECORD as MIME

if TYPE_CHECKING:
    from collections.abc import Mapping


def record(name: str, value: Any) -> None:
    """Record a named value in the output of the running cell; a later record of the same name replaces an earlier one.

    Outside a notebook there is no cell to record in, and nothing happens.

    Args:
        name: how the pipeline file calls it under `outputs`.
        value: anything JSON can say exactly; a path is recorded as its text. NaN and infinities are refused.

    Raises:
        ParameterError: the name is empty or the value is not plain JSON.
    """
    if not name:
        raise ParameterError("record() was given an empty name; nothing was recorded.", remedy="name the value.")
    plain = str(value) if isinstance(value, Path) else value
    try:
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"record({name!r}, …) was given {type(value).__name__}, which JSON cannot say exactly ({error}); "
            "nothing was recorded.",
            remedy="record text, numbers, None, or lists and dictionaries of these; store frames with a run.",
        ) from error
    if "IPython" not in sys.modules:
        return
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display

    if InteractiveShell.initialized():
        bundle = {MIME: {"name": name, "value": plain}, "text/plain": f"{name} = {plain}"}
        display(bundle, raw=True)  # type: ignore[no-untyped-call]  # IPython does not annotate it


def read(notebook: Path | str | Mapping[str, Any]) -> dict[str, Any]:
    """The recorded values of an executed notebook by name, in the order recorded; empty when there are none.

    Args:
        notebook: an executed notebook, or the path of its file.
    """
    content: Any = notebook
    if isinstance(notebook, Path | str):
        # The format is plain JSON; nbformat would cost a tenth of a second for nothing.
        content = json.loads(Path(notebook).read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for cell in content["cells"]:
        for output in cell.get("outputs", ()):
            recorded = output.get("data", {}).get(MIME)
            if recorded is not None:
                found.pop(recorded["name"], None)
                found[recorded["name"]] = recorded["value"]
    return found
