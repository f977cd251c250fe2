"""EvidencePack: what the analysts may know about one symbol at one moment, named by its sha256."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.arena.facts import CATALOGUE, Known, Panel, Unknown
from workbench.data.significant import significant
from workbench.errors import ArenaError, NoData
from workbench.market.view import MarketView
from workbench.study import canonical, digest

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One fact: `value` in `unit`, over `window` sessions, complete in the session `happened` (ISO date)."""

    id: str
    name: str
    value: float
    unit: str
    window: int
    happened: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A fact that is not known, and why. Absence is never a number."""

    id: str
    name: str
    reason: str


@dataclass(frozen=True)
class EvidencePack:
    """Point-in-time facts about one symbol.

    Ids are the place in the catalogue of facts (`e01` is always the last close), so a citation means the same in every
    pack, and a missing fact leaves its id unused. No clock is read: the same view always gives the same pack.

    Attributes:
        as_of: the moment of the view, ISO 8601 in UTC.
        session: its newest session, ISO date.
        universe: all symbols of the view, sorted: ranks and breadth depend on them.
        items: the known facts, in the order of their ids.
        missing: the unknown ones.
    """

    symbol: str
    as_of: str
    session: str
    venue: str
    label: str
    synthetic: bool
    universe: tuple[str, ...]
    items: tuple[Item, ...]
    missing: tuple[Missing, ...]

    @classmethod
    def of(cls, view: MarketView, symbol: str) -> EvidencePack:
        """The pack of one symbol. Raises NoData when the symbol is not in the view."""
        return cls.of_all(view, (symbol,))[0]

    @classmethod
    def of_all(cls, view: MarketView, symbols: Sequence[str]) -> list[EvidencePack]:
        """The packs of several symbols, in the order given; what they share is computed once.

        Raises:
            NoData: a symbol is not in the view. A symbol in the view without closes gives a pack of missing facts.
        """
        panel = Panel.of(view)
        for symbol in symbols:
            if symbol not in panel.symbols:
                raise NoData(
                    f"symbol={symbol!r} is not in this view; no evidence was gathered.",
                    remedy=f"it knows {', '.join(panel.symbols)}.",
                )
        universe = tuple(sorted(panel.symbols))
        packs = []
        for symbol in symbols:
            items, missing = _gather(Known.of(panel, symbol))
            packs.append(
                cls(
                    symbol=symbol,
                    as_of=view.as_of.isoformat(),
                    session=view.session.date().isoformat(),
                    venue=view.venue,
                    label=view.label,
                    synthetic=view.synthetic,
                    universe=universe,
                    items=items,
                    missing=missing,
                )
            )
        return packs

    @functools.cached_property
    def body(self) -> dict[str, Any]:
        """The pack as plain JSON values; `from_body` is its inverse."""
        return {
            "schema": SCHEMA,
            "symbol": self.symbol,
            "as_of": self.as_of,
            "session": self.session,
            "venue": self.venue,
            "label": self.label,
            "synthetic": self.synthetic,
            "universe": list(self.universe),
            "items": [_plain(item) for item in self.items],
            "missing": [_plain(line) for line in self.missing],
        }

    @functools.cached_property
    def hash(self) -> str:
        """sha256 (64 hex digits) of the canonical JSON of the body."""
        return digest(self.body)

    @property
    def text(self) -> str:
        """The canonical JSON of the body: the bytes that are hashed."""
        return canonical(self.body)

    @functools.cached_property
    def ids(self) -> frozenset[str]:
        """The ids that may be cited."""
        return frozenset(item.id for item in self.items)

    @functools.cached_property
    def _by_name(self) -> dict[str, Item]:
        return {item.name: item for item in self.items}

    def item(self, name: str) -> Item | None:
        """The fact of that name, None when it is missing here. Raises ArenaError for a name no pack has."""
        if name not in _NAMES:
            raise ArenaError(f"{name!r} is not a fact of evidence packs.", remedy=f"known: {', '.join(_NAMES)}.")
        return self._by_name.get(name)

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> EvidencePack:
        """Rebuild a pack from its body, as the store keeps it. Raises ArenaError when it has another schema."""
        if body.get("schema") != SCHEMA:
            raise ArenaError(
                f"the evidence pack has schema {body.get('schema')!r}; this version reads {SCHEMA}.",
                remedy="read it with the version of the product that wrote it.",
            )
        plain = {name: body[name] for name in ("symbol", "as_of", "session", "venue", "label", "synthetic")}
        return cls(
            **plain,
            universe=tuple(body["universe"]),
            items=tuple(Item(**item) for item in body["items"]),
            missing=tuple(Missing(**line) for line in body["missing"]),
        )

    def as_frame(self) -> pd.DataFrame:
        """The pack for a notebook: one row per fact, index id; NaN value and a reason where a fact is missing."""
        import pandas as pd

        meanings = {fact.name: fact.meaning for fact in CATALOGUE}
        known = [{**_plain(item), "note": meanings.get(item.name, "")} for item in self.items]
        unknown = [
            {"id": line.id, "name": line.name, "value": math.nan, "note": f"missing: {line.reason}"}
            for line in self.missing
        ]
        columns = ["id", "name", "value", "unit", "window", "happened", "note"]
        frame = pd.DataFrame(known + unknown, columns=columns).sort_values("id").set_index("id")
        return frame.astype({"window": "Int64"})


_NAMES = tuple(fact.name for fact in CATALOGUE)


def _plain(line: Item | Missing) -> dict[str, Any]:
    # dataclasses.asdict copies deeply and takes ten times as long; these fields are plain values.
    return {field.name: getattr(line, field.name) for field in dataclasses.fields(line)}


def _gather(known: Known) -> tuple[tuple[Item, ...], tuple[Missing, ...]]:
    items, missing = [], []
    for number, fact in enumerate(CATALOGUE, start=1):
        name = f"e{number:02d}"
        try:
            value, back = fact.compute(known)
        except Unknown as reason:
            missing.append(Missing(id=name, name=fact.name, reason=str(reason)))
            continue
        value = significant(float(value))
        if not math.isfinite(value):
            missing.append(Missing(id=name, name=fact.name, reason="the formula gave no finite number"))
            continue
        items.append(
            Item(
                id=name,
                name=fact.name,
                value=value,
                unit=fact.unit,
                window=fact.window,
                happened=known.day(back),
            )
        )
    return tuple(items), tuple(missing)
