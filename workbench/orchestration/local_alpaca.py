"""The local exchange as a vendor: Alpaca's market data over HTTP about a market that is made up, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from workbench.data.access import Access
from workbench.data.sources import about
from workbench.data.sources.alpaca import LOCAL, AlpacaSource
from workbench.errors import DataError
from workbench.exchange import embedded
from workbench.orchestration.hosting import exchange_folder

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data.gateway import Gateway
    from workbench.settings import Settings
    from workbench.store.workspace import Workspace


class LocalAlpaca(AlpacaSource):
    """What `AlpacaSource` is, with a name of its own: what it says must never lie beside what Alpaca said.

    Attributes:
        as_of: the UTC moment at which its market stands; nothing later is known to it.
    """

    name = "exchange"
    synthetic = True

    def __init__(self, gateway: Gateway, access: Access, *, as_of: pd.Timestamp, seed: int) -> None:
        # Before all else: its rows carry the name, too.
        self.name, self.as_of = f"{LocalAlpaca.name}-{seed}", as_of
        super().__init__(gateway, access, vendor=LOCAL, clock=as_of.to_pydatetime)
        self.label = f"SYNTHETIC · seed {seed} · local exchange, as Alpaca"

    def __repr__(self) -> str:
        return f"LocalAlpaca({self.name!r}, as_of={self.as_of.isoformat()}, at={self._at!r})"


def open_local(
    workspace: Workspace, settings: Settings, gateway: Gateway, *, as_of: pd.Timestamp, seed: int = 7
) -> LocalAlpaca:
    """A source that asks the local exchange, whose market stands at `as_of`; it is started where none runs.

    The exchange of the settings is asked where it serves this very market, and one in the workspace where it does not.

    Args:
        gateway: the way to it: limits, retries, cache and health are those of any vendor.
        as_of: a moment with a timezone; nothing later is known there.
        seed: of the synthetic market it serves.

    Raises:
        DataError: `as_of` has no timezone, or the exchange's clock stands elsewhere; nothing was asked.
        ExchangeUnavailable: it could not be started, or the one of the settings does not answer.
    """
    if as_of.tzinfo is None:
        raise DataError(f"as_of={as_of} has no timezone; nothing was opened.", remedy="pass a UTC Timestamp.")
    moment = as_of.tz_convert("UTC").floor("us")
    at = moment.to_pydatetime()
    url = settings.exchange_url
    if not url or embedded.health(url)["label"] != about("synthetic", seed=seed).label:
        folder = exchange_folder(workspace.home)
        url = embedded.ensure(folder, source="synthetic", seed=seed, exit_with_parent=True).url
    # An account that exists comes back with the clock it has: each moment has one of its own, and it is looked at.
    keys = embedded.open_account(url, name=f"facts-{at:%Y%m%dT%H%M%S.%f}", cash=1.0, at=at)
    if keys.clock != at:
        raise DataError(
            f"the clock of account {keys.name!r} at {url} stands at {keys.clock}, not at {at}; nothing was asked.",
            remedy="somebody has moved it; ask as of another moment.",
        )
    access = Access(key=SecretStr(keys.key_id), secret=SecretStr(keys.secret_key), url=url)
    return LocalAlpaca(gateway, access, as_of=moment, seed=seed)
