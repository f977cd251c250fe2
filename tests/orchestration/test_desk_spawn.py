import pytest

from workbench.orchestration.desk_spawn import _without_proxy


@pytest.mark.parametrize(
    ("environment", "direct"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "example.com"}, "example.com,127.0.0.1,localhost"),
        ({"no_proxy": "localhost,.corp"}, "localhost,.corp,127.0.0.1"),
    ],
)
def test_the_local_exchange_is_reached_without_a_proxy(environment, direct):
    assert _without_proxy(environment) == direct
