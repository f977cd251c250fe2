"""The local exchange as a vendor: Alpaca's market data over HTTP about a market that is made up, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from workbench.data.access import Access
from workbench.data.sources.alpaca import LOCAL, AlpacaSource
from workbench.exchange import embedded
from workbench.orchestration.hosting import exchange_folder

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data.gateway import Gateway
    from workbench.settings import Settings
    from workbench.store.workspace import Workspace


class LocalAlpaca(AlpacaSource):
    """What `AlpacaSource` is, with a name of its own: what it says must never lie beside what Alpaca said."""

    name = "exchange"
    synthetic = True


def open_local(
    workspace: Workspace, settings: Settings, gateway: Gateway, *, as_of: pd.Timestamp, seed: int = 7
) -> LocalAlpaca:
    """A source that asks the local exchange, whose market stands at `as_of`; it is started where none runs.

    Args:
        gateway: the way to it: limits, retries, cache and health are those of any vendor.
        as_of: UTC moment; nothing later is known there.
        seed: of the synthetic market it serves.

    Raises:
        ExchangeUnavailable: it could not be started.
    """
    at = as_of.to_pydatetime()
    url = settings.exchange_url
    if not url:
        folder = exchange_folder(workspace.home)
        url = embedded.ensure(folder, source="synthetic", seed=seed, exit_with_parent=True).url
    name = f"facts-{as_of:%Y%m%d%H%M}"
    keys = embedded.open_account(url, name=name, cash=1.0, at=at)
    access = Access(key=SecretStr(keys.key_id), secret=SecretStr(keys.secret_key), url=url)
    opened = LocalAlpaca(gateway, access, vendor=LOCAL, clock=lambda: at)
    opened.name = f"{LocalAlpaca.name}-{seed}"
    opened.label = f"SYNTHETIC · seed {seed} · local exchange, as Alpaca"
    return opened
