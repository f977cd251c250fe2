"""Vendors: whom this machine can ask for facts, through one gateway, with the keys of its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.data.access import Access
from workbench.data.raw import SUFFIX
from workbench.data.sources import NAMES, SOURCES, lacking, open_source
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.data.gateway import Gateway
    from workbench.settings import Settings
    from workbench.store.workspace import Workspace


def accesses(settings: Settings) -> dict[str, Access]:
    """What the settings say of each vendor, by the name of its source.

    Raises:
        SettingsError: `vendor_urls` names something that has no address; it would never be asked there.
    """
    vendors = {name.removesuffix(SUFFIX) for name, one in SOURCES.items() if one.place and name not in NAMES}
    strange = sorted(set(settings.vendor_urls) - vendors)
    if strange:
        raise SettingsError(
            f"vendor_urls names {', '.join(map(repr, strange))}, which is no vendor; nobody was asked.",
            remedy=f"WORKBENCH_VENDOR_URLS can name {', '.join(sorted(vendors))}.",
        )
    keys: dict[str, dict[str, Any]] = {
        "alpaca": {"key": settings.alpaca_key_id, "secret": settings.alpaca_secret_key, "feed": settings.alpaca_feed},
        "massive": {"key": settings.massive_key, "feed": settings.massive_plan},
        "fred": {"key": settings.fred_key},
        "finnhub": {"key": settings.finnhub_key},
        "newsapi": {"key": settings.newsapi_key, "feed": settings.newsapi_plan},
        "edgar": {"contact": settings.edgar_contact},
    }
    given = {}
    for name in SOURCES:
        vendor = name.removesuffix(SUFFIX)
        given[name] = Access(**keys.get(vendor, {}), url=settings.vendor_urls.get(vendor, ""))
    return given


@dataclass(frozen=True)
class Vendors:
    """The sources of this machine. One gateway for all of them, so that their limits and their cache are shared."""

    gateway: Gateway
    accesses: Mapping[str, Access]

    @classmethod
    def of(cls, workspace: Workspace, settings: Settings) -> Vendors:
        """Those that the settings have keys for, and those that need none."""
        from workbench.data.gateway import Gateway

        return cls(gateway=Gateway.of(workspace), accesses=accesses(settings))

    def open(self, name: str, *, seed: int = 7) -> Any:
        """A source by name. Raises DataError when there is none, or when a key or a contact is missing."""
        return open_source(name, seed=seed, gateway=self.gateway, accesses=self.accesses)

    def table(self) -> pd.DataFrame:
        """One row per source: `source`, `kinds`, `ready`, `missing` (the settings it needs), `terms`."""
        rows = []
        for name, listed in SOURCES.items():
            missing = lacking(listed, self.accesses.get(name, Access()))
            rows.append((name, ", ".join(listed.kinds), not missing, ", ".join(missing), listed.terms))
        return pd.DataFrame(rows, columns=["source", "kinds", "ready", "missing", "terms"])

    def close(self) -> None:
        """Write down what is known of the connectors, and give the connections back."""
        self.gateway.close()
