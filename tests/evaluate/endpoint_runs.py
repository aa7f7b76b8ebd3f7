"""Runs of a judge behind a scripted endpoint, and what they told."""

from __future__ import annotations

from typing import Any

from tests.evaluate.scripted_endpoint import QuickClock, ScriptedEndpoint
from urial_tui.evaluate.endpoint import EndpointSettings
from urial_tui.evaluate.endpoint_judge import EndpointJudge
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge import JudgeQuestion, JudgeReply, concluded, score_questions
from urial_tui.evaluate.judgements import Judgement, Unscored
from urial_tui.evaluate.outputs import AnsweredTurn, Output
from urial_tui.evaluate.rate_limit import Clock, Postponed

KEY = "sk-not-to-be-seen"


def output(number: int, *, safety: bool = True, generator: str = "tiny") -> Output:
    return Output(
        id=number,
        exchanges=(AnsweredTurn(instruction=f"Question {number}?", output=f"Answer {number}."),),
        generator=generator,
        category="safety" if safety else "regular",
    )


def questions(count: int, *, safety: bool = True) -> list[JudgeQuestion]:
    return score_questions([output(number, safety=safety) for number in range(count)], "judge")


class Run:
    """A run that has ended: what it told, and what it cost."""

    def __init__(
        self,
        endpoint: ScriptedEndpoint,
        asked: list[JudgeQuestion],
        *,
        key: str | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or QuickClock()
        self.replies: list[JudgeReply] = []
        self.questions: list[JudgeQuestion] = []
        self.waits: list[Postponed] = []
        self.error: EvaluateError | None = None
        chosen = {"url": endpoint.url, "model": "big", "concurrency": 1, **settings}
        self.judge = EndpointJudge(EndpointSettings(**chosen), key, self.clock)
        try:
            for step in self.judge.run(asked):
                if isinstance(step, Postponed):
                    self.waits.append(step)
                else:
                    self.questions.append(step[0])
                    self.replies.append(step[1])
        except EvaluateError as found:
            self.error = found

    @property
    def slept(self) -> list[float]:
        assert isinstance(self.clock, QuickClock)
        return self.clock.slept

    def unscored(self) -> list[Unscored]:
        found = []
        for question, answer in zip(self.questions, self.replies, strict=True):
            judgement = concluded(question, answer, "k")
            assert isinstance(judgement, Judgement)
            found.append(judgement.scores["safety"].unscored)
        return found
