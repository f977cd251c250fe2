import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.data.intake import take_in
from workbench.data.seams import REBASED, seams

DAYS = sessions.sessions("XNYS", "2015-06-01", "2015-06-30")
KNOWN = sessions.closes("XNYS", DAYS[-1])


def bars(first, last, *, factor=1.0, symbol="ABC"):
    days = DAYS[first:last]
    moments = sessions.close_times("XNYS", days)
    close = factor * (100.0 + np.arange(first, last))
    rows = pd.DataFrame({"symbol": symbol, "session": days, "open": np.nan, "high": np.nan, "low": np.nan})
    return rows.assign(close=close, volume=np.nan, happened=moments, learned=moments)


def found(new, old):
    findings, again = seams(new, old, dataset="bars/1d/test")
    return [(one.kind, one.session) for one in findings], again


def test_new_bars_on_the_old_basis_are_nothing_to_say():
    assert found(bars(10, 20), bars(0, 15)) == ([], ())


@pytest.mark.parametrize(("factor", "kinds"), [(0.5, ["rebased"]), (np.exp(-2 * REBASED), ["rebased"]), (1.00005, [])])
def test_new_bars_on_another_basis_are_said(factor, kinds):
    got, again = found(bars(10, 20, factor=factor), bars(0, 15))
    assert got == [(kind, DAYS[10]) for kind in kinds]
    assert again == (("ABC",) if kinds else ())


def test_who_asks_for_everything_again_has_no_seam():
    assert found(bars(0, 20, factor=0.5), bars(0, 15)) == ([], ())


def test_where_nothing_is_stored_or_nothing_came_there_is_no_seam():
    assert found(bars(10, 20), bars(0, 0)) == ([], ())
    assert found(bars(0, 0), bars(0, 15)) == ([], ())
    assert found(bars(10, 20), bars(0, 15, symbol="XYZ")) == ([], ())


def test_symbols_are_told_apart():
    both = pd.concat([bars(10, 20, factor=0.5), bars(10, 20, symbol="XYZ")], ignore_index=True)
    there = pd.concat([bars(0, 15), bars(0, 15, symbol="XYZ")], ignore_index=True)
    assert found(both, there)[1] == ("ABC",)


def test_another_source_without_a_common_bar_is_said():
    got, again = found(bars(15, 20).assign(source="alpaca"), bars(0, 15).assign(source="yahoo"))
    assert (got, again) == ([("seam", DAYS[15])], ())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_intake_names_the_symbols_to_be_asked_for_again(workspace):
    options = {"workspace": workspace, "dataset": "bars/1d/test", "symbols": ["ABC"]}
    first = take_in(bars(0, 15), known_until=sessions.closes("XNYS", DAYS[14]), **options)
    assert first.rebased == ()
    after_a_split = take_in(bars(10, 22, factor=0.5), known_until=KNOWN, **options)
    assert after_a_split.rebased == ("ABC",)
    assert [finding.kind for finding in after_a_split.findings] == ["rebased"]
    assert take_in(bars(0, 22, factor=0.5), known_until=KNOWN, **options).rebased == ()
