"""The summary of new runs, as their dialog tells it while they are chosen, and what they lack."""

from __future__ import annotations

from urial_tui.errors import UrialError
from urial_tui.evaluate.beginning import NewRuns
from urial_tui.evaluate.endpoint_address import ENGINE, address_of
from urial_tui.evaluate.endpoint_choice import chosen_endpoint
from urial_tui.sanitize import sanitize_line, shortened
from urial_tui.wording import amount

_LONGEST = 24
"""Characters of a name or a host: three lines of the narrowest window hold the sentence."""


def summary(new: NewRuns, marked: int) -> str:
    """How many runs that would be, of what.

    Args:
        new: What is chosen.
        marked: How many models of this machine are marked.
    """
    contexts = amount(len(new.contexts), "context")
    if new.engine is None:
        runs = amount(len(new.models) * len(new.contexts), "run")
        return f"{runs}: {amount(len(new.models), 'model')} in {contexts}, one after another."
    name = _short(new.models[0]) if new.models else "a model to be named"
    unused = f", not the marked {'model' if marked == 1 else 'models'}" if marked else ""
    runs = amount(len(new.contexts), "run")
    return f"{runs}: {name} at {_host(new.engine)} in {contexts}{unused}."


def lacking(new: NewRuns, name: str) -> tuple[str, str] | None:
    """What new runs lack, or have that they can't have.

    Args:
        new: What is chosen.
        name: What is typed for a model at an endpoint.

    Returns:
        The id of the widget where it can be mended, and a sentence; None where nothing is wrong.
    """
    if new.engine is None:
        if name:
            return "run-endpoint", lacks_address(name)
        if not new.models:
            return "run-models", "No model is marked; Space marks one."
    else:
        try:
            address_of(new.engine, ENGINE)
        except UrialError as error:
            return "run-endpoint", str(error)
        if not new.models:
            return "run-there", "Name the model as the endpoint calls it."
        try:
            chosen_endpoint(new.engine, new.models[0], new.aligned)
        except UrialError as error:
            where = "run-endpoint" if new.aligned is None else "run-aligned"
            return where, str(error)
    if not new.contexts:
        return "run-contexts", "No context is marked; Space marks one."
    return None


def lacks_address(name: str) -> str:
    """A sentence about a model that is named at an endpoint, and at which one is not said."""
    return f"{_short(name)} is a name at an endpoint: type its address, or clear the name."


def _host(url: str) -> str:
    """The host of an address that may be half typed."""
    try:
        return _short(address_of(url, ENGINE).host)
    except UrialError:
        return "the endpoint"


def _short(name: str) -> str:
    return shortened(sanitize_line(name), _LONGEST)
