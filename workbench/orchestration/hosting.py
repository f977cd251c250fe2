"""What a pipeline hosts for its own duration: the embedded exchange, when none is configured."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from workbench.orchestration.run_store import RunStore
from workbench.trace import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from workbench.orchestration.plan import Plan
    from workbench.store.workspace import Workspace

EXCHANGE_URL = "WORKBENCH_EXCHANGE_URL"


def exchange_folder(home: Path) -> Path:
    """Where the embedded exchange of a workspace keeps its address, its log and its own database."""
    return home / "exchange"


def embedded_exchange(workspace: Workspace) -> Callable[[Plan], AbstractContextManager[Mapping[str, str]]]:
    """A hosting for `runner.run`: the kernels find an exchange on their source in `WORKBENCH_EXCHANGE_URL`.

    One that runs already is used and left running. One that was started for a pipeline is stopped by the last pipeline
    that uses it, also when the pipeline that started it was killed; its ledger stays.

    Raises (when opened):
        ExchangeUnavailable: it could not be started.
    """

    @contextlib.contextmanager
    def opened(plan: Plan) -> Iterator[Mapping[str, str]]:
        from workbench.exchange import embedded

        folder = exchange_folder(workspace.home)
        mark = folder / "hosted.pid"
        asked = plan.parameters
        address = embedded.ensure(folder, source=asked.get("source", "bundled"), seed=asked.get("seed", 7))
        if address.started:
            mark.write_text(str(address.pid), encoding="utf-8")
        get_logger("workbench.orchestration").info(
            "exchange", url=address.url, pid=address.pid, started=address.started
        )
        try:
            yield {EXCHANGE_URL: address.url}
        finally:
            ours = mark.exists() and mark.read_text(encoding="utf-8") == str(address.pid)
            if ours and not RunStore(workspace.engine).running_elsewhere():
                embedded.stop(folder)
                mark.unlink(missing_ok=True)

    return opened
