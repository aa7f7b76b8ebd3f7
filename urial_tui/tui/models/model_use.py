"""Choosing a model of the list: the chat goes on with it, or urial starts with it."""

from __future__ import annotations

from urial_tui.files import is_file
from urial_tui.settings import described
from urial_tui.settings_file import read_settings_file
from urial_tui.tui.frame.settings_screen import SettingsScreen
from urial_tui.tui.models.model_list import ModelList, ModelRow
from urial_tui.tui.models.scan import Scan
from urial_tui.tui.widgets.list_view import ListView


class ModelUse:
    """Takes the model under the bar, if a chat can answer with it; else it is told why not.

    Args:
        view: Has the bar; its screen ends with what is chatted with.
        scan: Looks again for what is the default.
    """

    def __init__(self, view: ListView[ModelList], scan: Scan) -> None:
        self._view = view
        self._scan = scan

    def chat(self) -> None:
        """Leave, and chat with it."""
        row = self._usable("It can't be chatted with")
        if row is not None:
            self._view.screen.dismiss(row.name)

    def start(self) -> None:
        """Have the settings name it."""
        row = self._usable("It can't be the one to start with")
        if row is not None:
            self._view.work_alone("default", self._write, row.name)

    async def _write(self, name: str) -> None:
        setting = next(one for one in described() if one.key == "chat.model")

        def write() -> bool:
            before = read_settings_file()
            before.with_value(setting, name).save(before)
            return True

        if await self._view.in_thread(write):
            self._view.screen.post_message(SettingsScreen.Changed(setting, name))
            self._view.say(f"urial starts with {name} from now on.")
            self._scan.look()

    def _usable(self, what: str) -> ModelRow | None:
        row = self._view.listed.row
        if row is None:
            return None
        why = ""
        if not row.listed.is_here:
            pull = self._view.key("models.pull")
            why = f"it is not on this machine yet; {pull} downloads it"
        elif row.listed.kind != "model":
            why = "it is an adapter" if row.listed.kind == "adapter" else "it writes no text"
        elif row.looked is not None and row.looked.trouble:
            why = row.looked.trouble.rstrip(".")
        elif row.listed.path is not None and not is_file(row.listed.path):
            why = "its file is no longer there"
            self._scan.look()
        if why:
            self._view.say(f"{what}: {why}.")
            return None
        return row
