"""Words are found wherever they stand, and what is shown of them says why."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui.chat import search as search_module
from urial_tui.chat import search_index
from urial_tui.chat.listing import Lister
from urial_tui.chat.marking import EXCERPT, Marked, excerpt, marked
from urial_tui.chat.search import MAX_HITS, Found, Search, SearchStopped
from urial_tui.chat.store import Store
from urial_tui.chat.terms import terms_of
from urial_tui.chat.turns import ConversationRecord, TurnRecord, WholeConversation, new_id
from urial_tui.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "conversations.db") as opened:
        yield opened


@pytest.fixture
def search(store: Store) -> Iterator[Search]:
    with Search(store.path) as opened:
        yield opened


_CLOCK = itertools.count(1.0)


def talk(store: Store, title: str, *texts: str, updated: float = 10.0) -> ConversationRecord:
    """Store a conversation whose turns have these texts."""
    head = ConversationRecord(
        id=new_id(), title=title, created=1.0, updated=updated, model="tiny", preamble="urial-k1"
    )
    turns: list[TurnRecord] = []
    for number, text in enumerate(texts):
        turns.append(
            TurnRecord(
                id=new_id(),
                conversation_id=head.id,
                parent_id=turns[-1].id if turns else None,
                role="assistant" if number % 2 else "user",
                text=text,
                created=next(_CLOCK),
                stop_reason="eos" if number % 2 else None,
            )
        )
    return store.add([WholeConversation(head, tuple(turns))]).records[0]


def titles(found: Found) -> list[str]:
    return [hit.conversation.title for hit in found.hits]


def hits(pieces: Marked) -> list[str]:
    return [text for text, hit in pieces if hit]


class TestFinding:
    def test_every_word_has_to_be_in_one_turn_or_in_the_title(
        self, store: Store, search: Search
    ) -> None:
        talk(store, "Reading", "How do I read a file?", "With open.")
        talk(store, "Apart", "How do I read?", "A file.")
        talk(store, "Read the file", "Please")
        assert titles(search.find("read file")) == ["Read the file", "Reading"]

    @pytest.mark.parametrize("words", ["STRASSENBAHN", "strass", "Müll", "mull", "muLL strassenb"])
    def test_case_accents_and_the_ends_of_words_do_not_matter(
        self, store: Store, search: Search, words: str
    ) -> None:
        talk(store, "One", "Strassenbahnen und Müllabfuhr")
        assert titles(search.find(words)) == ["One"]

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ('"read a file"', True),
            ('"read a fil"', False),
            ('"read a fil', True),
            ('"read file"', False),
            ('"', False),
            ('""', False),
        ],
    )
    def test_what_stands_in_quotes_is_found_as_it_is(
        self, store: Store, search: Search, words: str, found: bool
    ) -> None:
        talk(store, "One", "How do I read a file?")
        assert bool(search.find(words).hits) == found

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            ("水", "我喜欢喝水。"),
            ("喝水", "我喜欢喝水。"),
            ("ファイル", "このファイルを読む"),
            ("C++", "I like C++ and C."),
            ("->", "a -> b"),
            ("100%", "It is 100% sure."),
            ("snake_case", "Take snake_case here."),
            ("🦊", "A 🦊 runs."),
        ],
    )
    def test_words_that_the_index_has_no_entries_for_are_found(
        self, store: Store, search: Search, words: str, text: str
    ) -> None:
        talk(store, "One", text)
        talk(store, "Other", "I like C and cats, 100 of them, in snake or case.")
        found = search.find(words)
        assert titles(found) == ["One"]
        assert hits(found.hits[0].turns[0].excerpt) == [words]

    def test_the_newest_conversation_comes_first(self, store: Store, search: Search) -> None:
        for title, updated in (("old", 1.0), ("new", 3.0), ("middle", 2.0)):
            talk(store, title, "A word", updated=updated)
        assert titles(search.find("word")) == ["new", "middle", "old"]

    def test_the_first_turns_of_a_conversation_are_shown_and_all_are_counted(
        self, store: Store, search: Search
    ) -> None:
        texts = [f"word {number}" for number in range(MAX_HITS + 3)]
        talk(store, "One", *texts)
        (hit,) = search.find("word").hits
        assert hit.count == len(texts)
        assert ["".join(piece for piece, _ in turn.excerpt) for turn in hit.turns] == texts[
            :MAX_HITS
        ]
        assert hit.conversation == store.conversation(hit.conversation.id)

    def test_a_title_alone_is_a_hit_without_turns(self, store: Store, search: Search) -> None:
        talk(store, "A walk in the garden", "Hello")
        (hit,) = search.find("garden").hits
        assert (hit.turns, hit.count, hits(hit.title)) == ((), 0, ["garden"])

    def test_deleted_conversations_are_not_found(self, store: Store, search: Search) -> None:
        head = talk(store, "One", "A word")
        store.delete(head.id)
        assert search.find("word") == Found()
        store.bring_back()
        assert titles(search.find("word")) == ["One"]

    def test_no_words_find_nothing(self, store: Store, search: Search) -> None:
        talk(store, "One", "A word")
        assert search.find("  ") == Found()

    def test_more_are_counted_than_returned(
        self, store: Store, search: Search, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(search_module, "MAX_CONVERSATIONS", 2)
        for number in range(4):
            talk(store, f"{number}", "A word", updated=number)
        found = search.find("word")
        assert (titles(found), found.count) == (["3", "2"], 4)

    def test_without_full_text_search_the_texts_are_looked_through(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        talk(store, "One", "How do I read a FILE?")
        talk(store, "Other", "Nothing")
        monkeypatch.setattr(search_index, "has_fts5", lambda connection: False)
        with Search(store.path) as search:
            assert titles(search.find("read file")) == ["One"]
            assert titles(search.find("other")) == ["Other"]

    @given(st.text(max_size=40))
    def test_nothing_that_can_be_typed_is_an_error(self, words: str) -> None:
        with sqlite3.connect(":memory:") as memory:
            for statement in (
                "CREATE TABLE conversations (id INTEGER PRIMARY KEY, title, created, updated,"
                " model, preamble, leaf, deleted)",
                "CREATE TABLE turns (id INTEGER PRIMARY KEY, conversation_id, role, text)",
            ):
                memory.execute(statement)
            search_index.put_in_order(memory)
            memory.execute("INSERT INTO conversations VALUES (1, 'T', 1, 1, 'm', 'p', 1, NULL)")
            memory.execute("INSERT INTO turns VALUES (1, 1, 'user', 'Any text')")
            terms = terms_of(words)
            if terms:
                search_module._find(memory, terms, indexed=True)
                search_module._find(memory, terms, indexed=False)


class TestStopping:
    def test_a_newer_search_stops_the_one_that_runs(self, store: Store) -> None:
        """A statement that would run for hours ends as soon as somebody types on."""
        talk(store, "One", "A word")
        with Search(store.path) as search:
            started = threading.Event()

            search._connection.create_function("like", 3, lambda *_: started.set())
            search._connection.execute(
                "CREATE TEMP VIEW turns AS WITH RECURSIVE n(id) AS"
                " (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
                " SELECT id, 1 AS conversation_id, 'user' AS role, 'text' AS text FROM n"
            )
            outcome: list[object] = []

            def run() -> None:
                try:
                    outcome.append(search.find("->"))
                except SearchStopped as stopped:
                    outcome.append(stopped)

            thread = threading.Thread(target=run)
            thread.start()
            assert started.wait(60)
            search.stop()
            thread.join(60)
            assert [type(one) for one in outcome] == [SearchStopped]

    def test_a_closed_search_explains_itself(self, store: Store) -> None:
        search = Search(store.path)
        search.close()
        search.close()
        with pytest.raises(StoreError):
            search.find("word")

    def test_it_does_not_wait_for_a_writer(self, store: Store, search: Search) -> None:
        talk(store, "One", "A word")
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert titles(search.find("word")) == ["One"]
        other.close()


class TestMarking:
    def test_an_excerpt_starts_shortly_before_the_first_word_and_is_one_line(self) -> None:
        text = "First line that is long enough to leave out.\n\nThen the\tgarden comes."
        pieces = excerpt(text, terms_of("gard"))
        shown = "".join(piece for piece, _ in pieces)
        assert shown == "…leave out. Then the garden comes."
        assert hits(pieces) == ["gard"]

    def test_words_are_marked_where_they_start_and_not_within_others(self) -> None:
        assert hits(marked("art smart Artist", terms_of("art"))) == ["art", "Art"]

    @pytest.mark.parametrize(
        ("text", "words", "found"),
        [
            ("Café au lait", "cafe", ["Café"]),
            ("Cafe\u0301 au lait", "café", ["Cafe\u0301"]),
            ("cafe au lait", "CAFÉ", ["cafe"]),
            ("İstanbul", "istanbul", ["İstanbul"]),
            ("a\n  b", '"a b"', ["a\n  b"]),
            ("read reading", "read reading", ["read", "reading"]),
        ],
    )
    def test_they_are_marked_as_they_stand_in_the_text(
        self, text: str, words: str, found: list[str]
    ) -> None:
        assert hits(marked(text, terms_of(words))) == found

    @given(st.text(), st.text(max_size=20))
    def test_marking_loses_nothing(self, text: str, words: str) -> None:
        assert "".join(piece for piece, _ in marked(text, terms_of(words))) == text
        assert len("".join(piece for piece, _ in excerpt(text, terms_of(words)))) <= EXCERPT + 2

    def test_a_long_text_of_one_word_has_a_short_excerpt(self) -> None:
        shown = "".join(piece for piece, _ in excerpt("x" * 1_000_000, terms_of("x")))
        assert len(shown) <= EXCERPT + 2


def test_a_long_search_line_is_cut() -> None:
    terms = terms_of("x" * 100_000 + " word" * 100_000)
    assert (len(terms), len(terms[0].text)) == (16, 200)


class TestListing:
    @pytest.fixture
    def lister(self, store: Store) -> Iterator[Lister]:
        made = Lister(store)
        yield made
        made.close()

    def test_without_words_all_are_listed(self, store: Store, lister: Lister) -> None:
        talk(store, "Old", "What of gardens?", updated=1)
        talk(store, "New", updated=2)
        listing = lister.list(" ")
        assert titles(listing.found) == ["New", "Old"]
        assert (listing.found.count, listing.stored, listing.words) == (2, 2, "")

    def test_with_words_those_that_hold_them(self, store: Store, lister: Lister) -> None:
        lister.stop()
        talk(store, "Old", "What of gardens?")
        talk(store, "New")
        listing = lister.list("garden")
        assert titles(listing.found) == ["Old"]
        assert (listing.found.count, listing.stored, listing.words) == (1, 2, "garden")
