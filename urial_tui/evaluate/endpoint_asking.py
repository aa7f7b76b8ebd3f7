"""Concurrent requests to an endpoint: some questions at once, each retried until it is answered.

Only what failed on the way is asked again: a question that was answered never is, whatever the
answer says. A field of a request that the endpoint does not know is left out of all that follow.
"""

from __future__ import annotations

import asyncio
import json
import queue
import re
import threading
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from urial_tui.evaluate.endpoint import (
    Again,
    Declined,
    Endpoint,
    EndpointAnswer,
    EndpointOutcome,
    EndpointSettings,
    Loop,
)
from urial_tui.evaluate.endpoint_address import Address
from urial_tui.evaluate.endpoint_errors import EndpointError
from urial_tui.evaluate.endpoint_reply import ReplyCost
from urial_tui.evaluate.rate_limit import Clock, Postponed, RateLimit

LOST_IN_A_ROW: Final = 3
"""Questions given up with no answer to another one between them: then the endpoint is gone."""

DECLINED_ALIKE: Final = 10
"""Questions declined in the same words before any was answered: then it is not the questions."""

_LOOK: Final = 0.1
"""Seconds between two looks whether to end."""

_LONGEST_END: Final = 1.0
"""Seconds in which connections are closed; nobody waits for more."""

_WORDS: Final = 400
"""Characters in which an endpoint says what it does not know; behind them it may repeat the
request."""

Question = TypeVar("Question")
QuestionIn = TypeVar("QuestionIn", contravariant=True)
ReplyT = TypeVar("ReplyT")
ReplyOut = TypeVar("ReplyOut", covariant=True)


class RequestForm(Protocol[QuestionIn, ReplyOut]):
    """The codec of a question: what is sent for it, and how what comes back is read."""

    @property
    def unknown(self) -> Mapping[str, re.Pattern[str]]:
        """By field of a request, how an endpoint that knows no such field says so."""
        ...

    def request(self, question: QuestionIn, left_out: Collection[str]) -> dict[str, Any]:
        """What is sent, without the fields that the endpoint does not know."""
        ...

    def read(self, body: bytes, question: QuestionIn) -> tuple[ReplyOut, ReplyCost] | None:
        """Parse a response.

        Returns:
            The reply, and its cost; None where the body is no JSON, such as half of one.
        """
        ...

    def failed(self, why: str) -> ReplyOut:
        """The reply to a question that could not be had; `why` is a sentence."""
        ...


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has cost.

    `requests`: all that were sent. `replies`: those that came. Tokens are those that the endpoint
    has told of, None where it never did; `untold` replies are not in them.
    """

    requests: int = 0
    replies: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    untold: int = 0


class EndpointQueue(Generic[Question, ReplyT]):
    """The concurrent requests of one run to an endpoint.

    Args:
        address: Where it is.
        form: What is sent, and how it is read.
        settings: How it is asked.
        key: The endpoint's key.
        clock: What waits.
    """

    def __init__(
        self,
        address: Address,
        form: RequestForm[Question, ReplyT],
        settings: EndpointSettings,
        key: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._address = address
        self._form = form
        self._settings = settings
        self._key = key
        self._clock = clock or Clock()
        # One for all that is asked: a second round of questions comes no sooner than the rate says.
        self._limit = RateLimit(self._clock, settings.per_minute)
        self._left_out: dict[str, None] = {}
        self._answered = 0
        self._lost_in_a_row = 0
        self._declined = ("", 0)
        self.cancelled = False
        """Whether no more is asked, and nothing is waited for; may be set from any thread."""
        self.usage = Usage()
        """What has been spent so far."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Fields of a request that this endpoint does not know."""
        return tuple(self._left_out)

    def run(
        self, questions: Sequence[Question]
    ) -> Generator[Postponed | tuple[Question, ReplyT], None, None]:
        """Have questions answered: each reply when it is there, and what is waited for.

        Closing the generator ends all that is under way.

        Raises:
            EndpointError: The endpoint answers no question; all replies before have been told.
        """
        steps: queue.SimpleQueue[Postponed | tuple[Question, ReplyT] | Exception | None]
        steps = queue.SimpleQueue()
        closed = threading.Event()

        def work() -> None:
            try:
                with asyncio.Runner(loop_factory=Loop) as runner:
                    runner.run(self._ask_all(questions, steps, closed))
            except Exception as error:  # noqa: BLE001  # raised where it was asked for
                steps.put(error)
            finally:
                steps.put(None)

        thread = threading.Thread(target=work, name="endpoint", daemon=True)
        thread.start()
        try:
            while (step := steps.get()) is not None:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            closed.set()
            thread.join(timeout=_LONGEST_END)

    async def _ask_all(
        self,
        questions: Sequence[Question],
        steps: queue.SimpleQueue[Any],
        closed: threading.Event,
    ) -> None:
        """Ask the questions in their order, some at once; look at times whether to end."""
        waiting = iter(questions)
        async with Endpoint(self._address, self._settings, self._key, self._clock.date) as endpoint:
            tasks = {
                asyncio.create_task(self._ask_each(waiting, endpoint, steps))
                for _ in range(min(self._settings.concurrency, len(questions)))
            }
            running = tasks
            try:
                while running and not self.cancelled and not closed.is_set():
                    done, running = await asyncio.wait(
                        running, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_each(
        self,
        waiting: Iterator[Question],
        endpoint: Endpoint,
        steps: queue.SimpleQueue[Any],
    ) -> None:
        for question in waiting:
            await self._ask(question, endpoint, steps)

    async def _ask(
        self,
        question: Question,
        endpoint: Endpoint,
        steps: queue.SimpleQueue[Any],
    ) -> None:
        """Ask a question until there is a reply, or no hope of one.

        Raises:
            EndpointError: There is no hope for any other question either.
        """
        failures = 0
        while True:
            await self._limit.turn()
            answered = self._answered
            request = self._form.request(question, self._left_out)
            self.usage = msgspec.structs.replace(self.usage, requests=self.usage.requests + 1)
            outcome: EndpointOutcome = await endpoint.ask(json.dumps(request).encode())
            if isinstance(outcome, EndpointAnswer):
                found = self._form.read(outcome.body, question)
                if found is not None:
                    reply, cost = found
                    self._count(cost)
                    steps.put((question, reply))
                    return
                outcome = Again(why=f"What the endpoint {self._address.host} answered is no JSON.")
            match outcome:
                case Declined(why=why, words=words):
                    if self._leave_out(request, words):
                        continue
                    steps.put((question, self._form.failed(why)))
                    self._decline(why)
                    return
                case Again(why=why, after=after, limited=limited):
                    if not limited or answered == self._answered:
                        # A limit that lets others through is no failure.
                        failures += 1
                    if failures >= self._settings.attempts:
                        steps.put((question, self._form.failed(why)))
                        self._lost(why)
                        return
                    seconds = self._limit.backoff(failures) if after is None else after
                    steps.put(Postponed(seconds=seconds, why=why))
                    if after is None:
                        await self._clock.sleep(seconds)
                    else:
                        self._limit.hold(seconds)

    def _leave_out(self, request: Mapping[str, Any], words: str) -> bool:
        """Leave out of all further requests what the endpoint does not know of this one.

        Returns:
            Whether there is such a thing, so that the question may be asked again.
        """
        for name, named in self._form.unknown.items():
            if name in request and named.search(words[:_WORDS]):
                self._left_out[name] = None
                return True
        return False

    def _count(self, cost: ReplyCost) -> None:
        self._answered += 1
        self._lost_in_a_row = 0
        usage = self.usage
        self.usage = msgspec.structs.replace(
            usage,
            replies=usage.replies + 1,
            prompt_tokens=_sum(usage.prompt_tokens, cost.prompt_tokens),
            completion_tokens=_sum(usage.completion_tokens, cost.completion_tokens),
            untold=usage.untold + (None in (cost.prompt_tokens, cost.completion_tokens)),
        )

    def _decline(self, why: str) -> None:
        """Give up where each question from the first on is declined in the same words.

        Raises:
            EndpointError: So it is.
        """
        self._lost_in_a_row = 0
        before, count = self._declined
        self._declined = (why, count + 1 if why == before else 1)
        if not self._answered and self._declined[1] >= DECLINED_ALIKE:
            raise EndpointError(
                why,
                f"It says so to every question: look at {self._settings.service.model} and at how "
                "the endpoint was started.",
            )

    def _lost(self, why: str) -> None:
        """Give up where one question after the other is lost.

        Raises:
            EndpointError: So it is.
        """
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= LOST_IN_A_ROW:
            service = self._settings.service
            raise EndpointError(
                why, f"See that it runs and is well, then {service.again}: {service.kept}."
            )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)
