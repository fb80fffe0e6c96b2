"""What the stored numbers of an object stand for: slope, intercept and unit of each frame.

Enhanced objects say it in their functional groups (PS3.3 C.7.6.16.2.9), others by Rescale Slope at the top; where
neither is there, NM and PET may say it by one Real World Value Mapping (C.7.6.16.2.11).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydicom import Dataset

from core.dicom.elements import item, items, number, text, value
from core.imaging.grayscale import Rescale

UCUM: Mapping[str, str] = MappingProxyType(
    {
        "{counts}": "counts", "Bq/ml": "BQML", "[hnsf'U]": "HU", "g/ml{SUVbw}": "SUVbw", "g/ml{SUVlbm}": "SUVlbm",
        "cm2/ml{SUVbsa}": "SUVbsa", "{counts}/s": "CPS",
    }
)  # fmt: skip
"""Units of measurement by their codes, as this house writes them."""

_UNSPECIFIED = "US"


def rescale_of(header: Dataset, frame: int = 0) -> Rescale:
    """Return what the stored numbers of a frame, counted from 0, stand for."""
    said = next(iter(_group(header, frame, "PixelValueTransformationSequence")), header)
    slope, intercept = number(said, "RescaleSlope"), number(said, "RescaleIntercept")
    mapping = _mapping(header, frame)
    if slope is None and intercept is None and mapping is not None:
        slope, intercept = number(mapping, "RealWorldValueSlope"), number(mapping, "RealWorldValueIntercept")
    return Rescale(slope or 1.0, intercept or 0.0, _unit(header, said, mapping))


def varies(header: Dataset) -> bool:
    """Whether each frame may have a line of its own."""
    return bool(items(header, "PerFrameFunctionalGroupsSequence"))


def _unit(header: Dataset, said: Dataset, mapping: Dataset | None) -> str:
    modality, unit = text(header, "Modality"), text(header, "Units")
    if unit or modality == "PT":
        return unit
    if modality == "NM":
        return (
            UCUM.get(text(item(mapping, "MeasurementUnitsCodeSequence"), "CodeValue"), "counts")
            if mapping
            else "counts"
        )
    own = text(said, "RescaleType")
    return ("" if own == _UNSPECIFIED else own) or ("HU" if modality == "CT" else "")


def _mapping(header: Dataset, frame: int) -> Dataset | None:
    """Return the one straight Real World Value Mapping of an NM or PET frame."""
    if text(header, "Modality") not in {"NM", "PT"}:
        return None
    own = _group(header, frame, "RealWorldValueMappingSequence") or items(header, "RealWorldValueMappingSequence")
    straight = [one for one in own if number(one, "RealWorldValueSlope") is not None]
    return straight[0] if len(own) == len(straight) == 1 else None


def _group(header: Dataset, frame: int, name: str) -> list[Dataset]:
    """Return the items of a frame's functional group, else of the shared one."""
    frames = value(header, "PerFrameFunctionalGroupsSequence") or ()
    own = items(frames[frame], name) if frame < len(frames) else []
    return own or items(item(header, "SharedFunctionalGroupsSequence"), name)
