"""`--out`: what of a file is used again, what is computed anew, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import tinygguf
from tests.test_compare import arguments as arguments
from tests.test_compare import compare
from tests.test_compare import other_gguf as other_gguf
from tests.test_compare import queries as queries
from urial_tui import paths
from urial_tui.compare.item_file import ItemFile, item_key
from urial_tui.compare.items import CompareError, Query
from urial_tui.compare.run_terms import ComparisonTerms, differences
from urial_tui.compare.sides import Task

TERMS: dict[str, Any] = {
    "numerics": 1,
    "library": "a build",
    "subject": "answers",
    "base": {"content": "b", "adapter": "", "context": "z"},
    "aligned": {"content": "a", "adapter": "l", "context": "c"},
    "kv_type": "f16",
    "n_ctx": 4096,
    "gpu_layers": 0,
    "max_tokens": 300,
    "top_k": 10,
}


@pytest.fixture(autouse=True)
def settings(home: Path) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1")


def task(item: str, asked: str, **more: Any) -> Task:
    return Task(query=Query(id=item, text=asked), **more)


def of(terms: dict[str, Any]) -> ComparisonTerms:
    return msgspec.convert(terms, ComparisonTerms)


def opened(path: Path, terms: dict[str, Any] = TERMS) -> ItemFile:
    return ItemFile(path, {"base": {"model": "some name"}}, of(terms))


def filled(path: Path, *tasks: Task) -> None:
    file = opened(path)
    for one in tasks:
        file.append(one, {"id": one.query.id, "answer": f"to {one.query.text}"})
    file.close()


def answers(file: ItemFile, *tasks: Task) -> list[str]:
    return [document["answer"] for document in file.documents(tasks)]


# -- items ------------------------------------------------------------------------------


CHANGES = [
    task("1", "Why"),
    task("1", "Why?", text="Because."),
    task("1", "Why?", skip=1),
    task("1", "Why?", ids=(3,)),
    Task(query=Query(id="1", text="Why?", fields={"kind": "a"})),
]


@pytest.mark.parametrize("changed", CHANGES)
def test_an_item_is_used_for_what_it_was_made_from_alone(tmp_path: Path, changed: Task) -> None:
    first, other = task("1", "Why?"), task("2", "How?")
    filled(tmp_path / "out", first, other)
    file = opened(tmp_path / "out")
    assert file.holds(first)
    assert not file.holds(changed)
    assert file.changed([changed, other]) == ["1"]
    assert answers(file, changed, other) == ["to How?"]
    file.append(changed, {"id": "1", "answer": "anew"})
    file.close()
    again = opened(tmp_path / "out")
    # In the order of the tasks, and the last line of an id counts.
    assert answers(again, other, changed) == ["to How?", "anew"]
    assert not again.holds(first)
    again.close()


def test_the_bytes_of_a_question_count() -> None:
    texts = ["a\nb", "a\r\nb", "a b", " a b", "\udc80", "é", "e\u0301"]
    assert len({item_key(task("1", text)) for text in texts}) == len(texts)


def test_a_torn_line_is_written_again(tmp_path: Path) -> None:
    tasks = [task(str(number), f"q{number}") for number in range(3)]
    filled(tmp_path / "out", *tasks)
    whole = (tmp_path / "out").read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        (tmp_path / "out").write_bytes(whole[:length])
        file = opened(tmp_path / "out")
        kept = sum(map(file.holds, tasks))
        assert kept == whole[:length].count(b"\n") - 1
        for one in tasks[kept:]:
            file.append(one, {"id": one.query.id, "answer": f"to {one.query.text}"})
        file.close()
        assert (tmp_path / "out").read_bytes() == whole


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    opened(tmp_path / "out").close()
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


# -- runs -------------------------------------------------------------------------------

OTHER_RUNS = [
    ({"numerics": 0}, "the program computed otherwise then"),
    ({"library": "x"}, "llama.cpp is another build"),
    ({"base": TERMS["base"] | {"content": "x"}}, "the base side's model has another content"),
    ({"aligned": TERMS["aligned"] | {"content": "x"}}, "the aligned side's model has another"),
    ({"aligned": TERMS["aligned"] | {"adapter": ""}}, "the aligned side's adapter is another one"),
    ({"base": TERMS["base"] | {"context": "x"}}, "the base side's context is another one"),
    ({"kv_type": "q8_0"}, "the cache was of the type q8_0, and is of f16 now"),
    ({"n_ctx": 512}, "the context had 512 tokens, and has 4096 now"),
    ({"max_tokens": 20}, "--max-tokens was 20, and is 300 now"),
    ({"top_k": 3}, "--top-k was 3, and is 10 now"),
    ({"subject": "a text", "window": 64}, "it is about a text, not about answers"),
    ({"invention": 1}, "a newer version of the program wrote it"),
]


@pytest.mark.parametrize(("change", "words"), OTHER_RUNS, ids=lambda value: str(value)[:20])
def test_a_file_of_another_run_is_refused_with_what_differs(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    file = tmp_path / "out"
    opened(file).close()
    head = json.loads(file.read_bytes())
    head["compare"]["terms"] |= change
    file.write_text(json.dumps(head) + "\n")
    before = (tmp_path / "out").read_bytes()
    with pytest.raises(CompareError, match="holds another comparison") as caught:
        opened(tmp_path / "out")
    assert words in caught.value.message
    assert caught.value.message.count(";") == 0
    assert (tmp_path / "out").read_bytes() == before


def test_all_differences_are_told() -> None:
    wanted = of(TERMS)
    assert differences(TERMS, wanted) == []
    assert len(differences(TERMS | {"top_k": 1, "gpu_layers": 3}, wanted)) == 2
    assert len(differences({}, wanted)) == 1, "of something else entirely"


def test_a_file_without_terms_is_refused(tmp_path: Path) -> None:
    """As earlier versions wrote it."""
    (tmp_path / "out").write_text('{"compare":{"base":{"model":"m"},"max_tokens":300}}\n')
    with pytest.raises(CompareError, match="written by an older version"):
        opened(tmp_path / "out")


@pytest.mark.parametrize(
    "content",
    [b"my notes\n", b"[" * 100_000, b'{"a":' * 100_000, b'{"compare":3}\n', b"{}\n", b"\0" * 99],
    ids=["text", "lists", "objects", "a number", "nothing", "zeros"],
)
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out").write_bytes(content)
    with pytest.raises(CompareError, match="something else"):
        opened(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null"), tmp_path / "no" / "where"):
        with pytest.raises(CompareError, match="can't be used"):
            opened(path)


def test_a_second_program_is_refused(tmp_path: Path) -> None:
    first = opened(tmp_path / "out")
    with pytest.raises(CompareError, match="in use by another comparison"):
        opened(tmp_path / "out")
    first.append(task("1", "Why?"), {"id": "1", "answer": "So."})
    first.close()
    second = opened(tmp_path / "out")
    assert second.holds(task("1", "Why?"))
    second.close()


def test_where_files_can_not_be_locked_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def flock(_fd: int, _how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    file = opened(tmp_path / "out")
    assert file.lock_trouble == "No locks available"
    file.close()


# -- the command ------------------------------------------------------------------------


def test_the_command_tells_what_it_uses_and_computes_the_rest(
    llama_gguf: Path, other_gguf: Path, tmp_path: Path
) -> None:
    base, out, asked = tmp_path / "base.gguf", tmp_path / "out.jsonl", tmp_path / "asked.jsonl"
    shutil.copy(llama_gguf, base)
    preamble = tmp_path / "urial-k0.toml"
    preamble.write_text((paths.shipped_prompts_dir() / "urial-k0.toml").read_text())

    def run(*questions: str) -> tuple[int, str, Any]:
        asked.write_text("".join(json.dumps({"query": text}) + "\n" for text in questions))
        done = compare(
            *("--base", base, "--aligned", other_gguf, "--max-tokens", "6", "--json"),
            *("--base-context", preamble, "--aligned-context", "raw"),
            *("--queries", asked, "--out", out),
        )
        return done.returncode, done.stderr.decode(), json.loads(done.stdout or "null")

    code, said, first = run("Why?", "How?")
    assert (code, said) == (0, "")
    code, said, again = run("Why?", "How?")
    # When and with which words it was run is told of each run.
    assert {key for key in first if again[key] != first[key]} <= {"run"}
    assert code == 0
    assert "2 of 2 items are taken from" in said
    code, said, changed = run("Why?", "Who?")
    assert code == 0
    assert "1 of 2 items are taken from" in said
    assert "1 computed anew, 1 of them since they have changed (2)" in said
    assert [item["query"] for item in changed["items"]] == ["Why?", "Who?"]
    assert changed["items"][0] == first["items"][0]
    assert changed["items"][1] != first["items"][1]
    # A preamble that was edited under its name, and a model that was replaced under its name.
    preamble.write_text(preamble.read_text().replace("friendly tone", "formal tone"))
    code, said, _ = run("Why?", "Who?")
    assert code == 1
    tinygguf.write_llama(base, seed=5)
    code, said, _ = run("Why?", "Who?")
    assert code == 1
    assert "the base side's model has another content; the base side's context" in said


def test_one_text_is_not_taken_for_another(
    llama_gguf: Path, other_gguf: Path, tmp_path: Path
) -> None:
    found = []
    for name, text in (("a", "the list and the answer"), ("b", "and this is the code")):
        (tmp_path / name).write_text(text)
        done = compare(
            *("--base", llama_gguf, "--aligned", other_gguf, "--base-context", "raw"),
            *("--aligned-context", "raw", "--text", tmp_path / name),
            *("--out", tmp_path / "out.jsonl", "--json"),
        )
        assert done.returncode == 0, done.stderr.decode()
        found.append(json.loads(done.stdout)["items"][0]["answer"])
    assert found == ["the list and the answer", "and this is the code"]
