"""Write docs/keys.md from the bindings of the screens and widgets.

python -m tools.keys
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from urial_tui.tui.frame.keys import Bound, bindings, shown

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "keys.md"

_INTRODUCTION = """\
# Keys

`F1` shows the keys of the screen that you are on. Each action below has an id, and the table
`[keys]` of `settings.toml` gives it other keys, separated by commas:

```toml
[keys]
"chat.regenerate" = "ctrl+b, f5"
"compare.next_shifted" = "s"
```

They replace the keys that the action had. A key is written as `f5`, `ctrl+b`, `alt+left`,
`shift+enter`, `escape`, `space`, `pageup`, `?` or `N` (which is Shift and N); a comma is `comma`.
An unknown id, a key that there is none of, and a key that is taken are errors that name it. The
keys marked * work while you type, so they can't be characters.

Which keys reach a program is the terminal's choice: most send the same for `ctrl+i` and `tab`,
for `ctrl+m` and `enter`, and can't tell `shift+enter` from `enter`.

The file is made from the program: `python -m tools.keys` writes it.
"""


def document(bound: Iterable[Bound]) -> str:
    """The document, with a table for each place in which keys are bound."""
    groups: dict[str, list[Bound]] = {}
    for one in bound:
        groups.setdefault(one.group, []).append(one)
    lines = [_INTRODUCTION]
    for title in sorted(groups, key=lambda title: (title != "Everywhere", title)):
        lines += [f"## {title}", "", "| id | keys | what it does |", "| --- | --- | --- |"]
        for one in groups[title]:
            keys = ", ".join(f"`{shown(key)}`" for key in one.keys)
            lines.append(f"| `{one.id}` | {keys}{' *' * one.priority} | {one.what} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    DOCUMENT.write_text(document(bindings()), encoding="utf-8")
