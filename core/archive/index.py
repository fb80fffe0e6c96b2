"""Answers queries from the four tables of what arrived.

The database cuts down the candidates by what it has indexes for; `matching` decides. A key no table holds matches all:
it comes back empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword

from core.dicom import matching
from core.dicom.information_models import Model
from core.records import Work

_UTF8 = "ISO_IR 192"
_AT_ONCE = 500

_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
_STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription"),
    *("ReferringPhysicianName", "ModalitiesInStudy", "SOPClassesInStudy"),
)
_SERIES = (
    *("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime"),
    *("BodyPartExamined", "StationName"),
)
_IMAGE = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "NumberOfFrames", "ImageType")
_HELD = frozenset(tag_for_keyword(keyword) for keyword in (*_PATIENT, *_STUDY, *_SERIES, *_IMAGE)) | {
    matching.QUERY_RETRIEVE_LEVEL,
    matching.SPECIFIC_CHARACTER_SET,
}


def find(work: Work, keys: Dataset, model: Model, site: str) -> Iterator[Dataset]:
    """Yield what answers a Study or Patient Root query at the level it names (PS3.4 C.4.1.3)."""
    level = matching.level_of(keys)
    asked = Dataset()
    for tag in list(keys.keys()):
        if tag in _HELD:
            asked[tag] = keys[tag]
    criteria = matching.as_criteria(keys, model)
    for item in _LEVELS[level](work, criteria, site):
        if matching.match(asked, item, model):
            answer = matching.answer(keys, item, model)
            answer.SpecificCharacterSet = _UTF8
            yield answer


def _texts(rows: Iterable[str]) -> str:
    return "\\".join(sorted({row for row in rows if row}))


def _element(out: Dataset, keyword: str, value: Any) -> None:  # noqa: ANN401 - what a column holds
    out[keyword] = DataElement(tag_for_keyword(keyword) or 0, dictionary_VR(keyword), value)


_LEVELS: dict[str, Any] = {}
