"""The risk check: pure rules between a wish and the journal, in a stated order; a refusal carries its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd

from workbench.errors import RiskRefused
from workbench.execution.risk.exposure import Exposure
from workbench.execution.risk.limits import Limits, OpenOrder, SessionFacts
from workbench.execution.risk.refusal import Refusal
from workbench.execution.risk.rules import flow, form, reach, standing
from workbench.execution.risk.rules import prices as prices_of
from workbench.market.order import OrderWish
from workbench.market.trading_state import TradingState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from workbench.market.book import Book

__all__ = ["Checked", "Refusal", "check", "check_replacement"]


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: every wish is either accepted or refused, each list in the order wished."""

    accepted: tuple[OrderWish, ...]
    refusals: tuple[Refusal, ...]

    def raise_if_refused(self) -> None:
        """Raises RiskRefused when anything was refused, with all reasons."""
        if self.refusals:
            raise RiskRefused(
                f"{len(self.refusals)} of {len(self.refusals) + len(self.accepted)} wishes were refused: "
                + "; ".join(refusal.message for refusal in self.refusals),
                remedy="change the wish, or pass other Limits.",
                codes=[refusal.code.value for refusal in self.refusals],
            )

    def frame(self) -> pd.DataFrame:
        """One row per wish: symbol, side, qty (shares), outcome (`accepted` or the code), and why it was refused."""
        rows = [(wish, "accepted", "") for wish in self.accepted]
        rows += [(refusal.wish, refusal.code.value, refusal.message) for refusal in self.refusals]
        return pd.DataFrame(
            [(wish.symbol, wish.side.value, float(wish.qty), outcome, why) for wish, outcome, why in rows],
            columns=["symbol", "side", "qty", "outcome", "why"],
        )


def check(
    wishes: Iterable[OrderWish],
    *,
    book: Book,
    prices: Mapping[str, float | Decimal],
    limits: Limits | None = None,
    facts: SessionFacts | None = None,
    open_exposure: Sequence[OpenOrder] = (),
) -> Checked:
    """Split wishes into those that keep every limit and those that break one. Pure: no clock, no file, no database.

    Wishes are taken in the given order (rebalancing puts sales first). An accepted wish counts as filled for those that
    follow, so the sales of a plan pay for its purchases; a refused one counts for nothing. Orders that may already be
    live count at worst case: purchases as filled, sales as not filled where that is worse.

    The checks in their order; the first failing one is the reason: trading state, halts, numbers, symbol lists, form of
    the order, hours, lot, tick, duplicates and open orders, newest price (present, fresh, collar), sides of the exits,
    self-cross, order size, orders of the session and the minute; and, unless the wish can only reduce a holding, losses
    (daily, drawdown, in a row), short sale, position, gross and net exposure, budgets, cash, buying power.

    Args:
        book: cash and positions as booked.
        prices: newest known price per symbol, currency per share; one that is not finite or not > 0 counts as missing.
        limits: the account's bounds; `Limits()` when None.
        facts: halts, price times, orders so far, the broker's buying power.
        open_exposure: every order that may be live, those of unknown fate included.
    """
    exposure = Exposure.of(book, prices, limits or Limits(), facts or SessionFacts(), open_exposure)
    accepted: list[OrderWish] = []
    refusals: list[Refusal] = []
    for wish in wishes:
        refusal = None
        for rule in _RULES:
            refusal = rule(exposure, wish)
            if refusal is not None:
                break
        leg = exposure.legs.get(wish.symbol, 0)
        exposure.legs[wish.symbol] = leg + 1
        if refusal is not None:
            refusals.append(replace(refusal, leg=leg))
        else:
            exposure.accept(wish)
            accepted.append(wish)
    return Checked(tuple(accepted), tuple(refusals))


def check_replacement(
    wish: OrderWish,
    exposure: Exposure,
    *,
    reach_qty: Decimal,
    reach_limit: Decimal | None,
    lowers: bool,
    repriced: bool,
) -> Refusal | None:
    """Hold what is to take the place of an order against every limit that a new order is held against. Pure.

    The order's own place must not be counted in `exposure`: it is counted here, once, at the most that old and new can
    do together. That the symbol has an order already is no reason to refuse: a replacement adds none. What lowers
    numbers only adds no exposure, so it is held against its form, the flow of orders and, where it changes a price,
    the newest price; it passes while the account is REDUCING, as does what can only bring the holding nearer to zero.

    Args:
        wish: the order as it is asked for, at its total.
        reach_qty: the most shares that the old order or the new one can still bring; 0: none.
        reach_limit: the dearest limit of the two, for a purchase.
        lowers: whether no number is above what it was.
        repriced: whether a price changes.
    """
    worst = replace(wish, qty=reach_qty, limit_price=reach_limit)
    state = exposure.facts.trading_state
    if not (lowers and state is TradingState.REDUCING):
        refusal = standing.trading_state(exposure, worst if wish.qty.is_finite() else wish)
        if refusal is not None:
            return replace(refusal, wish=wish)
    rules: list[Callable[[Exposure, OrderWish], Refusal | None]] = [standing.halts, form.numbers]
    rules += [] if lowers else [form.symbols]
    rules += [form.form]
    rules += [] if lowers else [form.session]
    rules += [form.lot, form.tick]
    rules += [prices_of.newest, prices_of.exit_sides, prices_of.self_cross] if repriced or not lowers else []
    rules += [] if lowers else [flow.size]
    rules += [flow.rate]
    for rule in rules:
        if (refusal := rule(exposure, wish)) is not None:
            return refusal
    if lowers or not reach_qty:
        return None
    refusal = _ADDS_RISK(exposure, worst)
    return None if refusal is None else replace(refusal, wish=wish)


def _unless_reducing(
    *rules: Callable[[Exposure, OrderWish], Refusal | None],
) -> Callable[[Exposure, OrderWish], Refusal | None]:
    """The rules, for wishes that add risk: one that only reduces a holding is never blocked by an exposure limit."""

    def checked(now: Exposure, wish: OrderWish) -> Refusal | None:
        if now.reduces(wish):
            return None
        for rule in rules:
            if (found := rule(now, wish)) is not None:
                return found
        return None

    return checked


_ADDS_RISK = _unless_reducing(standing.losses, reach.short, reach.position, reach.exposure, reach.budgets, reach.money)
# The order of the checks; the docstring of `check` and the members of RefusalCode repeat it.
_RULES: tuple[Callable[[Exposure, OrderWish], Refusal | None], ...] = (
    standing.trading_state,
    standing.halts,
    form.numbers,
    form.symbols,
    form.form,
    form.session,
    form.lot,
    form.tick,
    flow.duplicates,
    prices_of.newest,
    prices_of.exit_sides,
    prices_of.self_cross,
    flow.size,
    flow.rate,
    _ADDS_RISK,
)
