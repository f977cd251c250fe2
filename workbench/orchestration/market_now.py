"""What is known of the market where an account trades: its broker's own data, for an order that a person wishes."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd

from workbench import sessions
from workbench.errors import DataError, NoData
from workbench.execution.algos.market_facts import BarFacts
from workbench.execution.reconciliation.positions import book_in
from workbench.orchestration.at_work import broker_source
from workbench.store.engine import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.data.source import BarSource
    from workbench.execution.journal.journal import Journal
    from workbench.orchestration.accounts import Reach

_DAYS = 20  # sessions whose volume is averaged
_WEEKS = dt.timedelta(days=45)  # in which that many sessions lie


@dataclass(frozen=True, slots=True)
class MarketNow:
    """The market at `moment`.

    Attributes:
        moment: the broker's own time (UTC): the wall clock at Alpaca, the replayed moment at the local exchange.
        prices: newest known price, currency per share, of the symbol asked for and of all that is held or on order;
            what is not known is not in it.
        priced_at: when each of them was made (UTC).
        adv: shares of the symbol that traded on an average day of the last 20 sessions; None: not known.
    """

    moment: dt.datetime
    prices: Mapping[str, Decimal]
    priced_at: Mapping[str, dt.datetime]
    adv: Decimal | None


def market_now(journal: Journal, reach: Reach, symbol: str) -> MarketNow:
    """Ask the account's broker what is known now.

    Raises:
        ExchangeUnavailable, BrokerRefused: the broker does not answer.
    """
    with contextlib.closing(reach.broker(journal.account)) as broker:
        moment = broker.clock().now or journal.clock()
    with transaction(journal.engine) as opened:
        symbols = {symbol, *(order.symbol for order in journal.open_exposure_in(opened))}
        with contextlib.suppress(NoData):
            symbols |= {name for name, held in book_in(opened, journal.account).positions.items() if held.qty}
    source, gateway = broker_source(journal.engine, key_id=reach.key_id, secret_key=reach.secret_key, url=reach.url)
    with contextlib.closing(gateway):
        facts, prices, at = BarFacts(source, timeframe="1m"), dict[str, Decimal](), dict[str, dt.datetime]()
        adv = None
        for name in sorted(symbols):
            newest = None
            with contextlib.suppress(DataError):  # an exchange of daily bars has no minutes
                newest = facts.price(name, moment)
            if newest is not None:
                prices[name], at[name] = newest.value, newest.at
                if name != symbol:
                    continue
            days = _days(source, name, moment)
            if name == symbol:
                adv = _average(days)
            if newest is None and not days.empty and pd.notna(days["close"].iloc[-1]):
                prices[name] = Decimal(repr(float(days["close"].iloc[-1])))
                at[name] = days["happened"].iloc[-1].to_pydatetime()
        return MarketNow(moment, prices, at, adv)


def _days(source: BarSource, symbol: str, moment: dt.datetime) -> pd.DataFrame:
    """The daily bars of the last weeks that were known at a moment, oldest first; empty where there are none."""
    last = sessions.session_of(source.venue, pd.Timestamp(moment))
    try:
        rows = source.bars([symbol], start=last - _WEEKS, end=last, timeframe="1d")
    except DataError:
        return pd.DataFrame(columns=["session", "happened", "learned", "close", "volume"])
    return rows[rows["learned"] <= pd.Timestamp(moment)].sort_values("session")


def _average(days: pd.DataFrame) -> Decimal | None:
    volumes = days["volume"].astype(float).tail(_DAYS)
    if len(volumes) < _DAYS or volumes.isna().any() or not volumes.sum() > 0:
        return None
    return Decimal(repr(float(volumes.mean())))
