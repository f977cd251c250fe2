import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vendors.server import EMPTY, HTML, Reply
from workbench.data.gateway import Answer
from workbench.errors import BadData

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def answer(content, **given):
    return Answer(
        **(
            {
                "vendor": "acme",
                "kind": "news",
                "status": 200,
                "headers": {},
                "content": content,
                "url": "http://x/y",
                "fetched_at": NOW,
            }
            | given
        )
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"<!doctype html><html></html>", "is HTML or XML"),
        (b"<?xml version='1.0'?><a/>", "is HTML or XML"),
        (b'{"a": [1, 2', "is not whole JSON"),
        (b'{"a": 1} trailing', "is not whole JSON"),
        (b"{'a': 1}", "is not whole JSON"),
        (b'{"a": NaN}', "it contains NaN"),
        (b"[Infinity]", "it contains Infinity"),
        (b"[-Infinity]", "it contains -Infinity"),
        (b'{"a": 1e999}', "too large for a float"),
        (b'{"a": -1E+400}', "too large for a float"),
        (b'{"a": "\xff\xfe"}', "is not JSON in UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b"7" * 5_000, "is not JSON"),
    ],
)
def test_what_is_not_json_is_bad_data_and_the_message_says_what_it_is(body, said):
    with pytest.raises(BadData, match=rf"acme was asked for news; the answer .*{said}.*Nothing was passed on"):
        answer(body).json()


def test_the_message_shows_the_first_bytes_and_no_more():
    with pytest.raises(BadData) as caught:
        answer(b"oops" + b"x" * 1_000).json()
    assert "begins with 'oopsx" in str(caught.value)
    assert "x" * 81 not in str(caught.value)
    assert "1004 bytes, HTTP 200, http://x/y" in str(caught.value)
    assert "What to do" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"null", None),
        (b"[]", []),
        (b'{"a": 1e3, "b": "1e999"}', {"a": 1000.0, "b": "1e999"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"id": "x1e999y"}', {"id": "x1e999y"}),
    ],
)
def test_what_is_json_is_read(body, value):
    assert answer(body).json() == value


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_json_comes_back_as_it_was(value):
    import json

    assert answer(json.dumps(value).encode()).json() == value


def test_the_repr_shows_no_content():
    shown = repr(answer(b"a secret sauce", headers={"x": "y"}))
    assert "sauce" not in shown
    assert "acme" in shown


def test_text_is_decoded_as_the_header_says():
    assert answer("é".encode()).text == "é"
    assert answer("é".encode("latin-1"), headers={"content-type": "text/csv; charset=ISO-8859-1"}).text == "é"
    with pytest.raises(BadData, match="is not text"):
        _ = answer(b"\xff\xfe\xfa").text
    with pytest.raises(BadData, match="is not text"):
        _ = answer(b"a", headers={"content-type": "text/csv; charset=klingon"}).text


@pytest.mark.parametrize(
    ("reply", "said"), [(HTML, "HTML"), (EMPTY, "empty"), (Reply(b'{"bars": [{"t"'), "whole JSON")]
)
def test_a_vendor_that_answers_nonsense_with_200_is_read_by_nobody(gateway, vendor, server, reply, said):
    server.next(reply)
    with pytest.raises(BadData, match=said):
        gateway.get(vendor(), "/ok", kind="news").json()
    assert gateway.stats()["unreadable"].sum() == 1
