"""SEC EDGAR: the documents that US companies file, and the numbers in them, each with the moment it became public.

What to know before believing a number made of them:

- The list of symbols is today's. A symbol that belonged to another company before shows the filings of today's; a
  delisted one is not there: name such a company by its number, `CIK0000320193`.
- `acceptanceDateTime` ends with Z, but not all are UTC: for about a fifth of large filers it is the clock of New York
  (measured by others on 64,936 filings against the filings' own headers), and nothing in the answer tells which. So
  `time` and `happened` read it as UTC, never after the truth, and `learned` as New York's clock, never before it.
- What is accepted after 17:30 New York time is dated and made public on the next business day, from 06:00
  (17 CFR 232.13): it is not learned before 06:00 of its filing day.
- Correspondence with the SEC and confidential drafts become public months after their filing day, and EDGAR does not
  say when. They are learned when we first read them.
- A number keeps being repeated in later filings. Repeats say nothing new and are left out; another value for the same
  key is a restatement, a vintage learned with its own filing. `form`, `fiscal_year` and `fiscal_period` are those of
  the filing, as EDGAR says them: for a restated year they name the year of the restatement.

Paths and fields: https://www.sec.gov/search-filings/edgar-application-programming-interfaces.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from workbench.data import learned
from workbench.data.gateway import Limit, Vendor
from workbench.data.kinds import kind_of
from workbench.data.source import symbols_of
from workbench.errors import DataError, SourceRefused

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Answer, Gateway

ZONE: Final = "America/New_York"
OPENS: Final = dt.time(6)  # when EDGAR makes public what it accepted in the evening before
SECOND: Final = 9  # requests; the SEC cuts off who sends more than 10, and on the way two can come closer together
# Forms that stay confidential for months: letters to and from the staff, drafts.
CONFIDENTIAL: Final = frozenset({"CORRESP", "UPLOAD", "DRS", "DRS/A", "DRSLTR", "DOS", "DOS/A", "DOSLTR"})
_CONTACT = re.compile(r"[^\s@]+( [^\s@]+)* \(?[^\s@()]+@[^\s@()]+\.[^\s@()]+\)?")
_NUMBERED = re.compile(r"CIK(\d{10})")
_OLDER = re.compile(r"CIK\d{10}-submissions-\d{3}\.json")
_COLUMNS = {
    "key": "accessionNumber",
    "session": "filingDate",
    "period": "reportDate",
    "time": "acceptanceDateTime",
    "form": "form",
    "items": "items",
    "document": "primaryDocument",
}
_FILINGS, _FUNDAMENTALS = kind_of("filings"), kind_of("fundamentals")


class EdgarSource:
    """Filings and the numbers inside them. A symbol is ours (`BRK.B`) or a company's number (`CIK0000320193`)."""

    name = "edgar"
    label = "SEC EDGAR"
    synthetic = False

    def __init__(self, gateway: Gateway, access: Access) -> None:
        """Raises DataError: the contact is not a name and an address, as the SEC asks for."""
        if not (_CONTACT.fullmatch(access.contact.strip()) and access.contact.isascii()):
            raise DataError(
                "contact is not a name and an e-mail address in plain letters; nobody was asked.",
                remedy="the SEC wants to know who asks: set WORKBENCH_EDGAR_CONTACT='Name name@example.org'.",
            )
        self._gateway = gateway
        self._symbols_url = (access.url or "https://www.sec.gov").rstrip("/")
        self._vendor = Vendor(
            name=self.name,
            url=access.url or "https://data.sec.gov",
            limits=(Limit(requests=SECOND, seconds=1.0),),
            headers={"User-Agent": access.contact.strip()},
            busy_statuses=(403, 429),
            busy_for=600.0,  # who was cut off stays so for about ten minutes
        )

    def filings(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Documents filed on the days from `start` to `end`, both included.

        Raises:
            SourceRefused: EDGAR has no such symbol; nothing more was asked.
            BadData: an answer is not what EDGAR documents; nothing was passed on.
        """
        frames = []
        for symbol, number in self._numbers(symbols_of(symbols)).items():
            rows = self._filed(number, start, end)
            rows = rows[rows["session"].between(start, end)].sort_values(["learned", "key"], kind="stable")
            frames.append(rows.assign(symbol=symbol, source=self.name))
        return _FILINGS.typed(pd.concat(frames, ignore_index=True))

    def fundamentals(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Numbers filed for the first time, or with another value, on the days from `start` to `end`, both included.

        `key` is taxonomy:tag:unit:first day; the last part is empty for what is counted at one day (`Assets`).

        Raises: as `filings`.
        """
        frames = []
        for symbol, number in self._numbers(symbols_of(symbols)).items():
            answer = self._gateway.get(self._vendor, f"/api/xbrl/companyfacts/CIK{number}.json", kind="fundamentals")
            if answer.absent:  # a company without numbers: a fund, or one that filed on paper only
                continue
            facts = pd.DataFrame(_facts(answer, number), columns=_FACT)
            if facts.empty:
                continue
            for name in ("session", "filed"):
                facts[name] = pd.to_datetime(facts[name]).astype("datetime64[us]")
            filed = self._filed(number, facts["filed"].min(), facts["filed"].max()).set_index("key")["learned"]
            at_the_latest = pd.Series(learned.end_of(facts["filed"], zone=ZONE), index=facts.index)
            accepted = facts["accession"].map(filed).astype(at_the_latest.dtype)
            known = learned.seen_by(pd.DatetimeIndex(accepted.fillna(at_the_latest)), answer.fetched_at)
            ended = learned.end_of(facts["session"], zone=ZONE)
            facts = facts.assign(learned=known, happened=ended.where(ended <= known, known))
            rows = _said_anew(facts)
            frames.append(rows[rows["filed"].between(start, end)].assign(symbol=symbol, source=self.name))
        return _FUNDAMENTALS.typed(pd.concat(frames, ignore_index=True)) if frames else _FUNDAMENTALS.empty()

    def _numbers(self, symbols: tuple[str, ...]) -> dict[str, str]:
        """The ten digits of each symbol's company. Raises SourceRefused."""
        found = {symbol: said[1] for symbol in symbols if (said := _NUMBERED.fullmatch(symbol))}
        if len(found) < len(symbols):
            url = f"{self._symbols_url}/files/company_tickers.json"
            listed = _listed(self._gateway.get(self._vendor, url, kind="reference", absent=()))
            for symbol in symbols:
                number = listed.get(symbol.upper().replace(".", "-").replace("/", "-"))
                if symbol not in found and number is None:
                    raise SourceRefused(
                        f"EDGAR has no company with the symbol {symbol!r} today; nothing more was asked.",
                        remedy="was it delisted? Name the company by its number, e.g. CIK0000320193.",
                        symbol=symbol,
                    )
                found.setdefault(symbol, number or "")
        return {symbol: found[symbol] for symbol in symbols}

    def _filed(self, number: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """All filings of a company that stand in the pages of these days: columns of the kind, without symbol."""
        answer = self._gateway.get(self._vendor, f"/submissions/CIK{number}.json", kind="filings")
        if answer.absent:
            raise SourceRefused(f"EDGAR has no filer CIK{number}; nothing was passed on.", remedy="check the number.")
        body = answer.json()
        try:
            _check_number(body["cik"], number)
            recent, older = body["filings"]["recent"], body["filings"]["files"]
            names = [
                page["name"]
                for page in older
                if dt.date.fromisoformat(page["filingFrom"]) <= end.date()
                and dt.date.fromisoformat(page["filingTo"]) >= start.date()
            ]
            sound = isinstance(older, list) and all(_OLDER.fullmatch(name) for name in names)
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            answer.reject(f"is not the list of filings of CIK{number}")
        pages = [_page(answer, recent, number)]
        for name in names:
            answer = self._gateway.get(self._vendor, f"/submissions/{name}", kind="filings", absent=())
            pages.append(_page(answer, answer.json(), number))
        return pd.concat(pages, ignore_index=True).drop_duplicates("key")


def _listed(answer: Answer) -> dict[str, str]:
    """Ten digits by symbol. Raises BadData."""
    body = answer.json()
    try:
        rows = [(row["ticker"], row["cik_str"]) for row in body.values()]
    except (AttributeError, KeyError, TypeError):
        rows = [("", 0)]
    if not all(isinstance(symbol, str) and type(number) is int and number > 0 for symbol, number in rows):
        answer.reject("is not a list of symbols with their companies")
    return {symbol.upper(): f"{number:010d}" for symbol, number in rows}


def _check_number(said: Any, number: str) -> None:
    if isinstance(said, bool) or not isinstance(said, int | str) or int(said) != int(number):
        raise ValueError(said)


def _page(answer: Answer, body: Any, number: str) -> pd.DataFrame:
    """The filings of one page, a list per column, with their clocks and addresses. Raises BadData."""
    try:
        columns = {name: body[said] for name, said in _COLUMNS.items()}
        sound = all(isinstance(values, list) for values in columns.values())
        frame = pd.DataFrame(columns, dtype=object)  # raises where they are not of one length
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound or not frame.map(lambda value: isinstance(value, str)).all(axis=None):
        answer.reject(f"has no whole columns of filings of CIK{number}")
    frame = frame.astype("str")
    days = pd.to_datetime(frame["session"], format="%Y-%m-%d", errors="coerce")
    accepted = pd.to_datetime(frame["time"], format="ISO8601", utc=True, errors="coerce").astype("datetime64[us, UTC]")
    if accepted.isna().any() or days.isna().any() or (frame["key"] == "").any():
        answer.reject(f"has a filing of CIK{number} without day, moment or number")
    frame["session"] = days.astype("datetime64[us]")
    read_at = pd.Timestamp(answer.fetched_at).tz_convert("UTC").as_unit("us")
    in_new_york = learned.at(pd.DatetimeIndex(accepted.dt.tz_localize(None)), dt.time(), zone=ZONE)
    opened = learned.at(frame["session"], OPENS, zone=ZONE)
    known = learned.seen_by(in_new_york.where(in_new_york >= opened, opened), answer.fetched_at)
    known = known.where(~frame["form"].isin(CONFIDENTIAL).to_numpy(), read_at)
    happened = pd.DatetimeIndex(accepted)
    url = f"https://www.sec.gov/Archives/edgar/data/{int(number)}/" + frame["key"].str.replace("-", "") + "/"
    return frame.assign(
        time=accepted, happened=happened.where(happened <= known, known), learned=known, url=url + frame["document"]
    )


_FACT = ("key", "session", "value", "form", "accession", "fiscal_year", "fiscal_period", "filed")


def _facts(answer: Answer, number: str) -> Iterator[tuple[Any, ...]]:
    """Every number of a company, as `_FACT` names them. Raises BadData."""
    body = answer.json()
    try:
        _check_number(body["cik"], number)
        for taxonomy, tags in body["facts"].items():
            for tag, said in tags.items():
                for unit, rows in said["units"].items():
                    for row in rows:
                        yield _fact(f"{taxonomy}:{tag}:{unit}", row)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        answer.reject(f"has numbers of CIK{number} that cannot be read")


def _fact(name: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    begins = dt.date.fromisoformat(row["start"]).isoformat() if "start" in row else ""
    value, year = row["val"], row.get("fy")
    for said in (value, year):
        if isinstance(said, bool) or not isinstance(said, int | float | None):
            raise TypeError(said)
    texts = row["form"], row["accn"], row.get("fp") or ""
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(texts)
    ended, filed = dt.date.fromisoformat(row["end"]), dt.date.fromisoformat(row["filed"])
    number = math.nan if value is None else float(value)
    return f"{name}:{begins}", ended, number, texts[0], texts[1], year, texts[2], filed


def _said_anew(facts: pd.DataFrame) -> pd.DataFrame:
    """The rows that give a key its first or another value, in the order in which they became known.

    Of two values made public at one moment the later filing's counts, and of one filing the last.
    """
    ordered = facts.sort_values(["session", "key", "learned", "accession"], kind="stable")
    ordered = ordered.drop_duplicates(["session", "key", "learned"], keep="last")
    before = ordered[["session", "key", "value"]].shift()
    repeats = (ordered["session"] == before["session"]) & (ordered["key"] == before["key"])
    repeats &= (ordered["value"] == before["value"]) | (ordered["value"].isna() & before["value"].isna())
    return ordered[~repeats].sort_values(["learned", "session", "key"], kind="stable")
