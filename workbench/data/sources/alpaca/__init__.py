"""Alpaca: bars, quotes, trades, snapshots, options, news and corporate actions of US stocks."""

from workbench.data.sources.alpaca.client import LIVE, LOCAL, VENDOR
from workbench.data.sources.alpaca.source import AlpacaSource

__all__ = ["LIVE", "LOCAL", "VENDOR", "AlpacaSource"]
