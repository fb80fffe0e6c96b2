"""The charset doctor: what bytes of text say, whatever their label, and how to answer so that a device can show it.

A label is believed until the bytes refute it. Nothing is ever sent as `?`: what a device cannot show is left out, and
its pinyin goes in its place.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pydicom.charset
import pydicom.config
from pydicom.valuerep import PersonName as DicomName

from core.dicom import likelihood
from core.naming import NameGroup, PersonName, has_ideographs, romanise
from core.naming.readings import fold

Charset = tuple[str, ...]
"""Specific Character Set (0008,0005): its values in order, an empty first one meaning ISO 646; () when absent."""

UTF8: Charset = ("ISO_IR 192",)
ASCII: Charset = ()

_ESC = b"\x1b"
_ASCII_TERMS = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_WESTERN_TERMS = _ASCII_TERMS | {"ISO_IR 100", "ISO 2022 IR 100"}
_STAND_ALONE = {"ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
_ESCAPES = {
    b"$)A": "ISO 2022 IR 58",
    b"$)C": "ISO 2022 IR 149",
    b"$B": "ISO 2022 IR 87",
    b"$(D": "ISO 2022 IR 159",
    b"(J": "ISO 2022 IR 13",
    b")I": "ISO 2022 IR 13",
    b"-A": "ISO 2022 IR 100",
    b"-B": "ISO 2022 IR 101",
    b"-C": "ISO 2022 IR 109",
    b"-D": "ISO 2022 IR 110",
    b"-L": "ISO 2022 IR 144",
    b"-G": "ISO 2022 IR 127",
    b"-F": "ISO 2022 IR 126",
    b"-H": "ISO 2022 IR 138",
    b"-M": "ISO 2022 IR 148",
    b"-T": "ISO 2022 IR 166",
}
_NAME_DELIMITERS = {"^", "="}
_TEXT_DELIMITERS = {"\n", "\r", "\t", "\f", "\\"}
_PADDING = " \0"

SURE = 1.0
LIKELY = 0.9
GUESSED = 0.6


@dataclass(frozen=True, slots=True)
class DecodedName:
    """Text read from bytes: by which charset, how sure (0 to 1), and whether the label had to be overruled."""

    text: str
    charset: Charset
    confidence: float
    repaired: bool


def mend_pydicom() -> None:
    """Make pydicom read and write ISO 2022 IR 58 as PS3.5 Annex K does, and refuse to write `?` for a lost character.

    pydicom 3.0.2 hands the escape sequence of IR 58 to a codec that does not know it, and never writes it.
    """
    pydicom.charset.handled_encodings = ("iso2022_jp", "iso2022_jp_2")  # type: ignore[assignment]
    pydicom.config.settings.writing_validation_mode = pydicom.config.RAISE


def charset_of(declared: str | Iterable[str] | None) -> Charset:
    r"""Specific Character Set as trimmed values, `("", "ISO 2022 IR 58")` for `\ISO 2022 IR 58`."""
    values = declared.split("\\") if isinstance(declared, str) else [str(value) for value in declared or ()]
    trimmed = [" ".join(value.strip(_PADDING).upper().split()) for value in values]
    while trimmed and not trimmed[-1]:
        trimmed.pop()
    return tuple(trimmed)


def decode_name(raw: bytes, declared: str | Sequence[str] | None) -> DecodedName:
    """Read the bytes of a Person Name whose label may be wrong, as Chinese in GB18030 or UTF-8 called ISO_IR 100 is.

    Never raises: bytes that are nothing known are read as Latin-1 with confidence 0.
    """
    return _decode(raw, charset_of(declared), _NAME_DELIMITERS)


def decode_text(raw: bytes, declared: str | Sequence[str] | None) -> DecodedName:
    """Read the bytes of other text (SH, LO, ST, LT, UC, UT) as `decode_name` reads a name."""
    return _decode(raw, charset_of(declared), _TEXT_DELIMITERS)


def can_encode(text: str, charset: Charset) -> bool:
    """Whether every character of a value survives being written in `charset` and read back."""
    try:
        return _read(_write(text, charset), charset, _NAME_DELIMITERS) == text
    except (UnicodeError, LookupError, ValueError):
        return False


def encoded(text: str, charset: Charset) -> bytes:
    """Return a value's bytes in `charset`, as the dataset writer has them; raises ValueError where one is lost."""
    return _write(text, charset)


def choose_charset(
    texts: Iterable[str],
    asked: str | Sequence[str] | None,
    device_charset: str | Sequence[str] | None = None,
) -> Charset:
    """The Specific Character Set in which a device is answered.

    A device configured as showing only ASCII or Latin-1 gets that, and `fit_name` and `fit_text` leave out the rest.
    Else the charset of the request if it holds every text, else the one the device is configured with, else ISO_IR 192.
    """
    wanted = list(texts)
    own = charset_of(device_charset)
    if device_charset and set(own) <= _WESTERN_TERMS:
        return own
    for candidate in (charset_of(asked), own):
        if is_known(candidate) and all(can_encode(text, candidate) for text in wanted):
            return candidate
    return UTF8


def holds_all(asked: str | Sequence[str] | None, device_charset: str | Sequence[str] | None = None) -> str | None:
    """Return the codec of the Unicode charset that `choose_charset` takes for any text with letters beyond ASCII.

    None where it depends on the letters.
    """
    own, wanted = charset_of(device_charset), charset_of(asked)
    if device_charset and set(own) <= _WESTERN_TERMS:
        return None
    if set(wanted) <= _ASCII_TERMS or not is_known(wanted):
        wanted = own or UTF8
    return _STAND_ALONE[wanted[0]] if wanted in (UTF8, ("GB18030",)) else None


def fit_name(name: PersonName | str, charset: Charset) -> str:
    """A Person Name value with only the groups `charset` can hold, its alphabetic group in pinyin or plain letters."""
    known = PersonName.parse(name) if isinstance(name, str) else name
    if can_encode(str(known), charset):
        return str(known)
    settled = known.settled()
    alphabetic, others = str(settled.alphabetic), (settled.ideographic, settled.phonetic)
    kept = (group if can_encode(str(group), charset) else NameGroup() for group in others)
    return "=".join((fit_text(alphabetic, charset), *(str(group) for group in kept))).rstrip("=")


def fit_text(text: str, charset: Charset) -> str:
    """Text `charset` can hold: as it is, or Chinese as pinyin, accents dropped, and what is left over left out."""
    if can_encode(text, charset):
        return text
    spoken = romanise(text) if has_ideographs(text) else text
    return "".join(_nearest(sign, charset) for sign in unicodedata.normalize("NFKC", spoken))


def _nearest(sign: str, charset: Charset) -> str:
    if can_encode(sign, charset):
        return sign
    plain = fold(sign)
    bare = plain.upper() if sign.isupper() else plain
    return bare if bare.isascii() and bare.isprintable() else ""


def _decode(raw: bytes, declared: Charset, delimiters: set[str]) -> DecodedName:
    candidates = sorted(_readings(raw, declared, delimiters), key=lambda reading: -reading.confidence)
    best = candidates[0] if candidates else DecodedName(raw.decode("latin-1"), declared, 0.0, repaired=False)
    text = best.text.strip(_PADDING)
    return DecodedName(text, best.charset, best.confidence, best.repaired)


def _readings(raw: bytes, declared: Charset, delimiters: set[str]) -> Iterator[DecodedName]:
    """Every way to read the bytes without an error, each with its confidence."""
    if raw.isascii() and _ESC not in raw:
        yield DecodedName(raw.decode("ascii"), declared, SURE, repaired=False)
    elif _ESC in raw:
        yield from _escaped_readings(raw, declared, delimiters)
    elif is_known(declared) and not (set(declared) <= _WESTERN_TERMS or declared[0] in _STAND_ALONE):
        yield from _of_another_script(raw, declared, delimiters)
    elif declared == UTF8 and (text := _try(raw, UTF8, delimiters)) is not None:
        yield DecodedName(text, UTF8, SURE, repaired=False)
    else:
        yield from _judged(raw, declared, is_name="^" in delimiters)


def _escaped_readings(raw: bytes, declared: Charset, delimiters: set[str]) -> Iterator[DecodedName]:
    """Text with escape sequences: as labelled, else by the sequences it holds."""
    labelled = _try(raw, declared, delimiters) if is_known(declared) else None
    if labelled is not None:
        yield DecodedName(labelled, declared, 0.1 if _has_controls(labelled) else SURE, repaired=False)
    seen = [term for code, term in _ESCAPES.items() if _ESC + code in raw]
    first = declared[:1] if declared[:1] and declared[0] not in _STAND_ALONE else ("",)
    charset = tuple(dict.fromkeys((*first, *declared[1:], *seen)))
    text = _try(raw, charset, delimiters) if is_known(charset) else None
    if text is not None and charset != declared:
        yield DecodedName(text, charset, LIKELY * (0.1 if _has_controls(text) else 1), repaired=True)


def _of_another_script(raw: bytes, declared: Charset, delimiters: set[str]) -> Iterator[DecodedName]:
    """Text labelled Greek, Thai, katakana and the like: believed, unless it cannot be so or is UTF-8."""
    labelled, utf8 = _try(raw, declared, delimiters), _try(raw, UTF8, delimiters)
    if labelled is not None:
        sure = 0.1 if _has_controls(labelled) else SURE if utf8 is None else 0.5
        yield DecodedName(labelled, declared, sure, repaired=False)
    if utf8 is not None:
        yield DecodedName(utf8, UTF8, 0.98, repaired=True)
    if labelled is None:
        yield from _judged(raw, declared, is_name="^" in delimiters)


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(sign) == "Cc" and sign not in _TEXT_DELIMITERS | {"\0"} for sign in text)


# -- judging what no label can be believed about ---------------------------------------------------------------------


def _judged(raw: bytes, declared: Charset, *, is_name: bool) -> Iterator[DecodedName]:
    """Weigh every charset a department meets by how likely the text it makes is (Bayes); confidences add up to 1."""
    weights: list[tuple[Charset, str, float]] = []
    for charset, codec, model, share in _SUSPECTS:
        text, lost = _whole(raw, codec)
        if text is not None:
            weight = math.log(share) + model(text, is_name) - lost
            weights.append((charset, text, weight + _label_weight(declared, charset)))
    top = max((weight for *_, weight in weights), default=0.0)
    total = sum(math.exp(weight - top) for *_, weight in weights)
    for charset, text, weight in weights:
        agrees = _agrees(declared, charset)
        confidence = math.exp(weight - top) / total * (SURE if agrees else 0.99)
        yield DecodedName(text, declared if agrees else charset, confidence, repaired=not agrees)


_SUSPECTS: tuple[tuple[Charset, str, likelihood.Model, float], ...] = (
    (UTF8, "utf-8", likelihood.any_language, 0.2),
    (("GB18030",), "gb18030", likelihood.chinese, 0.45),
    (("ISO_IR 100",), "latin-1", likelihood.western, 0.25),
    (("BIG5",), "cp950", likelihood.traditional, 0.008),
    (("EUC-KR",), "euc_kr", likelihood.korean, 0.004),
    (("SHIFT_JIS",), "cp932", likelihood.japanese, 0.005),
    (("ISO_IR 144",), "iso8859_5", likelihood.cyrillic, 2e-5),
)
"""Charset, its codec, the language it is written for, and how often a department in China meets it."""

_CUT_FROM = 15  # bytes; shorter values were not cut off by a device's fixed fields
_CUT = math.log(1000)
_CUT_SHORT = frozenset({"unexpected end of data", "incomplete multibyte sequence"})
_LABELLED = math.log(1000)


def _whole(raw: bytes, codec: str) -> tuple[str | None, float]:
    """Decode strictly, or all but the part of a character a device cut off at the end; tells what that costs."""
    value = raw.rstrip(b" \0")
    try:
        return value.decode(codec), 0.0
    except UnicodeDecodeError as error:
        if len(value) < _CUT_FROM or error.reason not in _CUT_SHORT or value[error.start - 1] < 0x80:  # noqa: PLR2004
            return None, 0.0
        return value[: error.start].decode(codec), _CUT


def _agrees(declared: Charset, charset: Charset) -> bool:
    """Whether a label means a charset; no label, and ASCII, are taken for Latin-1."""
    if declared in (charset, ("GBK",)) and charset in (declared, ("GB18030",)):
        return True
    return charset == ("ISO_IR 100",) and set(declared) <= _WESTERN_TERMS


def _label_weight(declared: Charset, charset: Charset) -> float:
    """How much more a charset is believed for being named: much, where few bytes can be read by it."""
    return _LABELLED if _agrees(declared, charset) and charset != ("ISO_IR 100",) else 0.0


def is_known(charset: Charset) -> bool:
    """Whether every term of a Specific Character Set is one of the standard's."""
    return all(term in pydicom.charset.python_encoding for term in charset)


def _try(raw: bytes, charset: Charset, delimiters: set[str]) -> str | None:
    try:
        return _read(raw, charset, delimiters)
    except (UnicodeError, LookupError, ValueError):
        return None


def _read(raw: bytes, charset: Charset, delimiters: set[str]) -> str:
    """Decode strictly; unlike pydicom, ASCII means ASCII."""
    if charset[:1] and charset[0] in _STAND_ALONE:
        return raw.decode(_STAND_ALONE[charset[0]])
    if len(charset) < 2 and _ESC not in raw:  # noqa: PLR2004 - no code extensions
        term = charset[0] if charset else ""
        # Unlabelled high bytes are mostly Latin-1: shown as such, though with little confidence.
        return raw.decode("latin-1" if term in _ASCII_TERMS else pydicom.charset.python_encoding[term])
    encodings = [pydicom.charset.python_encoding[term] for term in charset or ("",)]
    return "".join(_fragments(raw, encodings, delimiters))


def _fragments(raw: bytes, encodings: list[str], delimiters: set[str]) -> Iterator[str]:
    """Decode between escape sequences (PS3.5 6.1.2.5); each delimiter returns to the first charset."""
    for fragment in re.findall(rb"^[^\x1b]+|\x1b[^\x1b]*", raw):
        code = next((code for code in pydicom.charset.CODES_TO_ENCODINGS if fragment.startswith(code)), None)
        if code is None:
            if fragment.startswith(_ESC):
                raise ValueError("an escape sequence DICOM does not know")
            yield fragment.decode(encodings[0])
            continue
        encoding = pydicom.charset.CODES_TO_ENCODINGS[code]
        if encoding not in encodings and code != b"\x1b(B":
            raise ValueError("an escape sequence the label does not name")
        yield _escaped(fragment, code, encoding, encodings[0], delimiters)


def _escaped(fragment: bytes, code: bytes, encoding: str, first: str, delimiters: set[str]) -> str:
    if encoding in {"iso2022_jp", "iso2022_jp_2"}:
        return fragment.decode(encoding)
    body = fragment[len(code) :]
    end = next((at for at, byte in enumerate(body) if chr(byte) in delimiters), len(body))
    return body[:end].decode(encoding) + body[end:].decode(first)


def _write(text: str, charset: Charset) -> bytes:
    """Encode strictly, as the dataset writer would; raises where a character is lost."""
    if charset[:1] and charset[0] in _STAND_ALONE:
        return text.encode(_STAND_ALONE[charset[0]])
    if set(charset) <= _ASCII_TERMS:
        return text.encode("ascii")
    encodings = [pydicom.charset.python_encoding[term] for term in charset]
    if len(charset) == 1 and encodings[0] != "shift_jis":
        return text.encode(encodings[0])
    if charset[0] in _ASCII_TERMS and "ISO 2022 IR 100" not in charset and re.search("[\x80-\xff]", text):
        raise ValueError("Latin-1 is not among the charsets")
    return bytes(DicomName(text).encode(encodings))
