"""Adjusting raw bars for splits and dividends as they were known at a moment; no later action can change a price.

On the ex-day e of an action every price of an earlier session is multiplied by a factor, every volume by another one:

- a split, `ratio` new shares for one old: prices by 1/ratio, volumes by ratio;
- a cash dividend of `amount` per share: prices by 1 − amount / c, where c is the last raw close before e;
- both on one ex-day: the split comes first, so that `amount` is per new share: prices by 1/ratio − amount / c.

The factor of a session is the product over all ex-days after it. Volumes follow splits only. These are the multipliers
that vendors publish under "adjusted close" and call the standards of CRSP: its factor to adjust prices is ratio − 1 for
a split (CRSP, data definitions, "Factor to Adjust Price in Period", and "Adjusted Data" of its calculations); dividends
as a part of the close before them, as Yahoo's help on "adjusted close" works out.

What neither moves prices here nor can be replayed is left alone and named by `not_applied`: spin-offs and mergers for
shares (their worth is another symbol's price), and delistings of which nobody says what was paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data.source import PRICES
from workbench.errors import BadData, DataError
from workbench.market.actions import Actions, Delisting, Dividend, Split

Adjustment = Literal["raw", "split", "dividend", "all"]
SAYS: Final[Mapping[Adjustment, str]] = {
    "raw": "raw prices, as they were traded",
    "split": "adjusted by the source for the splits it knew when it was asked",
    "dividend": "adjusted by the source for the dividends it knew when it was asked",
    "all": "adjusted by the source for the splits and dividends it knew when it was asked",
}


def adjustment_of(source: Any) -> Adjustment:
    """What was done to a source's bars already: its attribute `adjustment`; `all` where it does not say.

    So what does not call itself raw is never adjusted a second time.

    Raises:
        DataError: the attribute is none of `raw`, `split`, `dividend`, `all`.
    """
    said = getattr(source, "adjustment", "all")
    for known in SAYS:
        if said == known:
            return known
    raise DataError(f"source {source.name!r} says adjustment={said!r}.", remedy=f"it can be {', '.join(SAYS)}.")


def adjusted(rows: pd.DataFrame, actions: pd.DataFrame, *, until: pd.Timestamp, dividends: bool = True) -> pd.DataFrame:
    """Raw bars on the basis of the session `until`.

    Args:
        rows: raw bars, long, in any order; daily or intraday. NaN stays NaN.
        actions: rows of kind `actions` as known at the moment of the reader (`workbench.data.facts.read_facts`).
        until: the last session; what has its ex-day later is not in the prices yet.
        dividends: False: for splits only.

    Returns:
        The same rows in the same order, `open`, `high`, `low`, `close` and `volume` multiplied by their factors.

    Raises:
        BadData: a dividend is not below the close before it; nothing was adjusted.
    """
    by = factors(rows, actions, until=until, dividends=dividends)
    changed = {name: rows[name] * by["price"] for name in PRICES if name in rows.columns}
    return rows.assign(**changed, volume=rows["volume"] * by["volume"])


def factors(rows: pd.DataFrame, actions: pd.DataFrame, *, until: pd.Timestamp, dividends: bool = True) -> pd.DataFrame:
    """The factors of each row: columns `price` and `volume`, index and order of `rows`; see `adjusted`."""
    price, volume = np.ones(len(rows)), np.ones(len(rows))
    days = _ex_days(actions, until=until, dividends=dividends)
    where = rows.groupby("symbol", sort=False).indices
    for symbol, of_symbol in days.groupby("symbol", sort=False):
        if symbol not in where:
            continue
        places = where[symbol]
        on = rows["session"].to_numpy()[places]
        ex = of_symbol["session"].to_numpy().astype(on.dtype)
        ratio, cash = of_symbol["ratio"].to_numpy(), of_symbol["cash"].to_numpy()
        part = cash / _close_before(rows.iloc[places], ex)
        multiplier = 1 / ratio - np.where(cash > 0, part, 0.0)
        multiplier[np.isnan(multiplier)] = 1.0  # nothing is known before that ex-day, so nothing is multiplied
        if (multiplier <= 0).any():
            k = int(np.argmax(multiplier <= 0))
            raise BadData(
                f"{str(symbol)!r} pays {cash[k]:g} per share on {pd.Timestamp(ex[k]).date()}, which is not below the "
                "close before it; nothing was adjusted.",
                remedy="look at this action and at the bars: one of them is wrong.",
            )
        later = np.searchsorted(ex, on, side="right")
        price[places] = _product_from(multiplier)[later]
        volume[places] = _product_from(ratio)[later]
    return pd.DataFrame({"price": price, "volume": volume}, index=rows.index)


def as_actions(actions: pd.DataFrame, *, venue: str = "XNYS") -> Actions:
    """Rows of kind `actions` as what a replay of raw bars uses: dividends, splits and delistings.

    Delistings are the rows called so and mergers for cash alone, whose `amount` is what a share became. An ex-day on
    which the venue does not trade is the next session; a delisting's last session is the one before its ex-day.
    """
    word, ended = _words(actions), _delistings(actions)
    moved = _on_sessions(actions, venue)
    return Actions(
        dividends=tuple(Dividend(*one) for one in _records(moved[word == "dividend"], "amount")),
        splits=tuple(Split(*one) for one in _records(moved[word == "split"], "ratio")),
        delistings=tuple(
            Delisting(symbol, sessions.previous_session(venue, day), value)
            for symbol, day, value in _records(moved[ended], "amount")
        ),
    )


def not_applied(actions: pd.DataFrame) -> pd.DataFrame:
    """The rows that move no price here and are not replayed, though a holder's shares changed; not those of a name."""
    word = _words(actions)
    return actions[~word.isin(("split", "dividend", "name")) & ~_delistings(actions)].reset_index(drop=True)


def _delistings(actions: pd.DataFrame) -> pd.Series:
    """Which rows turn shares into an amount of cash that is known."""
    word = _words(actions)
    for_cash = (word == "merger") & actions["ratio"].isna()
    return ((word == "delisting") | for_cash) & actions["amount"].notna()


def _records(rows: pd.DataFrame, number: str) -> list[tuple[str, pd.Timestamp, float]]:
    days = [pd.Timestamp(day) for day in rows["session"]]
    return list(zip(rows["symbol"].astype(str), days, rows[number].astype(float), strict=True))


def _words(actions: pd.DataFrame) -> pd.Series:
    return actions["key"].astype("str").str.extract(r"^([a-z]+)", expand=False)


def _on_sessions(actions: pd.DataFrame, venue: str) -> pd.DataFrame:
    days = [day if sessions.is_session(venue, day) else sessions.next_session(venue, day) for day in actions["session"]]
    return actions.assign(session=pd.Series(days, index=actions.index, dtype="datetime64[us]"))


def _ex_days(actions: pd.DataFrame, *, until: pd.Timestamp, dividends: bool) -> pd.DataFrame:
    """One row per symbol and ex-day up to `until`: `ratio` (new shares per old), `cash` (per new share); ascending."""
    word = _words(actions)
    here = actions["session"] <= until
    splits, paid = actions[here & (word == "split")], actions[here & (word == "dividend")]
    ratio = splits.groupby(["symbol", "session"])["ratio"].prod()
    cash = (paid if dividends else paid.iloc[:0]).groupby(["symbol", "session"])["amount"].sum()
    days = pd.DataFrame({"ratio": ratio, "cash": cash}).rename_axis(["symbol", "session"])
    return days.fillna({"ratio": 1.0, "cash": 0.0}).reset_index().sort_values(["symbol", "session"], ignore_index=True)


def _close_before(rows: pd.DataFrame, ex: np.ndarray) -> np.ndarray:
    """The last close of a session before each ex-day; NaN where there is none."""
    by = ["session", *(["time"] if "time" in rows.columns else [])]
    known = rows[rows["close"].notna()].sort_values(by)
    place = np.searchsorted(known["session"].to_numpy(), ex, side="left") - 1
    closes = np.append(known["close"].to_numpy(dtype=float), np.nan)  # the last one is for place −1
    return closes[place]


def _product_from(factor: np.ndarray) -> np.ndarray:
    """The product of all factors from each place to the end; one more place, with 1, at the end."""
    return np.append(np.cumprod(factor[::-1])[::-1], 1.0)
