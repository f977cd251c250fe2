"""The two commands install what the project says it needs: lock, pyproject and environment.yml agree."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(name):
    """Name -> set of pinned versions (a universal lock may pin one per Python)."""
    found = {}
    for line in (ROOT / ".lock" / name).read_text().splitlines():
        match = re.match(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", line)
        if match:
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("run.txt", PROJECT["dependencies"]),
        ("test.txt", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]),
    ],
)
def test_the_lock_pins_every_requirement_inside_its_bounds(lock, requirements):
    locked = pins(lock)
    for text in requirements:
        requirement = Requirement(text)
        versions = locked[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(Version(version)) for version in versions), text


def test_every_runtime_requirement_has_a_lower_and_an_upper_bound():
    calendar_versioned = {"fsspec"}  # its versions are dates, an upper bound would only say "not next year"
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        operators = {specifier.operator for specifier in requirement.specifier}
        assert ">=" in operators, text
        assert "<" in operators or requirement.name in calendar_versioned, text


@pytest.mark.parametrize("lock", ["run.txt", "test.txt"])
def test_the_lock_has_hashes_and_names_no_index(lock):
    text = (ROOT / ".lock" / lock).read_text()
    assert not re.search(r"https?://|index-url|find-links", text)
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_test_lock_is_the_run_lock_and_more():
    run, test = pins("run.txt"), pins("test.txt")
    assert {name: test.get(name) for name in run} == run


def test_environment_yml_installs_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert "-r .lock/run.txt" in pip
    assert "--require-hashes" in pip
    python = next(item for item in environment["dependencies"] if str(item).startswith("python="))
    assert Requirement(f"python=={python.split('=')[1]}.*")
    assert Version("3.11") in Requirement(f"python{PROJECT['requires-python']}").specifier


def test_this_environment_is_the_locked_one():
    from importlib.metadata import version

    locked = pins("test.txt")
    for name in ("pandas", "numpy", "vectorbt", "sqlalchemy", "papermill", "alpaca-py"):
        assert version(name) in locked[name], name


def test_the_readme_begins_with_the_two_commands_and_ci_runs_the_second():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    run, test = (block.strip() for block in blocks[:2])
    assert "\n" not in run
    assert run.endswith("workbench run daily")
    assert "\n" not in test
    assert test.endswith("-m pytest")
    assert test in (ROOT / ".ci" / "run").read_text()


HEAVY = {
    "pandas", "numpy", "vectorbt", "numba", "scipy", "sklearn", "skfolio", "arch", "plotly", "matplotlib", "sqlalchemy",
    "alembic", "alpaca", "papermill", "nbformat", "nbconvert", "jsonschema", "tornado", "requests", "pydantic",
    "exchange_calendars", "talib", "pyarrow", "structlog", "IPython",
}  # fmt: skip


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, workbench as wb; dir(wb); print('\\n'.join({m.partition('.')[0] for m in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "workbench" in loaded
    assert loaded & HEAVY == set()


def test_every_public_name_can_be_loaded_and_an_unknown_one_is_refused():
    import workbench as wb

    for name in wb.__all__:
        assert getattr(wb, name) is not None
        assert name in dir(wb)
    with pytest.raises(AttributeError, match="it has Bench, Costs"):
        _ = wb.nonsense
