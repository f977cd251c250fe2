"""Edited code is other code, also where the edit lies beside the class; an edit elsewhere is not."""

from __future__ import annotations

import inspect

from workbench.strategies import Rules, SmaCross, registered
from workbench.strategies.code import code_identity


def test_it_is_the_same_until_the_code_is_another():
    assert len({code_identity(kind) for kind in registered().values()}) == len(registered())
    assert code_identity(SmaCross) == code_identity(SmaCross)
    assert len(code_identity(SmaCross)) == 64


def test_an_edited_function_beside_the_class_is_other_code(monkeypatch):
    before = code_identity.__wrapped__(SmaCross)
    read = inspect.getsource

    def edited(source_of):
        text = read(source_of)
        if getattr(source_of, "__name__", "") == "workbench.strategies.wishes":
            return text.replace("silent = True", "silent = False")
        return text

    monkeypatch.setattr("workbench.strategies.code.inspect.getsource", edited)
    assert code_identity.__wrapped__(SmaCross) != before


def test_an_edit_elsewhere_is_not(monkeypatch):
    before = code_identity.__wrapped__(SmaCross)
    read = inspect.getsource

    def edited(source_of):
        momentum = getattr(source_of, "__name__", "") == "workbench.strategies.momentum"
        return read(source_of) + ("\n# another" if momentum else "")

    monkeypatch.setattr("workbench.strategies.code.inspect.getsource", edited)
    assert code_identity.__wrapped__(SmaCross) == before


def test_an_edited_feature_is_other_code_for_the_rules_that_are_written_in_features(monkeypatch):
    before = {kind: code_identity.__wrapped__(kind) for kind in (Rules, SmaCross)}
    read = inspect.getsource

    def edited(source_of):
        volatility = getattr(source_of, "__name__", "") == "workbench.features.volatility"
        return read(source_of) + ("\n# another" if volatility else "")

    monkeypatch.setattr("workbench.strategies.code.inspect.getsource", edited)
    assert code_identity.__wrapped__(Rules) != before[Rules]
    assert code_identity.__wrapped__(SmaCross) == before[SmaCross]
