"""Answers to items, by one model in one context.

With `parallel` 1 an item is answered after the other, each answer alone: the same as the chat and
`urial ask` give. With more, all first turns are asked together, then all second ones, and so on;
a place that is free is taken by the next item in order. A later turn waits for all earlier ones, so
what is written in which batch follows from the items, never from the clock.

An item that can't be answered is skipped with the reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import NamedTuple

from urial_tui.engine.client.call import Call
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event, Finished, PromptReady, StopReason, TurnsDropped
from urial_tui.engine.wire.values import ModelInfo, TextSegment, TokenSegment
from urial_tui.errors import EngineError, ModelError
from urial_tui.evaluate.items import EvaluateError, Item
from urial_tui.evaluate.outputs import AnsweredTurn, Ending
from urial_tui.evaluate.pool_room import pool_room, reckoned
from urial_tui.evaluate.rate_limit import Postponed
from urial_tui.evaluate.run_file import WrittenAnswer
from urial_tui.evaluate.run_terms import RunTerms
from urial_tui.evaluate.together import read_together
from urial_tui.prompting.context import Context, answer_rules
from urial_tui.prompting.conversation import Exchanged, Shown, render_conversation
from urial_tui.prompting.render import examples_text, preamble_text
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.wording import amount

ENDINGS: Mapping[StopReason, Ending] = {
    "eos": "end",
    "stop": "stop",
    "length": "cut",
    "cancelled": "cancelled",
}
"""What the engine's words for the end of an answer are here."""

_FORMAT_TOKENS = 64
"""Tokens that are reckoned for what a format puts around a turn."""


class Answered(NamedTuple):
    """A turn of an item was answered."""

    item: Item
    turn: int
    written: WrittenAnswer


class Skipped(NamedTuple):
    """An item can't be answered. `reason`: a sentence."""

    item: Item
    reason: str


GenerateStep = Event | Postponed | Answered | Skipped


class AskedItem:
    """An item that is being answered."""

    def __init__(self, item: Item, written: Sequence[WrittenAnswer]) -> None:
        self.item = item
        self.written = list(written)
        self.reason = ""
        """Why it is skipped."""

    @property
    def waits(self) -> bool:
        """Whether a turn of it is to be asked yet."""
        return not self.reason and len(self.written) < len(self.item.turns)


class AnswerGenerator:
    """Generates the answers to items.

    Args:
        model: Loaded for that: for answers together, where `terms.parallel` is more than 1.
        info: What was loaded, with the chat template that counts.
        context: What the model is shown.
        templates: Renders that.
        terms: Of the run.
    """

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        context: Context,
        templates: TemplateRenderer,
        terms: RunTerms,
    ) -> None:
        self._model = model
        self._info = info
        self._context = context
        self._templates = templates
        self._terms = terms
        self.cancelled = False
        """Whether no more is asked; set before the engine is told to end what runs."""
        self.at_once = terms.parallel
        """Most answers that are written together."""

    def run(
        self, items: Sequence[tuple[Item, Sequence[WrittenAnswer]]]
    ) -> Generator[GenerateStep, None, None]:
        """Answer what is left of items: the engine's events, and what comes of each turn.

        Args:
            items: Each with the answers to its first turns that there are.

        Raises:
            EvaluateError: The preamble alone fills the context.
            ModelError: The context can't be rendered for this model.
            EngineDied: The worker ended; all that was answered before has been told.
        """
        if items:
            self._check_preamble()
        asked = [AskedItem(item, written) for item, written in items]
        groups = [asked] if self._terms.parallel > 1 else [[one] for one in asked]
        for group in groups:
            while not self.cancelled and (waiting := [one for one in group if one.waits]):
                yield from self._ask(waiting)

    def _check_preamble(self) -> None:
        """Tell once what would be the reason to skip each item."""
        shown = render_conversation(self._context, [Exchanged("?")], self._info, self._templates)
        (segments,) = self._model.tokenize([shown.preamble], start=True).result()
        length, room = sum(map(len, segments)), self._info.n_ctx
        if length >= room:
            raise EvaluateError(
                f"The preamble has {amount(length, 'token')}, and the context holds {room:,}.",
                "Choose a shorter preamble, or raise the setting engine.context.",
            )

    def _ask(self, waiting: Sequence[AskedItem]) -> Generator[GenerateStep, None, None]:
        """Ask the next turn of each item, and read the answers to their ends."""
        shown: list[tuple[AskedItem, Shown]] = []
        for one in waiting:
            if self.cancelled:
                return
            try:
                shown.append((one, self._shown(one)))
            except ModelError as error:
                one.reason = error.message
                yield Skipped(one.item, one.reason)
        calls = self._calls(shown)
        for number, found in read_together(calls, self._terms.parallel):
            one, _ = shown[number]
            match found:
                case EngineError():
                    # Who is told to end may fail at that.
                    if not self.cancelled:
                        one.reason = one.reason or found.message
                        yield Skipped(one.item, one.reason)
                case TurnsDropped():
                    one.reason = (
                        f"Turn {len(one.written) + 1} does not fit into the context with "
                        f"{'the one' if len(one.written) == 1 else 'those'} before it."
                    )
                case PromptReady(used=used) if used >= self._info.n_ctx:
                    one.reason = (
                        f"The question has {amount(used, 'token')} with all in front of it, and "
                        f"the context holds {self._info.n_ctx:,}."
                    )
                case Finished(stop_reason="cancelled"):
                    self.cancelled = True
                case Finished() if one.reason:
                    yield Skipped(one.item, one.reason)
                case Finished():
                    turn = len(one.written)
                    one.written.append(self._written(one.item, turn, found))
                    yield Answered(one.item, turn, one.written[turn])
                case _:
                    yield found

    def _shown(self, one: AskedItem) -> Shown:
        """What the model is shown of an item: its turns so far, and the next one."""
        exchanges = [_exchanged(written) for written in one.written]
        exchanges.append(Exchanged(one.item.turns[len(one.written)]))
        return render_conversation(self._context, exchanges, self._info, self._templates)

    def _calls(self, shown: Sequence[tuple[AskedItem, Shown]]) -> list[Call[Finished]]:
        """Ask all at once; none begins before the last one has come."""
        stops, close = answer_rules(self._context)
        calls: list[Call[Finished]] = []
        for number, (one, front) in enumerate(shown, start=1):
            call = self._model.generate(
                preamble=front.preamble,
                turns=front.turns,
                lead=front.lead,
                opening=front.opening,
                sampling=self._terms.drawn(one.item, len(one.written)),
                stops=stops,
                close=close,
                # Room is kept for all of it, and alone it could not be longer either.
                max_tokens=min(self._terms.max_tokens, self._info.n_ctx),
                together=self._terms.parallel > 1,
                more=number < len(shown),
            )
            calls.append(call)
        if self.cancelled:
            # It came before all were asked, and has ended only those that were.
            for call in calls:
                call.cancel()
        return calls

    def _written(self, item: Item, turn: int, event: Finished) -> WrittenAnswer:
        exchange = AnsweredTurn(
            instruction=item.turns[turn],
            output=event.text,
            tokens=event.generated,
            ids=event.ids,
            ending=ENDINGS[event.stop_reason],
            detail=f"{event.stop_reason} {event.stopped_by}".rstrip(" "),
            seed=self._terms.drawn(item, turn).seed,
            retrieved=self._context.examples_for(item.turns[turn]) or (),
        )
        return WrittenAnswer(exchange=exchange, tail=event.tail)


def pool_tokens(
    items: Sequence[Item], context: Context, *, max_tokens: int, n_ctx: int
) -> Callable[[int], int]:
    """How many tokens of context so many answers need together (`pool_room`).

    Args:
        items: All that may be asked.
        context: What stands in front of them.
        max_tokens: Longest answer.
        n_ctx: Tokens of a context for one answer, 0 for the program's choice.
    """
    shared = 0 if context.preamble is None else reckoned(preamble_text(context.preamble))
    sizes = (
        sum(reckoned(turn) + _FORMAT_TOKENS + max_tokens for turn in item.turns)
        # Each turn has examples of its own, in place of those of the one before.
        + max((_examples_room(context, turn) for turn in item.turns), default=0)
        for item in items
    )
    return pool_room(sizes, shared, n_ctx)


def _examples_room(context: Context, question: str) -> int:
    """Tokens that are reckoned for the examples that a question gets."""
    examples = context.examples_for(question)
    if context.preamble is None or not examples:
        return 0
    return reckoned(examples_text(context.preamble.format, examples))


def _exchanged(written: WrittenAnswer) -> Exchanged:
    """An answer in front of the next turn: its own tokens, where they are known."""
    exchange = written.exchange
    if not exchange.ids and not written.tail:
        text = (TextSegment(text=exchange.output),) if exchange.output else ()
        return Exchanged(exchange.instruction, exchange.output, text)
    ids = (TokenSegment(ids=exchange.ids),) if exchange.ids else ()
    tail = (TextSegment(text=written.tail),) if written.tail else ()
    return Exchanged(exchange.instruction, exchange.output, (*ids, *tail), closed=True)
