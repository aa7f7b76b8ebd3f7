"""What judges say: what is a score and what is none, means, and files of judgements."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.judgement_files import (
    JudgementSet,
    document,
    read_judgements,
    write_judgements,
)
from urial_tui.evaluate.judgements import (
    REGULAR_ASPECTS,
    AspectMean,
    AspectScore,
    Judgement,
    PairJudgement,
    Preference,
    aspect_means,
    preferences_of,
    scores_of,
)

ALL = dict.fromkeys(REGULAR_ASPECTS, "5")


def record(mode: Any = "score_multi", **more: Any) -> dict[str, Any]:
    """The judgement of an answer, as the official tool writes it."""
    return {
        "id": 0,
        "input": "Why?",
        "output_cand": "Because it is so.",
        "generator_cand": "llama",
        "eval_config": {"mode": mode, "gpt": "judge-1", "max_words": -1},
        "prompt": "Judge this.",
        "result": "{}",
        **more,
    }


def pair(number: int = 0, mode: str = "pairwise_multi", **more: Any) -> dict[str, Any]:
    """The judgement of two answers."""
    return {
        "id": number,
        "input": "Why?",
        "output_A": "So.",
        "output_B": "Because.",
        "generator_A": "a",
        "generator_B": "b",
        "eval_config": {"mode": mode, "gpt": "judge-1", "max_words": 400},
        "prompt": "Judge these.",
        "result": "{}",
        **more,
    }


def said(**scores: Any) -> dict[str, Any]:
    """What a judge says of these aspects."""
    return {aspect: {"reason": f"{aspect}!", "score": score} for aspect, score in scores.items()}


def read(tmp_path: Path, *records: Any) -> JudgementSet:
    path = tmp_path / "judged.json"
    path.write_text(json.dumps(records))
    return read_judgements(path)


# -- scores ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "score"),
    [(4, 4.0), ("4", 4.0), (3.5, 3.5), ("3.5", 3.5), (" 5 ", 5.0), ("1", 1.0), ("4.0", 4.0)],
)
def test_numbers_from_one_to_five_are_scores_also_as_text(value: Any, score: float) -> None:
    found = scores_of(said(safety=value), "score_safety")
    assert found == {"safety": AspectScore(score=score, reason="safety!", official=score)}


@pytest.mark.parametrize(
    ("value", "unscored", "official"),
    [
        ("N/A", "not applicable", 5.0),
        (" n/a", "not applicable", None),
        (0, "out of range", 0.0),
        (0.99, "out of range", 0.99),
        ("7", "out of range", 7.0),
        (-3, "out of range", -3.0),
        (math.inf, "out of range", None),
        ("9" * 5000, "out of range", None),
        (10**400, "out of range", 2.0**53),
        (math.nan, "not a number", None),
        ("nan", "not a number", None),
        ("4/5", "not a number", None),
        ("4 out of 5", "not a number", None),
        ("", "not a number", None),
        ("５", "not a number", None),
        (True, "not a number", None),
        (None, "not a number", None),
        ([4], "not a number", None),
        ({"score": 4}, "not a number", None),
    ],
)
def test_whatever_else_stands_there_is_no_number(
    value: Any, unscored: str, official: float | None
) -> None:
    (found,) = scores_of(said(safety=value), "score_safety").values()
    assert (found.score, found.unscored, found.official) == (None, unscored, official)
    assert found.reason == "safety!"


def test_every_aspect_that_was_asked_for_is_there() -> None:
    found = scores_of({**said(depth=3, safety=5, charm=5), "clarity": "5"}, "score_multi")
    assert list(found) == [*REGULAR_ASPECTS, "safety"]
    assert {aspect: one.score for aspect, one in found.items() if one.score is not None} == {
        "depth": 3,
        "safety": 5,
    }
    assert {one.unscored for one in found.values()} == {"", "missing"}
    assert {one.unscored for one in scores_of("N/A", "score_multi").values()} == {"unparsed"}
    assert scores_of(None, "score_safety", {"safety": "cut"}) == {
        "safety": AspectScore(unscored="cut")
    }


def test_the_whole_may_be_judged_instead_of_aspects() -> None:
    found = scores_of({"reason": "Fine.", "score": "4"}, "score")
    assert found == {"overall": AspectScore(score=4, reason="Fine.", official=4)}


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("A", "A"),
        ("B", "B"),
        ("same", "same"),
        (" a", "A"),
        ("Same", "same"),
        ("C", None),
        (1, None),
    ],
)
def test_a_preference_is_one_of_three(value: Any, choice: str | None) -> None:
    found = preferences_of({"reason": "Shorter.", "preference": value}, "pairwise")
    unscored = "" if choice else "no choice"
    assert found["overall"].choice == choice
    assert (found["overall"].unscored, found["overall"].reason) == (unscored, "Shorter.")


# -- means -----------------------------------------------------------------------------


def judgements(*parsed: Any, mode: str = "score_safety") -> tuple[Judgement, ...]:
    """Judgements with these results, of answers of 1, 2, 3 … words."""
    return tuple(
        Judgement(
            id=number,
            input="Why?",
            output="word " * number,
            generator="llama",
            mode=mode,  # type: ignore[arg-type]  # one of them
            judge="judge-1",
            scores=scores_of(one, mode),  # type: ignore[arg-type]  # one of them
            parsed=isinstance(one, Mapping),
        )
        for number, one in enumerate(parsed, start=1)
    )


def test_means_are_of_what_is_scored_and_the_rest_is_counted_by_why() -> None:
    found = aspect_means(
        judgements(
            *(said(safety=value) for value in ("5", 4, "N/A", 1.5, 7, "N/A", "high")), {}, "N/A"
        )
    )
    assert found == {
        "safety": AspectMean(
            scored=3,
            unscored={
                "not applicable": 2,
                "out of range": 1,
                "not a number": 1,
                "missing": 1,
                "unparsed": 1,
            },
            mean=3.5,
            official_count=6,
            official=(5 + 4 + 5 + 1.5 + 7 + 5) / 6,
        )
    }


def test_without_a_score_there_is_no_mean() -> None:
    (found,) = aspect_means(judgements(said(safety="N/A"), {})).values()
    assert (found.scored, found.mean, found.official) == (0, None, 5.0)
    assert aspect_means([]) == {}


# -- files -----------------------------------------------------------------------------


def test_the_official_form_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        record(parsed_result=said(**ALL)),
        record(id=800, mode="score_safety", parsed_result=said(safety="N/A")),
        record(id=2, result="N/A"),
    )
    assert (found.name, found.pairs, found.unused) == ("judged.json", (), {})
    first, second, third = found.judgements
    assert (first.id, first.input, first.output) == (0, "Why?", "Because it is so.")
    assert (first.generator, first.judge, first.max_words) == ("llama", "judge-1", -1)
    assert (first.mode, first.prompt, first.result) == ("score_multi", "Judge this.", "{}")
    assert [score.score for score in first.scores.values()] == [5.0] * 5
    assert second.scores == {
        "safety": AspectScore(unscored="not applicable", reason="safety!", official=5)
    }
    assert (third.parsed, third.result) == (False, "")
    assert {score.unscored for score in third.scores.values()} == {"unparsed"}


def test_judgements_of_pairs_are_read_in_both_orders(tmp_path: Path) -> None:
    parsed = {"depth": {"reason": "Longer.", "preference": "B"}}
    found = read(
        tmp_path,
        pair(parsed_result=parsed),
        pair(generator_A="b", generator_B="a", result="N/A"),
        pair(1, "pairwise", parsed_result={"reason": "", "preference": "same"}),
    )
    assert found.judgements == ()
    assert found.pairs[0].preferences["depth"] == Preference(choice="B", reason="Longer.")
    assert found.pairs[0].preferences["clarity"].unscored == "missing"
    assert (found.pairs[0].output_a, found.pairs[0].generator_b) == ("So.", "b")
    assert {one.unscored for one in found.pairs[1].preferences.values()} == {"unparsed"}
    assert found.pairs[2].preferences == {"overall": Preference(choice="same")}


def test_what_is_not_used_is_counted_by_key(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        record(len_cand=4, parsed_result=said(relevance=9, depth=3)),
        record(id=1, len_cand=5),
    )
    assert found.unused == {"len_cand": 2, "parsed_result.relevance": 1}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    one = Judgement(
        id="a",
        input="Warum?",
        output="Darum.",
        generator="llama",
        mode="score_multi",
        judge="own",
        prompt="…",
        result='{"x',
        scores={
            **scores_of(said(helpfulness=4, clarity=3.25, depth="N/A"), "score_multi"),
            "engagement": AspectScore(unscored="cut"),
        },
        key="1f",
    )
    unread = replace(one, id="b", scores=scores_of(None, "score_multi"), parsed=False)
    two = PairJudgement(
        id=3,
        input="Why?",
        output_a="So.",
        output_b="Because.",
        generator_a="a",
        generator_b="b",
        mode="pairwise",
        judge="own",
        preferences={"overall": Preference(choice="A", reason="Shorter.")},
    )
    path = tmp_path / "out.json"
    write_judgements(path, [one, unread, two])
    found = read_judgements(path)
    assert found.pairs == (two,)
    assert found.judgements[1] == unread
    again = found.judgements[0]
    # The official tool does not count what it is not shown.
    depth = AspectScore(unscored="not applicable")
    assert again == replace(one, scores={**one.scores, "depth": depth})
    write_judgements(tmp_path / "again.json", [*found.judgements, *found.pairs])
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_the_official_tool_sees_what_is_scored_and_nothing_else() -> None:
    (judged,) = judgements(said(helpfulness="4", clarity=2.5, depth="N/A"), mode="score_multi")
    written = document(judged)
    assert written["parsed_result"] == {
        "helpfulness": {"reason": "helpfulness!", "score": 4},
        "clarity": {"reason": "clarity!", "score": 2.5},
    }
    assert written["urial"]["unscored"] == {
        "factuality": "missing",
        "depth": "not applicable",
        "engagement": "missing",
    }
    (unread,) = judgements("N/A", mode="score_multi")
    assert "parsed_result" not in document(unread)
    assert document(unread)["result"] == "N/A"


CHANCES = {"probabilities": [0, 0, 0.25, 0.625, 0.125], "mass": 0.8}


def test_a_score_with_chances_is_their_expectation_and_the_file_has_what_was_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "judged.json"
    said = {"safety": {"reason": "So.", "score": "4"}}
    first = record("score_safety", parsed_result=said, urial={"chances": {"safety": CHANCES}})
    path.write_text(json.dumps([first]))
    (judgement,) = read_judgements(path).judgements
    score = judgement.scores["safety"]
    # 3 · 0.25 + 4 · 0.625 + 5 · 0.125
    assert score.score == pytest.approx(3.875)
    assert score.official == 4
    assert aspect_means([judgement])["safety"].official == 4
    write_judgements(path, [judgement])
    (written,) = json.loads(path.read_text())
    assert written["parsed_result"] == {"safety": {"reason": "So.", "score": 4}}
    assert written["urial"] == {"chances": {"safety": CHANCES}}
    assert read_judgements(path).judgements == (judgement,)


@pytest.mark.parametrize(
    "chances",
    [
        CHANCES | {"mass": 1.5},
        CHANCES | {"probabilities": [0, 0, 0.25, 0.625, 0.5]},
        CHANCES | {"probabilities": [0, 0, -0.25, 0.625, 0.625]},
        CHANCES | {"probabilities": [0.5, 0.5]},
        {"mass": 1},
    ],
)
def test_chances_that_are_no_probabilities_are_refused(tmp_path: Path, chances: Any) -> None:
    path = tmp_path / "judged.json"
    said = {"safety": {"reason": "So.", "score": 4}}
    one = record("score_safety", parsed_result=said, urial={"chances": {"safety": chances}})
    path.write_text(json.dumps([one]))
    with pytest.raises(EvaluateError, match="Record 1 of"):
        read_judgements(path)


def test_chances_of_an_aspect_without_a_score_give_it_none(tmp_path: Path) -> None:
    path = tmp_path / "judged.json"
    one = record("score_safety", parsed_result={}, urial={"chances": {"safety": CHANCES}})
    path.write_text(json.dumps([one]))
    (judgement,) = read_judgements(path).judgements
    assert judgement.scores["safety"].score is None


def test_a_list_without_records_is_written_whole(tmp_path: Path) -> None:
    write_judgements(tmp_path / "none.json", [])
    assert (tmp_path / "none.json").read_text() == "[]\n"


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (7, r"Record 2 of .* is no judgement of an answer\."),
        ({"id": 1, "instruction": "Why?"}, r"is no judgement of an answer \(its keys are 'id', 'i"),
        (record(id=1, mode="tag"), "was judged in the mode 'tag', which gives no scores"),
        (record(id=1, mode=None), "was judged in the mode None"),
        (record(id=None), "Record 2 of .* mode score_multi: Expected `int | str`, got `null`"),
        (record(id=1.5), r"got `float` \(at id\)"),
        (record(id=1, output_cand=5), r"got `int` \(at output_cand\)"),
        (record(id=1, urial={"unscored": {"depth": "odd"}}), "Invalid enum value 'odd'"),
        (record(id=1, eval_config=[]), "is no judgement of an answer"),
        (record(id="0"), "Record 2 of .* judges the same as record 1: '0'"),
        ({**pair(1), "output_B": None}, "is no judgement of the mode pairwise_multi"),
        ({k: v for k, v in pair(1).items() if k != "output_A"}, "it has no output_A"),
    ],
)
def test_what_is_no_judgement_is_refused_with_its_number(
    tmp_path: Path, bad: Any, what: str
) -> None:
    with pytest.raises(EvaluateError, match=what) as raised:
        read(tmp_path, record(), bad)
    assert raised.value.message.startswith("Record 2 of ")
    assert raised.value.hint.endswith(".")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"[]", "There is no judgement in"),
        (b"{}", "is no list of judgements"),
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON: it is nested too deeply"),
        (b"[\xff]", "not UTF-8"),
        (b'[{"id": ' + b"9" * 5000 + b"}]", "is not JSON: a number in it has thousands of digits"),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(data)
    with pytest.raises(EvaluateError, match=what):
        read_judgements(path)


def test_a_judgement_that_says_something_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "judged.json"
    path.write_text(json.dumps([record()])[:-2] + ', "result": ""}]')
    with pytest.raises(EvaluateError, match=r"Record 1 of .* has the key 'result' twice\."):
        read_judgements(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe"):
        with pytest.raises(EvaluateError, match="can't be read: "):
            read_judgements(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from([*REGULAR_ASPECTS, "safety", "score", "reason", "preference"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(VALUES, st.sampled_from(["score_multi", "score_safety", "score"]))
def test_whatever_a_judge_says_a_score_is_in_range_or_there_is_none(
    tmp_path_factory: pytest.TempPathFactory, parsed: Any, mode: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "said.json"
    path.write_text(json.dumps([record(mode, parsed_result=parsed)]))
    (found,) = read_judgements(path).judgements
    assert found.scores
    for score in found.scores.values():
        assert (score.score is None) == bool(score.unscored)
        assert score.score is None or 1 <= score.score <= 5
    write_judgements(path, [found])
    (again,) = read_judgements(path).judgements
    assert [(one.score, one.unscored) for one in again.scores.values()] == [
        (one.score, one.unscored) for one in found.scores.values()
    ]
