"""The declarative root of all tables, and the three column types that SQLite and PostgreSQL must agree on."""

from __future__ import annotations

import datetime as dt
import os
import time
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, MetaData, Numeric, String, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase

from workbench.errors import StoreError


class UtcDateTime(TypeDecorator[dt.datetime]):
    """A timezone-aware UTC datetime. Naive values are refused: a clock without a zone is a bug."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise StoreError(f"{value!r} has no timezone; it was not stored.", remedy="use datetime.now(UTC).")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Money(TypeDecorator[Decimal]):
    """An exact Decimal. SQLite has no decimal type, so it is text there; compare and add it in Python."""

    impl = Numeric(38, 12)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(48))
        return dialect.type_descriptor(Numeric(38, 12))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not value.is_finite():
            raise StoreError(f"{value} is not finite; it was not stored as money.")
        return format(value, "f") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).normalize() + 0


class Table(DeclarativeBase):
    """The root of all tables: names of constraints are fixed, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dt.datetime: UtcDateTime,
        Decimal: Money,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


def new_id() -> str:
    """A random row id: 32 hex digits."""
    return os.urandom(16).hex()


def ordered_id() -> str:
    """A row id like `new_id` that sorts by when it was made: 12 hex digits of milliseconds, then 20 random ones.

    For rows that are written by the thousand: they land next to each other in an index, not all over it.
    """
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def utc_now() -> dt.datetime:
    """The wall clock in UTC, for `created_at` columns only; decisions never read it."""
    return dt.datetime.now(dt.UTC)
