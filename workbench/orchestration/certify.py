"""Certificates: the order path is killed and struck by faults on this machine, and every order is counted."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import math
import os
import platform
import random
import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import ParameterError
from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.orchestration.certify_audit import Counted, count
from workbench.orchestration.certify_crew import COMMAND, KILLED, Crew
from workbench.orchestration.certify_database import database_of
from workbench.orchestration.certify_plans import PATIENCE_SECONDS, PLANS, Plan
from workbench.report.certificate import Certificate, Row, write_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

    from workbench.store.workspace import Workspace

OPENS = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)
ORDERS_PER_ACCOUNT = 25
LIFE_SECONDS = 0.15  # the longest life before a kill, on a machine that places an order meanwhile
KILLS = "kill -9"


class Progress(Protocol):
    """Who wants to know how far a certificate is."""

    def __call__(self, row: str, done: int, wanted: int) -> None:
        """So many kills or strikes of the row are done."""
        ...


@dataclass
class _Field:
    """Where one certificate is made: an exchange, a database, a crew, and how accounts are opened."""

    url: str
    engine: Engine
    database: str
    crew: Crew
    workers: int
    seed: int
    progress: Progress
    accounts: list[embedded.AccountKeys] = field(default_factory=list)

    def job(self, row: str, **more: Any) -> dict[str, Any]:
        """A job on a fresh account."""
        keys = embedded.open_account(self.url, name=f"certify-{row}-{secrets.token_hex(6)}", cash=1e9, at=OPENS)
        return {
            "account": keys.name,
            "url": self.url,
            "key_id": keys.key_id,
            "secret_key": keys.secret_key,
            "database": self.database,
            "patience": PATIENCE_SECONDS,
            "orders": ORDERS_PER_ACCOUNT,
            "listens": False,
            **more,
        }

    def warm(self, worker: int) -> Counted:
        """A life in peace, whose compiled statements the later ones inherit."""
        job = self.job("warm-up", orders=2)
        self.crew.live(worker, job | {"warms": True})
        embedded.advance(self.url, name=job["account"], to=OPENS + dt.timedelta(days=1))
        self.crew.live(worker, job | {"warms": True})
        return Counted()

    def count(self, job: dict[str, Any]) -> Counted:
        """Hold the account of a job against the exchange."""
        broker = AlpacaBroker(
            name=job["account"], url=self.url, key_id=job["key_id"], secret_key=job["secret_key"], timeout=(5.0, 30.0)
        )
        return count(self.engine, broker, orders=job["orders"])

    def at_once(self, work: Callable[[int], Counted]) -> Counted:
        """The same work by every worker at the same time; what they counted together."""
        with ThreadPoolExecutor(self.workers) as pool:
            return sum(pool.map(work, range(self.workers)), Counted())


def certify(
    workspace: Workspace,
    *,
    kills: int = 200,
    strikes: int = 50,
    seed: int = 7,
    progress: Progress | None = None,
    kinds: Sequence[str] | None = None,
    workers: int | None = None,
    command: Sequence[str] = COMMAND,
) -> Certificate:
    """Kill and strike the order path on this machine, count every order, and write the certificate as a page.

    A real worker process places orders through the real order path at a real local exchange. In the first row it is
    killed with SIGKILL at random instants, `kills` times, and started again until everything is placed; in each
    other row one fault strikes at least `strikes` times. Then every order that the exchange has ever had is held
    against what was wished and against our books. The exchange, its accounts and the database (a file of its own, or a
    schema of its own on the workspace's PostgreSQL) exist for the certificate only and are removed.

    Args:
        seed: of the kills' instants and of the faults. Which instruction a kill hits depends on the machine as well.
        progress: told about each row, how many kills or strikes are done and how many are wanted.
        kinds: names of the rows to make (`"kill -9"` is one); all when None.
        workers: accounts that are traded at the same time; two per processor, at most eight, when None.
        command: the process that trades; another one shows what a certificate finds in it.

    Returns:
        The certificate; `passed` only where nothing was lost, doubled, left unresolved or booked wrongly and every row
        has its kills or strikes. The page and its JSON lie in the workspace's `reports`.

    Raises:
        ParameterError: a number is below 1, or a kind is not known.
        ExecutionError: a worker ended in a way that is neither done nor killed.
        ExchangeUnavailable: the exchange could not be started.
    """
    known = (KILLS, *(plan.name for plan in PLANS))
    chosen = known if kinds is None else tuple(kinds)
    _check(known, chosen, kills=kills, strikes=strikes)
    number = workers or max(2, min(8, 2 * (os.cpu_count() or 1)))
    began, started_at = time.monotonic(), dt.datetime.now(dt.UTC)
    folder = workspace.home / "certify" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    rows: list[Row] = []
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(embedded.stop, folder)
            address = embedded.ensure(folder, source="synthetic", seed=seed, exit_with_parent=True)
            engine, database = stack.enter_context(database_of(workspace.engine, folder))
            crew = stack.enter_context(Crew(number, command=command, log=folder / "worker.log"))
            place = _Field(address.url, engine, database, crew, number, seed, progress or _say_nothing)
            place.at_once(place.warm)
            if KILLS in chosen:
                rows.append(_kill_row(place, kills))
            rows += [_fault_row(place, plan, strikes) for plan in PLANS if plan.name in chosen]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    certificate = Certificate(
        rows=tuple(rows),
        kills=kills,
        strikes=strikes,
        seed=seed,
        workers=number,
        database=workspace.engine.dialect.name,
        versions=_versions(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        started_at=started_at,
        seconds=time.monotonic() - began,
    )
    return write_certificate(certificate, workspace.home / "reports")


def _kill_row(place: _Field, wanted: int) -> Row:
    """Lives that are killed at random instants, on one account after the other."""
    began = time.monotonic()
    kills, caught = [0] * place.workers, [0] * place.workers

    def work(worker: int) -> Counted:
        rng = random.Random(f"{place.seed} {worker}")
        mine = wanted // place.workers + (worker < wanted % place.workers)
        total = Counted()

        def live(job: dict[str, Any], life: float) -> int:
            end = place.crew.live(worker, job, seconds=rng.uniform(0, life))
            kills[worker] += end == KILLED
            caught[worker] += end == KILLED and bool(Journal(place.engine, job["account"]).unknown())
            place.progress(KILLS, min(sum(kills), wanted), wanted)
            return end

        while kills[worker] < mine:
            job = place.job("kill")
            before, life = 0, LIFE_SECONDS
            while kills[worker] < mine and live(job, life) == KILLED:
                after = len(Journal(place.engine, job["account"]).intents())
                life = LIFE_SECONDS if after > before else life + LIFE_SECONDS  # a slow machine needs longer lives
                before = after
            place.crew.live(worker, job)
            embedded.advance(place.url, name=job["account"], to=OPENS + dt.timedelta(days=1))
            if kills[worker] < mine:
                live(job, LIFE_SECONDS)  # while the fills are booked
            place.crew.live(worker, job)
            total += place.count(job)
        return total

    counted = place.at_once(work)
    note = f"{sum(caught)} of the kills left an order of unknown fate behind"
    what = "the trading process is killed at random instants"
    return _row(KILLS, what, counted, struck=sum(kills), wanted=wanted, began=began, note=note)


def _fault_row(place: _Field, plan: Plan, wanted: int) -> Row:
    """Orders under one fault until it has struck often enough; then, in calm, what is left is settled."""
    began = time.monotonic()
    before = sum(embedded.struck(place.url).values())
    chunk = math.ceil(2.4 * wanted / place.workers) if not plan.listens else math.ceil(wanted / place.workers)

    def struck() -> int:
        return sum(embedded.struck(place.url).values()) - before

    jobs = [place.job(plan.name.replace(" ", "-"), orders=0, listens=plan.listens) for _ in range(place.workers)]
    for text in plan.faults:
        embedded.add_fault(place.url, text=text)

    def strike(worker: int) -> Counted:
        while (seen := struck()) < wanted:
            place.progress(plan.name, seen, wanted)
            jobs[worker]["orders"] += chunk
            place.crew.live(worker, jobs[worker])
        return Counted()

    def settle(worker: int) -> Counted:
        job = jobs[worker] | {"listens": False}
        place.crew.live(worker, job)
        keys = embedded.account(place.url, name=job["account"])
        assert keys is not None, "it was opened above"
        embedded.advance(place.url, name=keys.name, to=keys.clock + dt.timedelta(days=4))  # beyond any weekend
        place.crew.live(worker, job)
        return place.count(job)

    try:
        place.at_once(strike)
    finally:
        embedded.clear_faults(place.url)
    seen = struck()
    place.progress(plan.name, min(seen, wanted), wanted)
    return _row(plan.name, plan.what, place.at_once(settle), struck=seen, wanted=wanted, began=began)


def _row(name: str, what: str, counted: Counted, *, struck: int, wanted: int, began: float, note: str = "") -> Row:
    return Row(
        name=name,
        what=what,
        struck=struck,
        wanted=wanted,
        orders=counted.orders,
        lost=counted.lost,
        doubled=counted.doubled,
        unresolved=counted.unresolved,
        misbooked=counted.misbooked,
        seconds=time.monotonic() - began,
        note=note,
    )


def _check(known: Sequence[str], chosen: Sequence[str], **numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise ParameterError(
                f"{name}={value!r} must be at least 1.", remedy="the usual is 200 kills and 50 strikes."
            )
    for name in chosen:
        if name not in known:
            raise ParameterError(f"kind {name!r} is not known.", remedy=f"the kinds are {', '.join(known)}.")


def _versions() -> dict[str, str]:
    names = ("workbench", "alpaca-py", "sqlalchemy", "tornado")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def _say_nothing(row: str, done: int, wanted: int) -> None:
    """Nobody wants to know."""
