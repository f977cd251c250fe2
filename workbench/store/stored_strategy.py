"""A stored strategy as a value: one version of a registered idea, and how it becomes a strategy again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import VersionConflict
from workbench.strategies import registered
from workbench.strategies.code import code_identity
from workbench.strategies.schema import parse_params

if TYPE_CHECKING:
    from workbench.store.tables.strategy import StrategyRow, StrategyVersionRow
    from workbench.strategy import Strategy


@dataclass(frozen=True)
class Stored:
    """One version of a registered strategy.

    Attributes:
        id: of the strategy; it stays, whatever is changed.
        title: unique among those that are not deleted.
        kind: name of the strategy's class.
        number: of this version of parameters and code, from 1 on.
        newest: number of the newest version.
        params: as plain JSON values, complete: a default that changes later does not change them.
        code_hash: of the code the version was made for, see `workbench.strategies.code.code_identity`.
        strategy_hash: of the idea as its runs know it.
        code_changed: the code of today is another one, or the kind is no longer there.
        note: why this version; `who` and `created_at` tell by whom and when.
        version: rises with every change of title, description, parameters or life; what `expected_version` means.
        deleted_at: None while it lives.
    """

    id: str
    title: str
    kind: str
    description: str
    number: int
    newest: int
    params: dict[str, Any]
    code_hash: str
    strategy_hash: str
    code_changed: bool
    note: str
    who: str
    created_at: dt.datetime
    updated_at: dt.datetime
    version: int
    deleted_at: dt.datetime | None = None

    @property
    def line(self) -> str:
        """Title, kind, parameters and version on one line."""
        inner = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.title} · {self.kind}({inner}) · version {self.number} of {self.newest}"

    def __str__(self) -> str:
        return self.line


def strategy_of(stored: Stored, *, any_code: bool = False) -> Strategy:
    """The strategy, built by its class from the stored parameters.

    Args:
        any_code: build it with the code of today even where the version was made for another one.

    Raises:
        VersionConflict: the code has changed since the version was stored, so it is not the idea that was tried.
        ParameterError: its kind is gone, or its schema no longer accepts the parameters.
    """
    strategy = parse_params(stored.kind, stored.params)
    today = code_identity(type(strategy))
    if today != stored.code_hash and not any_code:
        raise VersionConflict(
            f"the code of {stored.kind} has changed since version {stored.number} of {stored.title!r} was stored "
            f"({stored.code_hash[:12]} then, {today[:12]} now); it was not built.",
            remedy="look at the change, then update the strategy (the same parameters make a new version for the new "
            "code), or pass any_code=True.",
            stored=stored.code_hash,
            found=today,
        )
    return strategy


def value_of(row: StrategyRow, version: StrategyVersionRow) -> Stored:
    """The value of two rows; asks whether the code is still the same."""
    kind = registered().get(row.kind)
    return Stored(
        id=row.id,
        title=row.title,
        kind=row.kind,
        description=row.description,
        number=version.number,
        newest=row.newest,
        params=version.params,
        code_hash=version.code_hash,
        strategy_hash=version.strategy_hash,
        code_changed=kind is None or code_identity(kind) != version.code_hash,
        note=version.note,
        who=version.who,
        created_at=version.created_at,
        updated_at=row.updated_at,
        version=row.version,
        deleted_at=row.deleted_at,
    )


def facts_of(stored: Stored) -> dict[str, Any]:
    """What the audit keeps of a strategy."""
    names = ("title", "kind", "description", "number", "params", "code_hash", "version")
    return {name: getattr(stored, name) for name in names}
