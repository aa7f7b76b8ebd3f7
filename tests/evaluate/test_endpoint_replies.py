"""What a judge behind an endpoint is asked, and what is read from its replies."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.evaluate.endpoint_runs import KEY, Run, output, questions
from tests.evaluate.scripted_endpoint import SCORED, Act, ScriptedEndpoint, completion, reply, sent
from urial_tui.evaluate.endpoint_asking import Usage
from urial_tui.evaluate.endpoint_judge import TOP
from urial_tui.evaluate.judge import JudgeReply, concluded, is_scored, pair_questions
from urial_tui.evaluate.judgements import Judgement, Unscored

# -- what is asked ---------------------------------------------------------------------


def test_a_judgement_is_asked_for_in_its_form_at_temperature_0_with_its_chances() -> None:
    with ScriptedEndpoint() as endpoint:
        (question,) = questions(1)
        run = Run(endpoint, [question], key=KEY)
    assert run.replies == [JudgeReply(text=SCORED)]
    (asked,) = endpoint.requests
    assert asked == {
        "model": "big",
        "messages": [{"role": "user", "content": question.prompt.text}],
        "temperature": 0,
        "max_tokens": 280,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "judgement", "schema": json.loads(question.schema)},
        },
        "logprobs": True,
        "top_logprobs": TOP,
    }
    (headers,) = endpoint.headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["accept-encoding"] == "identity"
    assert "cookie" not in headers


def test_without_a_key_none_is_sent() -> None:
    with ScriptedEndpoint() as endpoint:
        Run(endpoint, questions(1), logprobs=False, reply_tokens=4000)
    assert "authorization" not in endpoint.headers[0]
    assert "logprobs" not in endpoint.requests[0]
    assert "top_logprobs" not in endpoint.requests[0]
    assert endpoint.requests[0]["max_tokens"] == 4000


def test_pairs_are_asked_in_both_orders_and_without_chances() -> None:
    asked = pair_questions([output(1)], [output(1, generator="other")], "judge")
    said = '{"safety": {"reason": "Both decline.", "preference": "same"}}'
    with ScriptedEndpoint(then=reply(said)) as endpoint:
        run = Run(endpoint, asked)
    assert [answer.text for answer in run.replies] == [said, said]
    assert not any("logprobs" in request for request in endpoint.requests)


# -- what a judge may write ------------------------------------------------------------


WRITTEN: list[tuple[str, float | None, Unscored]] = [
    (SCORED, 4, ""),
    (f"Here it is:\n```json\n{SCORED}\n```\nI hope this helps!", 4, ""),
    ('{"score":"3"}', 3, ""),
    ("Score: 4/5", None, "unparsed"),
    ('{"score":7}', None, "out of range"),
    (f"{SCORED} {SCORED}", None, "unparsed"),
    ('{"score": 4, "score": 5}', None, "unparsed"),
    (SCORED[:30], None, "unparsed"),
    ("", None, "unparsed"),
    ('{"score": "N/A"}', None, "not applicable"),
]


def test_what_is_no_score_is_unscored_and_is_not_asked_again() -> None:
    with ScriptedEndpoint(*(reply(text) for text, _, _ in WRITTEN)) as endpoint:
        run = Run(endpoint, questions(len(WRITTEN)))
        judged = [
            concluded(question, answer, "k")
            for question, answer in zip(run.questions, run.replies, strict=True)
        ]
    scores = [one.scores["safety"] for one in judged if isinstance(one, Judgement)]
    assert [(one.score, one.unscored) for one in scores] == [(s, u) for _, s, u in WRITTEN]
    assert sum(map(is_scored, judged)) == 3
    assert len(endpoint.requests) == len(WRITTEN)
    assert run.waits == []
    assert run.judge.usage.requests == run.judge.usage.replies == len(WRITTEN)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(SCORED[:20], finish="length"), JudgeReply(text=SCORED[:20], trouble="cut")),
        (reply(None, finish="length"), JudgeReply(trouble="cut")),
        (
            reply("", finish="content_filter"),
            JudgeReply(trouble="refused", detail="The endpoint filtered the reply."),
        ),
        (
            reply(None, refusal="I \x1b[31mwon't."),
            JudgeReply(
                text="I \x1b[31mwon't.",
                trouble="refused",
                detail='The judge refused: "I \\x1b[31mwon\'t.".',
            ),
        ),
        (reply("\ud83d Fine."), JudgeReply(text="\ufffd Fine.")),
        (reply(None), JudgeReply(text="")),
        (reply(finish=None), JudgeReply(text=SCORED)),
        (
            sent(json.dumps(completion()), headers={"Content-Type": "text/html"}),
            JudgeReply(text=SCORED),
        ),
    ],
)
def test_how_a_reply_ended_is_told(answer: Act, expected: JudgeReply) -> None:
    with ScriptedEndpoint(answer) as endpoint:
        run = Run(endpoint, questions(1))
        assert run.replies == [expected]
        assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "null",
        '"text"',
        '{"choices": []}',
        '{"choices": null}',
        '{"choices": {}}',
        '{"choices": [{}]}',
        '{"choices": [{"message": null}]}',
        '{"choices": [{"message": {"content": 5}}]}',
        '{"choices": [{"message": {"content": ["a"]}}]}',
        '{"error": {"message": "overloaded"}}',
    ],
)
def test_an_answer_without_a_reply_is_a_failure_that_is_not_asked_again(body: str) -> None:
    with ScriptedEndpoint(sent(body)) as endpoint:
        run = Run(endpoint, questions(2))
        assert run.unscored() == ["failed", ""]
        assert run.replies[0].detail
        assert len(endpoint.requests) == 2


# -- what it costs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "read", "written", "untold"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}, 200, 40, 0),
        ({"prompt_tokens": 100}, 200, None, 2),
        (None, None, None, 2),
        ({}, None, None, 2),
        ("much", None, None, 2),
        ({"prompt_tokens": -1, "completion_tokens": 20}, None, None, 2),
        ({"prompt_tokens": 1.5, "completion_tokens": 20}, None, None, 2),
        ({"prompt_tokens": True, "completion_tokens": 20}, None, None, 2),
        ({"prompt_tokens": 10**30, "completion_tokens": 20}, None, None, 2),
    ],
)
def test_tokens_are_those_that_the_endpoint_tells_and_else_unknown(
    usage: object, read: int | None, written: int | None, untold: int
) -> None:
    with ScriptedEndpoint(then=reply(usage=usage)) as endpoint:
        run = Run(endpoint, questions(2))
    assert run.unscored() == ["", ""]
    assert run.judge.usage == Usage(
        requests=2, replies=2, prompt_tokens=read, completion_tokens=written, untold=untold
    )


def test_a_reply_without_a_count_is_in_no_sum() -> None:
    told = reply(usage={"prompt_tokens": 100, "completion_tokens": 20})
    with ScriptedEndpoint(told, reply(), told) as endpoint:
        run = Run(endpoint, questions(3))
    assert run.judge.usage == Usage(
        requests=3, replies=3, prompt_tokens=200, completion_tokens=40, untold=1
    )


# -- chances ---------------------------------------------------------------------------

HEAD = '{"safety": {"reason": "So it is.", "score": '


def token(text: str, others: dict[str, float] | None = None, *, raw: bool = False) -> Any:
    """A token that was written, with what else it could have been."""
    row = others or {text: 1.0}
    return {
        "token": text,
        "logprob": math.log(row[text]),
        "bytes": list(text.encode()) if raw else None,
        "top_logprobs": [
            {"token": each, "logprob": math.log(p), "bytes": list(each.encode()) if raw else None}
            for each, p in row.items()
        ],
    }


def tokens_of(*, raw: bool = False) -> list[Any]:
    row = {"4": 0.5, "3": 0.25, "7": 0.125, "x": 0.125}
    return [token(HEAD, raw=raw), token("4", row, raw=raw), token("}}", raw=raw)]


def chances(text: str, tokens: object, *, safety: bool = True) -> JudgeReply:
    with ScriptedEndpoint(reply(text, logprobs={"content": tokens})) as endpoint:
        run = Run(endpoint, questions(1, safety=safety))
    (found,) = run.replies
    assert found.text == text
    return found


@pytest.mark.parametrize("raw", [False, True])
def test_the_score_is_the_expectation_where_the_chances_are_told(raw: bool) -> None:
    found = chances(HEAD + "4}}", tokens_of(raw=raw))
    told = found.chances["safety"]
    assert told.mass == pytest.approx(0.75)
    assert told.probabilities == pytest.approx((0, 0, 1 / 3, 2 / 3, 0))
    judgement = concluded(questions(1)[0], found, "k")
    assert isinstance(judgement, Judgement)
    # (4 · 0.5 + 3 · 0.25) / 0.75
    assert judgement.scores["safety"].score == pytest.approx(11 / 3)
    assert judgement.scores["safety"].official == 4


def test_thoughts_before_a_judgement_and_the_token_behind_it_are_no_part_of_it() -> None:
    thought = token('<think>I would write "score": 1, perhaps.</think>\n')
    found = chances(HEAD + "4}}", [thought, *tokens_of(), token("<|im_end|>")])
    assert found.chances["safety"].probabilities == pytest.approx((0, 0, 1 / 3, 2 / 3, 0))


def test_a_character_may_be_written_by_several_tokens() -> None:
    head = '{"safety": {"reason": "Très bien.", "score": '
    place = head.encode().index("è".encode()) + 1
    parts = [head.encode()[:place], head.encode()[place:]]
    split = [
        {"token": "�", "logprob": -0.1, "bytes": list(part), "top_logprobs": []} for part in parts
    ]
    found = chances(head + "4}}", [*split, *tokens_of()[1:]])
    assert found.chances["safety"].mass == pytest.approx(0.75)


TWICE = f"{HEAD}4}}}} {HEAD}4}}}}"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (HEAD + "4}}", None),
        (HEAD + "4}}", []),
        (HEAD + "4}}", {}),
        (HEAD + "4}}", [{"token": HEAD + "4}}"}]),
        (HEAD + "4}}", [{"token": HEAD + "4}}", "logprob": "0"}]),
        (HEAD + "4}}", [{"token": HEAD + "4}}", "logprob": 700.0}]),
        (HEAD + "4}}", [{"token": HEAD + "4}}", "logprob": 0.0, "bytes": [300]}]),
        (HEAD + "5}}", tokens_of()),
        (HEAD + "4}}", [*tokens_of(), *tokens_of()]),
        (TWICE, [*tokens_of(), token(" "), *tokens_of()]),
        ('As said, "score": 4, {"score": 4}', [token('As said, "score": 4, {"score": 4}')]),
        ('{"score": "4"}', [token('{"score": "4"}')]),
        ("", []),
    ],
)
def test_chances_that_do_not_belong_to_the_reply_are_none(text: str, tokens: object) -> None:
    assert chances(text, tokens).chances == {}


def by_aspect(*scores: tuple[str, int]) -> tuple[str, list[Any]]:
    parts: list[str] = []
    for name, score in scores:
        parts += [f'{", " if parts else "{"}"{name}": {{"reason": "r", "score": ', str(score), "}"]
    parts.append("}")
    return "".join(parts), [token(part) for part in parts]


def test_each_aspect_has_its_own_chances_if_they_come_in_their_order() -> None:
    asked = [("helpfulness", 5), ("clarity", 4), ("factuality", 3), ("depth", 2), ("engagement", 1)]
    found = chances(*by_aspect(*asked), safety=False)
    assert {name: told.expected for name, told in found.chances.items()} == dict(asked)
    assert chances(*by_aspect(*reversed(asked)), safety=False).chances == {}
    assert chances(*by_aspect(*asked[:4]), safety=False).chances == {}
    more = by_aspect(("politeness", 1), *asked)
    assert chances(*more, safety=False).chances == {}
