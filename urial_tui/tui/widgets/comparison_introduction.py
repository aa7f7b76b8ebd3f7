"""What the compare screen says before there is an answer: what it does, and how to start."""

from __future__ import annotations

from textual.content import Content


def introduction() -> Content:
    """An explanation with the classes as they will look, and the keys."""
    return Content.assemble(
        ("What does alignment change?\n", "bold $primary"),
        "The aligned side answers a question. Each token of its answer is looked up among "
        "what the base side would have written there:\n\n",
        ("unshifted", "$unshifted"),
        "  the base side's first choice as well\n",
        ("marginal", "$marginal underline"),
        "   its second or third choice\n",
        ("shifted", "bold reverse $shifted"),
        "    further down\n\n",
        "The two sides may be two models, or one model in two contexts: then the difference is "
        "what the context changes. Everything runs on this machine.\n\n",
        ("F2", "bold $secondary"),
        (" and ", "$quiet"),
        ("F3", "bold $secondary"),
        (" choose the sides. Type a question above and press ", "$quiet"),
        ("Enter", "bold $secondary"),
        (".", "$quiet"),
    )
