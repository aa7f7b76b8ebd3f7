"""Chat templates of strangers: what they write, whose it is, and that none of them does harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile_templates import ODD, REFUSED, SLOW
from tests.scripted import INFO
from urial_tui.engine.wire.values import ModelInfo, TextSegment
from urial_tui.errors import ModelError
from urial_tui.prompting.context import find_context, segments
from urial_tui.prompting.conversation import Exchanged, render_conversation
from urial_tui.prompting.templates.owned_text import TEMPLATE as OWN
from urial_tui.prompting.templates.owned_text import UNKNOWN, OwnedText, derived, owner_of, runs
from urial_tui.prompting.templates.protocol import TEMPLATE, RenderedPiece
from urial_tui.prompting.templates.renderer import TemplateRenderer

NOW = datetime(2031, 2, 3, 4, 5, 6)
CHAT = find_context("chat")
LOOP = SLOW["nested ranges"]
EACH = "{% for m in messages %}"


def model(template: str, **changes: object) -> ModelInfo:
    return msgspec.structs.replace(
        INFO, chat_template=template, bos="<s>", eos="</s>", adds_bos=True, **changes
    )


def text(pieces: tuple[RenderedPiece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


# -- what a template finds ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("{{ messages[0]['role'] }}-{{ messages[1].role }}", "user-assistant"),
        ("{{ eos_token }}|{{ bos_token }}", "</s>|<s>"),
        ("{{ add_generation_prompt }} {{ tools }} {{ documents }}", "True None None"),
        ("{{ tools is none }} {{ documents is none }} {{ nothing is defined }}", "True True False"),
        ("{{ strftime_now('%d %b %Y') }}", "03 Feb 2031"),
        ("{% generation %}a{{ 1 }}{% endgeneration %}b", "a1b"),
        (f"{EACH}{{%- generation -%}} x {{%- endgeneration -%}}{{% endfor %}}", "xxx"),
        (f"{EACH}{{% if loop.first %}}{{% continue %}}{{% endif %}}{{{{ m.role }}}}"
         "{% break %}{% endfor %}", "assistant"),
        ("{% if true %}\n  {% set a = 1 %}\nb\n{% endif %}\nc\n", "b\nc"),
        ("{{ {'b': '<é>', 'a': [1, none, true]} | tojson }}", '{"b": "<é>", "a": [1, null, true]}'),
        ("{{ {'b': 1, 'a': 'é'} | tojson(ensure_ascii=true, indent=1, sort_keys=true) }}",
         '{\n "a": "\\u00e9",\n "b": 1\n}'),
        ("{{ [1, 2] | tojson(separators=(',', ':')) }}", "[1,2]"),
        ("{{ '%s|%s' | format('a', 2) }} {{ 'ab'[::-1] }} {{ ['x', 'y'] | join }}", "a|2 ba xy"),
    ],
)  # fmt: skip
def test_a_template_finds_what_it_finds_elsewhere(
    templates: TemplateRenderer, template: str, written: str
) -> None:
    pieces = templates.render(model(template), ("a", "b", "c"), NOW)
    assert pieces == (RenderedPiece(TEMPLATE, written),)


def test_the_token_that_the_engine_adds_is_written_once(templates: TemplateRenderer) -> None:
    template = "{{ bos_token }}{{ bos_token }}{{ messages[0].content }}"
    assert text(templates.render(model(template), ("<s>",))) == "<s><s>"
    bare = msgspec.structs.replace(model(template), adds_bos=False)
    assert text(templates.render(bare, ("<s>",))) == "<s><s><s>"
    typed = model("{{ messages[0].content }}")
    assert templates.render(typed, ("<s>x",)) == (RenderedPiece(0, "<s>x"),)


# -- whose a text is ---------------------------------------------------------------------

THINK = "{{ messages[1].content.split('</think>')[-1].lstrip('\\n') }}"


@pytest.mark.parametrize(
    ("template", "contents", "written"),
    [
        ("<u>{{ messages[0].content | trim }}<e>", ["  padded \n"],
         [(-1, "<u>"), (0, "padded"), (-1, "<e>")]),
        ("<u>{{ messages[0]['content'].strip() }}<e>", ["  padded \n"],
         [(-1, "<u>"), (0, "padded"), (-1, "<e>")]),
        (THINK, ["?", "<think>\nhm</think>\n\nYes."], [(1, "Yes.")]),
        ("{% if '</think>' in messages[1].content %}thought{% endif %}" + THINK,
         ["?", "a</think>b"], [(-1, "thought"), (1, "b")]),
        ("{{ 'long' if messages[0].content | length > 9 else 'short' }}", ["0123456789"],
         [(-1, "long")]),
        ("{{ messages[0].content.replace('<', '&lt;') }}", ["a<b"],
         [(0, "a"), (-1, "&lt;"), (0, "b")]),
        ("{{ messages[0].content | tojson }}", ['"<é>"\n'], [(0, '"\\"<é>\\"\\n"')]),
        ("{{ messages[0].content | upper }}", ["<e> ß"], [(0, "<E> SS")]),
        ("{{ '<u>' + messages[0].content + '<e>' }}", ["<e>"],
         [(-1, "<u>"), (0, "<e>"), (-1, "<e>")]),
        ("{{ '<u>' ~ messages[0].content ~ 7 ~ none }}", ["<e>"],
         [(-1, "<u>"), (0, "<e>"), (-1, "7None")]),
        ("{% macro say(m) %}<{{ m.role }}>{{ m.content }}{% endmacro %}{{ say(messages[0]) }}",
         ["<e>"], [(-1, "<user>"), (0, "<e>")]),
        ("{% set x %}<u>{{ messages[0].content }}{% endset %}{{ x | trim }}", ["<e> "],
         [(-1, "<u>"), (0, "<e>")]),
        ("{% set ns = namespace(t='') %}" + EACH + "{% set ns.t = ns.t + m.content + '|' %}"
         "{% endfor %}{{ ns.t }}", ["a", "b", "c"],
         [(0, "a"), (-1, "|"), (1, "b"), (-1, "|"), (2, "c"), (-1, "|")]),
        ("{{ messages | map(attribute='content') | join('<e>') }}", ["a", "<e>", "c"],
         [(0, "a"), (-1, "<e>"), (1, "<e>"), (-1, "<e>"), (2, "c")]),
        ("{{ ['<u>', messages[0].content] | join }}", ["a"], [(-1, "<u>"), (0, "a")]),
        ("{% for c in messages[0].content %}{{ c }}.{% endfor %}", ["ab"],
         [(0, "a"), (-1, "."), (0, "b"), (-1, ".")]),
        ("{{ messages[0].content[1:3] }}{{ messages[0].content[0] }}", ["<e>x"],
         [(0, "e><")]),
        ("{{ messages[0].content.split('|') | last }}{{ messages[0].content | first }}",
         ["<e>|x"], [(0, "x<")]),
        ("{% filter upper %}<u>{{ messages[0].content }}{% endfilter %}", ["<e>"],
         [(-1, "<U>"), (0, "<E>")]),
        ("{{ messages[0].content | indent(2) }}", ["a\nb"], [(0, "a\n  b")]),
        ("{{ messages[0].content | title | wordwrap(3) }}", ["ab cd"], [(0, "Ab\nCd")]),
        ("{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}", ["<e>"],
         [(-1, "role=user;content="), (0, "<e>"), (-1, ";")]),
        ("{{ messages[0].content.splitlines(true)[1] }}", ["a\nb\nc"], [(0, "b\n")]),
        ("{{ messages[0].content.rpartition('e')[2] }}", ["<e> x"], [(0, "> x")]),
    ],
)  # fmt: skip
def test_a_text_that_a_template_looks_at_or_changes_is_followed(
    templates: TemplateRenderer, template: str, contents: list[str], written: list[tuple[int, str]]
) -> None:
    assert list(templates.render(model(template), contents)) == written


@pytest.mark.parametrize(
    "template",
    [
        "{{ '<u>%s<e>' | format(messages[0].content) }}",
        "{{ '<u>{}<e>'.format(messages[0].content) }}",
        "{{ messages | tojson }}",
        "{{ '%c' | format(messages[0].content.encode()[0]) }}",
        "{{ '{:c}'.format(messages[0].content.encode()[0]) }}",
        "{{ 'abc'.translate('abc'.maketrans('abc', messages[0].content)) }}",
        "{{ messages }}",
        "{{ ('<u>' + messages[0].content) | title }}",
        "{{ messages[0].content.encode().decode() + '<e>' }}",
        "{{ [1, 2, 3, 4, 5, 6, 7, 8, 9] | random }}" * 20,
    ],
)
def test_what_can_not_be_followed_is_refused(templates: TemplateRenderer, template: str) -> None:
    with pytest.raises(ModelError, match="told apart"):
        templates.render(model(template), ("<e>",))


def test_no_text_becomes_a_control_token() -> None:
    rendered = (
        RenderedPiece(TEMPLATE, "<u>"),
        RenderedPiece(0, "<e>"),
        RenderedPiece(TEMPLATE, "<e>"),
    )
    assert segments(rendered) == (
        TextSegment(text="<u>", special=True),
        TextSegment(text="<e>"),
        TextSegment(text="<e>", special=True),
    )


def test_spaces_and_line_ends_that_tokenisers_join_with_a_text_go_with_it() -> None:
    rendered = (
        RenderedPiece(TEMPLATE, "[I]  "),
        RenderedPiece(0, "Hi."),
        RenderedPiece(TEMPLATE, "\n\n [A]\n"),
    )
    assert segments(rendered) == (
        TextSegment(text="[I]", special=True),
        TextSegment(text="  Hi.\n\n"),
        TextSegment(text=" [A]\n", special=True),
    )


# -- strings that know their owners ------------------------------------------------------

MINE = owner_of(0)
LETTERS = {"a": OWN, "A": OWN, "<": OWN, " ": OWN, "\n": MINE, "b": MINE, "B": MINE, ">": MINE}
texts = st.text("".join(LETTERS), max_size=12)


def owned(plain: str) -> OwnedText:
    """A string whose owners can be read off it."""
    return OwnedText(plain, "".join(LETTERS[letter] for letter in plain))


def same(found: object, plain: object) -> bool:
    """The same text, with the owners that it had."""
    if isinstance(plain, str):
        assert isinstance(found, OwnedText)
        return found == plain and list(runs(found)) == list(runs(owned(plain)))
    assert isinstance(plain, list | tuple)
    assert isinstance(found, list | tuple)
    return len(found) == len(plain) and all(map(same, found, plain))


@given(texts, texts.filter(bool), texts, st.integers(-1, 4), st.integers(-9, 9))
def test_strings_are_cut_and_joined_like_any_and_keep_their_owners(
    plain: str, part: str, other: str, count: int, at: int
) -> None:
    string, piece, new = owned(plain), owned(part), owned(other)
    assert same(string + new, plain + other)
    assert same(string * count, plain * count)
    assert same(count * string, plain * count)
    assert same(string[at:], plain[at:])
    assert same(string[:at:2], plain[:at:2])
    assert same(string[::-1], plain[::-1])
    assert same(list(string), list(plain))
    assert same(piece.join([string, new, string]), part.join([plain, other, plain]))
    assert same(string.replace(piece, new, count), plain.replace(part, other, count))
    for chars in (None, part):
        assert same(string.strip(chars), plain.strip(chars))
        assert same(string.lstrip(chars), plain.lstrip(chars))
        assert same(string.rstrip(chars), plain.rstrip(chars))
        assert same(string.split(chars, count), plain.split(chars, count))
        assert same(string.rsplit(chars, count), plain.rsplit(chars, count))
    assert same(string.splitlines(), plain.splitlines())
    assert same(string.splitlines(True), plain.splitlines(True))
    assert same(string.partition(piece), plain.partition(part))
    assert same(string.rpartition(piece), plain.rpartition(part))
    assert same(string.removeprefix(piece), plain.removeprefix(part))
    assert same(string.removesuffix(piece), plain.removesuffix(part))
    for change in ("lower", "upper", "casefold", "swapcase", "capitalize", "title"):
        assert same(getattr(string, change)(), getattr(plain, change)())


@given(st.text(min_size=1, max_size=12), st.integers(0, 20))
def test_strings_change_like_any(plain: str, width: int) -> None:
    string = OwnedText(plain, MINE)
    for name, values in (
        ("lower", ()), ("upper", ()), ("casefold", ()), ("swapcase", ()), ("capitalize", ()),
        ("title", ()), ("expandtabs", (3,)), ("center", (width,)), ("ljust", (width, "x")),
        ("rjust", (width, "x")), ("zfill", (width,)), ("translate", ({97: "xyz"},)),
        ("replace", ("", "-")), ("splitlines", ()), ("split", ()),
    ):  # fmt: skip
        found = getattr(string, name)(*values)
        assert found == getattr(plain, name)(*values), name
        # Padding of an unknown owner may be unknown, but is never the template's.
        for piece in [found] if isinstance(found, str) else found:
            assert {owner for owner, _ in runs(piece)} <= {MINE, UNKNOWN}


def test_what_is_made_of_two_owners_in_an_unknown_way_is_of_none() -> None:
    mine, own = OwnedText("a", MINE), OwnedText("b", OWN)
    assert list(runs(derived("x", mine, [{"k": 1}], 2))) == [(UNKNOWN, "x")]
    assert list(runs(derived("x", mine, own))) == [(UNKNOWN, "x")]
    assert list(runs(derived("x", mine, [mine, (2, None)]))) == [(MINE, "x")]
    assert list(runs(derived("x", own, 3))) == [(OWN, "x")]
    assert list(runs(derived("x", object()))) == [(UNKNOWN, "x")]
    assert list(runs("ab" + mine)) == [(UNKNOWN, "ab"), (MINE, "a")]


# -- in a context ------------------------------------------------------------------------

TURNS = "<s>Be kind.\n" + EACH + "<{{ m.role }}>{{ m.content | trim }}<e>\n{% endfor %}<assistant>"


def test_a_question_is_what_its_template_makes_of_it(templates: TemplateRenderer) -> None:
    turn = render_conversation(CHAT, [Exchanged(" <e> ")], model(TURNS), templates).context
    assert turn == (
        TextSegment(text="Be kind.", special=True),
        TextSegment(text="\n<user>", special=True),
        TextSegment(text="<e>"),
        TextSegment(text="<e>\n<assistant>", special=True),
    )


def test_an_answer_that_stands_unchanged_is_the_tokens_that_wrote_it(
    templates: TemplateRenderer,
) -> None:
    first, second = (TextSegment(text="FIRST"),), (TextSegment(text="SECOND"),)
    talk = [Exchanged("1", "Yes.", first), Exchanged("2", " No. ", second), Exchanged("3")]
    preamble, turns, *_ = render_conversation(CHAT, talk, model(TURNS), templates)
    assert [[part.text for part in turn if isinstance(part, TextSegment)] for turn in turns] == [
        ["\n<user>", "1", "<e>\n<assistant>", "FIRST", "<e>"],
        ["\n<user>", "2", "<e>\n<assistant>", "No.", "<e>"],
        ["\n<user>", "3", "<e>\n<assistant>"],
    ]
    assert preamble == (TextSegment(text="Be kind.", special=True),)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (EACH + "{{ m.content }}{% break %}{% endfor %}", "leaves a part of the conversation out"),
        ("{% for m in messages | reverse %}{{ m.content }}{% endfor %}", "another order"),
    ],
)
def test_a_conversation_that_can_not_be_cut_into_turns_is_refused(
    templates: TemplateRenderer, template: str, reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        render_conversation(CHAT, [Exchanged("a", "b"), Exchanged("c")], model(template), templates)


# -- templates that mean harm ------------------------------------------------------------


@pytest.fixture(scope="module")
def short() -> Iterator[TemplateRenderer]:
    """Gives up early."""
    with TemplateRenderer(limit=0.3) as renderer:
        yield renderer


def check_sentence(error: ModelError) -> None:
    assert error.message.startswith("The chat template of Tiny ")
    assert error.message.endswith((".", "…."))
    assert len(error.message) < 300
    assert error.message.isprintable()
    assert "zero-shot" in error.hint


@pytest.mark.parametrize("name", [*SLOW, *REFUSED])
def test_a_hostile_template_ends_in_one_sentence(short: TemplateRenderer, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        render_conversation(CHAT, [Exchanged("Hello?")], model((SLOW | REFUSED)[name]), short)
    check_sentence(caught.value)
    if name in SLOW:
        assert "took longer than 0.3 s" in caught.value.message


@pytest.mark.parametrize("name", ODD)
def test_an_odd_template_is_rendered(templates: TemplateRenderer, name: str) -> None:
    assert RenderedPiece(0, "Hello?") in templates.render(model(ODD[name]), ("Hello?",))


def test_memory_is_bounded(templates: TemplateRenderer) -> None:
    for name in ("multiplied text", "doubled text", "multiplied list"):
        with pytest.raises(ModelError, match=r"memory|ended the process"):
            templates.render(model(REFUSED[name]), ("Hello?",))


def test_what_a_template_complains_of_is_quoted(templates: TemplateRenderer) -> None:
    with pytest.raises(ModelError) as caught:
        templates.render(model("{{ raise_exception('Roles must alternate.') }}"), ("?",))
    assert str(caught.value) == (
        "The chat template of Tiny can't be rendered: Roles must alternate. "
        "Choose another context for it: zero-shot, raw or a preamble."
    )


# -- the process -------------------------------------------------------------------------


def render_in_thread(
    renderer: TemplateRenderer, template: str
) -> tuple[threading.Thread, list[str]]:
    said: list[str] = []

    def run() -> None:
        try:
            renderer.render(model(template), ("Hello?",))
        except ModelError as error:
            said.append(error.message)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, said


def test_rendering_can_be_stopped_from_another_thread_and_goes_on() -> None:
    with TemplateRenderer(limit=60.0) as renderer:
        renderer.cancel()
        thread, said = render_in_thread(renderer, LOOP)
        while thread.is_alive():
            renderer.cancel()
            thread.join(0.05)
        assert said == ["Rendering the chat template was stopped."]
        assert text(renderer.render(model(TURNS), ("Hello?",)))


def test_one_process_is_kept_and_replaced_when_it_has_ended() -> None:
    with TemplateRenderer(limit=60.0) as renderer:
        pids = set[int]()
        for _ in range(3):
            renderer.render(model(TURNS), ("Hello?",))
            pids.add(renderer.pid or 0)
        (pid,) = pids
        os.kill(pid, signal.SIGKILL)
        thread, said = render_in_thread(renderer, TURNS)
        thread.join()
        renderer.render(model(TURNS), ("Hello?",))
        assert renderer.pid != pid
        assert all("ended the process" in sentence for sentence in said)
    assert renderer.pid is None


def test_closing_ends_what_is_rendered() -> None:
    renderer = TemplateRenderer(limit=60.0)
    thread, said = render_in_thread(renderer, LOOP)
    while renderer.pid is None:
        time.sleep(0.01)
    renderer.close()
    thread.join(60)
    renderer.close()
    assert not thread.is_alive()
    assert said


_CLIENT = """
import sys, threading
from urial_tui.prompting.templates.renderer import TemplateRenderer
from tests.test_chat_templates import LOOP, TURNS, model
renderer = TemplateRenderer(limit=60.0)
renderer.render(model(TURNS), ("Hello?",))
threading.Timer(0.2, lambda: print(renderer.pid, flush=True)).start()
renderer.render(model(LOOP), ("Hello?",))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_the_process_goes_when_its_client_is_killed_in_mid_rendering() -> None:
    client = subprocess.Popen([sys.executable, "-c", _CLIENT], stdout=subprocess.PIPE)
    with client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        output = {str(Path(f"/proc/{pid}/fd/{fd}").readlink()) for fd in (0, 1, 2)}
        client.kill()
    deadline = time.monotonic() + 60
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)
    assert output == {os.devnull}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
