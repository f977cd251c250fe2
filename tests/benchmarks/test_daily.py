"""How long the two things a user waits for take: importing the package, and the whole trading day.

.venv/bin/python -m pytest tests/benchmarks/test_daily.py --benchmark-only --benchmark-enable -p no:randomly
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest

ROOT = Path(__file__).parents[2]
WORKBENCH = [str(Path(sys.executable).with_name("workbench"))]


def test_import(benchmark):
    """`import workbench` and listing its face, in a new process, less the start of Python itself."""

    def seconds(code):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - started

    bare = min(seconds("pass") for _ in range(5))
    benchmark.extra_info["python_alone_s"] = round(bare, 3)
    benchmark.pedantic(lambda: seconds("import workbench as wb; dir(wb)"), rounds=5)
    benchmark.extra_info["import_s"] = round(benchmark.stats.stats.min - bare, 3)


class PeakMemory(threading.Thread):
    """Samples the memory of a process and all its descendants: proportional set size, summed, in MB."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.root, self.peak, self.running = psutil.Process(pid), 0.0, True

    def run(self):
        while self.running:
            total = 0
            try:
                family = [self.root, *self.root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in family:
                try:
                    total += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                    continue
            self.peak = max(self.peak, total / 1e6)
            time.sleep(0.1)


@pytest.mark.parametrize("when", ["first", "again"])
def test_daily(benchmark, tmp_path, when):
    """`workbench run daily` on the default study in an empty workspace; `again`: the same question once more."""
    environment = {**os.environ, "WORKBENCH_HOME": str(tmp_path / "home")}

    def day():
        process = subprocess.Popen([*WORKBENCH, "run", "daily"], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        memory = PeakMemory(process.pid)
        memory.start()
        process.communicate()
        memory.running = False
        memory.join()
        assert process.returncode == 0
        benchmark.extra_info["peak_pss_mb"] = round(memory.peak)

    if when == "again":
        day()
    benchmark.pedantic(day, rounds=1)


def script_of(notebook):
    """The notebook's code as a plain script; the parameters keep their defaults."""
    cells = nbformat.read(notebook, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A workspace that has lived the default day once, so that scripts and notebooks find the same stored answers."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "WORKBENCH_HOME": str(home)}
    subprocess.run([*WORKBENCH, "run", "daily"], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return home, environment


@pytest.mark.parametrize("name", ["01_data", "02_backtest", "03_arena", "04_execution", "05_report"])
@pytest.mark.parametrize("life", ["script", "notebook"])
def test_one_step(benchmark, lived, name, life):
    """One step as a plain script in a new process, and as a notebook in a new kernel under our engine."""
    from workbench.orchestration.cells import Ask
    from workbench.orchestration.notebooks import execute

    home, environment = lived
    notebook = ROOT / "notebooks" / f"{name}.ipynb"
    script = home / f"{name}.py"
    script.write_text(script_of(notebook))

    def as_script():
        subprocess.run([sys.executable, str(script)], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)

    def as_notebook():
        asked = Ask(cwd=ROOT, environment=environment, log=home / f"{name}.log", timeout_s=300)
        ended = execute(notebook, home / f"{name}.executed.ipynb", {}, asked)
        assert ended.status.value == "DONE", ended.reason
        benchmark.extra_info["outside_cells_s"] = round(ended.kernel_s, 2)

    benchmark.pedantic(as_script if life == "script" else as_notebook, rounds=3, warmup_rounds=1)
