"""A holder's name tells another process whether it is gone, and never guesses."""

import os
import subprocess
import sys

from workbench.store.holders import certainly_gone, this_process


def test_each_name_is_unique_and_fits_its_columns():
    one, other = this_process(), this_process()
    assert one != other
    assert len(one) <= 96
    assert f":{os.getpid()}:" in one


def test_this_process_is_not_gone():
    assert not certainly_gone(this_process())


def test_a_process_that_ended_is_gone():
    code = "from workbench.store.holders import this_process; print(this_process())"
    name = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert certainly_gone(name)
    host, number, _place, mark = name.split(":")
    assert not certainly_gone(f"{host}:{number}:another0place:{mark}")


def test_what_is_no_name_of_ours_is_never_called_gone():
    assert not any(certainly_gone(text) for text in ("", "desk", "a:b:c", "host:x:place:mark", "1:2:3:4:5"))
