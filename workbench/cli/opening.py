"""What commands have in common: their options, the settings of this machine, the folder of user state, the database."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.errors import NoData, PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from workbench.settings import Settings
    from workbench.store.workspace import Workspace


def home_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--home", type=click.Path(path_type=Path), help="Folder of user state [WORKBENCH_HOME, else .workbench]."
    )(command)


def project_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--project",
        type=click.Path(path_type=Path, exists=True),
        help="Folder with pipelines/ [found upwards from here].",
    )(command)


def named(parameters: tuple[str, ...]) -> dict[str, str]:
    named = {}
    for text in parameters:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="-p")
        named[name.strip()] = value.strip()
    return named


def settings_of(home: Path | None) -> Settings:
    from workbench.settings import Settings

    return Settings.read() if home is None else Settings.read(home=home.expanduser().absolute())


def state_of(home: Path | None) -> Path:
    """The folder of user state, the same from everywhere inside a project."""
    from workbench.orchestration.project import Project

    settings = settings_of(home)
    try:
        return Project.find().home(settings.home)
    except PipelineError:
        return settings.resolved_home


@contextlib.contextmanager
def opened(home: Path | None) -> Iterator[Engine]:
    """The database, for reading; a file that does not exist is not made."""
    from workbench.store.engine import open_engine

    settings, state = settings_of(home), state_of(home)
    file = state / "workbench.db"
    if not settings.database_url and not file.exists():
        raise NoData(f"nothing is stored in {state} yet.", remedy="`workbench run daily` begins; --home names another.")
    engine = open_engine(settings.database_url or f"sqlite:///{file}")
    try:
        yield engine
    finally:
        engine.dispose()


@contextlib.contextmanager
def workspace_of(home: Path | None) -> Iterator[tuple[Workspace, Settings]]:
    """The workspace of this machine, made when it does not exist, and its settings."""
    from workbench.store.workspace import Workspace

    found = settings_of(home)
    opened_at = Workspace.open(state_of(home), database_url=found.database_url, vintages_url=found.vintages_url)
    try:
        yield opened_at, found
    finally:
        opened_at.close()
