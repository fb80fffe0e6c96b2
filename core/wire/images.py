"""What arrived, where it is filed, how it is looked at."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from core.vocabulary import (
    ExamState,
)
from core.wire.shape import Long, Number, Shape, Short

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Candidate(Shape):
    accession: str
    score: float
    reasons: list[str]
    patient_number: str = ""
    patient_name: str = ""
    birth_date: date | None = None
    sex: str = ""
    procedure: str = ""
    state: ExamState | None = None
    differs: list[str] = []  # fields that differ from what was sent


class Unfiled(Shape):
    """A batch that found no exam, contradicts one, or sits on a QC shelf; as sent."""

    id: int
    study_instance_uid: str
    patient_number: str
    patient_name: str
    birth_date: str = ""
    sex: str = ""
    accession: str
    modality: str = ""
    description: str = ""
    aet: str = ""
    from_worklist: bool = False
    series: list[str] = []
    received: int
    first_at: AwareDatetime
    last_at: AwareDatetime
    state: str
    contradicts: str | None = None  # accession of the exam it contradicts
    reasons: list[str]
    candidates: list[Candidate] = []
    repairs: list[str] = []  # what was mended in its objects, each once; told of one batch, not in a list


class FileBatch(Shape):
    accession: Number
    series: Short | None = None  # only this series of the batch
    step: int | None = None
    reason: Long = ""


class Unfile(Shape):
    study_instance_uid: Short
    accession: Number | None = None
    reason: Long = ""


class Undo(Shape):
    reason: Long = ""


class Correction(Shape):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    id: int
    kind: str
    study_instance_uid: str
    from_: dict[str, Any] = Field(alias="from")
    to: dict[str, Any]
    reason: str
    by: str
    at: AwareDatetime
    undone_at: AwareDatetime | None


class Quarantined(Shape):
    id: int
    sop_instance_uid: str
    study_instance_uid: str
    aet: str
    reason: str
    size: int
    received_at: AwareDatetime


class Conversion(Shape):
    """What was mended in an object, and its two files, as it came and standard; the object's own has no path here."""

    sop_instance_uid: str
    kind: str
    repairs: list[str]
    charset_said: str = ""
    charset: str = ""
    confidence: float = 1.0
    original: str = ""
    original_sha256: str = ""
    standard: str = ""
    at: AwareDatetime


class Admitted(Shape):
    """What became of an object that was kept apart and got a UID of its own."""

    outcome: str
    kind: str
    sop_uid: str
    repairs: list[str]


class Series(Shape):
    """A series as the viewer lists it."""

    uid: str
    study_instance_uid: str
    modality: str
    number: int | None
    description: str
    date: str = ""
    step: str = ""
    counted: bool = True
    instances: list[dict[str, Any]]  # {"uid", "number", "frames", "image_type", "counted", "problems", "repairs", ...}
    sent_patient_number: str = ""
    sent_patient_name: str = ""
    sent_birth_date: str = ""
    sent_sex: str = ""


class Look(Shape):
    """How to draw a stored object: cells, first frame (from 0) and how many in the grid, window, colours, zoom.

    `step` passes over frames in the grid. `scale` says whose values choose the window where none is given: the frames
    shown, or the whole series. `unit` best is SUV by body weight for PET that says enough, else the object's own.
    """

    rows: Annotated[int, Field(ge=1, le=1000)] = 24
    columns: Annotated[int, Field(ge=1, le=2000)] = 80
    frame: Annotated[int, Field(ge=0)] = 0
    grid: Annotated[int, Field(ge=1, le=400)] = 1
    step: Annotated[int, Field(ge=1, le=1000)] = 1
    lower: Finite | None = None
    upper: Finite | None = None
    auto: Literal["own", "robust", "maximum", "range"] = "own"  # without a window; own: the object says (not NM)
    scale: Literal["own", "series"] = "own"
    unit: Literal["best", "own", "suvbw", "suvlbm", "suvlbmj"] = "best"
    map: Short = "gray"
    invert: bool = False
    smooth: bool = True
    zoom: Annotated[float, Field(ge=1, le=64)] = 1.0
    centre_row: Annotated[float, Field(ge=0, le=1)] = 0.5
    centre_column: Annotated[float, Field(ge=0, le=1)] = 0.5
