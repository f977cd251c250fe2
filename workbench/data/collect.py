"""Collect: bring facts of any kind from a source to the store, in parts that neither crash nor bad symbol can undo.

1. What was collected before is not asked again; a few of the newest days are, because vendors correct themselves.
2. The rest is cut into parts: some symbols, some sessions. Each part is asked, checked, stored, and only then noted.
3. A part that fails is cut in two and asked again until the symbol that is to blame stands alone; the others are kept.
4. News are read at once: their tone is stored as facts of the kind `sentiment`.

Stopped at any instant and started again, it goes on with the part it was in. Asked again, it brings what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from workbench import sessions
from workbench.data.collected import record_collected
from workbench.data.kinds import dataset_name, kind_of
from workbench.data.parts import Part, halved, parts_of, span_of
from workbench.data.source import symbols_of
from workbench.data.spans import days
from workbench.errors import DataError, ParameterError, SourceRefused, SourceUnavailable
from workbench.store.schema import utc_now
from workbench.study import MINUTES
from workbench.trace import get_logger

if TYPE_CHECKING:
    import datetime as dt

    from workbench.data.intake import TakenIn
    from workbench.store.workspace import Workspace

_OF_THE_KEY: Final = (401, 402, 403)  # the key or the plan is refused: no other part would fare better


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a collection is: parts done, parts in all (more when one is cut in two), rows stored, the last part."""

    done: int
    total: int
    new_rows: int
    note: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Symbols that did not come, and why; they are asked again next time."""

    symbols: tuple[str, ...]
    first: pd.Timestamp
    last: pd.Timestamp
    error: DataError


@dataclass(frozen=True)
class Collection:
    """What a collection brought.

    Attributes:
        dataset: where the rows lie in the vintages.
        symbols: those asked for.
        known: how many of them needed no question, because all was there.
        parts: questions asked that were answered.
        new_rows: rows that were new or revised.
        quarantined: rows that were kept back; `workbench data quarantine` shows them.
        failed: what did not come.
    """

    dataset: str
    symbols: tuple[str, ...]
    known: int = 0
    parts: int = 0
    new_rows: int = 0
    quarantined: int = 0
    failed: tuple[Failed, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is stored or known to be absent."""
        return not self.failed

    def __repr__(self) -> str:
        missing = sorted({symbol for failed in self.failed for symbol in failed.symbols})
        said = f" · FAILED: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}" if missing else ""
        return (
            f"{self.dataset} · {len(self.symbols)} symbols, {self.known} of them up to date · {self.parts} parts, "
            f"{self.new_rows:,} new rows, {self.quarantined} quarantined{said}"
        )

    def failures(self) -> pd.DataFrame:
        """What did not come, one row each: `symbols`, `first`, `last`, `error`, `remedy`."""
        rows = [
            (", ".join(one.symbols), one.first, one.last, f"{one.error.message} [{one.error.code}]", one.error.remedy)
            for one in self.failed
        ]
        return pd.DataFrame(rows, columns=["symbols", "first", "last", "error", "remedy"])


def collect(
    source: Any,
    *,
    workspace: Workspace,
    symbols: str | Sequence[str],
    start: Any,
    end: Any = None,
    kind: str = "bars",
    timeframe: str = "1d",
    seed: int | None = None,
    clock: Callable[[], dt.datetime] = utc_now,
    progress: Callable[[Progress], None] | None = None,
) -> Collection:
    """Bring what is not there yet.

    Args:
        source: whom to ask: an object with a method named after `kind`.
        symbols: one or several.
        start, end: first and last day, both included; `end` is the newest complete one when None, and at most that.
        kind: `bars` or a kind of `workbench.data.kinds`, except `options`, which can only be asked for now.
        timeframe: of bars.
        seed: of a synthetic source: it is a part of the dataset's name.
        clock: the wall clock; nothing after it can have happened.
        progress: called after each part.

    Returns:
        What came, and what did not: a vendor that does not answer for one part does not undo the others.

    Raises:
        ParameterError: the source has no such kind, or `start` lies after `end`; nothing was asked.
        SourceRefused: the vendor refused the key or the plan; parts stored before are kept.
    """
    wanted = symbols_of(symbols)
    ask = _question(source, kind, timeframe)
    now = pd.Timestamp(clock())
    whole = span_of(source, kind, start=start, end=end, now=now)
    dataset = dataset_name(kind, source.name, timeframe=timeframe if kind == "bars" else "", seed=seed)
    plan = partial(parts_of, workspace, dataset, whole=whole, source=source, kind=kind, timeframe=timeframe)
    parts, known = plan(wanted)
    result = Collection(dataset=dataset, symbols=wanted, known=known)
    total, waiting = len(parts), list(reversed(parts))
    rebased: set[str] = set()
    while waiting:
        part = waiting.pop()
        try:
            taken = _take(part, ask(part), dataset=dataset, workspace=workspace, source=source, kind=kind, now=now)
            result = _with(result, part, taken, source=source)
            # What a vendor adjusted anew is asked for as a whole, once: old days beside new ones would show a leap.
            if fresh := set(taken.rebased) - rebased:
                again, _ = plan(sorted(fresh))
                rebased |= fresh
                waiting.extend(reversed(again))
                total += len(again)
        except DataError as error:
            if isinstance(error, SourceRefused) and error.facts.get("http_status") in _OF_THE_KEY:
                raise
            # A vendor that does not answer would not answer for fewer symbols either.
            pieces = () if isinstance(error, SourceUnavailable) else halved(part)
            waiting.extend(reversed(pieces))
            total += max(0, len(pieces) - 1)
            if pieces:
                continue
            result = replace(
                result, failed=(*result.failed, Failed(part.symbols, part.span.first, part.span.last, error))
            )
            get_logger(__name__).warning("not collected", dataset=dataset, symbols=part.symbols, error=error.code)
        if progress is not None:
            progress(Progress(total - len(waiting), total, result.new_rows, _said(part)))
    get_logger(__name__).info("collected", dataset=dataset, new_rows=result.new_rows, failed=len(result.failed))
    return result


def _question(source: Any, kind: str, timeframe: str) -> Callable[[Part], pd.DataFrame]:
    if kind != "bars":
        kind_of(kind)
    if kind == "options" or not callable(getattr(source, kind, None)):
        raise ParameterError(
            f"source={source.name!r} cannot be asked for past {kind}; nothing was asked.",
            remedy="`workbench data sources` shows what each of them has.",
        )
    if kind == "bars" and timeframe not in {"1d", *MINUTES}:
        raise ParameterError(
            f"timeframe={timeframe!r} cannot be stored; nothing was asked.", remedy=f"use 1d, {', '.join(MINUTES)}."
        )
    options = {"timeframe": timeframe} if kind == "bars" else {}
    return lambda part: getattr(source, kind)(part.symbols, start=part.span.first, end=part.span.last, **options)


def _take(
    part: Part,
    rows: pd.DataFrame,
    *,
    dataset: str,
    workspace: Workspace,
    source: Any,
    kind: str,
    now: pd.Timestamp,
) -> TakenIn:
    from workbench.data.intake import take_in

    venue, noted = getattr(source, "venue", "XNYS"), (part.noted.first, part.noted.last)
    until = min(now, sessions.closes(venue, days(venue, part.span)[-1])) if kind == "bars" else now
    taken = take_in(
        rows,
        workspace=workspace,
        kind=kind,
        dataset=dataset,
        venue=venue,
        known_until=until,
        symbols=part.symbols,
        record=None if kind == "news" else noted,
    )
    if kind == "news":  # noted only when their tone is stored, too: stopped in between, both are done again
        _read(taken.good, part, workspace=workspace, source=source, now=now)
        answered = [symbol for symbol in part.symbols if symbol not in taken.unanswered]
        record_collected(workspace.engine, dataset, answered, first=noted[0], last=noted[1])
    return taken


def _with(result: Collection, part: Part, taken: TakenIn, *, source: Any) -> Collection:
    """The result so far and what came of one part."""
    failed = result.failed
    if taken.unanswered:
        away = SourceUnavailable(
            f"{source.name} could not say whether it has {', '.join(taken.unanswered)}; the others were stored.",
            remedy="collect again later; `workbench data health` shows who is down.",
        )
        failed = (*failed, Failed(taken.unanswered, part.span.first, part.span.last, away))
    return replace(
        result,
        parts=result.parts + 1,
        new_rows=result.new_rows + taken.new_rows,
        quarantined=result.quarantined + taken.quarantined,
        failed=failed,
    )


def _read(news: pd.DataFrame, part: Part, *, workspace: Workspace, source: Any, now: pd.Timestamp) -> None:
    """Read the articles that were taken in, and store their tone beside them."""
    from workbench.data.intake import take_in
    from workbench.data.sentiment import read_news

    take_in(
        read_news(news),
        workspace=workspace,
        kind="sentiment",
        dataset=dataset_name("sentiment", source.name),
        known_until=now,
        symbols=part.symbols,
        record=(part.noted.first, part.noted.last),
    )


def _said(part: Part) -> str:
    more = f" … {part.symbols[-1]}" if len(part.symbols) > 1 else ""
    return f"{part.symbols[0]}{more}, {part.span.first.date()} to {part.span.last.date()}"
