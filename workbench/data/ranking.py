"""Deciding a rotation: who is in by a rule, given what is known of the candidates and who was in before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

COLUMNS = ("rank", "value", "member", "change", "why")


def by_rank(
    values: Mapping[str, float], *, incumbents: Collection[str], top: int, buffer: int, by: str, stale: int
) -> pd.DataFrame:
    """The table of a rotation by rank: one row per candidate and incumbent, index `symbol`, best first.

    Args:
        values: of every candidate; NaN where it is not known. Equal values rank in alphabetical order.
        incumbents: who was in; one that is no candidate leaves.
        top, buffer: see `rotation_rules.Ranked`.
        by: what the values are, for the reasons.
        stale: for the reasons.

    Returns:
        `rank` (1 is the highest; missing where there is no value), `value`, `member` (was in), `change` ("enters",
        "stays", "leaves", "out") and `why`, with the numbers that decided.
    """
    order = sorted((symbol for symbol, value in values.items() if value == value), key=lambda one: (-values[one], one))  # noqa: PLR0124 - NaN
    ranks = {symbol: place for place, symbol in enumerate(order, start=1)}
    kept = [symbol for symbol in order[: top + buffer] if symbol in incumbents][:top]
    free = [symbol for symbol in order if symbol not in incumbents][: top - len(kept)]
    inside = {*kept, *free}
    rows = []
    for symbol in [*order, *sorted({*values, *incumbents} - set(order))]:
        member, stays = symbol in incumbents, symbol in inside
        change = ("stays" if stays else "leaves") if member else ("enters" if stays else "out")
        if symbol in ranks:
            why = f"rank {ranks[symbol]} of {len(order)} by {by} = {values[symbol]:.4g}"
            if not stays:
                why += f"; {f'members stay up to {top + buffer}' if member else f'{top} are in'}"
        elif symbol in values:
            why = f"not ranked: {by} is not known, or the newest bar is more than {stale} sessions old"
        else:
            why = "not in the pool"
        rows.append((symbol, ranks.get(symbol), values.get(symbol, float("nan")), member, change, why))
    return _table(rows)


def by_list(listed: Mapping[str, str], *, incumbents: Collection[str], absent: str) -> pd.DataFrame:
    """The table of a rotation by a list: `listed` says why each symbol is on it, `absent` why another is not."""
    rows = []
    for symbol in sorted({*listed, *incumbents}):
        member, stays = symbol in incumbents, symbol in listed
        change = ("stays" if stays else "leaves") if member else "enters"
        rows.append((symbol, None, float("nan"), member, change, listed.get(symbol, absent)))
    return _table(rows)


def _table(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["symbol", *COLUMNS]).set_index("symbol")
    return table.astype({"rank": "Int64", "value": "float64", "member": "bool"})
