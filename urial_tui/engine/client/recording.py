"""What went over the line between client and worker, on disk, for debugging.

A recording is one file of frames (`frames`), each a `RecordingEntry` with its time: every command
and event as its bytes, the starts of workers and the sentences about their ends. It holds
the whole conversation, so only its owner may read it. It never grows beyond `LIMIT`, and
a disk that fails ends the recording, not the conversation. A file that is cut off in
mid-frame, as a killed program leaves it, can be read up to there.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from urial_tui import __version__
from urial_tui.engine.client.death import Moment
from urial_tui.engine.client.process import WorkerProcess
from urial_tui.engine.wire.commands import Command
from urial_tui.engine.wire.frames import (
    FRAME_HEAD,
    VERSION,
    ProtocolError,
    decode_command,
    decode_event,
    encode,
    read_frame,
    write_frame,
)
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, EngineError, RecordingError
from urial_tui.files import make_directory, open_regular, reason
from urial_tui.sanitize import sanitize_line

FORMAT = 1
"""Raised with every change that an older reader would misread."""

LIMIT = 64 * 1024 * 1024
"""Bytes of a recording."""

_numbers = itertools.count(1)


class _Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="entry"):
    """Something that happened `at` seconds after the recording began."""

    at: float


class RecordingHead(_Entry, frozen=True, kw_only=True, tag="urial-recording"):
    """The first entry. `protocol`: the version of the commands and events."""

    program: str
    format: int = FORMAT
    protocol: int = VERSION


class Started(_Entry, frozen=True, kw_only=True, tag="started"):
    """A worker was started."""


class Sent(_Entry, frozen=True, kw_only=True, tag="sent"):
    """A command went to the worker, as msgpack."""

    body: bytes


class Received(_Entry, frozen=True, kw_only=True, tag="received"):
    """An event, or whatever else it was, came from the worker."""

    body: bytes


class Died(_Entry, frozen=True, kw_only=True, tag="died"):
    """A worker ended without being asked to, and this was said about it."""

    message: str
    hint: str


class Cut(_Entry, frozen=True, kw_only=True, tag="cut"):
    """The recording reached its limit here; the session went on."""


RecordingEntry = RecordingHead | Started | Sent | Received | Died | Cut

_decoder = msgspec.msgpack.Decoder(RecordingEntry)


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that was read: its head, and the other entries in their order."""

    head: RecordingHead
    entries: tuple[RecordingEntry, ...]


class Recorder:
    """Starts workers whose lines are recorded, all of one engine in one new file.

    Args:
        directory: Where the file goes; it is made with the first worker.
    """

    def __init__(self, directory: Path) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.file = directory / f"session-{stamp}-{os.getpid()}-{next(_numbers)}.urial"
        self._began = time.monotonic()
        self._room = LIMIT
        self._lock = threading.Lock()
        self._made = False

    def launch(self, command: Sequence[str], log: WorkerLog) -> WorkerProcess:
        """Start a worker; see `WorkerProcess`.

        Raises:
            EngineError: The worker can't be started, or the file can't be made.
        """
        if not self._made:
            self._make()
        return RecordedProcess(command, log, self)

    @property
    def now(self) -> float:
        """Seconds since the recording began."""
        return time.monotonic() - self._began

    def add(self, entry: RecordingEntry) -> None:
        """Write an entry, unless the recording has ended."""
        with self._lock:
            if self._room <= 0:
                return
            size = FRAME_HEAD + len(encode(entry))
            fits = size <= self._room
            self._room = self._room - size if fits else 0
            try:
                with self.file.open("ab", buffering=0) as file:
                    write_frame(file.fileno(), entry if fits else Cut(at=self.now))
            except OSError:
                self._room = 0

    def _make(self) -> None:
        try:
            make_directory(self.file.parent)
            os.close(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise EngineError(
                f"The session can't be recorded in {sanitize_line(str(self.file.parent))}: "
                f"{reason(error)}.",
                "Set URIAL_RECORD to a directory that you may write to, or unset it.",
            ) from error
        self._made = True
        self.add(RecordingHead(at=0.0, program=__version__))


class RecordedProcess(WorkerProcess):
    """A worker with a recorder on its line."""

    def __init__(self, command: Sequence[str], log: WorkerLog, recorder: Recorder) -> None:
        super().__init__(command, log)
        self._recorder = recorder
        recorder.add(Started(at=recorder.now))

    def write(self, command: Command) -> None:
        """Send a command, and record it."""
        self._recorder.add(Sent(at=self._recorder.now, body=encode(command)))
        super().write(command)

    def read(self) -> bytes | None:
        """The next event's frame, recorded."""
        frame = super().read()
        if frame is not None:
            self._recorder.add(Received(at=self._recorder.now, body=frame))
        return frame

    def death(self, moment: Moment) -> EngineDied:
        """Why it ended, recorded as it is told."""
        error = super().death(moment)
        self._recorder.add(Died(at=self._recorder.now, message=error.message, hint=error.hint))
        return error


def document(entry: RecordingEntry) -> dict[str, object]:
    """An entry for JSON: `entry` (its kind), `at`, and its fields.

    The message of `Sent` is `command`, that of `Received` is `event`; where it can't be
    understood, `body` (base64) and `error` stand for it.
    """
    built: dict[str, object] = msgspec.to_builtins(entry)
    if isinstance(entry, Sent | Received):
        sent = isinstance(entry, Sent)
        try:
            message = decode_command(entry.body) if sent else decode_event(entry.body)
            built["command" if sent else "event"] = msgspec.to_builtins(message)
            del built["body"]
        except ProtocolError as error:
            built["error"] = str(error)
    return built


def read_recording(path: Path) -> Recording:
    """Read a recording; nothing in it is believed yet but its form.

    Raises:
        RecordingError: It is missing, unreadable, too large, damaged or none at all, or of
            another version.
    """
    shown = sanitize_line(str(path))
    strange = RecordingError(
        f"The file {shown} is not a recording of a session, or it is damaged.",
        "Recordings are made by setting URIAL_RECORD to a directory.",
    )
    entries: list[RecordingEntry] = []
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > 2 * LIMIT:
                raise strange
            while (frame := read_frame(file.fileno())) is not None:
                entries.append(_decoder.decode(frame))
    except OSError as error:
        raise RecordingError(
            f"The recording {shown} can't be read: {reason(error)}.",
            "Check the path, and that you may read the file.",
        ) from error
    except (ProtocolError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise strange from error
    if not entries or not isinstance(entries[0], RecordingHead):
        raise strange
    head, *rest = entries
    assert isinstance(head, RecordingHead)
    if head.format != FORMAT or head.protocol != VERSION:
        raise RecordingError(
            f"The recording {shown} was made by another version of urial-tui "
            f"({sanitize_line(head.program)[:40]}).",
            "Replay it with that version.",
        )
    return Recording(head=head, entries=tuple(rest))
