"""Control: what a person does to an account from outside its desk; nothing here needs a desk, or waits for one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import select

from workbench.errors import ExecutionError, NoData, ParameterError, WorkbenchError
from workbench.execution.journal.journal import Journal
from workbench.execution.risk import halts, trading_state
from workbench.market.order import IntentState, OrderType, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.orchestration import desk_state
from workbench.orchestration.accounts import reach
from workbench.store.engine import transaction
from workbench.store.schema import new_id
from workbench.store.tables.execution import DeskRow, IntentRow
from workbench.store.tables.risk import TradingStateRow

if TYPE_CHECKING:
    from workbench.execution.journal.intent import Intent
    from workbench.execution.kill_switch.killed import Killed
    from workbench.execution.proposal import Proposal
    from workbench.execution.risk.limits import Limits
    from workbench.execution.risk.trading_state import Standing
    from workbench.execution.routing.plan import RouteRules, Urgency
    from workbench.execution.routing.routed import Routed
    from workbench.settings import Settings
    from workbench.store.workspace import Workspace

_ACCOUNTS = ("account", "state", "desk", "waiting", "open", "unresolved", "halted", "reconciled", "clean")
_OPEN = tuple(state.value for state in IntentState if not state.is_end)


@dataclass(frozen=True)
class Control:
    """The accounts of one workspace, as a person may act on them.

    `kill` goes to the broker itself, so it works when the desk is dead or hangs. The rest is written down, and whoever
    trades the account obeys it at the next step.
    """

    workspace: Workspace
    settings: Settings

    # --- looking

    def accounts(self) -> pd.DataFrame:
        """One row per account that was ever traded or halted: its trading state, its desk, what is under way."""
        engine = self.workspace.engine
        with transaction(engine) as session:
            names = {*session.scalars(select(DeskRow.account)), *session.scalars(select(TradingStateRow.account))}
            names |= set(session.scalars(select(IntentRow.account).where(IntentRow.state.in_(_OPEN)).distinct()))
            open_orders: dict[str, int] = dict.fromkeys(names, 0)
            for account in session.scalars(select(IntentRow.account).where(IntentRow.state.in_(_OPEN))):
                open_orders[account] += 1
            halted = {name: ", ".join(sorted(halts.halted(session, name))) for name in names}
        rows = []
        for name in sorted(names):
            desk = desk_state.read(engine, name)
            rows.append(
                (
                    name,
                    self.state(name).state.value,
                    str(desk.state) if desk.alive else "none runs",
                    desk.waiting,
                    open_orders[name],
                    desk.unresolved,
                    halted[name],
                    desk.reconciled_at,
                    desk.clean,
                )
            )
        return pd.DataFrame(rows, columns=list(_ACCOUNTS))

    def look(self, account: str) -> dict[str, Any]:
        """One account as plain values: its row of `accounts`, why its state is what it is, and its open orders.

        Raises:
            NoData: nothing was ever traded or halted under this name.
        """
        found = self.accounts().set_index("account")
        if account not in found.index:
            raise NoData(
                f"nothing is known of account {account!r}.", remedy=f"known are {', '.join(found.index) or 'none'}."
            )
        open_orders = [
            {
                "client_order_id": one.client_order_id,
                "bot": one.bot,
                "symbol": one.symbol,
                "side": one.side.value,
                "qty": str(one.qty),
                "filled_qty": str(one.filled_qty),
                "type": one.type,
                "state": one.state.value,
                "note": one.note,
            }
            for one in self._journal(account).intents(states=[IntentState(value) for value in _OPEN])
        ]
        return {
            "account": account,
            **{str(name): value for name, value in found.loc[account].items()},
            "standing": self.state(account).line,
            "orders": open_orders,
        }

    def state(self, account: str) -> Standing:
        """The trading state that counts, with its reason."""
        return trading_state.known(self.workspace.engine, account, home=self.workspace.home)

    def halts(self, account: str | None = None) -> pd.DataFrame:
        """The standing halts: account, symbol (`*`: the whole account), since, reason."""
        rows = halts.standing(self.workspace.engine, account)
        return pd.DataFrame(rows, columns=["account", "symbol", "since", "reason"])

    # --- acting

    def kill(
        self, account: str, *, reason: str, flatten: bool = False, suspend: bool = False, foreign: bool = False
    ) -> Killed:
        """Stop trading now: HALTED in the file and the database, then every order cancelled at the broker.

        Args:
            reason: why; stored.
            flatten: also sell what is held, and buy back what is short, with orders of our own journal.
            suspend: also tell the broker to refuse new orders on this account.
            foreign: also cancel orders that are not ours; they are reported otherwise.

        Raises:
            ExecutionError: the broker cannot be reached; the account is HALTED all the same, and the message says so.
        """
        from workbench.execution.kill_switch import kill

        try:
            broker = reach(self.workspace, self.settings, account).broker(account)
        except WorkbenchError as error:
            self.change(account, TradingState.HALTED, reason=reason)
            raise ExecutionError(
                f"{account} is HALTED here and nothing new is sent, but its orders could not be cancelled: "
                f"{error.message}",
                remedy=f"{error.remedy or 'reach the broker'} Then repeat the kill, or cancel at the broker itself.",
                account=account,
            ) from error
        with contextlib.closing(broker):
            return kill.kill(
                self.workspace.engine,
                broker,
                account,
                reason=reason,
                flatten=flatten,
                suspend=suspend,
                include_foreign=foreign,
                home=self.workspace.home,
            )

    def change(self, account: str, to: TradingState | str, *, reason: str) -> TradingState:
        """Set the trading state; the state that counts then.

        Raises:
            ParameterError: no such state, or no reason for what allows more.
        """
        try:
            wanted = TradingState(to)
        except ValueError:
            raise ParameterError(
                f"state={to!r} is none of {', '.join(state.value for state in TradingState)}; nothing was changed."
            ) from None
        done = trading_state.change(self.workspace.engine, account, wanted, reason=reason, home=self.workspace.home)
        return done.state

    def clear(self, account: str, symbol: str, *, reason: str) -> int:
        """End the halts of a symbol (`*`: of the whole account); how many ended.

        Raises:
            ParameterError: no reason was given.
        """
        return halts.clear(self.workspace.engine, account, symbol, reason=reason)

    def cancel(self, account: str, client_order_id: str) -> Intent:
        """Wish an order away; the account's desk asks the broker.

        Raises:
            NoData: the journal has no such order.
        """
        return self._journal(account).ask_cancel(self._found(account, client_order_id))

    def order(
        self,
        account: str,
        symbol: str,
        side: Side | str,
        qty: Decimal | float | str,
        *,
        key: str | None = None,
        limit_price: Decimal | float | str | None = None,
        urgency: Urgency | str = "normal",
        rules: RouteRules | None = None,
        limits: Limits | None = None,
    ) -> Routed:
        """Let the router choose how to order a quantity, and write the order or start the parent order; see `ordering`.

        Price, time and average volume are what the account's broker knows. The account's desk sends.

        Args:
            qty: shares. limit_price: the worst acceptable price, currency per share; None: the router's.
            key: a name for the wish, so that repeating the call orders nothing twice; a new one when None.
            urgency: `patient`, `normal` or `urgent`.
            limits: what it is held against; the desk's own when None.

        Raises:
            ParameterError: side, urgency or a number is none; the key belongs to another wish. Nothing was written.
            ExecutionError: the broker cannot be reached; nothing was written.
        """
        from workbench.execution.routing import ordering
        from workbench.orchestration.at_work import DESK_LIMITS
        from workbench.orchestration.market_now import market_now

        wish, how = _wish(symbol, side, qty, limit_price), _urgency(urgency)
        journal = self._journal(account)
        now = market_now(journal, reach(self.workspace, self.settings, account), wish.symbol)
        return ordering.order(
            journal,
            wish,
            key=key or f"order-{new_id()}",
            moment=now.moment,
            prices=now.prices,
            priced_at=now.priced_at,
            adv=now.adv,
            urgency=how,
            rules=rules,
            limits=limits or DESK_LIMITS,
        )

    def replace(
        self,
        account: str,
        client_order_id: str,
        *,
        qty: Decimal | float | str | None = None,
        limit_price: Decimal | float | str | None = None,
        stop_price: Decimal | float | str | None = None,
        limits: Limits | None = None,
    ) -> Proposal:
        """Wish another order in the place of one, held against the limits; see `replacement.replace_in`.

        Args:
            qty: the total, what has filled included. What is None stays.
            limits: what it is held against; the desk's own when None.

        Raises:
            NoData: the journal has no such order.
            ParameterError: a number is none, or nothing would change; nothing was written.
            ExecutionError: the order cannot be replaced, or the broker cannot be reached; nothing was written.
        """
        from workbench.execution.replacement import replace_order
        from workbench.orchestration.at_work import DESK_LIMITS
        from workbench.orchestration.market_now import market_now

        intent_id, journal = self._found(account, client_order_id), self._journal(account)
        asked = {"qty": qty, "limit_price": limit_price, "stop_price": stop_price}
        numbers = {name: None if value is None else _number(name, value) for name, value in asked.items()}
        symbol = journal.intent(intent_id).symbol
        now = market_now(journal, reach(self.workspace, self.settings, account), symbol)
        return replace_order(
            journal,
            intent_id,
            prices=now.prices,
            priced_at=now.priced_at,
            as_of=now.moment,
            limits=limits or DESK_LIMITS,
            qty=numbers["qty"],
            limit_price=numbers["limit_price"],
            stop_price=numbers["stop_price"],
        )

    def _found(self, account: str, client_order_id: str) -> str:
        with transaction(self.workspace.engine) as session:
            found = session.scalar(
                select(IntentRow.id).where(IntentRow.account == account, IntentRow.client_order_id == client_order_id)
            )
        if found is None:
            raise NoData(
                f"account {account!r} has no order {client_order_id!r}; nothing was changed.",
                remedy="take the name from `workbench orders`.",
            )
        return found

    def _journal(self, account: str) -> Journal:
        return Journal(self.workspace.engine, account)


def _wish(symbol: str, side: Side | str, qty: Any, limit_price: Any) -> OrderWish:
    if side not in set(Side):
        raise ParameterError(f"side={side!r} is neither buy nor sell; nothing was written.")
    kind = OrderType.MARKET if limit_price is None else OrderType.LIMIT
    limit = None if limit_price is None else _number("limit_price", limit_price)
    return OrderWish(symbol, Side(side), _number("qty", qty), kind, limit_price=limit)


def _number(name: str, value: Decimal | float | str) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ParameterError(f"{name}={value!r} is not a number; nothing was written.") from None


def _urgency(named: Urgency | str) -> Urgency:
    from workbench.execution.routing.plan import Urgency

    if named not in set(Urgency):
        raise ParameterError(f"urgency={named!r} is none of {', '.join(Urgency)}; nothing was written.")
    return Urgency(named)
