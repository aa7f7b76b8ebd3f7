"""The dialog before a download: which quantisation, and whether the partner comes along.

What the catalogue means is there at once; what else its repository has is asked for meanwhile, and
the one that suits this machine is under the bar.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import PurePath
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from urial_tui import wording
from urial_tui.errors import UrialError
from urial_tui.mistakes import explaining
from urial_tui.models.pullable import Pullable
from urial_tui.models.quantisations import Quantisation, suiting
from urial_tui.sanitize import sanitize_line, shortened
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.models.asking import asked
from urial_tui.tui.models.model_list import FIT_SIGNS
from urial_tui.tui.widgets.dialog import DialogKeys, DialogTitle


class PullScreen(ModalScreen[tuple[str, ...] | None]):
    """A dialog dismissed with the names that are to be downloaded, or None.

    Args:
        pullable: What there is.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "models.tcss"]
    AUTO_FOCUS = "#pull-list"
    BINDING_GROUP_TITLE = "Download a model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "partner", "With its partner, or without", id="pull.partner"),
        Binding("escape", "dismiss(None)", "Back", id="pull.back"),
    ]

    def __init__(self, pullable: Pullable) -> None:
        super().__init__()
        self._pullable = pullable
        self._found: tuple[Quantisation, ...] = pullable.known
        self._with_partner = False
        self._moved = False
        self._ended = threading.Event()

    def compose(self) -> ComposeResult:
        """A title, the quantisations, the partner, what is known, the keys."""
        with Vertical(classes="dialog", id="pull-model"):
            yield DialogTitle("Download ", shortened(sanitize_line(self._pullable.title), 60))
            yield OptionList(id="pull-list", markup=False)
            yield Static(id="pull-asking", markup=False)
            yield Static(id="pull-partner", markup=False)
            yield Static(id="pull-detail", markup=False)
            yield DialogKeys("{pull.back} back")

    def on_mount(self) -> None:
        """Show what is known, and ask for the rest."""
        self._show(self._found)
        self._show_partner()
        self._say("")
        self._ask()

    def on_unmount(self) -> None:
        """Ask no more."""
        self._ended.set()

    @property
    def found(self) -> tuple[Quantisation, ...]:
        """What there is to choose from, by now."""
        return self._found

    @work(group="ask")
    async def _ask(self) -> None:
        self._say(f"Asking for what {'else ' if self._found else ''}there is …")
        try:
            with explaining():
                found = tuple(await asked(lambda: self._pullable.find(self._ended)))
        except UrialError as error:
            if has_widgets(self):
                self._say(f"✖ {error}", "$error")
            return
        if not has_widgets(self):
            return
        self._say("" if found else "The repository has no model file.")
        if found:
            self._show(found)

    def _show(self, found: tuple[Quantisation, ...]) -> None:
        listed = self.query_one("#pull-list", OptionList)
        place, before = listed.highlighted, self._found
        name = before[place].name if place is not None and place < len(before) else ""
        self._found = found
        listed.clear_options()
        suits = self._suits(found)
        listed.add_options([Option(self._row(one, at == suits)) for at, one in enumerate(found)])
        names = [one.name for one in found]
        if found:
            listed.highlighted = names.index(name) if self._moved and name in names else suits
        self._tell()
        self._show_keys()

    def _show_keys(self) -> None:
        """The keys that do something with what there is by now."""
        keys = ["Enter downloads it"] if self._found else []
        if self._found and self._can_have_partner:
            keys.append("{pull.partner} its partner")
        self.query_one(DialogKeys).tell(" · ".join([*keys, "{pull.back} back"]))

    def _suits(self, found: Sequence[Quantisation]) -> int:
        wanted = self._pullable.wanted.lower()
        for place, one in enumerate(found):
            if wanted and one.quantisation.lower() == wanted:
                return place
        return suiting(found, self._pullable.fit)

    def _row(self, one: Quantisation, suits: bool) -> Content:
        fit = self._pullable.fit(one) if one.size else None
        speed = self._pullable.speed(one) if one.size else None
        sign, colour = FIT_SIGNS[fit.verdict] if fit else (" ", "")
        words = f"{fit.verdict:<9} {fit.figure:>8}" if fit else ""
        fast = f"~{wording.rate(speed.empty)}" if speed else ""
        quantisation = shortened(sanitize_line(one.quantisation), 14)
        return Content.assemble(
            ("» " if suits else "  ", "$primary"),
            f"{quantisation:<14} {wording.size(one.size) if one.size else '':>8}  ",
            (f"{sign} ", colour or "$foreground"),
            (f"{words:<18}  {fast}", "$quiet"),
        )

    @on(OptionList.OptionHighlighted)
    def show_detail(self, event: OptionList.OptionHighlighted) -> None:
        """Tell of what is under the bar."""
        event.stop()
        self._tell()

    def on_key(self) -> None:
        """Who moved the bar wants it to stay there."""
        self._moved = True

    @on(OptionList.OptionSelected)
    def take(self, event: OptionList.OptionSelected) -> None:
        """End with it, and with the partner."""
        event.stop()
        partner = self._pullable.partner
        also = (partner.name,) if self._with_partner and partner is not None else ()
        self.dismiss((self._found[event.option_index].name, *also))

    @property
    def _can_have_partner(self) -> bool:
        partner = self._pullable.partner
        return partner is not None and not partner.is_here

    def action_partner(self) -> None:
        """Have the partner come along, or not."""
        if self._can_have_partner:
            self._with_partner = not self._with_partner
            self._show_partner()
            self._tell()

    def _show_partner(self) -> None:
        partner = self._pullable.partner
        line = self.query_one("#pull-partner", Static)
        line.display = partner is not None
        if partner is None:
            return
        name = sanitize_line(partner.name)
        if partner.is_here:
            line.update(Content.styled(f"Its partner {name} is here already.", "$quiet"))
            return
        size = f", {wording.size(partner.size)}" if partner.size else ""
        line.update(
            Content.assemble(
                ("[x] " if self._with_partner else "[ ] ", "bold $primary"),
                f"and its partner {name}{size}, to compare them",
            )
        )

    def _tell(self) -> None:
        place, lines = self.query_one("#pull-list", OptionList).highlighted, []
        pullable = self._pullable
        if place is not None and place < len(self._found):
            one = self._found[place]
            suited = "is what was asked for" if pullable.wanted else "suits this machine"
            suits = place == self._suits(self._found)
            lines.append(f"{sanitize_line(one.file)}{f' {suited}.' if suits else ''}")
            total = one.size
            if self._with_partner and pullable.partner is not None:
                total += pullable.partner.size
            free = pullable.free
            room = "" if free is None else f", where {wording.size(free)} are free"
            lines.append(f"To {sanitize_line(str(pullable.directory))}{room}.")
            if free is not None and total > free:
                lines.append(f"▲ There is too little room for {wording.size(total)}.")
        if pullable.licence:
            lines.append(f"Licence: {sanitize_line(pullable.licence)}")
        self.query_one("#pull-detail", Static).update(Content.styled("\n".join(lines), "$quiet"))

    def _say(self, words: str, style: str = "$quiet") -> None:
        line = self.query_one("#pull-asking", Static)
        line.update(Content.styled(sanitize_line(words), style))
        line.display = bool(words)
