"""How the kernels are compiled: cached on disk, without the interpreter's lock, arithmetic as written."""

from __future__ import annotations

from numba import njit

# Division by zero gives inf or NaN as in numpy: a check before each division would keep the compiler from doing eight
# of them at once.
compiled = njit(cache=True, nogil=True, error_model="numpy")
inlined = njit(cache=True, nogil=True, error_model="numpy", inline="always")
# Sums may be taken in any order that is quick, always the same one: rounding differs in the sixteenth digit.
reordered = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz"})
# The same, for values among which there is no NaN.
reordered_finite = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "nnan"})
