"""The texts about a model: what it is, where it lies, whether it fits, how fast it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from textual.content import Content

from urial_tui import wording
from urial_tui.models.overview import Listed, Overview
from urial_tui.models.speed import ExpectedSpeed
from urial_tui.models.stores.sighting import StoreName
from urial_tui.sanitize import sanitize_line, shortened
from urial_tui.tui.models.downloads import DownloadState
from urial_tui.tui.models.model_list import FIT_SIGNS, LISTED, ModelRow
from urial_tui.tui.models.places import OTHERS

Key = Callable[[str], str]
"""The key of a binding, by its id, as it is printed on a keyboard."""

_BAR = 20
_FILTERS = {"all": "all", "here": "here", "to download": "absent"}
"""What is listed, in a word."""
_LONG = 300


def detail(row: ModelRow, partners: Sequence[Listed], key: Key) -> Content:
    """All that is known of a model.

    Args:
        row: It.
        partners: What stands beside it in the catalogue.
        key: Tells keys.
    """
    return Content("\n").join(_lines(row, partners, key))


def _lines(row: ModelRow, partners: Sequence[Listed], key: Key) -> Iterator[Content]:
    listed, looked, entry = row.listed, row.looked, row.listed.entry
    about = [row.role if entry is not None else "", entry.parameters if entry else ""]
    # Who has a file has accepted its licence.
    licence = entry.licence if entry and not listed.is_here else ""
    about += [listed.architecture, listed.quantisation, licence]
    about += ["the default" if listed.default else "", "in use" if row.in_use else ""]
    yield Content.assemble(
        (_short(entry.title if entry else listed.name), "bold"),
        ("  " + " · ".join(_short(part) for part in about if part), "$quiet"),
    )
    yield from _place(row, key)
    if looked is not None and looked.trouble:
        yield Content.styled(f"✖ {sanitize_line(looked.trouble)}", "$error")
    if looked is not None and looked.fit is not None:
        sign, colour = FIT_SIGNS[looked.fit.verdict]
        yield Content.assemble((f"{sign} ", colour), looked.fit.words)
    if listed.kind == "model" and looked is not None and not looked.trouble:
        yield Content.styled(speed_words(looked.speed), "$quiet")
    if entry is None and looked is not None and looked.guess is not None:
        signs = [sign.seen for sign in looked.guess.signs if sign.speaks_for != "neither"]
        why = f": {_short(signs[0])}" if signs else ""
        what = {"base": "A base model, most likely", "chat": "Tuned to chat, most likely"}
        told = what.get(looked.guess.origin, "Base or chat can't be told")
        yield Content.styled(f"{told}{why}.", "$quiet")
    if partners:
        side = "base model" if row.role == "chat" else "aligned partner"
        side = f"Its {side} is" if len(partners) == 1 else f"Its {side}s are"
        places = (f"{_short(one.name)}, {_where(one)}" for one in partners)
        yield Content.styled(f"{side} {'; '.join(places)}.", "$quiet")
    for problem in listed.problems:
        yield Content.styled(f"▲ {_short(problem)}", "$warning")


def _where(listed: Listed) -> str:
    return "on this machine" if listed.is_here else "not here"


def _place(row: ModelRow, key: Key) -> Iterator[Content]:
    """Where it is, or how it gets here."""
    listed, download = row.listed, row.download
    if download is not None and download.stage == "failed" and not listed.is_here:
        yield Content.styled(f"✖ {sanitize_line(str(download.error))}", "$error")
    match listed.state:
        case "unfinished" | "absent" if row.is_coming:
            yield Content(_coming(row, key))
        case "here":
            where = OTHERS.get(listed.store, "") if listed.store else ""
            parts = f", in {wording.amount(listed.parts, 'part')}" if listed.parts > 1 else ""
            yield Content.assemble(
                (f"{where}: " if where else "", "$quiet"),
                sanitize_line(str(listed.path)),
                (parts, "$quiet"),
            )
        case "package":
            yield Content("Its Python package is installed; it is unpacked once, at first use.")
        case "unfinished" if not listed.done:
            yield Content(f"Nothing of it is here. {key('models.pull')} downloads it.")
        case "unfinished":
            of = f" of {wording.size(listed.size)}" if listed.size else ""
            yield Content(
                f"Of an interrupted download {wording.size(listed.done)}{of} are here. "
                f"{key('models.pull')} goes on with it."
            )
        case "absent" if listed.entry is not None and listed.entry.base:
            base = sanitize_line(listed.entry.base)
            yield Content(
                f"Not here: it is {base} with an adapter that comes with the program. "
                f"{key('models.pull')} downloads {base}."
            )
        case _:
            size = wording.size(listed.size) if listed.size else "of unknown size"
            source = f" from hf.co/{listed.entry.repository}" if listed.entry else ""
            yield Content(
                f"Not here: {size}{sanitize_line(source)}. {key('models.pull')} downloads it."
            )


def _coming(row: ModelRow, key: Key) -> str:
    """What is done with one that is on its way, a sentence or two."""
    if row.download is not None and row.download.stopping:
        return f"Its download stops; what came is kept. {key('models.pull')} goes on with it."
    waits = row.download is not None and row.download.stage == "waiting"
    how = "It is downloaded after others" if waits else "It is being downloaded"
    return f"{how}; {key('models.stop')} stops that, and what came is kept."


def speed_words(speed: ExpectedSpeed | None) -> str:
    """How fast it will write, a sentence."""
    if speed is None:
        return "How fast it writes is not known: `urial bench` measures this machine."
    if speed.how == "measured":
        return f"It writes {wording.rate(speed.empty)}, as it was measured here."
    by = _short(speed.by)
    return f"It should write about {wording.rate(speed.empty)}, by what was measured of {by}."


def download_lines(states: Sequence[DownloadState], width: int, most: int) -> Content:
    """What is downloaded now and what waits: a line each, with a bar."""
    is_open = [state for state in states if state.is_open]
    lines = [_download(state, width) for state in is_open[:most]]
    if len(is_open) > most:
        lines[-1] = Content.styled(f"  and {len(is_open) - most + 1:,} more wait", "$quiet")
    return Content("\n").join(lines)


def _download(state: DownloadState, width: int) -> Content:
    name = _short(state.name.rsplit("/", 1)[-1])
    if state.stage == "waiting":
        return Content.assemble(("○ ", "$quiet"), name, ("  waits", "$quiet")).truncate(width)
    pace = state.pace
    words = "stopping; what came is kept" if state.stopping else pace.words
    share = pace.done / pace.total if pace.total else 0.0
    cells = _BAR if width >= 100 else _BAR // 2
    full = min(cells, int(share * cells))
    bar = Content.assemble(("━" * full, "$primary"), ("─" * (cells - full), "$line"))
    right = Content.assemble("  ", bar, f"  {words}")
    left = Content.assemble(("↓ ", "$primary"), (name, "bold"))
    left = left.truncate(max(8, width - right.cell_length), ellipsis=True)
    return Content.assemble(left, right).truncate(width, ellipsis=True)


def nothing(words: str, here: bool, key: Key) -> Content:
    """What stands in place of the list."""
    if words:
        return Content.assemble(
            (f"No model has “{_short(words)[:60]}”.\n\n", "bold"),
            ("All words have to be in its name, title, kind, quantisation or place. ", "$quiet"),
            (f"{key('models.back')} leaves the search.", "$quiet"),
        )
    if here:
        return Content.assemble(
            ("No model is on this machine.\n\n", "bold"),
            (
                f"{key('models.filter')} shows those that can be downloaded; "
                f"{key('models.address')} downloads one of an address.",
                "$quiet",
            ),
        )
    return Content.assemble(
        ("There are no models.\n\n", "bold"),
        (
            "The catalogue is empty, and no program has any here. "
            f"{key('models.address')} downloads one of an address.",
            "$quiet",
        ),
    )


def unlisted(key: Key) -> Content:
    """What stands in place of the list where there can be none."""
    return Content.assemble(
        ("The models can't be listed.\n\n", "bold"),
        (
            f"It is said below why not; {key('models.look')} looks again. "
            f"{key('models.address')} downloads one of an address.",
            "$quiet",
        ),
    )


def words_of(row: ModelRow) -> str:
    """All in which a model is searched."""
    listed, entry = row.listed, row.listed.entry
    parts = [row.name, row.role, listed.quantisation, listed.architecture, listed.state]
    parts += [entry.title, entry.parameters, entry.licence] if entry else []
    parts += [store_words(listed.store), listed.path.name] if listed.path else []
    return " ".join(parts)


def found_words(overview: Overview, rows: int, narrowed: str, searched: bool) -> str:
    """How many models there are, and how many of them are listed.

    Args:
        overview: All.
        rows: How many are wanted.
        narrowed: To what these are narrowed, if they are.
        searched: Whether words are looked for.
    """
    here = sum(one.is_here for one in overview.models)
    parts = [f"{here:,} here, {len(overview.models) - here:,} to download"]
    if narrowed:
        parts.append(f"shown: {narrowed}")
    if searched:
        parts.append(f"{rows:,} found")
    if rows > LISTED:
        parts.append(f"the first {LISTED:,} are shown")
    if overview.left_out:
        parts.append(f"{overview.left_out:,} left out (`urial models discover`)")
    return " · ".join(parts)


def row_keys(row: ModelRow | None, shown: str) -> list[tuple[str, str]]:
    """The actions that do something with a row, and what they are called.

    Args:
        row: It, if there is one.
        shown: What is listed.
    """
    keys: list[tuple[str, str]] = []
    seldom: list[tuple[str, str]] = []
    if row is not None and row.listed.is_here:
        keys += [("use", "use"), ("details", "details")]
        seldom = [("default", "default"), ("verify", "check"), ("remove", "remove")]
    elif row is not None:
        keys.append(("stop", "stop") if row.is_coming else ("pull", "download"))
        keys.append(("details", "details"))
        if row.listed.state == "unfinished" and not row.is_coming:
            seldom = [("remove", "remove")]
    keys += [("search", "find"), ("back", "back")]
    # The last ones give way where there is no room; 80 columns hold all but the seldom ones.
    more = [("filter", _FILTERS[shown]), ("address", "address")]
    return [*_named(keys), ("app.keys", "keys"), *_named([*more, *seldom])]


def _named(keys: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(f"models.{name}", what) for name, what in keys]


def store_words(store: StoreName | None) -> str:
    """Whose a file is."""
    return OTHERS.get(store, "") if store else "the models directory"


def _short(text: str) -> str:
    return shortened(sanitize_line(text), _LONG)
