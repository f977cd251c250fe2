"""Counting what was tried: keys that name an idea everywhere alike, and a memory that counts each idea once."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.future import random_history
from workbench.backtest import ledger
from workbench.backtest.luck.trials import Trials, key_of, remember, remember_run, trial_keys, tried
from workbench.data.sources import NAMES, open_source
from workbench.errors import BacktestError
from workbench.run import Run
from workbench.store.engine import transaction
from workbench.store.schema import new_id
from workbench.store.tables.backtest import BacktestRunRow, TrialBatchRow
from workbench.study import Study, digest

STUDY = random_history(seed=1).study
SLICE = ledger.slice_hash(STUDY)
CODE = "c" * 64
GRID = pd.DataFrame({"fast": [5, 10, 20], "slow": [50.0, 100.0, 200.5], "how": ["up", "down", "up"]})
MASK = 2**64 - 1


def one_row(**params):
    return trial_keys("sma_cross", CODE, pd.DataFrame([params], index=[0]))[0]


def in_plain_python(kind, code, params):
    """The same key from the definition alone, with Python's integers, for parameters that are floats."""
    import struct

    def mixed(value):
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
        return value ^ (value >> 31)

    def hashed(text):
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    key = hashed(f"{kind}\x1f{code}")
    for name, value in sorted(params.items()):
        bits = struct.unpack("<Q", struct.pack("<d", value))[0]
        key = mixed(key ^ mixed(bits ^ hashed(name)))
    return key


class TestKeys:
    def test_tried_singly_or_in_a_sweep_it_is_the_same_idea(self):
        for cell, key in zip(GRID.to_dict("records"), trial_keys("sma_cross", CODE, GRID), strict=True):
            assert one_row(**cell) == key
        turned = trial_keys("sma_cross", CODE, GRID[["how", "slow", "fast"]].iloc[::-1])
        np.testing.assert_array_equal(turned[::-1], trial_keys("sma_cross", CODE, GRID))

    def test_what_does_not_vary_may_stand_apart(self):
        plain = trial_keys("sma_cross", CODE, GRID.assign(stop=0.1))
        np.testing.assert_array_equal(trial_keys("sma_cross", CODE, GRID, fixed={"stop": 0.1}), plain)
        for cell, key in zip(GRID.to_dict("records"), plain, strict=True):
            assert trial_keys("sma_cross", CODE, pd.DataFrame(index=[0]), fixed=cell | {"stop": 0.1}) == key
        rules = {"when": [["rsi", 14]]}
        assert len(set(trial_keys("sma_cross", CODE, GRID, fixed={"rules": rules}))) == 3
        with pytest.raises(BacktestError, match="fast is both fixed and a column"):
            trial_keys("sma_cross", CODE, GRID, fixed={"fast": 1})

    def test_another_value_name_code_or_kind_is_another_idea(self):
        keys = {
            one_row(fast=5, slow=50),
            one_row(fast=50, slow=5),
            one_row(fast=5, slow=51),
            one_row(fast=5, slower=50),
            one_row(fast=5, slow=50, stop=None),
            one_row(fast=5, slow="50"),
            trial_keys("sma_cross", "d" * 64, pd.DataFrame([{"fast": 5, "slow": 50}]))[0],
            trial_keys("other", CODE, pd.DataFrame([{"fast": 5, "slow": 50}]))[0],
        }
        assert len(keys) == 8

    @pytest.mark.parametrize(
        ("one", "same"),
        [(5, 5.0), (5, np.int8(5)), (1, True), (0.0, -0.0), (None, math.nan), ((1, 2), [1, 2]), ("a", np.str_("a"))],
    )
    def test_one_value_in_two_clothes(self, one, same):
        assert one_row(a=one) == one_row(a=same)

    def test_the_clothes_of_a_column_do_not_matter(self):
        plain = trial_keys("x", CODE, pd.DataFrame({"a": [1.0, 2.0, math.nan], "b": ["p", "q", "p"]}))
        for column in (
            pd.Series([1, 2, None], dtype=object),
            pd.Series([1, 2, None], dtype="Int64"),
            pd.Series([1, 2, None], dtype="float32"),
        ):
            for words in ("object", "str", "category"):
                cells = pd.DataFrame({"a": column, "b": pd.Series(["p", "q", "p"], dtype=words)})
                np.testing.assert_array_equal(trial_keys("x", CODE, cells), plain)

    def test_lists_and_large_numbers(self):
        rules = [{"when": [["rsi", 14], "<", 30.0]}, {"when": [["rsi", 14], "<", 31.0]}]
        keys = trial_keys("rules", CODE, pd.DataFrame({"rules": rules, "seed": [2**60, 2**60 + 1]}))
        assert keys[0] == one_of("rules", rules=rules[0], seed=2**60)
        assert one_row(seed=2**60) != one_row(seed=2**60 + 1)

    def test_no_parameter_at_all_is_an_idea_too(self):
        assert one_row() == one_row()
        assert trial_keys("a", CODE, pd.DataFrame(index=range(2))).tolist() == [in_plain_python("a", CODE, {})] * 2

    @given(values=st.dictionaries(st.text(min_size=1, max_size=5), st.floats(allow_nan=False), max_size=4))
    def test_the_definition_in_plain_integers(self, values):
        expected = in_plain_python("sma_cross", CODE, {name: value + 0.0 for name, value in values.items()})
        assert int(one_row(**values)) == expected

    def test_every_process_says_the_same(self):
        script = (
            "import pandas as pd; from workbench.backtest.luck.trials import trial_keys;"
            "print(*trial_keys('sma_cross', 'c' * 64, pd.DataFrame({'fast': [5, 10, 20], 'slow': [50.0, 100.0, 200.5],"
            " 'how': ['up', 'down', 'up']})))"
        )
        told = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": "3"},
        )
        assert told.stdout.split() == [str(key) for key in trial_keys("sma_cross", CODE, GRID)]

    def test_a_hundred_thousand_neighbours_do_not_collide(self):
        fast, slow = np.divmod(np.arange(100_000), 400)
        keys = trial_keys("sma_cross", CODE, pd.DataFrame({"fast": fast, "slow": slow}))
        assert len(np.unique(keys)) == 100_000
        # every bit is a fair coin
        assert np.unpackbits(keys.view(np.uint8)).mean() == pytest.approx(0.5, abs=0.001)


def one_of(kind, **params):
    return trial_keys(kind, CODE, pd.DataFrame([params], index=[0]))[0]


class TestTrials:
    def test_each_idea_once_and_the_first_word_speaks(self):
        found = Trials.of(np.array([7, 3, 7], dtype=np.uint64), np.array([1.0, 0.5, 9.0]))
        assert (found.keys.tolist(), found.sharpes.tolist()) == ([3, 7], [0.5, 1.0])
        assert found.count == 2
        assert found.variance == pytest.approx(0.125)

    def test_what_never_traded_counts_but_has_no_ratio(self):
        found = Trials.of(np.array([1, 2, 3], dtype=np.uint64), np.array([math.nan, 1.0, 2.0]))
        assert (found.count, found.variance) == (3, 0.5)
        assert math.isnan(Trials.none().variance)
        assert math.isnan(Trials.of(np.array([1]), np.array([1.0])).variance)

    def test_joined_the_newer_speaks(self):
        old = Trials.of(np.array([1, 2], dtype=np.uint64), np.array([0.1, 0.2]))
        both = old.joined(Trials.of(np.array([2, 3], dtype=np.uint64), np.array([0.9, 0.3])))
        assert (both.keys.tolist(), both.sharpes.tolist()) == ([1, 2, 3], [0.1, 0.9, 0.3])

    def test_a_ratio_for_each_key(self):
        with pytest.raises(BacktestError, match=r"\(2,\) keys and \(1,\) Sharpe ratios"):
            Trials.of(np.array([1, 2]), np.array([0.1]))


def store_run(engine, *, study=STUDY, kind="backtest", status="DONE", strategy_hash="h", sharpe=0.5):
    """A row as `answering` leaves it."""
    identifier = new_id()
    row = {
        **dict.fromkeys(("strategy", "timeframe", "start", "end", "data_source", "execution_price", "owner"), "x"),
        **{name: {} for name in ("params", "costs", "provenance")},
        "id": identifier,
        "config_hash": identifier,
        "kind": kind,
        "status": status,
        "strategy_hash": strategy_hash,
        "slice_hash": ledger.slice_hash(study),
        "study": study.to_dict(),
        "universe": [],
        "initial_cash": 1.0,
        "summary": {"sharpe": sharpe},
        "trace_id": "t" * 32,
    }
    with transaction(engine) as session:
        session.add(BacktestRunRow(**row))
    return identifier


def answer(identifier, *, sharpe=0.5, code=True, **params):
    strategy = {
        "name": "sma_cross",
        "params": params,
        "hash": digest({"name": "sma_cross", "params": params, "code": CODE}),
    }
    return Run(
        id=identifier,
        kind="backtest",
        study=STUDY,
        title="",
        label="",
        config={"strategy": strategy | ({"code": CODE} if code else {})},
        config_hash="",
        summary={"sharpe": sharpe},
    )


class TestMemory:
    def test_a_sweep_and_a_run_of_one_of_its_cells_are_counted_once(self, engine):
        keys = trial_keys("sma_cross", CODE, GRID)
        sweep = store_run(engine, kind="sweep")
        kept = remember(
            engine,
            run_id=sweep,
            data_slice=SLICE,
            strategy="sma_cross",
            keys=keys,
            sharpes=np.array([0.1, np.nan, 0.3]),
        )
        single = store_run(engine)
        assert remember_run(engine, answer(single, sharpe=0.7, **GRID.to_dict("records")[1])) == 1
        found = tried(engine, SLICE)
        assert (kept, found.count) == (3, 3)
        # the run is the newer answer
        assert dict(zip(found.keys.tolist(), found.sharpes.tolist(), strict=True)) == {
            int(keys[0]): pytest.approx(0.1),
            int(keys[1]): pytest.approx(0.7),
            int(keys[2]): pytest.approx(0.3),
        }
        assert found.variance == pytest.approx(np.var([0.1, 0.7, 0.3], ddof=1), rel=1e-6)

    def test_remembering_twice_changes_nothing(self, engine):
        identifier = store_run(engine)
        for _ in range(2):
            remember_run(engine, answer(identifier, fast=5))
        with transaction(engine) as session:
            assert session.query(TrialBatchRow).count() == 1
        assert tried(engine, SLICE).count == 1

    def test_another_slice_is_counted_apart(self, engine):
        other = dataclasses.replace(STUDY, symbols=("AAPL",))
        remember_run(engine, answer(store_run(engine), fast=5))
        assert tried(engine, ledger.slice_hash(other)).count == 0

    def test_backtests_from_before_count_once_per_idea(self, engine):
        later = dataclasses.replace(STUDY, start=STUDY.start + pd.Timedelta(30, unit="D"))
        store_run(engine, strategy_hash="old", sharpe=0.2)
        store_run(engine, strategy_hash="old", sharpe=0.4, study=later)  # other years, the same market
        store_run(engine, strategy_hash="older", sharpe=None)
        store_run(engine, strategy_hash="failed", status="FAILED")
        store_run(engine, strategy_hash="sweep", kind="sweep")
        found = tried(engine, SLICE)
        assert found.count == 2
        assert found.sharpes[~np.isnan(found.sharpes)].tolist() == [0.4]
        asked = answer(new_id(), code=False, fast=5)
        assert key_of(asked) != key_of(answer(new_id(), fast=5))

    def test_an_idea_from_before_that_was_asked_again_is_one_idea(self, engine):
        again = answer(new_id(), fast=5)
        store_run(engine, strategy_hash=again.config["strategy"]["hash"], sharpe=0.2)
        assert tried(engine, SLICE).count == 1
        identifier = store_run(engine, strategy_hash=again.config["strategy"]["hash"])
        remember_run(engine, dataclasses.replace(again, id=identifier))
        assert tried(engine, SLICE).count == 1

    def test_a_run_without_a_ratio_was_tried(self, engine):
        remember_run(engine, answer(store_run(engine), sharpe=None, fast=5))
        found = tried(engine, SLICE)
        assert found.count == 1
        assert np.isnan(found.sharpes).all()

    def test_two_processes_may_remember_the_same_run(self, engine, monkeypatch):
        identifier = store_run(engine)
        run = answer(identifier, fast=5)
        remember_run(engine, run)
        from sqlalchemy.orm import Session

        blind = [True]
        read = Session.scalar

        def sees_nothing_at_first(self, *args, **kwargs):
            return None if blind and blind.pop() else read(self, *args, **kwargs)

        monkeypatch.setattr(Session, "scalar", sees_nothing_at_first)
        assert remember_run(engine, run) == 1
        assert tried(engine, SLICE).count == 1

    def test_what_does_not_fit_is_refused_before_anything_is_kept(self, engine):
        identifier = store_run(engine, kind="sweep")
        with pytest.raises(BacktestError, match="do not fit together"):
            remember(
                engine,
                run_id=identifier,
                data_slice=SLICE,
                strategy="x",
                keys=np.array([1, 2], dtype=np.uint64),
                sharpes=np.array([0.1]),
            )
        assert tried(engine, SLICE).count == 0


class TestSlice:
    def test_other_years_evenings_cash_and_seeds_do_not_start_a_new_count(self):
        real = dataclasses.replace(STUDY, source="bundled")
        for name, value in (
            ("start", real.start + pd.Timedelta(60, unit="D")),
            ("end", real.end - pd.Timedelta(60, unit="D")),
            ("as_of", real.as_of + pd.Timedelta(1, unit="D")),
            ("initial_cash", 1.0),
            ("seed", 99),
            ("symbols", real.symbols[::-1]),
        ):
            assert ledger.slice_hash(dataclasses.replace(real, **{name: value})) == ledger.slice_hash(real), name

    @pytest.mark.parametrize(
        "change", [{"symbols": ("AAPL",)}, {"timeframe": "1h"}, {"venue": "XLON"}, {"source": "bundled"}]
    )
    def test_another_market_does(self, change):
        assert ledger.slice_hash(dataclasses.replace(STUDY, **change)) != SLICE

    @pytest.mark.parametrize("name", NAMES)
    def test_the_seed_counts_where_it_is_the_data(self, name):
        study = dataclasses.replace(STUDY, source=name)
        seeded = ledger.slice_hash(study) != ledger.slice_hash(dataclasses.replace(study, seed=99))
        assert seeded == open_source(name).synthetic

    def test_a_stored_study_is_the_same_slice(self):
        assert ledger.slice_of(Study.from_dict(STUDY.to_dict()).to_dict()) == SLICE


@settings(max_examples=20, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 2**64 - 1) | st.integers(0, 5), st.floats(-9, 9)), max_size=8), max_size=4
    )
)
def test_joining_is_a_dictionary_that_is_updated(batches):
    found, expected = Trials.none(), {}
    for batch in batches:
        pairs = dict(batch)
        found = found.joined(Trials.of(np.array(list(pairs), dtype=np.uint64), np.array(list(pairs.values()))))
        expected |= pairs
    assert dict(zip(found.keys.tolist(), found.sharpes.tolist(), strict=True)) == expected
    assert found.count == len(expected)
