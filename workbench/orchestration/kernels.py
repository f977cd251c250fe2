"""Starting kernels: this interpreter, a private socket folder each, and the environment the runner hands over."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from workbench.orchestration.kernel import LOG

if TYPE_CHECKING:
    from collections.abc import Mapping

# A path of a Unix socket holds about a hundred characters; "-65535" is added to ours.
_LONGEST = 80


class KernelProcess(AsyncKernelManager):
    """One kernel of the running interpreter, whatever kernelspecs are installed on this machine.

    It talks over Unix sockets in a folder of its own. The relative default path is shared by all kernels started in one
    directory, and they then read each other's messages.
    """

    def __init__(self, *, cwd: Path, environment: Mapping[str, str], log: Path) -> None:
        """Prepare a kernel; nothing is started.

        Args:
            cwd: the kernel's working directory.
            environment: variables added to those of this process.
            log: file that gets what the process writes outside of cells, and the package's log lines.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="wbk", dir=_short_folder()))
        arguments: dict[str, Any] = {"connection_file": str(self._folder / "kernel.json")}
        if os.name == "posix":
            arguments |= {"transport": "ipc", "ip": str(self._folder / "s")}
        super().__init__(**arguments)
        self._cwd = cwd
        self._environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1", LOG: str(log), **environment}
        self._log_path = log
        self._log_file: IO[bytes] | None = None

    @property
    def kernel_spec(self) -> KernelSpec:
        """The command of the kernel, built here: an installed `python3` may point to another environment."""
        return KernelSpec(
            argv=[sys.executable, "-P", "-m", "workbench.orchestration.kernel", "-f", "{connection_file}"],
            display_name="workbench",
            language="python",
        )

    async def start(self) -> None:
        """Start the process; it is not ready to answer yet."""
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_file = self._log_path.open("ab")
        await self.start_kernel(
            cwd=str(self._cwd),
            env=self._environment,
            stdout=self._log_file,
            stderr=self._log_file,
            extra_arguments=["--HistoryManager.hist_file=:memory:"],
        )

    async def exit_code(self) -> int | None:
        """The exit code of a dead process (negative: the signal that killed it); None while it lives."""
        return None if self.provisioner is None else await self.provisioner.poll()

    async def stop(self, *, now: bool) -> None:
        """End the process, politely or at once, and remove what it left behind."""
        try:
            if await self.is_alive():
                await self.shutdown_kernel(now=now)
            else:
                await self.cleanup_resources()
        finally:
            if self._log_file is not None:
                self._log_file.close()
            shutil.rmtree(self._folder, ignore_errors=True)


def _short_folder() -> str:
    usual = tempfile.gettempdir()
    return usual if len(usual) < _LONGEST else "/tmp"  # noqa: S108 - mkdtemp makes a private folder in it
