"""History: the bars that answer a Study, which can be opened only as far as a moment."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.errors import NoData, NotYetKnown
from workbench.market.actions import Actions
from workbench.market.view import MarketView

if TYPE_CHECKING:
    from workbench.market.bars import Bars
    from workbench.study import Study


@dataclass(frozen=True)
class History:
    """Bars known at `study.as_of`, from a warm-up before `study.start` up to `study.end`.

    Attributes:
        study: the question.
        bars: (session × symbol), or (moment × symbol) where the timeframe is shorter than a session, each bar stamped
            with the UTC moment of its end; rows before `study.start` are warm-up, for indicators only.
        label: what the reader must be told about the data, e.g. `"real · adjusted closes"` or `"SYNTHETIC · seed 7"`.
        provenance: source, vintage and fingerprint of the rows, as plain JSON values.
        actions: dividends, splits and delistings of unadjusted bars; empty where the bars are adjusted.
    """

    study: Study
    bars: Bars
    label: str
    synthetic: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)
    actions: Actions = field(default_factory=Actions)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that have bars, in the study's order."""
        return self.bars.symbols

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """The index of the bars, warm-up included: sessions, or the ends of intraday bars."""
        return self.bars.sessions

    @property
    def intraday(self) -> bool:
        """Whether the bars are shorter than a session."""
        return self.bars.sessions.tz is not None

    @property
    def session_of_bar(self) -> pd.DatetimeIndex:
        """The session of each bar: the index itself for daily bars."""
        index = self.bars.sessions
        return sessions.of_bars(self.study.venue, index) if self.intraday else index

    @property
    def ends_session(self) -> np.ndarray:
        """Whether each bar is the last of its session by the calendar: always for daily bars."""
        if not self.intraday:
            return np.ones(len(self.bars.sessions), dtype=bool)
        closing = sessions.close_times(self.study.venue, self.session_of_bar)
        return np.asarray(self.bars.sessions == closing)

    @property
    def begins(self) -> int:
        """Position of the first evaluated bar; the number of bars when none is evaluated."""
        return int(self.session_of_bar.searchsorted(self.study.start))

    @property
    def evaluated(self) -> pd.DatetimeIndex:
        """The bars of the sessions from `study.start` to `study.end`: those that count."""
        of = self.session_of_bar
        return self.bars.sessions[(of >= self.study.start) & (of <= self.study.end)]

    @property
    def close(self) -> pd.DataFrame:
        """Closes (session × symbol), NaN where there is none."""
        return self.bars.close

    @property
    def as_of(self) -> pd.Timestamp:
        """The last moment whose facts may be in here."""
        return self.study.as_of

    def until(self, session: Any) -> History:
        """The same history cut after `session`: what a reader had on that evening. Raises NotYetKnown past the end."""
        day, of = pd.Timestamp(session), self.session_of_bar
        if day > of[-1]:
            raise NotYetKnown(
                f"session={day.date()} is later than the last session of this history ({of[-1].date()}).",
                remedy="ask the study at a later as_of.",
            )
        study = dataclasses.replace(
            self.study,
            end=min(day, self.study.end),
            as_of=min(self.study.as_of, sessions.closes(self.study.venue, day)),
            start=min(self.study.start, day),
        )
        last = self.sessions[int(of.searchsorted(day, side="right")) - 1]
        return dataclasses.replace(
            self, study=study, bars=self.bars.between(self.sessions[0], last), actions=self.actions.until(day)
        )

    def view(self, as_of: Any = None) -> MarketView:
        """What was known at `as_of` (a date means that session's close); the study's own moment when None.

        Raises:
            NotYetKnown: `as_of` is later than the study's.
            NoData: nothing is known that early.
        """
        study = self.study if as_of is None else self.study.at(as_of)
        if study.as_of > self.study.as_of:
            raise NotYetKnown(
                f"as_of={study.as_of} is later than the study's as_of={self.study.as_of}.",
                remedy="ask the study at a later as_of.",
            )
        known = self.bars.sessions[self.session_of_bar <= study.session]
        if not len(known):
            raise NoData(f"no session is known as of {study.as_of}.", remedy="start the study earlier.")
        return MarketView(
            as_of=study.as_of,
            bars=self.bars.between(known[0], known[-1]),
            venue=study.venue,
            label=self.label,
            synthetic=self.synthetic,
        )
