"""Invented headlines with a planted tone, for the synthetic market: what a tone reader should find in them is known."""

from __future__ import annotations

from typing import Final

import numpy as np

MINUTES: Final = (
    200  # published in the first 200 minutes of a session: that long is every session, early closes included
)
HONEST: Final = 0.75  # how often the tone has the sign of the symbol's own return
NEUTRAL_SHARE: Final = 0.2

GOOD: Final = (
    ("{symbol} lifts its outlook for the year after a strong quarter", 0.8),
    ("{symbol} earnings beat what analysts had expected", 0.7),
    ("{symbol} wins a large order from a new customer", 0.6),
    ("Regulator clears a product of {symbol} for sale", 0.7),
    ("{symbol} raises its dividend", 0.5),
    ("Two brokers upgrade {symbol}", 0.6),
    ("{symbol} margins improve for the third quarter in a row", 0.6),
    ("{symbol} receives a takeover bid well above its price", 0.9),
)
BAD: Final = (
    ("{symbol} cuts its outlook for the year, blames weak demand", -0.8),
    ("{symbol} earnings miss what analysts had expected", -0.7),
    ("{symbol} loses a large customer to a rival", -0.6),
    ("Regulator opens an investigation into {symbol}", -0.7),
    ("{symbol} suspends its dividend", -0.8),
    ("Two brokers downgrade {symbol}", -0.6),
    ("{symbol} recalls a product over a safety defect", -0.7),
    ("{symbol} finance chief resigns amid an accounting review", -0.9),
)
NEUTRAL: Final = (
    ("{symbol} to report its quarter next week", 0.0),
    ("{symbol} names a date for its annual meeting", 0.0),
    ("{symbol} moves its headquarters across the street", 0.0),
    ("{symbol} speaks at an industry conference", 0.0),
)


def write(symbol: str, own_return: float, rng: np.random.Generator) -> tuple[str, float]:
    """One headline and its tone in [−1, 1], given the symbol's own return of the session (market's part off)."""
    if rng.random() < NEUTRAL_SHARE:
        template, tone = NEUTRAL[rng.integers(len(NEUTRAL))]
    else:
        good = (own_return > 0) == (rng.random() < HONEST)
        stock = GOOD if good else BAD
        template, tone = stock[rng.integers(len(stock))]
    return template.format(symbol=symbol), tone
