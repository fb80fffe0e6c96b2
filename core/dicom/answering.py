"""Say an answer so that whoever asked can show it.

Each answer carries its own Specific Character Set; what that cannot hold becomes pinyin or plain letters, never `?`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import DataElement, Dataset
from pydicom.multival import MultiValue

from core.dicom.charset import Charset, can_encode, charset_of, choose_charset, fit_name, fit_text
from core.dicom.matching import SPECIFIC_CHARACTER_SET, TEXTS, UNREADABLE
from core.dicom.worklist import LENGTHS

_GROUP = 64


def charset_asked(keys: Dataset) -> Charset:
    """Return the Specific Character Set a query is written in, and wants to be answered in."""
    try:
        said = keys[SPECIFIC_CHARACTER_SET].value if SPECIFIC_CHARACTER_SET in keys else None
    except UNREADABLE:
        return ()
    return charset_of(said)


def in_charset(answer: Dataset, asked: Charset, device_charset: str) -> Dataset:
    """Write an answer in the character set its reader can show (PS3.4 C.2.2.2, K.4.1.1.3.2).

    Parameters
    ----------
    answer
        Changed in place.
    asked
        The Specific Character Set of the query.
    device_charset
        What the device is configured to show, its values parted by backslashes; empty when nothing is known.
    """
    charset = choose_charset(list(_texts(answer)), asked, device_charset or None)
    _fit(answer, charset)
    if charset:
        answer.SpecificCharacterSet = charset[0] if len(charset) == 1 else list(charset)
    elif SPECIFIC_CHARACTER_SET in answer:
        del answer[SPECIFIC_CHARACTER_SET]
    return answer


def _texts(dataset: Dataset) -> Iterator[str]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif element.VR in TEXTS and element.value:
            yield from _values(element)


def _values(element: DataElement) -> list[str]:
    several = isinstance(element.value, MultiValue | list | tuple)
    return [str(value) for value in element.value] if several else [str(element.value)]


def _fit(dataset: Dataset, charset: Charset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _fit(item, charset)
        elif element.VR in TEXTS and element.value:
            values = _values(element)
            if not all(can_encode(value, charset) for value in values):
                element.value = [fitted(value, element.VR, charset) for value in values]


def fitted(value: str, vr: str, charset: Charset) -> str:
    """Return a value, or what a charset can hold of it, cut down again: pinyin is longer than what it spells."""
    if can_encode(value, charset):
        return value
    if vr == "PN":
        return "=".join(group[:_GROUP] for group in fit_name(value, charset).split("="))
    return fit_text(value, charset)[: LENGTHS.get(vr, len(value) * 8)].strip()
