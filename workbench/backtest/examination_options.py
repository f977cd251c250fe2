"""What a walk-forward, a cross-validation, a search and an audit can be asked for, checked before any work starts."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from workbench.backtest.optimize.objective import Objective
from workbench.backtest.validation.splits import LEAST_TEST, LEAST_TRAIN
from workbench.errors import ParameterError, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Mapping


Check = Literal["future", "warm_up", "delay", "costs", "trades", "universe"]


def _session(value: Any) -> Any:
    """A session as its ISO date, however it was written."""
    if value is None:
        return None
    try:
        return pd.Timestamp(value).date().isoformat()
    except (TypeError, ValueError) as error:
        raise ValueError("is no date") from error


def _objective(value: Any) -> Any:
    """An objective as plain JSON values: of a value, a metric's name, or its fields."""
    try:
        if isinstance(value, Objective):
            return value.to_dict()
        return (Objective(metric=value) if isinstance(value, str) else Objective(**value)).to_dict()
    except (TypeError, WorkbenchError) as error:
        raise ValueError(error.message if isinstance(error, WorkbenchError) else str(error)) from error


class Options(BaseModel):
    """What an examination is asked for; `read` checks it, `to_dict` gives plain JSON values with every default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Check options by name.

        Raises:
            ParameterError: there is no such option (the nearest is suggested), or it cannot have that value.
        """
        for name in given:
            if name not in cls.model_fields:
                near = difflib.get_close_matches(name, cls.model_fields, n=1)
                raise ParameterError(
                    f"{name!r} is no option here; nothing was computed.",
                    remedy=f"did you mean {near[0]!r}?" if near else f"they are {', '.join(cls.model_fields)}.",
                )
        given = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
        try:
            return cls(**given)
        except ValidationError as error:
            said = "; ".join(
                f"{row['loc'][0]}={given.get(str(row['loc'][0]))!r}: {row['msg']}"
                for row in error.errors(include_url=False)
            )
            raise ParameterError(f"{said}. Nothing was computed.", remedy="correct the option.") from error

    def to_dict(self) -> dict[str, Any]:
        """Every option as plain JSON values."""
        return self.model_dump(mode="json")


class WalkForwardOptions(Options):
    """See `workbench.backtest.validation.walk_forward.walk_forward`."""

    scheme: Literal["rolling", "anchored"] = "rolling"
    train: Annotated[int, Field(ge=LEAST_TRAIN)] | None = None
    test: Annotated[int, Field(ge=LEAST_TEST)] | None = None
    purge: Annotated[int, Field(ge=0)] = 0
    first_test: Annotated[str | None, BeforeValidator(_session)] = None
    metric: Literal["sharpe", "sortino", "calmar", "cagr", "total_return", "max_drawdown"] = "sharpe"
    radius: Annotated[int, Field(ge=0)] = 1


class CrossValidationOptions(Options):
    """See `workbench.backtest.validation.cross_validation.cross_validate`."""

    scheme: Literal["combinatorial", "kfold"] = "combinatorial"
    folds: Annotated[int, Field(ge=2)] = 10
    test_folds: Annotated[int, Field(ge=1)] = 2
    purge: Annotated[int, Field(ge=0)] = 1
    embargo: Annotated[int, Field(ge=0)] | None = None
    metric: Literal["sharpe", "sortino", "cagr", "total_return"] = "sharpe"
    radius: Annotated[int, Field(ge=0)] = 1

    @field_validator("test_folds")
    @classmethod
    def _leaves_some_to_learn_from(cls, test_folds: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds", test_folds + 1)
        if info.data.get("scheme") == "combinatorial" and not 2 <= test_folds < folds:
            raise ValueError(f"must be from 2 to {folds - 1}, one less than folds")
        return test_folds


class SearchOptions(Options):
    """See `workbench.backtest.optimize.search.optimize`; `seed` is the study's when None."""

    method: Literal["grid", "random", "tpe"] = "tpe"
    trials: Annotated[int, Field(ge=1)] = 200
    objective: Annotated[dict[str, Any], BeforeValidator(_objective)] = Field(default_factory=Objective().to_dict)
    seed: Annotated[int, Field(ge=0)] | None = None
    holdout: Annotated[float, Field(ge=0.0, le=0.8)] = 0.3
    pruning: bool = True
    radius: Annotated[int, Field(ge=0)] = 1


class AuditOptions(Options):
    """See `workbench.backtest.audit.auditing.audit`; all checks when None."""

    checks: list[Literal["future", "warm_up", "delay", "costs", "trades", "universe"]] | None = Field(
        None, min_length=1
    )
