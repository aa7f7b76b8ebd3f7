"""Events: the messages that the worker sends back to the client.

Exactly one that is final (`DevicesFound`, `Loaded`, `Unloaded`, `PreambleReady`, `Tokenized`,
`VocabularyRead`, `Scored`, `Traced`, `Embedded`, `Finished` or `Failed`) answers each command, and
carries its `id`; any number of others may come before it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.engine.wire.values import Device, ModelInfo, Piece, TracedToken

StopReason = Literal["eos", "stop", "length", "cancelled"]
PreambleSource = Literal["memory", "disk", "computed"]


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
        return f"it does not stop; {key} ends it now, else in {max(1.0, self.ends_in):.0f} s"


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
