"""A comparison as text: the answer in colours and the tables under it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from urial_tui.cli.output import TableColumn, in_colour, print_table, text_width
from urial_tui.sanitize import sanitize, sanitize_line
from urial_tui.wording import fixed, percent

if TYPE_CHECKING:
    from urial_tui.compare.item_file import ItemFile
    from urial_tui.compare.sides import Task

_SGR = {"unshifted": "34", "marginal": "33;4", "shifted": "31;1;7", "absent": "35;7"}
"""Blue; brown and underlined; red and reversed: told apart without colour, too."""
_OFTEN = 2
"""A token that was shifted fewer times does not stand out."""
_MOST_SHIFTED = 8
_INDENT = 26
_WIDTH = 80 - _INDENT


def print_answer(item: Mapping[str, Any]) -> None:
    """The answer with its tokens coloured by class, where that is a terminal."""
    colour = in_colour()
    if not item["positions"]:
        click.echo(sanitize(item["answer"]))
    else:
        shown = []
        for position in item["positions"]:
            text = sanitize(position["text"])
            if colour and text.strip():
                text = f"\x1b[{_SGR[position['class']]}m{text}\x1b[0m"
            shown.append(text)
        click.echo("".join(shown), color=colour)
    if item["rechosen"]:
        click.echo(
            f"\n{item['rechosen']} of these tokens took the place of nearly as probable ones when "
            "the answer was scored (see docs/compare.md)."
        )
    click.echo()


def reuse_line(file: ItemFile, tasks: Sequence[Task], path: Path) -> str:
    """How many items a file gives and how many are computed anew, and why; "" for a new file."""
    reused, changed = sum(map(file.holds, tasks)), file.changed(tasks)
    if not reused and not changed:
        return ""
    ids = ", ".join(sanitize_line(item)[:40] for item in changed[:5])
    more = ", …" if len(changed) > 5 else ""
    why = f", {len(changed)} of them since they have changed ({ids}{more})" if changed else ""
    return (
        f"{reused} of {len(tasks)} items are taken from {sanitize_line(str(path))}, "
        f"{len(tasks) - reused} computed anew{why}."
    )


def print_summary(found: Mapping[str, Any]) -> None:
    """The sides, the shares, the divergences and what stands out, as tables."""
    base, aligned, vocab = found["base"], found["aligned"], found["vocab"]
    click.echo(f"base     {_side_line(base)}")
    click.echo(f"aligned  {_side_line(aligned)}")
    click.echo(f"vocabulary: {vocab['relation']}")
    if vocab["cutting"]:
        click.echo(
            "The files say different things of how text is cut into tokens, so contexts may differ "
            f"by that: {', '.join(map(_cutting, vocab['cutting']))}."
        )
    click.echo()
    if found["bytes"] is not None:
        _print_bytes(found["bytes"])
        return
    summary, special = found["summary"], found["special"]
    print_table(
        [
            TableColumn("tokens"),
            TableColumn("unshifted", right=True),
            TableColumn("marginal", right=True),
            TableColumn("shifted", right=True),
            TableColumn("positions", right=True),
        ],
        [
            [
                name,
                *(_share(part, kind) for kind in ("unshifted", "marginal", "shifted")),
                f"{part['positions']:,}",
            ]
            for name, part in (("content", summary), ("special", special))
        ],
    )
    click.echo()
    print_table(
        [
            TableColumn("nats"),
            TableColumn("mean", right=True),
            TableColumn("median", right=True),
            TableColumn("p90", right=True),
            TableColumn("p99", right=True),
        ],
        [
            [name, *(fixed(summary[key][column], 4) for column in ("mean", "median", "p90", "p99"))]
            for name, key in (
                ("KL(aligned‖base)", "kl_aligned_base"),
                ("KL(base‖aligned)", "kl_base_aligned"),
                ("JS", "js"),
            )
        ],
    )
    if found["noise"] is not None:
        noise = found["noise"]
        click.echo(
            f"Rounding alone makes a KL of {fixed(noise['kl_mean'], 4)} on average, at most "
            f"{fixed(noise['kl_max'], 4)}:\n"
            "the aligned model against itself, read in other batches "
            f"({noise['positions']} positions)."
        )
    click.echo()
    bits = summary["bits_per_byte"]
    click.echo(f"same most probable token  {percent(summary['top1_agreement'])}")
    click.echo(f"mean base rank            {fixed(summary['mean_base_rank'], 2)}")
    click.echo(
        f"bits per byte             base {fixed(bits['base'], 3)}, "
        f"aligned {fixed(bits['aligned'], 3)}"
    )
    tokens = [
        f"{json.dumps(sanitize_line(token['token']), ensure_ascii=False)} "
        f"{token['count']:,}/{token['total']:,}"
        for token in found["shifted_tokens"][:_MOST_SHIFTED]
        if token["count"] >= _OFTEN
    ]
    for at, line in enumerate(_wrapped(tokens, _WIDTH)):
        click.echo(f"{'' if at else 'most shifted':<{_INDENT}}{line}")


def _wrapped(words: Sequence[str], width: int) -> Iterator[str]:
    """Words with commas between, in lines."""
    line = ""
    for at, word in enumerate(words):
        piece = word if at == len(words) - 1 else f"{word}, "
        if line and text_width(line + piece.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
    if line:
        yield line


def _print_bytes(found: Mapping[str, Any]) -> None:
    click.echo("The vocabularies are different, so there is no divergence between the sides.")
    bits = found["bits_per_byte"]
    click.echo(
        f"bits per byte     base {fixed(bits['base'], 3)}, aligned {fixed(bits['aligned'], 3)}"
    )
    click.echo(
        f"same next text    {percent(found['agreement'])} of {found['boundaries']:,} places "
        "where both start a token"
    )


def _side_line(side: Mapping[str, Any]) -> str:
    adapter = f" with {side['adapter']}" if side["adapter"] else ""
    return sanitize_line(f"{side['model']}{adapter}, context {side['context']}")


def _cutting(found: Mapping[str, Any]) -> str:
    """A key of two tokenizers, with its values where these are short."""
    values = [found[side] for side in ("base", "aligned")]
    if any(value and value.startswith("sha256:") for value in values):
        return sanitize_line(found["key"])
    base, aligned = (value if value is not None else "none" for value in values)
    return sanitize_line(f"{found['key']} ({base} and {aligned})")


def _share(part: Mapping[str, Any], kind: str) -> str:
    interval = part[f"{kind}_interval"]
    spread = f" ({100 * interval[0]:.1f}–{percent(interval[1])})" if interval else ""
    return percent(part[kind]) + spread
