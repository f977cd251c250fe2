"""Which checks of its own each kind of facts has, and what they are; those of what is quoted are in `quote_checks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data.inspection import Inspection, log_change
from workbench.data.quote_checks import (
    options_impossible,
    options_strange,
    quotes_impossible,
    quotes_strange,
    trades_strange,
)

ACTION_WORDS: Final = ("split", "dividend", "merger", "spinoff", "delisting", "name")
LATE: Final = pd.Timedelta(days=7)
SCALE: Final = 500.0  # thousands taken for units are 1000
BEHIND: Final = 4.0
FX_JUMP: Final = float(np.log(1.05))
FROZEN_RATES: Final = 5
FX_GAP: Final = pd.Timedelta(days=6)  # Good Friday to Easter Monday is 5
DISSEMINATED: Final = pd.Timedelta(days=5)
CYCLE: Final = pd.Timedelta(days=25)
SPLIT: Final = 100.0
_ACCESSION = r"\d{10}-\d{2}-\d{6}"
_FACT_KEY = r"[^:\s]+:[^:\s]+:[^:\s]+:(?:\d{4}-\d{2}-\d{2})?"  # no first day: a number of one moment
_PAIR = r"[A-Z]{3}/[A-Z]{3}"


@dataclass(frozen=True, slots=True)
class Checks:
    """The two halves of a kind's own checks: which rows cannot be true, and what is strange about the good ones."""

    impossible: Callable[[Inspection], None] | None = None
    strange: Callable[[Inspection, pd.DataFrame, pd.Timestamp], None] | None = None


def _news_strange(of: Inspection, good: pd.DataFrame, _known_until: pd.Timestamp) -> None:
    words = good["headline"].str.casefold().str.replace(r"\W+", " ", regex=True).str.strip()
    first = good.assign(words=words).drop_duplicates(["symbol", "key"])  # vintages of one article are no repeats
    before = first.groupby(["symbol", "words"], sort=False)["time"].shift()
    of.strange(
        "same-article",
        first[(first["time"] - before).abs() <= pd.Timedelta(days=1)].drop(columns="words"),
        "another article about the symbol has the same headline, within a day",
    )
    of.strange(
        "late",
        good[(good["learned"] - good["time"]) > LATE],
        lambda row: f"published {row['time']}, learned {row['learned']}",
    )


def _filings_impossible(of: Inspection) -> None:
    of.impossible(
        "bad-key", ~of.rows["key"].str.fullmatch(_ACCESSION), lambda row: f"{row['key']!r} is no accession number"
    )


def _filings_strange(of: Inspection, good: pd.DataFrame, _known_until: pd.Timestamp) -> None:
    ends = pd.to_datetime(good["period"], errors="coerce", format="%Y-%m-%d")
    of.strange(
        "period-not-over",
        good[ends > good["session"]],
        lambda row: f"its period ends {row['period']}, after it was filed {row['session'].date()}",
    )


def _fundamentals_impossible(of: Inspection) -> None:
    rows = of.rows
    formed = rows["key"].str.fullmatch(_FACT_KEY)
    begins = pd.to_datetime(rows["key"].str.rsplit(":", n=1).str[-1].where(formed, ""), errors="coerce")
    of.impossible(
        "bad-key",
        ~formed | (begins > rows["session"]),
        lambda row: f"{row['key']!r} is not taxonomy:tag:unit:first day of a period that ends {row['session'].date()}",
    )


def _fundamentals_strange(of: Inspection, good: pd.DataFrame, _known_until: pd.Timestamp) -> None:
    known_on = good["learned"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    of.strange(
        "period-not-over",
        good[known_on < good["session"]],
        lambda row: f"learned {row['learned']}, before its period ends {row['session'].date()}",
    )
    begins = pd.to_datetime(good["key"].str.rsplit(":", n=1).str[-1], errors="coerce")
    length = (good["session"] - begins).dt.days.fillna(0).floordiv(45)  # a quarter beside quarters, a year beside years
    line = good["symbol"] + "|" + good["key"].str.rsplit(":", n=1).str[0] + "|" + length.astype(str)
    change = log_change(good["value"].abs(), by=line).abs()
    of.strange(
        "scale",
        good[change > np.log(SCALE)],
        lambda row: f"{row['value']:g} is {np.exp(change[row.name]):.0f} times the period before, or that part of it",
    )


def _macro_strange(of: Inspection, good: pd.DataFrame, known_until: pd.Timestamp) -> None:
    before = good.groupby(["symbol", "session"], sort=False)["value"].shift()
    of.strange(
        "revision",
        good[(good["value"] - before).abs() > before.abs() / 2],
        lambda row: f"{row['value']:g} was {before[row.name]:g} in the vintage before",
    )
    _behind_its_rhythm(of, good, known_until)


def _behind_its_rhythm(of: Inspection, good: pd.DataFrame, known_until: pd.Timestamp) -> None:
    today = known_until.tz_convert(None).normalize()
    for symbol, days in good.drop_duplicates(["symbol", "session"]).groupby("symbol", sort=False)["session"]:
        usual = pd.Timedelta(days.diff().median())
        behind = today - days.iloc[-1]
        if len(days) > 2 and behind > max(BEHIND * usual, pd.Timedelta(days=5)):
            said = f"ends {behind.days} days before {today.date()}; its days are usually {usual.days} apart"
            of.absent("stale", str(symbol), days.iloc[-1], said)


def _fx_impossible(of: Inspection) -> None:
    of.impossible(
        "bad-key", ~of.rows["symbol"].str.fullmatch(_PAIR), lambda row: f"{row['symbol']!r} is no pair such as EUR/USD"
    )


def _fx_strange(of: Inspection, good: pd.DataFrame, known_until: pd.Timestamp) -> None:
    newest = good.drop_duplicates(["symbol", "session"], keep="last")
    change = log_change(newest["rate"], by=newest["symbol"])
    of.strange(
        "jump",
        newest[change.abs() > FX_JUMP],
        lambda row: f"log return {change[row.name]:+.3f} on the day before it; bound ±{FX_JUMP:.3f}",
    )
    run = (newest[["symbol", "rate"]] != newest[["symbol", "rate"]].shift()).any(axis=1).cumsum()
    length = run.map(run.value_counts())
    of.strange(
        "frozen",
        newest[~run.duplicated() & (length >= FROZEN_RATES)],
        lambda row: f"the rate stays at {row['rate']:g} for {length[row.name]} days; bound {FROZEN_RATES}",
    )
    _far_apart(of, newest, FX_GAP)
    turned = newest["symbol"].str[4:] + "/" + newest["symbol"].str[:3]
    by_day = newest.set_index(["symbol", "session"])["rate"]
    other = by_day.reindex(pd.MultiIndex.from_arrays([turned, newest["session"]])).to_numpy()
    of.strange(
        "inconsistent",
        newest[((newest["rate"] * other - 1).abs() > 0.01) & (newest["symbol"] < turned)],
        lambda row: f"{row['rate']:g} and its inverse do not multiply to 1",
    )
    _behind_its_rhythm(of, newest, known_until)


def _far_apart(of: Inspection, rows: pd.DataFrame, most: pd.Timedelta) -> None:
    apart = rows["session"].groupby(rows["symbol"], sort=False).diff()
    for place in apart.index[apart > most]:
        row = rows.loc[place]
        said = f"{apart[place].days} days since the one before; bound {most.days}"
        of.absent("gap", str(row["symbol"]), row["session"], said)


def _short_interest_strange(of: Inspection, good: pd.DataFrame, _known_until: pd.Timestamp) -> None:
    wanted = good["short_shares"] / good["average_volume"].where(good["average_volume"] > 0)
    said = good["days_to_cover"]
    near = (said - wanted).abs() <= 0.01 + 0.01 * wanted
    floored = (wanted < 1) & (said == 1)  # FINRA does not say less than a day
    of.strange(
        "inconsistent",
        good[said.notna() & wanted.notna() & ~near & ~floored],
        lambda row: f"days_to_cover={row['days_to_cover']:g}, but shares / volume is {wanted[row.name]:.2f}",
    )
    of.strange(
        "too-early",
        good[good["learned"].dt.tz_convert(None) < good["session"] + DISSEMINATED],
        lambda row: f"settled {row['session'].date()}, learned {row['learned']}: no firm reports so soon",
    )
    _far_apart(of, good.drop_duplicates(["symbol", "session"]), CYCLE)


def _short_volume_impossible(of: Inspection) -> None:
    rows = of.rows
    of.impossible(
        "inconsistent",
        (rows["short_volume"] > rows["total_volume"]) | (rows["short_exempt_volume"] > rows["total_volume"]),
        lambda row: f"short_volume={row['short_volume']:g} of total_volume={row['total_volume']:g}",
    )


def _short_volume_strange(of: Inspection, good: pd.DataFrame, _known_until: pd.Timestamp) -> None:
    if good.empty:
        return
    days = sessions.sessions(of.venue, good["session"].min(), good["session"].max())
    for symbol, of_symbol in good.groupby("symbol", sort=False)["session"]:
        where = days.get_indexer(pd.DatetimeIndex(of_symbol.unique()))
        for hole in np.flatnonzero(np.diff(where) > 1):
            first, last = days[where[hole] + 1], days[where[hole + 1] - 1]
            of.absent("gap", str(symbol), first, f"{where[hole + 1] - where[hole] - 1} missing, up to {last.date()}")


def _actions_impossible(of: Inspection) -> None:
    rows = of.rows
    word = rows["key"].str.extract(r"^([a-z]+)", expand=False)
    of.impossible(
        "bad-key", ~word.isin(ACTION_WORDS), lambda row: f"{row['key']!r} begins with none of {', '.join(ACTION_WORDS)}"
    )
    lacking = ((word == "split") & rows["ratio"].isna()) | ((word == "dividend") & ~(rows["amount"] > 0))
    of.impossible("no-amount", lacking, lambda row: f"ratio={row['ratio']:g}, amount={row['amount']:g}")


def _actions_strange(of: Inspection, good: pd.DataFrame, _known_until: pd.Timestamp) -> None:
    splits = good[good["key"].str.startswith("split")].drop_duplicates(["symbol", "session", "key"], keep="last")
    far = pd.Series(np.log(splits["ratio"].where(splits["ratio"] > 0))).abs()
    of.strange(
        "unlikely", splits[(far == 0) | (far > np.log(SPLIT))], lambda row: f"{row['ratio']:g} new shares for one old"
    )
    of.strange(
        "same-day",
        splits[splits.duplicated(["symbol", "session"])],
        "the symbol has another split on that ex-day, under another key",
    )


OF_KIND: Final[Mapping[str, Checks]] = {
    "quotes": Checks(quotes_impossible, quotes_strange),
    "trades": Checks(strange=trades_strange),
    "news": Checks(strange=_news_strange),
    "filings": Checks(_filings_impossible, _filings_strange),
    "fundamentals": Checks(_fundamentals_impossible, _fundamentals_strange),
    "macro": Checks(strange=_macro_strange),
    "fx": Checks(_fx_impossible, _fx_strange),
    "short_interest": Checks(strange=_short_interest_strange),
    "short_volume": Checks(_short_volume_impossible, _short_volume_strange),
    "actions": Checks(_actions_impossible, _actions_strange),
    "options": Checks(options_impossible, options_strange),
}
