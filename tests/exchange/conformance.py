"""Watching the wire beneath alpaca-py's clients: each answer is held against the field list, and every path noted."""

from __future__ import annotations

import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator

FIELDS = json.loads(Path(__file__).with_name("alpaca_fields.json").read_text())
# Method, path and status → what the body must be (None: empty). The first line that fits counts.
ANSWERS = [
    (r"\w+ .* [45]\d\d", "error"),
    (r"DELETE /v2/orders/[^/]+ 204", None),
    (r"DELETE /v2/orders 207", "cancelled"),
    (r"DELETE /v2/positions 207", "closed"),
    (r"DELETE /v2/positions/[^/]+ 200", "order"),
    (r"POST /v2/positions/[^/]+/exercise 200", None),
    (r"(POST /v2/orders|(GET|PATCH) /v2/orders/[^/]+|GET /v2/orders:by_client_order_id) 200", "order"),
    (r"GET /v2/orders 200", "orders"),
    (r"GET /v2/positions 200", "positions"),
    (r"GET /v2/positions/[^/]+ 200", "position"),
    (r"GET /v2/account 200", "account"),
    (r"(GET|PATCH) /v2/account/configurations 200", "configuration"),
    (r"GET /v2/account/portfolio/history 200", "history"),
    (r"GET /v2/account/activities(/FILL)? 200", "fills"),
    (r"GET /v2/clock 200", "clock"),
    (r"GET /v2/calendar 200", "calendar"),
    (r"GET /v2/assets 200", "assets"),
    (r"GET /v2/assets/.+ 200", "asset"),
    (r"GET /v2/options/contracts 200", "contracts"),
    (r"GET /v2/options/contracts/[^/]+ 200", "contract"),
    (r"GET /v2/stocks/snapshots 200", "snapshots"),
    (r"GET /v1beta1/options/meta/exchanges 200", "codes"),
    (r"GET /v1beta1/options/snapshots.* 200", "wrapped_snapshots"),
    (r"GET /v1beta3/crypto/us/snapshots 200", "wrapped_snapshots"),
    (r"GET /(v2/stocks|v1beta1/options)/(?P<what>bars|quotes|trades)/latest 200", "latest_{what}"),
    (r"GET /v1beta3/crypto/us/latest/(?P<what>bars|quotes|trades|orderbooks) 200", "latest_{what}"),
    (r"GET /(v2/stocks|v1beta1/options|v1beta3/crypto/us)/(?P<what>bars|quotes|trades) 200", "{what}"),
    (r"GET /v1beta1/news 200", "news"),
    (r"GET /v1/corporate-actions 200", "corporate_actions"),
]


def hold(name, value):
    """Fail with every difference between a value and the field list's entry."""
    validator = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": FIELDS["$defs"]})
    wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert not wrong, f"{name}: " + "; ".join(wrong[:5])


class Watched:
    """What went over the wire beneath some clients."""

    def __init__(self):
        self.seen = []

    def watch(self, client):
        """Hold every answer that this client gets against the field list."""
        client._session.hooks["response"].append(self._check)
        client._retry = 0
        return client

    def _check(self, response, **_):
        path = response.request.path_url.partition("?")[0]
        line = f"{response.request.method} {path} {response.status_code}"
        for pattern, name in ANSWERS:
            found = re.fullmatch(pattern, line)
            if found:
                self.seen.append(line)
                if name is None:
                    assert response.status_code == 200 or response.content == b"", line
                else:
                    hold(name.format(**{key: text for key, text in found.groupdict().items() if text}), response.json())
                return
        raise AssertionError(f"{line} is not in the list of answers")

    def saw(self, pattern):
        """Whether an answer with this method, path and status came."""
        return any(re.fullmatch(pattern, line) for line in self.seen)
