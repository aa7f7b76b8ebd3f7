"""A judge behind an OpenAI-compatible endpoint: a local server, vLLM on a cluster, a service.

It is asked for the form of a judgement by a JSON schema, at temperature 0, and for the chances of
its tokens, as far as the endpoint knows these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Any, Final

from urial_tui.evaluate.endpoint import EndpointSettings
from urial_tui.evaluate.endpoint_address import Address, address_of
from urial_tui.evaluate.endpoint_asking import EndpointQueue, Usage
from urial_tui.evaluate.endpoint_reply import ReplyCost, read_reply
from urial_tui.evaluate.judge import JudgeQuestion, JudgeReply
from urial_tui.evaluate.judge_prompts import max_tokens
from urial_tui.evaluate.judgements import Judgement
from urial_tui.evaluate.rate_limit import Clock, Postponed

TOP: Final = 20
"""How many of the likeliest tokens are asked for; OpenAI and vLLM give no more."""

_UNKNOWN: Final[Mapping[str, re.Pattern[str]]] = {
    "response_format": re.compile(r"response_format|json_schema|grammar|guided"),
    "logprobs": re.compile(r"logprobs"),
    "temperature": re.compile(r"temperature"),
    "max_tokens": re.compile(r"max_completion_tokens\W+instead"),
}


def endpoint_terms(address: Address, settings: EndpointSettings) -> dict[str, Any]:
    """What the judgements of an endpoint depend on beside the questions, as far as one can know.

    Args:
        address: Where it is: the same name may be another model elsewhere.
        settings: How it is asked.
    """
    return {
        "endpoint": address.url,
        "model": settings.model,
        "reply_tokens": settings.reply_tokens,
        "logprobs": settings.logprobs,
    }


class _Judgements:
    """A judgement as a request, and as it comes back."""

    unknown = _UNKNOWN

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings

    def request(self, question: JudgeQuestion, left_out: Collection[str]) -> dict[str, Any]:
        """What is sent, without what the endpoint does not know."""
        most = self._settings.reply_tokens or max_tokens(len(question.aspects))
        # Not "strict", in which OpenAI takes no schema that says how long a text may be; servers
        # that have grammars follow a schema in any case.
        schema = {"name": "judgement", "schema": json.loads(question.schema)}
        fields: dict[str, Any] = {
            "temperature": 0,
            "max_tokens": most,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }
        if isinstance(question.asked, Judgement) and self._settings.logprobs:
            fields["logprobs"] = True
        request = {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": question.prompt.text}],
            **{name: value for name, value in fields.items() if name not in left_out},
        }
        if "logprobs" in request:
            request["top_logprobs"] = TOP
        if "max_tokens" not in request:
            request["max_completion_tokens"] = most
        return request

    def read(self, body: bytes, question: JudgeQuestion) -> tuple[JudgeReply, ReplyCost] | None:
        """Parse a response.

        Returns:
            The judge's reply, and its cost; None where there is no JSON.
        """
        found = read_reply(body, question)
        return None if found is None else (found.reply, found.cost)

    def failed(self, why: str) -> JudgeReply:
        """A reply that could not be had."""
        return JudgeReply(trouble="failed", detail=why)


class EndpointJudge:
    """Judges by asking an endpoint.

    Args:
        settings: Where and how it is asked.
        key: The endpoint's key.
        clock: What waits.

    Raises:
        EvaluateError: The address is none.
    """

    def __init__(
        self, settings: EndpointSettings, key: str | None = None, clock: Clock | None = None
    ) -> None:
        self.address: Final[Address] = address_of(settings.url, settings.service)
        self.at_once: Final = settings.concurrency
        """Most questions that are asked together."""
        self._asking: EndpointQueue[JudgeQuestion, JudgeReply] = EndpointQueue(
            self.address, _Judgements(settings), settings, key, clock
        )
        self._unwanted = () if settings.logprobs else ("logprobs",)

    def cancel(self) -> None:
        """Ask no more, and wait for nothing. From any thread, or a signal handler."""
        self._asking.cancelled = True

    @property
    def cancelled(self) -> bool:
        """Whether no more is asked."""
        return self._asking.cancelled

    @property
    def usage(self) -> Usage:
        """What has been spent so far."""
        return self._asking.usage

    @property
    def left_out(self) -> tuple[str, ...]:
        """Fields of a request that this endpoint does not know, or that were not wanted."""
        return (*self._unwanted, *self._asking.left_out)

    def run(
        self, questions: Sequence[JudgeQuestion]
    ) -> Generator[Postponed | tuple[JudgeQuestion, JudgeReply], None, None]:
        """Have questions answered, as `EndpointQueue.run` does."""
        yield from self._asking.run(questions)
