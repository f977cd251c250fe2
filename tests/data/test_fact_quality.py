import numpy as np
import pandas as pd
import pytest

from workbench.data.fact_quality import check_facts
from workbench.data.kinds import KINDS, kind_of
from workbench.data.quote_checks import FROZEN_QUOTES
from workbench.errors import BadData, ParameterError

DAYS = pd.DatetimeIndex(["2015-06-01", "2015-06-02", "2015-06-03", "2015-06-04", "2015-06-05"])
KNOWN = pd.Timestamp("2015-06-05T22:00", tz="UTC")
HOUR = pd.Timedelta(hours=1)
SERIES = [1.10, 1.11, 1.12, 1.11, 1.10]
CALL = "ABC   150717C00050000"

# Five good rows of each kind: one symbol, one per day, at 15:00 UTC (11:00 in New York), learned an hour later.
GOOD = {
    "quotes": {"symbol": "ABC", "bid": SERIES, "ask": [price + 0.01 for price in SERIES], "bid_size": 2, "ask_size": 3},
    "trades": {"symbol": "ABC", "price": SERIES, "size": 100, "venue": "V", "key": [f"t{k}" for k in range(5)]},
    "news": {"symbol": "ABC", "headline": [f"headline {k}" for k in range(5)], "key": [f"n{k}" for k in range(5)]},
    "filings": {"symbol": "ABC", "form": "8-K", "key": [f"0000000001-15-00000{k}" for k in range(5)]},
    "fundamentals": {"symbol": "ABC", "value": SERIES, "key": [f"us-gaap:Cash:USD:2015-05-0{k + 1}" for k in range(5)]},
    "macro": {"symbol": "GDP", "value": SERIES},
    "fx": {"symbol": "EUR/USD", "rate": SERIES},
    "short_interest": {
        "symbol": "ABC", "short_shares": 500, "previous_shares": 500, "average_volume": 100, "days_to_cover": 5,
        "learned": DAYS.tz_localize("UTC") + pd.Timedelta(days=14),
    },
    "short_volume": {"symbol": "ABC", "short_volume": 40, "short_exempt_volume": 1, "total_volume": 100},
    "actions": {"symbol": "ABC", "amount": 0.25, "key": "dividend:1"},
    "options": {
        "symbol": CALL, "underlying": "ABC", "bid": 1.0, "ask": 1.1, "delta": 0.5, "gamma": 0.1, "vega": 0.1,
    },
    "sentiment": {"symbol": "ABC", "score": 0.5, "confidence": 0.9, "method": "rules", "key": [*"abcde"]},
}  # fmt: skip


def facts(kind, row=2, **changed):
    moment = DAYS.tz_localize("UTC") + 15 * HOUR
    rows = pd.DataFrame({"session": DAYS, "time": moment, "happened": moment, "learned": moment + HOUR, "source": "s"})
    rows = kind_of(kind).typed(rows.assign(**GOOD[kind]))
    for name, value in changed.items():
        rows.loc[row, name] = value
    return rows


def checked(rows, kind, *, known_until=KNOWN, symbols=None):
    return check_facts(rows, kind=kind, dataset=f"{kind}/test", venue="XNYS", known_until=known_until, symbols=symbols)


def kinds(result, severity):
    return [finding.kind for finding in result.findings if finding.severity == severity]


def test_every_kind_is_checked():
    assert set(GOOD) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_good_facts_pass_untouched(kind):
    rows = facts(kind)
    result = checked(rows, kind, known_until=rows["happened"].max(), symbols=["ABC"] if kind == "options" else None)
    assert result.findings == []
    pd.testing.assert_frame_equal(result.good, rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda rows: {"learned": rows.loc[2, "happened"] - HOUR}, "clocks"),
        (lambda _: {"happened": KNOWN + HOUR, "learned": KNOWN + 2 * HOUR}, "from-the-future"),
    ],
)
def test_both_clocks_of_every_kind_are_checked(kind, spoil, found):
    rows = facts(kind)
    for name, value in spoil(rows).items():
        rows.loc[2, name] = value
    result = checked(rows, kind)
    assert kinds(result, "error") == [found]
    assert (result.quarantined, len(result.good)) == (1, 4)
    assert result.kept_back["why"].tolist() == [found]
    assert rows.loc[2, "symbol"] == result.findings[0].row["symbol"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_bounds_and_the_needs_of_every_column_are_checked(kind):
    shape = kind_of(kind)
    for column in shape.of("number"):
        outside = [np.inf, *(column.least - 1 for _ in [0] if np.isfinite(column.least))]
        outside += [column.most + 1] if np.isfinite(column.most) else []
        for value in outside:
            rows = facts(kind, **{column.name: value})
            found = [one for one in checked(rows, kind).findings if one.kind == "bad-value"]
            assert len(found) == 1, column.name
            assert column.name in found[0].detail
    needed = [one.name for form in ("number", "text") for one in shape.of(form) if one.needed]
    for name in [*needed, *(["key"] if shape.keyed else [])]:
        empty = np.nan if name in {one.name for one in shape.of("number")} else "  "
        result = checked(facts(kind, **{name: empty}), kind)
        assert "missing-value" in kinds(result, "error"), name
        assert len(result.good) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_of_equal_facts_one_passes_and_of_contradicting_ones_none(kind):
    rows = facts(kind)
    number = next(iter(kind_of(kind).of("number")), None)
    same = checked(pd.concat([rows, rows.iloc[[2]]]), kind)
    assert (kinds(same, "error"), len(same.good)) == (["duplicate"], 5)
    other = rows.iloc[[2]].copy()
    name = number.name if number else next(one.name for one in kind_of(kind).of("text"))
    other[name] = other[name] * 0.999 if number else "another"
    if kind == "actions":
        other[name] = 0.249
    both = checked(pd.concat([rows, other]), kind)
    assert kinds(both, "error") == ["duplicate"]
    assert (both.quarantined, len(both.good)) == (2, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_two_vintages_of_a_fact_are_no_duplicates(kind):
    rows = facts(kind)
    both = pd.concat([rows, rows.iloc[[2]].assign(learned=rows.loc[2, "learned"] + HOUR)])
    result = checked(both, kind)
    assert kinds(result, "error") == []
    assert len(result.good) == 6


@pytest.mark.parametrize("kind", ["quotes", "trades", "news", "sentiment"])
def test_a_fact_lies_on_the_day_of_its_moment_in_new_york(kind):
    night = pd.Timestamp("2015-06-04T03:30", tz="UTC")  # half past eleven in the evening before
    moments = {"time": night, "happened": night, "learned": night}
    assert checked(facts(kind, **moments), kind).quarantined == 0
    late = dict.fromkeys(moments, night + HOUR)
    assert kinds(checked(facts(kind, **late), kind), "error") == ["wrong-day"]


@pytest.mark.parametrize("kind", ["quotes", "trades", "short_volume"])
def test_what_the_venue_makes_lies_on_its_sessions(kind):
    saturday = pd.Timestamp("2015-05-30")
    moment = saturday.tz_localize("UTC") + 15 * HOUR
    moments = {name: moment for name in ("time", "happened", "learned") if name in facts(kind).columns}
    assert kinds(checked(facts(kind, 0, session=saturday, **moments), kind), "error") == ["not-a-session"]


# Each row is wrong or strange in one way of its own kind.
@pytest.mark.parametrize(
    ("kind", "severity", "found", "changed"),
    [
        ("quotes", "error", "empty-quote", {"bid": np.nan, "ask": np.nan}),
        ("quotes", "error", "crossed", {"bid": 1.2, "ask": 1.1}),
        ("quotes", "warning", "wide", {"bid": 1.0, "ask": 1.3}),
        ("trades", "warning", "jump", {"price": 2.5}),
        ("news", "warning", "late", {"learned": DAYS[2].tz_localize("UTC") + pd.Timedelta(days=9)}),
        ("filings", "error", "bad-key", {"key": "1-15-2"}),
        ("filings", "warning", "period-not-over", {"period": "2015-06-04"}),
        ("fundamentals", "error", "bad-key", {"key": "Cash"}),
        ("fundamentals", "error", "bad-key", {"key": "us-gaap:Cash:USD:2015-06-04"}),
        ("fundamentals", "warning", "period-not-over", {"session": pd.Timestamp("2015-06-10")}),
        ("fx", "error", "bad-key", {"symbol": "EURUSD"}),
        ("fx", "warning", "jump", {"rate": 1.2}),
        ("short_interest", "warning", "inconsistent", {"days_to_cover": 4.9}),
        ("short_interest", "warning", "too-early", {"learned": DAYS[2].tz_localize("UTC") + pd.Timedelta(days=2)}),
        ("short_volume", "error", "inconsistent", {"short_volume": 101}),
        ("actions", "error", "bad-key", {"key": "gift:1"}),
        ("actions", "error", "no-amount", {"key": "split:1", "ratio": np.nan}),
        ("actions", "error", "no-amount", {"amount": 0.0}),
        ("actions", "warning", "unlikely", {"key": "split:1", "ratio": 1.0}),
        ("actions", "warning", "unlikely", {"key": "split:1", "ratio": 0.001}),
        ("options", "error", "bad-key", {"symbol": "ABC"}),
        ("options", "error", "crossed", {"bid": 1.2}),
        ("options", "error", "expired", {"symbol": "ABC   150602C00050000"}),
        ("options", "warning", "inconsistent", {"delta": -0.5}),
        ("options", "warning", "inconsistent", {"symbol": CALL.replace("C0005", "P0005")}),
    ],
)  # fmt: skip
def test_each_kind_has_checks_of_its_own(kind, severity, found, changed):
    result = checked(facts(kind, 4 if "session" in changed else 2, **changed), kind)
    assert set(kinds(result, severity)) == {found}
    assert len(result.good) == (4 if severity == "error" else 5)
    assert changed.keys() & result.findings[0].row.keys()


@pytest.mark.parametrize(("count", "found"), [(FROZEN_QUOTES, ["frozen"]), (49, [])])
def test_quotes_that_stand_still_are_frozen(count, found):
    moments = pd.date_range("2015-06-01T14:00", periods=count + 1, freq="10s", tz="UTC")
    rows = facts("quotes").iloc[[0] * (count + 1)].reset_index(drop=True)
    rows = rows.assign(time=moments, happened=moments, learned=moments)
    rows.loc[count, "bid"] = 1.05
    assert kinds(checked(rows, "quotes"), "warning") == found
    quick = {name: pd.date_range(moments[0], periods=count + 1, freq="1s") for name in ("time", "happened", "learned")}
    assert kinds(checked(rows.assign(**quick), "quotes"), "warning") == []


@pytest.mark.parametrize("kind", ["quotes", "trades"])
@pytest.mark.parametrize(
    ("at", "found"),
    [("15:10", []), ("15:16", ["stale"]), ("13:40", []), ("20:30", [])],
)
def test_quotes_and_trades_are_stale_while_the_venue_is_open(kind, at, found):
    until = pd.Timestamp(f"2015-06-05T{at}", tz="UTC")
    rows = facts(kind)
    result = checked(rows[rows["happened"] <= until], kind, known_until=until)
    assert kinds(result, "warning") == found


def test_the_same_article_under_two_keys_is_said():
    rows = facts("news", headline="Headline: 1!", row=2)
    late = rows.assign(headline=rows["headline"].where(rows.index != 2, "Headline 1."))
    assert kinds(checked(late, "news"), "warning") == ["same-article"]
    revised = pd.concat([facts("news"), facts("news").iloc[[2]].assign(learned=KNOWN, summary="more")])
    assert "same-article" not in kinds(checked(revised, "news"), "warning")
    far = rows.assign(headline=rows["headline"].where(rows.index != 4, "headline 1"))
    assert kinds(checked(far, "news"), "warning") == ["same-article"]  # of the third row only


def test_thousands_taken_for_units_are_said():
    rows = facts("fundamentals")
    rows["key"] = [f"us-gaap:Cash:USD:{day.date() - pd.Timedelta(days=90)}" for day in rows["session"]]
    assert kinds(checked(rows, "fundamentals"), "warning") == []
    rows.loc[4, "value"] *= 1000
    assert kinds(checked(rows, "fundamentals"), "warning") == ["scale"]
    rows.loc[4, "key"] = f"us-gaap:Cash:USD:{rows.loc[4, 'session'].date() - pd.Timedelta(days=365)}"
    assert kinds(checked(rows, "fundamentals"), "warning") == []  # a year is no quarter


def test_a_vintage_far_from_the_one_before_is_said():
    late = facts("macro").iloc[[2]].assign(learned=KNOWN)
    for value, found in ((2.0, ["revision"]), (1.2, [])):
        both = pd.concat([facts("macro"), late.assign(value=value)]).sort_values("session", kind="stable")
        assert kinds(checked(both, "macro"), "warning") == found


@pytest.mark.parametrize("kind", ["macro", "fx"])
def test_a_series_that_stopped_is_stale(kind):
    soon, late = pd.Timestamp("2015-06-10T20:00", tz="UTC"), pd.Timestamp("2015-06-11T20:00", tz="UTC")
    assert kinds(checked(facts(kind), kind, known_until=soon), "warning") == []
    result = checked(facts(kind), kind, known_until=late)
    assert [(one.kind, one.session) for one in result.findings] == [("stale", DAYS[-1])]


def test_an_exchange_rate_stands_still_leaps_over_days_or_contradicts_its_inverse():
    still = checked(facts("fx").assign(rate=1.1), "fx")
    assert kinds(still, "warning") == ["frozen"]
    far = facts("fx", 4, session=pd.Timestamp("2015-06-11"), learned=KNOWN + pd.Timedelta(days=7))
    assert kinds(checked(far, "fx", known_until=KNOWN + pd.Timedelta(days=7)), "warning") == ["gap"]
    turned = facts("fx").assign(symbol="USD/EUR", rate=1 / np.array(SERIES))
    both = pd.concat([facts("fx"), turned])
    assert kinds(checked(both, "fx"), "warning") == []
    both = pd.concat([facts("fx"), turned.assign(rate=turned["rate"] * 1.02)])
    found = checked(both, "fx").findings
    assert {one.kind for one in found} == {"inconsistent"}
    assert len(found) == 5


def test_short_interest_is_expected_twice_a_month():
    late = pd.Timestamp("2015-07-10", tz="UTC")
    rows = facts("short_interest", 4, session=pd.Timestamp("2015-06-30"), learned=late)
    assert [(one.kind, one.session) for one in checked(rows, "short_interest").findings if one.kind == "gap"] == [
        ("gap", pd.Timestamp("2015-06-30"))
    ]
    less = facts("short_interest", short_shares=20, days_to_cover=1)  # less than a day is written as a day
    assert kinds(checked(less, "short_interest"), "warning") == []


def test_missing_sessions_of_short_volume_are_said():
    found = checked(facts("short_volume").drop(index=[1, 2]), "short_volume").findings
    assert [(one.kind, one.session, one.detail) for one in found] == [("gap", DAYS[1], "2 missing, up to 2015-06-03")]


def test_two_splits_on_one_day_are_said():
    rows = facts("actions").iloc[[2, 2]].assign(key=["split:1", "split:2"], ratio=2.0)
    assert kinds(checked(rows, "actions"), "warning") == ["same-day"]


def test_facts_out_of_order_are_sorted_by_symbol_moment_and_when_they_were_learned():
    rows = facts("macro")
    late = rows.iloc[[0]].assign(learned=KNOWN, value=1.2)
    mixed = pd.concat([rows.assign(symbol="B"), late, rows.iloc[::-1]])
    result = checked(mixed, "macro")
    assert {(one.kind, one.symbol) for one in result.findings} == {("order", "GDP")}
    assert result.good["symbol"].drop_duplicates().tolist() == ["B", "GDP"]
    assert result.good[result.good["symbol"] == "GDP"]["value"].tolist() == [SERIES[0], 1.2, *SERIES[1:]]


def test_a_symbol_that_did_not_come_is_said_of_kinds_that_every_symbol_has():
    assert kinds(checked(facts("fx"), "fx", symbols=["EUR/USD", "EUR/GBP"]), "warning") == ["no-rows"]
    assert checked(facts("news"), "news", symbols=["ABC", "XYZ"]).findings == []


def test_a_response_of_another_shape_is_refused_as_a_whole():
    for spoil, said in (
        (lambda rows: rows.drop(columns="bid"), "lacks the columns bid"),
        (lambda rows: rows.assign(bid="1.0"), "bid is str, not a number"),
        (lambda rows: rows.assign(time=rows["time"].dt.tz_localize(None)), "time is datetime64"),
        (lambda rows: rows.assign(source=1), "source is int64, not text"),
    ):
        with pytest.raises(BadData, match=said):
            checked(spoil(facts("quotes")), "quotes")
    with pytest.raises(ParameterError, match="kind='weather'"):
        checked(facts("quotes"), "weather")
    wider = checked(facts("quotes").assign(extra=1), "quotes")
    assert list(wider.good.columns) == list(kind_of("quotes").columns)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_at_all_is_a_good_answer(kind):
    result = checked(kind_of(kind).empty(), kind)
    assert (result.findings, result.quarantined) == ([], 0)
    assert list(result.good.columns) == list(kind_of(kind).columns)
