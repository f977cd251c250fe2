"""A broker's reply as it may be stored: whole, but without anything that sounds like a credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SECRET = ("secret", "key_id", "authorization", "password", "token")


def without_secrets(raw: Any) -> Any:
    """A reply fit for storing: entries whose name sounds like a credential are left out, at any depth."""
    if isinstance(raw, Mapping):
        return {
            str(name): without_secrets(value)
            for name, value in raw.items()
            if not any(word in str(name).lower().replace("-", "_") for word in _SECRET)
        }
    return [without_secrets(value) for value in raw] if isinstance(raw, list) else raw
