"""How a camera went round: the angle, radius and beginning of each view (PS3.3 C.8.4.11, C.8.4.12).

Angles are those of the rotation, each detector's own where it stood elsewhere. Nothing is assumed of a camera: what
the object does not say is refused or told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from core.dicom.elements import items, number, numbers, text, whole
from core.errors import Refused

View = tuple[int, int, int]
"""Rotation, detector, angular view, each from 1."""

_SAME_DEG = 0.1


@dataclass(frozen=True, eq=False, slots=True)
class Orbit:
    """The views of an acquisition.

    `angles_deg`, `radius_mm` (empty where unknown) and `started_s` (from the first) are (view,); `view_s` is how long
    one lasted, 0 where unknown.
    """

    views: tuple[View, ...]
    angles_deg: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    started_s: NDArray[np.float64]
    view_s: float
    notes: tuple[str, ...] = ()


def orbit_of(header: Dataset, views: Sequence[View]) -> Orbit:
    """Return how the camera went round for the views there are.

    Raises
    ------
    Refused
        The rotation, its start, step or direction is missing, or where one of several detectors stood.
    """
    rotations = items(header, "RotationInformationSequence")
    if not rotations:
        raise Refused("the rotation is missing: Rotation Information Sequence is empty")
    notes: list[str] = []
    of = {one: rotations[min(one, len(rotations)) - 1] for one in sorted({view[0] for view in views})}
    steps = _steps(of, views, notes)
    turns = _turns(header, of, views)
    angles = [_angle(of[view[0]], steps[view]) + turns[view[1]] for view in views]
    _tell_missing(of, steps, notes)
    radius = _radii(header, of, steps, notes)
    started, view_s = _times(of, steps)
    return Orbit(tuple(views), np.mod(angles, 360.0), radius, started, view_s, tuple(notes))


def _steps(of: Mapping[int, Dataset], views: Sequence[View], notes: list[str]) -> dict[View, int]:
    """Return how many steps each view lies from the start of its rotation.

    Some cameras number the views of a second detector on from those of the first.
    """
    steps = {}
    for view in views:
        rotation, _, index = view
        frames = whole(of[rotation], "NumberOfFramesInRotation") or max(one[2] for one in views)
        own = {one[2] for one in views if one[:2] == view[:2]}
        further = index > frames and min(own) > frames
        if further:
            notes.append("views are numbered on from detector to detector: each is counted from its own first")
        steps[view] = (index - 1) % frames if further else index - 1
    notes[:] = list(dict.fromkeys(notes))
    return steps


def _angle(rotation: Dataset, steps: int) -> float:
    """Return the angle of a view; clockwise, seen from the feet, it falls."""
    start, step = number(rotation, "StartAngle"), number(rotation, "AngularStep")
    frames, arc = whole(rotation, "NumberOfFramesInRotation"), number(rotation, "ScanArc")
    if not step and arc and frames:
        step = arc / frames
    if start is None or not step:
        raise Refused("an angle is missing: the rotation says no start angle or no angular step")
    direction = text(rotation, "RotationDirection").upper()
    if direction not in {"CW", "CC", "CCW"}:
        raise Refused("the direction of rotation is missing")
    return start + steps * (-abs(step) if direction == "CW" else abs(step))


def _turns(header: Dataset, of: Mapping[int, Dataset], views: Sequence[View]) -> dict[int, float]:
    """Return how far each detector stood from where the rotation says, in degrees."""
    detectors = sorted({view[1] for view in views})
    if len(detectors) == 1 or _own_rotations(of, views):
        return dict.fromkeys(detectors, 0.0)
    said = items(header, "DetectorInformationSequence")
    if len(said) < detectors[-1]:
        raise Refused(f"{len(detectors)} detectors, {len(said)} described: where each stood is missing")
    for angle_of in (_stood, _faced):
        angles = {one: angle_of(said[one - 1]) for one in detectors}
        known = [angle for angle in angles.values() if angle is not None]
        if len(known) == len(detectors) == len({round(angle % 360, 1) for angle in known}):
            return {one: (angle or 0.0) - known[0] for one, angle in angles.items()}
    raise Refused(f"{len(detectors)} detectors, but where each stood is missing: Start Angle of the detectors")


def _own_rotations(of: Mapping[int, Dataset], views: Sequence[View]) -> bool:
    """Whether each detector has a rotation of its own, whose start is where that detector stood."""
    pairs = {view[:2] for view in views}
    starts = [number(one, "StartAngle") for one in of.values()]
    alone = len({rotation for rotation, _ in pairs}) == len(pairs) == len({detector for _, detector in pairs})
    return alone and len({round(one % 360, 1) for one in starts if one is not None}) == len(pairs)


def _stood(detector: Dataset) -> float | None:
    return number(detector, "StartAngle")


def _faced(detector: Dataset) -> float | None:
    """Return where a detector stood by the direction of its image: at the back its rows run to the patient's right."""
    directions = numbers(detector, "ImageOrientationPatient")
    if len(directions) != 6:  # noqa: PLR2004 - two directions
        return None
    return float(np.rad2deg(np.arctan2(directions[1], -directions[0])))


def _tell_missing(of: Mapping[int, Dataset], steps: Mapping[View, int], notes: list[str]) -> None:
    pairs = {view[:2] for view in steps}
    due = sum(whole(of[rotation], "NumberOfFramesInRotation") or 0 for rotation, _ in pairs)
    if due > len(steps):
        notes.append(f"{due - len(steps)} of {due} views are missing")


def _radii(
    header: Dataset, of: Mapping[int, Dataset], steps: Mapping[View, int], notes: list[str]
) -> NDArray[np.float64]:
    """Return the radius of each view: one value of the rotation for all or one for each, else the detector's."""
    detectors = items(header, "DetectorInformationSequence")
    found = []
    for (rotation, detector, _), step in steps.items():
        own = numbers(detectors[detector - 1], "RadialPosition") if detector <= len(detectors) else []
        said = numbers(of[rotation], "RadialPosition")
        said = own if len(own) > 1 or not said else said
        found.append(said[0] if len(said) == 1 else said[step] if step < len(said) else 0.0)
    if all(radius > 0 for radius in found):
        return np.asarray(found)
    if any(radius > 0 for radius in found):
        notes.append("the radius of some views is missing: none is used")
    return np.empty(0)


def _times(of: Mapping[int, Dataset], steps: Mapping[View, int]) -> tuple[NDArray[np.float64], float]:
    """Return when each view began and how long one lasts, s; detectors count together, rotations one after another."""
    view_s = {rotation: (number(one, "ActualFrameDuration") or 0.0) / 1000 for rotation, one in of.items()}
    together = len({detector for _, detector, _ in steps}) == len({view[:2] for view in steps}) == len(of)
    before = {
        rotation: 0.0
        if together
        else sum((whole(of[one], "NumberOfFramesInRotation") or 0) * view_s[one] for one in of if one < rotation)
        for rotation in of
    }
    began = [before[view[0]] + step * view_s[view[0]] for view, step in steps.items()]
    return np.asarray(began), max(view_s.values())
