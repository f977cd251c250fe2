"""How the kernels of the stream are compiled: once for this machine, kept on disk, run while others run."""

from __future__ import annotations

from typing import Any, TypeAlias

from numba import njit

# Division by zero gives inf or NaN as in numpy; a check would have to be written at each place anyway.
compiled = njit(cache=True, nogil=True, error_model="numpy")
# Put in the place of its call: an array handed to a function is seven arguments, and a message has a dozen of calls.
inlined = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)

Whole: TypeAlias = Any  # a 64-bit whole number: a kernel does not tell numpy's from Python's
Row: TypeAlias = Any  # one record of an array of `events.ROW`
