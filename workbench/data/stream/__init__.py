"""Streams: market data as it happens, decoded in batches, folded into a state per symbol, handed to handlers."""
