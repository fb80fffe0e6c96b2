"""Make volumes of files: what belongs together is put together, and what does not fit is told.

Planes of one series, frame of reference, direction, matrix and pixel size make one volume; where several lie in the
same place they are its moments.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.dicom.pixels import frames_of
from core.dicom.volumes.elements import text, whole
from core.dicom.volumes.planes import Held, Plane, held_in, is_projected, planes_of
from core.errors import Refused
from core.imaging.slices import PARALLEL, arranged
from core.imaging.volume import Affine, Points, Unplaced, Volume, affine_of, centred_affine

_SAME_MM = 0.01


@dataclass(slots=True)
class Gathered:
    """What the files made, and what of them made nothing, said for people."""

    volumes: list[Volume] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def volumes_in(paths: Sequence[Path]) -> list[Volume]:
    """Return all volumes the files make, those of most slices first; gaps and duplicates are told in their notes.

    Single-frame series (CT, PT, MR, NM), enhanced multi-frame objects and NM RECON TOMO and RECON GATED TOMO make
    volumes; projections, captures and documents do not and are passed over.

    Raises
    ------
    Refused
        A file cannot be read, or its pixels not decoded.
    """
    return gathered(paths).volumes


def volume_of(paths: Sequence[Path]) -> Volume:
    """Return the one volume the files make.

    Raises
    ------
    Refused
        They make none or several; the text names the objects and what is missing.
    """
    found = gathered(paths)
    if len(found.volumes) == 1:
        return found.volumes[0]
    if not found.volumes:
        raise Refused(f"no volume: {'; '.join(found.complaints) or 'there is no image'}")
    kinds = ", ".join(f"{'x'.join(map(str, one.grid))} {one.modality}" for one in found.volumes)
    raise Refused(
        f"{len(found.volumes)} volumes where one was wanted ({kinds}): choose one series, direction and matrix"
    )


def gathered(paths: Sequence[Path]) -> Gathered:
    """Return the volumes the files make, and why the others made none."""
    out = Gathered()
    planes: list[Plane] = []
    seen: Counter[str] = Counter()
    for path in paths:
        try:
            held = held_in(path)
        except Refused as refused:
            out.complaints.append(refused.detail)
            continue
        seen[held.sop_uid] += 1
        if seen[held.sop_uid] == 1:
            planes += _usable(held, out.complaints)
    for stack in _stacks(planes):
        _put_together(stack, out)
    out.volumes.sort(key=lambda one: -one.grid[0])
    again = sum(count - 1 for count in seen.values())
    if again:
        out.volumes = [replace(one, notes=(*one.notes, f"{again} objects came twice")) for one in out.volumes]
    return out


def _usable(held: Held, complaints: list[str]) -> list[Plane]:
    if is_projected(held.header):
        kind = text(held.header, "ImageType")
        complaints.append(f"object {held.sop_uid} holds projections ({kind}): they are reconstructed first")
        return []
    if text(held.header, "PhotometricInterpretation") not in {"MONOCHROME2", "MONOCHROME1", ""}:
        complaints.append(f"object {held.sop_uid} is a colour picture")
        return []
    try:
        return planes_of(held)
    except Refused as refused:
        complaints.append(f"object {held.sop_uid}: {refused.detail}")
        return []


def _stacks(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Group planes that may be slices of one volume."""
    alike: dict[tuple[object, ...], list[list[Plane]]] = defaultdict(list)
    for plane in planes:
        stacks = alike[_kind(plane)]
        stack = next((stack for stack in stacks if _parallel(stack[0].orientation, plane.orientation)), None)
        stack.append(plane) if stack is not None else stacks.append([plane])
    return [stack for stacks in alike.values() for stack in stacks]


def _kind(plane: Plane) -> tuple[object, ...]:
    header = plane.held.header
    spacing = plane.spacing and tuple(round(one, 4) for one in plane.spacing)
    return (
        text(header, "SeriesInstanceUID"), text(header, "FrameOfReferenceUID"), whole(header, "Rows"),
        whole(header, "Columns"), spacing, plane.corner is None,
        plane.held.sop_uid if plane.held.nuclear or plane.frame else "",
    )  # fmt: skip


def _parallel(one: Points | None, other: Points | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.abs(one - other).max() <= PARALLEL)


def _put_together(stack: list[Plane], out: Gathered) -> None:
    try:
        out.volumes += _volumes(stack)
    except Unplaced as unplaced:
        out.complaints.append(f"series {text(stack[0].held.header, 'SeriesInstanceUID')}: {unplaced}")


def _volumes(stack: list[Plane]) -> list[Volume]:
    moments, notes = _moments(stack)
    levels = [frozenset(_level(plane) for plane in planes) for planes in moments.values()]
    if len(set(levels)) == 1:
        return [_volume(list(moments.values()), tuple(moments), notes)]
    return [_volume([planes], (), [*notes, f"moment {name}"]) for name, planes in moments.items()]


def _level(plane: Plane) -> object:
    """Return what planes of the same place have in common."""
    if plane.corner is None or plane.orientation is None:
        return plane.index
    height = plane.corner @ np.cross(plane.orientation[:3], plane.orientation[3:])
    return round(float(height) / (5 * _SAME_MM))


def _moments(stack: list[Plane]) -> tuple[dict[str, list[Plane]], list[str]]:
    """Tell planes of the same place apart by time; what nothing tells apart is a duplicate."""
    levels = Counter(_level(plane) for plane in stack)
    if max(levels.values()) == 1:
        return {"": stack}, []
    for name in dict.fromkeys(name for plane in stack for name in plane.when):
        said: dict[str, list[Plane]] = defaultdict(list)
        for plane in stack:
            said[plane.when.get(name, "")].append(plane)
        if all(len({_level(plane) for plane in planes}) == len(planes) for planes in said.values()):
            return {key: said[key] for key in sorted(said, key=_ordered)}, []
    first: dict[object, Plane] = {}
    for plane in sorted(stack, key=lambda one: (one.held.header.get("InstanceNumber") or 0, one.frame)):
        first.setdefault(_level(plane), plane)
    double = len(stack) - len(first)
    return {"": list(first.values())}, [f"{double} slices lie where another does: the first of each is taken"]


def _ordered(said: str) -> tuple[float, str]:
    try:
        return float(said), said
    except ValueError:
        return 0.0, said


def _volume(moments: list[list[Plane]], names: tuple[str, ...], notes: Sequence[str]) -> Volume:
    plane = moments[0][0]
    places, slices, affine, gaps, more = _grid(moments[0])
    by_level = {_level(one): place for one, place in zip(moments[0], places, strict=True)}
    header = plane.held.header
    grid = (slices, int(header.Rows), int(header.Columns))
    array = np.zeros((len(moments), *grid), np.float32)
    unit = ""
    for number, planes in enumerate(moments):
        unit = _filled(array[number], [(one, by_level[_level(one)]) for one in planes]) or unit
    told = dict.fromkeys((*plane.held.notes, *notes, *more))
    return Volume(
        array if len(moments) > 1 else array[0], affine, unit, text(header, "Modality"),
        names if len(moments) > 1 else (), text(header, "FrameOfReferenceUID"),
        tuple(dict.fromkeys(one.held.sop_uid for planes in moments for one in planes)), tuple(told), gaps,
    )  # fmt: skip


def _grid(planes: list[Plane]) -> tuple[list[int], int, Affine, tuple[int, ...], tuple[str, ...]]:
    """Return the slice index of each plane, how many slices there are, where they lie, gaps and notes."""
    plane = planes[0]
    header, notes = plane.held.header, []
    if plane.spacing is None:
        notes.append("nobody says how large a pixel is: 1 mm is taken")
    spacing = plane.spacing or (1.0, 1.0)
    if plane.corner is None or plane.orientation is None:
        rank = {index: place for place, index in enumerate(sorted(one.index for one in planes))}
        grid = (len(planes), int(header.Rows), int(header.Columns))
        notes.append("nobody says where the slices lie: taken as transverse, the head first, around the middle")
        step = abs(plane.thickness_mm or spacing[0])
        return [rank[one.index] for one in planes], grid[0], centred_affine(grid, (step, *spacing)), (), tuple(notes)
    corners = np.stack([one.corner for one in planes if one.corner is not None])
    row = arranged(corners, plane.orientation, plane.thickness_mm)
    places, origin, step_mm = row.places, row.origin, row.step
    if plane.held.nuclear and len(planes) > 1 and plane.thickness_mm is not None and plane.thickness_mm < 0:
        places, origin, step_mm = _turned(row.places, row.slices, origin, step_mm)
    if len(planes) == 1 and not plane.thickness_mm:
        notes.append("nobody says how thick the slice is: 1 mm is taken")
    affine = affine_of(
        tuple(origin), tuple(plane.orientation[:3]), tuple(plane.orientation[3:]), spacing, tuple(step_mm)
    )
    return places.tolist(), row.slices, affine, row.gaps, (*notes, *row.notes)


def _turned(
    places: NDArray[np.intp], slices: int, origin: Points, step: Points
) -> tuple[NDArray[np.intp], Points, Points]:
    """Count from the other end: a negative spacing stacks in front of the first slice (PS3.3 C.8.4.15)."""
    return slices - 1 - places, origin + (slices - 1) * step, -step


def _filled(array: NDArray[np.float32], planes: Sequence[tuple[Plane, int]]) -> str:
    """Decode planes into their slices; return their unit."""
    by_object: dict[Path, list[tuple[Plane, int]]] = defaultdict(list)
    for plane, place in planes:
        by_object[plane.held.path].append((plane, place))
    unit = ""
    for path, own in by_object.items():
        frames = frames_of(path, [plane.frame for plane, _ in own])
        for values, (_, place) in zip(frames.array, own, strict=True):
            array[place] = values
        unit = frames.unit
    return unit
