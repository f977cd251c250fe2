"""The registry of strategies: named ideas, every version of their parameters and code, and who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select
from sqlalchemy.exc import IntegrityError

from workbench.errors import NoData, ParameterError, VersionConflict
from workbench.store.audit import actor, record
from workbench.store.engine import transaction
from workbench.store.schema import new_id, utc_now
from workbench.store.stored_strategy import Stored, facts_of, strategy_of, value_of
from workbench.store.tables.strategy import StrategyRow, StrategyVersionRow
from workbench.strategies.code import code_identity
from workbench.strategies.schema import parse_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine, Select
    from sqlalchemy.orm import Session

    from workbench.strategies.schema import Body
    from workbench.strategy import Strategy

__all__ = ["Stored", "create", "delete", "listed", "read", "restore", "strategy_of", "update", "versions"]

_ENTITY = "strategy"


def create(
    engine: Engine,
    title: str,
    kind: str,
    params: Mapping[str, Any] | None = None,
    *,
    description: str = "",
    note: str = "",
) -> Stored:
    """Register a strategy; its first version has the parameters and the code of now.

    Args:
        params: what differs from the defaults, as plain JSON values.
        note: why this version.

    Raises:
        ParameterError: a value is not accepted by the strategy's schema, or the title is taken; nothing was stored.
    """
    body = {"title": title, "kind": kind, "params": dict(params or {}), "description": description, "note": note}
    accepted = parse_body(body)
    try:
        with transaction(engine) as session:
            return _created(session, accepted)
    except IntegrityError as error:
        raise _taken(accepted.title, error) from error


def read(engine: Engine, title_or_id: str, number: int | None = None) -> Stored:
    """A strategy by its id (also a deleted one) or by its title; its newest version when `number` is None.

    Raises:
        NoData: there is none, or it has no such version.
    """
    with transaction(engine) as session:
        return _stored(session, _found(session, title_or_id), number)


def update(
    engine: Engine,
    identifier: str,
    *,
    expected_version: int,
    params: Mapping[str, Any] | None = None,
    title: str | None = None,
    description: str | None = None,
    note: str = "",
) -> Stored:
    """Change a strategy that nobody else has changed since `expected_version` was read.

    A new version of parameters and code is stored only when one of the two is another one now; where nothing at all is
    another one, nothing is written.

    Args:
        expected_version: `Stored.version` as it was read.
        params: the parameters, all of them: what is absent takes its default. None leaves them as they are.

    Raises:
        ParameterError: a value is not accepted, or the title is taken.
        VersionConflict: somebody else changed it meanwhile; the message has both values, nothing was overwritten.
        NoData: there is no such strategy, or it is deleted.
    """
    try:
        with transaction(engine) as session:
            return _updated(
                session,
                identifier,
                expected=expected_version,
                wanted={"title": title, "params": params, "description": description, "note": note},
            )
    except IntegrityError as error:
        raise _taken(str(title), error) from error


def delete(engine: Engine, identifier: str, *, expected_version: int) -> Stored:
    """Delete a strategy: it keeps its versions and can be restored, and its title is free again.

    Raises:
        VersionConflict: somebody else changed it meanwhile; it was not deleted.
        NoData: there is no such strategy, or it is deleted already.
    """
    with transaction(engine) as session:
        row = _locked(session, identifier, alive=True)
        stored = _stored(session, row)
        _expect(row, stored, expected_version, wanted={"deleted": True})
        row.deleted_at = row.updated_at = utc_now()
        record(session, entity=_ENTITY, entity_id=row.id, action="DELETED", before=facts_of(stored))
        session.flush()
        return _stored(session, row)


def restore(engine: Engine, identifier: str) -> Stored:
    """Bring a deleted strategy back under its title; one that lives is returned as it is.

    Raises:
        ParameterError: the title was given to another one meanwhile.
        NoData: there is no strategy with this id.
    """
    title = ""
    try:
        with transaction(engine) as session:
            row = _locked(session, identifier, alive=False)
            title = row.title
            if row.deleted_at is not None:
                row.deleted_at, row.updated_at = None, utc_now()
                session.flush()
                record(
                    session, entity=_ENTITY, entity_id=row.id, action="RESTORED", after=facts_of(_stored(session, row))
                )
            return _stored(session, row)
    except IntegrityError as error:
        raise _taken(title, error) from error


def listed(
    engine: Engine, *, kind: str | None = None, deleted: bool = False, after: str | None = None, limit: int = 50
) -> list[Stored]:
    """The newest version of each strategy, the youngest strategy first.

    Args:
        kind: only strategies of this class.
        deleted: the deleted ones instead of the living.
        after: `id` of the last one seen: the next page begins behind it, also when it was deleted meanwhile.
        limit: how many at most, from 1 to 1000.

    Raises:
        ParameterError: `limit` is out of bounds.
        NoData: nothing has the id `after`.
    """
    if not 1 <= limit <= 1000:
        raise ParameterError(f"limit={limit!r} must lie from 1 to 1000; nothing was read.", remedy="use e.g. 50.")
    query = select(StrategyRow, StrategyVersionRow).join(
        StrategyVersionRow,
        and_(StrategyVersionRow.strategy_id == StrategyRow.id, StrategyVersionRow.number == StrategyRow.newest),
    )
    query = query.where(StrategyRow.deleted_at.is_not(None) if deleted else StrategyRow.deleted_at.is_(None))
    if kind is not None:
        query = query.where(StrategyRow.kind == kind)
    with transaction(engine) as session:
        if after is not None:
            seen = session.get(StrategyRow, after)
            if seen is None:
                raise NoData(f"after={after!r} is no strategy.", remedy="pass the id of the last one of a page.")
            older = StrategyRow.created_at < seen.created_at
            query = query.where(or_(older, and_(StrategyRow.created_at == seen.created_at, StrategyRow.id < seen.id)))
        ordered = query.order_by(StrategyRow.created_at.desc(), StrategyRow.id.desc()).limit(limit)
        return [value_of(row, version) for row, version in session.execute(ordered).all()]


def versions(engine: Engine, identifier: str) -> list[Stored]:
    """Every version of a strategy, the newest first. Raises NoData when there is no such id or title."""
    with transaction(engine) as session:
        row = _found(session, identifier)
        rows = session.scalars(_versions_of(row).order_by(StrategyVersionRow.number.desc())).all()
        return [value_of(row, version) for version in rows]


def _created(session: Session, body: Body) -> Stored:
    row = StrategyRow(id=new_id(), title=body.title, kind=body.kind, description=body.description)
    session.add(row)
    session.flush()
    session.add(_version(row, body.strategy, number=1, note=body.note))
    session.flush()
    stored = _stored(session, row)
    record(session, entity=_ENTITY, entity_id=row.id, action="CREATED", after=facts_of(stored))
    return stored


def _updated(session: Session, identifier: str, *, expected: int, wanted: dict[str, Any]) -> Stored:
    row = _locked(session, identifier, alive=True)
    stored = _stored(session, row)
    asked = {name: value for name, value in wanted.items() if value is not None}
    _expect(row, stored, expected, wanted={name: value for name, value in asked.items() if name != "note"})
    body = parse_body({"title": row.title, "kind": row.kind, **asked})
    row.title = body.title
    row.description = body.description if "description" in asked else row.description
    changed = body.params != stored.params or code_identity(type(body.strategy)) != stored.code_hash
    if "params" in asked and changed:
        row.newest += 1
        session.add(_version(row, body.strategy, number=row.newest, note=body.note))
    if not session.is_modified(row):
        return stored
    row.updated_at = utc_now()
    session.flush()
    after = _stored(session, row)
    record(session, entity=_ENTITY, entity_id=row.id, action="UPDATED", before=facts_of(stored), after=facts_of(after))
    return after


def _version(row: StrategyRow, strategy: Strategy, *, number: int, note: str) -> StrategyVersionRow:
    return StrategyVersionRow(
        strategy_id=row.id,
        number=number,
        params=strategy.params,
        code_hash=code_identity(type(strategy)),
        strategy_hash=strategy.hash,
        note=note,
        who=actor(),
    )


def _found(session: Session, title_or_id: str) -> StrategyRow:
    row = None if "\x00" in title_or_id else session.get(StrategyRow, title_or_id)
    if row is None and "\x00" not in title_or_id:  # PostgreSQL cannot even be asked about that character
        named = select(StrategyRow).where(StrategyRow.title == title_or_id, StrategyRow.deleted_at.is_(None))
        row = session.scalar(named)
    if row is None:
        raise NoData(f"no strategy has the title or id {title_or_id!r}.", remedy="look at the list of strategies.")
    return row


def _locked(session: Session, identifier: str, *, alive: bool) -> StrategyRow:
    """The row with this id, held until the transaction ends: the second writer sees what the first one wrote."""
    row = None if "\x00" in identifier else session.get(StrategyRow, identifier, with_for_update=True)
    if row is None or (alive and row.deleted_at is not None):
        deleted = row is not None
        raise NoData(
            f"strategy {identifier!r} {'is deleted' if deleted else 'does not exist'}; nothing was changed.",
            remedy="restore it first." if deleted else "pass the id that `create` or `read` gave.",
        )
    return row


def _expect(row: StrategyRow, stored: Stored, expected: int, *, wanted: dict[str, Any]) -> None:
    """Refuse a writer that has not seen the newest state."""
    if row.version == expected:
        return
    theirs = {"title": stored.title, "params": stored.params, "description": stored.description, "deleted": False}
    differing = {
        name: (theirs[name], value) for name, value in wanted.items() if name in theirs and theirs[name] != value
    }
    said = "; ".join(f"{name} is {now!r} and was to become {value!r}" for name, (now, value) in differing.items())
    raise VersionConflict(
        f"{stored.title!r} was changed by somebody else: you have seen version {expected}, it is at {row.version} "
        f"(since {row.updated_at:%Y-%m-%d %H:%M:%S} UTC){'; ' + said if said else ''}. Nothing was overwritten.",
        remedy="read it again, look at the difference, and repeat the change with its version.",
        expected=expected,
        found=row.version,
        theirs={name: now for name, (now, _) in differing.items()},
        yours={name: value for name, (_, value) in differing.items()},
    )


def _versions_of(row: StrategyRow) -> Select[StrategyVersionRow]:
    return select(StrategyVersionRow).where(StrategyVersionRow.strategy_id == row.id)


def _stored(session: Session, row: StrategyRow, number: int | None = None) -> Stored:
    wanted = row.newest if number is None else number
    version = session.scalar(_versions_of(row).where(StrategyVersionRow.number == wanted))
    if version is None:
        raise NoData(
            f"{row.title!r} has no version {number}; it has 1 to {row.newest}.",
            remedy="leave the number out for the newest.",
        )
    return value_of(row, version)


def _taken(title: str, error: IntegrityError) -> Exception:
    """What the database says about a title that is there already, in our words; anything else stays as it is."""
    if "title" not in str(error.orig):
        return error
    return ParameterError(
        f"title={title!r} is taken by another strategy; nothing was stored.",
        remedy="choose another title, or update the one that has it.",
        details=[{"loc": ["title"], "msg": "taken by another strategy", "input": title}],
    )
