"""The judge that a command line names: a model on this machine, or one behind an endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from urial_tui.cli.eval_judge_output import JudgeOutput
    from urial_tui.evaluate.endpoint_asking import Usage
    from urial_tui.evaluate.endpoint_judge import EndpointJudge
    from urial_tui.evaluate.judge import JudgeQuestion
    from urial_tui.evaluate.judging import Judge


class MakeJudge(Protocol):
    """A factory of judges, which also ends what making one takes."""

    @property
    def busy(self) -> bool:
        """Whether `cancel` would end something."""
        ...

    def start(self) -> None:
        """Begin what takes a while."""
        ...

    def judge(self, questions: Sequence[JudgeQuestion]) -> tuple[Judge, Mapping[str, Any]]:
        """The judge, and what its judgements depend on beside the questions.

        Returns:
            The judge, and the terms that its judgements depend on, by their names.
        """
        ...

    def announce(self, questions: Sequence[JudgeQuestion]) -> None:
        """Say what is going to be asked, where that costs something."""
        ...

    def cancel(self) -> None:
        """End what runs; from a signal handler."""
        ...


class LocalMaker:
    """The factory of a judge that is a chat model in a worker of its own.

    Args:
        options: Of the command line.
        output: Shows the load.
    """

    def __init__(self, options: Mapping[str, Any], output: JudgeOutput) -> None:
        from urial_tui.engine.client.engine import Engine
        from urial_tui.prompting.templates.renderer import TemplateRenderer

        self._options = options
        self._output = output
        self._engine = Engine()
        self._templates = TemplateRenderer()

    @property
    def busy(self) -> bool:
        """Whether the worker has something to do."""
        return self._engine.busy

    def start(self) -> None:
        """Start the worker: it needs as long as this process needs to read its files."""
        self._engine.start()

    def judge(self, questions: Sequence[JudgeQuestion]) -> tuple[Judge, Mapping[str, Any]]:
        """Load the model, and make the judge.

        Returns:
            The judge, and the terms that its judgements depend on, by their names.

        Raises:
            ModelError: There is none, it does not fit, or it can't judge.
            EngineError: The worker refused it.
        """
        from urial_tui.engine.client.call import follow
        from urial_tui.evaluate.local_judge import load_judge
        from urial_tui.settings import engine_options, load_settings

        steps = load_judge(
            self._engine,
            self._templates,
            self._options["judge"],
            questions,
            engine_options(load_settings()),
            parallel=self._options["parallel"],
            unpacking=self._output.line.unpacking,
        )
        return follow(steps, self._output.take)

    def announce(self, questions: Sequence[JudgeQuestion]) -> None:
        """A no-op: a model on this machine costs nothing."""

    def cancel(self) -> None:
        """End what the worker does."""
        self._templates.cancel()
        self._engine.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._engine.close()
        self._templates.close()


class EndpointMaker:
    """The factory of a judge behind an endpoint; the key is in the environment.

    Args:
        options: Of the command line.
        output: Says what it will cost, and what it has.
    """

    def __init__(self, options: Mapping[str, Any], output: JudgeOutput) -> None:
        from urial_tui.evaluate.endpoint import EndpointSettings

        self._options = options
        self._output = output
        settings = EndpointSettings(
            url=options["endpoint"],
            model=options["judge"],
            per_minute=options["rate"],
            reply_tokens=options["reply_tokens"],
        )
        if options["parallel"] is not None:
            import msgspec

            settings = msgspec.structs.replace(settings, concurrency=options["parallel"])
        self._settings = settings
        self._judge: EndpointJudge | None = None

    @property
    def busy(self) -> bool:
        """It has nothing to do before it judges."""
        return False

    def start(self) -> None:
        """There is nothing to start."""

    def judge(self, questions: Sequence[JudgeQuestion]) -> tuple[Judge, Mapping[str, Any]]:
        """The judge; nothing is sent yet.

        Returns:
            The judge, and the terms that its judgements depend on, by their names.

        Raises:
            EvaluateError: The address or the key is none.
        """
        from urial_tui.evaluate.endpoint_address import caution, key_of_environment
        from urial_tui.evaluate.endpoint_judge import EndpointJudge, endpoint_terms

        key = key_of_environment()
        self._judge = judge = EndpointJudge(self._settings, key)
        if warning := caution(judge.address, key):
            self._output.line.say(warning)
        self._output.spending = self.spent
        return judge, endpoint_terms(judge.address, self._settings)

    def announce(self, questions: Sequence[JudgeQuestion]) -> None:
        """Say what is going to be sent, and what it may cost and take."""
        from urial_tui.evaluate.endpoint_estimate import estimate, given_prices, in_words

        if not questions or self._judge is None:
            return
        prices = given_prices(self._options["price_in"], self._options["price_out"])
        found = estimate(questions, self._settings, prices=prices)
        self._output.line.say(in_words(found, self._judge.address.host))

    def cancel(self) -> None:
        """The judge itself is cancelled by who judges with it."""

    def spent(self) -> Usage | None:
        """What the endpoint has been asked so far."""
        return None if self._judge is None else self._judge.usage
