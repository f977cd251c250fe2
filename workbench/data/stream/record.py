"""Record: what a stream has told, as rows of the kinds, taken into the store like any other source's answer."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import pandas as pd

from workbench.data import regular
from workbench.data.kinds import dataset_name, kind_of
from workbench.data.stream.article import Article
from workbench.data.stream.batch import Batch
from workbench.data.stream.events import DAILY_BAR, NO_NUMBER, QUOTE, TRADE, venue_text
from workbench.errors import ParameterError
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from workbench.data.intake import TakenIn
    from workbench.store.workspace import Workspace

SOURCE: Final = "stream"
_KEPT: Final = 4  # times `most`: rows that wait while the store cannot be written


def kind_of_batch(batch: Batch) -> tuple[str, str]:
    """The kind of its facts and their timeframe: `("trades", "")`, `("bars", "1m")`, `("bars", "1d")`."""
    if batch.channel.code in {TRADE, QUOTE}:
        return batch.channel.name, ""
    return "bars", "1d" if batch.channel.code == DAILY_BAR else "1m"


def rows_of_batch(batch: Batch, *, source: str = SOURCE, venue: str = "XNYS") -> pd.DataFrame:
    """The events of a batch as rows of their kind.

    Trades are named venue:number, as over REST; a trade without a number has no key, and the intake keeps it back. Of
    bars those of the regular session are left, of daily bars those that came after the close: before it the day is
    not over. Bars are raw, not adjusted for splits or dividends. `learned` is the arrival.
    """
    kind, timeframe = kind_of_batch(batch)
    if kind == "bars":
        return _bars(batch, timeframe, venue)
    time = pd.Series(batch.time.as_unit("us"))
    rows = pd.DataFrame({"symbol": batch.symbols, "session": regular.days_of(time), "time": time})
    for name in batch.channel.columns:
        rows[name] = batch[name]
    if kind == "trades":
        venues = [venue_text(code) for code in batch.rows["venue"]]
        keys = batch.rows["key"].tolist()
        rows["key"] = ["" if key == NO_NUMBER else f"{at}:{key}" for at, key in zip(venues, keys, strict=True)]
        rows["venue"] = venues
    learned = batch.learned.as_unit("us")
    return kind_of(kind).typed(rows.assign(happened=rows["time"], learned=learned, source=source))


def rows_of_articles(articles: Iterable[Article], *, source: str = SOURCE) -> pd.DataFrame:
    """News as rows of kind `news`: one for each symbol that an article is about, none where it names no symbol."""
    rows = [
        {
            "symbol": symbol,
            "time": article.created,
            "key": article.key,
            "headline": article.headline,
            "summary": article.summary,
            "publisher": article.publisher,
            "author": article.author,
            "url": article.url,
            "happened": article.created,
            "learned": article.learned,
            "source": source,
        }
        for article in articles
        for symbol in article.symbols
    ]
    if not rows:
        return kind_of("news").empty()
    made = pd.DataFrame(rows)
    return kind_of("news").typed(made.assign(session=regular.days_of(made["time"])))


class Recorder:
    """A handler that stores what it hears: `stream.subscribe_bars(recorder, "*")`.

    It gathers rows and takes them in when there are many or the oldest has waited long enough; `flush` does it at
    once and belongs at the end. Each dataset is `kind[/timeframe]/source`. While the store cannot be written rows are
    kept, up to four times `most`; then the oldest are lost and counted.

    Args:
        source: under which name the facts are filed.
        most: rows of one kind that are gathered.
        seconds: how long the oldest of them may wait.
        clock: the wall clock, UTC.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        source: str = SOURCE,
        venue: str = "XNYS",
        most: int = 50_000,
        seconds: float = 60.0,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ParameterError(f"most={most!r} must be a whole number of rows ≥ 1.", remedy="leave it out.")
        self._workspace, self._source, self._venue = workspace, source, venue
        self._most, self._wait, self._clock = most, dt.timedelta(seconds=seconds), clock
        self._waiting: dict[tuple[str, str], list[pd.DataFrame]] = {}
        self._since: dt.datetime | None = None
        self._lock = threading.Lock()
        self.new_rows = self.quarantined = self.lost = 0

    def __call__(self, heard: Batch | tuple[Article, ...]) -> None:
        """Gather, and take in where it is time. Raises what the store raises; the rows are kept then."""
        if isinstance(heard, Batch):
            name, rows = kind_of_batch(heard), rows_of_batch(heard, source=self._source, venue=self._venue)
        else:
            name, rows = ("news", ""), rows_of_articles(heard, source=self._source)
        if rows.empty:
            return
        with self._lock:
            self._waiting.setdefault(name, []).append(rows)
            self._since = self._since or self._clock()
            self._let_go(name)
            due = self._clock() - self._since >= self._wait
            if due or self._count(name) >= self._most:
                self._take_in()

    def flush(self) -> None:
        """Take in whatever waits."""
        with self._lock:
            self._take_in()

    def _take_in(self) -> None:
        from workbench.data.intake import take_in

        for kind, timeframe in tuple(self._waiting):
            rows = pd.concat(self._waiting[kind, timeframe], ignore_index=True)
            for once in _each_fact_once(rows, kind, timeframe):
                taken: TakenIn = take_in(
                    once,
                    workspace=self._workspace,
                    kind=kind,
                    dataset=dataset_name(kind, self._source, timeframe=timeframe),
                    venue=self._venue,
                    known_until=max(pd.Timestamp(self._clock()), once["learned"].max()),
                )
                self.new_rows += taken.new_rows
                self.quarantined += taken.quarantined
            del self._waiting[kind, timeframe]
        self._since = None

    def _count(self, name: tuple[str, str]) -> int:
        return sum(map(len, self._waiting[name]))

    def _let_go(self, name: tuple[str, str]) -> None:
        while self._count(name) > _KEPT * self._most and len(self._waiting[name]) > 1:
            self.lost += len(self._waiting[name].pop(0))


def _each_fact_once(rows: pd.DataFrame, kind: str, timeframe: str) -> Iterator[pd.DataFrame]:
    """The rows in parts that hold each fact once, in the order of their coming: two words of it are two answers."""
    bar = ("symbol", "session" if timeframe == "1d" else "time")
    number = rows.groupby(list(bar if kind == "bars" else kind_of(kind).names), sort=False).cumcount()
    for which in range(int(number.max()) + 1):
        yield rows[number == which].reset_index(drop=True)


def _bars(batch: Batch, timeframe: str, venue: str) -> pd.DataFrame:
    names = ["open", "high", "low", "close", "volume"]
    begins = pd.Series(batch.time.as_unit("us"))
    rows = pd.DataFrame({"symbol": pd.array(batch.symbols, dtype="str"), "begins": begins})
    for name in names:
        rows[name] = batch[name]
    arrived = pd.Series(pd.DatetimeIndex(batch.rows["learned"].view("M8[ns]")).tz_localize("UTC").as_unit("us"))
    # A bar is told again when it has changed: of those in one batch the last is what is known.
    last = ~rows.duplicated(["symbol", "begins"], keep="last").to_numpy()
    rows, arrived = rows[last].reset_index(drop=True), arrived[last].reset_index(drop=True)
    symbols = list(dict.fromkeys(rows["symbol"]))
    shaped = regular.bars(
        rows, symbols, timeframe=timeframe, until=pd.Timestamp.max.tz_localize("UTC"), venue=venue, of="streamed bars"
    )
    key = pd.MultiIndex.from_arrays(
        [rows["symbol"], regular.days_of(rows["begins"]) if timeframe == "1d" else begins[last]]
    )
    at = pd.Series(arrived.array, index=key)
    named = pd.MultiIndex.from_frame(shaped[["symbol", "session" if timeframe == "1d" else "time"]])
    came = pd.DatetimeIndex(at.reindex(named))
    if timeframe == "1d":
        over = came >= shaped["happened"]
        shaped, came = shaped[over].reset_index(drop=True), came[over]
    happened = pd.DatetimeIndex(shaped["happened"])
    return shaped.assign(learned=came.where(came > happened, happened))
