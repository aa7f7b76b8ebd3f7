"""Whether a file holds a base model or one that was tuned to chat, as far as its header tells.

No key says so, and what looks like a sign often is none: the files of Qwen's base models carry a
chat template. So every sign is listed with what it speaks for, and only signs that agree make a
guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from urial_tui.models.gguf_file import Header
from urial_tui.models.header_texts import HeaderTexts
from urial_tui.sanitize import quoted

Origin = Literal["base", "chat", "unknown"]
FileSide = Literal["base", "chat", "neither"]

_CHAT_WORDS = {
    *("aligned", "alpaca", "assistant", "chat", "distill", "distilled", "dolphin", "dpo", "grpo"),
    *("guanaco", "hermes", "instruct", "instruction", "instructions", "it", "kto", "openchat"),
    *("orpo", "orca", "ppo", "reasoning", "rlhf", "sft", "simpo", "thinking", "tulu", "vicuna"),
    *("wizardlm", "zephyr"),
}
_BASE_WORDS = {"base", "foundation", "pretrain", "pretrained", "pretraining", "pt"}
_CHAT_TAGS = {*_CHAT_WORDS, "conversational", "instruct-tuned", "rlhf"} - {"it"}
_CHAT_DATA = re.compile(
    r"alpaca|chat|conversation|dolly|dpo|feedback|flan|hh-rlhf|instruct|no_robots|oasst|openassistant|"
    r"openhermes|orca|preference|sft|sharegpt|tulu",
    re.IGNORECASE,
)
_TURN_ENDS = {
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<turn|>", "<|end|>", "<|eot|>"),
    *("<|endofturn|>", "<|END_OF_TURN_TOKEN|>", "<|assistant_end|>", "<|return|>", "<|user|>"),
    *("<|eom|>", "[|endofturn|]", "<|end_of_turn|>"),
}
"""Tokens that end a turn of a chat."""
_TEXT_ENDS = {
    *("</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<｜end▁of▁sentence｜>", "<|eos|>"),
    *("<|END_OF_TEXT|>", "<EOS>"),
}
"""Tokens that end a text."""
_KEEPS_EOS = {"<end_of_turn>", "<turn|>", "<|eot_id|>"}
"""Ends of turns beside which tuned models, too, have the end of a text as their EOS token."""
_LONGEST = 60
_MOST = 4
_ENOUGH = 2
"""What signs have to come to: one plain word, or two hints."""
_NAMED = 4
"""What a name counts, against two hints."""


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was seen, a clause, and what it speaks for. `weight`: how strongly, 0 to 4."""

    seen: str
    speaks_for: FileSide
    weight: int


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """What a model most likely is, and why."""

    origin: Origin
    signs: tuple[Sign, ...]


def guess_origin(header: Header, texts: HeaderTexts, file_name: str) -> Guess:
    """Weigh the signs of a file; its name is one of them."""
    signs = tuple(_signs(header, texts, file_name))
    # A name that stands in three places is one sign.
    named = [sign for sign in signs if sign.weight == _NAMED]
    weights = {
        side: sum(sign.weight for sign in signs if sign.speaks_for == side and sign.weight < _NAMED)
        + _NAMED * any(sign.speaks_for == side for sign in named)
        for side in ("base", "chat")
    }
    lead = weights["chat"] - weights["base"]
    origin: Origin = "chat" if lead >= _ENOUGH else "base" if lead <= -_ENOUGH else "unknown"
    return Guess(origin=origin, signs=signs)


def _signs(header: Header, texts: HeaderTexts, file_name: str) -> Iterator[Sign]:
    values = header.metadata
    yield from _names(values, file_name)
    yield from _bases(values)
    yield from _lists(texts.lists)
    yield from _data_sets(values, texts.lists)
    yield from _ends(texts)
    if texts.templates:
        yield Sign(
            seen="it has a chat template, which the files of some base models have too",
            speaks_for="neither",
            weight=0,
        )
    else:
        yield Sign(seen="it has no chat template", speaks_for="base", weight=1)


def _names(values: Mapping[str, object], file_name: str) -> Iterator[Sign]:
    finetune = values.get("general.finetune")
    for where, name in (
        ("general.name is", values.get("general.name")),
        ("general.finetune is", finetune),
        ("the file is called", file_name),
    ):
        if not isinstance(name, str) or not name:
            continue
        side, word = _side(name)
        if side != "neither":
            yield Sign(
                seen=f"{where} {quoted(name, _LONGEST)} ('{word}')", speaks_for=side, weight=_NAMED
            )
        elif name is finetune:
            yield Sign(
                seen=f"{where} {quoted(name, _LONGEST)}: it was tuned", speaks_for="chat", weight=1
            )


def _side(name: str) -> tuple[FileSide, str]:
    """What a name speaks for, and by which word of it."""
    words = [word for word in re.split(r"[^a-z0-9]+", name[:1000].lower()) if word]
    # "…-base-instruct" was tuned from "…-base".
    for side, known in (("chat", _CHAT_WORDS), ("base", _BASE_WORDS)):
        for word in words:
            if word in known:
                return ("chat" if side == "chat" else "base"), word
    return "neither", ""


def _bases(values: Mapping[str, object]) -> Iterator[Sign]:
    """What the models that it was made of are called."""
    own = _plain(values.get("general.name"))
    for number in range(_MOST):
        name = values.get(f"general.base_model.{number}.name")
        if not isinstance(name, str) or not name:
            continue
        side, _ = _side(name)
        seen = f"general.base_model.{number}.name is {quoted(name, _LONGEST)}"
        if side == "chat":
            yield Sign(seen=seen, speaks_for="chat", weight=2)
        elif _plain(name) == own:
            yield Sign(seen=f"{seen}, itself", speaks_for="neither", weight=0)
        else:
            yield Sign(seen=f"{seen}, another model", speaks_for="chat", weight=1)


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", name[:1000].lower()) if isinstance(name, str) else ""


def _lists(lists: Mapping[str, tuple[str, ...]]) -> Iterator[Sign]:
    for tag in lists.get("general.tags", ()):
        word = tag.lower()
        side: FileSide = (
            "chat" if word in _CHAT_TAGS else "base" if word in _BASE_WORDS else "neither"
        )
        if side != "neither":
            yield Sign(
                seen=f"general.tags holds {quoted(tag, _LONGEST)}", speaks_for=side, weight=1
            )


def _data_sets(
    values: Mapping[str, object], lists: Mapping[str, tuple[str, ...]]
) -> Iterator[Sign]:
    named: list[object] = [
        *lists.get("general.datasets", ()),
        *(
            values.get(f"general.dataset.{number}.{key}")
            for number in range(64)
            for key in ("name", "repo_url")
        ),
    ]
    found = [name for name in named if isinstance(name, str) and _CHAT_DATA.search(name[:1000])]
    if found:
        shown = ", ".join(quoted(name, _LONGEST) for name in _each_once(found)[:2])
        yield Sign(
            seen=f"it names data sets of instructions or chats: {shown}",
            speaks_for="chat",
            weight=2,
        )


def _each_once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _ends(texts: HeaderTexts) -> Iterator[Sign]:
    """The token that ends an answer, beside the one that ends a turn of the template."""
    eos = texts.roles.get("eos", "")
    shown = quoted(eos, _LONGEST)
    if eos in _TURN_ENDS:
        yield Sign(
            seen=f"the EOS token, {shown}, ends a turn of a chat", speaks_for="chat", weight=2
        )
        return
    if eos not in _TEXT_ENDS:
        return
    template = texts.template
    written = [end for end in sorted(_TURN_ENDS) if template and end in template.source]
    if written and not _KEEPS_EOS & set(written):
        yield Sign(
            seen=f"the EOS token, {shown}, ends a text, and its template ends turns with "
            f"{quoted(written[0])}",
            speaks_for="base",
            weight=2,
        )
    else:
        side: FileSide = "neither" if texts.templates else "base"
        yield Sign(
            seen=f"the EOS token, {shown}, ends a text"
            + (", as in tuned models of some families too" if texts.templates else ""),
            speaks_for=side,
            weight=0 if texts.templates else 1,
        )
