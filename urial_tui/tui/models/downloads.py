"""A queue of downloads with a thread of its own, which go on while one chats.

The application owns it. Whoever looks sees states that are replaced as a whole; what ended is told
once. What came of a file is kept whatever ends it, and the same name goes on with it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from urial_tui import wording
from urial_tui.errors import UrialError
from urial_tui.mistakes import explaining
from urial_tui.models.pace import Meter, Pace

if TYPE_CHECKING:
    from urial_tui.models.download import Downloader, Progress
    from urial_tui.models.pull import Pulled

DownloadStage = Literal["waiting", "going", "done", "stopped", "failed"]

_PATIENCE = 3.0
"""Seconds that the end of the application waits for the thread: a host's name that is looked up
can't be interrupted, and harms nobody."""


class DownloadState(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a download. `pace`: of the file that comes; `size` in bytes of all its files.

    `stopping`: it was told to end and has not yet; `again`: it is wanted once more then;
    `interrupted`: by the end of the application. `called`: what the model is as MODEL; `new`:
    whether it was not here before.
    """

    name: str
    stage: DownloadStage = "waiting"
    pace: Pace = Pace()
    stopping: bool = False
    again: bool = False
    interrupted: bool = False
    new: bool = True
    size: int = 0
    called: str = ""
    error: UrialError | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits or goes on."""
        return self.stage in ("waiting", "going")


def make_downloader(
    progress: Progress, read: Progress, retry: Callable[[str], object]
) -> Downloader:
    """The real one; imported when something is downloaded."""
    from urial_tui.models.download import Downloader

    return Downloader(progress, read=read, retry=retry)


class Downloads:
    """A queue of models to download; any thread may call it.

    Args:
        make: Makes what downloads, and tells of what came, of what is read that lay there, and why
            something is asked for again.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        make: Callable[[Progress, Progress, Callable[[str], object]], Downloader] = make_downloader,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._clock = clock
        self._lock = threading.RLock()
        self._states: dict[str, DownloadState] = {}
        self._news: list[DownloadState] = []
        self._thread: threading.Thread | None = None
        self._downloader: Downloader | None = None
        self._closed = False
        self.draft = ""
        """An address that was typed, and of which nothing is downloaded yet."""

    @property
    def states(self) -> tuple[DownloadState, ...]:
        """In the order in which they were asked for; those that ended, too."""
        with self._lock:
            return tuple(self._states.values())

    def state(self, name: str) -> DownloadState | None:
        """That of a model; None where it was not asked for."""
        with self._lock:
            return self._states.get(name)

    @property
    def busy(self) -> bool:
        """Whether something waits or goes on."""
        return any(state.is_open for state in self.states)

    def add(self, name: str) -> None:
        """Download a model, behind those that wait; once is enough."""
        with self._lock:
            known = self._states.get(name)
            if self._closed or (known is not None and known.is_open):
                if known is not None and known.stopping:
                    self._change(name, again=True)
                return
            self._states.pop(name, None)
            self._states[name] = DownloadState(name=name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def stop(self, name: str) -> None:
        """End one; what came is kept."""
        with self._lock:
            state = self._states.get(name)
            if state is None or not state.is_open:
                return
            if state.stage == "waiting":
                self._end(name, stage="stopped")
                return
            self._change(name, stopping=True, again=False)
            downloader = self._downloader
        if downloader is not None:
            downloader.cancel()

    def forget(self, name: str) -> None:
        """Know no more of one that has ended."""
        with self._lock:
            state = self._states.get(name)
            if state is not None and not state.is_open:
                del self._states[name]

    def news(self) -> list[DownloadState]:
        """Those that ended since this was asked for."""
        with self._lock:
            news, self._news = self._news, []
            return news

    def close(self) -> None:
        """End all; safe to call twice."""
        with self._lock:
            self._closed = True
            thread = self._thread
        for state in self.states:
            if state.is_open and not state.stopping:
                self._change(state.name, interrupted=True)
            self.stop(state.name)
        if thread is not None:
            thread.join(_PATIENCE)

    # -- the thread -----------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._lock:
                waiting = [one.name for one in self.states if one.stage == "waiting"]
                if not waiting:
                    self._thread = None
                    return
                name = waiting[0]
                self._change(name, stage="going")
            self._do(name)

    def _do(self, name: str) -> None:
        from urial_tui.models.connection import Cancelled

        pulled: Pulled | None = None
        try:
            with explaining(), contextlib.suppress(Cancelled):
                pulled = self._pull(name)
        except UrialError as error:
            # Who is interrupted may say that in its own way.
            state = self.state(name)
            if state is not None and state.stopping:
                self._end(name, stage="stopped")
            else:
                self._end(name, stage="failed", error=error)
        else:
            if pulled is None:
                self._end(name, stage="stopped")
                return
            self._end(
                name,
                stage="done",
                interrupted=False,
                called=pulled.name,
                new=any(file.new for file in pulled.files),
                size=sum(file.size for file in pulled.files),
            )
        finally:
            with self._lock:
                self._downloader = None

    def _pull(self, name: str) -> Pulled:
        from urial_tui.models.pull import pull

        meter = Meter(self._clock)

        def count(done: int, total: int) -> None:
            self._change(name, pace=meter.count(done, total))

        def read(done: int, total: int) -> None:
            self._change(name, pace=meter.read(done, total))

        def retry(why: str) -> None:
            self._change(name, pace=meter.again(why))

        def begin(file: str) -> None:
            self._change(name, pace=meter.begin(file))

        with self._make(count, read, retry) as downloader:
            with self._lock:
                self._downloader = downloader
                state = self._states[name]
            if state.stopping:
                downloader.cancel()
            return pull(name, downloader, begin)

    def _change(self, name: str, **values: object) -> None:
        with self._lock, contextlib.suppress(KeyError):
            self._states[name] = msgspec.structs.replace(self._states[name], **values)

    def _end(self, name: str, **values: object) -> None:
        with self._lock:
            state = self._states[name]
            if state.stopping and state.again and not self._closed:
                self._states[name] = DownloadState(name=name)
                return
            self._change(name, stopping=False, **values)
            self._news.append(self._states[name])


def in_short(downloads: Downloads) -> str:
    """Their progress in a few words, for the status line; "" where nothing is downloaded."""
    states = [state for state in downloads.states if state.is_open]
    going = next((state for state in states if state.stage == "going"), None)
    if going is None:
        return wording.amount(len(states), "download") if states else ""
    what = going.name.rsplit("/", 1)[-1]
    pace = going.pace
    words = [what if len(what) <= _SHORT else f"{what[: _SHORT - 1]}…"]
    if pace.total and not pace.reading:
        words.append(f"{pace.done / pace.total:.0%}")
    if pace.seconds_left is not None:
        words.append(wording.duration(pace.seconds_left))
    more = f" +{len(states) - 1}" if len(states) > 1 else ""
    return f"{' '.join(words)}{more}"


_SHORT = 20
"""Characters of a name in such a line."""


def told(state: DownloadState) -> str:
    """What came of a download, a sentence."""
    match state.stage:
        case "done" if state.new:
            return f"{state.name} is here: {wording.size(state.size)}."
        case "done":
            return f"{state.name} was here already."
        case "stopped":
            kept = "What came is kept" if state.pace.done else "Nothing of it had come"
            return f"The download of {state.name} was stopped. {kept}."
        case "failed":
            return str(state.error)
        case _:
            return f"{state.name} is being downloaded."


def left_behind(downloads: Downloads) -> list[str]:
    """What to say of downloads that the end of the application interrupted, sentences."""
    return [_left(state) for state in downloads.states if state.interrupted]


def _left(state: DownloadState) -> str:
    command = f"`urial models pull {state.name}`"
    pace = state.pace
    if not pace.done:
        return f"The download of {state.name} had not begun; {command} downloads it."
    share = f" at {pace.done / pace.total:.0%}" if pace.total and not pace.reading else ""
    return (
        f"The download of {state.name} was interrupted{share}; what came is kept. The models "
        f"screen goes on with it next time, or {command}."
    )
