"""Requests to the engine, as steps that end in their result."""

from __future__ import annotations

from collections.abc import Generator

from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import Event, Score, Scored, TokenSegment, Turn


def scored(engine: Engine, request: Score) -> Generator[Event, None, Scored]:
    """Carry out a Score request; its final event is the return value."""
    for event in engine.score(request):
        if isinstance(event, Scored):
            return event
        yield event
    raise AssertionError("unreachable: a request ends with its final event")


def tokens(ids: tuple[int, ...]) -> Turn:
    """Ids as segments of a turn."""
    return (TokenSegment(ids=ids),) if ids else ()
