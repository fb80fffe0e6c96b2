"""The index answers as the rule does, whatever the query: random ones against `matching` on every object."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from sqlmodel import delete, text

from core.archive import index
from core.dicom import matching
from core.dicom.answering import in_charset
from core.dicom.charset import charset_of
from core.dicom.encoding import decoded, encoded
from core.dicom.identifiers import RETRIEVE_AE_TITLE, TIMEZONE_OFFSET, IdentifierWriter, Shown
from core.dicom.information_models import LEVELS, PATIENT_ROOT, STUDY_ROOT, Model
from core.model import Batch, Image, SentPatient, Series, Site, Study
from core.records import Records

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
ROOTS = {"patient root": PATIENT_ROOT, "study root": STUDY_ROOT}
PEOPLE = [
    ("P1", "Zhang^Wei=张^伟", "19610304", "M"),
    ("P1", "Zhang^Wei", "19610304", "M"),
    ("P2", "ZHANG^XIU YING=张^秀英", "19700101", "F"),
    ("P3", "Yamada^Tarou=山田^太郎=やまだ^たろう", "", "M"),
    ("p3", "Müller^Jörg", "19550505", "O"),
    ("A_1", 'Weiß^"Q%"', "19800229", "F"),
    ("A-1", "STRASSE^Weiss", "19800229", ""),
    ("", "", "", ""),
]
STUDIES = [
    ("1.2.1", "20260101", "0815", "A100", "骨显像"), ("1.2.2", "20260101", "101500.5", "A101", "Bone scan"),
    ("1.2.3", "20251231", "", "", "bone SCAN, delayed"), ("1.2.4", "", "235959", "A_0", "PET/CT"),
    ("1.2.5", "20260301", "09", "A100", "Myocard*rest"),
]  # fmt: skip
MODALITIES = ["NM", "CT", "PT", "NM", ""]
FIELDS: dict[str, list[str]] = {
    "PatientID": sorted({number for number, *_ in PEOPLE}),
    "PatientName": [name for _, name, *_ in PEOPLE],
    "PatientBirthDate": ["19610304", "19600101-19611231", "-19701231", "19700101-"],
    "PatientSex": ["M", "F", "O"],
    "StudyInstanceUID": [uid for uid, *_ in STUDIES],
    "StudyDate": ["20260101", "20260101-20260301", "-20251231", "20251231-"],
    "StudyTime": ["0815", "0800-1200", "-0900", "101500.5"],
    "AccessionNumber": [accession for *_, accession, _ in STUDIES],
    "StudyDescription": [described for *_, described in STUDIES],
    "ReferringPhysicianName": ["Chen^Min", "陈^敏"],
    "ModalitiesInStudy": ["NM", "CT", "PT", "N*", "?T"],
    "SOPClassesInStudy": ["1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.2"],
    "Modality": ["NM", "CT", "N?"],
    "SeriesInstanceUID": ["1.3.0", "1.3.1", "1.3.7"],
    "SeriesNumber": ["1", "2", "1.0"],
    "SeriesDescription": ["whole body", "SPECT"],
    "SOPInstanceUID": ["1.4.0", "1.4.9", "1.4.3"],
    "InstanceNumber": ["0", "1"],
    "NumberOfFrames": ["1", "64"],
    "ImageType": ["ORIGINAL", "PRIMARY", "ORIG*"],
}
RETURNED = (
    *("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances"),
    *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"),
    *("InstanceAvailability", "PatientComments", "RequestAttributesSequence"),
)


class Archive:
    """A filled database, and every object in it."""

    def __init__(self, records: Records) -> None:
        self.records, items = records, filled(records)
        self.levels = {level: [_with_derived(item, items, level) for item in _sorted(items, level)] for level in LEVELS}


def filled(records: Records) -> list[Dataset]:
    """Make some patients, studies, series and objects; return each object with all its levels say, in order."""
    records.migrate()
    items: list[Dataset | None] = []
    with records.writing() as work:
        for table in (Image, Series, Study, SentPatient, Batch):
            work.session.exec(delete(table))
        if work.session.get(Site, "MAIN") is None:
            work.add(Site(code="MAIN"))
        if work.session.get(Site, "ELSE") is None:
            work.add(Site(code="ELSE"))
        numbers = itertools.count()
        for site, (who, person) in itertools.product(("MAIN", "ELSE"), enumerate(PEOPLE)):
            for which, study in enumerate(STUDIES):
                if (who + which) % 3 == 0 or (who < 2 and which == 0):
                    items += _study(work, site, f"{who}-{which}", person, study, numbers)
    return [item for item in items if item is not None]


def _study(work: Any, site: str, key: str, person: Any, said: Any, numbers: Iterator[int]) -> Iterator[Dataset | None]:  # noqa: ANN401 - rows
    patient = SentPatient(
        site=site, identity_key=key, patient_number=person[0], name=person[1], birth_date=person[2], sex=person[3]
    )
    work.add(patient)
    study = Study(
        site=site, sent_patient_id=patient.id or 0, uid=said[0], date=said[1], time=said[2], accession=said[3],
        description=said[4], referrer="Chen^Min=陈^敏" if said[3] else "",
    )  # fmt: skip
    batch = Batch(site=site, study_uid=said[0], identity_key=key, first_at=work.now, last_at=work.now)
    work.add(study, batch)
    for _ in range(2):
        number = next(numbers)
        series = Series(
            study_id=study.id or 0, uid=f"1.3.{number}", modality=MODALITIES[number % 5], number=number % 3 or None,
            description=["whole body", "SPECT", ""][number % 3],
        )  # fmt: skip
        work.add(series)
        for which in range(2):
            image = Image(
                site=site, series_id=series.id or 0, batch_id=batch.id or 0, sop_uid=f"1.4.{2 * number + which}",
                sop_class=FIELDS["SOPClassesInStudy"][number % 2], number=which, frames=[1, 64, 0][number % 3],
                image_type="ORIGINAL\\PRIMARY" if number % 2 else "", transfer_syntax=EXPLICIT, sha256="",
                content_sha256="", received_at=work.now, tier="archive" if number == 4 else "online",
            )  # fmt: skip
            work.add(image)
            yield _item(patient, study, series, image) if site == "MAIN" else None


def dataset(**values: object) -> Dataset:
    out = Dataset()
    for keyword, value in values.items():
        out[keyword] = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE)
    return out


def _item(patient: SentPatient, study: Study, series: Series, image: Image) -> Dataset:
    return dataset(
        PatientID=patient.patient_number, PatientName=patient.name, PatientBirthDate=patient.birth_date,
        PatientSex=patient.sex, IssuerOfPatientID=None, StudyInstanceUID=study.uid, StudyDate=study.date,
        StudyTime=study.time, AccessionNumber=study.accession, StudyDescription=study.description,
        ReferringPhysicianName=study.referrer, SeriesInstanceUID=series.uid, Modality=series.modality,
        SeriesNumber=series.number, SeriesDescription=series.description, SOPInstanceUID=image.sop_uid,
        SOPClassUID=image.sop_class, InstanceNumber=image.number, NumberOfFrames=image.frames or None,
        ImageType=image.image_type.split("\\"), InstanceAvailability="ONLINE" if image.tier == "online" else "NEARLINE",
    )  # fmt: skip


KEYS = {
    "PATIENT": ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    "STUDY": ("PatientID", "StudyInstanceUID"),
    "SERIES": ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"),
    "IMAGE": ("SOPInstanceUID",),
}


def _deeper(level: str) -> list[str]:
    """Return the attributes of the levels below, which an answer of this one leaves empty."""
    known = PATIENT_ROOT.table(level)
    below = {tag for deep in LEVELS[LEVELS.index(level) + 1 :] for tag in PATIENT_ROOT.levels[deep]} - known.keys()
    return [keyword for keyword in FIELDS if tag_for_keyword(keyword) in below]


def expected(items: list[Dataset], keys: Dataset, model: Model) -> list[Dataset]:
    """Answer a query by looking at every object there is."""
    seen, answers = set(), []
    for item in items:
        same = tuple(str(item[keyword].value) for keyword in KEYS[matching.level_of(keys)])
        if same not in seen and matching.match(keys, item, model):
            seen.add(same)
            answers.append(matching.answer(keys, item, model))
    return answers


def _sorted(items: list[Dataset], level: str) -> list[Dataset]:
    return sorted(items, key=_place if level != "PATIENT" else lambda item: _place(item)[3:])


def _place(item: Dataset) -> tuple[object, ...]:
    """Return where an object stands among all: by study, patient, series and number; what has no number first."""
    keywords = ("StudyDate", "StudyTime", "StudyInstanceUID", "PatientID", "PatientName")
    numbers = (-1 if item[one].value is None else int(item[one].value) for one in ("SeriesNumber", "InstanceNumber"))
    series, image = numbers
    said = (str(item[keyword].value or "") for keyword in keywords)
    return (*said, series, str(item.SeriesInstanceUID), image, str(item.SOPInstanceUID))


def _with_derived(item: Dataset, items: list[Dataset], level: str) -> Dataset:
    whole = Dataset()
    whole.update(item)
    for keyword in _deeper(level):
        whole.pop(keyword, None)
    study = [one for one in items if one.StudyInstanceUID == item.StudyInstanceUID]
    series = [one for one in study if one.SeriesInstanceUID == item.SeriesInstanceUID]
    patient = [one for one in items if all(one[keyword] == item[keyword] for keyword in KEYS["PATIENT"])]
    below = {"PATIENT": patient, "STUDY": study, "SERIES": series, "IMAGE": [item]}[level]
    worst = min(str(one.InstanceAvailability) for one in below)
    whole.update(dataset(InstanceAvailability=worst))
    if level != "PATIENT":
        kinds = {
            keyword: sorted({str(one[of].value) for one in study if one[of].value})
            for keyword, of in (("ModalitiesInStudy", "Modality"), ("SOPClassesInStudy", "SOPClassUID"))
        }
        whole.update(dataset(**kinds))
    for depth, (of, found) in enumerate((("Patient", patient), ("Study", study), ("Series", series))):
        for what, keyword in (
            ("Studies", "StudyInstanceUID"),
            ("Series", "SeriesInstanceUID"),
            ("Instances", "SOPInstanceUID"),
        ):
            counted = f"NumberOf{of}Related{what}"
            if depth <= LEVELS.index(level) and tag_for_keyword(counted):
                whole.update(dataset(**{counted: len({str(one[keyword].value) for one in found})}))
    return whole


def answered(records: Records, keys: Dataset, model: Model, syntax: str) -> list[Dataset]:
    writer = IdentifierWriter(keys, index.held(keys), Shown(syntax, "", {}))
    with records.reading() as work:
        return [decoded(writer.write(texts), syntax) for texts in index.find(work, keys, model, "MAIN")]


def comparable(answers: list[Dataset]) -> list[tuple[tuple[int, str], ...]]:
    """Return answers as text; the AE title and the letters are not what is compared."""
    rows = []
    for answer in answers:
        values = ((int(element.tag), element.value) for element in answer)
        aside = (RETRIEVE_AE_TITLE, matching.SPECIFIC_CHARACTER_SET)
        rows.append(tuple((tag, _plain(value)) for tag, value in values if tag not in aside))
    return rows


def _plain(value: Any) -> str:  # noqa: ANN401 - any element's value
    if value is None or isinstance(value, str | int | float):
        return str("" if value is None else value)
    return "\\".join(map(str, value)) if isinstance(value, list) or hasattr(value, "append") else str(value)


@st.composite
def queries(draw: st.DrawFn) -> tuple[Dataset, str]:
    root = draw(st.sampled_from(sorted(ROOTS)))
    level = draw(st.sampled_from(sorted(ROOTS[root].levels)))
    keywords = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=4, unique=True))
    values = {keyword: draw(_asked(keyword)) for keyword in keywords}
    shown = draw(st.lists(st.sampled_from([*FIELDS, *RETURNED]), max_size=8, unique=True))
    empty: dict[str, object] = {one: [] if dictionary_VR(one) == "SQ" else None for one in shown}
    keys = dataset(QueryRetrieveLevel=level, SpecificCharacterSet="ISO_IR 192", **{**empty, **values})
    return decoded(encoded(keys, EXPLICIT), EXPLICIT), root


@st.composite
def _asked(draw: st.DrawFn, keyword: str) -> str:
    """Return a value that is there, a part of it among wild cards, or several of both."""

    def one() -> str:
        value = draw(st.sampled_from(FIELDS[keyword]))
        if dictionary_VR(keyword) == "IS":  # pydicom writes no others
            return value
        begin, end = sorted((draw(st.integers(0, len(value))), draw(st.integers(0, len(value)))))
        part = value[begin:end]
        shapes = [value, value.upper(), f"{part}*", f"*{part}*", f"*{part}", value[:begin] + "?" + value[begin + 1 :]]
        return draw(st.sampled_from([*shapes, f"{value[:begin]}*{value[end:]}", "*", "?*"]))

    return "\\".join(one() for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))))


@pytest.fixture(
    scope="module",
    params=["sqlite", "sqlite without trigrams", pytest.param("postgres", marks=pytest.mark.peer("postgres"))],
)
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("index")
    url = f"sqlite:///{folder / 'index.sqlite'}"
    records = Records(
        request.getfixturevalue("postgres_url") if request.param == "postgres" else url, new_uid=lambda: "1"
    )
    archive = Archive(records)
    if "without" in request.param:
        with records.writing() as work:
            for table in ("sentpatient", "study"):
                for change in ("insert", "update", "delete"):
                    work.session.execute(text(f"DROP TRIGGER {table}_trigram_{change}"))
                work.session.execute(text(f"DROP TABLE {table}_trigram"))
    yield archive
    records.close()


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom warns of wild cards in UIDs
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(asked=queries(), syntax=st.sampled_from([IMPLICIT, EXPLICIT, BIG]))
def test_the_index_finds_what_the_rule_finds(archive: Archive, asked: tuple[Dataset, str], syntax: str) -> None:
    keys, model = asked[0], ROOTS[asked[1]]
    assert comparable(answered(archive.records, keys, model, syntax)) == comparable(
        expected(archive.levels[matching.level_of(keys)], keys, model)
    )


@pytest.mark.parametrize("charset", ["", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 58", "ISO_IR 100", "\\ISO 2022 IR 87"])
@pytest.mark.parametrize("shown", ["", "ISO_IR 100", "GB18030"])
def test_answers_are_the_bytes_that_answering_writes(archive: Archive, charset: str, shown: str) -> None:
    keys = dataset(QueryRetrieveLevel="STUDY", SpecificCharacterSet=charset.split("\\"), PatientName="", StudyID="")
    keys.update(
        dataset(StudyDescription="", ReferringPhysicianName="", RequestAttributesSequence=[], TimezoneOffsetFromUTC="")
    )
    always = {RETRIEVE_AE_TITLE: "PHOTOPEAK", TIMEZONE_OFFSET: "+0800"}
    writer = IdentifierWriter(keys, index.held(keys), Shown(EXPLICIT, shown, always))
    with archive.records.reading() as work:
        written = [writer.write(texts) for texts in index.find(work, keys, STUDY_ROOT, "MAIN")]
    answers = expected(archive.levels["STUDY"], keys, STUDY_ROOT)
    for answer in answers:
        answer.update(dataset(RetrieveAETitle="PHOTOPEAK", TimezoneOffsetFromUTC="+0800"))
    assert written == [encoded(in_charset(answer, charset_of(charset), shown), EXPLICIT) for answer in answers]
    assert not any(b"?" in answer for answer in written)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    records = Records(f"sqlite:///{tmp_path_factory.mktemp('plan') / 'plan.sqlite'}", new_uid=lambda: "1")
    filled(records)
    yield records
    records.close()


@pytest.mark.parametrize(
    ("asked", "by"),
    [
        ({"PatientID": "P1"}, "ix_sentpatient_number"),
        ({"PatientID": "P*"}, "ix_sentpatient_number"),
        ({"StudyInstanceUID": "1.2.1"}, "ix_study_uid"),
        ({"AccessionNumber": "A100"}, "ix_study_accession"),
        ({"StudyDate": "20260101-"}, "ix_study_date"),
        ({"PatientName": "zhang*"}, "ix_sentpatient_alphabetic"),
        ({"PatientName": "*wei*"}, "sentpatient_trigram"),
        ({"StudyDescription": "*scan*"}, "study_trigram"),
        ({}, "ix_study_date"),
    ],
)
def test_sqlite_finds_by_an_index_and_walks_no_table(sqlite: Records, asked: dict[str, str], by: str) -> None:
    keys = dataset(QueryRetrieveLevel="STUDY", PatientName="", StudyInstanceUID="", ModalitiesInStudy="")
    keys.update(dataset(**asked))
    with sqlite.reading() as work:
        connection = work.session.connection()
        statement = index._Query(work, keys, STUDY_ROOT, "MAIN")._statement
        plain = str(statement.compile(connection.engine, compile_kwargs={"literal_binds": True}))
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {plain}")]
    assert any(by in step for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step], plan
    sites_alone = [step for step in plan if step.endswith("(site=?)")]
    assert not sites_alone or by == "ix_study_date", plan
