"""A feed that reads one of the workbench's data sources, as far as it is asked for."""

from __future__ import annotations

import array
import datetime as dt
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from workbench.exchange.clock import DAILY
from workbench.exchange.market.feed import NOTHING, VALUES, Series

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from workbench.data.source import BarSource

_FIRST, _LAST = "1985-01-02", "2040-12-28"
_KEPT_SESSIONS: Final = 4000  # symbol-sessions of minute bars in memory: about 65 MB
_STRIDE: Final = dt.timedelta(days=31)  # how much of a long intraday range is read at once


class SourceFeed:
    """A feed over one of the workbench's data sources. Opened and read at the first question.

    Daily bars are kept for good. Of intraday bars the sessions asked for last are kept; a session that is asked for is
    read for all symbols whose session before is still here, in one go: stepping many symbols costs one reading a day.
    """

    def __init__(self, name: str, *, seed: int, timeframe: str = DAILY) -> None:
        self.name, self.seed, self.timeframe = name, seed, timeframe
        self._lock = threading.RLock()  # the warm-up thread and the event loop may ask at the same time
        self._source: BarSource | None = None
        self._series: dict[str, Series] = {}
        self._parts: OrderedDict[tuple[dt.date, str], Series] = OrderedDict()
        # Most symbols trade on the same days: those are kept once.
        self._calendars: dict[bytes, tuple[list[dt.date], list[dt.datetime]]] = {}
        self._stepping: tuple[dt.date, set[str]] = (dt.date.min, set())

    @property
    def source(self) -> BarSource:
        """The opened source. Raises DataError for a name that does not exist."""
        with self._lock:
            if self._source is None:
                from workbench.data.sources import open_source

                self._source = open_source(self.name, seed=self.seed)
            return self._source

    @property
    def label(self) -> str:
        """What is said under every number made of this source."""
        return self.source.label

    @property
    def venue(self) -> str:
        """The calendar of the source's sessions."""
        return self.source.venue

    def symbols(self) -> tuple[str, ...]:
        """The symbols of the source."""
        return self.source.symbols()

    def series(self, symbol: str) -> Series:
        """All daily bars of one symbol."""
        with self._lock:
            if symbol not in self._series:
                self._series[symbol] = self._daily(symbol)
            return self._series[symbol]

    def intraday(self, symbol: str, date: dt.date) -> Series:
        """The finest bars of one symbol in one session."""
        with self._lock:
            found = self._parts.get((date, symbol))
            if found is not None:
                return found
            day, stepping = self._stepping
            together = {symbol}
            if date > day:
                together |= stepping
                self._stepping = (date, set(together))
            elif date == day:
                stepping.add(symbol)
            self._load(sorted(together), date, date)
            return self._parts[date, symbol]

    def read_ahead(self, symbol: str, first: dt.date, last: dt.date) -> None:
        """Read a month of sessions at once instead of one by one."""
        from workbench import sessions

        with self._lock:
            last = min(last, first + _STRIDE)
            days = [day.date() for day in sessions.sessions(self.venue, first, last)]
            missing = [day for day in days if (day, symbol) not in self._parts]
            if missing:
                self._load([symbol], missing[0], missing[-1])

    def headlines(self, first: dt.date, last: dt.date) -> list[tuple[dt.datetime, str, str]]:
        """The source's headlines; none where it has no news."""
        read = getattr(self.source, "news", None)
        if read is None:
            return []
        import pandas as pd

        rows = read(self.symbols(), start=pd.Timestamp(first), end=pd.Timestamp(last))
        times = _moments(rows["time"])
        return list(zip(times, rows["symbol"].tolist(), rows["headline"].tolist(), strict=True))

    def _daily(self, symbol: str) -> Series:
        import pandas as pd

        rows = self.source.bars([symbol], start=pd.Timestamp(_FIRST), end=pd.Timestamp(_LAST))
        rows = rows[rows["close"].notna()].sort_values("session")
        stamps = rows["happened"].to_numpy(dtype="datetime64[us]").tobytes()
        if stamps not in self._calendars:
            dates = rows["session"].to_numpy().astype("datetime64[D]").tolist()
            self._calendars[stamps] = (dates, _moments(rows["happened"]))
        dates, closes_at = self._calendars[stamps]
        return Series(dates, closes_at, **_columns(rows))

    def _load(self, symbols: list[str], first: dt.date, last: dt.date) -> None:
        import pandas as pd

        from workbench import sessions

        days = [day.date() for day in sessions.sessions(self.venue, first, last)]
        rows = self.source.bars(symbols, start=pd.Timestamp(first), end=pd.Timestamp(last), timeframe=self.timeframe)
        rows = rows[rows["close"].notna()]
        shared: dict[bytes, tuple[list[dt.datetime], list[dt.datetime]]] = {}  # most symbols have the same minutes
        groups: Iterable[Any] = rows.groupby(["symbol", "session"], sort=False)
        for (symbol, day), part in groups:
            date = day.date()
            stamps = part["time"].to_numpy(dtype="datetime64[us]").tobytes()
            if stamps not in shared:
                shared[stamps] = (_moments(part["time"]), _moments(part["happened"]))
            begins, ends = shared[stamps]
            self._keep((date, symbol), Series((date,) * len(ends), ends, begins=begins, **_columns(part)))
        for symbol in symbols:
            for date in days:
                if (date, symbol) not in self._parts:
                    self._keep((date, symbol), NOTHING)

    def _keep(self, key: tuple[dt.date, str], part: Series) -> None:
        self._parts[key] = part
        while len(self._parts) > _KEPT_SESSIONS:
            self._parts.popitem(last=False)


def _columns(rows: pd.DataFrame) -> dict[str, Any]:
    """The values as arrays, which hold a float in a quarter of the room of a list."""
    return {name: array.array("d", rows[name].to_numpy(dtype=float).tobytes()) for name in VALUES}


def _moments(column: pd.Series) -> list[dt.datetime]:
    # Through numpy: a Timestamp for each row would take longer than reading the source.
    plain = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]").tolist()
    return [moment.replace(tzinfo=dt.UTC) for moment in plain]
