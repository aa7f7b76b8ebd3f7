"""The command palette: every action that a key could start here, and places to go.

The actions are read off the bindings of the screen below and of what has the focus there, so
a new key is in the palette without being listed again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

from textual import on
from textual.app import SystemCommand
from textual.command import Command, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import Screen
from textual.widgets import OptionList

from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import shown

_NOT_LISTED = ("app.commands",)


class Offer(NamedTuple):
    """One line of the palette: its name, a quiet word beside it, and what it does."""

    name: str
    beside: str
    run: Callable[[], Any]
    searched_only: bool = False

    def line(self, name: Content | None = None) -> Content:
        """The line as it is drawn; `name` has the matching letters marked."""
        drawn = Content(self.name) if name is None else name
        return Content.assemble(drawn, (f"  {self.beside}", "not bold $secondary"))


class FindsCommands(Protocol):
    """An application that knows more to offer than its bindings."""

    async def find_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What has to be looked up when the palette opens."""


class Commands(Provider):
    """A provider of commands: those of the screen first, of the focused widget, then the rest."""

    async def startup(self) -> None:
        """Begin to look up what is offered; every search waits for it.

        A letter that is typed cancels the search of the letter before, and Textual would cancel
        with it what that one waits for, this coroutine too: nothing would be found any more.
        """
        self._looking_up = asyncio.create_task(self._look_up())

    async def shutdown(self) -> None:
        """Look nothing up for a palette that is gone."""
        self._looking_up.cancel()

    async def _look_up(self) -> list[Offer]:
        """The actions of the bindings, then what else there is."""
        offers = [*self._actions(), *_offers(self.app.get_system_commands(self._below))]
        more = await cast(FindsCommands, self.app).find_commands(self._below)
        return [*offers, *_offers(more)]

    async def discover(self) -> Hits:
        """All that can be shown without a search."""
        for offer in await asyncio.shield(self._looking_up):
            if not offer.searched_only:
                yield DiscoveryHit(cast(Any, offer.line()), offer.run, text=offer.name)

    async def search(self, query: str) -> Hits:
        """What has the letters of `query` in this order."""
        matcher = self.matcher(query)
        for offer in await asyncio.shield(self._looking_up):
            score = matcher.match(offer.name)
            if score > 0:
                line = offer.line(_marked(matcher, offer.name))
                yield Hit(score, cast(Any, line), offer.run, text=offer.name)

    def _actions(self) -> Iterator[Offer]:
        """An offer for each binding with an id, with the keys that it has at present."""
        keys: dict[str, list[str]] = {}
        found = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.id or not binding.description or not active.enabled:
                continue
            if binding.id not in _NOT_LISTED:
                keys.setdefault(binding.id, []).append(shown(binding.key))
                found[binding.id] = active
        rank = {node: number for number, node in enumerate((self.screen, self.app))}
        names: set[str] = set()
        for active in sorted(found.values(), key=lambda one: rank.get(one.node, len(rank))):
            binding = active.binding
            name = binding.description
            if name in names:
                # The widget's key for what the screen has a key for as well.
                continue
            names.add(name)
            yield Offer(
                name,
                ", ".join(keys[binding.id or ""]),
                partial(self.app.run_action, binding.action, active.node),
            )

    @property
    def _below(self) -> Screen[Any]:
        return cast("Screen[Any]", self.screen)


def _offers(commands: Iterable[SystemCommand]) -> list[Offer]:
    return [
        Offer(
            sanitize_line(command.title),
            sanitize_line(command.help),
            command.callback,
            not command.discover,
        )
        for command in commands
    ]


def _marked(matcher: Matcher, name: str) -> Content:
    """The name with its matching letters marked; Textual's own way takes it for markup."""
    _, places = matcher.fuzzy_search.match(matcher.query, name)
    marked = Content(name)
    for place in places:
        if not name[place].isspace():
            marked = marked.stylize(matcher.match_style, place, place + 1)
    return marked


class ThemePalette(CommandPalette):
    """A palette of themes with a preview: the one under the bar is shown, and stays if taken.

    Args:
        keep: Takes the name of the chosen theme.
    """

    def __init__(self, keep: Callable[[str], object]) -> None:
        self._keep = keep
        self._before = ""
        super().__init__(
            providers=[_Themes], placeholder=f"A theme: Enter keeps it, {shown('escape')} does not"
        )

    def on_mount(self) -> None:
        """Remember what Esc goes back to."""
        self._before = self.app.theme

    @on(OptionList.OptionHighlighted)
    def show_theme(self, event: OptionList.OptionHighlighted) -> None:
        """Show the theme under the bar."""
        if isinstance(event.option, Command) and event.option.hit.text:
            self.app.theme = event.option.hit.text

    @on(OptionList.OptionSelected)
    def keep_theme(self, event: OptionList.OptionSelected) -> None:
        """Keep the theme that is chosen."""
        if isinstance(event.option, Command) and event.option.hit.text:
            self._before = event.option.hit.text
            self._keep(self._before)

    def on_unmount(self) -> None:
        """Back to the theme that was chosen, now or before."""
        self.app.theme = self._before


class _Themes(Provider):
    """A provider of the names of the themes; the one in use comes first."""

    async def discover(self) -> Hits:
        """All of them."""
        for name in self._names():
            yield DiscoveryHit(cast(Any, Content(name)), _nothing, text=name)

    async def search(self, query: str) -> Hits:
        """Those with the letters of `query`."""
        matcher = self.matcher(query)
        for name in self._names():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, cast(Any, _marked(matcher, name)), _nothing, text=name)

    def _names(self) -> list[str]:
        return sorted(self.app.available_themes, key=lambda name: (name != self.app.theme, name))


def _nothing() -> None:
    """A null callback: the palette itself keeps the theme that is chosen."""
