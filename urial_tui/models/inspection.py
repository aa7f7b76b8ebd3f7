"""A model file told from its header alone: what it is, what it needs and what to be careful about.

Nothing is refused that has a header: an embedding model, an adapter, a part or a damaged shape is
told as such. llama.cpp sees none of it, and every number is bounded before it is computed with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import ModelError
from urial_tui.models.addresses import FileAddress, part_names, public
from urial_tui.models.fit import layers_on
from urial_tui.models.gguf_file import Bytes, Header, Malformed, Truncated
from urial_tui.models.header import MAX_FILE, open_model, whole_header
from urial_tui.models.header_texts import HeaderTexts, read_texts
from urial_tui.models.kinds import Holds, pooling_of, what_it_holds
from urial_tui.models.lora import AdapterTold, read_adapter
from urial_tui.models.memory_need import cache_bytes, need_for
from urial_tui.models.origin import Guess, guess_origin
from urial_tui.models.parts import found_parts, part_paths
from urial_tui.models.remote import Remote
from urial_tui.models.shape import unsound
from urial_tui.models.speed import ExpectedSpeed, Speeds, expected_speed, model_mark
from urial_tui.models.token_bytes import experts_used, weight_bytes_per_token
from urial_tui.models.type_names import file_type, tensor_type
from urial_tui.models.weight_places import WeightCount, count_weights
from urial_tui.prompting.templates.marks import MAX_SOURCE, TemplateMarks, template_marks
from urial_tui.sanitize import quoted

CARDS = tuple(size << 30 for size in (4, 8, 12, 16, 24, 48))
"""Bytes of memory of usual graphics cards."""

_RUNS = ("language-model", "embedding-model")
_PURPOSES: tuple[tuple[str, Purpose], ...] = (
    ("chat", "chat"),
    ("compare-base", "base"),
    ("compare-aligned", "aligned"),
)


class TypeShare(msgspec.Struct, frozen=True, kw_only=True):
    """Tensors of one type, how many and their bytes; None for a type of an unknown size."""

    type: str
    tensors: int
    bytes: int | None


class TemplateTold(msgspec.Struct, frozen=True, kw_only=True):
    """A chat template. `name`: "" for the one that is used. `size` in bytes; `source` is Jinja."""

    name: str
    size: int
    source: str
    found: TemplateMarks


class MemoryTold(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes needed for a purpose; `context`: for so many tokens."""

    purpose: str
    context: int
    total: int
    weights: int
    kv_cache: int


class CardTold(msgspec.Struct, frozen=True, kw_only=True):
    """How many layers fit into a graphics card of so many bytes, of how many with the output's."""

    memory: int
    layers: int
    of: int


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a header says. Sizes in bytes; texts are a stranger's.

    `place`: the file's path or address. `holds`, `what`: as `kinds.what_it_holds`. `parts`: files,
    all of which are counted in `size`, `tensors` and `parameters`. `active`: parameters that a
    token uses, None where it uses all of them. `roles`: texts of special tokens. `template`: the
    one that is used; `named_templates`: others, which are used where one is named, and
    `other_templates` their names. `guess`: for language models. `speed`: None where
    nothing was measured that tells. `notes`: what is odd or wrong, sentences. `bytes_read`: of a
    file at an address.
    """

    place: str
    name: str
    holds: Holds
    what: str
    architecture: str
    size: int
    parts: int
    tensors: int
    parameters: int
    active: int | None
    layers: int | None
    embedding: int | None
    file_type: str | None
    types: tuple[TypeShare, ...]
    context: int | None
    sliding_window: int | None
    vocabulary: int
    tokenizer: str | None
    pre_tokenizer: str | None
    roles: Mapping[str, str]
    adds_bos: bool | None
    pooling: str | None
    template: TemplateTold | None
    other_templates: tuple[str, ...]
    named_templates: tuple[TemplateTold, ...]
    adapter: AdapterTold | None
    licence: str | None
    guess: Guess | None
    memory: tuple[MemoryTold, ...]
    cards: tuple[CardTold, ...]
    speed: ExpectedSpeed | None
    notes: tuple[str, ...]
    bytes_read: int | None = None


class _Read(NamedTuple):
    """What was read of a model: its headers and sizes, the first one's texts, and what is odd."""

    place: str
    file_name: str
    headers: list[Header]
    size: int
    texts: HeaderTexts
    mark: str
    notes: list[str]


def inspect_file(
    path: Path,
    options: EngineOptions,
    *,
    speeds: Speeds | None = None,
    cards: Sequence[int] = CARDS,
) -> Inspection:
    """Read the header of a file on this machine, and those of its other parts.

    Args:
        path: The file.
        options: How it would be loaded.
        speeds: What was measured on this machine.
        cards: Bytes of graphics memory to tell the layers for.

    Raises:
        ModelError: It is no GGUF file, or its header is garbled or cut off.
    """
    with open_model(path) as file:
        header = whole_header(path, file)
        texts = _texts(path.name, file, header)
        headers, size, notes = [header], header.size, []
        try:
            others = found_parts(part_paths(path, header.parts))[1:]
            for part in others:
                with open_model(part.path) as other:
                    headers.append(whole_header(part.path, other))
            size += sum(part.size for part in others)
        except ModelError as error:
            notes.append(error.message)
        mark = model_mark(file, size)
    read = _Read(str(path), path.name, headers, size, texts, mark, notes)
    return _told(read, options, speeds or Speeds(), cards)


def inspect_address(
    remote: Remote,
    address: FileAddress,
    options: EngineOptions,
    *,
    speeds: Speeds | None = None,
    cards: Sequence[int] = CARDS,
) -> Inspection:
    """Read the header of a file at an address, and those of its other parts.

    Raises:
        ModelError: As `inspect_file`, or it can't be read there.
    """
    file = remote.open(address)
    header, texts = _of_address(address, file)
    headers, size, notes = [header], header.size, []
    try:
        for url in part_names(address.url, header.parts)[1:]:
            part = FileAddress(url=url, hub=address.hub)
            other = remote.open(part)
            headers.append(_of_address(part, other, texts=texts)[0])
            size += other.size
    except ModelError as error:
        notes.append(error.message)
    mark = model_mark(file, size)
    place = public(address.url)
    read = _Read(place, address.file_name, headers, size, texts, mark, notes)
    told = _told(read, options, speeds or Speeds(), cards)
    return msgspec.structs.replace(told, bytes_read=remote.bytes_read)


def _of_address(
    address: FileAddress, file: Bytes, *, texts: HeaderTexts | None = None
) -> tuple[Header, HeaderTexts]:
    """Header and texts of a file at an address; the texts of the first part will do.

    Raises:
        ModelError: It is no GGUF file, or its header is garbled or cut off.
    """
    name = PurePosixPath(address.file_name).name
    try:
        header = whole_header(Path(name), file)
    except ModelError as error:
        raise ModelError(error.message, "Look at the address, or choose another file.") from error
    return header, texts or _texts(name, file, header)


def _texts(name: str, file: Bytes, header: Header) -> HeaderTexts:
    try:
        return read_texts(file, header)
    except (Truncated, Malformed) as error:
        raise ModelError(
            f"The file {quoted(name)} changed while it was read.", "Try again."
        ) from error


def _told(read: _Read, options: EngineOptions, speeds: Speeds, cards: Sequence[int]) -> Inspection:
    header, texts = read.headers[0], read.texts
    templates = _templates(texts)
    holds, what = what_it_holds(header)
    wrong = "" if holds == "adapter" else unsound(header)
    runs = holds in _RUNS and not wrong
    values = header.metadata
    number = values.get("general.file_type")
    typed = isinstance(number, int) and not isinstance(number, bool) and holds != "adapter"
    counted = count_weights(read.headers)
    needs = _needs(read, counted, holds, options) if runs else ()
    return Inspection(
        place=read.place,
        name=header.name,
        holds=holds,
        what=what,
        architecture=header.architecture,
        size=read.size,
        parts=header.parts,
        tensors=sum(one.tensors for one in read.headers),
        parameters=counted.parameters,
        active=_active(read.headers, counted.parameters),
        layers=header.number("block_count"),
        embedding=header.number("embedding_length"),
        file_type=file_type(int(number)) if typed and isinstance(number, int) else None,
        types=_types(read.headers),
        context=header.number("context_length"),
        sliding_window=header.number("attention.sliding_window"),
        vocabulary=header.lengths.get("tokenizer.ggml.tokens", 0),
        tokenizer=_text(values, "tokenizer.ggml.model"),
        pre_tokenizer=_text(values, "tokenizer.ggml.pre"),
        roles=texts.roles,
        adds_bos=_truth(values, "tokenizer.ggml.add_bos_token"),
        pooling=pooling_of(header) if holds in ("embedding-model", "reranker") else None,
        template=next((one for one in templates if not one.name), None),
        other_templates=tuple(one.name for one in templates if one.name),
        named_templates=tuple(one for one in templates if one.name),
        adapter=read_adapter(header) if holds == "adapter" else None,
        licence=_text(values, "general.license"),
        guess=guess_origin(header, texts, read.file_name) if holds == "language-model" else None,
        memory=needs,
        cards=_cards(read, counted, options, cards) if runs and holds == "language-model" else (),
        speed=_speed(read, options, speeds, needs) if holds == "language-model" else None,
        notes=(*read.notes, *_notes(read, holds, wrong)),
    )


def _active(headers: Sequence[Header], parameters: int) -> int | None:
    """Parameters that a token uses; None where it uses all."""
    used, total = experts_used(headers[0])
    if total <= 1:
        return None
    experts = 0
    for header in headers:
        for tensor in header.tensor_table:
            if "_exps." in tensor.name:
                elements = 1
                for side in tensor.shape:
                    elements *= side
                experts += elements
    return parameters - experts + experts * used // total if experts else None


def _types(headers: Sequence[Header]) -> tuple[TypeShare, ...]:
    """Tensors by their type, those with the most bytes first."""
    counts: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    unknown = set()
    for header in headers:
        for tensor in header.tensor_table:
            counts[tensor.kind] += 1
            size = header.tensor_bytes.get(tensor.name)
            if size is None:
                unknown.add(tensor.kind)
            else:
                sizes[tensor.kind] += size
    ordered = sorted(counts, key=lambda kind: (-sizes[kind], kind))
    return tuple(
        TypeShare(
            type=tensor_type(kind),
            tensors=counts[kind],
            bytes=None if kind in unknown else sizes[kind],
        )
        for kind in ordered[:64]
    )


def _templates(texts: HeaderTexts) -> list[TemplateTold]:
    """All templates of a file; together no more of them is looked into than of one."""
    told: list[TemplateTold] = []
    left = MAX_SOURCE
    for one in texts.templates:
        if not one.source:
            found = TemplateMarks(trouble="it is too long to be looked into")
        elif told and len(one.source) > left:
            found = TemplateMarks(
                trouble=f"it and those before it are longer than {MAX_SOURCE:,} characters"
            )
        else:
            found = template_marks(one.source)
            # Longer ones took no time.
            left -= len(one.source) if len(one.source) <= MAX_SOURCE else 0
        told.append(TemplateTold(name=one.name, size=one.size, source=one.source, found=found))
    return told


def _needs(
    read: _Read, counted: WeightCount, holds: Holds, options: EngineOptions
) -> tuple[MemoryTold, ...]:
    """Memory by purpose, on a machine without a graphics card."""
    options = msgspec.structs.replace(options, gpu_layers=0)
    purposes = (("embedding", "embedding"),) if holds == "embedding-model" else _PURPOSES
    told = []
    for name, purpose in purposes:
        need = need_for(read.size, counted, read.headers[0], options, purpose)
        told.append(
            MemoryTold(
                purpose=name,
                context=need.n_ctx,
                total=need.total,
                weights=need.weights,
                kv_cache=need.kv_cache,
            )
        )
    return tuple(told)


def _cards(
    read: _Read, counted: WeightCount, options: EngineOptions, cards: Sequence[int]
) -> tuple[CardTold, ...]:
    """Layers by card, up to the first one that takes them all."""
    on_cards = msgspec.structs.replace(options, gpu_layers=-1)
    need = need_for(read.size, counted, read.headers[0], on_cards)
    told = []
    for memory in cards:
        layers = layers_on(need, memory)
        told.append(CardTold(memory=memory, layers=layers, of=need.layers + 1))
        if layers == need.layers + 1:
            break
    return tuple(told)


def _speed(
    read: _Read, options: EngineOptions, speeds: Speeds, needs: Sequence[MemoryTold]
) -> ExpectedSpeed | None:
    if not needs:
        return None
    return expected_speed(
        speeds,
        read.mark,
        weight_bytes_per_token(read.headers),
        cache_bytes(read.headers[0], options.kv_type, needs[0].context),
    )


def _notes(read: _Read, holds: Holds, wrong: str) -> list[str]:
    """What is odd or wrong."""
    header = read.headers[0]
    found = []
    for one in read.headers:
        if one.expected_size > MAX_FILE:
            found.append(f"It is damaged: it claims to be {one.expected_size:,} bytes long.")
        elif one.expected_size > one.size:
            found.append(f"It is cut off: {one.size:,} of {one.expected_size:,} bytes are there.")
    if wrong:
        found.append(f"It is damaged, and not loaded: {wrong}.")
    if not all(one.complete for one in read.headers):
        found.append(
            "It holds tensors of a type that is not known here, so their sizes are not counted."
        )
    said = header.metadata.get("split.tensors.count")
    counted = sum(one.tensors for one in read.headers)
    if header.parts > 1 and isinstance(said, int) and said != counted and not read.notes:
        found.append(f"Its parts hold {counted:,} tensors, and it says that they are {said:,}.")
    model, pre = header.metadata.get("tokenizer.ggml.model"), "tokenizer.ggml.pre"
    if model == "gpt2" and pre not in header.metadata:
        found.append(
            "It does not name its pre-tokenizer (tokenizer.ggml.pre), so llama.cpp guesses how "
            "words and digits are cut; answers may be worse than the model's."
        )
    if holds == "adapter":
        found += _adapter_notes(read_adapter(header))
    return found


def _adapter_notes(told: AdapterTold) -> list[str]:
    found = []
    if told.invocation:
        found.append(
            "It is an activated LoRA, which is meant to work behind certain tokens only: it is "
            "not loaded here."
        )
    if told.method != "lora":
        found.append(f"It is of the type {quoted(told.method)}, not a LoRA: it is not loaded here.")
    if told.unpaired:
        found.append(
            f"It holds tensors that are no half of a pair, such as {quoted(told.unpaired[0])}: it "
            "is not loaded here."
        )
    if not told.pairs:
        found.append("It holds no pair of matrices, so it changes nothing.")
    return found


def _text(values: Mapping[str, object], key: str) -> str | None:
    value = values.get(key)
    return value[:200] if isinstance(value, str) and value else None


def _truth(values: Mapping[str, object], key: str) -> bool | None:
    value = values.get(key)
    return value if isinstance(value, bool) else None
