"""One schema per strategy: what a form shows and what a body of a request must be are both read from its class."""

from __future__ import annotations

import difflib
import functools
import inspect
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from workbench.errors import ParameterError
from workbench.strategies import registered
from workbench.strategies.locating import location_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.strategy import Strategy

M = TypeVar("M", bound=BaseModel)

# Beyond this a reader of JSON may round an integer (RFC 8259, 6): both the form and the body refuse it.
LARGEST = 2**53 - 1
# One line without control characters and without blanks around it; a text may have line breaks and tabs.
_LINE = r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"
_TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"

Title = Annotated[str, Field(min_length=1, max_length=128, pattern=_LINE, description="unique among those not deleted")]
Text = Annotated[str, Field(max_length=10_000, pattern=_TEXT)]


@dataclass(frozen=True)
class Body:
    """A body that was accepted.

    Attributes:
        strategy: built by its class.
        params: all its parameters as plain JSON values, defaults included.
        expected_version: the version the sender has seen; None for a new one.
    """

    title: str
    strategy: Strategy
    description: str = ""
    note: str = ""
    expected_version: int | None = None

    @property
    def kind(self) -> str:
        """The registered name of the strategy."""
        return self.strategy.name

    @property
    def params(self) -> dict[str, Any]:
        """The strategy's parameters."""
        return self.strategy.params


def form_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a strategy's parameters: types, bounds, defaults, and what its docstring says of each.

    An integer without a bound of its own is bounded by what JSON carries exactly. What concerns two parameters at once
    (`fast` less than `slow`) is not in a schema; `parse_params` refuses it.

    Raises:
        ParameterError: no strategy has that name; the nearest one is suggested.
    """
    strategy = kind_of(kind)
    schema = strategy.model_json_schema()
    _describe(schema, inspect.getdoc(strategy) or "")
    for nested in schema.get("$defs", {}).values():
        _describe(nested, str(nested.get("description", "")))
    schema["title"] = kind
    _bound(schema)
    return schema


def body_model(kind: str) -> type[BaseModel]:
    """The model of a request's body about a strategy of this kind; its `model_json_schema()` documents the request.

    Fields: `kind`, `title`, `params` (the strategy itself; its defaults when absent), `description`, `note`,
    `expected_version` (for a change: the version that was seen).
    """
    return _body_model(kind_of(kind))


@functools.cache
def _body_model(strategy: type[Strategy]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        "kind": (Literal[strategy.name], ...),
        "title": (Title, ...),
        "params": (strategy, Field(default_factory=strategy)),
        "description": (Text, ""),
        "note": (Annotated[Text, Field(description="why this version")], ""),
        "expected_version": (Annotated[int, Field(ge=1, le=LARGEST)] | None, None),
    }
    return create_model(f"{strategy.name}_body", __config__=ConfigDict(extra="forbid"), **fields)


def parse_body(body: Mapping[str, Any]) -> Body:
    """Check a request's body as JSON: no text where a number belongs, no fraction where a whole number does.

    Raises:
        ParameterError: it is not accepted. `facts["details"]` lists every finding: `loc` (path of keys and positions),
            `msg`, `input`.
    """
    kind = body.get("kind") if hasattr(body, "get") else None
    if not isinstance(kind, str):
        raise _refused([_detail(("kind",), "kind must name a strategy", kind)], "the body")
    strategy = kind_of(kind, loc=("kind",))
    found = _validated(body_model(kind), dict(body), what="the body")
    values = {name: getattr(found, name) for name in ("title", "description", "note", "expected_version")}
    return Body(strategy=strategy.model_validate(found.params), **values)  # type: ignore[attr-defined] # see `body_model`


def parse_params(kind: str, params: Mapping[str, Any]) -> Strategy:
    """The strategy of these parameters, checked as strictly as in a body. Raises ParameterError as `parse_body`."""
    return _validated(kind_of(kind), dict(params), what=kind)


def read_texts(kind: str, params: Mapping[str, Any]) -> Strategy:
    """The strategy of parameters that may be texts, as a terminal gives them: a text is read as JSON where it is JSON.

    Text stays text for a parameter that is one. Raises ParameterError as `parse_body`.
    """
    properties = form_schema(kind)["properties"]
    read = {
        name: _read(value) if properties.get(name, {}).get("type") != "string" else value
        for name, value in params.items()
    }
    return parse_params(kind, read)


def kind_of(kind: str, *, loc: tuple[str | int, ...] = ()) -> type[Strategy]:
    """The class of a registered name. Raises ParameterError, with the nearest name, when there is none."""
    kinds = registered()
    if kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"it can be {', '.join(kinds)}."
        raise ParameterError(
            f"strategy={kind!r} is not registered; nothing was made.",
            remedy=advice,
            details=[_detail(loc, f"no such strategy; {advice}", kind)],
        )
    return kinds[kind]


def attributes_of(docstring: str) -> dict[str, str]:
    """What a docstring says in its section `Attributes:`, by name; continued lines are joined."""
    _, _, section = docstring.partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if not line.strip() or not line.startswith(" "):
            break
        match = re.fullmatch(r" {4}(\w+): *(.*)", line)
        if match:
            name = match.group(1)
            found[name] = match.group(2).strip()
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _validated(model: type[M], values: dict[str, Any], *, what: str) -> M:
    """The model of these values, read as JSON."""
    try:
        text = json.dumps(values, allow_nan=False, ensure_ascii=False, default=_plain)
        text.encode()
    except (TypeError, ValueError) as error:
        raise _refused([_detail((), f"it is not JSON: {error}", None)], what) from error
    details = [_detail(loc, f"{number} is beyond ±{LARGEST}", number) for loc, number in _too_large(json.loads(text))]
    if details:
        raise _refused(details, what)
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _refused([_finding(model, row) for row in error.errors(include_url=False)], what) from error
    except ParameterError as error:
        loc = location_of(lambda given: model.model_validate_json(json.dumps(given), strict=True), json.loads(text))
        raise _refused([_detail(loc, error.message, None)], what, remedy=error.remedy) from error


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _finding(model: type[BaseModel], row: Any) -> dict[str, Any]:
    """One of pydantic's findings; for a name that does not exist, with the nearest one that does."""
    message = str(row["msg"])
    if row["type"] == "extra_forbidden":
        fields = _fields_at(model, row["loc"][:-1])
        near = difflib.get_close_matches(str(row["loc"][-1]), fields, n=1)
        message = f"no such name; did you mean {near[0]!r}?" if near else f"no such name; it has {', '.join(fields)}"
    if row["type"] == "string_pattern_mismatch":
        message = (
            "it has line breaks, control characters or blanks at its ends"
            if row["loc"] == ("title",)
            else ("it has control characters")
        )
    return _detail(row["loc"], message, row.get("input"))


def _fields_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The names of the model at a path; nested models are reached through `$defs`."""
    schema: dict[str, Any] = model.model_json_schema()
    at: dict[str, Any] = schema
    for part in loc:
        at = at["items"] if isinstance(part, int) else at["properties"][part]
        if "$ref" in at:
            at = schema["$defs"][at["$ref"].rpartition("/")[2]]
    return list(at.get("properties", {}))


def _detail(loc: tuple[str | int, ...], message: str, given: Any) -> dict[str, Any]:
    return {"loc": list(loc), "msg": message, "input": given}


def _refused(details: list[dict[str, Any]], what: str, *, remedy: str = "") -> ParameterError:
    rows = "; ".join(
        (f"{'.'.join(map(str, row['loc']))}: " if row["loc"] else "") + str(row["msg"]).rstrip(".") for row in details
    )
    return ParameterError(
        f"{what} is not accepted: {rows}. Nothing was made.",
        remedy=remedy or "correct what is named; the schema says what is allowed.",
        details=details,
    )


def _too_large(value: Any, loc: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], int]]:
    if isinstance(value, int) and abs(value) > LARGEST:
        return [(loc, value)]
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for name, item in inside for found in _too_large(item, (*loc, name))]


def _describe(schema: dict[str, Any], docstring: str) -> None:
    """Take the docstring apart: its first paragraphs describe the whole, its `Attributes:` the properties."""
    schema["description"] = docstring.partition("Attributes:\n")[0].strip()
    for name, text in attributes_of(docstring).items():
        if name in schema.get("properties", {}):
            schema["properties"][name]["description"] = text


def _bound(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "integer":
            if "exclusiveMinimum" not in schema:
                schema.setdefault("minimum", -LARGEST)
            if "exclusiveMaximum" not in schema:
                schema.setdefault("maximum", LARGEST)
        for value in schema.values():
            _bound(value)
    elif isinstance(schema, list):
        for value in schema:
            _bound(value)
