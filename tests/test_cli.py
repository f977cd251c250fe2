"""The terminal: what is printed, what it exits with, and what it costs to ask for help."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench import cli
from workbench.store.workspace import Workspace

HEAVY = ("pandas", "numpy", "sqlalchemy", "papermill", "nbclient", "rich", "pydantic", "yaml", "structlog", "vectorbt")
CELL = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
PARAMETERS = 'as_of: str = "2015-06-30"\nnumber: int = 1\nsymbols: list[str] = []'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one notebook, which is the current directory."""
    root = tmp_path / "project"
    for name in ("pipelines", "notebooks"):
        (root / name).mkdir(parents=True)
    work = "if number == 0: raise ValueError('no')\nfrom workbench.orchestration.outputs import record\n"
    work += f"from pathlib import Path\npage = Path({str(tmp_path)!r}) / (as_of + '.html')\n"
    work += "page.write_text(','.join(symbols))\nrecord('report', page)"
    cells = [
        {**CELL, "id": "p", "metadata": {"tags": ["parameters"]}, "source": PARAMETERS},
        {**CELL, "id": "w", "source": work},
    ]
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (root / "notebooks" / "a.ipynb").write_text(json.dumps(content))
    step = "{name: a, notebook: notebooks/a.ipynb, report: true}"
    (root / "pipelines" / "tiny.yaml").write_text(f"name: tiny\nparameters: {{as_of: 2015-06-30}}\nsteps: [{step}]\n")
    for name in [name for name in os.environ if name.startswith("WORKBENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(root)
    return root


def say(*arguments):
    return CliRunner().invoke(cli.main, list(arguments), catch_exceptions=True)


def test_help_is_cheap():
    code = "import sys\nfrom workbench.cli import main\ntry: main(['--help'])\n"
    code += f"finally: print([name for name in {HEAVY} if name in sys.modules])"
    spent = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = os.times()
    assert done.stdout.splitlines()[-1] == "[]"
    for command in (
        "run",
        "lab",
        "exchange",
        "doctor",
        "runs",
        "orders",
        "positions",
        "sweep",
        "audit",
        "submit",
        "worker",
        "jobs",
        "warmup",
    ):
        assert f"\n  {command} " in done.stdout
    cpu = after.children_user + after.children_system - spent.children_user - spent.children_system
    assert cpu < 0.5


@pytest.mark.parametrize("command", ["run", "lab", "exchange", "doctor", "runs", "orders", "positions"])
def test_every_command_explains_itself(command):
    said = say(command, "-h")
    assert said.exit_code == 0
    assert said.output.startswith("Usage:")


def test_the_version():
    import workbench

    assert say("--version").output.split()[-1] == workbench.__version__


def test_a_run_from_question_to_report(project, tmp_path):
    (project / "deep").mkdir()
    os.chdir(project / "deep")
    said = say("run", "tiny", "--as-of", "2015-07-01", "-p", "symbols=KO,PEP", "-p", "a.number=2")
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    page = tmp_path / "2015-07-01.html"
    assert lines[-1] == str(page)
    assert page.read_text() == "KO,PEP"
    assert "[1/1] a: done in" in said.output
    assert (project / ".workbench" / "runs" / "tiny" / "2015-07-01").is_dir()

    twice = say("run", "tiny", "--as-of", "2015-07-01", "-p", "symbols=KO,PEP", "-p", "a.number=2")
    assert twice.exit_code == 0
    assert "nothing was run" in twice.output
    assert twice.output.splitlines()[-1] == str(page)

    runs = say("runs")
    assert runs.exit_code == 0
    assert ["DONE", "1/1", str(page)] == [word for word in runs.output.split() if word in {"DONE", "1/1", str(page)}]
    run_id = runs.output.splitlines()[1].split()[0]
    assert "3/3" in say("runs", run_id).output
    assert say("orders").output == "no order was written.\n"
    assert say("positions").output == "nothing is held.\n"


def test_a_failing_notebook_is_named_and_the_exit_code_is_one(project):
    said = say("run", "tiny", "-p", "number=0")
    assert said.exit_code == 1
    assert "cell In [3] raised ValueError: no" in said.stderr
    executed = next((project / ".workbench" / "runs").glob("tiny/2015-06-30/*/a.ipynb"))
    assert f"What to do: open {executed}" in said.stderr
    assert "Traceback" not in said.output
    assert "FAILED" in say("runs").output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "tinny"], 1, "did you mean 'tiny'?"),
        (["run", "tiny", "-p", "numbr=3"], 1, "did you mean 'number'?"),
        (["run", "tiny", "-p", "number=three"], 1, "number='three' does not fit"),
        (["run", "tiny", "-p", "number"], 2, "is not NAME=VALUE"),
        (["run", "tiny", "--as-of", "2015-07-04"], 1, "2015-07-04 is not a session of XNYS"),
        (["run", "tiny", "--from", "2015-07-01"], 2, "both --from and --to"),
        (["run", "tiny", "--from", "2015-07-01", "--to", "2015-07-02", "--as-of", "2015-07-01"], 2, "one of the two"),
        (["run", "tiny", "--frm", "x"], 2, "--from"),
        (["runs"], 1, "nothing is stored in"),
        (["doctor", "--home"], 2, "requires an argument"),
        (["submit", "validate", "sma_cross"], 2, "walk_forward"),
        (["submit", "walk_forward", "sma_cross", "-g", "fast=3,5", "-o", "sheme=rolling"], 1, "did you mean 'scheme'"),
        (["submit", "optimize", "sma_cross", "-s", "fast=5:x"], 1, "first:last"),
        (["submit", "optimize", "sma_cross", "-g", "fast=5:9"], 1, "varies a space, but a grid was given"),
    ],
)
def test_mistakes_are_answered_with_what_to_do(project, arguments, code, said):
    answer = say(*arguments)
    assert answer.exit_code == code, answer.output
    assert said in answer.output
    assert "Traceback" not in answer.output
    assert not (project / ".workbench" / "runs").exists()


def test_outside_a_project_the_way_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = say("run", "daily")
    assert answer.exit_code == 1
    assert "change into the project's folder, or name it with --project" in answer.output


@pytest.mark.usefixtures("project")
def test_debug_shows_the_traceback(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("surprise")

    monkeypatch.setattr(Workspace, "open", classmethod(broken))
    quiet = say("run", "tiny")
    assert quiet.exit_code == 1
    assert "RuntimeError: surprise" in quiet.output
    assert isinstance(say("--debug", "run", "tiny").exception, RuntimeError)


@pytest.mark.usefixtures("project")
def test_a_wrong_setting_is_said_by_every_command(monkeypatch):
    monkeypatch.setenv("WORKBENCH_BROKER", "alpaca-paper")
    answer = say("run", "tiny")
    assert answer.exit_code == 1
    assert "needs alpaca_key_id and alpaca_secret_key" in answer.output
    doctor = say("doctor")
    assert doctor.exit_code == 1
    assert "✘ settings" in doctor.output


@pytest.mark.usefixtures("project")
def test_the_doctor_says_how_to_fix_what_is_ill(monkeypatch):
    from workbench.orchestration import health
    from workbench.orchestration.health import Finding, Health

    found = [Finding("disk", Health.OK, "80 GB free"), Finding("keys", Health.WARN, "one of two", "set both")]
    monkeypatch.setattr(health, "examine", lambda *_: iter(found))
    well = say("doctor")
    assert well.exit_code == 0
    assert well.output.splitlines() == [
        "✔ disk       80 GB free",
        "! keys       one of two",
        "             fix: set both",
    ]
    found.append(Finding("exchange", Health.FAIL, "nobody answers", "start one"))
    assert say("doctor").exit_code == 1


def test_lab_opens_the_notebooks_with_safe_flags(project, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/own/config")
    assert say("lab", "--no-browser", "--port=8899").exit_code == 0
    ((program, command, environment),) = started
    assert program == command[0] == sys.executable
    assert f"--ServerApp.root_dir={project / 'notebooks'}" in command
    assert "--LabApp.extension_manager=readonly" in command
    assert command[-2:] == ["--no-browser", "--port=8899"]
    assert environment["WORKBENCH_HOME"] == str(project / ".workbench")
    own, ours = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert own == "/own/config"
    defaults = json.loads((Path(ours) / "labconfig" / "default_setting_overrides.json").read_text())
    assert defaults["@jupyterlab/apputils-extension:notification"] == {"fetchNews": "false", "checkForUpdates": False}


def test_the_defaults_reach_jupyterlab(monkeypatch, tmp_path):
    from workbench.lab.launch import environment

    for name, value in environment(tmp_path, {"JUPYTER_CONFIG_DIR": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    from jupyterlab_server.config import ConfigManager

    found = ConfigManager(config_dir_name="labconfig").get("default_setting_overrides")
    assert found["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


def test_the_exchange_runs_until_it_is_stopped(project):
    assert say("exchange", "--stop").output == "none was running.\n"
    command = [sys.executable, "-c", "from workbench.cli import main; main()", "exchange"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
        # Whoever waits for a process to go must see it collected, and we are its parent.
        threading.Thread(target=process.wait, daemon=True).start()
        try:
            first = process.stdout.readline()
            assert "exchange.json" in first
            address = project / ".workbench" / "exchange" / "exchange.json"
            from workbench.exchange import embedded

            assert embedded._until(address.exists, 120)
            assert "already running at http://127.0.0.1:" in say("exchange").output
            assert say("exchange", "--stop").output == "1 stopped.\n"
            assert process.wait(60) == 0
        finally:
            process.kill()
