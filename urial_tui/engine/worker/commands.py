"""What each command of the client does, and the models that are loaded, by their handles."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from urial_tui.engine.wire.commands import (
    Command,
    Embed,
    FindDevices,
    Generate,
    LoadModel,
    PreparePreamble,
    ReadVocabulary,
    ScoreBoth,
    ScoreRequest,
    ScoreSide,
    Tokenize,
    Trace,
    Unload,
)
from urial_tui.engine.wire.events import (
    DevicesFound,
    Loaded,
    LoadProgress,
    Notice,
    Tokenized,
    Unloaded,
    VocabularyRead,
)
from urial_tui.engine.wire.values import ModelInfo
from urial_tui.engine.worker.content import Contents
from urial_tui.engine.worker.steps import Emit, Steps
from urial_tui.errors import EngineError

if TYPE_CHECKING:
    from urial_tui.engine.native.abort_flag import AbortFlag
    from urial_tui.engine.native.llama import NativeModel
    from urial_tui.engine.worker.embedding import LoadedEmbedder
    from urial_tui.engine.worker.loaded import LoadedModel
    from urial_tui.engine.worker.pool import AnswerPool
    from urial_tui.engine.worker.weights import Weights


class CommandTable:
    """Carries out commands on the models that are loaded.

    Args:
        emit: Takes the events.
        cache_dir: Where evaluated preambles are kept.
        flag: Stops a running evaluation.
    """

    def __init__(self, emit: Emit, cache_dir: Path, flag: AbortFlag) -> None:
        self.emit = emit
        self._cache_dir = cache_dir
        self._contents = Contents(cache_dir)
        self._flag = flag
        self._models: dict[int, LoadedModel] = {}
        self._embedders: dict[int, LoadedEmbedder] = {}
        self._pools: dict[LoadedModel, AnswerPool] = {}
        self._request_id = 0
        self._evaluated = False
        self._read: dict[NativeModel, tuple[list[bytes], list[int]]] = {}
        """A vocabulary that was read before it was asked for."""

    def carry_out(self, command: Command) -> Steps[None]:
        """Do what a command says, up to its final event; it yields in front of each evaluation.

        Raises:
            EngineError, Aborted, DecodeError, LoadCancelled, MemoryError: It could not be done.
        """
        self._request_id = getattr(command, "id", 0)
        if isinstance(command, LoadModel):
            self._load(command)
        elif isinstance(command, FindDevices):
            self._find_devices(command)
        elif isinstance(command, PreparePreamble):
            yield from self._prepare(command)
        elif isinstance(command, Generate):
            yield from self._generate(command)
        elif isinstance(command, Tokenize):
            self._tokenize(command)
        elif isinstance(command, ScoreRequest):
            yield from self._score(command)
        elif isinstance(command, Trace):
            yield from self._trace(command)
        elif isinstance(command, Embed):
            yield from self._embed(command)
        elif isinstance(command, ReadVocabulary):
            self._read_vocabulary(command)
        elif isinstance(command, Unload):
            self._unload(command.model)
            self.emit(Unloaded(id=command.id))

    def write_together(self, request: Generate) -> None:
        """Hand an answer to the pool of its model.

        Raises:
            EngineError: The model is not loaded, or there is no room for a pool.
        """
        from urial_tui.engine.worker.pool import AnswerPool

        loaded = self._model(request.model)
        self._request_id = request.id
        self._evaluated = True
        if loaded not in self._pools:
            self._pools[loaded] = AnswerPool(loaded, self.emit)
        self._pools[loaded].submit(request)

    @property
    def pools(self) -> tuple[AnswerPool, ...]:
        """Where answers are written together."""
        return tuple(self._pools.values())

    def forget_evaluated(self) -> None:
        """An evaluation failed: what the memories hold is not to be trusted."""
        for loaded in self._models.values():
            loaded.cache.reset()
            loaded.forget_forced()

    def tidy(self) -> bool:
        """Some milliseconds of what can wait until nobody does; whether there is more of it."""
        models = {weights.model for weights in self._weights}
        if self._evaluated:
            self._evaluated = False
            for model in models:
                model.weights.find()
        return any(model.weights.move() for model in models)

    def close(self) -> None:
        """Free the models."""
        for handle in (*self._models, *self._embedders):
            self._unload(handle)

    def _reading(self) -> threading.Thread:
        """Reads the vocabularies of what is loaded: who loads a model to be compared with asks for
        them next, and a vocabulary takes as long as a model.
        """
        models = {loaded.model for loaded in self._models.values()}

        def read() -> None:
            for model in models - self._read.keys():
                self._read[model] = model.vocab.read_all()

        thread = threading.Thread(target=read, name="vocabulary", daemon=True)
        thread.start()
        return thread

    def _unload(self, handle: int) -> None:
        embedder = self._embedders.pop(handle, None)
        if embedder is not None:
            embedder.close()
        loaded = self._models.pop(handle, None)
        if loaded is None:
            return
        self._read.clear()
        pool = self._pools.pop(loaded, None)
        if pool is not None:
            pool.fail(EngineError("The model was unloaded.", "Load it again, and ask again."))
        loaded.close()

    def _load(self, command: LoadModel) -> None:
        if command.model in self._models or command.model in self._embedders:
            raise EngineError("Two models can't have one handle.", "Please report this.")
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

        if command.purpose == "embedding":
            info = self._load_embedder(command, progress, notice)
        else:
            info = self._load_model(command, progress, notice)
        self.emit(Loaded(id=command.id, info=info, load_s=time.perf_counter() - started))

    def _find_devices(self, command: FindDevices) -> None:
        from urial_tui.engine.native.devices import devices
        from urial_tui.engine.worker.weights import reach

        reach(command.servers, {server for one in self._weights for server in one.servers})
        self.emit(DevicesFound(id=command.id, devices=devices(command.servers)))

    def _load_model(
        self,
        command: LoadModel,
        progress: Callable[[float], None],
        notice: Callable[[str], None],
    ) -> ModelInfo:
        from urial_tui.engine.worker.loaded import LoadedModel

        aside = self._reading() if command.purpose in ("watched", "base") else None
        try:
            loaded = LoadedModel(
                command,
                self._cache_dir,
                self._flag,
                progress,
                notice,
                self._weights,
                self._contents,
            )
        finally:
            if aside:
                aside.join()
        self._models[command.model] = loaded
        return loaded.info

    def _load_embedder(
        self,
        command: LoadModel,
        progress: Callable[[float], None],
        notice: Callable[[str], None],
    ) -> ModelInfo:
        from urial_tui.engine.worker.embedding import LoadedEmbedder

        self._embedders[command.model] = embedder = LoadedEmbedder(
            command, self._flag, progress, notice, self._weights, self._contents
        )
        return embedder.info

    def _prepare(self, command: PreparePreamble) -> Steps[None]:
        from urial_tui.engine.worker.generation import prepare

        self._evaluated = True
        ready = yield from prepare(self._model(command.model), command, self.emit)
        self.emit(ready)

    def _generate(self, command: Generate) -> Steps[None]:
        from urial_tui.engine.worker.generation import answer

        self._evaluated = True
        second = self._model(command.watch.model) if command.watch else None
        yield from answer(self._model(command.model), second, command, self.emit)

    def _tokenize(self, command: Tokenize) -> None:
        loaded = self._model(command.model)
        head = (loaded.model.vocab.bos,) if command.start else ()
        turns = tuple(
            (*head, *loaded.tokenize(turn, start=command.start)) for turn in command.turns
        )
        self.emit(Tokenized(id=command.id, turns=turns))

    def _score(self, command: ScoreRequest) -> Steps[None]:
        from urial_tui.engine.worker.forcing import score_both, score_side, score_stored

        self._evaluated = True
        try:
            if isinstance(command, ScoreBoth):
                aligned, base = self._model(command.aligned), self._model(command.base)
                scored = yield from score_both(aligned, base, command, self.emit)
            elif isinstance(command, ScoreSide):
                scored = yield from score_side(self._model(command.model), command, self.emit)
            else:
                scored = yield from score_stored(self._model(command.model), command, self.emit)
        except Exception:
            # The cells may hold half a batch, or what is no number.
            for loaded in self._models.values():
                loaded.forget_forced()
            raise
        self.emit(scored)

    def _trace(self, command: Trace) -> Steps[None]:
        from urial_tui.engine.worker.tracing import trace

        self._evaluated = True
        traced = yield from trace(self._model(command.model), command, self.emit)
        self.emit(traced)

    def _embed(self, command: Embed) -> Steps[None]:
        embedder = self._embedders.get(command.model)
        if embedder is None:
            # Says so where there is none at all.
            self._model(command.model)
            raise EngineError(
                "This model was loaded to write, not to make vectors of texts.",
                "Load an embedding model for that.",
            )
        self._evaluated = True
        embedded = yield from embedder.embed(command, self.emit)
        self.emit(embedded)

    def _read_vocabulary(self, command: ReadVocabulary) -> None:
        model = self._model(command.model).model
        read = self._read.pop(model) if model in self._read else model.vocab.read_all()
        pieces, types = read
        self.emit(VocabularyRead(id=command.id, pieces=tuple(pieces), types=tuple(types)))

    @property
    def _weights(self) -> tuple[Weights, ...]:
        """Those of all models, which another one of the same files may share."""
        writing = (loaded.weights for loaded in self._models.values())
        return (*writing, *(embedder.weights for embedder in self._embedders.values()))

    def _model(self, handle: int) -> LoadedModel:
        if handle in self._embedders:
            raise EngineError(
                "This model was loaded to make vectors of texts, and writes none.",
                "Load a language model for that.",
            )
        loaded = self._models.get(handle)
        if loaded is None:
            raise EngineError("This model is not loaded any more.", "Load it again.")
        return loaded


def _import_numpy() -> None:
    import numpy  # noqa: F401
