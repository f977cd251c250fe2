import datetime as dt

import pandas as pd
import pytest

from workbench import sessions
from workbench.data.collect import collect
from workbench.data.collected import collected_ranges
from workbench.data.kinds import kind_of
from workbench.data.sources import open_source
from workbench.errors import BadData, DataError, ParameterError, SourceRefused, SourceUnavailable
from workbench.store.vintages import Vintages

SYMBOLS = ("SYN01", "SYN02", "SYN03", "SYN04")
DATASET = "bars/1d/synthetic-7"
FAR = pd.Timestamp("2100-01-01", tz="UTC")


class Asked:
    """The synthetic market, which remembers what it was asked and fails as it is told."""

    def __init__(self, *, bad=(), error=DataError):
        self._source = open_source("synthetic", seed=7)
        self.name, self.venue, self.label, self.synthetic = "synthetic", "XNYS", "SYNTHETIC", True
        self.bad, self.error, self.asked = set(bad), error, []

    def bars(self, symbols, *, start, end, timeframe="1d"):
        self.asked.append((tuple(symbols), start.date().isoformat(), end.date().isoformat()))
        if self.bad & set(symbols):
            raise self.error("it does not have that", http_status=422)
        return self._source.bars(symbols, start=start, end=end, timeframe=timeframe)


class Articles:
    """A source of news with one article per symbol and day, corrected once on the day after."""

    name, label, synthetic = "press", "press", False

    def __init__(self):
        self.asked, self.corrected = [], False

    def news(self, symbols, *, start, end):
        self.asked.append((tuple(symbols), start.date().isoformat(), end.date().isoformat()))
        rows = []
        for symbol in symbols:
            for day in pd.date_range(start, end):
                time = day.tz_localize("UTC") + pd.Timedelta(hours=14)
                said = "corrected" if self.corrected and day == pd.Timestamp("2015-03-04") else "first"
                late = pd.Timedelta(days=2) if said == "corrected" else pd.Timedelta(0)
                rows.append(
                    {
                        "symbol": symbol,
                        "session": day,
                        "time": time,
                        "key": f"{symbol}-{day.date()}",
                        "headline": f"{symbol} is {said}",
                        "happened": time,
                        "learned": time + late,
                        "source": "press",
                    }
                )
        return kind_of("news").typed(pd.DataFrame(rows)) if rows else kind_of("news").empty()


def at(text):
    return lambda: pd.Timestamp(text, tz="UTC").to_pydatetime()


def ask(workspace, source, **changes):
    asked = {"symbols": SYMBOLS, "start": "2015-03-02", "end": "2015-03-13", "seed": 7, "clock": at("2015-04-01 12:00")}
    return collect(source, workspace=workspace, **{**asked, **changes})


def stored(workspace, dataset=DATASET, symbols=SYMBOLS):
    return Vintages(workspace.vintages_url).read(
        dataset, symbols, start=pd.Timestamp("2000-01-01"), end=pd.Timestamp("2030-01-01"), as_of=FAR
    )


def test_a_collection_brings_everything_once(workspace):
    source = Asked()
    first = ask(workspace, source)
    assert first.complete
    assert first.new_rows == len(SYMBOLS) * 10 == len(stored(workspace))
    again = ask(workspace, source)
    assert (again.parts, again.known, again.new_rows) == (0, len(SYMBOLS), 0)
    assert len(source.asked) == 1
    assert "0 new rows" in repr(again)


def test_one_symbol_is_a_sequence_inside(workspace):
    assert ask(workspace, Asked(), symbols="SYN02").symbols == ("SYN02",)
    assert set(stored(workspace)["symbol"]) == {"SYN02"}


def test_what_is_new_is_asked_with_a_few_days_that_may_have_been_corrected(workspace):
    source = Asked()
    ask(workspace, source)
    later = ask(workspace, source, end="2015-03-20")
    assert source.asked[-1] == (SYMBOLS, "2015-03-07", "2015-03-20")  # seven days before the first missing one
    assert later.new_rows == len(SYMBOLS) * 5
    assert ask(workspace, source, end="2015-03-20").parts == 0
    ranges = collected_ranges(workspace.engine, DATASET, ["SYN01"]).by_symbol["SYN01"]
    assert list(ranges) == [(pd.Timestamp("2015-03-02"), pd.Timestamp("2015-03-20"))]


def test_nothing_is_asked_beyond_the_newest_complete_session(workspace):
    source = Asked()
    ask(workspace, source, end=None, clock=at("2015-03-13 19:59"))  # a minute before the close
    assert source.asked[-1][2] == "2015-03-12"
    ask(workspace, source, end="2099-01-01", clock=at("2015-03-13 20:01"))
    assert source.asked[-1][2] == "2015-03-13"
    with pytest.raises(ParameterError, match="lies after 2015-03-13"):
        ask(workspace, source, start="2015-03-14", clock=at("2015-03-13 20:01"))


def test_a_bad_symbol_costs_only_itself(workspace):
    source = Asked(bad=["SYN03"])
    result = ask(workspace, source)
    assert not result.complete
    assert [one.symbols for one in result.failed] == [("SYN03",)]
    assert set(stored(workspace)["symbol"]) == {"SYN01", "SYN02", "SYN04"}
    assert "FAILED: SYN03" in repr(result)
    assert result.failures()["error"].tolist() == ["it does not have that [WB300]"]
    source.bad = set()
    assert ask(workspace, source).new_rows == 10  # only what failed is asked again
    assert source.asked[-1][0] == ("SYN03",)


def test_an_answer_that_cannot_be_read_costs_only_its_symbol(workspace):
    result = ask(workspace, Asked(bad=["SYN01"], error=BadData))
    assert [one.symbols for one in result.failed] == [("SYN01",)]


def test_a_vendor_that_does_not_answer_is_not_asked_symbol_by_symbol(workspace):
    source = Asked(bad=["SYN03"], error=SourceUnavailable)
    result = ask(workspace, source)
    assert len(source.asked) == 1
    assert result.failed[0].symbols == SYMBOLS


def test_a_refused_key_ends_it_at_once(workspace):
    source = Asked()

    def refuse(*_, **__):
        raise SourceRefused("the key is not known", http_status=401)

    source.bars = refuse
    with pytest.raises(SourceRefused):
        ask(workspace, source)
    assert stored(workspace).empty


def test_long_intraday_questions_are_cut_and_the_progress_is_told(workspace, monkeypatch):
    from workbench.data import parts as module

    monkeypatch.setattr(module, "PART_ROWS", 100)
    source, told = Asked(), []
    result = ask(workspace, source, timeframe="1h", progress=told.append)
    assert result.parts == len(source.asked) > 1
    assert [one.done for one in told] == list(range(1, result.parts + 1))
    assert {one.total for one in told} == {result.parts}
    assert told[-1].new_rows == result.new_rows == len(SYMBOLS) * 10 * 7
    assert ask(workspace, source, timeframe="1h").parts == 0


def test_a_part_that_failed_is_not_noted_by_those_after_it(workspace, monkeypatch):
    from workbench.data import parts as module

    monkeypatch.setattr(module, "PART_ROWS", 40)  # ten calendar days of four symbols
    source = Asked()
    answer = source.bars

    def fail_once(symbols, *, start, end, timeframe="1d"):
        if start == pd.Timestamp("2015-03-02"):
            raise SourceUnavailable("away")
        return answer(symbols, start=start, end=end, timeframe=timeframe)

    source.bars = fail_once
    broken = ask(workspace, source)
    assert [(one.first.date(), one.last.date()) for one in broken.failed] == [
        (dt.date(2015, 3, 2), dt.date(2015, 3, 11))
    ]
    source.bars = answer
    whole = ask(workspace, source)
    assert whole.complete
    days = sessions.sessions("XNYS", "2015-03-02", "2015-03-13")
    assert list(stored(workspace, symbols=["SYN04"])["session"]) == list(days)


def test_other_kinds_run_over_every_calendar_day_and_corrections_are_vintages(workspace):
    source = Articles()
    asked = {"kind": "news", "symbols": ["AAA"], "seed": None, "start": "2015-03-01"}
    first = ask(workspace, source, end="2015-03-05", **asked)
    assert (first.dataset, first.new_rows) == ("news/press", 5)
    source.corrected = True
    later = ask(workspace, source, end="2015-03-07", **asked)
    assert source.asked[-1][1:] == ("2015-03-03", "2015-03-07")
    assert later.new_rows == 3  # two new days and one correction
    read = Vintages(workspace.vintages_url).read
    span = {"start": pd.Timestamp("2015-03-04"), "end": pd.Timestamp("2015-03-04")}
    for moment, said in [("2015-03-05", "AAA is first"), ("2015-03-07", "AAA is corrected")]:
        rows = read("news/press", ["AAA"], as_of=pd.Timestamp(moment, tz="UTC"), **span)
        assert rows["headline"].tolist() == [said]


def test_news_are_read_when_they_are_taken_in(workspace):
    ask(workspace, Articles(), kind="news", symbols=["AAA"], seed=None, start="2015-03-01", end="2015-03-05")
    news, tones = (stored(workspace, f"{kind}/press", ["AAA"]) for kind in ("news", "sentiment"))
    assert tones["key"].tolist() == news["key"].tolist()
    assert tones["learned"].tolist() == news["learned"].tolist()
    assert tones["score"].isna().all()  # "AAA is first" says nothing good or bad, which is not the same as neutral
    ranges = collected_ranges(workspace.engine, "sentiment/press", ["AAA"]).by_symbol["AAA"]
    assert list(ranges) == [(pd.Timestamp("2015-03-01"), pd.Timestamp("2015-03-05"))]


def test_symbols_of_which_a_source_could_not_say_anything_have_failed(workspace):
    from workbench.data.finding import Word, with_word

    source = Asked()
    answer = source.bars

    def half(symbols, **asked):
        return with_word(answer([one for one in symbols if one != "SYN02"], **asked), Word(unanswered=("SYN02",)))

    source.bars = half
    result = ask(workspace, source)
    assert [one.symbols for one in result.failed] == [("SYN02",)]
    source.bars = answer
    assert ask(workspace, source).new_rows == 10
    assert source.asked[-1][0] == ("SYN02",)


def test_a_kind_that_the_source_does_not_have_is_refused(workspace):
    for kind, said in [("news", "cannot be asked for past news"), ("options", "past options"), ("weather", "weather")]:
        with pytest.raises(ParameterError, match=said):
            ask(workspace, Asked(), kind=kind)
    with pytest.raises(ParameterError, match="timeframe='15m'"):
        ask(workspace, Asked(), timeframe="15m")


class Split:
    """A vendor that adjusts: after a split all of its older prices are half of what they were."""

    name, label, synthetic, venue, adjustment = "vendor", "vendor", False, "XNYS", "all"

    def __init__(self):
        self.factor, self.asked = 1.0, []

    def bars(self, symbols, *, start, end, timeframe="1d"):
        self.asked.append((tuple(symbols), start.date().isoformat(), end.date().isoformat()))
        rows = open_source("synthetic", seed=7).bars(symbols, start=start, end=end, timeframe=timeframe)
        for name in ("open", "high", "low", "close"):
            rows[name] *= self.factor
        return rows


def test_what_a_vendor_adjusted_anew_is_asked_for_as_a_whole(workspace):
    source = Split()
    asked = {"symbols": ["SYN01"], "seed": None, "start": "2015-01-05"}
    ask(workspace, source, end="2015-03-06", **asked)
    source.factor = 0.5
    later = ask(workspace, source, end="2015-03-13", **asked)
    assert later.complete
    assert [days for _, *days in source.asked[1:]] == [["2015-02-28", "2015-03-13"], ["2015-01-05", "2015-03-01"]]
    rows = stored(workspace, "bars/1d/vendor", ["SYN01"])
    whole = open_source("synthetic", seed=7).bars(
        ["SYN01"], start=pd.Timestamp("2015-01-05"), end=pd.Timestamp("2015-03-13")
    )
    assert rows["close"].tolist() == (whole["close"] * 0.5).tolist()  # all of them on one basis
    ranges = collected_ranges(workspace.engine, "bars/1d/vendor", ["SYN01"]).by_symbol["SYN01"]
    assert list(ranges) == [(pd.Timestamp("2015-01-05"), pd.Timestamp("2015-03-13"))]
    assert ask(workspace, source, end="2015-03-13", **asked).parts == 0


def test_stopped_after_a_split_was_seen_it_asks_for_the_old_days_next_time(workspace):
    source = Split()
    asked = {"symbols": ["SYN01"], "seed": None, "start": "2015-01-05"}
    ask(workspace, source, end="2015-03-06", **asked)
    source.factor = 0.5
    answer, left = source.bars, [1]

    def once(symbols, **days):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return answer(symbols, **days)

    source.bars = once
    with pytest.raises(KeyboardInterrupt):
        ask(workspace, source, end="2015-03-13", **asked)
    source.bars = answer
    ask(workspace, source, end="2015-03-13", **asked)
    closes = stored(workspace, "bars/1d/vendor", ["SYN01"])["close"]
    assert closes.pct_change().abs().max() < 0.3  # nowhere a leap that no market made
