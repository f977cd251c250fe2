"""Rules on what the account may do at all: its trading state, halts, and losses that have reached their bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.execution.risk.limits import ACCOUNT, KILL_BOT, RefusalCode
from workbench.execution.risk.refusal import Refusal, refuse
from workbench.market.trading_state import TradingState

if TYPE_CHECKING:
    from workbench.execution.risk.exposure import Exposure
    from workbench.market.order import OrderWish


def trading_state(now: Exposure, wish: OrderWish) -> Refusal | None:
    """HALTED: only reducing wishes of the bot `kill`. REDUCING: only reducing wishes."""
    state = now.facts.trading_state
    if state is TradingState.ACTIVE:
        return None
    if state is TradingState.HALTED and now.facts.bot != KILL_BOT:
        message = "the account is HALTED until a person sets it active again"
        return refuse(wish, RefusalCode.TRADING_HALTED, message, "trading_state", state=state.value)
    if not now.reduces(wish):
        low, high = now.reach(wish.symbol)
        code = RefusalCode.TRADING_HALTED if state is TradingState.HALTED else RefusalCode.TRADING_REDUCING
        message = f"the account is {state.value.upper()}, and it would add to a holding of {low} to {high}"
        return refuse(wish, code, message, "trading_state", state=state.value, low=low, high=high, qty=wish.qty)
    return None


def halts(now: Exposure, wish: OrderWish) -> Refusal | None:
    """Neither the account nor the symbol is halted; the bot `kill` may leave a halted holding."""
    if not now.facts.halted or now.facts.bot == KILL_BOT:
        return None
    for subject, code in ((ACCOUNT, RefusalCode.ACCOUNT_HALTED), (wish.symbol, RefusalCode.SYMBOL_HALTED)):
        if subject in now.facts.halted:
            what, why = "the account" if subject == ACCOUNT else subject, now.facts.halted[subject]
            return refuse(wish, code, f"{what} is halted until a person clears it ({why})", "halted", reason=why)
    return None


def losses(now: Exposure, wish: OrderWish) -> Refusal | None:
    """No bound on losses has been reached. A figure that is missing or not finite refuses; it never lifts a bound."""
    limits, equity = now.limits, now.facts.equity
    if limits.max_daily_loss is not None or limits.max_drawdown is not None:
        if equity is None:
            message = "the equity of the session is not known, so its losses cannot be bounded"
            return refuse(wish, RefusalCode.NO_EQUITY, message, "finite and > 0")
        for name in ("start", "low", "newest", "drawdown"):
            value = getattr(equity, name)
            if not value.is_finite() or (name == "start" and value <= 0):
                message = f"the account's {name} of equity is {value}, so its losses cannot be bounded"
                return refuse(wish, RefusalCode.NO_EQUITY, message, "finite and > 0", field=name, value=str(value))
        if limits.max_daily_loss is not None:
            loss = 1 - min(equity.low, equity.newest) / equity.start
            if loss >= limits.max_daily_loss:
                message = (
                    f"the equity fell {loss:.2%} below the session's start; the bound is {limits.max_daily_loss:.2%}"
                )
                numbers = {"start": equity.start, "low": equity.low, "loss": loss, "max": limits.max_daily_loss}
                return refuse(wish, RefusalCode.DAILY_LOSS, message, "max_daily_loss", **numbers)
        if limits.max_drawdown is not None and equity.drawdown >= limits.max_drawdown:
            message = f"the equity fell {equity.drawdown:.2%} below its peak; the bound is {limits.max_drawdown:.2%}"
            numbers = {"drawdown": equity.drawdown, "max": limits.max_drawdown}
            return refuse(wish, RefusalCode.DRAWDOWN, message, "max_drawdown", **numbers)
    if limits.max_consecutive_losses is not None:
        row = now.facts.losses_in_a_row
        if row is None or row >= limits.max_consecutive_losses:
            said = "how many trades in a row lost is not known" if row is None else f"{row} trades in a row lost"
            message = f"{said}; the bound is {limits.max_consecutive_losses}"
            most = limits.max_consecutive_losses
            return refuse(wish, RefusalCode.CONSECUTIVE_LOSSES, message, "max_consecutive_losses", losses=row, max=most)
    return None
