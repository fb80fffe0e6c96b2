"""How the department names, numbers and finds people."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid, Refused
from core.naming import (
    Agreement,
    Person,
    PersonName,
    build_name,
    check,
    is_placeholder,
    mask_national_id,
    names_agree,
    normalise_identifier,
    normalise_query,
    read_national_id,
    romanise,
    same_name_key,
    search_terms,
    similar,
    with_check_digit,
)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("张伟", "Zhang^Wei=张^伟"),
        ("张 伟", "Zhang^Wei=张^伟"),
        ("欧阳娜娜", "Ouyang^Nana=欧阳^娜娜"),
        ("尉迟敬德", "Yuchi^Jingde=尉迟^敬德"),
        ("司马光", "Sima^Guang=司马^光"),
        ("单雄信", "Shan^Xiongxin=单^雄信"),
        ("曾国藩", "Zeng^Guofan=曾^国藩"),
        ("仇和", "Qiu^He=仇^和"),
        ("查良镛", "Zha^Liangyong=查^良镛"),
        ("解晓东", "Xie^Xiaodong=解^晓东"),
        ("朴树", "Piao^Shu=朴^树"),
        ("任静", "Ren^Jing=任^静"),
        ("区志强", "Ou^Zhiqiang=区^志强"),
        ("盖叫天", "Ge^Jiaotian=盖^叫天"),
        ("吕布", "Lyu^Bu=吕^布"),
        ("张伟 Zhang Wei", "Zhang^Wei=张^伟"),
        ("Cheung Wai 張偉", "Cheung^Wai=張^偉"),
        ("Zhang^Wei=张^伟", "Zhang^Wei=张^伟"),
        ("=张^伟", "Zhang^Wei=张^伟"),
        ("张^伟", "Zhang^Wei=张^伟"),
        ("zhang wei ming", "Zhang^Weiming"),
        ("ouyang nana", "Ouyang^Nana"),
        ("Smith, John", "Smith^John"),
        ("John Smith", "Smith^John"),
        ("SMITH John", "SMITH^John"),
    ],
)
def test_a_clerk_types_a_name_and_it_is_understood(typed: str, name: str) -> None:
    assert str(build_name(typed)) == name


def test_a_name_without_surname_is_not_divided() -> None:
    name = build_name("阿卜杜拉·买买提")
    assert name.ideographic.parts == ("阿卜杜拉·买买提",)
    assert name.alphabetic.family.endswith("Maimaiti")


@pytest.mark.parametrize("typed", ["", "   ", "\0", "a\\b", "a\x1bb", "x" * 65])
def test_a_name_that_cannot_be_is_refused(typed: str) -> None:
    with pytest.raises(Refused):
        build_name(typed)


def test_a_name_is_shown_in_both_scripts() -> None:
    assert PersonName.parse("Zhang^Wei=张^伟").display() == "张伟  Zhang Wei"
    assert PersonName.parse("Smith^John").display() == "Smith John"


@given(st.text())
def test_reading_a_name_never_fails_and_writing_it_is_stable(text: str) -> None:
    name = PersonName.parse(text)
    assert PersonName.parse(str(name)) == name
    name.settled().display()


@pytest.mark.parametrize(
    "typed",
    [
        "张伟",
        "张 伟",
        "伟",
        "zhangwei",
        "zhang wei",
        "ZHANG",
        "wei",
        "Wei Zhang",
        "Zhang^Wei",
        "zw",
        "ZW",
        "zhangw",
        "MZ-00123",
        "mz00123",
        "00456",
        "0456",
        "456",
        "13800138000",
        "138-0013",
        "8000",
        "38000",
        "1961-03-04",
        "19610304",
        "1961/3/4",
        "1961年3月4日",
        "1961-03",
        "1961",
    ],
)
def test_a_patient_is_found_by_whatever_is_at_hand(typed: str) -> None:
    terms = search_terms(
        build_name("张伟"), numbers=["MZ-00123", "00456"], phone="138 0013 8000", birth_date=date(1961, 3, 4)
    )
    query = normalise_query(typed)
    assert any(term.startswith(query) for term in terms)


@pytest.mark.parametrize("typed", ["李", "li", "wz z", "57", "1962"])
def test_a_patient_is_not_found_by_what_is_not_theirs(typed: str) -> None:
    terms = search_terms(build_name("张伟"), numbers=["00123"], birth_date=date(1961, 3, 4))
    assert not any(term.startswith(normalise_query(typed)) for term in terms)


@pytest.mark.parametrize("typed", ["lv bu", "lubu", "lyubu", "Lü Bu", "lb"])
def test_u_umlaut_is_found_however_it_is_typed(typed: str) -> None:
    assert any(term.startswith(normalise_query(typed)) for term in search_terms("吕^布"))


def test_a_surname_is_found_by_its_common_reading_too() -> None:
    terms = search_terms(build_name("单雄信"))
    assert {"shanxiongxin", "danxiongxin"} <= terms


AGREE, DIFFER, UNKNOWN = Agreement.AGREE, Agreement.DIFFER, Agreement.UNKNOWN


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("张^伟", "Zhang^Wei", AGREE),
        ("=张^伟", "WEI ZHANG", AGREE),
        ("Zhang^Wei=张^伟", "张伟", AGREE),
        ("zhangwei", "Wei^Zhang", AGREE),
        ("单^雄信", "Shan^Xiongxin", AGREE),
        ("吕^布", "LV BU", AGREE),
        ("吕^布", "Lyu^Bu", AGREE),
        ("Zhang^W", "张^伟", AGREE),
        ("ZW", "张^伟", AGREE),
        ("Zhang^Xiaom", "Zhang^Xiaoming", AGREE),
        ("Smith^J", "John Smith", AGREE),
        ("Smith^John^A", "Smith^John", AGREE),
        ("Müller^Hans", "MUELLER^HANS", AGREE),
        ("Müller^Hans", "muller^hans", AGREE),
        ("張^偉", "张^伟", AGREE),
        ("张^伟", "李^娜", DIFFER),
        ("Zhang^Wei", "Wang^Li", DIFFER),
        ("Zhang^Wei", "Zhang^Weiming", DIFFER),
        ("Li^Na", "Li^Nan", DIFFER),
        ("张^伟", "Wang^Fang", DIFFER),
        ("", "Zhang^Wei", UNKNOWN),
        ("TEST", "Zhang^Wei", UNKNOWN),
        ("Иванов^Иван", "Ivanov^Ivan", UNKNOWN),
    ],
)
def test_names_contradict_only_when_they_clearly_differ(one: str, other: str, answer: Agreement) -> None:
    assert names_agree(one, other) is answer
    assert names_agree(other, one) is answer


@given(st.text(max_size=80), st.text(max_size=80))
def test_comparing_any_two_names_gives_one_answer_in_either_order(one: str, other: str) -> None:
    assert names_agree(one, other) is names_agree(other, one)


@given(st.text(alphabet="张伟李娜欧阳单曾乐行", min_size=2, max_size=4))
def test_a_chinese_name_agrees_with_its_own_pinyin(typed: str) -> None:
    name = build_name(typed)
    assert names_agree(str(name.ideographic), str(name.alphabetic).upper()) is AGREE
    assert same_name_key(name) == same_name_key(str(name.alphabetic))


def test_look_alikes_are_ranked_for_the_warning() -> None:
    born = date(1961, 3, 4)
    known = Person(build_name("张伟"), born, "13800138000", ("P1",))
    twin = similar(known, Person(build_name("张伟"), born))
    homophone = similar(known, Person(build_name("张玮"), born))
    stranger = similar(known, Person(build_name("李娜"), date(1970, 1, 1)))
    assert twin.score > homophone.score > 0.5 > stranger.score
    assert twin.reasons == ("same name", "same birth date")
    assert similar(known, Person(numbers=(" p1 ",))).score == 1.0
    assert similar(known, Person(phone="+86 138-0013-8000")).reasons == ("same phone",)


def test_identifiers_are_compared_without_padding_case_or_width() -> None:
    assert normalise_identifier(" Ａb12\0") == normalise_identifier("AB12")
    assert normalise_identifier("00-123") != normalise_identifier("123")
    assert normalise_identifier("00-123", ignore_zeros_and_hyphens=True) == "123"
    assert normalise_identifier("000", ignore_zeros_and_hyphens=True) == "0"


@pytest.mark.parametrize(
    "value", ["", " ", "\0", "0", "000", "1", "TEST", "test 3", "Unknown", "NONE", "XXXX", "123456", "-", "n/a", "未知"]
)
def test_a_placeholder_is_nobody(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["P1", "2", "A000001D", "张伟", "20260102001", "Testa^Maria", "MZ-00123"])
def test_a_real_value_is_no_placeholder(value: str) -> None:
    assert not is_placeholder(value)


@pytest.mark.parametrize(
    ("number", "born", "sex"),
    [
        ("11010519491231002X", date(1949, 12, 31), "F"),
        ("440524188001010014", date(1880, 1, 1), "M"),
        (" 11010519491231002x ", date(1949, 12, 31), "F"),
        ("110105491231002", date(1949, 12, 31), "F"),
    ],
)
def test_a_national_id_tells_birth_date_and_sex(number: str, born: date, sex: str) -> None:
    read = read_national_id(number)
    assert (read.birth_date, read.sex) == (born, sex)


@pytest.mark.parametrize("number", ["", "123", "110105194912310021", "11010519491331002X", "991231491231002", "x" * 18])
def test_a_mistyped_national_id_is_refused_without_repeating_it(number: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_national_id(number)
    assert not number or number not in str(refusal.value)


def test_nobody_is_born_tomorrow() -> None:
    with pytest.raises(Invalid):
        read_national_id("11010519491231002X", today=date(1949, 12, 30))


@given(st.integers(0, 16), st.sampled_from("0123456789"))
def test_one_mistyped_place_of_a_national_id_is_noticed(place: int, digit: str) -> None:
    number = "11010519491231002X"
    if number[place] != digit:
        with pytest.raises(Invalid):
            read_national_id(number[:place] + digit + number[place + 1 :])


def test_a_national_id_is_masked_on_screen() -> None:
    assert mask_national_id("11010519491231002X") == "110***********002X"
    assert mask_national_id("1234567") == "*******"


@given(st.text(alphabet="ABCXYZ019", max_size=6), st.integers(0, 10**8))
def test_a_number_of_ours_passes_its_check_and_a_slip_does_not(prefix: str, serial: int) -> None:
    number = with_check_digit(prefix, serial)
    assert number.isascii()
    assert number == number.upper()
    assert len(number) <= 16
    assert check(number)
    assert not any(check(number[:at] + slip + number[at + 1 :]) for at in (0, -2) if (slip := _another(number[at])))


def _another(sign: str) -> str:
    return "7" if sign != "7" else "8"


@pytest.mark.parametrize(("prefix", "serial"), [("a", 1), ("张", 1), ("A" * 10, 1), ("A", -1), ("A-", 1)])
def test_a_numbering_rule_that_makes_bad_numbers_is_refused(prefix: str, serial: int) -> None:
    with pytest.raises(Invalid):
        with_check_digit(prefix, serial)


def test_chinese_becomes_pinyin_for_a_device_without_chinese() -> None:
    assert romanise("骨显像 WB") == "Guxianxiang WB"


def test_the_dictionaries_of_pinyin_wait_until_they_are_needed() -> None:
    code = "import sys, core.naming; sys.exit('pypinyin' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
