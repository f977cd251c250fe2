"""Is this machine fit? One finding per check: what was found, and how to fix it where it is not well."""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ExchangeUnavailable, PipelineError, WorkbenchError
from workbench.orchestration.hosting import exchange_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.orchestration.project import Project
    from workbench.settings import Settings

PACKAGE = "workbench"
NEEDED_GB = 2.0
TIGHT_GB = 10.0
IMPORT_S = 120.0


class Health(enum.StrEnum):
    """How a check ended. `warn` does not keep anything from running."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `fix` says what to do, and is empty when all is well. Secrets are never part of it."""

    name: str
    health: Health
    found: str
    fix: str = ""


def examine(settings: Settings, project: Project | None, home: Path) -> Iterator[Finding]:
    """Run all checks and give their findings one by one; a check that breaks is itself a finding.

    Args:
        settings: of this machine.
        project: the folder with the notebooks, None when there is none.
        home: folder of user state.
    """
    checks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("Python", lambda: [python()]),
        ("packages", packages),
        ("home", lambda: [writable(home)]),
        ("disk", lambda: [disk(home)]),
        ("database", lambda: [database(settings.database_url or f"sqlite:///{home / 'workbench.db'}")]),
        ("project", lambda: [notebooks(project)]),
        ("keys", lambda: [keys(settings)]),
        ("sources", lambda: [sources(settings)]),
        ("exchange", lambda: [exchange(settings.exchange_url, home)]),
        ("vectorbt", lambda: [importable("vectorbt")]),
    ]
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - the doctor must reach the last check whatever is ill
            yield Finding(name, Health.FAIL, f"the check broke: {type(error).__name__}: {error}", "report this")


def python() -> Finding:
    """The interpreter is inside the bounds of the installed package."""
    from packaging.specifiers import SpecifierSet

    version = ".".join(str(part) for part in sys.version_info[:3])
    bounds = metadata.metadata(PACKAGE)["Requires-Python"] or ""
    if SpecifierSet(bounds).contains(version):
        return Finding("Python", Health.OK, f"{version} at {sys.executable}")
    return Finding("Python", Health.FAIL, f"{version} is outside {bounds}", "make the environment with such a Python")


def packages(of: str = PACKAGE) -> list[Finding]:
    """Each dependency is installed and inside the bounds of the installed metadata; one finding when all are."""
    from packaging.requirements import Requirement

    wrong: list[Finding] = []
    count = 0
    for text in metadata.requires(of) or []:
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue  # of an extra, or of another platform
        count += 1
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            wrong.append(
                Finding(need.name, Health.FAIL, "is not installed", f"pip install '{need.name}{need.specifier}'")
            )
            continue
        if not need.specifier.contains(version, prereleases=True):
            found = f"{version} is outside {need.specifier}"
            wrong.append(Finding(need.name, Health.FAIL, found, f"pip install '{need.name}{need.specifier}'"))
    return wrong or [Finding("packages", Health.OK, f"all {count} are installed, inside their bounds")]


def writable(home: Path) -> Finding:
    """User state can be written."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=home):
            pass
    except OSError as error:
        return Finding(
            "home", Health.FAIL, f"{home} cannot be written ({error.strerror})", "set WORKBENCH_HOME, or --home"
        )
    return Finding("home", Health.OK, str(home))


def disk(home: Path) -> Finding:
    """There is room for runs and reports."""
    folder = next(place for place in (home, *home.parents) if place.exists())
    free = shutil.disk_usage(folder).free / 1e9
    said = f"{free:.1f} GB free at {folder}"
    if free < NEEDED_GB:
        return Finding("disk", Health.FAIL, said, f"free at least {NEEDED_GB:g} GB, or set WORKBENCH_HOME elsewhere")
    if free < TIGHT_GB:
        return Finding("disk", Health.WARN, said, "remove old folders under runs/ when it gets tight")
    return Finding("disk", Health.OK, said)


def database(url: str) -> Finding:
    """The database answers and its schema is the newest one; an older schema is left as it is."""
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from workbench.store import engine as store

    shown = make_url(url).render_as_string(hide_password=True)
    file = make_url(url).database or ""
    if url.startswith("sqlite") and not Path(file).exists():
        return Finding("database", Health.OK, f"{shown} does not exist yet; the first run makes it")
    began = time.monotonic()
    try:
        opened = store.open_engine(url, migrate=False)
    except WorkbenchError as error:
        return Finding("database", Health.FAIL, error.message, error.remedy)
    try:
        at = store.revision(opened)
    except SQLAlchemyError as error:
        said = str(error.__cause__ or error).splitlines()[0]
        return Finding(
            "database", Health.FAIL, f"{shown} does not answer: {said}", "start it, or set WORKBENCH_DATABASE_URL"
        )
    finally:
        opened.dispose()
    newest = ScriptDirectory(str(store.MIGRATIONS)).get_current_head()
    took = f"answers in {(time.monotonic() - began) * 1000:.0f} ms"
    if at == newest:
        return Finding("database", Health.OK, f"{shown} {took}, schema {at}")
    return Finding(
        "database",
        Health.WARN,
        f"{shown} {took}, schema {at or 'empty'}, newest is {newest}",
        "the next run migrates it",
    )


def notebooks(project: Project | None) -> Finding:
    """The notebooks are there, and every pipeline is valid."""
    if project is None:
        return Finding(
            "project", Health.FAIL, "no pipelines/ at or above this folder", "change into the project's folder"
        )
    from workbench.orchestration.pipeline import Pipeline

    count = len(list(project.notebooks.glob("*.ipynb")))
    if not count:
        return Finding("project", Health.FAIL, f"no notebook in {project.notebooks}", "check out the whole project")
    for path in project.pipelines.values():
        try:
            Pipeline.load(path, root=project.root)
        except PipelineError as error:
            return Finding("project", Health.FAIL, error.message, error.remedy)
    return Finding(
        "project", Health.OK, f"{count} notebooks, {len(project.pipelines)} valid pipelines in {project.root}"
    )


def keys(settings: Settings) -> Finding:
    """Whether keys are present; never what they are."""
    pair = (settings.alpaca_key_id, settings.alpaca_secret_key)
    present = [bool(key.get_secret_value()) for key in pair]
    said = {0: "absent", 1: "only one of two is present", 2: "present"}[sum(present)]
    if settings.broker == "local":
        health, fix = (Health.OK, "") if sum(present) != 1 else (Health.WARN, "set both, or none")
        return Finding("keys", health, f"Alpaca keys {said}; broker=local needs none", fix)
    if all(present):
        return Finding("keys", Health.OK, f"Alpaca keys {said} for broker={settings.broker}")
    fix = "set WORKBENCH_ALPACA_KEY_ID and WORKBENCH_ALPACA_SECRET_KEY"
    return Finding("keys", Health.FAIL, f"Alpaca keys {said}; broker={settings.broker} needs both", fix)


def sources(settings: Settings) -> Finding:
    """Which sources of facts could be asked; nobody is."""
    from workbench.data.raw import SUFFIX
    from workbench.data.sources import SOURCES, lacking
    from workbench.orchestration.vendors import accesses

    given = accesses(settings)
    vendors = {name: listed for name, listed in SOURCES.items() if SUFFIX not in name}  # raw bars need the same key
    waiting = [name for name, listed in vendors.items() if lacking(listed, given[name])]
    ready = [name for name in vendors if name not in waiting]
    said = f"ready: {', '.join(ready)}" + (f"; without a key: {', '.join(waiting)}" if waiting else "")
    return Finding("sources", Health.OK, said)


def exchange(url: str, home: Path) -> Finding:
    """A configured exchange answers; without one, the embedded one answers or can be started (and is stopped again)."""
    from workbench.exchange import embedded

    if url:
        try:
            answer = embedded.health(url, timeout=5.0)
        except ExchangeUnavailable:
            fix = "start `workbench exchange`, or unset WORKBENCH_EXCHANGE_URL to have one embedded"
            return Finding("exchange", Health.FAIL, f"nobody answers at {url}", fix)
        return Finding("exchange", Health.OK, f"{url} answers: {answer['label']}")
    found = embedded.running(exchange_folder(home))
    if found is not None:
        return Finding("exchange", Health.OK, f"running at {found.url}, process {found.pid}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wbx") as folder:
        try:
            embedded.ensure(Path(folder), exit_with_parent=True)
            took = time.monotonic() - began
            embedded.stop(Path(folder))
        except ExchangeUnavailable as error:
            return Finding("exchange", Health.FAIL, error.message, error.remedy)
    return Finding("exchange", Health.OK, f"none is running; one starts in {took:.1f} s when needed")


def importable(module: str) -> Finding:
    """A heavy library can be imported; tried in a process of its own, since a broken binary ends the whole process."""
    began = time.monotonic()
    code = f"import sys; sys.modules.setdefault('rfc3987_syntax', None); import {module}; print({module}.__version__)"
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=IMPORT_S,
            check=False,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired:
        return Finding(module, Health.FAIL, f"was not imported within {IMPORT_S:g} s", "look at the machine's load")
    if done.returncode == 0:
        return Finding(module, Health.OK, f"{done.stdout.split()[-1]}, imported in {time.monotonic() - began:.1f} s")
    last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
    return Finding(module, Health.FAIL, f"cannot be imported: {last}", f"install {module} anew")
