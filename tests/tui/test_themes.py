"""Themes: text stays readable (WCAG 2.1, contrast ratio), and the user's own are taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.color import Color as RichColor
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from tests.scripted import ScriptedEngine, answer
from tests.tui.chat_page import ChatPage
from tests.tui.compare_page import ComparePage
from tests.tui.conftest import Chatting
from urial_tui import paths
from urial_tui.settings import Settings, UiSettings, load_settings
from urial_tui.tui.frame.theme_files import read_themes
from urial_tui.tui.frame.themes import DARK, HIGH_CONTRAST, LIGHT, readable, variables_for

CLASSES = ("quiet", "unshifted", "marginal", "shifted", "absent")
TEXT = ("foreground", "primary", "secondary", "accent", "warning", "error", "success")


def luminance(colour: Color) -> float:
    """Relative luminance as WCAG 2.1 defines it."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (colour.r / 255, colour.g / 255, colour.b / 255)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_text_can_be_read(theme: Theme) -> None:
    for ground in (theme.background, theme.surface):
        assert ground is not None
        assert theme.foreground is not None
        assert contrast(theme.foreground, ground) >= 7
        for colour in (theme.primary, theme.secondary, theme.warning, theme.error):
            assert colour is not None
            assert contrast(colour, ground) >= 4.5
        for name in CLASSES:
            assert contrast(theme.variables[name], ground) >= 4.5


class TestHighContrast:
    def test_all_text_differs_from_its_ground_by_7_to_1(self) -> None:
        made = HIGH_CONTRAST.to_color_system().generate() | HIGH_CONTRAST.variables
        muted = ("text-muted", "text-disabled", "foreground-muted", "foreground-disabled")
        tinted = [f"text-{name}" for name in TEXT if f"text-{name}" in made]
        for ground in ("background", "surface", "panel"):
            for name in (*TEXT, *CLASSES, *muted, *tinted, "markdown-h6-color", "text"):
                assert contrast(made[name], made[ground]) >= 7, (name, ground)
            for name in ("line", "border", "border-blurred", "scrollbar"):
                assert contrast(made[name], made[ground]) >= 4.5, (name, ground)
        for kind in ("block-cursor", "block-cursor-blurred", "input-selection", "input-cursor"):
            assert contrast(made[f"{kind}-foreground"], made[f"{kind}-background"]) >= 7

    async def test_what_the_chat_draws_does_too(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        engine.enqueue(
            *answer("# One\n\n*two* **three** `four`\n\n> five\n\n```python\nx = 6\n```")
        )
        settings = Settings(ui=UiSettings(theme="urial-high-contrast"))
        async with chatting(settings=settings, size=(100, 40)) as chat:
            assert not faint(chat)
            await chat.asks("Hello")
            await chat.until(lambda: chat.ready and chat.shows("five"))
            assert not faint(chat)
            await chat.presses("f1")
            await chat.reads("Type to search")
            assert not [text for text in faint(chat) if text in ("Keys", "New line", "app.quit")]


def faint(chat: ChatPage) -> list[str]:
    """Words on the screen that differ from their ground by less than 7 : 1."""
    return [
        text
        for strip in chat.app.screen._compositor.render_strips()
        for text, ratio in drawn(strip)
        if ratio < 7
    ]


def drawn(strip: Any) -> Iterator[tuple[str, float]]:
    for segment in strip:
        style, text = segment.style, segment.text.strip()
        if style is None or style.color is None or style.bgcolor is None:
            continue
        if any(character.isalnum() for character in text):
            yield text, contrast(hexed(style.color), hexed(style.bgcolor))


def hexed(colour: RichColor) -> str:
    return Color.from_rich_color(colour).hex6


@pytest.mark.parametrize("name", [name for name, theme in BUILTIN_THEMES.items() if not theme.ansi])
def test_textual_s_themes_get_our_variables_readable(name: str) -> None:
    theme = BUILTIN_THEMES[name]
    made = theme.to_color_system().generate() | dict(variables_for(theme))
    for ground in ("background", "surface"):
        for colour in CLASSES:
            assert contrast(made[colour], made[ground]) >= 4.5
    assert len({made[colour] for colour in CLASSES}) == len(CLASSES)


def test_a_colour_that_can_be_read_is_left_as_it_is() -> None:
    white, black = Color.parse("white"), Color.parse("black")
    assert readable(white, [black]) == white
    assert contrast(readable(Color.parse("#333333"), [black]).hex, "black") >= 4.5
    assert contrast(readable(Color.parse("#eeeeee"), [white]).hex, "white") >= 4.5


@pytest.mark.parametrize("name", [*BUILTIN_THEMES, "urial-light", "urial-high-contrast"])
async def test_every_theme_can_be_drawn(chatting: Chatting, name: str) -> None:
    async with chatting(settings=Settings(ui=UiSettings(theme=name))) as chat:
        assert chat.app.theme == name
        comparison = await chat.leads_to(ComparePage)
        assert comparison.shows("F1 all keys")


MINE = """\
primary = "#e0b0ff"
background = "#101018"
foreground = "rgb(230, 230, 230)"
dark = true

[variables]
quiet = "#a0a0b0"
input-selection-background = "#e0b0ff 35%"
"""


@pytest.fixture
def themes() -> Path:
    directory = paths.user_themes_dir()
    directory.mkdir(parents=True)
    return directory


class TestFiles:
    async def test_a_theme_of_the_user_is_used(self, chatting: Chatting, themes: Path) -> None:
        (themes / "mine.toml").write_text(MINE)
        async with chatting(settings=Settings(ui=UiSettings(theme="mine"))) as chat:
            assert chat.app.theme == "mine"
            assert chat.app.theme_variables["quiet"] == "#a0a0b0"
            assert contrast(chat.app.theme_variables["shifted"], "#101018") >= 4.5

    async def test_it_wins_over_one_of_the_same_name(
        self, chatting: Chatting, themes: Path
    ) -> None:
        (themes / "nord.toml").write_text(MINE)
        async with chatting(settings=Settings(ui=UiSettings(theme="nord"))) as chat:
            assert chat.app.current_theme.primary == "#e0b0ff"

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("", "primary"),
            ("primary = 3", "$.primary"),
            ("primary = 'purplish'", "primary is 'purplish', which is no colour"),
            ("primary = 'ansi_red'", "a colour such as #7fb8c9"),
            ("primary = 'red'\nsecundary = 'blue'", "secundary"),
            ("primary = 'red'\n[variables]\nquite = 'red'", "there is no variable 'quite'"),
            ("primary = 'red'\n[variables]\nquiet = '}\\u001b'", "variables.quiet is"),
            ("primary = 'red'\n[variables]\nblock-cursor-text-style = 'x'", "no variable"),
            ("primary = [", "can't be used"),
            ("#" * 70_000, "longer than 64 KiB"),
        ],
    )
    async def test_a_mistake_is_told_and_the_rest_goes_on(
        self, chatting: Chatting, themes: Path, text: str, what: str
    ) -> None:
        (themes / "bad.toml").write_text(text)
        (themes / "good.toml").write_text(MINE)
        found, (trouble,) = read_themes()
        assert [theme.name for theme in found] == ["good"]
        assert what in trouble.message
        assert "bad.toml" in trouble.message
        assert "\x1b" not in str(trouble)
        async with chatting(ready=False) as chat:
            await chat.reads("bad.toml")

    def test_names_and_bytes_can_be_anything(self, themes: Path) -> None:
        (themes / "a b\x1b.toml").write_text(MINE)
        (themes / "bytes.toml").write_bytes(b"\xff\xfe")
        (themes / "directory.toml").mkdir()
        found, troubles = read_themes()
        assert not found
        assert len(troubles) == 3
        assert not any("\x1b" in str(trouble) for trouble in troubles)

    async def test_a_theme_that_is_not_there_is_told(self, chatting: Chatting) -> None:
        async with chatting(settings=Settings(ui=UiSettings(theme="none-[x]"))) as chat:
            assert chat.shows("There is no theme named 'none-[x]'.")
            assert chat.app.theme == "urial-dark"


class TestChoosing:
    async def choose(self, chat: ChatPage) -> None:
        """Take nord, which is under the bar then."""
        await chat.opens_commands()
        await chat.types("theme")
        await chat.reads("Choose other colours")
        await chat.presses("enter")
        await chat.reads("atom-one-dark")
        await chat.types("nord")
        await chat.until(lambda: chat.app.theme == "nord")

    async def test_the_theme_under_the_bar_is_shown_and_enter_keeps_it(
        self, chatting: Chatting
    ) -> None:
        paths.settings_file().parent.mkdir(parents=True)
        paths.settings_file().write_text("# mine\n[chat]\nmax_tokens = 5\n")
        async with chatting() as chat:
            await self.choose(chat)
            await chat.presses("enter")
            await chat.is_back()
            assert chat.app.theme == "nord"
        assert load_settings().ui.theme == "nord"
        assert paths.settings_file().read_text().startswith("# mine\n[chat]\nmax_tokens = 5\n")

    async def test_escape_goes_back_to_the_old_one(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await self.choose(chat)
            await chat.presses("escape")
            await chat.until(lambda: chat.app.theme == "urial-dark")
        assert not paths.settings_file().exists()

    async def test_a_place_that_can_not_be_written_is_told(
        self, chatting: Chatting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("urial_tui.settings_file.replacing", refuse)
        async with chatting() as chat:
            await self.choose(chat)
            await chat.presses("enter")
            await chat.reads("can't be written")
            assert chat.app.theme == "nord"
