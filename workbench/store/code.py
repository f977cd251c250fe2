"""The identity of our own source code: what other code answered is another answer."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def code_seal(*parts: str) -> str:
    """sha256 (hex) over the names and contents of our Python files.

    Args:
        parts: packages or modules of `workbench`, e.g. `"backtest"` or `"strategy.py"`; the whole of it when none.
    """
    chosen = [ROOT / part for part in parts] or [ROOT]
    files = sorted({file for path in chosen for file in (path.rglob("*.py") if path.is_dir() else [path])})
    seal = hashlib.sha256()
    for file in files:
        seal.update(file.relative_to(ROOT).as_posix().encode())
        seal.update(file.read_bytes())
    return seal.hexdigest()
