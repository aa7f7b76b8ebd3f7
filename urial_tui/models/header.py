"""What a file says about itself before it is loaded, and why it may be no model.

`check_gguf` reads the first 128 KiB (0.2 ms) and tells a GGUF model from everything that
is mistaken for one. `inspect_header` walks the whole header (0.1 s for a vocabulary of
262,144), which also shows whether the file is cut off; `header_of` keeps what it found.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from urial_tui.errors import ModelError
from urial_tui.files import open_regular, reason
from urial_tui.models.gguf_file import (
    HEAD,
    MAX_KEYS,
    MAX_TENSORS,
    Bytes,
    Header,
    Malformed,
    Metadata,
    Truncated,
    read_header,
    read_start,
    tokenizer_values,
)
from urial_tui.models.kinds import ModelKind, Refusal, refuse_kind, refuse_whole
from urial_tui.models.parts import (
    ModelPart,
    found_parts,
    is_named_like_a_part,
    is_named_like_a_piece,
    part_paths,
)
from urial_tui.models.shape import unsound
from urial_tui.sanitize import sanitize_line

MAX_FILE = 1 << 46
"""Bytes: 64 TiB. No file is larger, so a header that says so is damaged."""
_SETTLED_NS = 2_000_000_000
"""Since a file's last change, in nanoseconds: clocks of file systems are as coarse as that, so the
times of a younger one need not tell of its next change."""
_NAMES = ("tokens", "token_type")
"""Keys of a tokenizer that say what tokens there are, not where text is cut."""


def check_gguf(path: Path, kind: ModelKind = "model") -> Metadata:
    """Refuse what is no GGUF file of this kind, reading no more than its start.

    Raises:
        ModelError: The file is missing, unreadable, not GGUF, of a version or byte order
            that llama.cpp does not read, or says that it holds something else than `kind`.
    """
    with open_model(path) as file:
        _check_head(path, file.read(HEAD.size), file)
        try:
            start = read_start(file)
        except Truncated as error:
            raise _cut_off(path) from error
        except Malformed as error:
            raise _garbled(path, str(error)) from error
    _refuse(path, refuse_kind(start, kind))
    return start


def inspect_header(path: Path, kind: ModelKind = "model") -> Header:
    """Read the whole header, and compare the file's size with what its tensors need.

    Raises:
        ModelError: As `check_gguf`; or the header is garbled, or the file is cut off.
    """
    header = header_of(path)
    _refuse(path, refuse_kind(header, kind))
    if header.parts > 1:
        _check_parts(path, header)
    if header.expected_size > MAX_FILE:
        raise _garbled(path, f"it claims to be {header.expected_size} bytes long")
    if header.expected_size > header.size:
        raise _cut_off(path, header.size, header.expected_size)
    if kind != "adapter" and header.parts == 1 and not header.tensors:
        raise ModelError(
            f"The file {_shown(path)} holds no weights, only a vocabulary.",
            "Use the .gguf file of the whole model.",
        )
    _refuse(path, refuse_whole(header, kind))
    if kind != "adapter" and "tokenizer.ggml.tokens" not in header.lengths:
        raise ModelError(
            f"The file {_shown(path)} holds no vocabulary, so it is not a language model.",
            "Use the .gguf file of the language model that it belongs to.",
        )
    if kind != "adapter" and (why := unsound(header)):
        raise _garbled(path, why)
    return header


class CutBy(msgspec.Struct, frozen=True, kw_only=True):
    """A key of two tokenizers that says how text is cut, and says different things.

    `base`, `aligned`: the values, of lists only their SHA-256; None where the file has no such key.
    """

    key: str
    base: str | None
    aligned: str | None


class TokenizerRelation(msgspec.Struct, frozen=True, kw_only=True):
    """How two files' tokenizers relate.

    `same`: they agree in every key. `cutting`: the keys beside the tokens themselves and their ids
    in which they differ; None where a file can't be read.
    """

    same: bool
    cutting: tuple[CutBy, ...] | None


def compare_tokenizers(base: Path, aligned: Path) -> TokenizerRelation:
    """What two files say of how text is cut into tokens.

    It walks both headers: 0.2 s each for a vocabulary of 262,144.
    """
    if base == aligned:
        return TokenizerRelation(same=True, cutting=())
    found = []
    for path in (base, aligned):
        try:
            with open_model(path) as file:
                _check_head(path, file.read(HEAD.size), file)
                found.append(tokenizer_values(file))
        except (ModelError, OSError, Truncated, Malformed):
            return TokenizerRelation(same=False, cutting=None)
    ours, theirs = found
    differing = [
        CutBy(key=key, base=ours.get(key), aligned=theirs.get(key))
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]
    cutting = [one for one in differing if one.key not in _NAMES and not one.key.endswith("_id")]
    return TokenizerRelation(same=not differing, cutting=tuple(cutting))


def model_parts(path: Path, kind: ModelKind = "model") -> tuple[ModelPart, ...]:
    """All files of a model in their order, with their sizes; for most models it is one.

    Where a name looks like a part's, the whole header is read: the number of parts often stands
    behind the vocabulary.

    Raises:
        ModelError: The file is no model, not the first part, or a part is missing.
    """
    header = check_gguf(path, kind)
    if header.parts == 1 and is_named_like_a_part(path):
        header = header_of(path)
    return found_parts(part_paths(path, header.parts))


def inspect_adapter(path: Path, model: Metadata) -> Header:
    """Read the whole header of a LoRA adapter, and whether it was made for models like `model`.

    Raises:
        ModelError: It is no LoRA, or an incomplete one, or was made for another architecture.
    """
    header = inspect_header(path, kind="adapter")
    if header.architecture != model.architecture:
        raise ModelError(
            f"The adapter {_shown(path)} was made for models of the architecture "
            f"'{_word(header.architecture)}', and this model is of '{_word(model.architecture)}'.",
            "Use an adapter that was made for this model.",
        )
    return header


def whole_header(path: Path, file: Bytes) -> Header:
    """The whole header of an open file, whatever kind of file it is; `path` is what it is called.

    Raises:
        ModelError: It is no GGUF file, ends inside its header, or the header is garbled.
    """
    file.seek(0)
    _check_head(path, file.read(HEAD.size), file)
    try:
        return read_header(file)
    except Truncated as error:
        raise _cut_off(path) from error
    except Malformed as error:
        raise _garbled(path, str(error)) from error


def header_of(path: Path) -> Header:
    """The whole header of a file, walked once for as long as the file stays the same.

    Raises:
        ModelError: As `whole_header`; or the file is not there, or can't be read.
    """
    with open_model(path) as file:
        state = os.fstat(file.fileno())
        if time.time_ns() - state.st_ctime_ns < _SETTLED_NS:
            return whole_header(path, file)
    # A file that changes from here on is in another state when it is asked for again.
    return _walked(
        path, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    )


@functools.lru_cache(maxsize=16)
def _walked(path: Path, _state: tuple[int, ...]) -> Header:
    with open_model(path) as file:
        return whole_header(path, file)


def _check_parts(path: Path, header: Header) -> None:
    if header.size > header.expected_size and _starts_another(path, header):
        raise ModelError(
            f"The file {_shown(path)} holds the parts of a model joined end to end, which "
            "llama.cpp can't read.",
            "Get the parts again and keep them as they are, in one directory: only the first is "
            "loaded.",
        )
    first, *others = found_parts(part_paths(path, header.parts))
    assert first.path == path
    for part in others:
        other = header_of(part.path)
        if other.expected_size > other.size:
            raise _cut_off(part.path, other.size, other.expected_size)


def _starts_another(path: Path, header: Header) -> bool:
    """Whether another GGUF file begins where a file's tensors end."""
    with open_model(path) as file:
        file.seek(header.expected_size)
        # Writers pad the last tensor, too.
        return b"GGUF" in file.read(4096)


def open_model(path: Path) -> BinaryIO:
    """A model's file, opened for reading. Only regular files: reading a pipe would hang.

    Raises:
        ModelError: It is not there, or can't be read.
    """
    try:
        return open_regular(path)
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no file {_shown(path)}.",
            "Check the path, or choose a model from `urial models list`.",
        ) from error
    except OSError as error:
        raise ModelError(
            f"The model file {_shown(path)} can't be read: {reason(error)}.",
            "Check the path and the file's permissions.",
        ) from error


def _check_head(path: Path, head: bytes, file: Bytes) -> None:
    if not head:
        raise ModelError(
            f"The model file {_shown(path)} is empty.",
            "Remove it and fetch the model again.",
        )
    if not head.startswith(b"GGUF"):
        file.seek(0)
        guess = _looks_like(file.read(1024))
        what = f"it looks like {guess}" if guess else "it does not start like one"
        raise ModelError(
            f"The file {_shown(path)} is not a GGUF model: {what}.",
            "Use the .gguf file of the model; other formats have to be converted first.",
        )
    if len(head) < HEAD.size:
        raise _cut_off(path)
    _, version, tensors, keys = HEAD.unpack(head)
    if version & 0xFFFF == 0 and version:
        raise ModelError(
            f"The model file {_shown(path)} is written for big-endian machines.",
            "Use a file for little-endian machines; most are.",
        )
    if version not in (2, 3):
        raise ModelError(
            f"The model file {_shown(path)} has GGUF version {version}; "
            "versions 2 and 3 can be read.",
            "Fetch a file that was made with a current llama.cpp."
            if version < 2
            else "Install a newer urial-tui, or use another file.",
        )
    if tensors > MAX_TENSORS or keys > MAX_KEYS:
        raise _garbled(path, f"it claims to hold {tensors:,} tensors and {keys:,} keys")


def _looks_like(head: bytes) -> str:
    """What kind of file starts so; empty if it is none that is often mistaken for a model."""
    text = head.lstrip()[:64].lower()
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "a Git LFS pointer, which stands for a file that was not downloaded"
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "a web page, most likely the page about the file instead of the file"
    if head.startswith((b"lmgg", b"fmgg", b"tjgg", b"algg")):
        return "a model in one of the GGML formats that came before GGUF"
    if head.startswith(b"FUGG"):
        return "a GGUF file with its bytes in reverse order"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive, such as a PyTorch checkpoint"
    if head.startswith(b"\x1f\x8b"):
        return "a gzip archive, which has to be unpacked first"
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return "a Python pickle, such as an old PyTorch checkpoint"
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "a safetensors file"
    if text.startswith((b"{", b"[")):
        return "a JSON file"
    if not head.strip(b"\0"):
        return "a file of zeros, such as an unfinished download"
    return ""


def _refuse(path: Path, refusal: Refusal | None) -> None:
    if refusal is not None:
        raise ModelError(f"The file {_shown(path)} is {refusal.what}.", refusal.hint)


def _cut_off(path: Path, size: int | None = None, expected: int | None = None) -> ModelError:
    if size is None or expected is None:
        what = "it ends inside its header"
    else:
        what = f"{size:,} of {expected:,} bytes are there"
    return ModelError(
        f"The model file {_shown(path)} is cut off: {what}.",
        "Join it with the pieces that it was cut into, in their order (`cat FIRST SECOND > "
        "MODEL.gguf`)."
        if is_named_like_a_piece(path)
        else "Remove it and fetch the model again.",
    )


def _garbled(path: Path, why: str) -> ModelError:
    return ModelError(
        f"The model file {_shown(path)} is damaged: {sanitize_line(why)}.",
        "Remove it and fetch the model again.",
    )


def _word(text: str) -> str:
    return sanitize_line(text)[:40]


def _shown(path: Path) -> str:
    return sanitize_line(str(path))
