"""Bytes of an answer → text for the user, up to where the answer ends.

What always holds, whatever the tokens: every byte that the model emits before the end of
its answer reaches the text exactly once (invalid UTF-8 as U+FFFD); nothing of a stop
string is ever shown, nor is text cut that only looked like the beginning of one; and the
token ids that were handed out, with the `pending` text, spell exactly the text handed out.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from urial_tui.engine.wire.values import StopRules


class Delta(NamedTuple):
    """Text that can be shown, the ids it completes, and the text shown beyond the last id."""

    text: str
    ids: tuple[int, ...]
    pending: str


@dataclass(frozen=True)
class History:
    """What stays of an answer: ids, and the text that follows them before the next turn."""

    text: str
    ids: tuple[int, ...]
    tail: str


class TextStream:
    """Collects the tokens of one answer.

    Feed each token with `push`; when it returns True the answer has ended at a stop
    string (`stopped_by`). `take` hands out what can be shown; `finish` says that no
    token follows.
    """

    def __init__(self, stops: StopRules, close: str = "") -> None:
        self._stops = tuple(text.encode() for text in stops.strings if text)
        self._fence = FenceRule(stops.fence.encode()) if stops.fence else None
        self._close = close.encode()
        self._data = bytearray()
        self._ids: list[int] = []
        self._ends: list[int] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._fed = 0  # bytes given to the decoder
        self._text: list[str] = []
        self._new: list[str] = []
        self._handed = 0  # ids handed out
        self._end: int | None = None  # where a stop cut the answer, in bytes
        self.stopped_by = ""

    def begin(self, tokens: Iterable[tuple[int, bytes]]) -> None:
        """The answer starts with these tokens and their bytes; no stop that they hold ends it."""
        for token, piece in tokens:
            self._data += piece
            self._ids.append(token)
            self._ends.append(len(self._data))
        if self._fence:
            self._fence.begin(self._data)
        self._feed(self._safe_length())

    def push(self, token: int, piece: bytes) -> bool:
        """Add a token with its bytes; True when a stop string ends the answer."""
        self._data += piece
        self._ids.append(token)
        self._ends.append(len(self._data))
        cut = self._find_stop()
        if cut is not None:
            self._cut(*cut)
            return True
        self._feed(self._safe_length())
        return False

    def finish(self) -> bool:
        """Flush what was held back: no token follows.

        Returns True where that decides a pending stop (a closing fence at the very end).
        """
        if self._end is not None:
            return True
        if self._fence:
            cut = self._fence.at_end(self._data)
            if cut is not None:
                self._cut(cut, self._fence.fence)
                return True
        self._end = len(self._data)
        self._feed(self._end, final=True)
        return False

    def take(self) -> Delta | None:
        """What has become showable since the last call, None where that is nothing."""
        text = "".join(self._new)
        self._new.clear()
        shown = self._fed - len(self._decoder.getstate()[0])
        ready = self._handed
        for index in range(self._handed, len(self._ends)):
            if self._ends[index] > shown:
                break
            if self._ends[index] == shown or not _continues(self._data[self._ends[index]]):
                ready = index + 1
        ids = tuple(self._ids[self._handed : ready])
        self._handed = ready
        if not text and not ids:
            return None
        start = self._ends[ready - 1] if ready else 0
        return Delta(text, ids, bytes(self._data[start:shown]).decode("utf-8", "replace"))

    def history(self) -> History:
        """What stays, after `push` returned True or `finish` was called.

        Kept are the longest prefix of the ids that spells a prefix of text + close: what
        the model wrote of the format's closing itself is not written again.
        """
        assert self._end is not None, "the answer has not ended"
        expected = bytes(self._data[: self._end]) + self._close
        kept = 0
        for index, end in enumerate(self._ends):
            if end > self._end and not self._close.startswith(self._data[self._end : end]):
                break
            if end == len(expected) or not _continues(expected[end]):
                kept = index + 1
        start = self._ends[kept - 1] if kept else 0
        return History(
            text="".join(self._text),
            ids=tuple(self._ids[:kept]),
            tail=expected[start:].decode("utf-8", "replace"),
        )

    def _cut(self, end: int, stop: bytes) -> None:
        self._end = end
        self.stopped_by = stop.decode("utf-8", "replace")
        self._feed(end, final=True)

    def _feed(self, end: int, *, final: bool = False) -> None:
        text = self._decoder.decode(bytes(self._data[self._fed : end]), final)
        self._fed = max(self._fed, end)
        if text:
            self._text.append(text)
            self._new.append(text)

    def _find_stop(self) -> tuple[int, bytes] | None:
        """Where the answer ends, and the stop that ends it, if one is complete.

        Of several, the one that was complete first: so the answer does not depend on how
        its bytes were cut into tokens.
        """
        # What was fed could not be the start of a stop, so none begins before it.
        found: list[tuple[int, int, bytes]] = []  # complete at, cut at, stop
        for stop in self._stops:
            position = self._data.find(stop, self._fed)
            if position >= 0:
                found.append((position + len(stop), position, stop))
        if self._fence:
            closing = self._fence.scan(self._data)
            if closing is not None:
                found.append((*closing, self._fence.fence))
        return min(found)[1:] if found else None

    def _safe_length(self) -> int:
        """How many bytes can be shown: all but the longest end that may begin a stop."""
        size = len(self._data)
        safe = size
        for stop in self._stops:
            for length in range(min(len(stop) - 1, size - self._fed), 0, -1):
                if self._data.endswith(stop[:length]):
                    safe = min(safe, size - length)
                    break
        if self._fence:
            safe = min(safe, self._fence.undecided_from(self._data))
        return max(safe, self._fed)


class FenceRule:
    """Finds the line that closes an answer written inside a fence.

    A line that holds only the fence ends the answer, unless a fence with an info string
    (```python) was opened inside the answer: then it closes that one.
    """

    def __init__(self, fence: bytes) -> None:
        self.fence = fence
        self._line = 0  # start of the first line that was not judged yet
        self._open = False

    def begin(self, data: bytearray) -> None:
        """Take in how an answer starts: which of its lines open a fence, and which close it."""
        while (newline := data.find(b"\n", self._line)) >= 0:
            line = bytes(data[self._line : newline]).rstrip(b" \t\r")
            self._line = newline + 1
            if line == self.fence or (line.startswith(self.fence) and not self._open):
                self._open = not self._open

    def scan(self, data: bytearray) -> tuple[int, int] | None:
        """Judge the complete lines: the end of the one that ends the answer, and the cut.

        Returns:
            The end of that line, and where the answer is cut; None where no line ends it.
        """
        while (newline := data.find(b"\n", self._line)) >= 0:
            line = bytes(data[self._line : newline]).rstrip(b" \t\r")
            start, self._line = self._line, newline + 1
            if line == self.fence:
                if not self._open:
                    return self._line, max(start - 1, 0)
                self._open = False
            elif line.startswith(self.fence) and not self._open:
                self._open = True
        return None

    def undecided_from(self, data: bytearray) -> int:
        """From where on the data may turn out to be the closing line (its newline included)."""
        line = bytes(data[self._line :])
        bare = line.rstrip(b" \t\r")
        if not self._open and (self.fence.startswith(bare) or bare == self.fence):
            return max(self._line - 1, 0)
        return len(data)

    def at_end(self, data: bytearray) -> int | None:
        """Where the answer ends if nothing follows and its last line is the closing fence."""
        if not self._open and bytes(data[self._line :]).rstrip(b" \t\r") == self.fence:
            return max(self._line - 1, 0)
        return None


def _continues(byte: int) -> bool:
    """Whether a byte is a UTF-8 continuation byte."""
    return byte & 0xC0 == 0x80
