"""What Massive's rows must have, and under which of our names."""

from __future__ import annotations

from typing import Final

from workbench.data import regular
from workbench.data.reading import Field

BAR: Final = regular.fields(Field("t", "moment", unit="ms"), ("o", "h", "l", "c", "v"))
QUOTE: Final = {
    "time": Field("sip_timestamp", "moment", unit="ns"),
    "bid": Field("bid_price", needed=False, nothing=(0,)),
    "ask": Field("ask_price", needed=False, nothing=(0,)),
    "bid_size": Field("bid_size", needed=False),
    "ask_size": Field("ask_size", needed=False),
}
TRADE: Final = {
    "time": Field("sip_timestamp", "moment", unit="ns"),
    "price": Field("price"),
    "size": Field("size"),
    "venue": Field("exchange", "whole"),
    "facility": Field("trf_id", "whole", needed=False),
    "id": Field("id", "text"),
}
ARTICLE: Final = {
    "key": Field("id", "text"),
    "time": Field("published_utc", "moment"),
    "headline": Field("title", "text"),
    "summary": Field("description", "text", needed=False),
    "publisher": Field("publisher.name", "text", needed=False),
    "author": Field("author", "text", needed=False),
    "url": Field("article_url", "text", needed=False),
}
SPLIT: Final = {
    "symbol": Field("ticker", "text"),
    "session": Field("execution_date", "day"),
    "key": Field("id", "text"),
    "new": Field("split_to"),
    "old": Field("split_from"),
}
DIVIDEND: Final = {
    "symbol": Field("ticker", "text"),
    "session": Field("ex_dividend_date", "day"),
    "key": Field("id", "text"),
    "amount": Field("cash_amount"),
    "currency": Field("currency", "text"),
    "declared": Field("declaration_date", "day", needed=False),
}
INTEREST: Final = {
    "symbol": Field("ticker", "text"),
    "session": Field("settlement_date", "day"),
    "short_shares": Field("short_interest"),
    "average_volume": Field("avg_daily_volume", needed=False),
    "days_to_cover": Field("days_to_cover", needed=False),
}
VOLUME: Final = {
    "symbol": Field("ticker", "text"),
    "session": Field("date", "day"),
    "short_volume": Field("short_volume"),
    "short_exempt_volume": Field("exempt_volume", needed=False),
    "total_volume": Field("total_volume"),
}
CONTRACT: Final = {
    "contract": Field("details.ticker", "text"),
    "quoted": Field("last_quote.last_updated", "moment", needed=False, unit="ns"),
    "traded": Field("last_trade.sip_timestamp", "moment", needed=False, unit="ns"),
    "late": Field("last_quote.timeframe", "text", needed=False),
    "bid": Field("last_quote.bid", needed=False, nothing=(0,)),
    "ask": Field("last_quote.ask", needed=False, nothing=(0,)),
    "last": Field("last_trade.price", needed=False),
    "open_interest": Field("open_interest", needed=False),
    "implied_volatility": Field("implied_volatility", needed=False),
    **{name: Field(f"greeks.{name}", needed=False) for name in ("delta", "gamma", "theta", "vega")},
}
LISTS: Final = {
    "/stocks/v1/splits": SPLIT,
    "/stocks/v1/dividends": DIVIDEND,
    "/stocks/v1/short-interest": INTEREST,
    "/stocks/v1/short-volume": VOLUME,
}
TICKS: Final = {"quotes": QUOTE, "trades": TRADE}
