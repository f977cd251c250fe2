"""Splits: hand-counted windows, skfolio as the oracle, gaps that are kept, and named refusals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skfolio.model_selection import CombinatorialPurgedCV, WalkForward

from tests.backtest.validation.planted import market
from workbench.backtest.validation.splits import (
    combinatorial_splits,
    default_lengths,
    purged_folds,
    sessions_of,
    walk_forward_splits,
)
from workbench.errors import BarsRefused, ParameterError


def windows(splits):
    return [(int(s.train[0]), int(s.train[-1]), int(s.test[0]), int(s.test[-1])) for s in splits]


class TestWalkForward:
    def test_rolling_windows_by_hand(self):
        assert windows(walk_forward_splits(100, train=40, test=20)) == [
            (0, 39, 40, 59),
            (20, 59, 60, 79),
            (40, 79, 80, 99),
        ]

    def test_anchored_windows_grow_from_the_first_session(self):
        assert windows(walk_forward_splits(100, train=40, test=30, scheme="anchored")) == [
            (0, 39, 40, 69),
            (0, 69, 70, 99),
        ]

    def test_a_short_rest_is_examined_too_and_a_very_short_one_joins_the_window_before(self):
        assert windows(walk_forward_splits(97, train=40, test=25))[-1] == (50, 89, 90, 96)
        assert windows(walk_forward_splits(94, train=40, test=25)) == [(0, 39, 40, 64), (25, 64, 65, 93)]
        assert windows(walk_forward_splits(60, train=40, test=30)) == [(0, 39, 40, 59)]

    def test_a_gap_between_train_and_test_is_left_out(self):
        assert windows(walk_forward_splits(100, train=40, test=30, purge=5)) == [(0, 39, 45, 74), (30, 69, 75, 99)]

    def test_the_first_session_examined_can_be_said(self):
        assert windows(walk_forward_splits(100, train=40, test=20, first_test=70)) == [
            (30, 69, 70, 89),
            (50, 89, 90, 99),
        ]

    def test_another_step_overlaps_or_leaves_gaps(self):
        assert windows(walk_forward_splits(80, train=40, test=20, step=10)) == [
            (0, 39, 40, 59),
            (10, 49, 50, 69),
            (20, 59, 60, 79),
        ]
        assert windows(walk_forward_splits(100, train=40, test=10, step=25)) == [
            (0, 39, 40, 49),
            (25, 64, 65, 74),
            (50, 89, 90, 99),
        ]

    @settings(max_examples=60, deadline=None)
    @given(st.integers(60, 400), st.integers(21, 80), st.integers(5, 60), st.integers(0, 5), st.booleans())
    def test_they_are_those_of_skfolio(self, sessions, train, test, purge, anchored):
        rest = (sessions - train - purge) % test
        assume(sessions - train - purge >= test and (rest == 0 or rest >= 5))
        scheme = WalkForward(
            test_size=test, train_size=train, expand_train=anchored, reduce_test=True, purged_size=purge
        )
        ours = walk_forward_splits(
            sessions, train=train, test=test, purge=purge, scheme="anchored" if anchored else "rolling"
        )
        theirs = list(scheme.split(np.zeros((sessions, 1))))
        assert len(ours) == len(theirs)
        for split, (their_train, their_test) in zip(ours, theirs, strict=True):
            assert split.train.tolist() == their_train.tolist()
            assert split.test.tolist() == their_test.tolist()

    @settings(max_examples=60, deadline=None)
    @given(st.integers(60, 500), st.integers(21, 100), st.integers(5, 60), st.integers(0, 10))
    def test_every_session_after_the_first_window_is_examined_once(self, sessions, train, test, purge):
        assume(sessions >= train + purge + 5)
        splits = walk_forward_splits(sessions, train=train, test=test, purge=purge)
        examined = np.concatenate([split.test for split in splits])
        assert examined.tolist() == list(range(train + purge, sessions))
        assert all(split.train[-1] + purge + 1 == split.test[0] for split in splits)
        assert all(len(split.train) == train for split in splits)

    def test_refusals_say_what_was_wrong(self):
        for error, says, asked in (
            (ParameterError, "scheme='expanding'", {"scheme": "expanding"}),
            (ParameterError, "train=20", {"train": 20}),
            (ParameterError, r"train=40\.5", {"train": 40.5}),
            (ParameterError, "test=0", {"test": 0}),
            (ParameterError, "test=3 is shorter", {"test": 3}),
            (ParameterError, "purge=-1", {"purge": -1}),
            (ParameterError, "step=0", {"step": 0}),
            (ParameterError, "first_test=0", {"first_test": 0}),
            (BarsRefused, "100 sessions are too few for train=98", {"train": 98}),
            (BarsRefused, "begins at session 31", {"first_test": 30}),
            (BarsRefused, "begins at session 98", {"first_test": 97}),
        ):
            with pytest.raises(error, match=says):
                walk_forward_splits(100, **{"train": 40, "test": 20, **asked})

    @pytest.mark.parametrize(
        ("sessions", "train", "test"), [(2_500, 504, 126), (1_258, 314, 78), (252, 63, 15), (60, 21, 5)]
    )
    def test_usual_lengths_follow_the_history(self, sessions, train, test):
        assert default_lengths(sessions) == (train, test)


class TestPurgedFolds:
    def test_gaps_by_hand(self):
        splits = purged_folds(100, folds=4, purge=2, embargo=3)
        assert [(split.test[0], split.test[-1]) for split in splits] == [(0, 24), (25, 49), (50, 74), (75, 99)]
        assert splits[0].train.tolist() == list(range(30, 100))
        assert splits[1].train.tolist() == [*range(23), *range(55, 100)]
        assert splits[3].train.tolist() == list(range(73))

    def test_the_last_fold_takes_the_remainder(self):
        assert [len(split.test) for split in purged_folds(103, folds=4)] == [25, 25, 25, 28]

    def test_the_embargo_is_one_per_cent_unless_said(self):
        assert purged_folds(250, folds=5, purge=0)[0].train[0] == 50 + 3

    def test_two_folds_are_enough(self):
        assert len(purged_folds(100, folds=2)) == 2

    def test_refusals_say_what_was_wrong(self):
        for error, says, asked in (
            (ParameterError, "folds=1", {"folds": 1}),
            (ParameterError, "purge=-1", {"purge": -1}),
            (ParameterError, "embargo=-1", {"embargo": -1}),
            (ParameterError, "folds=True", {"folds": True}),
            (BarsRefused, "make 4 sessions each", {"folds": 25}),
            (BarsRefused, "more than purge=10 and embargo=9 together", {"folds": 5, "purge": 10, "embargo": 9}),
            (BarsRefused, "has 9 sessions, fewer than 21", {"folds": 2, "sessions": 20, "purge": 1, "embargo": 0}),
        ):
            with pytest.raises(error, match=says):
                purged_folds(**{"sessions": 100, **asked})


class TestCombinatorial:
    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def test_counts_gaps_and_paths_are_as_the_book_says(self, data):
        folds = data.draw(st.integers(3, 7))
        test_folds = data.draw(st.integers(2, folds - 1))
        sessions = data.draw(st.integers(40, 60)) * folds
        purge, embargo = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 5))
        splits, paths = combinatorial_splits(sessions, folds=folds, test_folds=test_folds, purge=purge, embargo=embargo)
        assert len(splits) == math.comb(folds, test_folds)
        assert len(np.unique(paths)) == math.comb(folds, test_folds) * test_folds // folds
        assert [split.folds for split in splits] == list(itertools.combinations(range(folds), test_folds))
        for split in splits:
            gap = split.train[:, None] - split.test[None, :]
            assert not ((gap >= -purge) & (gap <= 0)).any()
            for test in split.tests:
                after = split.train[split.train > test[-1]]
                assert not len(after) or after[0] > test[-1] + purge + embargo
                before = split.train[split.train < test[0]]
                assert not len(before) or before[-1] < test[0] - purge
        for path in np.unique(paths):
            examined = [
                split.tests[at] for split, row in zip(splits, paths, strict=True) for at in np.flatnonzero(row == path)
            ]
            assert sorted(np.concatenate(examined).tolist()) == list(range(sessions))

    def test_it_is_what_skfolio_says(self):
        splits, _ = combinatorial_splits(200, folds=5, test_folds=2, purge=2, embargo=3)
        oracle = CombinatorialPurgedCV(n_folds=5, n_test_folds=2, purged_size=2, embargo_size=3)
        for split, (train, tests) in zip(splits, oracle.split(np.zeros((200, 1))), strict=True):
            assert split.train.tolist() == train.tolist()
            assert [test.tolist() for test in split.tests] == [test.tolist() for test in tests]

    def test_with_neighbouring_test_folds_merged_the_train_set_is_the_purged_one(self):
        """Every split by a plain definition: drop the purge on both sides and the embargo after each test fold."""
        splits, _ = combinatorial_splits(150, folds=5, test_folds=2, purge=3, embargo=2)
        number = np.arange(150) // 30
        for split in splits:
            kept = []
            for place in range(150):
                near = [fold * 30 - 3 <= place <= fold * 30 + 29 + 3 + 2 for fold in split.folds]
                if not any(near) and number[place] not in split.folds:
                    kept.append(place)
            assert split.train.tolist() == kept

    def test_refusals_say_what_was_wrong(self):
        for error, says, asked in (
            (ParameterError, "folds=2", {"folds": 2}),
            (ParameterError, "test_folds=1", {"test_folds": 1}),
            (ParameterError, "test_folds=6 must be less than folds=6", {"test_folds": 6}),
            (ParameterError, "184,756 splits", {"folds": 20, "test_folds": 10}),
            (ParameterError, "embargo=-1", {"embargo": -1}),
            (BarsRefused, "make 3 sessions each", {"sessions": 20}),
        ):
            with pytest.raises(error, match=says):
                combinatorial_splits(**{"sessions": 300, "folds": 6, "test_folds": 2, **asked})


def test_the_sessions_of_a_history_are_those_evaluated():
    history = market([0.0, 0.0], length=50)
    pd.testing.assert_index_equal(sessions_of(history), pd.DatetimeIndex(history.evaluated), check_names=False)
