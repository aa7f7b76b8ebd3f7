"""Preamble files: what loads, what is refused and why, and the text that turns become."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui import paths
from urial_tui.engine.wire.values import StopRules
from urial_tui.errors import PreambleError
from urial_tui.prompting.preamble import Example, Preamble, PromptFormat
from urial_tui.prompting.preamble_file import (
    MAX_BYTES,
    find_preamble,
    list_preambles,
    load_preamble,
)
from urial_tui.prompting.render import close_text, open_turn, preamble_text
from urial_tui.prompting.stops import answer_end, stop_rules

SHIPPED = (
    *("rules", "urial-2turn", "urial-k0", "urial-k1", "urial-k3", "urial-k8"),
    *("vanilla-icl", "zero-shot"),
)

HEAD = """
name = "mine"
title = "Mine"
description = "For the tests."
method = "urial"
system = "Be kind."
"""
FORMAT = """
[format]
system = "# Instruction\\n{system}\\n\\n"
query = "# Query:\\n{query}\\n\\n"
answer = "# Answer:\\n{answer}\\n\\n"
stop = ["\\n\\n# Query:", "\\n# Query:"]
"""
EXAMPLE = """
[[examples]]
query = "Why?"
answer = "Because."
"""
WHOLE = HEAD + FORMAT + EXAMPLE


@pytest.fixture
def user_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's directory of preambles, empty."""
    directory = tmp_path / "prompts"
    directory.mkdir()
    monkeypatch.setattr(paths, "user_prompts_dir", lambda: directory)
    return directory


def write(directory: Path, text: str, name: str = "mine") -> Path:
    path = directory / f"{name}.toml"
    path.write_bytes(text.encode())
    return path


def refusal(directory: Path, text: str) -> str:
    """The sentence that a file with `text` is refused with; it names the file and a next step."""
    path = write(directory, text)
    with pytest.raises(PreambleError) as caught:
        load_preamble(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return str(caught.value)


def test_a_key_that_lacks_or_is_none_is_named(user_dir: Path) -> None:
    nameless = WHOLE.replace('name = "mine"', "", 1)
    assert "holds a mistake: there is no key `name`." in refusal(user_dir, nameless)
    stranger = "colour = 1\n" + WHOLE
    assert "mistake: the key `colour` is none of a preamble." in refusal(user_dir, stranger)
    inside = WHOLE.replace('query = "Why?"', "", 1)
    assert "there is no key `query` (at examples[0])" in refusal(user_dir, inside)


# -- files that load ------------------------------------------------------------------


def test_a_file_loads_as_it_is_written(tmp_path: Path) -> None:
    preamble = load_preamble(write(tmp_path, WHOLE))
    assert preamble.name == "mine"
    assert preamble.examples == (Example(query="Why?", answer="Because."),)
    assert (
        preamble_text(preamble)
        == "# Instruction\nBe kind.\n\n# Query:\nWhy?\n\n# Answer:\nBecause.\n\n"
    )


def test_white_space_around_multi_line_texts_is_the_files_and_not_the_texts(
    tmp_path: Path,
) -> None:
    text = WHOLE.replace('"Because."', "'''\nFirst.\n\n  Second.\n'''")
    (example,) = load_preamble(write(tmp_path, text)).examples
    assert example.answer == "First.\n\n  Second."


@pytest.mark.parametrize(
    "disguise",
    [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")],
    ids=["byte order mark", "windows line ends"],
)
def test_what_a_windows_editor_saves_gives_the_same_preamble(tmp_path: Path, disguise) -> None:  # type: ignore[no-untyped-def]
    plain = load_preamble(write(tmp_path, WHOLE))
    assert load_preamble(write(tmp_path, disguise(WHOLE))) == plain


def test_a_fenced_format_may_hold_code_blocks_with_an_info_string(tmp_path: Path) -> None:
    text = HEAD + (
        '[format]\nsystem = "{system}\\n"\nquery = "Q\\n```\\n{query}\\n```\\n"\n'
        'answer = "A\\n```\\n{answer}\\n```\\n\\n"\nfence = "```"\n'
        "[[examples]]\nquery = 'q'\nanswer = '''\nSo:\n```python\npass\n```\nDone.\n'''\n"
    )
    preamble = load_preamble(write(tmp_path, text))
    assert stop_rules(preamble) == StopRules(fence="```")


# -- files that are refused -----------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('title = "Mine"\n', "", "title"),
        ('title = "Mine"\n', "title = 3\n", "title"),
        ('title = "Mine"\n', 'title = " "\n', "title"),
        ('"urial"\n', '"magic"\n', "method"),
        ('"urial"\n', '"urial"\ntemperature = 1\n', "temperature"),
        ("[format]\n", "[format]\nheading = 1\n", "heading"),
        ('"Why?"\n', '"Why?"\nmood = "glad"\n', "mood"),
        ('name = "mine"', 'name = "Mine"', "lower-case"),
        ('name = "mine"', 'name = "../mine"', "lower-case"),
        ('name = "mine"', 'name = "other"', "mine.toml"),
        ("{query}", "query", "format.query"),
        ("{query}", "{query} {query}", "format.query"),
        ("{answer}", "", "format.answer"),
        ("{system}", "", "format.system"),
        ('query = "# Query', 'query = "\\n# Query', "empty line"),
        ("Answer:\\n{answer}", "Answer: {answer}", "start a line"),
        ("{answer}\\n\\n", "{answer}", "newline after"),
        ("{answer}\\n\\n", "{answer}\\n---", "newline after"),
        ('["\\n\\n# Query:", "\\n# Query:"]', "[]", "no answer ends"),
        ('["\\n\\n# Query:", "\\n# Query:"]', '["", "\\n"]', "empty string"),
        ('["\\n\\n# Query:", "\\n# Query:"]', '["\\nUser:"]', "no answer ends"),
        ('["\\n\\n# Query:", "\\n# Query:"]', '["\\n# Query:"]', "leaves a part of the format"),
        ('"Because."', '"Because\\n# Query:\\nHow?"', "would be cut"),
        ('"Because."', '"  "', "answer of example 1 is empty"),
        ('"Be kind."', '""', "system is empty"),
        ('"urial"\n', '"zero-shot"\n', "zero-shot has none"),
        ('"urial"\n', '"vanilla-icl"\n', "vanilla-icl has none"),
        ("[format]\n", '[format]\nfence = "``\\n`"\n', "format.fence"),
        ('"Why?"\n', '"Why?"\nfollows = true\n', "example 1 can't follow"),
        ('"Why?"\n', '"Why?"\nfollows = 1\n', "follows"),
        ('"Why?"\n', '"Why?"\nquery_format = "q"\n', "query_format of example 1"),
        ('"Why?"\n', '"Why?"\nanswer_format = "{answer}"\n', "answer_format of the last"),
        ('"urial"\n', '"rules"\n', "rules has none"),
        ("[format]\n", "[rules]\nend_bias = nan\n[format]\n", "rules.end_bias"),
        ("[format]\n", "[rules]\nend = 1\n[format]\n", "end"),
        ("[format]\n", "[format\n", "TOML"),
        ("[format]\n", "[format]\nquery = 'twice {query}'\n", "TOML"),
    ],
)
def test_a_mistake_is_refused_with_its_key(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in WHOLE
    assert reason in refusal(tmp_path, WHOLE.replace(old, new, 1))


def test_a_zero_shot_file_with_examples_is_refused(tmp_path: Path) -> None:
    text = WHOLE.replace('"urial"', '"zero-shot"').replace('system = "Be kind."\n', "")
    assert "examples are given" in refusal(tmp_path, text)


def test_a_vanilla_file_without_examples_is_refused(tmp_path: Path) -> None:
    text = (HEAD + FORMAT).replace('"urial"', '"vanilla-icl"').replace('system = "Be kind."', "")
    assert "examples are missing" in refusal(tmp_path, text)


def test_an_example_with_a_bare_fence_of_its_format_is_refused(tmp_path: Path) -> None:
    text = WHOLE.replace("[format]\n", '[format]\nfence = "```"\n')
    assert "would be cut" in refusal(tmp_path, text.replace('"Because."', "'''\na\n```\nb\n'''"))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(WHOLE.encode().replace(b"kind", b"k\xffnd"))
    with pytest.raises(PreambleError, match="not UTF-8"):
        load_preamble(path)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    assert "KiB" in refusal(tmp_path, WHOLE + "#" * MAX_BYTES)


def test_deeply_nested_toml_is_refused(tmp_path: Path) -> None:
    assert "TOML" in refusal(tmp_path, "a = " + "[" * 50_000)


def test_a_missing_file_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(PreambleError, match="can't be read: No such file") as caught:
        load_preamble(tmp_path / "none.toml")
    assert "urial prompts list" in caught.value.hint


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreambleError, match="it is a directory"):
        load_preamble(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "mine.toml"
    os.mkfifo(pipe)
    with pytest.raises(PreambleError, match="it is a pipe"):
        load_preamble(pipe)


def test_escape_sequences_of_a_file_stay_out_of_the_error(tmp_path: Path) -> None:
    text = refusal(tmp_path, WHOLE.replace('"urial"', '"urial"\n"\\u001b[31mkey" = 1'))
    assert "\x1b" not in text
    assert "key" in text


# -- finding ----------------------------------------------------------------------------


def test_the_users_file_wins_over_the_shipped_one(user_dir: Path) -> None:
    write(user_dir, WHOLE.replace('"mine"', '"urial-k3"'), "urial-k3")
    assert find_preamble("urial-k3").title == "Mine"
    entries = {entry.name: entry for entry in list_preambles()}
    assert entries["urial-k3"].origin == "user"
    assert entries["urial-k1"].origin == "shipped"


def test_a_damaged_file_of_the_user_is_not_hidden_by_the_shipped_one(user_dir: Path) -> None:
    write(user_dir, "name = ", "urial-k3")
    with pytest.raises(PreambleError, match="TOML"):
        find_preamble("urial-k3")
    (entry,) = [entry for entry in list_preambles() if entry.name == "urial-k3"]
    assert entry.preamble is None
    assert "TOML" in entry.error


def test_what_is_no_preamble_is_not_listed(user_dir: Path) -> None:
    write(user_dir, WHOLE)
    (user_dir / ".mine.toml").write_text("swap file")
    (user_dir / "notes.md").write_text("notes")
    names = [entry.name for entry in list_preambles()]
    assert names == sorted((*SHIPPED, "mine"))


def test_a_path_is_told_from_a_name(
    user_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, WHOLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given_path in (str(path), "mine.toml", "./mine.toml", "~/mine.toml"):
        assert find_preamble(given_path).name == "mine"
    with pytest.raises(PreambleError, match="no preamble named 'mine'"):
        find_preamble("mine")


def test_an_unknown_name_suggests_close_ones(user_dir: Path) -> None:
    with pytest.raises(PreambleError) as caught:
        find_preamble("Urial-K33")
    assert "urial-k3" in caught.value.hint
    with pytest.raises(PreambleError) as caught:
        find_preamble("\x1b[2J")
    assert "\x1b" not in str(caught.value)
    assert "urial prompts list" in caught.value.hint


def test_a_user_directory_that_is_a_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prompts"
    file.write_text("")
    monkeypatch.setattr(paths, "user_prompts_dir", lambda: file)
    with pytest.raises(PreambleError, match="can't be read"):
        find_preamble("urial-k3")


def test_no_user_directory_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "user_prompts_dir", lambda: tmp_path / "none")
    assert [entry.name for entry in list_preambles()] == sorted(SHIPPED)


# -- turns ------------------------------------------------------------------------------

# Whatever a user may type, with a taste for what could confuse a template.
TEXT = st.lists(
    st.sampled_from(["{query}", "{answer}", "{system}", "{", "}", "\\1", "# Query:\n", "\n\n"])
    | st.text(max_size=12),
    max_size=6,
).map("".join)
PIECE = st.text(st.sampled_from("#:~`-=ab \n{}"), max_size=8)
FORMATS = st.builds(
    lambda system, query, between, head, close: PromptFormat(
        system=f"{system}{{system}}\n",
        query=f"{query}{{query}}{between}\n",
        answer=f"{head}\n{{answer}}\n{close}\n",
        stop=("\n#",),
    ),
    *[PIECE] * 5,
)


@given(
    form=FORMATS,
    system=TEXT,
    turns=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4),
    split=st.integers(0, 3),
)
def test_turns_give_the_text_that_they_would_give_as_examples(
    form: PromptFormat, system: str, turns: list[tuple[str, str]], split: int
) -> None:
    examples = [Example(query=query, answer=answer) for query, answer in turns]

    def preamble(count: int) -> Preamble:
        return Preamble(
            name="p",
            title="t",
            description="d",
            method="urial",
            format=form,
            system=system,
            examples=tuple(examples[:count]),
        )

    split = min(split, len(turns))
    start = preamble(split)
    conversation = preamble_text(start) + "".join(
        open_turn(start, query) + answer + close_text(start) for query, answer in turns[split:]
    )
    assert conversation == preamble_text(preamble(len(turns)))


def test_a_query_is_put_in_literally(user_dir: Path) -> None:
    query = "What is {query} or {answer} in a {} template? \\g<0> %s"
    for name in SHIPPED:
        preamble = find_preamble(name)
        assert open_turn(preamble, query).count(query) == 1


def test_zero_shot_puts_nothing_in_front_of_the_first_turn(user_dir: Path) -> None:
    assert preamble_text(find_preamble("zero-shot")) == ""


# -- where answers end --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("one\n```\n\n# Query", "one"),
        ("```python\nx\n```\nmore\n```\n", "```python\nx\n```\nmore"),
        ("```python\nx\n```\n```\n", "```python\nx\n```"),
        ("say ``` here\n```  \nrest", "say ``` here"),
        ("```\n", ""),
        ("````\nfour\n```\n", None),
    ],
)
def test_a_bare_fence_ends_the_answer_and_a_code_block_does_not(
    text: str, answer: str | None
) -> None:
    end = answer_end(text, StopRules(fence="```"))
    assert (None if end is None else text[:end]) == answer


def test_the_earliest_stop_string_ends_the_answer() -> None:
    rules = StopRules(strings=("\n# Query:", "\n\n# Query:"))
    assert answer_end("one\n\n# Query:\n\n# Query:", rules) == 3
    assert answer_end("# Query: and a\n## Query: too", rules) is None


# -- the shipped preambles ------------------------------------------------------------------


@pytest.fixture(params=SHIPPED)
def shipped(request: pytest.FixtureRequest, user_dir: Path) -> Preamble:
    return find_preamble(request.param)


def test_every_shipped_file_is_one_of_the_known_ones(user_dir: Path) -> None:
    entries = list_preambles()
    assert [entry.name for entry in entries] == sorted(SHIPPED)
    assert [entry.error for entry in entries] == [""] * len(SHIPPED)


def test_the_shipped_preambles_share_one_format(shipped: Preamble) -> None:
    reference = find_preamble("urial-k3").format
    same = msgspec.structs.replace(shipped.format, system=reference.system)
    assert same == reference


def test_a_shipped_format_keeps_code_whole_and_stops_behind_it(shipped: Preamble) -> None:
    answer = (
        "Here it is:\n\n```python\n# Query: the user's words\n\n# Answer the query\nprint(1)\n"
        "```\n\n# Query and answer\n\nA Query: and an Answer: within a sentence.\n\n---\n\n"
        "~~~\ntext\n~~~"
    )
    text = answer + close_text(shipped) + open_turn(shipped, "And now?")
    end = answer_end(text, stop_rules(shipped))
    assert end is not None
    assert text[:end] == answer


def test_k_is_the_number_of_examples(user_dir: Path) -> None:
    counts = {name: len(find_preamble(name).examples) for name in SHIPPED}
    assert counts == {
        "rules": 0,
        "urial-2turn": 5,
        "urial-k0": 0,
        "urial-k1": 1,
        "urial-k3": 3,
        "urial-k8": 8,
        "vanilla-icl": 3,
        "zero-shot": 0,
    }


def test_vanilla_icl_asks_what_urial_k3_asks(user_dir: Path) -> None:
    queries = [
        [example.query for example in find_preamble(name).examples]
        for name in ("vanilla-icl", "urial-k3")
    ]
    assert queries[0] == queries[1]


@pytest.mark.parametrize("name", ["urial-k8"])
def test_the_code_of_the_examples_runs_and_does_what_its_comments_say(
    name: str, user_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = "\n".join(example.answer for example in find_preamble(name).examples)
    blocks = re.findall(r"^```python\n(.*?)^```$", answers, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, name, "exec"), {})
        promised = re.findall(r"print\(.*\)  # (.*)", block)
        assert promised
        assert capsys.readouterr().out.splitlines() == promised


def test_the_documented_example_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "preambles.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    preamble = load_preamble(write(tmp_path, text, "pirate"))
    assert preamble.format == find_preamble("urial-k3").format
