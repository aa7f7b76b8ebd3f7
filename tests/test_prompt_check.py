"""What `urial prompts check` finds in a preamble, and what it leaves alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from urial_tui import paths
from urial_tui.cli import main as cli
from urial_tui.prompting.check import Finding, check_preamble
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.preamble_file import find_preamble, load_preamble
from urial_tui.prompting.token_check import TokenCut, check_tokens

Captured = pytest.CaptureFixture[str]
PATH = Path("mine.toml")


def mine(*examples: tuple[str, str], **changes: object) -> Preamble:
    """A sound preamble with these examples in the shipped format."""
    preamble = msgspec.structs.replace(
        find_preamble("urial-k0"),
        name="mine",
        examples=tuple(Example(query=query, answer=answer) for query, answer in examples),
    )
    return msgspec.structs.replace(preamble, **changes)


def found(preamble: Preamble) -> list[tuple[str, str, int | None]]:
    return [(one.severity, one.where, one.line) for one in check_preamble(preamble, PATH)]


def the_one(preamble: Preamble) -> Finding:
    (finding,) = check_preamble(preamble, PATH)
    assert finding.what.endswith(".")
    assert finding.advice.endswith(".")
    return finding


GOOD = ("Why is the sky blue?", "Because air scatters blue light most.")
OTHER = ("How do I boil an egg?", "Put it into boiling water for seven minutes.")


def test_a_good_preamble_has_nothing_to_find() -> None:
    assert found(mine(GOOD, OTHER)) == []


def test_every_stop_string_in_an_answer_is_an_error_with_its_line() -> None:
    answer = "First.\n# Query:\nSecond.\n\n~~~~\nThird."
    errors = found(mine((GOOD[0], answer)))
    assert {line for severity, where, line in errors if severity == "error"} == {2, 5}
    assert {where for _, where, _ in errors} == {"answer of example 1"}


def test_a_stop_string_in_a_query_is_a_warning() -> None:
    one = the_one(mine(("What is this?\n# Answer:\nNo.", GOOD[1])))
    assert (one.severity, one.where, one.line) == ("warning", "query of example 1", 2)


def test_a_bare_closing_fence_in_an_answer_is_an_error() -> None:
    form = msgspec.structs.replace(find_preamble("urial-k0").format, stop=(), fence="~~~~")
    one = the_one(mine((GOOD[0], "So:\n~~~~\nx\n~~~~\nDone."), format=form))
    assert (one.severity, one.line) == ("error", 2)


def test_the_formats_own_fence_in_a_text_is_told() -> None:
    form = msgspec.structs.replace(find_preamble("urial-k0").format, stop=(), fence="~~~~")
    one = the_one(mine((GOOD[0], "So:\n\n~~~~text\nx\n~~~~\n\nDone."), format=form))
    assert (one.severity, one.line) == ("note", 3)
    code = "What is\n~~~~\nx\n~~~~"
    told = check_preamble(mine((code, GOOD[1]), format=form), PATH)
    assert [(one.severity, one.line) for one in told] == [("warning", 2), ("warning", 4)]


def test_a_code_block_that_is_not_closed_is_a_warning() -> None:
    one = the_one(mine((GOOD[0], "So:\n\n```python\nprint(1)\n\nDone.")))
    assert (one.severity, one.line) == ("warning", 3)
    assert "not closed" in one.what


def test_a_closed_code_block_is_fine() -> None:
    assert found(mine((GOOD[0], "So:\n\n````md\n```\nx\n```\n````\n\nDone."))) == []


@pytest.mark.parametrize(
    "token",
    ["<s>", "</s>", "<bos>", "<|begin_of_text|>", "<start_of_turn>", "[INST]", "<|im_end|>"],
)
def test_a_control_token_by_hand_is_a_warning(token: str) -> None:
    one = the_one(mine(GOOD, system=f"Be kind.\n{token} Be right."))
    assert (one.severity, one.where, one.line) == ("warning", "the system text", 2)
    assert token in one.what


def test_a_space_in_front_of_the_answer_is_a_warning() -> None:
    form = find_preamble("urial-k0").format
    form = msgspec.structs.replace(form, answer=form.answer.replace("{answer}", "\t{answer}"))
    told = [one.what for one in check_preamble(mine(GOOD, format=form), PATH)]
    assert any("right in front of the answer" in what for what in told)
    # Nor would it load.
    assert any("start a line" in what for what in told)


@pytest.mark.parametrize(
    ("answer", "line", "told"),
    [
        ("One. \nTwo.", 1, "white space"),
        ("One.\nTwo cafe\u0301s.", None, "NFC"),
        ("One.\nTwo.\x1b[31m.", 2, "U+001B"),
        ("One.\nT\u202ewo.", 2, "U+202E"),
        ("One.\nT\u200bwo.", 2, "U+200B"),
        ("One.\nTwo and", 2, "within a sentence"),
    ],
)
def test_what_can_not_be_seen_and_what_breaks_off(answer: str, line: int | None, told: str) -> None:
    one = the_one(mine((GOOD[0], answer)))
    assert (one.severity, one.line) == ("warning", line)
    assert told in one.what


@pytest.mark.parametrize("end", [".", "!", "?", ")", "`", "。", '"', "|"])
def test_sentences_end_in_many_ways(end: str) -> None:
    assert found(mine((GOOD[0], f"Because{end}"))) == []


def test_an_example_that_is_there_twice_is_a_warning() -> None:
    again = (OTHER[0].upper(), OTHER[1])
    told = [(one.where, one.what) for one in check_preamble(mine(OTHER, GOOD, again), PATH)]
    assert ("query of example 3", "It is that of example 1 again.") in told
    assert ("answer of example 3", "It is that of example 1 again.") in told


def test_openings_that_answers_share() -> None:
    one = the_one(mine(("A?", "Here are some ways."), ("B?", "here are some more."), GOOD))
    assert (one.severity, one.where) == ("warning", "answers of examples 1 and 2")
    one = the_one(mine(("A?", "Hello! It is so."), ("B?", "Hello! No."), ("C?", "Hello! Why?")))
    assert (one.severity, one.where) == ("note", "answers of examples 1, 2 and 3")
    one = the_one(mine(("A?", "Hello! Hello! It is so."), GOOD))
    assert "stands there twice" in one.what


def test_the_subject_of_the_last_example_is_a_note() -> None:
    water = ("What of water?", "Water is wet. Water flows. Some water freezes.")
    one = the_one(mine(GOOD, water))
    assert (one.severity, one.example) == ("note", 2)
    assert "'water' (4 times)" in one.what
    assert found(mine(water, GOOD)) == []
    common = ("Why is it so?", "It is about this, about that, about those and about these.")
    assert found(mine(GOOD, common)) == []


def test_what_would_not_load_is_an_error_beside_the_others() -> None:
    errors = check_preamble(mine((GOOD[0], "One. \n# Query:\nTwo."), name="Mine"), PATH)
    assert [one.where for one in errors if one.severity == "error"] == [
        "the file",
        "answer of example 1",
    ]
    assert any(one.severity == "warning" for one in errors)


def test_errors_come_first() -> None:
    severities = [one.severity for one in check_preamble(find_preamble("urial-k8"), PATH)]
    assert severities == sorted(severities, key=("error", "warning", "note").index)


def test_the_shipped_preambles_have_nothing_to_warn_of() -> None:
    for path in sorted(paths.shipped_prompts_dir().glob("*.toml")):
        findings = check_preamble(load_preamble(path), path)
        assert [one.what for one in findings if one.severity != "note"] == [], path.name


# -- through a vocabulary ------------------------------------------------------------------


def cut_of(text: str, *, joined: str = "", n_ctx: int = 4000) -> TokenCut:
    """A text cut by a stand-in for a vocabulary: a token for each character, or `joined` ones."""
    pieces: list[bytes] = []
    at = 0
    while at < len(text):
        step = len(joined) if joined and text.startswith(joined, at) else 1
        pieces.append(text[at : at + step].encode())
        at += step
    ids = tuple(range(len(pieces)))
    return TokenCut(
        whole=ids, pieces=tuple(pieces), apart=(ids[:-9], ids[-9:]), n_ctx=n_ctx, starts=1
    )


def whole(preamble: Preamble) -> str:
    from urial_tui.prompting.render import open_turn, preamble_text
    from urial_tui.prompting.token_check import QUERY

    return preamble_text(preamble) + open_turn(preamble, QUERY)


def test_a_preamble_that_fills_the_context_is_an_error() -> None:
    preamble = mine(GOOD)
    text = whole(preamble)
    severities = {
        n_ctx: [one.severity for one in check_tokens(preamble, cut_of(text, n_ctx=n_ctx))
                if one.where == "the whole"]
        for n_ctx in (len(text) - 8, len(text) - 7, 2 * len(text), 3 * len(text))
    }  # fmt: skip
    assert list(severities.values()) == [["error"], ["warning"], [], []]


def test_a_heading_that_is_read_otherwise_from_place_to_place_is_a_warning() -> None:
    preamble = mine(GOOD)
    text = whole(preamble)
    joined = cut_of(text, joined="\n\n# Answer")
    told = [one for one in check_tokens(preamble, joined) if one.severity == "warning"]
    # All answers stand behind the same line ends, so that all are read alike.
    assert told == []
    # A fence, of which one merges with the word in front of it.
    joined = cut_of(text, joined="most.\n~~~~")
    (one,) = [one for one in check_tokens(preamble, joined) if one.severity == "warning"]
    assert one.where == "the line '~~~~'"


def test_a_token_over_the_cut_is_a_warning() -> None:
    preamble = mine(GOOD)
    cut = cut_of(whole(preamble))
    other = msgspec.structs.replace(cut, apart=(cut.apart[0], (*cut.apart[1], 7)))
    (one,) = [one for one in check_tokens(preamble, other) if "over the cut" in one.what]
    assert one.severity == "warning"


def test_a_control_token_of_the_model_is_a_warning() -> None:
    preamble = mine(GOOD, system="Be kind ⟪end⟫ always.")
    cut = msgspec.structs.replace(cut_of(whole(preamble)), controls=("⟪end⟫",))
    (one,) = [one for one in check_tokens(preamble, cut) if "control token" in one.what]
    assert one.where == "the system text"


# -- the command ---------------------------------------------------------------------------


def checked(capsys: Captured, *arguments: str) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    code = cli.run(["prompts", "check", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_command_tells_findings_and_exits_by_errors(tmp_path: Path, capsys: Captured) -> None:
    text = (paths.shipped_prompts_dir() / "urial-k1.toml").read_text(encoding="utf-8")
    path = tmp_path / "urial-k1.toml"
    before, opening, reply = text.rpartition("answer = '''\n")
    path.write_text(f"{before}{opening}Hello!\n# Query:\n{reply}", encoding="utf-8")
    code, document = checked(capsys, str(path))
    assert code == 1
    assert document["errors"] == 1
    assert document["tokens"] is None
    assert cli.run(["prompts", "check", str(path)]) == 1
    captured = capsys.readouterr()
    assert "error: answer of example 1, line 2: The stop string" in captured.out
    assert "urial-k1: 1 error" in captured.err
    code, document = checked(capsys, "urial-k1")
    assert (code, document["errors"]) == (0, 0)


def test_what_is_found_in_many_places_is_said_once(tmp_path: Path, capsys: Captured) -> None:
    example = "[[examples]]\nquery = 'Number {0}?'\nanswer = 'It goes on {0}'\n"
    shipped = (paths.shipped_prompts_dir() / "urial-k1.toml").read_text(encoding="utf-8")
    head, _, _ = shipped.partition("[[examples]]")
    path = tmp_path / "urial-k1.toml"
    path.write_text(head + "".join(map(example.format, range(1, 41))), encoding="utf-8")
    assert cli.run(["prompts", "check", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.count("It ends within a sentence.") == 1
    assert "answer of example 3, line 1; and 37 more places: It ends" in said
    _, document = checked(capsys, str(path))
    assert str(document["findings"]).count("It ends within a sentence.") == 40, "JSON has all"


def test_a_file_that_is_no_preamble_is_one_sentence(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = ")
    for name in (str(path), str(tmp_path), "nothing"):
        assert cli.run(["prompts", "check", name]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1


def test_with_a_model_its_tokens_and_its_context_are_told(
    llama_gguf: Path, capsys: Captured
) -> None:
    settings = paths.settings_file()
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("[engine]\nthreads = 1\ncontext = 512\n")
    code, document = checked(capsys, "zero-shot", "-m", str(llama_gguf))
    assert code == 0
    # BOS alone.
    assert (document["tokens"], document["context"]) == (1, 512)
    code, document = checked(capsys, "urial-k3", "-m", str(llama_gguf))
    assert code == 1
    findings = document["findings"]
    assert isinstance(findings, list)
    assert findings[0]["where"] == "the whole"


# -- how long it takes ---------------------------------------------------------------------

PATIENCE = 60.0
"""Seconds: many times what it takes, and far less than what grew with the square took."""


@pytest.mark.parametrize(
    "answer",
    [
        "a" + " " * 200_000 + "b.",
        "\n" * 200_000 + ".",
        "\t" * 100_000 + "~" * 100_000,
        "~~~~\n" * 40_000,
        "\x1b[31m" * 40_000,
        "<|" * 100_000,
        "word " * 40_000,
    ],
    ids=["blanks", "lines", "tabs", "fences", "escapes", "controls", "words"],
)
def test_a_file_as_long_as_may_be_is_checked_soon(answer: str) -> None:
    began = time.monotonic()
    check_preamble(mine(GOOD, ("Why?", answer)), PATH)
    assert time.monotonic() - began < PATIENCE


def test_headings_of_thousands_of_examples_are_looked_at_soon() -> None:
    preamble = mine(*((f"Why {n}?", f"So {n}.") for n in range(3000)))
    text = whole(preamble)
    began = time.monotonic()
    check_tokens(preamble, cut_of(text))
    check_tokens(preamble, cut_of(text, joined="\n~~~~"))
    assert time.monotonic() - began < PATIENCE
