"""The questions for any judge, and the judgements that its replies make.

A local model and an endpoint get the same questions. A reply that was cut, refused or could not be
had makes a judgement without scores, and says why; so does one that can't be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from urial_tui.evaluate.aspects import aspects_of
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judge_prompts import (
    JudgePrompt,
    pair_prompt,
    pair_schema,
    score_prompt,
    score_schema,
)
from urial_tui.evaluate.judgement_text import judgement_object
from urial_tui.evaluate.judgements import (
    Aspect,
    Chances,
    Judgement,
    Mode,
    PairJudgement,
    Unscored,
    preferences_of,
    scores_of,
    with_chances,
)
from urial_tui.evaluate.outputs import Output

Judged = Judgement | PairJudgement


class JudgeQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement that is wanted. `asked`: it, with no scores yet."""

    asked: Judged
    aspects: tuple[Aspect, ...]
    prompt: JudgePrompt

    @property
    def schema(self) -> str:
        """The JSON schema of the reply."""
        single = isinstance(self.asked, Judgement)
        return json.dumps(score_schema(self.aspects) if single else pair_schema(self.aspects))


class JudgeReply(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge has written.

    `trouble`: why it is no judgement: "cut", "refused" or "failed". `detail`: more of that, a
    sentence. `chances`: of the scores, where they are known.
    """

    text: str = ""
    trouble: Unscored = ""
    detail: str = ""
    chances: Mapping[Aspect, Chances] = {}


def score_questions(outputs: Sequence[Output], judge: str) -> list[JudgeQuestion]:
    """Ask for the scores of each answer: of safety items for safety, of others for the rest.

    Of an item with several turns the last answer is judged, behind those before.

    Args:
        outputs: The answers of a run.
        judge: What the judge is called in the file.
    """
    return [_score_question(output, judge) for output in outputs]


def pair_questions(
    first: Sequence[Output], second: Sequence[Output], judge: str
) -> list[JudgeQuestion]:
    """Ask which of two answers is the better one, in both orders, for the items that both have.

    Args:
        first, second: The answers of two runs.
        judge: What the judge is called in the file.

    Raises:
        EvaluateError: They share no item, or ask different things under one id.
    """
    others = {str(output.id): output for output in second}
    questions: list[JudgeQuestion] = []
    for one in first:
        other = others.get(str(one.id))
        if other is None:
            continue
        if [each.instruction for each in one.exchanges] != [
            each.instruction for each in other.exchanges
        ]:
            raise EvaluateError(
                f"The two runs have answered different questions under the id {one.id}.",
                "Name two runs over the same items.",
            )
        questions.append(_pair_question(one, other, judge))
        last = one.exchanges[-1].output, other.exchanges[-1].output
        if one.generator != other.generator or last[0] != last[1]:
            questions.append(_pair_question(other, one, judge))
    if not questions:
        raise EvaluateError(
            "The two runs have no item in common.", "Name two runs over the same items."
        )
    return questions


def concluded(question: JudgeQuestion, reply: JudgeReply, key: str) -> Judged:
    """The judgement that a reply makes.

    Args:
        question: What was asked.
        reply: What was written.
        key: What the judgement depends on, as a hash.
    """
    found = None if reply.trouble else judgement_object(reply.text, question.aspects)
    why: dict[Aspect, Unscored] = dict.fromkeys(question.aspects, reply.trouble or "unparsed")
    said: Any
    asked = question.asked
    known = {"result": reply.text, "parsed": found is not None, "key": key}
    if isinstance(asked, Judgement):
        said = scores_of(found, asked.mode, why if found is None else None)
        return msgspec.structs.replace(asked, scores=with_chances(said, reply.chances), **known)
    said = preferences_of(found, asked.mode, why if found is None else None)
    return msgspec.structs.replace(asked, preferences=said, **known)


def is_scored(judgement: Judged) -> bool:
    """Whether it says something of every aspect, so that it need not be asked again."""
    said: Mapping[Aspect, Any]
    said = judgement.scores if isinstance(judgement, Judgement) else judgement.preferences
    return bool(said) and not any(one.unscored for one in said.values())


def _score_question(output: Output, judge: str) -> JudgeQuestion:
    aspects = aspects_of(output.category)
    mode: Mode = "score_safety" if output.category == "safety" else "score_multi"
    prompt = score_prompt(output.exchanges, aspects)
    last = output.exchanges[-1]
    asked = Judgement(
        id=output.id,
        input=last.instruction,
        output=last.output,
        generator=output.generator,
        mode=mode,
        judge=judge,
        prompt=prompt.text,
        scores={},
    )
    return JudgeQuestion(asked=asked, aspects=aspects, prompt=prompt)


def _pair_question(shown_a: Output, shown_b: Output, judge: str) -> JudgeQuestion:
    aspects = aspects_of(shown_a.category)
    exchanges = [
        (a.instruction, a.output, b.output)
        for a, b in zip(shown_a.exchanges, shown_b.exchanges, strict=True)
    ]
    prompt = pair_prompt(exchanges, aspects)
    request, answer_a, answer_b = exchanges[-1]
    asked = PairJudgement(
        id=shown_a.id,
        input=request,
        output_a=answer_a,
        output_b=answer_b,
        generator_a=shown_a.generator,
        generator_b=shown_b.generator,
        mode="pairwise_safety" if shown_a.category == "safety" else "pairwise_multi",
        judge=judge,
        prompt=prompt.text,
        preferences={},
    )
    return JudgeQuestion(asked=asked, aspects=aspects, prompt=prompt)
