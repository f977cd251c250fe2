"""Project: the folder that holds `pipelines/` and `notebooks/`, found from wherever in it the reader stands."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import PipelineError, PipelineInvalid
from workbench.settings import project_root


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with pipelines and notebooks.

    Attributes:
        root: absolute path of the folder that holds `pipelines/`.
    """

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The nearest project at or above `start` (the current directory when None).

        Raises:
            PipelineError: no folder on the way up holds `pipelines/`.
        """
        here = (start or Path.cwd()).expanduser().resolve()
        root = project_root(here)
        if root is not None:
            return cls(root)
        raise PipelineError(
            f"no folder at or above {here} holds pipelines/; nothing was run.",
            remedy="change into the project's folder, or name it with --project.",
        )

    @property
    def notebooks(self) -> Path:
        """Folder of the notebooks; it need not exist."""
        return self.root / "notebooks"

    @property
    def pipelines(self) -> dict[str, Path]:
        """The pipeline files by name, sorted."""
        return {path.stem: path for path in sorted((self.root / "pipelines").glob("*.yaml"))}

    def pipeline_file(self, name: str) -> Path:
        """The file of a pipeline, by its name or by a path.

        Raises:
            PipelineInvalid: there is no such pipeline; the message names the nearest one.
        """
        known = self.pipelines
        if name in known:
            return known[name]
        path = Path(name)
        if path.suffix in {".yaml", ".yml"} and path.is_file():
            return path.resolve()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise PipelineInvalid(
            f"there is no pipeline {name!r} in {self.root / 'pipelines'}; nothing was run.",
            remedy=f"{hint}known are: {', '.join(known) or 'none'}.",
        )

    def home(self, configured: Path) -> Path:
        """The folder of user state: `configured` as it is if absolute, else inside the project.

        A relative home thus means the same place from the project's root, from `notebooks/` and in a kernel.
        """
        path = configured.expanduser()
        return path if path.is_absolute() else (self.root / path).resolve()
