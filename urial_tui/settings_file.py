"""The settings file as somebody wrote it: changed value by value, with all else kept.

Comments, order and spelling of what is not changed stay. A change is written only onto the
text that it was made from, as a whole or not at all; a link stays a link.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from urial_tui import paths
from urial_tui.errors import SettingsError
from urial_tui.files import make_directory, read_text, reason, replacing
from urial_tui.settings import MAX_BYTES, Setting, Settings, SettingValue, parse_settings

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


class SettingsFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file held when it was read; `text` is None where there was none.

    Line ends are part of the text.
    """

    path: Path
    text: str | None
    settings: Settings

    @property
    def written(self) -> frozenset[str]:
        """The keys ("chat.model") that the file gives a value."""
        tree = tomllib.loads(self.text or "")
        return frozenset(
            f"{section}.{name}"
            for section, table in tree.items()
            if isinstance(table, dict)
            for name in table
        )

    def with_value(self, setting: Setting, value: SettingValue) -> SettingsFile:
        """This with another value; None takes the setting out, so that it has its default.

        Raises:
            SettingsError: The value can't be, or the file is written so that it can't be changed.
        """
        if value is not None:
            setting.check(value)
        text = _edited(self.text or "", setting, value)
        if _tree(text) != _changed(_tree(self.text or ""), setting, value):
            raise SettingsError(
                f"The setting {setting.key} can't be changed here: the file is written in a way "
                "that would lose something.",
                f"Change it in {self.path} with an editor.",
            )
        return msgspec.structs.replace(self, text=text, settings=parse_settings(text))

    def save(self, before: SettingsFile) -> None:
        """Write this over `before`, if that is what the file still holds.

        Raises:
            SettingsError: The file was changed meanwhile, or can't be written.
        """
        if _read(self.path) != before.text:
            raise SettingsError(
                "The settings were changed by another program meanwhile; nothing was written.",
                "They are read again: look at them, and set it once more.",
            )
        try:
            make_directory(self.path.parent)
            with replacing(self.path, private=False) as file:
                file.write((self.text or "").encode())
        except OSError as error:
            raise SettingsError(
                f"The settings can't be written: {reason(error)}.",
                f"See to it that {self.path.parent} can be written to.",
            ) from error


def read_settings_file(path: Path | None = None) -> SettingsFile:
    """The user's settings file, or that at `path`.

    Raises:
        SettingsError: It is unreadable, not TOML, or has an unknown or bad value.
    """
    path = path or paths.settings_file()
    text = _read(path)
    repair = f"Correct {path}, or move it away to go on with the defaults."
    return SettingsFile(path=path, text=text, settings=parse_settings(text or "", repair))


def _read(path: Path) -> str | None:
    try:
        return read_text(path, MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(
            f"The settings can't be read: {reason(error)}.", f"Look at {path} with an editor."
        ) from error


def _tree(text: str) -> dict[str, Any]:
    """What the text says; a table with nothing in it says nothing."""
    return {name: table for name, table in tomllib.loads(text).items() if table != {}}


def _changed(tree: dict[str, Any], setting: Setting, value: SettingValue) -> dict[str, Any]:
    section = dict(tree.get(setting.section, {}))
    section.pop(setting.name, None)
    if value is not None:
        section[setting.name] = _written(value)
    made = {name: table for name, table in tree.items() if name != setting.section}
    return made | ({setting.section: section} if section else {})


def _written(value: SettingValue) -> Any:
    """A value as TOML has it."""
    return list(value) if isinstance(value, tuple) else value


def _edited(text: str, setting: Setting, value: SettingValue) -> str:
    # Needed only where something is changed.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        if value is None:
            _take_out(document, setting)
        elif setting.section not in document:
            _add_section(document, setting, value)
        else:
            section: Any = document[setting.section]
            section[setting.name] = _written(value)
        return str(tomlkit.dumps(document))
    except (
        TOMLKitError, ValueError, TypeError, AttributeError, LookupError, RecursionError,
    ):  # fmt: skip
        # What the library can't edit is noticed by the caller: nothing was changed.
        return text


def _take_out(document: TOMLDocument, setting: Setting) -> None:
    section: Any = document.get(setting.section)
    if section is not None and setting.name in section:
        del section[setting.name]


def _add_section(document: TOMLDocument, setting: Setting, value: SettingValue) -> None:
    import tomlkit

    table = tomlkit.table()
    table[setting.name] = _written(value)
    if document.as_string().strip():
        document.add(tomlkit.nl())
    document[setting.section] = table
