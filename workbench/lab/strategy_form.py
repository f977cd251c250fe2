"""The form of a strategy: widgets from the same schema that a request's body is checked with, saved to the registry."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError, VersionConflict, WorkbenchError
from workbench.lab.form_fields import allowed_in_words, is_nested, read_json, widget_of, written
from workbench.strategies.schema import form_schema, parse_body, parse_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from workbench.store.registry import Stored
    from workbench.strategy import Strategy

_WIDE = {"description_width": "140px"}
_UNTITLED = "untitled"


class StrategyForm:
    """A form for the parameters of one kind of strategy; as the last line of a cell it displays itself.

    What is typed is checked at once by `workbench.strategies.schema`, which also checks a request's body: the form and
    the body accept the same values. Nothing is stored before the button is pressed. Without a front end, a static table
    of the values is shown instead.

    Attributes:
        kind: name of the strategy.
        fields: the widget of each parameter.
        stored: the version of the registry that is being changed; None for a new one.
    """

    def __init__(self, kind: str, *, engine: Engine | None = None, stored: Stored | None = None) -> None:
        import ipywidgets  # it has no types

        self.kind = kind
        self.stored = stored
        self._engine = engine
        self._filling = False
        self.schema = form_schema(kind)
        style = {"style": _WIDE, "layout": {"width": "420px"}}
        self.fields: dict[str, Any] = {
            name: widget_of(name, shape, style) for name, shape in self.schema["properties"].items()
        }
        self.title = ipywidgets.Text(value=stored.title if stored else "", description="title", **style)
        self.description = ipywidgets.Textarea(
            value=stored.description if stored else "", description="description", **style
        )
        self.note = ipywidgets.Text(description="why this version", **style)
        self.message = ipywidgets.HTML()
        self.save_button = ipywidgets.Button(description="Save", button_style="primary")
        self.theirs_button = ipywidgets.Button(description="Take theirs", layout={"display": "none"})
        self.mine_button = ipywidgets.Button(description="Keep mine", layout={"display": "none"})
        self.save_button.on_click(lambda _: self.save())
        self.theirs_button.on_click(lambda _: self.take_theirs())
        self.mine_button.on_click(lambda _: self.keep_mine())
        self.box = ipywidgets.VBox(self._rows())
        self.fill(stored.params if stored else {})
        for widget in (*self.fields.values(), self.title, self.description, self.note):
            widget.observe(self._changed, names="value")

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as they stand in the form, accepted or not.

        Raises:
            ParameterError: a field that wants JSON holds something else.
        """
        return {
            name: read_json(name, widget.value) if is_nested(self.schema["properties"][name]) else widget.value
            for name, widget in self.fields.items()
        }

    @property
    def value(self) -> Strategy:
        """The strategy of the form. Raises ParameterError while the form is not accepted."""
        return parse_params(self.kind, self.params)

    @property
    def body(self) -> dict[str, Any]:
        """What would be sent to save it: the body of a request."""
        body: dict[str, Any] = {
            "kind": self.kind,
            "title": self.title.value,
            "params": self.params,
            "description": self.description.value,
            "note": self.note.value,
        }
        return body if self.stored is None else {**body, "expected_version": self.stored.version}

    @property
    def problem(self) -> str:
        """Why the form is not accepted as it stands; empty when it is."""
        try:
            # Without a registry there is nothing to give a title to.
            parse_body(self.body if self._engine is not None else {**self.body, "title": _UNTITLED})
        except ParameterError as error:
            return _said(error)
        return ""

    def fill(self, params: Mapping[str, Any]) -> None:
        """Set the parameters; what is absent takes its default.

        Raises:
            ParameterError: they are not accepted; the form stays as it was.
        """
        strategy = parse_params(self.kind, params)
        self._filling = True
        try:
            for name, value in strategy.params.items():
                self.fields[name].value = written(self.schema["properties"][name], value)
        finally:
            self._filling = False
        self._show()

    def save(self) -> Stored | None:
        """Create the strategy in the registry, or change the one that was opened; says in the form how it went.

        Returns:
            What is stored now; None when nothing was, because the form is not accepted, there is no registry, or
            somebody else has changed the strategy meanwhile. Then the form asks whose values shall stand.
        """
        from workbench.store import registry

        if self._engine is None or self.problem:
            self._show()
            return None
        body = parse_body(self.body)
        try:
            if self.stored is None:
                stored = registry.create(
                    self._engine, body.title, body.kind, body.params, description=body.description, note=body.note
                )
            else:
                stored = registry.update(
                    self._engine,
                    self.stored.id,
                    expected_version=self.stored.version,
                    params=body.params,
                    title=body.title,
                    description=body.description,
                    note=body.note,
                )
        except VersionConflict as error:
            self._ask(conflict=True)
            self._tell(f"{error.message} Whose values shall stand?", bad=True)
            return None
        except WorkbenchError as error:
            self._tell(f"{error.message} {error.remedy}", bad=True)
            return None
        nothing = self.stored is not None and stored.version == self.stored.version
        self.stored = stored
        self._tell(f"{'Nothing has changed' if nothing else 'Saved'}: {stored.line}.", bad=False)
        return stored

    def take_theirs(self) -> None:
        """After a conflict: show what is stored now, and let go of what was typed."""
        self._reread()
        if self.stored is not None:
            self._filling = True
            self.title.value, self.description.value = self.stored.title, self.stored.description
            self._filling = False
            self.fill(self.stored.params)

    def keep_mine(self) -> None:
        """After a conflict: keep what was typed; the next save replaces what is stored now."""
        self._reread()
        if self.stored is not None:
            self._tell(f"Save to replace version {self.stored.number} of {self.stored.title!r} by yours.", bad=False)

    def _reread(self) -> None:
        from workbench.store import registry

        self._ask(conflict=False)
        if self._engine is not None and self.stored is not None:
            try:
                self.stored = registry.read(self._engine, self.stored.id)
            except WorkbenchError as error:
                self._tell(f"{error.message} {error.remedy}", bad=True)

    def _changed(self, _change: Any) -> None:
        if not self._filling:
            self._show()

    def _show(self) -> None:
        """Say at once whether the form is accepted, and let only what is accepted be saved."""
        problem = self.problem
        self.save_button.disabled = bool(problem)
        self._tell(problem or self.value.line, bad=bool(problem))

    def _tell(self, text: str, *, bad: bool) -> None:
        sign = "✕" if bad else "✓"
        self.message.value = f'<span role="status">{sign} {html.escape(text)}</span>'

    def _ask(self, *, conflict: bool) -> None:
        for button in (self.theirs_button, self.mine_button):
            button.layout.display = None if conflict else "none"

    def _rows(self) -> list[Any]:
        import ipywidgets

        head = ipywidgets.HTML(f"<b>{html.escape(self.kind)}</b><br>{html.escape(self.schema['description'])}")
        fields = []
        for name, widget in self.fields.items():
            said = self.schema["properties"][name].get("description", "")
            fields.append(ipywidgets.HBox([widget, ipywidgets.HTML(f"<small>{html.escape(said)}</small>")]))
        if self._engine is None:
            return [head, *fields, self.message]
        buttons = ipywidgets.HBox([self.save_button, self.theirs_button, self.mine_button])
        return [head, self.title, *fields, self.description, self.note, self.message, buttons]

    def __repr__(self) -> str:
        lines = [self.stored.line if self.stored else f"{self.kind}: a new strategy"]
        lines += [f"  {name} = {text}   ({allowed})" for name, text, allowed, _ in self._table()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The values as a static table, for a reader without a front end."""
        rows = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(text)}</td>' for text in row) + "</tr>"
            for row in self._table()
        )
        names = ("parameter", "value", "allowed", "")
        head = "".join(f'<th style="text-align:left">{name}</th>' for name in names)
        title = self.stored.line if self.stored else f"{self.kind}: a new strategy"
        return (
            f"<div><b>{html.escape(title)}</b><p>{html.escape(self.schema['description'])}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The live form where there is a kernel, and the static table for whoever shows the notebook without one."""
        static = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        live: dict[str, Any] = self.box._repr_mimebundle_() if _in_kernel() else {}
        return {name: content for name, content in live.items() if name not in static} | static

    def _table(self) -> list[tuple[str, str, str, str]]:
        """Of each parameter its name, its value, what is allowed, and what it is."""
        return [
            (name, str(self.fields[name].value), allowed_in_words(shape), str(shape.get("description", "")))
            for name, shape in self.schema["properties"].items()
        ]


def strategy_form(kind: str, *, engine: Engine | None = None) -> StrategyForm:
    """A form for a new strategy of this kind; with a registry (`engine`) it can be saved.

    Raises:
        ParameterError: no strategy has that name; the nearest one is suggested.
    """
    return StrategyForm(kind, engine=engine)


def edit_form(engine: Engine, title_or_id: str) -> StrategyForm:
    """A form that changes a registered strategy; saving refuses when somebody else has changed it meanwhile.

    Raises:
        NoData: there is no such strategy.
        ParameterError: the schema of today no longer accepts what is stored.
    """
    from workbench.store import registry

    stored = registry.read(engine, title_or_id)
    return StrategyForm(stored.kind, engine=engine, stored=stored)


def _in_kernel() -> bool:
    """Whether a front end may be at the other end: the code runs in a kernel, not in a plain interpreter."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _said(error: WorkbenchError) -> str:
    """The findings of a refusal, each with its place below the parameters."""
    rows = error.facts.get("details", [])
    texts = []
    for row in rows:
        loc = [str(part) for part in row["loc"] if part != "params"]
        texts.append(f"{'.'.join(loc)}: {row['msg']}" if loc else str(row["msg"]))
    return "; ".join(texts) or error.message
