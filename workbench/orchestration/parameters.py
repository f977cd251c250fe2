"""The parameters of a notebook: its annotated `parameters` cell as a pydantic model that refuses what it does not know.

papermill alone runs on with the default after a misspelt name and injects a wrong type unseen; this is asked first.
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import tokenize
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from workbench.errors import ParameterError
from workbench.parsing import parsed
from workbench.study import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TAG = "parameters"
_SCALARS: tuple[type, ...] = (int, float, str, bool)
_NAMES: dict[str, Any] = {kind.__name__: kind for kind in (*_SCALARS, list, dict)} | {"Any": Any}


@dataclass(frozen=True)
class NotebookParameters:
    """What a notebook may be asked with.

    Attributes:
        notebook: its file.
        model: a pydantic model with one strict field per annotated assignment; unknown names are forbidden.
        source_hash: sha256 over types, tags and sources of all cells; stored outputs do not count.
        code_cells: how many cells have code to run, the parameters cell included.
    """

    notebook: Path
    model: type[BaseModel]
    source_hash: str
    code_cells: int

    @classmethod
    def of(cls, notebook: Path) -> NotebookParameters:
        """Read a notebook's parameters; nothing is executed. A notebook without a tagged cell takes none.

        Raises:
            ParameterError: the file is not a Python notebook, or its cell holds something else than annotated literals.
        """
        cells = _cells(notebook)
        tagged = [cell for cell in cells if TAG in _tags(cell)]
        if len(tagged) > 1:
            raise ParameterError(
                f"{notebook.name} has {len(tagged)} cells tagged {TAG!r}; only one can be replaced.",
                remedy="keep the tag on one cell.",
            )
        fields = _fields(_source(tagged[0]), notebook) if tagged else {}
        model = create_model(
            notebook.stem,
            __config__=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()),
            **fields,
        )
        return cls(
            notebook=notebook,
            model=model,
            source_hash=digest([[cell["cell_type"], _tags(cell), _source(cell)] for cell in cells]),
            code_cells=sum(cell["cell_type"] == "code" and bool(_source(cell).strip()) for cell in cells),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of the cell."""
        return tuple(self.model.model_fields)

    def problems(self, values: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with these values, by parameter; empty when the notebook can be asked so."""
        try:
            self.model(**values)
        except ValidationError as error:
            found: dict[str, str] = {}
            for row in error.errors(include_url=False):
                name = str(row["loc"][0])
                found.setdefault(name, self._explain(name, row["type"], row["msg"], row["input"]))
            return found
        return {}

    def checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with their values, defaults filled in, as plain JSON values.

        Raises:
            ParameterError: a name is unknown or a value has the wrong type; every such problem is listed.
        """
        problems = self.problems(values)
        if problems:
            raise ParameterError(
                f"{self.notebook.name} cannot be asked so: {'; '.join(problems.values())}. Nothing was run.",
                remedy="correct these parameters.",
            )
        return self.model(**values).model_dump(mode="json")

    def from_text(self, name: str, text: str) -> Any:
        """The value that a text from the command line means for this parameter.

        A list is written `AAPL,MSFT` or as JSON, a dictionary as JSON, `null` is None where None is allowed. A text
        that does not fit is returned as it is, so that `problems` names it. Raises ParameterError for an unknown name.
        """
        if name not in self.model.model_fields:
            raise ParameterError(self._explain(name, "extra_forbidden", "", text), remedy="correct the name.")
        kind = self.model.model_fields[name].annotation
        members = list(get_args(kind)) if _is_union(kind) else [kind]
        if type(None) in members and text in {"null", "None"}:
            return None
        for member in members:
            value = _parsed(text, member)
            if value is not _UNPARSED:
                return value
        return text

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the parameters: names, types, defaults, descriptions."""
        return self.model.model_json_schema()

    def near(self, name: str) -> str:
        """`did you mean …?` for a name that is not a parameter, or the list of those that are."""
        return did_you_mean(name, self.names)

    def _explain(self, name: str, kind: str, message: str, given: Any) -> str:
        if kind == "extra_forbidden":
            return f"{name!r} is not a parameter of {self.notebook.name} ({self.near(name)})"
        if kind == "missing":
            return f"{name!r} has no default in {self.notebook.name} and was not given"
        return f"{name}={given!r} does not fit {self.notebook.name}: {message[:1].lower()}{message[1:]}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known name, or `known are: …` when none is near."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names) or 'none'}"


class _Unparsed:
    """Marks a text that is no value of a type; None would be a value."""


_UNPARSED = _Unparsed()


def _parsed(text: str, kind: Any) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    candidates: list[Any] = []
    if get_origin(kind) in {list, dict} or kind in {list, dict}:
        try:
            candidates.append(json.loads(text))
        except ValueError:
            # `AAPL,MSFT`: the one door where a list may come as a single text.
            if get_origin(kind) is list or kind is list:
                candidates.append([part.strip() for part in text.split(",") if part.strip()])
    elif get_origin(kind) is Literal:
        candidates.extend(choice for choice in get_args(kind) if str(choice) == text)
    else:
        candidates.append(text)
    for candidate in candidates:
        try:
            return adapter.validate_python(candidate, strict=False)
        except ValidationError:
            continue
    return _UNPARSED


def _cells(notebook: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        cells = [{**cell, "cell_type": cell["cell_type"], "source": cell["source"]} for cell in content["cells"]]
        metadata = content.get("metadata", {})
        language = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(
            f"{notebook} is not a notebook of format 4 ({error}).", remedy="open and save it in JupyterLab."
        ) from error
    if language not in {None, "python"}:
        raise ParameterError(f"{notebook} is written in {language}, not in Python.", remedy="use a Python notebook.")
    return cells


def _tags(cell: Mapping[str, Any]) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", []))


def _source(cell: Mapping[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _fields(source: str, notebook: Path) -> dict[str, Any]:
    try:
        statements = parsed(lambda: ast.parse(source)).body
    except SyntaxError as error:
        raise ParameterError(
            f"the parameters cell of {notebook.name} is not Python (line {error.lineno}: {error.msg}).",
            remedy="write one annotated assignment per line, e.g. seed: int = 7.",
        ) from error
    comments = _comments(source)
    fields: dict[str, Any] = {}
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom) or (
            isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        ):
            continue  # `from typing import Literal` and a docstring say nothing about values
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            raise ParameterError(
                f"line {statement.lineno} of the parameters cell of {notebook.name} is no annotated assignment: "
                f"{ast.unparse(statement)}.",
                remedy="write e.g. seed: int = 7; without a type nothing can be refused.",
            )
        name = statement.target.id
        if name in fields or name.startswith("_") or hasattr(BaseModel, name):
            why = "is assigned twice" if name in fields else "is a name that a parameter cannot have"
            raise ParameterError(
                f"{name!r}, line {statement.lineno} of the parameters cell of {notebook.name}, {why}.",
                remedy="rename or remove it.",
            )
        try:
            kind = _kind(statement.annotation)
            default = ... if statement.value is None else ast.literal_eval(statement.value)
            if default is not ...:
                TypeAdapter(kind).validate_python(default, strict=True)
        except (ValueError, ValidationError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise ParameterError(
                f"{name!r}, line {statement.lineno} of the parameters cell of {notebook.name}, "
                f"cannot be understood: {why}.",
                remedy="annotate with int, float, str, bool, list[…], dict[str, …], Literal[…] or … | None, "
                "and give a literal of that type.",
            ) from error
        described = [comments[line] for line in (statement.lineno, statement.end_lineno) if line in comments]
        fields[name] = (kind, Field(default, description=described[0] if described else None))
    return fields


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT}


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in {Union, types.UnionType}


def _kind(node: ast.expr) -> Any:
    """The type an annotation names. Nothing is evaluated: a parameters cell must be readable without running it."""
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _kind(node.left) | _kind(node.right)
    if _last_name(node) in _NAMES:
        return _NAMES[_last_name(node)]
    if isinstance(node, ast.Subscript):
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        made = _generic(_last_name(node.value), inner)
        if made is not None:
            return made
    raise ValueError(f"{ast.unparse(node)} is not a type that a parameter can have")


def _generic(outer: str, inner: list[ast.expr]) -> Any:
    match outer, len(inner):
        case "Literal", _:
            return Literal[tuple(ast.literal_eval(choice) for choice in inner)]
        case "Optional", 1:
            return _kind(inner[0]) | None
        case (("list" | "List"), 1):
            return list[_kind(inner[0])]  # type: ignore[misc]  # a type made at run time
        case (("dict" | "Dict"), 2):
            return dict[_kind(inner[0]), _kind(inner[1])]  # type: ignore[misc]  # a type made at run time
    return None


def _last_name(node: ast.expr) -> str:
    """`Literal` for both `Literal` and `typing.Literal`; empty for anything that is no name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
