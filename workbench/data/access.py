"""Access: how this machine reaches one vendor: its keys, its address, the contact it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Access:
    """What a surface read from the settings for one vendor, handed down; nothing below a surface looks for keys.

    Attributes:
        key, secret: never printed; empty where the vendor asks for none.
        contact: who we are, where a vendor asks for it (`Name name@example.org` for the SEC).
        url: another base address than the vendor's own: a mirror, a self-hosted service, a test.
        feed: the vendor's data feed or plan, where it has several (`iex`, `sip`).
    """

    key: SecretStr = field(default_factory=lambda: SecretStr(""))
    secret: SecretStr = field(default_factory=lambda: SecretStr(""))
    contact: str = ""
    url: str = ""
    feed: str = ""
