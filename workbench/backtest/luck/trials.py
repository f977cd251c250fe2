"""How many ideas were tried on the data, ever: a key per idea, kept with every answer, counted once over all of them.

The best of many tries looks good by luck alone, and luck does not care in which session, notebook or sweep the tries
were made. So every answer leaves the keys of the ideas it tried behind, and the odds of the best are taken against all
of them (Bailey & Lopez de Prado 2014, "The Deflated Sharpe Ratio").
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from workbench.backtest import ledger
from workbench.errors import BacktestError
from workbench.store.engine import transaction
from workbench.store.tables.backtest import BacktestRunRow, TrialBatchRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from workbench.run import Run

_KEYS, _SHARPES = np.dtype("<u8"), np.dtype("<f4")
# Whole numbers up to here are exact as floats.
_EXACT = 2**53


@dataclass(frozen=True, eq=False)
class Trials:
    """Distinct ideas and what became of them.

    Attributes:
        keys: one uint64 per idea, ascending, none twice.
        sharpes: its annual Sharpe ratio, NaN where undefined (it never traded, or failed).
    """

    keys: np.ndarray
    sharpes: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, sharpes: np.ndarray) -> Trials:
        """Each idea once; where a key stands twice, its first Sharpe ratio speaks.

        Raises:
            BacktestError: there are not as many Sharpe ratios as keys.
        """
        keys, sharpes = np.asarray(keys, dtype=np.uint64), np.asarray(sharpes, dtype=float)
        if keys.shape != sharpes.shape or keys.ndim != 1:
            raise BacktestError(
                f"{keys.shape} keys and {sharpes.shape} Sharpe ratios do not fit together; nothing was counted.",
                remedy="pass one Sharpe ratio per key, NaN where it is undefined.",
            )
        distinct, first = np.unique(keys, return_index=True)
        return cls(keys=distinct, sharpes=sharpes[first])

    @classmethod
    def none(cls) -> Trials:
        """Nothing was tried yet."""
        return cls.of(np.empty(0), np.empty(0))

    def joined(self, other: Trials) -> Trials:
        """Both; where they know the same idea, the other's Sharpe ratio speaks."""
        return Trials.of(np.concatenate([other.keys, self.keys]), np.concatenate([other.sharpes, self.sharpes]))

    @property
    def count(self) -> int:
        """How many ideas were tried, those without a Sharpe ratio included: they were tried."""
        return len(self.keys)

    @property
    def variance(self) -> float:
        """Of the annual Sharpe ratios that are defined, over n − 1; NaN with fewer than two."""
        known = self.sharpes[~np.isnan(self.sharpes)]
        return float(known.var(ddof=1)) if len(known) > 1 else math.nan


def trial_keys(kind: str, code: str, cells: pd.DataFrame, *, fixed: Mapping[str, Any] | None = None) -> np.ndarray:
    """One uint64 per row: the name of an idea, the same in every process and on every machine.

    Two rows have the same key when strategy, code and every parameter are the same, whether they stand in a frame of
    one row or of a million, whatever the order of the columns. Numbers are compared as numbers (5 = 5.0, True = 1),
    a missing number and None are the same, lists and tuples are the same, everything else is compared as its JSON.

    Args:
        kind: the strategy's name.
        code: sha256 of its source: an edited idea is another idea.
        cells: one row per idea, one column per parameter.
        fixed: the parameters that are the same in every row. Together with the columns they must be ALL parameters,
            defaults included, or the same idea tried elsewhere has another name.

    Raises:
        BacktestError: a parameter is both fixed and a column.
    """
    same = fixed or {}
    if both := sorted(set(same) & set(map(str, cells.columns))):
        raise BacktestError(f"{', '.join(both)} is both fixed and a column of the cells; nothing was counted.")
    columns = {str(name): cells[name] for name in cells.columns}
    columns |= {name: pd.Series([value], dtype=object) for name, value in same.items()}
    keys = np.full(len(cells), _hash(f"{kind}\x1f{code}"), dtype=np.uint64)
    for name, column in sorted(columns.items()):
        keys = _mixed(keys ^ _mixed(_column(column) ^ _hash(name)))
    return keys


def key_of(run: Run) -> np.uint64:
    """The key of a backtest's idea.

    An answer stored before the code was named apart from the parameters has only the hash of both: that is its key.
    """
    asked = run.config["strategy"]
    if "code" not in asked:
        return _of_hash(asked["hash"])
    key: np.uint64 = trial_keys(asked["name"], asked["code"], pd.DataFrame(index=[0]), fixed=asked["params"])[0]
    return key


def remember(
    engine: Engine, *, run_id: str, data_slice: str, strategy: str, keys: np.ndarray, sharpes: np.ndarray
) -> int:
    """Keep the ideas that a run tried; a second time for the same run replaces what it said the first time.

    Args:
        run_id: of the row of the run, which must exist.
        data_slice: see `ledger.slice_hash`.
        strategy: its name.
        keys: see `trial_keys`.
        sharpes: annual Sharpe ratio per key, NaN where undefined.

    Returns:
        How many distinct ideas there were.

    Raises:
        BacktestError: there are not as many Sharpe ratios as keys; nothing was kept.
    """
    tried_now = Trials.of(keys, sharpes)
    said = {
        "slice_hash": data_slice,
        "strategy": strategy,
        "count": tried_now.count,
        "keys": tried_now.keys.astype(_KEYS).tobytes(),
        "sharpes": tried_now.sharpes.astype(_SHARPES).tobytes(),
    }
    for last in (False, True):
        try:
            with transaction(engine) as session:
                row = session.scalar(select(TrialBatchRow).where(TrialBatchRow.run_id == run_id))
                if row is None:
                    session.add(TrialBatchRow(run_id=run_id, **said))
                else:
                    for name, value in said.items():
                        setattr(row, name, value)
            break
        except IntegrityError:
            if last:
                raise  # not the race with another process remembering the same run: that one has its row now
    return tried_now.count


def remember_run(engine: Engine, run: Run) -> int:
    """Keep the one idea that a backtest tried; asking again changes nothing."""
    sharpe = run.summary.get("sharpe")
    return remember(
        engine,
        run_id=run.id,
        data_slice=ledger.slice_hash(run.study),
        strategy=run.config["strategy"]["name"],
        keys=np.array([key_of(run)], dtype=np.uint64),
        sharpes=np.array([math.nan if sharpe is None else sharpe]),
    )


def tried(engine: Engine, data_slice: str) -> Trials:
    """Every idea ever tried on a data slice, in whichever run, once; of an idea tried twice the newest answer speaks.

    Backtests answered before trials were kept apart count as well, unless the same idea was asked again since.
    """
    batches = (
        select(TrialBatchRow.keys, TrialBatchRow.sharpes)
        .where(TrialBatchRow.slice_hash == data_slice)
        .order_by(TrialBatchRow.created_at.desc(), TrialBatchRow.id.desc())
    )
    again = (
        select(BacktestRunRow.strategy_hash)
        .join(TrialBatchRow, TrialBatchRow.run_id == BacktestRunRow.id)
        .where(BacktestRunRow.kind == "backtest", TrialBatchRow.slice_hash == data_slice)
    )
    without = (
        select(BacktestRunRow.strategy_hash, BacktestRunRow.summary, BacktestRunRow.study)
        .outerjoin(TrialBatchRow, TrialBatchRow.run_id == BacktestRunRow.id)
        .where(BacktestRunRow.kind == "backtest", BacktestRunRow.status == "DONE", TrialBatchRow.id.is_(None))
        .where(BacktestRunRow.strategy_hash.not_in(again))
        .order_by(BacktestRunRow.created_at.desc(), BacktestRunRow.id.desc())
    )
    with transaction(engine) as session:
        kept = session.execute(batches).all()
        older = [row for row in session.execute(without) if ledger.slice_of(row.study) == data_slice]
    keys = [np.frombuffer(row.keys, dtype=_KEYS) for row in kept]
    sharpes = [np.frombuffer(row.sharpes, dtype=_SHARPES) for row in kept]
    keys.append(np.array([_of_hash(row.strategy_hash) for row in older], dtype=np.uint64))
    found = [(row.summary or {}).get("sharpe") for row in older]
    sharpes.append(np.array([math.nan if value is None else value for value in found]))
    return Trials.of(np.concatenate(keys), np.concatenate(sharpes, dtype=float))


def _column(column: pd.Series) -> np.ndarray:
    """One uint64 per value."""
    if column.dtype.kind in "fb":
        return _numbers(column.to_numpy(dtype=float))
    if column.dtype.kind in "iu" and isinstance(column.dtype, np.dtype) and _exact(column):
        return _numbers(column.to_numpy(dtype=float))
    same = column if isinstance(column.dtype, pd.StringDtype) else column.map(_text)  # text is compared as it stands
    codes, values = pd.factorize(same, use_na_sentinel=False)
    texts = values if same is not column else [_text(None if pd.isna(value) else value) for value in values]
    return np.array([_word(text) for text in texts], dtype=np.uint64)[codes]


def _exact(column: pd.Series) -> bool:
    return column.empty or (int(column.max()) <= _EXACT and int(column.min()) >= -_EXACT)


def _text(value: Any) -> str:
    """Canonical JSON of a value; numpy's and pandas' scalars as Python's."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is pd.NA or plain is pd.NaT:
        plain = None
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _word(text: str) -> int:
    """The number of one canonical text: that of the number it says, or a hash of its letters."""
    value = json.loads(text)
    if value is None:
        return int(_numbers(np.array([math.nan]))[0])
    if isinstance(value, float) or (isinstance(value, int) and abs(value) <= _EXACT):
        return int(_numbers(np.array([float(value)]))[0])
    return int(_hash(text))


def _numbers(values: np.ndarray) -> np.ndarray:
    """The bits of each number; −0 is 0, and there is one NaN."""
    plain = np.where(np.isnan(values), np.nan, values + 0.0)
    return np.ascontiguousarray(plain, dtype="<f8").view("<u8").astype(np.uint64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Every bit of a value spread over all of them: the finisher of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


def _hash(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))


def _of_hash(strategy_hash: str) -> np.uint64:
    return _hash(f"strategy\x1f{strategy_hash}")
