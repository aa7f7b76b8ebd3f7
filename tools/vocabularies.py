"""Tokenizers of GGUF files: made up, of any size, and written as metadata.

A made-up vocabulary holds the letters, then every pair of them, then every triple, until it is
as large as asked for; those that follow a space as well. The beginning of each token is a
token, so a text is cut into pieces of about as many letters as with a real vocabulary of that
size. What it says of other characters: one token a byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice, product

import msgspec
from gguf import GGUFWriter, TokenType

_LETTERS = "etaoinshrdlucmfwypvgbkjqxz"
"""The more frequent ones first, so that a vocabulary that ends inside a length holds those."""


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """A tokenizer as GGUF metadata has it; lists are indexed by token id."""

    model: str
    pre: str
    tokens: tuple[bytes, ...]
    types: tuple[int, ...]
    scores: tuple[float, ...] = ()
    merges: tuple[str, ...] = ()
    bos: int
    eos: int
    eot: int
    add_bos: bool
    add_space_prefix: bool

    def piece(self, token: int) -> bytes:
        """The bytes that a token puts into an answer; none for a control token."""
        text = self.tokens[token].decode()
        kind = self.types[token]
        if kind == TokenType.BYTE:
            return bytes([int(text[3:5], 16)])
        if kind != TokenType.NORMAL:
            return b""
        if self.model == "llama":
            return text.replace("▁", " ").encode()
        return bytes(byte_letters().index(letter) for letter in text)

    def spell(self, tokens: Iterable[int]) -> bytes:
        """The bytes of several tokens in a row."""
        return b"".join(self.piece(token) for token in tokens)


def byte_letters() -> Sequence[str]:
    """GPT-2's letter for each byte: printable Latin-1 as it is, the others from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def spm_vocabulary(size: int, *, add_space_prefix: bool = True) -> Vocabulary:
    """A SentencePiece vocabulary of `size` tokens, with a token for each byte."""
    tokens: dict[str, int] = {"<unk>": TokenType.UNKNOWN}
    tokens |= {"<s>": TokenType.CONTROL, "</s>": TokenType.CONTROL}
    tokens |= {f"<0x{byte:02X}>": TokenType.BYTE for byte in range(256)}
    special = len(tokens)
    marks = (chr(code) for code in range(0x21, 0x7F) if chr(code) not in _LETTERS)
    pieces = chain(("▁",), marks, _words("▁"))
    tokens |= dict.fromkeys(islice(pieces, max(0, size - special)), TokenType.NORMAL)
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=tuple(token.encode() for token in tokens),
        types=tuple(int(kind) for kind in tokens.values()),
        # The best score is merged first.
        scores=tuple(float(-max(0, index - special)) for index in range(len(tokens))),
        bos=1,
        eos=2,
        eot=2,
        add_bos=True,
        add_space_prefix=add_space_prefix,
    )


def bpe_vocabulary(size: int, *, pre: str = "llama-bpe") -> Vocabulary:
    """A byte-level BPE vocabulary of `size` tokens, cut into words as `pre` says."""
    space = byte_letters()[ord(" ")]
    tokens: dict[str, int] = dict.fromkeys(byte_letters(), TokenType.NORMAL)
    room = max(0, size - len(tokens) - 2)
    words = tuple(islice((word for word in _words(space) if len(word) > 1), room))
    tokens |= dict.fromkeys(words, TokenType.NORMAL)
    bos = len(tokens)
    tokens |= {"<|begin_of_text|>": TokenType.CONTROL, "<|end_of_text|>": TokenType.CONTROL}
    return Vocabulary(
        model="gpt2",
        pre=pre,
        tokens=tuple(token.encode() for token in tokens),
        types=tuple(int(kind) for kind in tokens.values()),
        merges=tuple(f"{word[:-1]} {word[-1]}" for word in words),
        bos=bos,
        eos=bos + 1,
        eot=bos + 1,
        add_bos=True,
        add_space_prefix=False,
    )


def _words(space: str) -> Iterator[str]:
    """Every run of letters, the shorter ones first; each length without and with a space."""
    for length in count(1):
        for start in ("", space):
            for letters in product(_LETTERS, repeat=length):
                yield start + "".join(letters)


def add_vocabulary(
    writer: GGUFWriter, vocabulary: Vocabulary, chat_template: str | None = None
) -> None:
    """Write a tokenizer's keys, and the chat template behind them."""
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(vocabulary.bos)
    writer.add_eos_token_id(vocabulary.eos)
    writer.add_eot_token_id(vocabulary.eot)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_space_prefix(vocabulary.add_space_prefix)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
