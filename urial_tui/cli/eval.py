"""`urial eval`: answers to many items, judgements of them, and what both come to."""

from __future__ import annotations

import click

from urial_tui.cli.eval_calibrate import calibrate
from urial_tui.cli.eval_judge import judge
from urial_tui.cli.eval_report import report
from urial_tui.cli.eval_run import run


@click.group()
def evaluate() -> None:
    """Evaluate a model: have it answer many items, and the answers judged."""


for command in (run, judge, report, calibrate):
    evaluate.add_command(command)
