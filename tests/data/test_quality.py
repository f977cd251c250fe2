import math

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from workbench import sessions
from workbench.data import quality
from workbench.data.quality import check, store_findings
from workbench.data.source import DAILY_COLUMNS
from workbench.data.sources import open_source
from workbench.errors import BadData
from workbench.store.engine import transaction
from workbench.store.tables.quality import QualityFindingRow

DAYS = sessions.sessions("XNYS", "2015-06-01", "2015-06-30")
KNOWN = sessions.closes("XNYS", DAYS[-1])


def bars(symbol="AAPL", days=DAYS):
    """Twenty-two good daily bars of one symbol."""
    closes_at = sessions.close_times("XNYS", days)
    close = 100.0 + np.sin(np.arange(len(days)))
    return pd.DataFrame(
        {
            "symbol": symbol,
            "session": days,
            "open": close - 0.2,
            "high": close + 0.5,
            "low": close - 0.5,
            "close": close,
            "volume": 1000.0,
            "happened": closes_at,
            "learned": closes_at,
        }
    )


def checked(rows, *, known_until=KNOWN, symbols=None):
    return check(rows, dataset="bars/1d/test", venue="XNYS", known_until=known_until, symbols=symbols)


def spoiled(row, **values):
    rows = bars()
    for name, value in values.items():
        rows.loc[row, name] = value
    return rows


def test_good_bars_pass_untouched():
    result = checked(bars(), symbols=["AAPL"])
    assert result.findings == []
    assert result.quarantined == 0
    pd.testing.assert_frame_equal(result.good, bars())


# Each row is wrong in one way; it is kept back, it is recorded, and the other twenty-one rows pass.
@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("bad-price", {"close": 0.0}, "close=0"),
        ("bad-price", {"close": -3.0, "low": -3.0}, "close=-3"),
        ("bad-price", {"close": np.nan}, "close=nan"),
        ("bad-price", {"high": np.inf}, "high=inf"),
        ("bad-price", {"open": -0.01}, "open=-0.01"),
        ("bad-range", {"high": 90.0}, r"not inside \[low, high\]"),
        ("bad-range", {"close": 200.0}, "close=200"),
        ("bad-range", {"close": 50.0}, "close=50"),
        ("bad-range", {"open": 200.0}, "open=200"),
        ("bad-volume", {"volume": -1.0}, "volume=-1"),
        ("bad-volume", {"volume": np.inf}, "volume=inf"),
        (
            "from-the-future",
            {"happened": KNOWN + pd.Timedelta(1, unit="us"), "learned": KNOWN + pd.Timedelta(days=1)},
            "after",
        ),
        ("clocks", {"happened": pd.Timestamp("2015-06-05T19:59", tz="UTC")}, "before the session closed"),
        ("clocks", {"learned": pd.Timestamp("2015-06-05T19:59", tz="UTC")}, "learned before it happened"),
    ],
)
def test_an_impossible_row_is_quarantined_and_the_others_pass(kind, values, said):
    row = 4  # the session of 2015-06-05
    result = checked(spoiled(row, **values))
    errors = [finding for finding in result.findings if finding.severity == "error"]
    assert [(finding.kind, finding.session, finding.quarantined) for finding in errors] == [(kind, DAYS[row], True)]
    assert pd.Series([errors[0].detail]).str.contains(said).all(), errors[0].detail
    assert errors[0].row["symbol"] == "AAPL"
    assert result.quarantined == 1
    assert result.good["session"].tolist() == DAYS.delete(row).tolist()


def test_a_day_without_trading_is_quarantined():
    saturday = bars().iloc[[4]].assign(session=pd.Timestamp("2015-06-06"))
    rows = pd.concat([bars().iloc[:5], saturday, bars().iloc[5:]])
    result = checked(rows)
    assert [(finding.kind, str(finding.session.date())) for finding in result.findings] == [
        ("not-a-session", "2015-06-06")
    ]
    assert len(result.good) == len(DAYS)


def test_of_equal_rows_one_is_passed_on_and_of_different_ones_none():
    repeated = pd.concat([bars(), bars().iloc[[3]]])
    result = checked(repeated)
    assert [finding.kind for finding in result.findings if finding.quarantined] == ["duplicate"]
    assert (len(result.good), result.quarantined) == (len(DAYS), 1)
    contradicted = pd.concat([repeated, bars().iloc[[3]].assign(close=100.1), bars().iloc[[7]]])
    result = checked(contradicted)
    assert {(finding.kind, finding.session) for finding in result.findings if finding.quarantined} == {
        ("duplicate", DAYS[3]),
        ("duplicate", DAYS[7]),
    }
    assert result.good["session"].tolist() == DAYS.delete(3).tolist()
    assert result.quarantined == 4


def test_rows_out_of_order_are_sorted_and_reported_per_symbol():
    rows = pd.concat([bars("MSFT"), bars().iloc[::-1]])
    result = checked(rows)
    assert {(finding.kind, finding.symbol, finding.severity) for finding in result.findings} == {
        ("order", "AAPL", "warning")
    }
    pd.testing.assert_frame_equal(result.good, pd.concat([bars("MSFT"), bars()], ignore_index=True))


def test_a_bar_with_some_of_its_prices_is_strange_and_a_close_only_one_is_not():
    result = checked(spoiled(5, open=np.nan))
    assert [(finding.kind, finding.severity, finding.quarantined) for finding in result.findings] == [
        ("partial", "warning", False)
    ]
    assert len(result.good) == len(DAYS)
    assert checked(bars().assign(open=np.nan, high=np.nan, low=np.nan, volume=np.nan)).findings == []


@pytest.mark.parametrize(("factor", "found"), [(1 / 2, True), (1 / 1.52, True), (1.52, True), (1 / 1.45, False)])
def test_a_split_sized_jump_is_reported_and_passed_on(factor, found):
    rows = bars().assign(close=100.0 + 0.01 * np.arange(len(DAYS)))
    rows.loc[10:, "close"] *= factor
    rows[["open", "high", "low"]] = np.nan
    result = checked(rows)
    assert [(finding.kind, finding.session) for finding in result.findings] == ([("jump", DAYS[10])] if found else [])
    assert len(result.good) == len(DAYS)


def test_the_first_close_of_a_symbol_is_no_jump_from_the_last_of_another():
    cheap = bars("MSFT")
    cheap[["open", "high", "low", "close"]] /= 10
    assert checked(pd.concat([bars(), cheap])).findings == []


@pytest.mark.parametrize(("length", "found"), [(quality.FROZEN, True), (quality.FROZEN - 1, False)])
def test_a_frozen_price_is_reported_once(length, found):
    rows = bars().assign(open=np.nan, high=np.nan, low=np.nan)
    rows.loc[5 : 5 + length - 1, "close"] = 100.0
    result = checked(rows)
    assert [(finding.kind, finding.session) for finding in result.findings] == ([("frozen", DAYS[5])] if found else [])
    if found:
        assert f"for {length} sessions" in result.findings[0].detail


def test_a_gap_inside_a_symbols_life_is_reported_with_its_length():
    rows = bars().drop(index=[0, 1, 8, 9, 10, 15])
    result = checked(rows)
    assert [(finding.kind, finding.session, finding.detail) for finding in result.findings] == [
        ("gap", DAYS[8], f"3 missing, up to {DAYS[10].date()}"),
        ("gap", DAYS[15], f"1 missing, up to {DAYS[15].date()}"),
    ]


def test_a_stale_end_is_reported_against_what_could_be_known():
    early = checked(bars().iloc[:-3], symbols=["AAPL"])
    assert [(finding.kind, finding.session) for finding in early.findings] == [("stale", DAYS[-4])]
    assert "3 sessions before 2015-06-30" in early.findings[0].detail
    before_the_close = KNOWN - pd.Timedelta(minutes=1)
    assert checked(bars().iloc[:-1], known_until=before_the_close).findings == []


def test_a_symbol_that_did_not_come_is_reported():
    result = checked(bars(), symbols=["AAPL", "MSFT"])
    assert [(finding.kind, finding.symbol) for finding in result.findings] == [("no-rows", "MSFT")]
    nothing = checked(bars().iloc[:0], symbols=["AAPL"])
    assert [(finding.kind, finding.symbol) for finding in nothing.findings] == [("no-rows", "AAPL")]


@pytest.mark.parametrize("column", DAILY_COLUMNS)
def test_a_missing_column_refuses_the_whole_response(column):
    with pytest.raises(BadData, match=f"lacks the columns {column}; no row was passed on"):
        checked(bars().drop(columns=column))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows.assign(close=rows["close"].astype(str)), "close is str, not a number"),
        (lambda rows: rows.assign(volume=True), "volume is bool, not a number"),
        (lambda rows: rows.assign(symbol=1), "symbol is int64, not text"),
        (lambda rows: rows.assign(session=rows["session"].dt.strftime("%Y-%m-%d")), "session is str"),
        (lambda rows: rows.assign(session=rows["happened"]), "session is datetime64.*UTC"),
        (lambda rows: rows.assign(session=rows["session"] + pd.Timedelta(hours=1)), "times of day"),
        (lambda rows: rows.assign(learned=rows["learned"].dt.tz_localize(None)), "learned is datetime64"),
        (lambda rows: rows.assign(happened=rows["happened"].where(rows.index > 1)), "happened is empty in 2 rows"),
        (lambda rows: rows.to_dict("records"), "is list, not a table"),
    ],
)
def test_a_wrong_type_refuses_the_whole_response(spoil, said):
    with pytest.raises(BadData, match=said):
        checked(spoil(bars()))


def test_intraday_bars_must_lie_inside_their_session():
    source = open_source("synthetic")
    rows = source.bars(["SYN01"], start=DAYS[0], end=DAYS[1], timeframe="5m")
    assert checked(rows, known_until=sessions.closes("XNYS", DAYS[1])).findings == []
    early = rows.copy()
    for name in ("time", "happened", "learned"):
        early.loc[:1, name] = rows.loc[:1, name] - pd.Timedelta(hours=3)
    late = rows.copy()
    for name in ("happened", "learned"):
        late.loc[77, name] = rows.loc[77, name] + pd.Timedelta(minutes=5)
    for spoilt, count in ((early, 2), (late, 1)):
        result = checked(spoilt, known_until=sessions.closes("XNYS", DAYS[1]))
        assert [(finding.kind, finding.session) for finding in result.findings] == [("clocks", DAYS[0])]
        assert len(result.good) == len(rows) - count
    assert "(2 such rows in this session)" in checked(early, known_until=KNOWN).findings[0].detail


def test_a_flood_of_findings_is_counted_not_listed():
    days = sessions.sessions("XNYS", "2014-01-02", "2015-06-30")
    result = checked(bars(days=days).assign(volume=-1.0))
    listed = [finding for finding in result.findings if finding.kind == "bad-volume"]
    assert len(listed) == quality.MOST
    assert f"and {len(days) - quality.MOST} more sessions, up to 2015-06-30" in listed[-1].detail
    assert result.good.empty
    assert result.quarantined == len(days)


def test_what_the_real_data_hides_is_found():
    """Answers known otherwise: Apple's warning of September 2000, and Range Resources standing still in 1990."""
    source = open_source("bundled")
    start, end = pd.Timestamp("1990-01-02"), pd.Timestamp("2022-12-28")
    rows = source.bars(source.symbols(), start=start, end=end)
    result = checked(rows, known_until=sessions.closes("XNYS", end))
    found = {(finding.symbol, str(finding.session.date()), finding.kind) for finding in result.findings}
    assert {("AAPL", "2000-09-29", "jump"), ("RRC", "1990-01-02", "frozen"), ("^GSPC", "2018-12-31", "stale")} <= found
    assert {finding.symbol for finding in result.findings if finding.kind == "frozen"} == {"RRC"}
    assert result.quarantined == 0


def test_findings_are_stored_once_on_each_database(engine):
    result = checked(spoiled(4, close=np.nan, high=np.inf).drop(index=10), symbols=["AAPL", "MSFT"])
    kinds = sorted(finding.kind for finding in result.findings)
    assert kinds == ["bad-price", "gap", "gap", "no-rows"]
    assert store_findings(engine, result.findings) == 4
    assert store_findings(engine, result.findings) == 0
    assert store_findings(engine, []) == 0
    with transaction(engine) as session:
        rows = session.scalars(select(QualityFindingRow)).all()
    assert sorted(row.kind for row in rows) == kinds
    bad = next(row for row in rows if row.kind == "bad-price")
    assert (bad.symbol, bad.session, bad.severity, bad.quarantined) == ("AAPL", "2015-06-05", "error", True)
    assert bad.row["close"] is None
    assert bad.row["high"] == "inf"
    assert math.isclose(bad.row["low"], bars().loc[4, "low"])
    assert bad.trace_id


def test_findings_as_a_table():
    result = checked(spoiled(4, volume=-1.0))
    frame = quality.as_frame(result.findings)
    assert list(frame.columns) == ["symbol", "session", "kind", "severity", "quarantined", "detail"]
    assert frame["kind"].tolist() == ["bad-volume", "gap"]
    assert quality.as_frame([]).empty
