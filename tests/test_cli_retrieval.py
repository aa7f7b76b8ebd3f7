"""Examples that are retrieved: from the pool's file to the answers of all commands."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tinygguf
from urial_tui import paths, wording
from urial_tui.cli import main as cli
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.prompting.preamble_file import load_preamble
from urial_tui.runtime.embedder import ModelEmbedder, load_embedder

URIAL = (sys.executable, "-m", "urial_tui")
POOL = [
    {"query": "What is the capital of France?", "answer": "Paris is the capital of France."},
    {"query": "How do I boil an egg?", "answer": "Put it into boiling water. Wait. Eat it."},
    {"query": "Which city is the capital of Spain?", "answer": "Madrid."},
    {"query": "Why is the sky blue?", "answer": "Air scatters blue light.\n~~~~\nMore than red."},
    {"query": "Why is the sea blue?", "answer": "Water takes the red out of the light."},
]


@pytest.fixture(autouse=True)
def settings(home: Path) -> Path:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1")
    return path


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tinygguf.write_encoder(tmp_path_factory.mktemp("bert") / "bert.gguf")


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "facts.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in POOL))
    return path


def run(*arguments: object, fails: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        (*URIAL, *map(str, arguments)),
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == fails, done.stderr
    assert "Traceback" not in done.stderr
    return done


def write_fixed(name: str, pairs: Sequence[dict[str, str]]) -> None:
    """A preamble like `facts` that has examples of its own."""
    directory = paths.user_prompts_dir()
    text = (directory / "facts.toml").read_text().replace('"facts"', json.dumps(name))
    text = text.replace('"retrieval"', '"vanilla-icl"').partition("[retrieval]")[0]
    for pair in pairs:
        text += f"[[examples]]\nquery = {json.dumps(pair['query'])}\n"
        text += f"answer = {json.dumps(pair['answer'])}\n"
    (directory / f"{name}.toml").write_text(text)


def asked(model: Path, question: str, *options: object) -> dict[str, Any]:
    done = run("ask", "-m", model, "--json", "--max-tokens", 8, *options, question)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_pool_becomes_a_preamble_that_shows_what_is_most_like_the_question(
    llama_gguf: Path, pool: Path
) -> None:
    told = json.loads(run("prompts", "index", pool, "-k", 2, "--json").stdout)
    assert (told["name"], told["pairs"], told["k"], told["embedding"]) == ("facts", 5, 2, None)
    preamble = load_preamble(Path(told["preamble"]))
    assert (preamble.method, preamble.examples) == ("retrieval", ())
    answer = asked(llama_gguf, "What is the capital city of Spain?", "-p", "facts")
    retrieval = answer["retrieval"]
    # The most similar one is the last.
    assert [pair["number"] for pair in retrieval["pairs"]] == [1, 3]
    assert [pair["query"] for pair in retrieval["pairs"]] == [POOL[0]["query"], POOL[2]["query"]]
    assert retrieval["pairs"][0]["score"] < retrieval["pairs"][1]["score"]
    assert retrieval["tokens"] > 20
    assert retrieval["seconds"] > 0
    assert (retrieval["same_question"], retrieval["unfit"]) == (0, 0)
    assert asked(llama_gguf, "x", "-p", "vanilla-icl")["retrieval"] is None


def test_what_is_retrieved_stands_in_front_of_the_question_as_examples_would(
    llama_gguf: Path, pool: Path
) -> None:
    run("prompts", "index", pool, "-k", 2)
    found = asked(llama_gguf, "What is the capital city of Spain?", "-p", "facts")
    write_fixed("fixed", (POOL[0], POOL[2]))
    fixed = asked(llama_gguf, "What is the capital city of Spain?", "-p", "fixed")
    assert found["text"] == fixed["text"]
    tokens = found["tokens"]["preamble"] + found["retrieval"]["tokens"]
    assert tokens == fixed["tokens"]["preamble"]


def test_the_question_itself_and_what_the_format_would_cut_are_left_out_and_counted(
    llama_gguf: Path, pool: Path
) -> None:
    run("prompts", "index", pool)
    answer = asked(llama_gguf, "  why is the\nSKY blue?", "-p", "facts")["retrieval"]
    assert (answer["same_question"], answer["unfit"]) == (1, 0)
    answer = asked(llama_gguf, "Is the sky blue?", "-p", "facts")["retrieval"]
    assert (answer["same_question"], answer["unfit"]) == (0, 1)
    assert [pair["number"] for pair in answer["pairs"]][-1] == 5


def test_nothing_alike_is_no_example(llama_gguf: Path, pool: Path) -> None:
    run("prompts", "index", pool)
    answer = asked(llama_gguf, "Zweiundvierzig?", "-p", "facts")
    assert answer["retrieval"]["pairs"] == []
    assert answer["retrieval"]["tokens"] == 0


def test_an_index_that_is_built_again_forgets_what_was_deleted(
    llama_gguf: Path, pool: Path
) -> None:
    run("prompts", "index", pool, "-k", 4, "--most-words", 3)
    pool.write_text("\n".join(json.dumps(one) for one in POOL[1:]))
    run("prompts", "index", pool)
    preamble = load_preamble(paths.user_prompts_dir() / "facts.toml")
    assert preamble.retrieval is not None
    # What was not named again stays.
    assert (preamble.retrieval.k, preamble.retrieval.most_words) == (4, 3)
    answer = asked(llama_gguf, "What is the capital of France then?", "-p", "facts")
    found = answer["retrieval"]["pairs"]
    assert POOL[0]["query"] not in [pair["query"] for pair in found]
    assert [pair["cut"] for pair in found if pair["number"] == 1] in ([], [True])


def test_an_evaluation_retrieves_for_each_item_and_starts_anew_for_another_pool(
    llama_gguf: Path, pool: Path, tmp_path: Path
) -> None:
    run("prompts", "index", pool)
    items, out = tmp_path / "items.jsonl", tmp_path / "out.json"
    questions = ["What is the capital city of Spain?", POOL[0]["query"]]
    items.write_text("\n".join(json.dumps({"query": text}) for text in questions))
    command = ("eval", "run", "-m", llama_gguf, "-p", "facts", "--items", items,
               "--max-tokens", 6, "--out", out)  # fmt: skip
    first = run(*command)
    assert "pairs that ask what is asked are not shown (1 of them)" in first.stderr
    records = json.loads(out.read_text())
    shown = [one["urial"]["exchanges"][0]["retrieved"] for one in records]
    assert [pairs[-1] for pairs in shown] == [POOL[2], POOL[2]], "the most similar one is last"
    report = run("eval", "report", "--json", out)
    leaked = json.loads(report.stdout)["runs"][0]["measures"]["leaked"]
    assert (leaked["count"], leaked["missing"]) == (2, 0), "examples are looked for in both"
    outputs = [one["output"] for one in records]
    alone = [asked(llama_gguf, text, "-p", "facts", "--max-tokens", 6) for text in questions]
    assert outputs == [one["text"] for one in alone]
    assert "2 of 2 items are taken over" in run(*command).stderr
    pool.write_text("\n".join(json.dumps(one) for one in POOL[1:]))
    run("prompts", "index", pool)
    assert "0 of 2 items are taken over" in run(*command).stderr
    assert "2 of 2 items are taken over" in run(*command).stderr
    run("prompts", "index", pool, "-k", 1)
    assert "0 of 2 items are taken over" in run(*command).stderr
    together = tmp_path / "together.json"
    run(*command[:-1], together, "--parallel", 2)
    assert len(json.loads(together.read_text())) == 2


def test_a_comparison_shows_a_side_what_was_retrieved(llama_gguf: Path, pool: Path) -> None:
    run("prompts", "index", pool)
    done = run(
        "compare", "--base", llama_gguf, "--aligned", llama_gguf, "--base-context", "facts",
        "--aligned-context", "zero-shot", "--max-tokens", 5, "--json", POOL[0]["query"],
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["base"]["context"] == "facts"
    assert "pairs that ask what is asked are not shown (1 of them)" in done.stderr


def test_a_stored_answer_keeps_its_examples_whatever_becomes_of_the_index(
    llama_gguf: Path, pool: Path
) -> None:
    run("prompts", "index", pool, "-k", 2)
    asked(llama_gguf, "What is the capital city of Spain?", "-p", "facts")
    write_fixed("fixed", (POOL[0], POOL[2]))
    pool.write_text("\n".join(json.dumps(one) for one in POOL[3:]))
    run("prompts", "index", pool)
    found = json.loads(run("chats", "show", "last", "--json").stdout)["path"]
    assert [turn["examples"] for turn in found] == [None, [POOL[0], POOL[2]]]
    exported = run("chats", "export", "last", "--format", "json").stdout
    (whole,) = json.loads(exported)["conversations"]
    assert whole["turns"][1]["examples"] == [POOL[0], POOL[2]]
    compared = [
        json.loads(
            run("compare", "--conversation", "last", "--base-context", "raw", "--json",
                "--aligned-context", context).stdout
        )
        for context in ("facts", "fixed")
    ]  # fmt: skip
    again, fixed = (
        [position["logp_aligned"] for position in one["items"][0]["positions"]] for one in compared
    )
    assert again == pytest.approx(fixed, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("missing.jsonl",), 1, "can't be read"),
        (("facts.jsonl", "--name", "urial-k3"), 2, "The program has a preamble named urial-k3"),
        (("facts.jsonl", "--name", "../x"), 2, "A preamble can't be named '../x'"),
        (("facts.jsonl", "--name", "Bad Name"), 2, "A preamble can't be named 'Bad Name'"),
        (("facts.jsonl", "--like", "none"), 1, "no preamble named 'none'"),
        (("facts.jsonl", "-k", "0"), 2, "-k"),
    ],
)
def test_what_can_not_be_indexed_is_one_sentence(
    pool: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    file, *rest = arguments
    done = run("prompts", "index", pool.with_name(file), *rest, fails=status)
    assert says in done.stderr
    assert not paths.indexes_dir().exists()


def test_an_index_that_is_gone_is_one_sentence(llama_gguf: Path, pool: Path) -> None:
    run("prompts", "index", pool)
    for file in paths.indexes_dir().rglob("*.json*"):
        file.unlink()
    done = run("ask", "-m", llama_gguf, "-p", "facts", "x", fails=1)
    assert "There is no whole index named facts." in done.stderr
    assert "urial prompts index POOL.jsonl" in done.stderr


def test_a_measured_context_has_the_examples_of_each_question(
    llama_gguf: Path, pool: Path, tmp_path: Path
) -> None:
    run("prompts", "index", pool, "-k", 2)
    answers = tmp_path / "answers.jsonl"
    question = "What is the capital city of Spain?"
    answers.write_text(json.dumps({"query": question, "answer": "It is Madrid."}))
    write_fixed("fixed", (POOL[0], POOL[2]))
    done = run("prompts", "measure", "zero-shot", "facts", "fixed", "-m", llama_gguf,
               "--answers", answers, "--limit", 2, "--max-tokens", 6, "--json")  # fmt: skip
    plain, facts, fixed = json.loads(done.stdout)["contexts"]
    assert facts["bits_per_byte"] == pytest.approx(fixed["bits_per_byte"])
    assert facts["bits_per_byte"]["mean"] != plain["bits_per_byte"]["mean"]
    assert (facts["examples"], facts["retrieved"]["k"]) == (2, 2)
    assert facts["retrieved"]["tokens"]["count"] == 2
    assert facts["retrieved"]["seconds"]["mean"] > 0
    assert facts["tokens"] == plain["tokens"] < fixed["tokens"]
    assert plain["retrieved"] is None
    assert fixed["retrieved"] is None


def test_what_nobody_named_is_left_out_where_its_examples_can_not_be_had(
    llama_gguf: Path, pool: Path, tmp_path: Path
) -> None:
    run("prompts", "index", pool)
    for file in paths.indexes_dir().rglob("*.json*"):
        file.unlink()
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"query": "Why?", "answer": "So."}))
    command = ("-m", llama_gguf, "--answers", answers, "--limit", 1, "--max-tokens", 2, "--json")
    done = run("prompts", "measure", *command)
    document = json.loads(done.stdout)
    # The tiny model's tokens are single letters.
    assert [trouble.partition(" (")[0] for trouble in document["troubles"]] == [
        "facts: There is no whole index named facts.",
        "urial-k8: The preamble has 6,265 tokens, but the context holds only 4,096.",
    ]
    assert {"zero-shot", "urial-k3"} < {one["name"] for one in document["contexts"]}
    assert "There is no whole index named facts." in run(
        "prompts", "measure", "zero-shot", "facts", *command, fails=1
    ).stderr  # fmt: skip


def test_a_sweep_asks_behind_the_examples_of_each_question(llama_gguf: Path, pool: Path) -> None:
    run("prompts", "index", pool)
    done = run("prompts", "sweep", "facts", "-m", llama_gguf, "--temperature", 0, "--limit", 2,
               "--repetition-penalty", "1,1.1", "--max-tokens", 4, "--json")  # fmt: skip
    assert len(json.loads(done.stdout)["settings"]) == 2


def test_a_text_has_no_question_to_find_examples_for(
    llama_gguf: Path, pool: Path, tmp_path: Path
) -> None:
    run("prompts", "index", pool)
    text = tmp_path / "text.txt"
    text.write_text("Some text.")
    done = run("compare", "--base", llama_gguf, "--aligned", llama_gguf, "--base-context", "facts",
               "--aligned-context", "raw", "--text", text, fails=2)  # fmt: skip
    assert "A text has no question that the preamble facts could find examples for" in done.stderr


def test_an_embedding_model_finds_what_a_search_in_double_precision_does(
    llama_gguf: Path, bert: Path, pool: Path, tmp_path: Path
) -> None:
    told = json.loads(run("prompts", "index", pool, "--embedding", bert, "--json").stdout)
    assert told["embedding"] == str(bert)
    question = "What is the capital city of Spain?"
    answer = asked(llama_gguf, question, "-p", "facts")["retrieval"]
    with Engine() as engine:
        embedder = follow(load_embedder(engine, bert, EngineOptions(threads=1)), lambda event: None)
        texts = [*(pair["query"] for pair in POOL), question]
        rows = follow(embedder.embed(texts), lambda event: None).astype(np.float64)
    # The fourth answer would be cut by the format.
    ranked = [int(n) + 1 for n in np.argsort(-(rows[:-1] @ rows[-1]), kind="stable") if n != 3]
    assert [pair["number"] for pair in answer["pairs"]] == ranked[:3][::-1]
    items, out = tmp_path / "items.jsonl", tmp_path / "out.json"
    items.write_text(json.dumps({"query": question}))
    run("eval", "run", "-m", llama_gguf, "-p", "facts", "--items", items, "--max-tokens", 8,
        "--out", out)  # fmt: skip
    (output,) = json.loads(out.read_text())
    assert output["output"] == asked(llama_gguf, question, "-p", "facts")["text"]
    pool.write_text("\n".join(json.dumps(one) for one in POOL[:2]))
    again = json.loads(run("prompts", "index", pool, "--json").stdout)
    assert (again["embedding"], again["pairs"]) == (str(bert), 2)
    found = asked(llama_gguf, question, "-p", "facts")["retrieval"]["pairs"]
    assert {pair["number"] for pair in found} == {1, 2}
    assert [one.name for one in paths.indexes_dir().iterdir()] == ["facts"]


def test_vectors_of_an_index_that_the_disk_has_no_room_for_are_used_later_or_cleared(
    bert: Path, pool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def no_more(*_: object) -> None:
        raise AssertionError("a vector is made again")

    command = ["prompts", "index", str(pool), "--embedding", str(bert)]
    begun = paths.indexes_dir() / "facts.begun.jsonl"
    for last in ("cache", "index", "words"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            assert cli.run(command) == 1
        kept = begun.stat().st_size
        told = capsys.readouterr().err
        assert "The index facts can't be written: No space left on device." in told
        assert f"The vectors that were made ({wording.size(kept)}) stay in {begun}" in told
        assert [path.name for path in paths.indexes_dir().iterdir()] == [begun.name]
        assert cli.run(["cache", "list", "--json"]) == 0
        others = json.loads(capsys.readouterr().out)["others"]
        assert {"part": "vectors", "path": str(begun), "size": kept} in others
        with monkeypatch.context() as patch:
            patch.setattr(ModelEmbedder, "embed", no_more)
            if last == "cache":
                assert cli.run(["cache", "clear", "vectors", "--json"]) == 0
                assert json.loads(capsys.readouterr().out) == {"freed": kept}
            elif last == "index":
                assert cli.run(command) == 0
                shutil.rmtree(paths.indexes_dir() / "facts")
                (paths.user_prompts_dir() / "facts.toml").unlink()
            else:
                assert cli.run(["prompts", "index", str(pool)]) == 0
        assert not begun.exists()


def test_models_of_the_other_kind_are_one_sentence(
    llama_gguf: Path, bert: Path, pool: Path
) -> None:
    done = run("prompts", "index", pool, "--embedding", llama_gguf, fails=1)
    assert "not an embedding model" in done.stderr
    assert not list(paths.indexes_dir().rglob("index.json"))
    run("prompts", "index", pool)
    file = paths.user_prompts_dir() / "facts.toml"
    file.write_text(
        file.read_text().replace('embedding = ""', f"embedding = {json.dumps(str(bert))}")
    )
    done = run("ask", "-m", llama_gguf, "-p", "facts", "x", fails=1)
    assert "The index facts is one of words (BM25), and has no vectors." in done.stderr
