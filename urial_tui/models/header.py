"""What a file says about itself before it is loaded.

`check_gguf` reads the first 128 KiB and tells a GGUF model from everything that is mistaken
for one. `inspect_header` walks the whole header (GGUF versions 2 and 3, little-endian:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), which also shows whether the
file is cut off. Neither believes a length or a count: what is read is bounded by the
file's real size and by the limits below, and memory by a window of a few megabytes.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping
from itertools import repeat
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from urial_tui.errors import ModelError
from urial_tui.sanitize import sanitize_line

Kind = Literal["model", "adapter"]
Value = int | float | bool | str | tuple[int | float | bool, ...]

MAX_KEYS = 65_536
MAX_TENSORS = 65_536
MAX_STRINGS = 4_000_000
"""Strings in all arrays together: the largest vocabularies and merges are below a million."""
MAX_HEADER_BYTES = 1 << 30
MAX_KEY_BYTES = 65_535
MAX_KEPT_BYTES = 65_536
"""Longer strings (chat templates) are skipped; longer arrays too."""

_HEAD = struct.Struct("<4sIQQ")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_WINDOW = 4 * 1024 * 1024
_PEEK = 128 * 1024
_MANY = 1000
"""Elements of an array that is most likely a vocabulary."""
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
"""GGUF value types but strings and arrays."""

# fmt: off
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4),
    27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66),
    39: (32, 17), 40: (64, 36), 41: (128, 18), 42: (64, 18),
}
# fmt: on
"""Elements and bytes of a block by tensor type (ggml.h, enum ggml_type)."""

_NO_LANGUAGE_MODEL = {"clip": "an image encoder", "mmproj": "an image encoder"}


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the keys of a GGUF file say; without those behind the vocabulary.

    `metadata`: scalars, short strings and short arrays of numbers by key. `lengths`: the
    number of elements of every array. `size`: of the file, in bytes.
    """

    metadata: Mapping[str, Value]
    lengths: Mapping[str, int]
    size: int

    @property
    def architecture(self) -> str:
        """`general.architecture`, empty if it is not given."""
        value = self.metadata.get("general.architecture", "")
        return value if isinstance(value, str) else ""

    @property
    def name(self) -> str:
        """`general.name`, empty if it is not given. Foreign text."""
        value = self.metadata.get("general.name", "")
        return value if isinstance(value, str) else ""

    @property
    def parts(self) -> int:
        """Files that the model is split into."""
        value = self.metadata.get("split.count", 1)
        return value if isinstance(value, int) and value > 1 else 1

    def number(self, key: str) -> int | None:
        """An integer of the architecture (`block_count`, ...); None if it is not given."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def numbers(self, key: str, count: int) -> tuple[int, ...] | None:
        """Like `number`, for a value that is given once or once for each of `count` layers."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple):
            whole = tuple(v for v in value if isinstance(v, int))
            return whole if len(whole) == len(value) == count else None
        single = self.number(key)
        return None if single is None else (single,) * count


class Header(Metadata, frozen=True, kw_only=True):
    """A whole GGUF header, with every key.

    `data_start` and `data_size`: of the tensors, in bytes. `parameters`: elements of all
    tensors. `complete`: every tensor's type is known, so that `data_size` covers them all.
    """

    version: int
    tensors: int
    data_start: int
    data_size: int
    parameters: int
    complete: bool

    @property
    def expected_size(self) -> int:
        """The least size in bytes of a file that holds every tensor."""
        return self.data_start + self.data_size


class _Truncated(Exception):
    """The file ends inside its header."""


class _Malformed(Exception):
    """The header can't be what a GGUF writer wrote; the text says why."""


def check_gguf(path: Path, kind: Kind = "model") -> Metadata:
    """Refuse what is no GGUF file of this kind, reading no more than its start.

    Raises:
        ModelError: The file is missing, unreadable, not GGUF, of a version or byte order
            that llama.cpp does not read, or says that it holds something else than `kind`.
    """
    with _open(path) as file:
        head = file.read(_HEAD.size)
        _check_head(path, head, file)
        try:
            reader = _Reader(file, _HEAD.size, window=_PEEK)
            metadata, lengths = _metadata(reader, _HEAD.unpack(head)[3], limit=_PEEK)
        except _Truncated as error:
            raise _cut_off(path) from error
        except _Malformed as error:
            raise _garbled(path, str(error)) from error
    _check_kind(path, metadata, kind)
    return Metadata(metadata=metadata, lengths=lengths, size=reader.size)


def inspect_header(path: Path, kind: Kind = "model") -> Header:
    """Read the whole header, and compare the file's size with what its tensors need.

    Raises:
        ModelError: As `check_gguf`; or the header is garbled, or the file is cut off.
    """
    with _open(path) as file:
        _check_head(path, file.read(_HEAD.size), file)
        try:
            header = _read_header(file)
        except _Truncated as error:
            raise _cut_off(path) from error
        except _Malformed as error:
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
    if len(head) < _HEAD.size:
        raise _cut_off(path)
    _, version, tensors, keys = _HEAD.unpack(head)
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
        raise _garbled(path, f"it claims to hold {tensors} tensors and {keys} keys")


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
    if len(head) > 9 and head[8:9] == b"{" and _U64.unpack(head[:8])[0] < 1 << 32:
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


class _Reader:
    """Numbers and strings at a moving position of a file, through a window of its bytes."""

    def __init__(self, file: BinaryIO, position: int, window: int = _WINDOW) -> None:
        self._file = file
        self._read_ahead = window
        self.size = os.fstat(file.fileno()).st_size
        self.position = position
        self._start = 0
        self._window = b""
        self._strings = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes, at most `MAX_KEPT_BYTES`."""
        offset = self.position - self._start
        if offset + count > len(self._window):
            self._slide()
            offset = 0
            if count > len(self._window):
                raise _Truncated
        self.position += count
        return self._window[offset : offset + count]

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        self.position += count
        self._check_bounds()

    def u32(self) -> int:
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        return int(_U64.unpack(self.take(8))[0])

    def key(self) -> str:
        length = self.u64()
        if length > MAX_KEY_BYTES:
            raise _Malformed(f"a name in it is {length} bytes long")
        return self.take(length).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Pass over `count` strings."""
        self._strings += count
        if self._strings > MAX_STRINGS:
            raise _Malformed(f"it claims to hold {self._strings} strings")
        if count > (self.size - self.position) // 8:
            raise _Truncated
        unpack = _U64.unpack_from
        done = 0
        while done < count:
            if self.position + 8 > self.size:
                raise _Truncated
            self._slide()
            window, offset = self._window, 0
            # The hot loop of the module: half a million rounds for a large vocabulary, so
            # the end of the window is left to `unpack_from` to find.
            try:
                for _ in repeat(None, count - done):
                    (length,) = unpack(window, offset)
                    offset += 8 + length
                    done += 1
            except (struct.error, OverflowError):
                pass
            self.position += offset
            self._check_bounds()

    def _check_bounds(self) -> None:
        if self.position > self.size:
            raise _Truncated
        if self.position > MAX_HEADER_BYTES:
            raise _Malformed(f"its header is longer than {MAX_HEADER_BYTES >> 20} MiB")

    def _slide(self) -> None:
        self._file.seek(self.position)
        self._start = self.position
        self._window = self._file.read(self._read_ahead)


def _metadata(
    reader: _Reader, keys: int, limit: int = 0
) -> tuple[dict[str, Value], dict[str, int]]:
    """The key/value pairs, and the lengths of all arrays.

    With a `limit`, it ends behind that many bytes or in front of the vocabulary, which is
    most of a header and comes last.
    """
    metadata: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(keys):
        key = reader.key()
        kind = reader.u32()
        if kind == _ARRAY:
            kind, count = reader.u32(), reader.u64()
            lengths[key] = count
            if limit and count > _MANY:
                break
            values = _array(reader, kind, count)
            if values is not None:
                metadata[key] = values
        elif kind == _STRING:
            length = reader.u64()
            if length > MAX_KEPT_BYTES:
                reader.skip(length)
            else:
                metadata[key] = reader.take(length).decode("utf-8", "replace")
        else:
            metadata[key] = _scalar(reader, kind)
        if limit and reader.position >= limit:
            break
    return metadata, lengths


def _scalar(reader: _Reader, kind: int) -> int | float | bool:
    form = _SCALARS.get(kind)
    if form is None:
        raise _Malformed(f"a value in it has the unknown type {kind}")
    value: int | float | bool = form.unpack(reader.take(form.size))[0]
    return value


def _array(reader: _Reader, kind: int, count: int) -> tuple[int | float | bool, ...] | None:
    """A short array of numbers; anything else is passed over."""
    if kind == _STRING:
        reader.skip_strings(count)
        return None
    form = _SCALARS.get(kind)
    if form is None:
        # llama.cpp reads no arrays of arrays either, so nothing nests.
        raise _Malformed(f"an array in it has elements of the unknown type {kind}")
    if count * form.size > MAX_KEPT_BYTES:
        reader.skip(count * form.size)
        return None
    return tuple(value for (value,) in form.iter_unpack(reader.take(count * form.size)))


def _read_header(file: BinaryIO) -> Header:
    file.seek(0)
    _, version, tensors, keys = _HEAD.unpack(file.read(_HEAD.size))
    reader = _Reader(file, _HEAD.size)
    metadata, lengths = _metadata(reader, keys)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise _Malformed(f"its alignment is {alignment}")
    data_size = parameters = 0
    complete = True
    for _ in range(tensors):
        reader.key()
        dimensions = reader.u32()
        if dimensions > 4:
            raise _Malformed(f"a tensor in it has {dimensions} dimensions")
        elements = 1
        for _ in range(dimensions):
            elements *= reader.u64()
        kind, offset = reader.u32(), reader.u64()
        parameters += elements
        block = _BLOCKS.get(kind)
        if block is None:
            complete = False
        else:
            data_size = max(data_size, offset + elements // block[0] * block[1])
    return Header(
        version=version,
        tensors=tensors,
        metadata=metadata,
        lengths=lengths,
        size=reader.size,
        data_start=(reader.position + alignment - 1) // alignment * alignment,
        data_size=data_size,
        parameters=parameters,
        complete=complete,
    )


def _cut_off(path: Path, size: int | None = None, expected: int | None = None) -> ModelError:
    if size is None or expected is None:
        what = "it ends inside its header"
    else:
        what = f"{size} of {expected} bytes are there"
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
