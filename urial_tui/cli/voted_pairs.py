"""The votes of the chat as judgements of pairs, and as pairs to be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import click

from urial_tui.chat.store import Store
from urial_tui.chat.votes import Vote
from urial_tui.evaluate.blind_judging import VOTERS
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judgements import PairChoice, PairJudgement, Preference
from urial_tui.evaluate.outputs import AnsweredTurn, Output
from urial_tui.wording import amount

_CHOICES: dict[str, PairChoice] = {"left": "A", "right": "B", "tie": "same", "neither": "same"}


class Voted(NamedTuple):
    """Votes on first questions whose answers are still there, and how many others there are.

    `left`, `right`: the answers, as outputs of who wrote them. `judgements`: what was voted.
    """

    left: tuple[Output, ...]
    right: tuple[Output, ...]
    judgements: tuple[PairJudgement, ...]
    others: int


def voted_pairs() -> Voted:
    """The stored votes.

    Raises:
        EvaluateError: There is none whose answers are still there.
        StoreError: The conversations can't be read.
    """
    with Store() as store:
        votes, texts = store.votes(), store.voted_texts()
    left: list[Output] = []
    right: list[Output] = []
    judgements: list[PairJudgement] = []
    for vote in votes:
        found = _texts(vote, texts)
        if found is None:
            continue
        question, answer_a, answer_b = found
        left.append(_output(vote, question, answer_a, str(vote.left)))
        right.append(_output(vote, question, answer_b, str(vote.right)))
        judgements.append(
            PairJudgement(
                id=str(vote.id),
                input=question,
                output_a=answer_a,
                output_b=answer_b,
                generator_a=str(vote.left),
                generator_b=str(vote.right),
                mode="pairwise",
                judge=VOTERS,
                preferences={"overall": Preference(choice=_CHOICES[vote.choice])},
            )
        )
    if not judgements:
        raise EvaluateError(
            "There are no votes on first questions whose answers are still stored.",
            "The terminal app sets two answers side by side, to vote on.",
        )
    return Voted(tuple(left), tuple(right), tuple(judgements), len(votes) - len(judgements))


def left_out(votes: int) -> str:
    """What is said of votes that are of no use here."""
    return (
        f"Left out: {amount(votes, 'vote')} on answers that are gone, or on later questions of a "
        "conversation."
    )


def voted_judgements() -> tuple[PairJudgement, ...]:
    """What was voted; of votes that are of no use it is said how many they are.

    Raises:
        EvaluateError: As `voted_pairs`.
        StoreError: As `voted_pairs`.
    """
    voted = voted_pairs()
    if voted.others:
        click.echo(f"urial: {left_out(voted.others)}", err=True)
    return voted.judgements


def _texts(vote: Vote, texts: Mapping[int, tuple[int | None, str]]) -> tuple[str, str, str] | None:
    """Question and answers; what a later question refers to, a judge would not see."""
    found = [texts.get(turn or 0) for turn in (vote.question_id, vote.left_id, vote.right_id)]
    there = [text for text in found if text is not None]
    if len(there) < len(found) or there[0][0] is not None:
        return None
    (_, question), (_, answer_a), (_, answer_b) = there
    return question, answer_a, answer_b


def _output(vote: Vote, question: str, answer: str, generator: str) -> Output:
    exchange = AnsweredTurn(instruction=question, output=answer)
    return Output(id=str(vote.id), exchanges=(exchange,), generator=generator)
