"""The heartbeat of a run: says that its runner is alive, and notices when the run is no longer its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from workbench.errors import LeaseLost
from workbench.orchestration.run_store import HEARTBEAT_S
from workbench.trace import get_logger

if TYPE_CHECKING:
    from types import TracebackType

    from workbench.orchestration.run_store import Claim, RunStore


class Heart:
    """Beats while a run lasts, on a thread of its own: cells can take minutes."""

    def __init__(self, store: RunStore, claim: Claim, *, every_s: float = HEARTBEAT_S) -> None:
        self._store = store
        self._claim = claim
        self._every = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="workbench-heartbeat", daemon=True)
        self.lost = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeaseLost when another runner has taken the run over."""
        if self.lost:
            raise LeaseLost(
                f"run {self._claim.run_id}: {self.lost}; this one stopped.", remedy="look at `workbench runs`."
            )

    def _beat(self) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        while not self._over.wait(self._every):
            try:
                alive = self._store.beat(self._claim)
            except SQLAlchemyError as error:  # the database may come back; who takes over meanwhile is found by `beat`
                get_logger("workbench.orchestration").warning(
                    "no heartbeat", run_id=self._claim.run_id, error=str(error)
                )
                continue
            if not alive:
                self.lost = "another runner took it over"
                return
