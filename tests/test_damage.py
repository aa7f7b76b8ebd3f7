"""A damaged database, and file systems that can't do all: what is shown, and what is said."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from urial_tui import paths
from urial_tui.chat import store as store_module
from urial_tui.chat.export import imported, whole_conversation
from urial_tui.chat.schema import bring_up_to_date
from urial_tui.chat.search import Search
from urial_tui.chat.store import Store
from urial_tui.chat.tree import TurnTree
from urial_tui.chat.turns import LATEST, ConversationRecord, TurnRecord, WholeConversation, new_id
from urial_tui.cli import main
from urial_tui.errors import StoreError


@pytest.fixture
def talk() -> tuple[int, list[int]]:
    """A stored conversation of three questions with answers: its id, and those of its turns."""
    now = 1_700_000_000.0
    record = ConversationRecord(
        id=new_id(), title="Rivers", created=now, updated=now, model="m", preamble="p"
    )
    turns: list[TurnRecord] = []
    for number in range(6):
        role = "assistant" if number % 2 else "user"
        turns.append(
            TurnRecord(
                id=new_id(),
                conversation_id=record.id,
                parent_id=turns[-1].id if turns else None,
                role=role,  # type: ignore[arg-type]
                text=f"{role} {number}",
                created=now,
                stop_reason="stop" if number % 2 else None,
            )
        )
    with Store() as store:
        store.add([WholeConversation(record, tuple(turns))])
    return record.id, [turn.id for turn in turns]


def damage(statement: str, *values: object) -> None:
    """Change the file behind the program's back."""
    connection = sqlite3.connect(paths.database_file(), isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    triggers = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'turns'"
        " AND name NOT LIKE '%search%'"
    ).fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement, values)
    connection.close()


def everything(chat: int, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What each command that reads a conversation prints, all of them without a failure."""
    said = {}
    for arguments in (
        ("chats", "list"),
        ("chats", "list", "--json"),
        ("chats", "show", str(chat)),
        ("chats", "show", str(chat), "--json"),
        ("chats", "export", str(chat)),
        ("chats", "export", str(chat), "--format", "json"),
        ("chats", "search", "user"),
    ):
        assert main.run(arguments) == 0, arguments
        output = capsys.readouterr()
        said[" ".join(arguments[1:]).replace(str(chat), "ID")] = output.out
        said["errors"] = said.get("errors", "") + output.err
    # What is exported can be taken in again.
    assert imported(said["export ID --format json"].encode())
    return said


class TestTrees:
    def test_a_cycle_of_parents_ends(
        self, talk: tuple[int, list[int]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        chat, turns = talk
        damage("UPDATE turns SET parent_id = ? WHERE id = ?", turns[3], turns[0])
        said = everything(chat, capsys)
        assert [f"{who} {n}" in said["show ID"] for n, who in ((0, "user"), (5, "assistant"))] == [
            True,
            True,
        ]
        assert "1 turn of this conversation has lost the turn before" in said["errors"]

    def test_a_turn_that_follows_itself_begins_the_conversation(
        self, talk: tuple[int, list[int]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        chat, turns = talk
        damage("UPDATE turns SET parent_id = id WHERE id = ?", turns[2])
        assert "user 2" in everything(chat, capsys)["show ID"]

    def test_what_follows_a_missing_turn_is_kept_from_its_next_question_on(
        self, talk: tuple[int, list[int]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        chat, turns = talk
        damage("DELETE FROM turns WHERE id = ?", turns[2])
        said = everything(chat, capsys)
        assert "user 4" in said["show ID"]
        assert "2 turns of this conversation have lost the turn before" in said["errors"]
        with Store() as store:
            found = store.placed_turns(chat)
        assert [turn.text for turn in found.turns] == [
            "user 0",
            "assistant 1",
            "user 4",
            "assistant 5",
        ]
        assert found.displaced == 2
        assert found.turns[2].parent_id is None

    def test_a_parent_of_another_conversation_is_none(
        self, talk: tuple[int, list[int]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        chat, turns = talk
        with Store() as store:
            whole = whole_conversation(store, chat)
            store.delete(chat)
            (other,) = store.add([whole]).records
            store.bring_back(chat)
            theirs = store.turns(other.id)[0].id
        damage("UPDATE turns SET parent_id = ? WHERE id = ?", theirs, turns[4])
        assert "user 4" in everything(chat, capsys)["show ID"]

    def test_a_conversation_of_orphaned_answers_is_empty(self, talk: tuple[int, list[int]]) -> None:
        chat, _ = talk
        damage("DELETE FROM turns WHERE role = 'user'")
        with Store() as store:
            assert store.placed_turns(chat) == ([], 3)
            assert TurnTree(store.turns(chat)).path == ()

    def test_a_sound_conversation_has_nothing_said_of_it(
        self, talk: tuple[int, list[int]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        chat, turns = talk
        assert "damaged" not in everything(chat, capsys)["errors"]
        with Store() as store:
            assert [turn.id for turn in store.turns(chat)] == turns


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", b"\xff\x00bytes"),
        ("text", 17),
        ("created", "yesterday"),
        ("created", 1e300),
        ("created", float("inf")),
        ("created", -1e18),
        ("ids", b"abc"),
        ("ids", "text"),
        ("ids", 5),
        ("stop_reason", "bored"),
        ("generated", "many"),
        ("generated", b"x"),
        ("timings", "{"),
        ("timings", "[" * 100_000),
        ("timings", b"\xff"),
        ("sampling", '{"seed": "x"}'),
        ("model", b"\xff"),
        ("context_from", "x"),
        ("parent_id", "x"),
        ("parent_id", -5),
        ("role", "system"),
    ],
)
def test_a_damaged_column_of_a_turn_costs_no_more_than_it_holds(
    talk: tuple[int, list[int]], capsys: pytest.CaptureFixture[str], column: str, value: Any
) -> None:
    chat, turns = talk
    damage(f"UPDATE turns SET {column} = ? WHERE id = ?", value, turns[3])
    assert "user 4" in everything(chat, capsys)["show ID"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("created", 253_402_300_799.0),
        ("updated", 253_402_300_800.0),
        ("updated", float("inf")),
        ("updated", "x"),
        ("updated", -1e300),
        ("title", b"\xff"),
        ("model", b"\xff"),
        ("leaf", "x"),
        ("leaf", 7),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_damaged_column_of_a_conversation_hides_nothing(
    talk: tuple[int, list[int]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    column: str,
    value: Any,
    zone: str,
) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        damage(f"UPDATE conversations SET {column} = ? WHERE id = ?", value, talk[0])
        said = everything(talk[0], capsys)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "user 0" in said["show ID"]
    listed = json.loads(said["list --json"])["conversations"][0]
    assert listed["updated"][:4].isdigit()
    with Store() as store, Search(store.path) as searching:
        assert 0 <= searching.find("user").hits[0].conversation.updated <= LATEST


# -- file systems ----------------------------------------------------------------------


@pytest.fixture
def without_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections go through a layer of SQLite that can't share memory, as on network drives."""

    def connect(path: Path, **options: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = real(f"{path.as_uri()}?vfs=unix-dotfile", uri=True, **options)
        return made

    real: Callable[..., sqlite3.Connection] = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect)


def journal(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.usefixtures("without_shared_memory")
def test_a_new_file_is_kept_where_memory_can_not_be_shared(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    chat, _ = request.getfixturevalue("talk")
    assert "user 4" in everything(chat, capsys)["show ID"]


def test_a_file_that_was_made_elsewhere_is_read_and_written_there(
    talk: tuple[int, list[int]],
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    chat, _ = talk
    assert journal(paths.database_file()) == "wal"
    request.getfixturevalue("without_shared_memory")
    assert "user 4" in everything(chat, capsys)["show ID"]
    with Store() as store:
        assert store.rename(chat, "Lakes") == "Lakes"


@pytest.mark.parametrize(
    ("code", "name"), [(15, "locking protocol"), (10 | 20 << 8, "disk I/O error")]
)
def test_a_log_that_can_not_be_used_gives_way_to_a_journal(
    monkeypatch: pytest.MonkeyPatch, code: int, name: str
) -> None:
    monkeypatch.setattr(store_module, "bring_up_to_date", failing(code, name, times=1))
    with Store() as store:
        assert store.count() == 0
    assert journal(paths.database_file()) == "delete"


@pytest.mark.parametrize("code", [15, 10 | 20 << 8])
def test_what_can_not_be_helped_is_one_sentence_that_names_a_way(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(store_module, "bring_up_to_date", failing(code, "locking protocol"))
    with pytest.raises(StoreError, match="the file system does not do what SQLite needs") as raised:
        Store()
    assert "XDG_DATA_HOME" in raised.value.hint


def failing(code: int, name: str, times: int = 9) -> Callable[..., None]:
    """What brings a file up to date, but fails at first."""
    real = bring_up_to_date
    left = [times]

    def fail(*arguments: Any, **options: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            return real(*arguments, **options)
        error = sqlite3.OperationalError(name)
        error.sqlite_errorcode = code
        raise error

    return fail
