"""The sources of facts by name; each vendor has one file and knows no other."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from workbench.data.access import Access
from workbench.data.raw import SUFFIX, AboutRaw, RawBars
from workbench.errors import DataError

if TYPE_CHECKING:
    from workbench.data.gateway import Gateway

NAMES: Final = ("bundled", "synthetic")  # open to everybody, without a network
MARKET: Final = "market"  # several vendors as one: `workbench.data.chain`


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list of sources.

    Attributes:
        place: module and class; empty for `market`, which is made of others.
        kinds: what it can be asked for: the names of its methods.
        needs: the fields of `Access` that must not be empty, each with the setting that fills it.
        terms: what its owner allows, in a sentence; read it before you store or pass on anything.
    """

    name: str
    place: str
    kinds: tuple[str, ...]
    needs: tuple[tuple[str, str], ...] = ()
    terms: str = ""


_LIST = (
    Listed("bundled", "bundled:BundledSource", ("bars",), terms="data of packages installed here"),
    Listed("synthetic", "synthetic:SyntheticSource", ("bars",), terms="ours"),
    Listed(
        "alpaca",
        "alpaca:AlpacaSource",
        ("bars", "quotes", "trades", "news", "actions", "options"),
        needs=(("key", "WORKBENCH_ALPACA_KEY_ID"), ("secret", "WORKBENCH_ALPACA_SECRET_KEY")),
        terms="for the account's own use; the free plan's option quotes are indicative",
    ),
    Listed(
        "massive",
        "massive:MassiveSource",
        ("bars", "quotes", "trades", "news", "actions", "short_interest", "short_volume", "options"),
        needs=(("key", "WORKBENCH_MASSIVE_KEY"),),
        terms="as the plan says; the free one has a day's bars when the day is over, and no quotes or trades",
    ),
    Listed(
        "alpaca-raw",
        "alpaca:AlpacaSource",
        ("bars",),
        needs=(("key", "WORKBENCH_ALPACA_KEY_ID"), ("secret", "WORKBENCH_ALPACA_SECRET_KEY")),
        terms="as alpaca; prices as they were traded, to be adjusted as known at a moment",
    ),
    Listed(
        "massive-raw",
        "massive:MassiveSource",
        ("bars",),
        needs=(("key", "WORKBENCH_MASSIVE_KEY"),),
        terms="as massive; prices as they were traded, to be adjusted as known at a moment",
    ),
    Listed("yahoo", "yahoo:YahooSource", ("bars",), terms="undocumented, personal use, last resort"),
    Listed(
        "market", "", ("bars",), terms="as those of alpaca, massive and yahoo, of whom it asks the first that answers"
    ),
    Listed(
        "edgar",
        "edgar:EdgarSource",
        ("filings", "fundamentals"),
        needs=(("contact", "WORKBENCH_EDGAR_CONTACT"),),
        terms="public domain",
    ),
    Listed("fred", "fred:FredSource", ("macro",), needs=(("key", "WORKBENCH_FRED_KEY"),), terms="as each series says"),
    Listed("finra", "finra:FinraSource", ("short_interest", "short_volume"), terms="no redistribution"),
    Listed("frankfurter", "frankfurter:FrankfurterSource", ("fx",), terms="open; rates of the pinned provider"),
    Listed(
        "finnhub",
        "finnhub:FinnhubSource",
        ("news",),
        needs=(("key", "WORKBENCH_FINNHUB_KEY"),),
        terms="as the plan says",
    ),
    Listed(
        "newsapi",
        "newsapi:NewsApiSource",
        ("news",),
        needs=(("key", "WORKBENCH_NEWSAPI_KEY"),),
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


def open_source(
    name: str,
    *,
    seed: int = 7,
    gateway: Gateway | None = None,
    access: Access | None = None,
    accesses: Mapping[str, Access] | None = None,
) -> Any:
    """The source that a Study calls `name`; opening it asks nobody anything.

    Args:
        name: one of `SOURCES`.
        seed: the seed of a synthetic market; real sources do not look at it.
        gateway: the way to a vendor; sources that ask nobody do without.
        access: keys, contact and address; nothing is read from the environment here.
        accesses: the same of several vendors by name: what `market` is opened with; looked into where `access` is
            not given.

    Raises:
        DataError: there is no such source, or it needs a gateway, a key or a contact that was not given.
    """
    line = listed(name)
    if name == MARKET:
        return _market(gateway, accesses or {})
    if name == "bundled":
        return _class(line)()
    if name == "synthetic":
        return _class(line)(seed=seed)
    given = access or (accesses or {}).get(name.removesuffix(SUFFIX))
    if name.endswith(SUFFIX):
        return RawBars(_open(line, gateway, given, adjustment="raw"))
    return _open(line, gateway, given)


def _class(line: Listed) -> Any:
    module, kind = line.place.split(":")
    return getattr(importlib.import_module(f"workbench.data.sources.{module}"), kind)


def _open(line: Listed, gateway: Gateway | None, access: Access | None, **options: str) -> Any:
    given = access or Access()
    missing = lacking(line, given)
    if gateway is None or missing:
        raise DataError(
            f"source={line.name!r} needs {' and '.join(missing) or 'a gateway'}, which was not given; nothing was "
            "opened.",
            remedy=f"set {' and '.join(missing)}." if missing else "pass gateway=Gateway.of(workspace).",
        )
    return _class(line)(gateway, given, **options)


def about(name: str, *, seed: int = 7) -> Any:
    """What is known of a source without opening it: an object with `name`, `label`, `synthetic` and, of bars, `venue`.

    Raises DataError: there is no such source.
    """
    line = listed(name)
    if name in NAMES:
        return open_source(name, seed=seed)
    if name == MARKET:
        from workbench.data.chain import Chain

        return Chain
    return AboutRaw(_class(line)) if name.endswith(SUFFIX) else _class(line)


def _market(gateway: Gateway | None, accesses: Mapping[str, Access]) -> Any:
    """The chain of those of its vendors that can be opened; the others are named in its label."""
    from workbench.data.chain import LINKS, Chain

    links, without = [], {}
    for name in LINKS:
        try:
            links.append(_open(listed(name), gateway, accesses.get(name), adjustment="split"))
        except DataError as error:
            without[name] = ", ".join(lacking(listed(name), accesses.get(name, Access()))) or error.message
    if not links:
        raise DataError(
            f"source={MARKET!r} needs one of {', '.join(LINKS)}, and none could be opened: "
            f"{'; '.join(f'{name}: {why}' for name, why in without.items())}",
            remedy="pass gateway=Gateway.of(workspace) and accesses.",
        )
    return Chain(links, without=without)


def lacking(line: Listed, access: Access) -> tuple[str, ...]:
    """The settings without which the source cannot be asked."""
    return tuple(setting for field, setting in line.needs if not _said(getattr(access, field)))


def _said(value: str | SecretStr) -> bool:
    return bool((value if isinstance(value, str) else value.get_secret_value()).strip())
