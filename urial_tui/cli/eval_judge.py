"""`urial eval judge`: scores of answers, or which of two is the better one, kept as they come.

Progress goes to standard error; the summary, or one JSON object, to standard output.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from urial_tui import interrupts
from urial_tui.cli import shared_options
from urial_tui.cli.long_work import LongWork
from urial_tui.cli.names import FILE, NAME
from urial_tui.cli.numbers import COUNT, PARALLEL, TOKENS
from urial_tui.errors import UsageError
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount

if TYPE_CHECKING:
    from urial_tui.cli.eval_judge_output import JudgeOutput
    from urial_tui.cli.judges import MakeJudge
    from urial_tui.evaluate.judge import JudgeQuestion
    from urial_tui.evaluate.judge_file import JudgeFile
    from urial_tui.evaluate.judging import Judging

VOTES = "votes"
"""Stands for the pairs that were voted on in the chat, where a file could be named."""

_ENDPOINT_ONLY = ("rate", "price_in", "price_out", "reply_tokens")
_GO_ON = "What was judged is kept: give the same command again, and it goes on."


@click.command()
@click.argument("outputs", type=NAME, metavar="OUTPUTS.json|votes")
@click.option(
    "--judge",
    type=NAME,
    required=True,
    metavar="MODEL",
    help="A chat model that judges: a catalogue name or a .gguf file, MODEL+ADAPTER adds a LoRA; "
    "with --endpoint, its name there.",
)
@click.option(
    "--endpoint",
    type=NAME,
    metavar="URL",
    help="Ask an OpenAI-compatible endpoint in place of a model on this machine.",
)
@click.option(
    "--against",
    type=NAME,
    metavar="OTHER.json",
    help="Compare with the answers of another run, in both orders, in place of scores.",
)
@click.option("--limit", metavar="N", type=COUNT, help="Only the first N answers.")
@click.option(
    "--parallel",
    metavar="N",
    type=PARALLEL,
    help="Judge N answers together.  [default: the most of 16, 8, 4, 2 and 1 that the memory "
    "holds; of an endpoint 4]",
)
@shared_options.RATE
@shared_options.PRICE_IN
@shared_options.PRICE_OUT
@click.option(
    "--reply-tokens",
    metavar="N",
    type=TOKENS,
    help="Longest reply of an endpoint: more for a judge that thinks first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--out",
    metavar="FILE.json",
    required=True,
    type=FILE,
    help="Write the judgements to this file, and go on from it.",
)
def judge(**options: Any) -> None:
    """Have a model judge the answers of a run, or compare two.

    Answers are judged by five aspects, those to safety items by their safety.

    `votes` stands for the pairs of answers that were voted on in the chat.

    A judgement that can't be read, is cut off or out of range has no score and is counted; it is
    asked again by the same command. How far a judge can be trusted is for `urial eval calibrate`.
    """
    from urial_tui.cli.eval_judge_output import JudgeOutput
    from urial_tui.cli.judges import EndpointMaker, LocalMaker
    from urial_tui.cli.named_files import check_written

    check_written(options)
    shared_options.check_endpoint(options, "endpoint", _ENDPOINT_ONLY, "urial eval judge")
    with contextlib.ExitStack() as stack:
        output = JudgeOutput()
        stack.enter_context(output.line)
        make: MakeJudge
        if options["endpoint"] is None:
            make = stack.enter_context(LocalMaker(options, output))
        else:
            make = EndpointMaker(options, output)
        invocation = _Judging(make, output, stack, options)
        with invocation.going.interruptible():
            make.start()
            code = invocation.run()
    click.get_current_context().exit(code)


class _Judging:
    """One invocation: its answers, its judge, its file."""

    def __init__(
        self,
        make: MakeJudge,
        output: JudgeOutput,
        stack: contextlib.ExitStack,
        options: dict[str, Any],
    ) -> None:
        self._make = make
        self._output = output
        self._stack = stack
        self._options = options
        self._judging: Judging | None = None
        self.going = LongWork(lambda: make.busy, make.cancel, _GO_ON)

    def run(self) -> int:
        """Judge, write, print: the exit code."""
        from urial_tui.evaluate.judge_file import JudgeFile

        questions = self._questions()
        file = JudgeFile(self._options["out"])
        self._stack.callback(file.close)
        if file.lock_caution:
            self._output.line.say(file.lock_caution)
        file.check_wanted(questions)
        with self.going.ending():
            judging = self._prepared(questions, file)
            # A model that was loaded before the interrupt reached the worker judges nothing.
            if not self.going.interrupted:
                self._judge(judging)
        if self.going.interrupted:
            done = 0 if self._judging is None else self._judging.done
            self._output.line.say(
                f"Interrupted: {done:,} of {amount(len(questions), 'judgement')} are there. "
                f"{_GO_ON}"
            )
            return interrupts.EXIT_CODE
        judging.finish()
        self._output.end(judging, self._options["judge"], self._shown, self._options["as_json"])
        return 0

    def _questions(self) -> list[JudgeQuestion]:
        from urial_tui.evaluate.judged_runs import judge_questions
        from urial_tui.paths import typed_path

        name = str(self._options["judge"])
        if self._options["outputs"] == VOTES:
            return self._voted(name)
        against = self._options["against"]
        return judge_questions(
            typed_path(self._options["outputs"]),
            name,
            against=None if against is None else typed_path(against),
            limit=self._options["limit"],
        )

    def _voted(self, name: str) -> list[JudgeQuestion]:
        """Which answer is the better one, of those that were voted on."""
        from urial_tui.cli.voted_pairs import left_out, voted_pairs
        from urial_tui.evaluate.judge import pair_questions

        if self._options["against"] is not None:
            raise UsageError("Votes are about two answers already.", "Leave out --against.")
        voted = voted_pairs()
        if voted.others:
            self._output.line.say(left_out(voted.others))
        limit = self._options["limit"]
        return pair_questions(voted.left[:limit], voted.right[:limit], name)

    def _prepared(self, questions: Sequence[JudgeQuestion], file: JudgeFile) -> Judging:
        """The judging, once it is known what there is, and the judge is there."""
        from urial_tui.evaluate.judging import Judging

        judge, terms = self._make.judge(questions)
        judging = Judging(questions, judge, terms, file)
        if judging.taken_over:
            self._output.line.say(
                f"{judging.taken_over:,} of {amount(len(judging), 'judgement')} are taken over "
                f"from {self._shown}."
            )
        self._make.announce(judging.left)
        return judging

    def _judge(self, judging: Judging) -> None:
        self._judging = judging
        self._output.begin(judging)
        self.going.begin(judging)
        with contextlib.closing(judging.steps()) as steps:
            for step in steps:
                self._output.take(step)

    @property
    def _shown(self) -> str:
        return sanitize_line(str(self._options["out"]))
