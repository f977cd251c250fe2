"""Every error the workbench raises on purpose: what was wrong, what was done about it, what to do now.

WorkbenchError
├── SettingsError            this machine is set up wrongly
├── StudyError               the question cannot be asked
├── ParameterError           a named parameter has a wrong name, type or value
├── DataError                facts are missing, malformed or refused
│   ├── NotYetKnown          a fact later than the moment of the view was asked for
│   ├── NoData               nothing is stored for what was asked
│   ├── BadData              a response failed its checks and was quarantined
│   ├── SourceUnavailable    a vendor did not answer, or is left alone for a while
│   └── SourceRefused        a vendor said no: the key, the plan, the question
├── StoreError               the database or the vintages refused
│   ├── JobCancelled         somebody asked for the job to stop; what was finished is kept
│   ├── JobLost              another worker has the job now; this one stopped writing
│   └── VersionConflict      somebody else changed it meanwhile; nothing was overwritten
├── BacktestError            a backtest could not be run as asked
│   ├── BarsRefused          the bars cannot be replayed: empty, too few, unsorted, a price of zero
│   ├── WeightsRefused       a strategy's weights break their contract
│   │   └── LookAhead        a weight depends on what was not known yet
│   ├── StrategyFailed       the code of a strategy raised
│   ├── GridRefused          a grid has no cell, or too many
│   └── ClusterUnavailable   the cluster does not answer, or lost its workers
├── ArenaError               a debate could not be held as asked
├── ReportError              a page could not be made as asked; nothing was written
├── ExecutionError           an order was not placed, or its fate is not known
│   ├── RiskRefused          a limit said no; nothing was sent
│   ├── BrokerRefused        the broker said no; nothing is live
│   ├── OutcomeUnknown       the broker did not say; the order is looked up, never guessed
│   ├── LeaseLost            another process owns the account now
│   └── ExchangeUnavailable  no exchange answers
└── PipelineError            a pipeline is invalid or stopped
    ├── PipelineInvalid      the file is wrong; nothing was run
    └── NotebookFailed       a cell failed; finished steps are kept
"""

from __future__ import annotations

from typing import Any, ClassVar


class WorkbenchError(Exception):
    """The root of the tree.

    Args:
        message: what was wrong, with parameter, value and bound, and what was done about it.
        remedy: what the reader can do next; printed on a line of its own.
        facts: the numbers behind the message, for logs and stored rows.
    """

    code: ClassVar[str] = "WB000"

    def __init__(self, message: str, *, remedy: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.facts = facts

    def __str__(self) -> str:
        lines = [f"{self.message} [{self.code}]"]
        if self.remedy:
            lines.append(f"What to do: {self.remedy}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive pickling by default, and errors cross processes here.
        return _rebuild, (type(self), self.message, self.remedy, self.facts)


def _rebuild(kind: type[WorkbenchError], message: str, remedy: str, facts: dict[str, Any]) -> WorkbenchError:
    return kind(message, remedy=remedy, **facts)


class SettingsError(WorkbenchError):
    """This machine is set up wrongly."""

    code = "WB100"


class StudyError(WorkbenchError):
    """The question cannot be asked."""

    code = "WB200"


class ParameterError(WorkbenchError):
    """A named parameter has a wrong name, type or value."""

    code = "WB210"


class DataError(WorkbenchError):
    """Facts are missing, malformed or refused."""

    code = "WB300"


class NotYetKnown(DataError):
    """A fact later than the moment of the view was asked for."""

    code = "WB301"


class NoData(DataError):
    """Nothing is stored for what was asked."""

    code = "WB302"


class BadData(DataError):
    """A response failed its checks and was quarantined."""

    code = "WB303"


class SourceUnavailable(DataError):
    """A vendor did not answer in time, answered with a fault of its own, or its breaker is open; nothing was read."""

    code = "WB304"


class SourceRefused(DataError):
    """A vendor answered that it will not: the key, the plan or the question is wrong; asking again would not help."""

    code = "WB305"


class StoreError(WorkbenchError):
    """The database or the vintages refused."""

    code = "WB400"


class JobCancelled(StoreError):
    """Somebody asked for the job to stop; what was finished is kept."""

    code = "WB410"


class JobLost(StoreError):
    """Another worker has the job now; this one stopped writing."""

    code = "WB411"


class VersionConflict(StoreError):
    """Somebody else changed it meanwhile; nothing was overwritten."""

    code = "WB420"


class BacktestError(WorkbenchError):
    """A backtest could not be run as asked."""

    code = "WB500"


class BarsRefused(BacktestError):
    """The bars cannot be replayed; nothing was computed."""

    code = "WB501"


class WeightsRefused(BacktestError):
    """A strategy's weights break their contract; nothing was replayed."""

    code = "WB502"


class LookAhead(WeightsRefused):
    """A weight depends on what was not known yet; nothing was replayed."""

    code = "WB506"


class StrategyFailed(BacktestError):
    """The code of a strategy raised; the message is its own."""

    code = "WB503"


class GridRefused(BacktestError):
    """A grid has no cell, or too many; nothing was computed."""

    code = "WB504"


class ClusterUnavailable(BacktestError):
    """The cluster does not answer, or lost its workers; finished chunks are kept."""

    code = "WB505"


class ArenaError(WorkbenchError):
    """A debate could not be held as asked."""

    code = "WB600"


class ReportError(WorkbenchError):
    """A page could not be made as asked; nothing was written."""

    code = "WB650"


class ExecutionError(WorkbenchError):
    """An order was not placed, or its fate is not known."""

    code = "WB700"


class RiskRefused(ExecutionError):
    """A limit said no; nothing was sent."""

    code = "WB701"


class BrokerRefused(ExecutionError):
    """The broker said no; nothing is live."""

    code = "WB702"


class OutcomeUnknown(ExecutionError):
    """The broker did not say; the order is looked up, never guessed."""

    code = "WB703"


class LeaseLost(ExecutionError):
    """Another process owns the account now; this one stopped writing."""

    code = "WB704"


class ExchangeUnavailable(ExecutionError):
    """No exchange answers at the configured address."""

    code = "WB705"


class TradingHalted(ExecutionError):
    """The trading state of the account forbids it; the kill switch, or a person, has set it."""

    code = "WB706"


class BotRefused(ExecutionError):
    """A bot cannot be, or do, what was asked of it."""

    code = "WB710"


class AlgorithmRefused(ExecutionError):
    """An execution algorithm was asked for something that makes no schedule."""

    code = "WB711"


class PipelineError(WorkbenchError):
    """A pipeline is invalid or stopped."""

    code = "WB800"


class PipelineInvalid(PipelineError):
    """The pipeline file is wrong; nothing was run."""

    code = "WB801"


class NotebookFailed(PipelineError):
    """A cell failed; finished steps are kept and can be resumed."""

    code = "WB802"
