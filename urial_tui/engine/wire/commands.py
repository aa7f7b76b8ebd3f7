"""Commands: the messages that the client sends to the worker.

Every command but `Cancel` and `Shutdown` is answered by any number of progress events and exactly
one final event (`events`) that carries its `id`. The worker carries them out in their order, but
for answers that are written together; `Cancel` is seen at once.

A model is known by a number, its handle, that the client chooses when it loads it and never uses
again. Commands name the `model` that they are for.

Token ids are the history: text is tokenised once, by the worker, and the ids come back to be
stored.
"""

from __future__ import annotations

import msgspec

from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import (
    EngineOptions,
    Grammar,
    Sampling,
    Segment,
    StopRules,
    Turn,
    Watch,
)


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
    read anew where it changes, and does not leave the context when turns do. `opening`: what the
    first turn starts with, whatever is asked; answers that are written together read it once, as
    far as its tokens are those that the turn starts with. `prefix`: what the
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
    opening: Turn = ()
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
