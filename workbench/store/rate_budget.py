"""The requests an account may send per minute: one stored bucket for all processes, with a share kept for cancels."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Literal, Protocol

from sqlalchemy import bindparam, select

from workbench.errors import ParameterError
from workbench.store.insert import insert_of
from workbench.store.tables.risk import RateBudgetRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Lane = Literal["order", "cancel", "read"]

RESERVED = 0.2  # the share of the limit that only the lane `cancel` may use, rounded up
WINDOW = 60  # seconds; the limit counts requests in any window of this length
_ROW = select(RateBudgetRow).where(RateBudgetRow.account == bindparam("account")).with_for_update()


class RateSeen(Protocol):
    """What the broker's headers said: requests per minute, how many are left, when its own count starts again (UTC)."""

    @property
    def limit(self) -> int | None:
        """X-RateLimit-Limit; None: not said."""

    @property
    def remaining(self) -> int | None:
        """X-RateLimit-Remaining; None: not said."""

    @property
    def reset(self) -> dt.datetime | None:
        """X-RateLimit-Reset; None: not said."""


def take(session: Session, account: str, *, lane: Lane, at: dt.datetime, per_minute: int | None) -> dt.datetime | None:
    """Use one request of the budget, in the caller's transaction: None: go. Otherwise when there is one; none was used.

    In no window of 60 s are there more than `per_minute` requests, whatever number of processes take them, because the
    row stays locked until the caller commits and a token comes back 60 to 61 s after its use. The lanes `order` and
    `read` leave `RESERVED` of the limit to `cancel`. The limit is `per_minute`, or the broker's own where that is less.

    A moment before the newest one that is stored counts as that one, so a clock that lags uses no token twice.

    Args:
        at: now (UTC), a moment of the caller's wall clock.
        per_minute: the limit; None: there is none, and nothing is counted.

    Raises:
        ParameterError: `per_minute` is below 1.
    """
    return take_some(session, account, 1, lane=lane, at=at, per_minute=per_minute)[1]


def take_some(
    session: Session, account: str, wanted: int, *, lane: Lane, at: dt.datetime, per_minute: int | None
) -> tuple[int, dt.datetime | None]:
    """Use up to `wanted` requests at once: how many there were, and when there is a next one (None: all were there).

    See `take`. Raises ParameterError as it does.
    """
    if per_minute is None:
        return wanted, None
    if per_minute < 1:
        raise ParameterError(
            f"per_minute={per_minute} must be at least 1; no request was counted.", remedy="None means: no limit."
        )
    row = _locked(session, account, at)
    now = max(at, row.updated_at)
    if row.limited_until is not None and row.limited_until > now:
        return 0, row.limited_until
    second = int(now.timestamp())
    used = _standing(row.used, second)
    total = sum(count for _, count in used)
    most = _most(row, lane, per_minute)
    granted = max(0, min(wanted, most - total))
    if granted:
        if used and used[-1][0] == second:
            used[-1][1] += granted
        else:
            used.append([second, granted])
        row.used, row.updated_at, row.limited_until = used, now, None
        session.flush()
    return granted, None if granted == wanted else _free_at(used, total + granted - most + 1)


def correct(session: Session, account: str, seen: RateSeen, *, at: dt.datetime) -> None:
    """Correct the bucket by what the broker's headers said, in the caller's transaction.

    What the broker counts and we do not (another program on the same keys) is used up here too, until the broker's own
    count starts again. Where we count more, ours stands: a request may be on its way. With nothing remaining, nothing
    is sent before the reset.
    """
    if seen.limit is None and seen.remaining is None:
        return
    row = _locked(session, account, at)
    now = max(at, row.updated_at)
    second = int(now.timestamp())
    used = _standing(row.used, second)
    if seen.limit is not None and seen.limit > 0:
        row.told_limit = seen.limit
    if seen.remaining is not None and row.told_limit is not None:
        ours = sum(count for _, count in used)
        unknown = row.told_limit - seen.remaining - ours
        if unknown > 0:
            back_at = min(math.ceil(seen.reset.timestamp()), second + WINDOW + 1) if seen.reset else second + WINDOW + 1
            used = sorted([*used, [back_at - WINDOW - 1, unknown]])
    if seen.remaining is not None and seen.remaining <= 0 and seen.reset is not None and seen.reset > now:
        row.limited_until = max(row.limited_until or seen.reset, seen.reset)
    row.used, row.updated_at = _standing(used, second), now
    session.flush()


def reserved_of(limit: int) -> int:
    """How many of `limit` requests only the lane `cancel` may use; at least one is always left to the others."""
    return min(math.ceil(RESERVED * limit), limit - 1)


def left(session: Session, account: str, *, lane: Lane, at: dt.datetime, per_minute: int) -> int:
    """How many requests the lane could take now."""
    row = session.get(RateBudgetRow, account)
    if row is None:
        return per_minute if lane == "cancel" else per_minute - reserved_of(per_minute)
    if row.limited_until is not None and row.limited_until > at:
        return 0
    used = _standing(row.used, int(max(at, row.updated_at).timestamp()))
    return max(0, _most(row, lane, per_minute) - sum(count for _, count in used))


def _most(row: RateBudgetRow, lane: Lane, per_minute: int) -> int:
    """How many requests of a minute the lane may use."""
    limit = per_minute if row.told_limit is None else max(1, min(per_minute, row.told_limit))
    return limit if lane == "cancel" else limit - reserved_of(limit)


def _locked(session: Session, account: str, at: dt.datetime) -> RateBudgetRow:
    """The account's row, made where there is none, locked until the transaction ends (SQLite has one writer anyway)."""
    row = session.scalars(_ROW, {"account": account}).one_or_none()
    if row is None:
        # Two processes may meet an absent row: the second waits for the first one's commit, and then finds it.
        insert = insert_of(session.get_bind())
        fresh = {"account": account, "used": [], "updated_at": at}
        session.execute(insert(RateBudgetRow).values(fresh).on_conflict_do_nothing())
        row = session.scalars(_ROW, {"account": account}).one()
    return row


def _standing(used: list[list[int]], second: int) -> list[list[int]]:
    """The entries that still count in `second`, copied: a change of the stored list itself would not be noticed."""
    return [[when, count] for when, count in used if second - when <= WINDOW]


def _free_at(used: list[list[int]], needed: int) -> dt.datetime:
    """When at least `needed` of the used tokens are back."""
    for when, count in used:
        needed -= count
        if needed <= 0:
            return dt.datetime.fromtimestamp(when + WINDOW + 1, dt.UTC)
    raise AssertionError("more tokens are needed back than were used")
