"""Simulated cameras: they ask the worklist, report steps where they can, and send what their phantoms show.

Everything goes over real DICOM. What goes wrong in real departments goes wrong here on demand: a number typed wrong,
another patient's worklist entry, an object sent twice, a UID used twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

from core.dicom.charset import Charset
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS, Tracer
from core.imaging.acquisition import Acquisition
from core.imaging.phantom import OF_PROCEDURE, flood
from core.scu.peer import Peer, Stored

_PRODUCTS = {
    "BONE-WB": "MDP", "BONE-3P": "MDP", "THYROID": "TCO4", "PARATHYROID": "MIBI", "RENO-DTPA": "DTPA",
    "RENO-MAG3": "MAG3", "DMSA": "DMSA", "LUNG-PERF": "MAA", "MPI-STRESS": "MIBI", "MPI-REST": "MIBI",
    "MPI-GATED": "MIBI", "MUGA": "RBC", "SLN": "COLLOID", "PET-FDG": "FDG", "PETCT-FDG": "FDG",
}  # fmt: skip
_WANTED = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientWeight", "PatientSize",
    "AccessionNumber", "StudyInstanceUID", "RequestedProcedureID", "RequestedProcedureDescription",
    "ReferringPhysicianName",
)  # fmt: skip
_WANTED_OF_STEP = (
    "Modality", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """One camera of the department: what it is, what it can show, and whether it reports its steps (MPPS)."""

    aet: str
    model: str
    modalities: tuple[str, ...]
    charset: Charset
    reports_steps: bool = False
    pool: str = ""


class SimulatedCamera:
    """A camera that works through its worklist. `pause` waits between two objects, as a person's pace asks."""

    def __init__(
        self, profile: Profile, peer: Peer, folder: Path, clock: Callable[[], datetime], seed: int,
        pause: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.profile = profile
        self._peer, self._folder, self._clock, self._pause = peer, folder, clock, pause
        self._chance = np.random.default_rng(seed)
        self._busy = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    # -- the worklist and the steps ----------------------------------------------------------------------------------

    def worklist(self, accession: str = "") -> list[Dataset]:
        """Ask what is scheduled for this camera (C-FIND by its own AE title), all of it or one request's."""
        step = Dataset()
        step.ScheduledStationAETitle = self.profile.aet
        for keyword in _WANTED_OF_STEP:
            setattr(step, keyword, "")
        keys = Dataset()
        if self.profile.charset:
            keys.SpecificCharacterSet = list(self.profile.charset)
        for keyword in _WANTED:
            setattr(keys, keyword, "")
        keys.AccessionNumber = accession
        keys.ScheduledProcedureStepSequence = [step]
        return list(self._peer.find_worklist(keys))

    def begin(self, item: Dataset) -> str:
        """Report that a step is under way (N-CREATE); returns the performed step's UID."""
        uid = generate_uid()
        self._peer.create_step(uid, _performed(item, self.profile, self._now()))
        return uid

    def end(self, uid: str, objects: Sequence[Dataset]) -> None:
        """Report that a step is complete (N-SET), with what was made of it."""
        self._peer.set_step(uid, _completed(objects, self.profile, self._now()))

    # -- acquiring and sending ---------------------------------------------------------------------------------------

    def acquire(
        self, procedure: str, ordered: Ordered, *, part: int | None = None, given: tuple[float, datetime] | None = None
    ) -> list[Dataset]:
        """Make the objects of a procedure, all of it or one part, with the activity (MBq) given and when."""
        with self._busy:
            made = OF_PROCEDURE[procedure](self._chance).acquisitions
        wanted = made if part is None else (made[part],)
        return self._objects(wanted, ordered, _tracer(procedure, given))

    def acquire_incompletely(self, procedure: str, ordered: Ordered) -> list[Dataset]:
        """Make the objects of a procedure with the last view lost."""
        made = OF_PROCEDURE[procedure](self._chance).acquisitions
        cut = [replace(one, frames=one.frames[:-1], views=one.views[:-1]) for one in made]
        return self._objects(cut, ordered, _tracer(procedure, None))

    def acquire_flood(self) -> list[Dataset]:
        """Make the daily flood: quality control, no patient."""
        nobody = Ordered(patient_id="QC", patient_name="Daily^Flood", procedure_description="Daily QC")
        return self._objects(flood(self._chance).acquisitions, nobody, TRACERS["CO57"])

    def _objects(self, made: Sequence[Acquisition], ordered: Ordered, tracer: Tracer) -> list[Dataset]:
        own = self.profile
        camera = Camera(own.aet, station_name=own.aet, model=own.model, charset=own.charset)
        return compose(made, ordered, camera, tracer, uid=generate_uid, clock=self._now)

    def send(self, objects: Sequence[Dataset]) -> list[Stored]:
        """Send objects (C-STORE) and return what the archive said to each."""
        return list(self._sent(objects))

    def _sent(self, objects: Sequence[Dataset]) -> Iterator[Stored]:
        paths = [self._folder / f"{generate_uid()}.dcm" for _ in objects]
        for path, one in zip(paths, objects, strict=True):
            one.save_as(path, enforce_file_format=True)
        try:
            for stored in self._peer.store(paths):
                yield stored
                self._pause()
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def _now(self) -> datetime:
        return self._clock().astimezone()


def _tracer(procedure: str, given: tuple[float, datetime] | None) -> Tracer:
    usual = TRACERS[_PRODUCTS[procedure]]
    return replace(usual, activity_mbq=given[0], injected_at=given[1].astimezone()) if given else usual


def other_content(one: Dataset) -> Dataset:
    """Return the object with the same UID and other counts, as a camera that reuses UIDs makes it."""
    from_scratch = Dataset(one)
    from_scratch.file_meta = one.file_meta
    counts = np.frombuffer(one.PixelData, dtype="<u2") + 1
    from_scratch.PixelData = counts.astype("<u2").tobytes()
    return from_scratch


def _performed(item: Dataset, profile: Profile, now: datetime) -> Dataset:
    """What N-CREATE says (PS3.4 Table F.7.2-1), copied from the worklist item."""
    scheduled = item.ScheduledProcedureStepSequence[0]
    request = Dataset()
    for keyword in ("StudyInstanceUID", "AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription"):
        setattr(request, keyword, item.get(keyword) or "")
    request.ScheduledProcedureStepID = scheduled.ScheduledProcedureStepID
    request.ScheduledProcedureStepDescription = scheduled.get("ScheduledProcedureStepDescription") or ""
    request.ReferencedStudySequence, request.ScheduledProtocolCodeSequence = [], []
    out = Dataset()
    if "SpecificCharacterSet" in item:
        out.SpecificCharacterSet = item.SpecificCharacterSet
    out.ScheduledStepAttributesSequence = [request]
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        setattr(out, keyword, item.get(keyword) or "")
    out.ReferencedPatientSequence, out.ProcedureCodeSequence = [], []
    out.PerformedProcedureStepID = scheduled.ScheduledProcedureStepID
    out.PerformedStationAETitle, out.PerformedStationName, out.PerformedLocation = profile.aet, profile.aet, ""
    out.PerformedProcedureStepStartDate, out.PerformedProcedureStepStartTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    out.PerformedProcedureStepEndDate = out.PerformedProcedureStepEndTime = ""
    out.PerformedProcedureStepStatus = "IN PROGRESS"
    out.PerformedProcedureStepDescription = request.ScheduledProcedureStepDescription
    out.PerformedProcedureTypeDescription = ""
    out.Modality = scheduled.get("Modality") or profile.modalities[0]
    out.StudyID = request.RequestedProcedureID
    out.PerformedProtocolCodeSequence, out.PerformedSeriesSequence = [], []
    return out


def _completed(objects: Sequence[Dataset], profile: Profile, now: datetime) -> Dataset:
    """What the last N-SET says: the end, and the series with their images."""
    out = Dataset()
    out.PerformedProcedureStepStatus = "COMPLETED"
    out.PerformedProcedureStepEndDate, out.PerformedProcedureStepEndTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    uids = dict.fromkeys(str(one.SeriesInstanceUID) for one in objects)
    out.PerformedSeriesSequence = [
        _performed_series([one for one in objects if one.SeriesInstanceUID == uid], profile) for uid in uids
    ]
    return out


def _performed_series(objects: Sequence[Dataset], profile: Profile) -> Dataset:
    out = Dataset()
    out.SeriesInstanceUID = objects[0].SeriesInstanceUID
    out.SeriesDescription, out.ProtocolName = objects[0].SeriesDescription, objects[0].ProtocolName
    out.PerformingPhysicianName = out.OperatorsName = ""
    out.RetrieveAETitle = profile.aet
    out.ReferencedImageSequence = [_reference(one) for one in objects]
    out.ReferencedNonImageCompositeSOPInstanceSequence = []
    return out


def _reference(one: Dataset) -> Dataset:
    out = Dataset()
    out.ReferencedSOPClassUID, out.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
    return out
