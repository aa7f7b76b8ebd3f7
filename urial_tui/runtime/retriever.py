"""Finds the examples that are most like a question, for a preamble that has none of its own.

A pair whose query is the question itself is left out (`plain_text` compares them): what is asked
may be in the pool, and then the answer would stand in front of it. So is a pair that the format's
stop rules would cut. Both are counted.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from urial_tui.engine.client.call import EventSteps
from urial_tui.errors import RetrievalError
from urial_tui.prompting.context import Context, RetrievedExamples
from urial_tui.prompting.pool import plain_text, shortened
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.render import close_text, open_turn
from urial_tui.prompting.stops import answer_end, stop_rules
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, fixed

if TYPE_CHECKING:
    from urial_tui.engine.client.engine import Engine
    from urial_tui.engine.client.model import Model
    from urial_tui.engine.wire.values import EngineOptions
    from urial_tui.prompting.retrieval_index import FoundPair, RetrievalIndex
    from urial_tui.runtime.embedder import Embedder, ModelEmbedder

MOST_LOOKED_AT = 1000
"""Pairs that are looked at for a question, should all be left out."""


class RetrievedPair(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that is shown. `number`: its place in the index, from 1. `score`: how similar it is.
    `cut`: its answer was longer than allowed.
    """

    number: int
    score: float
    query: str
    cut: bool


class Retrieved(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for a question.

    `examples`, `pairs`: most similar last. `same`: pairs left out that ask the question itself.
    `unfit`: those left out that the format would cut.
    """

    examples: tuple[Example, ...]
    pairs: tuple[RetrievedPair, ...]
    same: int
    unfit: int
    seconds: float


class Retriever:
    """Finds examples in an index.

    Args:
        preamble: Says where, how many, and how long.
        index: That one, open.
        embedder: The model that the preamble names; None where it names none.

    Raises:
        RetrievalError: The index is of another model, or is one of words.
    """

    def __init__(
        self, preamble: Preamble, index: RetrievalIndex, embedder: Embedder | None = None
    ) -> None:
        assert preamble.retrieval is not None, "the preamble has its own examples"
        assert embedder or not preamble.retrieval.embedding, "the model that it names is asked"
        self._preamble = preamble
        self._retrieval = preamble.retrieval
        self._index = index
        self._embedder = embedder
        if embedder is not None:
            index.check_embedder(embedder.identity, embedder.size)

    @property
    def key(self) -> str:
        """All that decides which examples a question gets, as a digest."""
        return _key(self._preamble, self._index.header.identity)

    @property
    def is_current(self) -> bool:
        """Whether the index was not built again since it was opened."""
        return self._index.is_current

    def retrieve(self, question: str) -> EventSteps[Retrieved]:
        """The examples of a question: the events of the embedding model, if there is one.

        Raises:
            RetrievalError: The index can't be read.
        """
        started = time.perf_counter()
        if self._embedder is None:
            ranked = self._index.by_words(question)
        else:
            (row,) = yield from self._embedder.embed([question])
            ranked = self._index.by_vector(row, self._embedder.identity)
        chosen, same, unfit = self._chosen(question, ranked)
        chosen.reverse()
        return Retrieved(
            examples=tuple(example for _, example in chosen),
            pairs=tuple(
                RetrievedPair(
                    number=found.number + 1,
                    score=found.score,
                    query=found.pair.query,
                    cut=example.answer != found.pair.answer,
                )
                for found, example in chosen
            ),
            same=same,
            unfit=unfit,
            seconds=time.perf_counter() - started,
        )

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()

    def _chosen(
        self, question: str, ranked: Iterator[FoundPair]
    ) -> tuple[list[tuple[FoundPair, Example]], int, int]:
        """The first that may be shown, the most similar first; and how many may not."""
        chosen: list[tuple[FoundPair, Example]] = []
        same = unfit = 0
        asked = plain_text(question)
        rules = stop_rules(self._preamble)
        behind = close_text(self._preamble) + open_turn(self._preamble, "Why?")
        for number, found in enumerate(ranked):
            if len(chosen) == self._retrieval.k or number == MOST_LOOKED_AT:
                break
            answer = shortened(found.pair.answer, self._retrieval.most_words)
            if plain_text(found.pair.query) == asked:
                same += 1
            elif answer_end(answer + behind, rules) != len(answer):
                unfit += 1
            else:
                chosen.append((found, Example(query=found.pair.query, answer=answer)))
        return chosen, same, unfit


def examples_told(retrieved: Retrieved, tokens: int) -> str:
    """What stands in front of a question, as a sentence.

    Args:
        retrieved: What was found for it.
        tokens: Tokens that the examples became.
    """
    if retrieved.pairs:
        numbers = ", ".join(f"{pair.number:,}" for pair in retrieved.pairs)
        told = (
            f"{amount(len(retrieved.pairs), 'example')} of the pool (no. {numbers}), "
            f"{amount(tokens, 'token')}, found in {fixed(1000 * retrieved.seconds, 0)} ms"
        )
    else:
        told = "No example of the pool is like the question"
    if retrieved.same:
        told += f"; left out {amount(retrieved.same, 'pair')} that ask this very question"
    if retrieved.unfit:
        told += f"; left out {amount(retrieved.unfit, 'pair')} that the format would cut"
    return f"{told}."


def loading_told(embedding: str) -> str:
    """That an embedding model is loaded first, as a sentence."""
    return f"Loading {sanitize_line(embedding)}, which finds the examples of the question."


def named_embedder(
    engine: Engine,
    name: str,
    options: EngineOptions,
    *,
    load_file: LoadFile = load,
    instead_of: Model | None = None,
) -> EventSteps[ModelEmbedder]:
    """An embedding model by its name, loaded: the events of `load_embedder`.

    Args:
        engine: Loads it.
        name: As a user names a model.
        options, load_file, instead_of: As of `load_embedder`.

    Raises:
        ModelError: There is none, it is no embedding model, or needs more memory than there is.
        EngineError: The worker refused it.
        EngineDied: The worker ended.
    """
    from urial_tui.models.registry import resolve
    from urial_tui.runtime.embedder import load_embedder

    path = resolve(name, kind="embedding").path
    return (
        yield from load_embedder(engine, path, options, load_file=load_file, instead_of=instead_of)
    )


def retrieve_all(
    preamble: Preamble, questions: Sequence[str], engine: Engine, options: EngineOptions
) -> EventSteps[tuple[str, list[Retrieved]] | None]:
    """A retriever's key, and the examples of questions; None where the preamble has its own.

    An embedding model is loaded for it, and gives its memory back: what answers comes next.

    Returns:
        The key, and what was found for each question, in their order; or None.

    Raises:
        RetrievalError: The index is missing, damaged, or of another model.
        ModelError: The embedding model can't be had.
        EngineError: It failed.
        EngineDied: The worker ended.
    """
    if preamble.retrieval is None:
        return None
    embedder: ModelEmbedder | None = None
    if preamble.retrieval.embedding:
        embedder = yield from named_embedder(engine, preamble.retrieval.embedding, options)
    try:
        retriever = open_retriever(preamble, embedder)
        assert retriever is not None
        found = []
        try:
            for question in questions:
                found.append((yield from retriever.retrieve(question)))  # noqa: PERF401
        finally:
            retriever.close()
    finally:
        if embedder is not None and embedder.model.loaded:
            yield from embedder.model.unload().steps()
    return retriever.key, found


def open_retriever(preamble: Preamble, embedder: Embedder | None = None) -> Retriever | None:
    """What finds a preamble's examples; None where it has its own.

    Raises:
        RetrievalError: Its index is missing, damaged, or of another kind.
    """
    if preamble.retrieval is None:
        return None
    # It imports numpy.
    from urial_tui.prompting.retrieval_index import RetrievalIndex

    index = RetrievalIndex(preamble.retrieval.index)
    try:
        return Retriever(preamble, index, embedder)
    except BaseException:
        index.close()
        raise


def check_index(preamble: Preamble) -> None:
    """Check that there is what a preamble's examples are found by, without loading a model.

    Raises:
        RetrievalError: Its index is missing or damaged.
        ModelError: There is no such embedding model.
    """
    if preamble.retrieval is None:
        return
    # They import numpy, and much else.
    from urial_tui.models.registry import resolve
    from urial_tui.prompting.retrieval_index import RetrievalIndex

    if preamble.retrieval.embedding:
        resolve(preamble.retrieval.embedding, kind="embedding")
    RetrievalIndex(preamble.retrieval.index).close()


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A context with the examples of all questions.

    `same`, `unfit`: pairs that were left out. `seconds`: what it took to find those of a question.
    """

    context: Context
    same: int = 0
    unfit: int = 0
    seconds: Mapping[str, float] = {}

    @property
    def notes(self) -> list[str]:
        """What is to be said of it, in sentences."""
        name = sanitize_line(self.context.name)
        notes = []
        if self.same:
            notes.append(
                f"Of the pool of {name}, pairs that ask what is asked are not shown "
                f"({self.same:,} of them): their answers would be given away."
            )
        if self.unfit:
            notes.append(
                f"Of the pool of {name}, pairs whose answers the format would cut are not shown "
                f"({self.unfit:,} times)."
            )
        return notes


def with_examples(
    context: Context, questions: Sequence[str], engine: Engine, options: EngineOptions
) -> EventSteps[Prepared]:
    """A context with the examples of questions, where its preamble has none of its own.

    Args:
        context: What it is made of.
        questions: All that will be asked.
        engine: Loads an embedding model, where the index is one's.
        options: How.

    Raises:
        RetrievalError: Its index can't be used.
        ModelError: The embedding model can't be had.
        EngineError: It failed.
    """
    if context.preamble is None:
        return Prepared(context=context)
    asked = list(dict.fromkeys(questions))
    found = yield from retrieve_all(context.preamble, asked, engine, options)
    if found is None:
        return Prepared(context=context)
    key, retrieved = found
    examples = {question: one.examples for question, one in zip(asked, retrieved, strict=True)}
    return Prepared(
        context=msgspec.structs.replace(
            context, retrieved=RetrievedExamples(key=key, by_question=examples)
        ),
        same=sum(one.same for one in retrieved),
        unfit=sum(one.unfit for one in retrieved),
        seconds={question: one.seconds for question, one in zip(asked, retrieved, strict=True)},
    )


def without_examples(context: Context) -> Context | None:
    """A context by which what was kept of it is found, and that can show no question; None where
    its index can't be read. One that retrieves nothing is as it is.
    """
    preamble = context.preamble
    if preamble is None or preamble.retrieval is None:
        return context
    from urial_tui.prompting.retrieval_index import index_identity

    try:
        key = _key(preamble, index_identity(preamble.retrieval.index))
    except RetrievalError:
        return None
    retrieved = RetrievedExamples(key=key, by_question={})
    return msgspec.structs.replace(context, retrieved=retrieved)


def _key(preamble: Preamble, index: str) -> str:
    retrieval = preamble.retrieval
    assert retrieval is not None, "the preamble has its own examples"
    told = (index, retrieval.k, retrieval.most_words, preamble.format)
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()
