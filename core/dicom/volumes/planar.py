"""Planar images and projections of NM as volumes one slice thin: one format for counts of every kind (PS3.3 C.8.4.8).

Each detector and energy window is a volume; phases, time slices, slots and views are its moments. Depth means nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset

from core.dicom.elements import items, number, numbers, text, whole
from core.dicom.pixels import frames_of
from core.dicom.volumes import nuclear
from core.dicom.volumes.planes import Held, corner_of, directions_of, held_in, is_projected
from core.errors import Refused
from core.imaging.slices import normal_of
from core.imaging.volume import Affine, Points, Volume, affine_of


def projected_in(path: Path) -> list[Volume]:
    """Return the images of an NM STATIC, WHOLE BODY, DYNAMIC, GATED, TOMO or GATED TOMO object.

    Each is (moment, 1, row, column), or (1, row, column) of one moment; `planar` is true, and `affine` is the plane of
    the detector (of the first view, where it moved), as far as the object says it.

    Raises
    ------
    Refused
        It is no such object, or its vectors contradict themselves; the text names the object.
    """
    held = held_in(path)
    if not is_projected(held.header):
        raise Refused(f"object {held.sop_uid} holds no planar images of nuclear medicine")
    try:
        return _projected(path, held)
    except Refused as refused:
        raise Refused(f"object {held.sop_uid}: {refused.detail}") from refused


def _projected(path: Path, held: Held) -> list[Volume]:
    frames = frames_of(path)
    order = nuclear.order_of(held.header, frames.total)
    shared = tuple(axis for axis in (nuclear.ENERGY, nuclear.DETECTOR) if axis in order.places[0])
    others = [axis for axis in order.places[0] if axis not in shared]
    several = [axis for axis in others if len({place[axis] for place in order.places}) > 1]
    groups: dict[tuple[int, ...], list[int]] = {}
    for frame, place in enumerate(order.places):
        groups.setdefault(tuple(place[axis] for axis in shared), []).append(frame)
    made = []
    for key, own in sorted(groups.items()):
        own.sort(key=lambda frame: tuple(order.places[frame][axis] for axis in others))
        array = np.asarray(frames.array[own], np.float32)[:, None]
        place = dict(zip(shared, key, strict=True))
        affine, notes = _plane(held.header, place.get(nuclear.DETECTOR, 1))
        named = nuclear.named(held.header, place, shared)
        moments = tuple(nuclear.named(held.header, order.places[frame], several) for frame in own)
        many = len(own) > 1
        made.append(
            Volume(
                array if many else array[0], affine, frames.unit, text(held.header, "Modality"),
                moments if many else (), text(held.header, "FrameOfReferenceUID"), (held.sop_uid,),
                (named, *order.notes, *notes), planar=True,
            )
        )  # fmt: skip
    return made


def _plane(header: Dataset, detector: int) -> tuple[Affine, list[str]]:
    """Return the plane of a detector, and what was not said of it."""
    said = items(header, "DetectorInformationSequence")
    own = said[detector - 1] if detector <= len(said) else Dataset()
    notes = []
    spacing = numbers(header, "PixelSpacing")
    if len(spacing) != 2 or min(spacing) <= 0:  # noqa: PLR2004 - rows, columns
        notes.append("the size of a pixel is unknown: 1 mm is taken")
        spacing = [1.0, 1.0]
    directions, angle = directions_of(own), number(own, "StartAngle")
    if directions is None:
        if angle is None:
            notes.append("nobody says from where it was seen: taken as from the front")
        directions = facing(180.0 if angle is None else angle)
    normal = normal_of(directions)
    corner = corner_of(own)
    if corner is None:
        rows, columns = whole(header, "Rows") or 1, whole(header, "Columns") or 1
        corner = -(directions[:3] * (columns - 1) * spacing[1] + directions[3:] * (rows - 1) * spacing[0]) / 2
    step = tuple(normal * min(spacing))
    return affine_of(tuple(corner), tuple(directions[:3]), tuple(directions[3:]), (spacing[0], spacing[1]), step), notes


def facing(angle_deg: float) -> Points:
    """Return the directions of rows and columns of a detector at an angle, the head up: 0 is behind the patient."""
    turn = np.deg2rad(angle_deg)
    return np.asarray((-np.cos(turn), np.sin(turn), 0.0, 0.0, 0.0, -1.0))
