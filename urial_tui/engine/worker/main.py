"""The worker process: reads commands, carries them out one at a time, writes events.

It speaks on pipes of its own: fds 0 and 1 are moved away at once and replaced, so that
whatever native code prints lands in the log file (fd 2). A thread reads commands, because
`Cancel` has to be seen while native code runs; every native call is made by the main
thread, but for those that `llama` names. When the client goes away, the worker does so too,
whatever it is doing.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from urial_tui.engine.wire.frames import ProtocolError, decode_command, read_frame, write_frame
from urial_tui.engine.wire.protocol import (
    VERSION,
    Cancel,
    Command,
    Event,
    Failed,
    Generate,
    Loaded,
    LoadModel,
    LoadProgress,
    Notice,
    PreparePreamble,
    ReadVocabulary,
    Ready,
    Score,
    Shutdown,
    Slot,
    Tokenize,
    Tokenized,
    Trace,
    Unload,
    Unloaded,
    VocabularyRead,
)
from urial_tui.engine.worker.content import Contents
from urial_tui.errors import EngineError

if TYPE_CHECKING:
    from urial_tui.engine.native.context import AbortFlag
    from urial_tui.engine.native.llama import Model
    from urial_tui.engine.worker.loaded import LoadedModel

_LAST_BREATH = 2.0
"""Seconds that native code gets to notice the abort flag after the client has gone."""


class Commands:
    """Commands as they arrive; cancellation as soon as it arrives."""

    def __init__(self, fd: int, flag: AbortFlag) -> None:
        self._fd = fd
        self._flag = flag
        self._queue: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._current = 0
        self._cancelled: set[int] = set()
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def next(self) -> Command | None:
        """The next command, None when the client has gone. Its cancellation starts to count."""
        command = self._queue.get()
        request = getattr(command, "id", 0)
        with self._lock:
            self._current = request
            self._flag.clear()
            if request in self._cancelled:
                self._flag.set()
            self._cancelled = {other for other in self._cancelled if other > request}
        return command

    @property
    def waiting(self) -> bool:
        """Whether there is a next command already."""
        return not self._queue.empty()

    def _read(self) -> None:
        try:
            while (frame := read_frame(self._fd)) is not None:
                command = decode_command(frame)
                if not isinstance(command, Cancel):
                    self._queue.put(command)
                    continue
                with self._lock:
                    self._cancelled.add(command.id)
                    if command.id == self._current:
                        self._flag.set()
        except (OSError, ProtocolError):
            traceback.print_exc()
        finally:
            self._queue.put(None)
            self._flag.set()
            timer = threading.Timer(_LAST_BREATH, os._exit, (1,))
            timer.daemon = True
            timer.start()


class Worker:
    """The state of the process: what is loaded in each slot."""

    def __init__(self, events: int, cache_dir: Path, flag: AbortFlag) -> None:
        self._events = events
        self._cache_dir = cache_dir
        self._contents = Contents(cache_dir)
        self._flag = flag
        self._slots: dict[Slot, LoadedModel] = {}
        self._request_id = 0
        self._evaluated = False
        self._read: dict[Model, tuple[list[bytes], list[int]]] = {}
        """A vocabulary that was read before it was asked for."""

    def emit(self, event: Event) -> None:
        """Send an event; the process ends quietly when nobody listens any more."""
        try:
            write_frame(self._events, event)
        except OSError:
            os._exit(0)

    def handle(self, command: Command) -> None:
        """Carry out one command; a failure becomes its final event."""
        from urial_tui.engine.native.context import Aborted, DecodeError
        from urial_tui.engine.native.llama import LoadCancelled

        request = getattr(command, "id", 0)
        self._evaluated |= isinstance(command, PreparePreamble | Generate | Score | Trace)
        try:
            if isinstance(command, LoadModel):
                self._load(command)
            elif isinstance(command, PreparePreamble):
                self._prepare(command)
            elif isinstance(command, Generate):
                self._generate(command)
            elif isinstance(command, Tokenize):
                loaded = self._model()
                head = (loaded.model.vocab.bos,) if command.start else ()
                turns = tuple(
                    (*head, *loaded.tokenize(turn, start=command.start)) for turn in command.turns
                )
                self.emit(Tokenized(id=request, turns=turns))
            elif isinstance(command, Score):
                self._score(command)
            elif isinstance(command, Trace):
                self._trace(command)
            elif isinstance(command, ReadVocabulary):
                self._read_vocabulary(command)
            elif isinstance(command, Unload):
                self._unload(command.slot)
                self.emit(Unloaded(id=request))
        except EngineError as error:
            self.emit(Failed(id=request, message=error.message, hint=error.hint))
        except (Aborted, LoadCancelled):
            self.emit(Failed(id=request, message="Stopped."))
        except (DecodeError, MemoryError) as error:
            traceback.print_exc()
            for loaded in self._slots.values():
                loaded.cache.reset()
            self.emit(
                Failed(
                    id=request,
                    message=f"The model could not be evaluated: {error or 'memory ran out'}.",
                    hint="Try again with a smaller context, or load the model again.",
                )
            )

    def tidy(self) -> bool:
        """Some milliseconds of what can wait until nobody does; whether there is more of it."""
        models = {loaded.model for loaded in self._slots.values()}
        if self._evaluated:
            self._evaluated = False
            for model in models:
                model.weights.find()
        return any(model.weights.move() for model in models)

    def close(self) -> None:
        """Free the models."""
        for slot in tuple(self._slots):
            self._unload(slot)

    def _reading(self, model: Model) -> threading.Thread:
        """Reads a vocabulary: who loads a second side asks for it next, and it takes as long."""

        def read() -> None:
            self._read[model] = model.vocab.read_all()

        thread = threading.Thread(target=read, name="vocabulary", daemon=True)
        thread.start()
        return thread

    def _unload(self, slot: Slot) -> None:
        self._read.clear()
        loaded = self._slots.pop(slot, None)
        if loaded:
            loaded.close()

    def _load(self, command: LoadModel) -> None:
        from urial_tui.engine.worker.loaded import LoadedModel

        self._unload(command.slot)
        started = time.perf_counter()
        # The decode loop needs numpy; the main thread is about to wait in native code.
        threading.Thread(target=_import_numpy, daemon=True).start()
        shown = -1

        def progress(fraction: float) -> None:
            nonlocal shown
            percent = int(fraction * 100)
            if percent > shown:
                shown = percent
                self.emit(LoadProgress(id=command.id, fraction=fraction))

        def notice(message: str) -> None:
            self.emit(Notice(id=self._request_id, message=message))

        self._request_id = command.id
        other = next(iter(self._slots.values()), None)
        aside = self._reading(other.model) if other and command.slot == "second" else None
        try:
            loaded = LoadedModel(
                command, self._cache_dir, self._flag, progress, notice, other, self._contents
            )
        finally:
            if aside:
                aside.join()
        self._slots[command.slot] = loaded
        self.emit(Loaded(id=command.id, info=loaded.info, load_s=time.perf_counter() - started))

    def _prepare(self, command: PreparePreamble) -> None:
        from urial_tui.engine.worker.generation import prepare

        self._request_id = command.id
        self.emit(prepare(self._model(command.slot), command, self.emit))

    def _generate(self, command: Generate) -> None:
        from urial_tui.engine.worker.generation import generate

        self._request_id = command.id
        second = self._model("second") if command.watch else None
        generate(self._model(), second, command, self.emit)

    def _score(self, command: Score) -> None:
        from urial_tui.engine.worker.forcing import score

        second = self._slots.get("second")
        self.emit(score(self._model(command.slot), second, command, self.emit))

    def _trace(self, command: Trace) -> None:
        from urial_tui.engine.worker.tracing import trace

        self._request_id = command.id
        self.emit(trace(self._model(), command, self.emit))

    def _read_vocabulary(self, command: ReadVocabulary) -> None:
        model = self._model(command.slot).model
        read = self._read.pop(model) if model in self._read else model.vocab.read_all()
        pieces, types = read
        self.emit(VocabularyRead(id=command.id, pieces=tuple(pieces), types=tuple(types)))

    def _model(self, slot: Slot = "main") -> LoadedModel:
        loaded = self._slots.get(slot)
        if loaded is None:
            raise EngineError("No model is loaded.", "Load a model first.")
        return loaded


def _import_numpy() -> None:
    import numpy  # noqa: F401


def _own_pipes() -> tuple[int, int]:
    """Move commands and events to fds of their own; native code keeps only the log."""
    commands, events = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return commands, events


def main() -> None:
    """Serve one client until it closes the pipe or says Shutdown."""
    commands_fd, events_fd = _own_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from urial_tui.engine.native import llama
        from urial_tui.engine.native.context import AbortFlag

        llama.initialise()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        traceback.print_exc()
        write_frame(
            events_fd,
            Failed(
                id=0,
                message=f"llama.cpp can't be loaded: {error}.",
                hint="Install llama-cpp-python again (`make setup` in a checkout).",
            ),
        )
        return
    flag = AbortFlag()
    commands = Commands(commands_fd, flag)
    worker = Worker(events_fd, Path(sys.argv[1]), flag)
    worker.emit(Ready(version=VERSION, library=llama.system_info(), devices=llama.devices()))
    while True:
        while not commands.waiting and worker.tidy():
            pass
        command = commands.next()
        if command is None or isinstance(command, Shutdown):
            break
        worker.handle(command)
    worker.close()


if __name__ == "__main__":
    main()
