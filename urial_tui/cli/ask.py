"""`urial ask`: one question, one answer, fit for pipes.

The answer goes to standard output as it is written, everything else to standard error,
and progress only where that is a terminal. Ctrl-C ends the answer and keeps what is there.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

import click

from urial_tui import interrupts
from urial_tui.cli.names import NAME
from urial_tui.cli.numbers import TOKENS, Real
from urial_tui.cli.process import seconds_since_start
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import (
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
from urial_tui.errors import EngineDied, EngineError, UsageError
from urial_tui.sanitize import sanitize, sanitize_line
from urial_tui.wording import amount

if TYPE_CHECKING:
    from urial_tui.chat.store import Store


FIRST_SILENCE = 24.0
"""Seconds of silence that are told where there is no terminal: the first report is earlier."""


@click.command()
@click.argument("text", required=False)
@click.argument("rest", nargs=-1, metavar="[-]")
@click.option(
    "-m",
    "--model",
    type=NAME,
    metavar="MODEL",
    help="A catalogue name or a .gguf file; MODEL+ADAPTER adds a LoRA.  [default: chat.model]",
)
@click.option(
    "-p",
    "--preamble",
    type=NAME,
    metavar="PREAMBLE",
    help="The name of a preamble, or a preamble file.  [default: chat.preamble]",
)
@click.option(
    "--max-tokens",
    type=TOKENS,
    metavar="N",
    help="Longest answer, in tokens.  [default: chat.max_tokens]",
)
@click.option(
    "--temperature",
    type=Real(0, 100),
    metavar="T",
    help="0 takes the likeliest token each time; more is more varied.  "
    "[default: sampling.temperature]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 2),
    metavar="S",
    help="Makes a draw repeatable, where the temperature is above 0.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-store", is_flag=True, help="Leave no conversation behind.")
@click.pass_context
def ask(
    context: click.Context,
    text: str | None,
    rest: tuple[str, ...],
    model: str | None,
    preamble: str | None,
    max_tokens: int | None,
    temperature: float | None,
    seed: int | None,
    as_json: bool,
    no_store: bool,
) -> None:
    """Answer TEXT, or standard input where TEXT is "-" or missing.

    A file or a pipe on standard input is added behind TEXT; `< /dev/null` leaves it out, and a "-"
    behind TEXT waits for it.
    """
    answer = _Answer(show_text=not as_json, show_progress=sys.stderr.isatty())
    with Engine() as engine, _interrupt(engine, answer):
        # The worker needs as long to start as this process needs to read its files.
        engine.start()
        question = _question(text, rest)
        try:
            _run(
                engine,
                answer,
                question,
                model,
                preamble,
                max_tokens,
                temperature,
                seed,
                no_store,
            )
        except EngineError as error:
            if not answer.interrupted:
                raise
            if isinstance(error, EngineDied):
                answer.end()
                answer.say(str(error))
        finally:
            # An error's sentence starts on a line of its own.
            answer.end()
    if as_json and answer.finished is not None:
        from urial_tui.cli.output import print_json

        print_json(answer.document())
    if answer.interrupted:
        context.exit(interrupts.EXIT_CODE)


def _run(
    engine: Engine,
    answer: _Answer,
    question: str,
    model: str | None,
    preamble: str | None,
    max_tokens: int | None,
    temperature: float | None,
    seed: int | None,
    no_store: bool,
) -> None:
    import msgspec

    from urial_tui.chat.session import Conversation
    from urial_tui.models.loading import load
    from urial_tui.models.registry import resolve
    from urial_tui.prompting.preamble import find_preamble
    from urial_tui.settings import engine_options, load_settings
    from urial_tui.settings import sampling as sampling_of

    settings = load_settings()
    chosen = find_preamble(preamble or settings.chat.preamble)
    resolved = resolve(model or settings.chat.model, progress=answer.unpacking)
    options = engine_options(settings)
    sampling = sampling_of(settings)
    if temperature is not None:
        sampling = msgspec.structs.replace(sampling, temperature=temperature)
    if seed is not None:
        sampling = msgspec.structs.replace(sampling, seed=seed)
    answer.model, answer.preamble = resolved.name, chosen.name
    with contextlib.ExitStack() as stack:
        store = None if no_store else stack.enter_context(_open_store())
        conversation = Conversation.new(store, resolved.name, chosen)
        conversation.add_question(question)
        for event in load(engine, resolved.path, adapter=resolved.adapter, options=options):
            answer.take(event)
        if answer.interrupted:
            # The model was loaded before the interrupt reached the worker.
            return
        answer.asked_at = seconds_since_start()
        for event in conversation.answer(
            engine, sampling=sampling, max_tokens=max_tokens or settings.chat.max_tokens
        ):
            answer.take(event)


def _open_store() -> Store:
    from urial_tui.chat.store import Store

    return Store()


def _question(text: str | None, rest: tuple[str, ...]) -> str:
    """What is asked: TEXT, and behind an empty line what is on standard input."""
    from urial_tui.cli.standard_input import is_terminal, read_all, read_beside

    if rest not in ((), ("-",)):
        raise UsageError("The question has to be one argument.", 'Put it in quotes: urial ask "…".')
    if text == "-":
        text = None
    if text is None and not rest and (sys.stdin is None or is_terminal()):
        raise UsageError(
            "There is no question.", 'Say it as an argument: urial ask "…", or pipe it in.'
        )
    added = read_all() if rest or text is None else read_beside()
    if text is not None and added.strip():
        click.echo(
            f"urial: Standard input is added to the question ({len(added):,} characters).",
            err=True,
        )
    question = "\n\n".join(part for part in (text, added) if part and part.strip())
    if not question:
        raise UsageError("The question is empty.", 'Say it as an argument: urial ask "…".')
    return question


@contextlib.contextmanager
def _interrupt(engine: Engine, answer: _Answer) -> Iterator[None]:
    """The first Ctrl-C ends the answer, a second one the program."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if answer.interrupted or not engine.busy:
            # Python drops what is raised in a callback of its own; the next event looks again.
            answer.over = True
            raise KeyboardInterrupt
        answer.interrupted = True
        engine.cancel()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        interrupts.check()
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class _Answer:
    """What is known of the answer so far, and how it is shown."""

    show_text: bool
    show_progress: bool
    interrupted: bool = False
    over: bool = False
    """The program was interrupted, not an answer."""
    model: str = ""
    preamble: str = ""
    asked_at: float = 0.0
    loaded: Loaded | None = None
    pinned: PreambleReady | None = None
    prompt: PromptReady | None = None
    finished: Finished | None = None
    _line_open: bool = field(default=False, init=False)
    _progress_shown: bool = field(default=False, init=False)
    _progress_at: float = field(default=0.0, init=False)

    def take(self, event: Event) -> None:
        """Show an event, or remember it for the document.

        Raises:
            KeyboardInterrupt: The program was interrupted.
        """
        if self.over:
            raise KeyboardInterrupt
        match event:
            case LoadProgress(fraction=fraction):
                self._progress(f"Loading the model: {fraction:.0%}")
            case PrefillProgress(stage=stage, done=done, total=total):
                what = "preamble" if stage == "preamble" else "question"
                self._progress(f"Reading the {what}: {done:,} of {amount(total, 'token')}")
            case Loaded():
                self.loaded = event
            case PreambleReady():
                self.pinned = event
            case PromptReady():
                self.prompt = event
            case Notice(message=message):
                self.say(message)
            case TurnsDropped(turns=turns):
                oldest = "turn was" if turns == 1 else f"{turns:,} turns were"
                self.say(f"The context is full: the oldest {oldest} left out.")
            case TextDelta(text=text):
                self._write(text)
            case Silence():
                self._silence(event)
            case Finished():
                self.finished = event
                if event.stop_reason == "length" and self.show_text and sys.stderr.isatty():
                    self.end()
                    self.say("The answer was cut at the length limit (--max-tokens).")
            case _:
                pass

    def _silence(self, event: Silence) -> None:
        words = event.in_words("Ctrl+C")
        if event.ends_in is not None:
            self.say(f"The engine was asked to stop: {words}, or at once with Ctrl+C.")
        elif self.show_progress:
            self._progress(f"{words[0].upper()}{words[1:]}")
        elif event.seconds < FIRST_SILENCE:
            self.say(f"The engine gives {words}.")

    def unpacking(self, done: int, total: int) -> None:
        """A packaged model is put together: bytes done and in all."""
        self._progress(f"Unpacking the model: {done / max(total, 1):.0%}")

    def say(self, message: str) -> None:
        """One line for the user, beside the answer."""
        self._clear_progress()
        click.echo(f"urial: {sanitize_line(message)}", err=True)

    def end(self) -> None:
        """Close the last line."""
        self._clear_progress()
        if self._line_open:
            click.echo()
            self._line_open = False

    def document(self) -> dict[str, object]:
        """The JSON document of the interface contract; see docs/json.md."""
        finished, prompt, pinned, loaded = self.finished, self.prompt, self.pinned, self.loaded
        assert finished is not None
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
            "preamble_source": pinned.source if pinned else None,
            "timings": {
                "load_s": loaded.load_s if loaded else 0.0,
                "preamble_s": pinned.seconds if pinned else 0.0,
                "first_token_s": self.asked_at + finished.first_token_s,
                "prefill_tokens_per_s": finished.prefill_tokens_per_s,
                "decode_tokens_per_s": finished.decode_tokens_per_s,
            },
        }

    def _write(self, text: str) -> None:
        if not self.show_text:
            return
        self._clear_progress()
        shown = sanitize(text)
        if shown:
            sys.stdout.write(shown)
            sys.stdout.flush()
            self._line_open = not shown.endswith("\n")

    def _progress(self, words: str) -> None:
        now = time.monotonic()
        if not self.show_progress or now - self._progress_at < 0.1:
            return
        self._progress_at = now
        self._progress_shown = True
        sys.stderr.write(f"\r\x1b[K{words}")
        sys.stderr.flush()

    def _clear_progress(self) -> None:
        if self._progress_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._progress_shown = False
