"""What is stored stays stored, and whatever goes wrong is one sentence."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui.chat import rows, schema, search_index
from urial_tui.chat import turns as turns_module
from urial_tui.chat.schema import MIGRATIONS
from urial_tui.chat.store import Store
from urial_tui.chat.turns import (
    ConversationRecord,
    Role,
    Timings,
    TurnRecord,
    WholeConversation,
    new_id,
    renumbered,
)
from urial_tui.errors import StoreError, UsageError
from urial_tui.prompting.preamble import Example


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "conversations.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with Store(file) as opened:
        yield opened


def conversation(title: str = "A title", updated: float = 10.0) -> ConversationRecord:
    return ConversationRecord(
        id=new_id(), title=title, created=1.0, updated=updated, model="tiny", preamble="urial-k1"
    )


def turn(
    of: ConversationRecord, role: Role = "user", text: str = "Hello", parent: int | None = None
) -> TurnRecord:
    return TurnRecord(
        id=new_id(),
        conversation_id=of.id,
        parent_id=parent,
        role=role,
        text=text,
        created=11.0,
        model="tiny",
        preamble="urial-k1",
    )


def exchange(store: Store) -> tuple[ConversationRecord, TurnRecord, TurnRecord]:
    """A stored question, and an answer to it that is not stored yet."""
    head = conversation()
    question = turn(head)
    store.add_question(head, question)
    return head, question, turn(head, "assistant", "Hi", question.id)


class TestReadingBack:
    def test_a_turn_comes_back_with_every_field(self, store: Store) -> None:
        head, question, answer = exchange(store)
        answer = msgspec.structs.replace(
            answer,
            text="Grüße \x00 \x1b[31m ✓",
            ids=(0, 1, 262_143, 2_147_483_647),
            ids_key="abc",
            tail="\n```\n",
            stop_reason="stop",
            stopped_by="```",
            generated=4,
            context_from=question.id,
            timings=Timings(decode_s=0.5, used=1200),
            examples=(Example(query="Né?", answer='"Oui" \x00'), Example(query="a", answer="b")),
        )
        store.save_answer(answer)
        assert store.turns(head.id) == [question, answer]

    def test_that_nothing_was_like_a_question_differs_from_not_having_looked(
        self, store: Store
    ) -> None:
        head, question, answer = exchange(store)
        store.save_answer(msgspec.structs.replace(answer, examples=()))
        store.save_answer(turn(head, "assistant", "Ho", question.id))
        assert [stored.examples for stored in store.turns(head.id)] == [None, (), None]

    @pytest.mark.parametrize("written", ["[", "{}", "[[1, 2]]", '[["a"]]', b"\xff", "null"])
    def test_damaged_examples_cost_these_and_not_the_answer(
        self, store: Store, file: Path, written: object
    ) -> None:
        head, _, answer = exchange(store)
        store.save_answer(answer)
        with contextlib.closing(sqlite3.connect(file)) as raw, raw:
            raw.execute("UPDATE turns SET examples = ? WHERE id = ?", (written, answer.id))
        assert store.turns(head.id)[1] == answer

    def test_ids_that_are_not_known_differ_from_no_ids(self, store: Store) -> None:
        head, _, answer = exchange(store)
        store.save_answer(msgspec.structs.replace(answer, ids=()))
        assert [stored.ids for stored in store.turns(head.id)] == [None, ()]

    def test_another_connection_sees_a_turn_at_once(self, store: Store, file: Path) -> None:
        head, question, _ = exchange(store)
        with Store(file) as other:
            assert other.turns(head.id) == [question]

    def test_conversations_are_listed_by_their_last_change(self, store: Store) -> None:
        for title, updated in (("old", 1.0), ("new", 3.0), ("middle", 2.0)):
            head = conversation(title, updated)
            store.add_question(head, turn(head))
        listed = store.conversations()
        assert [one.title for one in listed] == ["new", "middle", "old"]
        assert [one.turns for one in listed] == [1, 1, 1]
        assert store.conversation(listed[0].id) == listed[0]

    def test_an_unknown_conversation_is_explained(self, store: Store) -> None:
        with pytest.raises(StoreError, match="no longer in the database"):
            store.conversation(1)

    def test_questions_come_back_newest_first_and_once(self, store: Store) -> None:
        head = conversation()
        for text in ("first", "second", "first"):
            store.add_question(head, turn(head, text=text))
        assert store.recent_questions() == ["first", "second"]

    def test_text_from_an_undecodable_command_line_is_stored(self, store: Store) -> None:
        head = conversation(title="bad \udcff")
        store.add_question(head, turn(head, text="bad \udcff"))
        assert store.turns(head.id)[0].text == "bad \ufffd"
        assert store.conversations()[0].title == "bad \ufffd"

    def test_a_damaged_id_list_costs_the_ids_and_not_the_text(
        self, store: Store, file: Path
    ) -> None:
        head, _, _ = exchange(store)
        with sqlite3.connect(file) as raw:
            raw.execute("UPDATE turns SET ids = x'010203', timings = '{'")
        (read,) = store.turns(head.id)
        assert (read.text, read.ids, read.timings) == ("Hello", None, Timings())


@given(st.lists(st.integers(0, 2**31 - 1)))
def test_ids_survive_packing(ids: list[int]) -> None:
    assert rows.unpack(rows.pack(ids)) == tuple(ids)


def test_ids_are_packed_as_little_endian_int32() -> None:
    assert rows.pack((1, 258)) == b"\x01\x00\x00\x00\x02\x01\x00\x00"


class TestHistoryIsNotRewritten:
    def test_a_growing_answer_is_brought_up_to_date(self, store: Store) -> None:
        head, _, answer = exchange(store)
        for text, reason in (("H", None), ("Hi th", None), ("Hi there", "eos")):
            answer = msgspec.structs.replace(answer, text=text, stop_reason=reason)
            store.save_answer(answer)
        assert store.turns(head.id)[1:] == [answer]

    def test_a_finished_answer_stays(self, store: Store) -> None:
        head, _, answer = exchange(store)
        done = msgspec.structs.replace(answer, stop_reason="eos")
        store.save_answer(done)
        with pytest.raises(StoreError):
            store.save_answer(msgspec.structs.replace(done, text="Something else"))
        assert store.turns(head.id)[1] == done

    def test_a_question_stays(self, store: Store) -> None:
        head, question, _ = exchange(store)
        other = msgspec.structs.replace(question, text="Something else")
        with pytest.raises(StoreError):
            store.add_question(head, other)
        with pytest.raises(StoreError):
            store.save_answer(other)
        assert store.turns(head.id) == [question]

    def test_the_ids_of_a_question_are_set_once(self, store: Store) -> None:
        head, question, _ = exchange(store)
        store.set_question_ids(question.id, (5, 6), "one")
        store.set_question_ids(question.id, (7,), "two")
        (stored,) = store.turns(head.id)
        assert (stored.ids, stored.ids_key) == ((5, 6), "one")

    def test_an_answer_can_not_move_to_another_conversation(self, store: Store) -> None:
        head, _, answer = exchange(store)
        other, other_question, _ = exchange(store)
        store.save_answer(answer)
        moved = msgspec.structs.replace(
            answer, conversation_id=other.id, parent_id=other_question.id, text="moved"
        )
        with pytest.raises(StoreError):
            store.save_answer(moved)
        assert store.turns(head.id)[1] == answer

    def test_an_answer_needs_a_question_that_exists(self, store: Store) -> None:
        head, _, _ = exchange(store)
        with pytest.raises(StoreError):
            store.save_answer(turn(head, "assistant", "To nothing", parent=12345))

    def test_a_refused_question_leaves_no_empty_conversation(self, store: Store) -> None:
        head = conversation()
        with pytest.raises(StoreError):
            store.add_question(head, turn(head, parent=12345))
        assert store.conversations() == []


class TestDeleting:
    def test_a_deleted_conversation_is_out_of_sight_and_comes_back_whole(
        self, store: Store
    ) -> None:
        head, question, answer = exchange(store)
        done = msgspec.structs.replace(answer, stop_reason="eos")
        store.save_answer(done)
        before = store.conversation(head.id)
        store.delete(head.id)
        assert store.conversations() == []
        assert store.recent_questions() == []
        assert (store.title(head.id), store.count()) == (None, 0)
        with pytest.raises(StoreError, match="no longer in the database"):
            store.conversation(head.id)
        assert store.bring_back() == before
        assert store.conversation(head.id) == before
        assert store.turns(head.id) == [question, done]

    def test_deletions_are_undone_newest_first(self, store: Store) -> None:
        heads = [exchange(store)[0] for _ in range(3)]
        for head in heads:
            store.delete(head.id)
        store.delete(heads[0].id)  # deleted already: it keeps its place
        brought = [store.bring_back() for _ in range(4)]
        assert [record and record.id for record in brought] == [
            *(head.id for head in reversed(heads)),
            None,
        ]

    def test_a_conversation_that_goes_on_is_no_longer_deleted(self, store: Store) -> None:
        head, question, _ = exchange(store)
        store.delete(head.id)
        store.add_question(head, turn(head, text="And?", parent=question.id))
        assert store.conversation(head.id).turns == 2

    def test_only_old_deletions_are_purged(self, store: Store, file: Path) -> None:
        old, new = exchange(store), exchange(store)
        answer = msgspec.structs.replace(old[2], stop_reason="eos")
        store.save_answer(answer)
        store.delete(old[0].id)
        store.delete(new[0].id)
        store._connected().execute(
            "UPDATE conversations SET deleted = deleted - 31 * 86400 WHERE id = ?", (old[0].id,)
        )
        store.purge()
        assert store.turns(old[0].id) == []
        assert [record and record.id for record in (store.bring_back(), store.bring_back())] == [
            new[0].id,
            None,
        ]

    def test_nothing_is_written_where_there_is_nothing_to_purge(self, store: Store) -> None:
        exchange(store)
        store._connected().execute("PRAGMA query_only = 1")
        store.purge()


class TestPlaces:
    def test_one_stands_where_something_was_written_last(self, store: Store) -> None:
        head, question, answer = exchange(store)
        assert store.conversation(head.id).leaf == question.id
        store.save_answer(answer)
        assert store.conversation(head.id).leaf == answer.id

    def test_moving_is_remembered_and_is_no_change(self, store: Store) -> None:
        head, question, answer = exchange(store)
        store.save_answer(answer)
        before = store.conversation(head.id)
        store.stand_at(head.id, question.id)
        assert store.conversation(head.id) == msgspec.structs.replace(before, leaf=question.id)

    def test_a_copy_stands_at_its_own_turn(self, store: Store) -> None:
        head, _, answer = exchange(store)
        store.save_answer(answer)
        whole = WholeConversation(store.conversation(head.id), tuple(store.turns(head.id)))
        store.delete(head.id)
        (added,) = store.add([whole]).records
        assert added.leaf == store.turns(added.id)[1].id


class TestTitles:
    def test_a_given_title_survives_the_next_question(self, store: Store) -> None:
        head, question, _ = exchange(store)
        assert store.rename(head.id, "  Another\n title ") == "Another title"
        store.add_question(head, turn(head, text="And?", parent=question.id))
        assert store.title(head.id) == "Another title"

    def test_an_empty_title_is_refused(self, store: Store) -> None:
        head, _, _ = exchange(store)
        with pytest.raises(UsageError, match="title is empty"):
            store.rename(head.id, " \n ")
        assert store.title(head.id) == "A title"


class TestAddingWholeConversations:
    def whole(self, store: Store) -> WholeConversation:
        head, question, answer = exchange(store)
        store.save_answer(
            msgspec.structs.replace(
                answer, ids=(1, 2), stop_reason="stop", context_from=question.id
            )
        )
        return WholeConversation(store.conversation(head.id), tuple(store.turns(head.id)))

    def test_it_keeps_its_ids_where_they_are_free(self, store: Store, tmp_path: Path) -> None:
        whole = self.whole(store)
        with Store(tmp_path / "other.db") as other:
            assert other.add([whole]) == ([whole.record], [])
            assert tuple(other.turns(whole.record.id)) == whole.turns

    def test_a_copy_of_a_deleted_one_gets_ids_of_its_own(self, store: Store) -> None:
        whole = self.whole(store)
        store.delete(whole.record.id)
        (added,) = store.add([whole]).records
        assert added.id != whole.record.id
        question, answer = store.turns(added.id)
        assert (answer.parent_id, answer.context_from) == (question.id, question.id)
        assert (answer.ids, answer.text, answer.stop_reason) == ((1, 2), "Hi", "stop")
        assert tuple(store.turns(whole.record.id)) == whole.turns

    def test_what_is_stored_already_is_left_as_it_is(self, store: Store) -> None:
        whole = self.whole(store)
        store.rename(whole.record.id, "Mine")
        renamed = store.conversation(whole.record.id)
        assert store.add([whole, renumbered(whole)]) == ([], [renamed, renamed])
        assert store.conversations() == [renamed]

    def test_one_that_has_gone_on_since_is_stored_already(self, store: Store) -> None:
        whole = self.whole(store)
        store.add_question(whole.record, turn(whole.record, text="And?", parent=whole.turns[1].id))
        assert [one.turns for one in store.add([whole]).already] == [3]

    def test_one_with_turns_that_are_not_there_is_stored_beside_it(self, store: Store) -> None:
        whole = self.whole(store)
        question, answer = whole.turns
        longer = [question, answer, turn(whole.record, text="And?", parent=answer.id)]
        store.add([WholeConversation(whole.record, tuple(longer))])
        assert sorted(one.turns for one in store.conversations()) == [2, 3]

    @pytest.mark.parametrize(
        "change", [{"text": "Ho"}, {"created": 5.0}, {"model": "other"}, {"preamble": "other"}]
    )
    def test_another_answer_in_its_place_is_another_conversation(
        self, store: Store, change: dict[str, Any]
    ) -> None:
        whole = self.whole(store)
        question, answer = whole.turns
        changed = msgspec.structs.replace(answer, **change)
        assert store.add([WholeConversation(whole.record, (question, changed))]).already == []
        assert store.count() == 2

    def test_the_same_words_in_another_place_are_another_conversation(self, store: Store) -> None:
        head = conversation()
        first = turn(head, text="A")
        second = turn(head, text="B", parent=first.id)
        chain = WholeConversation(head, (first, second))
        side_by_side = (first, msgspec.structs.replace(second, parent_id=None))
        assert len(store.add([chain, WholeConversation(head, side_by_side)]).records) == 2

    def test_one_that_comes_twice_is_stored_once(self, store: Store) -> None:
        whole = self.whole(store)
        store.delete(whole.record.id)
        added = store.add([whole, whole])
        assert added.already == added.records
        assert store.count() == 1

    def test_all_or_none_are_added(self, store: Store) -> None:
        whole = self.whole(store)
        head = conversation("refused")
        wrong = WholeConversation(head, (turn(head, role="narrator"),))  # type: ignore[arg-type]
        with pytest.raises(StoreError):
            store.add([whole, wrong])
        assert store.count() == 1


class TestUpgrading:
    def test_an_older_database_is_brought_up_to_date(self, file: Path) -> None:
        file.parent.mkdir()
        with contextlib.closing(sqlite3.connect(file)) as raw, raw:
            MIGRATIONS[0](raw)
            raw.execute("PRAGMA user_version = 1")
            raw.execute("INSERT INTO conversations VALUES (1, 'Old title', 1, 1, 'm', 'p')")
            raw.execute(
                "INSERT INTO turns VALUES (2, 1, NULL, 'user', 'An old question', 1, NULL, '',"
                " '', NULL, '', 'm', 'p', 0, NULL, '{}')"
            )
        with Store(file) as store:
            assert store.conversation(1).title == "Old title"
            assert store.conversation(1).leaf is None
            assert store.turns(1)[0].examples is None
            assert matches(store, "turns_search", "question") == [2]
            assert matches(store, "conversations_search", "title") == [1]

    def test_without_full_text_search_everything_else_works(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Store(file) as store:
            head, question, _ = exchange(store)
        monkeypatch.setattr(search_index, "has_fts5", lambda connection: False)
        with Store(file) as store:
            store.add_question(head, turn(head, text="Unseen by the index", parent=question.id))
        monkeypatch.undo()
        with Store(file) as store:
            assert len(matches(store, "turns_search", "unseen")) == 1

    def test_the_index_follows_turns_and_titles(self, store: Store) -> None:
        head, _, answer = exchange(store)
        for text in ("grow", "growing"):
            store.save_answer(msgspec.structs.replace(answer, text=text))
        store.rename(head.id, "Renamed")
        assert matches(store, "turns_search", "grow") == []
        assert matches(store, "turns_search", "growing") == [answer.id]
        assert matches(store, "conversations_search", "renamed") == [head.id]
        store.delete(head.id)
        store.purge(older_than=-1)
        assert matches(store, "turns_search", "growing") == []
        for table in ("turns", "conversations"):
            store._connected().execute(
                f"INSERT INTO {table}_search ({table}_search, rank) VALUES ('integrity-check', 1)"
            )


def matches(store: Store, index: str, words: str) -> list[int]:
    query = f"SELECT rowid FROM {index} WHERE {index} MATCH ?"
    return [row[0] for row in store._connected().execute(query, (words,))]


class TestIds:
    def test_they_grow(self) -> None:
        made = [new_id() for _ in range(1000)]
        assert made == sorted(set(made))
        assert 0 < made[-1] < 2**63

    def test_a_child_made_under_an_earlier_clock_follows_its_parent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turns_module, "_LAST_ID", 0)
        monkeypatch.setattr("time.time_ns", lambda: 2_000_000_000)
        parent = new_id()
        monkeypatch.setattr(turns_module, "_LAST_ID", 0)
        monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000)
        assert new_id(after=parent) > parent


class TestSeveralAtOnce:
    def test_threads_share_one_store(self, store: Store) -> None:
        head = conversation()
        failures: list[Exception] = []

        def write(name: str) -> None:
            try:
                for number in range(25):
                    question = turn(head, text=f"{name} {number}")
                    store.add_question(head, question)
                    store.save_answer(turn(head, "assistant", "Yes", question.id))
                    store.conversations()
            except StoreError as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(str(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(store.turns(head.id)) == 200

    def test_a_fresh_file_can_be_opened_by_many_at_once(self, file: Path) -> None:
        start = threading.Barrier(6)
        opened: list[Store] = []
        failures: list[Exception] = []

        def open_it() -> None:
            start.wait()
            try:
                opened.append(Store(file))
            except StoreError as error:
                failures.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        for one in opened:
            assert one.conversations() == []
            one.close()

    def test_a_writer_waits_for_another_process(self, store: Store, file: Path) -> None:
        other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, lambda: other.execute("COMMIT"))
        release.start()
        head = conversation()
        store.add_question(head, turn(head))
        release.join()
        other.close()
        assert len(store.turns(head.id)) == 1


class TestTrouble:
    def test_a_locked_database_is_explained(self, file: Path) -> None:
        with Store(file, busy_timeout=0.05) as store:
            head, question, _ = exchange(store)
            other = sqlite3.connect(file, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="in use by another program"):
                store.add_question(head, turn(head, text="refused"))
            assert store.turns(head.id) == [question]
            other.close()
            store.add_question(head, turn(head, text="accepted"))
            assert [one.text for one in store.turns(head.id)] == ["Hello", "accepted"]

    def test_a_full_disk_is_explained_and_loses_nothing(self, store: Store, file: Path) -> None:
        head, question, answer = exchange(store)
        store.save_answer(answer)
        connection = store._connected()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="the disk is full"):
            store.save_answer(msgspec.structs.replace(answer, text="x" * 100_000))
        assert store.turns(head.id) == [question, answer]
        connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
        longer = msgspec.structs.replace(answer, text="x" * 100_000, stop_reason="eos")
        store.save_answer(longer)
        with Store(file) as other:
            assert other.turns(head.id) == [question, longer]

    def test_a_read_only_database_is_explained_and_still_read(self, store: Store) -> None:
        head, question, _ = exchange(store)
        store._connected().execute("PRAGMA query_only = 1")
        with pytest.raises(StoreError, match="read-only"):
            store.add_question(head, turn(head))
        assert store.turns(head.id) == [question]

    @pytest.mark.parametrize(
        "content",
        [
            b"this is a text file, and a long one at that " * 50,
            b"SQLite format 3\x00" + b"\xff" * 4096,
        ],
        ids=["text", "garbled"],
    )
    def test_a_file_that_is_no_database_is_explained_and_left_alone(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "conversations.db"
        path.write_bytes(content)
        with pytest.raises(StoreError, match="damaged or is not a database") as caught:
            Store(path)
        assert "Move it away" in caught.value.hint
        assert path.read_bytes() == content

    def test_damage_inside_is_explained(self, file: Path) -> None:
        with Store(file) as store:
            head = conversation()
            for number in range(200):
                store.add_question(head, turn(head, text=f"{number} " * 100))
        damaged = bytearray(file.read_bytes())
        start = len(damaged) // 2  # behind the pages of the schema
        damaged[start:] = b"\xa5" * (len(damaged) - start)
        file.write_bytes(damaged)
        with Store(file) as store, pytest.raises(StoreError, match="damaged"):
            store.turns(head.id)

    def test_a_newer_database_is_left_alone(self, file: Path) -> None:
        Store(file).close()
        with sqlite3.connect(file) as raw:
            raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        with pytest.raises(StoreError, match="newer version"):
            Store(file)
        with sqlite3.connect(file) as raw:
            assert raw.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)

    @pytest.mark.parametrize("version", [0, 1])
    def test_the_database_of_another_program_is_left_alone(
        self, tmp_path: Path, version: int
    ) -> None:
        path = tmp_path / "other.db"
        with sqlite3.connect(path) as raw:
            raw.execute("CREATE TABLE bookmarks (url TEXT)")
            raw.execute(f"PRAGMA user_version = {version}")
        with pytest.raises(StoreError, match="belongs to another program"):
            Store(path)
        with sqlite3.connect(path) as raw:
            assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]

    def test_a_directory_in_its_place_is_explained(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="can't be opened"):
            Store(tmp_path)

    def test_a_directory_that_can_not_be_made_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StoreError, match="can't be opened"):
            Store(tmp_path / "file" / "conversations.db")

    def test_a_migration_that_fails_changes_nothing(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Store(file) as store:
            head, question, _ = exchange(store)

        def broken(connection: sqlite3.Connection) -> None:
            connection.execute("CREATE TABLE half_done (x)")
            connection.execute("SELECT * FROM nowhere")

        monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(StoreError):
            Store(file)
        monkeypatch.undo()
        with Store(file) as store:
            assert store.turns(head.id) == [question]
        with sqlite3.connect(file) as raw:
            assert not raw.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'half_done'"
            ).fetchall()

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.conversations()

    def test_a_turn_survives_a_process_that_is_killed(self, file: Path) -> None:
        """A copy of the files as they are at this moment is what a killed process leaves."""
        with Store(file) as store:
            head, question, _ = exchange(store)
            copy = file.parent / "copy.db"
            for suffix in ("", "-wal"):
                source = file.with_name(file.name + suffix)
                if source.exists():
                    copy.with_name(copy.name + suffix).write_bytes(source.read_bytes())
        with Store(copy) as recovered:
            assert recovered.turns(head.id) == [question]


def test_conversations_are_private(store: Store, file: Path) -> None:
    exchange(store)
    for one in file.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0
