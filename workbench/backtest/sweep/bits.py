"""Bits of a word, for compiled code: one instruction each, which numba has no name for."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic


def _lowest_bit(_typing: Any, _word: Any) -> Any:
    def made(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, False))

    return types.int64(types.uint64), made


def _highest_bit(_typing: Any, _word: Any) -> Any:
    def made(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        clear = builder.ctlz(arguments[0], context.get_constant(types.boolean, False))
        return builder.sub(context.get_constant(types.int64, 63), clear)

    return types.int64(types.uint64), made


# The numbers (0 to 63) of the lowest and of the highest bit that is set in an unsigned word of 64 bits; 64 and −1 where
# none is.
lowest_bit: Any = intrinsic(_lowest_bit)
highest_bit: Any = intrinsic(_highest_bit)
