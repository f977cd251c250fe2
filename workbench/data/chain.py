"""Chain: bars of a market from several vendors, one after the other: who does not answer is replaced by the next.

1. The first vendor is asked for everything. The next one is asked only for symbols, and for sessions of symbols, that
   are still missing; and so on. What one vendor could not do does not undo what another did.
2. Every row says in `source` who gave it.
3. Sessions of one symbol come from two vendors only where these agree: both are asked for some common sessions, and
   their closes may differ by at most `SEAM`. If they differ more, or are adjusted in different ways, or have no session
   in common, the second one's rows are left out. Either way a finding says so, with place and numbers.

All of them are asked for bars adjusted for splits only, which is the one basis that all of them have: dividends are not
in these prices, nor in their returns.

What the chain has to say beside the rows comes with them (`workbench.data.finding.word_of`): findings of the kinds
`fallback` (somebody did not answer, or had nothing), `seam` (two vendors in one symbol), `disagreement` (they were not
joined), `replaced` (an impossible row of one was replaced by another's).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data.adjust import Adjustment, adjustment_of
from workbench.data.finding import Finding, Word, with_word
from workbench.data.inspection import DETAIL, WHY, plain
from workbench.data.quality import check
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS, no_bars, symbols_of
from workbench.errors import DataError, ParameterError, SourceRefused, SourceUnavailable
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from workbench.data.source import BarSource

LINKS: Final = ("alpaca", "massive", "yahoo")  # the usual order: the nearest to where orders go, then the last resort
SEAM: Final = 0.005  # |log| of two vendors' closes of one session; rounding and late corrections stay below it
COMMON: Final = 10  # sessions on each side that both are asked for
PATIENCE: Final = 8  # refusals in a row, each of one symbol alone, until a vendor is not asked any more
_OF_THE_KEY: Final = (401, 402, 403)


@dataclass
class _Symbol:
    """What is known of one symbol so far: good rows, impossible ones, and what went wrong."""

    good: pd.DataFrame
    bad: pd.DataFrame
    said: list[str] = field(default_factory=list)
    failed: bool = False
    adjustment: Adjustment = "split"
    findings: list[Finding] = field(default_factory=list)


class Chain:
    """Several suppliers of bars as one, called `market`.

    Args:
        links: whom to ask, in this order; all of one venue, adjusted for splits only.
        without: vendors that belong here but could not be opened, and why; said in the label.
        clock: the wall clock, UTC.

    Raises:
        ParameterError: there is no link, or their venues differ.
    """

    name = "market"
    label = "market · Alpaca → Massive → Yahoo · adjusted for splits only"
    synthetic = False
    venue = "XNYS"
    adjustment: Adjustment = "split"

    def __init__(
        self,
        links: Sequence[BarSource],
        *,
        without: Mapping[str, str] | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        if not links or any(link.venue != links[0].venue for link in links):
            raise ParameterError(
                f"links={[link.name for link in links]} must be one or more sources of one venue; no chain was made.",
                remedy="open at least one of them.",
            )
        self.links, self._clock = tuple(links), clock
        self.venue = links[0].venue
        missing = "".join(f" · without {name} ({why})" for name, why in (without or {}).items())
        self.label = f"market · {' → '.join(link.name.title() for link in links)} · adjusted for splits only{missing}"

    def __repr__(self) -> str:
        return f"Chain({', '.join(link.name for link in self.links)})"

    def symbols(self) -> tuple[str, ...]:
        """Every symbol that a link names, in the order of the links."""
        return tuple(dict.fromkeys(symbol for link in self.links for symbol in link.symbols()))

    def bars(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars as `BarSource.bars` promises, with one more column `source`. A symbol that nobody has has no row.

        A symbol without a row of which some vendor did not say whether it has it is named `unanswered` in the word
        that comes with the rows, and is not noted as collected.

        Raises:
            SourceUnavailable, SourceRefused: nobody answered at all; the message names each and its reason.
        """
        wanted = symbols_of(symbols)
        empty = no_bars(intraday=timeframe != "1d").assign(source=pd.Series(dtype="str"))
        state = {symbol: _Symbol(good=empty, bad=empty) for symbol in wanted}
        answered, refusals = False, []
        for link in self.links:
            question = _Question(self, link, timeframe, state)
            for (first, last), group in self._open(state, start, end).items():
                question.ask(group, first, last)
            answered |= question.answered
            refusals.extend(question.errors)
        if not answered and refusals:
            raise self._nobody(refusals)
        return self._together(state, start=start, timeframe=timeframe)

    def now(self) -> pd.Timestamp:
        """The wall clock, UTC."""
        return pd.Timestamp(self._clock())

    def missing(self, of: _Symbol, start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
        """Sessions that are over and of which there is no good row."""
        days = sessions.sessions(self.venue, start, min(end, sessions.session_of(self.venue, self.now())))
        return days[~days.isin(of.good["session"])]

    def _open(
        self, state: Mapping[str, _Symbol], start: pd.Timestamp, end: pd.Timestamp
    ) -> dict[tuple[pd.Timestamp, pd.Timestamp], list[str]]:
        """What is still to be asked: symbols by the span that is missing, common sessions on both sides included."""
        spans: dict[tuple[pd.Timestamp, pd.Timestamp], list[str]] = {}
        days = sessions.sessions(self.venue, start, end)
        for symbol, of in state.items():
            if of.good.empty:
                spans.setdefault((start, end), []).append(symbol)
                continue
            missing = self.missing(of, start, end)
            if len(missing):
                first, last = int(days.searchsorted(missing[0])), int(days.searchsorted(missing[-1]))
                span = (days[max(0, first - COMMON)], days[min(len(days) - 1, last + COMMON)])
                spans.setdefault(span, []).append(symbol)
        return spans

    def _together(self, state: Mapping[str, _Symbol], *, start: pd.Timestamp, timeframe: str) -> pd.DataFrame:
        columns = [*(DAILY_COLUMNS if timeframe == "1d" else INTRADAY_COLUMNS), "source"]
        moment = "session" if timeframe == "1d" else "time"
        findings: list[Finding] = []
        parts = []
        for symbol, of in state.items():
            # Impossible rows that nobody replaced are passed on: they belong into quarantine, where they can be seen.
            kept = of.bad[~of.bad["session"].isin(of.good["session"])]
            both = [part for part in (of.good, kept) if len(part)]
            if both:
                parts.append(pd.concat(both, ignore_index=True).sort_values(moment, kind="stable"))
            findings.extend(of.findings)
            replaced = of.bad[of.bad["session"].isin(of.good["session"])]
            findings.extend(_replaced(symbol, replaced))
            if of.said:
                got = of.good["source"].value_counts()
                by = ", ".join(f"{name} gave {count} bars" for name, count in got.items()) or "nobody had a bar"
                findings.append(_found(symbol, start, "fallback", f"{'; '.join(of.said)}; {by}"))
        rows = pd.concat(parts, ignore_index=True)[columns] if parts else no_bars(intraday=timeframe != "1d")
        if not parts:
            rows = rows.assign(source=pd.Series(dtype="str"))
        unanswered = tuple(symbol for symbol, of in state.items() if of.failed and of.good.empty and of.bad.empty)
        return with_word(rows.reset_index(drop=True), Word(tuple(findings), unanswered))

    @staticmethod
    def _nobody(refusals: Sequence[tuple[str, DataError]]) -> DataError:
        said = "; ".join(dict.fromkeys(f"{name}: {error.message}" for name, error in refusals))
        kind = SourceRefused if all(isinstance(error, SourceRefused) for _, error in refusals) else SourceUnavailable
        return kind(
            f"no source of the market answered: {said} Nothing was passed on.",
            remedy="look at the health of the connectors and at the keys, then ask again.",
        )


class _Question:
    """One vendor's turn: asks for groups of symbols, halves a group that fails until who is to blame stands alone."""

    def __init__(self, chain: Chain, link: BarSource, timeframe: str, state: Mapping[str, _Symbol]) -> None:
        self.chain, self.link, self.timeframe, self.state = chain, link, timeframe, state
        self.answered = False
        self.errors: list[tuple[str, DataError]] = []
        self._closed: DataError | None = None
        self._refused_in_a_row = 0

    def ask(self, symbols: Sequence[str], first: pd.Timestamp, last: pd.Timestamp) -> None:
        if self._closed is not None:
            self._failed(symbols, self._closed)
            return
        try:
            rows = self.link.bars(symbols, start=first, end=last, timeframe=self.timeframe)
            checked = check(rows, dataset="market", venue=self.chain.venue, known_until=self.chain.now())
        except DataError as error:
            self._refused(symbols, first, last, error)
            return
        self.answered, self._refused_in_a_row = True, 0
        good = checked.good.assign(source=self.link.name)
        bad = checked.kept_back.drop(columns=[WHY, DETAIL]).assign(source=self.link.name)
        for symbol in symbols:
            self._take(symbol, good[good["symbol"] == symbol], bad[bad["symbol"] == symbol], first, last)

    def _refused(self, symbols: Sequence[str], first: pd.Timestamp, last: pd.Timestamp, error: DataError) -> None:
        self.errors.append((self.link.name, error))
        if isinstance(error, SourceUnavailable) or error.facts.get("http_status") in _OF_THE_KEY:
            self._closed = error
        if self._closed is not None or len(symbols) == 1:
            self._failed(symbols, error)
            self._refused_in_a_row += 1
            if self._refused_in_a_row >= PATIENCE:
                self._closed = error
            return
        middle = len(symbols) // 2
        self.ask(symbols[:middle], first, last)
        self.ask(symbols[middle:], first, last)

    def _failed(self, symbols: Sequence[str], error: DataError) -> None:
        for symbol in symbols:
            self.state[symbol].said.append(f"{self.link.name} failed: {error.message[:300]} [{error.code}]")
            self.state[symbol].failed = True

    def _take(
        self, symbol: str, good: pd.DataFrame, bad: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp
    ) -> None:
        of = self.state[symbol]
        of.bad = bad if of.bad.empty else of.bad if bad.empty else pd.concat([of.bad, bad], ignore_index=True)
        if of.good.empty:
            if good.empty:
                of.said.append(f"{self.link.name} has nothing")
            else:
                of.good, of.adjustment = good.reset_index(drop=True), adjustment_of(self.link)
                self._say_adjustment(of)
            return
        missing = self.chain.missing(of, first, last)
        fills = good[good["session"].isin(missing)]
        if len(fills):
            self._join(symbol, of, good, fills)

    def _join(self, symbol: str, of: _Symbol, good: pd.DataFrame, fills: pd.DataFrame) -> None:
        moment = "session" if self.timeframe == "1d" else "time"
        common = of.good[[moment, "close"]].merge(good[[moment, "close"]], on=moment)
        apart = pd.Series(np.log(common["close_x"] / common["close_y"])).abs()
        had = ", ".join(of.good["source"].unique())
        where = f"{fills['session'].nunique()} sessions from {fills['session'].min().date()} on"
        mine, theirs = of.adjustment, adjustment_of(self.link)
        if common.empty:
            why = f"{had} and {self.link.name} have no bar in common to be compared"
        elif mine != theirs:
            why = f"{had} is adjusted as {mine!r}, {self.link.name} as {theirs!r}"
        elif apart.max() > SEAM:
            why = f"closes differ by up to {apart.max():.2%} over {len(common)} common bars; bound {SEAM:.2%}"
        else:
            said = (
                f"{where} are of {self.link.name}, the others of {had}; over {len(common)} common bars the closes "
                f"differ by at most {apart.max():.3%}, {apart.median():.3%} in the median"
            )
            of.findings.append(_found(symbol, fills["session"].min(), "seam", said))
            of.good = pd.concat([of.good, fills], ignore_index=True).sort_values(moment, ignore_index=True)
            return
        said = f"{where} that {had} lacks were not taken from {self.link.name}: {why}"
        of.findings.append(_found(symbol, fills["session"].min(), "disagreement", said))

    def _say_adjustment(self, of: _Symbol) -> None:
        mine, theirs = self.chain.adjustment, adjustment_of(self.link)
        if mine != theirs:
            of.said.append(f"{self.link.name} gives bars adjusted as {theirs!r}, where {mine!r} is wanted")


def _found(symbol: str, session: pd.Timestamp, kind: str, said: str) -> Finding:
    return Finding("", symbol, pd.Timestamp(session), kind, "warning", said, quarantined=False)


def _replaced(symbol: str, rows: pd.DataFrame) -> list[Finding]:
    return [
        Finding(
            "",
            symbol,
            pd.Timestamp(row["session"]),
            "replaced",
            "warning",
            f"the row of {row['source']} cannot be true; another source's stands in its place",
            quarantined=False,
            row=plain(row),
        )
        for _, row in rows.iterrows()
    ]
