"""What was run, ordered and held, as frames: the questions behind `workbench runs`, `orders` and `positions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import select

from workbench.errors import NoData
from workbench.store.engine import transaction
from workbench.store.tables.execution import IntentRow, PositionRow
from workbench.store.tables.pipeline import PipelineRunRow, StepRunRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine, Select

_RUNS = ("run", "pipeline", "session", "status", "done", "started", "seconds", "report", "error")
_STEPS = ("step", "status", "cells", "seconds", "outside_cells", "reused_from", "executed", "error")
_ORDERS = (
    "session", "account", "symbol", "side", "qty", "type", "state", "filled_qty", "avg_price", "bot", "client_order_id",
    "updated",
)  # fmt: skip
_POSITIONS = ("account", "symbol", "qty", "avg_price", "market_price", "unrealized", "realized", "strategy", "synced")


def runs(engine: Engine, *, pipeline: str | None = None, session: str | None = None, last: int = 20) -> pd.DataFrame:
    """The newest runs, newest first: one row each, `done` as `3/5` steps, times UTC, `seconds` NaN while it runs."""
    question = select(PipelineRunRow).order_by(PipelineRunRow.started_at.desc(), PipelineRunRow.id).limit(last)
    if pipeline is not None:
        question = question.filter_by(pipeline=pipeline)
    if session is not None:
        question = question.filter_by(session=session)
    found = _rows(engine, question)
    with transaction(engine) as opened:
        steps = opened.execute(
            select(StepRunRow.run_id, StepRunRow.status).where(StepRunRow.run_id.in_([row.id for row in found]))
        ).all()
    of = {row.id: [status for run_id, status in steps if run_id == row.id] for row in found}
    return pd.DataFrame(
        [
            (
                row.id,
                row.pipeline,
                row.session,
                row.status,
                f"{of[row.id].count('DONE')}/{len(of[row.id])}",
                row.started_at,
                _seconds(row.started_at, row.ended_at),
                row.report,
                row.error,
            )
            for row in found
        ],
        columns=list(_RUNS),
    )


def steps(engine: Engine, run: str) -> pd.DataFrame:
    """The steps of one run in order. `seconds` and `outside_cells` are NaN for a step that was not executed.

    Args:
        engine: the database.
        run: the run's id, or the beginning of it.

    Raises:
        NoData: no run, or more than one, begins so.
    """
    with transaction(engine) as opened:
        ids = opened.scalars(select(PipelineRunRow.id).where(PipelineRunRow.id.startswith(run, autoescape=True))).all()
    if len(ids) != 1:
        raise NoData(
            f"the id of {'no run' if not ids else f'{len(ids)} runs'} begins with {run!r}; one was asked for.",
            remedy="take the id from `workbench runs`.",
        )
    found = _rows(engine, select(StepRunRow).filter_by(run_id=ids[0]).order_by(StepRunRow.position))
    return pd.DataFrame(
        [
            (
                row.step,
                row.status,
                f"{row.cells_done}/{row.cells}",
                row.runtime_s,
                row.kernel_s,
                row.reused_from,
                row.executed,
                row.error,
            )
            for row in found
        ],
        columns=list(_STEPS),
    ).astype({"seconds": float, "outside_cells": float})


def orders(engine: Engine, *, account: str | None = None, session: str | None = None, last: int = 50) -> pd.DataFrame:
    """The newest orders of the journal, newest first; money and quantities as exact Decimals, times UTC."""
    question = select(IntentRow).order_by(IntentRow.created_at.desc(), IntentRow.symbol, IntentRow.id).limit(last)
    if account is not None:
        question = question.filter_by(account=account)
    if session is not None:
        question = question.filter_by(session=session)
    return pd.DataFrame(
        [
            (
                row.session,
                row.account,
                row.symbol,
                row.side,
                row.qty,
                row.type,
                row.state,
                row.filled_qty,
                row.avg_price,
                row.bot,
                row.client_order_id,
                row.updated_at,
            )
            for row in _rows(engine, question)
        ],
        columns=list(_ORDERS),
    )


def positions(engine: Engine, *, account: str | None = None) -> pd.DataFrame:
    """What is held now, by account and symbol, as the broker said when it was last asked (`synced`, UTC)."""
    question = (
        select(PositionRow).where(PositionRow.closed_at.is_(None)).order_by(PositionRow.account, PositionRow.symbol)
    )
    if account is not None:
        question = question.filter_by(account=account)
    return pd.DataFrame(
        [
            (
                row.account,
                row.symbol,
                row.qty,
                row.avg_price,
                row.market_price,
                row.unrealized,
                row.realized,
                row.strategy,
                row.synced_at,
            )
            for row in _rows(engine, question)
        ],
        columns=list(_POSITIONS),
    )


def _rows(engine: Engine, question: Select[Any]) -> Sequence[Any]:
    with transaction(engine) as opened:
        return opened.scalars(question).all()


def _seconds(started: Any, ended: Any) -> float:
    return float("nan") if ended is None else float((ended - started).total_seconds())
