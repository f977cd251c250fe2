"""What bots did and hold, as frames for reading: an overview, positions, round trips, decisions."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import select

from workbench.execution.bots.book import ZERO, credit, folded
from workbench.execution.bots.bot import Bot
from workbench.market.book import Position
from workbench.store.engine import transaction
from workbench.store.tables.bot import BotDecisionRow, BotFillRow, BotPositionRow, BotRow
from workbench.store.tables.execution import FillRow

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Engine

_OVERVIEW = ["name", "state", "strategy", "symbols", "timeframe", "every_seconds", "window", "capital", "cash"]
_OVERVIEW += ["invested", "equity", "unrealized", "realized", "pnl", "positions", "decided_at", "detail"]
_POSITIONS = ["bot", "symbol", "qty", "avg_price", "market_price", "value", "stop", "target", "unrealized", "realized"]
_POSITIONS += ["source", "opened_at", "priced_at", "synced_at"]
_TRADES = ["bot", "symbol", "side", "opened", "closed", "fills", "qty", "entry_price", "exit_price", "realized"]
_TRADES += ["return", "why", "why_out", "indicators", "indicators_out", "open"]
_DECISIONS = ["at", "bot", "session", "generation", "symbol", "action", "price", "reason", "outcome", "indicators"]
_DECISIONS += ["intent"]


def overview(engine: Engine, account: str) -> pd.DataFrame:
    """One row per bot that is not deleted: what it is told, its state and its money (currency; NaN: not known).

    `invested` is the value of its holdings at the newest prices it has seen, `equity` cash and holdings, `unrealized`
    what the holdings gained, `realized` what was sold with gain (fees taken off), `pnl` both.
    """
    with transaction(engine) as session:
        credit(session, account)
        rows = session.scalars(
            select(BotRow).where(BotRow.account == account, BotRow.deleted_at.is_(None)).order_by(BotRow.name)
        ).all()
        held: dict[str, list[BotPositionRow]] = {row.id: [] for row in rows}
        for one in session.scalars(select(BotPositionRow).where(BotPositionRow.bot_id.in_(list(held)))):
            if one.qty:
                held[one.bot_id].append(one)
    table = []
    for row in rows:
        bot, mine = Bot.of(row), held[row.id]
        values = [None if one.market_price is None else one.qty * one.market_price for one in mine]
        invested = None if None in values else sum((value for value in values if value is not None), ZERO)
        gains = None if invested is None else invested - sum((one.qty * one.avg_price for one in mine), ZERO)
        table.append(
            {
                "name": bot.name,
                "state": bot.state.value,
                "strategy": bot.plan.strategy,
                "symbols": ", ".join(bot.plan.symbols),
                "timeframe": bot.plan.timeframe,
                "every_seconds": bot.plan.every_seconds,
                "window": str(bot.plan.window),
                "capital": float(bot.plan.capital),
                "cash": float(bot.cash),
                "invested": _float(invested),
                "equity": _float(None if invested is None else bot.cash + invested),
                "unrealized": _float(gains),
                "realized": float(bot.realized),
                "pnl": _float(None if gains is None else gains + bot.realized),
                "positions": len(mine),
                "decided_at": _moment(bot.decided_at),
                "detail": bot.detail,
            }
        )
    return pd.DataFrame(table, columns=_OVERVIEW)


def positions(engine: Engine, account: str, bot_id: str | None = None) -> pd.DataFrame:
    """What bots hold, one row per bot and symbol, fills of this moment credited.

    Columns: `qty` (signed shares), `avg_price`, `market_price` (newest seen by the bot), `stop`, `target` (currency per
    share), `value`, `unrealized`, `realized` (currency, fees taken off), `source` (`fills`: the broker's executions,
    the only thing that changes a bot's holding), `opened_at`, `priced_at`, `synced_at` (UTC). NaN: not known or none.
    """
    with transaction(engine) as session:
        credit(session, account)
        question = select(BotPositionRow, BotRow.name).join(BotRow, BotRow.id == BotPositionRow.bot_id)
        question = question.where(BotRow.account == account).order_by(BotRow.name, BotPositionRow.symbol)
        if bot_id is not None:
            question = question.where(BotRow.id == bot_id)
        rows = [(row, name) for row, name in session.execute(question) if row.qty]
    table = [
        {
            "bot": name,
            "symbol": row.symbol,
            "qty": float(row.qty),
            "avg_price": float(row.avg_price),
            "market_price": _float(row.market_price),
            "value": _float(None if row.market_price is None else row.qty * row.market_price),
            "stop": _float(row.stop),
            "target": _float(row.target),
            "unrealized": _float(None if row.market_price is None else row.qty * (row.market_price - row.avg_price)),
            "realized": float(row.realized),
            "source": "fills",
            "opened_at": _moment(row.opened_at),
            "priced_at": _moment(row.priced_at),
            "synced_at": _moment(row.synced_at),
        }
        for row, name in rows
    ]
    return pd.DataFrame(table, columns=_POSITIONS)


def trades(engine: Engine, account: str, bot_id: str | None = None) -> pd.DataFrame:
    """Round trips of bots, from flat to flat, in the order in which they were opened; the last may be open.

    A fill that crosses zero ends one trade and opens the next; its fee is shared by quantity. Columns: `side` (`long`
    or `short`), `opened`, `closed` (UTC; NaT while open), `fills`, `qty` (shares taken in), `entry_price`, `exit_price`
    (averages, NaN without an exit), `realized` (currency, fees taken off), `return` (realized / value of the entries),
    `why` and `why_out` (reasons of the decisions), `indicators` and `indicators_out` (their values then), `open`.
    """
    with transaction(engine) as session:
        credit(session, account)
        question = (
            select(BotFillRow, FillRow.happened, BotRow.name, BotDecisionRow)
            .join(FillRow, FillRow.id == BotFillRow.fill_id)
            .join(BotRow, BotRow.id == BotFillRow.bot_id)
            .outerjoin(BotDecisionRow, BotDecisionRow.id == BotFillRow.decision_id)
            .where(BotRow.account == account, BotFillRow.busted.is_(False))
            .order_by(FillRow.happened, BotRow.name, FillRow.symbol, FillRow.created_at, FillRow.id)
        )
        if bot_id is not None:
            question = question.where(BotRow.id == bot_id)
        rows = session.execute(question).all()
    trips: list[_Trip] = []
    running: dict[tuple[str, str], _Trip] = {}
    for share, happened, name, decision in rows:
        key, left, fee = (name, share.symbol), share.qty, share.fee
        while left:
            trip = running.get(key)
            if trip is None:
                trip = running[key] = _Trip(name, share.symbol, happened, Position(share.symbol, ZERO, ZERO))
                trips.append(trip)
            held = trip.held.qty
            part = left if held * left >= 0 or abs(left) <= abs(held) else -held
            portion = fee if part == left else fee * part / left
            trip.take(part, share.price, portion, happened, decision)
            left, fee = left - part, fee - portion
            if not trip.held.qty:
                del running[key]
    return pd.DataFrame([trip.row() for trip in trips], columns=_TRADES)


def decisions(engine: Engine, account: str, bot_id: str | None = None, *, limit: int = 1000) -> pd.DataFrame:
    """The newest decisions of bots, newest first; see `BotDecisionRow`. `indicators` is a dict per row."""
    with transaction(engine) as session:
        question = select(BotDecisionRow, BotRow.name).join(BotRow, BotRow.id == BotDecisionRow.bot_id)
        question = question.where(BotRow.account == account)
        if bot_id is not None:
            question = question.where(BotRow.id == bot_id)
        ordered = question.order_by(
            BotDecisionRow.at.desc(), BotDecisionRow.generation.desc(), BotRow.name, BotDecisionRow.symbol
        )
        rows = session.execute(ordered.limit(limit)).all()
    table = [
        {
            "at": pd.Timestamp(row.at),
            "bot": name,
            "session": row.session,
            "generation": row.generation,
            "symbol": row.symbol,
            "action": row.action,
            "price": _float(row.price),
            "reason": row.reason,
            "outcome": row.outcome,
            "indicators": row.indicators,
            "intent": row.intent_id or "",
        }
        for row, name in rows
    ]
    return pd.DataFrame(table, columns=_DECISIONS)


@dataclass(slots=True)
class _Trip:
    """A round trip on its way: what was taken in and given out so far."""

    bot: str
    symbol: str
    opened: dt.datetime
    held: Position
    side: str = ""
    fills: int = 0
    taken: Decimal = ZERO
    paid: Decimal = ZERO
    given: Decimal = ZERO
    received: Decimal = ZERO
    closed: dt.datetime | None = None
    entry: BotDecisionRow | None = None
    exit: BotDecisionRow | None = None

    def take(
        self, signed: Decimal, price: Decimal, fee: Decimal, happened: dt.datetime, decision: BotDecisionRow | None
    ) -> None:
        """Count a fill, or the part of one that does not cross zero."""
        inward = self.held.qty * signed >= 0
        self.side = self.side or ("long" if signed > 0 else "short")
        self.held = folded(self.held, signed=signed, price=price, fee=fee)
        self.fills += 1
        if inward:
            self.taken, self.paid = self.taken + abs(signed), self.paid + abs(signed) * price
            self.entry = self.entry or decision
        else:
            self.given, self.received = self.given + abs(signed), self.received + abs(signed) * price
            self.exit = decision or self.exit
        self.closed = None if self.held.qty else happened

    def row(self) -> dict[str, Any]:
        """The round trip as a row of `trades`."""
        return {
            "bot": self.bot,
            "symbol": self.symbol,
            "side": self.side,
            "opened": pd.Timestamp(self.opened),
            "closed": _moment(self.closed),
            "fills": self.fills,
            "qty": float(self.taken),
            "entry_price": float(self.paid / self.taken),
            "exit_price": _float(self.received / self.given if self.given else None),
            "realized": float(self.held.realized),
            "return": float(self.held.realized / self.paid),
            "why": self.entry.reason if self.entry else "",
            "why_out": self.exit.reason if self.exit else "",
            "indicators": dict(self.entry.indicators) if self.entry else {},
            "indicators_out": dict(self.exit.indicators) if self.exit else {},
            "open": self.closed is None,
        }


def _moment(value: dt.datetime | None) -> pd.Timestamp | Any:
    return pd.NaT if value is None else pd.Timestamp(value)


def _float(value: Decimal | None) -> float:
    return float("nan") if value is None else float(value)
