"""Vectors of texts are those of the plain library and of the formulas, and what makes none is told.

The encoder is worked out here with numpy, from the file's tensors; the others are compared with the
bindings' own class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGUFReader, PoolingType

from tests import tinygguf
from tests.plain_vectors import plain_vectors
from tests.tinygguf import N_EMBD, N_HEAD, WORD_PIECES
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.recording import read_recording
from urial_tui.engine.client.replay import Replay
from urial_tui.engine.wire.events import Embedded, EmbedProgress, Event
from urial_tui.engine.wire.limits import EMBEDDED_TEXTS, contexts_of, text_tokens
from urial_tui.engine.wire.values import EngineOptions, TextSegment
from urial_tui.errors import EngineError, ModelError
from urial_tui.models.header import check_gguf
from urial_tui.models.memory_need import memory_need
from urial_tui.models.registry import resolve
from urial_tui.runtime.embedder import Embedder, ModelEmbedder, load_embedder
from urial_tui.runtime.loading import load

OPTIONS = EngineOptions(n_ctx=2048, threads=1)
TEXTS = (
    "hello world",
    "The answer is not here.",
    "please list the first number",
    "code",
    "",
    "it is on the list and this is the second " * 4,
)

Rows = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder whose vector is that of its first token."""
    return tinygguf.write_encoder(tmp_path_factory.mktemp("bert") / "bert.gguf")


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Embedding models by name: encoders and decoders of each pooling."""
    directory = tmp_path_factory.mktemp("pooled")
    found = {}
    for pooling in (PoolingType.MEAN, PoolingType.CLS, PoolingType.LAST):
        name = pooling.name.lower()
        found[f"llama-{name}"] = tinygguf.write_llama(
            directory / f"llama-{name}.gguf", pooling=pooling
        )
        found[f"bert-{name}"] = tinygguf.write_encoder(
            directory / f"bert-{name}.gguf", pooling=pooling
        )
    return found


@pytest.fixture
def worker() -> Iterator[Engine]:
    """An engine that has loaded nothing."""
    with Engine() as engine:
        yield engine


def embedder(engine: Engine, path: Path, options: EngineOptions = OPTIONS) -> ModelEmbedder:
    return follow(load_embedder(engine, path, options), lambda event: None)


def rows_of(asked: Embedder, texts: Sequence[str]) -> Rows:
    return follow(asked.embed(texts), lambda event: None)


# -- right values ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [f"{a}-{p}" for a in ("llama", "bert") for p in ("mean", "cls", "last")]
)
def test_the_vectors_are_those_of_the_plain_bindings(
    name: str, pooled: dict[str, Path], worker: Engine
) -> None:
    loaded = embedder(worker, pooled[name])
    assert (loaded.model.info.pooling, loaded.size) == (name.partition("-")[2], N_EMBD)
    rows = rows_of(loaded, TEXTS)
    expected = plain_vectors(pooled[name], TEXTS)
    assert rows.shape == (len(TEXTS), N_EMBD)
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_an_encoder_computes_what_its_formulas_say(
    pooling: str, pooled: dict[str, Path], worker: Engine
) -> None:
    path = pooled[f"bert-{pooling}"]
    ids = [WORD_PIECES.index(piece) for piece in ("[CLS]", "▁help", "ing", "▁world", "[SEP]")]
    vectors = _encoder(path, ids)
    chosen = {"mean": vectors.mean(axis=0), "cls": vectors[0], "last": vectors[-1]}[pooling]
    (row,) = rows_of(embedder(worker, path), ["Helping  world"])
    # The library looks GELU up in a table of half precision.
    np.testing.assert_allclose(row, chosen / np.linalg.norm(chosen), rtol=0, atol=2e-4)


def _encoder(path: Path, ids: list[int]) -> npt.NDArray[np.float64]:
    """BERT in float64: a vector for each token, behind the last norm."""
    tensors = {
        tensor.name: np.asarray(tensor.data, np.float64) for tensor in GGUFReader(path).tensors
    }

    def linear(x: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
        return found

    def norm(x: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
        centred = x - x.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
        found: npt.NDArray[np.float64] = (
            scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
        )
        return found

    x = tensors["token_embd.weight"][ids] + tensors["token_types.weight"][0]
    x = norm(x + tensors["position_embd.weight"][: len(ids)], "token_embd_norm")
    for layer in range(2):
        block = f"blk.{layer}"
        head = N_EMBD // N_HEAD
        q, k, v = (
            linear(x, f"{block}.attn_{part}").reshape(len(ids), N_HEAD, head) for part in "qkv"
        )
        scores = np.einsum("ihd,jhd->hij", q, k) / math.sqrt(head)
        chances = np.exp(scores - scores.max(axis=2, keepdims=True))
        chances /= chances.sum(axis=2, keepdims=True)
        seen = np.einsum("hij,jhd->ihd", chances, v).reshape(len(ids), N_EMBD)
        x = norm(x + linear(seen, f"{block}.attn_output"), f"{block}.attn_output_norm")
        up = linear(x, f"{block}.ffn_up")
        gelu = 0.5 * up * (1 + np.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
        x = norm(x + linear(gelu, f"{block}.ffn_down"), f"{block}.layer_output_norm")
    return x


@pytest.mark.parametrize("name", ["llama-mean", "llama-last", "bert-cls"])
def test_a_text_has_its_vector_whatever_stands_beside_it(
    name: str, pooled: dict[str, Path], worker: Engine
) -> None:
    loaded = embedder(worker, pooled[name])
    together = rows_of(loaded, TEXTS)
    alone = np.concatenate([rows_of(loaded, [text]) for text in TEXTS])
    turned = rows_of(loaded, TEXTS[::-1])[::-1]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(together, turned, rtol=0, atol=1e-5)
    # They are vectors of different texts.
    assert (together @ together.T)[~np.eye(len(TEXTS), dtype=bool)].max() < 0.9999


def test_the_same_request_gets_the_same_bytes(pooled: dict[str, Path], worker: Engine) -> None:
    loaded = embedder(worker, pooled["llama-mean"])
    first = rows_of(loaded, TEXTS)
    rows_of(loaded, ["the " * 900])
    assert rows_of(loaded, TEXTS).tobytes() == first.tobytes()


def test_more_texts_than_a_batch_or_a_request_come_in_their_order(
    bert: Path, worker: Engine
) -> None:
    loaded = embedder(worker, bert)
    texts = [f"{TEXTS[number % 4]} {'help ' * (number % 7)}" for number in range(300)]
    events: list[Event] = []
    rows = follow(loaded.embed(texts), events.append)
    steps = [event for event in events if isinstance(event, EmbedProgress)]
    ends = [event for event in events if isinstance(event, Embedded)]
    assert [step.done for step in steps if step.done == step.total] == [256, 44]
    assert len(steps) >= 300 / EMBEDDED_TEXTS
    assert len(ends) == 2
    for number in (0, 31, 32, 255, 256, 299):
        np.testing.assert_allclose(
            rows[number], rows_of(loaded, [texts[number]])[0], rtol=0, atol=1e-5
        )


def test_no_text_is_no_row(bert: Path, worker: Engine) -> None:
    loaded = embedder(worker, bert)
    assert rows_of(loaded, []).shape == (0, N_EMBD)
    ended = loaded.model.embed([]).result()
    assert (ended.rows, ended.cut, ended.tokens) == (b"", 0, 0)


# -- long texts ------------------------------------------------------------------------


def test_a_text_longer_than_the_context_is_cut_at_its_end_and_counted(
    bert: Path, worker: Engine
) -> None:
    loaded = embedder(worker, bert)
    # 64 positions, of which CLS and SEP take two.
    whole, longer = "help " * 62, "help " * 62 + "world " * 1000
    ended = loaded.model.embed([whole, longer, "code"]).result()
    assert (ended.cut, ended.tokens) == (1, 64 + 64 + 3)
    rows = np.frombuffer(ended.rows, "<f4").reshape(3, N_EMBD)
    np.testing.assert_allclose(rows[0], rows[1], rtol=0, atol=1e-5)
    assert rows[0] @ rows[2] < 0.9999


def test_a_decoder_takes_texts_beyond_a_batch_up_to_its_options(
    pooled: dict[str, Path], worker: Engine
) -> None:
    path = pooled["llama-mean"]
    loaded = embedder(worker, path, EngineOptions(n_ctx=1024, threads=1))
    text = "the answer " * 450  # 901 tokens with BOS and the last space
    ended = loaded.model.embed([text, "code", "the " * 2000]).result()
    assert ended.cut == 1
    (expected,) = plain_vectors(path, [text], n_ctx=1024)
    row = np.frombuffer(ended.rows, "<f4").reshape(3, N_EMBD)[0]
    np.testing.assert_allclose(row, expected, rtol=0, atol=1e-5)


def test_memory_is_planned_for_the_batches_that_are_evaluated(bert: Path) -> None:
    assert text_tokens(0, 512) == 512
    assert text_tokens(300, 512) == 300
    assert text_tokens(0, None) == 8192
    (size,) = contexts_of("embedding", EngineOptions(n_ctx=4096), 64, 128)
    assert (size.n_ctx, size.n_batch, size.n_sequences) == (512, 512, EMBEDDED_TEXTS)
    need = memory_need(
        bert, check_gguf(bert, "embedding"), EngineOptions(gpu_layers=0), "embedding"
    )
    assert need.n_ctx == 512
    assert need.weights == bert.stat().st_size


# -- what it is asked for, and by whom ---------------------------------------------------


def test_an_identity_is_of_the_content_and_of_the_context(
    pooled: dict[str, Path], tmp_path: Path, worker: Engine
) -> None:
    copy = tmp_path / "another-name.gguf"
    copy.write_bytes(pooled["llama-mean"].read_bytes())
    other = tinygguf.write_llama(tmp_path / "other.gguf", seed=1, pooling=PoolingType.MEAN)
    same, named = (embedder(worker, path).identity for path in (pooled["llama-mean"], copy))
    assert same == named
    longer = embedder(worker, copy, EngineOptions(n_ctx=1024, threads=1)).identity
    others = [embedder(worker, path).identity for path in (other, pooled["llama-last"])]
    assert len({same, longer, *others}) == 4


def test_a_model_writes_and_another_handle_of_it_makes_vectors(
    pooled: dict[str, Path], worker: Engine
) -> None:
    loaded = embedder(worker, pooled["llama-last"])
    before = rows_of(loaded, TEXTS)
    # Past the look at the header, the same weights may write as well.
    writes = worker.load(pooled["llama-last"], options=OPTIONS).result()
    writes.generate(preamble=(), turns=[(TextSegment(text="help"),)], max_tokens=8).result()
    assert rows_of(loaded, TEXTS).tobytes() == before.tobytes()
    writes.unload().result()
    assert rows_of(loaded, TEXTS).tobytes() == before.tobytes()


def test_a_model_is_not_asked_for_what_it_was_not_loaded_for(
    bert: Path, llama_gguf: Path, worker: Engine
) -> None:
    loaded = embedder(worker, bert)
    with pytest.raises(EngineError, match="loaded to make vectors of texts, and writes none"):
        loaded.model.prepare(()).result()
    writes = worker.load(llama_gguf, options=OPTIONS).result()
    with pytest.raises(EngineError, match="loaded to write, not to make vectors"):
        writes.embed(["help"]).result()
    loaded.model.unload().result()
    with pytest.raises(EngineError, match="not loaded any more"):
        loaded.model.embed(["help"]).result()


def test_stopping_ends_a_request_within_it(pooled: dict[str, Path], worker: Engine) -> None:
    loaded = embedder(worker, pooled["llama-mean"])
    call = loaded.model.embed(["the answer " * 200] * 2000)
    next(iter(call))
    call.cancel()
    with pytest.raises(EngineError, match="Stopped"):
        call.result()
    # What was in the memory then is not in the next one's way.
    alone = rows_of(loaded, ["code"])
    np.testing.assert_allclose(alone, rows_of(loaded, ["code", "help"])[:1], rtol=0, atol=1e-5)


def test_a_recorded_request_is_played_again(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URIAL_RECORD", str(tmp_path / "recordings"))
    with Engine() as engine:
        rows = rows_of(embedder(engine, bert), TEXTS)
    monkeypatch.delenv("URIAL_RECORD")
    (file,) = (tmp_path / "recordings").iterdir()
    replay = Replay(read_recording(file), pace=0.0)
    with Engine(launch=replay.launch) as engine:
        assert rows_of(embedder(engine, bert), TEXTS).tobytes() == rows.tobytes()


# -- what has no vector ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nan", "zero"])
def test_a_vector_that_is_none_is_one_sentence(kind: str, tmp_path: Path, worker: Engine) -> None:
    path = tinygguf.write_encoder(tmp_path / "bad.gguf", nan=kind == "nan", zero=kind == "zero")
    loaded = embedder(worker, path)
    with pytest.raises(EngineError) as caught:
        rows_of(loaded, ["help\x1b[31m world " + "and more " * 20])
    what = "not a number" if kind == "nan" else "zero"
    assert caught.value.message.startswith("The vector that the model bad.gguf makes of the text ")
    assert caught.value.message.endswith(f"is {what}.")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in caught.value.message


def test_an_empty_text_of_a_vocabulary_that_adds_nothing_is_told(
    tmp_path: Path, worker: Engine
) -> None:
    path = tinygguf.write_llama(
        tmp_path / "bpe.gguf", vocabulary=tinygguf.bpe_vocabulary(), pooling=PoolingType.LAST
    )
    loaded = embedder(worker, path)
    with pytest.raises(EngineError, match=r"A text is empty, and the model bpe\.gguf has no"):
        rows_of(loaded, ["help", ""])
    assert rows_of(loaded, ["help"]).shape == (1, N_EMBD)


@pytest.mark.parametrize(
    "text",
    ["\0", "\x1b]0;x\x07", "[CLS] [SEP] [MASK]", "中🙂", "\u202e" * 500, " " * 10_000],
    ids=["nul", "escape", "control tokens", "unknown", "directions", "spaces"],
)
def test_texts_of_strangers_get_a_vector(text: str, bert: Path, worker: Engine) -> None:
    loaded = embedder(worker, bert)
    row, typed = rows_of(loaded, [text, "mask"])
    assert np.isfinite(row).all()
    assert np.isfinite(typed).all()


def test_a_text_that_is_no_unicode_is_one_sentence(bert: Path, worker: Engine) -> None:
    loaded = embedder(worker, bert)
    with pytest.raises(EngineError, match="not valid Unicode"):
        rows_of(loaded, ["\ud800"])
    assert rows_of(loaded, ["help"]).shape == (1, N_EMBD)


def test_control_tokens_typed_in_a_text_are_text(pooled: dict[str, Path], worker: Engine) -> None:
    loaded = embedder(worker, pooled["llama-mean"])
    ended = loaded.model.embed(["</s>"]).result()
    # BOS, a space, and four characters.
    assert ended.tokens > 3


# -- told from the header ----------------------------------------------------------------


def refused(do: Callable[[], object]) -> str:
    with pytest.raises(ModelError) as caught:
        do()
    assert caught.value.hint
    return caught.value.message


def test_a_language_model_is_refused_for_vectors_before_it_is_loaded(
    llama_gguf: Path, worker: Engine
) -> None:
    said = refused(lambda: embedder(worker, llama_gguf))
    assert "a language model, not an embedding model: its header names no pooling" in said
    assert worker.pid is None


def test_an_encoder_without_pooling_and_a_reranker_are_refused_for_vectors(
    tmp_path: Path, worker: Engine
) -> None:
    for pooling, words in (
        (None, "an encoder without pooling"),
        (PoolingType.NONE, "an encoder without pooling"),
        (PoolingType.RANK, "a reranker, which scores texts and makes no vectors"),
    ):
        path = tinygguf.write_encoder(tmp_path / f"{pooling}.gguf", pooling=pooling)
        assert words in refused(partial(embedder, worker, path))
    assert worker.pid is None


def test_an_embedding_model_is_refused_for_writing_before_it_is_loaded(
    bert: Path, pooled: dict[str, Path], worker: Engine
) -> None:
    for path in (bert, pooled["llama-mean"]):
        steps = load(worker, path, options=OPTIONS)
        said = refused(partial(follow, steps, lambda event: None))
        assert "an embedding model, which makes vectors of texts and writes none" in said
        refused(partial(resolve, str(path)))
        assert resolve(str(path), kind="embedding").path == path
    assert worker.pid is None


def test_an_adapter_and_a_cut_off_file_are_refused_for_vectors(
    bert: Path, adapter_gguf: Path, tmp_path: Path, worker: Engine
) -> None:
    assert "a LoRA adapter" in refused(lambda: embedder(worker, adapter_gguf))
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(bert.read_bytes()[:-100])
    assert "cut off" in refused(lambda: embedder(worker, cut))
    assert worker.pid is None


def test_a_worker_that_is_asked_past_the_header_says_why(llama_gguf: Path, worker: Engine) -> None:
    with pytest.raises(EngineError, match="its pooling is 'none'"):
        worker.load(llama_gguf, options=OPTIONS, purpose="embedding").result()
