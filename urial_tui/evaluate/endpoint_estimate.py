"""An estimate of the time and the cost of a run of judgements or answers, before anything is sent.

Tokens are reckoned: nobody here knows the endpoint's tokenizer. Money is known only by prices that
are given, time only by a rate or by how long a reply takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from urial_tui.evaluate.endpoint import EndpointSettings
from urial_tui.evaluate.judge import JudgeQuestion
from urial_tui.evaluate.judge_prompts import MAX_REASON, max_tokens
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, at_most, duration, three_digits

BYTES_PER_TOKEN: Final = 4.0
"""Of UTF-8: about right for English in vocabularies of today, and within a third elsewhere."""

_MESSAGE_TOKENS: Final = 8
"""Of a chat template, around a message."""
_SOON: Final = 1.0
"""Seconds that are not worth a word."""
_FORM_TOKENS: Final = 15
"""Of a judgement of one aspect, beside its reason."""


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """What a million tokens cost, in any currency: of what is read, and of what is written."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


def given_prices(prompt: float | None, completion: float | None) -> Prices | None:
    """The prices that were given; None where not both were."""
    if prompt is None or completion is None:
        return None
    return Prices(prompt=prompt, completion=completion)


class Prompt(NamedTuple):
    """A text that will be sent, without those answers to earlier turns that are still to come."""

    text: str
    to_come: int = 0


class RunEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a run will take, retries not counted.

    questions           how many are asked
    prompt_tokens       reckoned from the bytes of the questions, and of answers that these will
                        have in them as many as may be written
    reads_answers       whether there are such
    completion_tokens   of judgements reckoned, for reasons of half the length that they may have;
                        of answers as many as may be written
    most_completion_tokens  all that may be written
    cost, most_cost     in the currency of the prices; None without prices
    seconds             None where neither a rate nor the time of a reply is known
    """

    questions: int
    prompt_tokens: int
    completion_tokens: int
    most_completion_tokens: int
    cost: float | None = None
    most_cost: float | None = None
    seconds: float | None = None
    reads_answers: bool = False


def estimate(
    questions: Sequence[JudgeQuestion],
    settings: EndpointSettings,
    *,
    prices: Prices | None = None,
    seconds_each: float | None = None,
) -> RunEstimate:
    """Reckon what a run will take.

    Args:
        questions: What will be asked.
        settings: How; its rate and concurrency tell the time.
        prices: Of the tokens, where they are known.
        seconds_each: From a question to its reply, where that is known.
    """
    texts = [question.prompt.text for question in questions]
    aspects = sum(len(question.aspects) for question in questions)
    read = _tokens(texts) + _MESSAGE_TOKENS * len(questions)
    written = round(aspects * (MAX_REASON / 2 / BYTES_PER_TOKEN + _FORM_TOKENS))
    most = sum(settings.reply_tokens or max_tokens(len(question.aspects)) for question in questions)
    return RunEstimate(
        questions=len(questions),
        prompt_tokens=read,
        completion_tokens=min(written, most),
        most_completion_tokens=most,
        cost=prices.of(read, min(written, most)) if prices else None,
        most_cost=prices.of(read, most) if prices else None,
        seconds=_seconds(len(questions), settings, seconds_each),
    )


def estimate_answers(
    prompts: Sequence[Prompt],
    longest: int,
    settings: EndpointSettings,
    *,
    prices: Prices | None = None,
) -> RunEstimate:
    """Reckon what a run of answers will take.

    Args:
        prompts: What will be sent.
        longest: Most tokens of an answer.
        settings: How they are sent; the rate tells the time.
        prices: Of the tokens, where they are known.
    """
    to_come = sum(prompt.to_come for prompt in prompts)
    read = _tokens([prompt.text for prompt in prompts]) + longest * to_come
    most = longest * len(prompts)
    cost = prices.of(read, most) if prices else None
    return RunEstimate(
        questions=len(prompts),
        prompt_tokens=read,
        completion_tokens=most,
        most_completion_tokens=most,
        cost=cost,
        most_cost=cost,
        seconds=_seconds(len(prompts), settings, None),
        reads_answers=to_come > 0,
    )


def in_words(found: RunEstimate, host: str) -> str:
    """An estimate as a sentence.

    Args:
        found: It.
        host: Who is asked.
    """
    bounded = found.completion_tokens == found.most_completion_tokens
    cost = ""
    if found.cost is not None and found.most_cost is not None:
        about = "" if bounded else f"about {three_digits(found.cost)} and "
        cost = f", at these prices {about}{at_most(found.most_cost)}"
    seconds = found.seconds or 0.0
    time = "" if seconds < _SOON else f", not before {duration(seconds)}"
    read = (
        f"{'at most ' if found.reads_answers else ''}about {amount(found.prompt_tokens, 'token')}"
    )
    written = f"{'at most ' if bounded else ''}{found.completion_tokens:,}"
    return (
        f"{amount(found.questions, 'question')} to {sanitize_line(host)}: "
        f"{read} to read and {written} to write, reckoned from the texts{cost}{time}."
    )


def _tokens(texts: Sequence[str]) -> int:
    return round(sum(len(text.encode("utf-8", "replace")) for text in texts) / BYTES_PER_TOKEN)


def _seconds(
    questions: int, settings: EndpointSettings, seconds_each: float | None
) -> float | None:
    """The longer one of what the rate and what the replies take."""
    known = []
    if settings.per_minute:
        known.append(60 * max(0, questions - 1) / settings.per_minute)
    if seconds_each is not None:
        known.append(seconds_each * -(-questions // settings.concurrency))
    return max(known, default=None)
