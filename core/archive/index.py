"""Answers queries from the four tables of what arrived.

The database cuts down the candidates by what it has indexes for; `matching` decides. A key that no table holds matches
all and comes back empty. Order and answers depend on what was sent alone, so a rebuilt index answers the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pydicom import DataElement, Dataset, config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from sqlalchemy import and_
from sqlmodel import col, func, select

from core.dicom import matching
from core.dicom.charset import choose_charset
from core.dicom.information_models import Model
from core.dicom.matching import Criteria
from core.model import Image, SentPatient, Series, Study
from core.records import Work

_AT_ONCE = 500
_TEXTS = frozenset({"PN", "LO", "SH"})
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
_LEVEL = "QueryRetrieveLevel"


def _tag(keyword: str) -> int:
    return tag_for_keyword(keyword) or 0


_IDENTITY: tuple[Any, ...] = (
    *(SentPatient.patient_number, SentPatient.issuer, SentPatient.name),
    *(SentPatient.birth_date, SentPatient.sex),
)
_HELD = {_tag(keyword) for keyword in (*_PATIENT, *_STUDY, *_SERIES, *_IMAGE, _LEVEL, "SpecificCharacterSet")}


def find(work: Work, keys: Dataset, model: Model, site: str) -> Iterator[Dataset]:
    """Yield what answers a Study or Patient Root query at the level it names (PS3.4 C.4.1.3)."""
    query = _Query(work, keys, model, site)
    asked = Dataset()
    for tag in keys.keys() & _HELD:
        asked[tag] = keys[tag]
    seen: set[tuple[str, ...]] = set()
    for key, item in query.items():
        if key not in seen and matching.match(asked, item, model):
            seen.add(key)
            yield _written(matching.answer(keys, item, model), keys)


def _written(answer: Dataset, keys: Dataset) -> Dataset:
    """Name the character set that holds every text of an answer: the one of the request if it can."""
    texts = [str(element.value) for element in answer if element.VR in _TEXTS and element.value]
    charset = choose_charset(texts, _charset_of(keys))
    if charset:
        _put(answer, SpecificCharacterSet=list(charset))
    return answer


def _charset_of(keys: Dataset) -> list[str]:
    value = keys.get("SpecificCharacterSet") or ""
    return [value] if isinstance(value, str) else [str(part) for part in value]


class _Query:
    """One query: its candidates by level, read some hundred rows at a time."""

    def __init__(self, work: Work, keys: Dataset, model: Model, site: str) -> None:
        self._session = work.session
        self._keys = keys
        self._level = matching.level_of(keys)
        self._criteria = matching.as_criteria(keys, model)
        self._site = site

    def items(self) -> Iterator[tuple[tuple[str, ...], Dataset]]:
        """Yield candidates, each with what makes it one and the same for a peer."""
        read: Callable[[Sequence[int]], Iterator[tuple[tuple[str, ...], Dataset]]] = {
            "PATIENT": self._patients,
            "STUDY": self._studies,
            "SERIES": self._series,
            "IMAGE": self._images,
        }[self._level]
        ids = list(self._session.exec(self._candidates()))
        for start in range(0, len(ids), _AT_ONCE):
            yield from read(ids[start : start + _AT_ONCE])

    def _candidates(self) -> Any:  # noqa: ANN401 - SQLModel's selects differ in type by their columns
        depth = ("PATIENT", "STUDY", "SERIES", "IMAGE").index(self._level)
        table = (SentPatient, Study, Series, Image)[depth]
        found: Any = select(table.id).select_from(SentPatient)
        order: list[Any] = [SentPatient.patient_number, SentPatient.name, SentPatient.identity_key]
        if depth > 0:
            found = found.join(Study, col(Study.sent_patient_id) == SentPatient.id)
            order = [Study.date, Study.time, Study.uid, *order]
        if depth > 1:
            found = found.join(Series, col(Series.study_id) == Study.id)
            order += [Series.number, Series.uid]
        if depth > 2:  # noqa: PLR2004 - the fourth level
            found = found.join(Image, col(Image.series_id) == Series.id)
            order += [Image.number, Image.sop_uid]
        return found.where(SentPatient.site == self._site, *_conditions(self._criteria, depth)).order_by(*order)

    def _patients(self, ids: Sequence[int]) -> Iterator[tuple[tuple[str, ...], Dataset]]:
        rows = {row.id: row for row in self._session.exec(select(SentPatient).where(col(SentPatient.id).in_(ids)))}
        for patient in (rows[each] for each in ids):
            item = _patient_item(patient)
            same = zip(_IDENTITY, _who(patient), strict=True)
            self._count(item, "Patient", and_(*(column == value for column, value in same)))
            yield _who(patient), item

    def _studies(self, ids: Sequence[int]) -> Iterator[tuple[tuple[str, ...], Dataset]]:
        found = select(Study, SentPatient).join(SentPatient, col(SentPatient.id) == Study.sent_patient_id)
        rows = {row[0].id: row for row in self._session.exec(found.where(col(Study.id).in_(ids)))}
        for study, patient in (rows[each] for each in ids):
            item = _patient_item(patient)
            self._put_study(item, study)
            yield (study.uid, patient.patient_number), item

    def _series(self, ids: Sequence[int]) -> Iterator[tuple[tuple[str, ...], Dataset]]:
        found = select(Series, Study, SentPatient).join(Study, col(Study.id) == Series.study_id)
        found = found.join(SentPatient, col(SentPatient.id) == Study.sent_patient_id)
        rows = {row[0].id: row for row in self._session.exec(found.where(col(Series.id).in_(ids)))}
        for series, study, patient in (rows[each] for each in ids):
            item = _patient_item(patient)
            self._put_study(item, study)
            self._put_series(item, series)
            yield (series.uid, study.uid, patient.patient_number), item

    def _images(self, ids: Sequence[int]) -> Iterator[tuple[tuple[str, ...], Dataset]]:
        found = select(Image, Series, Study, SentPatient).join(Series, col(Series.id) == Image.series_id)
        found = found.join(Study, col(Study.id) == Series.study_id)
        found = found.join(SentPatient, col(SentPatient.id) == Study.sent_patient_id)
        rows = {row[0].id: row for row in self._session.exec(found.where(col(Image.id).in_(ids)))}
        for image, series, study, patient in (rows[each] for each in ids):
            item = _patient_item(patient)
            self._put_study(item, study)
            self._put_series(item, series)
            _put(
                item, SOPInstanceUID=image.sop_uid, SOPClassUID=image.sop_class, InstanceNumber=image.number,
                NumberOfFrames=image.frames or None, ImageType=image.image_type,
            )  # fmt: skip
            yield (image.sop_uid,), item

    def _put_study(self, item: Dataset, study: Study) -> None:
        _put(
            item, StudyInstanceUID=study.uid, StudyDate=study.date, StudyTime=study.time,
            AccessionNumber=study.accession, StudyID=study.study_id, StudyDescription=study.description,
            ReferringPhysicianName=study.referrer,
        )  # fmt: skip
        in_study = Study.uid == study.uid
        if self._asks("ModalitiesInStudy"):
            _put(item, ModalitiesInStudy=self._distinct(Series.modality, in_study))
        if self._asks("SOPClassesInStudy"):
            _put(item, SOPClassesInStudy=self._distinct(Image.sop_class, in_study))
        self._count(item, "Study", in_study)

    def _put_series(self, item: Dataset, series: Series) -> None:
        _put(
            item, SeriesInstanceUID=series.uid, Modality=series.modality, SeriesNumber=series.number,
            SeriesDescription=series.description, SeriesDate=series.date, SeriesTime=series.time,
            BodyPartExamined=series.body_part, StationName=series.station,
        )  # fmt: skip
        self._count(item, "Series", Series.uid == series.uid)

    def _asks(self, keyword: str) -> bool:
        return _tag(keyword) in self._keys

    def _distinct(self, column: Any, condition: Any) -> list[str]:  # noqa: ANN401 - a column and a condition
        """Return the values a study's series or images have, sorted; its images are joined only where asked."""
        found: Any = select(column).select_from(Study).join(Series, col(Series.study_id) == Study.id)
        if column is Image.sop_class:
            found = found.join(Image, col(Image.series_id) == Series.id)
        found = found.where(Study.site == self._site, condition).distinct()
        return sorted(value for value in self._session.exec(found) if value)

    def _count(self, item: Dataset, of: str, condition: Any) -> None:  # noqa: ANN401 - a condition
        """Add the NumberOf...Related... attributes a query asks for (PS3.4 C.3.4)."""
        for what, column in (("Studies", Study.uid), ("Series", Series.uid), ("Instances", Image.sop_uid)):
            keyword = f"NumberOf{of}Related{what}"
            if not _tag(keyword) or not self._asks(keyword):
                continue
            counted: Any = select(func.count(func.distinct(column))).select_from(SentPatient)
            counted = counted.join(Study, col(Study.sent_patient_id) == SentPatient.id)
            counted = counted.join(Series, col(Series.study_id) == Study.id)
            counted = counted.join(Image, col(Image.series_id) == Series.id)
            counted = counted.where(SentPatient.site == self._site, condition)
            _put(item, **{keyword: self._session.exec(counted).one()})


def _conditions(criteria: Criteria, depth: int) -> Iterator[Any]:
    """Yield what a row must fulfil to be a candidate, for the tables that are joined at `depth`."""
    if criteria.patient_id is not None:
        yield SentPatient.patient_number == criteria.patient_id
    if criteria.name_prefix and criteria.name_prefix.isascii():
        yield func.lower(SentPatient.name).startswith(criteria.name_prefix.lower(), autoescape=True)
    if depth > 0:
        yield from _study_conditions(criteria)
    if depth > 1:
        if criteria.modality is not None:
            yield Series.modality == criteria.modality
        if criteria.series_uids:
            yield col(Series.uid).in_(criteria.series_uids)
    if depth > 2 and criteria.instance_uids:  # noqa: PLR2004 - the fourth level
        yield col(Image.sop_uid).in_(criteria.instance_uids)


def _study_conditions(criteria: Criteria) -> Iterator[Any]:
    if criteria.accession is not None:
        yield Study.accession == criteria.accession
    if criteria.first_date:
        yield Study.date >= f"{criteria.first_date:%Y%m%d}"
    if criteria.last_date:
        yield Study.date <= f"{criteria.last_date:%Y%m%d}"
    if criteria.study_uids:
        yield col(Study.uid).in_(criteria.study_uids)


def _who(patient: SentPatient) -> tuple[str, ...]:
    return (patient.patient_number, patient.issuer, patient.name, patient.birth_date, patient.sex)


def _patient_item(patient: SentPatient) -> Dataset:
    item = Dataset()
    _put(
        item, PatientID=patient.patient_number, IssuerOfPatientID=patient.issuer, PatientName=patient.name,
        PatientBirthDate=patient.birth_date, PatientSex=patient.sex, InstanceAvailability="ONLINE",
    )  # fmt: skip
    return item


def _put(item: Dataset, **values: str | int | Iterable[str] | None) -> None:
    """Set elements without judging them: they are shown as they were sent."""
    for keyword, value in values.items():
        written = None if value in ("", None) else value
        tag = _tag(keyword)
        item[tag] = DataElement(tag, dictionary_VR(tag), written, validation_mode=config.IGNORE)
