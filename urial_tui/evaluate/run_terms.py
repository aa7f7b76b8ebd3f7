"""The cache key of an answer: what every answer of a run depends on, by content.

An answer is used again only where all of this is the same. Names are not among it: a file that
was renamed is the same model, and one that was replaced under its name is another.
"""

from __future__ import annotations

import hashlib
import json

import msgspec

from urial_tui.engine.wire.values import MOST_SEEDS, NUMERICS, ModelInfo, Sampling
from urial_tui.evaluate.items import Item
from urial_tui.prompting.context import Context
from urial_tui.prompting.conversation import Exchanged, context_form, render_conversation
from urial_tui.prompting.rules import ruled
from urial_tui.prompting.templates.renderer import TemplateRenderer


class ReaderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of a text depends on, beside the text; fields as in `RunTerms`."""

    numerics: int
    library: str
    content: str
    adapter: str
    context: str
    kv_type: str
    n_ctx: int
    gpu_layers: int

    def key(self, *texts: object) -> str:
        """What is said of texts depends on, as a hash."""
        return digest((msgspec.structs.asdict(self), *texts))


class RunTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a run.

    `library`: the build of llama.cpp. `content`, `adapter`, `context`: digests of what is in the
    model's file and its adapter's, and of what a context shows and how it ends an answer.
    `sampling`: without its seed, with the rules of the context. `seed`: of the run, None where
    nothing is drawn. `parallel`: how many answers are written together.
    """

    numerics: int
    library: str
    content: str
    adapter: str
    context: str
    kv_type: str
    n_ctx: int
    gpu_layers: int
    sampling: Sampling
    seed: int | None
    max_tokens: int
    parallel: int

    def key(self, item: Item) -> str:
        """What the answers to an item depend on, as a hash."""
        # A sampling's own form leaves its defaults out, and what they are may change.
        sampling = msgspec.structs.asdict(self.sampling)
        # What was kept before there were rules has no such key.
        rules = sampling.pop("rules")
        if rules is not None:
            sampling["rules"] = msgspec.structs.asdict(rules) | {
                "shifts": [(shift.texts, shift.bias) for shift in rules.shifts]
            }
        return digest((msgspec.structs.asdict(self) | {"sampling": sampling}, item.id, item.turns))

    def drawn(self, item: Item, turn: int) -> Sampling:
        """How an answer is chosen: with a seed of its own, where it is drawn."""
        return drawn(self.sampling, self.seed, item, turn)


def run_terms(
    info: ModelInfo,
    context: Context,
    templates: TemplateRenderer,
    *,
    sampling: Sampling,
    max_tokens: int,
    parallel: int,
) -> RunTerms:
    """The terms of a run with a model that is loaded.

    Args:
        info: What was loaded, with the chat template that counts.
        context: What it is shown.
        templates: Renders that.
        sampling: How tokens are chosen; its seed is that of the run.
        max_tokens: Longest answer.
        parallel: How many answers are written together.

    Raises:
        ModelError: The context can't be rendered for this model.
        UsageError: It is none that a model can answer in.
    """
    return RunTerms(
        **msgspec.structs.asdict(reader_terms(info, context, templates)),
        sampling=ruled(msgspec.structs.replace(sampling, seed=None), context.preamble),
        seed=sampling.seed if sampling.temperature > 0 else None,
        max_tokens=max_tokens,
        parallel=parallel,
    )


def reader_terms(info: ModelInfo, context: Context, templates: TemplateRenderer) -> ReaderTerms:
    """What a model that is loaded says of a text depends on.

    Args:
        info: What was loaded, with the chat template that counts.
        context: What it is shown.
        templates: Renders that.

    Raises:
        ModelError: The context can't be rendered for this model.
        UsageError: It is none that a model can answer in.
    """
    # What is shown of a question stands for preamble or template.
    shown = render_conversation(context, [Exchanged("?")], info, templates)
    return ReaderTerms(
        numerics=NUMERICS,
        library=info.library,
        content=info.content,
        adapter=info.adapter_content,
        context=hashlib.sha256(msgspec.json.encode(context_form(context, shown))).hexdigest(),
        kv_type=info.kv_type,
        n_ctx=info.n_ctx,
        gpu_layers=info.gpu_layers,
    )


def drawn(sampling: Sampling, seed: int | None, item: Item, turn: int) -> Sampling:
    """How an answer is chosen: with a seed of its own, where it is drawn.

    The seed follows from that of the run, the item's id and the turn, and not from the item's
    place: a shorter list, or one with more items in it, gets the same answers.

    Args:
        sampling: Of the run.
        seed: Of the run; None where nothing is drawn.
        item: What is answered.
        turn: Which of its turns, from 0.
    """
    if seed is None:
        return sampling
    text = json.dumps((seed, item.id, turn), ensure_ascii=True)
    hashed = hashlib.sha256(text.encode("ascii")).digest()
    return msgspec.structs.replace(sampling, seed=int.from_bytes(hashed[:8], "big") % MOST_SEEDS)


def digest(parts: object) -> str:
    """A hash of plain values."""
    # Lone surrogates are no UTF-8, but a question may hold them.
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
