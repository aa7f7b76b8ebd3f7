"""`urial compare --conversation`: an answer of a stored conversation, by its own tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loaded import writer_of
from tests.test_compare import compare, document_of
from urial_tui import paths
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import EngineOptions, Sampling

WARM = Sampling(temperature=1.5, seed=3)


@pytest.fixture(autouse=True)
def settings(home: Path) -> None:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1")


@pytest.fixture
def talk(home: Path, endless_gguf: Path) -> Conversation:
    """A stored conversation of two questions, written by `endless_gguf` under its path."""
    with Engine() as engine, Store() as store:
        model = engine.load(endless_gguf, options=EngineOptions(n_ctx=1024, threads=1)).result()
        writer = writer_of(model, name=str(endless_gguf))
        talk = Conversation.new(store)
        for question in ("One?", "Two?"):
            for _ in talk.ask(writer, question, sampling=WARM, max_tokens=24):
                pass
        return talk


def ids(found: dict[str, object]) -> list[int]:
    items = found["items"]
    assert isinstance(items, list)
    return [position["id"] for position in items[0]["positions"]]


def test_the_newest_answer_is_compared_by_the_tokens_that_wrote_it(talk: Conversation) -> None:
    found = document_of("--conversation", "last", "--base-context", "raw")
    answer = talk.exchanges[1].answer
    assert answer is not None
    assert found["items"][0]["query"] == "Two?"
    assert found["items"][0]["answer"] == answer.text
    assert found["items"][0]["stop_reason"] == "given"
    assert found["items"][0]["id"] == str(answer.id)
    assert tuple(ids(found)) == answer.ids
    assert found["aligned"]["context"] == "zero-shot"
    assert found["base"]["model"] == found["aligned"]["model"] == answer.model


def test_an_earlier_answer_can_be_named(talk: Conversation) -> None:
    number = str(talk.record.id)
    done = document_of("--conversation", number, "--answer", "1", "--base-context", "raw")
    assert done["items"][0]["query"] == "One?"


def test_other_models_read_its_text(
    talk: Conversation, llama_gguf: Path, endless_gguf: Path
) -> None:
    """The tokens are taken as they are only by the model whose they are."""
    found = document_of(
        *("--conversation", "last", "--base", endless_gguf, "--aligned", llama_gguf),
        *("--aligned-context", "raw"),
    )
    answer = talk.exchanges[1].answer
    assert answer is not None
    assert found["items"][0]["answer"] == answer.text
    assert found["aligned"]["model"] == str(llama_gguf)


@pytest.mark.parametrize("memory", ["both", "one"])
def test_both_memory_modes_read_the_same_tokens(talk: Conversation, memory: str) -> None:
    found = document_of("--conversation", "last", "--base-context", "raw", "--memory", memory)
    answer = talk.exchanges[1].answer
    assert answer is not None
    assert tuple(ids(found)) == answer.ids


def test_that_earlier_turns_are_left_out_is_told(talk: Conversation) -> None:
    first = compare("--conversation", "last", "--answer", "1", "--base-context", "raw")
    newest = compare("--conversation", "last", "--base-context", "raw")
    assert first.returncode == newest.returncode == 0
    assert b"left out" in newest.stderr
    assert b"left out" not in first.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--conversation", "99"), "There is no conversation 99."),
        (("--conversation", "last", "--answer", "3"), "so there is no answer 3."),
        (("--answer", "1", "Hello"), "--answer goes with --conversation."),
        (("--window", "2048", "Hello"), "--window goes with --text."),
        (("--skip", "0", "--conversation", "last"), "--skip goes with --text."),
        (("--text", "book.txt", "--max-tokens", "9"), "and with --text none is. Leave it out."),
        (("--max-tokens", "9", "--conversation", "last"), "and with --conversation none is."),
        (("--conversation", "last", "Hello"), "one thing to compare on"),
    ],
)
def test_what_is_not_there_is_a_sentence(
    talk: Conversation, arguments: tuple[str, ...], sentence: str
) -> None:
    done = compare(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr.decode()
    assert not done.stdout


def test_without_any_conversation_it_says_so(home: Path) -> None:
    done = compare("--conversation", "last")
    assert done.returncode == 2
    assert "There are no conversations yet." in done.stderr.decode()
