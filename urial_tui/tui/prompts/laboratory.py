"""The services of the screens about preambles: token counts by the chat's model, and drafts.

Nothing is loaded here. Where no model is loaded, nothing is counted, and that is no error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from urial_tui.chat.drafts import DraftPlace, Drafts
from urial_tui.engine.client.model import Model
from urial_tui.errors import ModelError, PreambleError, UrialError
from urial_tui.models.header import inspect_header
from urial_tui.models.memory_need import cache_bytes
from urial_tui.prompting.check import Finding, check_preamble
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import parse_preamble, toml_text
from urial_tui.prompting.token_check import TokenCut, check_tokens
from urial_tui.runtime.cutter import ContextToken, Cutter
from urial_tui.settings import Settings
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.prompts.versions import Versions

_KEPT = 64
"""Preambles whose cost is remembered."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a preamble costs with a model.

    `tokens`: with what stands in front. `n_ctx`: of the context. `cache`: bytes of the KV cache,
    None where that is not known. `findings`: what the model's vocabulary tells.
    """

    tokens: int
    n_ctx: int
    cache: int | None
    findings: tuple[Finding, ...]


class Laboratory:
    """Counts with the model that is loaded at that time, and keeps what is not saved.

    Args:
        engine: The chat's.
        model: What the chat's model is called.
        drafts: Where it is kept.
        load_again: Has the chat load its model where none is loaded.
        settings: The penalties and the longest answer of what is tried.
    """

    def __init__(
        self,
        engine: ChatEngine,
        model: str,
        drafts: Drafts,
        load_again: Callable[[], object],
        settings: Settings,
    ) -> None:
        self.engine = engine
        self.versions = Versions(engine, model, settings)
        self._first_name = model
        self.load_again = load_again
        self.drafts = drafts
        self._cutter: Cutter | None = None
        self._costs: dict[Preamble, Cost] = {}

    @property
    def model_name(self) -> str:
        """The name by which the model is loaded: of the one that is, or was to be."""
        writer = self.engine.writer
        return self._first_name if writer is None else writer.choice.model

    @property
    def called(self) -> str:
        """What the model is called on the screen: a path by its end."""
        return Path(self.model_name).name

    @property
    def model(self) -> Model | None:
        """What is loaded."""
        writer = self.engine.writer
        return None if writer is None else writer.model

    @property
    def counted_by(self) -> str:
        """What the model that is loaded is called; "" where none is."""
        return "" if self.model is None else self.called

    async def check(self, preamble: Preamble, path: Path) -> tuple[Finding, ...]:
        """What is found without a model; `path` is its file, which need not be there."""
        return tuple(await asyncio.to_thread(check_preamble, preamble, path))

    async def cost(self, preamble: Preamble) -> Cost | None:
        """What it costs with the model that is loaded; None where none is, or it fails at it."""
        model = self.model
        if model is None:
            return None
        cutter = self._cutter_of(model)
        if preamble not in self._costs:
            try:
                found = await self.engine.ask(lambda model: _cost(cutter, preamble))
            except UrialError:
                # Whoever asks for something else of it is told.
                return None
            if cutter is not self._cutter:
                return None
            while len(self._costs) >= _KEPT:
                del self._costs[next(iter(self._costs))]
            self._costs[preamble] = found
        return self._costs[preamble]

    async def tokens(self, preamble: Preamble, query: str) -> tuple[ContextToken, ...]:
        """What reaches the model with a first question.

        Raises:
            UrialError: No model is loaded, or it fails at it.
        """
        return await self.engine.ask(lambda model: self._cutter_of(model).tokens(preamble, query))

    def _cutter_of(self, model: Model) -> Cutter:
        if self._cutter is None or self._cutter.model is not model:
            self._cutter = Cutter(model)
            self._costs = {}
        return self._cutter

    # -- what is not saved ------------------------------------------------------------

    def draft(self, name: str) -> Preamble | None:
        """The draft of the preamble of that name: what was made of it and not saved."""
        text = self.drafts.of(_place(name))
        with contextlib.suppress(PreambleError):
            return parse_preamble(text, Path(f"{name}.toml")) if text else None
        return None

    def keep_draft(self, name: str, preamble: Preamble) -> None:
        """Save a draft of the preamble of that name."""
        self.drafts.note(_place(name), toml_text(preamble))

    def forget_draft(self, name: str) -> None:
        """Delete the draft of the preamble of that name."""
        self.drafts.note(_place(name), "")

    def drafted(self) -> list[str]:
        """The names of the preambles of which something is not saved."""
        return self.drafts.places(_DRAFT)

    @property
    def keeps_drafts(self) -> bool:
        """Whether what is not saved outlives the screen."""
        return self.drafts.kept


_DRAFT = "preamble "
"""Places of drafts start so; they belong to no conversation."""


def _place(name: str) -> DraftPlace:
    return DraftPlace(0, f"{_DRAFT}{name}")


def _cost(cutter: Cutter, preamble: Preamble) -> Cost:
    cut: TokenCut = cutter.cut(preamble)
    info = cutter.model.info
    cache: int | None = None
    # Its file may be gone by now.
    with contextlib.suppress(ModelError):
        cache = cache_bytes(inspect_header(Path(info.path)), info.kv_type, cut.tokens)
    return Cost(
        tokens=cut.tokens,
        n_ctx=cut.n_ctx,
        cache=cache,
        findings=tuple(check_tokens(preamble, cut)),
    )
