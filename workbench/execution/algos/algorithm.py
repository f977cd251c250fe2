"""The algorithms by name: what parameters each one takes, and the schedule that it makes of a quantity."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workbench.errors import AlgorithmRefused
from workbench.execution.algos.almgren_chriss import ImpactModel, trades
from workbench.execution.algos.pov import pov
from workbench.execution.algos.schedule import ZERO, Slice, Span, down_to_lot, in_lots, number, split
from workbench.execution.algos.twap import lengths
from workbench.execution.algos.vwap import VolumeProfile, expected


class Algorithm(enum.StrEnum):
    """How a quantity is spread over time."""

    TWAP = "twap"
    VWAP = "vwap"
    POV = "pov"
    SHORTFALL = "shortfall"


class TwapParams(BaseModel):
    """What every algorithm takes; TWAP takes no more. Frozen, plain values, stored with the parent.

    Attributes:
        interval_seconds: from one slice to the next, > 0.
        max_child: most shares of one order; what is above goes to later slices. No such bound when None.
        sweep_seconds: that long before the end all that is left goes out as one order, which `max_child` does not
            bound; it lies after the last slice. No sweep when None: what is left at the end stays untraded and is said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    interval_seconds: float = Field(gt=0)
    max_child: Decimal | None = Field(None, gt=0)
    sweep_seconds: float | None = Field(None, gt=0)


class VwapParams(TwapParams):
    """VWAP: `profile` is a `VolumeProfile` as plain values."""

    profile: dict[str, Any]

    @field_validator("profile", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return value.to_dict() if isinstance(value, VolumeProfile) else value


class PovParams(TwapParams):
    """POV: `rate` is our share of all that trades, in (0, 1)."""

    rate: float = Field(gt=0, lt=1)


class ShortfallParams(TwapParams):
    """Implementation shortfall: `almgren_chriss.ImpactModel` and λ; a day is a regular session of the venue."""

    risk_aversion: float = Field(ge=0)
    sigma: float = Field(ge=0)
    eta: float = Field(gt=0)
    gamma: float = Field(0.0, ge=0)
    epsilon: float = Field(0.0, ge=0)


Params = TwapParams | VwapParams | PovParams | ShortfallParams
_PARAMS: dict[Algorithm, type[TwapParams]] = {
    Algorithm.TWAP: TwapParams,
    Algorithm.VWAP: VwapParams,
    Algorithm.POV: PovParams,
    Algorithm.SHORTFALL: ShortfallParams,
}


def algorithm_of(name: str) -> Algorithm:
    """The algorithm of that name. Raises AlgorithmRefused when there is none."""
    try:
        return Algorithm(name)
    except ValueError:
        raise AlgorithmRefused(
            f"algorithm={name!r} is not known; nothing was planned.", remedy=f"use one of {', '.join(Algorithm)}."
        ) from None


def params_of(algorithm: Algorithm, raw: dict[str, Any]) -> TwapParams:
    """The checked parameters of an algorithm.

    Raises:
        AlgorithmRefused: one is missing, unknown, NaN or outside its bounds; all of them are named.
    """
    try:
        return _PARAMS[algorithm].model_validate(raw)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}={one['input']!r}: {one['msg'].lower()}" for one in error.errors()
        )
        raise AlgorithmRefused(
            f"{algorithm} was not given what it needs: {wrong}. Nothing was planned.",
            remedy=f"it takes {', '.join(_PARAMS[algorithm].model_fields)}.",
            errors=len(error.errors()),
        ) from error


@dataclass(frozen=True, slots=True)
class Plan:
    """An algorithm with its parameters over the span of one parent.

    Attributes:
        opens_at, closes_at: the regular session (UTC): where a volume profile begins, and how long a day is.
        lot: every quantity is a multiple of it.

    Raises:
        AlgorithmRefused: the span makes no schedule, or the parameters do not fit it.
    """

    params: TwapParams
    starts_at: dt.datetime
    ends_at: dt.datetime
    opens_at: dt.datetime
    closes_at: dt.datetime
    lot: Decimal

    def __post_init__(self) -> None:
        """Refuse what makes no schedule."""
        if self.params.max_child is not None:
            number(self.params.max_child, "max_child", above=self.lot, including=True)
        if self.sweeps_at is not None and self.sweeps_at <= self.dues[-1]:
            raise AlgorithmRefused(
                f"sweep_seconds={self.params.sweep_seconds:g} puts the sweep at {self.sweeps_at:%H:%M:%S} UTC, not "
                f"after the last slice at {self.dues[-1]:%H:%M:%S}; nothing was planned.",
                remedy="make it shorter than the last slot.",
            )

    @property
    def span(self) -> Span:
        """The span in its slots."""
        return Span(self.starts_at, self.ends_at, dt.timedelta(seconds=self.params.interval_seconds))

    @property
    def dues(self) -> tuple[dt.datetime, ...]:
        """When each slice is due, the sweep not among them. POV looks at the volume at the end of each slot."""
        edges = self.span.edges
        return edges[1:-1] if isinstance(self.params, PovParams) else edges[:-1]

    @property
    def sweeps_at(self) -> dt.datetime | None:
        """When all that is left goes out; None without a sweep."""
        if self.params.sweep_seconds is None:
            return None
        return self.span.edges[-1] - dt.timedelta(seconds=self.params.sweep_seconds)

    def slices(self, qty: Decimal) -> tuple[Slice, ...]:
        """The slices of a quantity at the start; a sweep is a last one of quantity 0. POV plans no quantities.

        Raises:
            AlgorithmRefused: `qty` is not finite, not > 0 or no multiple of the lot; see also the algorithms.
        """
        in_lots(qty, self.lot, positive=True)
        weights = self._weights()
        parts = split(qty, weights, lot=self.lot) if weights else [ZERO] * len(self.dues)
        more = [] if self.sweeps_at is None else [(self.sweeps_at, ZERO)]
        pairs = [*zip(self.dues, parts, strict=True), *more]
        return tuple(Slice(i, due, part) for i, (due, part) in enumerate(pairs))

    def next_qty(self, slice_number: int, *, remaining: Decimal, own: Decimal, others: Decimal | None) -> Decimal:
        """What to order in a slice: its share of what remains among the slices that remain, or what POV comes to.

        Args:
            slice_number: of `slices`; the sweep takes all.
            remaining: shares neither booked nor on their way; less than a lot of it is left alone.
            own, others: shares traded since the start by us and by everybody else, for POV; None: not known, 0 shares.
        """
        whole = down_to_lot(max(ZERO, remaining), self.lot)
        if slice_number >= len(self.dues):
            return whole
        if isinstance(self.params, PovParams):
            if others is None:
                return ZERO
            most = self.params.max_child
            return pov(self.params.rate, others, own=own, remaining=whole, lot=self.lot, max_child=most)
        left = self._weights()[slice_number:]
        mine = split(whole, left, lot=self.lot)[0] if any(left) else whole
        return mine if self.params.max_child is None else min(mine, down_to_lot(self.params.max_child, self.lot))

    def _weights(self) -> tuple[float, ...]:
        """What each slice is of the whole, in any unit; empty for POV, which looks at the market instead."""
        match self.params:
            case PovParams():
                return ()
            case VwapParams() as params:
                return tuple(expected(self.span, VolumeProfile.of(params.profile), opens_at=self.opens_at))
            case ShortfallParams() as params:
                model = ImpactModel(params.sigma, params.eta, params.gamma, params.epsilon)
                day = (self.closes_at - self.opens_at).total_seconds()
                return trades(self.span, model, risk_aversion=params.risk_aversion, day=day)
            case _:
                return tuple(lengths(self.span))
