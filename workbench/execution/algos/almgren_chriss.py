"""Implementation shortfall after Almgren and Chriss (2000): the trade-off between impact and the risk of waiting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from workbench.execution.algos.schedule import Slice, Span, number, planned


@dataclass(frozen=True, slots=True)
class ImpactModel:
    """What trading does to the price. Linear in both impacts; money in currency, quantities in shares, time in days.

    Attributes:
        sigma: σ ≥ 0, standard deviation of the price, currency per share per √day.
        eta: η > 0, temporary impact: currency per share for one share per day.
        gamma: γ ≥ 0, permanent impact: currency per share for one share.
        epsilon: ε ≥ 0, fixed cost per share, currency: half the spread, and fees.

    Raises:
        AlgorithmRefused: a number is not finite or outside its bounds.
    """

    sigma: float
    eta: float
    gamma: float = 0.0
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no model."""
        number(self.eta, "eta", above=0)
        for name in ("sigma", "gamma", "epsilon"):
            number(getattr(self, name), name, above=0, including=True)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The optimal way to trade X shares in N steps of T/N days for one risk aversion, and what it costs.

    R. Almgren, N. Chriss, "Optimal execution of portfolio transactions", Journal of Risk 3 (2000), 5–39. With τ = T/N:

        η̃ = η − γτ/2,  κ̃² = λσ²/η̃,  2(cosh(κτ) − 1)/τ² = κ̃²
        holdings        x_j = X · sinh(κ(T − t_j)) / sinh(κT),  n_j = x_{j−1} − x_j
        expected cost   E = ½γX² + ε·Σ|n_j| + (η̃/τ)·Σ n_j²
        its variance    V = σ²·τ·Σ_{j=1..N} x_j²
        half-life       θ = 1/κ, the days in which the holdings fall by a factor of e were T unbounded

    For κ → 0 (no risk aversion, or no risk) the holdings fall evenly.

    Attributes:
        qty: X > 0, shares.
        days: T > 0, the horizon in days.
        steps: N ≥ 1.
        risk_aversion: λ ≥ 0, per currency; E + λV is as small as can be.

    Raises:
        AlgorithmRefused: a number is not finite or outside its bounds, or η̃ ≤ 0: the steps are too long for the model.
    """

    qty: float
    days: float
    steps: int
    model: ImpactModel
    risk_aversion: float

    def __post_init__(self) -> None:
        """Refuse a question without an answer."""
        number(self.qty, "qty", above=0)
        number(self.days, "days", above=0)
        number(self.steps, "steps", above=1, including=True)
        number(self.risk_aversion, "risk_aversion", above=0, including=True)
        number(self.eta_tilde, "eta − gamma·tau/2", above=0)

    @property
    def tau(self) -> float:
        """τ: days per step."""
        return self.days / self.steps

    @property
    def eta_tilde(self) -> float:
        """η̃: temporary impact less what the permanent one already counts within a step."""
        return self.model.eta - self.model.gamma * self.tau / 2

    @property
    def kappa_tilde(self) -> float:
        """κ̃ = √(λσ²/η̃), per day: the urgency of continuous trading."""
        return math.sqrt(self.risk_aversion * self.model.sigma**2 / self.eta_tilde)

    @property
    def kappa(self) -> float:
        """κ per day: the urgency in steps of τ."""
        # arcosh(1 + y) as 2·arsinh(√(y/2)): exact for the smallest urgency, where 1 + y would be 1.
        return 2 * math.asinh(self.kappa_tilde * self.tau / 2) / self.tau

    @property
    def half_life(self) -> float:
        """θ = 1/κ in days; infinite without urgency."""
        return 1 / self.kappa if self.kappa else math.inf

    @property
    def holdings(self) -> tuple[float, ...]:
        """x_0 = X, …, x_N = 0 in shares, `steps + 1` numbers."""
        reach = self.kappa * self.days
        left = (1 - j / self.steps for j in range(self.steps + 1))
        if reach < 1e-9:
            return tuple(self.qty * part for part in left)
        # sinh(ab)/sinh(a) without the overflow of either: e^{−a(1−b)} · (1 − e^{−2ab}) / (1 − e^{−2a})
        return tuple(
            self.qty * math.exp(-reach * (1 - part)) * math.expm1(-2 * reach * part) / math.expm1(-2 * reach)
            for part in left
        )

    @property
    def trades(self) -> tuple[float, ...]:
        """n_1 … n_N in shares; they add up to X."""
        return tuple(before - after for before, after in pairwise(self.holdings))

    @property
    def expected_cost(self) -> float:
        """E in currency, against the price at the start."""
        model = self.model
        return (
            model.gamma * self.qty**2 / 2
            + model.epsilon * sum(map(abs, self.trades))
            + self.eta_tilde / self.tau * sum(n * n for n in self.trades)
        )

    @property
    def variance(self) -> float:
        """V in currency²."""
        return self.model.sigma**2 * self.tau * sum(x * x for x in self.holdings[1:])


def shortfall(
    qty: Decimal,
    span: Span,
    model: ImpactModel,
    *,
    risk_aversion: float,
    day: float,
    lot: Decimal = Decimal(1),
) -> tuple[Slice, ...]:
    """The schedule of least expected cost plus λ times its variance: q_j = n_j of `Trajectory`, in whole lots.

    The last slot counts as long as the others. A greater risk aversion trades more of it early.

    Args:
        qty: shares > 0, a multiple of `lot`.
        risk_aversion: λ ≥ 0, per currency.
        day: seconds of what the model calls a day, e.g. those of a regular session.

    Raises:
        AlgorithmRefused: see `Trajectory` and `split`; NaN is refused.
    """
    return planned(qty, span, trades(span, model, risk_aversion=risk_aversion, day=day), lot=lot)


def trades(span: Span, model: ImpactModel, *, risk_aversion: float, day: float) -> tuple[float, ...]:
    """The parts of the whole that are traded in each slot; they add up to 1 whatever the quantity, both being linear.

    What is left at a later slot is spread by the parts that are left: the best way onwards is a part of the best way.
    """
    number(day, "day", above=0)
    days = span.slots * span.interval.total_seconds() / day
    return Trajectory(1.0, days, span.slots, model, risk_aversion).trades
