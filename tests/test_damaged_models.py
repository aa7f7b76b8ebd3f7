"""Files that are no sound model: each is refused before llama.cpp sees it, in one sentence."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import tinygguf
from tests.mutation_trials import trials
from tests.mutations import Gguf, Key, TensorInfo, packed
from tests.test_faults import assert_sentence
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import Notice
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import EngineError, ModelError
from urial_tui.models.header import check_gguf, inspect_header, model_parts
from urial_tui.models.memory_need import memory_need
from urial_tui.runtime.loading import load

OPTIONS = EngineOptions(n_ctx=512, threads=1)
U16, U32, I32, F32, BOOL, STRING = 2, 4, 5, 6, 7, 8
NAN = float("nan")


@pytest.fixture(scope="session")
def llama(llama_gguf: Path) -> Gguf:
    return Gguf.parse(llama_gguf.read_bytes())


@pytest.fixture(scope="session")
def gemma(sliding_window_gguf: Path) -> Gguf:
    return Gguf.parse(sliding_window_gguf.read_bytes())


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


def written(file: Gguf, path: Path) -> Path:
    path.write_bytes(file.encoded)
    return path


def refusal(path: Path, adapter: Path | None = None, **options: object) -> ModelError:
    """Why a load is refused without a worker."""
    with Engine(program=("/nothing",)) as engine, pytest.raises(ModelError) as caught:
        list(
            load(
                engine,
                path,
                adapter=adapter,
                options=EngineOptions(n_ctx=512, threads=1, **options),  # type: ignore[arg-type]
            )
        )
    assert_sentence(caught.value)
    return caught.value


# -- numbers ---------------------------------------------------------------------------

NUMBERS = [
    ("block_count", U32, 0),
    ("block_count", U32, 513),
    ("context_length", U32, 1 << 31),
    ("context_length", U32, (1 << 32) - 1),
    ("embedding_length", U32, 0),
    ("rope.dimension_count", U32, 0),
    ("rope.dimension_count", U32, 31),
    ("rope.dimension_count", U32, 64),
    ("rope.dimension_count", I32, -2),
    ("attention.head_count", U32, 1 << 20),
    ("attention.key_length", U32, 0),
    ("attention.layer_norm_rms_epsilon", F32, -1.0),
    ("attention.layer_norm_rms_epsilon", F32, NAN),
    ("nextn_predict_layers", U32, 9),
    ("expert_count", U32, 2000),
    ("expert_used_count", U32, 2),
]


@pytest.mark.parametrize(("key", "kind", "value"), NUMBERS)
def test_numbers_that_no_model_has_are_named(
    key: str, kind: int, value: float, llama: Gguf, gemma: Gguf, tmp_path: Path
) -> None:
    for file in (llama, gemma):
        name = f"{file.architecture}.{key}"
        error = refusal(written(file.put_number(name, kind, value), tmp_path / "x.gguf"))
        assert "damaged" in error.message
        assert key in error.message or "experts" in error.message


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"expert_count": 4}, "uses 0 of 4 experts"),
        ({"expert_count": 4, "expert_used_count": 5}, "uses 5 of 4 experts"),
        (
            {"expert_count": 4, "expert_used_count": 2, "expert_group_count": 4},
            "4 experts in 4 groups",
        ),
        (
            {"expert_count": 4, "expert_used_count": 2, "expert_group_count": 2},
            "0 of 2 groups",
        ),
    ],
)
def test_experts_have_to_add_up(
    numbers: dict[str, int], said: str, llama: Gguf, tmp_path: Path
) -> None:
    for key, value in numbers.items():
        llama = llama.put_number(f"llama.{key}", U32, value)
    assert said in refusal(written(llama, tmp_path / "x.gguf")).message


def test_numbers_that_models_have_pass(llama: Gguf, gemma: Gguf, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    for file in (
        llama.put_number("llama.context_length", U32, 10_485_760),
        llama.put_number("llama.context_length", U32, 0),
        llama.put_number("llama.expert_count", U32, 0).put_number(
            "llama.expert_used_count", U32, 0
        ),
        gemma.put_number("gemma3.rope.dimension_count", U32, 16),
        gemma.put_text("gemma3.rope.scaling.type", "linear"),
        llama.put("llama.attention.head_count", 9, struct.pack("<IQ2I", U32, 2, 4, 4)),
    ):
        inspect_header(written(file, path))


def test_texts_and_vocabularies_that_no_model_has(llama: Gguf, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    for file, said in (
        (llama.put_text("general.architecture", ""), "names no architecture"),
        (llama.put_text("general.architecture", "a" * 10_000_000), "names no architecture"),
        (llama.put_text("general.architecture", "a" * 1000), "its architecture is long"),
        (llama.put_text("llama.rope.scaling.type", "cubic"), "'cubic'"),
        (llama.put_text("tokenizer.ggml.model", "none"), "vocabulary is empty"),
        (llama.put("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 0)), "vocabulary is empty"),
    ):
        assert said in refusal(written(file, path)).message


def test_tensors_that_no_model_has(llama: Gguf, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    first, *rest = llama.tensors

    def table(changed: TensorInfo) -> Gguf:
        return Gguf(llama.keys, (changed, *rest), llama.data)

    far = TensorInfo(first.name, first.shape, first.kind, 1 << 50)
    assert "claims to be" in refusal(written(table(far), path)).message
    out = TensorInfo(first.name, first.shape, first.kind, len(llama.data))
    assert "cut off" in refusal(written(table(out), path)).message
    none = TensorInfo(first.name, (0, 64), first.kind, first.offset)
    assert "is empty" in refusal(written(table(none), path)).message
    norm = next(index for index, info in enumerate(llama.tensors) if b"_norm" in info.name)
    changed = list(llama.tensors)
    changed[norm] = TensorInfo(changed[norm].name, changed[norm].shape, 1, changed[norm].offset)
    half = Gguf(llama.keys, tuple(changed), llama.data)
    assert "not of the type F32" in refusal(written(half, path)).message


def test_a_header_that_would_fill_the_memory_is_refused(llama: Gguf, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    text = struct.pack("<Q", 65_000) + bytes(65_000)
    many = tuple(Key(b"key%d" % number, STRING, text) for number in range(600))
    assert (
        "its keys hold more than"
        in refusal(written(Gguf((*llama.keys, *many), llama.tensors, llama.data), path)).message
    )
    first, *rest = llama.tensors
    long = TensorInfo(b"x" * 64, first.shape, first.kind, first.offset)
    assert (
        "64 bytes long"
        in refusal(written(Gguf(llama.keys, (long, *rest), llama.data), path)).message
    )


def test_a_tokenizer_that_does_not_fit_its_vocabulary_is_told(
    engine: Engine, llama: Gguf, tmp_path: Path
) -> None:
    path = written(llama.put_text("tokenizer.ggml.model", "gpt2"), tmp_path / "x.gguf")
    with pytest.raises(EngineError, match="cannot find tokenizer merges") as caught:
        list(load(engine, path, options=OPTIONS))
    assert_sentence(caught.value)


def test_what_the_engine_refuses_is_quoted_shortly(
    engine: Engine, llama: Gguf, tmp_path: Path
) -> None:
    path = written(llama.put_text("general.architecture", "a" * 100_000), tmp_path / "x.gguf")
    with pytest.raises(EngineError) as caught:
        list(engine.load(path, options=OPTIONS))
    assert_sentence(caught.value)


# -- kinds -----------------------------------------------------------------------------


def renamed(file: Gguf, architecture: str) -> Gguf:
    """The same file as one of another architecture."""
    old = f"{file.architecture}.".encode()
    keys = tuple(
        type(key)(architecture.encode() + b"." + key.name[len(old) :], key.kind, key.value)
        if key.name.startswith(old)
        else key
        for key in file.keys
    )
    return Gguf(keys, file.tensors, file.data).put_text("general.architecture", architecture)


KINDS: list[tuple[str, Callable[[Gguf], Gguf], str]] = [
    ("pooling", lambda f: f.put_number("llama.pooling_type", U32, 1), "embedding model"),
    ("rank", lambda f: f.put_number("llama.pooling_type", U32, 4), "reranker"),
    ("bidirectional", lambda f: f.put_number("llama.attention.causal", BOOL, 0), "embedding"),
    ("bert", lambda f: renamed(f, "nomic-bert"), "embedding model"),
    ("t5", lambda f: renamed(f, "t5"), "encoder-decoder"),
    ("t5encoder", lambda f: renamed(f, "t5encoder"), "embedding model"),
    ("llada", lambda f: renamed(f, "llada"), "diffusion model"),
    ("dream", lambda f: renamed(f, "dream"), "diffusion model"),
    ("clip", lambda f: renamed(f, "clip"), "image encoder"),
    ("mmproj", lambda f: f.put_text("general.type", "mmproj"), "image encoder"),
    ("control vector", lambda f: renamed(f, "controlvector"), "control vector"),
    ("draft head", lambda f: renamed(f, "eagle3"), "draft head"),
    ("speech", lambda f: renamed(f, "wavtokenizer-dec"), "speech model"),
    ("vocabulary", lambda f: Gguf(f.keys, (), b""), "only a vocabulary"),
    (
        "classifier",
        lambda f: Gguf(
            f.keys, (*f.tensors[:-1], TensorInfo(b"cls.weight", (64, 96), 0, 0)), f.data
        ),
        "reranker",
    ),
]


@pytest.mark.parametrize(("change", "said"), [k[1:] for k in KINDS], ids=[k[0] for k in KINDS])
def test_a_model_that_does_not_write_is_named(
    change: Callable[[Gguf], Gguf], said: str, llama: Gguf, tmp_path: Path
) -> None:
    assert said in refusal(written(change(llama), tmp_path / "x.gguf")).message


def test_pooling_of_no_kind_is_no_embedding(llama: Gguf, tmp_path: Path) -> None:
    inspect_header(written(llama.put_number("llama.pooling_type", U32, 0), tmp_path / "x.gguf"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda f: f.put(
                "adapter.alora.invocation_tokens", 9, struct.pack("<IQ2I", U32, 2, 5, 6)
            ),
            "activated LoRA",
        ),
        (lambda f: renamed(f, "qwen2"), "architecture 'qwen2', and this model is of 'llama'"),
        (lambda f: Gguf(f.keys, f.tensors[1:], f.data), "lora_a is missing"),
        (lambda f: Gguf(f.keys, f.tensors[:-1], f.data), "lora_b is missing"),
        (lambda f: Gguf(f.keys, (), b""), "without weights"),
        (
            lambda f: Gguf(
                f.keys, (*f.tensors, TensorInfo(b"rope_freqs.weight", (4,), 0, 0)), f.data
            ),
            "rope_freqs.weight",
        ),
        (lambda f: f.put_text("adapter.type", "dora\x1b"), "of the type 'dora"),
        (lambda f: renamed(f, "controlvector"), "control vector"),
    ],
    ids=["activated", "other", "half a", "half b", "none", "rope", "dora", "control vector"],
)
def test_an_adapter_that_can_not_be_applied_is_named(
    change: Callable[[Gguf], Gguf], said: str, llama_gguf: Path, adapter_gguf: Path, tmp_path: Path
) -> None:
    adapter = written(change(Gguf.parse(adapter_gguf.read_bytes())), tmp_path / "a.gguf")
    assert said in refusal(llama_gguf, adapter).message


def test_a_tokenizer_that_cuts_by_guess_is_told(engine: Engine, tmp_path: Path) -> None:
    path = tinygguf.write_llama(tmp_path / "x.gguf", vocabulary=tinygguf.bpe_vocabulary())
    file = Gguf.parse(path.read_bytes())
    keys = tuple(key for key in file.keys if key.name != b"tokenizer.ggml.pre")
    for content, told in ((file, 0), (Gguf(keys, file.tensors, file.data), 1)):
        for model in engine.models:
            model.unload().result()
        events = list(load(engine, written(content, path), options=OPTIONS))
        notices = [event.message for event in events if isinstance(event, Notice)]
        assert sum("tokenizer.ggml.pre is missing" in message for message in notices) == told


@pytest.mark.parametrize("size", [16, 80, 112])
def test_a_quantised_cache_that_heads_do_not_fit_names_the_setting(
    size: int, llama: Gguf, tmp_path: Path
) -> None:
    file = llama
    for key in ("key_length", "value_length"):
        file = file.put_number(f"llama.attention.{key}", U32, size)
    file = file.put_number("llama.rope.dimension_count", U32, 16)
    path = written(file, tmp_path / "x.gguf")
    for kv_type in ("q8_0", "q4_0"):
        error = refusal(path, kv_type=kv_type)
        assert f"heads of {size} elements" in error.message
        assert 'engine.kv_type = "f16"' in error.hint


# -- parts -----------------------------------------------------------------------------


def split(good: Gguf, directory: Path, count: int = 3) -> list[Path]:
    """A model in parts, as llama-gguf-split makes them: the keys on them come last."""
    paths = []
    for number in range(count):
        infos = good.tensors[number::count]
        data, table = b"", []
        for info in infos:
            end = min(
                (t.offset for t in good.tensors if t.offset > info.offset), default=len(good.data)
            )
            table.append(TensorInfo(info.name, info.shape, info.kind, len(data)))
            data += good.data[info.offset : end]
        part = Gguf(good.keys if number == 0 else (), tuple(table), data)
        part = part.put("split.no", U16, packed(U16, number))
        part = part.put("split.count", U16, packed(U16, count))
        part = part.put("split.tensors.count", I32, packed(I32, len(good.tensors)))
        path = directory / f"big-{number + 1:05d}-of-{count:05d}.gguf"
        paths.append(written(part, path))
    return paths


@pytest.fixture
def parts(llama: Gguf, tmp_path: Path) -> list[Path]:
    return split(llama, tmp_path)


def test_a_model_in_parts_is_loaded_and_counted_whole(parts: list[Path], engine: Engine) -> None:
    list(load(engine, parts[0], options=OPTIONS))
    found = model_parts(parts[0])
    assert [part.path for part in found] == parts
    assert [part.size for part in found] == [path.stat().st_size for path in parts]
    need = memory_need(parts[0], check_gguf(parts[0]), OPTIONS)
    assert need.weights == sum(path.stat().st_size for path in parts)


def test_parts_behind_a_large_vocabulary_are_found(llama: Gguf, tmp_path: Path) -> None:
    tokens = b"".join(struct.pack("<Q", 6) + b"%06d" % token for token in range(20_000))
    large = llama.put("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 20_000) + tokens)
    parts = split(large, tmp_path)
    assert check_gguf(parts[0]).parts == 1
    assert [part.path for part in model_parts(parts[0])] == parts


def test_missing_and_damaged_parts_are_named(parts: list[Path]) -> None:
    first, second, third = parts
    content = third.read_bytes()
    third.write_bytes(content[:-100])
    error = refusal(first)
    assert third.name in error.message
    assert "cut off" in error.message
    third.write_bytes(bytes(100))
    assert third.name in refusal(first).message
    third.unlink()
    assert f"{third.name} is missing" in refusal(first).message
    second.unlink()
    assert f"{second.name}, {third.name} are missing" in refusal(first).message
    os.mkfifo(second)
    third.write_bytes(content)
    assert "not a regular file" in refusal(first).message
    assert "name ends in -00001-of-00003.gguf" in refusal(third).hint


def test_parts_that_were_joined_and_pieces_that_were_not(
    parts: list[Path], llama: Gguf, tmp_path: Path
) -> None:
    joined = b"".join(path.read_bytes() for path in parts)
    for path in (tmp_path / "joined.gguf", parts[0]):
        path.write_bytes(joined)
        error = refusal(path)
        assert "joined end to end" in error.message
        assert "keep them as they are" in error.hint
    whole = llama.encoded
    for name in ("m.gguf-split-a", "m.gguf.part1of2", "m.gguf.partaa"):
        piece = tmp_path / name
        piece.write_bytes(whole[: len(whole) // 2])
        assert "`cat" in refusal(piece).hint


# -- at random -------------------------------------------------------------------------


def test_no_damaged_model_ends_in_anything_but_an_answer_or_a_sentence(tmp_path: Path) -> None:
    seen = set()
    for trial in trials(tmp_path, range(5000, 5060)):
        seen.add(trial.outcome)
        assert trial.outcome != "hung", trial
        if trial.error is not None:
            assert_sentence(trial.error)
    assert {"answered", "refused by its header"} <= seen
