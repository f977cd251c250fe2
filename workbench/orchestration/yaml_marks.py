"""Reading YAML with the line of every key and value, and without YAML 1.1's surprises.

In YAML 1.1 the symbol `ON` is the boolean true, `2013-01-02` is a date object and `1:30` is ninety. Here only
`true`/`false`, `null` and plain decimal numbers are anything else than text, and a repeated key is a problem.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from workbench.errors import PipelineInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*")
_DECIMAL = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "~": None, "": None}
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file: line (from 1), field such as `steps[1].needs`, and what."""

    line: int
    field: str
    said: str


@dataclass(frozen=True)
class Marked:
    """The plain content of a YAML file and where each part of it stands.

    Attributes:
        content: dictionaries, lists and scalars.
        lines: line (from 1) by path, a tuple of keys and positions.
        problems: what was wrong already while reading.
    """

    content: Any
    lines: dict[tuple[str | int, ...], int]
    problems: tuple[Problem, ...]

    def problem(self, where: Sequence[str | int], said: str) -> Problem:
        """A problem at a path; a part that is not written stands at the line of what it is missing in."""
        path = tuple(where)
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        return Problem(self.lines.get(known, 1), field_name(path), said)


def read_marked(path: Path) -> Marked:
    """Read a YAML file.

    Raises:
        PipelineInvalid: the file cannot be read or is not YAML; the message names the line.
    """
    try:
        # The loader that knows no types: which text is a number is decided below.
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PipelineInvalid(
            f"{path}, line {line}: not YAML ({error.problem}); nothing was run.", remedy="correct this line."
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PipelineInvalid(f"{path} cannot be read ({error}); nothing was run.", remedy="check the file.") from error
    lines: dict[tuple[str | int, ...], int] = {}
    problems: list[Problem] = []
    content = None if root is None else _plain(root, (), lines, problems)
    return Marked(content, lines, tuple(problems))


def field_name(path: Sequence[str | int]) -> str:
    """`("steps", 1, "needs")` is `steps[1].needs`; the empty path is `the file`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the file"


def _plain(
    node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], problems: list[Problem]
) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if len(path) > _DEEPEST:  # an alias inside its own anchor never ends
        problems.append(Problem(line, field_name(path[:3]), "nested too deeply"))
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), lines, problems) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            here = (*path, key)
            if key in content:
                problems.append(Problem(key_node.start_mark.line + 1, field_name(here), "written twice"))
            lines[here] = key_node.start_mark.line + 1
            content[key] = _plain(value_node, here, lines, problems)
        return content
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style is not None:  # quoted or a block: always text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    if _DECIMAL.fullmatch(text):
        return float(text.replace("_", ""))
    return text
