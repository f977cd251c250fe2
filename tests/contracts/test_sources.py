"""One contract, every source: a new source adds a class of facts, and no test."""

import pandas as pd
import pytest

from workbench import sessions
from workbench.data.quality import check
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS, PRICES, BarSource
from workbench.data.sources import NAMES, open_source
from workbench.errors import DataError

START, END = pd.Timestamp("2015-06-15"), pd.Timestamp("2015-07-06")
FAR = pd.Timestamp("2035-01-01", tz="UTC")


@pytest.fixture(scope="module")
def opened():
    return {name: open_source(name) for name in NAMES}


class SourceContract:
    """What holds for every source. A subclass states facts: its name, two symbols, and what it has."""

    name: str
    symbols: tuple[str, str]
    says: str
    timeframes: tuple[str, ...]

    @pytest.fixture
    def source(self, opened):
        return opened[self.name]

    def test_it_is_a_source_and_says_what_it_is(self, source):
        assert isinstance(source, BarSource)
        assert source.name == self.name
        assert self.says in source.label
        assert source.synthetic == ("SYNTHETIC" in source.label)
        assert set(self.symbols) <= set(source.symbols())
        assert len(set(source.symbols())) == len(source.symbols())

    def test_daily_bars_have_the_columns_and_types_of_the_contract(self, source):
        rows = source.bars(self.symbols, start=START, end=END)
        assert tuple(rows.columns) == DAILY_COLUMNS
        self.assert_types(rows)

    def test_an_empty_answer_has_the_same_columns_and_types(self, source):
        sunday = pd.Timestamp("2015-06-21")
        for timeframe in self.timeframes:
            rows = source.bars(self.symbols, start=sunday, end=sunday, timeframe=timeframe)
            assert rows.empty
            assert tuple(rows.columns) == (DAILY_COLUMNS if timeframe == "1d" else INTRADAY_COLUMNS)
            self.assert_types(rows)

    def test_every_session_of_the_range_is_there_once_in_order(self, source):
        rows = source.bars(self.symbols, start=START, end=END)
        days = sessions.sessions(source.venue, START, END)
        for symbol, of_symbol in rows.groupby("symbol"):
            assert list(of_symbol["session"]) == list(days), symbol
        assert rows["symbol"].drop_duplicates().tolist() == list(self.symbols)

    def test_both_ends_of_the_range_are_included(self, source):
        rows = source.bars(self.symbols[:1], start=pd.Timestamp("2015-06-16"), end=pd.Timestamp("2015-06-17"))
        assert rows["session"].tolist() == [pd.Timestamp("2015-06-16"), pd.Timestamp("2015-06-17")]

    def test_a_row_does_not_depend_on_what_else_was_asked(self, source):
        for timeframe in self.timeframes:
            whole = source.bars(source.symbols(), start=START, end=END, timeframe=timeframe)
            part = open_source(self.name).bars(
                self.symbols[1:], start=pd.Timestamp("2015-06-18"), end=pd.Timestamp("2015-06-19"), timeframe=timeframe
            )
            inside = whole["session"].between(pd.Timestamp("2015-06-18"), pd.Timestamp("2015-06-19"))
            wanted = whole[inside & (whole["symbol"] == self.symbols[1])].reset_index(drop=True)
            pd.testing.assert_frame_equal(part, wanted)

    def test_the_order_of_symbols_is_as_asked_and_repeats_do_not_count(self, source):
        second, first = self.symbols
        rows = source.bars([first, second, first], start=START, end=END)
        assert rows["symbol"].drop_duplicates().tolist() == [first, second]
        assert not rows.duplicated(["symbol", "session"]).any()

    def test_a_bar_happened_when_its_session_closed_and_was_not_learned_before(self, source):
        rows = source.bars(self.symbols, start=START, end=END)
        closes = sessions.close_times(source.venue, pd.DatetimeIndex(rows["session"]))
        assert list(rows["happened"]) == list(closes)
        assert (rows["learned"] >= rows["happened"]).all()

    def test_nothing_in_it_is_impossible(self, source):
        for timeframe in self.timeframes:
            rows = source.bars(source.symbols(), start=START, end=END, timeframe=timeframe)
            checked = check(rows, dataset="t", venue=source.venue, known_until=FAR)
            assert checked.quarantined == 0
            assert len(checked.good) == len(rows)

    def test_a_field_is_there_throughout_or_not_at_all(self, source):
        for symbol in source.symbols():
            rows = source.bars([symbol], start=START, end=END)
            for name in ("open", "high", "low", "volume"):
                assert rows[name].isna().mean() in (0.0, 1.0), (symbol, name)
            assert rows["close"].notna().all()

    def test_changing_an_answer_does_not_change_the_next_one(self, source):
        before = source.bars(self.symbols, start=START, end=END)
        kept = before.copy(deep=True)
        before.loc[:, "close"] = -1.0
        pd.testing.assert_frame_equal(source.bars(self.symbols, start=START, end=END), kept)

    def test_a_symbol_it_does_not_have_is_refused_by_name(self, source):
        with pytest.raises(DataError, match=r"NOTHERE.*\n.*it has"):
            source.bars([self.symbols[0], "NOTHERE"], start=START, end=END)

    def test_a_timeframe_it_does_not_have_is_refused(self, source):
        with pytest.raises(DataError, match="timeframe='2w'"):
            source.bars(self.symbols, start=START, end=END, timeframe="2w")

    def test_intraday_bars_keep_the_contract_too(self, source):
        for timeframe in self.timeframes[1:]:
            rows = source.bars(self.symbols, start=START, end=START, timeframe=timeframe)
            assert tuple(rows.columns) == INTRADAY_COLUMNS
            self.assert_types(rows)
            assert (rows["happened"] > rows["time"]).all()
            for _, of_symbol in rows.groupby("symbol"):
                assert of_symbol["time"].is_monotonic_increasing
                assert of_symbol["time"].iloc[0] == sessions.opens(source.venue, START)
                assert of_symbol["happened"].iloc[-1] == sessions.closes(source.venue, START)

    @staticmethod
    def assert_types(rows):
        assert pd.api.types.is_string_dtype(rows["symbol"])
        assert str(rows["session"].dtype) == "datetime64[us]"
        for name in (*PRICES, "volume"):
            assert rows[name].dtype == float
        for name in ("time", "happened", "learned"):
            if name in rows.columns:
                assert str(rows[name].dtype) == "datetime64[us, UTC]"


class TestBundled(SourceContract):
    name = "bundled"
    symbols = ("MSFT", "^GSPC")
    says = "real"
    timeframes = ("1d",)


class TestSynthetic(SourceContract):
    name = "synthetic"
    symbols = ("SYN03", "SYN01")
    says = "SYNTHETIC · seed 7"
    timeframes = ("1d", "1h", "5m", "1m")


def test_every_named_source_has_its_contract():
    assert {contract.name for contract in SourceContract.__subclasses__()} == set(NAMES)


def test_an_unknown_source_is_refused_with_the_nearest_name():
    with pytest.raises(DataError, match=r"(?s)source='sinthetic'.*bundled, synthetic.*did you mean 'synthetic'"):
        open_source("sinthetic")
