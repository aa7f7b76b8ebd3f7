"""Files that were made to break an import: each is refused in one sentence, or taken in right."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from urial_tui.chat.export import whole_conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import LATEST
from urial_tui.cli import main

QUESTION: dict[str, Any] = {
    "id": "1", "parent": None, "role": "user", "text": "Why?", "created": 1
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "id": "2", "parent": "1", "role": "assistant", "text": "So.", "created": 2,
    "stop_reason": "stop",
}  # fmt: skip
TALK: dict[str, Any] = {
    "id": "9", "title": "T", "created": 1, "updated": 2, "turns": [QUESTION, ANSWER]
}  # fmt: skip


def document(*talks: Any, **changes: Any) -> bytes:
    whole = {"format": "urial-tui conversations", "version": 1, "conversations": list(talks)}
    return json.dumps(whole | changes).encode()


def talk(**changes: Any) -> bytes:
    return document(TALK | changes)


def question(**changes: Any) -> bytes:
    return document(TALK | {"turns": [QUESTION | changes]})


def answer(**changes: Any) -> bytes:
    return document(TALK | {"turns": [QUESTION, ANSWER | changes]})


def raw(before: str, after: str) -> bytes:
    """A sound document with something in it that `json` does not write."""
    text = talk().decode()
    assert before in text
    return text.replace(before, after, 1).encode()


REFUSED_JSON: dict[str, bytes] = {
    "nothing in it": b"{}",
    "cut off": talk()[:-9],
    "another format": document(TALK, format="chatgpt"),
    "a newer version": document(TALK, version=2),
    "a version of thirty digits": document(TALK, version=10**30),
    "a version that is text": document(TALK, version="1"),
    "no conversations": document(),
    "conversations that are a map": document(conversations={"a": 1}),
    "conversations that are null": document(conversations=None),
    "no turns": talk(turns=[]),
    "a number as title": talk(title=5),
    "an id of zero": talk(id="0"),
    "a negative id": talk(id="-1"),
    "an id of twenty digits": talk(id="1" * 20),
    "an id that is a number": talk(id=9),
    "a turn that is there twice": talk(turns=[QUESTION, QUESTION]),
    "a turn that follows itself": question(parent="1"),
    "turns that follow each other": talk(turns=[QUESTION | {"parent": "2"}, ANSWER]),
    "a child before its parent": talk(turns=[ANSWER, QUESTION]),
    "an answer without a question": talk(turns=[ANSWER | {"parent": None}]),
    "an answer to an answer": talk(turns=[QUESTION, ANSWER, ANSWER | {"id": "3", "parent": "2"}]),
    "a system turn": question(role="system"),
    "a text that is null": question(text=None),
    "a stop that is none": answer(stop_reason="bored"),
    "a negative time": question(created=-1),
    "a time beyond all years": question(created=1e300),
    "a time that is no number": raw('"created": 1', '"created": NaN'),
    "a time that never ends": raw('"created": 1', '"created": 1e999'),
    "tokens below zero": answer(ids=[-1]),
    "tokens beyond 31 bits": answer(ids=[2**31]),
    "more tokens than can be": answer(generated=2**60),
    "more examples than can be": answer(examples=[{"query": "a", "answer": "b"}] * 65),
    "examples without answers": answer(examples=[{"query": "a"}]),
    "a number of 100,000 digits": raw('"created": 1', '"created": 1' + "0" * 100_000),
    "100,000 brackets": b'{"format": ' + b"[" * 100_000,
    "100,000 brackets in a key that is not read": raw(
        '"title"', '"x": ' + "[" * 100_000 + "]" * 100_000 + ', "title"'
    ),
    "100,000 maps in a map": b'{"a":' * 100_000,
    "bytes that are no text": talk(title="caf").replace(b"caf", b"caf\xe9"),
    "UTF-16 without a mark": talk().decode().encode("utf-16-le"),
    "something behind it": talk() + b"x",
    "half a character": raw('"Why?"', '"\\ud800"'),
}
TAKEN_JSON: dict[str, bytes] = {
    "a mark in front": b"\xef\xbb\xbf" + talk(),
    "UTF-16 with a mark": b"\xff\xfe" + talk().decode().encode("utf-16-le"),
    "keys that are not known": talk(extra={"a": [1]}),
    "a key that is there twice": raw('"title": "T"', '"title": "T", "title": "U"'),
    "a title of a megabyte": talk(title="t " * 500_000),
    "a title of lines and escapes": talk(title="a\x1b]0;x\x07\n\nb\u202e"),
    "the last second of the year 9999": talk(updated=253_402_300_799, created=253_402_300_799),
    "a leaf and a context that are not there": document(
        TALK | {"leaf": "77", "turns": [QUESTION, ANSWER | {"context_from": "78"}]}
    ),
    "sampling that can't be": answer(sampling={"temperature": -5, "top_k": 10**12}),
    "NUL characters": question(text="a\0b"),
    "two conversations of the same ids": document(TALK, TALK),
    "ids beyond all that are made": talk(id=str(2**63 - 1)),
    "separators of lines": question(text="a\u2028b\u2029c\u0085d"),
    "1,000 questions at one place": talk(
        turns=[QUESTION | {"id": str(number)} for number in range(1, 1001)]
    ),
}
REFUSED_MARKDOWN: dict[str, bytes] = {
    "an empty file": b"",
    "no turns": b"# A title\n\nA text.\n",
    "a head alone": b"---\nformat: urial-tui 1\n---\n",
    "a head without an end": b"---\nformat: urial-tui 1\n",
    "an answer first": b"## Assistant\n\nSo.\n",
    "an answer behind an answer": b"## You\n\nWhy?\n\n## Assistant\n\nA\n\n## Assistant\n\nB\n",
    "an empty question": b"## You\n\n\n## Assistant\n\nSo.\n",
    "a NUL byte": b"## You\n\nWh\0y?\n",
    "Latin-1": "## You\n\nWarum grün?\n".encode("latin-1"),
    "UTF-16 without a mark": "## You\n\nWhy?\n".encode("utf-16-be"),
    "UTF-16 that is cut off": b"\xff\xfe" + "## You\n\nWhy?\n".encode("utf-16-le")[:-1],
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9,
    "a packed file": b"\x1f\x8b\x08\x00" + bytes(range(256)),
    "100,000 signs in a heading": b"#" * 100_000 + b" You\n\nWhy?\n",
    "a heading with a name of 100,000 brackets": b"## You (" + b"(" * 100_000 + b"\n\nWhy?\n",
}
SAID = b"\n## You\n\nWhy?\n"
TAKEN_MARKDOWN: dict[str, bytes] = {
    "the year 10000": b'---\ncreated: "10000-01-01T00:00:00+00:00"\n---\n' + SAID,
    "9999 in the west": b'---\nupdated: "9999-12-31T23:59:59-12:00"\n---\n' + SAID,
    "9999 in the east": b'---\nupdated: "9999-12-31T23:59:59+14:00"\n---\n' + SAID,
    "9999 in no zone": b"---\ncreated: 9999-12-31\n---\n" + SAID,
    "the year 1": b"---\ncreated: 0001-01-01T00:00:00+14:00\n---\n" + SAID,
    "a time that is none": b"---\ncreated: nan\nupdated: [[[\n---\n" + SAID,
    "a name of escapes": b'---\nmodel: "\\u001b]0;x\\u0007\\ud800"\n---\n' + SAID,
    "quotes that do not close": b'---\nmodel: "abc\n---\n' + SAID,
    "10,000 keys": b"---\n" + b"key: value\n" * 10_000 + b"---\n" + SAID,
    "a megabyte of white space in a key": b"---\nmodel:" + b"\t" * 1_000_000 + b"x\n---\n" + SAID,
    "a mark in front": b"\xef\xbb\xbf" + SAID,
    "UTF-16 with a mark": b"\xff\xfe" + SAID.decode().encode("utf-16-le"),
    "line ends of three systems": b"## You\r\n\r\nWhy?\r\r## Assistant\n\nSo.\n",
    "a title of a megabyte": b"# " + b"t " * 500_000 + SAID,
    "a title that turns around": "# a\u202eb\u2066c\n".encode() + SAID,
    "100,000 backslashes": b"\\" * 100_000 + b"## You\n" + SAID,
    "a heading of 390 brackets": SAID + b"\n## Assistant (" + b"(" * 380 + b")\n\nSo.\n",
    "1,000 turns": (SAID + b"\n## Assistant\n\nSo.\n") * 500,
}
REFUSED = {**{f"JSON: {k}": v for k, v in REFUSED_JSON.items()}, **REFUSED_MARKDOWN}
TAKEN = {**{f"JSON: {k}": v for k, v in TAKEN_JSON.items()}, **TAKEN_MARKDOWN}


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local times are those of the zone that is first in each year."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_unsound_is_refused_in_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(REFUSED[name])
    assert main.run(("chats", "import", str(path))) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"urial: {path}")
    assert error.count("\n") == 1
    assert "internal error" not in error
    assert len(error) < 1500
    with Store() as store:
        assert store.count() == 0


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_in_can_be_listed_shown_searched_and_exported(
    name: str, tmp_path: Path, zone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(TAKEN[name])
    assert main.run(("chats", "import", str(path))) == 0
    for arguments in (
        ("list",),
        ("list", "--json"),
        ("show", "last"),
        ("show", "last", "--json"),
        ("search", "Why"),
        ("export", "last"),
        ("export", "all"),
    ):
        capsys.readouterr()
        assert main.run(("chats", *arguments)) == 0, arguments
    again = tmp_path / "again.json"
    again.write_text(capsys.readouterr().out)
    with Store() as store:
        before = [whole_conversation(store, one.id) for one in store.conversations()]
    assert main.run(("chats", "import", str(again))) == 0
    with Store() as store:
        assert [whole_conversation(store, one.id) for one in store.conversations()] == before
        for whole in before:
            store.delete(whole.record.id)
    assert main.run(("chats", "import", str(again))) == 0
    with Store() as store:
        after = [whole_conversation(store, one.id) for one in store.conversations()]
    texts = [[turn.text for turn in whole.turns] for whole in before]
    assert sorted([[turn.text for turn in whole.turns] for whole in after]) == sorted(texts)
    assert all(0 <= whole.record.updated <= LATEST for whole in after)
    assert all(len(whole.record.title) <= 200 for whole in after)
