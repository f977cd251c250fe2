"""Splits: which sessions teach and which examine, so that nothing learned leaks into the exam."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import BarsRefused, ParameterError

if TYPE_CHECKING:
    from workbench.market.history import History

SCHEMES = ("rolling", "anchored")
# The shortest windows that say anything: a month to learn from, a week to be examined in.
LEAST_TRAIN, LEAST_TEST = 21, 5


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Positions of sessions.

    Attributes:
        train: positions that may be learned from, ascending; they need not lie next to each other.
        tests: one array of positions per test fold, each a run of neighbouring sessions.
        folds: the numbers of the test folds, as many as `tests`.
    """

    train: np.ndarray
    tests: tuple[np.ndarray, ...]
    folds: tuple[int, ...]

    @property
    def test(self) -> np.ndarray:
        """All test positions, ascending."""
        return np.concatenate(self.tests)


def sessions_of(history: History) -> pd.DatetimeIndex:
    """The evaluated sessions of a history, each once: folds end with a session, also where bars are shorter."""
    days = history.session_of_bar
    return pd.DatetimeIndex(days[(days >= history.study.start) & (days <= history.study.end)].unique())


def default_lengths(sessions: int) -> tuple[int, int]:
    """Train and test lengths, in sessions, where none are asked for.

    A quarter of the sessions, two years at most, and a quarter of that. Ten years give two years of training and half
    a year of test: 15 folds.
    """
    train = max(LEAST_TRAIN, min(504, sessions // 4))
    return train, max(LEAST_TEST, train // 4)


def walk_forward_splits(
    sessions: int,
    *,
    train: int,
    test: int,
    scheme: str = "rolling",
    step: int | None = None,
    purge: int = 0,
    first_test: int | None = None,
    least: int = LEAST_TEST,
) -> list[Split]:
    """Train windows, each followed by a test window.

    Args:
        sessions: how many there are.
        train: length of the train window; with `anchored` the first one's, which then grows.
        test: length of the test window. The last one takes what is left; where that is less than `least`, it goes to
            the window before.
        scheme: `rolling`: the train window keeps its length. `anchored`: it always begins at the first session.
        step: sessions from one test window to the next; `test` when None, so that each session is examined once. With
            another step windows overlap or leave gaps, and the last ones that do not fit are left out.
        purge: sessions left out between train and test. 0 is right where a decision at a close is filled later.
        first_test: position of the first session examined; as early as possible when None.
        least: shortest test window, in sessions.

    Raises:
        ParameterError: a length or a scheme is none.
        BarsRefused: there are too few sessions for one fold.
    """
    if scheme not in SCHEMES:
        raise ParameterError(f"scheme={scheme!r} is not one of {', '.join(SCHEMES)}.", remedy="use 'rolling'.")
    at_least = {"train": LEAST_TRAIN, "test": 1, "purge": 0, "least": 1} | ({} if step is None else {"step": 1})
    given = {"train": train, "test": test, "purge": purge, "least": least, "step": step}
    for name, bound in at_least.items():
        _whole(name, given[name], bound)
    if test < least:
        raise ParameterError(
            f"test={test} is shorter than the least test window of {least} sessions; nothing was computed.",
            remedy=f"use test >= {least}.",
        )
    begin = train + purge if first_test is None else _whole("first_test", first_test, 1)
    if begin < train + purge or begin + least > sessions:
        raise BarsRefused(
            f"{sessions} sessions are too few for train={train}, purge={purge} and a test window of at least {least} "
            f"that begins at session {begin + 1}; nothing was computed.",
            remedy="use an earlier start, a shorter train window or a later first test session.",
        )
    starts = list(range(begin, sessions, step or test))
    ends = [min(start + test, sessions) for start in starts]
    if step is None and len(starts) > 1 and ends[-1] - starts[-1] < least:
        starts.pop()
        ends = [*ends[: len(starts) - 1], sessions]
    found = [
        Split(
            train=np.arange(0 if scheme == "anchored" else start - purge - train, start - purge),
            tests=(np.arange(start, end),),
            folds=(number,),
        )
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        if end - start >= (least if step is None else min(test, sessions))
    ]
    return list(_checked(found, purge, embargo=0))


def purged_folds(sessions: int, *, folds: int = 10, purge: int = 1, embargo: int | None = None) -> list[Split]:
    """k-fold: each fold is examined once, and all others teach but for the sessions beside the exam.

    Source: M. López de Prado 2018, "Advances in Financial Machine Learning", ch. 7.

    Args:
        folds: how many, ≥ 2; the last one takes the remainder.
        purge: sessions dropped from the train set before and after each test fold, whose returns share a price with it.
        embargo: further sessions dropped after it, for what outlasts a session (serial correlation); 1 % of all
            sessions, rounded up, when None, as the source advises.

    Raises:
        ParameterError: a number is out of bounds.
        BarsRefused: too few sessions: a fold would be shorter than a test window may be, or nothing would be left to
            learn from.
    """
    _whole("folds", folds, 2)
    purge, embargo = _gaps(sessions, folds, purge, embargo)
    number = np.minimum(np.arange(sessions) // (sessions // folds), folds - 1)
    found = []
    for fold in range(folds):
        test = np.flatnonzero(number == fold)
        place = np.arange(sessions)
        near = (place >= test[0] - purge) & (place <= test[-1] + purge + embargo)
        found.append(Split(train=place[~near], tests=(test,), folds=(fold,)))
    return list(_checked(found, purge, embargo))


def combinatorial_splits(
    sessions: int, *, folds: int = 10, test_folds: int = 2, purge: int = 1, embargo: int | None = None
) -> tuple[list[Split], np.ndarray]:
    """Combinatorial purged cross-validation by skfolio: every choice of `test_folds` of the folds is examined once.

    Source: M. López de Prado 2018, "Advances in Financial Machine Learning", ch. 12. There are C(n, k) splits, and
    since each fold is examined in C(n − 1, k − 1) = C(n, k) · k / n of them, that many paths through all sessions.

    Returns:
        The splits, and for each (split × test fold) the number of the path it belongs to.

    Raises:
        ParameterError, BarsRefused: as `purged_folds`; also where `test_folds` is not from 2 to `folds` − 1, or there
            are more than 2,000 splits.
    """
    _whole("folds", folds, 3)
    _whole("test_folds", test_folds, 2)
    if test_folds >= folds:
        raise ParameterError(
            f"test_folds={test_folds} must be less than folds={folds}; nothing was computed.", remedy="use 2 of 10."
        )
    if (count := math.comb(folds, test_folds)) > 2_000:
        raise ParameterError(
            f"folds={folds} and test_folds={test_folds} make {count:,} splits, more than 2,000; nothing was computed.",
            remedy="use 2 of 10.",
        )
    purge, embargo = _gaps(sessions, folds, purge, embargo)
    from skfolio.model_selection import CombinatorialPurgedCV

    scheme = CombinatorialPurgedCV(n_folds=folds, n_test_folds=test_folds, purged_size=purge, embargo_size=embargo)
    found = [
        Split(train=np.asarray(train), tests=tuple(map(np.asarray, tests)), folds=tuple(int(fold) for fold in chosen))
        for (train, tests), chosen in zip(scheme.split(np.empty((sessions, 1))), scheme.test_set_index, strict=True)
    ]
    paths: np.ndarray = np.asarray(scheme.get_path_ids())
    if len(np.unique(paths)) * folds != count * test_folds:
        raise BarsRefused(f"skfolio returned {len(np.unique(paths))} paths for {folds} and {test_folds} folds.")
    return list(_checked(found, purge, embargo)), paths


def _gaps(sessions: int, folds: int, purge: int, embargo: int | None) -> tuple[int, int]:
    _whole("purge", purge, 0)
    wide = math.ceil(0.01 * sessions) if embargo is None else _whole("embargo", embargo, 0)
    size = sessions // folds
    if size < LEAST_TEST or purge + wide >= size - 1:
        raise BarsRefused(
            f"{sessions} sessions in {folds} folds make {size} sessions each: they must be at least {LEAST_TEST}, and "
            f"more than purge={purge} and embargo={wide} together by 2; nothing was computed.",
            remedy="use fewer folds, a longer history or narrower gaps.",
        )
    return purge, wide


def _checked(splits: list[Split], purge: int, embargo: int) -> Iterator[Split]:
    """Pass on what keeps its promises, whoever made it: no train session lies in a test fold or a gap beside it."""
    for split in splits:
        if len(split.train) < LEAST_TRAIN:
            raise BarsRefused(
                f"the train set beside folds {split.folds} has {len(split.train)} sessions, fewer than {LEAST_TRAIN}; "
                "nothing was computed.",
                remedy="use fewer or smaller test folds, narrower gaps or a longer history.",
            )
        for test in split.tests:
            close = (split.train >= test[0] - purge) & (split.train <= test[-1])
            after = (split.train > test[-1]) & (split.train <= test[-1] + purge + embargo)
            if close.any() or after.any():
                raise BarsRefused(f"a train session lies within purge={purge}, embargo={embargo} of a test session.")
        yield split


def _whole(name: str, value: int | None, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ParameterError(
            f"{name}={value!r} must be a whole number of at least {least}; nothing was computed.",
            remedy=f"use {least} or more.",
        )
    return int(value)
