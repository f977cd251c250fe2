"""HeaderAdapter: the HTTP transport under alpaca-py, with a timeout it lacks and the headers it throws away."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from workbench.execution.brokers.broker import RateSeen
from workbench.execution.brokers.rate_headers import rate_of


class HeaderAdapter(HTTPAdapter):
    """Gives every request the timeout that requests leaves infinite, and reads the headers that alpaca-py drops.

    `seen` is what the last response said about the budget of requests, `newest` the last such word there was.

    Args:
        timeout: seconds to connect, and seconds between bytes of the answer.
    """

    def __init__(self, timeout: tuple[float, float]) -> None:
        self._timeout = timeout
        self.newest: RateSeen | None = None
        self.seen: RateSeen | None = None
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send once, never again; raises what requests raises."""
        options["timeout"] = options.get("timeout") or self._timeout
        self.seen = None
        response = super().send(request, *args, **options)
        self.seen = rate_of(response.headers)
        self.newest = self.seen or self.newest
        return response
