"""The command line's edge, its printing, and the lists of models, preambles and cache."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from urial_tui import __version__, paths
from urial_tui.chat.store import Store
from urial_tui.chat.turns import ConversationRecord, TurnRecord
from urial_tui.chat.votes import Contestant, Vote
from urial_tui.cli import main as cli
from urial_tui.cli.output import TableColumn, cut, print_json, print_table, text_width
from urial_tui.cli.progress_line import ProgressLine
from urial_tui.engine.preamble_store import PreambleStore, StateKey
from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import ModelError, UsageError
from urial_tui.journal import Journal

Captured = pytest.CaptureFixture[str]
URIAL = [sys.executable, "-m", "urial_tui"]


def urial(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `urial` in a process of its own, without a terminal."""
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True} | options
    return subprocess.run([*URIAL, *arguments], **options)


def all_written(leader: int) -> str:
    """What was written to a terminal, once nobody holds its other end any more."""
    output = b""
    while True:
        try:
            block = os.read(leader, 65_536)
        except OSError:  # Linux: the other end is closed
            break
        if not block:
            break
        output += block
    os.close(leader)
    return output.decode()


def on_terminal(*arguments: str, columns: int, **environment: str) -> str:
    """What `urial` writes to a terminal so wide."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        [*URIAL, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TERM": "xterm-256color"} | environment,
    )
    os.close(follower)
    output = all_written(leader)
    assert process.wait() == 0
    return output.replace("\r\n", "\n")


def add_command(
    monkeypatch: pytest.MonkeyPatch, name: str, action: Callable[[], None]
) -> Callable[[], int]:
    """Put a command in front of the edge; returns what runs it."""
    monkeypatch.setattr(sys.modules[__name__], "_command", click.command()(action), raising=False)
    monkeypatch.setitem(cli._COMMANDS, name, (f"{__name__}:_command", "For a test."))
    return lambda: cli.run([name])


# -- the edge --------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_load_neither_screens_nor_engine(option: str) -> None:
    program = (
        "import sys; from urial_tui.__main__ import main\n"
        f"sys.argv = ['urial', '{option}']; code = main()\n"
        "heavy = {'textual', 'rich', 'msgspec', 'numpy', 'llama_cpp', 'sqlite3', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "[] 0\n"
    assert done.stdout.startswith(
        f"urial {__version__}" if option == "--version" else "Usage: urial"
    )


@pytest.mark.parametrize("name", list(cli._COMMANDS))
def test_every_command_of_the_table_exists_and_is_in_the_help(name: str, capsys: Captured) -> None:
    assert cli.run([name, "--help"]) == 0
    assert f"Usage: urial {name}" in capsys.readouterr().out
    assert cli.run(["--help"]) == 0
    assert f"\n  {name}" in capsys.readouterr().out


def test_without_a_terminal_the_application_points_at_ask() -> None:
    done = urial()
    assert done.returncode == 2
    assert done.stdout == ""
    assert "needs a terminal" in done.stderr
    assert "urial ask" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["models", "list", "--nothing"], "--nothing"),
        (["models", "show"], "Missing argument"),
        (["models", "fetch", "qwen3-8b"], "No such command 'fetch'"),
        (["cache", "clear", "--older-than", "x"], "'x' is no number from 0 to 100000."),
        (["prompts", "sweep", "--temperature", "1,"], "'' is no number from 0 to 100."),
        (["bench", "--runs", "1e3"], "'1e3' is no whole number from 1 to 1000."),
        (["models", "list", "\x1b[31m"], "unexpected extra argument"),
        (["models", "list", "more"], "argument (more). See `urial models list --help`."),
        (["bench", "--runs"], "requires an argument. See `urial bench --help`."),
        (["models", "add", "--name"], "requires an argument. See `urial models add --help`."),
        (["--model"], "requires an argument. See `urial --help`."),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], words: str, capsys: Captured
) -> None:
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("urial: ")
    assert words in captured.err
    assert "--help`" in captured.err
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.err


def test_a_group_without_a_command_shows_its_help_and_exits_2(capsys: Captured) -> None:
    assert cli.run(["models"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "list" in captured.err


@pytest.mark.parametrize(
    ("error", "code"), [(ModelError("It broke.", "Mend it."), 1), (UsageError("No."), 2)]
)
def test_an_error_is_told_with_its_hint_and_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def fail() -> None:
        raise error

    assert add_command(monkeypatch, "fail", fail)() == code
    assert capsys.readouterr() == ("", f"urial: {error}\n")


def test_a_bug_is_one_sentence_and_a_log_with_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def crash() -> None:
        raise ZeroDivisionError("a\x1b[31m\nb")

    assert add_command(monkeypatch, "crash", crash)() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.err
    assert "ZeroDivisionError" in captured.err
    (log,) = paths.log_dir().glob("crash-*.log")
    assert str(log) in captured.err
    text = log.read_text(encoding="utf-8")
    assert "in crash" in text
    assert __version__ in text


def test_a_bug_is_told_also_where_no_log_can_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    paths.log_dir().parent.mkdir(parents=True, exist_ok=True)
    paths.log_dir().touch()

    def crash() -> None:
        raise FileNotFoundError(2, "No such file", "/x")

    assert add_command(monkeypatch, "crash", crash)() == 1
    assert "could not be written" in capsys.readouterr().err


def test_old_crash_logs_go(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = paths.log_dir()
    directory.mkdir(parents=True)
    for number in range(50):
        (directory / f"crash-2020{number:04d}-1.log").touch()

    def crash() -> None:
        raise ValueError

    add_command(monkeypatch, "crash", crash)()
    assert len(list(directory.iterdir())) == 20


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_an_interrupted_command_exits_130(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def stop() -> None:
        raise error

    assert add_command(monkeypatch, "stop", stop)() == 130
    # In front of it, click ends the line that shows ^C.
    assert capsys.readouterr().err.strip() == "urial: Interrupted."


def test_ctrl_c_at_any_moment_of_a_command_gives_no_traceback() -> None:
    done = urial("models", "list", "--json")
    assert done.returncode == 0
    codes = set()
    for step in range(12):
        process = subprocess.Popen(
            # SIGINT is ignored by what a shell starts in the background.
            [sys.executable, "-c", _INTERRUPTIBLE, "models", "list", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        process.stderr.readline()
        time.sleep(step * 0.03)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
        assert "Traceback" not in errors
        assert process.returncode in (0, 130)
        codes.add(process.returncode)
        if process.returncode == 0:
            json.loads(output)
    assert 130 in codes


_INTERRUPTIBLE = """
import signal, sys
from urial_tui.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    print("ready", file=sys.stderr, flush=True)
    code = main()
except KeyboardInterrupt:
    code = 130  # before main's own handler
sys.exit(code)
"""


def test_a_reader_that_goes_early_is_no_error() -> None:
    process = subprocess.Popen(
        [*URIAL, "models", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["models", "list"], ["models", "list", "--json"]])
def test_a_full_disk_under_the_output_is_told(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = urial(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "can't be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&-"])
@pytest.mark.parametrize("arguments", ["models list", "models list --json", "models show nothing"])
def test_closed_streams_do_not_matter(arguments: str, redirection: str) -> None:
    done = subprocess.run(
        f'"$PYTHON" -m urial_tui {arguments} {redirection}',
        shell=True,
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == (1 if "show" in arguments else 0)
    assert "Traceback" not in done.stderr


def test_what_the_terminal_can_t_encode_gets_stand_ins() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    query = ["--query", "naïve 中"]
    done = urial("prompts", "show", "zero-shot", *query, env=environment, encoding="latin-1")
    assert done.returncode == 0
    assert "naïve ?" in done.stdout
    done = urial("prompts", "show", "zero-shot", *query, "--json", env=environment)
    assert "naïve 中" in json.loads(done.stdout)["text"]


# -- printing --------------------------------------------------------------------------


def test_json_is_utf_8_without_raw_control_characters(capsysbinary: Any) -> None:
    text = "é中🙂\x1b[31m\x00\x7f\x9b\u202e\u2066\u2028\udcff\n"
    print_json({"text": text})
    output = capsysbinary.readouterr().out
    assert json.loads(output) == {"text": text}
    shown = output.decode()
    assert "é中🙂" in shown
    assert all(letter.isprintable() for letter in shown.rstrip("\n"))


def test_json_has_null_for_what_is_no_number(capsys: Captured) -> None:
    print_json({"a": [float("nan"), float("inf"), 1.5], "b": (1, None)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5], "b": [1, None]}


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("abc", 3), ("中文", 4), ("e\u0301", 1), ("🙂", 2), ("a\u200bb", 2), ("ｱ", 1)],
)
def test_the_width_of_text_is_the_terminal_s(text: str, width: int) -> None:
    assert text_width(text) == width


def test_columns_line_up_behind_wide_and_foreign_text(capsys: Captured) -> None:
    columns = (TableColumn("NAME"), TableColumn("SIZE", right=True), TableColumn("END"))
    print_table(columns, [("中文", "5", "x"), ("a\x1b[2J", "12345", "y"), ("b\nc", "", "z")])
    lines = capsys.readouterr().out.splitlines()
    assert "\x1b" not in "".join(lines)
    assert len(lines) == 4
    ends = [text_width(line[: line.rindex(end)]) for line, end in zip(lines, "Exyz", strict=True)]
    assert len(set(ends)) == 1
    assert lines[1].endswith("    5  x")


@pytest.mark.parametrize(
    ("text", "width", "middle", "shown"),
    [
        ("abcdef", 6, False, "abcdef"),
        ("abcdef", 5, False, "abcd…"),
        ("abcdef", 5, True, "ab…ef"),
        ("abcdef", 4, True, "ab…f"),
        ("中文中文", 6, False, "中文…"),
        ("中文中文", 7, True, "中文…文"),
        ("abcdef", 1, True, "…"),
    ],
)
def test_a_text_is_cut_where_it_has_no_room(
    text: str, width: int, middle: bool, shown: str
) -> None:
    assert cut(text, width, middle=middle) == shown
    assert text_width(shown) <= width


def test_a_narrow_terminal_gets_fewer_columns_and_a_pipe_all() -> None:
    wide = on_terminal("models", "list", columns=400)
    narrow = on_terminal("models", "list", columns=80)
    for title in ("TITLE", "PARTNER", "FILE"):
        assert title in wide
        assert title not in narrow
        assert title in urial("models", "list").stdout
    for text in ("NAME", "SIZE", "LICENCE", "HERE", "qwen3-8b-base"):
        assert text in narrow


LONG = "a-model-of-a-company-with-a-very-long-name-in-many-words-Instruct-v0.1-Q4_K_M-imatrix"


def fill_the_lists(llama_gguf: Path) -> None:
    """Long names and texts in everything that a command lists."""
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    (directory / f"{LONG}.gguf").symlink_to(llama_gguf)
    paths.user_prompts_dir().mkdir(parents=True)
    (paths.user_prompts_dir() / f"{LONG}.toml").write_text("name = ")
    store_preambles(LONG)
    with Store() as store:
        record = ConversationRecord(
            id=1, title="何" * 90, created=0, updated=0, model=LONG, preamble=LONG
        )
        store.add_question(
            record,
            TurnRecord(id=2, conversation_id=1, parent_id=None, role="user", text="?", created=0),
        )
        sides = [Contestant(model=LONG, preamble=name) for name in ("urial-k3", "zero-shot")]
        store.add_vote(
            Vote(
                id=1,
                created=0,
                question_id=2,
                left_id=None,
                right_id=None,
                left=sides[0],
                right=sides[1],
                blind=True,
                choice="left",
                sampling=Sampling(),
                max_tokens=5,
            )
        )


@pytest.mark.parametrize("columns", [80, 120])
def test_every_list_fits_the_terminal_and_is_whole_in_a_pipe(
    columns: int, llama_gguf: Path
) -> None:
    fill_the_lists(llama_gguf)
    lists = ("models list", "models discover", "prompts list", "cache list", "chats list", "votes")
    for command in lists:
        shown = on_terminal(*command.split(), columns=columns, NO_COLOR="1")
        assert shown.count("\n") >= 2
        assert all(text_width(line) <= columns for line in shown.splitlines()), command
        piped = urial(*command.split()).stdout
        assert piped.count("\n") == shown.count("\n")
        assert LONG in piped
        assert "…" not in piped
    # What tells contestants apart stands at their end.
    assert "…" in shown
    assert "/urial-k3" in shown
    assert "/zero-shot" in shown


def test_progress_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 40, 0, 0))
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with ProgressLine() as line:
            line.show("何" * 50)
    assert all_written(leader) == f"\r\x1b[K{'何' * 19}…\r\x1b[K"


def test_progress_without_a_terminal_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    now = 1000.0
    monkeypatch.setattr("urial_tui.cli.progress_line.time.monotonic", lambda: now)
    with ProgressLine() as line:
        for second in range(100):
            now = 1000.0 + second
            line.show(f"Item {second}\x1b[2J")
    assert capsys.readouterr().err == "".join(
        f"urial: Item {second}␛[2J\n" for second in (30, 60, 90)
    )


def test_colour_is_for_terminals_without_no_color() -> None:
    assert "\x1b[1m" in on_terminal("models", "list", columns=200)
    assert "\x1b" not in on_terminal("models", "list", columns=200, NO_COLOR="1")
    assert "\x1b" not in urial("models", "list").stdout


def test_json_on_a_terminal_is_indented() -> None:
    text = on_terminal("cache", "clear", "--json", columns=80)
    assert json.loads(text) == {"freed": 0}
    assert text.count("\n") == 3


# -- models ----------------------------------------------------------------------------


def documents(capsys: Captured, *arguments: str) -> Any:
    assert cli.run([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


MODEL_KEYS = {
    *("name", "title", "role", "partner", "parameters", "preamble", "size", "licence"),
    *("licence_url", "source", "state", "path", "place", "command", "store", "pooling"),
}


def test_the_models_are_listed_with_state_and_command(capsys: Captured, llama_gguf: Path) -> None:
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    (directory / "Qwen3-0.6B-Q4_K_M.gguf").symlink_to(llama_gguf)
    document = documents(capsys, "models", "list")
    assert document["directory"] == str(directory)
    models = {model["name"]: model for model in document["models"]}
    assert all(set(model) == MODEL_KEYS for model in models.values())
    here, absent = models["qwen3-0.6b"], models["qwen3-0.6b-base"]
    assert (here["state"], here["path"], here["command"]) == ("disk", here["place"], None)
    assert (absent["state"], absent["path"]) == ("absent", None)
    place = str(directory / "Qwen3-0.6B-Base.Q4_K_M.gguf")
    assert absent["place"] == place
    assert shlex.split(absent["command"])[-2:] == [
        place,
        "https://huggingface.co/mradermacher/Qwen3-0.6B-Base-GGUF/resolve/main/"
        "Qwen3-0.6B-Base.Q4_K_M.gguf",
    ]
    assert absent["partner"] == "qwen3-0.6b"
    assert absent["role"] == "base"


def test_a_file_in_no_catalogue_is_listed_without_its_escape_sequences(
    capsys: Captured, llama_gguf: Path
) -> None:
    directory = paths.models_dir()
    directory.mkdir(parents=True)
    name = "evil\x1b[2J\u202e.gguf"
    (directory / name).symlink_to(llama_gguf)
    assert cli.run(["models", "list"]) == 0
    output = capsys.readouterr().out
    assert "evil␛[2J<U+202E>.gguf" in output
    assert "\x1b" not in output
    model = documents(capsys, "models", "list")["models"][-1]
    assert set(model) == MODEL_KEYS
    assert model["name"] == name
    assert model["role"] is None


def test_a_damaged_catalogue_is_told(capsys: Captured) -> None:
    path = paths.user_catalogue_file()
    path.parent.mkdir(parents=True)
    path.write_text("[[model]]\nname = 3\n")
    assert cli.run(["models", "list"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(path) in captured.err
    assert "name" in captured.err


def test_a_model_is_shown_with_the_command_that_gets_it(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "with space"))
    assert cli.run(["models", "show", "qwen3-8b"]) == 0
    shown = capsys.readouterr().out
    command = shlex.split(shown.splitlines()[-1])
    assert command[0] == "curl"
    assert command[-2:] == [
        str(paths.models_dir() / "Qwen3-8B-Q4_K_M.gguf"),
        "https://huggingface.co/Qwen/Qwen3-8B-GGUF/resolve/main/Qwen3-8B-Q4_K_M.gguf",
    ]
    assert "https://huggingface.co/Qwen/Qwen3-8B-GGUF/blob/main/Qwen3-8B-Q4_K_M.gguf" in shown
    assert "Apache-2.0" in shown
    assert documents(capsys, "models", "show", "qwen3-8b")["command"] == shown.splitlines()[-1][4:]


def test_the_command_puts_a_file_where_it_is_found(
    capsys: Captured, llama_gguf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a `curl` that takes the file from here."""
    fake = tmp_path / "bin" / "curl"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != -o ]; do shift; done\n'
        f'mkdir -p "$(dirname "$2")" && cp {shlex.quote(str(llama_gguf))} "$2"\n'
    )
    fake.chmod(0o755)
    command = documents(capsys, "models", "show", "llama-3.2-1b")["command"]
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, shell=True, check=True, env=os.environ | {"PATH": path})
    assert documents(capsys, "models", "show", "llama-3.2-1b")["state"] == "disk"


def test_what_is_here_needs_no_command(capsys: Captured, llama_gguf: Path) -> None:
    place = paths.models_dir() / "Qwen3-8B-Q4_K_M.gguf"
    place.parent.mkdir(parents=True)
    place.symlink_to(llama_gguf)
    assert cli.run(["models", "show", "qwen3-8b"]) == 0
    shown = capsys.readouterr().out
    assert str(place) in shown
    assert "curl" not in shown


def test_a_model_that_is_unknown_is_told_with_those_that_are_spelled_alike(
    capsys: Captured,
) -> None:
    assert cli.run(["models", "show", "qwen3-8"]) == 1
    assert "Did you mean qwen3-8b" in capsys.readouterr().err


# -- preambles -------------------------------------------------------------------------


def test_the_preambles_are_listed_and_a_damaged_one_stops_nothing(capsys: Captured) -> None:
    directory = paths.user_prompts_dir()
    directory.mkdir(parents=True)
    broken = directory / "broken\x1b[2J.toml"
    broken.write_text("name = ")
    found = {entry["name"]: entry for entry in documents(capsys, "prompts", "list")["preambles"]}
    assert found["urial-k3"] == {
        "name": "urial-k3",
        "title": found["urial-k3"]["title"],
        "description": found["urial-k3"]["description"],
        "method": "urial",
        "examples": 3,
        "origin": "shipped",
        "path": str(paths.shipped_prompts_dir() / "urial-k3.toml"),
        "error": None,
    }
    entry = found[broken.stem]
    assert entry["origin"] == "user"
    assert entry["method"] is None
    assert "TOML" in entry["error"]
    assert cli.run(["prompts", "list"]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "can't be used" in captured.out
    assert "urial-k8" in captured.out
    assert f"urial: broken␛[2J can't be used: {entry['error']}" in captured.err


def test_a_preamble_is_shown_as_the_model_sees_it(capsys: Captured) -> None:
    assert cli.run(["prompts", "show", "urial-k1", "--query", "Why is the sky blue?"]) == 0
    text = capsys.readouterr().out
    document = documents(capsys, "prompts", "show", "urial-k1", "--query", "Why is the sky blue?")
    assert document["text"].strip() == text.strip()
    assert "Why is the sky blue?" in text
    assert len(document["examples"]) == 1
    assert document["examples"][0]["answer"] in text
    assert cli.run(["prompts", "show", "nothing"]) == 1


# -- cache -----------------------------------------------------------------------------


def store_preambles(name: str = "model") -> None:
    store = PreambleStore(paths.preamble_cache_dir(), 10**9)
    for number, age in ((1, 10 * 86_400), (2, 60)):
        key = StateKey(
            model="m",
            adapter="",
            adapter_scale=0.0,
            tokens=tuple(range(100 * number)),
            library="x",
            kv_type="f16",
            flash_attention=True,
            swa_full=True,
            unified=True,
            n_batch=512,
            gpu_layers=0,
        )
        store.save(key, f"{name}-{number}\x1b.gguf", bytes(1000))
        (path,) = (p for p in paths.preamble_cache_dir().glob("*.kv") if key.digest() in p.name)
        os.utime(path, (time.time() - age,) * 2)


def test_the_cache_is_listed_and_cleared(capsys: Captured) -> None:
    assert documents(capsys, "cache", "list")["preambles"] == []
    store_preambles()
    document = documents(capsys, "cache", "list")
    assert document["directory"] == str(paths.preamble_cache_dir())
    assert document["limit"] == 4_096_000_000
    assert document["size"] == sum(entry["size"] for entry in document["preambles"]) > 2000
    assert [entry["tokens"] for entry in document["preambles"]] == [200, 100]
    assert set(document["preambles"][0]) == {"path", "model", "tokens", "size", "used"}
    assert document["preambles"][0]["used"].endswith("+00:00")
    assert cli.run(["cache", "list"]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    assert captured.out.count("\n") == 3
    freed = documents(capsys, "cache", "clear", "--older-than", "5")["freed"]
    assert [entry["tokens"] for entry in documents(capsys, "cache", "list")["preambles"]] == [200]
    assert freed + documents(capsys, "cache", "clear")["freed"] == document["size"]
    assert documents(capsys, "cache", "list")["preambles"] == []


def test_other_parts_of_the_cache_are_listed_and_cleared_one_by_one(capsys: Captured) -> None:
    store_preambles()
    paths.measures_file().write_bytes(bytes(300))
    assert documents(capsys, "cache", "list")["others"] == [
        {"part": "measures", "path": str(paths.measures_file()), "size": 300},
        {"part": "headers", "path": str(paths.model_index_file()), "size": 0},
    ]
    assert cli.run(["cache", "list"]) == 0
    told = capsys.readouterr().err
    assert "What was measured of contexts (`measures`): 300 B." in told
    assert "headers" not in told
    assert cli.run(["cache", "clear", "measures", "--older-than", "1"]) == 2
    assert "--older-than is for preambles" in capsys.readouterr().err
    journal = Journal(paths.measures_file())
    assert cli.run(["cache", "clear", "measures"]) == 1
    assert "in use by another program" in capsys.readouterr().err
    journal.close()
    assert documents(capsys, "cache", "clear", "measures") == {"freed": 300}
    assert documents(capsys, "cache", "clear", "headers") == {"freed": 0}
    assert not paths.measures_file().exists()
    assert len(documents(capsys, "cache", "list")["preambles"]) == 2


def test_clearing_works_beside_a_damaged_settings_file(capsys: Captured) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("nonsense")
    store_preambles()
    assert cli.run(["cache", "list"]) == 1
    assert str(path) in capsys.readouterr().err
    assert documents(capsys, "cache", "clear")["freed"] > 2000


def test_what_can_t_be_removed_is_told(capsys: Captured) -> None:
    directory = paths.preamble_cache_dir()
    (directory / "folder.kv").mkdir(parents=True)
    assert cli.run(["cache", "clear"]) == 1
    message = capsys.readouterr().err
    assert "can't be reached" in message
    assert "folder.kv" in message


@pytest.mark.parametrize(
    "line",
    [
        ("ask", "Why?", "-m", ""),
        ("ask", "Why?", "-p", " "),
        ("bench", "-m", ""),
        ("-m", ""),
        ("compare", "Why?", "--base", "", "--aligned", "x"),
        ("compare", "Why?", "--base", "x", "--aligned", "x", "--base-context", ""),
        ("compare", "--queries", "", "--base", "x", "--aligned", "x"),
        ("replay", ""),
        ("chats", "import", ""),
        ("chats", "export", "last", "--out", ""),
        ("prompts", "import", ""),
        ("prompts", "index", " "),
    ],
)
def test_a_name_that_is_empty_is_no_default(capsys: Captured, line: tuple[str, ...]) -> None:
    assert cli.run(line) == 2
    assert "it is empty." in capsys.readouterr().err


def test_whether_a_file_can_be_read_is_found_out_by_reading_it(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert cli.run(("replay", "--json", str(file))) == 1
    assert "is not a recording of a session" in capsys.readouterr().err
    assert cli.run(("chats", "import", str(file))) == 1
    assert "There are no turns in this file." in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--limit", "--group-by"])
def test_what_is_said_of_a_list_of_queries_needs_one(capsys: Captured, option: str) -> None:
    assert cli.run(("compare", "Hi", option, "1", "--base", "x", "--aligned", "x")) == 2
    assert f"{option} goes with --queries." in capsys.readouterr().err


def test_an_empty_query_is_nothing_to_compare_on(capsys: Captured) -> None:
    assert cli.run(("compare", " ", "--base", "x", "--aligned", "x")) == 2
    assert "The query is empty." in capsys.readouterr().err


def test_whatever_is_a_model_elsewhere_is_shown(
    capsys: Captured, llama_gguf: Path, adapter_gguf: Path
) -> None:
    assert cli.run(("models", "show", f"{llama_gguf}+{adapter_gguf}")) == 0
    shown = capsys.readouterr().out
    assert f"file      {llama_gguf}\nadapter   {adapter_gguf}\n" in shown
    assert "pull" not in shown
    assert cli.run(("models", "show", "https://example.org/a b;.gguf?k=v")) == 1
    assert "no address" in capsys.readouterr().err
    assert cli.run(("models", "show", "https://example.org/a;b.gguf?k=v")) == 0
    shown = capsys.readouterr().out
    assert "    urial models pull 'https://example.org/a;b.gguf?k=v'\n" in shown
    assert "curl" not in shown
    told = documents(capsys, "models", "show", "hf.co/ada/tiny-GGUF")
    assert set(told) == {*MODEL_KEYS, "adapter"}
    assert told["source"] == "https://huggingface.co/ada/tiny-GGUF"
    assert (told["state"], told["command"], told["adapter"]) == ("absent", None, None)
    assert cli.run(("models", "show", "nobody")) == 1
    assert "no model named 'nobody'" in capsys.readouterr().err
