"""What `urial chats` prints and does."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.test_export import talk
from urial_tui.chat.store import Store
from urial_tui.chat.turns import WholeConversation
from urial_tui.cli.main import run

Stored = Callable[..., list[WholeConversation]]


@pytest.fixture
def stored() -> Stored:
    """Store conversations in the user's database, each a minute newer than the one before."""

    def store(*titles: str) -> list[WholeConversation]:
        wholes = []
        for number, title in enumerate(titles):
            whole = talk(f"Why {title}?", "Because of the garden.", title=title)
            record = msgspec.structs.replace(whole.record, updated=1.7e9 + 60 * number)
            wholes.append(WholeConversation(record, whole.turns))
        with Store() as opened:
            opened.add(wholes)
        return wholes

    return store


def printed(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["chats", *arguments]) == 0
    return capfd.readouterr().out


def document(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    read = json.loads(printed(capfd, *arguments, "--json"))
    assert isinstance(read, dict)
    return read


def refused(capfd: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert run(["chats", *arguments]) == code
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


class TestListing:
    def test_the_newest_come_first(self, stored: Stored, capfd: pytest.CaptureFixture[str]) -> None:
        old, new = stored("old", "new")
        lines = printed(capfd, "list").splitlines()
        assert [line.split()[0] for line in lines] == [
            "ID",
            str(new.record.id),
            str(old.record.id),
        ]
        listed = document(capfd, "list", "--limit", "1")
        assert listed["count"] == 2
        assert [one["id"] for one in listed["conversations"]] == [str(new.record.id)]
        assert listed["conversations"][0]["updated"] == "2023-11-14T22:14:20+00:00"

    def test_no_conversations_are_an_empty_list(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert printed(capfd, "list") == ""
        assert document(capfd, "list") == {"count": 0, "conversations": []}

    def test_titles_can_not_reach_the_terminal(
        self, stored: Stored, capfd: pytest.CaptureFixture[str]
    ) -> None:
        stored("An escape \x1b[31m sequence")
        for arguments in (["list"], ["search", "escape"], ["show", "last"], ["export", "last"]):
            assert "\x1b" not in printed(capfd, *arguments)


class TestSearching:
    def test_hits_are_shown_under_their_conversations(
        self, stored: Stored, capfd: pytest.CaptureFixture[str]
    ) -> None:
        one, _ = stored("one", "two")
        assert printed(capfd, "search", "one", "why").splitlines()[1] == "    You: Why one?"
        found = document(capfd, "search", "of the garden")
        assert found["count"] == 2
        (hit,) = found["conversations"][1]["turns_found"]
        assert hit["id"] == str(one.turns[1].id)
        assert hit["excerpt"] == [
            {"text": "Because ", "match": False},
            {"text": "of the garden", "match": True},
            {"text": ".", "match": False},
        ]

    def test_nothing_found_is_no_failure(
        self, stored: Stored, capfd: pytest.CaptureFixture[str]
    ) -> None:
        stored("one")
        assert printed(capfd, "search", "elsewhere") == ""


class TestShowing:
    def test_it_shows_the_path_where_one_stood_last(
        self, stored: Stored, capfd: pytest.CaptureFixture[str]
    ) -> None:
        (one,) = stored("one")
        with Store() as store:
            store.stand_at(one.record.id, one.turns[0].id)
        assert printed(capfd, "show", "last") == "You\nWhy one?\n\n"
        shown = document(capfd, "show", str(one.record.id))
        assert [turn["text"] for turn in shown["path"]] == ["Why one?"]

    @pytest.mark.parametrize("chat", ["12", "-1", "x", "9" * 30, "٣"])
    def test_an_unknown_one_is_explained(
        self, stored: Stored, capfd: pytest.CaptureFixture[str], chat: str
    ) -> None:
        stored("one")
        for command in ("show", "export", "delete"):
            assert "There is no conversation" in refused(capfd, 2, command, "--", chat)

    def test_no_last_one_is_explained(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert "no conversations yet" in refused(capfd, 2, "show", "last")
        assert "no conversations yet" in refused(capfd, 2, "export", "all")


class TestExporting:
    def test_standard_output_and_a_file_get_the_same(
        self, stored: Stored, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        stored("Grüße")
        for form in ("md", "json"):
            path = tmp_path / f"a.{form}"
            text = printed(capfd, "export", "last", "--format", form)
            assert printed(capfd, "export", "last", "-o", str(path)) == ""
            assert path.read_text(encoding="utf-8") == text

    def test_everything_can_be_taken_to_another_database(
        self, stored: Stored, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        wholes = stored("one", "two")
        path = tmp_path / "all.json"
        printed(capfd, "export", "all", "-o", str(path))
        with Store() as store:
            for whole in wholes:
                store.delete(whole.record.id)
            store.purge(older_than=-1)
        added = document(capfd, "import", str(path))["conversations"]
        assert {one["id"] for one in added} == {str(whole.record.id) for whole in wholes}
        with Store() as store:
            assert tuple(store.turns(wholes[0].record.id)) == wholes[0].turns

    def test_a_file_is_replaced_only_by_force(
        self, stored: Stored, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        stored("one")
        path = tmp_path / "a.md"
        path.write_text("mine")
        assert "--force" in refused(capfd, 2, "export", "last", "-o", str(path))
        assert path.read_text() == "mine"
        printed(capfd, "export", "last", "-o", str(path), "--force")
        assert "Why one?" in path.read_text()

    def test_several_do_not_fit_into_markdown(
        self, stored: Stored, capfd: pytest.CaptureFixture[str]
    ) -> None:
        stored("one", "two")
        assert "JSON" in refused(capfd, 2, "export", "all", "--format", "md")

    def test_a_reader_that_leaves_is_no_traceback(self, stored: Stored) -> None:
        stored("x" * 200)
        with Store() as store:
            store.add([talk("word " * 200_000)])
        command = f"{sys.executable} -m urial_tui chats export all | head -c 10"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert (len(done.stdout), done.stderr) == (10, "")


class TestImporting:
    def test_standard_input_is_read(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = "# Mine\n\n## You\n\nWhy?\n"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert printed(capfd, "import", "-").endswith("  Mine\n")
        with Store() as store:
            assert store.conversations()[0].title == "Mine"

    def test_what_is_stored_already_is_said_and_left_out(
        self, stored: Stored, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        first, second = stored("one", "two")
        path = tmp_path / "a.json"
        printed(capfd, "export", "all", "-o", str(path))
        assert run(["chats", "import", str(path)]) == 0
        said = capfd.readouterr()
        assert (said.out, said.err) == (
            "",
            "2 conversations are stored already, and were left as they are.\n",
        )
        with Store() as store:
            store.delete(second.record.id)
        read = document(capfd, "import", str(path))
        assert [one["title"] for one in read["conversations"]] == ["two"]
        assert [one["id"] for one in read["already_stored"]] == [str(first.record.id)]
        printed(capfd, "export", str(first.record.id), "-o", str(tmp_path / "b.json"))
        assert run(["chats", "import", str(tmp_path / "b.json")]) == 0
        assert capfd.readouterr().err == "“one” is stored already, and was left as it is.\n"
        with Store() as store:
            assert sorted(one.title for one in store.conversations()) == ["one", "two"]

    def test_all_or_none_are_taken(self, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        good, bad = tmp_path / "good.md", tmp_path / "bad.md"
        good.write_text("## You\n\nWhy?\n")
        bad.write_text("Nothing")
        assert "bad.md: There are no turns" in refused(capfd, 1, "import", str(good), str(bad))
        with Store() as store:
            assert store.count() == 0


class TestChanging:
    def test_renaming(self, stored: Stored, capfd: pytest.CaptureFixture[str]) -> None:
        (one,) = stored("one")
        named = document(capfd, "rename", "last", " Another\n title ")
        assert named == {"id": str(one.record.id), "title": "Another title"}
        assert "title is empty" in refused(capfd, 2, "rename", "last", " ")

    def test_deleting_can_be_undone(
        self, stored: Stored, capfd: pytest.CaptureFixture[str]
    ) -> None:
        (one,) = stored("one")
        assert document(capfd, "delete", "last")["deleted"]["id"] == str(one.record.id)
        assert document(capfd, "list")["count"] == 0
        assert document(capfd, "restore")["restored"]["title"] == "one"
        assert document(capfd, "list")["count"] == 1
        assert "no deleted conversation" in refused(capfd, 2, "restore")
        assert "no deleted conversation" in refused(capfd, 2, "restore", "last")

    def test_a_deleted_one_comes_back_by_its_id_or_as_the_last(
        self, stored: Stored, capfd: pytest.CaptureFixture[str]
    ) -> None:
        one, two = stored("one", "two")
        for each in (one, two):
            document(capfd, "delete", str(each.record.id))
        restored = document(capfd, "restore", str(one.record.id))["restored"]
        assert restored["title"] == "one"
        assert f"conversation {one.record.id}" in refused(capfd, 2, "restore", str(one.record.id))
        assert "conversation 5x" in refused(capfd, 2, "restore", "5x")
        assert document(capfd, "restore", "last")["restored"]["title"] == "two"


def test_the_list_is_shown_without_loading_screens_or_engine() -> None:
    code = (
        "import sys; from urial_tui.cli.main import run; run(['chats', 'list']);"
        "print([m for m in ('textual', 'llama_cpp', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
