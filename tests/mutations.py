"""Damaged GGUF files: one mutation after another of a good file, drawn from a seed.

The file is taken apart by a reader of its own, which trusts it, so that a length stays right
where a value is changed; half of the mutations change bytes without such care. The same seed
gives the same file.
"""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

_STRING, _ARRAY = 8, 9
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""struct's letter for each GGUF value type but strings and arrays."""
_ALIGNMENT = 32

EXTREMES = (
    *(0, 1, 2, 3, 5, 7, 16, 31, 33, 80, 255, 256, 257, 512, 513, 1000, 65_535, 65_536, 1 << 20),
    *((1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) - 1, (1 << 64) - 1),
    *(-1, -2, -(1 << 31), 0.0, -1.0, 1e-30, 1e30, float("inf"), float("nan")),
)
"""Values at which counts, products and conversions break."""

ADDED = {
    "{}.expert_count": 4,
    "{}.expert_used_count": 4,
    "{}.pooling_type": 4,
    "{}.attention.causal": 7,
    "{}.attention.sliding_window": 4,
    "{}.attention.sliding_window_pattern": 4,
    "{}.attention.layer_indexer": 4,
    "{}.attention.key_length_mla": 4,
    "{}.attention.max_alibi_bias": 6,
    "{}.attention.clamp_kqv": 6,
    "{}.attention.key_length_swa": 4,
    "{}.embedding_length_out": 4,
    "{}.logit_scale": 6,
    "{}.nextn_predict_layers": 4,
    "{}.rope.scaling.factor": 6,
    "{}.rope.scaling.original_context_length": 4,
    "{}.rope.dimension_count_swa": 4,
    "{}.ssm.group_count": 4,
    "{}.vocab_size": 4,
    "general.alignment": 4,
    "split.count": 2,
    "split.no": 2,
    "split.tensors.count": 5,
    "tokenizer.ggml.unknown_token_id": 4,
    "tokenizer.ggml.padding_token_id": 4,
    "tokenizer.ggml.eom_token_id": 4,
    "tokenizer.ggml.token_type_count": 4,
    "tokenizer.ggml.remove_extra_whitespaces": 7,
}
"""Keys that a file may hold and these do not, with their type; {} is the architecture."""

_ARCHITECTURES = (
    "bert qwen2 gemma3 gemma2 phi3 mamba mamba2 rwkv6 t5 llada dream gpt2 falcon deepseek2 jamba "
    "clip nothing nomic-bert t5encoder gemma-embedding command-r olmo stablelm llama4"
)
TEXTS = {
    "general.architecture": ("", *_ARCHITECTURES.split(), "a" * 70_000),
    "general.type": ("", "adapter", "mmproj", "model\0", "imatrix"),
    "tokenizer.ggml.model": ("", "gpt2", "bert", "t5", "rwkv", "none", "no_vocab", "plamo2", "x"),
    "tokenizer.ggml.pre": ("", "llama-bpe", "qwen2", "gemma4", "unheard-of", "x" * 100_000),
}
"""What is put into strings that decide how the rest is read."""


@dataclass(frozen=True)
class Key:
    """A key/value pair as it stands in the file: `value` is what follows the type."""

    name: bytes
    kind: int
    value: bytes

    @property
    def encoded(self) -> bytes:
        return _text(self.name) + struct.pack("<I", self.kind) + self.value


@dataclass(frozen=True)
class TensorInfo:
    """A line of the tensor table."""

    name: bytes
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def encoded(self) -> bytes:
        shape = struct.pack(f"<I{len(self.shape)}Q", len(self.shape), *self.shape)
        return _text(self.name) + shape + struct.pack("<IQ", self.kind, self.offset)


@dataclass(frozen=True)
class Gguf:
    """A GGUF file in parts."""

    keys: tuple[Key, ...]
    tensors: tuple[TensorInfo, ...]
    data: bytes

    @classmethod
    def parse(cls, file: bytes) -> Gguf:
        """A good file's parts."""
        tensor_count, key_count = struct.unpack_from("<QQ", file, 8)
        at = 24
        keys = []
        for _ in range(key_count):
            name, at = _read_text(file, at)
            (kind,) = struct.unpack_from("<I", file, at)
            end = _value_end(file, at + 4, kind)
            keys.append(Key(name, kind, file[at + 4 : end]))
            at = end
        tensors = []
        for _ in range(tensor_count):
            name, at = _read_text(file, at)
            (count,) = struct.unpack_from("<I", file, at)
            shape = struct.unpack_from(f"<{count}Q", file, at + 4)
            kind, offset = struct.unpack_from("<IQ", file, at + 4 + 8 * count)
            at += 4 + 8 * count + 12
            tensors.append(TensorInfo(name, shape, kind, offset))
        return cls(tuple(keys), tuple(tensors), file[-(-at // _ALIGNMENT) * _ALIGNMENT :])

    @property
    def encoded(self) -> bytes:
        """The file."""
        head = struct.pack("<4sIQQ", b"GGUF", 3, len(self.tensors), len(self.keys))
        parts = [
            head,
            *(key.encoded for key in self.keys),
            *(info.encoded for info in self.tensors),
        ]
        header = b"".join(parts)
        return header + bytes(-len(header) % _ALIGNMENT) + self.data

    @property
    def architecture(self) -> str:
        """What it names, "" where a mutation has taken that away."""
        named = (key for key in self.keys if key.name == b"general.architecture")
        return next((key.value[8:].decode("utf-8", "replace") for key in named), "")

    def put(self, name: str, kind: int, value: bytes) -> Gguf:
        """With this key in place of the one of its name, or as the last one."""
        new = Key(name.encode(), kind, value)
        if all(key.name != new.name for key in self.keys):
            return replace(self, keys=(*self.keys, new))
        return replace(self, keys=tuple(new if key.name == new.name else key for key in self.keys))

    def put_number(self, name: str, kind: int, number: float) -> Gguf:
        return self.put(name, kind, packed(kind, number))

    def put_text(self, name: str, text: str) -> Gguf:
        return self.put(name, _STRING, _text(text.encode()))


def packed(kind: int, number: float) -> bytes:
    """A number as a value of a type, cut to what the type can hold."""
    form = _FORMS[kind]
    if form in "fd":
        try:
            return struct.pack(f"<{form}", float(number))
        except OverflowError:
            return struct.pack(f"<{form}", float("inf"))
    if form == "?":
        return struct.pack("<B", int(bool(number)))
    size = struct.calcsize(form)
    whole = 0 if number != number or number in (float("inf"), float("-inf")) else int(number)
    return (whole % (1 << 8 * size)).to_bytes(size, "little")


Mutation = Callable[[Gguf, random.Random], Gguf | bytes]


def mutated(good: Gguf, draw: random.Random) -> tuple[str, bytes]:
    """What was done to a file, and the file."""
    names = []
    file: Gguf | bytes = good
    for _ in range(draw.choice((1, 1, 1, 1, 2, 3))):
        if isinstance(file, bytes):
            break
        name, mutation = draw.choice(MUTATIONS)
        # What was done before may have left nothing that this one can change.
        with contextlib.suppress(struct.error, IndexError):
            file = mutation(file, draw)
            names.append(name)
    return " + ".join(names), file if isinstance(file, bytes) else file.encoded


def _architecture_number(file: Gguf, draw: random.Random) -> Gguf:
    prefix = f"{file.architecture}.".encode()
    numbers = [key for key in file.keys if key.name.startswith(prefix) and key.kind in _FORMS]
    key = draw.choice(numbers or [Key(b"x", 4, b"")])
    return file.put_number(key.name.decode(), key.kind, draw.choice(EXTREMES))


def _any_number(file: Gguf, draw: random.Random) -> Gguf:
    key = draw.choice([key for key in file.keys if key.kind in _FORMS])
    return file.put_number(key.name.decode(), draw.choice(list(_FORMS)), draw.choice(EXTREMES))


def _added_number(file: Gguf, draw: random.Random) -> Gguf:
    name, kind = draw.choice(list(ADDED.items()))
    return file.put_number(name.format(file.architecture), kind, draw.choice(EXTREMES))


def _number_to_array(file: Gguf, draw: random.Random) -> Gguf:
    key = draw.choice([key for key in file.keys if key.kind in _FORMS])
    count = draw.choice((0, 1, 2, 3, 600))
    numbers = b"".join(packed(key.kind, draw.choice(EXTREMES)) for _ in range(count))
    return file.put(key.name.decode(), _ARRAY, struct.pack("<IQ", key.kind, count) + numbers)


def _text_changed(file: Gguf, draw: random.Random) -> Gguf:
    name, texts = draw.choice(list(TEXTS.items()))
    return file.put_text(name, draw.choice(texts))


def _architecture_changed(file: Gguf, draw: random.Random) -> Gguf:
    """Another architecture, its keys with it."""
    old, new = file.architecture, draw.choice(TEXTS["general.architecture"][1:-1])
    keys = tuple(
        replace(key, name=f"{new}.".encode() + key.name[len(old) + 1 :])
        if key.name.startswith(f"{old}.".encode())
        else key
        for key in file.keys
    )
    return replace(file, keys=keys).put_text("general.architecture", new)


def _key_lost(file: Gguf, draw: random.Random) -> Gguf:
    lost = draw.randrange(len(file.keys))
    return replace(file, keys=file.keys[:lost] + file.keys[lost + 1 :])


def _key_twice(file: Gguf, draw: random.Random) -> Gguf:
    return replace(file, keys=(*file.keys, draw.choice(file.keys)))


def _array_cut(file: Gguf, draw: random.Random) -> Gguf:
    """An array of fewer elements, its bytes with it."""
    key = draw.choice([key for key in file.keys if key.kind == _ARRAY])
    kind, count = struct.unpack_from("<IQ", key.value)
    kept = draw.choice((0, 1, count // 2, max(0, count - 1)))
    end = 12
    for _ in range(kept):
        end = _value_end(key.value, end, kind)
    value = struct.pack("<IQ", kind, kept) + key.value[12:end]
    return file.put(key.name.decode(), _ARRAY, value)


def _array_garbled(file: Gguf, draw: random.Random) -> Gguf:
    """Some bytes of an array's elements."""
    key = draw.choice([key for key in file.keys if key.kind == _ARRAY])
    value = bytearray(key.value)
    for _ in range(draw.choice((1, 4, 64))):
        if len(value) > 12:
            value[draw.randrange(12, len(value))] = draw.randrange(256)
    return file.put(key.name.decode(), _ARRAY, bytes(value))


def _shape(file: Gguf, draw: random.Random) -> Gguf:
    at = draw.randrange(len(file.tensors))
    shape = list(file.tensors[at].shape)
    match draw.randrange(4):
        case 0:
            shape[draw.randrange(len(shape))] = abs(int(draw.choice(EXTREMES[:26])))
        case 1:
            shape.reverse()
        case 2:
            shape.append(draw.choice((0, 1, 2)))
        case _:
            shape.pop()
    return _with_tensor(file, at, replace(file.tensors[at], shape=tuple(shape)))


def _tensor_kind(file: Gguf, draw: random.Random) -> Gguf:
    at = draw.randrange(len(file.tensors))
    return _with_tensor(file, at, replace(file.tensors[at], kind=draw.choice((*range(45), 999))))


def _tensor_offset(file: Gguf, draw: random.Random) -> Gguf:
    at = draw.randrange(len(file.tensors))
    offset = draw.choice((0, 1, 32, len(file.data), 1 << 31, 1 << 40, (1 << 64) - 32))
    return _with_tensor(file, at, replace(file.tensors[at], offset=offset))


def _tensor_name(file: Gguf, draw: random.Random) -> Gguf:
    at = draw.randrange(len(file.tensors))
    name = draw.choice(
        (b"", b"x" * 64, b"x" * 65, b"blk.999.ffn_up.weight", b"\xff\0", b"cls.weight")
    )
    return _with_tensor(file, at, replace(file.tensors[at], name=name))


def _tensor_lost(file: Gguf, draw: random.Random) -> Gguf:
    lost = draw.randrange(len(file.tensors))
    return replace(file, tensors=file.tensors[:lost] + file.tensors[lost + 1 :])


def _tensor_twice(file: Gguf, draw: random.Random) -> Gguf:
    return replace(file, tensors=(*file.tensors, draw.choice(file.tensors)))


def _flipped(low: float, high: float) -> Mutation:
    """Bits between two shares of the header's length."""

    def flip(file: Gguf, draw: random.Random) -> bytes:
        data = bytearray(file.encoded)
        end = len(data) - len(file.data)
        start, stop = int(low * end), int(high * end) if high <= 1 else len(data)
        for _ in range(draw.choice((1, 1, 2, 8, 32))):
            data[draw.randrange(start, stop)] ^= 1 << draw.randrange(8)
        return bytes(data)

    return flip


def _truncated(file: Gguf, draw: random.Random) -> bytes:
    data = file.encoded
    header = len(data) - len(file.data)
    return data[: draw.choice((draw.randrange(len(data)), draw.randrange(header)))]


def _counts(file: Gguf, draw: random.Random) -> bytes:
    data = bytearray(file.encoded)
    at = draw.choice((8, 16))
    (count,) = struct.unpack_from("<Q", data, at)
    number = draw.choice((count - 1, count + 1, 0, 1 << 20, 1 << 40, (1 << 64) - 1))
    struct.pack_into("<Q", data, at, number)
    return bytes(data)


MUTATIONS: tuple[tuple[str, Mutation], ...] = (
    ("an architecture's number", _architecture_number),
    ("an architecture's number", _architecture_number),
    ("an architecture's number", _architecture_number),
    ("a number of another type", _any_number),
    ("a number more", _added_number),
    ("a number more", _added_number),
    ("an array in a number's place", _number_to_array),
    ("a text", _text_changed),
    ("another architecture", _architecture_changed),
    ("a key lost", _key_lost),
    ("a key twice", _key_twice),
    ("an array cut", _array_cut),
    ("an array garbled", _array_garbled),
    ("a shape", _shape),
    ("a tensor's type", _tensor_kind),
    ("an offset", _tensor_offset),
    ("a tensor's name", _tensor_name),
    ("a tensor lost", _tensor_lost),
    ("a tensor twice", _tensor_twice),
    ("bits in the first keys", _flipped(0, 0.08)),
    ("bits in the tensor table", _flipped(0.85, 1)),
    ("bits in the header", _flipped(0, 1)),
    ("bits in the tensors", _flipped(1, 2)),
    ("truncated", _truncated),
    ("counts", _counts),
)


def _with_tensor(file: Gguf, at: int, info: TensorInfo) -> Gguf:
    return replace(file, tensors=(*file.tensors[:at], info, *file.tensors[at + 1 :]))


def _text(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _read_text(file: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<Q", file, at)
    return file[at + 8 : at + 8 + length], at + 8 + length


def _value_end(file: bytes, at: int, kind: int) -> int:
    if kind == _STRING:
        return _read_text(file, at)[1]
    if kind != _ARRAY:
        return at + struct.calcsize(f"<{_FORMS[kind]}")
    element, count = struct.unpack_from("<IQ", file, at)
    at += 12
    if element == _STRING:
        for _ in range(count):
            _, at = _read_text(file, at)
        return at
    return int(at + count * struct.calcsize(f"<{_FORMS[element]}"))
