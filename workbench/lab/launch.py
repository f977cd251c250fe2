"""Opening JupyterLab on the notebooks: the command, its environment, and what it must not be able to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULTS = Path(__file__).with_name("jupyter")  # a folder of Jupyter configuration: no news, no look for updates


def command(notebooks: Path, further: Sequence[str] = ()) -> list[str]:
    """The command line of JupyterLab on a folder; `further` options are Jupyter's own and come last."""
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={notebooks}",
        # Whoever reaches a page of this server must not be able to install packages into its environment.
        "--LabApp.extension_manager=readonly",
        *further,
    ]


def environment(home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables for JupyterLab and its kernels: the same folder of user state as on the command line.

    Our defaults come after the reader's own configuration, which wins.
    """
    paths = [inherited.get("JUPYTER_CONFIG_PATH", ""), str(DEFAULTS)]
    return {
        **inherited,
        "WORKBENCH_HOME": str(home),
        "JUPYTER_CONFIG_PATH": os.pathsep.join(path for path in paths if path),
    }
