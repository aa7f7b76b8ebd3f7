"""A fake worker that plays a recorded session, for debugging: what a user saw happens again.

The client speaks to a `ReplayedWorker` as to a real one. Each command is answered with
what the next recorded command of its kind was answered with, at the recorded pace or at
once; where a worker died in the recording, this one does, with the same sentence. The
recording is as little to be trusted as a worker: what can't be understood is passed on as
if a worker had sent it, and no wait is longer than `LONGEST_PAUSE`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

import msgspec

from urial_tui.engine.client.call import FINAL_EVENT
from urial_tui.engine.client.death import Moment
from urial_tui.engine.client.recording import Died, Received, Recording, Sent, Started
from urial_tui.engine.wire.commands import (
    Cancel,
    Command,
    FindDevices,
    Generate,
    LoadModel,
    Request,
    ScoreBoth,
    Shutdown,
)
from urial_tui.engine.wire.events import Failed, Ready
from urial_tui.engine.wire.frames import (
    VERSION,
    ProtocolError,
    decode_command,
    decode_event,
    encode,
)
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, RecordingError

LONGEST_PAUSE = 10.0
"""Seconds between two events of a request, at most."""

_ENDED = EngineDied("The recording ends here.", "Leave the replay with Ctrl+Q.")


class RecordedReply(msgspec.Struct, frozen=True, kw_only=True):
    """An event, as it came, and the seconds that passed before it."""

    body: bytes
    pause: float


class RecordedExchange(msgspec.Struct, frozen=True, kw_only=True):
    """A command, the seconds that the user took before it (`pause`), and what came of it.

    `death`: the worker ended so many seconds (`death_pause`) after the last reply, in the
    middle of the request or while nothing was asked of it any more.
    """

    command: Request
    pause: float = 0.0
    replies: tuple[RecordedReply, ...] = ()
    death: Died | None = None
    death_pause: float = 0.0


def exchanges(recording: Recording) -> Iterator[RecordedExchange]:
    """The recording as commands with their replies; cancellations are left out.

    Raises:
        RecordingError: A command is none of this version.
    """
    found: list[_Open] = []
    asked: dict[int, _Open] = {}
    before = waited = 0.0
    for entry in recording.entries:
        pause, before = _pause(entry.at - before), entry.at
        if isinstance(entry, Started):
            waited = pause
        elif isinstance(entry, Received) and found:
            # What answers nothing is seen beside the newest command, as it was then.
            answered = asked.get(_answers(entry), found[-1])
            answered.replies.append(RecordedReply(body=entry.body, pause=pause))
        elif isinstance(entry, Died) and found:
            found[-1].death, found[-1].death_pause = entry, pause
        elif isinstance(entry, Sent):
            command = _command(entry)
            if isinstance(command, Cancel | Shutdown):
                continue
            found.append(_Open(command, max(pause, waited)))
            asked[command.id] = found[-1]
            waited = 0.0
    for opened in found:
        yield RecordedExchange(
            command=opened.command,
            pause=opened.pause,
            replies=tuple(opened.replies),
            death=opened.death,
            death_pause=opened.death_pause,
        )


class _Open:
    """An exchange that is being read."""

    def __init__(self, command: Request, pause: float) -> None:
        self.command = command
        self.pause = pause
        self.replies: list[RecordedReply] = []
        self.death: Died | None = None
        self.death_pause = 0.0


def _answers(entry: Received) -> int:
    """The id of the command that an event answers; 0 for none."""
    try:
        return getattr(decode_event(entry.body), "id", 0)
    except ProtocolError:
        return 0


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
        recorded = _Kinds()
        self._kinds = [recorded.kind(exchange.command) for exchange in self.exchanges]
        self._asked = _Kinds()
        self.pace = pace
        self.played = 0
        """How many exchanges have been played or left out."""

    def launch(self, command: Sequence[str], log: WorkerLog) -> ReplayedWorker:
        """Start to play; another start goes on where the worker before it died."""
        return ReplayedWorker(self)

    def take(self, asked: Request) -> RecordedExchange | None:
        """The next exchange of a command's kind, leaving out those before it; None at the end."""
        wanted = self._asked.kind(asked)
        for number in range(self.played, len(self.exchanges)):
            if self._kinds[number] == wanted:
                self.played = number + 1
                return self.exchanges[number]
        return None


class _Kinds:
    """What commands ask, in their order: the sort of command, and of what sort of model."""

    def __init__(self) -> None:
        self._purposes: dict[int, Purpose] = {}

    def kind(self, command: Request) -> tuple[type, Purpose | None]:
        """The next command's."""
        if isinstance(command, LoadModel):
            self._purposes[command.model] = command.purpose
        if isinstance(command, FindDevices):
            return type(command), None
        model = command.aligned if isinstance(command, ScoreBoth) else command.model
        return type(command), self._purposes.get(model)


class ReplayedWorker:
    """The fake subprocess: answers commands as the recording does (a `process.Process`)."""

    pid = None

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._ended = threading.Event()
        self._hurry = threading.Event()
        self._died: Died | None = None
        ready = RecordedReply(body=encode(Ready(version=VERSION, library="")), pause=0.0)
        self._replies: queue.SimpleQueue[RecordedReply | Callable[[], None] | None] = (
            queue.SimpleQueue()
        )
        self._replies.put(ready)

    @property
    def alive(self) -> bool:
        """Whether it has not died yet."""
        return not self._ended.is_set()

    def write(self, command: Command) -> None:
        """Line up the replies to a command; a cancellation has what there is come at once."""
        if isinstance(command, Cancel):
            self._hurry.set()
        elif isinstance(command, Shutdown):
            self.kill()
        elif self._ended.is_set():
            raise BrokenPipeError
        else:
            self._hurry.clear()
            exchange = self._replay.take(command)
            for reply in _readdressed(exchange, command) if exchange else ():
                self._replies.put(reply)
            self._replies.put(lambda: self._follow(exchange, command))

    def read(self) -> bytes | None:
        """The next reply, after its time; None where the recording has no more of them.

        No reply takes so long that the client gives up.
        """
        while (item := self._replies.get()) is not None and self.alive:
            if isinstance(item, RecordedReply):
                self._hurry.wait(item.pause * self._replay.pace)
                return item.body if self.alive else None
            item()
        return None

    def _follow(self, exchange: RecordedExchange | None, command: Request) -> None:
        """All replies have been played: it may have died behind them, or the recording may end."""
        if exchange is not None and exchange.death is not None:
            wait = exchange.death_pause * self._replay.pace
            timer = threading.Timer(wait, self._die, (exchange.death,))
            timer.daemon = True
            timer.start()
        elif exchange is None or not _ends(exchange, command):
            self._die(None)

    def _die(self, died: Died | None) -> None:
        self._died = died
        self.kill()

    def kill(self) -> None:
        """End the fake process."""
        self._ended.set()
        self._hurry.set()
        self._replies.put(None)

    def hang_up(self) -> None:
        """Nothing more is asked of it."""
        self.kill()

    def reap(self) -> None:
        """Nothing is left of it."""

    def death(self, moment: Moment) -> EngineDied:
        """What was said about it, or that there is no more."""
        died = self._died
        return EngineDied(died.message, died.hint) if died else _ENDED


def _ends(exchange: RecordedExchange, command: Request) -> bool:
    """Whether the recording holds the end of as many answers as `command` asks for."""
    answers = command.samples if isinstance(command, Generate) else 1
    ended = 0
    for reply in exchange.replies:
        try:
            event = decode_event(reply.body)
        except ProtocolError:
            # The client ends the worker for it.
            return True
        if isinstance(event, Failed):
            return True
        ended += isinstance(event, FINAL_EVENT[type(exchange.command)])
    return ended >= answers


def _readdressed(exchange: RecordedExchange, command: Request) -> Iterator[RecordedReply]:
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
        if getattr(event, "id", None) == exchange.command.id:
            event = msgspec.structs.replace(event, id=command.id)
            yield msgspec.structs.replace(reply, body=encode(event))
