import ast
import gc
import inspect
import sys
import threading

import pytest

from workbench.parsing import parsed
from workbench.strategies import build


@pytest.fixture
def threads_that_interrupt_each_other():
    """Python code in the collector and a short switch interval: a thread loses its turn in the middle of a parse."""
    before = sys.getswitchinterval()
    gc.callbacks.append(count)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
    gc.callbacks.remove(count)


def count(*_):
    return sum(range(100))


@pytest.mark.usefixtures("threads_that_interrupt_each_other")
def test_threads_that_read_the_code_of_one_strategy_agree():
    momentum, together, found = build("momentum"), threading.Barrier(6), []

    def read():
        together.wait()
        found.extend(momentum.code_hash() for _ in range(20))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 120
    assert set(found) == {momentum.code_hash()}


def test_a_parse_that_another_thread_got_in_the_way_of_is_asked_again():
    answers = iter([SystemError("AST constructor recursion depth mismatch (before=42, after=36)"), ast.parse("1")])

    def parse():
        answer = next(answers)
        if isinstance(answer, SystemError):
            raise answer
        return answer

    assert isinstance(parsed(parse), ast.Module)


@pytest.mark.parametrize(
    ("parse", "error"), [(lambda: ast.parse("1 +"), SyntaxError), (lambda: inspect.getsource(int), TypeError)]
)
def test_other_errors_come_as_they_are(parse, error):
    with pytest.raises(error):
        parsed(parse)


def test_what_never_parses_is_raised_in_the_end():
    def parse():
        raise SystemError("broken for good")

    with pytest.raises(SystemError, match="for good"):
        parsed(parse)
