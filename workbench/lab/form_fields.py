"""From a JSON Schema to the fields of a form: which widget, what it holds, and what is allowed in words."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping


def widget_of(name: str, shape: Mapping[str, Any], style: dict[str, Any]) -> Any:
    """The widget of a parameter: bounded where the schema is, JSON in a text area where it is nested."""
    import ipywidgets  # it has no types

    named = {"description": name, **style}
    kind = shape.get("type")
    if kind == "integer":
        low = shape["minimum"] if "minimum" in shape else shape["exclusiveMinimum"] + 1
        high = shape["maximum"] if "maximum" in shape else shape["exclusiveMaximum"] - 1
        return ipywidgets.BoundedIntText(value=low, min=low, max=high, **named)
    if kind == "number":
        low = shape.get("minimum", shape.get("exclusiveMinimum", -sys.float_info.max))
        high = shape.get("maximum", shape.get("exclusiveMaximum", sys.float_info.max))
        return ipywidgets.BoundedFloatText(value=low, min=low, max=high, **named)
    if kind == "boolean":
        return ipywidgets.Checkbox(indent=True, **named)
    if kind == "string" and "enum" in shape:
        return ipywidgets.Dropdown(options=shape["enum"], **named)
    if kind == "string":
        return ipywidgets.Text(**named)
    return ipywidgets.Textarea(rows=4, **named)


def is_nested(shape: Mapping[str, Any]) -> bool:
    """Whether a parameter is no plain value and stands in the form as JSON."""
    return shape.get("type") not in {"integer", "number", "boolean", "string"}


def written(shape: Mapping[str, Any], value: Any) -> Any:
    """A value as its widget holds it."""
    return json.dumps(value, indent=1, ensure_ascii=False) if is_nested(shape) else value


def read_json(name: str, text: str) -> Any:
    """What the text area of a nested parameter holds. Raises ParameterError when it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(
            f"{name} is not JSON: {error}; nothing was made.",
            remedy="write lists in [ ], names and texts in double quotes.",
            details=[{"loc": ["params", name], "msg": f"not JSON: {error}", "input": text}],
        ) from error


def allowed_in_words(shape: Mapping[str, Any]) -> str:
    """What a schema allows, in words."""
    if "enum" in shape:
        return ", ".join(map(str, shape["enum"]))
    kind = {"integer": "whole number", "number": "number", "boolean": "yes or no", "string": "text"}
    words = [kind.get(str(shape.get("type")), "JSON")]
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    words += [
        f"{sign} {shape[name]:g}" for name, sign in signs.items() if name in shape and abs(shape[name]) < 2**53 - 1
    ]
    return " ".join(words)
