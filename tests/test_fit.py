"""What models need of memory, what there is, and whether the one fits into the other."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest

from tests import tinygguf
from tests.test_models import ARCHITECTURE, TOKENS, gguf
from tools.synthetic import SHAPES, Shape, write_model
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.native import llama
from urial_tui.engine.native.context import LlamaContext
from urial_tui.engine.wire.limits import (
    ContextSize,
    batch_size,
    chat_size,
    context_tokens,
    forced_size,
    pool_size,
    watched_size,
)
from urial_tui.engine.wire.values import Device, EngineOptions, KVType, TextSegment
from urial_tui.errors import ModelError
from urial_tui.memory import MachineMemory, machine_memory, memory_now
from urial_tui.models.fit import (
    cards_among,
    check_fit,
    fit_together,
    layers_on,
    layers_that_fit,
    need_of,
    place,
    spread,
)
from urial_tui.models.header import check_gguf
from urial_tui.models.memory_need import PROCESS_BYTES, MemoryNeed, buffers, memory_need

GB = 1_000_000_000
CARD = Device(name="CUDA0", description="A card", kind="gpu", memory_total=24 * GB)
CPU = Device(name="CPU", description="A processor", kind="cpu", memory_total=16 * GB)
SHARED = Device(name="Vulkan0", description="A laptop's", kind="integrated-gpu", memory_total=GB)
SMALL = EngineOptions(n_ctx=256, gpu_layers=0)


# -- what a model needs ------------------------------------------------------------------


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the native library says, while a test runs."""
    lines: list[str] = []

    @llama.lib.llama_log_callback  # type: ignore[untyped-decorator]
    def listen(_level: int, text: bytes, _user_data: object) -> None:
        lines.append(text.decode("utf-8", "replace"))

    llama.initialise()
    llama.lib.llama_log_set(listen, None)
    yield lines
    llama.initialise()


def deep(name: str, layers: int = 8) -> Shape:
    """A shape with as many layers as leave the library's allocator as little room as real ones."""
    return msgspec.structs.replace(SHAPES[name], layers=layers)


def wide(name: str, layers: int) -> Shape:
    """A real model's layers, of which its buffers follow."""
    return msgspec.structs.replace(SHAPES[name], layers=layers, vocabulary=2000)


@pytest.fixture
def write_hollow(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, Shape], Path]:
    """Writes models whose weights are holes in the file: quick, and read as zeros."""

    def skip(file: BinaryIO, tensor: Any, _seed: int) -> None:
        file.truncate(file.tell() + tensor.size)
        file.seek(0, os.SEEK_END)

    monkeypatch.setattr("tools.synthetic._draw", skip)
    # Nothing is repacked of this type, so that nothing is read.
    return lambda path, shape: write_model(path, shape, quantisation="Q8_0")


@pytest.fixture(scope="module")
def gguf_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model of each kind of memory, and some with the matrices of real ones."""
    directory = tmp_path_factory.mktemp("kinds")
    return {
        "attention": tinygguf.write_llama(directory / "attention.gguf"),
        "sliding-window": tinygguf.write_sliding_window(directory / "sliding-window.gguf"),
        "recurrent": tinygguf.write_recurrent(directory / "recurrent.gguf"),
        "hybrid": tinygguf.write_hybrid(directory / "hybrid.gguf"),
        "llama-tiny": write_model(directory / "llama-tiny.gguf", deep("llama-tiny")),
        "gemma-tiny": write_model(directory / "gemma-tiny.gguf", deep("gemma-tiny")),
    }


SIZES = {
    "chat": chat_size(4096, 512),
    "small-batches": chat_size(2048, 64),
    "watched": watched_size(2048, 256),
    "forced": forced_size(2000),
    "together": pool_size(4096, 512, parallel=16),
}
WAYS: tuple[tuple[KVType, bool], ...] = (("f16", False), ("f16", True), ("q8_0", True))
FOUR_BITS: tuple[KVType, bool] = ("q4_0", True)


class Sizes(dict[str, float]):
    """Mebibytes by the library's names."""

    def __missing__(self, _name: str) -> float:
        return 0.0


def allocated(
    said: list[str], path: Path, size: ContextSize, kv_type: KVType, flash: bool
) -> Sizes:
    """What the library says that it allocates for a context."""
    model = llama.NativeModel(str(path), gpu_layers=0, progress=lambda _fraction: True)
    said.clear()
    LlamaContext(model, size, threads=1, kv_type=kv_type, flash_attention=flash).close()
    model.close()
    found = Sizes()
    for name, number in re.findall(
        r"(KV|RS|compute|output) +buffer size = +([\d.]+) MiB", "".join(said)
    ):
        found[name] += float(number)
    return found


@pytest.mark.parametrize(
    ("size", "kv_type", "flash"),
    [
        pytest.param(size, kv_type, flash, id=f"{name}-{kv_type}-{'flash' if flash else 'plain'}")
        for name, size in SIZES.items()
        for kv_type, flash in (*WAYS, FOUR_BITS)
        # Answers together always have flash attention.
        if flash or name != "together"
        # It differs from q8_0 by the bytes of an element alone, which a chat shows.
        if kv_type != "q4_0" or name == "chat"
    ],
)
@pytest.mark.parametrize(
    "kind", ["attention", "sliding-window", "recurrent", "hybrid", "llama-tiny", "gemma-tiny"]
)
def test_the_estimate_is_what_llama_cpp_allocates(
    gguf_of: dict[str, Path],
    said: list[str],
    kind: str,
    size: ContextSize,
    kv_type: KVType,
    flash: bool,
) -> None:
    path = gguf_of[kind]
    mebibytes = allocated(said, path, size, kv_type, flash)
    parts = buffers(size, check_gguf(path), kv_type, flash=flash)
    kv_cache, state, compute, logits = (part / 2**20 for part in parts)
    assert mebibytes["compute"] > 0
    # The library prints two digits and aligns each tensor.
    assert kv_cache == pytest.approx(mebibytes["KV"], abs=0.02)
    assert state == pytest.approx(mebibytes["RS"], abs=0.02)
    # At first for a row of each sequence; more are made room for when they are asked for.
    first = logits * size.n_sequences / size.n_outputs
    assert first == pytest.approx(mebibytes["output"], rel=0.05, abs=0.02)
    # Matrices as small as these leave its allocator another rest than real ones do.
    assert abs(compute - mebibytes["compute"]) <= 0.05 * mebibytes["compute"] + 0.25


@pytest.mark.parametrize("shape", ["llama-1b", "gemma-1b", "llama-3b", "llama-7b"])
def test_the_estimate_is_right_for_real_layers(
    shape: str,
    said: list[str],
    tmp_path: Path,
    write_hollow: Callable[[Path, Shape], Path],
) -> None:
    path = write_hollow(tmp_path / "real.gguf", wide(shape, layers=8))
    size = chat_size(4096, 128)
    for kv_type, flash in WAYS:
        mebibytes = allocated(said, path, size, kv_type, flash)
        kv_cache, _, compute, _ = buffers(size, check_gguf(path), kv_type, flash=flash)
        assert kv_cache / 2**20 == pytest.approx(mebibytes["KV"], abs=0.02)
        assert compute / 2**20 == pytest.approx(mebibytes["compute"], rel=0.05)


def test_the_weights_are_those_that_llama_cpp_maps(said: list[str], demo_model: Path) -> None:
    said.clear()
    llama.NativeModel(str(demo_model), gpu_layers=0, progress=lambda _fraction: True).close()
    (mapped,) = re.findall(r"CPU_Mapped model buffer size = +([\d.]+) MiB", "".join(said))
    # The file holds the vocabulary as well.
    assert need_of(demo_model, SMALL).weights / 2**20 == pytest.approx(float(mapped), rel=0.05)


def test_the_batches_are_counted_as_the_engine_makes_them(
    tmp_path: Path, write_hollow: Callable[[Path, Shape], Path]
) -> None:
    """By parameters, which a file's size tells only within a factor of eight."""
    shape = wide("llama-1b", layers=24)
    assert 1_000_000_000 < shape.parameters < 2_000_000_000
    path = write_hollow(tmp_path / "large.gguf", shape)
    need = need_of(path, EngineOptions(n_ctx=4096, gpu_layers=0))
    assert batch_size(shape.parameters, 0) == 256
    counted = buffers(chat_size(4096, 256), check_gguf(path), "f16", flash=False)
    assert need.compute == counted[2]


def test_a_worker_takes_what_was_estimated(gguf_of: dict[str, Path]) -> None:
    path, options = gguf_of["llama-tiny"], EngineOptions(n_ctx=32_768, threads=1, gpu_layers=0)
    need = need_of(path, options)
    assert need.kv_cache > 30_000_000
    with Engine() as engine:
        model = engine.load(path, options=options).result()
        model.prepare((TextSegment(text="Here is a text of some length. " * 20),)).result()
        assert engine.pid is not None
        status = Path(f"/proc/{engine.pid}/status")
        if not status.exists():
            pytest.skip("this system has no /proc")
        table = dict(line.split(":", 1) for line in status.read_text().splitlines())
        anonymous = int(table["RssAnon"].split()[0]) * 1024
    # Untouched pages of the mask are not resident, all of the cache is (it is cleared).
    assert need.kv_cache < anonymous < need.total


def test_the_kv_cache_of_the_demo_model_is_as_large_as_llama_cpp_makes_it(
    demo_model: Path,
) -> None:
    # llama.cpp 0.3.36's log at 4096 cells: 12 + 60 MiB in f16, 6.375 + 31.875 MiB in q8_0.
    assert need_of(demo_model, EngineOptions(n_ctx=4096)).kv_cache == 72 << 20
    quantised = need_of(demo_model, EngineOptions(n_ctx=4096, kv_type="q8_0"))
    assert quantised.kv_cache == 38.25 * (1 << 20)


def test_the_need_grows_with_the_context_alone_where_there_is_attention(
    llama_gguf: Path, recurrent_gguf: Path
) -> None:
    def kv(path: Path, n_ctx: int) -> int:
        return need_of(path, EngineOptions(n_ctx=n_ctx)).kv_cache

    # 2 layers, 2 KV heads, 32 elements for keys and for values, 2 bytes each.
    assert kv(llama_gguf, 512) == 512 * 2 * 2 * (32 + 32) * 2
    assert kv(llama_gguf, 1024) == 2 * kv(llama_gguf, 512)
    assert kv(recurrent_gguf, 1024) == 0
    assert need_of(recurrent_gguf, EngineOptions(n_ctx=512)).state > 0


def test_layers_may_differ(tmp_path: Path) -> None:
    keys = [
        ARCHITECTURE,
        ("llama.block_count", 4, (3).to_bytes(4, "little")),
        ("llama.embedding_length", 4, (64).to_bytes(4, "little")),
        ("llama.attention.head_count", 4, (4).to_bytes(4, "little")),
        (
            "llama.attention.head_count_kv",
            9,
            (5 - 1).to_bytes(4, "little")
            + (3).to_bytes(8, "little")
            + b"".join(heads.to_bytes(4, "little") for heads in (0, 2, 4)),
        ),
    ]
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(keys))
    assert memory_need(path, check_gguf(path), SMALL).kv_cache == 256 * 6 * (16 + 16) * 2


def test_every_purpose_adds_what_its_contexts_take(gguf_of: dict[str, Path]) -> None:
    path = gguf_of["llama-tiny"]
    chat, together, watched, aligned, base = (
        need_of(path, EngineOptions(n_ctx=1024, parallel=4, pool=2048), purpose)
        for purpose in ("chat", "together", "watched", "aligned", "base")
    )
    row = 4 * SHAPES["llama-tiny"].vocabulary
    assert chat.logits == 8 * row
    assert together.logits == (8 + 4 + 8) * row
    assert watched.logits == 96 * row
    assert aligned.logits == (8 + 128) * row
    assert base.logits == (96 + 128) * row
    assert chat.kv_cache == watched.kv_cache
    assert together.kv_cache == chat.kv_cache * 3
    assert aligned.kv_cache == base.kv_cache == chat.kv_cache * (1024 + 3072) // 1024
    assert {need.weights for need in (chat, watched, aligned, base)} == {path.stat().st_size}


def test_a_comparison_at_a_large_vocabulary_counts_its_logits(demo_model: Path) -> None:
    options = EngineOptions(n_ctx=4096)
    compared = [need_of(demo_model, options, purpose) for purpose in ("aligned", "base")]
    beside = sum(need.compute + need.logits for need in compared)
    chat = need_of(demo_model, options)
    assert beside - 2 * (chat.compute + chat.logits) > 4 * 128 * 262_144 * 4


def test_the_context_is_the_engine_s_where_none_is_asked_for() -> None:
    assert context_tokens(0, 32_768) == 8192
    assert context_tokens(0, 2048) == 2048
    assert context_tokens(0, None) == 8192
    assert context_tokens(1000, 2048) == 1024
    assert context_tokens(4096, 2048) == 2048, "no more than the model was trained on"


# -- whether it fits ---------------------------------------------------------------------


def test_a_model_that_does_not_fit_is_refused_with_numbers(llama_gguf: Path) -> None:
    with pytest.raises(ModelError) as caught:
        check_fit(
            llama_gguf,
            EngineOptions(n_ctx=4096),
            memory=MachineMemory(total=50_000_000),
            devices=(),
        )
    assert "this machine has 50.0 MB" in caught.value.message
    assert "4,096 tokens" in caught.value.message
    assert "smaller model" in caught.value.hint


def test_a_context_that_would_fit_is_offered_and_fits(tmp_path: Path) -> None:
    path = tinygguf.write_llama(tmp_path / "long.gguf", n_ctx_train=2_000_000)
    memory = MachineMemory(total=200_000_000)

    def check(n_ctx: int) -> str:
        return check_fit(path, EngineOptions(n_ctx=n_ctx), memory=memory, devices=())

    with pytest.raises(ModelError) as caught:
        check(1_000_000)
    words = caught.value.hint.split()
    offered = int(words[words.index("to") + 1])
    assert check(offered) == ""
    with pytest.raises(ModelError):
        check(offered + 512)


def test_less_free_memory_than_needed_is_only_a_warning(llama_gguf: Path) -> None:
    options = EngineOptions(n_ctx=4096)
    memory = MachineMemory(total=10**12, available=10_000_000)
    assert "may be slow" in check_fit(llama_gguf, options, memory=memory, devices=())
    assert check_fit(llama_gguf, options, memory=MachineMemory(), devices=()) == ""


def test_two_models_fit_together_where_the_sum_does(llama_gguf: Path, tmp_path: Path) -> None:
    other = tinygguf.write_llama(tmp_path / "other.gguf", seed=1)
    needs = [need_of(path, SMALL) for path in (llama_gguf, other)]
    both = sum(need.weights + need.buffers for need in needs) + 128_000_000

    def fit(path: Path, available: int) -> bool:
        memory = MachineMemory(total=10**12, available=available)
        return fit_together([(llama_gguf, "chat"), (path, "chat")], SMALL, memory=memory)

    assert fit(other, both)
    assert not fit(other, both - 1)
    # The same file has its weights in memory once, and a context for each of its two uses.
    assert fit(llama_gguf, both - needs[0].weights)
    assert not fit(llama_gguf, both - needs[0].weights - 1)


# -- graphics cards ----------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of 20 GB of which only the start was written."""
    path = tmp_path / "large.gguf"
    tinygguf.write_llama(path)
    os.truncate(path, 20 * GB)
    return path


HOST = MachineMemory(total=16 * GB, available=12 * GB)


def test_a_file_larger_than_the_machine_s_memory_fits_a_graphics_card(large: Path) -> None:
    assert check_fit(large, EngineOptions(), memory=HOST, devices=(CPU, CARD)) == ""
    for devices in ((), (CPU,), (CPU, SHARED)):
        with pytest.raises(ModelError, match=r"needs 20\.2 GB of memory"):
            check_fit(large, EngineOptions(), memory=HOST, devices=devices)


def test_a_card_is_of_no_use_to_a_model_that_is_kept_from_it(large: Path) -> None:
    with pytest.raises(ModelError, match="does not fit"):
        check_fit(large, EngineOptions(gpu_layers=0), memory=HOST, devices=(CARD,))
    # A third of the layers leaves the machine with 13 GB: it fits, though other programs wait.
    third = EngineOptions(gpu_layers=1)
    assert "may be slow" in check_fit(large, third, memory=HOST, devices=(CARD,))


def test_what_a_card_can_not_hold_is_said_with_the_layers_that_it_can(large: Path) -> None:
    small = msgspec.structs.replace(CARD, memory_total=8 * GB)
    with pytest.raises(ModelError) as caught:
        check_fit(large, EngineOptions(), memory=HOST, devices=(small,))
    assert "graphics card" in caught.value.message
    assert caught.value.hint.startswith("Set engine.gpu_layers to 1 or less")
    fewer = EngineOptions(gpu_layers=1)
    assert "may be slow" in check_fit(large, fewer, memory=HOST, devices=(small,))


def test_layers_are_spread_by_what_is_free_as_the_library_does_it() -> None:
    assert spread(33, [24.0]) == (33,)
    assert spread(33, [8.0, 8.0]) == (17, 16)
    assert spread(33, [24.0, 8.0]) == (25, 8)
    assert spread(10, [1.0, 0.0, 1.0]) == (5, 0, 5)
    assert spread(3, [1.0, 1.0, 1.0]) == (1, 1, 1)
    assert spread(4, [0.0, 0.0]) == (4, 0), "nobody knows: the first one"
    assert sum(spread(81, [3.0, 7.0, 11.0])) == 81


def card(name: str, total: int, free: int = 0, server: str = "") -> Device:
    return Device(
        name=name,
        description=server or "A card",
        kind="gpu",
        memory_total=total * GB,
        memory_free=free * GB,
        server=server,
    )


NEED = MemoryNeed(
    n_ctx=4096,
    per_token=100_000.0,
    layers=39,
    weights=20 * GB,
    kv_cache=4 * GB,
    state=0,
    compute=GB // 2,
    logits=GB // 10,
    saved=0,
)
"""Of 40 layers with the output's, each of which takes 0.6 GB."""


def test_each_card_gets_its_share_and_what_is_evaluated_there() -> None:
    cards = (card("A", 24, 20), card("B", 12, 10))
    placed = place(NEED, EngineOptions(), cards)
    assert [(share.layers, share.device.name) for share in placed.shares] == [(27, "A"), (13, "B")]
    assert [share.size for share in placed.shares] == [
        27 * 600_000_000 + GB // 2,
        13 * 600_000_000 + GB // 2 + GB // 10,
    ]
    assert placed.layers == 40
    assert placed.host == PROCESS_BYTES + GB // 10
    part = place(NEED, EngineOptions(gpu_layers=10), cards)
    assert (part.layers, [share.layers for share in part.shares]) == (10, [7, 3])
    assert part.host == PROCESS_BYTES + 30 * 600_000_000 + GB // 2 + GB // 10


def u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def uneven(path: Path, *, tied: bool) -> Path:
    """A model of two layers, of which the first alone has attention; all numbers have 4 bytes."""
    keys = [
        ARCHITECTURE,
        ("llama.block_count", 4, u32(2)),
        ("llama.embedding_length", 4, u32(8)),
        ("llama.attention.head_count", 4, u32(2)),
        ("llama.attention.head_count_kv", 9, u32(5) + (2).to_bytes(8, "little") + u32(2) + u32(0)),
        TOKENS,
    ]
    sizes = {
        "token_embd.weight": 10_000,
        "blk.0.attn_q.weight": 300,
        "blk.0.ffn_up.weight": 700,
        "blk.1.ffn_up.weight": 5_000,
        "output_norm.weight": 8,
    }
    if not tied:
        sizes["output.weight"] = 20_000
    offsets = itertools.accumulate(
        ((4 * size + 31) // 32 * 32 for size in sizes.values()), initial=0
    )
    tensors: list[tuple[str, tuple[int, ...], int, int]] = [
        (name, (size,), 0, offset)
        for (name, size), offset in zip(sizes.items(), offsets, strict=False)
    ]
    path.write_bytes(gguf(keys, tensors, data=bytes(4 * sum(sizes.values()) + 100)))
    return path


@pytest.mark.parametrize("tied", [False, True])
def test_the_tables_of_embeddings_stay_on_the_machine_and_the_output_goes_last(
    tmp_path: Path, tied: bool
) -> None:
    path = uneven(tmp_path / "m.gguf", tied=tied)
    need = need_of(path, EngineOptions(n_ctx=256))
    # A cache of 2 heads of 4 elements, for keys and for values, of 2 bytes; 256 tokens.
    assert need.kv_cache == 256 * 2 * (4 + 4) * 2 == 8_192
    # The output is a matrix of its own, or a copy of the table.
    output = (10_000 if tied else 20_000) * 4 + 8 * 4
    first, second = (300 + 700) * 4 + 8_192, 5_000 * 4
    assert need.movable == (first, second, output)
    copied = 40_000 if tied else 0
    assert need.copied == copied

    cards = (card("A", 8), card("B", 8))
    placed = place(need, EngineOptions(), cards)
    assert [(share.layers, share.size) for share in placed.shares] == [
        (2, first + second + need.compute),
        (1, output + need.compute + need.logits),
    ]
    moved = first + second + output - copied
    assert placed.host == need.total - need.compute - moved
    # What is left of the file: the table, the header, and what fills up to multiples of 32.
    assert 40_000 < need.weights - (moved - 8_192) < 41_000

    one = place(need, EngineOptions(gpu_layers=1), cards)
    assert [(share.layers, share.size) for share in one.shares] == [
        (1, output + need.compute + need.logits)
    ]
    two = place(need, EngineOptions(gpu_layers=2), cards[:1])
    assert [(share.layers, share.size) for share in two.shares] == [
        (2, second + output + need.compute + need.logits)
    ]
    assert two.host == need.total - (second + output - copied)


def test_the_layers_that_fit_are_the_last_ones(tmp_path: Path) -> None:
    need = need_of(uneven(tmp_path / "m.gguf", tied=False), EngineOptions(n_ctx=256))
    beside = need.compute + need.logits
    sizes = {80_031: 0, 80_032: 1, 100_031: 1, 100_032: 2, 112_223: 2, 112_224: 3}
    assert {room: layers_on(need, beside + room) for room in sizes} == sizes
    assert layers_on(need, 0) == 0


def test_where_a_header_does_not_tell_each_layer_counts_as_an_equal_part(tmp_path: Path) -> None:
    path = uneven(tmp_path / "m.gguf", tied=False)
    os.truncate(path, 300_000)
    need = need_of(path, EngineOptions(n_ctx=256))
    assert need.each == ()
    assert need.movable == (102_730, 102_731, 102_731)
    assert sum(need.movable) == 300_000 + 8_192


def test_the_layers_that_fit_follow_from_what_is_free_on_each_card() -> None:
    assert layers_that_fit(NEED, (card("A", 24, 20), card("B", 12, 10))) == 40
    # 5.4 GB for layers on each of two, of 0.6 GB; the last one has the logits as well.
    assert layers_that_fit(NEED, (card("A", 6), card("B", 6))) == 18
    assert layers_that_fit(NEED, (card("A", 24, 6), card("B", 24, 6))) == 18
    assert layers_that_fit(NEED, (card("A", 1),)) == 0
    assert layers_that_fit(NEED, ()) == 0


def test_a_card_that_is_too_small_is_named_among_several(large: Path) -> None:
    cards = (card("CUDA0", 24, 12), card("RPC0", 4, 12, "box:1"))
    with pytest.raises(ModelError) as caught:
        check_fit(large, EngineOptions(), memory=HOST, devices=cards)
    assert "the graphics card RPC0 of box:1" in caught.value.message


def test_a_card_that_others_use_is_a_warning_with_the_layers_that_fit(large: Path) -> None:
    busy = card("CUDA0", 24, 8)
    words = check_fit(large, EngineOptions(), memory=HOST, devices=(busy,))
    assert "only 8.00 GB are free there now" in words
    assert "Set engine.gpu_layers to 1 or less" in words


def test_a_server_s_device_counts_as_a_card_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = card("RPC0", 8, server="box:1")
    assert cards_among((CPU, SHARED, CARD, remote)) == (CARD, remote)
    monkeypatch.setattr("sys.platform", "darwin")
    assert cards_among((CPU, CARD, remote)) == (remote,)


def test_nothing_is_refused_before_the_cards_are_known(large: Path) -> None:
    assert "graphics card" in check_fit(large, EngineOptions(), memory=HOST, devices=None)
    with pytest.raises(ModelError):
        check_fit(large, EngineOptions(gpu_layers=0), memory=HOST, devices=None)


def test_a_worker_tells_what_it_computes_on() -> None:
    with Engine() as engine:
        assert "cpu" in {device.kind for device in engine.devices()}


# -- what there is -----------------------------------------------------------------------


def write_tree(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


MEMINFO = "MemTotal:       1000000 kB\nMemFree:        100 kB\nMemAvailable:   600000 kB\n"


def test_memory_is_the_machine_s(tmp_path: Path) -> None:
    write_tree(tmp_path, {"proc/meminfo": MEMINFO})
    assert machine_memory(tmp_path) == MachineMemory(total=1_024_000_000, available=614_400_000)


def test_memory_is_the_control_group_s_where_that_is_less(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/memory.max": "max\n",
            "sys/fs/cgroup/a/memory.max": "400000000\n",
            "sys/fs/cgroup/a/memory.current": "300000000\n",
            "sys/fs/cgroup/a/memory.stat": "inactive_file 100000000\nactive_file 50000000\n",
        },
    )
    assert machine_memory(tmp_path) == MachineMemory(total=400_000_000, available=250_000_000)


def test_memory_is_unknown_where_the_files_are_damaged(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "proc/meminfo": "MemTotal: lots\n",
            "proc/self/cgroup": "1:name=x:/\n",
            "sys/fs/cgroup/memory.max": "many\n",
        },
    )
    assert machine_memory(tmp_path) == MachineMemory()


def test_this_machine_s_memory_is_known() -> None:
    memory = machine_memory()
    assert memory.total is not None
    assert memory.total > 100_000_000


def test_mapped_files_of_the_program_s_workers_are_not_free(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/task/1/children": "11 12 ",
            "proc/self/task/2/children": "13",
            "proc/11/smaps_rollup": "Pss_Anon:   5000 kB\nPss_File:  100000 kB\n",
            "proc/12/smaps_rollup": "Pss_Anon:   7000 kB\nPss_File:  200000 kB\n",
        },
    )
    assert memory_now(root=tmp_path).available == 1024 * (600_000 - 100_000 - 200_000)
    # What a worker gives back before it loads another model is free.
    leaving = memory_now(leaving=[12], root=tmp_path)
    assert leaving.available == 1024 * (600_000 - 100_000 + 7000)


def test_what_a_worker_will_still_take_is_not_free(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/task/1/children": "11 12",
            "proc/11/smaps_rollup": "Pss_Anon:   5000 kB\nPss_File:  100000 kB\n",
            "proc/12/smaps_rollup": "Pss_Anon:   7000 kB\nPss_File:  20000 kB\n",
        },
    )
    kib = {11: 125_000, 12: 27_000, -1: 50_000}
    promised = {pid: 1024 * count for pid, count in kib.items()}
    # 20,000 more for the first one, nothing for the second, all for one that does not run yet.
    left = 600_000 - 100_000 - 20_000 - 20_000 - 50_000
    assert memory_now(promised=promised, root=tmp_path).available == 1024 * left
    # Of what leaves, nothing is waited for.
    left = 600_000 + 5000 - 20_000 - 50_000
    found = memory_now(leaving=[11], promised=promised, root=tmp_path)
    assert found.available == 1024 * left


def test_a_worker_s_weights_count_as_taken(llama_gguf: Path, own_children: None) -> None:
    with Engine() as engine:
        engine.load(llama_gguf, options=SMALL).result()
        if not Path(f"/proc/{engine.pid}/smaps_rollup").exists():
            pytest.skip("this system has no /proc")
        beside = memory_now().available
        without = memory_now(leaving=[engine.pid or 0]).available
    assert beside is not None
    assert without is not None
    # Its libraries alone are more than this.
    assert without - beside > 20_000_000
