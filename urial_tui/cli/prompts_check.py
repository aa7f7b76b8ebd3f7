"""`urial prompts check`: what of a preamble breaks a base model, or leads it astray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from urial_tui.cli.names import NAME
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount

if TYPE_CHECKING:
    from urial_tui.engine.wire.events import Event
    from urial_tui.prompting.check import Finding
    from urial_tui.prompting.preamble import Preamble
    from urial_tui.prompting.token_check import TokenCut

_PLACES = 3
"""Places that are named of what was found in more."""


@click.command()
@click.argument("name", metavar="FILE|NAME", type=NAME)
@click.option(
    "-m",
    "--model",
    type=NAME,
    metavar="MODEL",
    help="Look through this model's vocabulary, too, and at its context.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(context: click.Context, name: str, model: str | None, as_json: bool) -> None:
    """Tell what breaks base models, and what to do about it.

    Errors break answers, and exit with 1. Warnings and notes exit with 0: what they tell may be
    meant so.
    """
    from urial_tui.cli.output import print_json
    from urial_tui.prompting.check import by_severity, check_preamble
    from urial_tui.prompting.preamble_file import preamble_path, read_preamble
    from urial_tui.prompting.token_check import check_tokens

    path = preamble_path(name)
    preamble = read_preamble(path)
    findings = check_preamble(preamble, path)
    cut = None
    if model is not None:
        cut = _cut(preamble, model)
        findings = by_severity([*findings, *check_tokens(preamble, cut)])
    counts = {
        kind: sum(finding.severity == kind for finding in findings)
        for kind in ("error", "warning", "note")
    }
    if as_json:
        import msgspec

        print_json(
            {
                "name": preamble.name,
                "path": str(path),
                "errors": counts["error"],
                "warnings": counts["warning"],
                "notes": counts["note"],
                "tokens": None if cut is None else cut.tokens,
                "context": None if cut is None else cut.n_ctx,
                "findings": msgspec.to_builtins(findings),
            }
        )
    else:
        _print(findings)
        _summarise(preamble.name, counts, cut)
    context.exit(1 if counts["error"] else 0)


def _cut(preamble: Preamble, model: str) -> TokenCut:
    """How a model cuts it, with the context that the settings give it."""
    from urial_tui.cli.progress_line import ProgressLine
    from urial_tui.engine.client.call import follow
    from urial_tui.engine.client.engine import Engine
    from urial_tui.engine.wire.events import LoadProgress, Notice
    from urial_tui.models.registry import resolve
    from urial_tui.runtime.cutter import Cutter
    from urial_tui.runtime.loading import load
    from urial_tui.settings import engine_options, load_settings

    with ProgressLine() as progress, Engine() as engine:
        engine.start()

        def take(event: Event) -> None:
            match event:
                case LoadProgress(fraction=fraction):
                    progress.show(f"Loading the model: {fraction:.0%}")
                case Notice(message=message):
                    progress.say(message)

        options = engine_options(load_settings())
        resolved = resolve(model, progress=progress.unpacking)
        loaded = follow(
            load(engine, resolved.path, adapter=resolved.adapter, options=options), take
        )
        return Cutter(loaded).cut(preamble)


def _print(findings: Sequence[Finding]) -> None:
    """A finding a paragraph, on standard output; what was found in many places is one of them."""
    from urial_tui.sanitize import sanitize

    places: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        line = "" if finding.line is None else f", line {finding.line}"
        said = finding.severity, finding.what, finding.advice
        places.setdefault(said, []).append(sanitize_line(f"{finding.where}{line}"))
    for (severity, what, advice), where in places.items():
        more = len(where) - _PLACES
        named = [*where[:_PLACES], *([f"and {amount(more, 'more place')}"] if more > 0 else ())]
        click.echo(f"{severity}: {'; '.join(named)}: {sanitize(what)}")
        click.echo(f"    {sanitize(advice)}")


def _summarise(name: str, counts: Mapping[str, int], cut: TokenCut | None) -> None:
    """One line about all, on standard error."""
    from urial_tui.wording import percent

    told = ", ".join(amount(count, kind) for kind, count in counts.items() if count)
    room = ""
    if cut is not None:
        room = f" It has {amount(cut.tokens, 'token')}, {percent(cut.share)} of the context."
    click.echo(f"{sanitize_line(name)}: {told or 'nothing found'}.{room}", err=True)
