import pytest

from workbench.data.gateway import Limit, Vendor
from workbench.data.gateway.question import Question
from workbench.errors import ParameterError

ACME = Vendor("acme", "https://data.acme.example/v2/", hosts=("https://files.acme.example",))


def of(path="/bars", **given):
    return Question.of(ACME, path, **({"kind": "bars"} | given))


def test_a_path_is_appended_and_a_whole_address_stands_for_itself():
    assert of().url == of("bars").url == "https://data.acme.example/v2/bars"
    assert of("https://files.acme.example/a.csv").url == "https://files.acme.example/a.csv"


def test_none_is_left_out_and_sequences_are_joined():
    query = {
        "a": None,
        "symbols": ["AAPL", "BRK.B"],
        "n": 5,
        "adjusted": True,
        "raw": False,
        "t": "2026-01-05T15:30:00Z",
    }
    written = of(query=query).url.partition("?")[2]
    assert written == "symbols=AAPL,BRK.B&n=5&adjusted=true&raw=false&t=2026-01-05T15:30:00Z"


def test_a_query_is_escaped_and_added_to_one_that_is_there():
    assert of("/bars?page=x%2Fy", query={"q": "a&b=c d/ü"}).url.endswith("/bars?page=x%2Fy&q=a%26b%3Dc%20d%2F%C3%BC")


def test_keys_are_sent_to_the_vendors_own_addresses_only(key):
    of("https://files.acme.example/a", headers={"X-Key": key})
    for there in ("https://elsewhere.example/a", "http://data.acme.example/a", "https://data.acme.example:8443/a"):
        with pytest.raises(ParameterError, match=r"is not an address of acme; its keys are not sent there"):
            of(there, headers={"X-Key": key})
        with pytest.raises(ParameterError, match="not an address of acme"):
            of(there, secrets={"token": key})
        assert of(there).url == there


@pytest.mark.parametrize("path", ["https://user:pw@data.acme.example/a", "https:///a", "/a#b"])
def test_an_address_with_a_user_or_a_fragment_is_refused(path):
    with pytest.raises(ParameterError, match="is no address"):
        of(path)


def test_bodies_are_bytes_text_or_json():
    assert of(method="POST", body={"b": 1, "a": [True]}).body == b'{"a":[true],"b":1}'
    assert of(method="POST", body="a|b").body == b"a|b"
    assert of(method="POST", body=b"\x00").body == b"\x00"
    assert of(method="POST", body={}, headers={"content-type": "text/plain"}).headers["content-type"] == "text/plain"
    for body in ({"a": float("nan")}, {"a": object()}):
        with pytest.raises(ParameterError, match="cannot be written as JSON"):
            of(method="POST", body=body)


def test_headers_of_the_vendor_are_sent_and_the_callers_win():
    vendor = Vendor("sec", "https://data.sec.example", headers={"User-Agent": "Jo jo@example.org", "Accept": "a"})
    made = Question.of(vendor, "/x", kind="filings", headers={"Accept": "b", "X-None": None})
    assert dict(made.headers) == {"Accept": "b", "User-Agent": "Jo jo@example.org"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "Ac me"}, "must be like alpaca"),
        ({"name": ""}, "must be like alpaca"),
        ({"url": "ftp://x"}, "an address must be like https"),
        ({"url": "https://u:p@x"}, "an address must be like https"),
        ({"url": "https://x?apikey=1"}, "an address must be like https"),
        ({"hosts": ("x",)}, "an address must be like https"),
        ({"timeout": (0.0, 1.0)}, "times must be finite"),
        ({"breaker_for": float("nan")}, "times must be finite"),
        ({"busy_at_most": 86_401.0}, "at most a day"),
        ({"patience": -1.0}, "patience=-1.0"),
        ({"patience": 3_601.0}, "patience=3601.0"),
        ({"attempts": 0}, "must be at least 1"),
        ({"limits": (Limit(1, 1.0), Limit(2, 1.0))}, "the same window"),
    ],
)
def test_a_vendor_that_cannot_be_is_refused(given, said):
    with pytest.raises(ParameterError, match=said):
        Vendor(**({"name": "acme", "url": "https://x"} | given))
