"""What `urial ask` shows of the answers to a question.

Their text goes to standard output, everything else to standard error. One answer is shown as it is
written. Of several, each stands behind a line with its number and its seed, in the order of the
numbers: the one whose turn it is is shown as it is written, the others wait.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import click
import msgspec

from urial_tui.cli.progress_line import ProgressLine
from urial_tui.engine.wire.events import (
    Event,
    Finished,
    Loaded,
    LoadProgress,
    Notice,
    PreambleReady,
    PrefillProgress,
    PromptReady,
    Silence,
    TextDelta,
    TurnsDropped,
)
from urial_tui.runtime.retriever import Retrieved, examples_told
from urial_tui.sanitize import sanitize
from urial_tui.wording import amount, capital

FIRST_SILENCE = 24.0
"""Seconds of silence that are told where there is no terminal: the first report is earlier."""


@dataclass
class AnswerOutput:
    """Collects the events of answers, and prints them."""

    show_text: bool
    samples: int = 1
    interrupted: bool = False
    over: bool = False
    """The program was interrupted, not an answer."""
    model: str = ""
    preamble: str = ""
    seed: int | None = None
    """Of the first answer; the others have those behind it."""
    asked_at: float = 0.0
    loaded: Loaded | None = None
    pinned: PreambleReady | None = None
    prompt: PromptReady | None = None
    retrieved: Retrieved | None = None
    """The examples that were found for the question, where it gets its own."""
    finished: dict[int, Finished] = field(default_factory=dict)
    """By the number of the answer, from 0."""
    line: ProgressLine = field(default_factory=ProgressLine, init=False)
    _turn: int = field(default=0, init=False)
    """The answer that is shown as it is written: all before it have been shown."""
    _headed: int = field(default=0, init=False)
    """Answers whose line was printed."""
    _waiting: dict[int, list[str]] = field(default_factory=dict, init=False)
    _line_open: bool = field(default=False, init=False)

    def take(self, event: Event) -> None:
        """Show an event, or remember it for the document.

        Raises:
            KeyboardInterrupt: The program was interrupted.
        """
        if self.over:
            raise KeyboardInterrupt
        match event:
            case LoadProgress(fraction=fraction):
                self.line.show(f"Loading the model: {fraction:.0%}")
            case PrefillProgress(stage=stage, done=done, total=total):
                what = "preamble" if stage == "preamble" else "question"
                self.line.show(f"Reading the {what}: {done:,} of {amount(total, 'token')}")
            case Loaded():
                self.loaded = event
            case PreambleReady():
                self.pinned = event
            case PromptReady():
                self.prompt = event
                self._tell_examples(event.lead)
            case Notice(message=message):
                self.line.say(message)
            case TurnsDropped(turns=turns):
                oldest = "turn was" if turns == 1 else f"{turns:,} turns were"
                self.line.say(f"The context is full: the oldest {oldest} left out.")
            case TextDelta(text=text, sample=sample):
                if sample == self._turn:
                    self._write(text)
                else:
                    self._waiting.setdefault(sample, []).append(text)
            case Silence():
                self._silence(event)
            case Finished():
                self._finish(event)
            case _:
                pass

    def _tell_examples(self, tokens: int) -> None:
        """Say what stands in front of the question, to who looks at it."""
        if self.retrieved is not None and self.show_text and self.line.live:
            self.line.say(examples_told(self.retrieved, tokens))

    def _finish(self, event: Finished) -> None:
        self.finished[event.sample] = event
        while (done := self.finished.get(self._turn)) is not None:
            if done.text or done.stop_reason != "cancelled":
                self._head()
            self._next()
        if len(self.finished) < self.samples or not (self.show_text and self.line.live):
            return
        cut = sum(done.stop_reason == "length" for done in self.finished.values())
        if cut:
            self.end()
            which = (
                "The answer was" if self.samples == 1 else f"{cut} of {self.samples} answers were"
            )
            self.line.say(f"{which} cut at the length limit (--max-tokens).")

    def _silence(self, event: Silence) -> None:
        words = event.in_words("Ctrl+C")
        if event.ends_in is not None:
            self.line.say(f"The engine was asked to stop: {words}, or at once with Ctrl+C.")
        elif self.line.live:
            self.line.show(capital(words))
        elif event.seconds < FIRST_SILENCE:
            self.line.say(f"The engine gives {words}.")

    def end(self) -> None:
        """Show what still waits for its turn, and close the last line."""
        self.line.clear()
        while self._waiting:
            self._next()
        self._close_line()

    def document(self) -> dict[str, object] | list[dict[str, object]]:
        """What `--json` prints, see docs/json.md: an object, or a list of those that are done."""
        if self.samples == 1:
            return self._document(self.finished[0])
        return [
            self._document(finished)
            | {"sample": number, "seed": None if self.seed is None else self.seed + number}
            for number, finished in sorted(self.finished.items())
        ]

    def _document(self, finished: Finished) -> dict[str, object]:
        prompt, pinned, loaded = self.prompt, self.pinned, self.loaded
        return {
            "text": finished.text,
            "stop_reason": finished.stop_reason,
            "stopped_by": finished.stopped_by,
            "model": self.model,
            "preamble": self.preamble,
            "tokens": {
                "preamble": pinned.tokens if pinned else 0,
                "reused": prompt.reused if prompt else 0,
                "prefilled": prompt.prefilled if prompt else 0,
                "generated": finished.generated,
            },
            "retrieval": None if self.retrieved is None else self._retrieval(self.retrieved),
            "preamble_source": pinned.source if pinned else None,
            "timings": {
                "load_s": loaded.load_s if loaded else 0.0,
                "preamble_s": pinned.seconds if pinned else 0.0,
                "first_token_s": self.asked_at + finished.first_token_s,
                # What all answers share is read for none of them.
                "prefill_tokens_per_s": (
                    finished.prefill_tokens_per_s if self.samples == 1 else None
                ),
                "decode_tokens_per_s": finished.decode_tokens_per_s,
            },
        }

    def _retrieval(self, retrieved: Retrieved) -> dict[str, object]:
        return {
            "pairs": [msgspec.to_builtins(pair) for pair in retrieved.pairs],
            "same_question": retrieved.same,
            "unfit": retrieved.unfit,
            "tokens": self.prompt.lead if self.prompt else None,
            "seconds": retrieved.seconds,
        }

    # -- the streams ----------------------------------------------------------------

    def _next(self) -> None:
        """It is the next answer's turn: show what has come of it."""
        self._turn += 1
        self._write("".join(self._waiting.pop(self._turn, ())))

    def _head(self) -> None:
        """Print the line in front of the answer whose turn it is, unless that was done."""
        if self.samples == 1 or self._headed > self._turn or not self.show_text:
            return
        self._headed = self._turn + 1
        self.line.clear()
        self._close_line()
        seed = "" if self.seed is None else f", seed {self.seed + self._turn}"
        click.echo(f"--- {self._turn + 1} of {self.samples}{seed} ---")

    def _write(self, text: str) -> None:
        if not self.show_text:
            return
        shown = sanitize(text)
        if shown:
            self._head()
            self.line.clear()
            sys.stdout.write(shown)
            sys.stdout.flush()
            self._line_open = not shown.endswith("\n")

    def _close_line(self) -> None:
        if self._line_open:
            click.echo()
            self._line_open = False
