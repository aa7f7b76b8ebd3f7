"""The choice of an endpoint that answers, validated before anything is written.

Nothing is asked here: whether the endpoint is there, has the model and takes the key is seen later.
"""

from __future__ import annotations

import msgspec

from urial_tui.errors import UsageError
from urial_tui.evaluate.endpoint_address import ENGINE, Address, address_of, key_of_environment
from urial_tui.prompting.context import SAMPLE, Context
from urial_tui.prompting.conversation import Exchanged, render_plain
from urial_tui.sanitize import sanitize_line


class ChosenEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where answers come from. `model`: by its name there. `key`: of the environment."""

    address: Address
    model: str
    key: str | None

    @property
    def name(self) -> str:
        """What outputs call the model."""
        return f"{self.model} at {self.address.host}"


def chosen_endpoint(url: str, model: str | None, aligned: str | None = None) -> ChosenEndpoint:
    """Parse the choice of an endpoint.

    Args:
        url: Its address, as the user gave it.
        model: The model's name there.
        aligned: A model that was to read the answers.

    Raises:
        UsageError: No model is named, or one is to read the answers.
        EvaluateError: The address or the key is none.
    """
    if not model:
        raise UsageError("With an endpoint a model has to be named.", "Give its name there (-m).")
    if aligned is not None:
        raise UsageError(
            "An endpoint does not tell the tokens of its answers, which an aligned model would "
            "have to read.",
            "Leave the aligned model out, or have a model on this machine answer.",
        )
    return ChosenEndpoint(
        address=address_of(url, ENGINE), model=model, key=key_of_environment(ENGINE)
    )


def check_context(context: Context) -> None:
    """Check that an endpoint can answer in a context.

    Raises:
        UsageError: It needs a chat template or another side, or has rules.
    """
    if context.preamble is None:
        render_plain(context, [Exchanged(SAMPLE)])
    elif context.preamble.rules is not None:
        raise UsageError(
            f"The context `{sanitize_line(context.name)}` changes the logits, which no endpoint "
            "can be told.",
            "Choose another one.",
        )
