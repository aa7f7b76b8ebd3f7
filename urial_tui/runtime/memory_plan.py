"""What this program has in memory, over all its engines, and what fits beside it.

A model is entered before it is loaded, and stays for as long as it is there; so two that are loaded
at the same time know of each other. What it needs is `models.memory_need`'s estimate. A worker
takes some of that late (a mapped file is read when something is evaluated, a cache is touched when
it fills): what it has not taken yet is not free for others. A file counts once in an engine,
however often it is loaded there; engines share none, for the library may have its weights in
buffers of its own, and idle workers move them (`engine.native.huge_pages`).

Who gives way: what belongs to somebody else who said so and has nothing to do (`may_give_way`); of
these the model that was loaded first. Only then is a model refused, or its user warned. What lies
on an RPC server that the new one needs gives way in any case: a server serves one engine.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from urial_tui import wording
from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import EngineError, ModelError
from urial_tui.memory import MachineMemory, memory_now
from urial_tui.models.fit import Weighed, cards_among, fit_together, need_of, weigh
from urial_tui.models.memory_need import PROCESS_BYTES
from urial_tui.sanitize import sanitize_line

PARALLEL = (16, 8, 4, 2, 1)
"""Numbers of answers at once to choose from. More are hardly faster: 1.03 times from 16 to 32 on
two cores, and each takes cells of its own."""


class ReadMemory(Protocol):
    """Tells what the machine has (`memory.memory_now`)."""

    def __call__(self, *, leaving: Collection[int], promised: dict[int, int]) -> MachineMemory:
        """See there."""
        ...


class PlanEntry:
    """A model that is being loaded, or is.

    Args:
        engine: Where.
        owner: Whose it is; nobody gives way to what is his own.
        path: Its file.
        options: How it is loaded.
        purpose: What for.
        weights, rest: Bytes of the machine's memory that it needs, of the file and beside it,
            without the process.
    """

    def __init__(
        self,
        engine: Engine,
        owner: object,
        path: Path,
        options: EngineOptions,
        purpose: Purpose,
        *,
        weights: int,
        rest: int,
    ) -> None:
        self.engine = engine
        self.owner = owner
        self.path = path
        self.options = options
        self.purpose = purpose
        self.weights = weights
        self.rest = rest
        self.file = _identity(path)
        self.model: Model | None = None
        self._left = False

    @property
    def holds(self) -> bool:
        """Whether it takes memory now."""
        return not self._left and (self.model is None or self.model.loaded)

    def loaded(self, model: Model) -> None:
        """Note that the model is loaded."""
        self.model = model

    def leave(self) -> None:
        """It could not be loaded."""
        self._left = True


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A model that may be loaded. `warning`: why it will be slow, or nothing."""

    entry: PlanEntry
    warning: str


class MemoryPlan:
    """The admission control of memory, over all engines; from any thread.

    Args:
        read_memory: Tells what the machine has.
    """

    def __init__(self, read_memory: ReadMemory = memory_now) -> None:
        self._read_memory = read_memory
        self._lock = threading.Lock()
        self._entries: list[PlanEntry] = []
        self._idle: weakref.WeakKeyDictionary[Engine, Callable[[], bool]] = (
            weakref.WeakKeyDictionary()
        )

    def may_give_way(self, engine: Engine, idle: Callable[[], bool]) -> None:
        """Let others have the memory of an engine's models while `idle` says so; from any thread.

        They are unloaded then: whoever uses the engine looks whether they are `loaded`.
        """
        with self._lock:
            self._idle[engine] = idle

    def admit(
        self,
        engine: Engine,
        path: Path,
        options: EngineOptions,
        purpose: Purpose = "chat",
        *,
        instead_of: Model | None = None,
        owner: object | None = None,
    ) -> EventSteps[Admitted]:
        """Make room for a model, and enter it; the events of what gives way.

        Args:
            engine: Where it will be loaded.
            path: Its file.
            options: How.
            purpose: What for.
            instead_of: A model of this engine that is unloaded first.
            owner: Whose it is; the engine where that is not said.

        Raises:
            ModelError: It can't fit, alone or beside what is loaded, or the file is no model.
            EngineDied: The worker ended when it was asked for its graphics cards.
        """
        owner = engine if owner is None else owner
        yield from self._free_servers(engine, owner, options)
        weighed = self._weigh(engine, path, options, purpose, instead_of)
        asked: list[PlanEntry] = []
        while True:
            with self._lock:
                free = self._free(engine, instead_of)
                warning = weighed.check(free)
                trouble = self._beside(weighed, engine, instead_of, free.total)
                short = bool(warning or trouble)
                yielding = [
                    entry for entry in self._yielding(owner) if short and entry not in asked
                ]
                if not yielding:
                    if trouble is not None:
                        raise trouble
                    entry = _enter(engine, owner, options, purpose, weighed)
                    self._entries.append(entry)
                    return Admitted(entry=entry, warning=warning)
            asked.append(yielding[0])
            yield from _unload(yielding[0])

    def _free_servers(
        self, engine: Engine, owner: object, options: EngineOptions
    ) -> EventSteps[None]:
        """Unload what may give way of other engines that hold RPC servers which this one needs."""
        with self._lock:
            holding = [
                entry
                for entry in self._yielding(owner)
                if entry.engine is not engine and {*entry.options.servers} & {*options.servers}
            ]
        for entry in holding:
            yield from _unload(entry)

    def _weigh(
        self,
        engine: Engine,
        path: Path,
        options: EngineOptions,
        purpose: Purpose,
        instead_of: Model | None,
    ) -> Weighed:
        """What a model needs, and where. The engine is asked for its cards where they matter."""
        weighed = weigh(path, options, purpose, devices=())
        if not options.gpu_layers:
            return weighed
        with self._lock:
            free = self._free(engine, instead_of)
        # Servers get their layers whether there is room here or not.
        if not options.rpc and _is_plain(weighed, free):
            return weighed
        return weigh(path, options, purpose, devices=engine.devices(options.servers))

    def fits(
        self,
        models: Sequence[tuple[Path, Purpose]],
        options: EngineOptions,
        *,
        owner: object,
        replacing: Engine | None = None,
    ) -> bool:
        """Whether models fit beside each other and what stays; True where nobody can tell.

        Graphics cards are not counted.

        Args:
            models: Their files, and what for.
            options: How they would be loaded.
            owner: Whose they would be: others may give way.
            replacing: An engine whose models would be unloaded.

        Raises:
            ModelError: A file is no model.
        """
        with self._lock:
            leaving = {entry.engine for entry in self._yielding(owner)}
            memory = self._memory(leaving | ({replacing} if replacing else set()))
        return fit_together(models, options, memory=memory)

    def widen(self, model: Model, purpose: Purpose = "together") -> None:
        """Have a loaded model used for more, for which it gets another context.

        Raises:
            ModelError: There is too little memory for that; says how much.
        """
        with self._lock:
            entry = next((each for each in self._held() if each.model is model), None)
            # What a graphics card has free is not known; a recorded session has no file.
            if entry is None or entry.purpose == purpose or model.info.gpu_layers:
                return
            options = msgspec.structs.replace(entry.options, gpu_layers=0)
            more = (
                need_of(entry.path, options, purpose).buffers
                - need_of(entry.path, options, entry.purpose).buffers
            )
            free = self._memory(()).available
            if free is not None and more > free:
                raise ModelError(
                    f"Several answers at once need {wording.size(more)} of memory more, and "
                    f"{wording.size(free)} are free.",
                    "Close other programs, or set a smaller engine.context.",
                )
            entry.purpose = purpose
            entry.rest += more

    def together(
        self,
        engine: Engine,
        path: Path,
        options_for: Callable[[int], EngineOptions],
        asked: int | None = None,
    ) -> EngineOptions:
        """How a model is loaded for many answers at once: as many as are asked for, or have room.

        Where nobody asks, these are the most of `PARALLEL` whose contexts fit into what is free
        once others have given way, or one.

        Args:
            engine: Where it will be loaded; asked for its graphics cards where they matter.
            path: The model's file.
            options_for: How it is loaded for so many.
            asked: How many are wanted.

        Raises:
            ModelError: The machine could never hold so many, or the file is no model.
            EngineDied: The worker ended when it was asked for its graphics cards.
        """
        with self._lock:
            memory = self._memory({entry.engine for entry in self._yielding(engine)})
        fitting = next(
            (
                number
                for number in PARALLEL
                if fit_together([(path, "together")], options_for(number), memory=memory)
            ),
            1,
        )
        if asked is None or asked <= fitting:
            return options_for(asked or fitting)
        options = options_for(asked)
        need = need_of(path, msgspec.structs.replace(options, gpu_layers=0), "together").total
        if memory.total is None or need <= memory.total:
            return options
        if options.gpu_layers and cards_among(engine.devices(options.servers)):
            return options
        raise ModelError(
            f"To write {asked} answers together takes {wording.size(need)} of memory, and this "
            f"machine has {wording.size(memory.total)}.",
            f"Write fewer at once: there is room for {fitting} now.",
        )

    # -- with the lock ----------------------------------------------------------------

    def _held(self) -> list[PlanEntry]:
        self._entries = [entry for entry in self._entries if entry.holds]
        return self._entries

    def _free(self, engine: Engine, instead_of: Model | None) -> MachineMemory:
        """What there is for one more model of an engine, all of which may be replaced by it."""
        stays = [model for model in engine.models if model is not instead_of]
        return self._memory(() if stays else (engine,))

    def _memory(self, leaving: Collection[Engine]) -> MachineMemory:
        promised: dict[int, int] = {}
        for number, engine in enumerate({entry.engine for entry in self._held()}):
            if engine not in leaving:
                promised[engine.pid or -1 - number] = self._taken([engine], None)
        gone = [engine.pid for engine in leaving if engine.pid is not None]
        return self._read_memory(leaving=gone, promised=promised)

    def _taken(self, engines: Collection[Engine], without: Model | None) -> int:
        """Bytes that the models of engines need, one of them apart."""
        held = [
            entry
            for entry in self._held()
            if entry.engine in engines and (without is None or entry.model is not without)
        ]
        files = {(id(entry.engine), entry.file): entry.weights for entry in held}
        processes = len({id(entry.engine) for entry in held})
        rest = sum(entry.rest for entry in held)
        return sum(files.values()) + rest + processes * PROCESS_BYTES

    def _beside(
        self, weighed: Weighed, engine: Engine, instead_of: Model | None, total: int | None
    ) -> ModelError | None:
        """Why a model does not fit beside what stays, where that is so."""
        stays = [
            entry for entry in self._held() if instead_of is None or entry.model is not instead_of
        ]
        if total is None or not stays:
            return None
        taken = self._taken({entry.engine for entry in stays}, instead_of)
        needed = weighed.placed.host
        if any(entry.engine is engine for entry in stays):
            needed -= PROCESS_BYTES
        file = _identity(weighed.path)
        needed -= next((e.weights for e in stays if e.engine is engine and e.file == file), 0)
        if needed + taken <= total:
            return None
        names = sorted({sanitize_line(entry.path.name) for entry in stays})
        return ModelError(
            f"The model {sanitize_line(weighed.path.name)} does not fit beside "
            f"{' and '.join(names)}: it needs {wording.size(needed)} of memory, and of the "
            f"{wording.size(total)} of this machine {wording.size(taken)} are taken by what is "
            "loaded.",
            "Choose a smaller model, or set a smaller engine.context.",
        )

    def _yielding(self, owner: object) -> list[PlanEntry]:
        """What may give way to an owner, in its order."""
        return [
            entry
            for entry in self._held()
            if entry.owner is not owner
            and entry.model is not None
            and not entry.engine.busy
            and self._idle.get(entry.engine, _never)()
        ]


PLAN = MemoryPlan()
"""That of this process, whose memory is one."""


def _unload(entry: PlanEntry) -> EventSteps[None]:
    assert entry.model is not None
    with suppress(EngineError):
        yield from entry.model.unload().steps()


def _enter(
    engine: Engine, owner: object, options: EngineOptions, purpose: Purpose, weighed: Weighed
) -> PlanEntry:
    need, placed = weighed.need, weighed.placed
    weights = need.weights * (need.layers + 1 - placed.layers) // (need.layers + 1)
    return PlanEntry(
        engine,
        owner,
        weighed.path,
        options,
        purpose,
        weights=weights,
        rest=max(0, placed.host - weights - PROCESS_BYTES),
    )


def _is_plain(weighed: Weighed, memory: MachineMemory) -> bool:
    """Whether a model has room on the machine alone, so that nobody need ask for its cards."""
    try:
        return not weighed.check(memory)
    except ModelError:
        return False


def _identity(path: Path) -> tuple[int, ...]:
    """Which file it is, by place and state; one that is not there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _never() -> bool:
    return False
