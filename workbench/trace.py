"""One trace id from the notebook's parameters to the broker's order, on every log line and every stored row."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import sys
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

    import structlog

ENVIRONMENT = "WORKBENCH_TRACE_ID"
_current: contextvars.ContextVar[str | None] = contextvars.ContextVar("workbench_trace_id", default=None)


def trace_id() -> str:
    """The trace id in force: the one bound in this context, else the environment's, else a new one for this process.

    A runner hands its id to kernels through the environment, so a notebook's rows carry the pipeline's id.
    """
    bound = _current.get()
    if bound:
        return bound
    inherited = os.environ.get(ENVIRONMENT)
    if not inherited:
        inherited = uuid.uuid4().hex
        os.environ[ENVIRONMENT] = inherited
    return inherited


@contextlib.contextmanager
def tracing(identifier: str | None = None) -> Iterator[str]:
    """Bind a trace id (a new one when None) for the duration of a block."""
    bound = identifier or uuid.uuid4().hex
    token = _current.set(bound)
    try:
        yield bound
    finally:
        _current.reset(token)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A structured logger; each line is one JSON object with time, level, event, trace_id and what was bound."""
    import structlog

    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace_id,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    return logger


def log_to(path: Path | None, *, level: int = logging.INFO) -> logging.Handler:
    """Send the package's log lines to a file (to stderr when None). Returns the handler, so that it can be removed."""
    handler: logging.Handler
    if path is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("workbench")
    root.addHandler(handler)
    root.setLevel(level)
    root.propagate = False
    return handler


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Inside, the package's log lines go to a file and nowhere else; afterwards everything is as it was."""
    root = logging.getLogger("workbench")
    before = root.level, root.propagate, root.handlers[:]
    for one in before[2]:
        root.removeHandler(one)
    handler = log_to(path)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        root.setLevel(before[0])
        root.propagate = before[1]
        for one in before[2]:
            root.addHandler(one)


def _add_trace_id(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.setdefault("trace_id", trace_id())
    return event
