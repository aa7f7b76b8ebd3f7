"""A question rendered by a chat template of an inspected file, without loading the model."""

from __future__ import annotations

from pathlib import Path

from urial_tui.engine.wire.values import ModelInfo
from urial_tui.errors import ModelError
from urial_tui.models.inspection import Inspection, TemplateTold
from urial_tui.prompting.templates.protocol import RenderedPiece
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.sanitize import quoted, sanitize_line

_NAMES = 8
"""Templates that a sentence names."""
_NAME = 40
"""Characters of such a name."""


def chosen_template(told: Inspection, name: str = "") -> TemplateTold:
    """The template of a file that has this name; without one, that which is used.

    Raises:
        ModelError: There is none (names those that there are), or it is too long.
    """
    place = sanitize_line(told.place)
    if not name:
        found = told.template
        if found is None and told.named_templates:
            raise ModelError(
                f"The file {place} has no chat template but those with a name: {_named(told)}.",
                "Name one of them.",
            )
        if found is None:
            raise ModelError(
                f"The file {place} has no chat template, as base models mostly have none.",
                "Chat with it by a preamble.",
            )
    else:
        found = next((one for one in told.named_templates if one.name == name), None)
        if found is None:
            raise ModelError(
                f"The file {place} has no chat template named {quoted(name, _NAME)}.",
                f"Those with a name are: {_named(told)}."
                if told.named_templates
                else "It has none with a name.",
            )
    if not found.source:
        raise ModelError(
            f"The chat template of {place} is too long to be shown.", "Chat with it by a preamble."
        )
    return found


def render_question(
    renderer: TemplateRenderer, told: Inspection, template: TemplateTold, question: str
) -> tuple[RenderedPiece, ...]:
    """What a template makes of a question, up to where the answer starts.

    Args:
        renderer: Has the process in which it runs.
        told: The file.
        template: One of its templates.
        question: The user's message.

    Raises:
        ModelError: The template can't be rendered.
    """
    info = ModelInfo(
        path=told.place,
        name=told.name or Path(told.place).name,
        architecture=told.architecture,
        description="",
        parameters=told.parameters,
        size=told.size,
        n_vocab=told.vocabulary,
        n_ctx=0,
        n_ctx_train=0,
        n_layer=0,
        n_swa=0,
        memory="attention",
        threads=0,
        gpu_layers=0,
        kv_type="f16",
        chat_template=template.source,
        bos=told.roles.get("bos", ""),
        eos=told.roles.get("eos", ""),
        adds_bos=bool(told.adds_bos),
    )
    return renderer.render(info, (question,))


def _named(told: Inspection) -> str:
    names = told.other_templates
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(quoted(name, _NAME) for name in names[:_NAMES]) + more
