"""Single flight: threads that ask the same at the same time cause one request and share what comes of it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from workbench.errors import SourceUnavailable

T = TypeVar("T")


class _Flight(Generic[T]):
    __slots__ = ("done", "error", "made")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.made: list[T] = []
        self.error: BaseException | None = None


class Flights(Generic[T]):
    """The requests that are under way in this process, by what they ask."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Flight[T]] = {}
        self._lock = threading.Lock()

    def join(self, key: Hashable, make: Callable[[], T]) -> tuple[T, bool]:
        """What `make()` returns, called by one thread only; True: another thread called it.

        Raises what `make` raised, in every thread.
        """
        with self._lock:
            flight = self._under_way.get(key)
            leads = flight is None
            if flight is None:
                flight = self._under_way[key] = _Flight()
        if not leads:
            flight.done.wait()
            if flight.error is not None:
                raise _for_another_thread(flight.error) from None
            return flight.made[0], True
        try:
            made = make()
            flight.made.append(made)
        except BaseException as error:
            flight.error = error
            raise
        else:
            return made, False
        finally:
            with self._lock:
                del self._under_way[key]
            flight.done.set()


def _for_another_thread(error: BaseException) -> BaseException:
    """The error once more: one exception raised in two threads would mix up their tracebacks."""
    if isinstance(error, Exception):
        return copy.copy(error)
    return SourceUnavailable(
        "the thread that was asking the same was stopped; there is no answer.", remedy="ask again."
    )
