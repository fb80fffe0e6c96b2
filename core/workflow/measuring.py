"""Measure what a reader draws: regions on frames and planes, and curves through a study.

Values are those of the objects in the unit asked for, never those of a picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import wire
from core.dicom.pixels import read_header
from core.dicom.timing import Timing, timing_of, timing_of_moments
from core.errors import Invalid
from core.imaging.frames import Frames
from core.imaging.planes import plane
from core.imaging.regions import Held, curve_of, held_by, mask_of
from core.model import Image
from core.workflow.planes import sheet_of
from core.workflow.viewing import LightBox
from core.workflow.volumes import Standing


def on_frame(box: LightBox, row: Image, asked: wire.MeasureRegion) -> wire.Measured:
    """Measure a region on a frame of a stored object.

    Raises
    ------
    Invalid
        There is no such frame, or the region holds nothing.
    """
    frames = box.frames(row, range(asked.frame, asked.frame + 1), asked.unit)
    return _told(asked, _held(frames.array[0], asked, frames.spacing_mm), frames.unit)


def on_plane(standing: Standing, asked: wire.MeasurePlane) -> wire.Measured:
    """Measure a region on a plane of a volume; of a view through it, the hottest voxels seen."""
    try:
        sheet = sheet_of(standing, _look(asked))
    except ValueError as error:
        raise Invalid(str(error)) from error
    held = _held(sheet.frames.array[0], asked, sheet.through.spacing_mm)
    told = _told(asked, held, sheet.frames.unit)
    if held.maximum_at is None:
        return told
    row, column = held.maximum_at
    seen_through = asked.plane == "mip"
    point = (
        standing.projector(asked.moment).found(sheet.numbers[0], row, column)
        if seen_through
        else sheet.through.point_of(row, column, sheet.numbers[0])
    )
    return told.model_copy(update={"max_at_mm": point.tolist()})


def through_frames(box: LightBox, row: Image, asked: wire.AskCurves) -> wire.Curves:
    """Follow regions through the frames of one detector and energy window of a stored object.

    Raises
    ------
    Refused
        There is no such detector or window.
    Invalid
        A region holds nothing.
    """
    timing = timing_of(read_header(box.file(row)), asked.detector, asked.energy)
    frames = box.frames(row, unit=asked.unit)
    if frames.colour:
        raise Invalid("a picture in colour has no values to measure")
    chosen = _in_one_piece(frames, timing)
    return _curves(asked, timing, chosen, frames.unit, frames.spacing_mm)


def through_moments(standing: Standing, asked: wire.AskCurves) -> wire.Curves:
    """Follow regions on a plane through the moments of a volume."""
    volume = standing.volume
    count = max(1, len(volume.moments))
    sheet = sheet_of(standing, _look(asked))
    number, factor = sheet.numbers[0], np.float32(standing.unit(asked.unit)[1])
    if asked.plane == "mip":
        raise Invalid("a view through a volume has no curve: choose a plane")
    stack = np.stack([plane(standing.moment(k), sheet.through, number) * factor for k in range(count)])
    return _curves(
        asked, standing.timing or timing_of_moments((), count), stack, sheet.frames.unit, sheet.through.spacing_mm
    )


def _look(asked: wire.MeasurePlane | wire.AskCurves) -> wire.VolumeLook:
    """Return the look that shows the plane something is measured on."""
    named = {"volume", "plane", "slice", "at", "angle", "moment", "unit"}
    return wire.VolumeLook.model_validate(asked.model_dump(include=named))


def _in_one_piece(frames: Frames, timing: Timing) -> NDArray[Any]:
    first, last = timing.frames[0], timing.frames[-1]
    if timing.frames == tuple(range(first, last + 1)):
        return frames.array[first : last + 1]
    return frames.array[list(timing.frames)]


def _curves(
    asked: wire.AskCurves, timing: Timing, frames: NDArray[Any], unit: str, spacing_mm: tuple[float, float] | None
) -> wire.Curves:
    rated = asked.rate and timing.timed and all(timing.durations_s)
    size = (frames.shape[1], frames.shape[2])
    curves = []
    for region in asked.regions:
        inside = _inside(region, size)
        values = curve_of(frames, inside)
        pixels = int(inside.sum())
        if not _is_counted(unit):
            values = values / pixels
        curves.append(
            wire.Curve(
                name=region.name, unit=f"{unit}/s" if rated else unit, pixels=pixels,
                values=(values / timing.durations_s if rated else values).tolist(),
                area_mm2=pixels * spacing_mm[0] * spacing_mm[1] if spacing_mm else None,
            )
        )  # fmt: skip
    notes = [*timing.notes, *(["nobody says how long a frame lasts: there is no rate"] if asked.rate > rated else [])]
    return wire.Curves(
        times_s=list(timing.middles_s), durations_s=list(timing.durations_s), timed=timing.timed,
        frames=list(timing.frames), curves=curves, notes=notes,
        phases=[wire.CurvePhase(name=p.name, first=p.first, frames=p.frames, frame_s=p.frame_s) for p in timing.parts],
    )  # fmt: skip


def _is_counted(unit: str) -> bool:
    """Counts of a region are added up; concentrations are averaged over it."""
    return not unit or unit.casefold().startswith(("count", "cnt", "cps"))


def _inside(region: wire.Region, size: tuple[int, int]) -> NDArray[np.bool_]:
    try:
        return mask_of(region.shape, region.points, size)
    except ValueError as error:
        raise Invalid(f"region {region.name or region.shape}: {error}") from error


def _held(values: NDArray[Any], region: wire.Region, spacing_mm: tuple[float, float] | None) -> Held:
    try:
        return held_by(values, region.shape, region.points, spacing_mm)
    except ValueError as error:
        raise Invalid(str(error)) from error


def _told(region: wire.Region, held: Held, unit: str) -> wire.Measured:
    return wire.Measured(
        name=region.name, shape=region.shape, pixels=held.pixels, total=held.total, mean=held.mean, max=held.maximum,
        min=held.minimum, sd=held.sd, unit=unit, area_mm2=held.area_mm2, length_mm=held.length_mm,
        length_pixels=held.length_pixels, max_at=list(held.maximum_at) if held.maximum_at else None,
        profile=list(held.profile), notes=list(held.notes),
    )  # fmt: skip
