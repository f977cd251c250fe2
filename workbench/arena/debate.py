"""The debate: all analysts at once and blind, then one rebuttal in which each hears the others' cited claims.

1. Round 0: every analyst reads the pack alone, in parallel; the wall time is that of the slowest.
2. Round 1: every analyst that spoke hears the others and may move, a voice by at most `max_shift`, risk only downward.
3. Whatever an analyst does wrong in either round (raises, gives no probability, cites nothing or what the pack does not
   hold) becomes an abstention that names the fault. A fault is never a probability.

The outcome depends on the packs and the analysts only: not on their order, nor on who finished first.
"""

from __future__ import annotations

import contextvars
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

from workbench.arena.analysts import Analyst, AnalystView, Claim, Role, abstention
from workbench.arena.evidence import EvidencePack
from workbench.errors import ArenaError

NAME_LENGTH = 32
WORKERS = 32
TOLD = 200  # characters of an error that are kept


@dataclass(frozen=True, slots=True)
class Debate:
    """What was said about one pack: the blind views and the rebuttals, each sorted by the analyst's name."""

    blind: tuple[AnalystView, ...]
    rebuttal: tuple[AnalystView, ...]

    @property
    def views(self) -> tuple[AnalystView, ...]:
        """Both rounds, in the order spoken."""
        return (*self.blind, *self.rebuttal)

    @property
    def cost(self) -> Decimal:
        """Money spent on all views, in currency."""
        return sum((view.cost for view in self.views), Decimal(0))


def hold(pack: EvidencePack, analysts: Sequence[Analyst], *, max_shift: float) -> Debate:
    """Debate one pack; see `hold_all`."""
    return hold_all([pack], analysts, max_shift=max_shift)[0]


def hold_all(
    packs: Sequence[EvidencePack], analysts: Sequence[Analyst], *, max_shift: float, workers: int = WORKERS
) -> list[Debate]:
    """Debate several packs, all analysts of all packs in one pool of threads.

    Args:
        packs: what the analysts read, one debate each; the answer has the same order.
        analysts: at least one, each with its own name.
        max_shift: the furthest a voice may move in its rebuttal, in probability, ≥ 0.
        workers: threads at most.

    Raises:
        ArenaError: no analyst, two of one name, or a name that cannot be stored.
    """
    seated = seat(analysts)
    if not packs:
        return []
    with ThreadPoolExecutor(max_workers=min(workers, len(packs) * len(seated)), thread_name_prefix="arena") as pool:

        def together(calls: Sequence[Callable[[], AnalystView]]) -> list[AnalystView]:
            # A context of its own for each call, so that the trace id is known inside; results in the order asked.
            waiting = [pool.submit(contextvars.copy_context().run, call) for call in calls]
            return [future.result() for future in waiting]

        size = len(seated)
        views = together([functools.partial(_blind, analyst, pack) for pack in packs for analyst in seated])
        blind = [tuple(views[first : first + size]) for first in range(0, len(views), size)]
        views = together(
            [
                functools.partial(_rebuttal, analyst, pack, own, tuple(o for o in table if o is not own), max_shift)
                for pack, table in zip(packs, blind, strict=True)
                for analyst, own in zip(seated, table, strict=True)
            ]
        )
        rebuttals = [tuple(views[first : first + size]) for first in range(0, len(views), size)]
    return [Debate(blind=before, rebuttal=after) for before, after in zip(blind, rebuttals, strict=True)]


def seat(analysts: Sequence[Analyst]) -> tuple[Analyst, ...]:
    """The analysts sorted by name. Raises ArenaError when there is none, or when a name is unusable or taken twice."""
    names = [analyst.name for analyst in analysts]
    if not names:
        raise ArenaError("no analyst was named; no debate was held.", remedy="pass at least two voices.")
    for name in names:
        if not name or len(name) > NAME_LENGTH:
            raise ArenaError(
                f"the analyst's name {name!r} is empty or longer than {NAME_LENGTH}; no debate was held.",
                remedy="give it a short name.",
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ArenaError(
            f"two analysts are called {twice[0]!r}; no debate was held.", remedy="give each analyst its own name."
        )
    return tuple(sorted(analysts, key=lambda analyst: analyst.name))


def _blind(analyst: Analyst, pack: EvidencePack) -> AnalystView:
    return _answer(analyst, pack, lambda: analyst.view(pack), round_=0)


def _rebuttal(
    analyst: Analyst, pack: EvidencePack, own: AnalystView, others: tuple[AnalystView, ...], max_shift: float
) -> AnalystView:
    if own.p_up is None or own.abstained:
        # Who saw nothing in the evidence does not borrow an opinion from the others.
        return dataclasses.replace(own, round=1, cost=Decimal(0))
    said = _answer(analyst, pack, lambda: analyst.rebut(pack, own, others), round_=1)
    if said.p_up is None:
        return said
    if own.role is Role.RISK:
        lowest, highest = 0.0, own.p_up
    else:
        lowest, highest = own.p_up - max_shift, own.p_up + max_shift
    held = min(max(said.p_up, lowest), highest)
    note = said.note
    if held != said.p_up:
        note = f"asked to move {said.p_up - own.p_up:+.3f}, was held to {held - own.p_up:+.3f}"
    return dataclasses.replace(said, p_up=held, veto=said.veto or own.veto, note=note)


def _answer(analyst: Analyst, pack: EvidencePack, ask: Callable[[], AnalystView], *, round_: int) -> AnalystView:
    """Ask, check, and turn every fault into an abstention."""
    try:
        return _checked(analyst, pack, ask(), round_=round_)
    except Exception as error:  # noqa: BLE001 - an analyst is foreign code; its fault must end as an abstention
        return abstention(analyst, why=f"failed with {type(error).__name__}: {error}"[:TOLD], round_=round_)


def _checked(analyst: Analyst, pack: EvidencePack, said: AnalystView, *, round_: int) -> AnalystView:
    if not isinstance(said, AnalystView):
        return abstention(analyst, why=f"answered with a {type(said).__name__}, not with a view", round_=round_)
    if not (isinstance(said.cost, Decimal) and said.cost.is_finite() and said.cost >= 0):
        return abstention(analyst, why=f"gave cost={said.cost!r}, which is not an amount", round_=round_)
    claims = tuple(Claim(str(text), tuple(str(name) for name in evidence)) for text, evidence in said.reasons)
    cited = {name for claim in claims for name in claim.evidence}
    fault = ""
    if said.abstained:
        fault = said.note or "gave no reason"
    elif isinstance(said.p_up, bool) or not isinstance(said.p_up, int | float):
        fault = f"gave p_up={said.p_up!r}, which is not a number"
    elif not (math.isfinite(said.p_up) and 0 < said.p_up < 1):
        fault = f"gave p_up={said.p_up!r}, which is not between 0 and 1"
    elif not cited:
        fault = "cited no evidence"
    elif cited - pack.ids:
        fault = f"cited {', '.join(sorted(cited - pack.ids))}, which the pack does not hold"
    if fault:
        return dataclasses.replace(abstention(analyst, why=fault[:TOLD], round_=round_), cost=said.cost)
    return AnalystView(
        analyst=analyst.name,
        kind=analyst.kind,
        role=analyst.role,
        round=round_,
        p_up=float(said.p_up or 0.0),
        reasons=claims,
        veto=said.veto and analyst.role is Role.RISK,
        cost=said.cost,
        note=str(said.note)[:TOLD],
    )
