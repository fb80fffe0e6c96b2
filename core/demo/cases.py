"""The day's cases: who comes for what, how far the morning takes each, how the day ends for it, and what goes wrong.

A table, so that the claims at the end of the played day can be worked out from it and compared with what is on record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, auto
from typing import Any

from core.demo.camera import Profile
from core.demo.people import NAMESAKE, RETURNING, TODAY, Person
from core.vocabulary import Role


class Stage(IntEnum):
    """How far a case has come."""

    NOTHING = auto()
    BOOKED = auto()
    ARRIVED = auto()
    TRIAGED = auto()
    PROTOCOLLED = auto()
    CHECKED = auto()
    INJECTED = auto()
    ON_CAMERA = auto()  # begun, some images here
    IMAGED = auto()
    DRAFTED = auto()
    PRELIMINARY = auto()
    SIGNED = auto()
    AMENDED = auto()


class Ending(StrEnum):
    """The side exits."""

    CANCELLED = auto()
    NOT_DONE = auto()


class Mistake(StrEnum):
    """What goes wrong at the camera, as it does in real departments."""

    ACCESSION_TYPED_WRONG = auto()
    NUMBER_TYPED_WRONG = auto()
    NUMBER_OF_ANOTHER = auto()
    ANOTHER_ENTRY = auto()
    ENTRY_TAKEN = auto()  # the patient whose worklist entry another's images were taken under
    NAME_IN_PINYIN = auto()
    SENT_TWICE = auto()
    UID_USED_TWICE = auto()
    LATE_IMAGE = auto()
    VIEW_LOST = auto()


@dataclass(frozen=True, slots=True)
class Case:
    """One exam of the made-up day. `morning` is where preparing leaves it, `evening` where the played day does."""

    person: Person
    procedure: str
    device: str
    morning: Stage
    evening: Stage = Stage.SIGNED
    ending: Ending | None = None
    mistake: Mistake | None = None
    patient: dict[str, Any] = field(default_factory=dict)
    exam: dict[str, Any] = field(default_factory=dict)


NM1, NM2, SPECTCT, PETCT = "NM1", "NM2", "SPECTCT1", "PETCT1"
CAMERAS = (
    Profile(NM1, "Gamma camera 1", ("NM",), ("ISO_IR 100",), pool="GAMMA"),
    Profile(NM2, "Gamma camera 2", ("NM",), ("GB18030",), pool="GAMMA"),
    Profile(SPECTCT, "SPECT/CT", ("NM", "CT"), ("ISO_IR 192",), reports_steps=True),
    Profile(PETCT, "PET/CT", ("PT", "CT"), ("ISO_IR 192",), reports_steps=True),
)
STAFF: tuple[tuple[str, Role, str, tuple[str, ...]], ...] = (
    ("clerk", Role.CLERK, "Front desk", ()),
    ("nurse", Role.NURSE, "Triage nurse", ()),
    ("tech", Role.TECHNOLOGIST, "Technologist", ()),
    ("physicist", Role.PHYSICIST, "Physicist", ()),
    ("doctor", Role.DOCTOR, "Doctor one", ("bone", "kidney", "lung", "oncology")),
    ("doctor2", Role.DOCTOR, "Doctor two", ("endocrine", "heart")),
    ("head", Role.HEAD, "Head of department", ()),
    ("admin", Role.ADMIN, "Administrator", ()),
    ("reader", Role.OUTSIDE_READER, "Reader elsewhere", ()),
)

_S, _M, _P = Stage, Mistake, TODAY
_URGENT, _STAT = {"urgency": "urgent"}, {"urgency": "stat"}
_WARD = {"visit": "inpatient", "visit_number": "ZY20391", "ward": "Cardiology", "bed": "12"}

DAY: tuple[Case, ...] = (
    # waiting, at the desk and on the way to the camera
    Case(
        _P[0], "BONE-WB", SPECTCT, _S.ARRIVED,
        exam={"complaint": "back pain for 3 months", "from_department": "Oncology"},
    ),
    Case(_P[1], "THYROID", NM2, _S.ARRIVED),
    Case(_P[2], "BONE-WB", NM1, _S.ARRIVED, exam={"diagnosis": "prostate carcinoma", "lab": "PSA 21 ng/ml"}),
    Case(NAMESAKE, "RENO-DTPA", NM1, _S.TRIAGED),
    Case(_P[3], "LUNG-PERF", NM2, _S.ARRIVED, exam=_STAT | {"visit": "emergency", "complaint": "sudden dyspnoea"}),
    Case(_P[4], "MPI-REST", SPECTCT, _S.BOOKED, _S.BOOKED),
    Case(_P[5], "THYROID", NM2, _S.BOOKED, _S.BOOKED),
    Case(_P[6], "BONE-WB", SPECTCT, _S.TRIAGED, exam=_URGENT),
    Case(_P[7], "DMSA", NM1, _S.TRIAGED),
    Case(_P[8], "BONE-3P", NM1, _S.PROTOCOLLED),
    Case(_P[9], "THYROID", NM2, _S.PROTOCOLLED, exam={"pregnancy": "not pregnant"}),
    Case(
        _P[10], "LUNG-PERF", NM1, _S.PROTOCOLLED,
        exam=_WARD | _URGENT | {"ward": "Respiratory", "infection": "airborne"},
        patient={"alerts": "airborne isolation"},
    ),
    Case(_P[11], "BONE-WB", SPECTCT, _S.INJECTED, patient={"allergies": "iodine contrast"}),
    Case(_P[12], "MPI-STRESS", SPECTCT, _S.INJECTED, exam=_WARD | {"weight_kg": 71.0, "height_cm": 168.0}),
    Case(_P[13], "PET-FDG", PETCT, _S.INJECTED, exam={"weight_kg": 58.5, "height_cm": 161.0}),
    Case(
        Person("", "M", TODAY[0].born), "BONE-WB", NM1, _S.PROTOCOLLED,
        patient={"name": "", "identity": "temporary", "birth_date": None, "birth_date_known": "unknown"},
        exam=_STAT | {"visit": "emergency", "complaint": "found unconscious"},
    ),
    # on the camera
    Case(_P[14], "BONE-3P", NM1, _S.ON_CAMERA),
    Case(_P[15], "PARATHYROID", NM2, _S.ON_CAMERA),
    # images here, to be read
    Case(_P[16], "BONE-WB", SPECTCT, _S.IMAGED),
    Case(_P[17], "RENO-MAG3", NM1, _S.IMAGED, mistake=_M.SENT_TWICE),
    Case(_P[18], "MUGA", NM2, _S.IMAGED),
    Case(_P[19], "PETCT-FDG", PETCT, _S.IMAGED, exam=_URGENT | {"weight_kg": 66.0, "height_cm": 159.0}),
    Case(_P[20], "MPI-STRESS", SPECTCT, _S.DRAFTED),
    Case(_P[21], "SLN", NM2, _S.DRAFTED, exam=_URGENT),
    Case(_P[22], "BONE-WB", SPECTCT, _S.PRELIMINARY),
    Case(_P[23], "THYROID", NM2, _S.PRELIMINARY),
    # read
    Case(_P[24], "DMSA", NM1, _S.SIGNED),
    Case(_P[25], "LUNG-PERF", NM1, _S.SIGNED, mistake=_M.LATE_IMAGE),
    Case(_P[26], "BONE-WB", SPECTCT, _S.AMENDED, _S.AMENDED),
    # mistakes at the camera
    Case(_P[27], "THYROID", NM2, _S.IMAGED, mistake=_M.ACCESSION_TYPED_WRONG),
    Case(_P[28], "DMSA", NM1, _S.IMAGED, mistake=_M.NUMBER_TYPED_WRONG),
    Case(_P[29], "RENO-DTPA", NM1, _S.IMAGED, mistake=_M.NUMBER_OF_ANOTHER),
    Case(_P[30], "MUGA", NM2, _S.IMAGED, mistake=_M.ANOTHER_ENTRY),
    Case(RETURNING[0], "THYROID", NM2, _S.IMAGED, mistake=_M.NAME_IN_PINYIN),
    Case(RETURNING[1], "MPI-REST", SPECTCT, _S.IMAGED, mistake=_M.UID_USED_TWICE),
    Case(_P[31], "BONE-WB", NM1, _S.IMAGED, _S.IMAGED, mistake=_M.VIEW_LOST),
    # who came back, and who went home
    Case(RETURNING[2], "BONE-WB", SPECTCT, _S.ARRIVED),
    Case(RETURNING[3], "RENO-MAG3", NM1, _S.TRIAGED),
    Case(RETURNING[0], "MPI-REST", SPECTCT, _S.BOOKED, _S.BOOKED, Ending.CANCELLED),
    Case(RETURNING[3], "DMSA", NM1, _S.PROTOCOLLED, _S.PROTOCOLLED, mistake=_M.ENTRY_TAKEN),
    Case(RETURNING[1], "RENO-DTPA", NM1, _S.PROTOCOLLED, _S.PROTOCOLLED, Ending.NOT_DONE),
)  # fmt: skip

# days ago: exams that were read then
PAST: tuple[tuple[int, Case], ...] = (
    (730, Case(RETURNING[0], "THYROID", NM2, _S.SIGNED)),
    (700, Case(RETURNING[2], "BONE-WB", SPECTCT, _S.SIGNED)),
    (420, Case(RETURNING[1], "MPI-STRESS", SPECTCT, _S.SIGNED)),
    (366, Case(RETURNING[2], "BONE-WB", SPECTCT, _S.SIGNED)),
    (180, Case(RETURNING[3], "RENO-DTPA", NM1, _S.SIGNED)),
    (3, Case(RETURNING[1], "BONE-WB", NM1, _S.INJECTED, _S.INJECTED)),  # its images never came
    (2, Case(RETURNING[3], "THYROID", NM2, _S.IMAGED, _S.IMAGED)),  # read late
)
