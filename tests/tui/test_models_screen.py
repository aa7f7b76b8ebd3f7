"""The screens about models: what is here, what fits, downloading, removing, choosing."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from tests.file_server import FileServer, Request
from tests.hostile_templates import SLOW
from tests.scripted import Gate, ScriptedEngine, answer
from tests.scripted_hub import Hub, hub_with
from tests.test_models import ARCHITECTURE, TOKENS, gguf, string
from tests.tui.conftest import Found, Opened, shows, status, type_text, wait_until
from tests.tui.models_page import ModelsPage
from urial_tui import paths
from urial_tui.models.attempts import Limits
from urial_tui.models.inspection import TemplateTold
from urial_tui.models.pace import Pace
from urial_tui.models.speed import MemorySpeed, ModelSpeed, model_mark, remember
from urial_tui.models.stores.hub import find_file
from urial_tui.prompting.templates.marks import template_marks
from urial_tui.settings import engine_options
from urial_tui.tui.chat.chat_screen import ChatScreen
from urial_tui.tui.models.details_screen import DetailsScreen
from urial_tui.tui.models.downloads import Downloads, DownloadState, left_behind, told
from urial_tui.tui.models.models_screen import ModelsScreen
from urial_tui.tui.models.scan import Scan
from urial_tui.tui.models.template_screen import template_lines

Models = Any

CATALOGUE = """
[[model]]
name = "tiny-base"
title = "Tiny"
role = "base"
partner = "tiny-chat"
parameters = "1M"
repository = "ada/tiny-GGUF"
file = "tiny.Q4_K_M.gguf"
size = 400_000
licence = "CC0"
licence_url = "https://example.org/cc0"

[[model]]
name = "tiny-chat"
title = "Tiny Chat"
role = "aligned"
partner = "tiny-base"
parameters = "1M"
repository = "ada/tiny-GGUF"
file = "tiny-chat.Q4_K_M.gguf"
licence = "CC0"
licence_url = "https://example.org/cc0"
"""


@pytest.fixture(autouse=True)
def catalogue(home: Path) -> None:
    """Two models that the hub of these tests has."""
    path = paths.user_catalogue_file()
    path.parent.mkdir(parents=True)
    path.write_text(CATALOGUE)


@pytest.fixture
def hub(llama_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    content = llama_gguf.read_bytes()
    files = {
        "tiny.Q4_K_M.gguf": content,
        "tiny.Q8_0.gguf": content + b"\0" * 1000,
        "tiny.Q2_K.gguf": content[:-16] + b"\0" * 16,
        "tiny-chat.Q4_K_M.gguf": content + b"\0",
        "mmproj-tiny.gguf": b"GGUF",
    }
    with hub_with(files, monkeypatch) as server:
        yield server


@pytest.fixture
def own(llama_gguf: Path) -> Path:
    """A file in the models directory."""
    path = paths.models_dir() / "mine.Q5_K_M.gguf"
    path.parent.mkdir(parents=True)
    path.hardlink_to(llama_gguf)
    return path


@pytest.fixture
def page(opened: Opened) -> Models:
    """Open the screen from a chat on a scripted engine."""

    @contextlib.asynccontextmanager
    async def open_it(
        *, size: tuple[int, int] = (80, 24), **changes: Any
    ) -> AsyncIterator[ModelsPage]:
        async with opened(size=size, **changes) as pilot:
            page = ModelsPage(pilot)
            await page.opens()
            yield page

    return open_it


class TestList:
    async def test_what_is_here_stands_above_what_can_be_downloaded(
        self, page: Models, own: Path
    ) -> None:
        async with page() as models:
            here = [row.listed.is_here for row in models.screen.models.rows]
            assert here == sorted(here, reverse=True)
            assert models.row("mine.Q5_K_M.gguf").listed.is_here
            assert not models.row("tiny-base").listed.is_here
            assert models.shows(f"{sum(here)} here, {len(here) - sum(here)} to download")

    async def test_a_file_says_what_it_is_and_whether_it_fits(
        self, page: Models, own: Path
    ) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            line = models.line("mine.Q5_K_M.gguf")
            assert "Q5_K_M" in line
            looked = models.row("mine.Q5_K_M.gguf").looked
            assert looked is not None
            assert looked.fit is not None
            assert looked.fit.sure
            assert looked.fit.figure in line
            assert models.shows("needs")
            assert models.shows(own.name)

    async def test_one_that_is_not_here_is_told_by_its_size(self, page: Models) -> None:
        async with page(size=(120, 40)) as models:
            await models.goes_to("gemma-3-1b")
            assert models.shows("Not here: 806 MB from hf.co/mradermacher/gemma-3-1b-pt-GGUF.")
            assert models.shows("needs about")
            assert "base" in models.line("gemma-3-1b")
            assert "Its aligned partner is gemma-3-1b-it, not here." in models.told

    async def test_all_partners_are_told_those_that_are_here_first(
        self, page: Models, llama_gguf: Path
    ) -> None:
        # The one that comes as an adapter is here where its base model is.
        path = paths.models_dir() / "gemma-3-270m-q4_k_m.gguf"
        path.parent.mkdir(parents=True)
        path.hardlink_to(llama_gguf)
        async with page(size=(120, 40)) as models:
            await models.goes_to("gemma-3-270m")
            assert (
                "Its aligned partners are gemma-3-270m-sft, on this machine; "
                "gemma-3-270m-it, not here." in models.told
            )
            await models.goes_to("gemma-3-270m-sft")
            assert "Its base model is gemma-3-270m, on this machine." in models.told

    async def test_what_is_told_can_be_scrolled_by_keys(self, page: Models, own: Path) -> None:
        async with page(size=(40, 14)) as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            pane = models.screen.query_one("#models-detail-pane")
            assert pane.max_scroll_y > 1
            await models.presses("shift+down")
            assert pane.scroll_offset.y == 1
            await models.presses("J", "K", "shift+up")
            assert pane.scroll_offset.y == 0
            assert models.screen.models.has_focus

    async def test_at_80_columns_the_keys_for_all_keys_filter_and_address_are_named(
        self, page: Models, own: Path
    ) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            assert "U use  I details  / find" in models.lines[-1]
            assert "F1 keys  F all  A address" in models.lines[-1]
            await models.presses("f", "f")
            await models.goes_to("tiny-base")
            assert "P download  I details  / find" in models.lines[-1]
            assert "F1 keys  F absent  A address" in models.lines[-1]

    async def test_speeds_are_measured_estimated_or_not_known(
        self, page: Models, own: Path
    ) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            assert models.shows("How fast it writes is not known")
            with own.open("rb") as file:
                mark = model_mark(file, own.stat().st_size)
            memory = MemorySpeed(name="mine", read=9e9, decoding=8.06e9)
            options = engine_options(models.app.settings)
            remember(options, mark, ModelSpeed(name="mine", empty=123.4), memory)
            await models.presses("f5")
            await models.until(lambda: models.shows("It writes 123 tokens/s"))
            await models.goes_to("gemma-3-1b")
            assert models.shows("should write about 10 tokens/s, by what was measured of mine.")
            assert "~10.0" in models.line("gemma-3-1b")

    async def test_the_default_and_what_answers_are_marked(self, page: Models, own: Path) -> None:
        name = own.name
        async with page(model=name, find_model=lambda name, progress: Found(name=name)) as models:
            assert "★" in models.line("gemma-3-270m")
            await models.goes_to(name)
            assert "in use" in models.told

    async def test_a_damaged_file_says_why(self, page: Models, own: Path) -> None:
        whole = own.read_bytes()
        own.unlink()
        own.write_bytes(whole[: len(whole) // 2])
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            assert "✖ unsound" in models.line("mine.Q5_K_M.gguf")
            await models.presses("u")
            assert models.notice.startswith("It can't be chatted with: ")

    async def test_names_can_be_hostile_and_long(self, page: Models, llama_gguf: Path) -> None:
        directory = paths.models_dir()
        directory.mkdir(parents=True)
        (directory / "\x1b[31mred\x1b[0m\u202e[b]x.gguf").hardlink_to(llama_gguf)
        long = f"{'long-' * 40}Q4_K_M.gguf"
        (directory / long).hardlink_to(llama_gguf)
        (directory / "wide漢字漢字漢字漢字漢字漢字漢字漢字漢字.gguf").hardlink_to(llama_gguf)
        async with page() as models:
            for name in [row.name for row in models.screen.models.rows[:4]]:
                await models.goes_to(name)
                assert "\x1b" not in models.text
                assert "\u202e" not in models.text
            lines = models.text.splitlines()
            assert max(map(len, lines)) <= 80
            await models.looks_at_details()
            assert "\x1b" not in models.text

    async def test_nothing_unsound_in_the_settings_is_hidden(
        self, page: Models, opened: Opened
    ) -> None:
        paths.user_catalogue_file().write_text("[[model]]\nname = 3\n")
        async with page() as models:
            assert "holds a mistake" in models.notice
            assert models.shows("The models can't be listed.")
            assert "A downloads one of an address." in models.told


class TestFinding:
    async def test_words_find_names_kinds_and_places(self, page: Models, own: Path) -> None:
        async with page() as models:
            await models.presses("slash")
            await type_text(models.pilot, "tiny-chat chat")
            await models.until(lambda: models.names == ["tiny-chat"])
            assert models.shows("1 found")
            await models.presses("enter")
            # Keys are those of the list again.
            await models.presses("u")
            assert "not on this machine yet" in models.notice
            await models.presses("escape")
            assert len(models.names) > 10
            assert isinstance(models.pilot.app.screen, ModelsScreen)

    async def test_what_nothing_has_is_said(self, page: Models) -> None:
        async with page() as models:
            await models.presses("slash")
            await type_text(models.pilot, "nosuch")
            await models.until(lambda: models.shows("No model has “nosuch”."))
            await models.presses("escape", "escape")
            assert isinstance(models.pilot.app.screen, ChatScreen)

    async def test_the_filter_shows_those_here_or_those_that_are_not(
        self, page: Models, own: Path
    ) -> None:
        async with page() as models:
            await models.presses("f")
            assert all(row.listed.is_here for row in models.screen.models.rows)
            assert models.shows("shown: here")
            await models.presses("f")
            assert not any(row.listed.is_here for row in models.screen.models.rows)
            assert models.names

    async def test_the_first_look_tells_how_far_it_is(
        self, page: Models, opened: Opened, own: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from urial_tui.models import file_index

        gate, read = threading.Event(), file_index.read_facts
        monkeypatch.setattr(file_index, "read_facts", lambda path: (gate.wait(20), read(path))[1])
        monkeypatch.setattr("urial_tui.tui.models.scan._TELL_EVERY", 0.0)
        async with opened() as pilot:
            models = ModelsPage(pilot)
            await pilot.press("alt+m")
            await models.until(lambda: models.shows("Looking for models on this machine"))
            told: list[str] = []
            monkeypatch.setattr(Scan, "_tell", lambda self, words: told.append(words))
            gate.set()
            await models.settles()
            assert told == ["Looking at model files: 1 of 1"]

    async def test_a_catalogue_with_a_mistake_is_said_and_looked_at_again(
        self, opened: Opened
    ) -> None:
        file = paths.user_catalogue_file()
        file.write_text(CATALOGUE.replace("title", "titel", 1))
        async with opened() as pilot:
            models = ModelsPage(pilot)
            await models.opens()
            assert models.shows("The models can't be listed.")
            assert not models.shows("no program has any here")
            assert "holds a mistake" in models.notice
            file.write_text(CATALOGUE)
            await models.presses("f5")
            await models.until(lambda: "tiny-base" in models.names)
            assert models.notice == ""


class TestChoosing:
    async def test_the_chat_goes_on_with_it(self, page: Models, own: Path) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            await models.presses("u")
            await models.until(lambda: isinstance(models.pilot.app.screen, ChatScreen))
            await wait_until(models.pilot, lambda: "ready" in status(models.pilot))

    async def test_it_is_what_urial_starts_with(self, page: Models, own: Path) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            await models.presses("d")
            await models.until(lambda: "starts with mine.Q5_K_M.gguf" in models.notice)
            assert 'model = "mine.Q5_K_M.gguf"' in paths.settings_file().read_text()
            assert models.app.settings.chat.model == "mine.Q5_K_M.gguf"
            await models.until(lambda: "★" in models.line("mine.Q5_K_M.gguf"))

    async def test_what_is_not_here_can_be_neither(self, page: Models) -> None:
        async with page() as models:
            await models.goes_to("tiny-base")
            for key in ("u", "d"):
                await models.presses(key)
                assert "it is not on this machine yet; P downloads it" in models.notice
            await models.presses("y")
            assert models.notice == "tiny-base has no file here yet."
            assert not paths.settings_file().exists()

    async def test_an_adapter_is_no_model(self, page: Models, adapter_gguf: Path) -> None:
        path = paths.models_dir() / "lora.gguf"
        path.parent.mkdir(parents=True)
        path.hardlink_to(adapter_gguf)
        async with page() as models:
            await models.goes_to("lora.gguf")
            assert "LoRA" in models.line("lora.gguf")
            await models.presses("u")
            assert models.notice == "It can't be chatted with: it is an adapter."

    async def test_its_path_is_copied(self, page: Models, own: Path) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            await models.presses("y")
            await models.until(lambda: models.app.clipboard == str(own))


class TestDetails:
    async def test_they_are_what_inspect_tells(self, page: Models, own: Path) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            await models.presses("enter")
            await models.until(lambda: isinstance(models.pilot.app.screen, DetailsScreen))
            await models.until(lambda: models.shows("architecture"))
            assert models.shows("llama")
            assert models.shows("Base or chat")
            await models.presses("escape")
            assert models.pilot.app.screen is models.screen

    async def test_of_what_is_not_here_its_header_is_read_where_it_is(
        self, page: Models, hub: Hub
    ) -> None:
        async with page() as models:
            await models.goes_to("tiny-base")
            await models.looks_at_details()
            assert models.shows("of it, for its header")
            assert not list(paths.models_dir().glob("*"))

    async def test_a_hub_that_is_not_there_is_a_sentence(
        self, page: Models, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
        async with page() as models:
            await models.goes_to("tiny-base")
            await models.looks_at_details()
            assert models.shows("✖ ")
            assert models.shows("127.0.0.1:1")


CHAT = (
    "{% for m in messages %}\n{% if 'x' in m.content %}[red]{% endif %}"
    "<|{{ m.role }}|>{{ m.content | trim }}{% endfor %}\n<|assistant|>"
)


@pytest.fixture
def chatty(tmp_path: Path) -> Path:
    """A file in the models directory with two templates."""
    keys = [
        ARCHITECTURE,
        ("tokenizer.chat_template", 8, string(CHAT)),
        ("tokenizer.chat_template.tool_use", 8, string("<T>{{ messages[0].content }}\x1b[2J")),
        ("tokenizer.chat_template.wrong", 8, string("{% for %}")),
        TOKENS,
    ]
    path = paths.models_dir() / "chatty.Q4_K_M.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(gguf(keys, [("t", (4,), 0, 0)], data=bytes(16)))
    return path


class TestTemplates:
    async def test_lines_are_marked_where_the_text_of_a_message_matters(
        self, page: Models, chatty: Path
    ) -> None:
        async with page() as models:
            await models.looks_at_the_template("chatty.Q4_K_M.gguf")
            assert models.shows("It looks at the text of messages: line 2 (in)")
            assert models.shows("It changes the text of messages: line 2 (trim)")
            assert models.shows("   1  {% for m in messages %}")
            assert models.shows("   2! {% if 'x' in m.content %}[red]{% endif %}")
            assert models.shows("   3  <|assistant|>")
            assert max(map(len, models.lines)) <= 80
            await models.presses("escape")
            assert isinstance(models.app.screen, DetailsScreen)

    async def test_it_is_rendered_on_a_question_that_is_typed(
        self, page: Models, chatty: Path
    ) -> None:
        async with page() as models:
            screen = await models.looks_at_the_template("chatty.Q4_K_M.gguf")
            await models.presses("r")
            await models.reads("<|user|>Why is the sky blue?")
            await models.presses("e", "ctrl+a", "ctrl+k")
            await models.types("an x? r n")
            await models.presses("enter")
            await models.reads("[red]<|user|>an x? r n")
            assert models.shows("<|assistant|>")
            await models.presses("r")
            assert models.shows("   3  <|assistant|>")
            assert screen.template.name == ""

    async def test_other_templates_have_their_names(self, page: Models, chatty: Path) -> None:
        async with page() as models:
            await models.looks_at_the_template("chatty.Q4_K_M.gguf")
            assert "N next (1 of 3)" in models.lines[-1]
            await models.presses("n")
            assert models.shows("'tool_use'")
            assert models.shows("   1  <T>{{ messages[0].content }}␛[2J")
            await models.presses("r")
            await models.reads("<T>Why is the sky blue?␛[2J")
            await models.presses("n")
            await models.reads("✖ The chat template of chatty.Q4_K_M.gguf")
            await models.presses("r")
            assert models.shows("It was not looked into: line 1 is no Jinja")

    async def test_one_that_does_not_end_is_left_at_once(self, page: Models, chatty: Path) -> None:
        keys = [ARCHITECTURE, ("tokenizer.chat_template", 8, string(SLOW["powers"])), TOKENS]
        chatty.write_bytes(gguf(keys, [("t", (4,), 0, 0)], data=bytes(16)))
        async with page() as models:
            await models.looks_at_the_template("chatty.Q4_K_M.gguf")
            await models.presses("r")
            assert models.shows("Rendering …")
            await models.presses("escape", "escape")
            assert isinstance(models.app.screen, ModelsScreen)

    async def test_without_one_that_is_said(self, page: Models, own: Path) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            await models.looks_at_details()
            await models.presses("t")
            assert isinstance(models.app.screen, DetailsScreen)
            await models.reads("There is no chat template")

    @pytest.mark.parametrize("size", [(40, 10), (120, 40)])
    async def test_there_is_room_for_it(
        self, page: Models, chatty: Path, size: tuple[int, int]
    ) -> None:
        async with page(size=size) as models:
            await models.looks_at_the_template("chatty.Q4_K_M.gguf")
            await models.presses("r")
            await models.reads("Why is the sky blue?")
            assert max(map(len, models.lines)) <= size[0]


def test_a_long_template_is_shown_in_part() -> None:
    def lines(source: str) -> list[str]:
        told = TemplateTold(name="", size=len(source), source=source, found=template_marks(source))
        return str(template_lines(told, 78)).split("\n")

    assert len(lines("x\n" * 1_999)) == 2_000
    assert lines("x\r\n" * 10_000)[-1].startswith("It goes on: 30,000 characters in all")
    assert "500,000 characters" in lines("x" * 500_000)[-1]


class TestDownloading:
    async def test_it_is_here_then_with_its_partner(
        self, page: Models, hub: Hub, home: Path
    ) -> None:
        async with page() as models:
            dialog = await models.asks_to_pull("tiny-base")
            sizes = [one.size for one in dialog.found]
            assert len(sizes) == 4
            assert sizes == sorted(sizes)
            assert models.chosen(dialog) == "tiny-base"
            assert models.shows("suits this machine")
            assert models.shows("CC0, https://example.org/cc0")
            assert models.shows("[ ] and its partner tiny-chat")
            await models.presses("space")
            assert models.shows("[x] and its partner tiny-chat")
            await models.presses("enter")
            for name in ("tiny-base", "tiny-chat"):
                assert (await models.ends(name)).stage == "done"
            await models.until(lambda: models.row("tiny-base").listed.is_here)
            found = find_file("ada/tiny-GGUF", "tiny.Q4_K_M.gguf")
            assert found is not None
            assert found.read_bytes() == hub.content["tiny.Q4_K_M.gguf"]
            await models.settles()
            await models.goes_to("tiny-chat")
            assert "Its base model is tiny-base, on this machine." in models.told

    async def test_another_quantisation_can_be_taken(self, page: Models, hub: Hub) -> None:
        async with page() as models:
            dialog = await models.asks_to_pull("tiny-base")
            assert not any("mmproj" in one.file for one in dialog.found)
            names = [one.name for one in dialog.found]
            assert names[-1] == "hf.co/ada/tiny-GGUF/tiny.Q8_0.gguf"
            await models.presses("end", "enter")
            assert (await models.ends(names[-1])).stage == "done"
            await models.until(lambda: "hf.co/ada/tiny-GGUF:Q8_0" in models.names)

    async def test_one_chats_meanwhile_and_is_told(self, page: Models, hub: Hub) -> None:
        hub.held = 100_000
        async with page() as models:
            await models.asks_to_pull("tiny-base")
            await models.presses("enter")
            await models.until(hub.stopped.is_set)
            await models.until(lambda: models.download("tiny-base").pace.done >= 100_000)
            await models.until(lambda: "↓" in models.line("tiny-base"))
            await models.presses("escape")
            await wait_until(models.pilot, lambda: "↓ tiny-base" in status(models.pilot))
            hub.goes_on.set()
            await wait_until(models.pilot, lambda: shows(models.pilot, "tiny-base is here"))
            await wait_until(models.pilot, lambda: "↓" not in status(models.pilot))

    async def test_several_wait_for_each_other_and_can_be_stopped(
        self, page: Models, hub: Hub
    ) -> None:
        hub.held = 100_000
        async with page() as models:
            await models.asks_to_pull("tiny-base")
            await models.presses("space", "enter")
            await models.until(hub.stopped.is_set)
            assert models.download("tiny-chat").stage == "waiting"
            await models.until(lambda: "waits" in models.line("tiny-chat"))
            await models.goes_to("tiny-chat")
            await models.presses("s")
            assert (await models.ends("tiny-chat")).stage == "stopped"
            await models.goes_to("tiny-base")
            await models.presses("s")
            # The host is silent: nobody waits for it.
            assert (await models.ends("tiny-base")).stage == "stopped"
            await models.until(lambda: models.row("tiny-base").listed.state == "unfinished")
            await models.settles()
            assert "100 kB of" in models.told
            assert "P goes on with it." in models.told
            hub.goes_on.set()
            await models.presses("p")
            assert (await models.ends("tiny-base")).stage == "done"
            assert hub.ranges[-1] == "bytes=100000-"

    @pytest.mark.parametrize(
        ("done", "said"), [(0, "Nothing of it had come."), (5, "What came is kept.")]
    )
    def test_what_is_left_of_one_that_was_stopped_is_told(self, done: int, said: str) -> None:
        state = DownloadState(name="tiny", stage="stopped", pace=Pace(done=done, total=9))
        assert told(state) == f"The download of tiny was stopped. {said}"

    async def test_one_stop_ends_what_was_asked_for_twice(self, page: Models, hub: Hub) -> None:
        hub.held = 100_000
        async with page() as models:
            await models.asks_to_pull("tiny-base")
            await models.presses("enter")
            await models.until(hub.stopped.is_set)
            await models.until(lambda: models.row("tiny-base").is_coming)
            assert "It is being downloaded; S stops that, and what came is kept." in models.told
            await models.presses("p", "s")
            assert (await models.ends("tiny-base")).stage == "stopped"

    async def test_one_looks_at_downloads_while_an_answer_is_written(
        self, opened: Opened, engine: ScriptedEngine, hub: Hub
    ) -> None:
        gate = Gate()
        engine.enqueue(gate, *answer("Wool."))
        async with opened() as pilot:
            await type_text(pilot, "What do sheep wear?")
            await pilot.press("enter")
            await wait_until(pilot, gate.reached.is_set)
            models = ModelsPage(pilot)
            await models.opens()
            gate.open()
            await models.presses("escape")
            await wait_until(pilot, lambda: shows(pilot, "Wool."))

    async def test_a_file_that_is_asked_for_again_says_so(
        self, page: Models, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Nobody waits as long as that.
        monkeypatch.setattr("urial_tui.models.download.Limits", lambda: Limits(pause=60))
        content = hub.content["tiny.Q4_K_M.gguf"]

        def cut(request: Request) -> None:
            if request.command == "GET" and request.place.startswith("/blob/"):
                request.reply(200, content[:100_000], Content_Length=str(len(content)))
                request.close_connection = True
            else:
                hub.serve(request)

        async with page() as models:
            hub.act = cut
            await models.asks_to_pull("tiny-base")
            await models.presses("enter")
            await models.until(lambda: models.shows("%), trying again: the"))
            pace = models.download("tiny-base").pace
            assert pace.trouble == f"the connection to {hub.host} broke off before all was there"
            assert (pace.done, pace.total) == (100_000, len(content))
            await models.presses("s")
            assert (await models.ends("tiny-base")).stage == "stopped"

    async def test_what_came_can_be_removed(self, page: Models, hub: Hub) -> None:
        hub.held = 100_000
        async with page() as models:
            await models.asks_to_pull("tiny-base")
            await models.presses("enter")
            await models.until(hub.stopped.is_set)
            await models.until(lambda: models.download("tiny-base").pace.done >= 100_000)
            await models.presses("x")
            assert "is being downloaded; S stops that first" in models.notice
            await models.presses("s")
            await models.ends("tiny-base")
            await models.until(lambda: models.row("tiny-base").listed.state == "unfinished")
            await models.until(lambda: not models.row("tiny-base").is_coming)
            await models.presses("x")
            await models.is_asked_to_remove()
            assert models.shows("This frees 100 kB.")
            await models.presses("y")
            await models.until(lambda: models.row("tiny-base").listed.state == "absent")

    async def test_quitting_ends_it_and_the_next_time_it_goes_on(
        self, opened: Opened, hub: Hub, llama_gguf: Path
    ) -> None:
        hub.held = 100_000
        before = set(threading.enumerate())
        async with opened() as pilot:
            models = ModelsPage(pilot)
            await models.opens()
            await models.asks_to_pull("tiny-base")
            await models.presses("enter")
            await models.until(hub.stopped.is_set)
            await models.until(lambda: models.download("tiny-base").pace.done >= 100_000)
            downloads = models.app.downloads
            await pilot.press("ctrl+q")
        assert not downloads.busy
        (said,) = left_behind(downloads)
        assert "The download of tiny-base was interrupted at " in said
        assert "what came is kept" in said
        left = [one for one in set(threading.enumerate()) - before if "_work" in one.name]
        assert not [one for one in left if one.is_alive()]
        hub.goes_on.set()

    async def test_what_was_interrupted_goes_on_from_there(
        self, page: Models, hub: Hub, llama_gguf: Path
    ) -> None:
        hub.held = 100_000
        first = Downloads()
        first.add("tiny-base")
        assert hub.stopped.wait(20)
        while (state := first.state("tiny-base")) is not None and state.pace.done < 100_000:
            threading.Event().wait(0.001)
        first.close()
        assert [state.stage for state in first.states] == ["stopped"]
        hub.goes_on.set()
        async with page() as models:
            await models.goes_to("tiny-base")
            assert models.shows("Of an interrupted download 100 kB")
            await models.presses("p")
            assert (await models.ends("tiny-base")).stage == "done"
            assert hub.ranges[-1] == "bytes=100000-"
            found = find_file("ada/tiny-GGUF", "tiny.Q4_K_M.gguf")
            assert found is not None
            digest = hashlib.sha256(llama_gguf.read_bytes()).hexdigest()
            assert hashlib.sha256(found.read_bytes()).hexdigest() == digest

    async def test_a_repository_or_an_address_can_be_named(
        self, page: Models, hub: Hub, llama_gguf: Path
    ) -> None:
        with FileServer({"/x/plain.gguf": llama_gguf.read_bytes()}) as server:
            async with page() as models:
                await models.presses("a")
                await type_text(models.pilot, "nonsense")
                await models.presses("enter")
                await models.until(lambda: models.shows("✖ "))
                await models.presses("escape", "a")
                await type_text(models.pilot, "ada/tiny-GGUF")
                await models.presses("enter")
                dialog = await models.is_asked_what()
                assert models.chosen(dialog).endswith("Q4_K_M.gguf")
                await models.presses("escape", "a")
                await type_text(models.pilot, f"{server.url}/x/plain.gguf")
                await models.presses("enter")
                await models.ends(f"{server.url}/x/plain.gguf")
                await models.until(lambda: "plain.gguf" in models.names)

    async def test_an_address_that_was_left_is_there_the_next_time(
        self, page: Models, hub: Hub
    ) -> None:
        async with page() as models:
            await models.presses("a")
            await type_text(models.pilot, "ada/half")
            await models.presses("escape", "a")
            assert models.shows("ada/half")
            # It is marked, so that another takes its place.
            await type_text(models.pilot, "ada/tiny-GGUF")
            assert not models.shows("ada/half")
            await models.presses("enter")
            await models.is_asked_what()
            await models.presses("enter")
            await models.until(lambda: bool(models.app.downloads.states))
            await models.presses("a")
            assert not models.shows("ada/tiny-GGUF│")
            assert models.app.downloads.draft == ""

    async def test_what_came_of_it_is_told_once(self, page: Models, hub: Hub) -> None:
        name = "hf.co/ada/other/none.gguf"
        async with page() as models:
            models.screen.pulls.begin([name])
            assert (await models.ends(name)).stage == "failed"
            await models.until(lambda: "✖" in models.notice or "✖" in models.told)
            assert not list(models.app._notifications)
            await models.goes_to("tiny-base")
            models.screen.pulls.begin(["tiny-base"])
            await models.ends("tiny-base")
            await models.until(lambda: "tiny-base is here" in models.notice)
            assert not list(models.app._notifications)

    async def test_an_end_as_the_application_ends_is_told_to_nobody(
        self, page: Models, hub: Hub
    ) -> None:
        async with page() as models:
            models.screen.pulls.begin(["tiny-base"])
            state = await models.ends("tiny-base")
            screen = models.screen
        assert not screen.children
        with models.app._context():
            screen.tell_ended(state)

    @pytest.mark.parametrize(
        ("break_it", "sentence"),
        [
            (lambda hub: hub.content.clear(), "There is no 'tiny.Q4_K_M.gguf' at 127.0.0.1"),
            (
                lambda hub: setattr(hub, "commit", "\x1b[2Jno"),
                "does not say which revision",
            ),
            (
                lambda hub: hub.content.update({"tiny.Q4_K_M.gguf": b"<html>" * 9}),
                "is no GGUF file",
            ),
        ],
        ids=["gone", "no hub", "no model"],
    )
    async def test_what_fails_is_the_sentence_of_the_command(
        self, page: Models, hub: Hub, break_it: Any, sentence: str
    ) -> None:
        break_it(hub)
        async with page(size=(120, 40)) as models:
            await models.goes_to("tiny-base")
            models.screen.pulls.begin(["tiny-base"])
            state = await models.ends("tiny-base")
            assert state.stage == "failed"
            assert sentence in str(state.error)
            assert "\x1b" not in models.text
            await models.until(lambda: models.shows(sentence[:30]))

    async def test_one_that_failed_before_anything_came_can_be_taken_off_the_list(
        self, page: Models, hub: Hub
    ) -> None:
        name = "hf.co/ada/other/none.gguf"
        async with page() as models:
            models.screen.pulls.begin([name])
            assert (await models.ends(name)).stage == "failed"
            await models.goes_to(name)
            assert "Nothing of it is here. P downloads it." in models.told
            await models.presses("x")
            await models.until(lambda: name not in models.names)
            assert "no longer listed" in models.notice

    async def test_where_there_is_nothing_to_choose_no_key_takes_it(
        self, page: Models, hub: Hub
    ) -> None:
        async with page() as models:
            await models.presses("a")
            await type_text(models.pilot, "ada/other")
            await models.presses("enter")
            await models.is_asked_what()
            assert models.shows("There is no 'ada/other' at 127.0.0.1")
            assert models.shows("Esc back")
            assert not models.shows("Enter downloads it")

    async def test_without_a_network_what_the_catalogue_has_is_offered(
        self, page: Models, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        async with page() as models:
            dialog = await models.asks_to_pull("tiny-base")
            assert models.shows("HF_HUB_OFFLINE is set")
            assert [one.name for one in dialog.found] == ["tiny-base"]
            await models.presses("enter")
            assert (await models.ends("tiny-base")).stage == "failed"

    async def test_a_disk_that_is_too_full_is_said_before(
        self, page: Models, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("urial_tui.models.pullable.free_space", lambda directory: 1000)
        async with page() as models:
            await models.asks_to_pull("tiny-base")
            assert models.shows("1.00 kB are free")
            assert models.shows("There is too little room")


class TestFiles:
    async def test_a_file_that_is_gone_meanwhile_is_not_started_with(
        self, page: Models, own: Path
    ) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            own.unlink()
            await models.presses("d")
            await models.until(lambda: "its file is no longer there" in models.notice)
            await models.until(lambda: "mine.Q5_K_M.gguf" not in models.names)
            assert not paths.settings_file().exists()

    async def test_removing_tells_what_else_uses_it(self, page: Models, own: Path) -> None:
        paths.settings_file().write_text('[chat]\nmodel = "mine.Q5_K_M.gguf"\n')
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            await models.presses("delete")
            await models.is_asked_to_remove()
            assert models.shows("Your settings name it as the model to start with.")
            await models.presses("escape")
            assert own.exists()
            await models.presses("delete")
            await models.is_asked_to_remove()
            await models.presses("y")
            await models.until(lambda: not own.exists())
            await models.until(lambda: "mine.Q5_K_M.gguf" not in models.names)
            assert "was removed" in models.notice

    async def test_another_programs_file_is_theirs(
        self, page: Models, home: Path, llama_gguf: Path
    ) -> None:
        path = home / ".lmstudio" / "models" / "ada" / "tiny" / "tiny.gguf"
        path.parent.mkdir(parents=True)
        path.hardlink_to(llama_gguf)
        async with page() as models:
            await models.goes_to("lmstudio/ada/tiny/tiny.gguf")
            assert f"LM Studio's: {path}" in models.told
            await models.presses("x")
            await models.until(lambda: "belongs to another program" in models.notice)
            assert path.exists()

    async def test_what_others_may_use_in_the_cache_is_said(self, page: Models, hub: Hub) -> None:
        async with page() as models:
            await models.asks_to_pull("tiny-base")
            await models.presses("enter")
            await models.ends("tiny-base")
            await models.until(lambda: models.row("tiny-base").listed.is_here)
            await models.goes_to("tiny-base")
            await models.presses("x")
            await models.is_asked_to_remove()
            assert models.shows("other programs may use it")
            await models.presses("y")
            await models.until(lambda: not models.row("tiny-base").listed.is_here)

    async def test_a_check_tells_what_it_knows(self, page: Models, own: Path, hub: Hub) -> None:
        async with page() as models:
            await models.goes_to("mine.Q5_K_M.gguf")
            await models.presses("v")
            await models.until(lambda: "no checksum is known" in models.notice)
            await models.asks_to_pull("tiny-base")
            await models.presses("enter")
            await models.ends("tiny-base")
            await models.until(lambda: models.row("tiny-base").listed.is_here)
            await models.goes_to("tiny-base")
            await models.presses("v")
            await models.until(lambda: "its checksum is the hub's" in models.notice)
            found = find_file("ada/tiny-GGUF", "tiny.Q4_K_M.gguf")
            assert found is not None
            blob = found.resolve()
            content = bytearray(blob.read_bytes())
            content[-1] ^= 1
            blob.write_bytes(content)
            await models.presses("v")
            await models.until(lambda: "is not whole: Its checksum is" in models.notice)


async def test_in_the_smallest_window_the_rows_are_there_alone(
    page: Models, own: Path, hub: Hub
) -> None:
    async with page() as models:
        await models.goes_to("tiny-base")
        # The chat does not open it there.
        await models.pilot.resize_terminal(30, 8)
        pane = models.screen.query_one("#models-detail-pane")
        await models.until(lambda: not pane.display)
        await models.pilot.pause()
        lines = models.text.splitlines()
        assert lines[0].startswith(" Models")
        assert sum(line.startswith((" ●", " ○", " ✖")) for line in lines) >= 3
        assert models.screen.max_scroll_y == 0
        await models.presses("a")
        await models.until(lambda: models.shows("Download a model"))
        assert models.shows("hf.co/")


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)])
async def test_there_is_room_in_windows_of_all_sizes(
    page: Models, own: Path, hub: Hub, size: tuple[int, int]
) -> None:
    async with page(size=size) as models:
        await models.goes_to("mine.Q5_K_M.gguf")
        rows = [line for line in models.text.splitlines() if line.startswith((" ●", " ○", " ✖"))]
        assert len(rows) >= 2
        assert models.screen.query_one("#models-notice", Static).display is False
        await models.asks_to_pull("tiny-base")
        lines = models.text.splitlines()
        assert any("Q4_K_M" in line for line in lines)
        assert max(map(len, lines)) <= size[0]
