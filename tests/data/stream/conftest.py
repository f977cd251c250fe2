"""A real local exchange of minute bars, whose market data streams as an account's clock is moved."""

from __future__ import annotations

import pytest

from tests.data.stream.traded import minutes


@pytest.fixture(scope="session")
def minutes_url(tmp_path_factory):
    with minutes(tmp_path_factory.mktemp("minutes")) as url:
        yield url
