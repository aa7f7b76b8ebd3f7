"""`urial compare --text`: a text is read to the byte as it stands in its file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import tinygguf
from tests.test_compare import HANGS, compare, document_of, given, opened
from tests.test_compare import other_gguf as other_gguf
from urial_tui import paths

RAW = ("--base-context", "raw", "--aligned-context", "raw")


@pytest.fixture(autouse=True)
def settings(home: Path) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1")


@pytest.fixture
def models(llama_gguf: Path, other_gguf: Path) -> tuple[str, ...]:
    return ("--base", str(llama_gguf), "--aligned", str(other_gguf), *RAW)


def answer_to(document: dict[str, Any]) -> str:
    return "".join(item["answer"] for item in document["items"])


@pytest.mark.parametrize("context", ["raw", "zero-shot"])
def test_a_side_says_the_same_of_a_text_on_either_side(
    llama_gguf: Path, recurrent_gguf: Path, context: str
) -> None:
    """A SentencePiece vocabulary, which puts a space in front of a text, and one that does not."""
    found: list[dict[Path, float | None]] = []
    for base, aligned in ((llama_gguf, recurrent_gguf), (recurrent_gguf, llama_gguf)):
        with opened(base, aligned, base_context=context, aligned_context=context) as comparison:
            item = given(comparison, "Hello world, this is the list and the answer to it.")
        assert item.bytes is not None
        found.append(
            {base: item.bytes.bits_per_byte_base, aligned: item.bytes.bits_per_byte_aligned}
        )
    assert found[0] == found[1]


def test_line_ends_are_those_of_the_file(models: tuple[str, ...], tmp_path: Path) -> None:
    text = "the list\r\nand the answer\rto it\n"
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    assert answer_to(document_of(*models, "--text", path)) == text


def test_standard_input_is_a_text(models: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "urial_tui", "compare", *models, "--text", "-", "--json"],
        input=b"the list\r\nand the answer",
        capture_output=True,
        timeout=HANGS,
        check=True,
    )
    assert answer_to(json.loads(done.stdout)) == "the list\r\nand the answer"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_left_out_and_that_is_said(
    models: tuple[str, ...], tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "text"
    path.write_bytes("the list".encode(encoding))
    done = compare(*models, "--text", path, "--json")
    assert answer_to(json.loads(done.stdout)) == "the list"
    assert b"The byte order mark in front of the text" in done.stderr


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("the café".encode("latin-1"), "it is not UTF-8 text (byte 7 can't be)"),
        ("the list".encode("utf-16-le"), "byte 1 is NUL as in UTF-16"),
        (b"", "There is no text in the file"),
    ],
)
def test_what_is_no_text_is_refused_before_a_model_is_loaded(
    tmp_path: Path, data: bytes, told: str
) -> None:
    path = tmp_path / "text"
    path.write_bytes(data)
    model = str(tmp_path / "nowhere.gguf")
    done = compare("--base", model, "--aligned", model, *RAW, "--text", path)
    assert done.returncode in (1, 2)
    assert told in done.stderr.decode()


def test_what_never_ends_is_refused(tmp_path: Path) -> None:
    model = str(tmp_path / "nowhere.gguf")
    done = compare("--base", model, "--aligned", model, *RAW, "--text", "/dev/zero")
    assert done.returncode == 1
    assert b"it is a device, not a file" in done.stderr


def test_that_two_files_cut_text_by_other_rules_is_told(llama_gguf: Path, tmp_path: Path) -> None:
    """The same tokens: they are compared by id all the same."""
    spm = msgspec.structs.replace(tinygguf.spm_vocabulary(), pre="", add_space_prefix=False)
    other = tinygguf.write_llama(tmp_path / "other.gguf", seed=1, vocabulary=spm)
    models = ("--base", llama_gguf, "--aligned", other, *RAW, "--max-tokens", "4", "Hello")
    found = document_of(*models)
    assert found["vocab"]["relation"] == "identical"
    assert found["vocab"]["cutting"] == [
        {"key": "add_space_prefix", "base": "True", "aligned": "False"},
        {"key": "pre", "base": "default", "aligned": None},
    ]
    shown = compare(*models).stdout.decode()
    assert "add_space_prefix (True and False), pre (default and none)" in shown
