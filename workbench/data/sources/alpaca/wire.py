"""The wire under alpaca-py: each of its requests becomes a question to our gateway, each answer a response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import requests
from pydantic import SecretStr
from requests.adapters import BaseAdapter

if TYPE_CHECKING:
    from workbench.data.gateway import Answer, Gateway, Vendor

_KEYS: Final = ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")


class GatewayAdapter(BaseAdapter):
    """Where alpaca-py's requests leave its session: each becomes a question to the gateway, each answer a response."""

    kind: str  # of the question on its way
    ttl: float | None
    answer: Answer  # the newest one

    def __init__(self, gateway: Gateway, vendor: Vendor) -> None:
        super().__init__()
        self._gateway, self._vendor = gateway, vendor

    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> requests.Response:
        """Timeouts, certificates and proxies are the gateway's."""
        address = urlsplit(str(request.url))
        given = {name: str(value) for name, value in request.headers.items()}
        self.answer = self._gateway.get(
            self._vendor,
            urlunsplit((address.scheme, address.netloc, address.path, "", "")),
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            headers={name: SecretStr(given[name]) for name in _KEYS} | {"User-Agent": given["User-Agent"]},
            kind=self.kind,
            ttl=self.ttl,
            absent=(),
        )
        return _Response(self.answer, request)

    def close(self) -> None:
        """Nothing is held here."""


class _Response(requests.Response):
    """An answer of the gateway as alpaca-py wants it; what cannot be read is said in the gateway's words."""

    def __init__(self, answer: Answer, request: requests.PreparedRequest) -> None:
        super().__init__()
        self.status_code, self.request, self.url = answer.status, request, answer.url
        self._content, self.encoding = b"{}", "utf-8"  # the library only looks whether there is a text
        self._read = answer.json()

    def json(self, **_: Any) -> Any:
        return self._read
