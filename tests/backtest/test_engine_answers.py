"""Every rule of the engine against a market worked out by hand; the arithmetic is in the files of `answers/engine`."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.backtest.costs import Costs
from workbench.backtest.engine import simulate
from workbench.backtest.fill_rules import FillRules
from workbench.market.actions import Actions, Delisting, Dividend, Split
from workbench.market.bars import Bars

FILES = sorted((Path(__file__).parents[1] / "answers" / "engine").glob("*.json"))
ANSWERS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
KINDS = {"dividends": Dividend, "splits": Split, "delistings": Delisting}


def asked(answer, engine="auto"):
    index = pd.DatetimeIndex(pd.to_datetime(answer["sessions"]), name="session")

    def frame(name):
        return pd.DataFrame(answer[name], index=index, dtype=float).rename_axis(columns="symbol")

    fields = [name for name in ("open", "high", "low", "close", "volume") if name in answer]
    actions = {
        kind: tuple(KINDS[kind](symbol, pd.Timestamp(day), number) for symbol, day, number in rows)
        for kind, rows in answer.get("actions", {}).items()
    }
    return simulate(
        frame("weights"),
        Bars(**{name: frame(name) for name in fields}),
        costs=Costs(**({"slippage": 0.0} | answer.get("costs", {}))),
        rules=FillRules(**answer.get("rules", {})),
        actions=Actions(**actions),
        initial_cash=answer["cash"],
        engine=engine,
    )


def number(value):
    """A fraction such as "25/3" or "600/898.5" is written as text, nothing (null) is NaN."""
    if isinstance(value, str):
        over, _, under = value.partition("/")
        return float(Fraction(over) / Fraction(under))
    return np.nan if value is None else float(value)


def assert_rows(table, rows):
    assert len(table) == len(rows)
    for row, expected in zip(table.to_dict("records"), rows, strict=True):
        for name, value in expected.items():
            if name in {"decided", "session", "opened", "closed"}:
                assert row[name] == pd.Timestamp(value)
            elif name in {"symbol", "side", "reason", "exit_reason", "open"}:
                assert row[name] == value
            else:
                assert row[name] == pytest.approx(number(value), rel=1e-12, abs=1e-9), name


def assert_told(done, expect):
    for name in ("cash", "equity", "returns", "exposure", "gross"):
        if name in expect:
            np.testing.assert_allclose(
                getattr(done, name), [number(value) for value in expect[name]], rtol=1e-12, atol=1e-9, err_msg=name
            )
    for name in ("positions", "financing"):
        for column, values in expect.get(name, {}).items():
            np.testing.assert_allclose(getattr(done, name)[column], values, rtol=1e-12, atol=1e-9, err_msg=column)
    for name in ("orders", "trades"):
        if name in expect:
            assert_rows(getattr(done, name), expect[name])
    assert done.ruined == (pd.Timestamp(expect["ruined"]) if expect.get("ruined") else None)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_rule_gives_what_was_worked_out_by_hand(name):
    assert_told(asked(ANSWERS[name]), ANSWERS[name]["expect"])


@pytest.mark.parametrize("name", [name for name, answer in ANSWERS.items() if asked(answer).engine == "vectorbt"])
def test_the_replay_gives_the_same_where_vectorbt_answers(name):
    assert_told(asked(ANSWERS[name], engine="replay"), ANSWERS[name]["expect"])


def test_every_cost_rule_and_action_has_its_answer():
    """A field counts as exercised where a file sets it to something else than its neutral value."""
    used = {
        (part, field)
        for answer in ANSWERS.values()
        for part in ("costs", "rules", "actions")
        for field, value in answer.get(part, {}).items()
        if value
    }
    wanted = {("costs", item.name) for item in dataclasses.fields(Costs)}
    wanted |= {("rules", item.name) for item in dataclasses.fields(FillRules)}
    wanted |= {("actions", item.name) for item in dataclasses.fields(Actions)}
    assert wanted <= used
    prices = {answer.get("rules", {}).get("execution_price") for answer in ANSWERS.values()}
    assert {"next_open", "next_close", "same_close"} <= prices


def test_every_answer_says_how_it_was_found():
    assert all(answer["why"] and answer["rule"] for answer in ANSWERS.values())
