"""What a desk lets work on its account beside its orders: the bots, and the execution algorithms."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pydantic import SecretStr

from workbench.execution.risk.limits import Limits
from workbench.trace import get_logger

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workbench.data.gateway import Gateway
    from workbench.data.sources.alpaca import AlpacaSource
    from workbench.execution.algos.engine import AlgoEngine
    from workbench.execution.journal.journal import Journal
    from workbench.orchestration.bot_engine import BotEngine

# What a desk holds every order of its bots and algorithms against: the guarded bounds, with room for fifty bots.
DESK_LIMITS = Limits.guarded(max_orders_per_session=20_000, max_orders_per_minute=600, max_cancels_per_minute=600)
BROKER_LAG = 3.0  # seconds after its end in which a broker's bar of a minute is there


class AtWork:
    """The bots and the algorithms of one account, in the desk's turns and on its thread; algorithms come first.

    Args:
        bots: the engine of the bots.
        algorithms: the engine of the parent orders.
        gateway: the way to the market data that both read; closed with them.
    """

    def __init__(self, bots: BotEngine, algorithms: AlgoEngine, *, gateway: Gateway | None = None) -> None:
        self.bots, self.algorithms = bots, algorithms
        self._gateway = gateway
        self._log = get_logger(__name__)

    def warm_up(self, now: dt.datetime) -> int:
        """Read the history that the bots need; how many have it."""
        return self.bots.warm_up(now)

    def start(self) -> int:
        """Go to work; how many bots and parents there are."""
        parents = self.algorithms.start()
        bots = self.bots.start()
        self._log.info("at work", bots=bots, parents=parents)
        return bots + parents

    def step(self, now: dt.datetime) -> dt.datetime | None:
        """Do what is due; when to be called again, None when nobody works. Raises LeaseLost."""
        wanted = [self.algorithms.step(now), self.bots.step(now)]
        return min((moment for moment in wanted if moment is not None), default=None)

    def close(self) -> None:
        """Stop working; what they own and plan is in the database."""
        self.bots.close()
        self.algorithms.close()
        if self._gateway is not None:
            self._gateway.close()


def broker_source(engine: Engine, *, key_id: str, secret_key: str, url: str) -> tuple[AlpacaSource, Gateway]:
    """The market data of an account's own broker, and the way to it, to be closed; `url` is empty at Alpaca itself.

    The limits of Alpaca hold over all processes on one database: its collector, its notebooks and its desk.
    """
    from workbench.data.access import Access
    from workbench.data.gateway import Gateway
    from workbench.data.sources.alpaca import LIVE, LOCAL, AlpacaSource

    gateway = Gateway(engine=engine)
    access = Access(key=SecretStr(key_id), secret=SecretStr(secret_key), url=url)
    return AlpacaSource(gateway, access, vendor=LOCAL if url else LIVE), gateway


def at_work(journal: Journal, *, key_id: str, secret_key: str, url: str) -> AtWork:
    """Bots and algorithms on the market data of the account's own broker; `url` is empty at Alpaca itself."""
    from workbench.execution.algos.engine import AlgoEngine
    from workbench.execution.algos.market_facts import BarFacts
    from workbench.orchestration.bot_bars import LiveFeed
    from workbench.orchestration.bot_engine import BotEngine

    real = not url
    source, gateway = broker_source(journal.engine, key_id=key_id, secret_key=secret_key, url=url)
    return AtWork(
        BotEngine(journal, LiveFeed(source), limits=DESK_LIMITS, lag_seconds=BROKER_LAG if real else 0.0),
        AlgoEngine(journal, BarFacts(source, timeframe="1m", includes_own=real), limits=DESK_LIMITS),
        gateway=gateway,
    )
