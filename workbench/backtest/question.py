"""The question of a backtest: everything that determines its answer, hashed, and the row that stands for it."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.backtest import ledger
from workbench.backtest.engine import engine_version
from workbench.store.code import code_seal
from workbench.study import digest

if TYPE_CHECKING:
    from workbench.backtest.costs import Costs
    from workbench.backtest.fill_rules import FillRules
    from workbench.market.history import History

# What an answer depends on: changed code answers anew.
ANSWERING = ("backtest", "market", "strategies", "strategy.py", "sessions.py")


def config_of(
    history: History, *, costs: Costs, rules: FillRules, strategy: dict[str, Any], **asked: Any
) -> dict[str, Any]:
    """Everything that determines an answer, as plain JSON values; its `digest` names the question.

    Args:
        strategy: who is asked about: `name`, `hash`, and `params` (or what else names the ideas, e.g. a `grid`).
        asked: what else was asked, e.g. the number of folds.
    """
    return {
        "study": history.study.to_dict(),
        "strategy": strategy,
        "costs": costs.to_dict(),
        "rules": rules.to_dict(),
        **asked,
        "data": fingerprint(history),
        "code": code_seal(*ANSWERING),
        "engine": {"vectorbt": version("vectorbt"), "ta-lib": version("ta-lib")},
    }


def provenance_of(history: History) -> dict[str, Any]:
    """Versions, machine and data, for the record; not part of the question."""
    names = ("workbench", "numpy", "pandas", "numba", "ta-lib")
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in names},
            **engine_version(),
        },
        "machine": f"{platform.node()} · {platform.system()} {platform.machine()} · {os.cpu_count()} cores",
        "data": {**history.provenance, "label": history.label, "synthetic": history.synthetic},
    }


def row_of(kind: str, history: History, config: dict[str, Any], provenance: dict[str, Any]) -> dict[str, Any]:
    """The columns of `BacktestRunRow` that are known before the answer."""
    study, strategy = history.study, config["strategy"]
    return {
        "kind": kind,
        "config_hash": digest(config),
        "strategy": strategy["name"],
        "strategy_hash": strategy["hash"],
        "slice_hash": ledger.slice_hash(study),
        "params": strategy.get("params", {name: value for name, value in strategy.items() if name != "hash"}),
        "study": study.to_dict(),
        "universe": list(history.symbols),
        "timeframe": study.timeframe,
        "start": study.start.date().isoformat(),
        "end": study.end.date().isoformat(),
        "initial_cash": study.initial_cash,
        "costs": config["costs"],
        "execution_price": config["rules"]["execution_price"],
        "fill_rules": config["rules"],
        "data_source": study.source,
        "provenance": provenance,
    }


def fingerprint(history: History) -> str:
    """sha256 of every number in the history, warm-up and actions included: other data are another question."""
    bars = history.bars
    seal = hashlib.sha256("\x1f".join(bars.symbols).encode())
    seal.update(bars.sessions.as_unit("us").asi8.tobytes())
    for name, frame in bars:
        values = np.ascontiguousarray(frame.to_numpy(dtype=float))
        seal.update(name.encode())
        seal.update(np.where(np.isnan(values), np.nan, values).tobytes())
    if history.actions:
        seal.update(digest(history.actions.to_dict()).encode())
    return seal.hexdigest()
