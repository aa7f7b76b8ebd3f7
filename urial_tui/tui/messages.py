"""What the engine's thread tells the chat screen, and the chat screen the application.

Everything about an answer carries the id of its question, so that what still arrives for
a conversation that is no longer shown can be told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.message import Message

from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.protocol import ModelInfo, Piece, PreambleSource, Silence, TracedToken
from urial_tui.errors import UrialError
from urial_tui.prompting.preamble import Preamble
from urial_tui.tui.side_choice import SideChoice


class EngineMessage(Message, bubble=False):
    """Comes from the engine's thread."""


class ModelUnpacking(EngineMessage):
    """The model's file is put together: `done` of `total` bytes."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__()
        self.done = done
        self.total = total


class ModelLoading(EngineMessage):
    """The model is being read: `fraction`, 0 to 1."""

    def __init__(self, fraction: float) -> None:
        super().__init__()
        self.fraction = fraction


class ModelLoaded(EngineMessage):
    """The model is in memory under the name that the user knows; the preamble comes next."""

    def __init__(self, name: str, info: ModelInfo) -> None:
        super().__init__()
        self.name = name
        self.info = info


class EngineReady(EngineMessage):
    """Model and preamble are in place: questions can be answered."""


class Reading(EngineMessage):
    """The model reads the preamble or a question: `done` of `total` tokens, some reused.

    `left`: seconds that the rest may take; 0 where that is not known yet.
    """

    def __init__(
        self, of_preamble: bool, done: int, reused: int, total: int, left: float = 0.0
    ) -> None:
        super().__init__()
        self.of_preamble = of_preamble
        self.done = done
        self.reused = reused
        self.total = total
        self.left = left


class PreamblePinned(EngineMessage):
    """The preamble is in memory, and where it came from."""

    def __init__(self, tokens: int, source: PreambleSource) -> None:
        super().__init__()
        self.tokens = tokens
        self.source = source


class AnswerStarted(EngineMessage):
    """The question has been read: `used` tokens are in the context, `reused` of them were there."""

    def __init__(self, question_id: int, used: int, reused: int) -> None:
        super().__init__()
        self.question_id = question_id
        self.used = used
        self.reused = reused


class AnswerGrew(EngineMessage):
    """More text; `generated` tokens so far, at `rate` tokens per second (0: not known yet).

    `sample`: which of several answers that are written side by side, all of which the rate counts.
    """

    def __init__(
        self, question_id: int, text: str, generated: int, rate: float, sample: int = 0
    ) -> None:
        super().__init__()
        self.question_id = question_id
        self.text = text
        self.generated = generated
        self.rate = rate
        self.sample = sample


class SampleEnded(EngineMessage):
    """One of several answers that are written side by side is over: its number, from 0."""

    def __init__(self, question_id: int, sample: int) -> None:
        super().__init__()
        self.question_id = question_id
        self.sample = sample


class AnswerEnded(EngineMessage):
    """The answer is over, whatever ended it; None when it never started."""

    def __init__(self, question_id: int, answer: TurnRecord | None) -> None:
        super().__init__()
        self.question_id = question_id
        self.answer = answer


class RoomLeft(EngineMessage):
    """Another question may have `room` tokens before the oldest turn has to leave the context."""

    def __init__(self, question_id: int, room: int) -> None:
        super().__init__()
        self.question_id = question_id
        self.room = room


class TurnsLeft(EngineMessage):
    """The context was full; the oldest turns are no longer shown to the model."""

    def __init__(self, question_id: int, turns: int) -> None:
        super().__init__()
        self.question_id = question_id
        self.turns = turns


class TraceReading(EngineMessage):
    """What stands in front of a traced answer is read: `done` of `total` tokens."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__()
        self.done = done
        self.total = total


class TokensTraced(EngineMessage):
    """The next tokens of a traced answer, of `total`, with the pieces of ids that are new."""

    def __init__(
        self, tokens: Sequence[TracedToken], pieces: Mapping[int, Piece], total: int
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.pieces = pieces
        self.total = total


class TraceEnded(EngineMessage):
    """An answer is traced, or no further: `error` says why, None where the user stopped it.

    `left_out`: how many of the oldest turns had no room in front of it.
    """

    def __init__(self, error: UrialError | None, left_out: int) -> None:
        super().__init__()
        self.error = error
        self.left_out = left_out


class EngineNotice(EngineMessage):
    """Something worth knowing that stops nothing."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class EngineSilent(EngineMessage):
    """The engine gives no sign of life."""

    def __init__(self, silence: Silence) -> None:
        super().__init__()
        self.silence = silence


class EngineTrouble(EngineMessage):
    """A request failed. `needs_reload`: nothing can be answered before the model is loaded."""

    def __init__(self, error: UrialError, needs_reload: bool) -> None:
        super().__init__()
        self.error = error
        self.needs_reload = needs_reload


class SwitchFailed(EngineMessage):
    """Another model or preamble can't be had. `kept`: what was in use is still loaded."""

    def __init__(self, error: UrialError, kept: bool) -> None:
        super().__init__()
        self.error = error
        self.kept = kept


class EngineBug(EngineMessage):
    """Something that is not a user's error went wrong in the engine's thread."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class CompareRequested(Message):
    """Open the compare screen with a model; on the newest answer of a conversation, if given.

    `second`: what the conversation's tokens are ranked on while they are written.
    """

    def __init__(
        self,
        model: str,
        preamble: Preamble,
        conversation: Conversation | None = None,
        second: SideChoice | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.preamble = preamble
        self.conversation = conversation
        self.second = second


class CopyRequested(Message):
    """Copy a text; `what` names it, its length unless given."""

    def __init__(self, text: str, what: str = "") -> None:
        super().__init__()
        self.text = text
        self.what = what


class SidesRequested(Message):
    """Open the side-by-side screen on the chat's conversation."""
