"""Comparing the account with the broker's: whose it is, its cash, and whether the holdings are explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from workbench.execution.journal.outstanding import missing_fills
from workbench.execution.reconciliation.discrepancy import Discrepancy
from workbench.execution.reconciliation.explained import Explained
from workbench.execution.reconciliation.positions import unexplained_qty
from workbench.execution.risk.halts import halt
from workbench.execution.risk.limits import ACCOUNT
from workbench.store.tables.execution import FillRow, PositionRow, ReconciliationRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import BrokerAccount, BrokerPosition

CENT = Decimal("0.01")
_ZERO = Decimal(0)
_BLOCKS = ("trading_blocked", "account_blocked", "trade_suspended_by_user")


def pending_fills(session: Session, account: str) -> dict[str, Decimal]:
    """Signed shares per symbol that orders report as filled and no execution has brought yet."""
    return missing_fills(session, account)


def still_pending(pending: Mapping[str, Decimal]) -> list[Discrepancy]:
    """What is still pending after the last reading, as discrepancies."""
    return [
        Discrepancy(
            "fill_not_reported",
            symbol,
            None,
            {"qty": str(qty)},
            "reported",
            f"orders say that {qty} {symbol} are filled, but no execution says at what price; nothing was booked.",
        )
        for symbol, qty in sorted(pending.items())
    ]


def drifting(
    session: Session,
    account: str,
    theirs: Sequence[BrokerPosition],
    known: Mapping[str, Explained],
    pending: Mapping[str, Decimal],
) -> bool:
    """Whether the positions, taken as read, would be a difference."""
    held = {position.symbol: position.qty for position in theirs}
    rows = session.scalars(select(PositionRow).where(PositionRow.account == account))
    before = {row.symbol: row.unexplained for row in rows}
    return any(
        unexplained_qty(held.get(symbol, _ZERO), known.get(symbol), pending.get(symbol, _ZERO))
        != before.get(symbol, _ZERO)
        for symbol in {*held, *known, *before}
    )


def compare_cash(session: Session, account: str, theirs: BrokerAccount, moved: Decimal) -> list[Discrepancy]:
    """Cash that moved without a booked fill since it was last known: deposits, dividends, fees, foreign orders.

    Args:
        moved: cash that all booked fills moved, currency.
    """
    last = session.scalars(
        select(ReconciliationRow)
        .where(ReconciliationRow.account == account, ReconciliationRow.cash_basis.is_not(None))
        .order_by(ReconciliationRow.started_at.desc())
        .limit(1)
    ).one_or_none()
    if last is None or last.cash_basis is None or theirs.cash is None:
        return []
    expected = last.cash_basis + moved
    since = select(func.count()).where(FillRow.account == account, FillRow.created_at >= last.started_at)
    tolerance = CENT * (1 + (session.scalar(since) or 0))  # the broker rounds each movement to the cent
    if abs(theirs.cash - expected) <= tolerance:
        return []
    detail = f"{theirs.cash - expected:+.2f} of cash moved without a fill of ours; it was taken over as it is."
    return [Discrepancy("cash", "account", {"cash": str(expected)}, {"cash": str(theirs.cash)}, "reported", detail)]


def other_account(
    session: Session, account: str, last: ReconciliationRow | None, theirs: BrokerAccount
) -> Discrepancy | None:
    """Another account number under this name: keys were mixed up, and nothing of it may enter our book."""
    ours = last.account_number if last is not None else None
    if not ours or not theirs.number or ours == theirs.number:
        return None
    why = f"the keys of {account} open account {theirs.number}, but it has always been {ours}"
    halt(session, account, ACCOUNT, reason=why)
    sides = {"account_number": ours}, {"account_number": theirs.number}
    return Discrepancy("other_account", "account", sides[0], sides[1], "halted", f"{why}; nothing was compared.")


def blocked(session: Session, account: str, theirs: BrokerAccount) -> list[Discrepancy]:
    """Whether the broker has closed the account for trading; it is halted then."""
    names = [name for name in _BLOCKS if str(theirs.raw.get(name, "")).lower() == "true"]
    if not names or not halt(session, account, ACCOUNT, reason=f"the broker says {', '.join(names)}"):
        return []
    detail = f"the broker says {', '.join(names)}; the account is halted until a person clears it."
    return [Discrepancy("account_blocked", "account", None, dict.fromkeys(names, True), "halted", detail)]
