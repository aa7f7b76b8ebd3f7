"""Placeholder characters for those that can't be drawn, in a text that is being written.

The document of the prompt holds a character of a private plane in place of each: it is one
cell wide, so lines wrap and the cursor moves as for any other. What is sent, copied or given
to an editor has the characters themselves, as they were typed or pasted.
"""

from __future__ import annotations

import re

from urial_tui.sanitize import CONTROL_PICTURES, UNSAFE, storable

_FIRST, _LAST = 0x100000, 0x10FFFD
# A private character of the text itself gets a stand-in as well, so that none is mistaken.
_REPLACED = re.compile(f"{UNSAFE.pattern}|[{chr(_FIRST)}-{chr(_LAST)}]")
_STAND_INS = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_NO_PICTURE = "\ufffd"


class StandIns:
    """The characters behind the stand-ins."""

    def __init__(self) -> None:
        self._originals: list[str] = []
        self._places: dict[str, int] = {}

    def put_in(self, text: str) -> str:
        """A text with one stand-in for each character that can't be drawn.

        Lone surrogates become U+FFFD, for they can't be sent either.
        """
        return _REPLACED.sub(self._stand_in, storable(text))

    def take_out(self, text: str) -> str:
        """The text itself, of one with stand-ins."""
        return _STAND_INS.sub(lambda found: self._originals[ord(found[0]) - _FIRST], text)

    def drawn(self, text: str) -> str:
        """A text with its stand-ins as they are shown: a picture of one cell for each."""
        return _STAND_INS.sub(lambda found: _picture(self.take_out(found[0])), text)

    def _stand_in(self, found: re.Match[str]) -> str:
        place = self._places.get(found[0])
        if place is None:
            place = self._places[found[0]] = len(self._originals)
            self._originals.append(found[0])
        return chr(_FIRST + place)


def places(text: str) -> list[int]:
    """Where in a text there are stand-ins."""
    return [found.start() for found in _STAND_INS.finditer(text)]


def _picture(character: str) -> str:
    return CONTROL_PICTURES.get(ord(character), _NO_PICTURE)
