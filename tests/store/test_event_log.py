import contextlib
import datetime as dt
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from workbench.errors import StoreError
from workbench.events import OrderFilled, SymbolHalted, TradingStateChanged
from workbench.store import event_offsets
from workbench.store.engine import open_engine, transaction
from workbench.store.event_consumer import BATCH
from workbench.store.event_log import EventLog, publish
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.event import EventOffsetRow, EventRow
from workbench.trace import tracing


@pytest.fixture
def log(engine):
    opened = EventLog(engine)
    yield opened
    opened.close()


class Time:
    """A monotonic clock that only the test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def event(number, account="paper"):
    return SymbolHalted(account=account, symbol=f"S{number}", reason=str(number))


def tell(engine, *numbers):
    with transaction(engine) as session:
        publish(session, *(event(number) for number in numbers))


def told(found):
    return [int(one.body["reason"]) for one in found]


def test_an_event_exists_if_and_only_if_its_change_was_committed(engine, log):
    with tracing("f" * 32), transaction(engine) as session:
        publish(session, event(1))
    with contextlib.suppress(RuntimeError), transaction(engine) as session:
        publish(session, event(2))
        session.flush()
        raise RuntimeError
    tell(engine, 3)
    found = log.read()
    assert told(found) == [1, 3]
    assert found[0].event == event(1)
    assert (found[0].kind, found[0].account, found[0].subject) == ("SymbolHalted", "paper", "S1")
    assert found[0].trace_id == "f" * 32
    assert log.event(found[1].seq) == found[1]
    with pytest.raises(StoreError, match="no event 999"):
        log.event(999)


def test_nothing_published_writes_nothing(engine, log):
    with transaction(engine) as session:
        publish(session)
    assert log.read() == []


def test_reading_goes_on_after_a_number_and_takes_only_the_wanted_kinds(engine, log):
    tell(engine, 1, 2)
    with transaction(engine) as session:
        publish(session, TradingStateChanged(account="paper", before="active", after="halted", reason="3"))
    tell(engine, 4)
    seqs = [one.seq for one in log.read()]
    assert told(log.read(limit=2)) == [1, 2]
    assert told(log.read(seqs[1])) == [3, 4]
    assert told(log.read(kinds={"TradingStateChanged"})) == [3]
    assert log.read(seqs[-1]) == []
    assert log.newest() == seqs[-1]


def test_money_keeps_its_digits_on_the_way(engine, log):
    filled = OrderFilled(
        account="paper",
        intent_id="i",
        client_order_id="c",
        symbol="BRK.B",
        bot="b",
        side="buy",
        qty=Decimal("0.123456789"),
        price=Decimal("712345.10"),
        execution_id="x",
        filled_qty=Decimal(1),
    )
    with transaction(engine) as session:
        publish(session, filled)
    (found,) = log.read()
    assert found.event == filled
    assert str(found.event.price) == "712345.10"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite lets only one writer in at a time
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_late_commit_is_not_overtaken(engine, log, end):
    """The event with the lower number is committed after the one with the higher number."""
    tell(engine, 0)
    start = log.newest()
    with Session(engine) as slow:
        publish(slow, event(1))
        slow.flush()
        tell(engine, 2)
        assert log.read(start) == []
        assert log.newest() == start
        getattr(slow, end)()
    assert told(log.read(start)) == ([1, 2] if end == "commit" else [2])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_publishers_do_not_wait_for_each_other_and_a_reader_stops_only_at_the_oldest(engine, log):
    with Session(engine) as first, Session(engine) as second:
        publish(first, event(1))
        first.flush()
        publish(second, event(2))
        second.flush()
        second.commit()
        tell(engine, 3)
        assert log.read() == []
        first.commit()
    assert told(log.read()) == [1, 2, 3]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_publisher_that_has_entered_and_not_written_yet_is_waited_for(engine, log):
    """The lock is taken before the number: between the two a reader must already stop."""
    with Session(engine, autoflush=False) as slow:
        publish(slow, event(1))
        tell(engine, 2)
        assert log.read() == []
        slow.commit()
    assert sorted(told(log.read())) == [1, 2]


def test_of_many_publishers_at_once_a_reader_misses_nothing(engine, log):
    """Eight threads publish while one reads on and on: what it saw is all there is, once, in order."""
    each, stop, seen = 25, threading.Event(), []

    def write(first):
        for number in range(first, first + each):
            tell(engine, number)

    def read():
        place = 0
        while True:
            over = stop.is_set()
            found = log.read(place, limit=7)
            seen.extend(found)
            place = found[-1].seq if found else place
            if over and not found:
                return

    writers = [threading.Thread(target=write, args=(number * each,)) for number in range(8)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert [one.seq for one in seen] == sorted(one.seq for one in seen)
    assert sorted(told(seen)) == list(range(8 * each))


def test_a_named_consumer_goes_on_where_it_was_after_a_restart(engine, log):
    tell(engine, 1, 2)
    seen = []
    log.subscribe(lambda one: seen.append(one.seq), consumer="alerts")
    assert log.deliver() == 2
    log.close()
    tell(engine, 3)
    again = EventLog(engine)
    again.subscribe(lambda one: seen.append(one.seq), consumer="alerts")
    again.deliver()
    assert seen == [one.seq for one in log.read()]
    assert again.offset("alerts") == seen[-1]
    assert again.offset("nobody") is None
    again.rewind("alerts", seen[0])
    again.close()
    replayed = []
    again.subscribe(lambda one: replayed.append(one.seq), consumer="alerts")
    again.deliver()
    assert replayed == seen[1:]
    again.close()
    with transaction(engine) as session:
        (row,) = session.scalars(select(AuditRow).where(AuditRow.action == "rewind")).all()
        assert (row.before, row.after) == ({"seq": seen[-1]}, {"seq": seen[0]})


def test_a_subscriber_without_a_name_is_told_from_now_on_and_only_of_what_it_wants(engine, log):
    tell(engine, 1)
    seen, states = [], []
    one = log.subscribe(lambda event: seen.extend(told([event])))
    log.subscribe(lambda event: states.append(event.event.after), kinds={"TradingStateChanged"})
    tell(engine, 2)
    with transaction(engine) as session:
        publish(session, TradingStateChanged(account="paper", before="active", after="halted", reason="3"))
    assert log.deliver(always=True) == 3
    assert (seen, states) == ([2, 3], ["halted"])
    log.unsubscribe(one)
    tell(engine, 4)
    log.deliver(always=True)
    assert seen == [2, 3]


def test_a_handler_that_raises_is_tried_again_then_parked_and_holds_up_nobody(engine, log):
    clock, seen, others = Time(), [], []

    def handle(one):
        seen.append(told([one])[0])
        if seen[-1] == 2:
            raise ValueError("cannot read it")

    log.subscribe(handle, consumer="fussy", attempts=3, backoff=1.0, monotonic=clock)
    log.subscribe(lambda one: others.extend(told([one])), consumer="calm")
    tell(engine, 1, 2, 3)
    log.deliver()
    assert (seen, others) == ([1, 2], [1, 2, 3])
    assert log.deliver(always=True) == 0  # its pause is not over
    clock.now += 1
    log.deliver()
    clock.now += 1.5
    assert log.deliver() == 0  # the second pause is twice as long
    clock.now += 0.5
    log.deliver()
    assert seen == [1, 2, 2, 2, 3]
    (parked,) = log.parked("fussy")
    assert (parked.attempts, parked.error) == (3, "ValueError: cannot read it")
    assert told([log.event(parked.seq)]) == [2]
    assert log.parked("calm") == []


def test_what_was_parked_can_be_tried_again(engine, log):
    broken, seen = [True], []

    def handle(one):
        if broken:
            raise OSError("disk full")
        seen.extend(told([one]))

    one = log.subscribe(handle, consumer="mail", attempts=1)
    tell(engine, 1, 2)
    assert log.deliver() == 2
    assert one.retry_parked() == 0
    assert [parked.attempts for parked in log.parked("mail")] == [2, 2]
    broken.clear()
    assert one.retry_parked() == 2
    assert (seen, log.parked("mail")) == ([1, 2], [])


def test_an_event_of_a_kind_that_this_program_does_not_know_is_parked_by_who_needs_it(engine, log):
    tell(engine, 1)
    with transaction(engine) as session:
        session.execute(update(EventRow).values(kind="FromTheFuture"))
    log.subscribe(lambda one: one.event, consumer="typed", attempts=1)
    log.deliver()
    (parked,) = log.parked("typed")
    assert "'FromTheFuture' is not known" in parked.error
    (found,) = log.read()
    assert told([found]) == [1]


def test_following_in_another_thread_wakes_at_a_commit(engine, log):
    seen, stop, done = [], threading.Event(), threading.Event()

    def handle(one):
        seen.extend(told([one]))
        if len(seen) == 3:
            done.set()

    def follow():
        with contextlib.closing(EventLog(engine)) as far:
            far.follow("far", handle, stop=stop)

    thread = threading.Thread(target=follow)
    thread.start()
    tell(engine, 1)
    tell(engine, 2, 3)
    assert done.wait(60)
    stop.set()
    thread.join()
    assert seen == [1, 2, 3]
    assert log.offset("far") == log.newest()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lost_connection_is_opened_again(engine, log, postgresql_admin):
    seen = []
    log.subscribe(lambda one: seen.extend(told([one])))
    log.deliver()
    with postgresql_admin.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name AND query LIKE 'LISTEN%'"
            ),
            {"name": engine.url.database},
        )
    deadline = time.monotonic() + 60
    tell(engine, 1)
    while not seen and time.monotonic() < deadline:
        log.deliver(wait=0.1)
    assert seen == [1]


WORKER = """
import os, signal, sys, threading
from workbench.store.engine import open_engine
from workbench.store.event_log import EventLog
url, out, last = sys.argv[1:]
file, handled = open(out, "a", buffering=1), []
def handle(one):
    file.write(f"{one.body['reason']}\\n")
    handled.append(one)
    if len(handled) == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
EventLog(open_engine(url, migrate=False)).follow("worker", handle, stop=threading.Event())
"""


def test_a_consumer_killed_in_the_middle_of_a_batch_handles_every_event_at_least_once_in_order(engine, log, tmp_path):
    out, url = tmp_path / "handled", engine.url.render_as_string(hide_password=False)
    for first in (0, 100, 200):
        tell(engine, *range(first, first + 100))
    # Killed in the first batch, in the second one, and when it has handled the last event and not yet said so.
    for last in (BATCH - 70, BATCH + 30, 300 - BATCH):
        worker = subprocess.run([sys.executable, "-c", WORKER, url, str(out), str(last)], timeout=180, check=False)
        assert worker.returncode == -signal.SIGKILL
    found = [int(line) for line in out.read_text().splitlines()]
    assert found == [*range(BATCH - 70), *range(BATCH + 30), *range(BATCH, 300)]  # it went on where its batch began
    assert told([log.event(log.offset("worker"))]) == [BATCH - 1]


def test_pruning_keeps_what_is_young_unread_or_parked(engine, log):
    def refuse(one):
        if told([one]) == [1]:
            raise ValueError("no")

    log.subscribe(refuse, consumer="slow", attempts=1)
    tell(engine, 1, 2)
    log.deliver()
    tell(engine, 3)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert log.prune(later - dt.timedelta(days=1)) == 0
    assert log.prune(later) == 1
    assert told(log.read()) == [1, 3]
    assert log.prune(later, unread=True) == 1
    assert told(log.read()) == [1]
    log.close()
    log.forget("slow")
    assert log.prune(later) == 1
    with transaction(engine) as session:
        counts = session.scalars(select(AuditRow.after).where(AuditRow.action == "prune")).all()
        assert [one["count"] for one in counts] == [1, 1, 1]


def test_a_number_is_not_used_again_after_the_newest_events_were_pruned(engine, log):
    seen = []
    log.subscribe(lambda one: seen.extend(told([one])), consumer="reader")
    tell(engine, 1, 2)
    log.deliver()
    assert log.prune(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)) == 2
    tell(engine, 3)
    log.deliver(always=True)
    assert seen == [1, 2, 3]


def test_a_new_consumer_keeps_what_it_has_not_read_from_being_pruned(engine, log):
    tell(engine, 1)
    log.subscribe(print, consumer="new")
    assert log.prune(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)) == 0


def test_the_place_of_a_consumer_never_goes_back_by_itself(engine):
    event_offsets.advance(engine, "one", 7)
    event_offsets.advance(engine, "one", 3)
    with transaction(engine) as session:
        assert session.get(EventOffsetRow, "one").seq == 7


def test_another_process_reads_what_this_one_wrote(engine):
    tell(engine, 5)
    other = open_engine(engine.url.render_as_string(hide_password=False), migrate=False)
    assert told(EventLog(other).read()) == [5]
    other.dispose()
