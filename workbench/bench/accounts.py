"""The verbs of accounts: bots, rehearsals, algorithms, the kill switch, the certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.bench.research import Research

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    import pandas as pd

    from workbench.execution.algos.parents import Parents
    from workbench.execution.bots.roster import Bots
    from workbench.execution.kill_switch.killed import Killed
    from workbench.execution.risk.limits import Limits
    from workbench.execution.routing.plan import RouteRules
    from workbench.execution.routing.routed import Routed
    from workbench.market.trading_state import TradingState
    from workbench.orchestration.certify import Progress
    from workbench.orchestration.control import Control
    from workbench.orchestration.rehearsal import Rehearsal
    from workbench.report.certificate import Certificate


@dataclass(frozen=True)
class Accounts(Research):
    """What can be asked of an account, and done to it. None of it trades here: the desk of the account does."""

    def accounts(self) -> pd.DataFrame:
        """One row per account: what it may do, its desk, what is under way."""
        return self._control.accounts()

    def bots(self, account: str = "paper") -> Bots:
        """The bots of an account: `create`, `start`, `pause`, `stop`, and their positions, trades and decisions."""
        from workbench.execution.bots.roster import Bots

        return Bots(self.workspace.engine, account)

    def rehearse(
        self,
        account: str = "paper",
        *,
        start: Any,
        end: Any = None,
        source: str = "synthetic",
        seed: int = 7,
        cash: float = 100_000.0,
        limits: Limits | None = None,
        faults: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> Rehearsal:
        """Let the running bots of an account trade past sessions on the local exchange; see `rehearsal.rehearse`."""
        from workbench.orchestration.rehearsal import rehearse

        return rehearse(
            self.workspace,
            self.settings,
            account,
            start=start,
            end=end,
            source=source,
            seed=seed,
            cash=cash,
            limits=limits,
            faults=faults,
            progress=progress,
        )

    def algorithms(self, account: str = "paper") -> Parents:
        """The parent orders of an account, worked by TWAP, VWAP, POV or implementation shortfall."""
        from workbench.execution.algos.parents import Parents

        return Parents(self.workspace.engine, account)

    def order(
        self,
        symbol: str,
        side: str,
        qty: Decimal | float | str,
        *,
        account: str = "paper",
        key: str | None = None,
        limit_price: Decimal | float | str | None = None,
        urgency: str = "normal",
        rules: RouteRules | None = None,
        limits: Limits | None = None,
    ) -> Routed:
        """Let the router choose how to order, and write that down with its reasons; see `Control.order`."""
        named: dict[str, Any] = {"key": key, "limit_price": limit_price, "urgency": urgency}
        return self._control.order(account, symbol, side, qty, rules=rules, limits=limits, **named)

    def kill(self, account: str, *, reason: str, flatten: bool = False, suspend: bool = False) -> Killed:
        """Stop trading on an account now and cancel every order at the broker; it needs no desk."""
        return self._control.kill(account, reason=reason, flatten=flatten, suspend=suspend)

    def set_state(self, account: str, to: TradingState | str, *, reason: str) -> TradingState:
        """Set what an account may do: active, reducing or halted. To allow more, a reason is needed."""
        return self._control.change(account, to, reason=reason)

    def certify(
        self,
        *,
        kills: int = 200,
        strikes: int = 50,
        seed: int = 7,
        progress: Progress | None = None,
    ) -> Certificate:
        """Kill and strike the order path on this machine, and count every order; see `certify.certify`."""
        from workbench.orchestration.certify import certify

        return certify(self.workspace, kills=kills, strikes=strikes, seed=seed, progress=progress)

    @property
    def _control(self) -> Control:
        from workbench.orchestration.control import Control

        return Control(self.workspace, self.settings)
