"""What holds for every source of bars, with a vendor behind it or without."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench import sessions
from workbench.data.quality import check
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS, PRICES, BarSource
from workbench.errors import DataError

FAR = pd.Timestamp("2035-01-01", tz="UTC")


class BarContract:
    """A subclass states facts: its name, two symbols, and what it has; and gives the fixtures `source` and `fresh`.

    Attributes:
        name: of the source.
        symbols: two of its symbols, not in its own order.
        says: what its label says.
        timeframes: what it has, days first.
        lists: it knows all its symbols by name, and refuses others; otherwise another symbol has no row.
        start, end: sessions that it has, with a weekend in between.
    """

    kind = "bars"
    name: str
    symbols: tuple[str, str]
    says: str
    timeframes: tuple[str, ...]
    lists = True
    start, end = pd.Timestamp("2015-06-15"), pd.Timestamp("2015-07-06")

    def all_of(self, source):
        return source.symbols() or self.symbols

    def test_it_is_a_source_and_says_what_it_is(self, source):
        assert isinstance(source, BarSource)
        assert source.name == self.name
        assert self.says in source.label
        assert source.synthetic == ("SYNTHETIC" in source.label)
        assert set(self.symbols) <= set(self.all_of(source))
        assert len(set(source.symbols())) == len(source.symbols())
        assert bool(source.symbols()) == self.lists

    def test_daily_bars_have_the_columns_and_types_of_the_contract(self, source):
        rows = source.bars(self.symbols, start=self.start, end=self.end)
        assert tuple(rows.columns) == DAILY_COLUMNS
        self.assert_types(rows)

    def test_one_symbol_alone_is_asked_for_as_a_word_or_as_a_list(self, source):
        one = self.symbols[0]
        word, listed = (source.bars(given, start=self.start, end=self.end) for given in (one, [one]))
        assert len(word)
        pd.testing.assert_frame_equal(word, listed)

    def test_an_empty_answer_has_the_same_columns_and_types(self, source):
        sunday = pd.Timestamp("2015-06-21")
        for timeframe in self.timeframes:
            rows = source.bars(self.symbols, start=sunday, end=sunday, timeframe=timeframe)
            assert rows.empty
            assert tuple(rows.columns) == (DAILY_COLUMNS if timeframe == "1d" else INTRADAY_COLUMNS)
            self.assert_types(rows)

    def test_every_session_of_the_range_is_there_once_in_order(self, source):
        rows = source.bars(self.symbols, start=self.start, end=self.end)
        days = sessions.sessions(source.venue, self.start, self.end)
        for symbol, of_symbol in rows.groupby("symbol"):
            assert list(of_symbol["session"]) == list(days), symbol
        assert rows["symbol"].drop_duplicates().tolist() == list(self.symbols)

    def test_both_ends_of_the_range_are_included(self, source):
        rows = source.bars(self.symbols[:1], start=pd.Timestamp("2015-06-16"), end=pd.Timestamp("2015-06-17"))
        assert rows["session"].tolist() == [pd.Timestamp("2015-06-16"), pd.Timestamp("2015-06-17")]

    def test_a_row_does_not_depend_on_what_else_was_asked(self, source, fresh):
        first, last = pd.Timestamp("2015-06-18"), pd.Timestamp("2015-06-19")
        for timeframe in self.timeframes:
            whole = source.bars(self.all_of(source), start=self.start, end=self.end, timeframe=timeframe)
            part = fresh().bars(self.symbols[1:], start=first, end=last, timeframe=timeframe)
            inside = whole["session"].between(first, last)
            wanted = whole[inside & (whole["symbol"] == self.symbols[1])].reset_index(drop=True)
            assert len(part)
            pd.testing.assert_frame_equal(part, wanted)

    def test_the_order_of_symbols_is_as_asked_and_repeats_do_not_count(self, source):
        second, first = self.symbols
        rows = source.bars([first, second, first], start=self.start, end=self.end)
        assert rows["symbol"].drop_duplicates().tolist() == [first, second]
        assert not rows.duplicated(["symbol", "session"]).any()

    def test_a_bar_happened_when_its_session_closed_and_was_not_learned_before(self, source):
        rows = source.bars(self.symbols, start=self.start, end=self.end)
        closes = sessions.close_times(source.venue, pd.DatetimeIndex(rows["session"]))
        assert list(rows["happened"]) == list(closes)
        assert (rows["learned"] >= rows["happened"]).all()

    def test_nothing_in_it_is_impossible(self, source):
        for timeframe in self.timeframes:
            rows = source.bars(self.all_of(source), start=self.start, end=self.end, timeframe=timeframe)
            checked = check(rows, dataset="t", venue=source.venue, known_until=FAR)
            assert checked.quarantined == 0
            assert len(checked.good) == len(rows) > 0

    def test_a_field_is_there_throughout_or_not_at_all(self, source):
        for symbol in self.all_of(source):
            rows = source.bars([symbol], start=self.start, end=self.end)
            for name in ("open", "high", "low", "volume"):
                assert rows[name].isna().mean() in (0.0, 1.0), (symbol, name)
            assert rows["close"].notna().all()

    def test_changing_an_answer_does_not_change_the_next_one(self, source):
        before = source.bars(self.symbols, start=self.start, end=self.end)
        kept = before.copy(deep=True)
        before.loc[:, "close"] = -1.0
        pd.testing.assert_frame_equal(source.bars(self.symbols, start=self.start, end=self.end), kept)

    def test_a_symbol_it_does_not_have_is_refused_by_name_or_has_no_row(self, source):
        asked = [self.symbols[0], "NOTHERE"]
        if self.lists:
            with pytest.raises(DataError, match=r"NOTHERE.*\n.*it has"):
                source.bars(asked, start=self.start, end=self.end)
            return
        assert set(source.bars(asked, start=self.start, end=self.end)["symbol"]) == {self.symbols[0]}
        assert source.bars("NOTHERE", start=self.start, end=self.end).empty

    def test_a_timeframe_it_does_not_have_is_refused(self, source):
        with pytest.raises(DataError, match="timeframe='2w'"):
            source.bars(self.symbols, start=self.start, end=self.end, timeframe="2w")

    def test_intraday_bars_keep_the_contract_too(self, source):
        for timeframe in self.timeframes[1:]:
            rows = source.bars(self.symbols, start=self.start, end=self.start, timeframe=timeframe)
            assert tuple(rows.columns) == INTRADAY_COLUMNS
            self.assert_types(rows)
            assert (rows["happened"] > rows["time"]).all()
            assert (rows["learned"] >= rows["happened"]).all()
            for _, of_symbol in rows.groupby("symbol"):
                assert of_symbol["time"].is_monotonic_increasing
                assert of_symbol["time"].iloc[0] == sessions.opens(source.venue, self.start)
                assert of_symbol["happened"].iloc[-1] == sessions.closes(source.venue, self.start)

    @staticmethod
    def assert_types(rows):
        assert pd.api.types.is_string_dtype(rows["symbol"])
        assert str(rows["session"].dtype) == "datetime64[us]"
        for name in (*PRICES, "volume"):
            assert rows[name].dtype == float
        for name in ("time", "happened", "learned"):
            if name in rows.columns:
                assert str(rows[name].dtype) == "datetime64[us, UTC]"
