"""Finds the examples of one question after another; what that takes stays in between.

The index stays open, and is opened again where it was built again meanwhile. An embedding model has
a worker of its own: a chat's worker may be loaded anew, stopped or lost without it. Between two
questions it gives its memory back to whoever has too little, and is loaded again when it is asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.prompting.preamble import Preamble
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.runtime.retriever import Retrieved, Retriever, named_embedder, open_retriever

if TYPE_CHECKING:
    from urial_tui.engine.client.engine import Engine
    from urial_tui.runtime.embedder import ModelEmbedder


class OpenRetriever:
    """What finds examples, for a chat that may ask under any preamble; one question at a time.

    Args:
        make_engine: Makes the worker of an embedding model, when the first is needed.
        load_file: Loads its file.
    """

    def __init__(self, make_engine: Callable[[], Engine], load_file: LoadFile = load) -> None:
        self._kept = _KeptEmbedder(make_engine, load_file)
        self._preamble: Preamble | None = None
        self._embedder: ModelEmbedder | None = None
        self._open: Retriever | None = None

    def loads(self, preamble: Preamble, options: EngineOptions) -> str:
        """The embedding model that has to be loaded for a question; "" where none has."""
        name = "" if preamble.retrieval is None else preamble.retrieval.embedding
        return "" if not name or self._kept.loaded(name, options) else name

    def retrieve(
        self, preamble: Preamble, question: str, options: EngineOptions
    ) -> EventSteps[Retrieved | None]:
        """The examples of a question, or None where the preamble has its own: the events of the
        embedding model.

        Args:
            preamble: Says where they are.
            question: What they shall be like.
            options: How an embedding model is loaded.

        Raises:
            RetrievalError: The index is missing, damaged, or of another kind or model.
            ModelError: The embedding model can't be had.
            EngineError: It failed, or was cancelled.
            EngineDied: Its worker ended.
        """
        if preamble.retrieval is None:
            return None
        embedder = None
        with self._kept.used():
            if preamble.retrieval.embedding:
                embedder = yield from self._kept.get(preamble.retrieval.embedding, options)
            if (
                self._open is None
                or self._preamble != preamble
                or self._embedder is not embedder
                or not self._open.is_current
            ):
                self._close_index()
                self._open = open_retriever(preamble, embedder)
                self._preamble, self._embedder = preamble, embedder
            assert self._open is not None
            return (yield from self._open.retrieve(question))

    def cancel(self) -> None:
        """End what the embedding model does; any thread."""
        self._kept.cancel()

    def close(self) -> None:
        """End the worker; any thread, safe to call twice."""
        self._kept.close()

    def _close_index(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _KeptEmbedder:
    """The embedding model that was asked last, in a worker of its own."""

    def __init__(self, make_engine: Callable[[], Engine], load_file: LoadFile) -> None:
        self._make_engine = make_engine
        self._load_file = load_file
        self._engine: Engine | None = None
        self._embedder: ModelEmbedder | None = None
        self._asked: tuple[str, EngineOptions] | None = None
        self._in_use = False
        self._closed = False

    def loaded(self, name: str, options: EngineOptions) -> bool:
        """Whether it is this one, and still there."""
        return (
            self._asked == (name, options)
            and self._embedder is not None
            and self._embedder.model.loaded
        )

    def get(self, name: str, options: EngineOptions) -> EventSteps[ModelEmbedder]:
        """This one, loaded in place of the last if it is another."""
        if not self.loaded(name, options):
            if self._engine is None:
                self._engine = self._make_engine()
                PLAN.may_give_way(self._engine, lambda: not self._in_use)
            before = None if self._embedder is None else self._embedder.model
            try:
                self._embedder = yield from named_embedder(
                    self._engine,
                    name,
                    options,
                    load_file=self._load_file,
                    instead_of=before if before is not None and before.loaded else None,
                )
            finally:
                if self._closed:
                    self._engine.close()
            self._asked = name, options
        assert self._embedder is not None
        return self._embedder

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """For as long as a question is looked at: it does not give way."""
        self._in_use = True
        try:
            yield
        finally:
            self._in_use = False

    def cancel(self) -> None:
        if self._engine is not None:
            self._engine.cancel()

    def close(self) -> None:
        self._closed = True
        if self._engine is not None:
            self._engine.close()
