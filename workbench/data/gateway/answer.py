"""Answer: what a vendor said, and the only door to its meaning."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from workbench.errors import BadData

_SHOWN = 80  # characters of an unreadable body that a message shows
_LOOKED_AT = 4096  # bytes of it that are cleaned first: half a secret would not be found
_HUGE = re.compile(rb"\d[eE]\+?\d{3}")  # a number that may be too large for a float and would be read as infinity


def _nothing(_text: str) -> None:
    """Without a gateway there is nobody to tell."""


def _as_is(text: str) -> str:
    return text


@dataclass(frozen=True, eq=False)
class Answer:
    """A vendor's answer; `repr` shows no content.

    Attributes:
        headers: by name, whatever its case.
        content: unpacked bytes.
        url: what was asked, without secrets.
        fetched_at: when it arrived (UTC); of a cached one, when it once arrived.
        cached: it came from the cache.
        absent: the vendor said, by a status that the caller named, that there is no such thing.
    """

    vendor: str
    kind: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    url: str
    fetched_at: dt.datetime
    cached: bool = False
    absent: bool = False
    _clean: Callable[[str], str] = field(default=_as_is, repr=False)
    _reject: Callable[[str], None] = field(default=_nothing, repr=False)

    @property
    def text(self) -> str:
        """The content as text (UTF-8, or as the header says). Raises BadData: it is not."""
        said = re.search(r"charset=[\"']?([\w.-]+)", self.headers.get("content-type", ""))
        with contextlib.suppress(UnicodeDecodeError, LookupError):
            return self.content.decode(said.group(1) if said else "utf-8-sig")
        raise self._bad("is not text")

    def json(self) -> Any:
        """The content as JSON.

        Raises:
            BadData: HTML, nothing, half a body, NaN or Infinity, a number beyond float64, or anything else that is not
                JSON. The answer is dropped from the cache.
        """
        if not self.content.strip():
            raise self._bad("is empty")
        try:
            read = json.loads(self.content, parse_constant=_refuse)
            if _HUGE.search(self.content):
                json.loads(self.content, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            why = "is HTML or XML, not JSON" if self.content.lstrip()[:1] == b"<" else _why(error)
        else:
            return read
        raise self._bad(why)  # outside of the block: the parser's error holds the whole body, and would be chained

    def reject(self, why: str) -> NoReturn:
        """Drop the answer from the cache, count it, and raise BadData: for readers that find it unusable.

        Args:
            why: what is wrong, as it follows "the answer", e.g. `"has no field results"`.
        """
        raise self._bad(why)

    def _bad(self, why: str) -> BadData:
        self._reject(why)
        first = self._clean(self.content[:_LOOKED_AT].decode("utf-8", "replace"))[:_SHOWN]
        return BadData(
            f"{self.vendor} was asked for {self.kind}; the answer {why}. It begins with {first!r} "
            f"({len(self.content)} bytes, HTTP {self.status}, {self.url}). Nothing was passed on.",
            remedy="ask again in a while; if it stays, look at the vendor's status page.",
            vendor=self.vendor,
            kind=self.kind,
        )


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not whole JSON ({error.msg} at character {error.pos})"
    if isinstance(error, _NotJson):
        return f"is not JSON ({error})"
    return "is not JSON in UTF-8" if isinstance(error, UnicodeDecodeError) else "is not JSON that can be read"


class _NotJson(ValueError):
    pass


def _refuse(literal: str) -> NoReturn:
    raise _NotJson(f"it contains {literal}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NotJson("a number in it is too large for a float")
    return number
