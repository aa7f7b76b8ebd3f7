"""The user's token for the hub, and which requests take it along: those to the hub's own host."""

from __future__ import annotations

import re

from urial_tui.errors import ModelError
from urial_tui.models.addresses import hub_endpoint, hub_token, keeps_token, origin_of
from urial_tui.sanitize import sanitize_line


class UserToken:
    """The user's token for the hub: HF_TOKEN, or that of their login. Looked for once, when needed.

    The one place where a request to the hub gets it from, be it for a header or for a download.
    """

    def __init__(self) -> None:
        self._found: str | None = None

    def header(self, url: str) -> dict[str, str]:
        """The header that a request to an address takes along: none but to the hub's own host.

        Where HF_HUB_DISABLE_IMPLICIT_TOKEN is on, there is none to that one either.

        Raises:
            ModelError: There is a token that can't be used, or HF_ENDPOINT holds no address.
        """
        if origin_of(url) != origin_of(hub_endpoint()) or keeps_token():
            return {}
        if self._found is None:
            self._found = hub_token() or _logged_in()
        return {"Authorization": f"Bearer {self._found}"} if self._found else {}


def _logged_in() -> str:
    """The token with which the user logged in to the hub; "" without one."""
    # Late: the library takes a third of a second to import.
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return ""
    try:
        token = get_token() or ""
    except Exception as error:  # whatever a foreign library makes of its files
        raise ModelError(
            f"The token of your login to the hub can't be had: {sanitize_line(str(error))}.",
            "Log in again with `hf auth login`, or give a token in HF_TOKEN.",
        ) from error
    return token if re.fullmatch("[!-~]*", token) else ""
