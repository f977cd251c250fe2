"""Reaching an account: the address and the keys of its broker, from the settings, its desk or a local exchange."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.errors import ExchangeUnavailable, ExecutionError
from workbench.orchestration import desk_state
from workbench.orchestration.hosting import exchange_folder

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.exchange.embedded import AccountKeys
    from workbench.execution.brokers.broker import Broker
    from workbench.orchestration.desk_spawn import BrokerKind
    from workbench.settings import Settings
    from workbench.store.workspace import Workspace

# Room to buy before the sales of the same session are filled, as a margin account gives: a book that is sold and bought
# whole reserves up to twice its value and the broker's collar on market orders. The weights use no leverage.
MULTIPLIER = 4.0


@dataclass(frozen=True, slots=True)
class Reach:
    """How an account is reached. `replayed`: its market is history, and its clock has to be moved on."""

    kind: BrokerKind
    url: str
    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    replayed: bool

    def broker(self, account: str) -> Broker:
        """The broker under our name of the account. Close it."""
        from workbench.execution.brokers.alpaca import AlpacaBroker

        return AlpacaBroker(
            name=account,
            url=self.url or None,
            key_id=self.key_id,
            secret_key=self.secret_key,
            paper=self.kind != "alpaca-live",
        )


def reach(workspace: Workspace, settings: Settings, account: str) -> Reach:
    """How an account that exists is reached: Alpaca by the settings, else the local exchange that knows it.

    Asked are, in this order: the exchange of the settings, the one its desk talks to, those of the workspace that run.

    Raises:
        ExecutionError: no running exchange knows the account.
    """
    if settings.broker != "local":
        return _alpaca(settings)
    from workbench.exchange import embedded

    asked: list[str] = []
    candidates = [settings.exchange_url, desk_state.read(workspace.engine, account).url]
    for url in (*candidates, *embedded.addresses(exchange_folder(workspace.home))):
        if not url or url in asked:
            continue
        asked.append(url)
        try:
            keys = embedded.account(url, name=account)
        except ExchangeUnavailable:
            continue
        if keys is not None:
            return _local(url, keys)
    where = f"none of {', '.join(asked)} answers for it" if asked else "no local exchange runs"
    raise ExecutionError(
        f"account {account!r} cannot be reached: {where}.",
        remedy="start the exchange it was opened on: `workbench exchange`, with its --source. "
        "An account that was never opened is opened by its desk: `workbench desk NAME`.",
        account=account,
    )


def opened(
    workspace: Workspace,
    settings: Settings,
    account: str,
    *,
    source: str,
    seed: int,
    cash: float,
    at: dt.datetime,
    timeframe: str = "1d",
    clock: str = "replay",
    exit_with_parent: bool = True,
    shorting: bool = False,
) -> Reach:
    """How an account is reached; at the local exchange it is opened, and the exchange embedded, where they are missing.

    Raises:
        ExecutionError: the configured exchange replays another source.
        ExchangeUnavailable: it does not answer, or could not be started.
    """
    if settings.broker != "local":
        return _alpaca(settings)
    from workbench.exchange import embedded

    url = settings.exchange_url
    if url:
        serves = embedded.health(url)["source"]
        if serves != source:
            raise ExecutionError(
                f"the exchange at {url} replays source {serves!r}, the study asks for {source!r}; nothing was sent.",
                remedy="start it with that --source, or unset WORKBENCH_EXCHANGE_URL to have one embedded.",
            )
    else:
        url = _embedded(exchange_folder(workspace.home), source, seed, timeframe, exit_with_parent=exit_with_parent)
    keys = embedded.open_account(
        url, name=account, cash=cash, at=at, multiplier=MULTIPLIER, shorting=shorting, clock=clock
    )
    return _local(url, keys)


def _embedded(folder: Path, source: str, seed: int, timeframe: str, *, exit_with_parent: bool) -> str:
    from workbench.exchange import embedded

    return embedded.ensure(folder, source=source, seed=seed, timeframe=timeframe, exit_with_parent=exit_with_parent).url


def _alpaca(settings: Settings) -> Reach:
    return Reach(
        kind=settings.broker,
        url="",
        key_id=settings.alpaca_key_id.get_secret_value(),
        secret_key=settings.alpaca_secret_key.get_secret_value(),
        replayed=False,
    )


def _local(url: str, keys: AccountKeys) -> Reach:
    return Reach(kind="local", url=url, key_id=keys.key_id, secret_key=keys.secret_key, replayed=keys.replayed)
