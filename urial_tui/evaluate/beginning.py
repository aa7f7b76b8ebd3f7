"""Starting runs and judgings: the user's choices become plans, each with its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from urial_tui.evaluate.endpoint_address import address_of
from urial_tui.evaluate.endpoint_choice import check_context, chosen_endpoint
from urial_tui.evaluate.item_files import find_items
from urial_tui.evaluate.job import Job
from urial_tui.evaluate.judge import Judged
from urial_tui.evaluate.judge_job import JudgeJob
from urial_tui.evaluate.judged_runs import JudgeChoice, judge_questions
from urial_tui.evaluate.judgements import Judgement
from urial_tui.evaluate.own_items import own_set_name
from urial_tui.evaluate.plan_file import LONGEST, Plan, placed, stem_of, write_plan
from urial_tui.evaluate.planned_run import RunChoice
from urial_tui.evaluate.run_job import RunJob
from urial_tui.prompting.context import find_context
from urial_tui.runtime.retriever import check_index
from urial_tui.settings import Settings


class NewRuns(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that the user wants: each model in each context.

    `items`: a file, None for the program's own set. `parallel`: answers at once, None for what the
    memory holds; of an endpoint 4. `max_tokens`, `seed`: None for what the settings say. `aligned`:
    a model that reads the answers, to tell how much of them alignment would shift. `engine`: the
    address of an endpoint, at which the models are to be had, in place of this machine.
    """

    models: tuple[str, ...]
    contexts: tuple[str, ...]
    items: Path | None = None
    limit: int | None = None
    parallel: int | None = None
    max_tokens: int | None = None
    seed: int | None = None
    aligned: str | None = None
    engine: str | None = None


class NewJudging(msgspec.Struct, frozen=True, kw_only=True):
    """A judging that somebody wants.

    `judge`: a model on this machine, or by its name at the `endpoint`. `limit`: only the first
    answers. `parallel`: judgements at once, None for what is usual.
    """

    judge: str
    endpoint: str | None = None
    limit: int | None = None
    parallel: int | None = None


def begin_runs(new: NewRuns, directory: Path, settings: Settings) -> list[Plan]:
    """Write the plans of runs; those whose file is there are resumed.

    Raises:
        EvaluateError: The items can't be read, a plan not written, or the address or the key of an
            endpoint is none.
        UsageError: An endpoint can't do what is wanted.
        PreambleError, RetrievalError, ModelError: Nor can it answer in a context that is not there.
    """
    names = _names(new)
    name = own_set_name() if new.items is None else str(new.items)
    count = len(find_items(name).items[: new.limit])
    plans: list[Plan] = []
    for model in new.models:
        for context in new.contexts:
            choice = RunChoice(
                out=directory / "new",
                model=model,
                context=context,
                items=name,
                limit=new.limit,
                parallel=new.parallel,
                # What the settings say then may be something else.
                max_tokens=new.max_tokens or settings.chat.max_tokens,
                temperature=settings.sampling.temperature,
                seed=settings.sampling.seed if new.seed is None else new.seed,
                aligned=new.aligned,
                engine=new.engine,
            )
            here = placed(choice, stem_of(choice, name))
            of = f"{names[model]}, {Path(context).name}"
            plans.append(Plan(choice=here, of=(of,), total=count))
            write_plan(plans[-1])
    return plans


def _names(new: NewRuns) -> dict[str, str]:
    """What outputs will call the models; of an endpoint all is checked that can be unheard."""
    if new.engine is None:
        return {model: Path(model).name for model in new.models}
    names = {
        model: chosen_endpoint(new.engine, model, new.aligned).name for model in new.models or ("",)
    }
    for context in map(find_context, new.contexts):
        check_context(context)
        if context.preamble is not None:
            check_index(context.preamble)
    return names


def begin_judging(new: NewJudging, outputs: Path, against: Path | None = None) -> Plan:
    """Write the plan of a judging, beside the answers.

    Args:
        new: Who judges, and how much.
        outputs: The file of the run.
        against: That of another one to compare it with; None to have scores.

    Raises:
        EvaluateError: The answers can't be read, the endpoint's address is none, or the plan can't
            be written.
    """
    if new.endpoint is not None:
        address_of(new.endpoint)
    choice = JudgeChoice(
        out=outputs.with_name("new"),
        outputs=outputs,
        judge=new.judge,
        against=against,
        limit=new.limit,
        parallel=new.parallel,
        endpoint=new.endpoint,
    )
    questions = judge_questions(outputs, new.judge, against=against, limit=new.limit)
    of = _judged(questions[0].asked) if questions else ()
    plan = Plan(choice=placed(choice, stem_of(choice, "")), of=of, total=len(questions))
    write_plan(plan)
    return plan


def blind_path(first: Path, second: Path) -> Path:
    """Where the judgements of a person about two runs are: always in the same file.

    Args:
        first, second: The files of the runs.
    """
    stem = f"{first.stem[:LONGEST]}.vs.{second.stem[:LONGEST]}.by.you"
    return first.with_name(f"{stem}.json")


def jobs_of(plans: Sequence[Plan], stop_key: str, done: Mapping[Path, int]) -> list[Job]:
    """Make the jobs that do what was planned.

    Args:
        plans: Of runs and judgings.
        stop_key: What ends them, as the user knows it.
        done: By file, how much of it there is already.
    """
    return [_job(plan, stop_key, done.get(plan.choice.out, 0)) for plan in plans]


def _job(plan: Plan, stop_key: str, done: int) -> Job:
    choice, what = plan.choice, " against ".join(plan.of) or plan.choice.out.stem
    if isinstance(choice, RunChoice):
        return RunJob(choice, what, stop_key, done=done, total=plan.total)
    title = f"{Path(choice.judge).name} judges {what}"
    return JudgeJob(choice, title, stop_key, done=done, total=plan.total)


def _judged(asked: Judged) -> tuple[str, ...]:
    """Whose answers a judgement is about."""
    if isinstance(asked, Judgement):
        return (asked.generator,)
    return asked.generator_a, asked.generator_b
