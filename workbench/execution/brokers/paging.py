"""Reading lists to their end: orders by time and fills by activity, page after page, nothing twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from workbench.execution.brokers.broker import BrokerOrder, Raw, fill_of_activity
from workbench.market.order import Fill
from workbench.trace import get_logger

ORDERS_PAGE = 500  # the most that Alpaca gives at once
ACTIVITIES_PAGE = 100
Ask = Callable[[str, Raw], list[Raw]]


def all_orders(ask: Ask, status: str, after: str | None) -> list[BrokerOrder]:
    """Orders of a status (`open`, `all`) submitted after a moment, oldest first, each with what hangs on it."""
    found: dict[str, BrokerOrder] = {}
    while True:
        query: Raw = {"status": status, "limit": ORDERS_PAGE, "direction": "asc", "nested": "true"}
        if after:
            query["after"] = after
        rows = ask("/orders", query)
        fresh = [order for order in map(BrokerOrder.of, rows) if order.id not in found]
        found |= {order.id: order for order in fresh}
        if len(rows) < ORDERS_PAGE or not fresh:
            return list(found.values())
        last = fresh[-1].raw
        after = str(last.get("submitted_at") or last.get("created_at"))


def all_fills(ask: Ask, *, account: str, activity_id: str | None, after: dt.datetime | None) -> list[Fill]:
    """Fills from the activities, oldest first. Rows that are no bookable fill are left out and logged."""
    fills: list[Fill] = []
    token, seen = activity_id, set[str]()
    while True:
        query: Raw = {"direction": "asc", "page_size": ACTIVITIES_PAGE}
        if after is not None:
            query["after"] = text_of(after)
        if token:
            query["page_token"] = token
        page = [row for row in ask("/account/activities/FILL", query) if row.get("id") not in seen]
        for row in page:
            fill = fill_of_activity(row)
            if fill is None:
                get_logger(__name__).warning("activity is no fill", account=account, activity=row.get("id"))
            else:
                fills.append(fill)
        seen.update(str(row.get("id")) for row in page)
        if len(page) < ACTIVITIES_PAGE:
            return fills
        token = str(page[-1].get("id"))


def text_of(moment: dt.datetime) -> str:
    """A moment as Alpaca's queries take it: UTC, with a Z."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
