"""Fees: what broker and regulators take from one fill, in currency."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import BarsRefused, ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.costs import Costs


@dataclass(frozen=True, slots=True)
class RegulatoryFee:
    """From `since` on, a sale pays `of_value` × its value plus `per_share` × its shares, the latter at most `cap`."""

    since: dt.date
    source: str
    of_value: float = 0.0
    per_share: float = 0.0
    cap: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Regulatory fees on sales, by the session of the sale.

    Attributes:
        since, until: the first and the last session that the rows are known to be right for.
        series: each a tuple of rows in the order of `since`; of each series the last row reached applies.
    """

    since: dt.date
    until: dt.date
    series: tuple[tuple[RegulatoryFee, ...], ...]

    def on_sale(self, day: dt.date, *, qty: float, value: float) -> float:
        """The fees of one sale, in currency, not rounded to cents."""
        total = 0.0
        for rows in self.series:
            row = rows[bisect_right(rows, day, key=lambda item: item.since) - 1]
            total += row.of_value * value + min(row.per_share * qty, row.cap)
        return total


def _section_31(since: str, dollars_per_million: float, source: str) -> RegulatoryFee:
    return RegulatoryFee(dt.date.fromisoformat(since), source, of_value=dollars_per_million / 1_000_000)


def _taf(since: str, per_share: float, cap: float, source: str) -> RegulatoryFee:
    return RegulatoryFee(dt.date.fromisoformat(since), source, per_share=per_share, cap=cap)


# US equities. The fee of Section 31 of the Securities Exchange Act is set by the Securities and Exchange Commission and
# passed on by brokers; the Trading Activity Fee (TAF) is set by FINRA. Both fall on sales only. The rows end where the
# last published rate was certain: from 14 May 2025 on Section 31 was zero for the rest of the fiscal year. The rows
# were collected from notices and digests of them, not each from the named original: they are right for studies of cost,
# and to be checked against the originals before a bill is checked against them.
US_EQUITIES = Schedule(
    since=dt.date(2008, 4, 1),
    until=dt.date(2025, 9, 30),
    series=(
        (
            _section_31("2008-04-01", 5.60, "FINRA Information Notice 3/10/08"),
            _section_31("2009-04-10", 25.70, "SEC, mid-year adjustment for fiscal year 2009"),
            _section_31("2010-01-15", 12.70, "SEC, annual adjustment for fiscal year 2010"),
            _section_31("2010-04-01", 16.90, "FINRA Information Notice 3/10/10"),
            _section_31("2011-01-21", 19.20, "SEC Fee Rate Advisory #5 for Fiscal Year 2011"),
            _section_31("2012-02-21", 18.00, "SEC Fee Rate Advisory #5 for Fiscal Year 2012"),
            _section_31("2012-04-01", 22.40, "SEC, mid-year adjustment for fiscal year 2012"),
            _section_31("2013-05-25", 17.40, "SEC order of 25 April 2013, 78 FR 25515"),
            _section_31("2014-03-18", 22.10, "FINRA Information Notice 3/3/14"),
            _section_31("2015-02-14", 18.40, "SEC, annual adjustment for fiscal year 2015"),
            _section_31("2016-02-16", 21.80, "SEC, annual adjustment for fiscal year 2016"),
            _section_31("2017-07-04", 23.10, "SEC, annual adjustment for fiscal year 2017"),
            _section_31("2018-05-22", 13.00, "SEC Fee Rate Advisory #3 for Fiscal Year 2018"),
            _section_31("2019-04-16", 20.70, "SEC Fee Rate Advisory #2 for Fiscal Year 2019"),
            _section_31("2020-02-18", 22.10, "SEC order of 9 January 2020, 85 FR 2218"),
            _section_31("2021-02-25", 5.10, "SEC Fee Rate Advisory #2 for Fiscal Year 2021"),
            _section_31("2022-05-14", 22.90, "SEC Fee Rate Advisory #2 for Fiscal Year 2022"),
            _section_31("2023-02-27", 8.00, "SEC order of 23 January 2023, 88 FR 5051"),
            _section_31("2024-05-22", 27.80, "SEC order of 17 April 2024, 89 FR 29402"),
            _section_31("2025-05-14", 0.00, "FINRA Information Notice 4/24/25"),
        ),
        (
            _taf("2004-11-01", 0.000075, 3.75, "FINRA Regulatory Notice 11-27, on the rate before it"),
            _taf("2011-07-01", 0.000090, 4.50, "FINRA Regulatory Notice 11-27"),
            _taf("2012-03-01", 0.000095, 4.75, "FINRA Regulatory Notice 12-06"),
            _taf("2012-07-01", 0.000119, 5.95, "FINRA Regulatory Notice 12-31"),
            _taf("2022-01-01", 0.000130, 6.49, "FINRA fee increase schedule, SR-FINRA-2020-032"),
            _taf("2023-01-01", 0.000145, 7.27, "FINRA fee increase schedule, SR-FINRA-2020-032"),
            _taf("2024-01-01", 0.000166, 8.30, "FINRA fee increase schedule, SR-FINRA-2020-032"),
        ),
    ),
)

SCHEDULES = {"us_equities": US_EQUITIES}


def schedule_for(name: str, sessions: pd.DatetimeIndex) -> Schedule | None:
    """The schedule of that name; None for the empty name.

    Raises:
        ParameterError: no schedule has that name.
        BarsRefused: `sessions` reach beyond the dates that the schedule is known for; no fee is guessed.
    """
    if not name:
        return None
    if name not in SCHEDULES:
        raise ParameterError(
            f"costs.regulatory={name!r} is not one of {', '.join(SCHEDULES)}; nothing was computed.",
            remedy="use one of these, or leave it empty.",
        )
    schedule = SCHEDULES[name]
    first, last = sessions[0].date(), sessions[-1].date()
    if first < schedule.since or last > schedule.until:
        raise BarsRefused(
            f"costs.regulatory={name!r} is known from {schedule.since} to {schedule.until}, but the bars run from "
            f"{first} to {last}; nothing was computed.",
            remedy="study these dates only, or leave costs.regulatory empty and set costs.fee.",
        )
    return schedule


class Fees:
    """The fees of fills that come one after the other; remembers what was traded in the calendar month.

    fee = min(max(rate · value + fee_per_share · qty + fee_per_order, fee_min), fee_max · value) + regulatory

    with value = qty · price paid; rate is `fee`, or the fraction of the last pair of `fee_tiers` whose first number
    the value traded earlier in the same calendar month (purchases and sales) has reached. Where the least fee is more
    than the most, the most counts. Regulatory fees fall on sales and know no minimum.
    """

    def __init__(self, costs: Costs, schedule: Schedule | None) -> None:
        self.costs = costs
        self.schedule = schedule
        self.month = (0, 0)
        self.traded = 0.0
        self._steps = [at for at, _ in costs.fee_tiers]

    def of(self, day: dt.date, *, buys: bool, qty: float, value: float) -> float:
        """What a fill on `day` would cost, in currency; it is not remembered."""
        costs = self.costs
        fee = self.rate(day) * value + costs.fee_per_share * qty + costs.fee_per_order
        fee = max(fee, costs.fee_min)
        if costs.fee_max is not None:
            fee = min(fee, costs.fee_max * value)
        if self.schedule is not None and not buys:
            fee += self.schedule.on_sale(day, qty=qty, value=value)
        return fee

    def rate(self, day: dt.date) -> float:
        """The fraction of the traded value that the next fill on `day` pays."""
        if not self._steps:
            return self.costs.fee
        traded = self.traded if self.month == (day.year, day.month) else 0.0
        reached = bisect_right(self._steps, traded)
        return self.costs.fee_tiers[reached - 1][1] if reached else self.costs.fee

    def remember(self, day: dt.date, value: float) -> None:
        """Count a fill that happened toward the month's traded value."""
        month = (day.year, day.month)
        self.traded = value + (self.traded if self.month == month else 0.0)
        self.month = month
