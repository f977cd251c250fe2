"""Features: named numbers about one symbol at one bar, the same in batch and bar by bar.

`feature("rsi(14)")` is one; `registered()` and `table()` are all. `frame(history, ["rsi(14)", "momentum_12_1"])` is
what a model learns from, `newest(view, …)` what is known now.
"""

from workbench.features.feature import Definition, Feature
from workbench.features.parameter import Parameter
from workbench.features.registry import feature, registered
from workbench.features.stream import Stream
from workbench.features.table import frame, newest, table

__all__ = [
    "Definition",
    "Feature",
    "Parameter",
    "Stream",
    "feature",
    "frame",
    "newest",
    "registered",
    "table",
]
