"""VWAP: quantities in proportion to the volume that the market trades at that time of a session."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from workbench.errors import AlgorithmRefused
from workbench.execution.algos.schedule import Slice, Span, planned

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class VolumeProfile:
    """How a session's volume lies in buckets of `seconds`, counted from the open.

    Attributes:
        seconds: length of a bucket.
        volumes: mean shares per bucket over the sessions looked at; NaN where no session had a number.
        sessions: how many sessions were looked at; 0 where the profile was given by hand.
        until: the newest moment (UTC) of the bars it was made of; None where it was given by hand.
    """

    seconds: float
    volumes: tuple[float, ...]
    sessions: int = 0
    until: dt.datetime | None = None

    def between(self, start: dt.timedelta, end: dt.timedelta) -> float:
        """Expected shares from `start` to `end` after the open, even within a bucket. NaN where a bucket is unknown."""
        first, last = start.total_seconds() / self.seconds, end.total_seconds() / self.seconds
        if first < 0 or last > len(self.volumes) + 1e-9:
            return math.nan
        total = 0.0
        for bucket in range(math.floor(first), min(math.ceil(last), len(self.volumes))):
            share = min(last, bucket + 1.0) - max(first, float(bucket))
            total += share * self.volumes[bucket]
        return total

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a stored parent; `of` reads it back. NaN is None there."""
        return {
            "seconds": self.seconds,
            "volumes": [None if math.isnan(v) else v for v in self.volumes],
            "sessions": self.sessions,
            "until": None if self.until is None else self.until.isoformat(),
        }

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> VolumeProfile:
        """Read what `to_dict` wrote. Raises AlgorithmRefused when it is something else."""
        try:
            until = raw.get("until")
            return cls(
                seconds=float(raw["seconds"]),
                volumes=tuple(math.nan if v is None else float(v) for v in raw["volumes"]),
                sessions=int(raw.get("sessions", 0)),
                until=None if until is None else dt.datetime.fromisoformat(until),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AlgorithmRefused(
                f"profile={raw!r} is no volume profile ({error}); nothing was planned.",
                remedy="pass VolumeProfile.to_dict().",
            ) from error


def profile_of(bars: pd.DataFrame, *, symbol: str, as_of: dt.datetime, venue: str, sessions: int = 20) -> VolumeProfile:
    """The mean volume per bucket of the newest complete sessions known at `as_of`: nothing later is looked at.

    Sessions of another length than most (early closes) are left out: their buckets mean another time of day.

    Args:
        bars: intraday bars as a source hands them out (`symbol`, `session`, `time`, `happened`, `learned`, `volume`),
            all of one timeframe. A NaN volume is left out of its bucket's mean, never counted as 0.
        as_of: bars that were learned later do not exist, and a session counts from its close on.
        sessions: how many sessions at most.

    Raises:
        AlgorithmRefused: no complete session of the symbol is known at `as_of`.
    """
    import pandas as pd

    from workbench import sessions as calendar

    moment = pd.Timestamp(as_of)
    rows = bars[(bars["symbol"] == symbol) & (bars["learned"] <= moment) & (bars["happened"] <= moment)]
    known = [day for day in sorted(rows["session"].unique()) if calendar.closes(venue, day) <= moment]
    lengths = {day: calendar.closes(venue, day) - calendar.opens(venue, day) for day in known}
    if not known:
        raise AlgorithmRefused(
            f"no complete session of {symbol} with intraday volumes is known at {as_of:%Y-%m-%d %H:%M} UTC; "
            "there is no volume profile.",
            remedy="use TWAP, or a source with intraday bars.",
        )
    usual = pd.Series(list(lengths.values())).mode().iloc[-1]
    chosen = [day for day in known if lengths[day] == usual][-sessions:]
    rows = rows[rows["session"].isin(chosen)]
    opened = rows["session"].map({day: calendar.opens(venue, day) for day in chosen})
    offset = (rows["time"] - opened).dt.total_seconds()
    seconds = float((rows["happened"] - rows["time"]).dt.total_seconds().mode().iloc[0])
    bucket = (offset // seconds).astype(int)
    means = rows["volume"].groupby(bucket.to_numpy()).mean()
    count = math.ceil(usual.total_seconds() / seconds)
    return VolumeProfile(
        seconds=seconds,
        volumes=tuple(means.reindex(range(count)).astype(float)),
        sessions=len(chosen),
        until=rows["happened"].max().to_pydatetime(),
    )


def vwap(
    qty: Decimal, span: Span, profile: VolumeProfile, *, opens_at: dt.datetime, lot: Decimal = Decimal(1)
) -> tuple[Slice, ...]:
    """The schedule of a volume-weighted average price: q_i = Q · v_i / Σv, in whole lots.

    v_i is the profile's expected volume of slot i. What earlier slices did not fill is planned anew over the v_i that
    are left (see `parents`).

    Args:
        qty: shares > 0, a multiple of `lot`.
        opens_at: the moment from which the profile counts (UTC): the open of the session.

    Raises:
        AlgorithmRefused: a slot lies outside the profile or touches a bucket of unknown volume (NaN is never 0), all
            its volumes are 0, or `qty` and `lot` do not fit.
    """
    return planned(qty, span, expected(span, profile, opens_at=opens_at), lot=lot)


def expected(span: Span, profile: VolumeProfile, *, opens_at: dt.datetime) -> Sequence[float]:
    """The profile's shares of each slot. Raises AlgorithmRefused where one is not known."""
    edges = [edge - opens_at for edge in span.edges]
    volumes = [profile.between(start, end) for start, end in pairwise(edges)]
    if unknown := [i for i, volume in enumerate(volumes) if not math.isfinite(volume)]:
        at = span.edges[unknown[0]]
        raise AlgorithmRefused(
            f"the volume profile knows no volume for {len(unknown)} of {len(volumes)} slots, the first begins at "
            f"{at:%Y-%m-%d %H:%M} UTC; nothing was planned.",
            remedy="stay within the session, or use TWAP.",
            unknown_slots=len(unknown),
        )
    return volumes
