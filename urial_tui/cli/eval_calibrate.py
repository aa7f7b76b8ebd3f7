"""`urial eval calibrate`: a judge beside a reference, and what that says of its judgements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from urial_tui import paths
from urial_tui.cli.eval_judge import VOTES, left_out
from urial_tui.cli.names import NAME
from urial_tui.errors import UsageError
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import UNKNOWN, amount, fixed, percent

if TYPE_CHECKING:
    from urial_tui.evaluate.calibration import AspectCalibration, Calibration
    from urial_tui.evaluate.judge import Judged
    from urial_tui.shares import Interval


@click.command()
@click.argument("judged", type=NAME, nargs=-1, required=True, metavar="JUDGED.json…")
@click.argument("reference", type=NAME, metavar="REFERENCE.json|votes")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def calibrate(judged: tuple[str, ...], reference: str, as_json: bool) -> None:
    """Set a judge beside a reference, or beside your votes.

    A reference holds judgements of the same answers. Tells how far the two agree, how the judge
    errs in each aspect, and what its means are once its errors are taken off, with intervals that
    hold both samples. Several files are judgements of several runs by one judge.
    """
    from urial_tui.cli.output import print_json
    from urial_tui.evaluate.calibration import calibrate as set_beside
    from urial_tui.evaluate.evaluation import check_named_once

    files = judged if reference == VOTES else (*judged, reference)
    check_named_once([paths.typed_path(name) for name in files])
    ours = [one for name in judged for one in _read(name)]
    judges = list(dict.fromkeys(one.judge for one in ours))
    if len(judges) > 1:
        raise UsageError(
            f"These are judgements of {len(judges)} judges: "
            f"{', '.join(sanitize_line(name) for name in judges)}.",
            "Calibrate one judge at a time.",
        )
    found = set_beside(ours, _reference(reference))
    if as_json:
        print_json(document(found))
    else:
        _print(found)


def document(found: Calibration) -> dict[str, Any]:
    """What `--json` prints, see docs/json.md."""
    import msgspec

    built: dict[str, Any] = msgspec.to_builtins(found)
    return built


def _read(name: str) -> list[Judged]:
    from urial_tui.evaluate.judgement_files import read_judgements

    found = read_judgements(paths.typed_path(name))
    return [*found.judgements, *found.pairs]


def _reference(name: str) -> list[Judged]:
    if name != VOTES:
        return _read(name)
    from urial_tui.cli.voted_pairs import voted_pairs

    voted = voted_pairs()
    if voted.others:
        click.echo(f"urial: {left_out(voted.others)}", err=True)
    return list(voted.judgements)


def _print(found: Calibration) -> None:
    from urial_tui.cli.output import TableColumn, print_table

    click.echo("\n".join(sanitize_line(sentence) for sentence in found.trust))
    what = "pair" if found.pairs else "answer"
    for who, alone in (("judge", found.judged_alone), ("reference", found.reference_alone)):
        if alone:
            click.echo(f"{amount(alone, f'more {what}')} only the {who} has judged.")
    click.echo()
    columns = [
        TableColumn("aspect"),
        TableColumn("both", right=True),
        TableColumn("same", right=True),
        *([] if found.pairs else [TableColumn("within 1", right=True, drop=1)]),
        TableColumn("rank", right=True),
        TableColumn("error", right=True),
        TableColumn("95 %", right=True),
    ]
    print_table(columns, [_row(aspect, one, found.pairs) for aspect, one in found.aspects.items()])
    click.echo()
    columns = [
        TableColumn("aspect"),
        TableColumn("run", shrink=24),
        TableColumn("judged", right=True),
        TableColumn("corrected", right=True),
        TableColumn("95 %", right=True),
        TableColumn("labels", right=True),
    ]
    rows = []
    for aspect, one in found.aspects.items():
        for run, mean in one.runs.items():
            rows.append(
                [
                    aspect,
                    run,
                    fixed(mean.raw, 2),
                    fixed(mean.corrected, 2),
                    _between(mean.interval),
                    f"{mean.labels:,}",
                ]
            )
    print_table(columns, rows)
    notes = {mean.note for one in found.aspects.values() for mean in one.runs.values()} - {""}
    for note in sorted(notes):
        click.echo(f"Note: {note}.")


def _row(aspect: str, one: AspectCalibration, pairs: bool) -> list[str]:
    found = one.agreement
    return [
        aspect,
        f"{found.bias.count:,}",
        percent(one.same.share, 0),
        *([] if pairs else [percent(found.near.share, 0)]),
        fixed(found.spearman, 2),
        fixed(found.bias.mean, 2),
        _between(found.bias.interval),
    ]


def _between(interval: Interval | None) -> str:
    return UNKNOWN if interval is None else f"{fixed(interval[0], 2)} to {fixed(interval[1], 2)}"
