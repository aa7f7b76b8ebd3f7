"""The texts of a GGUF header that are too long, too many or too far in to be kept by default.

Chat templates, the lists of strings among the keys (tags, languages, datasets), and the texts of
the tokens that have a role (BOS, EOS, end of turn). All of them are a stranger's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from urial_tui.models.gguf_file import Bytes, Header, Span, bytes_at, locate, texts_at

MAX_TEMPLATE = 500_000
"""Bytes of a chat template whose text is taken; real ones have up to 30,000."""

_MAX_ITEMS = 64
_MAX_LISTS = 64
_MAX_LIST_BYTES = 64 * 1024
_MAX_TEMPLATES_BYTES = 2 * MAX_TEMPLATE
_MAX_TEMPLATES = 16
_TEMPLATE = "tokenizer.chat_template"
_TOKENS = "tokenizer.ggml.tokens"
_ROLE = "_token_id"
_MAX_ROLES = 32
_LONGEST = 256
"""Characters of a token."""


class ChatTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A chat template of a file. `name`: "" for the one that is used unless another is named.

    `size` in bytes. `source`: Jinja, "" where it is longer than `MAX_TEMPLATE`.
    """

    name: str
    size: int
    source: str


class HeaderTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of a header.

    `templates`: the one that is used first. `lists`: lists of strings, as far as they are short,
    by the key. `roles`: tokens with a role ("bos", "eos", "eot" ...), their texts; a token that
    the vocabulary does not have is left out.
    """

    templates: tuple[ChatTemplate, ...]
    lists: Mapping[str, tuple[str, ...]]
    roles: Mapping[str, str]

    @property
    def template(self) -> ChatTemplate | None:
        """The chat template that is used."""
        first = self.templates[0] if self.templates else None
        return None if first is None or first.name else first


def read_texts(file: Bytes, header: Header) -> HeaderTexts:
    """The texts of a file whose header was read.

    Raises:
        Truncated, Malformed: As `gguf_file.read_header`.
    """
    spans = locate(file)
    return HeaderTexts(
        templates=tuple(_templates(file, spans)),
        lists=dict(_lists(file, spans)),
        roles=_roles(file, spans, header),
    )


def _templates(file: Bytes, spans: Mapping[str, Span]) -> Iterator[ChatTemplate]:
    found = [
        (key.removeprefix(_TEMPLATE).removeprefix("."), span)
        for key, span in spans.items()
        if span.is_text and (key == _TEMPLATE or key.startswith(f"{_TEMPLATE}."))
    ]
    left = _MAX_TEMPLATES_BYTES
    for name, span in sorted(found)[:_MAX_TEMPLATES]:
        start = span.start + 8
        size = span.end - start
        if not size:
            continue
        taken = size <= min(left, MAX_TEMPLATE)
        source = b"".join(bytes_at(file, start, span.end)) if taken else b""
        left -= len(source)
        yield ChatTemplate(name=name, size=size, source=source.decode("utf-8", "replace"))


def _lists(file: Bytes, spans: Mapping[str, Span]) -> Iterator[tuple[str, tuple[str, ...]]]:
    short = [
        (key, span)
        for key, span in spans.items()
        if span.is_texts
        and span.length <= _MAX_ITEMS
        and span.end - span.start <= _MAX_LIST_BYTES
        and key.startswith("general.")
    ]
    for key, span in short[:_MAX_LISTS]:
        yield key, tuple(texts_at(file, span, range(span.length)).values())


def _roles(file: Bytes, spans: Mapping[str, Span], header: Header) -> dict[str, str]:
    ids = {
        key.removeprefix("tokenizer.ggml.").removesuffix(_ROLE): value
        for key, value in header.metadata.items()
        if key.startswith("tokenizer.ggml.")
        and key.endswith(_ROLE)
        and isinstance(value, int)
        and not isinstance(value, bool)
    }
    tokens = spans.get(_TOKENS)
    if tokens is None or not tokens.is_texts:
        return {}
    texts = texts_at(file, tokens, list(ids.values())[:_MAX_ROLES])
    return {role[:64]: texts[number][:_LONGEST] for role, number in ids.items() if number in texts}
