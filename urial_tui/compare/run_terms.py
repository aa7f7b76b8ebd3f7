"""The cache key of a run: what every item depends on, by content; and how two runs differ, in
words.

A result may be reused only where all of this is the same. Names are not among it: a file that
was renamed is the same model, and one that was replaced under its name is another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from urial_tui.compare.runner import Comparison
from urial_tui.compare.sides import Side
from urial_tui.engine.wire.values import NUMERICS, ModelInfo
from urial_tui.prompting.context import rules_of

SubjectKind = Literal["answers", "a text", "a stored answer"]
"""What a run compares on."""

_WORDS = {
    "numerics": "the program computed otherwise then",
    "library": "llama.cpp is another build",
    "subject": "it is about {found}, not about {wanted}",
    "base.content": "the base side's model has another content",
    "aligned.content": "the aligned side's model has another content",
    "base.adapter": "the base side's adapter is another one",
    "aligned.adapter": "the aligned side's adapter is another one",
    "base.context": "the base side's context is another one",
    "aligned.context": "the aligned side's context is another one",
    "kv_type": "the cache was of the type {found}, and is of {wanted} now (engine.kv_type)",
    "n_ctx": "the context had {found} tokens, and has {wanted} now (engine.context)",
    "gpu_layers": "{found} layers were on a GPU, and {wanted} are now",
    "max_tokens": "--max-tokens was {found}, and is {wanted} now",
    "top_k": "--top-k was {found}, and is {wanted} now",
    "window": "--window was {found}, and is {wanted} now",
    "skip": "--skip was {found}, and is {wanted} now",
}
"""By term: how it differs, `found` in the file and `wanted` now."""


class SideTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A side by content: SHA-256 of the model, of its adapter ("" without), of what it is shown."""

    content: str
    adapter: str
    context: str


class ItemLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The options that shape an item, those of them that mean something for its kind."""

    max_tokens: int | UnsetType = UNSET
    top_k: int | UnsetType = UNSET
    window: int | UnsetType = UNSET
    skip: int | UnsetType = UNSET


NO_LIMITS = ItemLimits()


class ComparisonTerms(ItemLimits, frozen=True, kw_only=True):
    """The terms of a run; `library`: the build of llama.cpp."""

    numerics: int
    library: str
    subject: SubjectKind
    base: SideTerms
    aligned: SideTerms
    kv_type: str
    n_ctx: int
    gpu_layers: int


def run_terms(
    comparison: Comparison, subject: SubjectKind, limits: ItemLimits = NO_LIMITS
) -> ComparisonTerms:
    """The terms of a run.

    Args:
        comparison: Open.
        subject: What it is about.
        limits: The options that count.
    """
    info = comparison.aligned_info
    return ComparisonTerms(
        numerics=NUMERICS,
        library=info.library,
        subject=subject,
        base=_side(comparison, comparison.base, comparison.base_info),
        aligned=_side(comparison, comparison.aligned, info),
        kv_type=info.kv_type,
        n_ctx=info.n_ctx,
        gpu_layers=info.gpu_layers,
        **msgspec.structs.asdict(limits),
    )


def differences(found: Mapping[str, Any], wanted: ComparisonTerms) -> list[str]:
    """In words, how the terms of a file differ from those of a run; none: they are the same.

    `found` is whatever stands in a file.
    """
    there, here = _flat(found), _flat(msgspec.to_builtins(wanted))
    words = []
    for name in dict.fromkeys((*here, *there)):
        if there.get(name) != here.get(name):
            phrase = _WORDS.get(name, "a newer version of the program wrote it")
            words.append(phrase.format(found=_shown(there.get(name)), wanted=here.get(name)))
    # A file of another kind has other limits, which say no more.
    return words[:1] if there.get("subject") != here.get("subject") else words


def _side(comparison: Comparison, side: Side, info: ModelInfo) -> SideTerms:
    """A side by content: what it shows of a question stands for preamble or template."""
    shown: object = side.context.name
    if not side.context.is_same:
        shown = comparison.sample(side)
        if (rules := rules_of(side.context)) is not None:
            shown = (shown, rules)
    context = hashlib.sha256(msgspec.json.encode(shown)).hexdigest()
    return SideTerms(content=info.content, adapter=info.adapter_content, context=context)


def _flat(terms: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in terms.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{part}": inner for part, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _shown(value: object) -> str:
    return str(value)[:40]
