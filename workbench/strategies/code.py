"""The identity of a strategy's code: its class, its file, and what of strategies and features it leans on."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
from typing import TYPE_CHECKING

from workbench.parsing import parsed

if TYPE_CHECKING:
    from workbench.strategy import Strategy

_PACKAGES = ("workbench.strategies.", "workbench.features.")


@functools.cache
def code_identity(kind: type[Strategy]) -> str:
    """sha256 (hex) of the code of a strategy: its class, its file, and what it imports of strategies and features.

    `Strategy.hash` names an idea by its class alone; an edited function beside the class, or an edited indicator, is
    other code too, and that is what a stored version must notice.
    """
    seal = hashlib.sha256(kind.code_hash().encode())
    waiting, seen = [kind.__module__], set()
    while waiting:
        name = waiting.pop(0)
        if name in seen or not name.startswith(_PACKAGES):
            continue
        seen.add(name)
        source = inspect.getsource(sys.modules[name])
        seal.update(f"{name}\x1f{source}".encode())
        tree = parsed(functools.partial(ast.parse, source))
        imported = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
        waiting += sorted(node.module for node in imported if node.module is not None)
    return seal.hexdigest()
