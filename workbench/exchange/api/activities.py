"""The resource of account activities: fills, exercises, assignments, expiries, fees, in one order and in pages."""

from __future__ import annotations

import datetime as dt
from typing import Any

from workbench.exchange.api.resource import AccountResource
from workbench.exchange.clock import moment_of, text_of
from workbench.exchange.requests.fields import MALFORMED
from workbench.exchange.state.records import Activity, Execution
from workbench.exchange.wire import Refusal, activity_json, other_activity_json

LARGEST_PAGE = 100
FILL = "FILL"
CATEGORIES = ("trade_activity", "non_trade_activity")


class Activities(AccountResource):
    """/v2/account/activities and /v2/account/activities/{type}. Types here: FILL, OPEXC, OPASN, OPEXP, OPTRD, FEE."""

    async def get(self, kind: str | None = None) -> None:
        """Activities, newest first: page_size (100, at most 100), page_token (last id seen), direction, after, until.

        `date` is a day in UTC; `after` and `until` exclude their moment; `activity_types` are many with commas,
        `category` is trade_activity (fills) or non_trade_activity. Fills stand before other activities of their moment.
        """
        asked = self._kinds(kind)
        descending = (self.query("direction") or "desc").lower() != "asc"
        where, values = self._window()
        size, token = self._page_size(), self._token()
        rows: list[tuple[tuple[dt.datetime, int, int], dict[str, Any]]] = []
        ledger, account = self.exchange.venue.ledger, self.account
        if asked is None or FILL in asked:
            there, more = _beyond(token, 0, descending=descending)
            fills = ledger.executions(
                account.id, where=f"{where} AND {there}", values=(*values, *more), descending=descending, limit=size
            )
            rows += [((one.happened, 0, one.number), activity_json(one)) for one in fills]
        others = None if asked is None else sorted(asked - {FILL})
        if others is None or others:
            there, more = _beyond(token, 1, descending=descending)
            if others is not None:
                there += f" AND kind IN ({','.join('?' * len(others))})"
                more += others
            found = ledger.activities(
                account.id, where=f"{where} AND {there}", values=(*values, *more), descending=descending, limit=size
            )
            rows += [((one.happened, 1, one.number), other_activity_json(one)) for one in found]
        rows.sort(key=lambda row: row[0], reverse=descending)
        await self.reply([body for _, body in rows[:size]])

    def _kinds(self, kind: str | None) -> set[str] | None:
        """The types asked for; None for all of them."""
        text = kind or ",".join(self.get_query_arguments("activity_types"))
        if text:
            return {name.strip().upper() for name in text.split(",") if name.strip()}
        category = self.query("category")
        if category is None:
            return None
        if category not in CATEGORIES:
            raise Refusal(422, MALFORMED, f"category must be one of {', '.join(CATEGORIES)}")
        return {FILL} if category == "trade_activity" else {"OPEXC", "OPASN", "OPEXP", "OPTRD", "FEE"}

    def _window(self) -> tuple[str, list[str]]:
        conditions, values = ["1"], list[str]()
        for name, sign in (("after", ">"), ("until", "<")):
            given = self.query(name)
            if given is not None:
                conditions.append(f"happened {sign} ?")
                values.append(text_of(_moment(name, given)))
        day = self.query("date")
        if day is not None:
            conditions.append("substr(happened, 1, 10) = ?")
            values.append(_moment("date", day).date().isoformat())
        return " AND ".join(conditions), values

    def _page_size(self) -> int:
        text = self.query("page_size") or str(LARGEST_PAGE)
        if not text.isdecimal() or not 1 <= int(text) <= LARGEST_PAGE:
            raise Refusal(422, MALFORMED, f"page_size must be between 1 and {LARGEST_PAGE}")
        return int(text)

    def _token(self) -> tuple[str, int, int] | None:
        """Where the page begins: moment, 0 for a fill and 1 for another activity, number."""
        text = self.query("page_token")
        if text is None:
            return None
        ledger, name = self.exchange.venue.ledger, text.rpartition("::")[2]
        fills: list[Execution] = ledger.executions(self.account.id, where="id=?", values=(name,), limit=1)
        if fills:
            return text_of(fills[0].happened), 0, fills[0].number
        others: list[Activity] = ledger.activities(self.account.id, where="id=?", values=(name,), limit=1)
        if others:
            return text_of(others[0].happened), 1, others[0].number
        raise Refusal(422, MALFORMED, f"invalid page_token: {text[:128]}")


def _beyond(token: tuple[str, int, int] | None, rank: int, *, descending: bool) -> tuple[str, list[Any]]:
    """SQL for the rows of one rank that come after the token."""
    if token is None:
        return "1", []
    moment, at, number = token
    sign = "<" if descending else ">"
    if rank == at:
        return f"(happened {sign} ? OR (happened = ? AND number {sign} ?))", [moment, moment, number]
    same_moment_too = rank < at if descending else rank > at
    return f"happened {sign}{'=' if same_moment_too else ''} ?", [moment]


def _moment(name: str, text: str) -> dt.datetime:
    try:
        return moment_of(text)
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"invalid format for {name}") from error
