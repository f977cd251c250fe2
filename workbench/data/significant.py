"""Significant digits: as many of a number as are kept where its text is hashed."""

from __future__ import annotations

from typing import Final

DIGITS: Final = 6  # far above the last bits in which two machines may differ


def significant(value: float) -> float:
    """`value` rounded to `DIGITS` significant digits, never −0.0."""
    return float(f"{value:.{DIGITS}g}") + 0.0
