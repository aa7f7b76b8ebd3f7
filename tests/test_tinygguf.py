"""The tiny models are what the other tests take them for."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from tests import tinygguf
from urial_tui.engine.native import llama

lib = llama.lib

WRITERS = [
    tinygguf.write_llama,
    tinygguf.write_sliding_window,
    tinygguf.write_recurrent,
    tinygguf.write_hybrid,
]
VOCABULARIES = {
    "spm": tinygguf.spm_vocabulary(),
    "spm-no-space": tinygguf.spm_vocabulary(add_space_prefix=False),
    "bpe": tinygguf.bpe_vocabulary(),
}
PROMPT = "# Query:\n```\nCan you help me please?\n```\n\n# Answer:\n```\n"


class Native:
    """A model with one sequence, driven by the plainest calls; greedy."""

    def __init__(self, path: Path) -> None:
        lib.llama_backend_init()
        parameters = lib.llama_model_default_params()
        self.model = lib.llama_model_load_from_file(str(path).encode(), parameters)
        assert self.model
        parameters = lib.llama_context_default_params()
        parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = 1024, 512, 512
        parameters.n_threads = parameters.n_threads_batch = 1
        parameters.swa_full = False
        self.context = lib.llama_init_from_model(self.model, parameters)
        assert self.context
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.n_vocab = int(lib.llama_vocab_n_tokens(self.vocab))

    def close(self) -> None:
        lib.llama_free(self.context)
        lib.llama_model_free(self.model)

    def tokenize(self, text: bytes, *, special: bool = False) -> list[int]:
        buffer = (lib.llama_token * (len(text) + 8))()
        count = lib.llama_tokenize(self.vocab, text, len(text), buffer, len(buffer), False, special)
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        count = lib.llama_token_to_piece(self.vocab, token, buffer, 64, 0, False)
        return buffer.raw[:count]

    def logits(self, tokens: list[int], *, fresh: bool = True) -> Any:
        """Logits behind the last of `tokens`, shape (n_vocab,)."""
        if fresh:
            lib.llama_memory_clear(lib.llama_get_memory(self.context), True)
        array = (lib.llama_token * len(tokens))(*tokens)
        assert lib.llama_decode(self.context, lib.llama_batch_get_one(array, len(tokens))) == 0
        row = lib.llama_get_logits_ith(self.context, -1)
        return np.ctypeslib.as_array(row, shape=(self.n_vocab,)).copy()

    def greedy(self, tokens: list[int], count: int) -> list[int]:
        answer = [int(self.logits(tokens).argmax())]
        while len(answer) < count:
            answer.append(int(self.logits(answer[-1:], fresh=False).argmax()))
        return answer


@pytest.fixture
def native() -> Iterator[Callable[[Path], Native]]:
    opened: list[Native] = []

    def open_(path: Path) -> Native:
        opened.append(Native(path))
        return opened[-1]

    yield open_
    for model in opened:
        model.close()


@pytest.fixture(params=["llama_gguf", "sliding_window_gguf", "recurrent_gguf", "hybrid_gguf"])
def tiny(request: pytest.FixtureRequest, native: Callable[[Path], Native]) -> Native:
    path: Path = request.getfixturevalue(request.param)
    return native(path)


@pytest.mark.parametrize("write", [*WRITERS, tinygguf.write_adapter])
def test_the_same_arguments_give_the_same_bytes(write: Callable[..., Path], tmp_path: Path) -> None:
    first = write(tmp_path / "first.gguf").read_bytes()
    assert write(tmp_path / "again.gguf").read_bytes() == first
    other = write(tmp_path / "other.gguf", seed=1).read_bytes()
    assert len(other) == len(first)
    assert other != first
    assert len(first) < 1_000_000


def test_greedy_output_is_varied(tiny: Native) -> None:
    answer = tiny.greedy(tiny.tokenize(PROMPT.encode()), 200)
    assert len(set(answer)) > 50


def test_the_whole_context_counts_beyond_the_window(tiny: Native) -> None:
    # A token that a sliding-window layer no longer sees still acts through the others.
    tokens = [5 + (7 * index) % 300 for index in range(400)]
    before = tiny.logits(tokens)
    after = tiny.logits([9, *tokens[1:]])
    assert np.isfinite(before).all()
    assert float(np.abs(after - before).max()) > 1e-3


def test_another_seed_says_something_else(
    native: Callable[[Path], Native], llama_gguf: Path, tmp_path: Path
) -> None:
    one, two = native(llama_gguf), native(tinygguf.write_llama(tmp_path / "m.gguf", seed=1))
    prompt = one.tokenize(PROMPT.encode())
    assert one.greedy(prompt, 20) != two.greedy(prompt, 20)


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_every_piece_is_what_the_library_makes_of_it(
    kind: str, native: Callable[[Path], Native], tmp_path: Path
) -> None:
    vocabulary = VOCABULARIES[kind]
    model = native(tinygguf.write_llama(tmp_path / "m.gguf", vocabulary=vocabulary, n_layer=1))
    assert model.n_vocab == len(vocabulary.tokens)
    for token in range(model.n_vocab):
        assert model.piece(token) == vocabulary.piece(token), vocabulary.tokens[token]


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_every_byte_is_a_token_of_its_own(kind: str) -> None:
    vocabulary = VOCABULARIES[kind]
    pieces = {vocabulary.piece(token) for token in range(len(vocabulary.tokens))}
    assert {bytes([byte]) for byte in range(256)} <= pieces


@pytest.mark.parametrize("kind", VOCABULARIES)
@pytest.mark.parametrize(
    "text",
    [PROMPT, "naïve 中文 🙂🙃 \u200b", "".join(map(chr, range(1, 256))), "  two  spaces \n\n"],
)
def test_text_survives_tokenising(
    kind: str, text: str, native: Callable[[Path], Native], tmp_path: Path
) -> None:
    vocabulary = VOCABULARIES[kind]
    model = native(tinygguf.write_llama(tmp_path / "m.gguf", vocabulary=vocabulary, n_layer=1))
    tokens = model.tokenize(text.encode())
    space = " " if vocabulary.add_space_prefix else ""
    assert vocabulary.spell(tokens).decode() == space + text


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_typed_control_tokens_stay_text(
    kind: str, native: Callable[[Path], Native], tmp_path: Path
) -> None:
    vocabulary = VOCABULARIES[kind]
    model = native(tinygguf.write_llama(tmp_path / "m.gguf", vocabulary=vocabulary, n_layer=1))
    for id_ in (vocabulary.bos, vocabulary.eos, vocabulary.eot):
        text = vocabulary.tokens[id_]
        assert id_ in model.tokenize(text, special=True)
        typed = model.tokenize(text)
        assert id_ not in typed
        assert vocabulary.spell(typed).strip() == text


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_end_of_text_and_end_of_turn_end_generation(
    kind: str, native: Callable[[Path], Native], tmp_path: Path
) -> None:
    vocabulary = VOCABULARIES[kind]
    model = native(tinygguf.write_llama(tmp_path / "m.gguf", vocabulary=vocabulary, n_layer=1))
    ends = {id_ for id_ in range(model.n_vocab) if lib.llama_vocab_is_eog(model.vocab, id_)}
    assert ends == {vocabulary.eos, vocabulary.eot}


def test_the_window_is_a_window(
    native: Callable[[Path], Native],
    sliding_window_gguf: Path,
    recurrent_gguf: Path,
    hybrid_gguf: Path,
) -> None:
    assert lib.llama_model_n_swa(native(sliding_window_gguf).model) == tinygguf.WINDOW
    assert lib.llama_model_is_recurrent(native(recurrent_gguf).model)
    assert lib.llama_model_is_hybrid(native(hybrid_gguf).model)


def test_a_poisoned_model_loads_and_computes_no_number(
    native: Callable[[Path], Native], tmp_path: Path
) -> None:
    model = native(tinygguf.write_llama(tmp_path / "m.gguf", nan=True))
    assert np.isnan(model.logits(model.tokenize(b"Hello"))).all()


def test_an_adapter_changes_the_logits(
    native: Callable[[Path], Native], llama_gguf: Path, adapter_gguf: Path
) -> None:
    model = native(llama_gguf)
    tokens = model.tokenize(b"Hello")
    plain = model.logits(tokens)
    adapter = lib.llama_adapter_lora_init(model.model, str(adapter_gguf).encode())
    assert adapter
    adapters, scales = (lib.llama_adapter_lora_p_ctypes * 1)(adapter), (ctypes.c_float * 1)(1.0)
    assert lib.llama_set_adapters_lora(model.context, adapters, 1, scales) == 0
    assert float(np.abs(model.logits(tokens) - plain).max()) > 0.1


def test_metadata_hold_what_was_asked_for(tmp_path: Path) -> None:
    path = tinygguf.write_llama(
        tmp_path / "m.gguf",
        name="\x1b]0;owned\x07",
        n_ctx_train=128,
        chat_template="{{ messages }}",
        metadata={"general.description": "\x1b[2J"},
    )
    fields = GGUFReader(path).fields
    assert fields["general.name"].contents() == "\x1b]0;owned\x07"
    assert fields["general.description"].contents() == "\x1b[2J"
    assert fields["llama.context_length"].contents() == 128
    assert fields["tokenizer.chat_template"].contents() == "{{ messages }}"
