"""What a person sets for themselves: keys, theme, language; what is wrong with it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from console import commands, keymap, preferences, theming, words
from tests.console.conftest import Department, opened, picture, until
from tests.console.said import everything, missing


def test_every_key_is_given_once_on_a_page() -> None:
    for command in commands.COMMANDS:
        for key in filter(None, command.key.split(",")):
            known = {one.id: one for one in commands.COMMANDS}
            assert keymap._taken(key, command, known, {}) == "", f"{key} of {command.id}"
            assert keymap._is_key(key), f"{key} of {command.id}"


def test_every_command_has_an_id_of_its_own() -> None:
    assert len({one.id for one in commands.COMMANDS}) == len(commands.COMMANDS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('"triage.juggle" = "f9"', "no command triage.juggle"),
        ('"triage.assign" = "f99"', "no key f99"),
        ('"triage.assign" = "u"', "u is the key of triage.urgency"),
        ('"triage.assign" = "f1"', "f1 is the key of help"),
        ('"triage.assign" = 7', "written as text"),
        ("triage assign", "keymap.toml"),
    ],
)
def test_a_wrong_keymap_is_told_and_the_key_stays(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "keymap.toml"
    path.write_text(line, encoding="utf-8")
    read = keymap.read(path)
    assert said in " ".join(read.complaints)
    assert read.keys == {}


async def test_a_key_moved_by_its_person_works_and_is_shown(department: Department, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "keymap.toml").write_text('"front_desk.new_patient" = "f9"', encoding="utf-8")
    async with opened(department, "wang.li", tmp_path) as pilot:
        assert "F9 New patient" in picture(pilot.app)
        await pilot.press("f9")
        await until(pilot, lambda: "Registration" in picture(pilot.app))


@pytest.mark.parametrize("name", ["light", "dark", "high-contrast", "amber", "ansi"])
def test_our_themes_can_be_read(name: str, tmp_path: Path) -> None:
    assert name in theming.names(tmp_path)
    assert theming.read(name, tmp_path).name == name


@pytest.mark.parametrize("text", ["primary = 'no colour'", "primary = '#fff'\nglow = 3", "primary ="])
def test_a_broken_theme_falls_back_and_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    theme, wrong = theming.choose("mine", tmp_path)
    assert theme.name == "dark"
    assert "mine" in wrong


async def test_an_unknown_theme_is_told_on_the_screen(department: Department, tmp_path: Path) -> None:
    async with opened(department, "wang.li", tmp_path, theme="ultraviolet") as pilot:
        await until(pilot, lambda: "no theme ultraviolet" in picture(pilot.app))


def test_settings_are_kept(tmp_path: Path) -> None:
    preferences.read({}, tmp_path).keep(theme="amber", language="zh")
    again = preferences.read({"LANG": "en_US.UTF-8"}, tmp_path)
    assert (again.theme, again.language) == ("amber", "zh")


def test_a_broken_settings_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "console.toml").write_text("theme = ", encoding="utf-8")
    assert "console.toml" in preferences.read({}, tmp_path).complaints[0]


@pytest.mark.parametrize(
    ("environment", "plain"),
    [({"TERM": "linux"}, True), ({"LANG": "C"}, True), ({"LANG": "zh_CN.UTF-8"}, False), ({}, False)],
)
def test_a_terminal_that_draws_no_more_than_ascii_gets_ascii(
    environment: dict[str, str], *, plain: bool, tmp_path: Path
) -> None:
    assert preferences.read(environment, tmp_path).ascii is plain


def test_every_word_of_the_screens_has_a_chinese_one() -> None:
    assert missing("zh") == []
    assert len(everything()) > 100


def test_a_language_we_do_not_speak_shows_english() -> None:
    assert words.speak("tlh_KX.UTF-8") == "en"
    assert words._("Find") == "Find"
    assert words.speak("zh_CN.UTF-8") == "zh"
    assert words._("Find") == "查找"
    words.speak("en")


def test_a_catalogue_may_continue_its_lines() -> None:
    text = 'msgid ""\nmsgstr "head"\n\nmsgid "a "\n"b"\nmsgstr "c"\n"d"\n\nmsgid "e"\nmsgstr ""\n'
    assert words.catalogue(text) == {"a b": "cd"}
