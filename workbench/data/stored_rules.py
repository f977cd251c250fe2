"""The rules of universes as they are stored: version by version, the newest in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.data import changes
from workbench.data.rotation_rules import IndexMembership, Manual, Ranked, Rule, rule
from workbench.errors import DataError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.store.tables.universe import UniverseRuleRow
    from workbench.store.workspace import Workspace


def set_rule(workspace: Workspace, name: str, chosen: Rule, *, reason: str) -> int:
    """Give a universe a rule from now on; it is created when it is new. Rules before it are kept.

    Returns:
        The version of the rule; that of the one in force where it is the same already.

    Raises:
        NoData: a universe that the rule names (its pool, its index) is not there.
        DataError: the rule names the universe itself.
    """
    from workbench.store.audit import record
    from workbench.store.engine import transaction
    from workbench.store.tables.universe import UniverseRuleRow

    with transaction(workspace.engine) as session:
        for other in _named(chosen):
            if other == name:
                raise DataError(f"the rule of {name!r} cannot choose from {name!r} itself; nothing was stored.")
            if other not in changes.names(session):
                raise changes.unknown(session, other)
        changes.create(session, name, chosen.kind)
        before = _newest(session, name)
        if before is not None and (before.kind, before.params) == (chosen.kind, chosen.params):
            return before.version
        version = 1 if before is None else before.version + 1
        session.add(
            UniverseRuleRow(universe=name, version=version, kind=chosen.kind, params=chosen.params, reason=reason)
        )
        record(
            session,
            entity="universe",
            entity_id=name,
            action="rule",
            before=None if before is None else {"version": before.version, "kind": before.kind, **before.params},
            after={"version": version, "kind": chosen.kind, **chosen.params, "reason": reason},
        )
    return version


def rule_of(workspace: Workspace, name: str) -> Rule:
    """The rule in force; `manual` where none was set. Raises NoData when there is no such universe."""
    from workbench.store.engine import transaction

    with transaction(workspace.engine) as session:
        return rule_in_force(session, name)[0]


def _newest(session: Session, name: str) -> UniverseRuleRow | None:
    from sqlalchemy import select

    from workbench.store.tables.universe import UniverseRuleRow as Row

    return session.scalars(select(Row).where(Row.universe == name).order_by(Row.version.desc()).limit(1)).first()


def rule_in_force(session: Session, name: str) -> tuple[Rule, int]:
    """The rule and its version; 0 where none was set."""
    if name not in changes.names(session):
        raise changes.unknown(session, name)
    row = _newest(session, name)
    return (Manual(), 0) if row is None else (rule(row.kind, **row.params), row.version)


def _named(chosen: Rule) -> tuple[str, ...]:
    """The universes that a rule chooses from."""
    if isinstance(chosen, IndexMembership):
        return (chosen.index,)
    return (chosen.pool,) if isinstance(chosen, Ranked) and isinstance(chosen.pool, str) else ()
