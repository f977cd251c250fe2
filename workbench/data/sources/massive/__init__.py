"""Massive (once Polygon): bars, quotes, trades, options, news, corporate actions and short sales of US stocks."""

from workbench.data.sources.massive.source import MassiveSource

__all__ = ["MassiveSource"]
