"""The screen of a model file's chat templates: as they stand there, or rendered on a question.

A template is a stranger's program: it runs in a process of its own, with bounds, and never here.
"""

from __future__ import annotations

import re
import textwrap
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input, Static

from urial_tui import wording
from urial_tui.errors import UrialError
from urial_tui.mistakes import explaining
from urial_tui.models.inspection import Inspection, TemplateTold
from urial_tui.models.inspection_words import template_rows, title_of
from urial_tui.models.rendered_question import render_question
from urial_tui.prompting.templates.marks import TemplateMark
from urial_tui.prompting.templates.protocol import RenderedPiece
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.sanitize import quoted, sanitize, sanitize_line
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.messages import CopyRequested
from urial_tui.tui.models.asking import asked
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.safe_input import SafeInput

QUESTION: Final = "Why is the sky blue?"
"""What is asked until another question is typed."""

_MOST_LINES: Final = 2_000
_MOST_CHARACTERS: Final = 100_000
"""Of a template or a rendered chat, as far as they are shown; real ones have up to 30,000."""
_SHORTEST: Final = 12
"""Cells of the shortest line of words."""
_NARROW: Final = 78
"""Cells of a screen before it is laid out."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
"""Where Jinja counts lines."""
_OF_TEXTS: Final = ("reads", "changes")
"""What a template does with the text of a message."""


class TemplateScreen(Screen[None]):
    """A screen with a template's lines, those marked that do more than write turns, or with what it
    makes of a question.

    Args:
        told: The file; one of its templates at least can be shown.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["models.tcss"]
    AUTO_FOCUS = "#model-template-pane"
    BINDING_GROUP_TITLE = "Chat template of a model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,t", "back", "Back", id="model_template.back"),
        Binding("r", "render", "Rendered on a question, or its lines", id="model_template.render"),
        Binding("e", "ask", "Type another question", id="model_template.ask"),
        Binding("n", "next", "The file's next template", id="model_template.next"),
        Binding("y", "copy", "Copy what is shown", id="model_template.copy"),
    ]

    def __init__(self, told: Inspection) -> None:
        super().__init__()
        self._told = told
        self._templates = shown_templates(told)
        self._at = 0
        self._in_chat = False
        self._question = QUESTION
        self._rendered: Sequence[RenderedPiece] = ()
        self._words: Content | None = None
        self._renderer = TemplateRenderer()

    @property
    def template(self) -> TemplateTold:
        """The one that is shown."""
        return self._templates[self._at]

    def compose(self) -> ComposeResult:
        """From the top: the title, the question, the text, the keys."""
        yield HeadingLine("Chat template")
        yield SafeInput(QUESTION, id="model-template-question", classes="models-line")
        with VerticalScroll(id="model-template-pane"):
            yield Static(id="model-template", markup=False)
        yield HintLine(id="model-template-hints")

    def on_mount(self) -> None:
        """Show the lines of the first one."""
        self._show()

    def on_resize(self, event: Resize) -> None:
        """Words are laid out for another width."""
        self.call_after_refresh(self._lay_out)

    def on_unmount(self) -> None:
        """End the process that renders, without waiting for it."""
        threading.Thread(target=self._renderer.close, daemon=True).start()

    def action_back(self) -> None:
        """Leave the question, else the screen."""
        if self._line.has_focus:
            self._pane.focus()
            self._show_keys()
        else:
            self.dismiss(None)

    def action_render(self) -> None:
        """Toggle between the lines and what they make of the question."""
        self._in_chat = not self._in_chat
        self._start()

    def action_ask(self) -> None:
        """Have the question typed."""
        if not self._in_chat:
            self.action_render()
        self._line.focus()
        self._show_keys()

    def action_next(self) -> None:
        """Show the next template."""
        if len(self._templates) > 1:
            self._at = (self._at + 1) % len(self._templates)
            self._start()

    def action_copy(self) -> None:
        """Copy the template, or the rendered chat."""
        if not self._in_chat:
            self.post_message(CopyRequested(self.template.source, "the chat template"))
        elif self._rendered:
            text = "".join(piece.text for piece in self._rendered)
            self.post_message(CopyRequested(text, "the rendered question"))

    @on(Input.Submitted)
    def take_question(self, event: Input.Submitted) -> None:
        """Render another question."""
        event.stop()
        if event.value.strip():
            self._question = event.value
            self._pane.focus()
            self._start()

    def _start(self) -> None:
        """Show another thing from its top; what was being rendered is of no use any more."""
        self._rendered, self._words = (), None
        self._renderer.cancel()
        if self._in_chat:
            self._words = Content.styled("Rendering …", "$quiet")
            self._render_it()
        self._show()

    @work(group="render", exclusive=True)
    async def _render_it(self) -> None:
        told, template, question = self._told, self.template, self._question
        try:
            with explaining():
                pieces = await asked(
                    lambda: render_question(self._renderer, told, template, question)
                )
        except UrialError as error:
            self._words = Content.assemble(
                (f"✖ {sanitize_line(error.message)}\n", "bold"), sanitize_line(error.hint)
            )
        else:
            self._rendered = pieces
        if has_widgets(self) and self._in_chat:
            self._show()

    def _show(self) -> None:
        self._line.display = self._in_chat
        self._lay_out()
        self._pane.scroll_home(animate=False)
        self._show_keys()

    def _lay_out(self) -> None:
        width = self._pane.scrollable_content_region.width or _NARROW
        if not self._in_chat:
            text = template_lines(self.template, width)
        elif self._rendered:
            text = rendered_chat(self._rendered, width)
        else:
            text = self._words or Content("")
        self.query_one("#model-template", Static).update(text)

    def _show_keys(self) -> None:
        heading = self.query_one(HeadingLine)
        named = f", {quoted(self.template.name, 40)}" if self.template.name else ""
        heading.heading = "Rendered chat template" if self._in_chat else "Chat template"
        heading.beside = f"{title_of(self._told)}{named}"
        hints = self.query_one(HintLine)
        if self._line.has_focus:
            hints.show((("enter", "render"), ("model_template.back", "back to the text")))
            return
        keys = [("model_template.render", "its lines" if self._in_chat else "render")]
        if self._in_chat:
            keys.append(("model_template.ask", "question"))
        if len(self._templates) > 1:
            place = f"next ({self._at + 1} of {len(self._templates)})"
            keys.append(("model_template.next", place))
        keys += [("model_template.copy", "copy"), ("model_template.back", "back")]
        hints.show(keys)

    @property
    def _line(self) -> SafeInput:
        return self.query_one("#model-template-question", SafeInput)

    @property
    def _pane(self) -> VerticalScroll:
        return self.query_one("#model-template-pane", VerticalScroll)


def shown_templates(told: Inspection) -> list[TemplateTold]:
    """The templates of a file that can be shown, the one that is used first."""
    first = () if told.template is None else (told.template,)
    return [one for one in (*first, *told.named_templates) if one.source]


def template_lines(template: TemplateTold, width: int) -> Content:
    """What a template does beside writing turns, and its numbered lines; marked where it does so.

    Args:
        template: The template.
        width: Cells of a line of words; the template's own lines may be longer.
    """
    words = [text for _, text in template_rows(template)]
    shown = [_wrapped(text, width, "$warning") for text in words]
    if shown:
        shown.append(Content(""))
    marks: defaultdict[int, list[TemplateMark]] = defaultdict(list)
    for mark in template.found.marks:
        marks[mark.line].append(mark)
    text, cut = _start_of(template.source)
    lines = _LINE_END.split(text)
    for number, line in enumerate(lines[:_MOST_LINES], 1):
        of_texts = any(mark.action in _OF_TEXTS for mark in marks[number])
        sign = "!" if of_texts else "·" if marks[number] else " "
        style = "$warning" if of_texts else "$secondary" if marks[number] else ""
        shown.append(Content.assemble((f"{number:>4}{sign} ", "$quiet"), (sanitize(line), style)))
    if cut or len(lines) > _MOST_LINES:
        shown.append(_wrapped(_cut_words(len(template.source)), width, "$warning"))
    return Content("\n").join(shown)


def rendered_chat(pieces: Sequence[RenderedPiece], width: int) -> Content:
    """A rendered chat: the question as it is, what the template writes quieter."""
    legend = "The question stands out; all else is the template's, up to where the answer starts."
    size = sum(len(piece.text) for piece in pieces)
    parts = [_wrapped(legend, width, "$quiet"), Content("\n\n"), *_drawn(pieces)]
    if size > _MOST_CHARACTERS:
        parts += [Content("\n"), _wrapped(_cut_words(size), width, "$warning")]
    return Content("").join(parts)


def _drawn(pieces: Sequence[RenderedPiece]) -> Iterator[Content]:
    left = _MOST_CHARACTERS
    for piece in pieces:
        text = piece.text[:left]
        left -= len(text)
        yield Content.styled(sanitize(text), "bold $primary" if piece.owner >= 0 else "$secondary")


def _start_of(source: str) -> tuple[str, bool]:
    return source[:_MOST_CHARACTERS], len(source) > _MOST_CHARACTERS


def _cut_words(size: int) -> str:
    return f"It goes on: {wording.amount(size, 'character')} in all, of which these are the first."


def _wrapped(text: str, width: int, style: str) -> Content:
    lines = textwrap.wrap(sanitize_line(text), max(_SHORTEST, width))
    return Content.styled("\n".join(lines), style)
