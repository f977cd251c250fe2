"""The way to Massive: pages, statuses, and the promise that a key follows no link to another host."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import pandas as pd
from pydantic import SecretStr

from workbench.data import reading
from workbench.data.gateway import Limit, Vendor
from workbench.data.reading import Field
from workbench.errors import BadData, ParameterError, SourceRefused

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Gateway

VENDOR: Final = Vendor(name="massive", url="https://api.massive.com", limits=(Limit(requests=5, seconds=60.0),))
HOSTS: Final = ("api.massive.com", "api.polygon.io")  # what its next pages may name


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan allows. `delay` None: a day's bars are there when the day is over."""

    limits: tuple[Limit, ...]
    delay: dt.timedelta | None


_PAID: Final = (Limit(requests=100, seconds=1.0),)  # unlimited; the vendor advises to stay below this
PLANS: Final[Mapping[str, Plan]] = {
    "basic": Plan(VENDOR.limits, None),
    "starter": Plan(_PAID, dt.timedelta(minutes=15)),
    "developer": Plan(_PAID, dt.timedelta(minutes=15)),
    "advanced": Plan(_PAID, dt.timedelta(0)),
    "business": Plan(_PAID, dt.timedelta(0)),
}


class MassiveClient:
    """Asks Massive. The key appears in no repr and no message.

    Args:
        access: `key`; `feed` is the plan, one of `PLANS`; empty: `basic`.

    Raises:
        ParameterError: the key is empty, or there is no such plan.
    """

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._key = access.key.get_secret_value().strip()
        self.plan = access.feed or "basic"
        if not self._key:
            raise ParameterError(
                "the key of Massive is empty; no source was made.", remedy="set WORKBENCH_MASSIVE_KEY."
            )
        if self.plan not in PLANS:
            raise ParameterError(
                f"plan={self.plan!r} is not one of {', '.join(PLANS)}; no source was made.",
                remedy="the plan is given as the feed of Massive.",
            )
        self._gateway = gateway
        self._vendor = replace(VENDOR, url=(access.url or VENDOR.url).rstrip("/"), limits=PLANS[self.plan].limits)

    def __repr__(self) -> str:
        return f"MassiveClient(plan={self.plan!r}, at={self._vendor.url!r})"

    def pages(
        self,
        path: str,
        query: Mapping[str, Any],
        fields: Mapping[str, Field],
        *,
        kind: str,
        about: str = "",
        among: set[str] | None = None,
    ) -> list[pd.DataFrame]:
        """The rows of each page.

        Args:
            about: the symbol that the whole answer must be about.
            among: the symbols that its rows must be about.
        """
        of = f"Massive's {kind}"
        key = SecretStr(f"Bearer {self._key}")
        found: list[pd.DataFrame] = []
        seen = set[str]()
        while True:
            answer = self._gateway.get(
                self._vendor, path, query=query, headers={"Authorization": key}, kind=kind, absent=()
            )
            with reading.of(answer):
                body = reading.mapping(answer.json(), of=of)
                self._check_status(body, of)
                if about and body.get("ticker") != about:
                    raise BadData(f"{of}: {about} was asked for, and the answer is about something else.")
                rows = reading.table(_results(body, of), fields, of=of)
                if among is not None and not set(rows["symbol"]) <= among:
                    raise BadData(f"{of}: the answer has symbols that nobody asked for; none was passed on.")
                found.append(rows)
                following = reading.word(body, "next_url", of=of)
                if following is None:
                    return found
                if following in seen:
                    raise BadData(f"{of}: the same page came twice; nothing was passed on.", remedy="ask again.")
                seen.add(following)
                path, query = self._next(following, of)

    def _next(self, address: str, of: str) -> tuple[str, dict[str, str]]:
        parts = urlsplit(address)
        if parts.hostname not in {*HOSTS, urlsplit(self._vendor.url).hostname} or not parts.path.startswith("/"):
            raise BadData(
                f"{of}: the next page is said to be at {parts.hostname!r}, not at Massive; nothing was passed on.",
                remedy="is the address in the settings Massive's own?",
            )
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return parts.path, {name: value for name, value in query.items() if name.lower() != "apikey"}

    def _check_status(self, body: Mapping[str, Any], of: str) -> None:
        status = reading.word(body, "status", of=of)
        if status in {"OK", "DELAYED"}:
            return
        if status in {"ERROR", "NOT_AUTHORIZED", "NOT_FOUND"}:
            said = str(body.get("error") or body.get("message") or "")[:200]
            said = said.replace(self._key, "***")
            raise SourceRefused(
                f"Massive refused ({status}): {said} Nothing was read.",
                remedy="look at the key, and at what its plan holds.",
            )
        raise BadData(f"{of}: the answer has no known status; nothing was passed on.", remedy="ask again.")


def _results(body: Mapping[str, Any], of: str) -> list[Any]:
    """The rows of an answer. Where there is none Massive leaves them out, and says that they are none."""
    if "results" not in body and (body.get("resultsCount") == 0 or body.get("count") == 0):
        return []
    found: list[Any] = reading.part(body, "results", list, of=of)
    return found
