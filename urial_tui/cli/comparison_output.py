"""A comparison as text: the answer in colours and the tables under it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from urial_tui.cli.output import Column, print_table
from urial_tui.sanitize import sanitize, sanitize_line

_SGR = {"unshifted": "34", "marginal": "33;4", "shifted": "31;1;7", "absent": "35;7"}
"""Blue; brown and underlined; red and reversed: told apart without colour, too."""


def print_answer(item: Mapping[str, Any]) -> None:
    """The answer with its tokens coloured by class, where that is a terminal."""
    colour = sys.stdout.isatty()
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
    click.echo()


def print_summary(found: Mapping[str, Any]) -> None:
    """The sides, the shares, the divergences and what stands out, as tables."""
    base, aligned, vocab = found["base"], found["aligned"], found["vocab"]
    click.echo(f"base     {_side_line(base)}")
    click.echo(f"aligned  {_side_line(aligned)}")
    click.echo(f"vocabulary: {vocab['relation']}")
    click.echo()
    if found["bytes"] is not None:
        _print_bytes(found["bytes"])
        return
    summary, special = found["summary"], found["special"]
    print_table(
        [
            Column("tokens"),
            Column("unshifted", right=True),
            Column("marginal", right=True),
            Column("shifted", right=True),
            Column("positions", right=True),
        ],
        [
            [
                name,
                *(_share(part, kind) for kind in ("unshifted", "marginal", "shifted")),
                str(part["positions"]),
            ]
            for name, part in (("content", summary), ("special", special))
        ],
    )
    click.echo()
    print_table(
        [
            Column("nats"),
            Column("mean", right=True),
            Column("median", right=True),
            Column("p90", right=True),
            Column("p99", right=True),
        ],
        [
            [name, *(_number(summary[key][column]) for column in ("mean", "median", "p90", "p99"))]
            for name, key in (
                ("KL(aligned‖base)", "kl_aligned_base"),
                ("KL(base‖aligned)", "kl_base_aligned"),
                ("JS", "js"),
            )
        ],
    )
    click.echo()
    bits = summary["bits_per_byte"]
    click.echo(f"same most probable token  {_percent(summary['top1_agreement'])}")
    click.echo(f"mean base rank            {_number(summary['mean_base_rank'], 2)}")
    click.echo(
        f"bits per byte             base {_number(bits['base'], 3)}, "
        f"aligned {_number(bits['aligned'], 3)}"
    )
    tokens = [
        f"{json.dumps(sanitize_line(token['token']), ensure_ascii=False)} "
        f"{token['count']}/{token['total']}"
        for token in found["shifted_tokens"][:8]
        if token["count"]
    ]
    if tokens:
        click.echo(f"most shifted              {', '.join(tokens)}")


def _print_bytes(found: Mapping[str, Any]) -> None:
    click.echo("The vocabularies are different, so there is no divergence between the sides.")
    bits = found["bits_per_byte"]
    click.echo(
        f"bits per byte     base {_number(bits['base'], 3)}, aligned {_number(bits['aligned'], 3)}"
    )
    click.echo(
        f"same next text    {_percent(found['agreement'])} of {found['boundaries']} places "
        "where both start a token"
    )


def _side_line(side: Mapping[str, Any]) -> str:
    adapter = f" with {side['adapter']}" if side["adapter"] else ""
    return sanitize_line(f"{side['model']}{adapter}, context {side['context']}")


def _share(part: Mapping[str, Any], kind: str) -> str:
    interval = part[f"{kind}_interval"]
    spread = f" ({interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
    return _percent(part[kind]) + spread


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
