"""Which key does what: the bindings of the screens and widgets, and the user's own keys.

Every binding has an id, such as "chat.regenerate". The settings' table `[keys]` gives ids
other keys; those replace the ones that are bound by default. A table that names an unknown
id, no key, or a key that is taken is refused as a whole.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from textual.app import App
from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.keys import REPLACED_KEYS, Keys, key_to_character
from textual.screen import Screen

from urial_tui import paths
from urial_tui.errors import SettingsError
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.private_names import keymap_of

_PACKAGE = "urial_tui.tui"
_MODIFIERS = ("ctrl", "alt", "shift", "super", "hyper", "meta")
_NAMED = {key.value for key in Keys if "+" not in key.value and not key.value.startswith("<")}
_WRITTEN = {"esc": "escape", "return": "enter", "del": "delete", "ins": "insert"}
_SHOWN = {
    "escape": "Esc",
    "delete": "Del",
    "pageup": "Page Up",
    "pagedown": "Page Down",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
}
_NEARLY_ALWAYS = "Prompt"
"""Has the focus most of the time, so its keys are taken for the screens below it."""


class Bound(NamedTuple):
    """A binding as it is declared.

    `keys` are Textual's names ("ctrl+g", "question_mark"); `group` is what the help calls
    the place; `owner` is the class that declares it.
    """

    id: str
    keys: tuple[str, ...]
    what: str
    priority: bool
    group: str
    owner: type[DOMNode]


def bindings() -> list[Bound]:
    """All bindings of this program's screens and widgets, by their ids' order of declaration.

    Imports every screen: fine for documents, tests and keys of the user's own.
    """
    package = importlib.import_module(_PACKAGE)
    for module in pkgutil.walk_packages(package.__path__, f"{_PACKAGE}."):
        importlib.import_module(module.name)
    return [
        Bound(
            id=binding.id or "",
            keys=tuple(key for key, _ in BindingsMap([binding])),
            what=binding.description,
            priority=binding.priority,
            group=owner.BINDING_GROUP_TITLE or owner.__name__,
            owner=owner,
        )
        for owner in _owners()
        for binding in owner.__dict__.get("BINDINGS", ())
        if isinstance(binding, Binding)
    ]


def _owners(root: type[DOMNode] = DOMNode) -> Iterator[type[DOMNode]]:
    """The classes of this program that can declare bindings, each once."""
    found: dict[type[DOMNode], None] = {}
    for child in root.__subclasses__():
        if child.__module__.startswith(f"{_PACKAGE}."):
            found[child] = None
        found.update(dict.fromkeys(_owners(child)))
    yield from sorted(found, key=lambda owner: (owner.__module__, owner.__qualname__))


ENTER_KEYS: Mapping[str, Mapping[str, str]] = {
    "send": {},
    "newline": {
        "prompt.submit": "ctrl+j,alt+enter,ctrl+enter",
        "prompt.newline": "enter,shift+enter",
    },
}
"""By what Enter does (`chat.enter`): the keys that differ from those declared.

Ctrl+J is the key that is told from Enter everywhere, in tmux and over SSH as well.
"""


def keymap(chosen: Mapping[str, str], usual: Mapping[str, str] | None = None) -> dict[str, str]:
    """The user's keys as Textual takes them.

    Args:
        chosen: Keys, separated by commas, for ids of bindings.
        usual: Keys that an action has where none are chosen, if not those declared.

    Raises:
        SettingsError: An id is unknown, a key is none, or two actions would have one key.
    """
    usual = usual or {}
    if not chosen:
        return dict(usual)
    declared = [
        bound._replace(keys=tuple(usual[bound.id].split(","))) if bound.id in usual else bound
        for bound in bindings()
    ]
    while_typing = {bound.id: bound.priority for bound in declared}
    made: dict[str, tuple[str, ...]] = {}
    for name, written in chosen.items():
        if name not in while_typing:
            raise _error(f"The key {_quoted(name)} in [keys] names no action.")
        made[name] = tuple(_parse(name, part) for part in written.split(","))
        for key in made[name]:
            character = _character(key)
            if while_typing[name] and character is not None and character.isprintable():
                raise _error(
                    f"The setting keys.{name} can't be {_quoted(written)}: "
                    "this action's key has to work while you type, so it can't be a character."
                )
    _check_clashes(declared, made)
    return {**usual, **{name: ",".join(keys) for name, keys in made.items()}}


def _parse(name: str, written: str) -> str:
    """One key under Textual's name for it."""
    text = written.strip()
    before, last = (text[:-1], "+") if text.endswith("+") else text.rpartition("+")[::2]
    modifiers = [part.strip().lower() for part in before.split("+") if part]
    last = last.strip()
    if known := len(last) == 1:
        (last,) = BindingsMap([Binding(last.lower() if modifiers else last, "")]).key_to_bindings
    else:
        last = _WRITTEN.get(last.lower(), last.lower().replace(" ", ""))
        known = last in _NAMED or _character(last) is not None
    if not known or not set(modifiers) <= set(_MODIFIERS):
        raise _error(f"The setting keys.{name} holds {_quoted(text)}, which is no key.")
    return "+".join([*(one for one in _MODIFIERS if one in modifiers), last])


def _character(key: str) -> str | None:
    """The character that a key types, if it does."""
    return key_to_character(REPLACED_KEYS.get(key, key))


def _check_clashes(declared: list[Bound], made: Mapping[str, tuple[str, ...]]) -> None:
    """Two actions that are there at the same time can't have one key, if the user gave it."""
    for one in declared:
        for key in made.get(one.id, ()):
            for other in declared:
                if other.id == one.id or key not in made.get(other.id, other.keys):
                    continue
                if _together(one.owner, other.owner):
                    raise _error(
                        f"The setting keys.{one.id} is {_quoted(shown(key))}, "
                        f"which is the key of {other.id} as well."
                    )


def _together(one: type[DOMNode], other: type[DOMNode]) -> bool:
    if issubclass(one, other) or issubclass(other, one):
        return True
    if issubclass(one, App) or issubclass(other, App):
        return True
    classes = {one.__name__: other, other.__name__: one}
    beside_prompt = classes.get(_NEARLY_ALWAYS)
    return beside_prompt is not None and issubclass(beside_prompt, Screen)


def _quoted(text: str) -> str:
    return repr(sanitize_line(text))


def _error(message: str) -> SettingsError:
    return SettingsError(
        message, f"Correct [keys] in {paths.settings_file()}; docs/keys.md lists the actions."
    )


def keys_of(node: DOMNode, binding_id: str) -> tuple[str, ...]:
    """The keys that a binding of `node` has at present, under Textual's names."""
    mapped = keymap_of(node.app).get(binding_id)
    if mapped:
        return tuple(mapped.split(","))
    return tuple(
        key
        for owner in type(node).__mro__
        for key, binding in BindingsMap(owner.__dict__.get("BINDINGS", ()))
        if binding.id == binding_id
    )


def key_name(node: DOMNode, binding_id: str) -> str:
    """The first key that a binding has at present, for a sentence about it."""
    mapped = keymap_of(node.app).get(binding_id)
    return shown((mapped or _declared(binding_id)).split(",")[0])


@functools.cache
def _declared(binding_id: str) -> str:
    """The keys that are declared for a binding; ids are of one binding each."""
    return next(
        binding.key
        for owner in _owners()
        for binding in owner.__dict__.get("BINDINGS", ())
        if isinstance(binding, Binding) and binding.id == binding_id
    )


_NAMES = re.compile(r"\{([a-z_]+\.[a-z_]+)\}")


def keyed(node: DOMNode, text: str) -> str:
    """A sentence with the keys that bindings have at present in the place of "{chat.stop}"."""
    return _NAMES.sub(lambda found: key_name(node, found[1]), text)


def shown(key: str) -> str:
    """A key as it is printed on a keyboard: Ctrl+N, Shift+Enter, ?."""
    *modifiers, last = key.split("+")
    character = _character(last)
    if character is not None and character.isprintable() and character != " ":
        if not modifiers and character.isupper():
            modifiers = ["shift"]
        last = character
    return "+".join([*(one.capitalize() for one in modifiers), _SHOWN.get(last, last.capitalize())])
