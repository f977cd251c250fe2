"""Redaction: the secrets of one question, and any text without them."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from workbench.errors import ParameterError

HIDDEN = "***"
_SHORT = 4  # a secret below this many characters is hidden only where it stands as a word
_NAMED = re.compile(
    r"""(?i)([?&;\s"']|^)((?:api[_-]?key|apikey|token|access[_-]?token|api[_-]?token|secret|signature|password)=)[^&\s"'#]+"""
)


class Secrets:
    """What is sent to a vendor and shown to nobody. It is no text itself: its repr shows how many there are."""

    __slots__ = ("_forms", "_headers", "_query")

    def __init__(self, headers: Mapping[str, SecretStr], query: Mapping[str, SecretStr]) -> None:
        """Raises ParameterError: a secret that no header can carry; its text is not in the message."""
        for name, value in headers.items():
            text = value.get_secret_value()
            if not text.isascii() or not text.isprintable():
                raise ParameterError(
                    f"the secret of header {name} has characters that a header cannot carry; nothing was sent.",
                    remedy="was a line break copied with the key?",
                )
        self._headers = dict(headers)
        self._query = dict(query)
        self._forms: tuple[str, ...] | None = None

    def __bool__(self) -> bool:
        return bool(self._headers or self._query)

    def __repr__(self) -> str:
        return f"<{len(self._headers) + len(self._query)} secrets>"

    def headers(self) -> dict[str, str]:
        """For the wire only."""
        return {name: value.get_secret_value() for name, value in self._headers.items()}

    def query(self) -> str:
        """For the wire only."""
        return "&".join(
            f"{quote(name, safe='')}={quote(value.get_secret_value(), safe='')}" for name, value in self._query.items()
        )

    def digest(self, salt: bytes) -> str:
        """A keyed hash of all of them with their names: equal for equal secrets, and no way back."""
        parts = [
            ["h", *sorted((name.lower(), value.get_secret_value()) for name, value in self._headers.items())],
            ["q", *sorted((name, value.get_secret_value()) for name, value in self._query.items())],
        ]
        return hashlib.blake2b(json.dumps(parts).encode(), key=salt, digest_size=32).hexdigest()

    def clean(self, text: str) -> str:
        """The text without the secrets, however they are written in it, and without values of names that say key."""
        for form in self._known():
            if len(form) < _SHORT:
                text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])", HIDDEN, text)
            else:
                text = text.replace(form, HIDDEN)
        return _NAMED.sub(rf"\1\2{HIDDEN}", text)

    def within(self, content: bytes) -> bool:
        """True where one of them is in the bytes."""
        return any(len(form) >= _SHORT and form.encode() in content for form in self._known())

    def _known(self) -> tuple[str, ...]:
        if self._forms is None:
            self._forms = self._written()
        return self._forms

    def _written(self) -> tuple[str, ...]:
        found: set[str] = set()
        for value in (*self._headers.values(), *self._query.values()):
            secret = value.get_secret_value()
            # "Bearer abc": the part after the word is what a vendor would echo
            for text in {secret, secret.rsplit(" ", 1)[-1]}:
                found |= {text, quote(text), quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]}
                found.add(html.escape(text))
        return tuple(sorted(found - {""}, key=len, reverse=True))
