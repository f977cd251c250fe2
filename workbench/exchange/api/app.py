"""The application: which path is answered by what, and the life of the server process."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from tornado import httpserver, httputil, netutil, web
from tornado.routing import PathMatches, Rule

from workbench.errors import ExchangeUnavailable
from workbench.exchange.api import (
    accounts,
    activities,
    admin,
    crypto_data,
    marketdata,
    news,
    option_contracts,
    options_data,
    orders,
    portfolio,
    positions,
    stocks,
    symbols,
)
from workbench.exchange.api.data_stream import DataStream
from workbench.exchange.api.resource import Exchange, NotFound, RateLimit, trace_text
from workbench.exchange.api.streams import TradeUpdates
from workbench.exchange.clock import Timeline
from workbench.exchange.ledger.ledger import Durability, Ledger
from workbench.exchange.market.crypto import CryptoMarket
from workbench.exchange.market.market import Feed, Market
from workbench.exchange.market.newsroom import Newsroom
from workbench.exchange.matching.matching import Rules
from workbench.exchange.telling.data_hub import DataHub
from workbench.exchange.telling.faults import Faults, parse
from workbench.exchange.telling.subscribers import Subscribers
from workbench.exchange.venue import Venue
from workbench.store.processes import process_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = structlog.get_logger("workbench.exchange")
CATCH_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """How an exchange is run. `port` 0 takes any free one; `rate_limit` per minute and key, 0 is off.

    `faults` are switched on from the start, as text; see `workbench.exchange.telling.faults`.
    """

    db: Path
    port: int = 0
    slippage: Decimal = Decimal("0.0005")
    participation: Decimal = Decimal("0.10")
    rate_limit: int = 0
    durability: Durability = "process"
    seed: int = 7
    ready_file: Path | None = None
    exit_with_parent: int | None = None
    faults: tuple[str, ...] = ()
    spread: Decimal = Decimal(0)
    queue: Decimal = Decimal(0)
    partial: Decimal = Decimal(0)
    latency: dt.timedelta = dt.timedelta()

    @property
    def rules(self) -> Rules:
        """The numbers of the fill model."""
        return Rules(
            slippage=self.slippage,
            participation=self.participation,
            spread=self.spread,
            queue=self.queue,
            partial=self.partial,
            latency=self.latency,
            seed=self.seed,
        )


def assemble(feed: Feed, options: Options, *, ledger: Ledger, wall: Callable[[], dt.datetime]) -> Exchange:
    """Put the parts of an exchange together."""
    faults = Faults(seed=options.seed)
    for text in options.faults:
        faults.add(parse(text))
    subscribers = Subscribers(faults)
    market = Market(feed, Timeline(feed.venue, feed.timeframe), slippage=options.rules.taking)
    coins, newsroom = CryptoMarket(seed=options.seed), Newsroom(market)
    data = DataHub(market, coins, newsroom)
    venue = Venue(
        ledger=ledger,
        market=market,
        rules=options.rules,
        publish=subscribers.publish,
        wall=wall,
        listened=lambda account_id: subscribers.count(account_id) > 0,
        moved=data.moved,
        breathe=data.drained,
    )
    return Exchange(venue, faults, subscribers, RateLimit(options.rate_limit), time.monotonic(), coins, newsroom, data)


def application(exchange: Exchange) -> web.Application:
    """Every path and its resource."""
    parts = {"exchange": exchange}
    return web.Application(
        [
            (r"/sim/health", admin.Health, parts),
            (r"/sim/accounts", admin.Accounts, parts),
            (r"/sim/accounts/([^/]+)", admin.OneAccount, parts),
            (r"/sim/accounts/([^/]+)/advance", admin.Advance, parts),
            (r"/sim/symbols/([^/]+)", symbols.OneSymbol, parts),
            (r"/sim/faults", admin.FaultSwitch, parts),
            (r"/v2/orders", orders.Orders, parts),
            (r"/v2/orders:by_client_order_id", orders.OrderByClientId, parts),
            (r"/v2/orders/([^/]+)", orders.OneOrder, parts),
            (r"/v2/positions", positions.Positions, parts),
            (r"/v2/positions/([^/]+)", positions.OnePosition, parts),
            (r"/v2/positions/([^/]+)/exercise", positions.Exercise, parts),
            (r"/v2/account", accounts.AccountItself, parts),
            (r"/v2/account/configurations", accounts.Configurations, parts),
            (r"/v2/account/activities", activities.Activities, parts),
            (r"/v2/account/activities/([^/]+)", activities.Activities, parts),
            (r"/v2/account/portfolio/history", portfolio.PortfolioHistory, parts),
            (r"/v2/clock", marketdata.ClockResource, parts),
            (r"/v2/calendar", marketdata.CalendarResource, parts),
            (r"/v2/assets", marketdata.Assets, parts),
            (r"/v2/assets/([^/]+)", marketdata.OneAsset, parts),
            (r"/v3/clock", marketdata.ClocksResource, parts),
            (r"/v2/stocks/(bars|trades|quotes)", stocks.Rows, parts),
            (r"/v2/stocks/(bars|trades|quotes)/latest", stocks.Latest, parts),
            (r"/v2/stocks/snapshots", stocks.Snapshots, parts),
            (r"/v2/stocks/([^/]+)/(bars|trades|quotes)", stocks.Rows, parts),
            (r"/v2/stocks/([^/]+)/(bars|trades|quotes)/latest", stocks.Latest, parts),
            (r"/v2/stocks/([^/]+)/snapshot", stocks.Snapshots, parts),
            (r"/v2/options/contracts", option_contracts.Contracts, parts),
            (r"/v2/options/contracts/([^/]+)", option_contracts.OneContract, parts),
            (r"/v1beta1/options/(bars|trades)", options_data.OptionRows, parts),
            (r"/v1beta1/options/(quotes|trades)/latest", options_data.OptionLatest, parts),
            (r"/v1beta1/options/snapshots", options_data.OptionSnapshots, parts),
            (r"/v1beta1/options/snapshots/([^/]+)", options_data.OptionChain, parts),
            (r"/v1beta1/options/meta/exchanges", options_data.OptionExchanges, parts),
            (r"/v1beta3/crypto/us/(bars|trades|quotes)", crypto_data.CryptoRows, parts),
            (r"/v1beta3/crypto/us/latest/(bars|trades|quotes|orderbooks)", crypto_data.CryptoLatest, parts),
            (r"/v1beta3/crypto/us/snapshots", crypto_data.CryptoSnapshots, parts),
            (r"/v1/corporate-actions", news.CorporateActions, parts),
            Rule(_Upgrade(r"/v1beta1/news"), DataStream, parts),  # one path for both, on one port
            (r"/v1beta1/news", news.News, parts),
            (r"/v2/(?:iex|sip|delayed_sip|otc|boats|overnight|test)", DataStream, parts),
            (r"/v1beta1/(?:opra|indicative)", DataStream, parts),
            (r"/v1beta3/crypto/us", DataStream, parts),
            (r"/stream", TradeUpdates, parts),
        ],
        default_handler_class=NotFound,
        default_handler_args=parts,
        log_function=_log_nothing,
        websocket_ping_interval=20,
    )


class _Upgrade(PathMatches):
    """A path asked for by a client that wants a WebSocket."""

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        """Tornado's question whether this rule is meant."""
        wanted = request.headers.get("Upgrade", "").lower() == "websocket"
        return super().match(request) if wanted else None


async def serve(feed: Feed, options: Options, *, stop: asyncio.Event, started: Callable[[str], None]) -> None:
    """Answer on loopback until `stop` is set. `started` is called with the URL as soon as connections are taken.

    Raises:
        ExchangeUnavailable: another exchange has this database open, or the port is taken.
    """
    with _only_one(options.db), contextlib.closing(Ledger(options.db, durability=options.durability)) as ledger:
        exchange = assemble(feed, options, ledger=ledger, wall=lambda: dt.datetime.now(dt.UTC))
        try:
            sockets = netutil.bind_sockets(options.port, "127.0.0.1")
        except OSError as error:
            raise ExchangeUnavailable(
                f"port {options.port} of 127.0.0.1 is taken; the exchange did not start.",
                remedy="use --port 0 for any free port.",
            ) from error
        server = httpserver.HTTPServer(application(exchange))
        server.add_sockets(sockets)
        started(f"http://127.0.0.1:{sockets[0].getsockname()[1]}")
        # Prices and the calendar take about a second to read; nobody has to wait for them who asks for something else.
        threading.Thread(target=_warm_up, args=(exchange,), daemon=True).start()
        ticking = asyncio.create_task(_tick(exchange, options, stop))
        await stop.wait()
        ticking.cancel()
        server.stop()
        await server.close_all_connections()


def run(feed: Feed, options: Options) -> None:
    """Run an exchange in this process until SIGTERM or SIGINT."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)

        def started(url: str) -> None:
            log.info("exchange listens", url=url, source=feed.name, db=str(options.db))
            if options.ready_file is not None:
                temporary = options.ready_file.with_suffix(".tmp")
                temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}))
                temporary.replace(options.ready_file)

        await serve(feed, options, stop=stop, started=started)

    asyncio.run(main())


@contextlib.contextmanager
def _only_one(db: Path) -> Iterator[None]:
    """Hold the database for this process alone; the kernel lets go of it when the process dies, however it dies."""
    db.parent.mkdir(parents=True, exist_ok=True)
    with db.with_name(db.name + ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExchangeUnavailable(
                f"another exchange has {db} open; this one did not start.",
                remedy="use the running one, stop it, or give this one another --db.",
            ) from error
        yield


async def _tick(exchange: Exchange, options: Options, stop: asyncio.Event) -> None:
    """Move real clocks, and leave when the parent has left."""
    while True:
        await asyncio.sleep(CATCH_UP_SECONDS)
        if options.exit_with_parent is not None and not process_runs(options.exit_with_parent):
            stop.set()
            return
        try:
            exchange.venue.catch_up()
        except Exception as error:  # noqa: BLE001 - the next tick tries again
            log.error("real clocks could not be moved", trace=trace_text(error))  # noqa: TRY400 - see trace_text


def _warm_up(exchange: Exchange) -> None:
    market = exchange.venue.market
    try:
        market.timeline.first  # noqa: B018 - reading it loads the calendar
        market.feed.series(market.feed.symbols()[0])  # the first symbol makes the source read its file
    except Exception as error:  # noqa: BLE001 - whoever needs the prices hears of it again
        log.error("the source could not be read ahead", trace=trace_text(error))  # noqa: TRY400 - see trace_text


def _log_nothing(handler: web.RequestHandler) -> None:
    """An access log would hold nothing that the ledger does not."""
