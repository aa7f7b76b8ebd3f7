"""The paper's published scores, as a baseline beside one's own.

Lin et al., "The Unlocking Spell on Base LLMs: Rethinking Alignment via In-Context Learning", ICLR
2024 (arXiv 2312.01552). They are means over the 1,000 items of just-eval-instruct by GPT-4. Another
judge has another scale, and other items are harder or easier: they tell how far apart methods are,
and are no bar for what a report has of its own.
"""

from __future__ import annotations

from typing import Final

import msgspec

SOURCE: Final = "arXiv 2312.01552"
JUDGE: Final = "GPT-4"
SET: Final = "just-eval-instruct"
ITEMS: Final = 1000


class PublishedScores(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the paper. `average`: of the six aspects. `words`: mean length of the answers."""

    name: str
    helpfulness: float
    clarity: float
    factuality: float
    depth: float
    engagement: float
    safety: float
    average: float
    words: float


def _row(name: str, *figures: float) -> PublishedScores:
    keys = PublishedScores.__struct_fields__[1:]
    return msgspec.convert({"name": name, **dict(zip(keys, figures, strict=True))}, PublishedScores)


ROWS: Final = (
    _row("Llama-2-7b, zero-shot", 3.05, 3.83, 3.14, 2.69, 3.09, 1.57, 2.90, 162.4),
    _row("Llama-2-7b, vanilla ICL", 3.32, 4.33, 3.56, 2.67, 3.23, 1.97, 3.18, 87.1),
    _row("Llama-2-7b, retrieval ICL", 3.98, 4.52, 4.00, 3.62, 4.02, 2.17, 3.72, 156.5),
    _row("Llama-2-7b, URIAL K=3", 4.22, 4.81, 4.16, 3.88, 4.65, 4.29, 4.33, 200.0),
    _row("Llama-2-7b, URIAL K=8", 4.08, 4.79, 4.09, 3.68, 4.61, 4.97, 4.37, 179.0),
    _row("Llama-2-7b-chat", 4.10, 4.83, 4.26, 3.91, 4.70, 5.00, 4.47, 246.9),
    _row("Vicuna-7b-v1.5", 4.43, 4.85, 4.33, 4.04, 4.51, 4.60, 4.46, 184.8),
    _row("Mistral-7b-instruct", 4.36, 4.87, 4.29, 3.89, 4.47, 4.75, 4.44, 155.4),
    _row("Mistral-7b, URIAL K=3", 4.57, 4.89, 4.50, 4.18, 4.74, 4.92, 4.63, 186.3),
    _row("Llama-2-70b, URIAL K=3", 4.72, 4.95, 4.65, 4.30, 4.85, 4.96, 4.74, 171.4),
    _row("gpt-3.5-turbo-0301", 4.81, 4.98, 4.83, 4.33, 4.58, 4.94, 4.75, 154.0),
    _row("gpt-4-0613", 4.86, 4.99, 4.90, 4.49, 4.61, 4.97, 4.80, 186.1),
)
