"""A recorded session in place of a worker, for debugging: what a user saw happens again.

The client speaks to a `ReplayedWorker` as to a real one. Each command is answered with
what the next recorded command of its kind was answered with, at the recorded pace or at
once; where a worker died in the recording, this one does, with the same sentence. The
recording is as little to be trusted as a worker: what can't be understood is passed on as
if a worker had sent it, and no wait is longer than `LONGEST_PAUSE`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import msgspec

from urial_tui.engine.client.death import Moment
from urial_tui.engine.client.recording import Died, Received, Recording, Sent, Started
from urial_tui.engine.wire.frames import ProtocolError, decode_command, decode_event, encode
from urial_tui.engine.wire.protocol import VERSION, Cancel, Command, Generate, Ready, Shutdown
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, RecordingError

LONGEST_PAUSE = 10.0
"""Seconds between two events of a request, at most."""

_ENDED = EngineDied("The recording ends here.", "Leave the replay with Ctrl+Q.")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An event, as it came, and the seconds that passed before it."""

    body: bytes
    pause: float


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A command, the seconds that the user took before it (`pause`), and what came of it.

    `death`: the worker ended so many seconds (`death_pause`) after the last reply, in the
    middle of the request or while nothing was asked of it any more.
    """

    command: Command
    pause: float = 0.0
    replies: tuple[Reply, ...] = ()
    death: Died | None = None
    death_pause: float = 0.0


def exchanges(recording: Recording) -> Iterator[Exchange]:
    """The recording as commands with their replies; cancellations are left out.

    Raises:
        RecordingError: A command is none of this version.
    """
    current: Exchange | None = None
    replies: list[Reply] = []
    before = waited = 0.0
    for entry in recording.entries:
        pause, before = _pause(entry.at - before), entry.at
        if isinstance(entry, Started):
            waited = pause
        elif isinstance(entry, Received):
            replies.append(Reply(body=entry.body, pause=pause))
        elif isinstance(entry, Died) and current is not None:
            current = msgspec.structs.replace(current, death=entry, death_pause=pause)
        elif isinstance(entry, Sent):
            command = _command(entry)
            if isinstance(command, Cancel | Shutdown):
                continue
            if current is not None:
                yield msgspec.structs.replace(current, replies=tuple(replies))
            current, replies = Exchange(command=command, pause=max(pause, waited)), []
            waited = 0.0
    if current is not None:
        yield msgspec.structs.replace(current, replies=tuple(replies))


def _command(entry: Sent) -> Command:
    try:
        return decode_command(entry.body)
    except ProtocolError as error:
        raise RecordingError(
            "The recording holds a command that this version does not know.",
            "Replay it with the version that recorded it.",
        ) from error


def _pause(seconds: float) -> float:
    """A wait to believe; a time that is no number is none."""
    return min(seconds, LONGEST_PAUSE) if seconds > 0 else 0.0


class Replay:
    """Stands for the workers of an engine: `Engine(launch=replay.launch)`.

    Args:
        recording: What is played.
        pace: Recorded seconds are multiplied by this: 1 as it was, 0 at once.

    Raises:
        RecordingError: A command of the recording is none of this version.
    """

    def __init__(self, recording: Recording, *, pace: float = 1.0) -> None:
        self.exchanges = tuple(exchanges(recording))
        self.pace = pace
        self.played = 0
        """How many exchanges have been played or left out."""

    def launch(
        self, command: Sequence[str], log: WorkerLog, on_end: Callable[[], None]
    ) -> ReplayedWorker:
        """Start to play; another start goes on where the worker before it died."""
        return ReplayedWorker(self, on_end)

    def take(self, asked: Command) -> Exchange | None:
        """The next exchange of a command's kind, leaving out those before it; None at the end."""
        for number in range(self.played, len(self.exchanges)):
            if _kind(self.exchanges[number].command) == _kind(asked):
                self.played = number + 1
                return self.exchanges[number]
        return None


def _kind(command: Command) -> tuple[type[Command], str]:
    """What it asks, and of which slot."""
    return type(command), getattr(command, "slot", "main")


class ReplayedWorker:
    """Answers commands as the recording does (a `process.Process`)."""

    pid = None

    def __init__(self, replay: Replay, on_end: Callable[[], None]) -> None:
        self.ended = False
        self._replay = replay
        self._on_end = on_end
        self._exchange: Exchange | None = None
        ready = Reply(body=encode(Ready(version=VERSION, library="")), pause=0.0)
        self._replies = deque([ready])
        self._hurry = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether it has not died yet."""
        return not self.ended

    def write(self, command: Command) -> None:
        """Line up the replies to a command; a cancellation has what there is come at once."""
        if isinstance(command, Cancel):
            self._hurry.set()
        elif isinstance(command, Shutdown):
            self.kill()
        elif self.ended:
            raise BrokenPipeError
        else:
            self._hurry.clear()
            self._exchange = self._replay.take(command)
            if self._exchange is not None:
                self._replies = deque(_readdressed(self._exchange, command))

    def read(self, timeout: float) -> bytes | None:
        """The next reply, after its time; None where the recording has no more of them.

        No reply takes so long that the client gives up (`timeout`).
        """
        if self.ended or not self._replies:
            return None
        reply = self._replies.popleft()
        self._hurry.wait(reply.pause * self._replay.pace)
        exchange = self._exchange
        if not self._replies and exchange is not None and exchange.death is not None:
            timer = threading.Timer(exchange.death_pause * self._replay.pace, self.kill)
            timer.daemon = True
            timer.start()
        return reply.body

    def kill(self) -> None:
        """Die."""
        self.ended = True
        self._hurry.set()
        self._on_end()

    finish = kill

    def reap(self) -> None:
        """Nothing is left of it."""

    def death(self, moment: Moment) -> EngineDied:
        """What was said about it, or that there is no more."""
        died = self._exchange.death if self._exchange else None
        return EngineDied(died.message, died.hint) if died else _ENDED


def _readdressed(exchange: Exchange, command: Command) -> Iterator[Reply]:
    """The replies as if they were to `command`, without those to other requests.

    Where more answers were asked for then than now, the first ones are played.
    """
    asked = command.samples if isinstance(command, Generate) else 1
    for reply in exchange.replies:
        try:
            event = decode_event(reply.body)
        except ProtocolError:
            # The client is to see what it saw.
            yield reply
            continue
        if getattr(event, "sample", 0) >= asked:
            continue
        if getattr(event, "id", None) == getattr(exchange.command, "id", 0):
            event = msgspec.structs.replace(event, id=getattr(command, "id", 0))
            yield msgspec.structs.replace(reply, body=encode(event))
