"""A labelled corpus: names and descriptions as devices write them, under a label that lies or none at all.

Every name of the corpus is read right: nothing Western is taken for Chinese (0 of 705 readings), nothing Chinese for
something else (0 of 578 a label). Beyond the corpus names are made up by chance, and the rate of errors is held down.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from core.dicom.charset import decode_name, decode_text
from core.dicom.likelihood import _GIVEN
from core.naming.readings import COMMON_SURNAMES

LABELS = (None, "", "ISO_IR 6", "ISO_IR 100")


def _corpus() -> dict[str, list[str]]:
    """Names by kind; those with a letter beyond a charset are left out where that charset is meant."""
    text = Path(__file__).with_suffix("").with_name("names_of_the_world.txt").read_text(encoding="utf-8")
    kinds: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            names = kinds.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            names += line.split("|")
    return kinds


WORLD = _corpus()


def _divided(names: Iterable[str]) -> Iterator[str]:
    """Names in one piece, as most devices write them, and with their surname apart."""
    for name in names:
        yield name
        yield f"{name[0]}^{name[1:]}"


def _encoded(names: Iterable[str], codec: str) -> Iterator[tuple[str, bytes]]:
    for name in names:
        try:
            raw = name.encode(codec)
        except UnicodeEncodeError:
            continue
        if not raw.isascii():
            yield name, raw


def _misread(names: Iterable[str], codec: str, label: str | None) -> list[tuple[str, str]]:
    read = [(name, decode_name(raw, label).text) for name, raw in _encoded(names, codec)]
    assert read
    return [(name, text) for name, text in read if name != text]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("CHINESE", "gbk"), ("CHINESE", "gb18030"), ("CHINESE", "utf-8"), ("TAIWANESE", "big5"), ("TAIWANESE", "gbk"),
        ("JAPANESE", "shift_jis"), ("KOREAN", "euc_kr"), ("KOREAN", "utf-8"),
    ],
)  # fmt: skip
def test_names_of_two_to_four_characters_are_read_under_any_wrong_label(
    kind: str, codec: str, label: str | None
) -> None:
    assert _misread(_divided(WORLD[kind]), codec, label) == []


@pytest.mark.parametrize("label", LABELS)
def test_no_western_name_is_taken_for_another(label: str | None) -> None:
    whole, upper = WORLD["WESTERN"], [name.upper() for name in WORLD["WESTERN"]]
    parts = [part for name in (*whole, *upper) for part in name.split("^")]
    assert _misread((*whole, *upper, *parts), "latin-1", label) == []
    assert _misread(whole, "utf-8", label) == []
    assert _misread(WORLD["RUSSIAN"], "iso8859_5", label) == []


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(
    ("kind", "codec"), [("CHINESE_WRITTEN", "gbk"), ("CHINESE_WRITTEN", "utf-8"), ("WESTERN_WRITTEN", "latin-1")]
)
def test_descriptions_are_read_too(kind: str, codec: str, label: str | None) -> None:
    read = {text: decode_text(raw, label).text for text, raw in _encoded(WORLD[kind], codec)}
    assert read == {text: text for text in read}


def test_a_right_label_is_never_overruled() -> None:
    for kind, codec, label in (("CHINESE", "gb18030", "GB18030"), ("CHINESE", "utf-8", "ISO_IR 192")):
        for name, raw in _encoded(_divided(WORLD[kind]), codec):
            read = decode_name(raw, label)
            assert (read.text, read.repaired) == (name, False)
    for name, raw in _encoded(WORLD["RUSSIAN"], "iso8859_5"):
        assert decode_name(raw, "ISO_IR 144").text == name


def _chinese_by_chance(chance: random.Random, length: int) -> str:
    given = sorted(_GIVEN)
    return chance.choice(sorted(COMMON_SURNAMES)) + "".join(chance.choice(given) for _ in range(length))


def _western_by_chance(chance: random.Random, *, upper: bool) -> str:
    def word() -> str:
        signs = [chance.choice("aeiouaeioubcdfghjklmnprstvz") for _ in range(chance.randint(2, 9))]
        return "".join(chance.choice("éèêëàâäáãåæçíìîïñóòôöõøúùûüýþð") if chance.random() < 0.18 else s for s in signs)

    words = [word().upper() if upper else word().capitalize() for _ in range(2)]
    return "^".join(words)


@pytest.mark.parametrize(
    ("make", "codec", "most"),
    [
        (lambda chance: _chinese_by_chance(chance, 1), "gbk", 0.002),
        (lambda chance: _chinese_by_chance(chance, 2), "gbk", 0.001),
        (lambda chance: _western_by_chance(chance, upper=False), "latin-1", 0.002),
        (lambda chance: _western_by_chance(chance, upper=True), "latin-1", 0.003),
    ],
)
def test_names_made_up_by_chance_are_hardly_ever_misread(
    make: Callable[[random.Random], str], codec: str, most: float
) -> None:
    chance = random.Random(1)
    names = [make(chance) for _ in range(2000)]
    assert len(_misread(names, codec, "ISO_IR 100")) <= most * len(names)


def test_a_name_cut_off_within_a_character_is_read_up_to_there() -> None:
    raw = "全身骨显像延迟相静态采集后位".encode("gbk")
    read = decode_text(raw[:-1], "ISO_IR 100")
    assert (read.text, read.charset) == ("全身骨显像延迟相静态采集后", ("GB18030",))


def test_an_unlikely_reading_is_told_with_less_confidence() -> None:
    usual, odd = (decode_name(name.encode("gbk"), "ISO_IR 100") for name in ("张伟", "莫眉"))
    assert usual.confidence > 0.95
    assert odd.confidence < usual.confidence


@pytest.mark.parametrize("text", ["see § 7", "10 µCi", "180 °", "99mTc ½ h", "m²", "Tc-99m µSv/h", "± 5"])
def test_signs_of_western_descriptions_are_no_other_script(text: str) -> None:
    assert decode_text(text.encode("latin-1"), "ISO_IR 100").text == text
