"""An inspected model file in words: groups of a title and rows, for the terminal and the screens.

Texts of the file are made safe and short here; places are foreign text still.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from urial_tui import wording
from urial_tui.models.inspection import CardTold, Inspection, MemoryTold, TemplateTold
from urial_tui.models.lora import AdapterTold
from urial_tui.models.origin import Guess
from urial_tui.models.speed import ExpectedSpeed
from urial_tui.sanitize import quoted, sanitize_line

_WORD: Final = 60
"""Characters of a stranger's word."""

_ORIGINS: Final = {
    "base": "a base model, most likely",
    "chat": "tuned to chat, most likely",
    "unknown": "can't be told",
}
_ACTIONS: Final = {
    "reads": "looks at the text of messages",
    "changes": "changes the text of messages",
    "speaks": "adds words of its own",
    "dates": "writes the date",
    "thinks": "deals with thinking",
    "tools": "deals with tools",
    "refuses": "refuses some chats",
}
_PURPOSES: Final = {
    "chat": "chat",
    "compare-base": "compare, base",
    "compare-aligned": "compare, other",
    "embedding": "embedding",
}

InspectionRow = tuple[str, str]
"""A label, "" under the one above, and a text."""


def title_of(told: Inspection) -> str:
    """What the file calls itself, else what it is called."""
    return _word(told.name) or _word(PurePath(told.place).name)


def groups(told: Inspection, shown_by: str) -> Iterator[tuple[str, list[InspectionRow]]]:
    """All that is known: a title, "" for the first group, and its rows.

    Args:
        told: The file.
        shown_by: What shows the chat template, a clause.
    """
    for title, rows in (
        ("", list(_file(told))),
        ("Model", list(_model(told))),
        ("Text", list(_text(told, shown_by))),
        ("Adapter", list(_adapter(told.adapter)) if told.adapter else []),
        ("Base or chat", list(_origin(told.guess)) if told.guess else []),
        ("Needs", list(_needs(told))),
        ("Careful", [("!", note) for note in told.notes]),
    ):
        if rows:
            yield title, rows


def _file(told: Inspection) -> Iterator[InspectionRow]:
    yield "file", told.place
    yield "holds", told.what
    files = f", in {told.parts} files" if told.parts > 1 else ""
    yield "size", f"{wording.size(told.size)} ({told.size:,} bytes{files})"
    if told.licence:
        yield "licence", _word(told.licence)
    if told.bytes_read is not None:
        yield "read", f"{wording.size(told.bytes_read)} of it, for its header"


def _model(told: Inspection) -> Iterator[InspectionRow]:
    shape = [_word(told.architecture) or "not named"]
    if told.layers is not None:
        shape.append(wording.amount(told.layers, "layer"))
    if told.embedding is not None:
        shape.append(f"{told.embedding:,} wide")
    yield "architecture", ", ".join(shape)
    active = (
        f", of which a token uses {wording.parameters(told.active)}"
        if told.active is not None
        else ""
    )
    count = f"{told.parameters:,}" if told.parameters < 10**18 else "absurdly many"
    yield "parameters", f"{count} in {wording.amount(told.tensors, 'tensor')}{active}"
    if told.types:
        named = f"{told.file_type}: " if told.file_type else ""
        yield "types", f"{named}{_shares(told)}"
    if told.context is not None:
        window = (
            f", some layers on a window of {told.sliding_window:,}" if told.sliding_window else ""
        )
        yield "context", f"trained on {wording.amount(told.context, 'token')}{window}"
    if told.pooling:
        yield "pooling", told.pooling


def _shares(told: Inspection) -> str:
    """The types of tensors with their part of the bytes."""
    total = sum(one.bytes or 0 for one in told.types)
    return ", ".join(
        f"{one.type} {wording.percent(one.bytes / total, 0 if one.bytes * 100 > total else 1)}"
        if one.bytes is not None and total
        else f"{one.type} in {wording.amount(one.tensors, 'tensor')}"
        for one in told.types[:12]
    )


def _text(told: Inspection, shown_by: str) -> Iterator[InspectionRow]:
    if told.vocabulary:
        cutter = [wording.amount(told.vocabulary, "token")]
        if told.tokenizer:
            cutter.append(f"tokenizer {_word(told.tokenizer)}")
        pre = _word(told.pre_tokenizer) if told.pre_tokenizer else "not named"
        cutter.append(f"pre-tokenizer {pre}")
        yield "vocabulary", ", ".join(cutter)
    if told.roles:
        first = " (put in front)" if told.adds_bos else ""
        yield (
            "special",
            ", ".join(
                f"{_word(role)} {quoted(text, _WORD)}{first if role == 'bos' else ''}"
                for role, text in list(told.roles.items())[:12]
            ),
        )
    if told.template:
        yield "template", f"{told.template.size:,} bytes; {shown_by}"
        yield from template_rows(told.template)
    elif told.holds == "language-model":
        yield "template", "none"
    if told.named_templates:
        yield "", "There are others, by name, which are not used:"
    for one in told.named_templates:
        yield "", f"{quoted(one.name, _WORD)}: {one.size:,} bytes"
        yield from template_rows(one)


def template_rows(told: TemplateTold) -> Iterator[InspectionRow]:
    """What a template does beside writing turns, by its lines."""
    found = told.found
    if found.trouble:
        yield "", f"It was not looked into: {found.trouble}."
    if found.tokens:
        yield "", "It writes " + " ".join(map(_word, found.tokens))
    for action, words in _ACTIONS.items():
        marks = [mark for mark in found.marks if mark.action == action]
        if not marks:
            continue
        places = ", ".join(
            f"line {mark.line} ({quoted(mark.how) if action == 'speaks' else _word(mark.how)})"
            for mark in marks[:6]
        )
        more = f", and {len(marks) - 6} more" if len(marks) > 6 else ""
        yield "", f"It {words}: {places}{more}"


def _adapter(told: AdapterTold) -> Iterator[InspectionRow]:
    yield "method", _word(told.method)
    if told.ranks:
        yield "rank", ", ".join(map(str, told.ranks))
    if told.alpha is not None:
        scale = (
            f" (scale {wording.three_digits(told.alpha / told.ranks[0])})"
            if len(told.ranks) == 1
            else ""
        )
        yield "alpha", f"{told.alpha:g}{scale}"
    targets = ", ".join(map(_word, told.targets))
    yield "changes", f"{wording.amount(told.pairs, 'matrix', 'matrices')}: {targets or 'none'}"
    if told.invocation:
        yield "works behind", wording.amount(told.invocation, "token")
    if told.task:
        yield "for", _word(told.task)
    if told.prefix:
        yield "prefix", quoted(told.prefix, _WORD)


def _origin(guess: Guess) -> Iterator[InspectionRow]:
    yield "it is", _ORIGINS[guess.origin]
    for side, label in (("base", "for base"), ("chat", "for chat"), ("neither", "for neither")):
        seen = [sign.seen for sign in guess.signs if sign.speaks_for == side]
        for number, words in enumerate(seen):
            yield "" if number else label, words


def _needs(told: Inspection) -> Iterator[InspectionRow]:
    for need in told.memory:
        yield _PURPOSES[need.purpose], _memory(need)
    if told.cards:
        yield "graphics card", _cards(told.cards)
    if told.speed:
        yield "speed", _speed(told.speed)


def _memory(need: MemoryTold) -> str:
    return (
        f"{wording.size(need.total)} of memory, with {wording.size(need.kv_cache)} for "
        f"{wording.amount(need.context, 'token')} of context"
    )


def _cards(cards: Sequence[CardTold]) -> str:
    """How many layers fit, card by card."""
    told = []
    for card in cards:
        memory = f"{card.memory / (1 << 30):g} GiB"
        fit = "all" if card.layers == card.of else f"{card.layers} of {card.of}"
        told.append(f"{memory}: {fit}")
    return f"layers that fit into {', '.join(told)}"


def _speed(told: ExpectedSpeed) -> str:
    if told.how == "measured":
        return f"{wording.rate(told.empty)}, measured here"
    full = f", {wording.rate(told.full)} in a full context" if told.full is not None else ""
    return (
        f"about {wording.rate(told.empty)}{full}, estimated from what `urial bench` measured with "
        f"{_word(told.by)}"
    )


def _word(text: str) -> str:
    """A stranger's word or name, on one line and not too long."""
    return sanitize_line(text)[:_WORD].strip()
