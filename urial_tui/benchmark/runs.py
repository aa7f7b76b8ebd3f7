"""The runs of a benchmark, one step at a time.

Each run takes every step once: a machine that is busy for a while then spoils a little of
every figure instead of all of one. The steps follow each other, one process at a time, and
every run starts its processes afresh. The model's file is read once before the first run,
so a cold start here means a new process and an empty preamble cache, not a file that has
to come from the disk.

What was measured before an interruption or a failure stays, and `report` gives it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from urial_tui.benchmark.memory_speed import bytes_per_token, read_speed
from urial_tui.benchmark.prompts import BEGUN, NUMBERS, QUESTION, WARM_UP, pause_s
from urial_tui.benchmark.report import (
    DecodeRates,
    FirstToken,
    MemoryBound,
    Report,
    library_version,
    spread,
    this_machine,
)
from urial_tui.benchmark.start import ProcessStart, ask_command, read_start
from urial_tui.engine.client.call import EventSteps, follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event, Finished, Loaded
from urial_tui.engine.wire.values import EngineOptions, ModelInfo, Sampling, TextSegment, Turn
from urial_tui.errors import EngineError
from urial_tui.models.registry import ResolvedModel
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.render import open_turn, preamble_text
from urial_tui.runtime.loading import load

T = TypeVar("T")

_PREFILL_NUMBERS = " ".join(str(number) for number in range(1, 257))
"""Evaluated where the preamble has no text of its own."""


class Interrupted(Exception):
    """`Benchmark.interrupt` was called; what was measured so far is in the report."""


@dataclass
class _Figures:
    """The values of the runs."""

    load_s: list[float] = field(default_factory=list)
    prefill: list[float] = field(default_factory=list)
    decode_empty: list[float] = field(default_factory=list)
    decode_preamble: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    disk: list[float] = field(default_factory=list)
    running: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    memory_share: list[float] = field(default_factory=list)


class Benchmark:
    """Measures one model with one preamble. Use it as a context manager.

    Args:
        model: MODEL as `urial ask` takes it, and the files that it stands for.
        preamble: PREAMBLE as `urial ask` takes it, and what it stands for.
        options: As the settings have them, for the commands read these too.
        tokens: Tokens to generate for each decoding rate.
    """

    def __init__(
        self,
        *,
        model: tuple[str, ResolvedModel],
        preamble: tuple[str, Preamble],
        options: EngineOptions,
        tokens: int,
    ) -> None:
        self._model, self._resolved = model
        self._preamble_name, self._preamble = preamble
        self._options = options
        self._tokens = tokens
        self._figures = _Figures()
        self._notes: dict[str, None] = {}
        self._info: ModelInfo | None = None
        self._preamble_tokens = 0
        self._weight_bytes: int | None = None
        self._machine = this_machine()
        self._engine: Engine | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._interrupted = False
        self._directory = Path()
        self.steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("a start without the preamble on disk", self.start_cold),
            ("a start with the preamble on disk", self.start_from_disk),
            ("speed in a running process", self.measure_running),
        )
        """What one run does, in this order, with words for each step."""

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="urial-bench-"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def interrupt(self) -> None:
        """End the running step with `Interrupted`; may be called from a signal handler."""
        self._interrupted = True
        if self._engine is not None:
            self._engine.cancel()
        if self._child is not None:
            self._child.kill()

    @property
    def has_figures(self) -> bool:
        """Whether anything was measured yet."""
        return any(vars(self._figures).values())

    def report(self, runs: int, *, complete: bool) -> Report:
        """What is known. `runs`: how many were finished."""
        figures, info = self._figures, self._info
        return Report(
            model=self._model,
            description=info.description if info else "",
            preamble=self._preamble.name,
            preamble_tokens=self._preamble_tokens,
            threads=info.threads if info else 0,
            gpu_layers=info.gpu_layers if info else 0,
            n_ctx=info.n_ctx if info else 0,
            kv_type=self._options.kv_type,
            machine=self._machine,
            library=library_version(),
            runs=runs,
            complete=complete,
            tokens=self._tokens,
            load_s=spread(figures.load_s),
            prefill_tokens_per_s=spread(figures.prefill),
            decode_tokens_per_s=DecodeRates(
                empty=spread(figures.decode_empty), preamble=spread(figures.decode_preamble)
            ),
            first_token_s=FirstToken(
                cold=spread(figures.cold),
                disk=spread(figures.disk),
                running=spread(figures.running),
            ),
            memory=MemoryBound(
                weight_bytes_per_token=self._weight_bytes,
                read_bytes_per_s=spread(figures.memory),
                share=spread(figures.memory_share),
            ),
            notes=tuple(self._notes),
        )

    # -- steps ----------------------------------------------------------------------

    def warm_up(self) -> None:
        """Read the model's file once, and find out whether all of this works at all.

        Raises:
            EngineError: The model can't be loaded, or the preamble does not fit.
            Interrupted: Somebody wants to stop.
        """
        with self._running_engine() as engine:
            model, _ = self._load(engine)
            if model.info.gpu_layers == 0:
                self._weight_bytes = bytes_per_token(self._resolved.path)
            # A preamble that is too long for the context is refused before it is evaluated.
            with contextlib.closing(model.prepare(self._preamble_turn)) as call:
                next(call, None)

    def start_cold(self) -> None:
        """A process of its own, with an empty cache."""
        shutil.rmtree(self._cache_home, ignore_errors=True)
        start = self._start()
        if start.preamble_source == "computed":
            self._figures.cold.append(start.first_token_s)
        else:
            self._note(
                "The preamble cache could not be set aside, "
                "so a start without the preamble on disk was not measured."
            )

    def start_from_disk(self) -> None:
        """A process of its own, with what `start_cold` left on the disk."""
        start = self._start()
        if start.preamble_source == "disk":
            self._figures.disk.append(start.first_token_s)
        else:
            self._note(
                "The preamble was not kept on disk (it is too short, or the disk is full), "
                "so a start from there was not measured."
            )
        shutil.rmtree(self._cache_home, ignore_errors=True)

    def measure_running(self) -> None:
        """Load, prefill, decode and a first token in an engine of its own; then the memory."""
        figures = self._figures
        decoded = len(figures.decode_empty)
        with self._running_engine() as engine:
            model, load_s = self._load(engine)
            figures.load_s.append(load_s)
            numbers = (TextSegment(text=NUMBERS),)
            # The first evaluation also maps the weights into the new process.
            self._generate(model, (), numbers, WARM_UP)
            time.sleep(pause_s(self._resolved.path.stat().st_size))
            self._add_rate(figures.decode_empty, self._generate(model, (), numbers, self._tokens))
            text = preamble_text(self._preamble) or _PREFILL_NUMBERS
            prefilled = self._generate(model, (), (TextSegment(text=text),), 1)
            figures.prefill.append(prefilled.prefill_tokens_per_s)
            ready = self._result(model.prepare(self._preamble_turn).steps())
            self._preamble_tokens = ready.tokens
            turn = (TextSegment(text=open_turn(self._preamble, QUESTION) + BEGUN),)
            finished = self._generate(model, self._preamble_turn, turn, self._tokens)
            figures.running.append(finished.first_token_s)
            self._add_rate(figures.decode_preamble, finished)
        # With the engine gone, so that nothing else reads.
        figures.memory.append(read_speed(self._info.threads if self._info else 1))
        if self._weight_bytes is not None and len(figures.decode_empty) > decoded:
            rate = figures.decode_empty[-1]
            figures.memory_share.append(rate * self._weight_bytes / figures.memory[-1])

    # -- how ------------------------------------------------------------------------

    @property
    def _cache_home(self) -> Path:
        return self._directory / "cache"

    @property
    def _preamble_turn(self) -> Turn:
        text = preamble_text(self._preamble)
        return (TextSegment(text=text),) if text else ()

    @contextlib.contextmanager
    def _running_engine(self) -> Generator[Engine, None, None]:
        cache = self._directory / "engine"
        with Engine(cache_dir=cache) as engine:
            self._engine = engine
            try:
                yield engine
            except EngineError:
                if self._interrupted:
                    raise Interrupted from None
                raise
            finally:
                self._engine = None
        shutil.rmtree(cache, ignore_errors=True)

    def _load(self, engine: Engine) -> tuple[Model, float]:
        """The model, and the seconds that its loading took."""
        seconds = 0.0

        def note(event: Event) -> None:
            nonlocal seconds
            if isinstance(event, Loaded):
                seconds = event.load_s

        path, adapter = self._resolved.path, self._resolved.adapter
        model = self._result(load(engine, path, adapter=adapter, options=self._options), note)
        self._info = model.info
        return model, seconds

    def _generate(self, model: Model, preamble: Turn, turn: Turn, tokens: int) -> Finished:
        call = model.generate(
            preamble=preamble, turns=(turn,), sampling=Sampling(), max_tokens=tokens
        )
        return self._result(call.steps())

    def _result(
        self, steps: EventSteps[T], note: Callable[[Event], None] = lambda event: None
    ) -> T:
        """What comes of a request; `note` gets its events.

        Raises:
            Interrupted: Somebody wants to stop; the request is ended.
        """

        def take(event: Event) -> None:
            self._stop_if_asked()
            note(event)

        with contextlib.closing(steps):
            self._stop_if_asked()
            result = follow(steps, take)
        self._stop_if_asked()
        return result

    def _start(self) -> ProcessStart:
        self._stop_if_asked()
        environment = os.environ | {"XDG_CACHE_HOME": os.fspath(self._cache_home)}
        with subprocess.Popen(
            ask_command(self._model, self._preamble_name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        ) as child:
            self._child = child
            try:
                # An interruption between the check and here had no child to end.
                if self._interrupted:
                    child.kill()
                output, errors = child.communicate()
            finally:
                self._child = None
        self._stop_if_asked()
        return read_start(child.returncode, output, errors)

    def _add_rate(self, values: list[float], finished: Finished) -> None:
        """Count a decoding rate, unless the text ended too early to tell one."""
        if 2 * finished.generated < self._tokens or finished.decode_tokens_per_s <= 0:
            self._note(
                f"The model ended a text before half of {self._tokens:,} tokens, so the speed "
                "of that text does not count."
            )
            return
        values.append(finished.decode_tokens_per_s)

    def _note(self, sentence: str) -> None:
        self._notes[sentence] = None

    def _stop_if_asked(self) -> None:
        if self._interrupted:
            raise Interrupted
