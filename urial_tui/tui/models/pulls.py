"""Starting and stopping downloads from the list; what of a model is asked first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.models.pullable import Pullable, pullable_of_address, pullable_of_listed
from urial_tui.tui.frame.messages import PullRequested
from urial_tui.tui.models.address_screen import AddressScreen
from urial_tui.tui.models.downloads import Downloads
from urial_tui.tui.models.model_list import ModelList
from urial_tui.tui.models.pull_screen import PullScreen
from urial_tui.tui.models.scan import Scan
from urial_tui.tui.widgets.list_view import ListView


class Pulls:
    """Begins and stops downloads.

    Args:
        view: Has the bar.
        scan: Has partners and base models.
        downloads: The application's.
        options: Of the engine.
        devices: What the engine computes on.
    """

    def __init__(
        self,
        view: ListView[ModelList],
        scan: Scan,
        downloads: Downloads,
        options: EngineOptions,
        devices: Callable[[], Sequence[Device] | None],
    ) -> None:
        self._view = view
        self._scan = scan
        self._downloads = downloads
        self._options = options
        self._devices = devices

    def choose(self) -> None:
        """Choose what of the model under the bar is downloaded; go on where it was interrupted."""
        self._view.work_alone("dialog", self._choose)

    def ask_address(self) -> None:
        """Download what is in no list."""
        self._view.work_alone("dialog", self._ask_address)

    def begin(self, names: Sequence[str]) -> None:
        """Have the application download these."""
        self._view.say("")
        self._view.listed.seek(names[0])
        self._view.screen.post_message(PullRequested(names))

    def stop(self) -> None:
        """Stop the download under the bar, else the one that goes on."""
        row = self._view.listed.row
        states = [state for state in self._downloads.states if state.is_open]
        under = [state for state in states if row is not None and state.name == row.name]
        for state in (under or states)[:1]:
            self._downloads.stop(state.name)
            self._view.say(f"The download of {state.name} stops; what came is kept.")
        if not states:
            self._view.say("Nothing is being downloaded.")

    async def _choose(self) -> None:
        row = self._view.listed.row
        if row is None:
            return
        listed = row.listed
        if listed.is_here and listed.entry is None:
            self._view.say(f"{row.name} is here already.")
            return
        if row.is_coming or listed.state == "unfinished":
            self.begin([row.name])
            return
        if listed.entry is not None and listed.entry.base:
            base = listed.entry.base
            found = self._scan.named(base) or listed
            if found.is_here:
                self._view.say(f"{row.name} is here: it is {base} with an adapter.")
                return
            listed = found
        partner = self._scan.named(listed.partner)
        await self._begin_chosen(
            await self._view.in_thread(
                lambda: pullable_of_listed(listed, partner, self._options, self._devices())
            )
        )

    async def _ask_address(self) -> None:
        downloads = self._downloads

        def keep(typed: str) -> None:
            downloads.draft = typed

        address = await self._view.chosen_on(AddressScreen(downloads.draft, keep))
        if address is None:
            return
        # It may still be refused, or not be what was meant.
        keep(address)
        found = await self._view.in_thread(
            lambda: pullable_of_address(address, self._options, self._devices())
        )
        if isinstance(found, str):
            self.begin([found])
            begun = True
        else:
            begun = await self._begin_chosen(found)
        if begun:
            keep("")

    async def _begin_chosen(self, pullable: Pullable | None) -> bool:
        """Have it chosen what of it is downloaded; whether something is."""
        names = None if pullable is None else await self._view.chosen_on(PullScreen(pullable))
        if names:
            self.begin(names)
        return bool(names)
