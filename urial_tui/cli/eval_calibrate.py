"""`urial eval calibrate`: a judge beside a reference, and what that says of its judgements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from urial_tui import paths
from urial_tui.cli.eval_judge import VOTES
from urial_tui.cli.names import NAME
from urial_tui.errors import UsageError
from urial_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from urial_tui.evaluate.judge import Judged


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
    from urial_tui.cli.report_output import print_tables
    from urial_tui.evaluate.calibration import calibrate as set_beside
    from urial_tui.evaluate.calibration_tables import calibration_tables
    from urial_tui.evaluate.evaluation import check_named_once
    from urial_tui.evaluate.held_judges import calibration_document

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
    document = calibration_document(set_beside(ours, _reference(reference)))
    if as_json:
        print_json(document)
    else:
        print_tables(calibration_tables(document))


def _read(name: str) -> list[Judged]:
    from urial_tui.evaluate.judgement_files import read_judgements

    found = read_judgements(paths.typed_path(name))
    return [*found.judgements, *found.pairs]


def _reference(name: str) -> list[Judged]:
    if name != VOTES:
        return _read(name)
    from urial_tui.cli.voted_pairs import voted_judgements

    return list(voted_judgements())
