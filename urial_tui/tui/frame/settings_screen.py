"""All settings, each with what it is for; a change is written into the settings file at once.

What is searched for is typed at the top; the list below it follows. A value is checked while
it is typed, in the words in which the file would be refused.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from urial_tui.errors import SettingsError
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Setting, SettingValue, described
from urial_tui.settings_file import SettingsFile, read_settings_file
from urial_tui.tui.frame.keys import keyed, keys_of, shown
from urial_tui.tui.widgets.hint_line import HintLine

_NAME_COLUMN = 30
_TITLES = {
    "chat": "Chat",
    "engine": "Engine",
    "sampling": "Sampling",
    "ui": "Looks",
    "models": "Models",
}
_WHEN = {
    "chat.model": "from the next start on",
    "chat.preamble": "from the next start on",
    "chat.enter": "at once",
    "engine": "when the model is loaded again",
    "ui": "at once",
    "models": "at once",
}
_WITH_ANSWER = "with the next answer"


class SettingsScreen(Screen[None]):
    """The settings screen; opens over the chat.

    Args:
        file: What the settings file holds.
    """

    CSS_PATH: ClassVar[list[str]] = ["search.tcss", "settings.tcss"]  # type: ignore[assignment]
    AUTO_FOCUS = "#settings-search"
    BINDING_GROUP_TITLE = "Settings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Setting above", id="settings.before"),
        Binding("down", "move(1)", "Setting below", id="settings.after"),
        Binding("pageup", "move(-10)", "Ten settings up", id="settings.page_up"),
        Binding("pagedown", "move(10)", "Ten settings down", id="settings.page_down"),
        Binding("f5", "reset", "Back to the default", id="settings.reset"),
        Binding("ctrl+r", "reload", "Load the model again", priority=True, id="settings.reload"),
        Binding("escape", "back", "Leave the value; back to the chat", id="settings.back"),
    ]

    class Changed(Message):
        """A setting has another value, which is written."""

        def __init__(self, setting: Setting, value: SettingValue) -> None:
            super().__init__()
            self.setting = setting
            self.value = value

    class ReloadRequested(Message):
        """The model is to be loaded again, with the settings as they are now."""

    class ThemeRequested(Message):
        """The user wants to choose a theme."""

    def __init__(self, file: SettingsFile) -> None:
        super().__init__()
        self._file = file
        self._listed: list[Setting] = list(described())
        self._editing: Setting | None = None

    def compose(self) -> ComposeResult:
        """The search, the list, what the setting under the bar is, its value, the keys."""
        yield Static(self._heading(), id="settings-heading", markup=False)
        yield Input(placeholder="Type to search", id="settings-search", classes="search")
        yield OptionList(id="settings-list", markup=False)
        yield Static(id="setting-about", markup=False)
        yield Input(id="setting-value", classes="search")
        yield Static(id="setting-verdict", markup=False)
        yield HintLine(id="settings-keys")

    def on_mount(self) -> None:
        """Show all settings."""
        self.query_one("#settings-list", OptionList).can_focus = False
        self._end_edit()
        self._list()

    def on_screen_resume(self) -> None:
        """A theme may have been chosen, or the file changed in an editor."""
        self._read()
        self._list()

    # -- the user -------------------------------------------------------------------

    @on(Input.Changed, "#settings-search")
    def search(self) -> None:
        """Filter the list by what was typed."""
        self._list()

    @on(Input.Submitted, "#settings-search")
    @on(OptionList.OptionSelected)
    def change(self) -> None:
        """Change the setting under the bar: by typing, or to its next choice."""
        setting = self._under_bar()
        if setting is None:
            return
        if setting.key == "ui.theme":
            self.post_message(self.ThemeRequested())
        elif setting.choices:
            value = setting.of(self._file.settings)
            at = setting.choices.index(str(value))
            self._set(setting, setting.choices[(at + 1) % len(setting.choices)])
        else:
            self._start_edit(setting)

    @on(Input.Changed, "#setting-value")
    def judge(self, event: Input.Changed) -> None:
        """Validate the value that is typed."""
        setting = self._editing
        if setting is None:
            return
        try:
            setting.check(setting.read(event.value))
        except SettingsError as error:
            self._say(error.message, good=False)
        else:
            self._say(keyed(self, "Enter writes it, {settings.back} leaves it as it was"))

    @on(Input.Submitted, "#setting-value")
    def write(self, event: Input.Submitted) -> None:
        """Save the value that was typed, if it is valid."""
        setting = self._editing
        if setting is not None and self._set(setting, setting.read(event.value)):
            self._end_edit()

    @on(OptionList.OptionHighlighted)
    def tell(self) -> None:
        """Describe the setting under the bar."""
        self._tell()

    def action_move(self, steps: int) -> None:
        """Move the bar; while a value is typed it stays."""
        if self._editing is None and self._listed:
            settings = self.query_one("#settings-list", OptionList)
            at = self._listed.index(self._under_bar() or self._listed[0]) + steps
            chosen = self._listed[min(max(at, 0), len(self._listed) - 1)]
            settings.highlighted = settings.get_option_index(chosen.key)
            self._say("")

    def action_reset(self) -> None:
        """Take the setting out of the file."""
        setting = self._editing or self._under_bar()
        if setting is not None and self._set(setting, None):
            self._end_edit()

    def action_reload(self) -> None:
        """Have the model loaded again."""
        self.post_message(self.ReloadRequested())
        self._say("The model is being loaded again")

    def action_back(self) -> None:
        """Leave the value, or the search, or the screen."""
        search = self.query_one("#settings-search", Input)
        if self._editing is not None:
            self._end_edit()
            self._say("")
        elif search.value:
            search.value = ""
        else:
            self.dismiss()

    # -- the file -------------------------------------------------------------------

    def _set(self, setting: Setting, value: SettingValue) -> bool:
        """Write a value; None is the default. Whether that was possible."""
        try:
            after = self._file.with_value(setting, value)
            after.save(self._file)
        except SettingsError as error:
            self._read()
            self._list()
            self._say(str(error), good=False)
            return False
        self._file = after
        self.post_message(self.Changed(setting, setting.of(after.settings)))
        self._list()
        again = f": {self._key('settings.reload')} does it" if setting.section == "engine" else ""
        self._say(f"Written. It holds {_when(setting)}{again}")
        return True

    def _read(self) -> None:
        try:
            self._file = read_settings_file(self._file.path)
        except SettingsError as error:
            self._say(str(error), good=False)

    # -- what is shown --------------------------------------------------------------

    def _under_bar(self) -> Setting | None:
        settings = self.query_one("#settings-list", OptionList)
        if settings.highlighted is None:
            return None
        key = settings.get_option_at_index(settings.highlighted).id
        return next((setting for setting in self._listed if setting.key == key), None)

    def _list(self) -> None:
        """The settings that are searched for, under their sections; the bar stays where it was."""
        settings = self.query_one("#settings-list", OptionList)
        sought = self.query_one("#settings-search", Input).value.strip().casefold()
        before = self._under_bar()
        self._listed = [
            setting
            for setting in described()
            if sought in f"{_TITLES.get(setting.section)} {setting.key} {setting.about}".casefold()
        ]
        settings.clear_options()
        section = ""
        for setting in self._listed:
            if setting.section != section:
                section = setting.section
                title = Content.styled(_TITLES.get(section, section), "bold $primary")
                settings.add_option(Option(title, disabled=True))
            settings.add_option(Option(self._line(setting), id=setting.key))
        if not self._listed:
            settings.add_option(Option("No setting has this in it.", disabled=True))
        else:
            bar = before if before in self._listed else self._listed[0]
            settings.highlighted = settings.get_option_index(bar.key)
        self._tell()

    def _line(self, setting: Setting) -> Content:
        value = _shown(setting.of(self._file.settings))
        source = "set" if setting.key in self._file.written else "default"
        return Content.assemble(
            f"  {setting.name}".ljust(_NAME_COLUMN), (value, "bold"), (f"  {source}", "$quiet")
        )

    def _tell(self) -> None:
        setting = self._under_bar()
        about = self.query_one("#setting-about", Static)
        if setting is None:
            about.update("")
            return
        facts = [
            setting.key,
            _limits(setting),
            f"default {_shown(setting.default)}",
            f"holds {_when(setting)}",
        ]
        about.update(
            Content.assemble(
                setting.about.replace("`", ""),
                ("\n" + " · ".join(fact for fact in facts if fact), "$quiet"),
            )
        )

    def _start_edit(self, setting: Setting) -> None:
        self._editing = setting
        value = self.query_one("#setting-value", Input)
        current = setting.of(self._file.settings)
        value.display = True
        value.placeholder = _placeholder(setting)
        value.value = setting.typed(current)
        value.focus()
        self._say(keyed(self, "Enter writes it, {settings.back} leaves it as it was"))
        self._show_keys()

    def _end_edit(self) -> None:
        self._editing = None
        self.query_one("#setting-value", Input).display = False
        self.query_one("#settings-search", Input).focus()
        self._show_keys()

    def _say(self, text: str, *, good: bool = True) -> None:
        mark = Content("") if good or not text else Content.styled("✖ ", "bold $error")
        self.query_one("#setting-verdict", Static).update(mark + Content(sanitize_line(text)))

    def _show_keys(self) -> None:
        keys = (
            (("Enter", "write"), (self._key("settings.back"), "leave it"))
            if self._editing is not None
            else (
                ("↑↓", "setting"),
                ("Enter", "change"),
                (self._key("settings.reset"), "default"),
                (self._key("settings.reload"), "reload model"),
                (self._key("settings.back"), "back"),
            )
        )
        self.query_one(HintLine).keys = keys

    def _key(self, binding_id: str) -> str:
        return shown(keys_of(self, binding_id)[0])

    def _heading(self) -> Content:
        return Content.assemble(
            ("Settings", "bold $primary"), (f"  {sanitize_line(str(self._file.path))}", "$quiet")
        )


def _shown(value: SettingValue) -> str:
    if isinstance(value, tuple):
        return sanitize_line(", ".join(value)) or "none"
    return "none" if value is None else sanitize_line(str(value))


def _placeholder(setting: Setting) -> str:
    if setting.listed is not None:
        listed = setting.listed
        return f"{listed.noun}, with {listed.separator} between them; nothing: none"
    return "nothing: none" if setting.optional else setting.name


def _limits(setting: Setting) -> str:
    if setting.choices:
        return " or ".join(setting.choices)
    if setting.low is None or setting.high is None:
        return ""
    return f"{setting.low:,} to {setting.high:,}"


def _when(setting: Setting) -> str:
    return _WHEN.get(setting.key) or _WHEN.get(setting.section) or _WITH_ANSWER
