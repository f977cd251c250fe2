"""What each bot owns: booked fills are credited exactly once to the bot that wished them, busted ones taken back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import Select, exists, select

from workbench.execution.bots.risk import read_risk
from workbench.execution.risk.limits import KILL_BOT
from workbench.market.book import Book, Position
from workbench.market.order import Fill, Side
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.schema import utc_now
from workbench.store.tables.bot import BotDecisionRow, BotFillRow, BotPositionRow, BotRow
from workbench.store.tables.execution import FillRow, IntentRow, PositionRow

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

# The shares that are new, by bot and symbol; None: its holding must be computed from all of them.
Touched = dict[tuple[str, str], list[tuple[BotFillRow, FillRow]] | None]
ZERO = Decimal(0)
_FINEST = Decimal("1e-12")  # the decimals that both databases keep
_CENTS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Credited:
    """What one pass did: shares of fills credited, shares taken back, and the bots whose book changed."""

    shares: int = 0
    busted: int = 0
    bots: frozenset[str] = frozenset()


def credit(session: Session, account: str, *, at: dt.datetime | None = None) -> Credited:
    """Credit every booked fill of the account that is nobody's yet, in the open transaction. Repeating changes nothing.

    A fill belongs to the bot that its intent names. What the kill switch traded belongs to the bots whose holding it
    reduced, in the order of their names; a part that reduces no bot's holding is stored as nobody's. Fills of intents
    of other names (a pipeline's, a person's) are left alone: they are no bot's.

    The order in which fills arrive does not matter: where an older one comes late, the holding is computed anew.
    """
    bots = {row.name: row for row in session.scalars(_bots(account))}
    if not bots:
        return Credited()
    now = at or utc_now()
    touched: Touched = {}
    busted = _take_back(session, account, touched)
    new = session.execute(
        select(FillRow, IntentRow)
        .join(IntentRow, IntentRow.id == FillRow.intent_id)
        .where(FillRow.account == account, FillRow.busted_at.is_(None))
        .where(IntentRow.bot.in_([*bots, KILL_BOT]))
        .where(~exists().where(BotFillRow.fill_id == FillRow.id))
        .order_by(FillRow.happened, FillRow.created_at, FillRow.id)
    ).all()
    by_id = {row.id: row for row in bots.values()}
    mine = [(fill, intent, bots[intent.bot]) for fill, intent in new if intent.bot in bots]
    decisions = _decisions(session, [(intent, bot) for _, intent, bot in mine])
    for fill, intent, bot in mine:
        key = (bot.id, intent.session, intent.generation, intent.symbol)
        share = _share(session, fill, 0, bot.id, fill.qty, decision=decisions.get(key), at=now)
        of_symbol = touched.setdefault((bot.id, fill.symbol), [])
        if of_symbol is not None:
            of_symbol.append((share, fill))
    shares = len(mine)
    session.flush()
    _recompute(session, by_id, touched, now)
    changed = {name for name, _ in touched}
    for fill, intent in new:
        if intent.bot == KILL_BOT:
            reduced = _share_out(session, by_id, fill, now)
            shares += max(len(reduced), 1)
            changed |= reduced
    return Credited(shares, busted, frozenset(changed))


def book_of(session: Session, row: BotRow) -> Book:
    """The bot's own book: its cash and its holdings, as its credited fills say."""
    rows = session.scalars(select(BotPositionRow).where(BotPositionRow.bot_id == row.id))
    held = {one.symbol: Position(one.symbol, one.qty, one.avg_price, one.realized) for one in rows if one.qty}
    return Book(row.cash, held)


def ownership(engine: Engine, account: str) -> pd.DataFrame:
    """Who owns the account's holdings: a frame (symbol × owner) of signed shares.

    One column per bot that ever held something; `unowned` is what fills of other intents and holdings that no fill
    explains add up to; `account` is what the account holds by its booked fills and the newest reconciliation. The
    columns before `account` sum to it.
    """
    with transaction(engine) as session:
        credit(session, account)
        names = {row.id: row.name for row in session.scalars(select(BotRow).where(BotRow.account == account))}
        held = session.execute(
            select(BotPositionRow.bot_id, BotPositionRow.symbol, BotPositionRow.qty).where(
                BotPositionRow.bot_id.in_(list(names))
            )
        ).all()
        fills = session.execute(
            select(FillRow.symbol, FillRow.side, FillRow.qty, FillRow.id).where(
                FillRow.account == account, FillRow.busted_at.is_(None), FillRow.intent_id.is_not(None)
            )
        ).all()
        shared = session.execute(
            select(BotFillRow.fill_id, BotFillRow.bot_id, BotFillRow.symbol, BotFillRow.qty)
            .join(FillRow, FillRow.id == BotFillRow.fill_id)
            .where(FillRow.account == account, BotFillRow.busted.is_(False))
        ).all()
        unexplained = session.execute(
            select(PositionRow.symbol, PositionRow.unexplained).where(PositionRow.account == account)
        ).all()
    owned: dict[str, dict[str, Decimal]] = {names[bot]: {} for bot, _, _ in held}
    for bot, symbol, qty in held:
        owned[names[bot]][symbol] = qty
    nobody: dict[str, Decimal] = {}
    whole: dict[str, Decimal] = {}
    credited = {fill for fill, _, _, _ in shared}
    for symbol, side, qty, name in fills:
        signed = Side(side).sign * qty
        whole[symbol] = whole.get(symbol, ZERO) + signed
        if name not in credited:
            nobody[symbol] = nobody.get(symbol, ZERO) + signed
    for _, owner, symbol, qty in shared:
        if owner is None:
            nobody[symbol] = nobody.get(symbol, ZERO) + qty
    for symbol, qty in unexplained:
        whole[symbol] = whole.get(symbol, ZERO) + qty
        nobody[symbol] = nobody.get(symbol, ZERO) + qty
    columns = {**{name: owned[name] for name in sorted(owned)}, "unowned": nobody, "account": whole}
    symbols = sorted({symbol for column in columns.values() for symbol, qty in column.items() if qty})
    frame = pd.DataFrame(
        {name: [column.get(symbol, ZERO) for symbol in symbols] for name, column in columns.items()},
        index=pd.Index(symbols, name="symbol"),
        dtype=object,
    )
    return frame.rename_axis(columns="owner")


def folded(position: Position, *, signed: Decimal, price: Decimal, fee: Decimal) -> Position:
    """A holding after a fill, with money kept exactly: what was realized is what the fills moved plus qty × avg_price.

    `avg_price` follows `Book.apply`, kept to twelve decimals; `realized` has fees taken off.
    """
    moved = position.realized - position.qty * position.avg_price - signed * price - fee
    fill = Fill("", "", "", position.symbol, Side.BUY if signed > 0 else Side.SELL, abs(signed), price, _ANY)
    after = Book(ZERO, {position.symbol: position}).apply(fill).positions[position.symbol]
    average = after.avg_price.quantize(_FINEST)
    return Position(position.symbol, after.qty, average, moved + after.qty * average)


_ANY = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # folding does not look at the moment


def _bots(account: str) -> Select[BotRow]:
    """All bots of an account, deleted ones too, locked until the transaction ends."""
    return select(BotRow).where(BotRow.account == account).order_by(BotRow.name).with_for_update()


def _take_back(session: Session, account: str, touched: Touched) -> int:
    """Mark the shares of fills that the broker took back since; how many. Their holdings must be computed anew."""
    rows = session.scalars(
        select(BotFillRow)
        .join(FillRow, FillRow.id == BotFillRow.fill_id)
        .where(FillRow.account == account, FillRow.busted_at.is_not(None), BotFillRow.busted.is_(False))
    ).all()
    for row in rows:
        row.busted, row.realized = True, ZERO
        if row.bot_id is not None:
            touched[row.bot_id, row.symbol] = None
            after = {"fill": row.fill_id, "symbol": row.symbol, "qty": str(row.qty)}
            audit.record(session, entity="bot", entity_id=row.bot_id, action="fill taken back", before=after)
    return len(rows)


def _decisions(session: Session, found: Sequence[tuple[IntentRow, BotRow]]) -> dict[tuple[str, str, int, str], str]:
    """The decisions behind intents, by bot, session, generation and symbol."""
    bots = {bot.id for _, bot in found}
    days = {intent.session for intent, _ in found}
    if not found:
        return {}
    rows = session.execute(
        select(
            BotDecisionRow.bot_id,
            BotDecisionRow.session,
            BotDecisionRow.generation,
            BotDecisionRow.symbol,
            BotDecisionRow.id,
        ).where(BotDecisionRow.bot_id.in_(bots), BotDecisionRow.session.in_(days))
    )
    return {(bot, day, generation, symbol): name for bot, day, generation, symbol, name in rows}


def _share(
    session: Session,
    fill: FillRow,
    number: int,
    bot_id: str | None,
    qty: Decimal,
    *,
    decision: str | None,
    at: dt.datetime,
) -> BotFillRow:
    """Store one share of a fill: `qty` > 0 of its shares, and as much of its fee."""
    row = BotFillRow(
        fill_id=fill.id,
        share=number,
        bot_id=bot_id,
        symbol=fill.symbol,
        qty=Side(fill.side).sign * qty,
        price=fill.price,
        fee=fill.fee if qty == fill.qty else (fill.fee * qty / fill.qty).quantize(_FINEST),
        realized=ZERO,
        busted=False,
        decision_id=decision,
        credited_at=at,
    )
    session.add(row)
    return row


def _share_out(session: Session, bots: dict[str, BotRow], fill: FillRow, at: dt.datetime) -> set[str]:
    """Share a fill of the kill switch among the bots whose holding it reduces; the ids of these bots."""
    sign, left, number = Side(fill.side).sign, fill.qty, 0
    held = {
        row.bot_id: row.qty
        for row in session.scalars(
            select(BotPositionRow).where(BotPositionRow.bot_id.in_(list(bots)), BotPositionRow.symbol == fill.symbol)
        )
    }
    reduced: Touched = {}
    for bot in sorted(bots.values(), key=lambda row: row.name):
        part = min(left, max(-sign * held.get(bot.id, ZERO), ZERO))
        if part > 0:
            share = _share(session, fill, number, bot.id, part, decision=None, at=at)
            reduced[bot.id, fill.symbol] = [(share, fill)]
            left, number = left - part, number + 1
    if left > 0:
        _share(session, fill, number, None, left, decision=None, at=at)
    session.flush()
    _recompute(session, bots, reduced, at)
    return {name for name, _ in reduced}


def _recompute(session: Session, bots: dict[str, BotRow], touched: Touched, at: dt.datetime) -> None:
    """Bring holdings and cash of bots to their credited fills: from the new shares alone where these are the newest."""
    for (bot_id, symbol), new in sorted(touched.items(), key=lambda item: item[0]):
        row = session.get(BotPositionRow, (bot_id, symbol))
        if row is None:
            row = BotPositionRow(bot_id=bot_id, symbol=symbol, qty=ZERO, avg_price=ZERO, realized=ZERO, synced_at=at)
            session.add(row)
        before = Position(symbol, row.qty, row.avg_price, row.realized)
        last = row.filled_at
        if new is not None and (last is None or all(fill.happened > last for _, fill in new)):
            shares, after, opened = new, before, row.opened_at
        else:
            shares, after, opened = _all_shares(session, bot_id, symbol), Position(symbol, ZERO, ZERO), None
        for share, fill in shares:
            held, realized = after.qty, after.realized
            after = folded(after, signed=share.qty, price=share.price, fee=share.fee)
            share.realized = after.realized - realized
            if after.qty and held * after.qty <= 0:
                opened = fill.happened
        row.filled_at = shares[-1][1].happened if shares else None
        _write(session, bots[bot_id], row, before, after, opened=opened if after.qty else None, at=at)


def _all_shares(session: Session, bot_id: str, symbol: str) -> list[tuple[BotFillRow, FillRow]]:
    rows = session.execute(
        select(BotFillRow, FillRow)
        .join(FillRow, FillRow.id == BotFillRow.fill_id)
        .where(BotFillRow.bot_id == bot_id, BotFillRow.symbol == symbol, BotFillRow.busted.is_(False))
        .order_by(FillRow.happened, FillRow.created_at, FillRow.id)
    )
    return [(share, fill) for share, fill in rows]


def _write(
    session: Session,
    bot: BotRow,
    row: BotPositionRow,
    before: Position,
    after: Position,
    *,
    opened: dt.datetime | None,
    at: dt.datetime,
) -> None:
    """Store a holding, its stop and target, and the money that it moved."""
    moved = _moved(after) - _moved(before)
    risk = read_risk(bot.risk)
    anew = not before.qty or before.qty * after.qty <= 0
    row.qty, row.avg_price, row.realized = after.qty, after.avg_price, after.realized
    row.opened_at, row.synced_at = opened, at
    if not after.qty:
        row.stop = row.target = row.high = None
    elif anew or after.avg_price != before.avg_price:
        side = 1 if after.qty > 0 else -1
        row.stop = _beside(after.avg_price, -side, risk.stop_loss)
        row.target = _beside(after.avg_price, side, risk.take_profit)
        row.high = after.avg_price if anew or row.high is None else row.high
    bot.cash += moved
    bot.realized += after.realized - before.realized
    if before != after:
        audit.record(
            session,
            entity="bot",
            entity_id=bot.id,
            action="fills credited",
            before={"symbol": row.symbol, "qty": str(before.qty), "avg_price": str(before.avg_price)},
            after={"symbol": row.symbol, "qty": str(after.qty), "avg_price": str(after.avg_price)},
        )


def _moved(position: Position) -> Decimal:
    """The cash that the fills of a holding have moved: negative when spent."""
    return position.realized - position.qty * position.avg_price


def _beside(price: Decimal, side: int, distance: Decimal | None) -> Decimal | None:
    """A price that lies a fraction above (`side` +1) or below (−1) another one, to a hundredth of a cent."""
    return None if distance is None else (price * (1 + side * distance)).quantize(_CENTS)
