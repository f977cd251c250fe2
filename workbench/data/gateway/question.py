"""Question: one request to a vendor, its secrets kept apart from everything that is shown or stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

from pydantic import SecretStr

from workbench.data.gateway.redaction import Secrets
from workbench.data.gateway.vendor import Vendor
from workbench.errors import ParameterError

Method = Literal["GET", "POST"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: `url`, `headers` and `body` hold no secret; the wire adds those."""

    vendor: Vendor
    method: Method
    url: str
    headers: Mapping[str, str]
    secrets: Secrets
    body: bytes
    kind: str

    @classmethod
    def of(
        cls,
        vendor: Vendor,
        path: str,
        *,
        kind: str,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | SecretStr] | None = None,
        secrets: Mapping[str, SecretStr] | None = None,
        body: Any = None,
        method: Method = "GET",
    ) -> Question:
        """Put a question together; see `Gateway.get`.

        Raises:
            ParameterError: an address that is none, or one that the vendor's secrets must not be sent to.
        """
        open_query, closed_query = _parted(query or {})
        open_headers, closed_headers = _parted(headers or {})
        sealed = Secrets(closed_headers, {**closed_query, **(secrets or {})})
        url = path if path.startswith(("http://", "https://")) else f"{vendor.url.rstrip('/')}/{path.lstrip('/')}"
        written = urlencode([(name, _text(value)) for name, value in open_query.items()], quote_via=quote, safe=",:")
        if written:
            url = f"{url}{'&' if '?' in url else '?'}{written}"
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.fragment:
            raise ParameterError(f"{sealed.clean(path)!r} is no address without user and fragment; nothing was asked.")
        if sealed and origin(url) not in {origin(address) for address in (vendor.url, *vendor.hosts)}:
            raise ParameterError(
                f"{parts.hostname} is not an address of {vendor.name}; its keys are not sent there. Nothing was asked.",
                remedy="if it is one, name it in Vendor.hosts.",
            )
        content = _content(body)
        made = {
            "Accept": "*/*",
            "User-Agent": "workbench",
            **vendor.headers,
            **{k: str(v) for k, v in open_headers.items()},
        }
        if content and not any(name.lower() == "content-type" for name in made):
            made["Content-Type"] = "application/json"
        return cls(vendor, method, url, made, sealed, content, kind)

    @property
    def shown(self) -> str:
        """The address as it may be shown."""
        return self.secrets.clean(self.url)

    def key(self, salt: bytes) -> str:
        """A hash of all that the answer depends on; equal questions with other credentials have another one."""
        said = [self.vendor.name, self.method, self.url, sorted(self.headers.items()), self.secrets.digest(salt)]
        digest = hashlib.sha256(json.dumps(said).encode())
        digest.update(self.body)
        return digest.hexdigest()

    def moved(self, location: str) -> Question | None:
        """The same question at the address it was redirected to; None where that is another host, or a POST."""
        there = urljoin(self.url, location)
        if self.method != "GET" or origin(there) != origin(self.url):
            return None
        return replace(self, url=there.partition("#")[0])


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _parted(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, SecretStr]]:
    """What may be shown, and what may not; what is None is left out."""
    given = {name: value for name, value in values.items() if value is not None}
    closed = {name: value for name, value in given.items() if isinstance(value, SecretStr)}
    return {name: value for name, value in given.items() if name not in closed}, closed


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return ",".join(_text(each) for each in value)
    return str(value)


def _content(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the body cannot be written as JSON ({error}); nothing was asked.") from None
