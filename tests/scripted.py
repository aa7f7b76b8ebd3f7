"""An engine that plays a script: for timing and faults that a real one can't be made to show.

A token of its vocabulary is a code point, so ids are checked by reading them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import msgspec

from urial_tui.engine.wire.protocol import (
    Device,
    EngineOptions,
    Event,
    Finished,
    Loaded,
    LoadProgress,
    ModelInfo,
    PreambleReady,
    PrefillProgress,
    PromptReady,
    Sampling,
    Segment,
    Slot,
    StopReason,
    StopRules,
    TextDelta,
    TextSegment,
    TokenSegment,
    Trace,
    Traced,
    Turn,
    TurnsDropped,
    VocabularyRead,
    Watch,
)
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


def ids_of(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def text_of(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What `generate` was called with."""

    preamble: Turn
    turns: tuple[Turn, ...]
    sampling: Sampling | None
    stops: StopRules | None
    close: str
    max_tokens: int
    prefix: Turn
    watch: Watch | None = None
    samples: int = 1

    @property
    def text(self) -> str:
        """The turns as the model would read them."""
        return "".join(shown(segment) for turn in self.turns for segment in turn)


def shown(segment: Segment) -> str:
    return segment.text if isinstance(segment, TextSegment) else text_of(segment.ids)


class Gate:
    """A place in a script where the engine waits: until it is opened, or cancelled."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def wait(self, cancelled: threading.Event) -> None:
        self.reached.set()
        while not (self._open.wait(0.005) or cancelled.is_set()):
            pass


Step = Event | Gate | BaseException | Callable[[], None]


class ScriptedEngine:
    """Plays one script for each request, in the order in which they were enqueued."""

    def __init__(self, info: ModelInfo = INFO) -> None:
        self.info: ModelInfo | None = None
        self.second_info: ModelInfo | None = None
        self.second_loads: list[tuple[Path, Path | None]] = []
        self.pieces: dict[Slot, tuple[bytes, ...]] = {}
        self.requests: list[Request] = []
        self.loads: list[Path] = []
        self.closed = False
        self.alive = False
        self._loadable = info
        self._answers: list[tuple[Step, ...]] = []
        self._load_scripts: list[tuple[Step, ...]] = []
        self._prepares: list[tuple[Step, ...]] = []
        self.read_ahead: list[tuple[Turn, ...]] = []
        self._read_aheads: list[tuple[Step, ...]] = []
        self.traces: list[Trace] = []
        self._traces: list[tuple[Step, ...]] = []
        self._cancelled = threading.Event()
        self._running = False
        self._death: EngineDied | None = None
        self._on_end: Callable[[], None] = lambda: None

    @classmethod
    def loaded(cls) -> ScriptedEngine:
        engine = cls()
        engine.info = engine._loadable
        return engine

    def enqueue(self, *steps: Step) -> None:
        """The events of the next answer; PromptReady and Finished are made where missing."""
        self._answers.append(steps)

    def enqueue_load(self, *steps: Step) -> None:
        self._load_scripts.append(steps)

    def enqueue_prepare(self, *steps: Step) -> None:
        self._prepares.append(steps)

    def enqueue_read_ahead(self, *steps: Step) -> None:
        self._read_aheads.append(steps)

    def enqueue_trace(self, *steps: Step) -> None:
        self._traces.append(steps)

    pid = None
    cards: tuple[Device, ...] = ()

    def devices(self) -> tuple[Device, ...]:
        self.alive = True
        return self.cards

    def start(self) -> None:
        self.alive = True

    def load(
        self,
        path: Path,
        *,
        adapter: Path | None = None,
        options: EngineOptions | None = None,
        slot: Slot = "main",
    ) -> Generator[Event, None, None]:
        self.alive = True
        if slot == "second":
            self.second_loads.append((path, adapter))
            self.second_info = None
        else:
            self.loads.append(path)
            self.info = None
        script = self._load_scripts.pop(0) if self._load_scripts else (_progress(1.0),)
        yield from self._play(script)
        if slot == "second" and self._cancelled.is_set():
            raise EngineError("Stopped.")
        info = msgspec.structs.replace(
            self._loadable,
            path=str(path),
            content=f"what is in {path}",
            adapter_content=f"what is in {adapter}" if adapter else "",
        )
        if slot == "second":
            self.second_info = info
        else:
            self.info = info
        yield Loaded(id=0, info=info, load_s=0.1)

    def unload(self, slot: Slot) -> None:
        assert slot == "second"
        self.second_info = None

    def vocabulary(self, slot: Slot) -> VocabularyRead:
        pieces = self.pieces.get(slot, tuple(bytes([code]) for code in range(128)))
        return VocabularyRead(id=0, pieces=pieces, types=(1,) * len(pieces))

    def prepare(
        self, preamble: Turn, slot: Slot = "main", *, turns: Sequence[Turn] = ()
    ) -> Generator[Event, None, None]:
        if turns:
            self.read_ahead.append(tuple(turns))
            script: tuple[Step, ...] = self._read_aheads.pop(0) if self._read_aheads else ()
            yield from self._play(script)
            yield PreambleReady(id=0, tokens=512, source="memory", seconds=0.0)
            return
        script = self._prepares.pop(0) if self._prepares else (prefill("preamble", 512, 512),)
        yield from self._play(script)
        yield PreambleReady(id=0, tokens=512, source="computed", seconds=0.2)

    def generate(
        self,
        *,
        preamble: Turn,
        turns: Sequence[Turn],
        sampling: Sampling | None = None,
        stops: StopRules | None = None,
        close: str = "",
        max_tokens: int = 512,
        prefix: Turn = (),
        watch: Watch | None = None,
        samples: int = 1,
    ) -> Generator[Event, None, None]:
        self.requests.append(
            Request(
                preamble=preamble,
                turns=tuple(turns),
                sampling=sampling,
                stops=stops,
                close=close,
                max_tokens=max_tokens,
                prefix=prefix,
                watch=watch,
                samples=samples,
            )
        )
        script = self._answers.pop(0) if self._answers else answer("Certainly.")
        if prefix:
            begun = "".join(map(shown, prefix))
            script = (delta(begun, generated=0), *script)
        text = [""] * samples
        pending = [""] * samples
        ids: list[tuple[int, ...]] = [()] * samples
        left = list(range(samples))
        prompt_ready = False
        for event in self._play(script):
            if not prompt_ready and isinstance(event, TextDelta | Finished):
                prompt_ready = True
                yield prompt_of(self.requests[-1])
            prompt_ready = prompt_ready or isinstance(event, PromptReady)
            if isinstance(event, TextDelta):
                text[event.sample] += event.text
                ids[event.sample] += event.ids
                pending[event.sample] = event.pending
            yield event
            if isinstance(event, Finished):
                left.remove(event.sample)
            if not left:
                return
        reason: StopReason = "cancelled" if self._cancelled.is_set() else "stop"
        for n in left:
            yield finished(
                text[n], reason, close=close, ids=ids[n], tail=pending[n] + close, sample=n
            )

    def trace(self, request: Trace) -> Generator[Event, None, None]:
        self.traces.append(request)
        yield from self._play(self._traces.pop(0) if self._traces else ())
        if self._cancelled.is_set():
            raise EngineError("Stopped.")
        yield Traced(id=0)

    def watch(self, listener: Callable[[], None]) -> None:
        self._on_end = listener

    def take_death(self) -> EngineDied | None:
        death, self._death = self._death, None
        return death

    def die(self, error: EngineDied) -> None:
        """End as a worker does of which nothing is asked."""
        self.info = self.second_info = None
        self.alive, self._death = False, error
        self._on_end()

    def cancel(self) -> None:
        if self._running:
            self._cancelled.set()

    def close(self) -> None:
        self.closed = True
        self.alive = False
        self._cancelled.set()

    def _play(self, script: Sequence[Step]) -> Generator[Event, None, None]:
        self._cancelled.clear()
        self._running = True
        try:
            for step in script:
                if isinstance(step, Gate):
                    step.wait(self._cancelled)
                elif isinstance(step, BaseException):
                    if isinstance(step, EngineDied):
                        self.info = self.second_info = None
                        self.alive = False
                    raise step
                elif callable(step):
                    step()
                else:
                    yield step
                if self._cancelled.is_set():
                    return
        finally:
            self._running = False


def _progress(fraction: float) -> LoadProgress:
    return LoadProgress(id=0, fraction=fraction)


def prefill(stage: str, done: int, total: int, reused: int = 0) -> PrefillProgress:
    assert stage in ("preamble", "prompt")
    return PrefillProgress(
        id=0,
        stage="preamble" if stage == "preamble" else "prompt",
        done=done,
        reused=reused,
        total=total,
    )


def prompt_of(request: Request, drop: int = 0) -> PromptReady:
    turns = tuple(
        tuple(
            segment.ids if isinstance(segment, TokenSegment) else ids_of(segment.text)
            for segment in turn
        )
        for turn in request.turns[drop:]
    )
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
