"""An application with settings: the user's keys, the themes, and the screen that changes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from textual import on
from textual.app import App, InvalidThemeError, SystemCommand
from textual.binding import Binding
from textual.notifications import Notify
from textual.screen import Screen
from textual.scrollbar import ScrollBar

from urial_tui.errors import SettingsError, UrialError
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, described
from urial_tui.settings_file import read_settings_file
from urial_tui.tui.drawing.thin_bar import ThinBar
from urial_tui.tui.frame.help_screen import HelpScreen
from urial_tui.tui.frame.keys import ENTER_KEYS, keyed, keymap, shown
from urial_tui.tui.frame.private_names import take_back_notices
from urial_tui.tui.frame.settings_screen import SettingsScreen
from urial_tui.tui.frame.theme_files import read_themes
from urial_tui.tui.frame.themes import DARK, OURS, variables_for


class ConfiguredApp(App[None]):
    """A base class of applications: its keymap and its theme are those of the settings.

    Args:
        settings: What is in use; it may differ from what the file says.

    Raises:
        SettingsError: The settings give keys to actions that can't be.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        ScrollBar.renderer = ThinBar
        self.settings = settings
        self._use_keys()
        self.troubles: list[UrialError] = self._start_themes(settings.ui.theme)
        """What is wrong with the user's files, to be told when there is a screen."""

    def _use_keys(self) -> None:
        self.set_keymap(keymap(self.settings.keys, ENTER_KEYS[self.settings.chat.enter]))

    def _start_themes(self, chosen: str) -> list[UrialError]:
        """Register the themes and activate the chosen one; what is wrong is no reason to end."""
        own, found = read_themes()
        troubles: list[UrialError] = [*found]
        for theme in (*OURS, *own):
            self.register_theme(theme)
        self.theme = DARK.name
        try:
            self.theme = chosen
        except InvalidThemeError:
            troubles.append(
                SettingsError(
                    f"There is no theme named {sanitize_line(chosen)!r}.",
                    keyed(
                        self,
                        DARK.name + " stands in for it; {app.commands} and “Theme” choose one.",
                    ),
                )
            )
        return troubles

    def tell_troubles(self) -> None:
        """Tell what is wrong with the user's files."""
        for trouble in self.troubles:
            self.notify(sanitize_line(str(trouble)), severity="error", timeout=15, markup=False)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that do not define them."""
        return dict(variables_for(self.current_theme))

    def get_key_display(self, binding: Binding) -> str:
        """Keys as they are printed on a keyboard: Ctrl+N, Shift+Enter."""
        return binding.key_display or shown(binding.key)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Commands of the palette that have no key."""
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        for name in sorted(self.available_themes):
            keep = partial(self.keep_theme, name)
            yield SystemCommand(f"Theme: {name}", "", keep, discover=False)

    async def find_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Commands that are looked up when the palette opens: a hook for subclasses, none here."""
        return ()

    def action_help(self) -> None:
        """Open the help: the keys of the screen that is looked at."""
        self.push_screen(HelpScreen(list(self.screen.active_bindings.values())))

    @on(SettingsScreen.ThemeRequested)
    def action_change_theme(self) -> None:
        """Let the user choose a theme; the one under the bar is shown at once."""
        from urial_tui.tui.frame.palette import ThemePalette

        self.push_screen(ThemePalette(self.keep_theme))

    def keep_theme(self, name: str) -> None:
        """Use a theme, and write it into the settings."""
        self.theme = name
        setting = next(setting for setting in described() if setting.key == "ui.theme")
        try:
            before = read_settings_file()
            before.with_value(setting, name).save(before)
        except SettingsError as error:
            self.notify(sanitize_line(str(error)), severity="error", markup=False)

    def action_settings(self) -> None:
        """Open the settings over what is there."""
        try:
            self.push_screen(SettingsScreen(read_settings_file()))
        except SettingsError as error:
            self.notify(sanitize_line(str(error)), severity="error", markup=False)

    @on(Notify)
    def take_back_the_same(self, event: Notify) -> None:
        """Let what is said again stand once, and as long as if it was said now."""
        take_back_notices(self, event.notification.message)

    @on(SettingsScreen.Changed)
    def use_setting(self, event: SettingsScreen.Changed) -> None:
        """Apply a setting that was changed."""
        self.settings = event.setting.put(self.settings, event.value)
        if event.setting.key == "chat.enter":
            self._use_keys()
        if event.setting.key == "ui.theme" and str(event.value) in self.available_themes:
            self.theme = str(event.value)
        self.use_settings(self.settings)

    def use_settings(self, settings: Settings) -> None:
        """A hook for subclasses, called with the settings whenever one was changed."""
