"""The ring between the socket and the folding: bounded, in order, and honest about what it has dropped."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.stream import buffer
from workbench.data.stream.buffer import Ring
from workbench.data.stream.events import ROW
from workbench.errors import ParameterError


def rows(first, count):
    made = np.zeros(count, dtype=ROW)
    made["key"] = np.arange(first, first + count)
    made["kind"] = 1 + made["key"] % 2
    return made


def taken(ring, most=1024):
    found = ring.take(most, 0.0, patience=0.0)
    return found["key"].tolist() if isinstance(found, np.ndarray) else found


def test_what_goes_in_comes_out_in_order_in_batches():
    ring = Ring(8)
    ring.put(rows(0, 3))
    ring.put(rows(3, 2))
    assert len(ring) == 5
    assert taken(ring, 4) == [0, 1, 2, 3]
    ring.put(rows(5, 5))  # around the end
    assert taken(ring) == [4, 5, 6, 7, 8, 9]
    assert taken(ring) is None


def test_a_full_ring_drops_the_oldest_and_counts_them_by_kind():
    ring = Ring(4)
    assert ring.put(rows(0, 3)) == 0
    assert ring.put(rows(3, 3)) == 2
    dropped, objects = ring.dropped()
    assert (dropped.tolist(), objects) == ([0, 1, 1, 0, 0, 0], 0)
    assert taken(ring) == [2, 3, 4, 5]
    ring.put(rows(6, 1))
    assert ring.put(rows(7, 10)) == 7  # longer than the ring itself
    assert taken(ring) == [13, 14, 15, 16]
    assert ring.dropped()[0].sum() == 9
    assert ring.highest == 4


def test_rows_that_were_taken_are_nobody_elses():
    ring = Ring(4)
    ring.put(rows(0, 2))
    found = ring.take(2, 0.0, patience=0.0)
    ring.put(rows(2, 4))
    assert found["key"].tolist() == [0, 1]


def test_an_object_keeps_its_place_between_the_events_also_where_these_are_dropped():
    ring = Ring(4)
    ring.put(rows(0, 2))
    ring.put_object("first")
    ring.put_object("second")
    ring.put(rows(2, 2))
    assert [taken(ring) for _ in range(5)] == [[0, 1], "first", "second", [2, 3], None]
    ring.put(rows(4, 2))
    ring.put_object("mark", keep=True)
    ring.put(rows(6, 9))
    assert [taken(ring) for _ in range(3)] == ["mark", [11, 12, 13, 14], None]


def test_objects_are_bounded_too_but_for_those_to_be_kept(monkeypatch):
    monkeypatch.setattr(buffer, "MOST_OBJECTS", 3)
    ring = Ring(4)
    ring.put_object("mark", keep=True)
    for number in range(5):
        ring.put_object(number)
    assert [taken(ring) for _ in range(4)] == ["mark", 3, 4, None]
    assert ring.dropped()[1] == 3


def test_a_batch_is_waited_for_until_it_is_full_or_due():
    now = [0.0]
    ring = Ring(64, clock=lambda: now[0])
    ring.put(rows(0, 3))
    assert ring.take(4, 1.0, patience=0.0) is None
    now[0] = 0.5
    ring.put(rows(3, 1))
    assert len(ring.take(4, 1.0, patience=0.0)) == 4
    ring.put(rows(4, 1))
    now[0] = 1.49
    assert ring.take(4, 1.0, patience=0.0) is None
    now[0] = 1.5
    assert len(ring.take(4, 1.0, patience=0.0)) == 1
    ring.put(rows(5, 1))
    ring.put_object("no use in waiting")
    assert len(ring.take(4, 1.0, patience=0.0)) == 1


def test_closing_wakes_who_waits_and_leaves_what_is_in():
    ring = Ring(4)
    found = []
    thread = threading.Thread(target=lambda: found.append(ring.take(4, 600.0, patience=600.0)), daemon=True)
    thread.start()
    ring.put(rows(0, 1))
    ring.close()
    thread.join(60)
    assert found[0]["key"].tolist() == [0]
    assert ring.take(4, 600.0, patience=600.0) is None


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, 1 << 25])
def test_a_ring_has_a_size(capacity):
    with pytest.raises(ParameterError):
        Ring(capacity)


steps = st.lists(
    st.one_of(
        st.integers(0, 12).map(lambda n: ("put", n)), st.integers(1, 9).map(lambda n: ("take", n)), st.just(("mark", 0))
    )
)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), steps)
def test_it_does_what_a_plain_queue_with_a_bound_does(capacity, done):
    ring, plain, next_, dropped = Ring(capacity), deque(), 0, 0
    for what, count in done:
        if what == "put":
            ring.put(rows(next_, count))
            for key in range(next_, next_ + count):
                plain.append(key)
                events = [entry for entry in plain if isinstance(entry, int)]
                if len(events) > capacity:
                    plain.remove(events[0])
                    dropped += 1
            next_ += count
        elif what == "mark":
            ring.put_object(f"mark {next_}", keep=True)
            plain.append(f"mark {next_}")
        else:
            expected = []
            while plain and len(expected) < count and isinstance(plain[0], int):
                expected.append(plain.popleft())
            if not expected and plain:
                expected = plain.popleft()
            assert taken(ring, count) == (expected or None)
    assert ring.dropped()[0].sum() == dropped
    assert len(ring) == sum(isinstance(entry, int) for entry in plain)
