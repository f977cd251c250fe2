"""Bits of a word, beside Python's own whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from workbench.backtest.sweep.bits import highest_bit, lowest_bit


@njit
def both(word):
    return lowest_bit(word), highest_bit(word)


@pytest.mark.parametrize("word", [1, 2, 3, 12, 2**31, 2**32 + 8, 2**63, 2**64 - 1, 0x00F0_0000_1000_0000])
def test_the_lowest_and_the_highest_bit_of_a_word(word):
    assert both(np.uint64(word)) == ((word & -word).bit_length() - 1, word.bit_length() - 1)


def test_an_empty_word_has_neither():
    assert both(np.uint64(0)) == (64, -1)
