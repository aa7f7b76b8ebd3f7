"""The plan of a run: its items, its context, its file, and how its tokens are chosen.

Whoever starts runs does it by this: what was not chosen is as the settings say, or as it was for
what the file holds, so that a run that goes on is the one that was begun.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from urial_tui.compare.sides import Side
from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import MOST_SEEDS, Sampling
from urial_tui.errors import UsageError
from urial_tui.evaluate.endpoint_address import AT_ONCE, ENGINE, Service, caution
from urial_tui.evaluate.endpoint_choice import check_context, chosen_endpoint
from urial_tui.evaluate.generate import AnswerGenerator, pool_tokens
from urial_tui.evaluate.item_files import find_items
from urial_tui.evaluate.items import Item, ItemSet
from urial_tui.evaluate.part_file import ListKind
from urial_tui.evaluate.planned import Planned
from urial_tui.evaluate.rate_limit import Clock
from urial_tui.evaluate.readers import AlignedSide, Reader, ReferenceReader, context_reader
from urial_tui.evaluate.run import Answerer, Run, Terms
from urial_tui.evaluate.run_file import KIND, RunFile
from urial_tui.evaluate.run_terms import run_terms
from urial_tui.evaluate.shown_preamble import shown_preamble
from urial_tui.models.registry import resolve
from urial_tui.prompting.context import Context, find_context
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import Unpacking
from urial_tui.runtime.retriever import with_examples
from urial_tui.runtime.together import load_together
from urial_tui.sanitize import quoted
from urial_tui.settings import Settings, engine_options
from urial_tui.settings import sampling as sampling_of

_NAMED = 8
"""Keys that a note names."""


class RunChoice(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """What was chosen for a run; None for what was not.

    `out`: the file of the answers. `preamble`, `context`: a name or a file, at most one of them.
    `items`: a set's name or file, the program's own by default. `limit`: only the first of them.
    `parallel`: answers at once, by default as in the file, or what the memory holds. `aligned`: a
    model that reads the answers, in the context `aligned_context`, by default chat. `engine`: the
    address of an endpoint that answers, where the model is to be had, in place of this machine.
    `rate`: most requests a minute to it. `price_in`, `price_out`: what a million tokens cost that
    it reads and writes, both or neither.
    """

    out: Path
    model: str | None = None
    preamble: str | None = None
    context: str | None = None
    items: str | None = None
    limit: int | None = None
    parallel: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    aligned: str | None = None
    aligned_context: str | None = None
    engine: str | None = None
    rate: float | None = None
    price_in: float | None = None
    price_out: float | None = None


class PlannedRun(Planned[Run]):
    """The plan of a run, with all that it takes but the model; its file is held until it is closed.

    Args:
        choice: What was chosen.
        settings: What counts where nothing was.
        say: Told what the user should know, in sentences.
        kind: What the file holds, in the words of whoever runs it.

    Raises:
        EvaluateError: The items can't be read, or the file is none to go on from.
        PreambleError: There is no such preamble.
        UsageError: The context is none that a model can answer in.
    """

    def __init__(
        self,
        choice: RunChoice,
        settings: Settings,
        say: Callable[[str], object],
        kind: ListKind = KIND,
    ) -> None:
        self._choice = choice
        self._settings = settings
        self._say = say
        self.items, beyond = self._found_items()
        """What is asked."""
        self.context = self._found_context()
        self._aligned_context = _answering(choice.aligned_context or "chat")
        self.max_tokens = choice.max_tokens or settings.chat.max_tokens
        self.file = RunFile(choice.out, self.items.items, beyond, kind)
        if self.file.lock_caution:
            say(self.file.lock_caution)
        self.sampling = self._chosen_sampling()
        """How tokens are chosen; its seed is that of the run."""

    def load(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        unpacking: Unpacking = lambda done, total: None,
    ) -> EventSteps[Run]:
        """Load the model, as `planned.Planned` says: the events, and the run.

        Raises:
            ModelError: Also where the context can't be rendered for it.
        """
        resolved = resolve(self._choice.model or self._settings.chat.model, progress=unpacking)
        aligned = self._aligned_side(unpacking)
        yield from self._retrieve(engine)
        options = engine_options(self._settings)
        loaded = yield from load_together(
            engine,
            resolved,
            options,
            pool_tokens(
                self.items.items, self.context, max_tokens=self.max_tokens, n_ctx=options.n_ctx
            ),
            # Other numbers round differently: what goes on is written like what is there.
            self._choice.parallel or self.file.parallel,
        )
        terms = run_terms(
            loaded.info,
            self.context,
            templates,
            sampling=self.sampling,
            max_tokens=self.max_tokens,
            parallel=loaded.parallel,
        )
        answers = AnswerGenerator(loaded.model, loaded.info, self.context, templates, terms)
        reader = context_reader(resolved.title, loaded.model, loaded.info, self.context, templates)
        readers: list[Reader] = [ReferenceReader(reader)]
        if aligned is not None:
            readers.append(
                AlignedSide(engine, aligned, options, templates, instead_of=loaded.model)
            )
        return self.run(answers, terms, resolved.title, readers)

    def at_endpoint(
        self, engine: Engine, service: Service = ENGINE, clock: Clock | None = None
    ) -> EventSteps[Run]:
        """The run by an endpoint, of which nothing is asked yet: the events, and the run.

        Args:
            engine: Finds the examples of a context that gets them from a pool by an embedding
                model. Nothing else is loaded, and a worker that was started for it is ended.
            service: How sentences name what was chosen.
            clock: What waits where it has to be asked again.

        Raises:
            EvaluateError: The address or the key is none.
            UsageError: No model is named, or something is wanted that no endpoint can do.
            RetrievalError: The context's pool can't be used.
        """
        # An HTTP client takes long to import, and few runs need one.
        from urial_tui.evaluate.endpoint import EndpointSettings
        from urial_tui.evaluate.endpoint_answers import (
            EndpointAnswers,
            endpoint_terms,
            not_sent,
        )
        from urial_tui.evaluate.endpoint_estimate import estimate_answers, given_prices, in_words

        url = self._choice.engine
        assert url is not None, "no endpoint was chosen"
        chosen = chosen_endpoint(url, self._choice.model, self._choice.aligned)
        check_context(self.context)
        yield from self._retrieve(engine)
        engine.close()
        settings = EndpointSettings(
            url=url,
            model=chosen.model,
            service=service,
            concurrency=self._choice.parallel or AT_ONCE,
            per_minute=self._choice.rate,
        )
        terms = endpoint_terms(
            chosen.address,
            chosen.model,
            self.context,
            sampling=self.sampling,
            max_tokens=self.max_tokens,
        )
        if warning := caution(chosen.address, chosen.key):
            self._say(warning)
        if unsent := not_sent(self.sampling):
            are = "are" if len(unsent) > 1 else "is"
            self._say(
                f"The endpoint is not told of {' and '.join(unsent)}, which {are} set here: it "
                "would hold the words of the preamble against the answers."
            )
        if any(any(item.references) for item in self.items.items):
            self._say("The reference answers are not read: no endpoint tells how likely a text is.")
        answers = EndpointAnswers(settings, self.context, terms, chosen.key, clock)
        run = self.run(answers, terms, chosen.name)
        if left := run.left:
            found = estimate_answers(
                answers.prompts(left),
                self.max_tokens,
                settings,
                prices=given_prices(self._choice.price_in, self._choice.price_out),
            )
            self._say(in_words(found, chosen.address.host))
        return run

    def _retrieve(self, engine: Engine) -> EventSteps[None]:
        """Find the examples of all questions, where the context gets them from a pool."""
        questions = [turn for item in self.items.items for turn in item.turns]
        prepared = yield from with_examples(
            self.context, questions, engine, engine_options(self._settings)
        )
        self.context = prepared.context
        for note in prepared.notes:
            self._say(note)

    def run(
        self, answers: Answerer, terms: Terms, model: str, readers: Sequence[Reader] = ()
    ) -> Run:
        """The run, by what answers it.

        Args:
            answers: Answers what is left.
            terms: What the answers depend on.
            model: What outputs call the model.
            readers: Read what there is then.
        """
        return Run(
            self.items.items,
            answers,
            terms,
            self.file,
            readers,
            generator=f"{model}, {self.context.name}",
            datasplit=self.items.name,
            preamble=shown_preamble(self.context.preamble),
        )

    def close(self) -> None:
        """Let others have the file."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _found_items(self) -> tuple[ItemSet, Sequence[Item]]:
        """The items that are asked, and those that a limit leaves out."""
        found = find_items(self._choice.items)
        if found.unused:
            keys = sorted(found.unused, key=lambda key: -found.unused[key])
            named = ", ".join(f"{quoted(key, 40)} ({found.unused[key]:,})" for key in keys[:_NAMED])
            more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
            self._say(f"Left out of the items of {found.name}: {named}{more}.")
        kept = found.items[: self._choice.limit]
        return msgspec.structs.replace(found, items=kept), found.items[len(kept) :]

    def _found_context(self) -> Context:
        if self._choice.context is not None:
            return _answering(self._choice.context)
        preamble = find_preamble(self._choice.preamble or self._settings.chat.preamble)
        return Context(name=preamble.name, preamble=preamble)

    def _aligned_side(self, unpacking: Unpacking) -> Side | None:
        """Who reads the answers, where somebody was named: told before anything is written."""
        if self._choice.aligned is None:
            return None
        found = resolve(self._choice.aligned, progress=unpacking)
        return Side.of(found.title, found, self._aligned_context)

    def _chosen_sampling(self) -> Sampling:
        """How tokens are chosen; what is drawn without a seed gets that of the file, or one."""
        sampling = sampling_of(
            self._settings, temperature=self._choice.temperature, seed=self._choice.seed
        )
        if sampling.temperature == 0 or sampling.seed is not None:
            return sampling
        seed = self.file.seed
        if seed is None:
            seed = secrets.randbelow(MOST_SEEDS)
            self._say(f"The seed was drawn: {seed} gives the same answers again.")
        return msgspec.structs.replace(sampling, seed=seed)


def _answering(name: str) -> Context:
    """The context of a name, which a model can answer in."""
    if name == "same":
        raise UsageError(
            "The context `same` needs another side to copy, and there is none.",
            "Name chat, raw or a preamble.",
        )
    return find_context(name)
