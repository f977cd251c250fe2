"""Health of the connectors, read from the database alone: for pages and commands that own no gateway."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from workbench.data.gateway import seen
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Engine


def health(
    engine: Engine,
    *,
    minutes: float = 60.0,
    vendors: Collection[str] = (),
    clock: Callable[[], dt.datetime] = utc_now,
) -> pd.DataFrame:
    """How every vendor is doing; see `workbench.data.gateway.seen.health`.

    A process that asks writes what it counts every five seconds, and when it closes its gateway.
    """
    with engine.begin() as connection:
        return seen.health(connection, at=clock(), minutes=minutes, vendors=vendors)


def history(
    engine: Engine, vendor: str, *, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> pd.DataFrame:
    """How a vendor did, minute by minute; see `workbench.data.gateway.seen.history`."""
    with engine.begin() as connection:
        return seen.history(connection, vendor, since=since, until=until)


def stats(engine: Engine) -> pd.DataFrame:
    """What was asked, per vendor and kind, by all processes; see `workbench.data.gateway.seen.stats`."""
    with engine.begin() as connection:
        return seen.stats(connection)
