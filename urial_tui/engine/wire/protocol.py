"""The words that the client and the worker exchange.

`Command`s go from the client to the worker, `Event`s back (`frames` says how). Every command
but `Cancel` and `Shutdown` is answered by any number of progress events and exactly one
final event (`DevicesFound`, `Loaded`, `Unloaded`, `PreambleReady`, `Tokenized`, `VocabularyRead`,
`Scored`, `Traced`, `Embedded`, `Finished` or `Failed`) that carries its `id`. The worker carries
them out in their order, but for answers that are written together; `Cancel` is seen at once.

A model is known by a number, its handle, that the client chooses when it loads it and never uses
again. Commands name the `model` that they are for.

Token ids are the history: text is tokenised once, by the worker, and the ids come back
to be stored. What commands are made of is in `values`, and is named from here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.engine.wire.limits import Purpose as Purpose
from urial_tui.engine.wire.shift_class import ShiftClass as ShiftClass
from urial_tui.engine.wire.shift_class import shift_class as shift_class
from urial_tui.engine.wire.values import MOST_SEEDS as MOST_SEEDS
from urial_tui.engine.wire.values import NUMERICS as NUMERICS
from urial_tui.engine.wire.values import Alternative as Alternative
from urial_tui.engine.wire.values import Device as Device
from urial_tui.engine.wire.values import DeviceLayers as DeviceLayers
from urial_tui.engine.wire.values import EngineOptions as EngineOptions
from urial_tui.engine.wire.values import Grammar as Grammar
from urial_tui.engine.wire.values import KVType as KVType
from urial_tui.engine.wire.values import MemoryKind as MemoryKind
from urial_tui.engine.wire.values import ModelInfo as ModelInfo
from urial_tui.engine.wire.values import Piece as Piece
from urial_tui.engine.wire.values import Pooling as Pooling
from urial_tui.engine.wire.values import Rules as Rules
from urial_tui.engine.wire.values import SamplerStage as SamplerStage
from urial_tui.engine.wire.values import Sampling as Sampling
from urial_tui.engine.wire.values import Segment as Segment
from urial_tui.engine.wire.values import StageEffect as StageEffect
from urial_tui.engine.wire.values import StopRules as StopRules
from urial_tui.engine.wire.values import TextSegment as TextSegment
from urial_tui.engine.wire.values import TokenSegment as TokenSegment
from urial_tui.engine.wire.values import TokenShift as TokenShift
from urial_tui.engine.wire.values import TracedToken as TracedToken
from urial_tui.engine.wire.values import Turn as Turn
from urial_tui.engine.wire.values import Watch as Watch

VERSION = 7
"""Raised with every change that an older peer would misread."""

StopReason = Literal["eos", "stop", "length", "cancelled"]
PreambleSource = Literal["memory", "disk", "computed"]


# -- commands -----------------------------------------------------------------------


class _Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="cmd"):
    """A message from the client to the worker."""


class FindDevices(_Command, frozen=True, kw_only=True, tag="devices"):
    """Ask RPC servers what they have → DevicesFound. Those that hold a model are not asked anew."""

    id: int
    servers: tuple[str, ...]


class LoadModel(_Command, frozen=True, kw_only=True, tag="load"):
    """Load a GGUF file under a new handle → LoadProgress*, Loaded.

    `purpose`: what for; its contexts are made by that. Two models of the same file share its
    weights.
    """

    id: int
    model: int
    path: str
    purpose: Purpose = "chat"
    adapter: str | None = None
    adapter_scale: float = 1.0
    options: EngineOptions = EngineOptions()


class Unload(_Command, frozen=True, kw_only=True, tag="unload"):
    """Free a model → Unloaded, also where it is not loaded any more."""

    id: int
    model: int


class PreparePreamble(_Command, frozen=True, kw_only=True, tag="prepare"):
    """Pin a preamble → PrefillProgress*, PreambleReady. `()` pins just the BOS token, if any.

    `turns`: finished turns that the next question will follow. They are read ahead if they fit,
    so that only the question is left to read then.
    """

    id: int
    model: int
    preamble: Turn
    turns: tuple[Turn, ...] = ()


class Tokenize(_Command, frozen=True, kw_only=True, tag="tokenize"):
    """Turn segments into ids → Tokenized. Nothing is evaluated.

    `start`: each turn stands at the start of a context, BOS is its first segment.
    """

    id: int
    model: int
    turns: tuple[Turn, ...]
    start: bool = False


class Generate(_Command, frozen=True, kw_only=True, tag="generate"):
    """Answer the last turn → PrefillProgress*, PromptReady, (TextDelta | Shifts)*, Finished.

    `turns`: the conversation behind the preamble, oldest first; the last one is open: its
    segments end where the answer starts. `lead`: stands between the preamble and the turns, is
    read anew where it changes, and does not leave the context when turns do. `prefix`: what the
    answer starts with, to be gone on from; it is handed out as text of the answer, but does not
    count as generated.
    `close`: the text that the format puts after an answer, before the next turn. `watch`:
    another model reads the answer along, and tells what it would have written (`Shifts`).
    `grammar`: what the answer may consist of, its `prefix` included; where it is complete and the
    grammar allows nothing more, it ends with the reason "eos" and no `end_token`. `logprobs`: for
    each written token its probability, and as many of the likeliest others (`Probabilities`);
    None: nothing of that.

    `samples`: how many answers to write; the events of each carry its number, and the last
    `Finished` is the final event. Each is drawn with a seed one higher than the one before. More
    than one are written together.

    `together`: the answer may be written in one batch with others, which is faster than one after
    the other. Its numbers then depend on what the others are, within the kernels' noise, and it
    can't be watched. Other answers are written one at a time, in their order, and always get the
    same numbers. `more`: another one that this model writes together comes right behind, and none
    of them begins before the last; so what stands in a batch does not depend on how fast they come.
    """

    id: int
    model: int
    preamble: Turn
    turns: tuple[Turn, ...]
    lead: Turn = ()
    sampling: Sampling = Sampling()
    stops: StopRules = StopRules()
    close: str = ""
    max_tokens: int = 512
    prefix: Turn = ()
    watch: Watch | None = None
    grammar: Grammar | None = None
    logprobs: int | None = None
    samples: int = 1
    together: bool = False
    more: bool = False

    @property
    def pooled(self) -> bool:
        """Whether it is written together with others."""
        return self.together or self.samples != 1


class ReadVocabulary(_Command, frozen=True, kw_only=True, tag="vocabulary"):
    """Read a model's vocabulary → VocabularyRead."""

    id: int
    model: int


class ScoreBoth(_Command, frozen=True, kw_only=True, tag="score-both"):
    """Force an answer on two models, which are read batch by batch → PrefillProgress*, Scored.

    `context` and `base_context` stand in front of the answer on the `aligned` and the `base` side
    (BOS is added where the vocabulary wants one); with `same_ids` the base side gets the aligned
    one's ids. `answer`: ids, or text to tokenise. `top_k`: length of the top lists. `greedy`: the
    answer was decoded greedily by the aligned side, one token at a time; where rounding makes
    another token the most probable one in this evaluation, that one takes its place and the answer
    ends there, to be decoded on. The scores are `PositionScores`.
    """

    id: int
    aligned: int
    base: int
    context: Turn
    answer: Segment
    base_context: Turn = ()
    same_ids: bool = False
    greedy: bool = False
    top_k: int = 10


class ScoreSide(_Command, frozen=True, kw_only=True, tag="score-side"):
    """Force an answer on one model → PrefillProgress*, Scored.

    The scores are `SideScores`; with `rows` there are none: the distributions go into that new
    file, to be scored with another model's by `ScoreStored`. For that, both models need equal
    contexts: `n_ctx` is how many tokens the other one needs room for, `other_vocab` how many tokens
    it knows, and `bare` says that nothing stands in front of its answer, whose first token is then
    not scored. The rest is as in `ScoreBoth`.
    """

    id: int
    model: int
    context: Turn
    answer: Segment
    rows: str = ""
    greedy: bool = False
    bare: bool = False
    other_vocab: int = 0
    n_ctx: int = 0
    top_k: int = 10


class ScoreStored(_Command, frozen=True, kw_only=True, tag="score-stored"):
    """Force an answer on one model, beside another one's `rows` → PrefillProgress*, Scored.

    `scored`: the tokens that the file is of, if not all of the answer, which is evaluated whole all
    the same, so that both sides are read in batches of one shape. `model_is_base`: the file holds
    the aligned side's. `bare`, `n_ctx`: as in `ScoreSide`. `batch`: positions of a batch, 0 for as
    many as are fast. The scores are `PositionScores`.
    """

    id: int
    model: int
    context: Turn
    answer: Segment
    rows: str
    scored: tuple[int, ...] = ()
    model_is_base: bool = False
    bare: bool = False
    n_ctx: int = 0
    batch: int = 0
    top_k: int = 10


ScoreRequest = ScoreBoth | ScoreSide | ScoreStored


class Trace(_Command, frozen=True, kw_only=True, tag="trace"):
    """Read an answer again, and tell at each token what else there was
    → PrefillProgress*, TracedTokens*, Traced.

    `preamble`, `lead`, `turns`: what stands in front of it, as in `Generate`; the oldest turns are
    left out where all have no room. `answer`: its tokens, or text to tokenise. `sampling`: the
    chain whose work is told, over this answer's tokens. `top_k`: length of the lists, at least 1.
    """

    id: int
    model: int
    preamble: Turn
    turns: tuple[Turn, ...]
    answer: Turn
    sampling: Sampling = Sampling()
    top_k: int = 10
    lead: Turn = ()


class Embed(_Command, frozen=True, kw_only=True, tag="embed"):
    """Make a vector of each text → EmbedProgress*, Embedded. The model was loaded for it.

    A text stands between what the vocabulary puts around one (CLS and SEP, BOS and EOS). One that
    is longer than the model's context is cut at its end.
    """

    id: int
    model: int
    texts: tuple[str, ...]


class Cancel(_Command, frozen=True, kw_only=True, tag="cancel"):
    """Stop the request `id`; it still ends with its own final event."""

    id: int


class Shutdown(_Command, frozen=True, kw_only=True, tag="shutdown"):
    """Free everything and exit."""


Request = (
    FindDevices
    | LoadModel
    | Unload
    | PreparePreamble
    | Tokenize
    | Generate
    | ReadVocabulary
    | ScoreBoth
    | ScoreSide
    | ScoreStored
    | Trace
    | Embed
)
"""A command that is answered."""

Command = Request | Cancel | Shutdown


# -- events -------------------------------------------------------------------------


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="ev"):
    """A message from the worker to the client."""


class Ready(_Event, frozen=True, kw_only=True, tag="ready"):
    """The worker is up and has loaded the native library.

    `backends`: names of what it was built for ("CPU", "CUDA", "RPC" …).
    """

    version: int
    library: str
    devices: tuple[Device, ...] = ()
    backends: tuple[str, ...] = ()


class DevicesFound(_Event, frozen=True, kw_only=True, tag="devices-found"):
    """Final event of FindDevices: those of the servers, then those of this machine."""

    id: int
    devices: tuple[Device, ...]


class Notice(_Event, frozen=True, kw_only=True, tag="notice"):
    """Something the user should know that stops nothing: one or two sentences."""

    id: int
    message: str


class LoadProgress(_Event, frozen=True, kw_only=True, tag="load-progress"):
    """`fraction`: 0 to 1."""

    id: int
    fraction: float


class Loaded(_Event, frozen=True, kw_only=True, tag="loaded"):
    """Final event of LoadModel."""

    id: int
    info: ModelInfo
    load_s: float


class PrefillProgress(_Event, frozen=True, kw_only=True, tag="prefill"):
    """Tokens of this evaluation: `done` of `total`, of which `reused` were not evaluated again."""

    id: int
    stage: Literal["preamble", "prompt", "score"]
    done: int
    reused: int
    total: int


class PreambleReady(_Event, frozen=True, kw_only=True, tag="preamble-ready"):
    """Final event of PreparePreamble; also sent once by Generate, before PromptReady."""

    id: int
    tokens: int
    source: PreambleSource
    seconds: float


class Tokenized(_Event, frozen=True, kw_only=True, tag="tokenized"):
    """Final event of Tokenize: the ids of each turn's segments, in the same nesting."""

    id: int
    turns: tuple[tuple[tuple[int, ...], ...], ...]


class TurnsDropped(_Event, frozen=True, kw_only=True, tag="dropped"):
    """The context is full: the `turns` oldest turns (`tokens` tokens) left it, for good."""

    id: int
    turns: int
    tokens: int


class PromptReady(_Event, frozen=True, kw_only=True, tag="prompt-ready"):
    """The prompt is evaluated. `turns`: ids of the segments, nested as in Generate.turns.

    `reused` tokens (preamble included) were taken from the cache, `prefilled` evaluated. `lead`:
    tokens of what stands in front of the turns.
    """

    id: int
    turns: tuple[tuple[tuple[int, ...], ...], ...]
    reused: int
    prefilled: int
    used: int
    lead: int = 0


class TextDelta(_Event, frozen=True, kw_only=True, tag="text"):
    """More of the answer.

    `ids`: the tokens that the text so far completes. Where a token's bytes are shown only
    in part, `pending` is the text shown beyond the last id. So at any moment the ids of all
    deltas, followed by the last `pending`, spell exactly the text of all deltas.
    """

    id: int
    text: str
    ids: tuple[int, ...] = ()
    pending: str = ""
    generated: int = 0
    sample: int = 0


class Probabilities(_Event, frozen=True, kw_only=True, tag="probabilities"):
    """The next written tokens, the answer's `prefix` left out, the one that ended it included.

    Natural logarithms over the full vocabulary, from the model's row of logits as it was. `tops`:
    for each token the likeliest ones with theirs, the best first.
    """

    id: int
    ids: tuple[int, ...]
    logps: tuple[float, ...]
    tops: tuple[tuple[tuple[int, float], ...], ...]
    sample: int = 0


class Shifts(_Event, frozen=True, kw_only=True, tag="shifts"):
    """What who reads along says of the next written tokens, the answer's `prefix` left out.

    `ranks`: 1 + number of tokens that it finds more probable; 0 where its vocabulary lacks the
    token, and nothing follows. `probabilities`: of the written tokens. `start`, `ends`: where
    the text of the first one starts and that of each one ends, in characters of the answer, its
    `prefix` included. A token that ends within a character ends before it, so several tokens
    may end at one place; a stop string may have cut the answer's text before the last ones.
    """

    id: int
    start: int
    ends: tuple[int, ...]
    ranks: tuple[int, ...]
    probabilities: tuple[float, ...]


class Finished(_Event, frozen=True, kw_only=True, tag="finished"):
    """Final event of Generate.

    `ids`: the answer's tokens as they stay in the history; `tail`: the text that follows
    them before the next turn (the format's `close`, less what the model wrote of it itself).
    `ids` + tokens of `tail` spell `text` + `close`. `stopped_by`: the stop string or the
    end-of-generation token that ended the answer, as text; `end_token`: that token, which is
    not among `ids`. `room`: tokens that another question may have before the oldest turn has to
    leave the context; negative where any will make it leave. Times in seconds.
    """

    id: int
    stop_reason: StopReason
    text: str
    ids: tuple[int, ...]
    tail: str
    generated: int
    used: int
    stopped_by: str = ""
    end_token: int | None = None
    room: int = 0
    prompt_s: float = 0.0
    first_token_s: float = 0.0
    decode_s: float = 0.0
    prefill_tokens_per_s: float = 0.0
    decode_tokens_per_s: float = 0.0
    sample: int = 0


class Unloaded(_Event, frozen=True, kw_only=True, tag="unloaded"):
    """Final event of Unload."""

    id: int


class VocabularyRead(_Event, frozen=True, kw_only=True, tag="vocabulary-read"):
    """Final event of ReadVocabulary: bytes and GGUF token type of every token."""

    id: int
    pieces: tuple[bytes, ...]
    types: tuple[int, ...]


class Scored(_Event, frozen=True, kw_only=True, tag="scored"):
    """Final event of ScoreBoth, ScoreSide and ScoreStored.

    `scores`: `PositionScores` (or `SideScores`) as bytes, one row for each of `ids`; empty where
    the rows went into a file. `context`, `base_context`: the ids in front of the answer, the latter
    of ScoreBoth alone. `unscored`: how many tokens of the answer came before the first row: 1 where
    nothing at all stood in front of it. `replaced`: the last of `ids` is not the one that was
    asked for (see `ScoreBoth.greedy`).
    """

    id: int
    scores: bytes
    context: tuple[int, ...]
    base_context: tuple[int, ...] = ()
    ids: tuple[int, ...]
    unscored: int = 0
    replaced: bool = False
    seconds: float = 0.0


class TracedTokens(_Event, frozen=True, kw_only=True, tag="traced-tokens"):
    """The next tokens of the answer, of `total`; `pieces` of ids that were not named before."""

    id: int
    total: int
    tokens: tuple[TracedToken, ...]
    pieces: dict[int, Piece]


class Traced(_Event, frozen=True, kw_only=True, tag="traced"):
    """Final event of Trace. `left_out`: how many of the oldest turns had no room."""

    id: int
    left_out: int = 0
    seconds: float = 0.0


class EmbedProgress(_Event, frozen=True, kw_only=True, tag="embed-progress"):
    """Vectors of `done` of `total` texts are made."""

    id: int
    done: int
    total: int


class Embedded(_Event, frozen=True, kw_only=True, tag="embedded"):
    """Final event of Embed.

    `rows`: float32, little-endian, a row of `size` numbers for each text in their order, each row
    of length 1. `cut`: how many texts were longer than the context. `tokens`: how many were
    evaluated.
    """

    id: int
    rows: bytes
    size: int
    cut: int = 0
    tokens: int = 0
    seconds: float = 0.0


class Failed(_Event, frozen=True, kw_only=True, tag="failed"):
    """Final event of any command that could not be carried out."""

    id: int
    message: str
    hint: str = ""


class Silence(_Event, frozen=True, kw_only=True, tag="silence"):
    """Nothing has come for `seconds`. The client says so itself; no worker sends it.

    `ends_in`: seconds in which a worker that was asked to stop is ended; None where nobody
    asked.
    """

    id: int
    seconds: float
    ends_in: float | None = None

    def in_words(self, key: str) -> str:
        """What to tell the user, who ends the worker with `key`; it starts with a small letter."""
        if self.ends_in is None:
            return f"no sign of life for {self.seconds:.0f} s; {key} ends it"
        return f"it does not stop; ended in {max(1.0, self.ends_in):.0f} s"


Event = (
    Ready
    | DevicesFound
    | Notice
    | LoadProgress
    | Loaded
    | PrefillProgress
    | PreambleReady
    | Tokenized
    | TurnsDropped
    | PromptReady
    | TextDelta
    | Probabilities
    | Shifts
    | Finished
    | Unloaded
    | VocabularyRead
    | Scored
    | TracedTokens
    | Traced
    | EmbedProgress
    | Embedded
    | Failed
    | Silence
)
