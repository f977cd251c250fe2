"""What an HTTP answer means: refused, limited, taken, or no word at all. Codes mislead, messages decide."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from workbench.errors import OutcomeUnknown
from workbench.execution.brokers.broker import BrokerOrder, Outcome, Raw, Reply
from workbench.execution.brokers.rate_headers import retry_moment

_NO_WORD = frozenset({408, 425, 499})  # 4xx by number, but not an answer about the order


def answer(status: int, text: str, headers: Mapping[str, str], *, now: dt.datetime) -> Reply:
    """The outcome of a status of 400 and above with its body. A body that is no JSON object is kept as words.

    Args:
        now: wall clock, to turn a relative Retry-After into a moment.
    """
    body = _object(text)
    code, message = body.get("code"), str(body.get("message") or text[:500])
    outcome, retry_at = Outcome.REFUSED, None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        outcome, retry_at = Outcome.LIMITED, retry_moment(headers, now)
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.BAD_REQUEST or status in _NO_WORD:
        outcome = Outcome.UNKNOWN
    elif status == HTTPStatus.UNPROCESSABLE_ENTITY and _names_a_taken_id(message):
        outcome = Outcome.DUPLICATE
    number = code if isinstance(code, int) else None
    return Reply(outcome, None, status, number, message, {"http_status": status, **body}, retry_at)


def item(row: Mapping[str, Any], *, now: dt.datetime) -> tuple[str, Reply]:
    """One row of a 207: the symbol (or id) it is about, and its own outcome."""
    body = row.get("body")
    name = str(row.get("symbol") or row.get("id") or "")
    try:
        status = int(row.get("status") or 0)
    except (TypeError, ValueError):
        status = 0
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return name, answer(status, json.dumps(body), {}, now=now)
    try:
        order = BrokerOrder.of(body if isinstance(body, Mapping) else {})
    except OutcomeUnknown as error:
        return name, Reply(Outcome.UNKNOWN, None, status, message=error.message)
    return name, Reply(Outcome.PLACED, order, status, raw=order.raw)


def _names_a_taken_id(message: str) -> bool:
    return "client order id must be unique" in message.lower().replace("_", " ")


def _object(text: str) -> Raw:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
