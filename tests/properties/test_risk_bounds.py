"""What the risk check promises whatever is asked: reducing passes, exposure grows with orders, bounds hold at worst."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from workbench.execution.risk.check import check
from workbench.execution.risk.exposure import Exposure, Worst
from workbench.execution.risk.limits import Equity, Limits, OpenOrder, SessionFacts
from workbench.market.book import Book, Position
from workbench.market.order import OrderType, OrderWish, Side
from workbench.market.trading_state import TradingState

D = Decimal
SYMBOLS = ["AAPL", "MSFT", "XOM"]
PRICES = {"AAPL": D(100), "MSFT": D(50), "XOM": D(80)}
quantities = st.integers(1, 2000).map(D)
orders = st.lists(
    st.builds(
        OpenOrder, st.sampled_from(SYMBOLS), st.sampled_from(list(Side)), quantities, group=st.sampled_from(["", "g"])
    ),
    max_size=8,
)
holdings = st.dictionaries(st.sampled_from(SYMBOLS), st.integers(-2000, 2000).map(D), max_size=3)
wishes = st.lists(
    st.builds(OrderWish, st.sampled_from(SYMBOLS), st.sampled_from(list(Side)), quantities), min_size=1, max_size=8
)
EXPOSURE_CODES = {
    "short", "short_unavailable", "position_notional", "position_fraction", "gross_exposure", "net_exposure",
    "account_budget", "bot_budget", "cash", "buying_power", "daily_loss", "drawdown", "consecutive_losses", "no_equity",
    "trading_reducing",
}  # fmt: skip


def book(held, cash="100000"):
    return Book(D(cash), {name: Position(name, qty, D(50)) for name, qty in held.items()})


def worst(held, live):
    return Worst.of(PRICES, {name: qty for name, qty in held.items() if qty}, live)


def outcomes(held, live):
    """Every way in which the open orders of each symbol can end, orders of one group excluding each other, by hand."""
    low, high = dict(held), dict(held)
    for symbol in SYMBOLS:
        for side, ends in ((Side.BUY, high), (Side.SELL, low)):
            alone = sum(o.qty for o in live if (o.symbol, o.side, o.group) == (symbol, side, ""))
            grouped = max((o.qty for o in live if (o.symbol, o.side, o.group) == (symbol, side, "g")), default=0)
            ends[symbol] = ends.get(symbol, D(0)) + side.sign * (alone + grouped)
    return low, high


@given(held=holdings, live=orders)
def test_the_running_sums_are_those_of_counting_anew(held, live):
    low, high = outcomes(held, live)
    counted = worst(held, live)
    ends = {symbol: (low.get(symbol, D(0)), high.get(symbol, D(0))) for symbol in SYMBOLS}
    assert {symbol: counted.reach(symbol) for symbol in SYMBOLS} == ends
    assert counted.gross == sum(max(abs(one), abs(two)) * PRICES[symbol] for symbol, (one, two) in ends.items())
    money = [sum(end[n] * PRICES[symbol] for symbol, end in ends.items()) for n in (0, 1)]
    assert counted.net() == max(map(abs, money))


@given(held=holdings, live=orders, fills=st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(-500, 500).map(D))))
def test_fills_keep_the_sums_right(held, live, fills):
    counted, now = worst(held, live), dict(held)
    for symbol, qty in fills:
        expected = counted.gross_with(symbol, qty), counted.net_with(symbol, qty)
        counted.fill(symbol, qty)
        now[symbol] = now.get(symbol, D(0)) + qty
        assert (counted.gross, counted.net()) == expected
    anew = worst(now, live)
    assert (counted.gross, counted.lowest, counted.highest) == (anew.gross, anew.lowest, anew.highest)


@given(held=holdings, live=orders, more=orders)
def test_another_open_order_never_lowers_the_exposure(held, live, more):
    before, after = worst(held, live), worst(held, live + more)
    assert after.gross >= before.gross
    assert after.net() >= before.net() or after.lowest < before.lowest or after.highest > before.highest
    for symbol in SYMBOLS:
        (low, high), (lower, higher) = before.reach(symbol), after.reach(symbol)
        assert lower <= low <= high <= higher


@given(held=holdings, live=orders, asked=wishes)
def test_what_only_reduces_is_never_refused_by_an_exposure_limit(held, live, asked):
    tight = Limits(
        max_position_notional=D(1),
        max_position_fraction=D("0.000001"),
        max_gross_exposure=D("0.000001"),
        max_net_exposure=D("0.000001"),
        account_budget=D(0),
        bot_budget=D(0),
        min_cash=D(10**9),
        max_daily_loss=D("0.01"),
        max_drawdown=D("0.01"),
        max_consecutive_losses=1,
        max_order_notional=D(10**9),
        one_order_per_symbol=False,
        one_wish_per_symbol=False,
        allow_self_cross=True,
    )
    facts = SessionFacts(
        trading_state=TradingState.REDUCING,
        buying_power=D(0),
        equity=Equity(D(100), D(1), D("NaN"), D(1)),
        losses_in_a_row=99,
    )
    checked = check(asked, book=book(held), prices=PRICES, limits=tight, facts=facts, open_exposure=live)
    now = Exposure.of(book(held), PRICES, tight, facts, live)
    refused = {id(refusal.wish): refusal for refusal in checked.refusals}
    for one in asked:
        reduces = now.reduces(one)
        assert (id(one) not in refused) is reduces
        if reduces:
            now.accept(one)
        else:
            assert refused[id(one)].code.value in EXPOSURE_CODES


@given(held=holdings, live=orders, asked=wishes, gross=st.integers(1, 40), net=st.integers(1, 40))
def test_whatever_is_accepted_keeps_gross_and_net_unless_it_brings_them_nearer(held, live, asked, gross, net):
    limits = Limits(
        max_position_fraction=D(100), max_gross_exposure=D(gross) / 10, max_net_exposure=D(net) / 10,
        min_cash=D(-(10**9)), max_order_notional=D(10**9), allow_short=True, one_order_per_symbol=False,
        one_wish_per_symbol=False, allow_self_cross=True,
    )  # fmt: skip
    value = book(held).value(PRICES)
    before = worst(held, live)
    checked = check(asked, book=book(held), prices=PRICES, limits=limits, open_exposure=live)
    after = worst(held, live)
    for one in checked.accepted:
        after.fill(one.symbol, one.side.sign * one.qty)
    assert after.gross <= max(before.gross, D(gross) / 10 * value)
    assert len(checked.accepted) + len(checked.refusals) == len(asked)


@given(
    number=st.sampled_from(["NaN", "sNaN", "Infinity", "-Infinity"]),
    where=st.sampled_from(["qty", "limit_price", "cash", "held", "own", "price", "equity", "drawdown", "buying_power"]),
    state=st.sampled_from(list(TradingState)),
)
def test_a_number_that_is_none_refuses_and_never_lifts_a_limit(number, where, state):
    bad = D(number)
    one = OrderWish(
        "AAPL", Side.BUY, bad if where == "qty" else D(1), OrderType.LIMIT,
        limit_price=bad if where == "limit_price" else D(100),
    )  # fmt: skip
    equity = Equity(D(100), D(100), bad if where == "equity" else D(100), bad if where == "drawdown" else D(0))
    checked = check(
        [one],
        book=Book(
            bad if where == "cash" else D(10_000), {"MSFT": Position("MSFT", bad, D(50))} if where == "held" else {}
        ),
        prices={"AAPL": bad if where == "price" else D(100), "MSFT": D(50)},
        limits=Limits(max_daily_loss=D("0.5"), max_drawdown=D("0.5")),
        facts=SessionFacts(
            trading_state=state,
            equity=equity,
            buying_power=bad if where == "buying_power" else None,
            own={"MSFT": bad} if where == "own" else {},
        ),
    )
    assert checked.accepted == ()
    assert len(checked.refusals) == 1
