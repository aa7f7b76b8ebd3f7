"""Published URIAL files: what they become, that the model is shown the same text, and back."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui import paths
from urial_tui.cli import main as cli
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.values import Rules, TextSegment, TokenShift
from urial_tui.errors import PreambleError
from urial_tui.prompting.preamble import Example, Preamble, PromptFormat
from urial_tui.prompting.preamble_file import (
    MAX_BYTES,
    find_preamble,
    load_preamble,
    parse_preamble,
    toml_text,
)
from urial_tui.prompting.published import import_published, name_for, published_text
from urial_tui.prompting.render import close_text, open_turn, preamble_text
from urial_tui.prompting.retrieving import retrieving_preamble
from urial_tui.prompting.stops import answer_end, stop_rules

Captured = pytest.CaptureFixture[str]

# The layout is the published one, with its odd white space; the words are ours.
REGULAR = """# Instruction

Two people talk. \nThe second one knows about gardens.


# Query:
```
When do I sow peas?
```

# Answer:
```
Hi! As soon as the ground is no longer frozen:

1. Make a groove.
2. Lay a pea every five centimetres.
```

# Query:
```
And beans?\x20
```

# Answer:
```
Wait until the middle of May.
```
"""
IRREGULAR = """# Instruction

Gardens.

# Query:
```When do I sow peas?```
 \n# Answer:
```
In March.
```


# Query:
```And beans?``` \n
# Answer:
``` \x20
In May.


``` """
INLINE = (
    "# Query:\n```A?```\n \n# Answer:\n```\nB.\n```\n\n\n"
    "# Query:\n```C?```\n\n# Answer:\n```\nD.\n```"
)
CODE = """# Instruction

Code.

# Query:
```
Print one.
```

# Answer:
```
Here:

```python
print(1)
```

Done.
```
"""
BARE_CODE = CODE.replace("```python", "```")
OTHER_HEADINGS = REGULAR.replace("# Query:", "# User:").replace("# Answer:", "# Assistant:")
ONLY_SYSTEM = "# Instruction\n\nBe short.\nBe right."
MULTI_TURN = REGULAR.replace("And beans?\x20", "Why so early?")
FILES = {
    "regular": REGULAR,
    "no newline at its end": REGULAR.removesuffix("\n"),
    "irregular": IRREGULAR,
    "inline, without a system text": INLINE,
    "blank lines first": "\n\n" + INLINE,
    "other headings": OTHER_HEADINGS,
    "code with a language": CODE,
    "code without a language": BARE_CODE,
    "system text alone": ONLY_SYSTEM,
    "turns that follow each other": MULTI_TURN,
    "a query and an answer without each other": REGULAR.replace(
        "# Query:\n```\nAnd", "# Query:\n```\nAnd peas in a pot?\n```\n\n# Query:\n```\nAnd"
    )
    + "\n# Answer:\n```\nWater them.\n```\n",
    "no heading over the system text": REGULAR.removeprefix("# Instruction\n\n"),
    "placeholders and quotes": REGULAR.replace("peas", "{query} ''' \\n \" {answer}"),
}


PLAIN = (
    "# Instruction\n\nGardens.\n\n\n"
    "# Query:\nWhen do I sow peas? \n\n# Answer:\n \nIn March:\n\n```\na calendar\n```\n\n\n\n"
    "# Query:\nAnd beans?   \n\n# Answer:\n\nIn May.\n\n\n\n"
    "# Query:\nAnd cress?\n\n# Answer:\n  \nAlways.\n \n"
)
"""Without fences: so are two of the published files."""
PLAIN_FILES = {
    "no fences": PLAIN,
    "no newline at its end": PLAIN.rstrip(),
    "other headings": PLAIN.replace("# Query:", "# User:").replace("# Answer:", "# Assistant:"),
    "no system text": PLAIN[PLAIN.index("# Query:") :],
    "a code block with a language first": PLAIN.replace("In May.", "```python\n5\n```\nSo."),
    "one line each": "# Query:\nA?\n# Answer:\nB.\n# Query:\nC?\n# Answer:\nD.",
}


def as_their_runner(text: str, *turns: str) -> str:
    """What the published runner sends: questions and answers in turn, the last one to answer."""
    roles = ("# Query:", "# Answer:")
    first = re.search(r"^# (Query|User):[ \t]*$", text, re.MULTILINE)
    if first and first[1] == "User":
        roles = ("# User:", "# Assistant:")
    shown = text
    for number, turn in enumerate(turns):
        shown += "\n" + roles[number % 2] + "\n```\n" + turn + "\n```\n"
    return f"{shown}\n{roles[1]}\n```\n"


def write(directory: Path, text: str | bytes, name: str = "their-file.txt") -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read_again(directory: Path, preamble: Preamble) -> Preamble:
    """By way of the file that an import writes."""
    path = write(directory, toml_text(preamble), f"{preamble.name}.toml")
    return load_preamble(path)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_the_model_is_shown_what_the_published_runner_sends(tmp_path: Path, text: str) -> None:
    imported = import_published(write(tmp_path, text), "theirs")
    preamble = read_again(tmp_path, imported.preamble)
    assert preamble == imported.preamble
    shown = preamble_text(preamble) + open_turn(preamble, "Why?")
    assert shown.encode() == as_their_runner(text, "Why?").encode()
    later = (
        preamble_text(preamble)
        + open_turn(preamble, "Why?")
        + "Because."
        + close_text(preamble)
        + open_turn(preamble, "So?")
    )
    assert later == as_their_runner(text, "Why?", "Because.", "So?")


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_it_is_the_same_file_again_when_it_is_exported(tmp_path: Path, text: str) -> None:
    imported = import_published(write(tmp_path, text), "theirs")
    assert published_text(imported.preamble).text == text


@pytest.mark.parametrize("text", PLAIN_FILES.values(), ids=PLAIN_FILES)
def test_without_fences_a_turn_stands_like_most_examples(tmp_path: Path, text: str) -> None:
    imported = import_published(write(tmp_path, text), "theirs")
    preamble = read_again(tmp_path, imported.preamble)
    assert preamble == imported.preamble
    assert imported.notes == ()
    assert preamble_text(preamble) == text + "\n"
    assert published_text(preamble) == (text, ())
    first = preamble.examples[0]
    assert (first.query, first.answer.splitlines()[0]) in [
        ("When do I sow peas?", "In March:"),
        ("A?", "B."),
    ]
    assert "```" not in preamble.format.query + preamble.format.answer
    assert " {" not in preamble.format.query
    if "peas" in text and "# Query:" in text:
        assert open_turn(preamble, "Why?") == "# Query:\nWhy?\n\n# Answer:\n\n"
        assert close_text(preamble) == "\n\n\n\n"


def test_an_open_turn_without_fences_is_the_format_of_turns(tmp_path: Path) -> None:
    turn = "# Query:\n<your question>\n\n# Answer:"
    imported = import_published(write(tmp_path, PLAIN + "\n" + turn), "theirs")
    assert "<your question>" in " ".join(imported.notes)
    preamble = read_again(tmp_path, imported.preamble)
    assert len(preamble.examples) == 3
    shown = preamble_text(preamble) + open_turn(preamble, "<your question>")
    assert shown == PLAIN + "\n" + turn + "\n"


def test_the_tokens_are_those_of_the_whole_text(tmp_path: Path, model: Model) -> None:
    for text in (*FILES.values(), *PLAIN_FILES.values()):
        preamble = import_published(write(tmp_path, text), "theirs").preamble
        head, turn = preamble_text(preamble), open_turn(preamble, "Why?")
        apart = (TextSegment(text=head), TextSegment(text=turn))
        whole = (TextSegment(text=head + turn),)
        if text in FILES.values():
            assert head + turn == as_their_runner(text, "Why?")
        first, second = model.tokenize([apart, whole], start=True).result()
        assert [token for ids in first for token in ids] == [t for ids in second for t in ids]


def test_texts_and_templates_are_told_apart(tmp_path: Path) -> None:
    imported = import_published(write(tmp_path, REGULAR), "theirs")
    preamble = imported.preamble
    assert imported.notes == ()
    assert preamble.method == "urial"
    assert preamble.system == "Two people talk. \nThe second one knows about gardens."
    assert preamble.format.system == "# Instruction\n\n{system}\n\n\n"
    assert preamble.format.query == "# Query:\n```\n{query}\n```\n\n"
    assert preamble.format.answer == "# Answer:\n```\n{answer}\n```\n\n"
    assert [example.query for example in preamble.examples] == ["When do I sow peas?", "And beans?"]
    first, second = preamble.examples
    assert (first.query_format, first.answer_format) == ("", "")
    assert second.query_format == "# Query:\n```\n{query} \n```\n\n"
    assert second.answer_format == ""


@pytest.mark.parametrize("text", [*FILES.values(), *PLAIN_FILES.values()])
def test_every_example_ends_where_it_ends_by_the_stop_rules(tmp_path: Path, text: str) -> None:
    preamble = import_published(write(tmp_path, text), "theirs").preamble
    rules = stop_rules(preamble)
    for example in preamble.examples:
        told = example.answer + close_text(preamble) + open_turn(preamble, "Next?")
        assert answer_end(told, rules) == len(example.answer)


def test_code_without_a_language_makes_the_next_query_the_end_and_says_so(tmp_path: Path) -> None:
    assert import_published(write(tmp_path, CODE), "theirs").preamble.format.fence == "```"
    imported = import_published(write(tmp_path, BARE_CODE), "theirs")
    assert imported.preamble.format.fence == ""
    assert "without a language" in " ".join(imported.notes)


@pytest.mark.parametrize("tail", ["", "\n"])
def test_an_open_turn_at_the_end_is_the_format_of_turns(tmp_path: Path, tail: str) -> None:
    turn = "# Query:\n```\n<your question>\n```\n\n\n# Answer:\n```" + tail
    imported = import_published(write(tmp_path, REGULAR + "\n" + turn), "theirs")
    assert "<your question>" in " ".join(imported.notes)
    preamble = read_again(tmp_path, imported.preamble)
    assert len(preamble.examples) == 2
    shown = preamble_text(preamble) + open_turn(preamble, "<your question>")
    assert shown == REGULAR + "\n" + turn.removesuffix("\n") + "\n"


def test_what_windows_adds_is_told_and_not_shown_to_the_model(tmp_path: Path) -> None:
    plain = import_published(write(tmp_path, REGULAR), "theirs").preamble
    marked = import_published(write(tmp_path, "\ufeff" + REGULAR), "theirs")
    lines = import_published(write(tmp_path, REGULAR.replace("\n", "\r\n")), "theirs")
    assert plain == marked.preamble == lines.preamble
    assert "byte order mark" in " ".join(marked.notes)
    assert "line ends" in " ".join(lines.notes)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no query under the heading"),
        (b"Some text about nothing.\n", "no query under the heading"),
        (b"# Instruction\n\n\n", "nothing stands under"),
        (REGULAR.encode().replace(b"knows", b"kn\xffws"), "not UTF-8"),
        (REGULAR.encode().replace(b"knows", b"kn\0ws"), "NUL"),
        (REGULAR.encode("utf-16-le"), "NUL"),
        (b"# Instruction\n" + b"a" * MAX_BYTES, "KiB"),
        (
            REGULAR.replace("# Query:", "Human:").replace("# Answer:", "Assistant:").encode(),
            "'Human:'",
        ),
        (OTHER_HEADINGS.replace("# Assistant:", "# Answer:").encode(), "no answer follows"),
        ((PLAIN + "\n# Answer:\nMore.\n").encode(), "an answer no query"),
        ((PLAIN + "\n# Query:\nMore?\n").encode(), "a query has no answer"),
        (PLAIN.replace("In May.", "").encode(), "answer of example 2 is empty"),
        (b"# Query:\nWhy?\n\n# Answer:\n```\nSo.\n```\n", "query of example 1 stands in no fence"),
        (b"# Query:\n```\nWhy?\n```\n\n# Answer:\nSo.\n", "answer of example 1 stands in no fence"),
        (REGULAR.replace("peas?\n```", "peas?").encode(), "query of example 1 is not closed"),
        (REGULAR.replace("metres.\n```", "metres.").encode(), "answer of example 1 is not closed"),
        (REGULAR.removesuffix("```\n").encode(), "answer of example 2 is not closed"),
        (CODE.removesuffix("\nDone.\n```\n").encode(), "answer of example 1 is not closed"),
        (REGULAR.replace("Wait until the middle of May.", " ").encode(), "is empty"),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, told: str
) -> None:
    with pytest.raises(PreambleError) as caught:
        import_published(write(tmp_path, content), "theirs")
    assert told in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


PIECES = st.lists(
    st.sampled_from(
        [
            "# Instruction\n",
            "# Query:\n",
            "# Answer:\n",
            "# User:\n",
            "# Assistant:\n",
            "```",
            "```\n",
            "\n",
            " ",
            "a",
            "b\n",
            "py\n",
        ]
    ),
    max_size=24,
).map("".join)


@given(text=PIECES | PIECES.map(lambda text: REGULAR + text))
def test_whatever_is_in_a_file_it_is_refused_or_shown_as_it_stands(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp(), text, "any.txt")
    try:
        imported = import_published(path, "theirs")
    except PreambleError:
        return
    preamble = parse_preamble(toml_text(imported.preamble), path)
    shown = preamble_text(preamble) + open_turn(preamble, "Why?")
    if any("open turn" in note for note in imported.notes):
        assert text.startswith(preamble_text(preamble))
    elif "```" in preamble.format.answer:
        assert shown == as_their_runner(text, "Why?")
    else:
        assert preamble_text(preamble) == text + "\n"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, told in (("", "it is a directory"), ("pipe", "it is a pipe"), ("no", "No such file")):
        with pytest.raises(PreambleError, match=told):
            import_published(tmp_path / name, "theirs")


def test_a_name_is_made_of_the_files_name() -> None:
    assert name_for(Path("inst_1k_v4.help.txt")) == "inst-1k-v4.help"
    assert name_for(Path("/a/b/My Prompt (2).txt")) == "my-prompt-2"
    assert name_for(Path("…")) == ""
    assert name_for(Path(".hidden")) == "hidden"


# -- any preamble as a file ----------------------------------------------------------------

WORDS = st.text(
    st.sampled_from("ab '\"\\\n\t{}#`~é中\x7f\x01") | st.characters(exclude_categories=["Cs"]),
    max_size=12,
)
STRIPPED = WORDS.map(str.strip)
PREAMBLES = st.builds(
    Preamble,
    name=STRIPPED,
    title=WORDS,
    description=WORDS,
    method=st.sampled_from(["urial", "rules"]),
    system=STRIPPED,
    format=st.builds(
        PromptFormat,
        query=WORDS,
        answer=WORDS,
        system=WORDS,
        stop=st.lists(WORDS, max_size=3).map(tuple),
        fence=WORDS,
    ),
    examples=st.lists(
        st.builds(
            Example,
            query=STRIPPED,
            answer=STRIPPED,
            follows=st.booleans(),
            query_format=WORDS,
            answer_format=WORDS,
        ),
        max_size=3,
    ).map(tuple),
    rules=st.none()
    | st.builds(
        Rules,
        end_bias=st.floats(-100, 100),
        end_tokens=st.integers(1, 1000),
        repeat_bias=st.floats(-100, 100),
        shifts=st.lists(
            st.builds(
                TokenShift, texts=st.lists(WORDS, max_size=2).map(tuple), bias=st.floats(-9, 9)
            ),
            max_size=2,
        ).map(tuple),
    ),
)


@given(preamble=PREAMBLES)
def test_a_file_has_all_of_a_preamble(preamble: Preamble) -> None:
    assert parse_preamble(toml_text(preamble), Path("x.toml")) == preamble


def test_the_shipped_preambles_survive_being_written(tmp_path: Path) -> None:
    for path in paths.shipped_prompts_dir().glob("*.toml"):
        preamble = load_preamble(path)
        assert read_again(tmp_path, preamble) == preamble


def test_another_format_is_left_out_of_an_export_and_told(tmp_path: Path) -> None:
    ours = find_preamble("urial-k8")
    published = published_text(ours)
    assert "format is left out" in published.notes[0]
    assert "example 2 will lose theirs" in published.notes[1]
    again = import_published(write(tmp_path, published.text), "again").preamble
    assert again.system == ours.system
    assert [(e.query, e.answer) for e in again.examples] == [
        (e.query, e.answer) for e in ours.examples
    ]


def test_of_retrieved_examples_what_stands_in_front_of_them_is_exported() -> None:
    preamble = retrieving_preamble("facts", like="urial-k0")
    published = published_text(preamble)
    assert published.text == published_text(find_preamble("urial-k0")).text
    assert "retrieved for each question from facts, are left out" in published.notes[-1]
    with pytest.raises(PreambleError, match="All that the preamble facts shows is retrieved"):
        published_text(retrieving_preamble("facts"))


def test_there_is_nothing_to_export_of_a_preamble_without_text() -> None:
    with pytest.raises(PreambleError, match="neither a system text nor examples"):
        published_text(find_preamble("zero-shot"))


# -- the commands --------------------------------------------------------------------------


def test_an_import_is_a_preamble_by_its_name(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, REGULAR, "Gardens_v2.txt")
    assert cli.run(["prompts", "import", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(paths.user_prompts_dir() / "gardens-v2.toml") in captured.err
    assert preamble_text(find_preamble("gardens-v2")) == REGULAR + "\n"


def test_nothing_is_replaced_unless_that_is_said(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, REGULAR)
    place = write(tmp_path, "mine", "mine.toml")
    command = ["prompts", "import", str(path), "--out", str(place)]
    assert cli.run(command) == 2
    assert "is there already. --force replaces it." in capsys.readouterr().err
    assert place.read_text() == "mine"
    assert cli.run([*command, "--force"]) == 0
    assert load_preamble(place).name == "mine"


def test_a_preamble_of_the_program_is_stood_in_for_only_where_that_is_said(
    tmp_path: Path, capsys: Captured
) -> None:
    path = write(tmp_path, REGULAR, "urial-k3.txt")
    for command in (
        ["prompts", "import", str(path)],
        ["prompts", "import", str(path), "--name", "urial-k3"],
    ):
        assert cli.run(command) == 2
        assert "The program has a preamble named urial-k3" in capsys.readouterr().err
        assert not paths.user_prompts_dir().exists()
    assert cli.run(["prompts", "import", str(path), "--force"]) == 0
    assert preamble_text(find_preamble("urial-k3")) == REGULAR + "\n"


def test_a_name_that_can_not_be_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: Captured
) -> None:
    path = write(tmp_path, REGULAR, "….txt")
    assert cli.run(["prompts", "import", str(path)]) == 2
    assert "--name" in capsys.readouterr().err
    assert cli.run(["prompts", "import", str(path), "--name", "../Mine"]) == 2
    assert cli.run(["prompts", "import", str(path), "--name", "a", "--out", "b.toml"]) == 2
    assert not paths.user_prompts_dir().exists()


@pytest.mark.parametrize("name", ["Bad Name", "a..b", "\x1b[31mred"])
def test_a_name_that_no_preamble_can_have_is_told_as_a_name(
    tmp_path: Path, capsys: Captured, name: str
) -> None:
    path = write(tmp_path, REGULAR)
    assert cli.run(["prompts", "import", str(path), "--name", name]) == 2
    told = capsys.readouterr().err
    assert "A preamble can't be named" in told
    assert "--name" in told
    assert "\x1b" not in told
    assert not paths.user_prompts_dir().exists()


@pytest.mark.parametrize("command", ["import", "export"])
def test_a_directory_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: Captured, command: str
) -> None:
    path = write(tmp_path, REGULAR)
    what = str(path) if command == "import" else "urial-k1"
    out = tmp_path / "mistyped" / "mine.toml"
    assert cli.run(["prompts", command, what, "--out", str(out)]) == 2
    assert f"There is no directory {out.parent}." in capsys.readouterr().err
    assert not out.parent.exists()


def test_a_published_text_in_place_of_a_preamble_is_known_as_one(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, REGULAR, "gardens.txt")
    assert cli.run(["prompts", "check", str(path)]) == 1
    assert f"`urial prompts import {path}` makes a preamble of it." in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert cli.run(["prompts", "check", "gardens.txt"]) == 1
    told = capsys.readouterr().err
    assert "There is no preamble named 'gardens.txt', but a file." in told
    assert "`urial prompts import`" in told
    other = write(tmp_path, "name = 1 2\n", "other.toml")
    assert cli.run(["prompts", "check", str(other)]) == 1
    assert "Correct the file at that place." in capsys.readouterr().err


def test_an_export_is_byte_for_byte_what_was_imported(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = write(tmp_path, IRREGULAR)
    assert cli.run(["prompts", "import", str(path), "--name", "odd"]) == 0
    capfdbinary.readouterr()
    assert cli.run(["prompts", "export", "odd"]) == 0
    assert capfdbinary.readouterr().out == IRREGULAR.encode()
    out = tmp_path / "again.txt"
    assert cli.run(["prompts", "export", "odd", "--out", str(out)]) == 0
    assert out.read_bytes() == IRREGULAR.encode()
    assert cli.run(["prompts", "export", "odd", "--out", str(out)]) == 2
