"""An engine whose workers play scripts: for timing and faults that a real one can't show.

All but the worker is the real client. A token of its vocabulary is a code point, so ids are
checked by reading them.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from urial_tui.engine.client.death import Moment, explained_death
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.commands import (
    Cancel,
    Command,
    FindDevices,
    Generate,
    LoadModel,
    PreparePreamble,
    ReadVocabulary,
    ScoreBoth,
    ScoreSide,
    ScoreStored,
    Shutdown,
    Tokenize,
    Trace,
    Unload,
)
from urial_tui.engine.wire.events import (
    DevicesFound,
    Event,
    Failed,
    Finished,
    Loaded,
    LoadProgress,
    PreambleReady,
    PrefillProgress,
    PromptReady,
    Ready,
    Scored,
    StopReason,
    TextDelta,
    Tokenized,
    Traced,
    TurnsDropped,
    Unloaded,
    VocabularyRead,
)
from urial_tui.engine.wire.frames import VERSION, encode
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import Device, ModelInfo, Segment, TextSegment, TokenSegment, Turn
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, EngineError

INFO = ModelInfo(
    path="/models/tiny.gguf",
    name="Tiny",
    architecture="llama",
    description="llama 1M F16",
    parameters=1_000_000,
    size=2_000_000,
    n_vocab=512,
    n_ctx=4096,
    n_ctx_train=4096,
    n_layer=2,
    n_swa=0,
    memory="attention",
    threads=2,
    gpu_layers=0,
    kv_type="f16",
)
"""What is told of a loaded model; its path and its contents follow from what was loaded."""

TINY = Path(INFO.path)


def ids_of(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def text_of(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))


def shown(segment: Segment) -> str:
    return segment.text if isinstance(segment, TextSegment) else text_of(segment.ids)


def shown_turns(request: Generate) -> str:
    """The turns as the model would read them."""
    return "".join(shown(segment) for turn in request.turns for segment in turn)


class Gate:
    """A place in a script where the worker waits: until it is opened, or the request cancelled.

    Args:
        deaf: It waits on where the request is cancelled; only the worker's end ends that.
    """

    def __init__(self, *, deaf: bool = False) -> None:
        self.reached = threading.Event()
        self.deaf = deaf
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def wait(self, unwanted: Callable[[], bool]) -> None:
        self.reached.set()
        while not (self._open.wait(0.005) or unwanted()):
            pass


Step = Event | Gate | EngineError | Callable[[], None]
"""An event is sent, to the request that is answered; a refusal ends the request, a death the
worker; what can be called is, in the thread that reads."""

Script = tuple[Step, ...]
Kind = Literal["answer", "load", "prepare", "read ahead", "score", "trace"]


class ScriptedEngine(Engine):
    """Has its workers play a script for each request, in the order in which they were enqueued.

    Args:
        info: What is told of a model that is loaded.
    """

    def __init__(self, info: ModelInfo = INFO) -> None:
        super().__init__(launch=self._launch_scripted)
        self.loadable = info
        self.cards: tuple[Device, ...] = ()
        self.greeting: Gate | None = None
        """Where a worker waits before it says that it is there, until it is ended."""
        self.backend_names: tuple[str, ...] = ("CPU",)
        self.server_devices: tuple[Device, ...] = ()
        """What RPC servers have, whichever are asked for."""
        self.pieces: dict[Purpose, tuple[bytes, ...]] = {}
        """The vocabularies of models that don't have the usual one, by what they are for."""
        self.loads: list[Path] = []
        self.watched_loads: list[tuple[Path, Path | None]] = []
        """The files and the adapters of what was loaded to read along."""
        self.requests: list[Generate] = []
        self.read_ahead: list[tuple[Turn, ...]] = []
        self.traces: list[Trace] = []
        self._scripts: dict[Kind, deque[Script]] = {}
        self._worker: ScriptedWorker | None = None

    def enqueue(self, *steps: Step) -> None:
        """The events of the next answer; PromptReady and Finished are made where missing."""
        self._enqueue("answer", steps)

    def enqueue_load(self, *steps: Step) -> None:
        self._enqueue("load", steps)

    def enqueue_prepare(self, *steps: Step) -> None:
        self._enqueue("prepare", steps)

    def enqueue_read_ahead(self, *steps: Step) -> None:
        self._enqueue("read ahead", steps)

    def enqueue_score(self, *steps: Step) -> None:
        self._enqueue("score", steps)

    def enqueue_trace(self, *steps: Step) -> None:
        self._enqueue("trace", steps)

    def take(self, kind: Kind, otherwise: Script = ()) -> Script:
        """The script that comes next; where none was enqueued, another one."""
        scripts = self._scripts.get(kind)
        return scripts.popleft() if scripts else otherwise

    def die(self, error: EngineDied) -> None:
        """End the worker as one ends of which nothing is asked."""
        assert self._worker is not None
        self._worker.die(error)

    def _enqueue(self, kind: Kind, steps: Script) -> None:
        self._scripts.setdefault(kind, deque()).append(steps)

    def _launch_scripted(self, command: Sequence[str], log: WorkerLog) -> ScriptedWorker:
        self._worker = ScriptedWorker(self, log)
        return self._worker


class ScriptedWorker:
    """Carries out one command after the other as the scripts say (a `process.Process`).

    It works in the thread that reads: a script goes on when its next event is wanted.

    Args:
        engine: Has the scripts, and keeps what was asked.
        log: Quoted where the worker is killed.
    """

    pid = None

    def __init__(self, engine: ScriptedEngine, log: WorkerLog) -> None:
        self._engine = engine
        self._log = log
        self._models: dict[int, LoadModel] = {}
        self._line: deque[Command] = deque()
        self._cancelled: set[int] = set()
        self._news = threading.Condition()
        self._hung_up = False
        self._ended = False
        self._death: EngineDied | None = None
        self._events = self._serve()

    # -- any thread -------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return not self._ended

    def write(self, command: Command) -> None:
        if self._ended:
            raise BrokenPipeError
        with self._news:
            if isinstance(command, Cancel):
                self._cancelled.add(command.id)
            else:
                self._line.append(command)
            self._news.notify_all()

    def read(self) -> bytes | None:
        try:
            event = next(self._events, None)
        except EngineDied as death:
            self.die(death)
        else:
            if event is None:
                self.kill()
            elif not self._ended:
                return encode(event)
        return None

    def hang_up(self) -> None:
        """Cancel what is asked of it, and end behind that."""
        with self._news:
            self._hung_up = True
            self._news.notify_all()

    def kill(self) -> None:
        with self._news:
            self._ended = True
            self._news.notify_all()

    def die(self, error: EngineDied) -> None:
        """End, and let this be why."""
        self._death = self._death or error
        self.kill()

    def reap(self) -> None:
        """Nothing is left of it."""

    def death(self, moment: Moment) -> EngineDied:
        return self._death or explained_death(-signal.SIGKILL, moment, self._log)

    # -- in the thread that reads -------------------------------------------------------

    def _serve(self) -> Iterator[Event]:
        if self._engine.greeting is not None:
            self._engine.greeting.wait(lambda: self._ended)
        if self._ended:
            return
        yield Ready(
            version=VERSION,
            library="scripted",
            devices=self._engine.cards,
            backends=self._engine.backend_names,
        )
        while (command := self._next()) is not None:
            assert not isinstance(command, Cancel | Shutdown)
            try:
                for event in self._carry_out(command):
                    yield msgspec.structs.replace(event, id=command.id)
            except EngineDied:
                raise
            except EngineError as error:
                yield Failed(id=command.id, message=error.message, hint=error.hint)

    def _next(self) -> Command | None:
        """The next command, when it comes; None where the worker is to end."""
        with self._news:
            self._news.wait_for(lambda: self._line or self._ended or self._hung_up)
            command = self._line.popleft() if self._line and not self._ended else None
        return None if isinstance(command, Shutdown) else command

    def _unwanted(self, request: int) -> bool:
        return request in self._cancelled or self._ended or self._hung_up

    def _play(self, script: Script, request: int) -> Iterator[Event]:
        """The events of a script, up to where its request is cancelled."""
        for step in script:
            if self._unwanted(request):
                return
            if isinstance(step, Gate):
                self._wait(step, request)
            elif isinstance(step, EngineError):
                raise step
            elif callable(step):
                step()
            else:
                yield step

    def _wait(self, gate: Gate, request: int) -> None:
        gate.wait(lambda: self._unwanted(0 if gate.deaf else request))

    def _play_whole(self, script: Script, request: int) -> Iterator[Event]:
        """The events of a script.

        Raises:
            EngineError: Its request was cancelled, or it says so.
        """
        yield from self._play(script, request)
        if self._unwanted(request):
            raise EngineError("Stopped.")

    def _carry_out(self, command: Command) -> Iterator[Event]:
        if not isinstance(
            command, FindDevices | LoadModel | Unload | ScoreBoth | Cancel | Shutdown
        ):
            self._model(command.model)
        match command:
            case FindDevices():
                yield DevicesFound(
                    id=0, devices=(*self._engine.server_devices, *self._engine.cards)
                )
            case LoadModel():
                yield from self._load(command)
            case Unload():
                self._models.pop(command.model, None)
                yield Unloaded(id=0)
            case PreparePreamble():
                yield from self._prepare(command)
            case Tokenize():
                turns = tuple(map(_ids_of_turn, command.turns))
                yield Tokenized(id=0, turns=turns)
            case ReadVocabulary():
                usual = tuple(bytes([code]) for code in range(128))
                pieces = self._engine.pieces.get(self._model(command.model).purpose, usual)
                yield VocabularyRead(id=0, pieces=pieces, types=(1,) * len(pieces))
            case Generate():
                yield from self._answer(command)
            case Trace():
                self._engine.traces.append(command)
                yield from self._play_whole(self._engine.take("trace"), command.id)
                yield Traced(id=0)
            case ScoreBoth() | ScoreSide() | ScoreStored():
                yield from self._play_whole(self._engine.take("score"), command.id)
                yield Scored(id=0, scores=b"", context=(), ids=())
            case _:
                raise AssertionError(command)

    def _model(self, handle: int) -> LoadModel:
        if handle not in self._models:
            raise EngineError("No model is loaded.", "Load a model first.")
        return self._models[handle]

    def _load(self, command: LoadModel) -> Iterator[Event]:
        path, adapter = Path(command.path), command.adapter
        if command.purpose == "watched":
            self._engine.watched_loads.append((path, Path(adapter) if adapter else None))
        else:
            self._engine.loads.append(path)
        script = self._engine.take("load", (LoadProgress(id=0, fraction=1.0),))
        yield from self._play_whole(script, command.id)
        self._models[command.model] = command
        info = msgspec.structs.replace(
            self._engine.loadable,
            path=command.path,
            content=f"what is in {path}",
            adapter_content=f"what is in {adapter}" if adapter else "",
        )
        yield Loaded(id=0, info=info, load_s=0.1)

    def _prepare(self, command: PreparePreamble) -> Iterator[Event]:
        if command.turns:
            self._engine.read_ahead.append(command.turns)
            yield from self._play_whole(self._engine.take("read ahead"), command.id)
            yield PreambleReady(id=0, tokens=512, source="memory", seconds=0.0)
        else:
            script = self._engine.take("prepare", (prefill("preamble", 512, 512),))
            yield from self._play_whole(script, command.id)
            yield PreambleReady(id=0, tokens=512, source="computed", seconds=0.2)

    def _answer(self, request: Generate) -> Iterator[Event]:
        self._engine.requests.append(request)
        script = self._engine.take("answer", answer("Certainly."))
        if request.prefix:
            begun = "".join(map(shown, request.prefix))
            script = (delta(begun, generated=0), *script)
        written: dict[int, list[TextDelta]] = {sample: [] for sample in range(request.samples)}
        prompt_ready = False
        for event in self._play(script, request.id):
            if not prompt_ready and isinstance(event, TextDelta | Finished):
                prompt_ready = True
                yield prompt_of(request)
            prompt_ready = prompt_ready or isinstance(event, PromptReady)
            if isinstance(event, TextDelta):
                written[event.sample].append(event)
            yield event
            if isinstance(event, Finished):
                del written[event.sample]
            if not written:
                return
        reason: StopReason = "cancelled" if self._unwanted(request.id) else "stop"
        for sample, deltas in written.items():
            yield finished(
                "".join(part.text for part in deltas),
                reason,
                ids=tuple(token for part in deltas for token in part.ids),
                tail=(deltas[-1].pending if deltas else "") + request.close,
                sample=sample,
            )


def _ids_of_turn(turn: Turn) -> tuple[tuple[int, ...], ...]:
    return tuple(
        segment.ids if isinstance(segment, TokenSegment) else ids_of(segment.text)
        for segment in turn
    )


def prefill(
    stage: Literal["preamble", "prompt"], done: int, total: int, reused: int = 0
) -> PrefillProgress:
    return PrefillProgress(id=0, stage=stage, done=done, reused=reused, total=total)


def prompt_of(request: Generate) -> PromptReady:
    turns = tuple(map(_ids_of_turn, request.turns))
    return PromptReady(id=0, turns=turns, reused=512, prefilled=10, used=700)


def delta(
    text: str,
    *,
    pending: str = "",
    ids: tuple[int, ...] | None = None,
    generated: int | None = None,
    sample: int = 0,
) -> TextDelta:
    return TextDelta(
        id=0,
        text=text,
        ids=ids_of(text) if ids is None else ids,
        pending=pending,
        generated=len(text) if generated is None else generated,
        sample=sample,
    )


def dropped(turns: int) -> TurnsDropped:
    return TurnsDropped(id=0, turns=turns, tokens=100)


def finished(
    text: str,
    reason: StopReason = "stop",
    *,
    close: str = "",
    ids: tuple[int, ...] | None = None,
    tail: str | None = None,
    stopped_by: str = "",
    room: int = 2000,
    sample: int = 0,
) -> Finished:
    return Finished(
        id=0,
        stop_reason=reason,
        text=text,
        ids=ids_of(text) if ids is None else ids,
        tail=close if tail is None else tail,
        generated=len(text),
        used=800,
        stopped_by=stopped_by,
        room=room,
        decode_s=1.0,
        decode_tokens_per_s=75.0,
        sample=sample,
    )


def answer(text: str, pieces: int = 3) -> tuple[Step, ...]:
    """Deltas that spell `text`."""
    size = max(1, len(text) // pieces)
    return tuple(delta(text[at : at + size]) for at in range(0, len(text), size))
