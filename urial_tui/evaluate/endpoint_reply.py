"""A parser of an endpoint's response: a judge's reply, its logprobs, and its cost.

The answer is a stranger's. A part that is not what the protocol says is as good as missing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, TypeVar

import msgspec

from urial_tui.evaluate.judge import JudgeQuestion, JudgeReply
from urial_tui.evaluate.judgement_text import judgement_object
from urial_tui.evaluate.judgements import Aspect, Chances, Judgement
from urial_tui.evaluate.score_chances import SCORE, TopTokens, score_chances
from urial_tui.evaluate.token_reading import Count
from urial_tui.json_text import NotJSON, made_whole
from urial_tui.sanitize import quoted

# Rounding may put a logarithm of nearly 1 above 0.
_Logprob = Annotated[float, msgspec.Meta(le=0.001)]
_Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]

_MAX_DETAIL: Final = 200

T = TypeVar("T")


class ReplyCost(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that an endpoint has counted, each None where it did not tell."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


class EndpointReply(msgspec.Struct, frozen=True, kw_only=True):
    """A judge's reply, and what the endpoint says of its cost."""

    reply: JudgeReply
    cost: ReplyCost = ReplyCost()


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Top(msgspec.Struct, frozen=True):
    token: str
    logprob: _Logprob
    written: list[_Byte] | None = msgspec.field(default=None, name="bytes")

    @property
    def piece(self) -> bytes:
        """What it writes."""
        return self.token.encode() if self.written is None else bytes(self.written)


class _Token(_Top, frozen=True):
    top_logprobs: list[_Top] | None = None


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[_Token]


def read_reply(body: bytes, question: JudgeQuestion) -> EndpointReply | None:
    """The reply in the body of an answer; None if that is no JSON, such as half of one.

    Args:
        body: What was sent.
        question: What was asked.
    """
    try:
        completion = decoded(body, _Completion)
    except WrongFormError as error:
        return _failed(str(error))
    if completion is None:
        return None
    cost = cost_of(completion.usage)
    if not completion.choices:
        return _failed("The endpoint's answer holds no reply.", cost)
    choice = completion.choices[0]
    refusal = choice.message.refusal
    text = choice.message.content or ""
    if refusal:
        reply = JudgeReply(text=text or refusal, trouble="refused", detail=_shown(refusal))
    elif choice.finish_reason == "content_filter":
        reply = JudgeReply(text=text, trouble="refused", detail="The endpoint filtered the reply.")
    elif choice.finish_reason == "length":
        reply = JudgeReply(text=text, trouble="cut")
    elif isinstance(question.asked, Judgement):
        reply = JudgeReply(text=text, chances=_chances(text, question.aspects, choice.logprobs))
    else:
        reply = JudgeReply(text=text)
    return EndpointReply(reply=reply, cost=cost)


class WrongFormError(ValueError):
    """JSON that is not what the protocol says; its text is a sentence."""


def decoded(body: bytes, form: type[T]) -> T | None:
    """The body of an answer; None if that is no JSON, such as half of one.

    Raises:
        WrongFormError: It is JSON of another form.
    """
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.ValidationError as error:
        # Told before the rest was read, which may be damaged.
        if _is_json(body):
            raise WrongFormError("The endpoint's answer is not what it should be.") from error
        return None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        with contextlib.suppress(NotJSON):
            whole = made_whole(body)
            return decoded(whole, form) if whole != body else None
        return None


def cost_of(usage: msgspec.Raw) -> ReplyCost:
    """What an answer's count of tokens says."""
    try:
        return msgspec.json.decode(usage, type=ReplyCost | None) or ReplyCost()
    except (msgspec.DecodeError, RecursionError):
        return ReplyCost()


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return True


def _failed(detail: str, cost: ReplyCost = ReplyCost()) -> EndpointReply:  # noqa: B008 - it is frozen
    return EndpointReply(reply=JudgeReply(trouble="failed", detail=detail), cost=cost)


def _shown(refusal: str) -> str:
    return f"The judge refused: {quoted(refusal, _MAX_DETAIL)}."


def _chances(
    text: str, aspects: Sequence[Aspect], logprobs: msgspec.Raw
) -> Mapping[Aspect, Chances]:
    """The chances of the scores in a reply; none where the endpoint tells none that fit it."""
    try:
        told = msgspec.json.decode(logprobs, type=_Logprobs | None)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return {}
    if told is None or not _in_order(text, aspects):
        return {}
    try:
        tokens = _tokens_of(text.encode(), told.content)
        numbers: dict[bytes, int] = {}
        ids = [numbers.setdefault(token.piece, len(numbers)) for token in tokens]
        tops: list[TopTokens] = [
            [
                (numbers.setdefault(top.piece, len(numbers)), top.logprob)
                for top in token.top_logprobs or ()
            ]
            for token in tokens
        ]
    except UnicodeError:
        return {}
    pieces = list(numbers)
    logps = [token.logprob for token in tokens]
    return score_chances(aspects, ids, logps, tops, pieces.__getitem__)


def _tokens_of(text: bytes, tokens: Sequence[_Token]) -> Sequence[_Token]:
    """Those that write `text`, which thoughts and a token that ends it may surround; else none."""
    written = b"".join(token.piece for token in tokens)
    start = written.find(text)
    if start < 0 or start != written.rfind(text):
        return ()
    within: list[_Token] = []
    place = 0
    for token in tokens:
        end = place + len(token.piece)
        if end > start and place < start + len(text):
            within.append(token)
        place = end
    return within


def _in_order(text: str, aspects: Sequence[Aspect]) -> bool:
    """Whether the scores that stand in a reply are those of the aspects, one by one.

    Only a grammar makes sure of that, and not every endpoint has one.
    """
    found = judgement_object(text, aspects)
    if found is None or list(found) != list(aspects):
        return False
    value = json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    names = [key.strip().lower() for key in value]
    if len(aspects) > 1 and [name for name in names if name in aspects] != list(aspects):
        return False
    digits = [int(match[1]) for match in SCORE.finditer(text.encode())]
    return digits == [_score(found[aspect]) for aspect in aspects]


def _score(inner: object) -> object:
    return inner.get("score") if isinstance(inner, dict) else None
