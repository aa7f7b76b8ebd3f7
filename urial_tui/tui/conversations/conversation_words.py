"""The texts of the screen of stored conversations: counts, why none is listed, errors."""

from __future__ import annotations

from textual.content import Content

from urial_tui.chat.listing import Listing
from urial_tui.chat.turns import ConversationRecord
from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line


def how_many(listing: Listing) -> str:
    """How many there are, or were found."""
    found, stored = listing.found, listing.stored
    if not listing.words:
        return f"{stored:,} stored"
    told = f"{found.count:,} of {stored:,} found"
    shown = len(found.hits)
    return told if found.count <= shown else f"{told}, the newest {shown:,} are shown"


def nothing(listing: Listing, import_key: str) -> Content:
    """Why none is listed, and what helps."""
    if listing.words:
        title = f"Nothing holds “{sanitize_line(listing.words)[:60]}”."
        helps = (
            "All words have to be in one turn, or in the title. They are found by how they "
            "start; fewer or shorter ones find more."
        )
    else:
        title = "There are none yet."
        helps = (
            "What you ask in the chat is stored here as you go. "
            f"{import_key} takes in conversations from files."
        )
    return Content.assemble((f"{title}\n\n", "bold"), (helps, "$quiet"))


def title_of(record: ConversationRecord) -> str:
    """What a conversation is called in a sentence."""
    title = sanitize_line(record.title)
    return (title[:47] + "…" if len(title) > 48 else title) or "(no title)"


def trouble(error: UrialError) -> Content:
    """What went wrong, and what helps."""
    return Content.assemble(
        (f"✖ {sanitize_line(error.message)} ", "bold $error"), sanitize_line(error.hint)
    )
