"""Tiny GGUF models with random weights: real enough for llama.cpp, small enough for every test.

The same arguments always give the same bytes. The weights are scaled so that greedy
decoding wanders through the vocabulary and depends on the whole context, not on the last
token alone, while rounding hardly ever changes the choice: flash attention sums in half
precision, so decoding one by one moves a logit by about 0.01 against one batch, where the
logits' standard deviation is 8 and the median lead of the first over the second 1.8.

What such a model says makes no sense and is often no valid UTF-8: its vocabulary holds
every byte, pieces that end inside a character, and control tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from gguf import GGUFWriter, PoolingType, TokenType

from tools.vocabularies import Vocabulary, add_vocabulary, byte_letters

VocabularyKind = Literal["spm", "bpe"]

N_EMBD = 64
N_HEAD = 4
N_HEAD_KV = 2
HEAD = 32
"""Elements of a head: quantised KV caches need a multiple of 32."""
N_FF = 96
D_STATE = 16
D_CONV = 4
DT_RANK = 4
SHARPNESS = 2.5
"""Scale of queries and keys: attention picks a few tokens, near and far, not their mean."""
ATTENTION = 0.15
"""Share of attention in the residual stream: more makes the context and rounding count more."""
WINDOW = 32
"""Tokens that a sliding-window layer of `write_sliding_window` looks back on."""

END_GAIN = 1.1
"""Scale of the logits that end an answer: some end by themselves, most not within a hundred
tokens. A logit that is always 0 is an average one, far from the likeliest."""

START_OF_TURN = "<start_of_turn>"
END_OF_TURN = "<end_of_turn>"
"""Ends generation, besides the end-of-text token."""

# fmt: off
_WORDS = (
    "the", "and", "is", "of", "to", "in", "that", "you", "for", "it", "on", "with", "this",
    "are", "be", "as", "at", "or", "can", "not", "here", "answer", "query", "please", "first",
    "second", "help", "hope", "Hello", "world", "because", "number", "list", "code", "Query",
    "Answer",
)
# fmt: on
_RUNS = ("```", "##", "# ", "\n\n", ". ", ", ", "    ", "**")
_CHARACTERS = ("é", "ü", "ß", "—", "中", "🙂")
_HALF_CHARACTERS = (
    *(b"\xf0\x9f", b"\xf0\x9f\x98", b" \xf0\x9f"),
    *(b"\xe4\xb8", b"\x98\x80", b"\xa4\xe4"),
)
"""Pieces that begin or end inside a character; byte-level vocabularies hold such."""


def spm_vocabulary(*, add_space_prefix: bool = True) -> Vocabulary:
    """A SentencePiece vocabulary as Llama 2 has it: byte tokens, and "▁" for a space.

    A piece is found by merging two neighbours whose concatenation is a token, best score
    first; so each word comes with all of its beginnings.
    """
    tokens: dict[str, int] = {"<unk>": TokenType.UNKNOWN}
    tokens |= {"<s>": TokenType.CONTROL, "</s>": TokenType.CONTROL}
    tokens |= {f"<0x{byte:02X}>": TokenType.BYTE for byte in range(256)}
    tokens |= {START_OF_TURN: TokenType.CONTROL, END_OF_TURN: TokenType.CONTROL}
    special = len(tokens)
    pieces: dict[str, None] = {"▁": None}
    pieces |= {chr(code): None for code in range(0x21, 0x7F)}
    pieces |= dict.fromkeys(_CHARACTERS[:-1])
    for word in (*(f"▁{word}" for word in _WORDS), *(run.replace(" ", "▁") for run in _RUNS)):
        if "\n" not in word:
            pieces |= {word[:end]: None for end in range(1, len(word) + 1)}
    tokens |= dict.fromkeys(pieces, TokenType.NORMAL)
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=tuple(token.encode() for token in tokens),
        types=tuple(int(kind) for kind in tokens.values()),
        scores=tuple(
            0.0 if id_ < special else float(len(token)) for id_, token in enumerate(tokens)
        ),
        bos=1,
        eos=2,
        eot=list(tokens).index(END_OF_TURN),
        add_bos=True,
        add_space_prefix=add_space_prefix,
    )


def bpe_vocabulary(*, add_bos: bool = False) -> Vocabulary:
    """A byte-level BPE vocabulary as GPT-2 has it: a printable letter stands for each byte."""
    letters = byte_letters()
    tokens: dict[str, int] = {"<|endoftext|>": TokenType.CONTROL}
    tokens |= {START_OF_TURN: TokenType.CONTROL, END_OF_TURN: TokenType.CONTROL}
    tokens |= dict.fromkeys(letters, TokenType.NORMAL)
    merges: dict[str, None] = {}
    texts = (*(f" {word}" for word in _WORDS), *_RUNS, *_CHARACTERS)
    for piece in (*(text.encode() for text in texts), *_HALF_CHARACTERS):
        spelled = "".join(letters[byte] for byte in piece)
        for end in range(2, len(spelled) + 1):
            merges[f"{spelled[: end - 1]} {spelled[end - 1]}"] = None
            tokens[spelled[:end]] = TokenType.NORMAL
    return Vocabulary(
        model="gpt2",
        pre="gpt-2",
        tokens=tuple(token.encode() for token in tokens),
        types=tuple(int(kind) for kind in tokens.values()),
        merges=tuple(merges),
        bos=0,
        eos=0,
        eot=list(tokens).index(END_OF_TURN),
        add_bos=add_bos,
        add_space_prefix=False,
    )


def write_llama(
    path: Path,
    *,
    seed: int = 0,
    vocabulary: Vocabulary | None = None,
    n_layer: int = 2,
    n_ctx_train: int = 4096,
    name: str = "tiny-llama",
    chat_template: str | None = None,
    metadata: Mapping[str, str] | None = None,
    nan: bool = False,
    endless: bool = False,
    pooling: PoolingType | None = None,
) -> Path:
    """Write a llama-type model (full attention); the vocabulary is SentencePiece by default.

    Args:
        seed: Another seed gives other weights with the same shapes.
        n_layer: Depth; some 170 kB each.
        n_ctx_train: The context length that the metadata claim, in tokens.
        name: `general.name`, which may hold anything.
        chat_template: `tokenizer.chat_template`; None leaves it out.
        metadata: More string keys, e.g. `general.description`.
        nan: A weight of the last layer is not a number, and with it every logit.
        endless: What ends an answer is never among the forty likeliest tokens.
        pooling: Makes it an embedding model.

    Returns:
        `path`, for convenience.
    """
    vocabulary = vocabulary or spm_vocabulary()
    writer = GGUFWriter(path, "llama")
    _add_header(writer, name, n_layer, n_ctx_train, metadata)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    _add_attention(writer, theta=10_000.0)
    add_vocabulary(writer, vocabulary, chat_template)
    weights = _Weights(writer, seed)
    weights.add_embeddings(vocabulary, end_gain=0.0 if endless else END_GAIN)
    for layer in range(n_layer):
        weights.add_attention(layer)
        weights.add_feed_forward(layer, poisoned=nan and layer == n_layer - 1)
    return _finish(writer, path)


def write_sliding_window(
    path: Path,
    *,
    seed: int = 0,
    vocabulary: Vocabulary | None = None,
    n_layer: int = 3,
    n_ctx_train: int = 4096,
    window: int = WINDOW,
    name: str = "tiny-gemma3",
    chat_template: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a gemma3-type model: every second layer sees all tokens, the others only `window`.

    The vocabulary is SentencePiece without a space in front, as Gemma's is. The other
    arguments are those of `write_llama`.
    """
    vocabulary = vocabulary or spm_vocabulary(add_space_prefix=False)
    writer = GGUFWriter(path, "gemma3")
    _add_header(writer, name, n_layer, n_ctx_train, metadata)
    _add_attention(writer, theta=1_000_000.0)
    writer.add_sliding_window(window)
    writer.add_sliding_window_pattern(2)
    add_vocabulary(writer, vocabulary, chat_template)
    weights = _Weights(writer, seed)
    # The graph multiplies the embeddings by sqrt(n_embd).
    weights.add_embeddings(vocabulary, scale=N_EMBD**-0.5)
    for layer in range(n_layer):
        weights.add_attention(layer)
        weights.add_feed_forward(layer)
        weights.add_norm(f"blk.{layer}.post_attention_norm", gain=ATTENTION)
        weights.add_norm(f"blk.{layer}.post_ffw_norm")
        for norm in ("attn_q_norm", "attn_k_norm"):
            weights.add_norm(f"blk.{layer}.{norm}", HEAD, gain=SHARPNESS)
    return _finish(writer, path)


def write_recurrent(
    path: Path,
    *,
    seed: int = 0,
    vocabulary: Vocabulary | None = None,
    n_layer: int = 2,
    n_ctx_train: int = 4096,
    name: str = "tiny-mamba",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a mamba-type model: a state instead of a KV cache, and no BOS token.

    The vocabulary is byte-level BPE by default. The arguments are those of `write_llama`.
    """
    vocabulary = vocabulary or bpe_vocabulary()
    writer = GGUFWriter(path, "mamba")
    _add_header(writer, name, n_layer, n_ctx_train, metadata)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(D_CONV)
    writer.add_ssm_inner_size(2 * N_EMBD)
    writer.add_ssm_state_size(D_STATE)
    writer.add_ssm_time_step_rank(DT_RANK)
    add_vocabulary(writer, vocabulary, None)
    weights = _Weights(writer, seed)
    weights.add_embeddings(vocabulary)
    for layer in range(n_layer):
        weights.add_state_space(layer)
    return _finish(writer, path)


def write_hybrid(
    path: Path,
    *,
    seed: int = 0,
    vocabulary: Vocabulary | None = None,
    n_layer: int = 2,
    n_ctx_train: int = 4096,
    name: str = "tiny-jamba",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a jamba-type model: every second layer has attention, the others a state.

    The arguments are those of `write_llama`.
    """
    vocabulary = vocabulary or spm_vocabulary()
    writer = GGUFWriter(path, "jamba")
    _add_header(writer, name, n_layer, n_ctx_train, metadata)
    writer.add_feed_forward_length(N_FF)
    heads = N_EMBD // HEAD
    writer.add_head_count(heads)
    writer.add_head_count_kv([0 if layer % 2 == 0 else heads for layer in range(n_layer)])
    _add_state_space(writer)
    add_vocabulary(writer, vocabulary, None)
    weights = _Weights(writer, seed)
    weights.add_embeddings(vocabulary)
    for layer in range(n_layer):
        if layer % 2 == 0:
            weights.add_state_space(layer, normed=True)
        else:
            weights.add_attention(layer, heads, heads)
        weights.add_feed_forward(layer)
    return _finish(writer, path)


WORD_PIECES = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *(f"▁{word.lower()}" for word in _WORDS if word not in ("Query", "Answer")),
    *("▁.", "▁,", "▁q", "s", "ing", "u", "e", "r", "y"),
)
"""A WordPiece vocabulary as BERT has it: "▁" before what starts a word, nothing before the rest."""
N_FF_ENCODER = 32


def write_encoder(
    path: Path,
    *,
    seed: int = 0,
    n_layer: int = 2,
    n_ctx_train: int = 64,
    name: str = "tiny-bert",
    pooling: PoolingType | None = PoolingType.CLS,
    nan: bool = False,
    zero: bool = False,
) -> Path:
    """Write a BERT-type encoder with learned positions, which sees a text from both sides.

    Args:
        nan: A weight of the last norm is not a number, and with it every vector.
        zero: The last norm makes every vector zero.
    """
    writer = GGUFWriter(path, "bert")
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(0)
    writer.add_context_length(n_ctx_train)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(n_layer)
    writer.add_feed_forward_length(N_FF_ENCODER)
    writer.add_head_count(N_HEAD)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    writer.add_token_type_count(2)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(WORD_PIECES))
    control = {"[PAD]", "[CLS]", "[SEP]", "[MASK]"}
    writer.add_token_types(
        [
            TokenType.CONTROL
            if piece in control
            else TokenType.UNKNOWN
            if piece == "[UNK]"
            else TokenType.NORMAL
            for piece in WORD_PIECES
        ]
    )
    for number, add in enumerate(
        (
            writer.add_pad_token_id,
            writer.add_unk_token_id,
            writer.add_bos_token_id,
            writer.add_sep_token_id,
            writer.add_mask_token_id,
        )
    ):
        add(number)
    weights = _Weights(writer, seed)
    weights.add("token_embd.weight", weights.normal("token_embd.weight", len(WORD_PIECES), N_EMBD))
    weights.add("position_embd.weight", weights.normal("position_embd", n_ctx_train, N_EMBD))
    weights.add("token_types.weight", weights.normal("token_types.weight", 2, N_EMBD))
    weights.add_layer_norm("token_embd_norm")
    for layer in range(n_layer):
        block = f"blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights.add_matrix(f"{block}.{part}.weight", N_EMBD, N_EMBD)
            weights.add(f"{block}.{part}.bias", weights.normal(f"{block}.{part}.bias", N_EMBD))
        weights.add_layer_norm(f"{block}.attn_output_norm")
        weights.add_matrix(f"{block}.ffn_up.weight", N_EMBD, N_FF_ENCODER)
        weights.add(f"{block}.ffn_up.bias", weights.normal(f"{block}.up", N_FF_ENCODER))
        weights.add_matrix(f"{block}.ffn_down.weight", N_FF_ENCODER, N_EMBD)
        weights.add(f"{block}.ffn_down.bias", weights.normal(f"{block}.down", N_EMBD))
        last = layer == n_layer - 1
        weights.add_layer_norm(
            f"{block}.layer_output_norm",
            gain=0.0 if last and zero else 1.0,
            poisoned=last and nan,
        )
    return _finish(writer, path)


def write_adapter(path: Path, *, seed: int = 0, n_layer: int = 2, rank: int = 4) -> Path:
    """Write a LoRA adapter for `write_llama` with as many layers; it changes every answer."""
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(rank))
    weights = _Weights(writer, seed)
    for layer in range(n_layer):
        target = f"blk.{layer}.ffn_down.weight"
        weights.add_matrix(f"{target}.lora_a", N_FF, rank)
        weights.add_matrix(f"{target}.lora_b", rank, N_EMBD)
    return _finish(writer, path)


class _Weights:
    """Draws tensors, each from a generator of its own, and adds them to the file.

    A tensor depends on the seed and on its name alone, so that adding one moves no other.
    Shapes are given as (inputs, outputs); the file stores one row an output.
    """

    def __init__(self, writer: GGUFWriter, seed: int) -> None:
        self._writer = writer
        self._seed = seed

    def normal(self, name: str, *shape: int) -> npt.NDArray[np.float32]:
        generator = np.random.Generator(np.random.PCG64([self._seed, *name.encode()]))
        return generator.standard_normal(shape, dtype=np.float32)

    def add(self, name: str, values: npt.NDArray[np.float32]) -> None:
        self._writer.add_tensor(name, np.ascontiguousarray(values, dtype=np.float32))

    def add_matrix(self, name: str, inputs: int, outputs: int, gain: float = 1.0) -> None:
        """A matrix that scales the root mean square of its input by about `gain`."""
        self.add(name, self.normal(name, outputs, inputs) * np.float32(gain * inputs**-0.5))

    def add_norm(self, name: str, size: int = N_EMBD, gain: float = 1.0) -> None:
        name = f"{name}.weight"
        self.add(name, np.float32(gain) * (1.0 + 0.1 * self.normal(name, size)))

    def add_layer_norm(self, name: str, gain: float = 1.0, *, poisoned: bool = False) -> None:
        """A norm with a bias; `gain` scales both."""
        scale = np.float32(gain) * (1.0 + 0.1 * self.normal(f"{name}.weight", N_EMBD))
        if poisoned:
            scale[0] = np.nan
        self.add(f"{name}.weight", scale)
        self.add(f"{name}.bias", np.float32(0.1 * gain) * self.normal(f"{name}.bias", N_EMBD))

    def add_embeddings(
        self, vocabulary: Vocabulary, scale: float = 1.0, end_gain: float = END_GAIN
    ) -> None:
        n_vocab = len(vocabulary.tokens)
        embeddings = self.normal("token_embd.weight", n_vocab, N_EMBD)
        self.add("token_embd.weight", embeddings * np.float32(0.5 * scale))
        self.add_norm("output_norm")
        output = self.normal("output.weight", n_vocab, N_EMBD)
        output[[vocabulary.eos, vocabulary.eot]] *= np.float32(end_gain)
        self.add("output.weight", output)

    def add_attention(self, layer: int, n_head: int = N_HEAD, n_head_kv: int = N_HEAD_KV) -> None:
        block = f"blk.{layer}"
        self.add_norm(f"{block}.attn_norm")
        self.add_matrix(f"{block}.attn_q.weight", N_EMBD, n_head * HEAD, gain=SHARPNESS)
        self.add_matrix(f"{block}.attn_k.weight", N_EMBD, n_head_kv * HEAD, gain=SHARPNESS)
        self.add_matrix(f"{block}.attn_v.weight", N_EMBD, n_head_kv * HEAD)
        self.add_matrix(f"{block}.attn_output.weight", n_head * HEAD, N_EMBD, gain=ATTENTION)

    def add_feed_forward(self, layer: int, *, poisoned: bool = False) -> None:
        block = f"blk.{layer}"
        self.add_norm(f"{block}.ffn_norm")
        self.add_matrix(f"{block}.ffn_gate.weight", N_EMBD, N_FF, gain=2.0)
        self.add_matrix(f"{block}.ffn_up.weight", N_EMBD, N_FF)
        name = f"{block}.ffn_down.weight"
        down = self.normal(name, N_EMBD, N_FF) * np.float32(N_FF**-0.5)
        if poisoned:
            down[:, 0] = np.nan
        self.add(name, down)

    def add_state_space(self, layer: int, *, normed: bool = False) -> None:
        block, inner = f"blk.{layer}", 2 * N_EMBD
        if normed:
            for part, size in (("dt", DT_RANK), ("b", D_STATE), ("c", D_STATE)):
                self.add_norm(f"{block}.ssm_{part}_norm", size)
        self.add_norm(f"{block}.attn_norm")
        self.add_matrix(f"{block}.ssm_in.weight", N_EMBD, 2 * inner, gain=2.0)
        self.add_matrix(f"{block}.ssm_conv1d.weight", D_CONV, inner)
        self.add(f"{block}.ssm_conv1d.bias", np.zeros(inner, np.float32))
        self.add_matrix(f"{block}.ssm_x.weight", inner, DT_RANK + 2 * D_STATE, gain=2.0)
        self.add_matrix(f"{block}.ssm_dt.weight", DT_RANK, inner)
        # softplus(-3) = 0.05: a step forgets a twentieth to a half, so that hundreds of
        # tokens still leave a trace.
        self.add(f"{block}.ssm_dt.bias", np.full(inner, -3.0, np.float32))
        decay = -np.linspace(0.1, 8.0, D_STATE, dtype=np.float32)
        self.add(f"{block}.ssm_a", np.tile(decay, (inner, 1)))
        self.add(f"{block}.ssm_d", np.ones(inner, np.float32))
        self.add_matrix(f"{block}.ssm_out.weight", inner, N_EMBD, gain=2.0)


def _add_header(
    writer: GGUFWriter, name: str, n_layer: int, n_ctx: int, metadata: Mapping[str, str] | None
) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(0)
    writer.add_context_length(n_ctx)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(n_layer)
    writer.add_layer_norm_rms_eps(1e-5)
    for key, value in (metadata or {}).items():
        writer.add_string(key, value)


def _add_attention(writer: GGUFWriter, *, theta: float) -> None:
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEAD)
    writer.add_head_count_kv(N_HEAD_KV)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_freq_base(theta)


def _add_state_space(writer: GGUFWriter) -> None:
    writer.add_ssm_conv_kernel(D_CONV)
    writer.add_ssm_inner_size(2 * N_EMBD)
    writer.add_ssm_state_size(D_STATE)
    writer.add_ssm_time_step_rank(DT_RANK)


def _finish(writer: GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
