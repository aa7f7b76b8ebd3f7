"""Judging: what is asked, who judges, and the file where the judgements are kept.

A judgement is used again where the answer, what the judge was told, and all that the judge's own
answer depends on are the same. Every judgement is kept before anybody is told of it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from urial_tui.engine.wire.events import Event
from urial_tui.engine.wire.values import NUMERICS, ModelInfo
from urial_tui.evaluate.judge import Judged, JudgeQuestion, JudgeReply, concluded
from urial_tui.evaluate.judge_file import JudgeFile
from urial_tui.evaluate.judgements import Aspect, Judgement, Unscored
from urial_tui.evaluate.rate_limit import Postponed


class Judge(Protocol):
    """Answers questions of judgements (`LocalJudge` and `EndpointJudge` do)."""

    @property
    def cancelled(self) -> bool:
        """Whether no more is asked."""
        ...

    @property
    def at_once(self) -> int:
        """Most judgements that are on their way together."""
        ...

    def cancel(self) -> None:
        """Ask no more; from any thread."""
        ...

    def run(
        self, questions: Sequence[JudgeQuestion]
    ) -> Iterator[Event | Postponed | tuple[JudgeQuestion, JudgeReply]]:
        """Have questions answered: what happens, and each reply when it is there."""
        ...


class Made(NamedTuple):
    """A judgement was made. `detail`: more of why it has no scores, a sentence, or nothing."""

    judgement: Judged
    detail: str


def local_terms(info: ModelInfo, parallel: int) -> dict[str, Any]:
    """What the judgements of a local model depend on beside the questions.

    Args:
        info: What was loaded, with the chat template that counts.
        parallel: Most judgements at once.
    """
    return {
        "numerics": NUMERICS,
        "library": info.library,
        "content": info.content,
        "adapter": info.adapter_content,
        "template": info.chat_template,
        "kv_type": info.kv_type,
        "n_ctx": info.n_ctx,
        "gpu_layers": info.gpu_layers,
        "parallel": parallel,
    }


class Judging:
    """Judgements that are wanted, of which some may be there.

    Args:
        questions: In their order.
        judge: Judges what is left.
        terms: What its judgements depend on beside the questions.
        file: Where they are kept.
    """

    def __init__(
        self,
        questions: Sequence[JudgeQuestion],
        judge: Judge,
        terms: Mapping[str, Any],
        file: JudgeFile,
    ) -> None:
        self._questions = questions
        self._judge = judge
        self._file = file
        self._keys = [_key(question, terms) for question in questions]
        self._made: dict[str, Judged] = {}
        self.taken_over = sum(file.get(key) is not None for key in self._keys)
        """How many were there at the start."""

    def __len__(self) -> int:
        return len(self._questions)

    @property
    def done(self) -> int:
        """How many are there, scored or not."""
        return sum(1 for _ in self.judgements())

    @property
    def at_once(self) -> int:
        """Most judgements that are on their way together."""
        return self._judge.at_once

    @property
    def cancelled(self) -> bool:
        """Whether it was ended before all was done."""
        return self._judge.cancelled

    def cancel(self) -> None:
        """Ask nothing more; from any thread."""
        self._judge.cancel()

    @property
    def left(self) -> list[JudgeQuestion]:
        """The questions whose judgements are not there."""
        pairs = zip(self._questions, self._keys, strict=True)
        return [question for question, key in pairs if self._file.get(key) is None]

    def steps(self) -> Generator[Event | Postponed | Made, None, None]:
        """Judge what is left; a judgement is kept when its step comes.

        Raises:
            EvaluateError: A judgement can't be kept.
            UrialError: The judge can't go on; what was judged is kept.
        """
        keys = {
            id(question): key for question, key in zip(self._questions, self._keys, strict=True)
        }
        for step in self._judge.run(self.left):
            if not isinstance(step, tuple):
                yield step
                continue
            question, reply = step
            judgement = concluded(question, reply, keys[id(question)])
            self._made[judgement.key] = judgement
            self._file.append(judgement)
            yield Made(judgement, reply.detail)

    def judgements(self) -> Iterator[Judged]:
        """Those that are there, in the order of the questions."""
        for key in self._keys:
            judgement = self._made.get(key) or self._file.get(key)
            if judgement is not None:
                yield judgement

    def finish(self) -> None:
        """Write the file of judgements.

        Raises:
            EvaluateError: It can't be written.
        """
        self._file.finish(self.judgements())


def unscored(judgements: Sequence[Judged]) -> Counter[Unscored]:
    """Why aspects have no score or preference, and how many."""
    found: Counter[Unscored] = Counter()
    for judgement in judgements:
        said: Mapping[Aspect, Any]
        said = judgement.scores if isinstance(judgement, Judgement) else judgement.preferences
        found.update(one.unscored for one in said.values() if one.unscored)
    return found


def _key(question: JudgeQuestion, terms: Mapping[str, Any]) -> str:
    """What a judgement depends on, as a hash.

    The generator's name is among it, though the judge never sees it: it stands in the judgement.
    """
    asked = question.asked
    names = (
        (asked.generator,)
        if isinstance(asked, Judgement)
        else (asked.generator_a, asked.generator_b)
    )
    parts = (terms, str(asked.id), names, asked.judge, asked.mode, asked.prompt, question.schema)
    # Lone surrogates are no UTF-8, but an answer may hold them.
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
