"""Say a scheduled step as the modality worklist says it.

One item per Scheduled Procedure Step (PS3.4 K.6.1). What a person typed is cut down to what the value representation
can hold, so that an item can always be written: a name too long must not keep a patient off the camera.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR

from core.dicom.information_models import WORKLIST, Table

LENGTHS = {"SH": 16, "LO": 64, "AE": 16, "CS": 16, "ST": 1024, "LT": 10240, "UI": 64}
"""Characters a value may have (PS3.5 Table 6.2-1)."""

PRIORITIES = {"stat": "STAT", "urgent": "HIGH", "routine": "ROUTINE"}
"""The department's urgencies as Requested Procedure Priority (0040,1003) has them; other words pass as they are."""


@dataclass(frozen=True)
class Code:
    """One coded concept (PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str = ""
    version: str = ""


@dataclass(frozen=True)
class ScheduledStep:
    """One Scheduled Procedure Step; `start` counts as the wall clock it shows, in the department's own time."""

    step_id: str
    station_aets: tuple[str, ...]
    start: datetime
    modality: str
    description: str = ""
    station_name: str = ""
    performing_physician: str = ""
    protocol: Code | None = None
    location: str = ""
    pre_medication: str = ""
    contrast_agent: str = ""
    status: str = ""
    comments: str = ""


@dataclass(frozen=True)
class ScheduledItem:
    """A patient, a request and its scheduled steps, in plain words; empty text and None mean unknown.

    The patient's names are DICOM person names without groups (`Zhang^Wei`), those of physicians with them; `pregnancy`
    is 1 not pregnant, 2 possibly, 3 definitely, 4 unknown (PS3.3 C.2.4).
    """

    patient_id: str
    name: str
    study_instance_uid: str
    steps: tuple[ScheduledStep, ...]
    issuer: str = ""
    name_ideographic: str = ""
    name_phonetic: str = ""
    birth_date: date | None = None
    sex: str = ""
    weight_kg: float | None = None
    height_cm: float | None = None
    pregnancy: int | None = None
    allergies: str = ""
    medical_alerts: str = ""
    special_needs: str = ""
    patient_state: str = ""
    confidentiality: str = ""
    comments: str = ""
    other_patient_ids: tuple[str, ...] = ()
    admission_id: str = ""
    ward: str = ""
    location: str = ""
    accession: str = ""
    requested_procedure_id: str = ""
    description: str = ""
    code: Code | None = None
    priority: str = ""
    referring_physician: str = ""
    requesting_physician: str = ""
    requesting_service: str = ""
    reason: str = ""
    transport: str = ""
    placer_number: str = ""
    filler_number: str = ""


def to_datasets(item: ScheduledItem) -> list[Dataset]:
    """Return the worklist items of a request, one for each step."""
    return [to_dataset(item, step) for step in item.steps]


def to_dataset(item: ScheduledItem, step: ScheduledStep | None = None) -> Dataset:
    """Return the worklist item of one step (the first when none is named), its type 1 and 2 return keys all there.

    Specific Character Set is not set: the caller chooses it by what the device can show.
    """
    out = _patient(item)
    out.update(_request(item))
    out.ScheduledProcedureStepSequence = [_step(item, step or item.steps[0])]
    _complete(out, WORKLIST.levels[""])
    return out


def _patient(item: ScheduledItem) -> Dataset:
    out = Dataset()
    out.PatientName = person_name(item.name, item.name_ideographic, item.name_phonetic)
    out.PatientBirthDate = f"{item.birth_date:%Y%m%d}" if item.birth_date else ""
    out.PatientSex = item.sex if item.sex in {"M", "F", "O"} else ""
    out.PatientWeight = _decimal(item.weight_kg)
    out.PatientSize = _decimal(item.height_cm / 100 if item.height_cm else None)
    out.PregnancyStatus = item.pregnancy
    out.OtherPatientIDs = [text for one in item.other_patient_ids if (text := _text(one, "LO"))]
    _put(out, PatientID=item.patient_id, IssuerOfPatientID=item.issuer, PatientComments=item.comments)
    _put(out, Allergies=item.allergies, MedicalAlerts=item.medical_alerts, SpecialNeeds=item.special_needs)
    _put(out, PatientState=item.patient_state, AdmissionID=item.admission_id)
    _put(out, ConfidentialityConstraintOnPatientDataDescription=item.confidentiality)
    _put(out, CurrentPatientLocation=" ".join(part for part in (item.ward, item.location) if part))
    return out


def _request(item: ScheduledItem) -> Dataset:
    out = Dataset()
    procedure_id = item.requested_procedure_id or item.accession
    out.StudyInstanceUID = item.study_instance_uid
    out.ReferringPhysicianName = person_name(*item.referring_physician.split("=", 2))
    out.RequestingPhysician = person_name(*item.requesting_physician.split("=", 2))
    if item.code:
        out.RequestedProcedureCodeSequence = [_coded(item.code)]
    _put(out, AccessionNumber=item.accession, RequestedProcedureID=procedure_id)
    _put(out, RequestedProcedureDescription=item.description or procedure_id)
    _put(out, RequestedProcedurePriority=PRIORITIES.get(item.priority.lower(), item.priority.upper()))
    _put(out, RequestingService=item.requesting_service, ReasonForTheRequestedProcedure=item.reason)
    _put(out, PatientTransportArrangements=item.transport)
    _put(out, PlacerOrderNumberImagingServiceRequest=item.placer_number)
    _put(out, FillerOrderNumberImagingServiceRequest=item.filler_number)
    return out


def _step(item: ScheduledItem, step: ScheduledStep) -> Dataset:
    out = Dataset()
    out.ScheduledStationAETitle = [text for one in step.station_aets if (text := _text(one, "AE"))]
    out.ScheduledProcedureStepStartDate = f"{step.start:%Y%m%d}"
    out.ScheduledProcedureStepStartTime = f"{step.start:%H%M%S}"
    out.ScheduledPerformingPhysicianName = person_name(*step.performing_physician.split("=", 2))
    if step.protocol:
        out.ScheduledProtocolCodeSequence = [_coded(step.protocol)]
    description = step.description or item.description or step.step_id
    _put(out, Modality=step.modality, ScheduledProcedureStepID=step.step_id)
    _put(out, ScheduledProcedureStepDescription=description, ScheduledStationName=step.station_name)
    _put(out, ScheduledProcedureStepLocation=step.location, PreMedication=step.pre_medication)
    _put(out, RequestedContrastAgent=step.contrast_agent, ScheduledProcedureStepStatus=step.status)
    _put(out, CommentsOnTheScheduledProcedureStep=step.comments)
    return out


def _coded(code: Code) -> Dataset:
    out = Dataset()
    _put(out, CodeValue=code.value, CodingSchemeDesignator=code.scheme, CodeMeaning=code.meaning)
    if code.version:
        _put(out, CodingSchemeVersion=code.version)
    return out


def _complete(out: Dataset, table: Table) -> None:
    """Add what Table K.6-1 always returns, zero length where nothing is known."""
    for tag, key in table.items():
        if key.returned in {"1", "2"} and tag not in out:
            vr = dictionary_VR(tag)
            out[tag] = DataElement(tag, vr, [] if vr == "SQ" else None)
        for one in out[tag].value if key.items and tag in out else ():
            _complete(one, key.items)


def _put(out: Dataset, **texts: str) -> None:
    for keyword, text in texts.items():
        vr = dictionary_VR(keyword)
        setattr(out, keyword, _text(text, vr))


def _text(text: str, vr: str) -> str:
    """Return what a value representation can hold of a text: no backslash or control character, and not too long."""
    lines = "\n\r\t" if vr in {"LT", "ST"} else ""
    kept = "".join(one if one.isprintable() or one in lines else " " for one in text.replace("\\", " "))
    if vr == "CS":
        kept = re.sub(r"[^A-Z0-9 _]", "_", kept.strip().upper())
    if vr == "AE":
        kept = kept.encode("ascii", "ignore").decode()
    return kept.strip()[: LENGTHS[vr]].strip()


def person_name(alphabetic: str, ideographic: str = "", phonetic: str = "") -> str:
    """Return a PN value of up to three groups, each at most 64 characters and five components (PS3.5 6.2.1)."""
    groups = [_name_group(group) for group in (alphabetic, ideographic, phonetic)]
    return "=".join(groups).rstrip("=")


def _name_group(group: str) -> str:
    printable = "".join(one if one.isprintable() else " " for one in group.translate({ord("\\"): " ", ord("="): " "}))
    return "^".join(part.strip() for part in printable.split("^")[:5])[:64].rstrip("^ ")


def _decimal(value: float | None) -> str | None:
    return f"{value:.6g}" if value is not None else None
