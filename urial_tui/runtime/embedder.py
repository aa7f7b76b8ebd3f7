"""What makes vectors of texts: each has length 1, and a product of two tells how alike they are.

`Embedder` is what retrieval asks; `ModelEmbedder` asks an embedding model in an engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.values import NUMERICS, EngineOptions, ModelInfo
from urial_tui.runtime.loading import LoadFile, load

_REQUEST_TEXTS = 256
_REQUEST_CHARACTERS = 4_000_000
"""Most texts of a request, and most characters where it has more than one."""


class Embedder(Protocol):
    """Makes vectors of texts."""

    @property
    def identity(self) -> str:
        """What the vectors depend on beside the text, as a digest: equal ones may be compared."""
        ...

    @property
    def size(self) -> int:
        """The dimension of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> EventSteps[npt.NDArray[np.float32]]:
        """The vectors: (texts, size), each of length 1; event by event."""
        ...


class ModelEmbedder:
    """An embedding model that an engine has loaded.

    Args:
        model: It was loaded for the purpose "embedding".
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.identity = _identity(model.info)
        self.size = model.info.embedding

    def embed(self, texts: Sequence[str]) -> EventSteps[npt.NDArray[np.float32]]:
        """The vectors of texts: (texts, size): for each request EmbedProgress*, Embedded.

        A text longer than the model's context is cut at its end; each `Embedded` counts those of
        its request.

        Raises:
            EngineError: A text has no vector, or the model is not loaded any more.
            EngineDied: The worker ended.
        """
        rows = [np.empty((0, self.size), np.float32)]
        for part in _requests(texts):
            embedded = yield from self.model.embed(part).steps()
            rows.append(np.frombuffer(embedded.rows, "<f4").reshape(len(part), embedded.size))
        return np.concatenate(rows).astype(np.float32, copy=False)


def load_embedder(
    engine: Engine,
    path: Path,
    options: EngineOptions,
    *,
    load_file: LoadFile = load,
    instead_of: Model | None = None,
    owner: object | None = None,
) -> EventSteps[ModelEmbedder]:
    """Load an embedding model: the events of `loading.load`.

    Args:
        engine: Loads it.
        path: Its file.
        options: How; its cache is never quantised.
        load_file: Loads a file.
        instead_of, owner: As of `loading.load`.

    Raises:
        ModelError: The file is damaged or no embedding model, or needs more memory than there is.
        EngineError: The worker refused it for another reason.
        EngineDied: The worker ended.
    """
    model = yield from load_file(
        engine,
        path,
        options=msgspec.structs.replace(options, kv_type="f16"),
        purpose="embedding",
        instead_of=instead_of,
        owner=owner,
    )
    return ModelEmbedder(model)


def _identity(info: ModelInfo) -> str:
    told = (info.content, info.adapter_content, info.pooling, info.embedding, info.n_ctx, NUMERICS)
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def _requests(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts in requests that are neither too large for a message nor long without a word."""
    start = characters = 0
    for end, text in enumerate(texts):
        characters += len(text)
        if end - start == _REQUEST_TEXTS or (end > start and characters > _REQUEST_CHARACTERS):
            yield texts[start:end]
            start, characters = end, len(text)
    if start < len(texts):
        yield texts[start:]
