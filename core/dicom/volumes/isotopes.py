"""Find the isotope of an object, however its code or its name is written."""

from __future__ import annotations

import re

from pydicom import Dataset

from core.dicom.elements import item, number, text
from core.dicom.tracers import NUCLIDES

_NAMES = {
    "technetium": "Tc", "iodine": "I", "thallium": "Tl", "cobalt": "Co", "gallium": "Ga", "indium": "In", "xenon": "Xe",
    "krypton": "Kr", "samarium": "Sm", "lutetium": "Lu", "carbon": "C", "nitrogen": "N", "fluorine": "F", "fluor": "F",
    "fluoride": "F",
}  # fmt: skip
_WRITTEN = (re.compile(r"(\d+m?)[\W_]*([a-z]+)", re.IGNORECASE), re.compile(r"([a-z]+)[\W_]*(\d+m?)", re.IGNORECASE))


def isotope_of(header: Dataset) -> tuple[str, float | None]:
    """Return the isotope's short name (a key of NUCLIDES; empty where unknown) and its half-life in seconds.

    The object's own half-life counts before that of the table.
    """
    given = item(header, "RadiopharmaceuticalInformationSequence")
    said = number(given, "RadionuclideHalfLife")
    name = _by_code(given) or next(filter(None, map(named, _words(header, given))), "")
    known = NUCLIDES[name].half_life_s if name else None
    return name, said if said and said > 0 else known


def _by_code(given: Dataset) -> str:
    value = text(item(given, "RadionuclideCodeSequence"), "CodeValue")
    return next((name for name, one in NUCLIDES.items() if one.code[0] == value), "")


def _words(header: Dataset, given: Dataset) -> list[str]:
    """Return where its name may stand, the surest first."""
    return [
        text(item(given, "RadionuclideCodeSequence"), "CodeMeaning"),
        text(given, "Radiopharmaceutical"),
        text(item(given, "RadiopharmaceuticalCodeSequence"), "CodeMeaning"),
        text(item(header, "EnergyWindowInformationSequence"), "EnergyWindowName"),
    ]


def named(words: str) -> str:
    """Return the isotope that words name: `^99m^Technetium`, `Tc-99m MIBI`, `99mTc`, `FLUORINE 18`."""
    for element, mass in _pairs(words):
        symbol = _NAMES.get(element.lower(), element.capitalize() if len(element) <= 2 else "")  # noqa: PLR2004
        if (name := f"{symbol}{mass.lower()}") in NUCLIDES:
            return name
    return ""


def _pairs(words: str) -> list[tuple[str, str]]:
    before, after = _WRITTEN
    return [(element, mass) for mass, element in before.findall(words)] + after.findall(words)
