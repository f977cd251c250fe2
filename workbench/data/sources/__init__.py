"""The sources of facts by name; each vendor has one file and knows no other."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from workbench.data.access import Access
from workbench.errors import DataError

if TYPE_CHECKING:
    from workbench.data.gateway import Gateway

NAMES: Final = ("bundled", "synthetic")  # open to everybody, without a network


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list of sources.

    Attributes:
        place: module and class.
        kinds: what it can be asked for: the names of its methods.
        needs: the fields of `Access` that must not be empty.
        terms: what its owner allows, in a sentence; read it before you store or pass on anything.
    """

    name: str
    place: str
    kinds: tuple[str, ...]
    needs: tuple[str, ...] = ()
    terms: str = ""


_LIST = (
    Listed("bundled", "bundled:BundledSource", ("bars",), terms="data of packages installed here"),
    Listed("synthetic", "synthetic:SyntheticSource", ("bars",), terms="ours"),
    Listed(
        "alpaca",
        "alpaca:AlpacaSource",
        ("bars", "quotes", "trades", "news", "actions", "options"),
        needs=("key", "secret"),
        terms="for the account's own use; the free plan's option quotes are indicative",
    ),
    Listed(
        "massive",
        "massive:MassiveSource",
        ("bars", "quotes", "trades", "news", "actions", "short_interest", "short_volume", "options"),
        needs=("key",),
        terms="as the plan says; the free one is delayed by 15 minutes",
    ),
    Listed("yahoo", "yahoo:YahooSource", ("bars",), terms="undocumented, personal use, last resort"),
    Listed("edgar", "edgar:EdgarSource", ("filings", "fundamentals"), needs=("contact",), terms="public domain"),
    Listed("fred", "fred:FredSource", ("macro",), needs=("key",), terms="as each series says"),
    Listed("finra", "finra:FinraSource", ("short_interest", "short_volume"), terms="no redistribution"),
    Listed("frankfurter", "frankfurter:FrankfurterSource", ("fx",), terms="open; rates of the pinned provider"),
    Listed("finnhub", "finnhub:FinnhubSource", ("news",), needs=("key",), terms="as the plan says"),
    Listed(
        "newsapi",
        "newsapi:NewsApiSource",
        ("news",),
        needs=("key",),
        terms="the developer plan is delayed by a day and not for production",
    ),
)
SOURCES: Final[Mapping[str, Listed]] = {listed.name: listed for listed in _LIST}


def listed(name: str) -> Listed:
    """The line of the list. Raises DataError, with the nearest name."""
    if name not in SOURCES:
        near = difflib.get_close_matches(name, SOURCES, n=1)
        raise DataError(
            f"source={name!r} is not a source; the known ones are {', '.join(SOURCES)}.",
            remedy=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(SOURCES)}.",
        )
    return SOURCES[name]


def open_source(name: str, *, seed: int = 7, gateway: Gateway | None = None, access: Access | None = None) -> Any:
    """The source that a Study calls `name`; opening it asks nobody anything.

    Args:
        name: one of `SOURCES`.
        seed: the seed of a synthetic market; real sources do not look at it.
        gateway: the way to a vendor; sources that ask nobody do without.
        access: keys, contact and address; nothing is read from the environment here.

    Raises:
        DataError: there is no such source, or it needs a gateway, a key or a contact that was not given.
    """
    line = listed(name)
    module, kind = line.place.split(":")
    made = getattr(importlib.import_module(f"workbench.data.sources.{module}"), kind)
    if name == "bundled":
        return made()
    if name == "synthetic":
        return made(seed=seed)
    given = access or Access()
    lacking = [field for field in line.needs if not _said(given, field)]
    if gateway is None or lacking:
        said = " and ".join(lacking) or "gateway"
        raise DataError(
            f"source={name!r} needs a {said}, and none was given; nothing was opened.",
            remedy=f"set {', '.join(f'WORKBENCH_{name.upper()}_{field.upper()}' for field in lacking)}."
            if lacking
            else "pass gateway=Gateway.of(workspace).",
        )
    return made(gateway, given)


def about(name: str, *, seed: int = 7) -> Any:
    """What is known of a source without opening it: an object with `name`, `label`, `synthetic` and, of bars, `venue`.

    Raises DataError: there is no such source.
    """
    line = listed(name)
    if name in NAMES:
        return open_source(name, seed=seed)
    module, kind = line.place.split(":")
    return getattr(importlib.import_module(f"workbench.data.sources.{module}"), kind)


def _said(access: Access, field: str) -> bool:
    value = getattr(access, field)
    return bool((value if isinstance(value, str) else value.get_secret_value()).strip())
