"""What is compared: two sides, and the tasks that both are given."""

from __future__ import annotations

from pathlib import Path

import msgspec

from urial_tui.compare.items import Query
from urial_tui.engine.wire.values import ModelInfo
from urial_tui.prompting.context import Context
from urial_tui.runtime.host import ModelFile


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side: a model, an optional adapter, a context. `name`: what the user called it.

    `chat_template` replaces the file's own; an adapter may need one that its base lacks.
    """

    name: str
    path: Path
    context: Context
    adapter: Path | None = None
    chat_template: str = ""

    @classmethod
    def of(cls, name: str, model: ModelFile, context: Context) -> Side:
        """A model that was found, in a context. `name`: what the user called it."""
        return cls(
            name=name,
            path=model.path,
            context=context,
            adapter=model.adapter,
            chat_template=model.chat_template,
        )

    def document(self) -> dict[str, object]:
        """The side as a JSON object."""
        return {
            "model": self.name,
            "adapter": self.adapter.name if self.adapter else None,
            "context": self.context.name,
        }

    def told(self, info: ModelInfo) -> ModelInfo:
        """What was loaded, with the chat template that this side has."""
        template = self.chat_template or info.chat_template
        return msgspec.structs.replace(info, chat_template=template)

    @property
    def weights(self) -> tuple[Path, Path | None]:
        """What has to be loaded; equal for two sides that differ in context only."""
        return self.path, self.adapter


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A query to answer, or a given text behind it, whose first `skip` tokens are not scored.

    `ids`: the tokens that wrote the text or its start, of the aligned side's vocabulary.
    """

    query: Query
    text: str | None = None
    skip: int = 0
    ids: tuple[int, ...] = ()
