"""The bounds of one bot, under those of its account: how much it may hold, and when it gets out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import ParameterError
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.sizing import Sizing

Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Distance = Annotated[Decimal, Field(gt=0, lt=1)]


class BotRisk(BaseModel):
    """What a bot may do with its capital. Frozen; a bound that is None does not exist.

    Attributes:
        budget: most |quantity| × price over all its holdings, currency; what the bot is worth when None.
        max_position_fraction: most |quantity| × price of one holding, fraction of what the bot is worth.
        max_order_notional: most quantity × price of one order, currency.
        max_orders_per_session: most orders in one session, count.
        stop_loss: a holding is sold when its price is this fraction worse than its average price.
        take_profit: a holding is sold when its price is this fraction better than its average price.
        trailing: a holding is sold when its price is this fraction worse than its best price since it was opened.
        daily_loss: when the bot has lost this fraction of what it was worth at its first look of the session, realized
            or not, it only reduces holdings until the next session.
        allow_short: whether it may hold less than nothing.
        sizing: how many shares a wish is worth, see `execution.sizing`: the strategy's weight then only says whether to
            be long, short or out. None: the weight is the size, a fraction of what the bot is worth.
        cushion: fraction of what it is worth that stays in cash, so that a rise until the fill is still paid for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: Annotated[Decimal, Field(gt=0)] | None = None
    max_position_fraction: Fraction = Decimal(1)
    max_order_notional: Annotated[Decimal, Field(gt=0)] | None = None
    max_orders_per_session: Annotated[int, Field(ge=0)] = 1_000
    stop_loss: Distance | None = None
    take_profit: Annotated[Decimal, Field(gt=0)] | None = None
    trailing: Distance | None = None
    daily_loss: Distance | None = None
    allow_short: bool = False
    sizing: Sizing | None = None
    cushion: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal("0.002")

    def limits(self, worth: Decimal) -> Limits:
        """The bounds of the risk check over the bot's own book, which is worth `worth` (> 0)."""
        largest = Decimal(1) if self.budget is None else min(Decimal(1), self.budget / worth)
        named: dict[str, Any] = {"max_order_notional": self.max_order_notional} if self.max_order_notional else {}
        return Limits(
            max_orders_per_session=self.max_orders_per_session,
            max_position_fraction=self.max_position_fraction,
            max_gross_exposure=largest,
            allow_short=self.allow_short,
            **named,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `read_risk` is its inverse."""
        return self.model_dump(mode="json")


def read_risk(given: BotRisk | Mapping[str, Any] | None) -> BotRisk:
    """The bounds of plain values; the defaults when None.

    Raises:
        ParameterError: a name or value is not accepted; `facts["details"]` has a row for each.
    """
    if given is None:
        return BotRisk()
    if isinstance(given, BotRisk):
        return given
    try:
        return BotRisk.model_validate({name: _exact(value) for name, value in given.items()})
    except ValidationError as error:
        details = [{"loc": list(row["loc"]), "msg": _message(row), "input": row.get("input")} for row in error.errors()]
        raise ParameterError(
            "; ".join(f"{'.'.join(map(str, row['loc']))}={row['input']!r}: {row['msg']}" for row in details),
            remedy=f"it has {', '.join(BotRisk.model_fields)}.",
            details=[{**row, "input": str(row["input"])} for row in details],
        ) from error


def _exact(value: Any) -> Any:
    """A float as it is written, not as it is stored: 0.1 is one tenth."""
    return Decimal(str(value)) if isinstance(value, float) else value


def _message(row: Any) -> str:
    if row["type"] != "extra_forbidden":
        return str(row["msg"])
    near = difflib.get_close_matches(str(row["loc"][-1]), BotRisk.model_fields, n=1)
    return f"no such bound; did you mean {near[0]!r}?" if near else "no such bound"
