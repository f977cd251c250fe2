"""The form accepts what a request's body accepts and nothing else, saves it, and says so when somebody was faster."""

from __future__ import annotations

import html
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.strategies.everything import Everything, anything, register
from workbench.errors import NoData, ParameterError
from workbench.lab.strategy_form import StrategyForm, edit_form, strategy_form
from workbench.store import registry
from workbench.strategies import Rules, SmaCross, registered

FORM = []


@pytest.fixture(autouse=True)
def everything(monkeypatch):
    register(monkeypatch)


def form():
    """One form of everything for all examples; it is filled anew each time."""
    if not FORM:
        FORM.append(strategy_form("everything"))
    return FORM[0]


def accepted(params):
    from workbench.strategies.schema import parse_body

    try:
        return parse_body({"kind": "everything", "title": "x", "params": params}).params
    except ParameterError:
        return None


@settings(max_examples=300, deadline=None)
@given(params=some.dictionaries(some.sampled_from([*Everything.model_fields, "other"]), anything, max_size=3))
def test_form_and_body_accept_exactly_the_same_values(params):
    form().fill({})
    before = form().params
    by_body = accepted(params)
    if by_body is None:
        with pytest.raises(ParameterError):
            form().fill(params)
        assert form().params == before
    else:
        form().fill(params)
        assert (form().problem, form().value.params) == ("", by_body)
        assert accepted(form().params) == by_body


@settings(max_examples=200, deadline=None)
@given(
    count=some.integers(-5, 200),
    share=some.floats(-1, 2),
    above=some.floats(0, 3),
    mode=some.sampled_from(["slow", "fast"]),
    word=some.text(max_size=30),
    maybe=some.sampled_from(["null", "3", "3.5", '"x"', "{", ""]),
    many=some.sampled_from(["[1]", "[]", "[1, 2.5]", '["a"]', "1", "[NaN]", "["]),
)
def test_whatever_is_typed_is_judged_as_the_body_would_be(**typed):
    form().fill({})
    for name, value in typed.items():
        form().fields[name].value = value
    try:
        stands = accepted(form().params)
    except ParameterError:  # a text area holds no JSON: there is not even a body
        stands = None
    assert (form().problem == "") == (stands is not None)
    if stands is not None:
        assert form().value.params == stands
        assert 1 < stands["count"] < 100


def test_the_widgets_follow_the_schema():
    kinds = {name: type(widget).__name__ for name, widget in strategy_form("everything").fields.items()}
    assert kinds == {
        "count": "BoundedIntText",
        "share": "BoundedFloatText",
        "above": "BoundedFloatText",
        "free": "BoundedFloatText",
        "flag": "Checkbox",
        "mode": "Dropdown",
        "word": "Text",
        "maybe": "Textarea",
        "many": "Textarea",
    }
    fields = strategy_form("everything").fields
    assert (fields["count"].min, fields["count"].max) == (2, 99)
    assert (fields["share"].min, fields["share"].max) == (0, 1)
    assert fields["mode"].options == ("slow", "fast")


@pytest.mark.parametrize("kind", registered())
def test_every_strategy_has_a_form_that_begins_with_its_defaults(kind):
    made = strategy_form(kind)
    assert made.value == registered()[kind]()
    assert made.problem == ""


def test_what_is_wrong_is_said_while_it_is_typed():
    made = strategy_form("sma_cross")
    assert made.message.value.startswith('<span role="status">✓ sma_cross(fast=50, slow=200)')
    made.fields["fast"].value = 300
    assert "✕ fast: fast=300 must be less than slow=200" in made.message.value
    assert made.save_button.disabled
    made.fields["slow"].value = 400
    assert made.message.value.startswith('<span role="status">✓')
    assert made.value == SmaCross(fast=300, slow=400)
    made.fields["fast"].value = -5  # the widget itself keeps its bounds
    assert made.fields["fast"].value == 1


def test_nested_values_are_json_with_the_place_of_what_is_wrong():
    made = strategy_form("rules")
    assert json.loads(made.fields["entry"].value) == Rules().params["entry"]
    made.fields["entry"].value = '[{"left": "rsy(14)", "op": "<", "right": 30}]'
    assert "entry.0.left: &#x27;rsy(14)&#x27; names no indicator" in made.message.value
    made.fields["entry"].value = "[{"
    assert "entry: not JSON" in made.message.value
    with pytest.raises(ParameterError, match="entry is not JSON"):
        _ = made.value
    made.fields["entry"].value = '[{"left": "close", "op": ">", "right": "sma(5)"}]'
    assert made.problem == ""


class TestSaving:
    def test_a_new_one_needs_a_title_and_is_stored(self, engine):
        made = strategy_form("sma_cross", engine=engine)
        assert "title: " in made.problem
        assert made.save() is None
        assert registry.listed(engine) == []
        made.title.value, made.fields["fast"].value, made.note.value = "trend", 20, "why not"
        made.save_button.click()
        stored = registry.read(engine, "trend")
        assert (stored.params, stored.note, made.stored) == ({"fast": 20, "slow": 200}, "why not", stored)
        assert "✓ Saved: trend · sma_cross(fast=20, slow=200) · version 1 of 1" in made.message.value

    def test_a_second_save_is_a_new_version_and_the_same_again_is_none(self, engine):
        registry.create(engine, "trend", "sma_cross", {"fast": 20})
        made = edit_form(engine, "trend")
        assert (made.params["fast"], made.title.value) == (20, "trend")
        made.fields["fast"].value = 30
        assert made.save().number == 2
        assert made.save().number == 2
        assert "Nothing has changed" in made.message.value

    def test_who_was_slower_is_asked_whose_values_shall_stand(self, engine):
        registry.create(engine, "trend", "sma_cross", {"fast": 20})
        mine, theirs = edit_form(engine, "trend"), edit_form(engine, "trend")
        assert mine.theirs_button.layout.display == "none"
        theirs.fields["fast"].value = 30
        theirs.save()
        mine.fields["fast"].value = 40
        assert mine.save() is None
        assert "was changed by somebody else" in mine.message.value
        assert html.escape("{'fast': 30, 'slow': 200}") in mine.message.value
        assert mine.theirs_button.layout.display is None
        assert registry.read(engine, "trend").params["fast"] == 30
        mine.mine_button.click()
        assert "Save to replace version 2" in mine.message.value
        assert mine.save().params["fast"] == 40

    def test_theirs_can_be_taken(self, engine):
        registry.create(engine, "trend", "sma_cross", {"fast": 20})
        mine, theirs = edit_form(engine, "trend"), edit_form(engine, "trend")
        theirs.fields["fast"].value, theirs.title.value = 30, "Trend"
        theirs.save()
        mine.fields["fast"].value = 40
        mine.save()
        mine.theirs_button.click()
        assert (mine.params["fast"], mine.title.value, mine.stored.version) == (30, "Trend", 2)
        assert mine.theirs_button.layout.display == "none"

    def test_a_title_that_is_taken_or_a_strategy_that_is_gone_is_said(self, engine):
        first = registry.create(engine, "trend", "sma_cross")
        made = strategy_form("momentum", engine=engine)
        made.title.value = "trend"
        assert made.save() is None
        assert "is taken by another strategy" in made.message.value
        opened = edit_form(engine, "trend")
        registry.delete(engine, first.id, expected_version=1)
        opened.fields["fast"].value = 30
        assert opened.save() is None
        assert "is deleted; nothing was changed" in opened.message.value
        with pytest.raises(NoData):
            edit_form(engine, "trend")


class TestShown:
    def test_without_a_front_end_a_static_table_is_shown(self, engine):
        registry.create(engine, "<script>alert(1)</script>", "sma_cross", {"fast": 20})
        bundle = edit_form(engine, "<script>alert(1)</script>")._repr_mimebundle_()
        assert set(bundle) == {"text/html", "text/plain"}
        shown = bundle["text/html"]
        assert "<script>" not in shown
        assert "&lt;script&gt;alert(1)" in shown
        for text in ("fast", "20", "whole number ≥ 1", "sessions in the fast average."):
            assert text in shown
        assert "fast = 20   (whole number ≥ 1)" in bundle["text/plain"]

    def test_in_a_kernel_the_live_form_comes_with_it(self, monkeypatch):
        monkeypatch.setattr("workbench.lab.strategy_form._in_kernel", lambda: True)
        made = StrategyForm("sma_cross")
        bundle = made._repr_mimebundle_()
        assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == made.box.model_id
        assert "sessions in the fast average" in bundle["text/html"]
        assert bundle["text/plain"] == repr(made)
