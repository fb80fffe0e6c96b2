"""Take values over from the object something was made from: as they are, or not at all.

What no standard object may hold is left out: a value its representation forbids, a code without a meaning, an item
without what it must say, anything private.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from pydicom import Dataset
from pydicom.config import RAISE
from pydicom.datadict import dictionary_has_tag, dictionary_VM
from pydicom.dataelem import DataElement
from pydicom.valuerep import validate_value

from core.dicom.elements import items, text, value

_WRITTEN = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI"))
"""Representations whose values are text of a form."""

_ALLOWED: Mapping[str, frozenset[str]] = {"PatientSex": frozenset(("M", "F", "O"))}

_MUST_SAY: Mapping[str, tuple[str, ...]] = {
    "RotationInformationSequence": (
        "StartAngle", "AngularStep", "RotationDirection", "ScanArc", "ActualFrameDuration", "NumberOfFramesInRotation",
    ),
    "DataInformationSequence": ("FrameTime",),
    "TimeSlotInformationSequence": ("TimeSlotTime",),
}  # fmt: skip
"""What items of a sequence cannot be without (PS3.3 C.8.4.12, C.8.4.13)."""

_CODED = "CodeSequence"


def copied(out: Dataset, like: Dataset, names: Sequence[str]) -> None:
    """Take over elements that are there and sound; of sequences the items that are, and in them what is."""
    for name in names:
        if value(like, name) in (None, "", []):
            continue
        element = copy.deepcopy(like[name])
        if element.VR == "SQ":
            element.value = _sound_items(name, items(like, name))
        if not element.is_empty and _sound(element):
            out.add(element)


def _sound_items(name: str, found: Sequence[Dataset]) -> list[Dataset]:
    kept = []
    for one in copy.deepcopy(list(found)):
        _clean(one)
        if _says_enough(name, one):
            kept.append(one)
    return kept


def _says_enough(name: str, one: Dataset) -> bool:
    if name.endswith(_CODED):
        plain = text(one, "CodeValue") or text(one, "LongCodeValue")
        named = bool(plain and text(one, "CodingSchemeDesignator")) or bool(text(one, "URNCodeValue"))
        return named and bool(text(one, "CodeMeaning"))
    return all(text(one, need) for need in _MUST_SAY.get(name, ()))


def _clean(dataset: Dataset) -> None:
    """Leave out of an item what is private, empty in a sequence, or not allowed."""
    for element in list(dataset):
        if element.VR == "SQ" and not element.tag.is_private:
            element.value = _sound_items(element.keyword, items(dataset, element.keyword))
        if element.tag.is_private or (element.VR == "SQ" and not element.value) or not _sound(element):
            del dataset[element.tag]


def _sound(element: DataElement) -> bool:
    """Whether there are as many values as may be, each one its representation allows."""
    if dictionary_has_tag(element.tag) and dictionary_VM(element.tag) == "1" and element.VM > 1 and element.VR != "SQ":
        return False
    values = [str(one) for one in (element.value if element.VM > 1 else [element.value]) if one is not None]
    if not set(values) <= _ALLOWED.get(element.keyword, frozenset(values)):
        return False
    try:
        for one in values if element.VR in _WRITTEN else ():
            validate_value(element.VR, one, RAISE)
    except ValueError:
        return False
    return True
