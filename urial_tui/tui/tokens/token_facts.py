"""A widget with the figures of the token under the cursor: probability, rank, entropy."""

from __future__ import annotations

import math

from textual.content import Content

from urial_tui.engine.wire.values import TracedToken
from urial_tui.tui.drawing.figures import facts, number, percent
from urial_tui.tui.tokens.one_token import OneToken


class TokenFacts(OneToken):
    """Two lines on the token at `index` of an answer."""

    def tell(self, token: TracedToken) -> Content:
        """Probability and rank; then how open the place was."""
        answer = self.answer
        width = max(20, self.content_size.width)
        place = Content.styled(f"token {self.index + 1:,} of {answer.total:,}", "$quiet")
        head = Content.assemble(
            (answer.quoted(token.id), "bold"),
            (f"  {percent(math.exp(token.logp))}", "bold $secondary"),
            f"  rank {token.rank:,} of {answer.n_vocab:,}",
        ).truncate(max(1, width - place.cell_length - 2), ellipsis=True)
        branching = math.exp(token.entropy)
        rest = facts(
            ("surprise", f"{number(-token.logp, 2)} nats"),
            ("entropy", f"{number(token.entropy, 2)} nats"),
            ("branching", f"{branching:,.1f}" if branching < 1000 else f"{branching:,.0f}"),
        )
        gap = " " * (width - head.cell_length - place.cell_length)
        return Content("\n").join(
            [Content.assemble(head, gap, place), rest.truncate(width, ellipsis=True)]
        )
