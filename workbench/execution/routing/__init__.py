"""Routing: from a wish and the market's phase to an order's type, hours and algorithm, with the reasons."""
