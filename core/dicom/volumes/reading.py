"""Make volumes of files: what belongs together is put together, and what does not fit is told.

Planes of one series, frame of reference, direction, matrix and pixel size make one volume; where several lie in the
same place they are its moments.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.dicom.elements import text, texts
from core.dicom.pixels import frames_of
from core.dicom.volumes.planes import TIMES, Held, Plane, held_in, is_projected, planes_of
from core.errors import Refused
from core.imaging.slices import PARALLEL, arranged, normal_of, refuse_holes
from core.imaging.volume import Affine, Points, Unplaced, Volume, affine_of, centred_affine

_LEVEL_MM = 0.05
"""Planes whose heights differ by less lie in the same place."""
_THREADS = 2


@dataclass(slots=True)
class Gathered:
    """What the files made, and what of them made nothing, said for people."""

    volumes: list[Volume] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def volumes_in(paths: Sequence[Path]) -> list[Volume]:
    """Return all volumes the files make, those of most slices first; gaps and duplicates are told in their notes.

    Single-frame series (CT, PT, MR, NM), enhanced multi-frame objects and NM RECON TOMO and RECON GATED TOMO make
    volumes; projections, captures and documents do not and are passed over (`gathered` tells why).

    Raises
    ------
    Refused
        The pixels of a slice cannot be decoded.
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
        raise Refused(f"no volume: {_few(found.complaints) or 'there is no image'}")
    raise Refused(f"{len(found.volumes)} volumes where one was wanted: {_differing(found.volumes)}")


def gathered(paths: Sequence[Path]) -> Gathered:
    """Return the volumes the files make, and why the others made none.

    Raises
    ------
    Refused
        The pixels of a slice cannot be decoded.
    """
    out = Gathered()
    planes: list[Plane] = []
    seen: Counter[str] = Counter()
    for number, path in enumerate(paths, 1):
        try:
            held = held_in(path)
        except Refused as refused:
            out.complaints.append(f"file {number} of {len(paths)}: {refused.detail}")
            continue
        seen[held.sop_uid] += 1
        if seen[held.sop_uid] == 1:
            planes += _usable(held, out.complaints)
    left_out = tuple(out.complaints)
    for stack in _stacks(planes):
        _put_together(stack, out)
    out.volumes.sort(key=lambda one: -one.grid[0])
    again = sum(count - 1 for count in seen.values())
    more = (*((f"{again} objects came twice",) if again else ()), *((_few(left_out),) if left_out else ()))
    out.volumes = [replace(one, notes=(*one.notes, *more)) for one in out.volumes] if more else out.volumes
    return out


def _few(said: Sequence[str], most: int = 5) -> str:
    return "; ".join(said[:most]) + (f"; and {len(said) - most} more" if len(said) > most else "")


def _differing(volumes: Sequence[Volume]) -> str:
    """Say by what several volumes differ."""
    grids = Counter(f"{one.modality} {one.grid[1]} x {one.grid[2]}" for one in volumes)
    if len(grids) > 1:
        return f"mixed matrices or modalities ({', '.join(grids)}); name the objects of one"
    directions = {tuple(np.round(normal_of(one.affine[:3, :2].T.ravel() / 1.0), 2)) for one in volumes}
    if len(directions) > 1:
        return f"the slices are not parallel, they have {len(directions)} directions; name those of one"
    return "they differ in series, frame of reference, pixel size or moment; name the objects of one"


def _usable(held: Held, complaints: list[str]) -> list[Plane]:
    try:
        _refuse_pictures(held)
        return planes_of(held)
    except Refused as refused:
        complaints.append(f"object {held.sop_uid}: {refused.detail}")
        return []


def _refuse_pictures(held: Held) -> None:
    if is_projected(held.header):
        kind = texts(held.header, "ImageType")[2]
        raise Refused(f"{kind} images are projections and have no depth: they are reconstructed first")
    if text(held.header, "Modality") == "SEG":
        raise Refused("it is a segmentation: it tells regions, not values")
    if text(held.header, "PhotometricInterpretation") not in {"MONOCHROME2", "MONOCHROME1", ""}:
        raise Refused("it is a colour picture, not values of a patient")


def _stacks(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Group planes that may be slices of one volume."""
    alike: dict[tuple[object, ...], list[list[Plane]]] = defaultdict(list)
    for plane in planes:
        stacks = alike[_kind(plane)]
        stack = next((stack for stack in stacks if _parallel(stack[0].orientation, plane.orientation)), None)
        if stack is None:
            stacks.append([plane])
        else:
            stack.append(plane)
    return [stack for stacks in alike.values() for stack in stacks]


def _kind(plane: Plane) -> tuple[object, ...]:
    header = plane.held.header
    spacing = tuple(round(one, 4) for one in plane.spacing)
    uids = text(header, "SeriesInstanceUID"), text(header, "FrameOfReferenceUID")
    return (*uids, text(header, "Modality"), plane.held.shape, spacing, plane.corner is None, plane.stack)


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
    moments, notes = _moments(stack, _levels(stack))
    if _as_one(moments):
        return [_volume(moments, notes)]
    return [
        _volume({name: planes}, [*notes, f"{name}: its slices are not those of the others"])
        for name, planes in moments.items()
    ]


# -- moments -----------------------------------------------------------------------------------------------------------


def _heights(stack: Sequence[Plane]) -> NDArray[np.float64]:
    """Return where each plane lies along the normal, in mm; its number where nobody says."""
    if stack[0].corner is None or stack[0].orientation is None:
        return np.asarray([float(one.index) for one in stack])
    normal = normal_of(stack[0].orientation)
    return np.asarray([0.0 if one.corner is None else one.corner @ normal for one in stack])


def _levels(stack: Sequence[Plane]) -> dict[Plane, int]:
    """Number the places along the normal at which planes lie."""
    heights = _heights(stack)
    order = np.argsort(heights, kind="stable")
    steps = np.concatenate(([0], np.diff(heights[order]) > _LEVEL_MM))
    return {stack[place]: int(level) for place, level in zip(order, np.cumsum(steps), strict=True)}


def _as_one(moments: dict[str, list[Plane]]) -> bool:
    """Whether all moments have slices in the same places."""
    every = [np.sort(_heights(planes)) for planes in moments.values()]
    return all(one.shape == every[0].shape and np.abs(one - every[0]).max() <= _LEVEL_MM for one in every)


def _moments(stack: list[Plane], levels: dict[Plane, int]) -> tuple[dict[str, list[Plane]], list[str]]:
    """Tell planes of the same place apart by time; what nothing tells apart is a duplicate."""
    deepest = max(Counter(levels.values()).values())
    if deepest == 1:
        return {"": stack}, []
    whens = [plane.when() for plane in stack]
    names = {name for when in whens for name in when}
    found = [
        split
        for name in ("", *TIMES)
        if name in names and (split := _split(stack, levels, name, [when.get(name, "") for when in whens]))
    ]
    if found:
        return next((one for one in found if len(one) == deepest and _as_one(one)), found[0]), []
    first: dict[int, Plane] = {}
    for plane in sorted(stack, key=lambda one: (_ordered(text(one.held.header, "InstanceNumber")), one.frame)):
        first.setdefault(levels[plane], plane)
    return {"": list(first.values())}, [
        f"{len(stack) - len(first)} slices lie where another does: the first of each is taken"
    ]


def _split(stack: Sequence[Plane], levels: dict[Plane, int], name: str, times: Sequence[str]) -> dict[str, list[Plane]]:
    """Return the planes by the value of one of their times, in its order; nothing where it tells them not apart."""
    said: dict[str, list[Plane]] = defaultdict(list)
    for plane, time in zip(stack, times, strict=True):
        said[time].append(plane)
    if any(len({levels[plane] for plane in planes}) < len(planes) for planes in said.values()):
        return {}
    if not name:
        return dict(said)
    return {TIMES[name].format(_shortly(key)): said[key] for key in sorted(said, key=_ordered)}


def _shortly(said: str) -> str:
    """Write a number without needless digits; leave other words."""
    try:
        return f"{float(said):.10g}"
    except ValueError:
        return said


def _ordered(said: str) -> tuple[float, str]:
    try:
        return float(said), said
    except ValueError:
        return 0.0, said


# -- a volume ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class _Grid:
    """Where planes stand: the slice of each, how many slices there are, where they lie, which nobody sent."""

    places: NDArray[np.intp]
    slices: int
    affine: Affine
    gaps: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def _volume(moments: dict[str, list[Plane]], notes: Sequence[str]) -> Volume:
    planes = next(iter(moments.values()))
    header = planes[0].held.header
    grid = _unplaced(planes) if planes[0].corner is None else _placed(planes)
    array = np.zeros((len(moments), grid.slices, *planes[0].held.shape), np.float32)
    unit = _filled(array, moments, dict(zip(_levels(planes).values(), grid.places[_order(planes)], strict=True)))
    told = dict.fromkeys((*(note for one in planes for note in one.held.notes), *notes, *grid.notes))
    return Volume(
        array if len(moments) > 1 else array[0], grid.affine, unit, text(header, "Modality"),
        tuple(moments) if len(moments) > 1 else (), text(header, "FrameOfReferenceUID"),
        tuple(dict.fromkeys(one.held.sop_uid for own in moments.values() for one in own)), tuple(told), grid.gaps,
    )  # fmt: skip


def _order(planes: Sequence[Plane]) -> NDArray[np.intp]:
    """Return the planes in the order in which `_levels` gives them."""
    return np.argsort(_heights(planes), kind="stable")


def _unplaced(planes: Sequence[Plane]) -> _Grid:
    """Lay slices nobody placed as they are numbered."""
    plane = planes[0]
    numbered = [one.index for one in planes]
    places = np.asarray(numbered) - min(numbered)
    slices = int(places.max()) + 1
    refuse_holes(len(planes), slices)
    gaps = tuple(sorted(set(range(slices)) - set(places.tolist())))
    notes = ["nobody says where the slices lie: taken as transverse, the head first, around the middle"]
    if not plane.step_mm:
        notes.append("nobody says how far the slices are apart: as much as a pixel is taken")
    if gaps:
        notes.append(f"{len(gaps)} of {slices} slices are missing and empty here")
    affine = centred_affine((slices, *plane.held.shape), (abs(plane.step_mm or plane.spacing[0]), *plane.spacing))
    return _Grid(places, slices, affine, gaps, tuple(notes))


def _placed(planes: Sequence[Plane]) -> _Grid:
    plane = planes[0]
    if plane.orientation is None:
        raise Unplaced("the direction of the slices is missing")
    corners = np.stack([one.corner for one in planes if one.corner is not None])
    row = arranged(corners, plane.orientation, plane.step_mm and abs(plane.step_mm))
    places, origin, step = row.places, row.origin, row.step
    if plane.counted and plane.step_mm is not None and plane.step_mm < 0:
        # a negative spacing stacks in front of the first slice (PS3.3 C.8.4.15): NM keeps its order
        places, origin, step = row.slices - 1 - places, origin + (row.slices - 1) * step, -step
    notes = list(row.notes)
    if len(planes) == 1 and not plane.step_mm:
        notes.append("nobody says how thick the slice is: 1 mm is taken")
    gaps = tuple(sorted(row.slices - 1 - gap for gap in row.gaps)) if places is not row.places else row.gaps
    directions = tuple(plane.orientation[:3]), tuple(plane.orientation[3:])
    return _Grid(
        places, row.slices, affine_of(tuple(origin), *directions, plane.spacing, tuple(step)), gaps, tuple(notes)
    )


def _filled(array: NDArray[np.float32], moments: dict[str, list[Plane]], place_of: dict[int, int]) -> str:
    """Decode all planes into their places, (moment, slice, row, column); return their unit."""
    wanted: dict[Path, list[tuple[int, int, int]]] = defaultdict(list)
    for moment, planes in enumerate(moments.values()):
        for plane, level in _levels(planes).items():
            wanted[plane.held.path].append((plane.frame, moment, place_of[level]))

    def fill(path: Path) -> str:
        own = wanted[path]
        frames = frames_of(path, [frame for frame, _, _ in own])
        for values, (_, moment, place) in zip(frames.array, own, strict=True):
            array[moment, place] = values
        return frames.unit

    with ThreadPoolExecutor(_THREADS) as pool:
        units = set(pool.map(fill, wanted))
    if len(units) > 1:
        raise Refused(f"the slices have different units ({', '.join(sorted(units))}): they make no volume")
    return units.pop()
