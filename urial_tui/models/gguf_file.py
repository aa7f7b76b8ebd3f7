"""GGUF, the binary format: its header read as far as it can be trusted.

GGUF versions 2 and 3, little-endian
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). No length and no count is
believed: what is read is bounded by the file's real size and by the limits below, and
memory by a window of a few megabytes. The gguf package's reader builds an array for each
token of the vocabulary, which takes seconds for 262,144 of them; this one takes a tenth.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import NamedTuple, Protocol

import msgspec

from urial_tui import wording

GGUFValue = int | float | bool | str | tuple[int | float | bool, ...]

MAX_KEYS = 65_536
MAX_TENSORS = 65_536
MAX_STRINGS = 4_000_000
"""Strings in all arrays together: the largest vocabularies and merges are below a million."""
MAX_HEADER_BYTES = 1 << 30
MAX_KEY_BYTES = 65_535
MAX_KEPT_BYTES = 65_536
"""Longer strings (chat templates) are skipped; longer arrays too."""
MAX_KEPT_TOGETHER = 16 << 20
"""Bytes of all keys and values that are kept."""
MAX_TENSOR_NAME_BYTES = 63
"""llama.cpp reads no longer ones (ggml.h, GGML_MAX_NAME)."""

HEAD = struct.Struct("<4sIQQ")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_WINDOW = 4 * 1024 * 1024
_PEEK = 128 * 1024
_MANY = 1000
"""Elements of an array that is most likely a vocabulary."""
_TOKENIZER = "tokenizer.ggml."
_SHORT = 100
"""Bytes of a text that is told as it is."""
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


_NUMBER_BYTES = 40
"""Memory that a kept number takes at most: an object, and its place in a tuple."""


class Bytes(Protocol):
    """A file's bytes, wherever they are: opened for reading, and as long as its end is far.

    A `read` may give fewer bytes than it is asked for, but no fewer than `MAX_KEPT_BYTES` of
    those that there are.
    """

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position; where that is."""
        ...

    def read(self, size: int, /) -> bytes:
        """Read the bytes that follow."""
        ...


class TensorInfo(msgspec.Struct, frozen=True):
    """A line of the tensor table. Foreign text, and numbers that nothing was compared with yet."""

    name: str
    shape: tuple[int, ...]
    kind: int


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the keys of a GGUF file say; without those behind the vocabulary.

    `metadata`: scalars, short strings and short arrays of numbers by key. `lengths`: the
    number of elements of every array. `size`: of the file, in bytes.
    """

    metadata: Mapping[str, GGUFValue]
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

    def each(self, key: str) -> tuple[int, ...]:
        """The integers of the architecture that a key holds: one, one for each layer, or none."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        values = value if isinstance(value, tuple) else (value,)
        return tuple(v for v in values if isinstance(v, int) and not isinstance(v, bool))

    def most(self, key: str) -> int | None:
        """The largest of these; None if there is none."""
        return max(self.each(key), default=None)

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
    `tensor_bytes`: the size of each tensor of a known type by its name.
    `tensor_table`: the tensors.
    """

    version: int
    tensors: int
    data_start: int
    data_size: int
    parameters: int
    complete: bool
    tensor_bytes: Mapping[str, int]
    tensor_table: tuple[TensorInfo, ...] = ()

    @property
    def expected_size(self) -> int:
        """The least size in bytes of a file that holds every tensor."""
        return self.data_start + self.data_size


class Truncated(Exception):
    """The file ends inside its header."""


class Malformed(Exception):
    """The header can't be what a GGUF writer wrote; the text says why."""


class Span(NamedTuple):
    """Where the value of a key stands in a file.

    `kind`: its type. `element`, `length`: type and number of an array's elements. `start`, `end`:
    bytes from the beginning of the file; an array starts with the type and the number of its
    elements, a string with its length.
    """

    kind: int
    element: int
    length: int
    start: int
    end: int

    @property
    def is_text(self) -> bool:
        """Whether it is a string."""
        return self.kind == _STRING

    @property
    def is_texts(self) -> bool:
        """Whether it is a list of strings."""
        return self.kind == _ARRAY and self.element == _STRING


class _Reader:
    """Numbers and strings at a moving position of a file, through a window of its bytes."""

    def __init__(self, file: Bytes, position: int, window: int = _WINDOW) -> None:
        self._file = file
        self._read_ahead = window
        self.size = file.seek(0, os.SEEK_END)
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
                raise Truncated
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

    def key(self, limit: int = MAX_KEY_BYTES) -> str:
        length = self.u64()
        if length > limit:
            raise Malformed(f"a name in it is {length} bytes long")
        return self.take(length).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Pass over `count` strings."""
        self._strings += count
        if self._strings > MAX_STRINGS:
            raise Malformed(f"it claims to hold {self._strings} strings")
        if count > (self.size - self.position) // 8:
            raise Truncated
        unpack = _U64.unpack_from
        done = 0
        while done < count:
            if self.position + 8 > self.size:
                raise Truncated
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
            raise Truncated
        if self.position > MAX_HEADER_BYTES:
            raise Malformed(f"its header is longer than {wording.limit(MAX_HEADER_BYTES)}")

    def _slide(self) -> None:
        self._file.seek(self.position)
        self._start = self.position
        self._window = self._file.read(self._read_ahead)


def _metadata(
    reader: _Reader, keys: int, limit: int = 0
) -> tuple[dict[str, GGUFValue], dict[str, int]]:
    """The key/value pairs, and the lengths of all arrays.

    With a `limit`, it ends behind that many bytes or in front of the vocabulary, which is
    most of a header and comes last.
    """
    metadata: dict[str, GGUFValue] = {}
    lengths: dict[str, int] = {}
    kept = 0
    for _ in range(keys):
        key = reader.key()
        kept += len(key)
        kind = reader.u32()
        if kind == _ARRAY:
            kind, count = reader.u32(), reader.u64()
            lengths[key] = count
            if limit and count > _MANY:
                break
            values = _array(reader, kind, count)
            if values is not None:
                metadata[key] = values
                kept += _NUMBER_BYTES * len(values)
        elif kind == _STRING:
            length = reader.u64()
            if length > MAX_KEPT_BYTES:
                reader.skip(length)
            else:
                metadata[key] = reader.take(length).decode("utf-8", "replace")
                kept += length
        else:
            metadata[key] = _scalar(reader, kind)
        if kept > MAX_KEPT_TOGETHER:
            raise Malformed(f"its keys hold more than {wording.limit(MAX_KEPT_TOGETHER)}")
        if limit and reader.position >= limit:
            break
    return metadata, lengths


def _scalar(reader: _Reader, kind: int) -> int | float | bool:
    form = _SCALARS.get(kind)
    if form is None:
        raise Malformed(f"a value in it has the unknown type {kind}")
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
        raise Malformed(f"an array in it has elements of the unknown type {kind}")
    if count * form.size > MAX_KEPT_BYTES:
        reader.skip(count * form.size)
        return None
    return tuple(value for (value,) in form.iter_unpack(reader.take(count * form.size)))


def read_start(file: Bytes) -> Metadata:
    """The keys at the start of a file whose magic, version and counts were checked.

    Raises:
        Truncated: The file ends before them.
        Malformed: They can't be what a GGUF writer wrote.
    """
    file.seek(0)
    keys = HEAD.unpack(file.read(HEAD.size))[3]
    reader = _Reader(file, HEAD.size, window=_PEEK)
    metadata, lengths = _metadata(reader, keys, limit=_PEEK)
    return Metadata(metadata=metadata, lengths=lengths, size=reader.size)


def locate(file: Bytes) -> dict[str, Span]:
    """Where the value of each key stands in a file whose magic, version and counts were checked.

    Raises:
        Truncated, Malformed: As `read_header`.
    """
    file.seek(0)
    keys = HEAD.unpack(file.read(HEAD.size))[3]
    reader = _Reader(file, HEAD.size)
    spans = {}
    for _ in range(keys):
        key = reader.key()
        kind = reader.u32()
        start, element, count = reader.position, 0, 0
        if kind == _ARRAY:
            element, count = reader.u32(), reader.u64()
            _array(reader, element, count)
        elif kind == _STRING:
            reader.skip(reader.u64())
        else:
            _scalar(reader, kind)
        spans[key] = Span(kind, element, count, start, reader.position)
    return spans


def texts_at(file: Bytes, span: Span, numbers: Iterable[int]) -> dict[int, str]:
    """Strings of a list by their numbers, from 0; those that it does not have are left out.

    Longer ones than `MAX_KEPT_BYTES` are left out, too.
    """
    reader = _Reader(file, span.start + 12)
    found = {}
    done = 0
    for number in sorted(number for number in set(numbers) if 0 <= number < span.length):
        reader.skip_strings(number - done)
        length = reader.u64()
        if length > MAX_KEPT_BYTES:
            reader.skip(length)
        else:
            found[number] = reader.take(length).decode("utf-8", "replace")
        done = number + 1
    return found


def bytes_at(file: Bytes, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from one position to another, in blocks."""
    file.seek(start)
    while start < end:
        block = file.read(min(_WINDOW, end - start))
        if not block:
            raise Truncated
        yield block
        start += len(block)


def tokenizer_values(file: Bytes) -> dict[str, str]:
    """All that a tokenizer is made of, as it stands in a checked file, by key.

    Keys come without "tokenizer.ggml."; values as text, long ones and lists as a SHA-256.
    Two files with equal values hold the same tokenizer.

    Raises:
        Truncated, Malformed: As `read_header`.
    """
    values = {}
    for key, span in locate(file).items():
        if not key.startswith(_TOKENIZER):
            continue
        name, form = key.removeprefix(_TOKENIZER), _SCALARS.get(span.kind)
        if form is not None or (span.is_text and span.end - span.start - 8 <= _SHORT):
            value = b"".join(bytes_at(file, span.start, span.end))
            values[name] = (
                value[8:].decode("utf-8", "replace") if form is None else str(*form.unpack(value))
            )
            continue
        digest = hashlib.sha256()
        for block in bytes_at(file, span.start, span.end):
            digest.update(block)
        values[name] = f"sha256:{digest.hexdigest()}"
    return values


def read_header(file: Bytes) -> Header:
    """The whole header of a file whose magic, version and counts were checked.

    Raises:
        Truncated: The file ends inside its header.
        Malformed: It can't be what a GGUF writer wrote.
    """
    file.seek(0)
    _, version, tensors, keys = HEAD.unpack(file.read(HEAD.size))
    reader = _Reader(file, HEAD.size)
    metadata, lengths = _metadata(reader, keys)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise Malformed(f"its alignment is {alignment}")
    data_size = parameters = 0
    complete = True
    tensor_bytes: dict[str, int] = {}
    table = []
    for _ in range(tensors):
        name = reader.key(MAX_TENSOR_NAME_BYTES)
        dimensions = reader.u32()
        if dimensions > 4:
            raise Malformed(f"a tensor in it has {dimensions} dimensions")
        shape = tuple(reader.u64() for _ in range(dimensions))
        kind, offset = reader.u32(), reader.u64()
        table.append(TensorInfo(name, shape, kind))
        elements = math.prod(shape)
        parameters += elements
        block = _BLOCKS.get(kind)
        if block is None:
            complete = False
        else:
            tensor_bytes[name] = elements // block[0] * block[1]
            data_size = max(data_size, offset + tensor_bytes[name])
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
        tensor_bytes=tensor_bytes,
        tensor_table=tuple(table),
    )
