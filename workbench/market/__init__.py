"""The nouns of a market: bars, history, view, order, book. No file, no network, no clock."""
