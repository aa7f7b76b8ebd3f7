"""`urial ask`: one question, one answer or several, fit for pipes.

What goes to which stream is told in `answer_output`. Ctrl-C ends the answers and keeps what is
there.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import click

from urial_tui import interrupts
from urial_tui.cli import shared_options
from urial_tui.cli.answer_output import AnswerOutput
from urial_tui.cli.numbers import LAST_SEED, SAMPLES, Whole
from urial_tui.cli.process import seconds_since_start
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import EngineDied, EngineError, StoreError, UsageError

if TYPE_CHECKING:
    from urial_tui.chat.store import Store
    from urial_tui.engine.client.call import EventSteps
    from urial_tui.engine.wire.values import EngineOptions
    from urial_tui.prompting.preamble import Example, Preamble
    from urial_tui.settings import Settings


@click.command()
@click.argument("text", required=False)
@click.argument("rest", nargs=-1, metavar="[-]")
@shared_options.MODEL
@shared_options.PREAMBLE
@click.option(
    "-n",
    "--samples",
    type=SAMPLES,
    default=1,
    metavar="N",
    help="Write N answers side by side, each with a seed one higher than the one before.",
)
@shared_options.MAX_TOKENS
@shared_options.TEMPERATURE
@click.option(
    "--seed",
    type=Whole(0, LAST_SEED),
    metavar="S",
    help="Makes a draw repeatable, where the temperature is above 0.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object; of several answers, a list of them.",
)
@click.option("--no-store", is_flag=True, help="Leave no conversation behind.")
@click.pass_context
def ask(
    context: click.Context,
    text: str | None,
    rest: tuple[str, ...],
    model: str | None,
    preamble: str | None,
    samples: int,
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
    wanted = _Wanted(model, preamble, samples, max_tokens, temperature, seed, no_store)
    answer = AnswerOutput(show_text=not as_json, samples=samples)
    with Engine() as engine, _interrupt(engine, answer):
        # The worker needs as long to start as this process needs to read its files.
        engine.start()
        question = _question(text, rest)
        try:
            _run(engine, answer, question, wanted)
        except EngineError as error:
            if not answer.interrupted:
                raise
            if isinstance(error, EngineDied):
                answer.end()
                answer.line.say(str(error))
        finally:
            # An error's sentence starts on a line of its own.
            answer.end()
    if as_json and answer.finished:
        from urial_tui.cli.output import print_json

        print_json(answer.document())
    if answer.interrupted:
        context.exit(interrupts.EXIT_CODE)


@dataclass(frozen=True)
class _Wanted:
    """What the command line says of the answers; None where the settings do."""

    model: str | None
    preamble: str | None
    samples: int
    max_tokens: int | None
    temperature: float | None
    seed: int | None
    no_store: bool


def _run(engine: Engine, answer: AnswerOutput, question: str, wanted: _Wanted) -> None:
    from urial_tui.chat.session import Conversation
    from urial_tui.engine.client.call import follow
    from urial_tui.models.registry import resolve
    from urial_tui.prompting.preamble_file import find_preamble
    from urial_tui.runtime.host import Host
    from urial_tui.runtime.writer import WriterChoice
    from urial_tui.settings import engine_options, load_settings

    settings = load_settings()
    drawn, sampling = _sampling(settings, wanted)
    chosen = find_preamble(wanted.preamble or settings.chat.preamble)
    resolved = resolve(wanted.model or settings.chat.model, progress=answer.line.unpacking)
    examples = follow(
        _examples(chosen, question, answer, engine, engine_options(settings)), answer.take
    )
    asked = WriterChoice(model=resolved.name, preamble=chosen)
    answer.model, answer.preamble, answer.seed = resolved.name, chosen.name, sampling.seed
    with contextlib.ExitStack() as stack:
        store = None if wanted.no_store else stack.enter_context(_open_store())
        conversation = Conversation.new(store)
        conversation.add_question(question, asked)
        host = Host(engine, lambda name, progress: resolved)
        purpose: Purpose = "chat" if wanted.samples == 1 else "together"
        writer = follow(host.load(asked, engine_options(settings), purpose=purpose), answer.take)
        if answer.interrupted:
            # The model was loaded before the interrupt reached the worker.
            return
        if drawn and answer.show_text:
            answer.line.say(
                "The first answer's seed was drawn: "
                f"-n {wanted.samples} --seed {sampling.seed} writes all of them again."
            )
        answer.asked_at = seconds_since_start()
        answering = conversation.answer(
            writer,
            sampling=sampling,
            max_tokens=wanted.max_tokens or settings.chat.max_tokens,
            samples=wanted.samples,
            examples=examples,
        )
        # What can't be shown any more ends it, and is kept.
        with contextlib.closing(answering):
            for event in answering:
                answer.take(event)


def _examples(
    preamble: Preamble, question: str, answer: AnswerOutput, engine: Engine, options: EngineOptions
) -> EventSteps[tuple[Example, ...] | None]:
    """The examples that stand in front of a question; None where the preamble has its own."""
    from urial_tui.runtime.retriever import retrieve_all

    found = yield from retrieve_all(preamble, [question], engine, options)
    if found is None:
        return None
    (answer.retrieved,) = found[1]
    return answer.retrieved.examples


def _sampling(settings: Settings, wanted: _Wanted) -> tuple[bool, Sampling]:
    """How the tokens are chosen, and before it whether the seed of several answers was drawn.

    Raises:
        UsageError: Several answers can't be had that way.
    """
    import msgspec

    from urial_tui.settings import sampling as sampling_of

    sampling = sampling_of(settings, temperature=wanted.temperature, seed=wanted.seed)
    if wanted.samples == 1:
        return False, sampling
    if sampling.temperature == 0:
        raise UsageError(
            f"At temperature 0 all {wanted.samples} answers would be the same.",
            "Raise it, for example with --temperature 0.8, or leave out -n.",
        )
    highest = LAST_SEED - wanted.samples + 1
    if sampling.seed is None:
        return True, msgspec.structs.replace(sampling, seed=secrets.randbelow(highest + 1))
    if sampling.seed > highest:
        raise UsageError(
            f"The seed {sampling.seed} leaves no seeds for {wanted.samples} answers.",
            f"The highest that does is {highest}.",
        )
    return False, sampling


def _open_store() -> Store:
    from urial_tui.chat.store import Store

    try:
        return Store()
    except StoreError as error:
        hint = f"{error.hint} With --no-store no conversation is kept."
        raise StoreError(error.message, hint.strip()) from error


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
def _interrupt(engine: Engine, answer: AnswerOutput) -> Iterator[None]:
    """The first Ctrl-C ends the answers, a second one the program."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if answer.interrupted or not engine.busy:
            # Python drops what is raised in a callback of its own; the next event looks again.
            answer.over = True
            raise KeyboardInterrupt
        answer.interrupted = True
        engine.cancel()

    with interrupts.handled(interrupt):
        yield
