"""The decoder against msgpack's own reader: every type and width, cut frames, random bytes, and what is passed over."""

from __future__ import annotations

import json
import math
import struct

import msgpack
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.data.stream import events
from workbench.data.stream.decode import Decoder
from workbench.data.stream.messages import key_of, nanoseconds
from workbench.data.stream.symbol_table import LONGEST, SymbolTable, hashed, packed
from workbench.errors import BadData, ParameterError

LEARNED = 1_800_000_000 * 10**9
MOMENT = msgpack.Timestamp(1_700_000_000, 123_456_789)


def decoded(frame, decoder=None):
    return (decoder or Decoder()).decode(frame, LEARNED)


def one(message):
    """The row that one message makes."""
    rows = decoded(msgpack.packb([message])).rows
    assert len(rows) == 1
    return rows[0]


def same(left, right):
    return left == right or (math.isnan(left) and math.isnan(right))


# ---- by hand


def test_each_channel_fills_its_columns():
    decoder = Decoder()
    frame = msgpack.packb(
        [
            {"T": "t", "S": "AAPL", "i": 96921, "x": "D", "p": 126.55, "s": 1, "c": ["@", "I"], "z": "C", "t": MOMENT},
            {
                "T": "q",
                "S": "MSFT",
                "bx": "U",
                "bp": 87.66,
                "bs": 1,
                "ax": "Q",
                "ap": 87.7,
                "as": 4,
                "c": "R",
                "t": MOMENT,
            },
            {"T": "b", "S": "AAPL", "o": 1, "h": 4.5, "l": 0.5, "c": 2, "v": 1000, "n": 7, "vw": 2.25, "t": MOMENT},
            {"t": MOMENT, "c": 3.0, "S": "AAPL", "T": "u"},
            {"T": "d", "S": "MSFT", "c": 5.0, "t": MOMENT},
        ]
    )
    rows = decoded(frame, decoder).rows
    nan = math.nan
    assert rows["kind"].tolist() == [1, 2, 3, 4, 5]
    assert [decoder.symbols.names[number] for number in rows["symbol"]] == ["AAPL", "MSFT", "AAPL", "AAPL", "MSFT"]
    assert set(rows["time"].tolist()) == {1_700_000_000_123_456_789}
    assert set(rows["learned"].tolist()) == {LEARNED}
    assert rows["key"].tolist() == [96921, 0, 0, 0, 0]
    assert [events.venue_text(code) for code in rows["venue"]] == ["D", "", "", "", ""]
    numbers = np.column_stack([rows[f"v{place}"] for place in range(events.VALUES)])
    np.testing.assert_array_equal(
        numbers,
        [
            [126.55, 1, nan, nan, nan, nan, nan],
            [87.66, 87.7, 1, 4, nan, nan, nan],
            [1, 4.5, 0.5, 2, 1000, 2.25, 7],
            [nan, nan, nan, 3, nan, nan, nan],
            [nan, nan, nan, 5, nan, nan, nan],
        ],
    )


@pytest.mark.parametrize(
    "coded",
    [
        b"\x00", b"\x7f", b"\xe0", b"\xff", b"\xcc\xff", b"\xcd\xff\xff", b"\xce\xff\xff\xff\xff",
        b"\xcf" + b"\xff" * 8,
        b"\xcf\x00\x00\x00\x00\x00\x00\x00\x01", b"\xd0\x80", b"\xd0\x7f", b"\xd1\x80\x00", b"\xd1\x7f\xff",
        b"\xd2\x80\x00\x00\x00", b"\xd2\x7f\xff\xff\xff", b"\xd3\x80" + b"\x00" * 7, b"\xd3\x7f" + b"\xff" * 7,
        b"\xca" + struct.pack(">f", 1.1), b"\xca" + struct.pack(">f", -math.inf),
        b"\xcb" + struct.pack(">d", -2.5e-300),
        b"\xcb" + struct.pack(">d", math.nan), b"\xcb" + struct.pack(">d", 5e-324), b"\xc0",
    ],
)  # fmt: skip
def test_every_form_of_a_number_is_read_as_msgpack_reads_it(coded):
    frame = (
        b"\x91\x84"
        + b"".join([msgpack.packb("T"), msgpack.packb("t"), msgpack.packb("S"), msgpack.packb("A"), msgpack.packb("t")])
        + msgpack.packb(MOMENT)
        + msgpack.packb("p")
        + coded
    )
    truth = msgpack.unpackb(frame, timestamp=0)[0]["p"]
    row = decoded(frame).rows[0]
    assert same(row["v0"], math.nan if truth is None else float(truth))
    # The same bytes as the number of a trade: whole ones are kept to the last bit, above 2⁶³ as two's complement.
    found = decoded(frame.replace(b"\xa1p", b"\xa1i")).rows
    if isinstance(truth, int):
        assert found[0]["key"] == (truth + 2**63) % 2**64 - 2**63 == key_of(truth)
    else:
        assert found[0]["key"] == 0


@pytest.mark.parametrize(
    "value",
    [True, False, "1.5", [1, 2], {"a": [1, {"b": None}]}, b"raw", MOMENT, msgpack.ExtType(5, b"abc"), "x" * 70_000],
)
def test_what_is_no_number_is_not_said(value):
    row = one({"T": "t", "S": "A", "p": value, "s": 2, "t": MOMENT})
    assert math.isnan(row["v0"])
    assert row["v1"] == 2


@pytest.mark.parametrize(
    ("seconds", "ns", "length"),
    [
        (0, 0, 6),
        (2**32 - 1, 0, 6),
        (1, 1, 10),
        (2**34 - 1, 999_999_999, 10),
        (-1, 0, 15),
        (-1, 999_999_999, 15),
        (9_223_372_035, 5, 10),
    ],
)
def test_the_three_lengths_of_a_moment(seconds, ns, length):
    moment = msgpack.Timestamp(seconds, ns)
    assert len(msgpack.packb(moment)) == length
    found = decoded(msgpack.packb([{"T": "t", "S": "A", "t": moment}]))
    if abs(seconds) < 9_223_372_036:
        assert found.rows[0]["time"] == seconds * 10**9 + ns == nanoseconds(moment)
    else:  # what 64 bits of nanoseconds cannot hold is no moment
        assert (len(found.rows), found.others) == (0, 1)


def test_a_moment_in_the_longest_form_is_read_too():
    coded = b"\xc7\x0c\xff" + struct.pack(">Iq", 7, 1_700_000_000)
    frame = b"\x91\x83\xa1T\xa1t\xa1S\xa1A\xa1t" + coded
    assert decoded(frame).rows[0]["time"] == 1_700_000_000_000_000_007


@pytest.mark.parametrize("width", ["fixed", "8", "16", "32"])
def test_texts_and_maps_and_arrays_of_every_width(width):
    def text(said):
        head = {"fixed": bytes([0xA0 + len(said)]), "8": struct.pack(">BB", 0xD9, len(said))}
        head |= {"16": struct.pack(">BH", 0xDA, len(said)), "32": struct.pack(">BI", 0xDB, len(said))}
        return head[width] + said

    array = {"fixed": b"\x91", "8": b"\x91", "16": b"\xdc\x00\x01", "32": b"\xdd\x00\x00\x00\x01"}[width]
    pairs = {"fixed": b"\x84", "8": b"\x84", "16": b"\xde\x00\x04", "32": b"\xdf\x00\x00\x00\x04"}[width]
    frame = array + pairs + text(b"T") + text(b"q") + text(b"S") + text(b"BRK.B") + text(b"bp") + b"\x05"
    frame += text(b"t") + msgpack.packb(MOMENT)
    assert msgpack.unpackb(frame, timestamp=0)[0]["bp"] == 5
    decoder = Decoder()
    row = decoded(frame, decoder).rows[0]
    assert (row["kind"], row["v0"], decoder.symbols.names) == (2, 5.0, ["BRK.B"])


def test_the_last_of_repeated_keys_counts_as_in_a_dict():
    frame = b"\x91\x86\xa1T\xa1q\xa1T\xa1t\xa1S\xa1A\xa1p\x01\xa1p\x02\xa1t" + msgpack.packb(MOMENT)
    assert decoded(frame).rows[0]["v0"] == 2
    frame = frame.replace(b"\xa1p\x02", b"\xa1p\x90")
    assert math.isnan(decoded(frame).rows[0]["v0"])


def test_news_controls_and_strange_messages_take_the_slow_path_in_order():
    news = {
        "T": "n", "id": 5, "headline": "h", "created_at": MOMENT, "updated_at": MOMENT, "symbols": ["A", "B", "A"],
    }  # fmt: skip
    frame = msgpack.packb(
        [
            {"T": "success", "msg": "connected"},
            {"T": "t", "S": "A", "p": 1.0, "t": MOMENT},
            news,
            {"T": "s", "S": "A", "t": MOMENT},
            {"T": "t", "S": "A", "p": 2.0},
            {"T": "t", "p": 2.0, "t": MOMENT},
            {"T": "t", "S": "A" * 30, "p": 2.0, "t": MOMENT},
            {"T": 5},
            {},
            {"T": "t", "S": "A", "p": 3.0, "t": "2023-11-14T22:13:20Z", "i": "x7"},
            {"T": "t", "S": "A", "p": 4.0, "t": MOMENT},
            {"T": "error", "code": 406, "msg": "no"},
        ]
    )
    found = decoded(frame)
    assert found.rows["v0"].tolist() == [1.0, 4.0, 3.0]
    assert found.rows["key"][2] == key_of("x7") > 0
    assert [message["T"] for message in found.controls] == ["success", "error"]
    assert [(a.key, a.symbols, a.happened.value) for a in found.articles] == [
        ("5", ("A", "B"), 1_700_000_000_123_456_789)
    ]
    assert found.others == 6


def test_text_and_binary_frames_say_the_same():
    messages = [
        {"T": "t", "S": "AAPL", "p": 1.5, "s": 2, "i": 7, "x": "V"},
        {"T": "q", "S": "MSFT", "bp": 1, "ap": 2, "bs": None, "as": True},
        {"T": "b", "S": "AAPL", "o": 1, "h": 2, "l": 1, "c": 2, "v": 10**30},
    ]
    binary = decoded(msgpack.packb([m | {"t": MOMENT} for m in messages if m["T"] != "b"])).rows.copy()
    text = decoded(json.dumps([m | {"t": "2023-11-14T22:13:20.123456789Z"} for m in messages])).rows
    for name in events.ROW.names:
        np.testing.assert_array_equal(text[name][:2], binary[name])
    assert text["v4"][2] == 1e30


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "5", '["a"]', '[{"T": "t"', "[" * 100_000, '[{"T": NaN}] x', "null"]
)  # fmt: skip
def test_a_text_frame_that_is_no_array_of_messages_is_refused(text):
    with pytest.raises(BadData):
        decoded(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("2023-11-14T22:13:20.1Z", 1_700_000_000_100_000_000),
        ("2023-11-14t17:13:20.123456789123-05:00", 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20", None),
        ("2023-13-14T22:13:20Z", None),
        ("9999-11-14T22:13:20Z", None),
        ("noon", None),
        (5, None),
        (None, None),
    ],
)
def test_moments_as_text(text, ns):
    assert nanoseconds(text) == ns


def test_a_refused_frame_leaves_no_symbol_behind():
    decoder = Decoder()
    good = msgpack.packb([{"T": "t", "S": "A", "p": 1.0, "t": MOMENT}])
    decoded(good, decoder)
    bad = msgpack.packb([{"T": "t", "S": name, "p": 1.0, "t": MOMENT} for name in ("B", "A", "C")])[:-1]
    with pytest.raises(BadData):
        decoded(bad, decoder)
    assert decoder.symbols.names == ["A"]
    decoded(msgpack.packb([{"T": "t", "S": "C", "p": 1.0, "t": MOMENT}]), decoder)
    assert decoder.symbols.names == ["A", "C"]


def test_a_frame_of_many_messages_grows_the_room_and_many_controls_too():
    frame = msgpack.packb([{"T": "t", "S": f"S{number}", "p": number, "t": MOMENT} for number in range(5000)])
    assert decoded(frame).rows["v0"].tolist() == list(range(5000))
    assert len(decoded(msgpack.packb([{"T": "success"}] * 5000)).controls) == 5000


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"\xc0", b"\x80", b"\x91", b"\x91\xc0", b"\x91\x91\x80", b"\xdd\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff" + b"\x80" * 99,
        b"\x91\xdf\xff\xff\xff\xff", b"\x91\x81\x01\x01", b"\x91\x81\xa1a\xc1", b"\x91\x81\xa1a\xdd\x7f\xff\xff\xff",
        b"\x91\x81\xa1a" + b"\x9f" * 1000, b"\x90\x00", b"\x91\x81\xa1a\xc6\xff\xff\xff\xff\x00",
        b"\x91\x81\xa1a\xc9\xff\xff\xff\xff\x01",
        b"\x91\x81\xa1t\xd7\xff" + b"\xff" * 8, b"\x91\x81\xa1a\xd7\xff" + b"\xff" * 8,
        b"\x91\x81\xa1a\xc7\x05\xff12345",
        b"\x91\x82\xa1T\xa7success\xa3msg\xa2\xff\xfe",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_as_a_whole(frame):
    with pytest.raises(BadData):
        decoded(frame)


# ---- against msgpack itself

numbers = st.one_of(
    st.floats(width=64), st.floats(width=32), st.integers(-(2**63), 2**64 - 1), st.integers(-40, 300), st.none()
)
moments = st.builds(
    msgpack.Timestamp, st.one_of(st.integers(0, 2**34 - 1), st.integers(-(2**60), 2**60)), st.integers(0, 999_999_999)
)
anything = st.recursive(
    st.one_of(
        numbers,
        st.booleans(),
        st.text(max_size=40),
        st.binary(max_size=300),
        moments,
        st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=40)),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=20), st.dictionaries(st.text(max_size=3), inner, max_size=20)),
    max_leaves=12,
)
symbols = st.one_of(st.sampled_from(["AAPL", "MSFT", "BRK.B", "SPY240315C00500000", "BTC/USD"]), st.text(max_size=30))
letters = st.sampled_from(["t", "q", "b", "u", "d", "n", "s", "success"])
keys = st.sampled_from(
    ["p", "s", "bp", "ap", "bs", "as", "o", "h", "l", "c", "v", "vw", "n", "i", "x", "z", "pp", "xs", ""]
)


@st.composite
def messages(draw):
    made = {
        "T": draw(st.one_of(letters, anything)),
        "S": draw(st.one_of(symbols, anything)),
        "t": draw(st.one_of(moments, anything)),
    }
    made |= draw(st.dictionaries(keys, st.one_of(numbers, anything), max_size=10))
    order = draw(st.permutations(list(made)))
    return {name: made[name] for name in order if draw(st.integers(0, 9)) or name not in "TS"}


def expected(message):
    """What a row must say, worked out from msgpack's objects; None where there is none."""
    channel = next((c for c in events.BY_LETTER.values() if c.letter == message.get("T")), None)
    symbol, moment = message.get("S"), message.get("t")
    if (
        channel is None
        or not isinstance(symbol, str)
        or not 1 <= len(symbol.encode()) <= LONGEST
        or not symbol.isprintable()
    ):
        return None
    time = nanoseconds(moment)
    if time is None:
        return None

    def number(value):
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan

    return channel.code, symbol, time, [number(message.get(field)) for field in channel.fields]


@settings(deadline=None, max_examples=60)
@given(st.lists(messages(), max_size=12))
@example([{"T": "t", "S": "\x00", "t": MOMENT}])
def test_any_frame_says_what_msgpack_says(sent):
    frame = msgpack.packb(sent)
    truth = msgpack.unpackb(frame, timestamp=0)
    decoder = Decoder()
    try:
        found = decoded(frame, decoder)
    except BadData:
        # A symbol that cannot be printed, in a message that is complete otherwise: the frame is not to be believed.
        assert any(isinstance(m.get("S"), str) and not m["S"].isprintable() for m in truth)
        return
    rows = [
        (
            int(row["kind"]),
            decoder.symbols.names[row["symbol"]],
            int(row["time"]),
            [float(row[f"v{n}"]) for n in range(7)],
        )
        for row in found.rows
    ]
    wanted = [row for row in map(expected, truth) if row is not None]
    assert sorted(row[:3] for row in rows) == sorted(row[:3] for row in wanted)
    for symbol in {row[1] for row in wanted}:
        for kind in {row[0] for row in wanted}:
            mine = [row for row in rows if row[:2] == (kind, symbol)]
            theirs = [row for row in wanted if row[:2] == (kind, symbol)]
            if [row[2] for row in mine] == [row[2] for row in theirs]:  # slow ones come last within a frame
                for one_, other in zip(mine, theirs, strict=True):
                    assert all(map(same, one_[3], other[3]))
                    assert all(math.isnan(value) for value in one_[3][len(other[3]) :])
    assert len(found.rows) + found.others + len(found.controls) + len(found.articles) == len(truth)


@settings(deadline=None, max_examples=60)
@given(st.lists(messages(), min_size=1, max_size=4), st.data())
def test_a_cut_or_damaged_frame_is_read_as_msgpack_reads_it_or_refused(sent, data):
    frame = bytearray(msgpack.packb(sent))
    if data.draw(st.booleans()):
        del frame[data.draw(st.integers(0, len(frame) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if frame:
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    judged(bytes(frame))


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_random_bytes_do_no_harm(junk):
    judged(junk)
    judged(b"\x91" + junk)
    judged(b"\x91\x84\xa1T\xa1t\xa1S\xa1A\xa1t" + junk)


def judged(frame):
    """Decode; what is accepted must be what msgpack accepts, and the other way round (texts need not be UTF-8)."""
    try:
        truth = msgpack.unpackb(frame, timestamp=0, raw=True, strict_map_key=False)
    except (ValueError, TypeError, OverflowError):
        truth = None
    decoder = Decoder()
    try:
        found = decoded(frame, decoder)
    except BadData:
        assert decoder.symbols.names == []
        assert not believable(frame)
        return
    assert isinstance(truth, list)
    assert all(isinstance(message, dict) for message in truth)
    assert len(found.rows) + found.others + len(found.controls) + len(found.articles) == len(truth)
    for row in found.rows:
        assert decoder.symbols.names[row["symbol"]]


def believable(frame):
    """Whether msgpack reads it, strictly, as an array of maps whose symbols can be printed."""
    try:
        truth = msgpack.unpackb(frame, timestamp=0)
    except (ValueError, TypeError, OverflowError):
        return False
    maps = isinstance(truth, list) and all(isinstance(message, dict) for message in truth)
    if not maps or not all(isinstance(key, str) for message in truth for key in message):
        return False
    named = [message["S"] for message in truth if isinstance(message.get("S"), str)]
    return all(symbol.isprintable() for symbol in named)


# ---- symbols


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=24), min_size=1, unique=True))
def test_symbols_keep_their_numbers_however_many_come(names):
    table = SymbolTable()
    short = [name for name in names if len(name.encode()) <= LONGEST]
    for number, name in enumerate(short):
        assert table.number(name) == number
    assert [table.find(name) for name in short] == list(range(len(short)))
    assert [table.number(name) for name in short] == list(range(len(short)))
    for name in short:
        assert 0 <= hashed(packed(name.encode())) < 2**64


def test_three_thousand_symbols_are_found_by_the_kernel():
    decoder = Decoder()
    names = [f"{'X' * (number % 20)}{number}" for number in range(3000)]
    frame = msgpack.packb([{"T": "t", "S": name, "p": 1.0, "t": MOMENT} for name in names])
    for _ in range(2):
        rows = decoded(frame, decoder).rows
        assert rows["symbol"].tolist() == list(range(3000))
    assert len(decoder.symbols.slots) >= 2 * 3000
    decoder.symbols.forget(set(names[2500:]))
    assert len(decoder.symbols) == 2500
    assert decoded(frame, decoder).rows["symbol"].tolist() == list(range(3000))


@pytest.mark.parametrize("symbol", ["", "A" * 25, "A\nB", "\x00"])
def test_what_is_no_symbol_gets_no_number(symbol):
    with pytest.raises(ParameterError):
        SymbolTable().number(symbol)
