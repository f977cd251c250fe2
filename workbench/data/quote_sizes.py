"""Sizes of quotes in shares: the tapes counted them in round lots until November 2025."""

from __future__ import annotations

from typing import Final

import pandas as pd

SHARES_SINCE: Final = pd.Timestamp("2025-11-03")  # the SEC's rule 34-101070 took effect on the tapes
ROUND_LOT: Final = 100.0


def in_shares(sizes: pd.Series, sessions: pd.Series) -> pd.Series:
    """Sizes of US stock quotes in shares: those of sessions before 2025-11-03 are round lots of 100.

    A few stocks had smaller lots then (Berkshire Hathaway's A shares: 1); their sizes come out too large.
    """
    return sizes.where(sessions >= SHARES_SINCE, sizes * ROUND_LOT)
