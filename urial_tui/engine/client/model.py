"""A model that a worker has loaded, and what it can be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from urial_tui.engine.client.call import Call
from urial_tui.engine.wire.commands import (
    Embed,
    Generate,
    PreparePreamble,
    ReadVocabulary,
    Request,
    ScoreSide,
    ScoreStored,
    Tokenize,
    Trace,
    Unload,
)
from urial_tui.engine.wire.events import (
    Embedded,
    Event,
    Finished,
    PreambleReady,
    Scored,
    Tokenized,
    Traced,
    Unloaded,
    VocabularyRead,
)
from urial_tui.engine.wire.values import Grammar, ModelInfo, Sampling, StopRules, Turn, Watch

T = TypeVar("T")
EventT = TypeVar("EventT", bound=Event)


class Caller(Protocol):
    """The protocol of what makes the calls of one worker (`connection.Connection` does)."""

    @property
    def over(self) -> bool:
        """Whether the worker is gone."""
        ...

    def number(self) -> int:
        """An id for a request."""
        ...

    def call(self, command: Request, conclude: Callable[[Event], T]) -> Call[T]:
        """Send a command as a call."""
        ...


class Model:
    """A loaded model; a method is a call.

    Args:
        caller: Of the worker that has it.
        handle: What the worker knows it by.
        info: What was loaded.
    """

    def __init__(self, caller: Caller, handle: int, info: ModelInfo) -> None:
        self.handle = handle
        self.info = info
        self._caller = caller
        self._unloaded = False

    @property
    def loaded(self) -> bool:
        """Whether it can be asked: its worker runs, and it was not unloaded."""
        return not (self._unloaded or self._caller.over)

    def generate(
        self,
        *,
        preamble: Turn,
        turns: Sequence[Turn],
        lead: Turn = (),
        opening: Turn = (),
        sampling: Sampling | None = None,
        stops: StopRules | None = None,
        close: str = "",
        max_tokens: int = 512,
        prefix: Turn = (),
        watch: Watch | None = None,
        grammar: Grammar | None = None,
        logprobs: int | None = None,
        samples: int = 1,
        together: bool = False,
        more: bool = False,
    ) -> Call[Finished]:
        """Answer the last turn; see `commands.Generate` for the arguments.

        The events are PrefillProgress*, PreambleReady, TurnsDropped?, PromptReady,
        (TextDelta | Probabilities | Shifts)*, Finished (and Notice anywhere). Those of several
        answers (`samples`) come in any order, by their `sample`, with a Finished for each; the
        result is the last of these.
        """
        command = Generate(
            id=self._caller.number(),
            model=self.handle,
            preamble=preamble,
            turns=tuple(turns),
            lead=lead,
            opening=opening,
            sampling=sampling or Sampling(),
            stops=stops or StopRules(),
            close=close,
            max_tokens=max_tokens,
            prefix=prefix,
            watch=watch,
            grammar=grammar,
            logprobs=logprobs,
            samples=samples,
            together=together,
            more=more,
        )
        return self._caller.call(command, final(Finished))

    def prepare(self, preamble: Turn, *, turns: Sequence[Turn] = ()) -> Call[PreambleReady]:
        """Evaluate and pin a preamble: PrefillProgress*, PreambleReady.

        With `turns` the finished turns of a conversation are read ahead of its next question.
        """
        command = PreparePreamble(
            id=self._caller.number(), model=self.handle, preamble=preamble, turns=tuple(turns)
        )
        return self._caller.call(command, final(PreambleReady))

    def tokenize(
        self, turns: Sequence[Turn], *, start: bool = False
    ) -> Call[tuple[tuple[tuple[int, ...], ...], ...]]:
        """The token ids of each turn's segments, nested as they came.

        `start`: each turn stands at the start of a context, and BOS is its first segment.
        """
        command = Tokenize(
            id=self._caller.number(), model=self.handle, turns=tuple(turns), start=start
        )
        tokenized = final(Tokenized)
        return self._caller.call(command, lambda event: tokenized(event).turns)

    def vocabulary(self) -> Call[VocabularyRead]:
        """Bytes and types of all tokens."""
        command = ReadVocabulary(id=self._caller.number(), model=self.handle)
        return self._caller.call(command, final(VocabularyRead))

    def score(self, request: ScoreSide | ScoreStored) -> Call[Scored]:
        """Force an answer: PrefillProgress*, Scored. The id and the model are set here."""
        named = msgspec.structs.replace(request, id=self._caller.number(), model=self.handle)
        return self._caller.call(named, final(Scored))

    def trace(self, request: Trace) -> Call[Traced]:
        """Read an answer again: PrefillProgress*, TracedTokens*, Traced. The id and the model are
        set here.
        """
        named = msgspec.structs.replace(request, id=self._caller.number(), model=self.handle)
        return self._caller.call(named, final(Traced))

    def embed(self, texts: Sequence[str]) -> Call[Embedded]:
        """Make a vector of each text: EmbedProgress*, Embedded."""
        command = Embed(id=self._caller.number(), model=self.handle, texts=tuple(texts))
        return self._caller.call(command, final(Embedded))

    def unload(self) -> Call[Unloaded]:
        """Free it; nothing can be asked of it from now on."""
        self._unloaded = True
        command = Unload(id=self._caller.number(), model=self.handle)
        return self._caller.call(command, final(Unloaded))


def final(kind: type[EventT]) -> Callable[[Event], EventT]:
    """Cast the final event of a call to its type."""

    def conclude(event: Event) -> EventT:
        assert isinstance(event, kind)
        return event

    return conclude
