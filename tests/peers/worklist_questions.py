"""Make up worklists and the questions cameras might ask of them, and compare our answers with the oracle's.

What DCMTK 3.6.7 does otherwise than the standard or than we mean to, and how it is kept apart:

- It ignores Study Instance UID and Scheduled Procedure Step ID as keys: no question asks by them.
- It compares bytes, so `?` takes a third of an ideograph (UTF-8); we compare characters. A question with `?` in a name
  is compared on the items with plain names.
- It refuses a whole query for a lower-case letter in a CS key (`nm`); we find nothing. Refused counts as nothing found.
- It refuses a CS key of several values; we take either. No question asks a CS key so.
- It says Pregnancy Status 4 (unknown) where an item has none; we say zero length.
- It answers an empty sequence key with zero-length attributes the item has not; we answer with the item's own.
"""

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from io import BytesIO

from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pynetdicom.dsutils import decode, encode

from core.dicom.information_models import WORKLIST
from core.dicom.matching import answer, match, problems
from core.dicom.worklist import Code, ScheduledItem, ScheduledStep, to_dataset

NAMES = (
    *(("Zhang^Wei", "张^伟"), ("ZHANG^WEI", ""), ("zhang^wei", ""), ("Zhang^Weiwei", "张^薇薇"), ("Doe^John", "")),
    *(("Doe^John^^Dr", ""), ("Doe", ""), ("O'Neil^Anne-Marie", ""), ("Li^Si", "李^四"), ("Smith [Test]^A.B", "")),
)
PATIENT_IDS = ("P1", "P10", "P*", "P?", "p1", "0001", "1", "P-1 A", "P1*", "NM/77")
STATIONS = (("CAM1",), ("CAM2",), ("CAM*",), ("CAM?",), ("cam1",), ("CAM1", "CAM2"), ("CAM 1",))
PEOPLE = ("", "Wang^Fang", "wang^fang", "Chen^Jing^^^MD")
DAYS = [date(2025, 12, 30) + timedelta(days=day) for day in range(5)]
FREE_KEYS = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber", "RequestedProcedureID", "AdmissionID"),
    *("ReferringPhysicianName", "RequestingPhysician", "PatientSex", "RequestedProcedurePriority", "PatientBirthDate"),
)
STEP_KEYS = ("ScheduledStationAETitle", "Modality", "ScheduledPerformingPhysicianName")
RETURN_KEYS = (
    *(
        "StudyInstanceUID",
        "PatientName",
        "PatientID",
        "PatientWeight",
        "PatientSize",
        "PregnancyStatus",
        "MedicalAlerts",
    ),
    *("RequestedProcedureDescription", "CurrentPatientLocation", "SpecialNeeds", "PatientState", "RequestingService"),
    *("ReasonForTheRequestedProcedure", "AccessionNumber", "RequestedProcedureID", "RequestedProcedurePriority"),
)
START_DATE, START_TIME = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"
NOT_COMPARED = {tag_for_keyword("SpecificCharacterSet"), tag_for_keyword("PregnancyStatus")}


def worklist(chance: random.Random, count: int) -> list[Dataset]:
    """Return `count` items, alike enough to be mistaken for each other."""
    return [_item(chance, number) for number in range(count)]


def _item(chance: random.Random, number: int) -> Dataset:
    alphabetic, ideographic = chance.choice(NAMES)
    start = datetime.combine(chance.choice(DAYS), datetime.min.time())
    start += timedelta(seconds=chance.choice((0, 1, 3600 * 8, 3600 * 10, 3600 * 10 + 900, 3600 * 18, 86399)))
    step = ScheduledStep(
        step_id=f"S{number}",
        station_aets=chance.choice(STATIONS),
        start=start,
        modality=chance.choice(("NM", "PT", "CT")),
        description=chance.choice(("Bone whole body", "MIBI rest")),
        performing_physician=chance.choice(PEOPLE),
        protocol=chance.choice((None, Code("BONE-WB", "99PHOTOPEAK", "Bone whole body"))),
    )
    item = ScheduledItem(
        patient_id=chance.choice(PATIENT_IDS),
        issuer=chance.choice(("", "HOSPITAL", "CLINIC")),
        name=alphabetic,
        name_ideographic=ideographic,
        study_instance_uid=f"1.2.826.0.1.3680043.10.1.{number}",
        steps=(step,),
        birth_date=chance.choice((None, date(1961, 3, 4), date(1980, 2, 29))),
        sex=chance.choice(("", "M", "F", "O")),
        weight_kg=chance.choice((None, 71.5)),
        pregnancy=chance.choice((None, 1, 4)),
        medical_alerts=chance.choice(("", "Pacemaker")),
        admission_id=chance.choice(("", "ADM1", "ADM2")),
        ward=chance.choice(("", "3 West")),
        accession=chance.choice(("", "A1", "A12", "A12B", "a1")),
        requested_procedure_id=f"R{number % 4}",
        description="Bone scan",
        priority=chance.choice(("stat", "urgent", "routine")),
        referring_physician=chance.choice(PEOPLE),
        requesting_physician=chance.choice(PEOPLE),
    )
    out = to_dataset(item)
    out.SpecificCharacterSet = "ISO_IR 192"
    return out


def question(chance: random.Random, items: Sequence[Dataset]) -> Dataset:
    """Return one query: some keys taken from an item and bent a little, the others to be returned."""
    keys = Dataset()
    like = chance.choice(items)
    _ask(keys, "SpecificCharacterSet", "ISO_IR 192")
    for keyword in RETURN_KEYS:
        _ask(keys, keyword, "")
    for keyword in chance.sample(FREE_KEYS, chance.choice((0, 0, 1, 1, 1, 2, 3))):
        _ask(keys, keyword, _bent(chance, like, keyword))
    steps = [_step_question(chance, like.ScheduledProcedureStepSequence[0])] if chance.random() < 0.95 else []
    keys.ScheduledProcedureStepSequence = steps
    return keys


def _step_question(chance: random.Random, like: Dataset) -> Dataset:
    keys = Dataset()
    for keyword in (*STEP_KEYS, START_DATE, START_TIME, "ScheduledProcedureStepDescription", "ScheduledStationName"):
        _ask(keys, keyword, "")
    for keyword in chance.sample(STEP_KEYS, chance.choice((0, 0, 1, 1, 2))):
        _ask(keys, keyword, _bent(chance, like, keyword))
    if chance.random() < 0.5:
        _ask(keys, START_DATE, _date_key(chance))
    if chance.random() < 0.4:
        _ask(keys, START_TIME, _time_key(chance))
    return keys


def _ask(keys: Dataset, keyword: str, value: str) -> None:
    vr = dictionary_VR(keyword)
    keys[keyword] = DataElement(keyword, vr, value or None, validation_mode=IGNORE)


def _bent(chance: random.Random, like: Dataset, keyword: str) -> str:
    if keyword == "PatientBirthDate":
        return chance.choice(("19610304", "19600101-19701231", "-19610304", "19610305-", "-", "1961", ""))
    value = str(next(iter(like[keyword].value), "") if like[keyword].VM > 1 else like[keyword].value or "")
    cut = chance.randrange(len(value) + 1)
    return chance.choice(
        (
            *(value, value, value, value + " ", value.swapcase(), "", "*", "**", "?", "?*", "*?", "nothing like it"),
            *(value[:cut] + "*", "*" + value[cut:], value[:cut] + "*" + value[cut + 1 :], f"*{value[:cut]}*"),
            *(_with_question_mark(value, cut), value + "?", *_several(value, keyword)),
        )
    )


def _several(value: str, keyword: str) -> tuple[str, ...]:
    return () if dictionary_VR(keyword) == "CS" else (value + "\\OTHER", "OTHER\\" + value)


def _with_question_mark(value: str, cut: int) -> str:
    return value[:cut] + "?" + value[cut + 1 :] if value[cut : cut + 1].isascii() else value


def _date_key(chance: random.Random) -> str:
    one, two = (f"{chance.choice(DAYS):%Y%m%d}" for _ in range(2))
    malformed = ("2025", "20251232", "2025.12.31", f"{one} - {two}", "*", "x")
    return chance.choice((one, f"{one} ", *_ranges(one, two), *_ranges(one, two), *malformed))


def _time_key(chance: random.Random) -> str:
    one, two = (chance.choice(("00", "000001", "08", "0800", "1000", "101500", "18", "235959")) for _ in range(2))
    malformed = ("25", "10:15", "*")
    return chance.choice((one, f"{one} ", "101500.000000", *_ranges(one, two), *_ranges(one, two), *malformed))


def _ranges(one: str, two: str) -> tuple[str, ...]:
    return f"{one}-{two}", f"{min(one, two)}-{max(one, two)}", f"{one}-", f"-{one}", f"{one}-{one}", "-"


def as_received(keys: Dataset) -> Dataset:
    """Return a query as it comes off the wire: undecoded and, in implicit VR, without value representations."""
    encoded = encode(keys, is_implicit_vr=True, is_little_endian=True)
    assert encoded is not None
    return decode(BytesIO(encoded), is_implicit_vr=True, is_little_endian=True)


def our_answers(keys: Dataset, items: Sequence[Dataset]) -> list[Dataset]:
    """Return what we answer; a malformed query gets nothing."""
    received = as_received(keys)
    if problems(received, WORKLIST):
        return []
    return [answer(received, item, WORKLIST) for item in items if match(received, item, WORKLIST)]


def differences(
    keys: Dataset, items: Sequence[Dataset], theirs: Sequence[Dataset] | None, ours: Sequence[Dataset] | None = None
) -> list[str]:
    """Return where the two answers to one question differ, in words; an empty list where they agree.

    `ours` is what our listener answered; when it was not asked, what our matching answers.
    """
    apart = _not_comparable(keys, items)
    our = {str(one.StudyInstanceUID): one for one in (our_answers(keys, items) if ours is None else ours)}
    their = {str(one.StudyInstanceUID): one for one in theirs or ()}
    out = [f"only we answer {uid}" for uid in sorted(our.keys() - their.keys() - apart)]
    out += [f"only wlmscpfs answers {uid}" for uid in sorted(their.keys() - our.keys() - apart)]
    for uid in our.keys() & their.keys():
        out += [f"{uid} {difference}" for difference in _value_differences(our[uid], their[uid])]
    return out


def _not_comparable(keys: Dataset, items: Sequence[Dataset]) -> set[str]:
    """Return the items whose name is not plain where a `?` is asked of a name."""
    if "?" not in str(keys.get("PatientName", "")):
        return set()
    return {str(item.StudyInstanceUID) for item in items if not str(item.PatientName).isascii()}


def _value_differences(ours: Dataset, theirs: Dataset) -> list[str]:
    out = []
    for element in theirs:
        if element.tag in NOT_COMPARED or (element.tag not in ours and not element.value):
            continue
        if element.tag not in ours:
            out.append(f"lacks {element.keyword}")
        elif element.VR == "SQ":
            for our, their in zip(ours[element.tag].value, element.value, strict=True):
                out += _value_differences(our, their)
        elif str(ours[element.tag].value or "").strip() != str(element.value or "").strip():
            out.append(f"says {ours[element.tag].value!r} for {element.keyword}, wlmscpfs {element.value!r}")
    return out
