"""Warm-up: the kernels compiled before the first frame is there."""

from __future__ import annotations

import numpy as np

from workbench.data.stream.decode import Decoder
from workbench.data.stream.state import TickState


def compile_kernels() -> None:
    """Compile the kernels before the first frame is there: it takes seconds on a machine that has not done it yet."""
    import msgpack

    decoder = Decoder()
    state = TickState(decoder.symbols)
    moment = msgpack.Timestamp(1, 0)
    frame = msgpack.packb([{"T": "t", "S": "A", "t": moment, "p": 1.0, "s": 1.0}])
    state.fold(np.array(decoder.decode(frame, 1).rows))
