"""The screens about preambles: what there is, what it costs, what reaches the model."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import ScriptedEngine, ids_of
from tests.tui.conftest import Opened, raising, type_text, wait_until
from tests.tui.prompts_page import PromptsPage
from urial_tui import paths
from urial_tui.errors import EngineDied, ModelError
from urial_tui.models.header import inspect_header
from urial_tui.models.memory_need import cache_bytes
from urial_tui.prompting.preamble_file import (
    PreambleEntry,
    find_preamble,
    list_preambles,
    read_preamble,
    toml_text,
)
from urial_tui.prompting.render import open_turn, preamble_text
from urial_tui.prompting.retrieving import retrieving_preamble
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.frame.first_run import FirstRunScreen
from urial_tui.tui.widgets.notice_line import NoticeLine

Prompts = Any

MINE = """
name = "mine"
title = "Mine"
description = "Of my own."
method = "urial"
system = '''
I answer.
'''

[format]
system = "{system}\\n"
query = "Q: {query}\\n"
answer = "{answer}\\n\\n"
stop = ["\\n\\nQ:", "\\nQ:"]

[[examples]]
query = "How many?"
answer = "Three of them."
"""

TITLES_BESIDE_A_BAR = ["NAME", "K", "TOKENS", "BITS/BYTE", "DIFFERENCE", "ENDED", "COPIED"]

PUBLISHED = """# Instruction

Be kind.

# Query:
```
Hi?
```

# Answer:
```
Hello there.
```
"""


@pytest.fixture
def own(home: Path) -> Path:
    """The directory of the user's own preambles, with one in it."""
    directory = paths.user_prompts_dir()
    directory.mkdir(parents=True)
    (directory / "mine.toml").write_text(MINE)
    return directory


@pytest.fixture
def laboratory(opened: Opened, engine: ScriptedEngine) -> Prompts:
    """Open the screen from a chat on a scripted engine, whose tokens are characters."""
    pieces = tuple(chr(code).encode("utf-8", "surrogatepass") for code in range(0x2700))
    engine.pieces["chat"] = pieces

    @contextlib.asynccontextmanager
    async def open_it(
        *, size: tuple[int, int] = (80, 24), **changes: Any
    ) -> AsyncIterator[PromptsPage]:
        async with opened(size=size, **changes) as pilot:
            page = PromptsPage(pilot)
            await page.opens()
            await page.lists()
            yield page

    return open_it


class TestList:
    async def test_it_has_the_shipped_ones_and_the_users_own(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            names = [row.name for row in page.screen.preambles.rows]
            assert names == sorted(names)
            assert {"mine", "urial-k1", "urial-k3", "zero-shot"} <= set(names)
            await page.goes_to("mine")
            assert page.shows("urial, 1 example · yours")
            assert page.shows("Of my own.")
            await page.goes_to("urial-k3")
            assert page.shows("comes with the program")

    async def test_the_bar_is_on_the_one_in_use_and_the_first_key_moves_it(
        self, laboratory: Prompts
    ) -> None:
        async with laboratory() as page:
            row = page.screen.preambles.row
            assert row is not None
            assert row.name == "urial-k1"
            assert page.screen.preambles.has_focus
            await page.presses("down")
            assert page.selected == "urial-k3"

    async def test_a_key_before_the_list_is_read_is_told_so(
        self, opened: Opened, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = threading.Event()

        def late() -> list[PreambleEntry]:
            read.wait(60)
            return list_preambles()

        monkeypatch.setattr("urial_tui.tui.prompts.known_preambles.list_preambles", late)
        async with opened() as pilot:
            page = PromptsPage(pilot)
            await page.opens()
            assert not page.shows("There are no preambles")
            for key in ("m", "y", "t", "u", "e", "d", "space"):
                page.screen.query_one("#prompts-notice", NoticeLine).say("")
                await page.presses(key)
                await page.until(lambda: page.shows("The list is still being read."))
            read.set()
            await page.lists()
            await page.loses("The list is still being read.")
            assert not page.screen.queue.jobs

    async def test_examples_of_a_pool_are_counted_as_what_a_question_gets(
        self, laboratory: Prompts, own: Path
    ) -> None:
        (own / "facts.toml").write_text(toml_text(retrieving_preamble("facts", k=7)))
        async with laboratory() as page:
            await page.counts()
            assert "≤7" in page.line("facts")
            await page.goes_to("facts")
            assert page.shows("retrieval, up to 7 examples by question · yours")

    @pytest.mark.parametrize("size", [(80, 24), (60, 20)])
    async def test_the_hints_name_the_keys_that_do_something(
        self, laboratory: Prompts, own: Path, size: tuple[int, int]
    ) -> None:
        async with laboratory(size=size) as page:
            await page.counts()
            pane = page.screen.query_one("#prompts-detail-pane")

            async def told(hints: str) -> None:
                there = "" if pane.has_focus else ",C details"
                await page.until(lambda: page.hints == f"{hints}{there}")

            # There is nothing to try zero-shot against.
            plain = "E edit,T tokens,M measure,Space mark,Esc back,F1 keys,U use,I import"
            mine = plain.replace("tokens,", "tokens,Y try,") + ",D delete"
            await page.goes_to("zero-shot")
            await told(plain)
            await page.goes_to("mine")
            await told(mine)
            await page.presses("space")
            await told(mine.replace("Space mark", "Space 1 marked"))
            await page.presses("space")
            for out in ("c", "escape"):
                await page.presses("c")
                await told(mine.replace("Esc back", "Esc list"))
                await page.presses(out)
                await told(mine)
            await page.presses("d", "d")
            await page.until(lambda: "Alt+U undelete" in page.hints)
            for key in ("Esc back", "F1 keys", "I import", "Alt+U undelete"):
                assert page.shows(key)

    async def test_tokens_and_cache_are_those_of_the_loaded_model(
        self, laboratory: Prompts, own: Path, llama_gguf: Path
    ) -> None:
        async with laboratory() as page:
            await page.counts()
            # A token is a character here, and nothing stands in front.
            count = len("I answer.\nQ: How many?\nThree of them.\n\n")
            cost = page.row("mine").cost
            assert cost is not None
            assert cost.tokens == count == 39
            assert cost.cache == cache_bytes(inspect_header(llama_gguf), "f16", 39)
            k3 = len(preamble_text(find_preamble("urial-k3")))
            assert f"{k3:,}" in page.line("urial-k3")
            await page.goes_to("mine")
            assert page.shows("39 tokens with tiny, 1.0% of the context")

    async def test_what_was_not_measured_is_an_empty_cell(self, laboratory: Prompts) -> None:
        async with laboratory() as page:
            await page.counts()
            # Nothing stands behind tokens and bytes.
            assert page.line("urial-k1").rstrip().endswith("B")
            assert page.shows("Not measured with this model; M does.")

    async def test_a_damaged_one_says_why(self, laboratory: Prompts, own: Path) -> None:
        (own / "broken.toml").write_text('name = "broken"\ntitle = 3\n')
        (own / "bytes.toml").write_bytes(b"\xff\xfe\x00")
        async with laboratory() as page:
            assert "✖ can't be used" in page.line("broken")
            await page.goes_to("broken")
            assert page.shows("title")
            await page.presses("t")
            assert page.shows("✖ broken can't be used.")
            await page.presses("m")
            assert page.shows("nothing here that can be measured")
            assert not page.screen.queue.jobs
            await page.goes_to("bytes")
            assert page.shows("can't be read")

    async def test_what_was_found_stands_below(self, laboratory: Prompts, own: Path) -> None:
        (own / "mine.toml").write_text(MINE.replace("Three of them.", "Yes yes, three of"))
        async with laboratory(size=(120, 40)) as page:
            await page.goes_to("mine")
            await page.counts()
            assert page.shows("▲ answer of example 1, line 1: Its first word stands there twice")
            assert page.shows("It ends within a sentence.")

    async def test_without_a_model_it_says_so_and_still_checks(
        self, opened: Opened, own: Path
    ) -> None:
        (own / "mine.toml").write_text(MINE.replace("Three of them.", "Three of"))
        missing = raising(ModelError("There is no model.", "Get one."))
        async with opened(ready=False, find_model=missing) as pilot:
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, FirstRunScreen))
            await pilot.press("escape")
            page = PromptsPage(pilot)
            await page.opens()
            await page.lists()
            assert page.shows("no model is loaded")
            await page.goes_to("mine")
            await page.until(lambda: page.shows("It ends within a sentence."))
            assert page.shows("No model is loaded, so its tokens can't be counted.")
            await page.presses("t")
            await page.until(lambda: page.shows("✖ No model is loaded."))
            assert page.shows("How many?"), "its text is there all the same"

    async def test_a_model_that_is_gone_is_told_and_loaded_again(
        self, laboratory: Prompts, engine: ScriptedEngine
    ) -> None:
        async with laboratory() as page:
            await page.counts()
            engine.die(EngineDied("The engine ended.", "Load the model again."))
            await page.until(lambda: page.shows("no model is loaded"))
            await page.until(lambda: page.row("urial-k1").cost is None)
            assert page.shows("No model is loaded, so its tokens can't be counted.")
            await page.presses("ctrl+r")
            await page.counts()
            assert page.shows("counted by tiny")

    async def test_escape_sequences_of_a_file_are_not_drawn(
        self, laboratory: Prompts, own: Path
    ) -> None:
        hostile = MINE.replace('"Mine"', '"\\u001b[31mRed\\u202e"').replace(
            "Of my own.", "\\u001b]0;title\\u0007[bold]x[/]"
        )
        (own / "mine.toml").write_text(hostile)
        async with laboratory() as page:
            await page.goes_to("mine")
            await page.until(lambda: page.shows("␛[31mRed<U+202E>"))
            assert "\x1b" not in page.text
            assert page.shows("[bold]x[/]")

    async def test_one_that_is_deleted_goes_when_it_is_looked_at_again(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.goes_to("mine")
            (own / "mine.toml").unlink()
            await page.presses("f5")
            await page.until(lambda: all(r.name != "mine" for r in page.screen.preambles.rows))
            assert page.screen.preambles.row is not None

    async def test_a_directory_that_cant_be_read_is_told(self, opened: Opened) -> None:
        async with opened(size=(200, 30)) as pilot:
            paths.user_prompts_dir().parent.mkdir(parents=True, exist_ok=True)
            paths.user_prompts_dir().write_text("a file")
            page = PromptsPage(pilot)
            await page.opens()
            await page.until(lambda: page.shows("can't be read"))

    @pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
    async def test_names_and_keys_are_there_at_any_size(
        self, laboratory: Prompts, own: Path, size: tuple[int, int]
    ) -> None:
        async with laboratory(size=size) as page:
            await page.counts()
            for name in ("mine", "urial-k3", "zero-shot"):
                assert page.line(name)
            assert page.line("NAME")
            assert page.shows("T tokens")
            assert all(len(line) <= size[0] for line in page.text.splitlines())

    async def test_cells_stand_under_their_titles_where_the_list_scrolls(
        self, laboratory: Prompts, own: Path
    ) -> None:
        for number in range(20):
            name = f"more-{number}"
            (own / f"{name}.toml").write_text(MINE.replace('"mine"', f'"{name}"'))
        async with laboratory() as page:
            await page.counts()
            await page.goes_to("mine")
            for _ in range(2):
                row = page.row("mine")
                assert row.cost is not None
                await page.until(lambda: page.line("NAME").split() == TITLES_BESIDE_A_BAR)
                ends = page.line("NAME").index("TOKENS") + len("TOKENS")
                cells = page.line("mine")[:ends].split()
                assert cells == ["mine", "1", str(row.cost.tokens)]
                assert page.line("mine")[ends:].strip(" ▐█▁▂▃▄▅▆▇▎▌") == ""
                await page.looks_at_tokens()
                await page.presses("escape")
                await page.is_on(type(page.screen))
                await page.pilot.pause()

    async def test_cells_stand_under_their_titles_once_there_are_more_of_them(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.counts()
            for number in range(4):
                name = f"more-{number}"
                (own / f"{name}.toml").write_text(MINE.replace('"mine"', f'"{name}"'))
                await page.presses("f5")
                await page.until(lambda name=name: page.shows(name))
                await page.counts()
                ends = page.line("NAME").index("TOKENS") + len("TOKENS")
                cost = page.row("mine").cost
                assert cost is not None
                assert page.line("mine")[:ends].split() == ["mine", "1", str(cost.tokens)]

    async def test_it_is_used_in_the_chat(
        self, laboratory: Prompts, own: Path, engine: ScriptedEngine
    ) -> None:
        async with laboratory() as page:
            await page.goes_to("mine")
            await page.presses("u")
            chat = page.pilot.app.screen
            assert isinstance(chat, ChatScreen)
            await page.until(lambda: chat.choice.preamble.name == "mine" and chat.models.ready)

    async def test_it_is_in_the_palette(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("ctrl+p")
            await wait_until(pilot, lambda: len(pilot.app.screen_stack) > 1)
            await type_text(pilot, "preambles")
            await wait_until(pilot, lambda: "Alt+P" in PromptsPage(pilot).text)


class TestReaching:
    async def test_it_is_the_exact_text_token_by_token(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory() as page:
            await page.goes_to("mine")
            screen = await page.looks_at_tokens()
            mine = find_preamble("mine")
            expected = preamble_text(mine) + open_turn(mine, "Why?")
            assert b"".join(token.data for token in screen.tokens).decode() == expected
            assert tuple(token.id for token in screen.tokens) == ids_of(expected)
            parts = [token.part for token in screen.tokens]
            assert parts == ["preamble"] * 39 + ["turn"] * len(open_turn(mine, "Why?"))
            assert page.shows("What reaches the model  mine: 47 tokens by tiny")
            assert page.shows("Token 1 of 47  I  id 73, bytes 49")
            await page.presses("n")
            assert page.shows("Token 40 of 47  Q  id 81, bytes 51")
            assert page.shows("the turn, up to where its answer opens")

    async def test_control_tokens_are_told_apart(
        self, laboratory: Prompts, own: Path, engine: ScriptedEngine
    ) -> None:
        hostile = MINE.replace("I answer.", "I \\u001b[31m".replace("'''", ""))
        (own / "mine.toml").write_text(hostile.replace("'''", '"""'))
        async with laboratory() as page:
            await page.goes_to("mine")
            screen = await page.looks_at_tokens()
            assert screen.tokens[2].data == b"\x1b"
            await page.presses("right", "right")
            assert page.shows("Token 3 of")
            assert page.shows("␛")
            assert "\x1b" not in page.text

    async def test_the_text_is_copied(self, laboratory: Prompts, own: Path) -> None:
        async with laboratory() as page:
            await page.goes_to("mine")
            await page.looks_at_tokens()
            await page.presses("y")
            mine = find_preamble("mine")
            text = preamble_text(mine) + open_turn(mine, "Why?")
            await page.until(lambda: page.pilot.app.clipboard == text)

    async def test_a_very_long_one_is_shown_in_part(self, laboratory: Prompts, own: Path) -> None:
        (own / "mine.toml").write_text(MINE.replace("Three", "word " * 50_000 + "Three"))
        async with laboratory() as page:
            await page.goes_to("mine")
            await page.until(lambda: page.row("mine").cost is not None)
            assert page.shows("250,039 tokens with tiny")
            await page.looks_at_tokens()
            assert page.shows("tokens by tiny, 20,000 shown")


class TestImporting:
    async def test_a_published_file_becomes_one_of_ones_own(
        self, laboratory: Prompts, tmp_path: Path
    ) -> None:
        file = tmp_path / "Their Prompt.txt"
        file.write_text(PUBLISHED)
        async with laboratory() as page:
            await page.imports(file)
            await page.until(lambda: page.shows("their-prompt is among your preambles."))
            await page.until(lambda: page.selected == "their-prompt")
            assert page.row("their-prompt").entry.origin == "user"
        found = find_preamble("their-prompt")
        assert found.system == "Be kind."
        assert [(one.query, one.answer) for one in found.examples] == [("Hi?", "Hello there.")]

    async def test_one_of_ours_is_taken_under_another_name(
        self, laboratory: Prompts, tmp_path: Path
    ) -> None:
        file = tmp_path / "mine.toml"
        file.write_text(MINE)
        async with laboratory() as page:
            await page.imports(file, "yours")
            await page.until(lambda: any(r.name == "yours" for r in page.screen.preambles.rows))
        assert find_preamble("yours").examples == read_preamble(file).examples

    async def test_a_taken_name_has_to_be_confirmed(
        self, laboratory: Prompts, own: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "mine.txt"
        file.write_text(PUBLISHED)
        async with laboratory() as page:
            await page.imports(file)
            await page.until(lambda: "Enter again replaces it." in page.import_verdict)
            assert find_preamble("mine").system == "I answer."
            await page.presses("enter")
            await page.until(lambda: page.shows("mine is among your preambles."))
        assert find_preamble("mine").system == "Be kind."

    async def test_what_is_no_preamble_is_told(self, laboratory: Prompts, tmp_path: Path) -> None:
        files = {"a.txt": b"Nothing of it.", "b.toml": b"x = ", "c.txt": b"\xff\x00"}
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        async with laboratory() as page:
            for name in (*files, "missing.txt", "."):
                await page.imports(tmp_path / name)
                await page.until(lambda: page.import_verdict.startswith("✖ "))
                assert "--" not in page.import_verdict
                await page.presses("escape")
            await page.imports(tmp_path / "a.txt", "urial-k3")
            await page.until(lambda: page.import_verdict.startswith("✖ "))
        assert not paths.user_prompts_dir().exists()


class TestDeleting:
    async def test_the_users_own_goes_at_the_second_key_and_comes_back(
        self, laboratory: Prompts, own: Path
    ) -> None:
        async with laboratory(size=(120, 40)) as page:
            await page.goes_to("mine")
            await page.presses("d")
            assert page.shows("D again deletes mine")
            assert (own / "mine.toml").exists()
            # Elsewhere it has to be said anew.
            await page.goes_to("urial-k1")
            await page.until(lambda: not page.shows("again deletes"))
            await page.goes_to("mine")
            await page.presses("d")
            assert page.shows("D again deletes mine")
            # Marking it is something else, too.
            await page.presses("space")
            await page.until(lambda: not page.shows("again deletes"))
            await page.presses("space", "d")
            assert (own / "mine.toml").exists()
            await page.presses("d")
            await page.until(lambda: page.shows("mine is deleted; Alt+U brings it back."))
            assert not (own / "mine.toml").exists()
            await page.until(lambda: "mine" not in names(page))
            await page.presses("alt+u")
            await page.until(lambda: page.shows("mine is back."))
            await page.until(lambda: page.selected == "mine")
            assert (own / "mine.toml").read_text() == MINE
            await page.presses("alt+u")
            assert page.shows("No preamble was deleted here.")

    async def test_what_comes_with_the_program_stays(self, laboratory: Prompts) -> None:
        async with laboratory() as page:
            await page.goes_to("urial-k1")
            await page.presses("d", "d")
            assert page.shows("urial-k1 comes with the program; only your own can be deleted.")


def names(page: PromptsPage) -> list[str]:
    return [row.name for row in page.screen.preambles.rows]
