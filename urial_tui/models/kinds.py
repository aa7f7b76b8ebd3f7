"""What a GGUF file holds, as its header tells: a model that writes text or one that makes vectors
of texts, an adapter, or something else.

Much that looks like a model can't write: encoders, rerankers, models that fill in a text in
any order, parts of other models. llama.cpp loads most of them, and what they would answer is
noise.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.engine.wire.limits import Purpose
from urial_tui.models.gguf_file import Header, Metadata
from urial_tui.sanitize import sanitize_line

ModelKind = Literal["model", "embedding", "adapter"]
"""What a file is wanted to be: a model that writes text, one that makes vectors of texts, a LoRA
adapter."""

_RANK = 4
"""enum llama_pooling_type: a reranker. Any other but 0 (none) makes one vector of a text."""

_EMBEDS = "an embedding model, which makes vectors of texts and writes none"
_RANKS = "a reranker, which scores texts and writes none"
_DIFFUSES = "a diffusion model, which fills in a text in any order and can't continue one"
_ENCODES = "an encoder-decoder model, which can't continue a text"
_SPEAKS = "a part of a speech model, not a language model"
_DRAFTS = "a draft head for another model, not a whole language model"
_SEES = "an image encoder, not a language model"

_ARCHITECTURES = {
    **dict.fromkeys(("clip", "mmproj"), _SEES),
    **dict.fromkeys(
        (
            *("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert"),
            *("jina-bert-v2", "jina-bert-v3", "gemma-embedding", "llama-embed", "t5encoder"),
        ),
        _EMBEDS,
    ),
    "t5": _ENCODES,
    **dict.fromkeys(("llada", "llada-moe", "dream", "rnd1"), _DIFFUSES),
    **dict.fromkeys(("wavtokenizer-dec", "qwen3tts", "pockettts"), _SPEAKS),
    **dict.fromkeys(("eagle3", "dflash", "gemma4-assistant"), _DRAFTS),
    "controlvector": "a control vector, not a model",
    "imatrix": "a record of how a model was quantised, not a model",
}

_LORA_ENDS = (".lora_a", ".lora_b")
_IGNORED_END = "_norm.weight"
"""llama.cpp passes over these in an adapter."""


def kind_for(purpose: Purpose) -> ModelKind:
    """What a file has to be to be loaded for a purpose."""
    return "embedding" if purpose == "embedding" else "model"


Holds = Literal[
    "language-model",
    "embedding-model",
    "reranker",
    "diffusion-model",
    "encoder-decoder",
    "draft-head",
    "image-encoder",
    "speech-part",
    "adapter",
    "control-vector",
    "imatrix",
    "vocabulary",
    "part",
    "other",
]
"""What a file holds."""

_HOLDS: dict[str, Holds] = {
    _EMBEDS: "embedding-model",
    _RANKS: "reranker",
    _DIFFUSES: "diffusion-model",
    _ENCODES: "encoder-decoder",
    _SPEAKS: "speech-part",
    _DRAFTS: "draft-head",
    _SEES: "image-encoder",
    _ARCHITECTURES["controlvector"]: "control-vector",
    _ARCHITECTURES["imatrix"]: "imatrix",
}
_POOLINGS = ("none", "mean", "cls", "last", "rank")
"""enum llama_pooling_type."""


def pooling_of(metadata: Metadata) -> str | None:
    """How an embedding model or a reranker makes one vector of a text; None for other models.

    "unspecified" where the header of an encoder does not say, "unknown" where it says nonsense.
    """
    number = metadata.number("pooling_type")
    if number:
        return _POOLINGS[number] if 0 < number < len(_POOLINGS) else "unknown"
    refusal = refuse_kind(metadata, "model")
    if refusal is None or refusal.what not in (_EMBEDS, _RANKS):
        return None
    return "rank" if refusal.what == _RANKS else "unspecified"


def what_it_holds(header: Header) -> tuple[Holds, str]:
    """What a file holds, as one word and as a noun phrase; an adapter need not be a good one.

    Returns:
        The kind, and the noun phrase.
    """
    if header.metadata.get("general.type") == "adapter":
        return "adapter", "an adapter of a model"
    refusal = refuse_kind(header, "model") or refuse_whole(header, "model")
    if refusal is not None and refusal.what == _EMBEDS:
        # An encoder's architecture comes first there, though it may rank.
        refusal = _pooling(header) or refusal
    if refusal is not None:
        return _HOLDS.get(refusal.what, "other"), refusal.what
    if not header.tensors and header.parts == 1:
        return "vocabulary", "a vocabulary without weights, not a model"
    if "tokenizer.ggml.tokens" not in header.lengths:
        number = header.metadata.get("split.no")
        if isinstance(number, int) and number > 0:
            return "part", "a part of a model, and not its first"
        return "other", "weights without a vocabulary, not a language model"
    return "language-model", "a language model, which writes text"


class Refusal(msgspec.Struct, frozen=True):
    """Why a file is not what was asked for: "The file NAME is " + `what`; and what to do."""

    what: str
    hint: str


def refuse_kind(metadata: Metadata, kind: ModelKind) -> Refusal | None:
    """Why a file is not of a kind, as far as the keys at its start tell."""
    said = metadata.metadata.get("general.type")
    architecture = metadata.architecture
    is_adapter = said == "adapter"
    if kind == "embedding" and not is_adapter:
        return _no_embedding(metadata)
    if kind == "adapter":
        return _no_adapter(metadata, is_adapter=is_adapter)
    if is_adapter:
        return Refusal(
            "a LoRA adapter, not a model",
            "Give it after the model it was made for, as MODEL+ADAPTER.",
        )
    belongs = "Use the .gguf file of the language model that it belongs to."
    for word in (str(said), architecture):
        if word in _ARCHITECTURES:
            what = _ARCHITECTURES[word]
            part = what in (_SEES, _SPEAKS, _DRAFTS) or what.endswith("not a model")
            return Refusal(what, belongs if part else _OTHER)
    if isinstance(said, str) and said != "model":
        return Refusal(f"of the type '{sanitize_line(said)[:40]}', not a language model", belongs)
    return _pooling(metadata)


_OTHER = "Choose a model that writes text from left to right."
_OTHER_EMBEDDING = "Choose an embedding model, whose header names how it pools."


def _no_embedding(metadata: Metadata) -> Refusal | None:
    """Why a file makes no vectors of texts, as far as what stands in its header tells."""
    said, architecture = metadata.metadata.get("general.type"), metadata.architecture
    if architecture in ("t5", "t5encoder"):
        return Refusal("a T5 encoder, with which no vectors can be made here", _OTHER_EMBEDDING)
    for word in (str(said), architecture):
        what = _ARCHITECTURES.get(word, _EMBEDS)
        if what != _EMBEDS:
            return Refusal(what, _OTHER_EMBEDDING)
    if isinstance(said, str) and said != "model":
        what = f"of the type '{sanitize_line(said)[:40]}', not an embedding model"
        return Refusal(what, _OTHER_EMBEDDING)
    pooling = metadata.number("pooling_type") or 0
    if pooling == _RANK or f"{architecture}.classifier.output_labels" in metadata.lengths:
        return Refusal("a reranker, which scores texts and makes no vectors", _OTHER_EMBEDDING)
    if not 0 <= pooling < _RANK:
        return Refusal(f"an embedding model of an unknown pooling, {pooling}", _OTHER_EMBEDDING)
    return None


def _no_pooling(header: Header) -> Refusal | None:
    """Why a whole header says of no vector of a text; language models have none."""
    if header.number("pooling_type"):
        return None
    if _pooling(header) or _ARCHITECTURES.get(header.architecture) == _EMBEDS:
        return Refusal(
            "an encoder without pooling: its header does not say how the vectors of a text's "
            "tokens become one",
            _OTHER_EMBEDDING,
        )
    return Refusal(
        "a language model, not an embedding model: its header names no pooling, by which the "
        "vectors of a text's tokens would become one",
        _OTHER_EMBEDDING,
    )


def _pooling(metadata: Metadata) -> Refusal | None:
    pooling = metadata.number("pooling_type") or 0
    causal = metadata.metadata.get(f"{metadata.architecture}.attention.causal")
    labels = f"{metadata.architecture}.classifier.output_labels"
    if pooling == _RANK or labels in metadata.lengths:
        return Refusal(_RANKS, _OTHER)
    if 0 < pooling < _RANK or causal is False:
        return Refusal(_EMBEDS, _OTHER)
    if metadata.metadata.get("tokenizer.ggml.model") == "bert":
        return Refusal(_EMBEDS, _OTHER)
    return None


def refuse_whole(header: Header, kind: ModelKind) -> Refusal | None:
    """Why a file is not of a kind, as its tensors tell, and the keys that are not there."""
    if kind == "adapter":
        return _half_adapter(header)
    if kind == "embedding":
        return _no_pooling(header)
    names = {tensor.name for tensor in header.tensor_table}
    if any(name.startswith("cls.") for name in names):
        return Refusal(_RANKS, _OTHER)
    return None


def _no_adapter(metadata: Metadata, *, is_adapter: bool) -> Refusal | None:
    other = "After the '+' comes the .gguf file of a LoRA adapter."
    if metadata.architecture == "controlvector":
        return Refusal("a control vector, not a LoRA adapter", other)
    said = metadata.metadata.get("general.type")
    if not is_adapter and (said or metadata.architecture):
        what = "not a LoRA adapter" + (" but a model" if said in (None, "model") else "")
        return Refusal(what, other)
    method = metadata.metadata.get("adapter.type")
    if isinstance(method, str) and method != "lora":
        return Refusal(f"an adapter of the type '{sanitize_line(method)[:40]}', not a LoRA", other)
    if "adapter.alora.invocation_tokens" in metadata.lengths:
        return Refusal(
            "an activated LoRA, which is meant to work behind certain tokens only",
            "It would change every token here; use an ordinary LoRA adapter.",
        )
    return None


def _half_adapter(header: Header) -> Refusal | None:
    again = "Get it again, or convert it again."
    names = {tensor.name for tensor in header.tensor_table}
    for name in sorted(names):
        stem, dot, end = name.rpartition(".")
        if f"{dot}{end}" in _LORA_ENDS:
            other = f"{stem}{_LORA_ENDS[end == 'lora_a']}"
            if other not in names:
                return Refusal(f"incomplete: {sanitize_line(other)[:80]} is missing", again)
        elif not name.endswith(_IGNORED_END):
            return Refusal(
                f"no LoRA that can be used: it holds {sanitize_line(name)[:80]}, which is no "
                "half of a pair",
                again,
            )
    if not any(name.endswith(_LORA_ENDS) for name in names):
        return Refusal("an adapter without weights", again)
    return None
