"""Say which attribute takes which type of matching, one table per information model.

The rows are PS3.4 Table K.6-1 (worklist) and C.6.1 / C.6.2 (query); the functions that obey them stand in `matching`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from pydicom.datadict import dictionary_VR, tag_for_keyword

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")


class Matching(Enum):
    """The types of matching of PS3.4 C.2.2.2; universal matching belongs to all of them."""

    SINGLE = auto()
    WILDCARD = auto()
    RANGE = auto()
    UID_LIST = auto()
    SEQUENCE = auto()
    RETURN_ONLY = auto()


@dataclass(frozen=True)
class Key:
    """One row of an information model's table.

    `use` is R, U or O (required, unique, optional matching key); `returned` the type of the return key, 1 to 3.
    """

    matching: Matching
    use: str = "O"
    returned: str = "3"
    items: "dict[int, Key]" = field(default_factory=dict)


Table = dict[int, Key]


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _table(**rows: Key) -> Table:
    return {_tag(keyword): key for keyword, key in rows.items()}


BY_VR = {
    "UI": Matching.UID_LIST,
    "DA": Matching.RANGE,
    "TM": Matching.RANGE,
    "DT": Matching.RANGE,
    "SQ": Matching.SEQUENCE,
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"), Matching.WILDCARD),
}
"""Where a table names no type, PS3.4 C.2.2.2 gives it by value representation; the rest are single values."""


def _by_vr(use: str, *keywords: str) -> Table:
    return {tag: Key(BY_VR.get(dictionary_VR(tag), Matching.SINGLE), use) for tag in map(_tag, keywords)}


def _returned(type_: str, *keywords: str) -> Table:
    return {_tag(keyword): Key(Matching.RETURN_ONLY, returned=type_) for keyword in keywords}


_CODE = _returned("1", "CodeValue", "CodingSchemeDesignator") | _returned("3", "CodingSchemeVersion", "CodeMeaning")
_REFERENCE = _returned("1", "ReferencedSOPClassUID", "ReferencedSOPInstanceUID")

_SCHEDULED_STEP = _table(
    ScheduledStationAETitle=Key(Matching.SINGLE, "R", "1"),
    ScheduledProcedureStepStartDate=Key(Matching.RANGE, "R", "1"),
    ScheduledProcedureStepStartTime=Key(Matching.RANGE, "R", "1"),
    Modality=Key(Matching.SINGLE, "R", "1"),
    ScheduledPerformingPhysicianName=Key(Matching.WILDCARD, "R", "2"),
    ScheduledProcedureStepID=Key(Matching.WILDCARD, "O", "1"),
    ScheduledProtocolCodeSequence=Key(Matching.RETURN_ONLY, "O", "1C", _CODE),
) | (
    _returned("1C", "ScheduledProcedureStepDescription")
    | _returned("2", "ScheduledStationName", "ScheduledProcedureStepLocation")
    | _returned("2", "PreMedication", "RequestedContrastAgent")
    | _returned("3", "ScheduledProcedureStepStatus", "CommentsOnTheScheduledProcedureStep")
    | _returned("3", "ScheduledProcedureStepEndDate", "ScheduledProcedureStepEndTime")
)

_WORKLIST_KEYS = _table(
    ScheduledProcedureStepSequence=Key(Matching.SEQUENCE, "R", "1", _SCHEDULED_STEP),
    PatientName=Key(Matching.WILDCARD, "R", "1"),
    PatientID=Key(Matching.SINGLE, "R", "1"),
    IssuerOfPatientID=Key(Matching.WILDCARD, "O", "3"),
    PatientBirthDate=Key(Matching.RANGE, "O", "2"),
    PatientSex=Key(Matching.WILDCARD, "O", "2"),
    ResponsiblePerson=Key(Matching.WILDCARD, "O", "3"),
    ResponsiblePersonRole=Key(Matching.WILDCARD, "O", "3"),
    AccessionNumber=Key(Matching.WILDCARD, "O", "2"),
    ReferringPhysicianName=Key(Matching.WILDCARD, "O", "2"),
    RequestingPhysician=Key(Matching.WILDCARD, "O", "2"),
    RequestedProcedureID=Key(Matching.WILDCARD, "O", "1"),
    RequestedProcedurePriority=Key(Matching.WILDCARD, "O", "2"),
    StudyInstanceUID=Key(Matching.UID_LIST, "O", "1"),
    StudyDate=Key(Matching.RANGE, "O", "3"),
    StudyTime=Key(Matching.RANGE, "O", "3"),
    AdmissionID=Key(Matching.WILDCARD, "O", "2"),
    RequestedProcedureCodeSequence=Key(Matching.RETURN_ONLY, "O", "1C", _CODE),
    ReferencedStudySequence=Key(Matching.RETURN_ONLY, "O", "2", _REFERENCE),
    ReferencedPatientSequence=Key(Matching.RETURN_ONLY, "O", "2", _REFERENCE),
) | (
    _returned("1C", "RequestedProcedureDescription")
    | _returned("2", "PatientTransportArrangements", "CurrentPatientLocation", "PatientWeight")
    | _returned("2", "ConfidentialityConstraintOnPatientDataDescription", "PatientState", "PregnancyStatus")
    | _returned("2", "MedicalAlerts", "Allergies", "SpecialNeeds")
)

_PATIENT = _by_vr("R", "PatientName") | _by_vr(
    "O",
    *("IssuerOfPatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthDate", "PatientBirthTime"),
    *("PatientSex", "EthnicGroup", "PatientComments"),
)
_STUDY = _by_vr("R", "StudyDate", "StudyTime", "AccessionNumber", "StudyID") | _by_vr(
    "O",
    *("ModalitiesInStudy", "SOPClassesInStudy", "ReferringPhysicianName", "StudyDescription", "InstitutionName"),
    *("NameOfPhysiciansReadingStudy", "AdmittingDiagnosesDescription", "PatientAge", "AdditionalPatientHistory"),
)
_SERIES = _by_vr("R", "Modality", "SeriesNumber") | _by_vr(
    "O",
    *("SeriesDescription", "SeriesDate", "SeriesTime", "BodyPartExamined", "ProtocolName", "Laterality", "StationName"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "PerformedProcedureStepID"),
    *("Manufacturer", "ManufacturerModelName", "PerformingPhysicianName", "OperatorsName", "InstitutionName"),
)
_REQUEST_ATTRIBUTES = _by_vr("R", "ScheduledProcedureStepID", "RequestedProcedureID") | _by_vr("O", "AccessionNumber")
_IMAGE = _by_vr("R", "InstanceNumber") | _by_vr(
    "O",
    *("SOPClassUID", "ContentDate", "ContentTime", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime"),
    *("ImageType", "Rows", "Columns", "NumberOfFrames", "BitsAllocated"),
)
UNIQUE_KEYS = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}

_LEVEL_KEYS: Mapping[str, Table] = {
    "PATIENT": {**_by_vr("U", "PatientID"), **_PATIENT},
    "STUDY": {**_by_vr("U", "StudyInstanceUID"), **_STUDY},
    "SERIES": {
        **_by_vr("U", "SeriesInstanceUID"),
        **_SERIES,
        **_table(RequestAttributesSequence=Key(Matching.SEQUENCE, "O", "3", _REQUEST_ATTRIBUTES)),
    },
    "IMAGE": {**_by_vr("U", "SOPInstanceUID"), **_IMAGE},
}


@dataclass(frozen=True)
class Model:
    """An information model: its tables, whether names fold case, which dates and times are matched as one moment."""

    name: str
    levels: Mapping[str, Table]
    folds_names: bool
    moments: tuple[tuple[int, int], ...] = ()

    @property
    def has_levels(self) -> bool:
        """Whether a query must name its Query/Retrieve Level (0008,0052)."""
        return "" not in self.levels

    def table(self, level: str) -> Table:
        """Return the rows that count for a query: its level and the levels above; nothing for an unknown level."""
        if not self.has_levels:
            return self.levels[""]
        rows: dict[int, Key] = {}
        for name in self.levels if level in self.levels else ():
            rows.update(self.levels[name])
            if name == level:
                break
        return rows


WORKLIST = Model(
    "Modality Worklist",
    {"": _WORKLIST_KEYS},
    folds_names=False,
    moments=(
        (_tag("ScheduledProcedureStepStartDate"), _tag("ScheduledProcedureStepStartTime")),
        (_tag("StudyDate"), _tag("StudyTime")),
    ),
)
"""PS3.4 Table K.6-1. Required keys take the type it names. Optional keys that identify a patient, a request or a step
are matched by value representation (K.2.2.1.1.2): those DCMTK's wlmscpfs matches, and beyond those Study Instance UID
and Scheduled Procedure Step ID. All others are return keys."""

PATIENT_ROOT = Model("Patient Root", _LEVEL_KEYS, folds_names=True)
STUDY_ROOT = Model(
    "Study Root",
    {
        "STUDY": {**_by_vr("R", "PatientID"), **_PATIENT, **_LEVEL_KEYS["STUDY"]},
        "SERIES": _LEVEL_KEYS["SERIES"],
        "IMAGE": _LEVEL_KEYS["IMAGE"],
    },
    folds_names=True,
)
"""PS3.4 C.6.1 and C.6.2. Keys above the level are matched too where a peer sends them, as in relational queries."""

_MOMENTS = tuple((_tag(f"{of}Date"), _tag(f"{of}Time")) for of in ("Study", "Series"))


def as_moments(model: Model) -> Model:
    """Return a model for peers that negotiated combined date-time matching (PS3.4 C.5.1.1)."""
    return replace(model, moments=_MOMENTS)
