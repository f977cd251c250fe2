"""A vendor on loopback: answers as a script says, remembers what it was asked, and can misbehave in every known way."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names in lower case, a query name that came twice keeps its last value."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    at: float  # time.monotonic()

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer. `cut`: bytes sent before the connection breaks; `reset`: no answer at all; `wait`: seconds."""

    body: object = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    wait: float = 0.0


HTML = Reply(
    b"<!doctype html><html><body>Service is being maintained</body></html>", headers={"Content-Type": "text/html"}
)
EMPTY = Reply(b"")


def half(body):
    """The answer breaks off in the middle of its body."""
    whole = _bytes(body)
    return Reply(whole, cut=len(whole) // 2)


def _bytes(body):
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


class Vendor:
    """The server: `routes` maps a pattern of the path to a Reply, a body, or a function of what was asked.

    `next(reply, …)` answers the next requests, whatever they ask, before the routes are looked at.
    """

    def __init__(self):
        self.routes = []
        self.asked = []
        self._next = []
        self._lock = threading.Lock()
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or every answer waits 40 ms between its headers and its body

            def answer(self):
                parts = urllib.parse.urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(
                    method=self.command,
                    path=urllib.parse.unquote(parts.path),
                    query=dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                    at=time.monotonic(),
                )
                reply = vendor._reply(asked)
                if reply.wait:
                    time.sleep(reply.wait)
                if reply.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                body = _bytes(reply.body)
                self.send_response(reply.status)
                said = {"Content-Type": "application/json"} | reply.headers
                for name, value in said.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body if reply.cut is None else body[: reply.cut])
                if reply.cut is not None:
                    self.close_connection = True

            do_GET = do_POST = do_HEAD = answer  # noqa: N815 - the names the library calls

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that goes away is part of the play
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def route(self, pattern, reply):
        """Answer paths that match the whole pattern; later routes win."""
        self.routes.insert(0, (re.compile(pattern), reply))
        return self

    def next(self, *replies):
        with self._lock:
            self._next.extend(replies)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _reply(self, asked):
        with self._lock:
            self.asked.append(asked)
            if self._next:
                return _as_reply(self._next.pop(0), asked)
        for pattern, reply in self.routes:
            if pattern.fullmatch(asked.path):
                return _as_reply(reply, asked)
        return Reply({"message": "not found"}, status=404)


def _as_reply(reply, asked):
    if callable(reply):
        reply = reply(asked)
    return reply if isinstance(reply, Reply) else Reply(reply)
