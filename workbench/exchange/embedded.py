"""The embedded exchange: find the one of a folder or start it, and speak its admin API. Light to import."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ExchangeUnavailable
from workbench.store.processes import process_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

# The longest that is waited for a process that lives and says nothing; one that ends is noticed at once.
START_SECONDS = 60.0
STOP_SECONDS = 30.0
HEALTH_SECONDS = 15.0  # who waits too little on a loaded machine starts a second exchange beside the first
ADMIN_SECONDS = 120.0  # an advance over decades takes a while
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Address:
    """Where an exchange answers; `started` says whether this call has started it."""

    url: str
    pid: int
    started: bool

    @property
    def stream_url(self) -> str:
        """The address of its `trade_updates` stream."""
        return f"{self.url.replace('http', 'ws', 1)}/stream"


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """An account of the exchange: who it is, how to log in, where its clock stands (UTC), whether it is replayed."""

    name: str
    key_id: str
    secret_key: str = field(repr=False)
    account_number: str
    clock: dt.datetime
    replayed: bool


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account as the admin API lists it, without keys; money in the account's currency."""

    name: str
    account_number: str
    clock: dt.datetime
    cash: float
    equity: float
    open_orders: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """What moving a clock did."""

    clock: dt.datetime
    fills: int
    expired: int


def ensure(
    folder: Path, *, source: str = "bundled", seed: int = 7, timeframe: str = "1d", exit_with_parent: bool = False
) -> Address:
    """The healthy exchange of `folder` for this source, started in a process of its own where there is none.

    Each source (and seed of a synthetic one, and timeframe) has its own exchange, database and address file in the
    folder. Safe to call from several processes at once: one of them starts it, the others find it.

    Args:
        timeframe: the length of the bars it steps by, `"1d"` or one of `workbench.exchange.clock.MINUTES`.
        exit_with_parent: the exchange stops when the calling process is gone; otherwise it goes on until `stop`.

    Raises:
        ExchangeUnavailable: it could not be started; the message holds the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = stem_of(source, seed, timeframe)
    with _locked(folder / f"{stem}.starting"):
        found = running(folder, source=source, seed=seed, timeframe=timeframe)
        return found or _start(folder, stem, source, seed, timeframe, exit_with_parent=exit_with_parent)


def running(folder: Path, *, source: str = "bundled", seed: int = 7, timeframe: str = "1d") -> Address | None:
    """The healthy exchange of `folder` for this source, None where there is none. Starts nothing."""
    return _healthy(folder / f"{stem_of(source, seed, timeframe)}.json", source)


def addresses(folder: Path) -> list[str]:
    """The URLs of the exchanges of `folder` that answer now."""
    found = (_healthy(state, None) for state in sorted(folder.glob("exchange*.json")))
    return [address.url for address in found if address is not None]


def stop(folder: Path) -> int:
    """Stop every exchange of `folder`; returns how many there were. Their databases stay.

    Raises:
        ExchangeUnavailable: one did not stop in time.
    """
    stopped = 0
    for state in sorted(folder.glob("exchange*.json")):
        address = _healthy(state, None)
        if address is not None:
            os.kill(address.pid, signal.SIGTERM)
            if not _until(lambda pid=address.pid: not process_runs(pid), STOP_SECONDS):
                raise ExchangeUnavailable(
                    f"the exchange with process id {address.pid} did not stop within {STOP_SECONDS:.0f} s.",
                    remedy=f"end process {address.pid} by hand; its ledger survives that.",
                )
            stopped += 1
        state.unlink(missing_ok=True)
    return stopped


def open_account(
    url: str,
    *,
    name: str,
    cash: float,
    at: dt.datetime,
    clock: str = "replay",
    profile: str = "margin",
    multiplier: float | None = None,
    shorting: bool | None = None,
) -> AccountKeys:
    """The account of that name, opened with `cash` at the moment `at` (tz-aware) where it does not exist yet.

    `profile` names its rules (`exchange.account_rules`: margin, cash, margin-pdt-2025, margin-fees-2025); `multiplier`
    and `shorting` are the profile's where they are None. An existing account comes back as it stands: neither its cash
    nor its clock is changed.
    """
    body = {
        "name": name,
        "cash": str(cash),
        "at": _iso(at),
        "clock": clock,
        "profile": profile,
        "multiplier": None if multiplier is None else str(multiplier),
        "shorting": shorting,
    }
    return _keys(_call(url, "POST", "/sim/accounts", body))


def account(url: str, *, name: str) -> AccountKeys | None:
    """The account of that name, None where there is none."""
    with contextlib.suppress(_Missing):
        return _keys(_call(url, "GET", f"/sim/accounts/{urllib.parse.quote(name, safe='')}"))
    return None


def accounts(url: str) -> list[AccountState]:
    """All accounts, in the order of their opening."""
    return [
        AccountState(
            name=row["name"],
            account_number=row["account_number"],
            clock=_moment(row["clock"]),
            cash=float(row["cash"]),
            equity=float(row["equity"]),
            open_orders=int(row["open_orders"]),
        )
        for row in _call(url, "GET", "/sim/accounts")
    ]


def account_at(url: str, *, at: dt.datetime, prefix: str = "") -> AccountKeys | None:
    """The newest account whose clock stands exactly at `at` and whose name begins with `prefix`, None without one."""
    for state in reversed(accounts(url)):
        if state.clock == at and state.name.startswith(prefix):
            return account(url, name=state.name)
    return None


def advance(url: str, *, name: str, to: dt.datetime) -> Advanced:
    """Move the replay clock of an account to `to` (tz-aware) through every open and close in between.

    Raises:
        ExchangeUnavailable: the clock stands later than `to`, the account does not exist, or nobody answers.
    """
    path = f"/sim/accounts/{urllib.parse.quote(name, safe='')}/advance"
    done = _call(url, "POST", path, {"to": _iso(to)})
    return Advanced(_moment(done["clock"]), int(done["fills"]), int(done["expired"]))


def add_fault(
    url: str,
    *,
    text: str | None = None,
    kind: str | None = None,
    count: int | None = None,
    probability: float | None = None,
    seconds: float | None = None,
    path: str | None = None,
) -> None:
    """Switch a fault on, given as `text` (`504-after-accept:0.1`) or its parts; see `exchange.telling.faults`.

    Raises:
        ExchangeUnavailable: it is no fault, or nobody answers.
    """
    body = {
        "text": text,
        "kind": kind,
        "count": count,
        "probability": probability,
        "seconds": seconds,
        "path": path,
    }
    _call(url, "POST", "/sim/faults", {name: value for name, value in body.items() if value is not None})


def struck(url: str) -> dict[str, int]:
    """How often each kind of fault has struck since the exchange was started."""
    return dict(health(url)["struck"])


def clear_faults(url: str) -> None:
    """Switch all faults off."""
    _call(url, "DELETE", "/sim/faults")


def health(url: str, *, timeout: float = ADMIN_SECONDS) -> dict[str, Any]:
    """Who answers at `url`: pid, source, label and the numbers of the fill model."""
    answer: dict[str, Any] = _call(url, "GET", "/sim/health", timeout=timeout)
    return answer


class _Missing(ExchangeUnavailable):
    """The exchange answered 404."""


def _start(folder: Path, stem: str, source: str, seed: int, timeframe: str, *, exit_with_parent: bool) -> Address:
    state, log = folder / f"{stem}.json", folder / f"{stem}.log"
    state.unlink(missing_ok=True)
    command = [sys.executable, "-m", "workbench.exchange", "--port", "0", "--db", str(folder / f"{stem}.db")]
    command += ["--source", source, "--seed", str(seed), "--ready-file", str(state)]
    command += ["--timeframe", timeframe]
    if exit_with_parent:
        command += ["--exit-with-parent", str(os.getpid())]
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    # Somebody has to collect the process when it ends while we are still here; a thread costs nothing and waits for it.
    threading.Thread(target=process.wait, name="exchange-reaper", daemon=True).start()
    _until(lambda: state.exists() or process.returncode is not None, START_SECONDS)
    address = _healthy(state, source)
    if address is None:
        if process.returncode is None:
            process.terminate()
        raise ExchangeUnavailable(
            f"the exchange on source={source!r} did not start within {START_SECONDS:.0f} s. The end of {log}:\n"
            + "\n".join(log.read_text(errors="replace").splitlines()[-5:]),
            remedy=f"read {log}, then try again.",
        )
    return Address(address.url, address.pid, started=True)


def _healthy(state: Path, source: str | None) -> Address | None:
    try:
        written = json.loads(state.read_text())
        address = Address(str(written["url"]), int(written["pid"]), started=False)
        answer = health(address.url, timeout=HEALTH_SECONDS)
    except (OSError, ValueError, KeyError, ExchangeUnavailable):
        return None
    # A port may have been taken over by another process since the file was written.
    if answer.get("pid") != address.pid or (source is not None and answer.get("source") != source):
        return None
    return address


def _call(
    url: str, method: str, path: str, body: dict[str, Any] | None = None, *, timeout: float = ADMIN_SECONDS
) -> Any:
    # Not through a library that reads proxy settings: this never leaves the machine.
    parsed = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parsed.hostname or "127.0.0.1", parsed.port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ExchangeUnavailable(
            f"no exchange answers at {url} ({type(error).__name__}); the end of {method} {path} is unknown.",
            remedy="start one with embedded.ensure(folder) or `workbench exchange`.",
        ) from error
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        kind = _Missing if response.status == http.HTTPStatus.NOT_FOUND else ExchangeUnavailable
        message = content.decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            message = json.loads(content)["message"]
        raise kind(f"the exchange refused {method} {path} with {response.status}: {message}", status=response.status)
    return json.loads(content)


def _keys(answer: dict[str, Any]) -> AccountKeys:
    return AccountKeys(
        name=answer["name"],
        key_id=answer["key_id"],
        secret_key=answer["secret_key"],
        account_number=answer["account_number"],
        clock=_moment(answer["clock"]),
        replayed=answer["kind"] == "replay",
    )


def stem_of(source: str, seed: int, timeframe: str = "1d") -> str:
    """The name under which the files of one source's exchange lie in a folder."""
    stem = "exchange" if source == "bundled" else f"exchange-{source}-{seed}"
    return stem if timeframe == "1d" else f"{stem}-{timeframe}"


def _iso(moment: dt.datetime) -> str:
    if moment.tzinfo is None:
        raise ExchangeUnavailable(f"moment {moment} has no timezone; nothing was sent.", remedy="give UTC moments.")
    return moment.astimezone(dt.UTC).isoformat()


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _until(condition: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(_POLL_SECONDS)
    return bool(condition())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
