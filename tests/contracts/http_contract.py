"""What holds for every source that asks a vendor over HTTP: nothing malformed is passed on, nothing is lost silently.

A subclass states facts: the source's name, a vendor on loopback that answers in the vendor's documented shapes, the
questions it has answers for, how the vendor says no and how it says that there is nothing. The base class then plays
every known fault against each question, among them every single field of the answer gone, null, or of another type.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import logging
import re
from typing import ClassVar

import httpx
import pandas as pd
import pytest
from pydantic import SecretStr

from tests.vendors.server import EMPTY, HTML, Reply, Vendor, half
from workbench.data.access import Access
from workbench.data.gateway import Gateway
from workbench.data.sources import open_source
from workbench.errors import BadData, DataError, ParameterError, SourceRefused, SourceUnavailable

KEY, SECRET = "KEY-nobody-may-read", "SECRET-nobody-may-read"
SILENT = (BadData, SourceRefused, SourceUnavailable)  # what a source may raise for what a vendor does
OTHER_SHAPES = (b"null", b"7", b'"text"', b"[7]", b'[["a"]]', b'{"some": "thing"}')


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, now=dt.datetime(2024, 6, 3, 21, 0, tzinfo=dt.UTC)):
        self.now, self.slept = now, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += dt.timedelta(seconds=seconds)


class HttpContract:
    """See the module. A subclass sets what follows; everything that has a default may be left out.

    Attributes:
        name: the source's name in `SOURCES`.
        routes: a method that gives the loopback vendor its answers: `vendor.route(pattern, reply)`.
        asks: by label, (method, positional arguments, keyword arguments): questions that the vendor of `routes` has
            answers for. The first argument must be a list of symbols; it is also asked with one symbol as text.
        refusals: replies with which the vendor says that key, plan or question is wrong.
        empties: by label, the body with which the vendor says that there is nothing; several of them as a tuple.
        harmless: by label (or "*"), patterns of the paths in an answer (`results.0.vw`) whose change may change
            which facts come, because nobody could see that they did: the vendor's own extra fields need no mention.
        optional: patterns of paths that the vendor's documentation lets be absent or null; a fact may then lack the
            value, but must still come.
        no_json: labels whose answer is not JSON (a text file): faults of JSON fields are not played there.
        access: more fields of Access, e.g. {"feed": "sip"}.
        key_in_query: True where the vendor reads its key from the address only.
    """

    name: str
    asks: ClassVar[dict]
    refusals: tuple = ()
    empties: ClassVar[dict] = {}
    harmless: ClassVar[dict] = {}
    optional: tuple = ()
    no_json: tuple = ()
    access: ClassVar[dict] = {}
    key_in_query = False

    def made(self, gateway, access):
        """The source; where it takes a clock a subclass passes `self.clock`."""
        return open_source(self.name, gateway=gateway, access=access)

    # --- what stands around a test

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls):
        with Vendor() as opened:
            yield opened

    @pytest.fixture
    def vendor(self, server):
        server.routes.clear()
        server.asked.clear()
        server._next.clear()
        self.routes(server)
        return server

    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def fresh(self, vendor, clock):
        """Makes a source with a gateway of its own: no breaker open, no budget used, nothing remembered."""
        given = {"key": SecretStr(KEY), "secret": SecretStr(SECRET), "contact": "Test test@example.org"}
        access = Access(**(given | {"url": vendor.url} | self.access))
        wire, opened, self.clock = Wire(), [], clock

        def make():
            opened.append(Gateway(clock=clock, sleep=clock.sleep, transport=wire))
            return self.made(opened[-1], access)

        yield make
        for gateway in opened:
            gateway.close()
        wire.end()

    @pytest.fixture
    def source(self, fresh):
        return fresh()

    def ask(self, source, label):
        method, arguments, keywords = self.asks[label]
        return getattr(source, method)(*arguments, **keywords)

    def refused(self, fresh, vendor, label, replies, kinds):
        """The error that a fresh source raises when the vendor answers so; the test fails where it raises none."""
        vendor.next(*replies)
        source = fresh()
        with pytest.raises(kinds) as caught:
            self.ask(source, label)
        vendor._next.clear()
        return caught.value

    # --- what holds

    def test_it_answers_what_it_says_it_answers(self, source):
        for label in self.asks:
            assert len(self.ask(source, label)), label

    def test_one_symbol_and_a_list_of_it_are_the_same(self, source):
        for label, (method, arguments, keywords) in self.asks.items():
            first, *rest = arguments
            symbol = first if isinstance(first, str) else first[0]
            alone = getattr(source, method)(symbol, *rest, **keywords)
            listed = getattr(source, method)([symbol], *rest, **keywords)
            assert len(alone), label
            pd.testing.assert_frame_equal(alone, listed)

    def test_no_symbol_is_refused_before_anybody_is_asked(self, source, vendor):
        for method, arguments, keywords in self.asks.values():
            for nothing in ([], "", [None], [" "]):
                with pytest.raises(ParameterError):
                    getattr(source, method)(nothing, *arguments[1:], **keywords)
        assert vendor.asked == []

    def test_the_key_is_in_no_address_message_log_or_repr(self, source, fresh, vendor, caplog):
        caplog.set_level(logging.DEBUG)
        said = [repr(source), source.label]

        def echo(asked):
            return Reply({"message": f"you sent {asked.headers} and {asked.query}"}, status=403)

        for label in self.asks:
            self.ask(source, label)
            for reply in (*self.refusals[:1], HTML, echo):
                error = self.refused(fresh, vendor, label, [reply] * 8, DataError)
                said += [str(error), repr(error.facts)]
        if not self.key_in_query:
            for asked in vendor.asked:
                assert KEY not in asked.path + str(asked.query)
        for text in (*said, caplog.text):
            assert KEY not in text
            assert SECRET not in text

    def test_the_vendors_no_is_a_refusal_that_says_what_to_do(self, fresh, vendor):
        for label in self.asks:
            for reply in self.refusals:
                error = self.refused(fresh, vendor, label, [reply] * 8, SourceRefused)
                assert error.remedy, (label, reply)

    def test_a_fault_of_the_vendor_is_named_and_no_row_is_passed_on(self, fresh, vendor):
        for label in self.asks:
            for reply in (Reply({"error": "x"}, status=500), Reply(b"busy", status=503), Reply(reset=True)):
                self.refused(fresh, vendor, label, [reply] * 12, SourceUnavailable)

    def test_a_wave_of_too_many_requests_is_waited_out_as_the_vendor_says(self, fresh, vendor, clock):
        for label in self.asks:
            clock.slept.clear()
            vendor.next(Reply({"message": "slow down"}, status=429, headers={"Retry-After": "7"}))
            assert len(self.ask(fresh(), label)), label
            assert sum(clock.slept) > 6.99, label  # in pieces, each a float
            wave = Reply({"message": "slow down"}, status=429, headers={"Retry-After": "1"})
            self.refused(fresh, vendor, label, [wave] * 30, SourceUnavailable)

    def test_html_an_empty_body_and_half_a_body_pass_nothing_on(self, fresh, vendor):
        for label in self.asks:
            whole = self.bodies(fresh, vendor, label)[0]
            for reply in (HTML, EMPTY, Reply(whole[: len(whole) // 2]), half(whole)):
                self.refused(fresh, vendor, label, [reply] * 12, SILENT)

    def test_json_of_another_shape_passes_nothing_on(self, fresh, vendor):
        for label in self.asks:
            for body in OTHER_SHAPES if label not in self.no_json else ():
                self.refused(fresh, vendor, label, [Reply(body)] * 12, SILENT)

    def test_nothing_is_an_empty_table_of_the_right_shape(self, source, vendor):
        for label, bodies in self.empties.items():
            full = self.ask(source, label)
            vendor.next(*[Reply(body) for body in (bodies if isinstance(bodies, tuple) else [bodies])])
            empty = self.ask(source, label)
            assert vendor._next == [], label
            assert empty.empty, label
            assert list(empty.columns) == list(full.columns), label
            assert [str(kind) for kind in empty.dtypes] == [str(kind) for kind in full.dtypes], label

    def test_a_broken_field_is_an_error_and_never_a_lost_or_an_invented_fact(self, fresh, vendor):
        """Each field of each answer in turn: gone, null, of another type. Either a named error, or the same facts."""
        wrong, source = [], fresh()
        for label in (label for label in self.asks if label not in self.no_json):
            bodies = self.bodies(fresh, vendor, label)
            whole = self.played(source, vendor, label, bodies)
            for number, path, how, broken in self.broken(bodies):
                try:
                    found = self.played(source, vendor, label, [*bodies[:number], broken, *bodies[number + 1 :]])
                except BadData:
                    continue
                except SILENT:
                    source = fresh()  # the gateway leaves the vendor alone now
                    continue
                if not self.same(label, path, whole, found):
                    wrong.append(f"{label}, page {number}, {path}: {how}")
        assert not wrong, "\n".join(["changed what came without an error:", *wrong])

    # --- how the fields are played

    def bodies(self, fresh, vendor, label):
        """The bodies that the vendor sends for a question, in turn."""
        sent, routed = [], vendor._reply

        def listening(asked):
            reply = routed(asked)
            sent.append(reply.body if isinstance(reply.body, bytes) else as_bytes(reply.body))
            return reply

        vendor._reply = listening
        try:
            self.ask(fresh(), label)
        finally:
            del vendor._reply
        return sent

    def played(self, source, vendor, label, bodies):
        """What comes of these bodies; whoever asks for one more is told that there is no such thing."""
        vendor._next.clear()
        vendor.next(*[Reply(body) for body in bodies], *[Reply({"error": "no more"}, status=400)] * 4)
        try:
            return self.ask(source, label)
        finally:
            vendor._next.clear()

    @staticmethod
    def broken(bodies):
        """Each page with one field broken: the page's number, the path of the field, how it is broken, the page.

        A field that an earlier page has too is not broken again.
        """
        seen = set()
        for number, body in enumerate(bodies):
            document = json.loads(body)
            for path in paths(document):
                place = tuple("#" if isinstance(step, int) else step for step in path)
                for how, broken in changes(document, path) if place not in seen else ():
                    yield number, ".".join(map(str, path)), how, json.dumps(broken).encode()
                seen.add(place)

    def same(self, label, path, whole, found):
        """Whether the change at `path` left what it must leave."""
        patterns = (*self.harmless.get(label, ()), *self.harmless.get("*", ()))
        if any(re.fullmatch(pattern, path) for pattern in patterns):
            return True
        columns = list(whole.columns)
        if any(re.fullmatch(pattern, path) for pattern in self.optional):
            columns = [column for column in columns if column in {"symbol", "session", "time", "key"}]
        return found[columns].equals(whole[columns])


class Wire(httpx.BaseTransport):
    """One connection pool for many gateways, so that a gateway costs nothing; it ends when the test does."""

    def __init__(self):
        self._pool = httpx.HTTPTransport()

    def handle_request(self, request):
        return self._pool.handle_request(request)

    def close(self):
        """Stay open: the next gateway uses it."""

    def end(self):
        self._pool.close()


def as_bytes(body):
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def paths(document, path=()):
    """The way to every value inside a JSON document; of a list the last entry."""
    if path:
        yield path
    if isinstance(document, dict):
        for name, value in document.items():
            yield from paths(value, (*path, name))
    elif isinstance(document, list) and document:
        yield from paths(document[-1], (*path, len(document) - 1))


def changes(document, path):
    """The document with the value at `path` gone, null, and of another type."""
    for how in ("gone", "null", "another type"):
        broken = copy.deepcopy(document)
        place, last = broken, path[-1]
        for step in path[:-1]:
            place = place[step]
        if how == "gone" and isinstance(last, int):
            continue  # a list that is one shorter is another answer, not a broken one
        if how == "gone":
            del place[last]
        elif how == "null":
            place[last] = None
        else:
            place[last] = 7 if isinstance(place[last], str) else "a word"
        yield how, broken
