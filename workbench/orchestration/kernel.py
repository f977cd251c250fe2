"""The process a notebook of a pipeline runs in: an IPython kernel of this very interpreter, started by `KernelProcess`.

Run as `python -P -m workbench.orchestration.kernel -f <connection file>`.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from pathlib import Path

LOG = "WORKBENCH_KERNEL_LOG"


def main() -> None:
    """Prepare the process and hand it to ipykernel."""
    # jsonschema (reached by nbformat, and so by plotly and vectorbt) spends a second building grammars for a format
    # that no schema of Jupyter uses; it goes without when the import fails.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None means: must not be imported
    log = os.environ.get(LOG)
    if log:
        from workbench.trace import log_to

        log_to(Path(log))
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
    _leave()


def _leave() -> None:
    """End the process at once, after everything that asked to be told of its end.

    Taking a hundred loaded libraries apart object by object costs the better part of a second and serves nobody.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what the interpreter itself does here: wait for threads
    atexit._run_exitfuncs()  # noqa: SLF001 - and then this
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
