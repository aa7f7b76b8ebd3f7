"""What the compare screen says before there is an answer: what it does, and how to start."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.dom import DOMNode

from urial_tui.engine.wire.server_address import whereabouts
from urial_tui.tui.frame.keys import key_name


def introduction(node: DOMNode, servers: Sequence[str] = ()) -> Content:
    """An explanation with the classes as they will look, and the keys.

    Args:
        node: Knows the keys.
        servers: RPC servers that compute layers of the models.
    """
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
        f"what the context changes. {whereabouts(servers)}\n\n",
        (key_name(node, "compare.base"), "bold $secondary"),
        (" and ", "$quiet"),
        (key_name(node, "compare.aligned"), "bold $secondary"),
        (" choose the sides. Type a question above and press ", "$quiet"),
        (key_name(node, "prompt.submit"), "bold $secondary"),
        (".", "$quiet"),
    )
