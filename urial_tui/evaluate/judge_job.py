"""The job of a judging: a model scores answers, or says which of two is the better one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import TextDelta
from urial_tui.evaluate.endpoint import EndpointSettings
from urial_tui.evaluate.endpoint_address import AT_ONCE, JUDGE, caution, key_of_environment
from urial_tui.evaluate.endpoint_estimate import estimate, in_words
from urial_tui.evaluate.endpoint_judge import EndpointJudge, endpoint_terms
from urial_tui.evaluate.job import ASKED_HERE, HERE, Going, News
from urial_tui.evaluate.judge import JudgeQuestion
from urial_tui.evaluate.judge_file import KIND as JUDGEMENTS
from urial_tui.evaluate.judge_file import JudgeFile
from urial_tui.evaluate.judge_progress import JudgeProgress, said
from urial_tui.evaluate.judged_runs import JudgeChoice, judge_questions
from urial_tui.evaluate.judging import Judge, Judging, Made, unscored
from urial_tui.evaluate.local_judge import load_judge
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.settings import Settings, engine_options

_JUDGEMENTS: Final = msgspec.structs.replace(JUDGEMENTS, **HERE)
_SERVICE: Final = msgspec.structs.replace(JUDGE, **ASKED_HERE)


class JudgeJob:
    """Has a model judge answers, on this machine or behind an endpoint.

    Args:
        choice: What was chosen.
        title: What it is called.
        stop_key: What ends it.
        done, total: How many judgements there are, and how many there are to be, as far as is
            known.
    """

    def __init__(
        self, choice: JudgeChoice, title: str, stop_key: str, *, done: int = 0, total: int = 0
    ) -> None:
        self.choice = choice
        self.going = Going(title, "judgement")
        self.going.change(done=done, total=total)
        self._progress = JudgeProgress(stop_key)

    @property
    def out(self) -> Path:
        """The file of the judgements."""
        return self.choice.out

    def do(self, engine: Engine, templates: TemplateRenderer, settings: Settings) -> None:
        """Judge what is left; see `Job`."""
        going, choice = self.going, self.choice
        with going.ending(), contextlib.ExitStack() as stack:
            if choice.endpoint is None:
                # It needs as long to start as this process needs to read files.
                engine.start()
            questions = judge_questions(
                choice.outputs, choice.judge, against=choice.against, limit=choice.limit
            )
            going.change(total=len(questions))
            file = JudgeFile(choice.out, _JUDGEMENTS)
            stack.callback(file.close)
            if file.lock_caution:
                going.note(file.lock_caution)
            file.check_wanted(questions)
            judge, terms = self._judge(engine, templates, questions, settings)
            judging = Judging(questions, judge, terms, file)
            if isinstance(judge, EndpointJudge):
                self._announce(judge, judging.left)
            self._progress.begin(judging)
            going.begin(judging)
            going.change(done=judging.taken_over)
            with contextlib.closing(judging.steps()) as made:
                for step in made:
                    self._take(step)
            going.change(done=judging.done, words=_unscored(judging))
            if not (going.cancelled or judging.cancelled):
                judging.finish()

    def _judge(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        questions: Sequence[JudgeQuestion],
        settings: Settings,
    ) -> tuple[Judge, Mapping[str, Any]]:
        """The judge that was chosen, loaded where it is on this machine.

        Returns:
            The judge, and what its judgements depend on beside the questions.
        """
        choice = self.choice
        if choice.endpoint is not None:
            asked = self._endpoint_settings(choice.endpoint)
            behind = EndpointJudge(asked, key_of_environment())
            return behind, endpoint_terms(behind.address, asked)
        steps = load_judge(
            engine,
            templates,
            choice.judge,
            questions,
            engine_options(settings),
            parallel=choice.parallel,
            unpacking=self.going.unpacking,
        )
        return follow(steps, self._take)

    def _endpoint_settings(self, url: str) -> EndpointSettings:
        return EndpointSettings(
            url=url,
            model=self.choice.judge,
            service=_SERVICE,
            concurrency=self.choice.parallel or AT_ONCE,
        )

    def _announce(self, judge: EndpointJudge, left: Sequence[JudgeQuestion]) -> None:
        """Tell what is going to be sent, and where."""
        if warning := caution(judge.address, key_of_environment()):
            self.going.note(warning)
        if left:
            asked = self._endpoint_settings(judge.address.url)
            self.going.note(in_words(estimate(left, asked), judge.address.host))

    def _take(self, step: Any) -> None:
        going = self.going
        going.check(step)
        words = self._progress.take(step)
        if isinstance(step, Made):
            judged = step.judgement
            going.tell(News(id=str(judged.id), question=judged.input, text=said(judged)))
        if isinstance(step, Made | TextDelta):
            words = self._progress.pace or "judging"
            going.change(done=self._progress.there)
        if words:
            going.change(words=words)


def _unscored(judging: Judging) -> str:
    """How many aspects have no score, and why."""
    found = unscored(list(judging.judgements()))
    if not found:
        return "all scored"
    why = ", ".join(f"{count:,} {reason}" for reason, count in found.most_common())
    return f"unscored aspects: {why}"
