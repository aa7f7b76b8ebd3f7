"""What a file says about itself before it is loaded, and why it may be no model.

`check_gguf` reads the first 128 KiB (0.2 ms) and tells a GGUF model from everything that
is mistaken for one. `inspect_header` walks the whole header (0.1 s for a vocabulary of
262,144), which also shows whether the file is cut off.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Literal

from urial_tui.errors import ModelError
from urial_tui.models.gguf_file import (
    HEAD,
    MAX_KEYS,
    MAX_TENSORS,
    Header,
    Malformed,
    Metadata,
    Truncated,
    Value,
    read_header,
    read_start,
    tokenizer_digest,
)
from urial_tui.sanitize import sanitize_line

Kind = Literal["model", "adapter"]

_NO_LANGUAGE_MODEL = {"clip": "an image encoder", "mmproj": "an image encoder"}


def check_gguf(path: Path, kind: Kind = "model") -> Metadata:
    """Refuse what is no GGUF file of this kind, reading no more than its start.

    Raises:
        ModelError: The file is missing, unreadable, not GGUF, of a version or byte order
            that llama.cpp does not read, or says that it holds something else than `kind`.
    """
    with _open(path) as file:
        _check_head(path, file.read(HEAD.size), file)
        try:
            start = read_start(file)
        except Truncated as error:
            raise _cut_off(path) from error
        except Malformed as error:
            raise _garbled(path, str(error)) from error
    _check_kind(path, start.metadata, kind)
    return start


def inspect_header(path: Path, kind: Kind = "model") -> Header:
    """Read the whole header, and compare the file's size with what its tensors need.

    Raises:
        ModelError: As `check_gguf`; or the header is garbled, or the file is cut off.
    """
    with _open(path) as file:
        _check_head(path, file.read(HEAD.size), file)
        try:
            header = read_header(file)
        except Truncated as error:
            raise _cut_off(path) from error
        except Malformed as error:
            raise _garbled(path, str(error)) from error
    _check_kind(path, header.metadata, kind)
    if header.expected_size > header.size:
        raise _cut_off(path, header.size, header.expected_size)
    if header.parts > 1:
        _check_parts(path, header)
    elif not header.tensors:
        raise ModelError(
            f"The file {_shown(path)} holds no weights, only a vocabulary.",
            "Use the .gguf file of the whole model.",
        )
    if kind == "model" and "tokenizer.ggml.tokens" not in header.lengths:
        raise ModelError(
            f"The file {_shown(path)} holds no vocabulary, so it is not a language model.",
            "Use the .gguf file of the language model that it belongs to.",
        )
    return header


def same_tokenizer(first: Path, second: Path) -> bool:
    """Whether two files certainly hold the same tokenizer; False also where one is unreadable.

    It walks both headers: 0.2 s each for a vocabulary of 262,144.
    """
    digests = set()
    for path in (first, second):
        try:
            with _open(path) as file:
                _check_head(path, file.read(HEAD.size), file)
                digests.add(tokenizer_digest(file))
        except (ModelError, OSError, Truncated, Malformed):
            return False
    return len(digests) == 1


def part_paths(path: Path, parts: int) -> list[Path]:
    """The files of a model in `parts` files, in order; `path` names the first.

    llama.cpp finds them by their names: NAME-00001-of-00003.gguf and so on.

    Raises:
        ModelError: `path` is not named like a first part.
    """
    if parts <= 1:
        return [path]
    end = f"-00001-of-{parts:05d}.gguf"
    if not path.name.endswith(end):
        raise ModelError(
            f"The file {_shown(path)} is one of {parts} parts of a model, and not named like "
            "the first.",
            f"Load the part whose name ends in {end}; do not rename the parts.",
        )
    stem = path.name.removesuffix(end)
    return [
        path.with_name(f"{stem}-{part:05d}-of-{parts:05d}.gguf") for part in range(1, parts + 1)
    ]


def _check_parts(path: Path, header: Header) -> None:
    missing = [part for part in part_paths(path, header.parts) if not part.is_file()]
    if missing:
        raise ModelError(
            f"The model {_shown(path)} has {header.parts} parts, and {_shown(missing[0])} "
            "is missing.",
            "Put all parts into one directory.",
        )


def _open(path: Path) -> BinaryIO:
    """The file, opened for reading. Only regular files: reading a pipe would hang."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ModelError(
                f"{_shown(path)} is a directory, not a model file.",
                "Give the path of a .gguf file.",
            )
        if not stat.S_ISREG(mode):
            raise ModelError(
                f"{_shown(path)} is not a regular file.", "Give the path of a .gguf file."
            )
        return path.open("rb")
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no file {_shown(path)}.",
            "Check the path, or choose a model from `urial models list`.",
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(
            f"The model file {_shown(path)} can't be read: {reason}.",
            "Check the path and the file's permissions.",
        ) from error


def _check_head(path: Path, head: bytes, file: BinaryIO) -> None:
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


def _check_kind(path: Path, metadata: Mapping[str, Value], kind: Kind) -> None:
    said = metadata.get("general.type")
    architecture = metadata.get("general.architecture")
    is_adapter = said == "adapter"
    if kind == "model" and is_adapter:
        raise ModelError(
            f"The file {_shown(path)} is a LoRA adapter, not a model.",
            "Give it after the model it was made for, as MODEL+ADAPTER.",
        )
    if kind == "adapter" and not is_adapter and (said or architecture):
        raise ModelError(
            f"The file {_shown(path)} is not a LoRA adapter"
            + (" but a model." if said in (None, "model") else "."),
            "After the '+' comes the .gguf file of a LoRA adapter.",
        )
    other = _NO_LANGUAGE_MODEL.get(str(said)) or _NO_LANGUAGE_MODEL.get(str(architecture))
    if other is None and isinstance(said, str) and said not in ("model", "adapter"):
        other = f"of the type '{sanitize_line(said)[:40]}'"
    if other:
        raise ModelError(
            f"The file {_shown(path)} is {other}, not a language model.",
            "Use the .gguf file of the language model that it belongs to.",
        )


def _cut_off(path: Path, size: int | None = None, expected: int | None = None) -> ModelError:
    if size is None or expected is None:
        what = "it ends inside its header"
    else:
        what = f"{size:,} of {expected:,} bytes are there"
    return ModelError(
        f"The model file {_shown(path)} is cut off: {what}.",
        "Remove it and fetch the model again.",
    )


def _garbled(path: Path, why: str) -> ModelError:
    return ModelError(
        f"The model file {_shown(path)} is damaged: {sanitize_line(why)}.",
        "Remove it and fetch the model again.",
    )


def _shown(path: Path) -> str:
    return sanitize_line(str(path))
