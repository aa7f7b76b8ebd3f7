"""Changing a preamble: its system text, its examples and their order, its format and its rules.

What is changed is kept as a draft from the first key on, and becomes a file of the user's own when
it is saved; one that comes with the program is copied. What it costs and what is found in it is
told while it is changed, by the model that is loaded at that time.
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import OptionList, Static, TextArea

from urial_tui.errors import PreambleError, UsageError
from urial_tui.files import is_there
from urial_tui.prompting.check import Finding, by_severity
from urial_tui.prompting.edited import EditedPreamble
from urial_tui.prompting.own_preambles import free_name, own_path, save_own
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import PreambleEntry, read_preamble
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.prompts.laboratory import Cost, Laboratory
from urial_tui.tui.prompts.part_list import PartList
from urial_tui.tui.prompts.part_texts import part_texts, write_part
from urial_tui.tui.prompts.preamble_words import cost_in_short, counted, finding_lines
from urial_tui.tui.prompts.reaching_screen import ReachingScreen
from urial_tui.tui.prompts.save_screen import SaveScreen
from urial_tui.tui.prompts.text_field import TextField
from urial_tui.tui.prompts.versions_screen import VersionsScreen
from urial_tui.tui.widgets.hint_line import HintLine

COUNTED_AFTER = 0.3
"""Seconds without a change before it is counted."""
WATCHED_EVERY = 0.5
"""Seconds between two looks at which model is loaded."""
NARROW = 100
"""Columns below which the parts stand above the text."""
LOW = 24
"""Rows below which little of what was found is in view."""


class EditScreen(Screen[str | None]):
    """Ends with the name of what was saved last, or None.

    Args:
        laboratory: Counts, and keeps what is not saved.
        entry: The preamble's file as it was found.
        preamble: What is in it, or what was made of that before.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "prompts.tcss"]
    AUTO_FOCUS = "PartList"
    BINDING_GROUP_TITLE = "Change a preamble"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back to the texts' list; back", id="edit.back"),
        Binding("ctrl+s", "save", "Save as your own", priority=True, id="edit.save"),
        Binding("f2", "add", "Add an example behind this one", id="edit.add"),
        Binding("f3", "delete", "Delete this example", id="edit.delete"),
        Binding("alt+u", "bring_back", "Bring the deleted example back", id="edit.bring_back"),
        Binding("alt+up", "move(-1)", "Put this example further up", id="edit.move_up"),
        Binding("alt+down", "move(1)", "Put this example further down", id="edit.move_down"),
        Binding("f4", "tokens", "What reaches the model", id="edit.tokens"),
        Binding("f5", "try", "Try it against what is saved", id="edit.try"),
        Binding("f8", "discard", "Back to what is saved", id="edit.discard"),
    ]

    def __init__(self, laboratory: Laboratory, entry: PreambleEntry, preamble: Preamble) -> None:
        super().__init__()
        self.laboratory = laboratory
        self.edited = EditedPreamble(preamble)
        self._entry = entry
        self._drafted_as = entry.name
        """Under which what is not saved is kept."""
        self._saved_as: str | None = None
        self._leaving = False
        self._shown = -1
        """The row of the part that is in the fields; 0 for the system text, -1 for none."""
        self._put = ("", "")
        """What was put there, or seen there last."""
        self._findings: tuple[Finding, ...] = ()
        self._cost: Cost | None = None
        self._seen: object | None = None
        self._due: Timer | None = None

    def compose(self) -> ComposeResult:
        """From the top: what it is, the parts, the text of one, what was found, the keys."""
        yield Static(id="edit-heading", classes="prompts-heading", markup=False)
        with Container(id="edit-body"):
            yield PartList(id="edit-parts")
            with Container(id="edit-texts"):
                yield Static("System text", id="edit-first-title", classes="edit-title")
                yield TextField(placeholder="What the model is told first", id="edit-first")
                yield Static("Answer", id="edit-second-title", classes="edit-title")
                yield TextField(placeholder="A good answer to it", id="edit-second")
        yield VerticalScroll(Static(id="edit-findings", markup=False), id="edit-findings-pane")
        yield Static(id="edit-notice", classes="prompts-notice", markup=False)
        yield HintLine(id="edit-hints")

    def on_mount(self) -> None:
        """Show the system text, and have it counted."""
        self.say("")
        if self.edited.preamble.trimmed() != self._entry.preamble:
            key = key_name(self, "edit.discard")
            self.say(f"This goes on with what was not saved; {key} goes back to what is.")
        self._show_parts(0)
        self._show_part()
        self._count()
        self.set_interval(WATCHED_EVERY, self._watch_model)

    @property
    def parts(self) -> PartList:
        """The rows."""
        return self.query_one(PartList)

    @property
    def changed(self) -> bool:
        """Whether there is something that is not saved."""
        return self.edited.result != self._entry.preamble

    # -- the user -----------------------------------------------------------------------

    @on(OptionList.OptionHighlighted)
    def show_part(self) -> None:
        """Another part can be changed."""
        self._show_part()

    @on(OptionList.OptionSelected)
    def enter_part(self) -> None:
        """Go into its text."""
        self.query_one("#edit-first", TextField).focus()

    @on(TextArea.Changed)
    def take_text(self, event: TextArea.Changed) -> None:
        """Something was typed."""
        texts = self._texts()
        # What is put into the fields is told of here, too, and perhaps late.
        if texts == self._put or self._shown < 0:
            return
        self._put = texts
        try:
            write_part(self.edited, self._shown, *texts)
        except PreambleError as error:
            self.say(f"✖ {error}")
            return
        self._changed()

    def action_add(self) -> None:
        """Add an example behind the one that is shown, and go into it."""
        place = self.parts.example
        count = len(self.edited.preamble.examples)
        there = place + 1 if place is not None else count if self.parts.row else 0
        self.edited.add(there)
        self._rearranged(there + 1)
        self.query_one("#edit-first", TextField).focus()

    def action_delete(self) -> None:
        """Delete the example that is shown."""
        place = self.parts.example
        if place is None:
            self.say("Only examples can be deleted; other texts can be emptied.")
            return
        self.edited.delete(place)
        key = key_name(self, "edit.bring_back")
        self._rearranged(min(place + 1, len(self.edited.preamble.examples)))
        self.say(f"Example {place + 1} is deleted; {key} brings it back.")

    def action_bring_back(self) -> None:
        """Bring back what was deleted last."""
        place = self.edited.bring_back()
        if place is None:
            self.say("No example was deleted.")
        else:
            self._rearranged(place + 1)

    def action_move(self, by: int) -> None:
        """Put the example elsewhere."""
        place = self.parts.example
        if place is not None:
            self._rearranged(self.edited.move(place, by) + 1)

    def action_tokens(self) -> None:
        """Look at what reaches the model of it as it is now."""
        self.app.push_screen(ReachingScreen(self.laboratory, self.edited.result))

    def action_try(self) -> None:
        """Ask a question under what is saved and under what was made of it."""
        saved, name = self._entry.preamble, self._drafted_as
        if saved is None or not self.changed:
            self.say("It is as it was saved: there is nothing to compare.")
            return
        pair = ((f"{name}, as saved", saved), (f"{name}, as changed", self.edited.result))
        screen = VersionsScreen(self.laboratory.versions, pair)
        screen.drafts = self.laboratory.drafts
        self.app.push_screen(screen)

    def action_discard(self) -> None:
        """Take what is in the file."""
        saved = self._entry.preamble
        if saved is None:
            self.say("There is no file to go back to.")
        elif self.changed:
            self.edited = EditedPreamble(saved)
            self.laboratory.forget_draft(self._drafted_as)
            self._rearranged(0)
            self.laboratory.forget_draft(self._drafted_as)
            self.say("It is as it was saved.")

    @work(exclusive=True, group="save")
    async def action_save(self) -> None:
        """Keep it as the user's own."""
        entry, preamble = self._entry, self.edited.result
        if entry.origin == "shipped":
            preamble = msgspec.structs.replace(preamble, name=free_name(self._drafted_as))
        saved = await self.app.push_screen_wait(
            SaveScreen(preamble, lambda named, confirmed: _save(named, entry, confirmed))
        )
        if saved is None or not has_widgets(self):
            return
        self.laboratory.forget_draft(self._drafted_as)
        self._drafted_as = self._saved_as = saved.name
        self._entry = PreambleEntry(
            name=saved.name, path=own_path(saved.name), origin="user", preamble=saved
        )
        self.edited.call(saved.name, saved.title, saved.description)
        self.say(f"{saved.name} is saved among your preambles.")
        self._tell()

    def action_back(self) -> None:
        """Out of a text to the parts, from there back."""
        if not self.parts.has_focus:
            self.parts.focus()
        elif self.changed and not self.laboratory.keeps_drafts and not self._leaving:
            self._leaving = True
            back, save = key_name(self, "edit.back"), key_name(self, "edit.save")
            self.say(f"It is not saved, and nothing is kept here: {save} saves, {back} leaves.")
        else:
            self.dismiss(self._saved_as)

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        self.set_class(event.size.width < NARROW, "-narrow")
        self.set_class(event.size.height < LOW, "-low")
        self._tell()

    # -- what is changed ----------------------------------------------------------------

    def _changed(self) -> None:
        """Keep it, and have it counted once nothing more is typed."""
        self._leaving = False
        self.say("")
        if self.changed:
            self.laboratory.keep_draft(self._drafted_as, self.edited.preamble)
        else:
            self.laboratory.forget_draft(self._drafted_as)
        if self._due is not None:
            self._due.stop()
        self._due = self.set_timer(COUNTED_AFTER, self._count)
        self._tell()

    def _rearranged(self, part: int) -> None:
        """There are other parts; this one is shown."""
        self._shown = -1
        self._show_parts(part)
        self._show_part()
        self._changed()

    @work(exclusive=True, group="count")
    async def _count(self) -> None:
        """What it costs now, and what is found in it."""
        preamble = self.edited.result
        self._seen = self.laboratory.model
        self._findings = await self.laboratory.check(preamble, Path(f"{preamble.name}.toml"))
        if not has_widgets(self):
            return
        self._tell()
        cost = await self.laboratory.cost(preamble)
        if has_widgets(self):
            self._cost = cost
            self._tell()

    def _watch_model(self) -> None:
        if self.laboratory.model is not self._seen:
            self._cost = None
            self._count()

    # -- what is shown ------------------------------------------------------------------

    def _texts(self) -> tuple[str, str]:
        """What stands in the fields."""
        first, second = (self.query_one(f"#edit-{n}", TextField) for n in ("first", "second"))
        return first.full_text, second.full_text

    def _show_parts(self, part: int) -> None:
        conspicuous = {finding.example or 0 for finding in self._all_findings()}
        self.parts.show(self.edited.preamble, conspicuous, part)

    def _show_part(self) -> None:
        """Put the texts of the part under the bar into the fields."""
        first, second = (self.query_one(f"#edit-{n}", TextField) for n in ("first", "second"))
        shown = part_texts(self.edited.preamble, self.parts.row)
        second.display = self.query_one("#edit-second-title").display = bool(shown.second_title)
        self.query_one("#edit-first-title", Static).update(shown.first_title)
        self.query_one("#edit-second-title", Static).update(shown.second_title)
        if self._shown != self.parts.row:
            self._shown = self.parts.row
            first.show(shown.first)
            second.show(shown.second)
            self._put = self._texts()
        self._tell()

    def say(self, notice: str) -> None:
        """A sentence above the keys."""
        line = self.query_one("#edit-notice", Static)
        line.update(Content(sanitize_line(notice)))
        line.display = bool(notice)

    def _all_findings(self) -> list[Finding]:
        of_model = () if self._cost is None else self._cost.findings
        return by_severity([*self._findings, *of_model])

    def _tell(self) -> None:
        """Tell what it costs, what was found, and which keys do something."""
        preamble = self.edited.preamble
        model = "" if self.laboratory.model is None else self.laboratory.called
        findings = self._all_findings()
        saved = ("not saved", "bold $warning") if self.changed else ("saved", "$quiet")
        title = Content.assemble(
            (sanitize_line(self._drafted_as), "bold $primary"),
            "  ",
            saved,
            (f"  {preamble.method} · {cost_in_short(self._cost, model)}", "$quiet"),
        )
        width = max(1, self.size.width - 2)
        self.query_one("#edit-heading", Static).update(title.truncate(width, ellipsis=True))
        lines = [Content.styled(counted(findings).capitalize(), "$quiet"), *finding_lines(findings)]
        self.query_one("#edit-findings", Static).update(Content("\n").join(lines))
        self._show_parts(self.parts.highlighted or 0)
        keys = [("save", "save"), ("add", "add"), ("tokens", "tokens"), ("back", "back")]
        if self.changed:
            keys.insert(3, ("try", "try"))
        if self.parts.example is not None:
            keys.insert(2, ("delete", "delete"))
        self.query_one(HintLine).keys = (
            *((key_name(self, f"edit.{name}"), what) for name, what in keys),
            (key_name(self, "app.keys"), "keys"),
        )


def _save(named: Preamble, entry: PreambleEntry, confirmed: bool) -> Preamble:
    """Keep a preamble; `entry`: where it comes from. Raises as `save_own`."""
    own = entry.origin == "user" and named.name == entry.name
    try:
        return save_own(named, replace=confirmed or (own and _is_as_it_was(entry)))
    except UsageError as error:
        if own:
            raise UsageError(f"{entry.name} has changed on the disk since.") from error
        raise


def _is_as_it_was(entry: PreambleEntry) -> bool:
    """Whether a file still holds what was read from it."""
    try:
        return read_preamble(entry.path) == entry.preamble
    except PreambleError:
        return not is_there(entry.path)
