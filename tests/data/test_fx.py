"""Money in another currency: by hand, in both languages of amounts, as known then, and refused where it is too old."""

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.fx import convert
from workbench.data.kinds import kind_of
from workbench.errors import NoData, ParameterError
from workbench.store.vintages import Vintages


def utc(text):
    return pd.Timestamp(text, tz="UTC")


def table(*rows):
    """Day, pair, rate, and when it was learned (half past four in Frankfurt in winter, if it is not said)."""
    made = [(*row, utc(row[3] if len(row) > 3 else f"{row[0]} 15:30"))[-1:] + row[:3] for row in rows]
    frame = pd.DataFrame(made, columns=["learned", "session", "symbol", "rate"])
    return kind_of("fx").typed(frame.assign(happened=frame["learned"], source="frankfurter"))


RATES = table(
    ("2024-01-11", "EUR/USD", 1.25),
    ("2024-01-11", "EUR/GBP", 0.8),
    ("2024-01-12", "EUR/USD", 1.28),  # Friday
    ("2024-01-12", "EUR/GBP", 0.84),
    ("2024-01-12", "EUR/JPY", 160.0),
    ("2024-01-15", "EUR/USD", 1.20),
)
SUNDAY = utc("2024-01-14 12:00")


@pytest.mark.parametrize(
    ("base", "quote", "rate", "used"),
    [
        ("EUR", "USD", 1.28, ("EUR/USD",)),
        ("USD", "EUR", 0.78125, ("EUR/USD",)),  # 1 / 1.28
        ("USD", "GBP", 0.65625, ("EUR/USD", "EUR/GBP")),  # 0.84 / 1.28
        ("GBP", "JPY", 160 / 0.84, ("EUR/GBP", "EUR/JPY")),
    ],
)
def test_a_rate_is_used_turned_round_or_made_of_two(base, quote, rate, used):
    found = convert(100.0, base, quote, SUNDAY, rates=RATES)
    assert found.rate == pytest.approx(rate, rel=1e-15)
    assert found.amount == pytest.approx(100 * rate, rel=1e-15)
    assert (found.base, found.quote, found.used) == (base, quote, used)
    assert (found.session, found.age) == (pd.Timestamp("2024-01-12"), 2)


def test_an_amount_of_accounts_stays_one_and_is_exact():
    found = convert(Decimal("1000.10"), "EUR", "USD", SUNDAY, rates=RATES)
    assert found.amount == Decimal("1280.1280")
    assert found.rate == Decimal("1.28")
    cross = convert(Decimal(-64), "USD", "GBP", SUNDAY, rates=RATES)
    assert cross.amount == Decimal(-42)  # −64 · 0.84 / 1.28
    third = table(("2024-01-12", "EUR/USD", 3.0))
    assert convert(Decimal(3), "USD", "EUR", SUNDAY, rates=third).amount == 1  # not 3 · 0.333…
    assert isinstance(convert(Decimal(1), "USD", "USD", SUNDAY, rates=RATES).rate, Decimal)


def test_one_currency_needs_no_rate():
    found = convert(5.0, "GBP", "GBP", SUNDAY, rates=RATES.iloc[:0])
    assert (found.amount, found.rate, found.age, found.used) == (5.0, 1.0, 0, ())


def test_both_legs_are_of_one_day():
    monday_evening = utc("2024-01-15 20:00")  # the pound of Monday is not there yet
    cross = convert(1.0, "USD", "GBP", monday_evening, rates=RATES)
    assert (cross.session, cross.age, cross.rate) == (pd.Timestamp("2024-01-12"), 3, pytest.approx(0.65625))
    assert convert(1.0, "EUR", "USD", monday_evening, rates=RATES).session == pd.Timestamp("2024-01-15")


@pytest.mark.parametrize(
    ("as_of", "rate"), [("2024-01-12 15:29:59", 1.25), ("2024-01-12 15:30", 1.28), ("2024-01-15 15:29", 1.28)]
)
def test_nothing_that_was_learned_later_is_looked_at(as_of, rate):
    assert convert(1.0, "EUR", "USD", utc(as_of), rates=RATES).rate == rate


def test_a_corrected_rate_is_the_old_one_before_and_the_new_one_after():
    rates = table(("2024-01-12", "EUR/USD", 1.28), ("2024-01-12", "EUR/USD", 1.30, "2024-01-12 18:00"))
    assert convert(1.0, "EUR", "USD", utc("2024-01-12 17:59"), rates=rates).rate == 1.28
    assert convert(1.0, "EUR", "USD", utc("2024-01-12 18:00"), rates=rates).rate == 1.30


def test_a_rate_that_is_too_old_is_refused_with_its_day_and_age():
    old = utc("2024-01-20 10:00")
    assert convert(1.0, "EUR", "GBP", old, rates=RATES, max_age=8).age == 8
    with pytest.raises(NoData, match=r"(?s)EUR/GBP .*2024-01-12, 8 days before; bound max_age=7.*max_age=") as caught:
        convert(1.0, "EUR", "GBP", old, rates=RATES)
    assert caught.value.facts["age"] == 8


def test_the_age_counts_days_of_frankfurt():
    late = utc("2024-01-12 23:30")  # half past midnight on the 13th there
    assert convert(1.0, "EUR", "USD", late, rates=RATES).age == 1
    assert convert(1.0, "EUR", "USD", utc("2024-01-12 22:30"), rates=RATES, max_age=0).age == 0


def test_where_nothing_was_known_nothing_is_converted():
    for base, quote, as_of in (("EUR", "CHF", SUNDAY), ("CHF", "USD", SUNDAY), ("EUR", "USD", utc("2024-01-11 15:29"))):
        with pytest.raises(NoData, match="no rate of"):
            convert(1.0, base, quote, as_of, rates=RATES)


@pytest.mark.parametrize(
    "amount", [1, True, float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), "1", None]
)
def test_an_amount_that_is_none_is_refused(amount):
    with pytest.raises(ParameterError, match="amount="):
        convert(amount, "EUR", "USD", SUNDAY, rates=RATES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base": "usd"}, "base='usd'"),
        ({"quote": "EURO"}, "quote='EURO'"),
        ({"quote": "ÄÖÜ"}, "quote="),
        ({"as_of": pd.Timestamp("2024-01-14")}, "no timezone"),
        ({"rates": None}, "either workspace or rates"),
        ({"max_age": -1}, "max_age=-1"),
    ],
)
def test_a_question_that_cannot_be_is_refused(change, said):
    asked = {"amount": 1.0, "base": "EUR", "quote": "USD", "as_of": SUNDAY, "rates": RATES} | change
    with pytest.raises(ParameterError, match=said):
        convert(**asked)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_rates_are_read_from_the_workspace_as_they_were_known(workspace):
    vintages = Vintages(workspace.vintages_url)
    vintages.append("fx/frankfurter", RATES)
    vintages.append("fx/frankfurter", table(("2024-01-12", "EUR/GBP", 0.96, "2024-01-15 09:00")))
    assert convert(1.0, "USD", "GBP", SUNDAY, workspace=workspace).rate == pytest.approx(0.65625)
    assert convert(1.0, "USD", "GBP", utc("2024-01-15 09:00"), workspace=workspace).rate == pytest.approx(0.75)
    with pytest.raises(NoData, match="48 days before"):
        convert(1.0, "EUR", "JPY", utc("2024-02-29 12:00"), workspace=workspace)
    with pytest.raises(ParameterError, match="either"):
        convert(1.0, "EUR", "JPY", SUNDAY, workspace=workspace, rates=RATES)


@settings(max_examples=40)
@given(
    st.decimals("0.01", "100000", places=2),
    st.floats(0.001, 1000, allow_nan=False),
    st.floats(0.001, 1000, allow_nan=False),
)
def test_there_and_back_is_where_one_began(amount, usd, gbp):
    rates = table(("2024-01-12", "EUR/USD", usd), ("2024-01-12", "EUR/GBP", gbp))
    there = convert(amount, "USD", "GBP", SUNDAY, rates=rates)
    back = convert(there.amount, "GBP", "USD", SUNDAY, rates=rates)
    assert abs(back.amount - amount) <= amount * Decimal("1e-26")
    through = convert(convert(amount, "USD", "EUR", SUNDAY, rates=rates).amount, "EUR", "GBP", SUNDAY, rates=rates)
    assert abs(through.amount - there.amount) <= abs(there.amount) * Decimal("1e-26")
