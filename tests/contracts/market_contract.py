"""What holds for every source of quotes, trades, news, corporate actions and option chains, beside `FactContract`."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.contracts.fact_contract import FactContract
from tests.contracts.http_contract import HttpContract
from workbench.data.fact_quality import check_facts
from workbench.data.kinds import kind_of
from workbench.data.source import ActionSource, NewsSource, OptionSource, QuoteSource, TradeSource

KEYS = ("split", "dividend", "merger", "spinoff", "delisting", "name")


def in_new_york(moments):
    return moments.dt.tz_convert("America/New_York").dt.tz_localize(None)


class QuoteContract(FactContract):
    kind, protocol = "quotes", QuoteSource

    def test_a_session_is_the_day_in_new_york_and_a_side_nobody_quotes_is_nothing(self, rows):
        assert (in_new_york(rows["time"]).dt.normalize() == rows["session"]).all()
        assert not (rows[["bid", "ask"]] == 0).any().any()
        assert rows["bid"].isna().any(), "the vendor of the test has a quote without a bid"

    def test_sizes_of_before_november_2025_are_a_hundred_times_the_vendors(self, rows):
        assert (rows["session"] < "2025-11-03").all()
        assert set(rows["ask_size"]) == {300.0}


class TradeContract(FactContract):
    kind, protocol = "trades", TradeSource

    def test_two_trades_of_one_moment_and_id_on_two_venues_are_two(self, rows):
        assert rows.duplicated(["symbol", "time"]).any(), "the vendor of the test has two trades in one moment"
        assert not rows.duplicated(["symbol", "time", "key"]).any()


class NewsContract(FactContract):
    kind, protocol = "news", NewsSource

    def test_a_day_is_the_day_of_publication_in_new_york(self, rows):
        assert (in_new_york(rows["time"]).dt.normalize() == rows["session"]).all()
        assert (rows["time"].dt.tz_localize(None).dt.normalize() != rows["session"]).any(), "one is of the evening"
        assert (rows["time"] == rows["happened"]).all()


class ActionContract(FactContract):
    kind, protocol = "actions", ActionSource

    def test_each_is_of_a_known_sort_with_the_number_of_its_sort(self, rows):
        sort = rows["key"].str.partition(":")[0]
        assert set(sort) <= set(KEYS)
        assert rows.loc[sort == "split", "ratio"].gt(0).all()
        assert rows.loc[sort == "split", "amount"].isna().all()
        assert rows.loc[sort == "dividend", "ratio"].isna().all()

    def test_it_is_known_when_the_price_shows_it_at_the_latest(self, rows):
        sort = rows["key"].str.partition(":")[0]
        adjusts = rows[sort.isin(["split", "dividend", "spinoff"])]
        assert (in_new_york(adjusts["learned"]) <= adjusts["session"] + pd.Timedelta(hours=9.5)).all()


class OptionContract(HttpContract):
    """A subclass states the chain of `AAPL`: two contracts with a fact, in order, and one that nobody quoted.

    Attributes:
        chain: the symbols of the contracts that come.
    """

    chain: tuple
    kind, protocol = "options", OptionSource

    @pytest.fixture
    def rows(self, source):
        return source.options(["AAPL"])

    def test_it_is_a_source_of_option_chains(self, source):
        assert isinstance(source, OptionSource)
        assert source.name == self.name

    def test_the_rows_have_the_columns_and_types_of_the_kind(self, rows, source):
        shape = kind_of("options")
        assert tuple(rows.columns) == shape.columns
        assert rows.dtypes.to_dict() == shape.empty().dtypes.to_dict()
        assert (rows["source"] == source.name).all()
        assert tuple(rows["symbol"]) == self.chain
        assert set(rows["underlying"]) == {"AAPL"}

    def test_an_underlying_without_options_has_no_row(self, source, rows):
        nothing = source.options("MSFT")
        assert nothing.empty
        assert nothing.dtypes.to_dict() == rows.dtypes.to_dict()
        pd.testing.assert_frame_equal(source.options(["MSFT", "AAPL", "MSFT"]), rows)

    def test_nothing_in_it_is_impossible_or_known_too_early(self, rows, clock):
        checked = check_facts(rows, kind="options", dataset="t", venue="XNYS", known_until=pd.Timestamp(clock()))
        assert checked.quarantined == 0, checked.findings
        assert (rows["happened"] == rows["time"]).all()
        assert (rows["learned"] >= rows["happened"]).all()
