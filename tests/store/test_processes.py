import os
import subprocess
import sys

from workbench.store.processes import process_runs


def test_a_process_runs_until_it_has_ended():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process_runs(child.pid)
    child.communicate()
    assert not process_runs(child.pid)
    assert process_runs(os.getpid())
