"""What a comparison starts with: the sides that belong to a model or to an answer."""

from __future__ import annotations

import msgspec

from urial_tui.chat.answer_trace import wants_examples
from urial_tui.chat.session import Conversation
from urial_tui.chat.shown import ids_key
from urial_tui.compare.side_choice import SideChoice
from urial_tui.engine.wire.values import ModelInfo
from urial_tui.errors import PreambleError, SettingsError, UsageError
from urial_tui.models.catalogue import load_catalogue
from urial_tui.models.registry import list_entries
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.preamble_file import find_preamble

BASE_CONTEXT = "zero-shot"
"""What the base side is shown by default, as in the paper."""


class ComparisonSubject(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared on: the answer to a question, or a given one.

    `ids`: the tokens that wrote the given answer, as far as they are known, `ids_key` whose they
    are, and `preamble` under which it was written; they are used while the aligned side is the
    model that wrote them. `examples`: those that were retrieved for the given answer, shown again
    to a side with that preamble; None where that is not known.
    """

    query: str
    answer: str | None = None
    ids: tuple[int, ...] = ()
    ids_key: str = ""
    preamble: Preamble | None = None
    examples: tuple[Example, ...] | None = None

    def examples_of(self, preamble: Preamble) -> tuple[Example, ...] | None:
        """The examples that stood in front of the answer, for a side with the same preamble."""
        same = self.preamble is not None and self.preamble.name == preamble.name
        return self.examples if same else None

    def ids_of(self, model: ModelInfo) -> tuple[int, ...]:
        """The tokens that wrote the answer, if this model wrote it."""
        own = self.preamble is not None and self.ids_key == ids_key(model, self.preamble)
        return self.ids if own else ()


class ComparisonStart(msgspec.Struct, frozen=True, kw_only=True):
    """Two sides, what to compare at once, if anything, and a sentence to tell with it."""

    base: SideChoice
    aligned: SideChoice
    subject: ComparisonSubject | None = None
    note: str = ""


def for_conversation(
    conversation: Conversation, preamble: Preamble, second: SideChoice | None = None
) -> ComparisonStart:
    """The newest answer of a conversation, with the side that wrote it as the aligned one.

    `preamble`: what answers are written under now. `second`: what its tokens are ranked on in the
    chat, and so the base side. Without it that is the base model of an aligned one, or else the
    model that wrote it, in a barer context.

    Raises:
        UsageError: There is none.
    """
    exchanges = conversation.exchanges
    for exchange in reversed(exchanges):
        answer = exchange.answer
        if answer is not None and answer.text:
            break
    else:
        raise UsageError("There is no answer to compare yet.", "Ask something first.")
    same = answer.preamble == preamble.name
    written = preamble if same else _preamble(answer.preamble)
    notes = []
    if exchange is not exchanges[0]:
        notes.append("The turns before this question are left out of the comparison.")
    if written is not None and wants_examples(answer, written):
        notes.append(
            "The examples that it was written behind are not known: those that the question has "
            "now stand for them."
        )
    return ComparisonStart(
        base=second or _base_side(answer.model, answer.preamble),
        aligned=SideChoice(
            model=answer.model, context=answer.preamble, preamble=preamble if same else None
        ),
        subject=ComparisonSubject(
            query=exchange.question.text,
            answer=answer.text,
            ids=answer.ids or (),
            ids_key=answer.ids_key,
            preamble=written,
            examples=answer.examples,
        ),
        note=" ".join(notes),
    )


def for_model(model: str, preamble: Preamble) -> ComparisonStart:
    """A model and its counterpart, each on its own side; else itself with and without the
    preamble.
    """
    partner = _partner(model)
    if partner:
        base = SideChoice(model=model, context=BASE_CONTEXT)
        return ComparisonStart(base=base, aligned=SideChoice(model=partner, context="chat"))
    if _base(model):
        base = SideChoice(model=_base(model), context=BASE_CONTEXT)
        return ComparisonStart(base=base, aligned=SideChoice(model=model, context="chat"))
    return ComparisonStart(
        base=_base_side(model, preamble.name),
        aligned=SideChoice(model=model, context=preamble.name, preamble=preamble),
    )


def second_for(model: str, preamble: Preamble) -> SideChoice:
    """What the answers of a model may be ranked on: its aligned partner, or else its base model,
    or else itself without the preamble, which shows what that one changes.
    """
    partner = _partner(model)
    if partner:
        return SideChoice(model=partner, context="chat")
    return _base_side(model, preamble.name)


def _base_side(model: str, context: str) -> SideChoice:
    """The base model of an aligned one, or else the model itself in a barer context than this."""
    base = _base(model)
    if base:
        return SideChoice(model=base, context=BASE_CONTEXT)
    return SideChoice(model=model, context="raw" if context == BASE_CONTEXT else BASE_CONTEXT)


def _preamble(name: str) -> Preamble | None:
    """The preamble of a name, if there is one."""
    try:
        return find_preamble(name)
    except PreambleError:
        return None


def _base(model: str) -> str:
    """The base model of an aligned one, if that is on this machine; "" for none."""
    try:
        catalogue = load_catalogue()
        here = {status.name for status in list_entries(catalogue) if status.state != "absent"}
    except SettingsError:
        return ""
    entry = catalogue.get(model)
    base = "" if entry is None or entry.role != "aligned" else entry.base or entry.partner or ""
    return base if base in here else ""


def _partner(model: str) -> str:
    """The first aligned model on this machine that belongs to a base model; "" for none."""
    try:
        catalogue = load_catalogue()
        here = [status.name for status in list_entries(catalogue) if status.state != "absent"]
    except SettingsError:
        # The list of models says what is wrong with the catalogue.
        return ""
    for name in here:
        entry = catalogue.get(name)
        if entry is not None and entry.role == "aligned" and model in (entry.base, entry.partner):
            return name
    return ""
