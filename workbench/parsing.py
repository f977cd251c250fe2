"""Python's parser for code that runs in threads: it counts its depth per process, and two threads confuse it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_ONE_AT_A_TIME = threading.RLock()
_ATTEMPTS = 20  # against parses that are not ours, e.g. of a notebook cell in the main thread


def parsed(parse: Callable[[], _T]) -> _T:
    """What `parse()` returns: `ast.parse` or `inspect.getsource` of a class, called by one thread of ours at a time.

    CPython 3.11 and 3.12 raise SystemError ("AST constructor recursion depth mismatch", cpython#106905) where two
    threads parse at once, though the code is right. Such an error is asked again; all others are raised as they come.
    """
    with _ONE_AT_A_TIME:
        for _ in range(_ATTEMPTS - 1):
            try:
                return parse()
            except SystemError:
                continue
        return parse()
