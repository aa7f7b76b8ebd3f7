"""What `urial models inspect` tells of a model file, from its header alone."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType, PoolingType

from tests import header_trials, tinygguf
from tests.test_models import ARCHITECTURE, TOKENS, gguf, string, strings
from urial_tui import paths
from urial_tui.cli import main as cli
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.models import speed_setup
from urial_tui.models.fit import need_of
from urial_tui.models.gguf_file import Header
from urial_tui.models.header import open_model
from urial_tui.models.header_texts import ChatTemplate, HeaderTexts
from urial_tui.models.inspection import Inspection, inspect_file
from urial_tui.models.origin import guess_origin
from urial_tui.models.speed import (
    MemorySpeed,
    ModelSpeed,
    Speeds,
    expected_speed,
    load_speeds,
    mark_of,
    model_mark,
    remember,
    remember_answer,
    weights_read,
)
from urial_tui.models.type_names import file_type, tensor_type
from urial_tui.prompting.templates.marks import TemplateMark, template_marks

OPTIONS = EngineOptions(n_ctx=256)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)


class Done(NamedTuple):
    """A command that ran."""

    exit_code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `urial models inspect`, or another command of `urial models`."""

    def inspect(*arguments: str | Path, command: str = "inspect") -> Done:
        capsys.readouterr()
        code = cli.run(["models", command, *map(str, arguments)])
        return Done(code, *capsys.readouterr())

    return inspect


def inspected(path: Path, content: bytes | None = None) -> Inspection:
    if content is not None:
        path.write_bytes(content)
    return inspect_file(path, OPTIONS)


# -- what a file holds -------------------------------------------------------------------


def test_the_demo_model_is_told_as_it_is(demo_model: Path) -> None:
    told = inspect_file(demo_model, EngineOptions(n_ctx=0))
    assert (told.architecture, told.layers, told.embedding) == ("gemma3", 18, 640)
    # A sum of its own: embeddings and last norm, and eighteen layers of four heads and one.
    layer = 640 * (4 + 1 + 1) * 256 + 4 * 256 * 640 + 3 * 640 * 2048 + 4 * 640 + 2 * 256
    assert told.parameters == 262_144 * 640 + 640 + 18 * layer == 268_098_176
    assert (told.vocabulary, told.context, told.sliding_window) == (262_144, 32_768, 512)
    assert told.file_type == "Q4_K_M"
    assert [one.type for one in told.types] == ["Q8_0", "Q5_0", "Q4_K", "Q6_K", "F32"]
    assert told.roles["eos"] == "<eos>"
    assert told.guess is not None
    assert told.guess.origin == "base"
    assert told.notes == ()


def test_the_types_add_up_to_what_the_gguf_library_finds(llama_gguf: Path) -> None:
    told = inspected(llama_gguf)
    tensors = GGUFReader(llama_gguf).tensors
    assert told.parameters == sum(int(tensor.n_elements) for tensor in tensors)
    assert sum(one.bytes or 0 for one in told.types) == sum(int(one.n_bytes) for one in tensors)
    assert sum(one.tensors for one in told.types) == told.tensors == len(tensors)
    assert told.file_type == "F32"
    assert told.size == llama_gguf.stat().st_size


def test_memory_is_that_of_the_checks_before_loading(llama_gguf: Path) -> None:
    told = inspected(llama_gguf)
    options = msgspec.structs.replace(OPTIONS, gpu_layers=0)
    assert [need.total for need in told.memory] == [
        need_of(llama_gguf, options, purpose).total for purpose in ("chat", "base", "aligned")
    ]
    assert (told.cards[0].layers, told.cards[0].of) == (3, 3)
    one = inspect_file(llama_gguf, OPTIONS, cards=[need_of(llama_gguf, OPTIONS).compute])
    assert one.cards[0].layers == 0


@pytest.mark.parametrize(
    ("pooling", "holds", "said"),
    [
        (PoolingType.MEAN, "embedding-model", "mean"),
        (PoolingType.CLS, "embedding-model", "cls"),
        (PoolingType.LAST, "embedding-model", "last"),
        (PoolingType.RANK, "reranker", "rank"),
        (None, "embedding-model", "unspecified"),
    ],
)
def test_what_makes_no_text_says_how_it_pools(
    tmp_path: Path, pooling: PoolingType | None, holds: str, said: str
) -> None:
    told = inspected(tinygguf.write_encoder(tmp_path / "e.gguf", pooling=pooling))
    assert (told.holds, told.pooling) == (holds, said)
    assert told.guess is None
    assert [need.purpose for need in told.memory] == (
        ["embedding"] if holds == "embedding-model" else []
    )


@pytest.mark.parametrize(
    ("keys", "holds"),
    [
        ([("general.architecture", 8, string("llada")), TOKENS], "diffusion-model"),
        ([("general.architecture", 8, string("t5")), TOKENS], "encoder-decoder"),
        ([("general.architecture", 8, string("clip"))], "image-encoder"),
        ([("general.architecture", 8, string("controlvector"))], "control-vector"),
        ([("general.architecture", 8, string("eagle3")), TOKENS], "draft-head"),
        ([ARCHITECTURE, ("general.type", 8, string("something")), TOKENS], "other"),
        ([ARCHITECTURE], "other"),
        ([("split.no", 2, b"\1\0")], "part"),
    ],
)
def test_other_things_are_named(
    tmp_path: Path, keys: list[tuple[str, int, bytes]], holds: str
) -> None:
    content = gguf(keys, [("t", (8,), 0, 0)], data=bytes(32))
    assert inspected(tmp_path / "x.gguf", content).holds == holds


def test_a_vocabulary_alone_is_no_model(tmp_path: Path) -> None:
    assert inspected(tmp_path / "x.gguf", gguf([ARCHITECTURE, TOKENS])).holds == "vocabulary"


def test_an_adapter_tells_its_rank_and_what_it_changes(adapter_gguf: Path) -> None:
    told = inspected(adapter_gguf)
    assert told.holds == "adapter"
    assert told.adapter is not None
    assert told.adapter.ranks == (4,)
    assert (told.adapter.alpha, told.adapter.pairs) == (4.0, 2)
    assert told.adapter.targets == ("ffn_down",)
    assert told.notes == ()


def test_odd_adapters_say_why_they_are_not_loaded(tmp_path: Path) -> None:
    keys = [
        ARCHITECTURE,
        ("general.type", 8, string("adapter")),
        ("adapter.type", 8, string("lora")),
        ("adapter.alora.invocation_tokens", 9, struct.pack("<IQ3I", 4, 3, 1, 2, 3)),
    ]
    content = gguf(keys, [("blk.0.ffn_up.weight.lora_a", (8, 2), 0, 0)], data=bytes(64))
    told = inspected(tmp_path / "x.gguf", content)
    assert told.adapter is not None
    assert told.adapter.invocation == 3
    assert told.adapter.unpaired == ("blk.0.ffn_up.weight.lora_a",)
    for words in ("activated LoRA", "no half of a pair", "changes nothing"):
        assert any(words in note for note in told.notes), told.notes


def test_parts_are_counted_together_though_their_number_stands_last(tmp_path: Path) -> None:
    first = tmp_path / "m-00001-of-00002.gguf"
    keys = [
        ARCHITECTURE,
        ("tokenizer.ggml.tokens", 9, strings(*["token"] * 2000)),
        ("split.tensors.count", 5, struct.pack("<i", 3)),
        ("split.count", 2, struct.pack("<H", 2)),
    ]
    first.write_bytes(gguf(keys, [("a", (8,), 0, 0)], data=bytes(32)))
    alone = inspected(first)
    assert (alone.parts, alone.parameters) == (2, 8)
    assert any("m-00002-of-00002.gguf is missing" in note for note in alone.notes)
    second = tmp_path / "m-00002-of-00002.gguf"
    second.write_bytes(gguf([], [("b", (16,), 1, 0)], data=bytes(32)))
    both = inspected(first)
    assert (both.parameters, both.size) == (24, first.stat().st_size + second.stat().st_size)
    assert [(one.type, one.tensors) for one in both.types] == [("F32", 1), ("F16", 1)]
    assert both.notes == ("Its parts hold 2 tensors, and it says that they are 3.",)


def test_damage_is_noted_beside_what_is_known(tmp_path: Path) -> None:
    cut = gguf([ARCHITECTURE, TOKENS], [("t", (4,), 0, 0)], data=bytes(15))
    assert inspected(tmp_path / "x.gguf", cut).notes == (
        "It is cut off: 207 of 208 bytes are there.",
    )
    absurd = [ARCHITECTURE, ("llama.block_count", 4, struct.pack("<I", 10**9)), TOKENS]
    told = inspected(tmp_path / "x.gguf", gguf(absurd, [("t", (4,), 99, 0)], data=bytes(16)))
    assert told.memory == ()
    assert "llama.block_count is 1000000000" in told.notes[0]
    assert "type that is not known" in told.notes[1]
    assert told.types[0].bytes is None


def test_a_missing_pre_tokenizer_is_said(tmp_path: Path) -> None:
    named = [ARCHITECTURE, ("tokenizer.ggml.model", 8, string("gpt2")), TOKENS]
    content = gguf(named, [("t", (4,), 0, 0)], data=bytes(16))
    told = inspected(tmp_path / "x.gguf", content)
    assert told.pre_tokenizer is None
    assert any("llama.cpp guesses" in note for note in told.notes)


def test_of_experts_those_count_that_a_token_uses(tmp_path: Path) -> None:
    keys = [
        ARCHITECTURE,
        ("llama.expert_count", 4, struct.pack("<I", 8)),
        ("llama.expert_used_count", 4, struct.pack("<I", 2)),
        TOKENS,
    ]
    tensors = [("blk.0.ffn_up_exps.weight", (8, 4, 8), 0, 0), ("output.weight", (4,), 0, 1024)]
    told = inspected(tmp_path / "x.gguf", gguf(keys, tensors, data=bytes(1040)))
    assert (told.parameters, told.active) == (260, 68)


def test_types_have_the_names_of_llama_cpp() -> None:
    for kind in GGMLQuantizationType:
        assert tensor_type(int(kind)) == kind.name
    for kind in LlamaFileType:
        if kind.name != "GUESSED":
            name = kind.name.removeprefix("MOSTLY_").removeprefix("ALL_")
            assert file_type(int(kind)) == name
    assert tensor_type(999) == "type 999"


# -- base or chat ------------------------------------------------------------------------


def header(**keys: str) -> Header:
    metadata = {f"general.{key}": value for key, value in keys.items()}
    return Header(
        metadata=metadata, lengths={}, size=0, version=3, tensors=0, data_start=0, data_size=0,
        parameters=0, complete=True, tensor_bytes={},
    )  # fmt: skip


def texts(
    eos: str = "", template: str = "", tags: Sequence[str] = (), datasets: Sequence[str] = ()
) -> HeaderTexts:
    return HeaderTexts(
        templates=(ChatTemplate(name="", size=len(template), source=template),) if template else (),
        lists={"general.tags": tuple(tags), "general.datasets": tuple(datasets)},
        roles={"eos": eos} if eos else {},
    )


@pytest.mark.parametrize(
    ("head", "text", "file", "origin"),
    [
        ({"name": "Qwen3 4B Base"}, texts("<|endoftext|>", TEMPLATE), "x.gguf", "base"),
        ({"name": "Qwen3 4B"}, texts("<|im_end|>", TEMPLATE), "x.gguf", "chat"),
        ({"name": "Qwen2.5 7B"}, texts("<|endoftext|>", TEMPLATE), "x.gguf", "base"),
        ({"name": "Gemma 3 270m"}, texts("<eos>"), "x.gguf", "base"),
        ({"name": "Gemma 3 1b It", "finetune": "it"}, texts("<eos>"), "x.gguf", "chat"),
        ({}, texts("<eos>", "{{ '<end_of_turn>' }}"), "gemma-3-1b-it-Q4_K_M.gguf", "chat"),
        ({}, texts("<eos>", "{{ '<end_of_turn>' }}"), "gemma-3-1b.gguf", "unknown"),
        ({}, texts(template=TEMPLATE), "model.gguf", "unknown"),
        ({"name": "Foo", "finetune": "medical"}, texts(template="x"), "x.gguf", "unknown"),
        ({}, texts(template="x", datasets=["HuggingFaceH4/ultrachat_200k"]), "x.gguf", "chat"),
        ({"base_model.0.name": "Foo Instruct"}, texts(template="x"), "x.gguf", "chat"),
        ({}, texts(template="x", tags=["conversational", "dpo"]), "x.gguf", "chat"),
        ({"name": "Llama-3.1-8B-Instruct", "basename": "b"}, texts(), "base.gguf", "chat"),
        ({"name": "Foo-Base-SFT"}, texts("</s>"), "x.gguf", "chat"),
        ({}, texts(), "model.gguf", "unknown"),
    ],
)
def test_a_guess_follows_from_its_signs(
    head: dict[str, str], text: HeaderTexts, file: str, origin: str
) -> None:
    if head.get("name", "").startswith("Llama-3.1"):
        # Names that contradict each other leave it open.
        origin = "unknown"
    guess = guess_origin(header(**head), text, file)
    assert guess.origin == origin, guess
    assert guess.signs


def test_a_template_alone_is_no_sign() -> None:
    without, beside = (guess_origin(header(), texts(template=t), "x.gguf") for t in ("", TEMPLATE))
    assert [sign.speaks_for for sign in beside.signs] == ["neither"]
    assert [sign.speaks_for for sign in without.signs] == ["base"]


# -- templates ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "marks"),
    [
        (TEMPLATE, [(2, "changes", "trim")]),
        ("{{ messages[0]['content'] }}{# content in #}{{ 'content in text' }}", []),
        ("{% if '</think>' in m.content %}x{% endif %}", [(1, "reads", "in")]),
        ("\n{% set c = m.content %}\n{{ c.split('x')[0] }}", [(3, "reads", "split")]),
        ("{{ m['content'][:10] }}", [(1, "changes", "slice")]),
        ("{% if m.content is string %}{{ m.content }}{% endif %}", []),
        ("{% if m.content %}x{% endif %}", [(1, "reads", "if")]),
        ("{{ m.content | length }}", [(1, "reads", "length")]),
        ("{{ strftime_now('%d') }}", [(1, "dates", "strftime_now")]),
        ("{% if enable_thinking %}x{% endif %}", [(1, "thinks", "enable_thinking")]),
        ("{{ raise_exception('Roles have to take turns, please') }}",
         [(1, "refuses", "raise_exception")]),
        ("{{ m.tool_calls }}", [(1, "tools", "tool_calls")]),
        ("<|system|>\nYou are a most helpful assistant.<|end|>",
         [(1, "speaks", "You are a most helpful assistant.")]),
    ],
)  # fmt: skip
def test_what_a_template_does_beside_writing_turns_is_marked(
    source: str, marks: list[tuple[int, str, str]]
) -> None:
    found = template_marks(source)
    assert [(mark.line, mark.action, mark.how) for mark in found.marks] == marks
    assert found.trouble == ""


def test_special_tokens_of_a_template_are_listed() -> None:
    assert template_marks(TEMPLATE).tokens == ("<|im_start|>", "<|im_end|>")
    assert template_marks("{{ '[INST]' }} a < b <end_of_turn>").tokens == (
        "[INST]",
        "<end_of_turn>",
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{% if %}", "line 1 is no Jinja"),
        ("{{" + "(" * 20_000, "nested too deeply"),
        ("x" * 100_000, "longer than"),
        ("\0{{ '\ud800' }}", ""),
        ("{{ m.content" + ".a" * 5_000 + " }}", ""),
    ],
    ids=["no Jinja", "deep", "long", "odd", "a long way"],
)
def test_templates_that_can_t_be_looked_into_say_why(source: str, words: str) -> None:
    assert words in template_marks(source).trouble


def test_long_texts_of_a_header_are_found(tmp_path: Path) -> None:
    source = TEMPLATE + "{# " + "x" * 100_000 + " #}"
    keys = [
        ARCHITECTURE,
        ("tokenizer.chat_template", 8, string(source)),
        ("tokenizer.chat_template.tool_use", 8, string("y")),
        ("general.tags", 9, strings("base", "\x1b[2J")),
        ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 1)),
        ("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 99)),
        TOKENS,
    ]
    content = gguf(keys, [("t", (4,), 0, 0)], data=bytes(16))
    told = inspected(tmp_path / "x.gguf", content)
    assert told.template is not None
    assert (told.template.size, told.template.source) == (len(source), source)
    assert told.template.found.trouble == "it is longer than 60,000 characters"
    assert told.other_templates == ("tool_use",)
    assert told.roles == {"eos": "b"}


# -- speed -------------------------------------------------------------------------------

MEMORY = MemorySpeed(name="demo", read=20e9, decoding=10e9)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("qwen3-30b-a3b-base", 100_000_000),
        ("hf.co/someone/Qwen3-235B-A22B-GGUF:Q4_K_M", 93_617_021),
        ("Tiny-2.4B-A0.6B.Q8_0.gguf", 250_000_000),
        ("Mixtral-8x7B-v0.1.Q4_K_M.gguf", None),
        ("OLMoE-1B-7B-0924", None),
        ("granite-3.1-3b-a800m-base", 266_666_667),
        ("hf.co/tomoe/gemma-3-1b", 1_000_000_000),
        ("gemma-3-1b-it Q4_K_M", 1_000_000_000),
        ("odd-3B-A30B", 1_000_000_000),
        ("0B-A0B", 1_000_000_000),
    ],
)
def test_what_a_token_reads_of_experts_is_told_by_the_name_or_not_at_all(
    name: str, read: int | None
) -> None:
    assert weights_read(1_000_000_000, name) == read


def test_a_speed_is_estimated_from_what_a_token_reads() -> None:
    speeds = Speeds(memory=MEMORY)
    found = expected_speed(speeds, "mark", weights=400_000_000, cache=100_000_000)
    assert found is not None
    assert (found.how, found.empty, found.full, found.by) == ("estimated", 25.0, 20.0, "demo")
    assert expected_speed(Speeds(), "mark", weights=10**9, cache=0) is None
    assert expected_speed(speeds, "mark", weights=None, cache=0) is None


def test_what_was_measured_of_a_model_replaces_the_estimate(llama_gguf: Path) -> None:
    with open_model(llama_gguf) as file:
        mark = model_mark(file, llama_gguf.stat().st_size)
    assert mark == mark_of(llama_gguf)
    remember(OPTIONS, mark, ModelSpeed(name="tiny", empty=1234.5), MEMORY)
    remember(OPTIONS, "other", ModelSpeed(name="other", empty=1.0), None)
    speeds = load_speeds(OPTIONS)
    assert speeds.memory == MEMORY
    assert paths.speeds_file().is_file()
    told = inspect_file(llama_gguf, OPTIONS, speeds=speeds)
    assert told.speed is not None
    assert (told.speed.how, told.speed.empty) == ("measured", 1234.5)
    # Weights but the embeddings, of which a row is read.
    tensors = {tensor.name: int(tensor.n_bytes) for tensor in GGUFReader(llama_gguf).tensors}
    assert told.speed.bytes_per_token == sum(tensors.values()) - tensors["token_embd.weight"]


@pytest.mark.parametrize(
    "changed",
    [
        {"gpu_layers": 0},
        {"threads": 3},
        {"rpc": ("10.0.0.2:50052",)},
        {"kv_type": "q8_0"},
    ],
)
def test_a_speed_holds_only_for_what_it_was_measured_with(changed: dict[str, Any]) -> None:
    remember(OPTIONS, "m", ModelSpeed(name="m", empty=5.0), MEMORY)
    other = msgspec.structs.replace(OPTIONS, **changed)
    # Of the memory weights are read, whatever the cache is made of.
    same = changed.keys() == {"kv_type"}
    assert load_speeds(other) == Speeds(memory=MEMORY if same else None)
    remember(other, "m", ModelSpeed(name="m", empty=50.0), None)
    assert load_speeds(OPTIONS).models == {"m": ModelSpeed(name="m", empty=5.0)}
    assert load_speeds(other).models == {"m": ModelSpeed(name="m", empty=50.0)}
    # These have no part in it.
    context = msgspec.structs.replace(OPTIONS, n_ctx=99, cache_limit_mb=1, parallel=2)
    assert load_speeds(context) == load_speeds(OPTIONS)


def test_a_speed_holds_only_for_the_processors_and_the_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remember(OPTIONS, "m", ModelSpeed(name="m", empty=5.0), MEMORY)
    with monkeypatch.context() as patched:
        patched.setattr(speed_setup, "_processors", lambda: 77)
        assert load_speeds(OPTIONS) == Speeds()
    with monkeypatch.context() as patched:
        patched.setattr(speed_setup, "_library", lambda: "another")
        assert load_speeds(OPTIONS) == Speeds()
    assert load_speeds(OPTIONS).memory == MEMORY


def test_of_answers_the_median_of_the_last_nine_counts(llama_gguf: Path) -> None:
    for rate in (1.0, 2.0, 90.0, 10.0, 30.0, 20.0, 80.0, 40.0, 70.0, 60.0, 50.0):
        remember_answer(llama_gguf, OPTIONS, rate)
    mark = mark_of(llama_gguf)
    measured = load_speeds(OPTIONS).models[mark]
    assert measured.answers == (90.0, 10.0, 30.0, 20.0, 80.0, 40.0, 70.0, 60.0, 50.0)
    told = inspect_file(llama_gguf, OPTIONS, speeds=load_speeds(OPTIONS)).speed
    assert told is not None
    assert (told.how, told.empty) == ("measured", 50.0)
    # `urial bench` measures better, and answers do not take that away.
    remember(OPTIONS, mark, ModelSpeed(name="tiny", empty=55.0), None)
    remember_answer(llama_gguf, OPTIONS, 1.0)
    assert load_speeds(OPTIONS).models[mark].rate == 55.0
    assert load_speeds(OPTIONS).models[mark].answers[-2:] == (50.0, 1.0)


def test_answers_that_tell_no_speed_are_not_kept(tmp_path: Path, llama_gguf: Path) -> None:
    for rate in (0.0, -1.0, float("inf"), float("nan")):
        remember_answer(llama_gguf, OPTIONS, rate)
    remember_answer(tmp_path / "gone.gguf", OPTIONS, 5.0)
    assert not paths.speeds_file().exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"models": 3}',
        b'{"memory": {"name": "x", "read": -1, "decoding": 0}}',
        b'{"memories": {"threads=0": {"name": "x", "read": -1, "decoding": 0}}}',
        b'{"models": {"m": {"name": "x", "empty": 0}}}',
        b'{"models": {"m": {"name": "x"}}}',
        b'{"models": {"m": {"name": "x", "answers": [3, -1]}}}',
    ],
)
def test_a_damaged_file_of_speeds_says_nothing(content: bytes) -> None:
    path = paths.speeds_file()
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert load_speeds(OPTIONS) == Speeds()


# -- the command -------------------------------------------------------------------------


@pytest.fixture
def chatty(tmp_path: Path) -> Path:
    """A model with a template."""
    return tinygguf.write_llama(
        tmp_path / "tiny-chat.gguf", name="Tiny \x1b[31m Chat", chat_template=TEMPLATE
    )


def test_the_text_fits_into_eighty_columns(chatty: Path, run: Run) -> None:
    remember(OPTIONS, "x", ModelSpeed(name="x", empty=1.0), MEMORY)
    done = run(chatty)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Tiny ␛[31m Chat"
    assert all(len(line) <= 80 for line in lines if str(chatty) not in line)
    for words in (
        "a language model, which writes text",
        "llama, 2 layers, 64 wide",
        "F32: F32 100%",
        "trained on 4,096 tokens",
        "eos '</s>'",
        "It changes the text of messages: line 2 (trim)",
        "for chat",
        "4 GiB: all",
        "estimated from what `urial bench` measured",
    ):
        assert words in " ".join(done.stdout.split()), words


def test_the_document_holds_all_of_it(chatty: Path, run: Run) -> None:
    document: dict[str, Any] = json.loads(run(chatty, "--json", "--card", "0.1").stdout)
    assert document["holds"] == "language-model"
    assert document["template"]["source"] == TEMPLATE
    assert document["template"]["found"]["marks"][0] == msgspec.to_builtins(
        TemplateMark(line=2, action="changes", how="trim")
    )
    assert document["cards"][0]["memory"] == int(0.1 * (1 << 30))
    assert document["guess"]["origin"] == "chat"
    assert document["speed"] is None
    assert set(document) == set(Inspection.__struct_fields__)


def test_a_template_is_shown_and_rendered(chatty: Path, run: Run) -> None:
    assert run(chatty, "--template").stdout == TEMPLATE
    assert run(chatty, "--render", " Why? ").stdout == (
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant"
    )
    assert run(chatty, "--render", "x", "--json").exit_code == 2


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A model with a template that is used and two with names."""
    keys = [
        ARCHITECTURE,
        ("tokenizer.chat_template", 8, string(TEMPLATE)),
        ("tokenizer.chat_templates", 9, strings("rag", "tool_use")),
        ("tokenizer.chat_template.tool_use", 8, string("T{{ messages[0].content }}T")),
        ("tokenizer.chat_template.rag", 8, string("{{ messages[0].content[:2] }}{{ documents }}")),
        TOKENS,
    ]
    path = tmp_path / "named.gguf"
    path.write_bytes(gguf(keys, [("t", (4,), 0, 0)], data=bytes(16)))
    return path


def test_a_template_with_a_name_is_shown_and_rendered(named: Path, run: Run) -> None:
    assert run(named, "--template").stdout == TEMPLATE
    shown = run(named, "--template", "--named", "tool_use")
    assert shown.stdout == "T{{ messages[0].content }}T\n"
    assert run(named, "--named", "tool_use", "--render", "Why?").stdout == "TWhy?T"
    wrong = run(named, "--template", "--named", "tools")
    assert wrong.exit_code == 1
    assert "no chat template named 'tools'" in wrong.stderr
    assert "Those with a name are: 'rag', 'tool_use'." in wrong.stderr
    assert run(named, "--named", "tool_use").exit_code == 2


def test_templates_with_a_name_are_told_with_what_they_do(named: Path, run: Run) -> None:
    text = " ".join(run(named).stdout.split())
    assert "'rag': 44 bytes It changes the text of messages: line 1 (slice)" in text
    assert "'tool_use': 27 bytes" in text
    told: dict[str, Any] = json.loads(run(named, "--json").stdout)
    assert told["other_templates"] == ["rag", "tool_use"]
    assert [one["name"] for one in told["named_templates"]] == ["rag", "tool_use"]
    assert told["named_templates"][0]["found"]["marks"] == [
        {"line": 1, "action": "changes", "how": "slice"}
    ]


def test_where_all_templates_have_names_one_has_to_be_named(tmp_path: Path, run: Run) -> None:
    keys = [ARCHITECTURE, ("tokenizer.chat_template.rag", 8, string("x")), TOKENS]
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(keys, [("t", (4,), 0, 0)], data=bytes(16)))
    assert "but those with a name: 'rag'" in run(path, "--template").stderr
    assert run(path, "--template", "--named", "rag").stdout == "x\n"


def test_many_templates_are_looked_into_no_longer_than_one(tmp_path: Path) -> None:
    long = TEMPLATE + "{# " + "x" * 35_000 + " #}"
    keys = [ARCHITECTURE, TOKENS]
    keys += [(f"tokenizer.chat_template.{name}", 8, string(long)) for name in "abc"]
    content = gguf(keys, [("t", (4,), 0, 0)], data=bytes(16))
    told = inspected(tmp_path / "x.gguf", content).named_templates
    assert [bool(one.found.marks) for one in told] == [True, False, False]
    assert told[1].found.trouble == "it and those before it are longer than 60,000 characters"
    assert all(one.source == long for one in told)


def test_a_model_without_a_template_says_so(llama_gguf: Path, run: Run) -> None:
    for option in (["--template"], ["--render", "x"]):
        done = run(llama_gguf, *option)
        assert done.exit_code == 1
        assert "no chat template" in done.stderr


def test_names_are_looked_for_where_models_are(tmp_path: Path, run: Run) -> None:
    paths.models_dir().mkdir(parents=True)
    encoder = paths.models_dir() / "encoder.gguf"
    tinygguf.write_encoder(encoder)
    assert "pooling         cls" in run("encoder.gguf").stdout
    for missing in ("nothing", "./nothing.gguf", str(tmp_path)):
        assert run(missing).exit_code == 1
    assert "embedding (cls)" in run(command="list").stdout


def test_a_wide_model_keeps_its_columns(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "wide.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_name("\u202e" + "n" * 500)
    writer.add_token_list(["x"])
    writer.add_tokenizer_model("m" * 500)
    writer.add_license("l" * 500)
    writer.add_tensor("t" * 60, np.zeros(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    done = run(path)
    assert done.exit_code == 0, done.stderr
    assert "\u202e" not in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines() if str(path) not in line)


# -- damaged headers ---------------------------------------------------------------------


def test_damaged_headers_are_told_or_refused(tmp_path: Path) -> None:
    """More of them: `python -m tests.header_trials --count 10000`."""
    outcomes = {trial.outcome for trial in header_trials.trials(tmp_path, range(150))}
    assert outcomes == {"told", "told with a note", "refused"}


def test_damaged_headers_take_little_memory() -> None:
    """A process of its own, which ends where one of them takes too much time or memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.header_trials", "--first", "1000", "--count", "200"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["slowest_s"] < header_trials.SECONDS
    assert found["grew_bytes"] < header_trials.MEMORY
    assert sum(found[name] for name in ("told", "told with a note", "refused")) == 200
