"""The editor of a preamble: its system text, examples and their order, format and rules.

What is changed is kept as a draft from the first key on, and becomes a file of the user's own when
it is saved; one that comes with the program is copied. What it costs and what is found in it is
told while it is changed, by the model that is loaded at that time.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus, Resize
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import OptionList, Static, TextArea

from urial_tui.errors import PreambleError
from urial_tui.prompting.changed_preamble import ChangedPreamble
from urial_tui.prompting.edited import EditedPreamble
from urial_tui.prompting.part_texts import part_texts, write_part
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import PreambleEntry
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.prompts.appraisal import Appraisal
from urial_tui.tui.prompts.laboratory import Laboratory
from urial_tui.tui.prompts.part_fields import PartFields
from urial_tui.tui.prompts.part_list import PartList
from urial_tui.tui.prompts.preamble_words import cost_in_short, counted, finding_lines
from urial_tui.tui.prompts.reaching_screen import ReachingScreen
from urial_tui.tui.prompts.save_screen import SaveScreen
from urial_tui.tui.prompts.versions_screen import VersionsScreen
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.notice_line import NoticeLine

COUNTED_AFTER = 0.3
"""Seconds without a change before it is counted."""
WATCHED_EVERY = 0.5
"""Seconds between two looks at which model is loaded."""
NARROW = 100
"""Columns below which the parts stand above the text."""
LOW = 24
"""Rows below which little of what was found is in view."""


class EditScreen(Screen[str | None]):
    """A screen dismissed with the name of what was saved last, or None.

    Args:
        laboratory: Counts, and keeps what is not saved.
        entry: The preamble's file as it was found.
        preamble: What is in it, or what was made of that before.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["../frame/first_run.tcss", "prompts.tcss"]
    AUTO_FOCUS = "PartList"
    BINDING_GROUP_TITLE = "Change a preamble"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Out of a text to the list; back", id="edit.back"),
        Binding("ctrl+s", "save", "Save as your own", priority=True, id="edit.save"),
        Binding("f2", "add", "Add an example behind this one", id="edit.add"),
        Binding("f3", "delete", "Delete this example", id="edit.delete"),
        Binding("alt+u", "bring_back", "Bring back what was deleted", id="edit.bring_back"),
        Binding("alt+up", "move(-1)", "Put this example further up", id="edit.move_up"),
        Binding("alt+down", "move(1)", "Put this example further down", id="edit.move_down"),
        Binding("f4", "tokens", "What reaches the model", id="edit.tokens"),
        Binding("f5", "try", "Try it against what is saved", id="edit.try"),
        Binding("f8", "discard", "Back to what is saved", id="edit.discard"),
    ]

    def __init__(self, laboratory: Laboratory, entry: PreambleEntry, preamble: Preamble) -> None:
        super().__init__()
        self.laboratory = laboratory
        self.draft = ChangedPreamble(laboratory, entry, preamble)
        self.parts = PartList(id="edit-parts")
        self._view = ScreenView(self)
        self._appraisal = Appraisal(laboratory)
        self._appraisal.when_known = self._tell
        self._heading = Static(id="edit-heading", classes="prompts-heading", markup=False)
        self._fields = PartFields(id="edit-texts")
        self._found = Static(id="edit-findings", markup=False)
        self._notice = NoticeLine()
        self._hints = HintLine(id="edit-hints")
        self._leaving = False
        self._due: Timer | None = None

    def compose(self) -> ComposeResult:
        """From the top: what it is, the parts, the text of one, what was found, the keys."""
        yield self._heading
        yield Container(self.parts, self._fields, id="edit-body")
        yield VerticalScroll(self._found, id="edit-findings-pane")
        yield self._notice
        yield self._hints

    def on_mount(self) -> None:
        """Show the system text, and count the preamble."""
        if self.edited.preamble.trimmed() != self.draft.saved:
            key = self._view.key("edit.discard")
            self._notice.say(f"This goes on with what was not saved; {key} goes back to what is.")
        self._show_parts(0)
        self.show_part()
        self._count()
        self.set_interval(WATCHED_EVERY, self._watch_model)

    @property
    def edited(self) -> EditedPreamble:
        """The preamble as it is now."""
        return self.draft.edited

    @property
    def changed(self) -> bool:
        """Whether there is something that is not saved."""
        return self.draft.unsaved

    # -- the user -----------------------------------------------------------------------

    @on(OptionList.OptionHighlighted)
    def show_part(self) -> None:
        """Show the fields of the part under the bar."""
        self._fields.show(self.parts.row, part_texts(self.edited.preamble, self.parts.row))
        self._tell()

    @on(OptionList.OptionSelected)
    def enter_part(self) -> None:
        """Go into its text."""
        self._fields.enter()

    @on(TextArea.Changed)
    def take_text(self) -> None:
        """Apply what was typed."""
        part, texts = self._fields.part, self._fields.typed()
        if part is None or texts is None:
            return
        try:
            write_part(self.edited, part, *texts)
        except PreambleError as error:
            self._notice.say(f"✖ {error}")
            return
        self._changed()

    def action_add(self) -> None:
        """Add an example behind the one that is shown, and go into it."""
        place = self.parts.example
        count = len(self.edited.preamble.examples)
        there = place + 1 if place is not None else count if self.parts.row else 0
        self.edited.add(there)
        self._rearranged(there + 1)
        self._fields.enter()

    def action_delete(self) -> None:
        """Delete the example that is shown."""
        place = self.parts.example
        if place is None:
            self._notice.say("Only examples can be deleted; other texts can be emptied.")
            return
        self.edited.delete(place)
        key = self._view.key("edit.bring_back")
        self._rearranged(min(place + 1, len(self.edited.preamble.examples)))
        self._notice.say(f"Example {place + 1} is deleted; {key} brings it back.")

    def action_bring_back(self) -> None:
        """Bring back what was discarded, or else the example that was deleted last."""
        if self.draft.undo_discard():
            self._rearranged(0)
            return
        place = self.edited.bring_back()
        if place is None:
            self._notice.say("No example was deleted.")
        else:
            self._rearranged(place + 1)

    def action_move(self, by: int) -> None:
        """Put the example elsewhere."""
        place = self.parts.example
        if place is not None:
            self._rearranged(self.edited.move(place, by) + 1)

    def action_tokens(self) -> None:
        """Open the token view of the edited preamble."""
        self.app.push_screen(ReachingScreen(self.laboratory, self.edited.result))

    def action_try(self) -> None:
        """Open the A/B trial of the saved preamble and the edited one."""
        saved, name = self.draft.saved, self.draft.name
        if saved is None or not self.changed:
            self._notice.say("It is as it was saved: there is nothing to compare.")
            return
        pair = ((f"{name}, as saved", saved), (f"{name}, as changed", self.edited.result))
        screen = VersionsScreen(self.laboratory.versions, pair)
        screen.drafts = self.laboratory.drafts
        self.app.push_screen(screen)

    def action_discard(self) -> None:
        """Revert to what is in the file."""
        unsaved = self.changed
        if not self.draft.discard():
            self._notice.say("There is no file to go back to.")
        elif unsaved:
            self._rearranged(0)
            key = self._view.key("edit.bring_back")
            self._notice.say(f"It is as it was saved; {key} brings back what was made of it.")

    @work(exclusive=True, group="save")
    async def action_save(self) -> None:
        """Keep it as the user's own."""
        screen = SaveScreen(self.draft.proposed(), self.draft.save)
        saved = await self.app.push_screen_wait(screen)
        if saved is not None and self._view.alive:
            self.draft.go_on_with(saved)
            self._notice.say(f"{saved.name} is saved among your preambles.")
            self._tell()

    def action_back(self) -> None:
        """Out of a text to the parts, from there back."""
        if not self.parts.has_focus:
            self.parts.focus()
        elif self.changed and not self.laboratory.keeps_drafts and not self._leaving:
            self._leaving = True
            back, save = self._view.key("edit.back"), self._view.key("edit.save")
            self._notice.say(
                f"It is not saved, and nothing is kept here: {save} saves, {back} leaves."
            )
        else:
            self.dismiss(self.draft.saved_as)

    def on_resize(self, event: Resize) -> None:
        """Lay out for this size."""
        self.set_class(event.size.width < NARROW, "-narrow")
        self.set_class(event.size.height < LOW, "-low")
        self._tell()

    # -- what is changed ----------------------------------------------------------------

    def _changed(self) -> None:
        """Save it as a draft, and count it once nothing more is typed (debounce)."""
        self._leaving = False
        self._notice.say("")
        self.draft.keep()
        if self._due is not None:
            self._due.stop()
        self._due = self.set_timer(COUNTED_AFTER, self._count)
        self._tell()

    def _rearranged(self, part: int) -> None:
        """Refresh the list of parts, with this one shown."""
        self._fields.part = None
        self._show_parts(part)
        self.show_part()
        self._changed()

    def _count(self) -> None:
        """Check and count the preamble as it is now."""
        self._view.work_alone("count", self._appraisal.make, self.edited.result)

    def _watch_model(self) -> None:
        if self._appraisal.is_of_another_model():
            self._count()

    # -- what is shown ------------------------------------------------------------------

    def _show_parts(self, part: int) -> None:
        conspicuous = {finding.example or 0 for finding in self._appraisal.findings}
        self.parts.show(self.edited.preamble, conspicuous, part)

    def _tell(self) -> None:
        """Show its cost, its findings, and the keys that do something."""
        if not self._view.alive:
            return
        preamble, findings = self.edited.preamble, self._appraisal.findings
        model = "" if self.laboratory.model is None else self.laboratory.called
        cost = cost_in_short(self._appraisal.cost, model)
        title = Content.assemble(
            (sanitize_line(self.draft.name), "bold $primary"),
            "  ",
            _state(self.draft),
            (f"  {preamble.method} · {cost}", "$quiet"),
        )
        self._heading.update(title.truncate(max(1, self.size.width - 2), ellipsis=True))
        lines = [Content.styled(counted(findings).capitalize(), "$quiet"), *finding_lines(findings)]
        self._found.update(Content("\n").join(lines))
        self._show_parts(self.parts.highlighted or 0)
        self.show_keys()

    @on(DescendantFocus)
    def show_keys(self) -> None:
        """Show the keys that do something where the cursor is."""
        if not self._view.alive:
            return
        listed = self.parts.has_focus
        keys = [
            ("edit.save", "save"),
            ("enter", "write") if listed else ("tab", "next"),
            ("edit.back", "back" if listed else "list"),
            ("app.keys", "keys"),
            ("edit.add", "add"),
        ]
        if self.parts.example is not None:
            keys.append(("edit.delete", "delete"))
        if self.draft.can_undo_discard:
            keys.append(("edit.bring_back", "undo"))
        elif self.edited.can_bring_back:
            keys.append(("edit.bring_back", "undelete"))
        keys.append(("edit.tokens", "tokens"))
        if self.changed:
            keys += [("edit.try", "try"), ("edit.discard", "discard")]
        if self.parts.example is not None and len(self.edited.preamble.examples) > 1:
            keys += [("edit.move_up", "up"), ("edit.move_down", "down")]
        self._hints.show(keys)


def _state(draft: ChangedPreamble) -> tuple[str, str]:
    """Whether it is saved, with its style."""
    if draft.unsaved:
        return "not saved", "bold $warning"
    return "comes with the program" if draft.shipped else "saved", "$quiet"
