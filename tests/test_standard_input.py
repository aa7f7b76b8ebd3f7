"""What `urial ask` makes of its arguments and of standard input."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from urial_tui.cli import ask, main, standard_input
from urial_tui.errors import UrialError, UsageError

Give = Callable[[bytes], None]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a pipe; this is its other end."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield writing
        os.close(writing)


@pytest.fixture
def give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Give:
    """Let standard input be a file with these bytes."""

    def give(data: bytes) -> None:
        (tmp_path / "stdin").write_bytes(data)
        stream = io.TextIOWrapper((tmp_path / "stdin").open("rb"))
        monkeypatch.setattr(sys, "stdin", stream)

    return give


def question(*arguments: str) -> str:
    text, *rest = arguments or (None,)
    return ask._question(text, tuple(rest))


def test_a_file_stands_behind_the_text_and_that_is_said(
    give: Give, capsys: pytest.CaptureFixture[str]
) -> None:
    give(b"The cat sat.\n")
    assert question("Summarise this.") == "Summarise this.\n\nThe cat sat.\n"
    assert "Standard input is added to the question (13 characters)." in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_alone_it_is_the_question(give: Give, arguments: tuple[str, ...]) -> None:
    give(b"Why?\n")
    assert question(*arguments) == "Why?\n"


def test_a_dash_behind_the_text_asks_for_it(give: Give) -> None:
    give(b"The cat sat.")
    assert question("Summarise this.", "-") == "Summarise this.\n\nThe cat sat."


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_nothing_adds_nothing(give: Give, capsys: pytest.CaptureFixture[str], data: bytes) -> None:
    give(data)
    assert question("Why?") == "Why?"
    assert capsys.readouterr().err == ""
    give(data)
    with pytest.raises(UsageError, match="question is empty"):
        question()


def test_several_words_are_asked_for_in_quotes(give: Give) -> None:
    with pytest.raises(UsageError) as raised:
        question("What", "is", "this?")
    assert "quotes" in raised.value.hint


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße"),
        (b"\xff\xfe" + "Grüße".encode("utf-16-le"), "Grüße"),
        (b"\0\0\xfe\xff" + "Grüße".encode("utf-32-be"), "Grüße"),
    ],
)
def test_a_mark_says_what_it_is_written_in_and_is_not_asked(
    give: Give, data: bytes, text: str
) -> None:
    give(data)
    assert question() == text


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"caf\xe9", "byte 3 can't be"),
        ("Hello".encode("utf-16-le"), "byte 1 is NUL as in UTF-16"),
        (b"x" * (standard_input.LIMIT + 1), "longer than 4 MiB"),
    ],
)
def test_what_is_no_text_or_too_long_is_one_sentence(give: Give, data: bytes, why: str) -> None:
    for arguments in ((), ("Summarise this.",), ("Summarise this.", "-")):
        give(data)
        with pytest.raises(UrialError, match=why):
            question(*arguments)


def test_endless_input_is_refused_after_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/zero").open("rb") as zeros:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(zeros))
        with pytest.raises(UrialError, match="longer than 4 MiB"):
            question("Summarise this.")


def test_a_pipe_that_speaks_late_is_waited_for_and_that_is_said(
    pipe: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(standard_input, "NOTICE_AFTER", 0.05)

    def speak() -> None:
        while "Waiting" not in said:
            said.append("Waiting" if "Waiting" in capsys.readouterr().err else "")
            time.sleep(0.02)
        os.write(writing, b"The cat sat.")
        os.close(writing)

    said: list[str] = []
    writing = os.dup(pipe)
    thread = threading.Thread(target=speak)
    thread.start()
    # The end comes once all have closed it.
    os.dup2(os.open(os.devnull, os.O_RDONLY), pipe)
    assert question("Summarise this.") == "Summarise this.\n\nThe cat sat."
    thread.join()


def test_a_pipe_that_says_nothing_ends_the_command_and_not_silently(
    pipe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standard_input, "NOTICE_AFTER", 0.05)
    monkeypatch.setattr(standard_input, "PATIENCE", 0.1)
    with pytest.raises(UsageError, match="Nothing came from standard input") as raised:
        question("Why?")
    assert "< /dev/null" in raised.value.hint


def test_no_standard_input_at_all_is_nothing_beside_a_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert question("Why?") == "Why?"
    for arguments in ((), ("-",), ("Why?", "-")):
        with pytest.raises(UsageError, match="There is no"):
            question(*arguments)


def test_an_input_that_is_to_be_written_to_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert question("Why?") == "Why?"
        with pytest.raises(UsageError, match="no standard input"):
            question("Why?", "-")


# -- arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [("ask", "-5 + 3 = ?"), ("compare", "-5 + 3 = ?"), ("chats", "search", "-x y")]
)
def test_text_that_starts_with_a_dash_is_told_how_to_be_given(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 2
    assert "behind `--`" in capsys.readouterr().err


def test_a_wrong_option_of_a_command_without_text_is_told_without_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(("chats", "list", "--no-such")) == 2
    assert "--`." not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "x", "--temperature", "nan"),
        ("ask", "x", "--temperature", "inf"),
        ("ask", "x", "--max-tokens", "1" + "0" * 30),
        ("ask", "x", "--seed", "9" * 100_000),
        ("ask", "x", "--seed", "-1"),
        ("compare", "x", "--limit", "1" + "0" * 30),
        ("compare", "x", "--window", "1" + "0" * 30),
        ("compare", "x", "--skip", "1" + "0" * 30),
        ("compare", "x", "--answer", "1" + "0" * 30),
        ("compare", "x", "--max-tokens", "1" + "0" * 30),
        ("chats", "list", "--limit", "1" + "0" * 30),
        ("cache", "clear", "--older-than", "nan"),
        ("chats", "show", "9" * 100_000),
        ("ask", "x", "-m", "m" * 100_000),
        ("ask", "x", "-m", "~nobody-here/x.gguf"),
        ("ask", "x", "-m", "n" * 300),
        ("ask", "x", "-m", "n" * 300 + ".gguf"),
        ("ask", "x", "-m", "gemma-3-270m+" + "n" * 300),
        ("ask", "x", "-m", "~nobody-here/x.gguf+~nobody-here/y.gguf"),
        ("ask", "x", "-p", "n" * 300),
        ("ask", "x", "-p", "n" * 300 + ".toml"),
        ("ask", "x", "-p", "~nobody-here/x.toml"),
        ("ask", "x", "-p", "/dev/zero.toml"),
        ("compare", "x", "--base", "n" * 300, "--aligned", "n" * 300),
        ("compare", "--queries", "n" * 300, "--base", "a", "--aligned", "b"),
        ("compare", "--queries", "/dev/zero", "--base", "a", "--aligned", "b"),
        ("chats", "import", "n" * 300),
        ("chats", "import", "/dev/zero"),
        ("replay", "n" * 300, "--json"),
        ("replay", "/dev/zero", "--json"),
        ("prompts", "show", "n" * 300),
        ("prompts", "check", "n" * 300),
        ("prompts", "import", "n" * 300),
        ("prompts", "index", "n" * 300),
        ("prompts", "search", "n" * 300, "-k", "1"),
        ("prompts", "measure", "urial-k3", "--html", "n" * 300),
        ("eval", "run", "--out", "n" * 300),
        ("eval", "run", "--items", "n" * 300, "--out", "n"),
        ("eval", "judge", "n" * 300, "--judge", "x", "--out", "n"),
        ("eval", "report", "n" * 300),
        ("models", "show", "n" * 300),
        ("n" * 100_000,),
    ],
)
def test_what_can_not_be_is_one_short_sentence(
    arguments: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("urial: ")
    assert error.count("\n") == 1
    assert "internal error" not in error
    assert len(error) < 2500


@pytest.mark.parametrize(
    "arguments", [("models", "list"), ("chats", "show", "last"), ("ask", "-m", "nothing", "x")]
)
def test_a_full_place_for_errors_changes_no_exit_code(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "urial_tui", *arguments]
    expected = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert done.returncode == expected.returncode in (0, 1, 2)
    assert done.stdout == expected.stdout


# -- files that are named twice --------------------------------------------------------


@pytest.mark.parametrize("output", ["--html", "--out"])
@pytest.mark.parametrize("name", ["here", "hard", "soft", "round"])
@pytest.mark.parametrize("option", ["--queries", "--text", "--base", "--aligned-context"])
def test_a_comparison_writes_over_nothing_that_it_reads(
    output: str, name: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = tmp_path / "list.jsonl"
    read.write_text('{"query": "Why?"}')
    (tmp_path / "hard").hardlink_to(read)
    (tmp_path / "soft").symlink_to(read)
    names = {"here": read, "round": tmp_path / ".." / tmp_path.name / read.name}
    written = names.get(name, tmp_path / name)
    assert main.run(("compare", option, str(read), output, str(written))) == 2
    assert f"{option} and {output} name the same file" in capsys.readouterr().err
    assert read.read_text() == '{"query": "Why?"}'


def test_both_outputs_of_a_comparison_are_two_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = str(tmp_path / "new")
    assert main.run(("compare", "Why?", "--html", new, "--out", new)) == 2
    assert "name the same file" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("output", ["--html", "--out"])
@pytest.mark.parametrize(
    ("name", "trouble"), [("here", "it is a directory"), ("no/file", "there is no such directory")]
)
def test_where_a_comparison_can_not_be_written_is_told_before_it(
    output: str, name: str, trouble: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    assert main.run(("compare", "Why?", output, str(tmp_path / name))) == 2
    assert f"{trouble}. Choose another place with {output}." in capsys.readouterr().err
