"""What `urial eval run` shows: how far it is, and what came of it."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

import click
import msgspec

from urial_tui.cli.work_line import WorkLine
from urial_tui.evaluate.items import ItemSet
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.readers import ReadRole
from urial_tui.evaluate.run import Run, RunStep
from urial_tui.evaluate.run_progress import RunProgress, taken_over, tokens_of
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount, fixed, percent


class RunOutput:
    """The line of progress, and sentences beside it, on standard error."""

    def __init__(self) -> None:
        self.line = WorkLine()
        self.progress = RunProgress("Ctrl+C")

    def begin(self, run: Run, shown: str) -> None:
        """Say what of a run is there; the time counts from here."""
        self.progress.begin(run)
        if told := taken_over(run, shown):
            self.line.say(told)

    def take(self, step: RunStep) -> None:
        """The callback for each step of a run: shows what has come."""
        self.line.tell(step, self.progress.take(step))


def document(run: Run, items: ItemSet, output: RunOutput) -> dict[str, Any]:
    """What `--json` prints, see docs/json.md."""
    terms, written = run.terms, output.progress
    seconds = written.seconds
    exchanges = _exchanges(run)
    endings = Counter(exchange.ending for exchange in exchanges)
    return {
        "generator": run.generator,
        "items": items.name,
        "total": len(run),
        "answered": run.answered,
        "taken_over": run.taken_over,
        "changed": run.changed,
        "new": run.new,
        "skipped": [{"id": item.id, "reason": reason} for item, reason in run.skipped],
        "parallel": terms.parallel,
        "max_tokens": terms.max_tokens,
        "sampling": {
            **msgspec.structs.asdict(terms.sampling),
            "rules": msgspec.to_builtins(terms.sampling.rules),
            "seed": terms.seed,
        },
        "answers": len(exchanges),
        "tokens": tokens_of(exchange.tokens for exchange in exchanges),
        "endings": {ending: endings[ending] for ending in ("end", "stop", "cut")}
        | {"unknown": endings[""]},
        "references": _read(run, "reference"),
        "aligned": _read(run, "aligned"),
        "written": {
            "answers": written.answers,
            "tokens": written.tokens,
            "seconds": seconds,
            "answers_per_minute": 60 * written.answers / seconds if written.answers else None,
            "tokens_per_s": written.tokens / seconds
            if written.answers and written.tokens is not None
            else None,
        },
    }


def print_summary(run: Run, shown: str) -> None:
    """What came of a run: how many answers, and how they ended."""
    exchanges = _exchanges(run)
    endings = Counter(exchange.ending for exchange in exchanges)
    counted = [exchange.tokens for exchange in exchanges if exchange.tokens is not None]
    click.echo(
        f"{run.answered:,} of {amount(len(run), 'item')} answered by {sanitize_line(run.generator)}"
        f", in {shown}."
    )
    written = amount(len(exchanges), "answer")
    if len(counted) == len(exchanges):
        written += f" of {amount(sum(counted), 'token')}"
    elif counted:
        written += f", {len(counted):,} of them of {amount(sum(counted), 'token')}"
    untold = f", {endings['']:,} in a way that was not told" if endings[""] else ""
    click.echo(
        f"{written}: {endings['end']:,} ended by themselves, {endings['stop']:,} at a stop string, "
        f"{endings['cut']:,} cut{untold}."
    )
    if references := _readings(run, "reference"):
        # As a report has it: what each text takes, and not what all of them do together.
        each = [reading.bits_per_byte for reading in references]
        known = [bits for bits in each if bits is not None]
        mean = statistics.fmean(known) if known else None
        click.echo(
            f"{amount(len(references), 'reference answer')}: {fixed(mean, 3)} bits per byte "
            "on average."
        )
    if (aligned := _read(run, "aligned")) is not None:
        click.echo(
            f"Of {amount(aligned['tokens'], 'token')}, {sanitize_line(aligned['by'])} takes "
            f"{percent(aligned['unshifted'])} for the likeliest, {percent(aligned['marginal'])} "
            f"for the second or third; {percent(aligned['shifted'])} are shifted."
        )


def _readings(run: Run, role: ReadRole) -> list[TextReading]:
    found: list[TextReading | None] = [getattr(exchange, role) for exchange in _exchanges(run)]
    return [reading for reading in found if reading is not None]


def _read(run: Run, role: ReadRole) -> dict[str, Any] | None:
    """What was said of all texts of a kind together; None where none was read."""
    readings = _readings(run, role)
    if not readings:
        return None
    tokens = sum(reading.tokens for reading in readings)
    bits = [reading.bits for reading in readings]
    whole = sum(reading.bytes for reading in readings)
    known = [each for each in bits if each is not None]
    found: dict[str, Any] = {
        "by": readings[0].by,
        "texts": len(readings),
        "tokens": tokens,
        "bytes": whole,
        "bits_per_byte": sum(known) / whole if len(known) == len(bits) and whole else None,
    }
    for kind in ("unshifted", "marginal", "shifted"):
        count: int = sum(getattr(reading, kind) for reading in readings)
        found[kind] = count / tokens if tokens else None
    return found


def _exchanges(run: Run) -> list[AnsweredTurn]:
    return [exchange for output in run.outputs() for exchange in output.exchanges]
