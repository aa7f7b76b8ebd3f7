"""What was exported comes back, and what comes from elsewhere is checked."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from urial_tui.chat import export
from urial_tui.chat.export import (
    exported,
    file_name,
    free_path,
    imported,
    read_file,
    whole_conversation,
    write_file,
)
from urial_tui.chat.json_form import from_json, to_json
from urial_tui.chat.markdown_form import from_markdown, to_markdown
from urial_tui.chat.store import Store
from urial_tui.chat.tree import TurnTree
from urial_tui.chat.turns import (
    LATEST,
    ConversationRecord,
    Timings,
    TurnRecord,
    WholeConversation,
    new_id,
    plain,
)
from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import ExportError, UsageError
from urial_tui.prompting.preamble import Example
from urial_tui.sanitize import sanitize

HOSTILE_LINES = st.sampled_from(
    [
        "## You",
        "## Assistant (gemma-3-270m)",
        "\\## You",
        "\\\\# user:",
        "###### ASSISTANT",
        "# User (x)) ",
        "---",
        "format: urial-tui 1",
        "# A heading",
        "```python",
        "```",
        "~~~~",
        "",
        "   ",
        "    indented",
        "\\",
        "## You and me",
        "## Assistant (" + "x" * 380 + ")",
        "#" * 400,
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.lists(HOSTILE_LINES | st.text(st.characters(codec="utf-8"), max_size=12), max_size=8).map(
        "\n".join
    ),
)
NAMES = st.text(st.characters(codec="utf-8"), max_size=30)
TIMES = st.floats(0, LATEST, allow_nan=False)
COUNTS = st.integers(0, 2**53 - 1)
EXAMPLES = st.builds(Example, query=NAMES, answer=TEXTS)


@st.composite
def conversations(draw: st.DrawFn) -> WholeConversation:
    """Trees as the database may hold them."""
    conversation_id = new_id()
    turns: list[TurnRecord] = []
    for _ in range(draw(st.integers(1, 8))):
        parent = draw(st.sampled_from([None, *turns]))
        role = "user"
        if parent is not None and parent.role == "user" and draw(st.booleans()):
            role = "assistant"
        turns.append(
            TurnRecord(
                id=new_id(),
                conversation_id=conversation_id,
                parent_id=None if parent is None else parent.id,
                role=role,  # type: ignore[arg-type]
                text=draw(TEXTS),
                created=draw(TIMES),
                ids=draw(st.none() | st.lists(st.integers(0, 2**31 - 1), max_size=5).map(tuple)),
                ids_key=draw(NAMES),
                tail=draw(TEXTS),
                stop_reason=draw(st.sampled_from([None, "eos", "died", "edited"])),
                stopped_by=draw(NAMES),
                model=draw(NAMES),
                preamble=draw(NAMES),
                generated=draw(COUNTS),
                context_from=draw(st.sampled_from([None, *(turn.id for turn in turns)])),
                timings=Timings(decode_s=draw(TIMES), used=draw(COUNTS)),
                sampling=draw(st.none() | st.builds(Sampling, temperature=st.floats(0.25, 2))),
                examples=draw(st.none() | st.lists(EXAMPLES, max_size=2).map(tuple)),
            )
        )
    record = ConversationRecord(
        id=conversation_id,
        title=" ".join(draw(NAMES).split()),
        created=draw(TIMES),
        updated=draw(TIMES),
        model=draw(NAMES),
        preamble=draw(NAMES),
        leaf=draw(st.sampled_from([None, *(turn.id for turn in turns)])),
        turns=len(turns),
    )
    return WholeConversation(record, tuple(turns))


OPEN_TEXTS = (
    st.lists(
        st.sampled_from(
            [
                *(
                    "```",
                    "~~~",
                    "~~~~ py",
                    "   ```",
                    "- ```",
                    "  ```",
                    "> ~~~",
                    "    ```",
                    "`` ` ``",
                ),
                *(
                    "<!-- a",
                    "-->",
                    "<pre>",
                    "</pre>",
                    "<script>",
                    "<?php",
                    "<!A",
                    "<![CDATA[",
                    "]]>",
                ),
                *(
                    "</u>",
                    "<div>",
                    "text",
                    "",
                    "- item",
                    "1. item",
                    "## You",
                    "\\## Assistant",
                    "---",
                ),
                *("<!-- urial-tui: the line above closes what the text left open -->", "\\<!-- b"),
            ]
        ),
        max_size=6,
    )
    .map("\n".join)
    .map(plain)
)


def talk(*texts: str, title: str = "A title", model: str = "tiny") -> WholeConversation:
    """A conversation of questions and answers in turn."""
    conversation_id = new_id()
    turns: list[TurnRecord] = []
    for number, text in enumerate(texts):
        turns.append(
            TurnRecord(
                id=new_id(),
                conversation_id=conversation_id,
                parent_id=turns[-1].id if turns else None,
                role="assistant" if number % 2 else "user",
                text=text,
                created=1.7e9,
                stop_reason="eos" if number % 2 else None,
                model=model,
                preamble="urial-k1",
            )
        )
    record = ConversationRecord(
        id=conversation_id,
        title=title,
        created=1.7e9,
        updated=1.7e9 + 60,
        model=model,
        preamble="urial-k1",
        leaf=turns[-1].id,
        turns=len(turns),
    )
    return WholeConversation(record, tuple(turns))


def path_of(whole: WholeConversation) -> list[tuple[str, str]]:
    path = TurnTree(whole.turns, whole.record.leaf).path
    return [(turn.role, turn.text) for turn in path]


class TestJson:
    @given(st.lists(conversations(), min_size=1, max_size=3))
    def test_everything_comes_back(self, wholes: list[WholeConversation]) -> None:
        assert list(imported(exported(wholes, "json").encode())) == wholes

    def test_no_field_is_forgotten(self) -> None:
        written = json.loads(to_json([talk("Why?")]))["conversations"][0]
        for record, document, elsewhere in (
            (ConversationRecord, written, set()),
            (TurnRecord, written["turns"][0], {"conversation_id", "parent_id"}),
        ):
            assert set(record.__struct_fields__) - elsewhere <= set(document)

    @given(conversations())
    def test_no_control_character_is_in_the_file(self, whole: WholeConversation) -> None:
        text = to_json([whole])
        assert sanitize(text) == text
        assert text.count("\n") == 1

    def test_the_database_holds_what_it_held(self, tmp_path: Path) -> None:
        whole = talk("Why?", "Because.")
        with Store(tmp_path / "one.db") as one, Store(tmp_path / "other.db") as other:
            one.add([whole])
            text = exported([whole_conversation(one, whole.record.id)], "json")
            other.add(imported(text.encode()))
            assert whole_conversation(other, whole.record.id) == whole

    def test_ids_that_were_not_made_here_are_replaced(self) -> None:
        whole = talk("Why?", "Because.")
        text = to_json([whole]).replace(str(whole.turns[1].id), str(2**63 - 1))
        (read,) = from_json(text.encode())
        assert read.turns[1].id < 2**62
        assert read.record.leaf == read.turns[1].id
        assert read.turns[1].parent_id == read.turns[0].id
        assert path_of(read) == path_of(whole)

    def test_children_with_smaller_ids_than_their_parents_get_others(self) -> None:
        whole = talk("Why?", "Because.")
        first, second = (str(turn.id) for turn in whole.turns)
        text = to_json([whole]).replace(first, "@").replace(second, first).replace("@", second)
        (read,) = from_json(text.encode())
        assert read.turns[0].id < read.turns[1].id
        assert path_of(read) == path_of(whole)

    @pytest.mark.parametrize(
        "data",
        [
            b"{",
            b"{}",
            b'{"format": "something else", "version": 1, "conversations": []}',
            b'{"format": 1}',
            b"{\xff",
            b'{"a":' * 100_000,
            b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        ],
        ids=["torn", "empty", "foreign", "type", "bytes", "objects", "lists"],
    )
    def test_what_is_no_export_is_explained(self, data: bytes) -> None:
        with pytest.raises(ExportError, match="no export of urial-tui"):
            imported(data)

    def test_a_newer_version_is_explained(self) -> None:
        text = to_json([talk("Why?")]).replace('"version":1', '"version":2')
        with pytest.raises(ExportError, match="newer version"):
            imported(text.encode())

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"role": "system"}, "damaged"),
            ({"text": 1}, "damaged"),
            ({"id": "-1"}, "damaged"),
            ({"id": 1}, "damaged"),
            ({"ids": [2**31]}, "damaged"),
            ({"ids": [-1]}, "damaged"),
            ({"created": -1}, "damaged"),
            ({"generated": 2**63}, "damaged"),
            ({"stop_reason": "bored"}, "damaged"),
            ({"parent": "12345"}, "follows one that does not stand before it"),
            ({"parent": None}, "follows no question"),
        ],
    )
    def test_what_is_not_sound_is_explained(self, change: dict[str, Any], reason: str) -> None:
        document = json.loads(to_json([talk("Why?", "Because.")]))
        document["conversations"][0]["turns"][1] |= change
        with pytest.raises(ExportError, match=reason):
            imported(json.dumps(document).encode())

    @pytest.mark.parametrize("change", [{"temperature": -1}, {"top_k": 2**70}, {"seed": -1}])
    def test_a_sampling_that_can_not_have_been_is_not_known(self, change: dict[str, Any]) -> None:
        document = json.loads(to_json([talk("Why?", "Because.")]))
        document["conversations"][0]["turns"][1]["sampling"] = change
        (read,) = imported(json.dumps(document).encode())
        assert read.turns[1].sampling is None

    def test_a_turn_that_is_there_twice_is_explained(self) -> None:
        document = json.loads(to_json([talk("Why?", "Because.")]))
        turns = document["conversations"][0]["turns"]
        turns.append(turns[0])
        with pytest.raises(ExportError, match="there twice"):
            imported(json.dumps(document).encode())

    def test_lone_surrogates_do_not_get_in(self) -> None:
        text = to_json([talk("Why?")]).replace("Why?", "\\ud800")
        with pytest.raises(ExportError):
            imported(text.encode())

    @pytest.mark.parametrize("part", ["conversations", "turns"])
    def test_an_empty_one_is_explained(self, part: str) -> None:
        document = json.loads(to_json([talk("Why?")]))
        if part == "turns":
            document["conversations"][0]["turns"] = []
        else:
            document["conversations"] = []
        with pytest.raises(ExportError, match=r"no turns|no conversation"):
            imported(json.dumps(document).encode())

    def test_unknown_keys_are_left_alone(self) -> None:
        document = json.loads(to_json([talk("Why?")])) | {"exported_by": "a later version"}
        assert len(imported(json.dumps(document).encode())) == 1


class TestMarkdown:
    @given(conversations())
    def test_the_texts_of_the_path_come_back(self, whole: WholeConversation) -> None:
        whole = msgspec.structs.replace(
            whole,
            turns=tuple(
                msgspec.structs.replace(turn, text=turn.text + ("?" if turn.role == "user" else ""))
                for turn in whole.turns
            ),
        )
        read = from_markdown(to_markdown(whole))
        assert path_of(read) == [
            (role, sanitize(plain(text)).rstrip()) for role, text in path_of(whole)
        ]

    @given(st.lists(OPEN_TEXTS, min_size=1, max_size=4))
    def test_what_a_text_leaves_open_ends_with_it(self, texts: list[str]) -> None:
        """The texts come back, and a Markdown reader sees the heading of every turn."""
        whole = talk(*(plain(f"Why?\n{text}") for text in texts))
        written = to_markdown(whole)
        assert path_of(from_markdown(written)) == path_of(whole)
        lines = written.split("\n")
        shown = [
            lines[token.map[0]]
            for token in MarkdownIt("commonmark").parse(written)
            if token.type == "heading_open" and token.level == 0 and token.map
        ]
        headings = ["## You", "## Assistant (tiny)"]
        assert [line for line in shown if line in headings] == (headings * 4)[: len(texts)]

    def test_a_fence_that_was_left_open_is_closed(self) -> None:
        written = to_markdown(talk("Why?", "So:\n~~~~py\nx = 1\n~~~", "And?"))
        assert "x = 1\n~~~\n~~~~\n<!-- urial-tui: " in written
        # Whoever closes it by hand loses nothing.
        edited = written.replace("~~~\n~~~~\n", "~~~~\n~~~~\n")
        assert path_of(from_markdown(edited))[1][1] == "So:\n~~~~py\nx = 1\n~~~~\n~~~~"

    @given(conversations())
    def test_no_control_character_is_in_the_file(self, whole: WholeConversation) -> None:
        text = to_markdown(whole)
        assert sanitize(text) == text

    def test_title_models_and_times_come_back(self) -> None:
        whole = talk("Why?", "Because.", model='a "quoted": name')
        read = from_markdown(to_markdown(whole))
        for name in ("title", "created", "updated", "model", "preamble", "turns"):
            assert getattr(read.record, name) == getattr(whole.record, name)
        assert [turn.model for turn in read.turns] == [whole.record.model] * 2
        assert [turn.stop_reason for turn in read.turns] == [None, "stop"]
        assert read.record.leaf == read.turns[1].id

    @pytest.mark.parametrize("title", ["You", "\\User", "# You", "C#", "---", "assistant (x):"])
    def test_a_title_that_looks_like_a_turn_is_a_title(self, title: str) -> None:
        read = from_markdown(to_markdown(talk("Why?", title=title)))
        assert (read.record.title, path_of(read)) == (title, [("user", "Why?")])

    def test_only_the_path_is_in_it(self) -> None:
        whole = talk("Why?", "Because.")
        question, answer = whole.turns
        other = msgspec.structs.replace(answer, id=new_id(), text="Another")
        tree = WholeConversation(whole.record, (question, answer, other))
        assert "Another" not in to_markdown(tree)
        assert "Because." in to_markdown(tree)

    def test_it_reads_well(self) -> None:
        text = to_markdown(talk("Why?", "Because.\n\n## You\n\nsaid so."))
        assert text == (
            '---\nformat: urial-tui 1\nmodel: "tiny"\npreamble: "urial-k1"\n'
            'created: "2023-11-14T22:13:20+00:00"\nupdated: "2023-11-14T22:14:20+00:00"\n---\n\n'
            "# A title\n\n## You\n\nWhy?\n\n## Assistant (tiny)\n\n"
            "Because.\n\n\\## You\n\nsaid so.\n"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "## You\nWhy?\n## Assistant\nBecause.",
            "\ufeff# user:\r\n\r\n\r\nWhy?\r\n\r\n#### assistant (my model)\r\nBecause.\r\n\r\n",
            "# A title\n\nSome notes of mine.\n\n##  USER  \n\nWhy?  \n\n## Assistant:\n\nBecause.",
            "---\nauthor: me\nmodel: plain words\n---\n## You\nWhy?\n## Assistant\nBecause.\n",
            "---\n\n## You\nWhy?\n## Assistant\nBecause.\n",
        ],
        ids=["bare", "windows", "notes", "head", "rule"],
    )
    def test_files_that_people_wrote_are_read(self, text: str) -> None:
        (read,) = imported(text.encode())
        assert path_of(read) == [("user", "Why?"), ("assistant", "Because.")]
        assert read.record.title == ("A title" if "A title" in text else "Why?")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "no turns"),
            ("Just a text.", "no turns"),
            ("## Assistant\nHello", "line 1 follows no question"),
            ("## You\nWhy?\n## Assistant\nA\n\n## Assistant\nB", "line 6 follows no question"),
            ("## You\n\n## Assistant\nA", "line 1 is empty"),
        ],
    )
    def test_what_is_no_conversation_is_explained(self, text: str, reason: str) -> None:
        with pytest.raises(ExportError, match=reason):
            imported(text.encode())

    @given(st.text(), st.lists(HOSTILE_LINES))
    def test_any_text_is_read_or_explained(self, text: str, lines: list[str]) -> None:
        for one in (text, "\n".join(lines), "---\n" + text, "## You\n" + text):
            try:
                read = from_markdown(one)
            except ExportError:
                continue
            assert read.turns

    def test_long_lines_take_no_time_to_speak_of(self) -> None:
        for line in ("# You (" + ") " * 200_000, "# You" + " " * 400_000 + "x", "\\" * 400_000):
            from_markdown(f"## You\n{line}\n")

    def test_bytes_that_are_no_text_are_explained(self) -> None:
        with pytest.raises(ExportError, match=r"not UTF-8 text \(byte 6 can't be\)"):
            imported(b"## You\xff")

    def test_several_conversations_need_json(self) -> None:
        with pytest.raises(UsageError, match="one conversation"):
            exported([talk("Why?"), talk("How?")], "md")


class TestFiles:
    def test_a_file_is_private_and_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "a.md"
        write_file(path, "Grüße\n")
        assert path.read_bytes() == "Grüße\n".encode()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
    def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(
        self, tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not links:
            monkeypatch.setattr(os, "link", refuse)
        path = tmp_path / "a.md"
        write_file(path, "first")
        with pytest.raises(FileExistsError):
            write_file(path, "second")
        assert path.read_text() == "first"
        write_file(path, "third", replace=True)
        assert path.read_text() == "third"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_link_to_nowhere_counts_as_there(self, tmp_path: Path) -> None:
        path = tmp_path / "a.md"
        path.symlink_to(tmp_path / "nowhere")
        with pytest.raises(FileExistsError):
            write_file(path, "text")
        assert free_path(tmp_path, "a", "md") == tmp_path / "a-2.md"

    def test_a_failure_leaves_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.md"
        write_file(path, "first")
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(ExportError, match=r"a\.md can't be written"):
            write_file(path, "second", replace=True)
        assert path.read_text() == "first"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_directory_that_is_not_there_is_explained(self, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="can't be written: No such file"):
            write_file(tmp_path / "none" / "a.md", "text")

    def test_what_can_not_be_read_is_explained_with_its_name(self, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match=r"none\.md can't be read"):
            read_file(tmp_path / "none.md")
        with pytest.raises(ExportError, match="it is a directory"):
            read_file(tmp_path)
        fifo = tmp_path / "fifo.md"
        os.mkfifo(fifo)
        with pytest.raises(ExportError, match="it is a pipe"):
            read_file(fifo)
        (tmp_path / "a\x1b.md").write_text("No turns")
        with pytest.raises(ExportError, match=r"a␛\.md: There are no turns"):
            read_file(tmp_path / "a\x1b.md")

    def test_a_file_that_is_too_large_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export, "LARGEST_FILE", 10)
        (tmp_path / "a.md").write_text("## You\n\nWhy?")
        with pytest.raises(ExportError, match="longer than 10 bytes"):
            read_file(tmp_path / "a.md")

    @given(st.text())
    def test_a_name_made_of_any_title_is_safe(self, title: str) -> None:
        name = file_name(title, "md")
        assert name == Path(name).name
        assert sanitize(name) == name
        assert not name.startswith((".", "-"))
        assert name.endswith(".md")
        assert len(name.encode()) <= 130

    @pytest.mark.parametrize(
        ("title", "name"),
        [
            ("How do I read a file?", "How-do-I-read-a-file.md"),
            ("../../etc/passwd", "etc-passwd.md"),
            ("~/.ssh", "ssh.md"),
            ("", "conversation.md"),
            ("🦊", "conversation.md"),
            ("水はどこ", "水はどこ.md"),
        ],
    )
    def test_names_are_made_of_the_words_of_titles(self, title: str, name: str) -> None:
        assert file_name(title, "md") == name

    def test_a_proposal_is_free(self, tmp_path: Path) -> None:
        paths = []
        for _ in range(3):
            path = free_path(tmp_path, "One", "json")
            path.touch()
            paths.append(path.name)
        assert paths == ["One.json", "One-2.json", "One-3.json"]


def refuse(*arguments: object) -> None:
    raise OSError(1, "Refused")
