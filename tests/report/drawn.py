"""A figure as a browser reads it."""

from __future__ import annotations

import base64
import json

import numpy as np


def numbers(values):
    """Plain lists, or typed arrays as base64."""
    if isinstance(values, dict):
        flat = np.frombuffer(base64.b64decode(values["bdata"]), dtype=np.dtype(values["dtype"]))
        return flat.reshape([int(n) for n in values["shape"].split(",")]) if "shape" in values else flat
    return np.asarray(values)


def body(figure):
    return json.loads(figure.to_json())
