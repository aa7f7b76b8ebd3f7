"""Answers by an OpenAI-compatible endpoint that goes on with texts, in place of the engine.

The prompts are ours, to the letter: preamble, turns and the place where the answer opens, as text;
the endpoint adds no more than its BOS. Where an answer ends is decided here once more, by the rules
of the context, for no protocol knows a fence. What needs the model's distributions can't be had.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from urial_tui.engine.wire.events import Notice
from urial_tui.engine.wire.values import NUMERICS, Sampling, StopRules, TextSegment
from urial_tui.evaluate.endpoint import EndpointSettings
from urial_tui.evaluate.endpoint_address import Address, address_of
from urial_tui.evaluate.endpoint_asking import EndpointQueue, Usage
from urial_tui.evaluate.endpoint_choice import check_context
from urial_tui.evaluate.endpoint_estimate import Prompt
from urial_tui.evaluate.endpoint_reply import ReplyCost, WrongFormError, cost_of, decoded
from urial_tui.evaluate.generate import Answered, AskedItem, GenerateStep, Skipped
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.outputs import AnsweredTurn, Ending
from urial_tui.evaluate.rate_limit import Clock, Postponed
from urial_tui.evaluate.run_file import WrittenAnswer
from urial_tui.evaluate.run_terms import digest, drawn
from urial_tui.prompting.context import Context, answer_rules
from urial_tui.prompting.conversation import Exchanged, context_form, render_plain
from urial_tui.prompting.stops import answer_end

_UNKNOWN: Final[Mapping[str, re.Pattern[str]]] = {
    "top_k": re.compile(r"top_k"),
    "min_p": re.compile(r"min_p"),
    "top_p": re.compile(r"top_p"),
    "seed": re.compile(r"\bseed\b"),
    "stop": re.compile(r"\bstop\b"),
}
_PENALTIES: Final = ("frequency_penalty", "presence_penalty")
_DRAWING: Final = ("top_p", "top_k", "min_p")
_MAX_DETAIL: Final = 100


class EndpointTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers of an endpoint depend on, as far as one can know.

    `endpoint`: where it is; the same name may be another model elsewhere. `context`: a digest of
    what is shown and how an answer ends. `sampling`: what is sent of it, without its seed. `seed`:
    of the run, None where nothing is drawn.
    """

    endpoint: str
    model: str
    numerics: int
    context: str
    sampling: Sampling
    seed: int | None
    max_tokens: int

    @property
    def parallel(self) -> None:
        """What stands in a batch is up to the endpoint."""
        return

    def key(self, item: Item) -> str:
        """What the answers to an item depend on, as a hash."""
        # A sampling's own form leaves its defaults out, and what they are may change.
        sampling = msgspec.structs.asdict(self.sampling)
        return digest((msgspec.structs.asdict(self) | {"sampling": sampling}, item.id, item.turns))

    def drawn(self, item: Item, turn: int) -> Sampling:
        """How an answer is chosen: with a seed of its own, where it is drawn."""
        return drawn(self.sampling, self.seed, item, turn)


def endpoint_terms(
    address: Address, model: str, context: Context, *, sampling: Sampling, max_tokens: int
) -> EndpointTerms:
    """The terms of a run by an endpoint.

    Args:
        address: Where it is.
        model: The model's name there.
        context: What is shown; none that needs a chat template or has rules.
        sampling: How tokens are chosen; its seed is that of the run.
        max_tokens: Longest answer.

    Raises:
        UsageError: It is another context, or one with rules.
    """
    check_context(context)
    shown = render_plain(context, [Exchanged("?")])
    names = _PENALTIES if sampling.temperature == 0 else (*_PENALTIES, *_DRAWING)
    sent = {name: getattr(sampling, name) for name in names}
    return EndpointTerms(
        endpoint=address.url,
        model=model,
        numerics=NUMERICS,
        context=hashlib.sha256(msgspec.json.encode(context_form(context, shown))).hexdigest(),
        sampling=Sampling(temperature=sampling.temperature, **sent),
        seed=sampling.seed if sampling.temperature > 0 else None,
        max_tokens=max_tokens,
    )


def not_sent(sampling: Sampling) -> tuple[str, ...]:
    """Settings of a sampling that do something here, and that no endpoint is told of."""
    found = []
    if sampling.repetition_penalty != 1.0:
        found.append("sampling.repetition_penalty")
    if sampling.dry_multiplier > 0.0:
        found.append("sampling.dry_multiplier")
    return tuple(found)


class EndpointAnswers:
    """Has items answered by an endpoint.

    Args:
        settings: Where and how it is asked.
        context: What the model is shown.
        terms: Of the run.
        key: The endpoint's key.
        clock: What waits.

    Raises:
        EvaluateError: The address is none.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        context: Context,
        terms: EndpointTerms,
        key: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._context = context
        self._terms = terms
        self.at_once = settings.concurrency
        """Most questions that are asked together."""
        rules, _ = answer_rules(context)
        address = address_of(settings.url, settings.service)
        form = _Texts(terms, rules)
        self._asking: EndpointQueue[_Question, TextReply] = EndpointQueue(
            address, form, settings, key, clock
        )

    @property
    def cancelled(self) -> bool:
        """Whether no more is asked, and nothing is waited for."""
        return self._asking.cancelled

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._asking.cancelled = value

    @property
    def usage(self) -> Usage:
        """What has been spent so far."""
        return self._asking.usage

    @property
    def left_out(self) -> tuple[str, ...]:
        """Fields of a request that this endpoint does not know."""
        return self._asking.left_out

    def run(
        self, items: Sequence[tuple[Item, Sequence[WrittenAnswer]]]
    ) -> Generator[GenerateStep, None, None]:
        """Answer what is left of items: what is waited for, and what comes of each turn.

        All first turns are asked, then all second ones, and so on.

        Args:
            items: Each with the answers to its first turns that there are.

        Raises:
            EvaluateError: The endpoint answers no question; all that it answered has been told.
        """
        asked = [AskedItem(item, written) for item, written in items]
        while not self.cancelled and (waiting := [one for one in asked if one.waits]):
            for step in self._asking.run([self._question(one) for one in waiting]):
                if isinstance(step, Postponed):
                    yield step
                    continue
                (one, _, sampling), reply = step
                turn = len(one.written)
                if reply.trouble:
                    one.reason = reply.trouble
                    yield Skipped(one.item, one.reason)
                    continue
                exchange = AnsweredTurn(
                    instruction=one.item.turns[turn],
                    output=reply.text,
                    tokens=reply.tokens,
                    ending=reply.ending,
                    detail=reply.detail,
                    seed=sampling.seed,
                    retrieved=self._context.examples_for(one.item.turns[turn]) or (),
                )
                one.written.append(WrittenAnswer(exchange=exchange))
                yield Answered(one.item, turn, one.written[turn])
        if self.left_out:
            named = ", ".join(self.left_out)
            yield Notice(id=0, message=f"The endpoint does not know {named}: it was left out.")

    def _question(self, one: AskedItem) -> _Question:
        prompt = self._prompt(one.item, [written.exchange.output for written in one.written])
        return _Question(one, prompt, self._terms.drawn(one.item, len(one.written)))

    def prompts(self, items: Sequence[tuple[Item, Sequence[WrittenAnswer]]]) -> list[Prompt]:
        """What will be sent for what is left of items."""
        return [
            Prompt(
                self._prompt(item, [*(one.exchange.output for one in written), *[""] * unwritten]),
                unwritten,
            )
            for item, written in items
            for unwritten in range(len(item.turns) - len(written))
        ]

    def _prompt(self, item: Item, said: Sequence[str]) -> str:
        """The text for the turn behind these answers."""
        exchanges = [
            Exchanged(asked, text, (TextSegment(text=text),) if text else ())
            for asked, text in zip(item.turns, said, strict=False)
        ]
        exchanges.append(Exchanged(item.turns[len(said)]))
        shown = render_plain(self._context, exchanges).context
        return "".join(segment.text for segment in shown if isinstance(segment, TextSegment))


class _Question(NamedTuple):
    """A text to go on with."""

    one: AskedItem
    prompt: str
    sampling: Sampling


class TextReply(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint wrote, as in outputs. `trouble`: why there is nothing, a sentence."""

    text: str = ""
    tokens: int | None = None
    ending: Ending = ""
    detail: str = ""
    trouble: str = ""


class _Choice(msgspec.Struct, frozen=True):
    text: str
    finish_reason: str | None = None
    # vLLM's: the stop string or token that ended it, null where it was a token that ends answers.
    stop_reason: str | int | msgspec.UnsetType | None = msgspec.UNSET


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Texts:
    """A text to go on with as a request, and what is written as it comes back."""

    unknown = _UNKNOWN

    def __init__(self, terms: EndpointTerms, rules: StopRules) -> None:
        self._terms = terms
        self._rules = rules

    def request(self, question: _Question, left_out: Collection[str]) -> dict[str, Any]:
        """What is sent, without what the endpoint does not know."""
        sampling = question.sampling
        fields: dict[str, Any] = {
            "temperature": sampling.temperature,
            "max_tokens": self._terms.max_tokens,
            **{name: value for name in _PENALTIES if (value := getattr(sampling, name))},
        }
        if sampling.temperature > 0:
            fields |= {name: getattr(sampling, name) for name in _DRAWING}
            fields["seed"] = sampling.seed
        if self._rules.strings:
            fields["stop"] = list(self._rules.strings)
        known = {name: value for name, value in fields.items() if name not in left_out}
        return {"model": self._terms.model, "prompt": question.prompt, **known}

    def read(self, body: bytes, question: _Question) -> tuple[TextReply, ReplyCost] | None:
        """Parse a response.

        Returns:
            What was written, and its cost; None where there is no JSON.
        """
        try:
            completion = decoded(body, _Completion)
        except WrongFormError as error:
            return TextReply(trouble=str(error)), ReplyCost()
        if completion is None:
            return None
        cost = cost_of(completion.usage)
        if not completion.choices:
            return TextReply(trouble="The endpoint's answer holds no text."), cost
        choice = completion.choices[0]
        if choice.finish_reason == "content_filter":
            return TextReply(trouble="The endpoint filtered the answer."), cost
        return self._reply(choice, cost.completion_tokens), cost

    def failed(self, why: str) -> TextReply:
        """An answer that could not be had."""
        return TextReply(trouble=why)

    def _reply(self, choice: _Choice, tokens: int | None) -> TextReply:
        end = answer_end(choice.text, self._rules)
        if end is not None:
            # What was written behind the answer was counted, too.
            return TextReply(text=choice.text[:end], ending="stop", detail="stop")
        ending, detail = self._ending(choice)
        return TextReply(text=choice.text, tokens=tokens, ending=ending, detail=detail)

    def _ending(self, choice: _Choice) -> tuple[Ending, str]:
        """How an answer ended, as far as the endpoint tells."""
        reason, by = choice.finish_reason, choice.stop_reason
        if reason == "length":
            return "cut", reason
        if reason != "stop":
            return "", "" if reason is None else reason[:_MAX_DETAIL]
        if isinstance(by, str):
            return "stop", f"stop {by[:_MAX_DETAIL]}"
        if by is None or not self._rules.strings:
            return "end", "eos"
        # A token that ends it, or one of the strings: few endpoints tell which.
        return "", reason
