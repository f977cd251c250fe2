"""Counts: what a stream has counted since it was made; each counter is written by one thread, read by any."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Numbers about a stream.

    Attributes:
        frames, bytes: received.
        refused_frames: could not be read; nothing of them was taken.
        others: messages of channels that nobody here reads (statuses, corrections, …), or without symbol or moment.
        connections: logins that succeeded.
        reconnects: logins after the first.
        refusals: errors that the server told.
        gaps: times without a connection, once for each channel that was listened to.
        unfilled: gaps that no source could fill, or only in part.
        filled: events that came from a source and were new.
        articles: articles handed on.
        handler_failures: calls of a handler that raised.
        handed_on: events that reached at least one handler.
    """

    frames: int = 0
    bytes: int = 0
    refused_frames: int = 0
    others: int = 0
    connections: int = 0
    refusals: int = 0
    gaps: int = 0
    unfilled: int = 0
    filled: int = 0
    articles: int = 0
    late_articles: int = 0
    duplicate_articles: int = 0
    handler_failures: int = 0
    handed_on: int = 0

    @property
    def reconnects(self) -> int:
        """Logins after the first."""
        return max(0, self.connections - 1)
