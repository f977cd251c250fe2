import html
import json
import logging
import traceback
from urllib.parse import quote, quote_plus

import pytest
from pydantic import SecretStr
from sqlalchemy import MetaData, select

from tests.data.gateway.conftest import KEY
from tests.vendors.server import HTML, Reply, half
from workbench.data.gateway import Limit
from workbench.data.gateway.redaction import Secrets
from workbench.errors import DataError, ParameterError
from workbench.store.engine import open_engine

WRITTEN = {KEY, quote(KEY, safe=""), quote(KEY), quote_plus(KEY), json.dumps(KEY)[1:-1], html.escape(KEY)}
WAYS = [
    {"headers": {"Authorization": SecretStr(f"Bearer {KEY}")}},
    {"headers": {"X-Key": SecretStr(KEY)}},
    {"secrets": {"apikey": SecretStr(KEY)}},
    {"query": {"token": SecretStr(KEY)}},
]


def echo(status):
    """A vendor that repeats the question, key and all, in every way it can be written."""
    return lambda asked: Reply(
        f"bad key {asked.query} {sorted(WRITTEN)} {asked.headers}",
        status=status,
        headers={"X-Echo": KEY, "X-Asked": quote(KEY, safe="")},
    )


FAULTS = {
    "401": echo(401),
    "500": echo(500),
    "429": echo(429),
    "302": lambda _: Reply(b"", status=302, headers={"Location": f"http://else.invalid/?token={quote(KEY)}"}),
    "HTML": HTML,
    "half": half({"value": KEY}),
    "reset": Reply(reset=True),
    "hang": Reply({}, wait=0.3),
    "echo": echo(200),
    "late echo": Reply(b" " * 700 + KEY.encode() + b" rest"),
    "cut echo": Reply(b"y" * (80 - len(KEY) // 2) + KEY.encode()),
}


def shown(error):
    """All that a notebook, a log or a debugger would show of an error: chained ones and local variables as well."""
    seen = []
    while error is not None:
        seen += traceback.TracebackException.from_exception(error, capture_locals=True).format()
        seen += [repr(error), str(error), repr(getattr(error, "facts", None))]
        error = error.__cause__ or error.__context__
    # this test's own frames know the key
    return "\n".join(line for line in "\n".join(seen).split("\n") if "KEY" not in line and "WAYS" not in line)


def leaks(text):
    return [form for form in WRITTEN if form in text]


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="sqlalchemy")  # every statement with its values
    caplog.set_level(logging.DEBUG)  # the last call decides what the handler lets through
    return caplog


def ask_and_fail(gateway, acme, number):
    """In a frame of its own, with no variable that holds the key."""
    try:
        gateway.get(acme, "/x", kind="news", **WAYS[number]).json()
    except DataError as error:
        return error
    return None


@pytest.fixture
def file_engine(tmp_path):
    opened = open_engine(f"sqlite:///{tmp_path / 'workbench.db'}")
    yield opened
    opened.dispose()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_key_is_in_no_message_no_traceback_no_log_no_file_and_no_row(  # noqa: PLR0917
    make, vendor, server, file_engine, log, tmp_path, fault
):
    server.route("/x", FAULTS[fault])
    gateway = make(engine=file_engine, cache=tmp_path / "answers")
    patience = 0.05 if fault == "hang" else 30.0
    acme = vendor(attempts=2, timeout=(30.0, patience), limits=(Limit(100, 1.0),), breaker_after=100)
    for number in range(len(WAYS)):
        error = ask_and_fail(gateway, acme, number)
        assert isinstance(error, DataError)
        assert leaks(str(error)) == []
        assert leaks(shown(error)) == []
        gateway._clock.later(10)
    assert sum(KEY in f"{asked.query} {asked.headers}" for asked in server.asked) >= len(WAYS)  # it was sent
    tables = [gateway.stats(), gateway.health(), gateway.history("acme")]
    assert leaks("\n".join(frame.to_csv() for frame in tables)) == []
    gateway.close()
    assert "INSERT INTO connector" in log.text
    assert leaks(log.text) == []
    assert leaks(rows(file_engine)) == []
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or leaks(path.read_bytes().decode("latin-1")) == []


def rows(engine):
    tables = MetaData()
    with engine.connect() as connection:
        tables.reflect(connection)
        return "\n".join(str(row) for table in tables.sorted_tables for row in connection.execute(select(table)))


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_shows_where_it_came_from_without_the_key(gateway, vendor, server, log, way):
    server.route("/x", Reply({"value": 1}, headers={"X-Echo": KEY}))
    answer = gateway.get(vendor(), "/x", kind="news", **way)
    assert "receive_response_headers.complete" in log.text
    assert leaks(repr(answer) + answer.url + str(answer.headers) + log.text) == []
    assert answer.json() == {"value": 1}


def test_an_address_that_names_a_key_itself_is_shown_without_it(gateway, vendor, server):
    server.route("/x", {"value": 1})
    answer = gateway.get(vendor(), "/x?apiKey=given-in-the-path&b=2", kind="news", query={"c": 3})
    assert answer.url.endswith("/x?apiKey=***&b=2&c=3")
    assert server.asked[-1].query == {"apiKey": "given-in-the-path", "b": "2", "c": "3"}


@pytest.mark.parametrize("text", ["key\n", "kéy", "k\x00y"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(gateway, vendor, server, text):
    with pytest.raises(ParameterError, match="header X-Key has characters") as caught:
        gateway.get(vendor(), "/ok", kind="news", headers={"X-Key": SecretStr(text)})
    assert text not in str(caught.value)
    assert not server.asked


def test_secrets_show_only_how_many_there_are():
    secrets = Secrets({"A": SecretStr("one-secret")}, {"b": SecretStr("another")})
    assert (repr(secrets), bool(secrets), bool(Secrets({}, {}))) == ("<2 secrets>", True, False)
    assert not hasattr(secrets, "__dict__")


def test_a_short_secret_is_hidden_where_it_stands_alone():
    assert Secrets({"A": SecretStr("k")}, {}).clean("key k and token=abc&x=1") == "key *** and token=***&x=1"


def test_equal_secrets_have_equal_digests_and_only_they():
    one = Secrets({"A": SecretStr("x-secret")}, {}).digest(b"salt")
    assert one == Secrets({"a": SecretStr("x-secret")}, {}).digest(b"salt")
    others = [
        Secrets({"A": SecretStr("y-secret")}, {}).digest(b"salt"),
        Secrets({"B": SecretStr("x-secret")}, {}).digest(b"salt"),
        Secrets({}, {"A": SecretStr("x-secret")}).digest(b"salt"),
        Secrets({}, {}).digest(b"salt"),
        Secrets({"A": SecretStr("x-secret")}, {}).digest(b"other"),
    ]
    assert len({one, *others}) == 6
    assert "secret" not in one
