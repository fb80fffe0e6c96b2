"""Build standard NM, PT and CT objects from counts and from what the worklist said.

What the worklist gave is copied as it came; what a camera alone knows (UIDs of its own, time, geometry) is passed in.
The objects are those of PS3.3 A.5 (NM), A.21 (PET) and A.3 (CT), and pass `dciodvfy` without an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
)

from core.dicom.charset import UTF8, Charset, fit_name, fit_text
from core.dicom.tracers import NUCLIDES, VIEWS, CodeTriple, Tracer, window_kev
from core.imaging.acquisition import Acquisition, Orbit

UidMaker = Callable[[], str]
Clock = Callable[[], datetime]

STORAGE_CLASS = {"PET": PositronEmissionTomographyImageStorage, "CT": CTImageStorage}
PAIRED = {"KIDNEY", "KNEE", "LUNG", "BREAST"}
MODALITY = {"PET": "PT", "CT": "CT"}


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a camera knows of patient and request: from the worklist, or typed at its console.

    Names are DICOM person names with their groups (`Zhang^Wei=张^伟`); without a Study UID the camera takes its own.
    """

    patient_id: str
    patient_name: str
    birth_date: date | str | None = None
    sex: str = ""
    issuer: str = ""
    accession: str = ""
    study_instance_uid: str = ""
    requested_procedure_id: str = ""
    procedure_description: str = ""
    step_id: str = ""
    step_description: str = ""
    referring_physician: str = ""
    weight_kg: float | None = None
    size_m: float | None = None

    @classmethod
    def from_worklist(cls, item: Dataset) -> Ordered:
        """Copy what a modality worklist item says (PS3.4 K.6.1.2.2), as a camera does."""
        steps = item.get("ScheduledProcedureStepSequence") or [Dataset()]
        return cls(
            patient_id=_word(item, "PatientID"),
            patient_name=_word(item, "PatientName"),
            birth_date=_word(item, "PatientBirthDate"),
            sex=_word(item, "PatientSex"),
            issuer=_word(item, "IssuerOfPatientID"),
            accession=_word(item, "AccessionNumber"),
            study_instance_uid=_word(item, "StudyInstanceUID"),
            requested_procedure_id=_word(item, "RequestedProcedureID"),
            procedure_description=_word(item, "RequestedProcedureDescription"),
            step_id=_word(steps[0], "ScheduledProcedureStepID"),
            step_description=_word(steps[0], "ScheduledProcedureStepDescription"),
            referring_physician=_word(item, "ReferringPhysicianName"),
            weight_kg=_number(item, "PatientWeight"),
            size_m=_number(item, "PatientSize"),
        )


@dataclass(frozen=True, slots=True)
class Camera:
    """The device that acquires, as it names itself in its objects; `charset` is what it can write."""

    ae_title: str
    station_name: str = ""
    manufacturer: str = "photopeak"
    model: str = "Simulated camera"
    serial: str = "1"
    software: str = "1"
    institution: str = ""
    charset: Charset = UTF8
    feet_first: bool = False


def compose(
    acquisitions: Sequence[Acquisition],
    ordered: Ordered,
    camera: Camera,
    tracer: Tracer,
    *,
    uid: UidMaker,
    clock: Clock,
) -> list[Dataset]:
    """Build the objects of one study, ready to be sent or written (file meta included, Explicit VR Little Endian).

    Acquisitions of one `series` name share a series. Text the camera's character set cannot hold is left out, as
    `charset.fit_name` does. Raises ValueError where frames and vectors of an acquisition disagree.
    """
    study = ordered.study_instance_uid or uid()
    frame_of_reference = uid()
    names = list(dict.fromkeys(acquisition.series for acquisition in acquisitions))
    series_uids = {name: uid() for name in names}
    sizes = {name: sum(one.series == name for one in acquisitions) for name in names}
    instance_numbers = dict.fromkeys(names, 0)
    started, objects = clock(), []
    for acquisition in acquisitions:
        instance_numbers[acquisition.series] += 1
        out = Dataset()
        out.SOPClassUID = STORAGE_CLASS.get(acquisition.kind, NuclearMedicineImageStorage)
        out.SOPInstanceUID = uid()
        out.StudyInstanceUID = study
        out.SeriesInstanceUID = series_uids[acquisition.series]
        out.SeriesNumber = names.index(acquisition.series) + 1
        out.InstanceNumber = instance_numbers[acquisition.series]
        if acquisition.slice is not None:
            out.FrameOfReferenceUID = frame_of_reference
            out.PositionReferenceIndicator = ""
        if acquisition.kind == "PET":
            out.ImageIndex = out.InstanceNumber
        out.update(_patient_and_study(ordered, camera.charset))
        out.update(_equipment(camera))
        out.update(_times(started, clock()))
        out.update(_series(acquisition, ordered, camera))
        out.update(_content(acquisition, camera, tracer, sizes[acquisition.series]))
        out.file_meta = _file_meta(out)
        objects.append(out)
    return objects


def _content(acquisition: Acquisition, camera: Camera, tracer: Tracer, series_size: int) -> Dataset:
    out = _pixels(acquisition)
    if acquisition.kind == "CT":
        out.update(_ct(acquisition))
        return out
    out.update(_orientation(camera))
    out.update(_pet(acquisition, tracer, series_size) if acquisition.kind == "PET" else _nm(acquisition, tracer))
    return out


def _patient_and_study(ordered: Ordered, charset: Charset) -> Dataset:
    out = Dataset()
    if charset:
        out.SpecificCharacterSet = list(charset)
    out.PatientName = fit_name(ordered.patient_name, charset)
    out.PatientID = ordered.patient_id
    out.PatientBirthDate = (
        f"{ordered.birth_date:%Y%m%d}" if isinstance(ordered.birth_date, date) else ordered.birth_date or ""
    )
    out.PatientSex = ordered.sex
    if ordered.issuer:
        out.IssuerOfPatientID = fit_text(ordered.issuer, charset)
    if ordered.weight_kg:
        out.PatientWeight = f"{ordered.weight_kg:g}"
    if ordered.size_m:
        out.PatientSize = f"{ordered.size_m:g}"
    out.ReferringPhysicianName = fit_name(ordered.referring_physician, charset)
    out.AccessionNumber = ordered.accession
    out.StudyID = ordered.requested_procedure_id[:16]
    if ordered.procedure_description:
        out.StudyDescription = fit_text(ordered.procedure_description, charset)[:64]
    return out


def _equipment(camera: Camera) -> Dataset:
    out = Dataset()
    out.Manufacturer = fit_text(camera.manufacturer, camera.charset)
    out.ManufacturerModelName = fit_text(camera.model, camera.charset)
    out.DeviceSerialNumber = camera.serial
    out.SoftwareVersions = camera.software
    out.StationName = (camera.station_name or camera.ae_title)[:16]
    if camera.institution:
        out.InstitutionName = fit_text(camera.institution, camera.charset)[:64]
    return out


def _times(started: datetime, acquired: datetime) -> Dataset:
    out = Dataset()
    out.StudyDate, out.StudyTime = _date(started), _time(started)
    for name in ("Series", "Acquisition", "Content"):
        setattr(out, f"{name}Date", _date(acquired))
        setattr(out, f"{name}Time", _time(acquired))
    offset = acquired.utcoffset()
    if offset is not None:
        minutes = round(offset / timedelta(minutes=1))
        out.TimezoneOffsetFromUTC = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    return out


def _series(acquisition: Acquisition, ordered: Ordered, camera: Camera) -> Dataset:
    out = Dataset()
    out.Modality = MODALITY.get(acquisition.kind, "NM")
    out.SeriesDescription = acquisition.series
    out.ProtocolName = fit_text(ordered.step_description or acquisition.series, camera.charset)[:64]
    out.ImageLaterality = "B" if acquisition.body_part in PAIRED else "U"
    if acquisition.body_part:
        out.BodyPartExamined = acquisition.body_part
    if ordered.step_id or ordered.requested_procedure_id:
        out.RequestAttributesSequence = [_request_attributes(ordered, camera.charset)]
    return out


def _request_attributes(ordered: Ordered, charset: Charset) -> Dataset:
    """PS3.3 10.6: repeats what the worklist offered, the accession number too."""
    item = Dataset()
    if ordered.accession:
        item.AccessionNumber = ordered.accession
    item.RequestedProcedureID = ordered.requested_procedure_id
    item.ScheduledProcedureStepID = ordered.step_id
    if ordered.procedure_description:
        item.RequestedProcedureDescription = fit_text(ordered.procedure_description, charset)[:64]
    if ordered.step_description:
        item.ScheduledProcedureStepDescription = fit_text(ordered.step_description, charset)[:64]
    for name in ("RequestedProcedureID", "ScheduledProcedureStepID"):
        if not item[name].value:
            del item[name]
    return item


def _pixels(acquisition: Acquisition) -> Dataset:
    frames = np.ascontiguousarray(acquisition.frames)
    if frames.ndim != 3 or frames.dtype.itemsize != 2:  # noqa: PLR2004 - (frame, row, column) of 16 bits
        raise ValueError(f"frames are (frame, row, column) of 16 bits, not {frames.dtype} {frames.shape}")
    out = Dataset()
    out.SamplesPerPixel = 1
    out.PhotometricInterpretation = "MONOCHROME2"
    out.Rows, out.Columns = frames.shape[1:]
    out.BitsAllocated, out.BitsStored, out.HighBit = 16, 16, 15
    out.PixelRepresentation = int(frames.dtype.kind == "i")
    out.PixelSpacing = [f"{acquisition.pixel_mm:g}"] * 2
    out.add_new("PixelData", "OW", frames.astype(frames.dtype.newbyteorder("<")).tobytes())
    return out


def _orientation(camera: Camera) -> Dataset:
    """NM/PET Patient Orientation (PS3.3 C.8.4.6): lying on the back."""
    out = Dataset()
    recumbent = _code(("102538003", "SCT", "recumbent"))
    recumbent.PatientOrientationModifierCodeSequence = [_code(("40199007", "SCT", "supine"))]
    out.PatientOrientationCodeSequence = [recumbent]
    gantry = ("102541007", "SCT", "feet-first") if camera.feet_first else ("102540008", "SCT", "headfirst")
    out.PatientGantryRelationshipCodeSequence = [_code(gantry)]
    return out


def _nm(acquisition: Acquisition, tracer: Tracer) -> Dataset:
    """NM Image, Isotope, Detector, Multi-frame and the acquisition's own modules (PS3.3 C.8.4)."""
    out = Dataset()
    out.ImageType = ["ORIGINAL", "PRIMARY", acquisition.kind, "EMISSION"]
    out.CountsAccumulated = min(int(acquisition.frames.sum(dtype=np.int64)), 2**31 - 1)
    out.PatientOrientation = ""
    if acquisition.frame_ms and acquisition.kind in {"STATIC", "WHOLE BODY"}:
        out.ActualFrameDuration = acquisition.frame_ms
    if acquisition.kind == "WHOLE BODY":
        out.WholeBodyTechnique = "1PS"
        out.update(_sweep(acquisition))
    out.update(_multi_frame(acquisition))
    out.EnergyWindowInformationSequence = [_energy_window(name) for name in acquisition.energy_windows]
    out.NumberOfEnergyWindows = len(acquisition.energy_windows)
    out.RadiopharmaceuticalInformationSequence = [_radiopharmaceutical(tracer)]
    out.DetectorInformationSequence = [_detector(acquisition, number) for number in range(len(acquisition.views))]
    out.NumberOfDetectors = len(acquisition.views)
    if acquisition.orbit is not None:
        out.RotationInformationSequence = [_rotation(acquisition.orbit, acquisition.frame_ms)]
        out.NumberOfRotations = 1
    if acquisition.phases:
        out.PhaseInformationSequence = list(_phases(acquisition))
        out.NumberOfPhases = len(acquisition.phases)
    if "GATED" in acquisition.kind:
        out.update(_gating(acquisition))
    return out


def _sweep(acquisition: Acquisition) -> Dataset:
    """How far and how fast the table went, in mm and mm/s."""
    out = Dataset()
    length = round(acquisition.frames.shape[1] * acquisition.pixel_mm)
    out.ScanVelocity = _decimal(round(length / max(acquisition.frame_ms / 1000, 1), 3))
    out.ScanLength = length
    return out


def _axes(acquisition: Acquisition) -> list[tuple[str, int]]:
    """The vectors of the kind and how far each counts, the last fastest (PS3.3 Table C.8-9)."""
    axes = [("EnergyWindowVector", len(acquisition.energy_windows)), ("DetectorVector", len(acquisition.views))]
    views = acquisition.orbit.views if acquisition.orbit else 1
    gated = [("RRIntervalVector", 1), ("TimeSlotVector", acquisition.time_slots)]
    own: dict[str, list[tuple[str, int]]] = {
        "GATED": gated,
        "TOMO": [("RotationVector", 1), ("AngularViewVector", views)],
        "GATED TOMO": [("RotationVector", 1), *gated, ("AngularViewVector", views)],
    }
    return axes + own.get(acquisition.kind, [])


def _multi_frame(acquisition: Acquisition) -> Dataset:
    vectors = _vectors(acquisition)
    length = len(next(iter(vectors.values())))
    if length != len(acquisition.frames):
        raise ValueError(
            f"{acquisition.kind}: the vectors make {length} frames, the array has {len(acquisition.frames)}"
        )
    out = Dataset()
    out.NumberOfFrames = length
    for name, values in vectors.items():
        setattr(out, name, values)
    out.FrameIncrementPointer = [Tag(name) for name in vectors]
    return out


def _vectors(acquisition: Acquisition) -> dict[str, list[int]]:
    axes = _axes(acquisition)
    if acquisition.kind == "DYNAMIC":
        steps = [(phase, step + 1) for phase, one in enumerate(acquisition.phases, 1) for step in range(one.frames)]
        axes.append(("step", len(steps)))
    grid = np.indices([count for _, count in axes]).reshape(len(axes), -1) + 1
    vectors = {name: [int(value) for value in values] for (name, _), values in zip(axes, grid, strict=True)}
    if acquisition.kind == "DYNAMIC":
        order = vectors.pop("step")
        vectors["PhaseVector"] = [steps[index - 1][0] for index in order]
        vectors["TimeSliceVector"] = [steps[index - 1][1] for index in order]
    return vectors


def _energy_window(name: str) -> Dataset:
    lower, upper = window_kev(name)
    energies = Dataset()
    energies.EnergyWindowLowerLimit, energies.EnergyWindowUpperLimit = f"{lower:g}", f"{upper:g}"
    item = Dataset()
    item.EnergyWindowName = name
    item.EnergyWindowRangeSequence = [energies]
    return item


def _radiopharmaceutical(tracer: Tracer) -> Dataset:
    """What was given, activity in MBq as NM has it (PS3.3 C.8.4.10)."""
    item = Dataset()
    item.RadionuclideCodeSequence = [_code(NUCLIDES[tracer.nuclide].code)]
    item.Radiopharmaceutical = tracer.product
    if tracer.code is not None:
        item.RadiopharmaceuticalCodeSequence = [_code(tracer.code)]
        item.AdministrationRouteCodeSequence = [_code(("47625008", "SCT", "Intravenous route"))]
    if tracer.activity_mbq is not None:
        item.RadionuclideTotalDose = f"{tracer.activity_mbq:g}"
    if tracer.injected_at is not None:
        item.RadiopharmaceuticalStartTime = _time(tracer.injected_at)
        item.RadiopharmaceuticalStartDateTime = f"{tracer.injected_at:%Y%m%d%H%M%S}"
    return item


def _detector(acquisition: Acquisition, number: int) -> Dataset:
    view, angle = VIEWS[acquisition.views[number]]
    item = Dataset()
    item.CollimatorGridName = "LEHR"
    item.CollimatorType = "PARA"
    item.FieldOfViewShape = "RECTANGLE"
    item.ZoomFactor = ["1", "1"]
    item.FocalDistance = "0"
    orbit = acquisition.orbit
    item.StartAngle = f"{orbit.detector_starts_deg[number] if orbit and orbit.detector_starts_deg else angle:g}"
    item.ImageOrientationPatient = _facing(float(item.StartAngle))
    item.ImagePositionPatient = _corner(acquisition, float(item.StartAngle))
    if orbit is not None:
        item.RadialPosition = _radii(orbit, number)
    else:
        item.ViewCodeSequence = [_code(view)]
    return item


def _facing(angle_deg: float) -> list[str]:
    """Direction of rows and columns in the patient for a detector at this angle, the head up."""
    turn = np.deg2rad(angle_deg)
    return [_decimal(value) for value in (-np.cos(turn), np.sin(turn), 0, 0, 0, -1)]


def _corner(acquisition: Acquisition, angle_deg: float) -> list[str]:
    """Patient coordinates of the middle of the first pixel, on a plane 200 mm or the orbit's radius from the middle."""
    turn = np.deg2rad(angle_deg)
    distance = acquisition.orbit.radius_mm if acquisition.orbit else 200.0
    rows, columns = acquisition.frames.shape[1:]
    half = (columns - 1) / 2 * acquisition.pixel_mm
    x = np.sin(turn) * distance + np.cos(turn) * half
    y = np.cos(turn) * distance - np.sin(turn) * half
    return [_decimal(value) for value in (x, y, (rows - 1) / 2 * acquisition.pixel_mm)]


def _rotation(orbit: Orbit, frame_ms: int) -> Dataset:
    item = Dataset()
    item.StartAngle = f"{orbit.start_deg:g}"
    item.AngularStep = f"{orbit.step_deg:g}"
    item.RotationDirection = "CW" if orbit.clockwise else "CC"
    item.ScanArc = f"{orbit.step_deg * orbit.views:g}"
    item.ActualFrameDuration = frame_ms
    item.RadialPosition = _radii(orbit, 0)
    item.NumberOfFramesInRotation = orbit.views
    return item


def _radii(orbit: Orbit, detector: int) -> list[str]:
    """One distance for a circle, one for each of the detector's views where the orbit follows the body."""
    own = orbit.radii_mm[detector * orbit.views : (detector + 1) * orbit.views]
    return [_decimal(round(value, 2)) for value in own or (orbit.radius_mm,)]


def _phases(acquisition: Acquisition) -> Iterator[Dataset]:
    for phase in acquisition.phases:
        item = Dataset()
        item.PhaseDelay = 0
        item.ActualFrameDuration = phase.frame_ms
        item.PauseBetweenFrames = 0
        item.NumberOfFramesInPhase = phase.frames
        if phase.name:
            item.PhaseDescription = phase.name
        yield item


def _gating(acquisition: Acquisition) -> Dataset:
    """NM Multi-gated Acquisition (PS3.3 C.8.4.13): one R-R interval, forward time slots."""
    slot_ms = acquisition.beat_ms / acquisition.time_slots
    interval = Dataset()
    interval.FrameTime = f"{slot_ms:.6g}"
    interval.NominalInterval = acquisition.beat_ms
    interval.LowRRValue, interval.HighRRValue = round(acquisition.beat_ms * 0.8), round(acquisition.beat_ms * 1.2)
    if acquisition.kind == "GATED":
        interval.TimeSlotInformationSequence = [_time_slot(slot_ms) for _ in range(acquisition.time_slots)]
    gate = Dataset()
    gate.TriggerTime = "0"
    gate.CardiacFramingType = "FORW"
    gate.DataInformationSequence = [interval]
    out = Dataset()
    out.BeatRejectionFlag = "Y"
    out.HeartRate = round(60_000 / acquisition.beat_ms)
    out.GatedInformationSequence = [gate]
    out.NumberOfRRIntervals = 1
    out.NumberOfTimeSlots = acquisition.time_slots
    return out


def _time_slot(slot_ms: float) -> Dataset:
    slot = Dataset()
    slot.TimeSlotTime = f"{slot_ms:.6g}"
    return slot


def _plane(acquisition: Acquisition) -> Dataset:
    place = acquisition.slice
    if place is None or len(acquisition.frames) != 1:
        raise ValueError(
            f"{acquisition.kind}: one object is one slice with its place, not {len(acquisition.frames)} frames"
        )
    out = Dataset()
    out.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    out.ImagePositionPatient = [_decimal(value) for value in place.position_mm]
    out.SliceThickness = f"{place.thickness_mm:g}"
    out.SliceLocation = _decimal(place.position_mm[2])
    out.RescaleSlope, out.RescaleIntercept = _decimal(place.slope), _decimal(place.intercept)
    return out


def _pet(acquisition: Acquisition, tracer: Tracer, series_size: int) -> Dataset:
    """PET Series, Isotope and Image (PS3.3 C.8.9): activity in Bq here, not MBq."""
    out = _plane(acquisition)
    out.ImageType = ["ORIGINAL", "PRIMARY"]
    out.Units = "BQML"
    out.CountsSource = "EMISSION"
    out.SeriesType = ["STATIC", "IMAGE"]
    out.NumberOfSlices = series_size
    out.CorrectedImage = ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"]
    out.AttenuationCorrectionMethod = "CT"
    out.ScatterCorrectionMethod = "model based"
    out.RandomsCorrectionMethod = "DLYD"
    out.DecayCorrection = "ADMIN"
    out.ReconstructionMethod = "OSEM"
    out.CollimatorType = "NONE"
    out.FrameReferenceTime = "0"
    out.ActualFrameDuration = acquisition.frame_ms
    out.DecayFactor = "1"
    out.PatientOrientation = ["L", "P"]
    given = _radiopharmaceutical(tracer)
    nuclide = NUCLIDES[tracer.nuclide]
    if tracer.activity_mbq is not None:
        given.RadionuclideTotalDose = f"{tracer.activity_mbq * 1e6:.0f}"
    given.RadionuclideHalfLife = f"{nuclide.half_life_s:g}"
    if nuclide.positron_fraction is not None:
        given.RadionuclidePositronFraction = f"{nuclide.positron_fraction:g}"
    out.RadiopharmaceuticalInformationSequence = [given]
    out.RescaleType = "BQML"
    return out


def _ct(acquisition: Acquisition) -> Dataset:
    out = _plane(acquisition)
    out.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    out.PatientPosition = "HFS"
    out.PatientOrientation = ["L", "P"]
    out.KVP = "120"
    out.AcquisitionNumber = 1
    out.RescaleType = "HU"
    out.WindowCenter, out.WindowWidth = "40", "400"
    return out


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _code(code: CodeTriple) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _word(item: Dataset, name: str) -> str:
    return str(item.get(name) or "")


def _number(item: Dataset, name: str) -> float | None:
    value: Any = item.get(name)
    return float(value) if value else None


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2)."""
    return f"{float(value) + 0.0:.10g}"[:16]


def _date(at: datetime) -> str:
    return f"{at:%Y%m%d}"


def _time(at: datetime) -> str:
    return f"{at:%H%M%S}"
