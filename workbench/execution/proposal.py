"""Proposal: what came of proposing orders: intents written, intents that stood there before, and refusals."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from decimal import Decimal

    from workbench.execution.journal.intent import Intent


@dataclass(frozen=True)
class Proposal:
    """What came of proposing weights, or of placing wishes, for one session.

    Attributes:
        written: intents written now; the desk of the account sends them.
        existed: intents of this bot and session that stood there before; when there are any, nothing is written.
        refusals: symbol, side, qty, code and message of each wish that a limit refused, as stored.
        intents: `written` and `existed` together: what to wait for.
    """

    account: str
    bot: str
    session: str
    written: tuple[Intent, ...]
    existed: tuple[Intent, ...]
    refusals: tuple[dict[str, Any], ...]

    @property
    def intents(self) -> tuple[Intent, ...]:
        """Every intent of this bot and session."""
        return self.existed + self.written

    @property
    def line(self) -> str:
        """The proposal on one line."""
        refused = f", {len(self.refusals)} refused" if self.refusals else ""
        if self.existed:
            what = f"{len(self.existed)} intents were already written; nothing new was written{refused}"
        elif self.written:
            what = f"{len(self.written)} intents written{refused}"
        else:
            what = f"nothing to write{refused}" if self.refusals else "nothing to do: the book stands as wished"
        return f"{self.bot} on {self.account}, session {self.session}: {what}"

    def frame(self) -> pd.DataFrame:
        """One row per wish: symbol, side, qty (shares), price (it was sized with), outcome, why, client_order_id."""
        rows = [
            (i.symbol, i.side.value, float(i.qty), _float(i.reference_price), outcome, i.reason, i.client_order_id)
            for outcome, intents in (("already written", self.existed), ("written", self.written))
            for i in intents
        ]
        rows += [
            (r["symbol"], r["side"], r["qty"], r["price"], f"refused: {r['code']}", r["message"], "")
            for r in self.refusals
        ]
        columns = ["symbol", "side", "qty", "price", "outcome", "why", "client_order_id"]
        return pd.DataFrame(rows, columns=columns)

    def __repr__(self) -> str:
        return "\n".join([self.line, *(f"  refused: {refusal['message']}" for refusal in self.refusals)])

    def _repr_html_(self) -> str:
        return f"<div><b>{html.escape(self.line)}</b>{self.frame().to_html(index=False, escape=True)}</div>"


def _float(value: Decimal | str | None) -> float:
    return float("nan") if value is None else float(value)
