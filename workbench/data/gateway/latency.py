"""Latencies counted by class, so that the counts of many processes and hours add up to percentiles.

Class n holds what took from 2^(n/16) up to 2^((n+1)/16) microseconds; a percentile is the middle of its class and is
therefore within 2.2 % of the true one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_PER_DOUBLING = 16


def class_of(seconds: float) -> int:
    """The class of a latency; below a microsecond it is class 0."""
    return max(0, math.floor(math.log2(max(seconds, 1e-6) * 1e6) * _PER_DOUBLING))


def percentile(counts: Mapping[str, int], share: float) -> float:
    """The latency in milliseconds that `share` of the requests did not exceed; NaN where there was none."""
    total = sum(counts.values())
    if not total:
        return math.nan
    needed = max(1, math.ceil(share * total))
    for number in sorted(counts, key=int):
        needed -= counts[number]
        if needed <= 0:
            return float(2.0 ** ((int(number) + 0.5) / _PER_DOUBLING) / 1000)
    raise AssertionError("fewer were counted than there are")
