"""The settings: what they can be, and that a change of one keeps all else in the file."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui import paths
from urial_tui.errors import SettingsError
from urial_tui.settings import (
    ChatSettings,
    Setting,
    Settings,
    SettingValue,
    described,
    load_settings,
    parse_settings,
)
from urial_tui.settings_file import SettingsFile, read_settings_file

BY_KEY = {setting.key: setting for setting in described()}

COMMENTED = """\
# My settings. Ünïcode, too.

[chat]   # the chat
model = 'my-model.gguf'     # literal: 'quoted'
# max_tokens = 7
max_tokens = 1_000  # an underscore

  [sampling]
  temperature = 7e-1 # warm
seed = 0x10
# nothing below

[keys]
"chat.regenerate" = "ctrl+b"   # mine
# the end
"""

LAYOUTS = [
    COMMENTED,
    "",
    "# only a comment",
    "[engine]\nthreads = 2",
    'chat = { model = "a", max_tokens = 3 } # inline\n',
    "chat.max_tokens = 3 # dotted\nsampling.top_k = 2\n",
    COMMENTED.replace("\n", "\r\n"),
    '[keys]\n# first\n[chat]\n# empty\n[sampling] # s\n\n\n[ui]\ntheme = "nord" # t\n',
]


def comments(text: str) -> list[str]:
    return re.findall(r"#[^\r\n]*", text)


TEXTS = st.text(min_size=1).filter(lambda text: text.isprintable() or "\n" in text)


def values(setting: Setting) -> st.SearchStrategy[SettingValue]:
    if setting.choices:
        return st.sampled_from(setting.choices)
    if setting.key == "engine.rpc":
        ports = st.lists(st.integers(1, 65_535), max_size=3, unique=True)
        return ports.map(lambda found: tuple(f"box.example.org:{port}" for port in found))
    if setting.kind is tuple:
        return st.lists(TEXTS, max_size=3).map(tuple)
    if setting.kind is str:
        return TEXTS
    low, high = setting.low, setting.high
    assert low is not None
    assert high is not None
    if setting.kind is int:
        return st.integers(int(low), int(high))
    return st.floats(low, high)


@st.composite
def changes(draw: st.DrawFn) -> tuple[Setting, SettingValue]:
    setting = draw(st.sampled_from(described()))
    return setting, draw(values(setting))


class TestDescribed:
    def test_each_has_an_explanation_and_a_default_that_can_be(self) -> None:
        for setting in described():
            assert setting.about.endswith(".")
            setting.check(setting.default)
            assert setting.of(Settings()) == setting.default

    def test_the_readme_has_the_same(self) -> None:
        readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
        for setting in described():
            default = "none" if setting.default in (None, ()) else f"`{setting.default}`"
            assert f"| `{setting.key}` | {default} | {setting.about} |" in readme
        rows = re.findall(r"^\| `(\w+\.\w+)` \|", readme, re.MULTILINE)
        assert rows == [setting.key for setting in described()]

    @pytest.mark.parametrize(
        ("key", "typed", "value"),
        [
            ("chat.model", " a b ", "a b"),
            ("chat.max_tokens", "12", 12),
            ("sampling.temperature", "1", 1),
            ("sampling.temperature", "0.5", 0.5),
            ("sampling.seed", "", None),
            ("models.directories", f" a b {os.pathsep}{os.pathsep}~/c", ("a b", "~/c")),
            ("models.directories", "", ()),
            ("chat.max_tokens", "twelve", "twelve"),
        ],
    )
    def test_what_is_typed_is_read_as_its_kind(
        self, key: str, typed: str, value: SettingValue
    ) -> None:
        assert BY_KEY[key].read(typed) == value

    @pytest.mark.parametrize("written", ['"a"', "[1]", '[""]', "[[]]", "3", str(["a"] * 101)])
    def test_a_list_of_paths_is_nothing_else(self, written: str) -> None:
        with pytest.raises(SettingsError, match=r"models\.directories is .* list of up to 100"):
            parse_settings(f"[models]\ndirectories = {written}")

    def test_paths_are_typed_as_they_are_shown(self) -> None:
        setting = BY_KEY["models.directories"]
        assert setting.read(setting.typed(("/a b", "~/c"))) == ("/a b", "~/c")

    @pytest.mark.parametrize(
        ("key", "typed"),
        [
            ("chat.max_tokens", "twelve"),
            ("chat.max_tokens", "0"),
            ("chat.max_tokens", "1.5"),
            ("chat.max_tokens", ""),
            ("chat.model", "  "),
            ("engine.kv_type", "f17"),
            ("sampling.temperature", "nan"),
            ("sampling.temperature", "-1"),
            ("sampling.seed", "-1"),
        ],
    )
    def test_typing_and_loading_refuse_in_the_same_words(self, key: str, typed: str) -> None:
        setting = BY_KEY[key]
        value = setting.read(typed)
        with pytest.raises(SettingsError) as typing:
            setting.check(value)
        written = repr(value) if isinstance(value, str) else value
        with pytest.raises(SettingsError) as loading:
            parse_settings(f"[{setting.section}]\n{setting.name} = {written}")
        assert typing.value.message == loading.value.message
        assert f"The setting {key} is" in typing.value.message


class TestChanges:
    @given(st.sampled_from(LAYOUTS), changes())
    def test_a_new_value_keeps_comments_and_all_other_values(
        self, text: str, change: tuple[Setting, SettingValue]
    ) -> None:
        setting, value = change
        before = SettingsFile(path=Path("x"), text=text, settings=parse_settings(text))
        after = before.with_value(setting, value)
        assert after.text is not None
        assert setting.of(after.settings) == value
        for other in described():
            if other is not setting:
                assert other.of(after.settings) == other.of(before.settings)
        assert after.settings.keys == before.settings.keys
        kept = comments(text)
        if "#" not in str(value):
            assert comments(after.text) == kept
        old = tomllib.loads(text).get(setting.section, {})
        if setting.name in old:
            changed = zip(text.splitlines(), after.text.splitlines(), strict=True)
            assert sum(one != other for one, other in changed) <= 1

    @given(st.sampled_from(LAYOUTS), st.sampled_from(described()))
    def test_a_value_that_is_taken_out_is_the_default_again(
        self, text: str, setting: Setting
    ) -> None:
        before = SettingsFile(path=Path("x"), text=text, settings=parse_settings(text))
        after = before.with_value(setting, None)
        assert setting.of(after.settings) == setting.default
        assert setting.key not in after.written
        assert len(comments(after.text or "")) >= len(comments(text)) - 1

    def test_a_value_that_can_not_be_is_refused(self) -> None:
        before = SettingsFile(path=Path("x"), text=None, settings=Settings())
        with pytest.raises(SettingsError, match="has to lie"):
            before.with_value(BY_KEY["chat.max_tokens"], 0)


def change(path: Path | None = None, key: str = "chat.max_tokens", value: SettingValue = 9) -> None:
    before = read_settings_file(path)
    before.with_value(BY_KEY[key], value).save(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "conf" / "settings.toml"
    path.parent.mkdir()
    path.write_text(COMMENTED, encoding="utf-8")
    return path


class TestFile:
    def test_the_first_change_makes_the_file(self) -> None:
        change()
        assert load_settings() == Settings(chat=ChatSettings(max_tokens=9))
        assert paths.settings_file().read_text() == "[chat]\nmax_tokens = 9\n"

    def test_a_link_stays_a_link_and_permissions_stay(self, file: Path, tmp_path: Path) -> None:
        file.chmod(0o640)
        link = tmp_path / "settings.toml"
        link.symlink_to(file)
        change(link)
        assert link.is_symlink()
        assert "max_tokens = 9  # an underscore" in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o640
        assert [entry.name for entry in file.parent.iterdir()] == ["settings.toml"]

    def test_what_another_program_wrote_is_not_overwritten(self, file: Path) -> None:
        before = read_settings_file(file)
        file.write_text("[chat]\nmax_tokens = 77\n")
        with pytest.raises(SettingsError, match="changed by another program"):
            before.with_value(BY_KEY["chat.model"], "x").save(before)
        assert file.read_text() == "[chat]\nmax_tokens = 77\n"

    def test_a_file_that_went_is_not_made_anew(self, file: Path) -> None:
        before = read_settings_file(file)
        file.unlink()
        file.parent.rmdir()
        with pytest.raises(SettingsError, match="changed by another program"):
            before.with_value(BY_KEY["chat.model"], "x").save(before)
        assert not file.parent.exists()

    def test_a_place_that_can_not_be_written_is_one_sentence(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("urial_tui.settings_file.replacing", refuse)
        with pytest.raises(SettingsError, match="can't be written: Permission denied"):
            change(file)
        assert file.read_text(encoding="utf-8") == COMMENTED

    def test_a_disk_that_is_full_keeps_the_old_file(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(SettingsError, match="No space left"):
            change(file)
        assert file.read_text(encoding="utf-8") == COMMENTED
        assert [entry.name for entry in file.parent.iterdir()] == ["settings.toml"]

    def test_an_unsound_file_is_not_touched(self, file: Path) -> None:
        file.write_bytes(b"[chat\n")
        with pytest.raises(SettingsError, match="not valid TOML"):
            change(file)
        file.write_bytes(b"\xff")
        with pytest.raises(SettingsError, match="UTF-8"):
            change(file)
        assert file.read_bytes() == b"\xff"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chat = 3", "The setting chat has to be a table, [chat] with its settings below."),
        ("[chat]\nmodle = 'x'", "There is no setting chat.modle. Did you mean chat.model?"),
        ("[caht]\nmodel = 'x'", "There is no setting caht. Did you mean chat?"),
        ("[keys]\n'chat.stop' = 5", 'The setting keys.chat.stop has to be a text, such as "f5".'),
    ],
)
def test_what_is_no_setting_is_named_in_plain_words(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, "Correct it.")
    assert caught.value.message == said
