"""Where in nested values an error lies that says what, but not where: the part without which it does not occur."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

Path = tuple[str | int, ...]


def location_of(build: Callable[[Any], object], values: Any) -> Path:
    """The path of the one part of `values` that makes `build` raise ParameterError; empty when it takes several.

    A part is at fault when the error is gone without it (another error, such as a missing field, is not that error).
    Of several faults the first is found.

    Args:
        build: raises ParameterError for `values`.
        values: plain JSON values.
    """
    path: Path = ()
    while True:
        name, values = _at_fault(build, values, path)
        if name is None:
            return path
        path = (*path, name)


def _at_fault(build: Callable[[Any], object], values: Any, path: Path) -> tuple[Any, Any]:
    """The part at fault directly below `path` (None: no single one), and the values in which it alone is at fault."""
    inside = _at(values, path)
    names: list[Any] = list(inside) if isinstance(inside, dict) else list(range(len(_as_list(inside))))
    alone = [name for name in names if not _raises(build, _changed(values, path, _without(inside, [name])))]
    if alone:
        return (alone[0] if len(alone) == 1 else None), values
    # Several are at fault, each enough by itself: the first is the one whose arrival brings the error.
    for count in range(len(names)):
        fewer = _changed(values, path, _without(inside, names[count + 1 :]))
        if _raises(build, fewer):
            return names[count], fewer
    return None, values


def _raises(build: Callable[[Any], object], values: Any) -> bool:
    try:
        build(values)
    except ParameterError:
        return True
    except ValidationError:
        return False
    return False


def _at(values: Any, path: Path) -> Any:
    for part in path:
        values = values[part]
    return values


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _without(inside: Any, names: list[Any]) -> Any:
    if isinstance(inside, dict):
        return {name: value for name, value in inside.items() if name not in names}
    return [value for place, value in enumerate(inside) if place not in names]


def _changed(values: Any, path: Path, inside: Any) -> Any:
    if not path:
        return inside
    copied: Any = values.copy()
    copied[path[0]] = _changed(values[path[0]], path[1:], inside)
    return copied
