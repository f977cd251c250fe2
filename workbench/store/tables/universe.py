"""Tables of universes: who is in from when to when, what was said about that and when, rules, and their rotations."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class UniverseRow(Table):
    """A named set of symbols."""

    __tablename__ = "universe"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    rule: Mapped[str] = mapped_column(Text, default="manual")
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class UniverseMemberRow(Table):
    """One stay of a symbol in a universe: from `entered` (included) until `left` (excluded; None: still in).

    The picture with all that is known by now, written anew whenever something is said of the symbol. Who was known to
    be in at a moment is told by `universe_change`; a symbol of which that table says nothing was here before it, and
    its stays count as known from the moments they begin and end.
    """

    __tablename__ = "universe_member"
    __table_args__ = (UniqueConstraint("universe", "symbol", "entered"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    universe: Mapped[str] = mapped_column(ForeignKey("universe.name"))
    symbol: Mapped[str] = mapped_column(String(32))
    entered: Mapped[dt.datetime]
    left: Mapped[dt.datetime | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    left_reason: Mapped[str | None] = mapped_column(Text)


class UniverseRuleRow(Table):
    """One version of the rule by which a universe rotates; the newest is in force, none is ever changed."""

    __tablename__ = "universe_rule"
    __table_args__ = (UniqueConstraint("universe", "version"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    universe: Mapped[str] = mapped_column(ForeignKey("universe.name"))
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(32))
    params: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class UniverseRotationRow(Table):
    """One time a rule was applied: with what was known at `as_of`, for the membership from `effective` on.

    `ran_at` is the clock on the wall: a rotation may be filled in long after the moment it speaks of.
    """

    __tablename__ = "universe_rotation"
    __table_args__ = (UniqueConstraint("universe", "as_of"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    universe: Mapped[str] = mapped_column(ForeignKey("universe.name"))
    as_of: Mapped[dt.datetime]
    effective: Mapped[dt.datetime]
    rule_version: Mapped[int]
    ranked: Mapped[int]
    entered: Mapped[list[Any]]
    left: Mapped[list[Any]]
    ran_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class UniverseChangeRow(Table):
    """One thing that was said: `symbol` enters or leaves at `happened`, which could be known from `learned` on.

    Rows are only ever added; `number` counts them within a universe.
    """

    __tablename__ = "universe_change"
    __table_args__ = (UniqueConstraint("universe", "number"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    universe: Mapped[str] = mapped_column(ForeignKey("universe.name"))
    number: Mapped[int]
    symbol: Mapped[str] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(8))
    happened: Mapped[dt.datetime]
    learned: Mapped[dt.datetime]
    reason: Mapped[str] = mapped_column(Text, default="")
    rotation: Mapped[str | None] = mapped_column(ForeignKey("universe_rotation.id"))
    recorded_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
