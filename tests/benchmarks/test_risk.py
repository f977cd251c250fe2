"""How many wishes the risk check takes per second: 1,000 over 100 symbols, beside 500 open orders; target ≥ 20,000.

Run: python -m pytest tests/benchmarks/test_risk.py --benchmark-only -o addopts=--import-mode=importlib -p no:randomly
"""

import random
from decimal import Decimal

from workbench.execution.risk.check import check
from workbench.execution.risk.limits import Limits, OpenOrder
from workbench.market.book import Book, Position
from workbench.market.order import OrderType, OrderWish, Side

WISHES, SYMBOLS, OPEN = 1000, 100, 500


def test_wishes_checked_per_second(benchmark):
    rng = random.Random(7)
    prices = {f"S{number:03d}": Decimal(rng.randint(10, 300)) for number in range(SYMBOLS)}
    book = Book(Decimal(10_000_000), {name: Position(name, Decimal(100), Decimal(50)) for name in prices})
    away = {Side.BUY: Decimal("0.99"), Side.SELL: Decimal("1.01")}

    def wish():
        name, side = rng.choice(list(prices)), rng.choice(list(Side))
        return OrderWish(
            name, side, Decimal(rng.randint(1, 20)), OrderType.LIMIT, limit_price=prices[name] * away[side]
        )

    wishes = [wish() for _ in range(WISHES)]
    live = [OpenOrder(w.symbol, w.side, w.qty, w.limit_price, "x", limit_price=w.limit_price) for w in wishes[:OPEN]]
    limits = Limits(one_order_per_symbol=False, one_wish_per_symbol=False, max_orders_per_session=10**6)

    checked = benchmark(check, wishes, book=book, prices=prices, limits=limits, open_exposure=live)
    assert len(checked.accepted) + len(checked.refusals) == WISHES
    assert len(checked.accepted) > WISHES / 2
    benchmark.extra_info["wishes_per_s"] = WISHES / benchmark.stats.stats.min
