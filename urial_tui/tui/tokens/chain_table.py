"""A table of the sampler chain at one token: what each stage left, and how the token fared."""

from __future__ import annotations

import math

from textual.content import Content

from urial_tui.engine.wire.values import SamplerStage, Sampling, StageEffect, TracedToken
from urial_tui.tui.drawing.figures import fit, percent
from urial_tui.tui.tokens.one_token import OneToken

_NAME, _LEFT, _SHARE = 16, 12, 8
_NOT_BY_CHAIN = "✂ Not by this chain: it was branched, gone on from, edited, or rounded."


class ChainTable(OneToken):
    """One line a stage, for the token at `index`: candidates left, the token's probability."""

    def tell(self, token: TracedToken) -> Content:
        """From the model's own distribution to the choice."""
        sampling = self.answer.trace.sampling
        head = f"{'sampler':<{_NAME}}{'left':>{_LEFT}}{'token':>{_SHARE}}"
        lines = [Content.styled(head, "bold $secondary underline")]
        share = percent(math.exp(token.logp))
        lines.append(
            Content(f"{'the model':<{_NAME}}{self.answer.n_vocab:>{_LEFT},}{share:>{_SHARE}}")
        )
        for number, (stage, effect) in enumerate(zip(sampling.stages, token.stages, strict=True)):
            lines.append(_line(stage, effect, sampling, number < token.passed))
        lines.append(_end(token, sampling))
        return Content("\n").join(lines)


def _line(stage: SamplerStage, effect: StageEffect, sampling: Sampling, passed: bool) -> Content:
    left = f"{effect.left:,}"
    style = ""
    if stage == "rules":
        left = f"{effect.changed:,} changed"
    elif stage in ("penalties", "dry"):
        lowers = min(sampling.repetition_penalty - 1, sampling.frequency_penalty) >= 0
        lowers = lowers and sampling.presence_penalty >= 0
        left = f"{effect.changed:,} {'lowered' if lowers or stage == 'dry' else 'changed'}"
        style = "" if effect.changed else "$quiet"
    share = percent(effect.p) if passed else "✂"
    return Content.assemble(
        fit(name_of(stage, sampling), _NAME),
        (f"{left:>{_LEFT}}", style),
        (f"{share:>{_SHARE}}", "bold" if passed else "bold $warning"),
    )


def _end(token: TracedToken, sampling: Sampling) -> Content:
    greedy = sampling.stages[-1] == "greedy"
    if token.passed < len(sampling.stages):
        return Content.styled(_NOT_BY_CHAIN, "$warning")
    if greedy:
        return Content.styled("▸ the first choice", "$primary")
    return Content.styled(f"▸ drawn, with {percent(token.stages[-1].p)}", "$primary")


def name_of(stage: SamplerStage, sampling: Sampling) -> str:
    """A stage with the setting that governs it."""
    match stage:
        case "rules":
            return "rules"
        case "penalties":
            return f"penalties {sampling.repetition_penalty:g}"
        case "dry":
            return f"DRY {sampling.dry_multiplier:g}"
        case "top-k":
            return f"top-k {sampling.top_k}"
        case "top-p":
            return f"top-p {sampling.top_p:g}"
        case "min-p":
            return f"min-p {sampling.min_p:g}"
        case "temperature":
            return f"temperature {sampling.temperature:g}"
        case "greedy":
            return "greedy"
