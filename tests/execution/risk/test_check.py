import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.errors import RiskRefused
from workbench.execution.risk.check import check
from workbench.execution.risk.limits import Limits, OpenOrder, RefusalCode, SessionFacts
from workbench.market.book import Book, Position
from workbench.market.order import OrderType, OrderWish, Side

NOW = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
PRICES = {"AAPL": 100.0, "MSFT": 50.0, "XOM": 80.0}


def wish(symbol="AAPL", qty="10", side=Side.BUY, **more):
    return OrderWish(symbol=symbol, side=side, qty=Decimal(qty), **more)


def book(cash="100000", **held):
    positions = {name: Position(name, Decimal(qty), Decimal(50)) for name, qty in held.items()}
    return Book(Decimal(cash), positions)


def codes(checked):
    return [refusal.code.value for refusal in checked.refusals]


def test_a_modest_wish_passes_the_defaults():
    checked = check([wish()], book=book(), prices=PRICES)
    assert [w.symbol for w in checked.accepted] == ["AAPL"]
    assert checked.refusals == ()
    checked.raise_if_refused()


@pytest.mark.parametrize(
    ("code", "wishes", "extra"),
    [
        ("account_halted", [wish()], {"facts": SessionFacts(halted={"*": "key refused"})}),
        ("symbol_halted", [wish()], {"facts": SessionFacts(halted={"AAPL": "drift"})}),
        ("not_a_number", [wish(qty="NaN")], {}),
        ("not_a_number", [wish(qty="Infinity")], {}),
        ("not_a_number", [wish(qty="0")], {}),
        ("not_a_number", [wish(qty="-3")], {}),
        ("not_a_number", [wish(limit_price=Decimal("NaN"))], {}),
        ("not_a_number", [wish(reference_price=Decimal(0))], {}),
        ("not_a_number", [wish()], {"book": book("NaN")}),
        ("not_a_number", [wish()], {"facts": SessionFacts(buying_power=Decimal("Infinity"))}),
        ("symbol_not_allowed", [wish()], {"limits": Limits(allow=frozenset({"MSFT"}))}),
        ("symbol_denied", [wish()], {"limits": Limits(deny=frozenset({"AAPL"}))}),
        ("open_order", [wish()], {"open_exposure": [OpenOrder("AAPL", Side.BUY, Decimal(1))]}),
        ("no_price", [wish("NEW")], {}),
        ("no_price", [wish()], {"prices": {"AAPL": float("nan")}}),
        ("no_price", [wish()], {"prices": {"AAPL": float("inf")}}),
        ("no_price", [wish()], {"prices": {"AAPL": 0.0}}),
        ("no_price", [wish()], {"book": book(GONE="5")}),
        ("stale_price", [wish()], {"facts": SessionFacts(now=NOW, priced_at={"AAPL": NOW - dt.timedelta(days=5)})}),
        ("price_collar", [wish(limit_price=Decimal(111), type=OrderType.LIMIT)], {}),
        ("price_collar", [wish(reference_price=Decimal(89))], {}),
        ("order_qty", [wish(qty="11")], {"limits": Limits(max_order_qty=Decimal(10))}),
        ("order_notional", [wish(qty="11")], {"limits": Limits(max_order_notional=Decimal(1000))}),
        ("orders_per_session", [wish()], {"facts": SessionFacts(orders_so_far=200)}),
        ("short", [wish(side=Side.SELL)], {}),
        ("position_notional", [wish(qty="11")], {"limits": Limits(max_position_notional=Decimal(1000))}),
        ("position_fraction", [wish(qty="11")], {"limits": Limits(max_position_fraction=Decimal("0.01"))}),
        ("gross_exposure", [wish(qty="11")], {"book": book("1000", MSFT="1980")}),
        ("cash", [wish(qty="10")], {"limits": Limits(min_cash=Decimal("99000.01"))}),
        ("buying_power", [wish()], {"facts": SessionFacts(buying_power=Decimal(999))}),
    ],
)
def test_each_limit_refuses_with_its_code_and_its_numbers(code, wishes, extra):
    checked = check(wishes, **{"book": book(), "prices": PRICES, **extra})
    assert codes(checked) == [code]
    refusal = checked.refusals[0]
    assert refusal.limit
    assert refusal.message.startswith(f"{wishes[0].side.value} {wishes[0].qty} {wishes[0].symbol}: ")
    with pytest.raises(RiskRefused, match=wishes[0].symbol):
        checked.raise_if_refused()
    assert checked.frame().loc[0, "outcome"] == code


def test_bounds_themselves_are_allowed():
    at_bound = Limits(
        max_order_qty=Decimal(10),
        max_order_notional=Decimal(1000),
        max_position_notional=Decimal(1000),
        max_position_fraction=Decimal("0.01"),
        max_gross_exposure=Decimal("0.01"),
        min_cash=Decimal(99_000),
        max_orders_per_session=1,
    )
    facts = SessionFacts(now=NOW, priced_at={"AAPL": NOW - at_bound.max_price_age}, buying_power=Decimal(1000))
    priced = wish(type=OrderType.LIMIT, limit_price=Decimal(100), reference_price=Decimal(90))
    assert check([priced], book=book(), prices=PRICES, limits=at_bound, facts=facts).refusals == ()


def test_the_order_of_the_checks_is_the_order_of_the_codes():
    # A wish that breaks everything is refused for the first reason; repairing reason after reason walks down the list.
    everything = Limits(
        deny=frozenset({"AAPL"}), max_order_qty=Decimal(1), max_order_notional=Decimal(1), max_orders_per_session=0
    )
    bad = wish(qty="2000", type=OrderType.LIMIT, limit_price=Decimal(200))
    halted = SessionFacts(halted={"*": "x", "AAPL": "y"}, buying_power=Decimal(1))
    steps = [
        (everything, halted),
        (everything, SessionFacts(halted={"AAPL": "y"})),
        (everything, SessionFacts()),
        (Limits(max_order_qty=Decimal(1), price_collar=Decimal("0.1")), SessionFacts()),
        (Limits(max_order_qty=Decimal(1), price_collar=Decimal(2)), SessionFacts()),
        (Limits(max_order_notional=Decimal(1), price_collar=Decimal(2)), SessionFacts()),
        (Limits(max_orders_per_session=0, price_collar=Decimal(2)), SessionFacts()),
        (Limits(price_collar=Decimal(2)), SessionFacts()),
        (Limits(price_collar=Decimal(2), max_position_fraction=Decimal(9)), SessionFacts()),
        (
            Limits(price_collar=Decimal(2), max_position_fraction=Decimal(9), max_gross_exposure=Decimal(9)),
            SessionFacts(),
        ),
    ]
    seen = [codes(check([bad], book=book(), prices=PRICES, limits=limits, facts=facts))[0] for limits, facts in steps]
    assert seen == [
        "account_halted", "symbol_halted", "symbol_denied", "price_collar", "order_qty", "order_notional",
        "orders_per_session", "position_fraction", "gross_exposure", "cash",
    ]  # fmt: skip
    members = [code.value for code in RefusalCode]
    assert [members.index(code) for code in seen] == sorted(members.index(code) for code in seen)


def test_second_wish_for_a_symbol_is_a_duplicate_even_after_a_refusal():
    checked = check([wish(qty="NaN"), wish(), wish("MSFT")], book=book(), prices=PRICES)
    assert codes(checked) == ["not_a_number", "duplicate"]
    assert [w.symbol for w in checked.accepted] == ["MSFT"]


def test_sales_pay_for_purchases_and_a_refused_sale_does_not():
    full = book("0", AAPL="100")
    plan = [wish("AAPL", "100", Side.SELL), wish("MSFT", "200")]
    assert codes(check(plan, book=full, prices=PRICES)) == []
    halted = SessionFacts(halted={"AAPL": "drift"})
    assert codes(check(plan, book=full, prices=PRICES, facts=halted)) == ["symbol_halted", "gross_exposure"]


def test_a_reducing_wish_is_never_blocked_by_exposure():
    tight = Limits(
        max_position_notional=Decimal(1), max_position_fraction=Decimal("0.0001"), max_gross_exposure=Decimal("0.0001"),
        min_cash=Decimal(10**6),
    )  # fmt: skip
    facts = SessionFacts(buying_power=Decimal(0))
    sale = wish("AAPL", "40", Side.SELL)
    assert check([sale], book=book("-500", AAPL="100"), prices=PRICES, limits=tight, facts=facts).refusals == ()
    cover = wish("AAPL", "40")
    assert check([cover], book=book("9000", AAPL="-100"), prices=PRICES, limits=tight, facts=facts).refusals == ()
    unpriced_elsewhere = book("0", AAPL="100", GONE="1")
    assert check([sale], book=unpriced_elsewhere, prices=PRICES, limits=tight).refusals == ()


def test_unknown_orders_count_at_worst_case():
    # 60 % of the book may already be bought by an order whose fate is not known, at a limit above the newest price.
    unknown = [OpenOrder("MSFT", Side.BUY, Decimal(1200), Decimal(52), "wb1-x")]
    checked = check([wish(qty="400")], book=book(), prices=PRICES, open_exposure=unknown)
    assert codes(checked) == ["cash"]
    assert checked.refusals[0].numbers["left"] == pytest.approx(100_000 - 1200 * 52 - 40_000)
    assert codes(check([wish(qty="401")], book=book(), prices=PRICES, open_exposure=unknown)) == ["gross_exposure"]
    # An open sale may have happened already: what it covers cannot be sold again.
    selling = [OpenOrder("AAPL", Side.SELL, Decimal(60))]
    loose = Limits(one_order_per_symbol=False)
    sale = wish("AAPL", "41", Side.SELL)
    checked = check([sale], book=book(AAPL="100"), prices=PRICES, limits=loose, open_exposure=selling)
    assert codes(checked) == ["short"]
    assert checked.refusals[0].numbers["available"] == 40


def test_short_sales_pass_only_when_allowed():
    sale = wish("AAPL", "10", Side.SELL)
    assert check([sale], book=book(), prices=PRICES, limits=Limits(allow_short=True)).refusals == ()


@given(
    st.lists(st.tuples(st.sampled_from(sorted(PRICES)), st.integers(1, 3000), st.sampled_from(list(Side))), max_size=6),
    st.dictionaries(st.sampled_from(sorted(PRICES)), st.integers(0, 1000), max_size=3),
    st.integers(0, 100_000),
    st.lists(st.tuples(st.sampled_from(sorted(PRICES)), st.integers(1, 500), st.sampled_from(list(Side))), max_size=3),
)
def test_whatever_is_accepted_keeps_the_limits_in_the_worst_case(asked, held, cash, live):
    before = book(str(cash), **{name: str(qty) for name, qty in held.items()})
    wishes = [wish(symbol, str(qty), side) for symbol, qty, side in asked]
    exposed = [OpenOrder(symbol, side, Decimal(qty)) for symbol, qty, side in live]
    checked = check(wishes, book=before, prices=PRICES, open_exposure=exposed)
    assert sorted(map(id, [*checked.accepted, *(r.wish for r in checked.refusals)])) == sorted(map(id, wishes))
    after = {name: Decimal(held.get(name, 0)) for name in PRICES}
    for accepted in checked.accepted:
        after[accepted.symbol] += accepted.side.sign * accepted.qty
    bought = [a for a in checked.accepted if a.side is Side.BUY]
    open_sales = {n: sum(o.qty for o in exposed if o.symbol == n and o.side is Side.SELL) for n in PRICES}
    open_buys = {n: sum(o.qty for o in exposed if o.symbol == n and o.side is Side.BUY) for n in PRICES}
    for accepted in checked.accepted:
        if accepted.side is Side.SELL:
            assert after[accepted.symbol] - open_sales[accepted.symbol] >= 0
    if bought:
        spent = sum((a.side.sign * a.qty * Decimal(PRICES[a.symbol]) for a in checked.accepted), Decimal(0))
        reserved = sum((open_buys[n] * Decimal(PRICES[n]) for n in PRICES), Decimal(0))
        assert cash - spent - reserved >= 0
    # No accepted order is at the same time as another that may be live for its symbol.
    assert not {a.symbol for a in checked.accepted} & {o.symbol for o in exposed}


def test_limits_are_frozen_and_refuse_unknown_or_absurd_values():
    with pytest.raises(ValidationError):
        Limits(max_order_qty=Decimal(0))
    with pytest.raises(ValidationError):
        Limits(max_ordr_qty=Decimal(1))
    with pytest.raises(ValidationError):
        Limits().min_cash = Decimal(1)
