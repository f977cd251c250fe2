"""What holds for every source of facts that lie in the vintages, on top of what holds for every vendor.

A subclass states facts of the source: a question it can answer, and, where its vendor revises what it said, one such
revision.
"""

from __future__ import annotations

import pandas as pd
import pytest

from tests.contracts.http_contract import KEY, SECRET, HttpContract
from workbench.data.collect import collect
from workbench.data.fact_quality import check_facts
from workbench.data.facts import read_facts
from workbench.data.kinds import kind_of
from workbench.data.source import (
    FilingSource,
    FundamentalSource,
    FxSource,
    MacroSource,
    ShortInterestSource,
    ShortVolumeSource,
)
from workbench.store.vintages import Vintages

MOMENT = pd.Timedelta(1, unit="us")
LONG_AGO, FAR = pd.Timestamp("1900-01-01"), pd.Timestamp("2100-01-01")


def day(text):
    return pd.Timestamp(text)


def utc(text):
    return pd.Timestamp(text, tz="UTC")


class FactContract(HttpContract):
    """See the module.

    Attributes:
        kind: the kind of facts; every question of `asks` is about it, and names two symbols, `start` and `end`.
        protocol: what the source must be.
        keyless: the vendor asks for no key: then none that is there by mistake is sent to it.
    """

    kind: str
    protocol: type
    keyless = False

    @pytest.fixture
    def shape(self):
        return kind_of(self.kind)

    @pytest.fixture
    def rows(self, source):
        (label,) = list(self.asks)[:1]
        return self.ask(source, label)

    def over(self, symbols, start, end, source):
        method, _, keywords = next(iter(self.asks.values()))
        return getattr(source, method)(symbols, **(keywords | {"start": day(start), "end": day(end)}))

    def days(self, rows):
        """The day of each row that `start` and `end` are about."""
        return rows["session"]

    def test_it_is_a_source_of_this_kind_and_says_what_it_is(self, source):
        assert isinstance(source, self.protocol)
        assert source.name == self.name
        assert source.label
        assert source.synthetic is False
        assert all(method == self.kind for method, _, _ in self.asks.values())

    def test_the_key_is_in_no_address_message_log_or_repr(self, source, fresh, vendor, caplog):
        if not self.keyless:
            super().test_the_key_is_in_no_address_message_log_or_repr(source, fresh, vendor, caplog)
            return
        for label in self.asks:
            assert len(self.ask(source, label))
        for secret in (KEY, SECRET):
            assert secret not in f"{vendor.asked}{source!r}{caplog.text}"

    def test_the_rows_have_the_columns_and_types_of_the_kind(self, rows, shape, source):
        assert tuple(rows.columns) == shape.columns
        assert rows.dtypes.to_dict() == shape.empty().dtypes.to_dict()
        assert rows.index.equals(pd.RangeIndex(len(rows)))
        assert (rows["source"] == source.name).all()

    def test_a_span_without_facts_is_an_empty_table_of_the_same_shape(self, source, shape):
        symbols = next(iter(self.asks.values()))[1][0]
        empty = self.over(symbols, "1950-01-02", "1950-01-02", source)
        assert empty.empty
        assert empty.dtypes.to_dict() == shape.empty().dtypes.to_dict()

    def test_no_fact_is_there_twice_at_one_moment(self, rows, shape):
        assert not rows.duplicated([*shape.names, "learned"]).any()

    def test_no_fact_is_learned_before_it_happened_or_after_it_was_read(self, rows, clock):
        assert (rows["happened"] <= rows["learned"]).all()
        assert (rows["learned"] <= clock()).all()

    def test_the_order_of_symbols_is_as_asked_and_repeats_do_not_count(self, source, rows):
        first, second = rows["symbol"].drop_duplicates().tolist()
        method, _, keywords = next(iter(self.asks.values()))
        turned = getattr(source, method)([second, first, second], **keywords)
        assert turned["symbol"].drop_duplicates().tolist() == [second, first]
        assert len(turned) == len(rows)

    def test_both_ends_of_the_span_are_included_and_nothing_outside_comes(self, source, rows):
        symbols = rows["symbol"].drop_duplicates().tolist()
        days = self.days(rows)
        for one in sorted(days.unique()):
            of_day = self.over(symbols, one, one, source)
            pd.testing.assert_frame_equal(of_day, rows[days == one].reset_index(drop=True), obj=str(one))

    def test_a_row_does_not_depend_on_what_else_was_asked(self, source, rows):
        days = self.days(rows)
        middle = sorted(days.unique())[len(days.unique()) // 2]
        for symbol in rows["symbol"].unique():
            part = self.over(symbol, middle, days.max() + pd.Timedelta(days=3), source)
            wanted = rows[(days >= middle) & (rows["symbol"] == symbol)].reset_index(drop=True)
            pd.testing.assert_frame_equal(part, wanted)

    def test_nothing_in_it_is_impossible(self, rows, clock):
        checked = check_facts(rows, kind=self.kind, dataset="t", venue="XNYS", known_until=pd.Timestamp(clock()))
        assert checked.quarantined == 0, checked.findings
        assert len(checked.good) == len(rows)

    def test_changing_an_answer_does_not_change_the_next_one(self, source, rows):
        kept = rows.copy(deep=True)
        rows.loc[:, "symbol"] = "CHANGED"
        label = next(iter(self.asks))
        pd.testing.assert_frame_equal(self.ask(source, label), kept)

    def test_a_reader_sees_each_vintage_from_the_moment_it_was_learned_and_not_before(self, rows, shape, tmp_path):
        vintages = Vintages(str(tmp_path))
        assert vintages.append("t", rows) == len(rows)
        symbols = tuple(rows["symbol"].unique())
        for learned in rows["learned"].unique():
            for as_of in (learned - MOMENT, learned):
                shown = vintages.read("t", symbols, start=LONG_AGO, end=FAR, as_of=as_of)
                assert facts(shown, shape) == known(rows, shape, as_of), as_of

    def test_asked_again_it_brings_nothing_new(self, source, rows, clock, tmp_path):
        vintages = Vintages(str(tmp_path), clock=lambda: pd.Timestamp(clock()))
        assert vintages.append("t", rows) == len(rows)
        clock.now += pd.Timedelta(days=2).to_pytimedelta()
        assert vintages.append("t", self.ask(source, next(iter(self.asks)))) == 0

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    def test_what_is_collected_from_it_is_read_as_it_was_known(self, source, rows, shape, clock, workspace):
        symbols = rows["symbol"].drop_duplicates().tolist()
        _, _, keywords = next(iter(self.asks.values()))
        now = pd.Timestamp(clock())

        def collected():
            return collect(source, workspace=workspace, symbols=symbols, kind=self.kind, clock=clock, **keywords)

        first = collected()
        assert (first.complete, first.quarantined, first.new_rows) == (True, 0, len(rows)), first.failures()
        for as_of in (rows["learned"].min() - MOMENT, rows["learned"].median(), now):
            shown = read_facts(workspace, self.kind, source.name, symbols, start=LONG_AGO, end=FAR, as_of=as_of)
            assert facts(shown, shape) == known(rows, shape, as_of), as_of
        assert collected().new_rows == 0


class Revised:
    """A source whose vendor revises what it said.

    Attributes:
        revision: a fact that the vendor of `routes` revised: `symbol`, `session`, `key` where the kind has one, the
            column `value`, its `old` and `new` value, and the moment `learned` at which the new one was known.
    """

    revision: dict

    def test_a_revised_fact_is_the_old_one_before_and_the_new_one_after(self, rows, tmp_path):
        said = self.revision
        vintages = Vintages(str(tmp_path))
        vintages.append("t", rows)

        def shown(as_of):
            read = vintages.read("t", (said["symbol"],), start=said["session"], end=said["session"], as_of=as_of)
            return read[read["key"] == said["key"]][said["value"]] if "key" in said else read[said["value"]]

        assert shown(said["learned"] - MOMENT).tolist() == [said["old"]]
        assert shown(said["learned"]).tolist() == pytest.approx([said["new"]], nan_ok=True)


def facts(frame, shape):
    """The values of a frame by the name of each fact, as plain tuples."""
    return {named(row, shape): valued(row, shape) for row in frame.to_dict("records")}


def known(rows, shape, as_of):
    """What `facts` must be at `as_of`, by a loop over the rows: the vintage learned last, of those learned by then."""
    found = {}
    for row in sorted(rows.to_dict("records"), key=lambda row: row["learned"]):
        if row["learned"] <= as_of:
            found[named(row, shape)] = valued(row, shape)
    return found


def named(row, shape):
    return tuple(row[name] for name in shape.names)


def valued(row, shape):
    names = set(row) - {*shape.names, "happened", "learned", "source"}
    return tuple(repr(row[name]) for name in sorted(names))


class FilingContract(FactContract):
    kind, protocol = "filings", FilingSource

    def test_a_filing_is_not_known_before_its_day(self, rows):
        in_new_york = rows["learned"].dt.tz_convert("America/New_York").dt.tz_localize(None)
        assert (in_new_york >= rows["session"]).all()


class FundamentalContract(FactContract):
    kind, protocol = "fundamentals", FundamentalSource

    def test_a_number_of_a_period_is_not_known_before_the_period_is_over(self, rows):
        in_new_york = rows["learned"].dt.tz_convert("America/New_York").dt.tz_localize(None)
        assert (in_new_york > rows["session"]).all()


class MacroContract(FactContract):
    kind, protocol = "macro", MacroSource


class FxContract(FactContract):
    kind, protocol = "fx", FxSource

    def test_a_rate_is_not_known_before_the_afternoon_of_its_day_in_frankfurt(self, rows):
        in_frankfurt = rows["learned"].dt.tz_convert("Europe/Berlin").dt.tz_localize(None)
        assert (in_frankfurt >= rows["session"] + pd.Timedelta(hours=16)).all()


class ShortInterestContract(FactContract):
    kind, protocol = "short_interest", ShortInterestSource

    def test_a_position_is_not_known_before_firms_had_to_report_it(self, rows):
        """Reports are due at 18:00 New York time of the second business day after the settlement day."""
        due = rows["session"] + pd.offsets.BDay(2) + pd.Timedelta(hours=18)
        assert (rows["learned"].dt.tz_convert("America/New_York").dt.tz_localize(None) > due).all()


class ShortVolumeContract(FactContract):
    kind, protocol = "short_volume", ShortVolumeSource

    def test_a_volume_is_not_known_before_its_session_is_over(self, rows):
        in_new_york = rows["learned"].dt.tz_convert("America/New_York").dt.tz_localize(None)
        assert (in_new_york >= rows["session"] + pd.Timedelta(hours=16)).all()
