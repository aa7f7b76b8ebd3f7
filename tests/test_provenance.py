"""How a comparison was made, as its document tells it."""

from __future__ import annotations

import hashlib
import shlex
import sys
from pathlib import Path

import msgspec
import pytest

from urial_tui import __version__
from urial_tui.cli.command_line import command_line
from urial_tui.cli.compare import compare
from urial_tui.compare.provenance import provenance, without_home
from urial_tui.compare.runner import Comparison
from urial_tui.compare.side_pair import SidePair
from urial_tui.compare.sides import Side
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.processor import processor_name
from urial_tui.prompting.context import find_context
from urial_tui.prompting.templates.renderer import TemplateRenderer


def test_it_tells_files_program_and_limits(llama_gguf: Path) -> None:
    base, aligned = (Side(name="m", path=llama_gguf, context=find_context("raw")) for _ in range(2))
    options = EngineOptions(kv_type="q8_0", threads=1, n_ctx=512)
    with Engine() as engine, TemplateRenderer() as templates:
        pair = SidePair(engine, base, aligned, options=options, templates=templates)
        comparison = Comparison(pair)
        for _ in comparison.open():
            pass
        record = provenance(comparison, limits={"max_tokens": 7}, command=["urial", "a question"])
    found = msgspec.to_builtins(record)
    assert found["program"] == f"urial-tui {__version__}"
    assert found["library"].startswith("llama-cpp-python 0.")
    assert found["build"]
    assert found["time"].endswith("+00:00")
    assert (found["max_tokens"], found["kv_type"]) == (7, "q8_0")
    assert found["command"] == "urial 'a question'"
    (file,) = found["files"]["base"]
    assert (file["name"], file["size"]) == (llama_gguf.name, llama_gguf.stat().st_size)
    assert file["sha256"] == hashlib.sha256(llama_gguf.read_bytes()).hexdigest()
    assert found["files"]["aligned"] == (file,)
    assert found["processor"]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("/people/somebody/models/a.gguf", "~/models/a.gguf"),
        ("/people/somebody", "~"),
        ("/people/somebodyelse/a.gguf", "/people/somebodyelse/a.gguf"),
        ("/people/somebody/a.gguf+/people/somebody/b.gguf", "~/a.gguf+~/b.gguf"),
        ("--base", "--base"),
        ("1+1=2", "1+1=2"),
    ],
)
def test_no_path_names_the_person(word: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/people/somebody/")
    assert without_home(word) == shown


@pytest.mark.skipif(sys.platform == "darwin", reason="a command tells there")
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: A  CPU @ 2 GHz\n\nmodel name\t: other\n", "A CPU @ 2 GHz"),
        ("processor : 0\nHardware\t: BCM2835\n", "BCM2835"),
        ("Model\t\t: Raspberry Pi 5\n", "Raspberry Pi 5"),
    ],
)
def test_the_processor_has_the_name_that_the_system_gives_it(
    text: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(text)
    assert processor_name(tmp_path) == name


@pytest.mark.skipif(sys.platform == "darwin", reason="a command tells there")
def test_a_processor_without_a_name_has_its_architecture(tmp_path: Path) -> None:
    assert processor_name(tmp_path) == processor_name(tmp_path / "nowhere") != ""


def test_the_command_line_comes_back_as_it_was_given() -> None:
    given = shlex.split(
        "--base ./a.gguf --aligned b --max-tokens 5 --group-by x --group-by y --json 'What is it?'"
    )
    with compare.make_context("compare", list(given)) as context:
        assert command_line(context) == ["compare", *given]
    with compare.make_context("compare", ["--base", "a", "--", "-5 + 3 = ?"]) as context:
        assert command_line(context) == ["compare", "--base", "a", "--", "-5 + 3 = ?"]
