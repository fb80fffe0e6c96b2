"""Tomographic phantoms of quality control, of known truth: cylinder, rods and spheres, points, a patient who moved.

The camera has two heads and goes all the way round close to the phantom; beside the photopeak it keeps the two windows
that tell of scatter. Truths are mm, fractions and places as in `tomographic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from core.imaging.acquisition import Acquisition, Orbit, Phantom, Slice, View
from core.imaging.phantom.cameras import (
    NARROW_BEAM_PER_MM,
    WINDOWS,
    Expected,
    Optics,
    contour,
    counted_together,
    in_windows,
    primary,
    scattered,
)
from core.imaging.phantom.shapes import blurred
from core.imaging.phantom.tomographic import (
    TORSO,
    Defect,
    Ventricle,
    heart_spect,
    heart_truth,
    myocardium,
    thorax,
)
from core.imaging.phantom.volumes import Body, Point3, Volume, soft

OPTICS = Optics(attenuation_per_mm=NARROW_BEAM_PER_MM, scatter=0.35)
WIDTHS_KEV = (28.1, 6.0, 6.0)
CYLINDER_MM = 108.0
ROD_DIAMETERS_MM = (12.7, 11.1, 9.5, 7.9, 6.4, 4.8)
SPHERE_DIAMETERS_MM = (31.8, 25.4, 19.1, 15.9, 12.7, 9.5)
PET_SPHERES_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
_IEC_MM = (150.0, 115.0)


def full_circle(views: int, outline: tuple[float, float], gap_mm: float = 20.0) -> Orbit:
    """Return the orbit of two opposite heads that follow an outline: `views` in all, half of them each."""
    orbit = Orbit(views // 2, 180.0, 360.0 / views, 0.0, clockwise=True, detector_starts_deg=(180.0, 0.0))
    return _along(orbit, outline, gap_mm)


def _along(orbit: Orbit, outline: tuple[float, float], gap_mm: float) -> Orbit:
    radii = contour(orbit, outline, gap_mm)
    return replace(orbit, radius_mm=radii[0], radii_mm=radii)


def uniform_cylinder(
    rng: np.random.Generator,
    views: int = 120,
    counts: float = 6_000_000,
    size: int = 64,
    slices: int = 24,
    optics: Optics = OPTICS,
) -> Phantom:
    """A cylinder of water, uniform, 216 mm wide; truth: its radius and the share of scatter in the photopeak."""
    body = cylinder(size, 422.4 / size, slices)
    truth = {"radius_mm": CYLINDER_MM, "scatter_to_primary": optics.scatter}
    return Phantom((_tomo(body, full_circle(views, body.torso), counts, optics, rng, "Uniform cylinder"),), truth)


def cylinder(size: int, voxel_mm: float, slices: int) -> Body:
    """Return the body of the cylinder: 1 inside, in all slices but the first and the last two."""
    body = Body(slices, size, voxel_mm, (CYLINDER_MM, CYLINDER_MM))
    body.activity += body.outline()
    body.activity[:2] = body.activity[-2:] = 0
    return body


def rods_and_spheres(
    rng: np.random.Generator, views: int = 120, counts: float = 30_000_000, optics: Optics = OPTICS
) -> Phantom:
    """A Jaszczak-like phantom, 128 x 128 of 3.3 mm: six sectors of cold rods, six cold spheres, a uniform part.

    Truth: `sphere_N_slice`, `_row`, `_column`, `_mm` (diameter), `rods_slice`, `uniform_slice` and each sector's
    diameter and direction, `sector_N_mm` and `sector_N_deg` (from the patient's left to the back).
    """
    body = jaszczak()
    truth: dict[str, float] = {"rods_slice": 46.0, "uniform_slice": 31.0}
    for number, (middle, diameter) in enumerate(spheres(), 1):
        truth |= _place(body, middle, f"sphere_{number}") | {f"sphere_{number}_mm": diameter}
    for number, diameter in enumerate(ROD_DIAMETERS_MM, 1):
        truth |= {f"sector_{number}_mm": diameter, f"sector_{number}_deg": 60.0 * number - 30}
    return Phantom((_tomo(body, full_circle(views, body.torso), counts, optics, rng, "Rods and spheres"),), truth)


def jaszczak(size: int = 128, voxel_mm: float = 3.3, slices: int = 60) -> Body:
    """Return the body of rods and spheres: rods in the lower slices, spheres in the upper ones."""
    body = cylinder(size, voxel_mm, slices)
    z, _, _ = body.coordinates()
    low = np.clip((-30 - z) / voxel_mm + 0.5, 0, 1)
    body.activity *= 1 - _rods(size, voxel_mm) * low
    for middle, diameter in spheres():
        body.activity *= 1 - body.ellipsoid(middle, (diameter / 2,) * 3)
    return body


def spheres() -> list[tuple[Point3, float]]:
    """Return the middles (x, y, z in mm) and the diameters of the cold spheres."""
    turn = np.deg2rad(60.0 * np.arange(6))
    places = zip(turn, SPHERE_DIAMETERS_MM, strict=True)
    return [((float(58 * np.cos(a)), float(58 * np.sin(a)), 40.0), diameter) for a, diameter in places]


def _rods(size: int, voxel_mm: float, finer: int = 4) -> Volume:
    """Draw the cross-section of all rods, 1 inside, (row, column); twice their diameter apart."""
    across = (np.arange(size * finer) - (size * finer - 1) / 2) * voxel_mm / finer
    y, x = across[:, None], across[None, :]
    drawn = np.zeros((size * finer, size * finer), np.float32)
    for number, diameter in enumerate(ROD_DIAMETERS_MM, 1):
        for u, v in _sector(diameter):
            turn = np.deg2rad(60.0 * number - 30)
            at_x, at_y = u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)
            drawn[np.hypot(x - at_x, y - at_y) <= diameter / 2] = 1
    return np.asarray(drawn.reshape(size, finer, size, finer).mean(axis=(1, 3)), np.float32)


def _sector(diameter: float) -> list[tuple[float, float]]:
    """Return the middles of the rods of one sector, along its direction and across, in mm."""
    step, found, number = 2 * diameter, [], 0
    first = 1.5 * diameter + 6
    while (along := first + number * step * np.sqrt(3) / 2) + diameter / 2 < CYLINDER_MM - 4:
        found += [(along, (place - number / 2) * step) for place in range(number + 1)]
        number += 1
    return [(u, v) for u, v in found if np.hypot(u, v) + diameter / 2 < CYLINDER_MM - 4]


def points(
    rng: np.random.Generator, off_centre_mm: float = 0.0, views: int = 120, counts: float = 2_000_000
) -> Phantom:
    """Three points in air, for the centre of rotation: it falls `off_centre_mm` beside the detectors' middle.

    Truth: `centre_bin`, on which the middle of rotation falls, and each point's place.
    """
    body = Body(32, 128, 3.3, (150.0, 150.0))
    places: tuple[Point3, ...] = ((0.0, 40.0, -30.0), (60.0, 0.0, 0.0), (-20.0, -30.0, 30.0))
    for middle in places:
        body.activity += body.ellipsoid(middle, (3.0, 3.0, 3.0))
    optics = Optics(attenuation_per_mm=0.0)
    study = _tomo(body, full_circle(views, body.torso), counts, optics, rng, "Centre of rotation", across=off_centre_mm)
    truth = {"centre_bin": (body.size - 1) / 2 + off_centre_mm / body.voxel_mm}
    for number, middle in enumerate(places, 1):
        truth |= _place(body, middle, f"point_{number}")
    return Phantom((study,), truth)


def torso_with_heart(
    rng: np.random.Generator,
    defect: Defect | None = None,
    views: int = 60,
    counts: float = 4_000_000,
    optics: Optics = OPTICS,
) -> Phantom:
    """A heart in its torso with all that disturbs: attenuation, scatter in three windows, blur by depth.

    64 x 64, `views` over 180 degrees, two heads at right angles that follow the body; truth as of `heart_spect`.
    """
    body, orbit = heart_body(defect), half_circle(views, TORSO)
    study = _tomo(body, orbit, counts, optics, rng, "Torso with heart", ("RAO", "LAO"))
    return Phantom((replace(study, body_part="HEART"),), heart_truth(body, Ventricle(), defect))


def heart_body(defect: Defect | None = None) -> Body:
    """Return the torso with its heart."""
    body = thorax()
    body.activity += myocardium(body, Ventricle(), defect, 1.0)
    return body


def half_circle(views: int, outline: tuple[float, float], gap_mm: float = 20.0) -> Orbit:
    """Return the orbit of two heads at right angles, right anterior to left posterior oblique, along an outline."""
    orbit = Orbit(views // 2, 225.0, 180.0 / views, 0.0, clockwise=True, detector_starts_deg=(225.0, 135.0))
    return _along(orbit, outline, gap_mm)


def heart_for_review(
    rng: np.random.Generator,
    slid_mm: float = 13.0,
    from_view: int = 40,
    off_centre_mm: float = 0.0,
    counts_per_view: float = 60_000,
) -> Phantom:
    """A heart study that wants a review: from `from_view` on the patient lies `slid_mm` nearer to the feet.

    With `off_centre_mm` the centre of rotation is wrong too. Truth: that of `heart_spect`, `slid_rows`, `from_view` and
    `centre_bin`.
    """
    made = heart_spect(rng, counts_per_view=2_000_000)
    study = made.acquisitions[0]
    expected = study.frames.astype(np.float32) * np.float32(counts_per_view / 2_000_000)
    rows = slid_mm / study.pixel_mm
    expected[from_view:] = ndimage.shift(expected[from_view:], (0, rows, 0), order=1, mode="nearest")
    expected = ndimage.shift(expected, (0, 0, off_centre_mm / study.pixel_mm), order=1, mode="nearest")
    frames = rng.poisson(expected).astype(np.uint16)
    centre = (study.frames.shape[2] - 1) / 2 + off_centre_mm / study.pixel_mm
    truth = {"slid_rows": rows, "from_view": float(from_view), "centre_bin": centre}
    return Phantom((replace(study, frames=frames, series=f"{study.series}, moved"),), dict(made.truth) | truth)


def pet_spheres(rng: np.random.Generator, contrast: float = 4.0, slices: int = 48) -> Phantom:
    """PET of an IEC-like body: six hot spheres round a lung insert, slices of 3 mm, 128 x 128 of 3 mm, Bq/ml.

    Truth: `background_bqml`, `contrast`, and each sphere's slice, row, column and diameter.
    """
    body, background = Body(slices, 128, 3.0, _IEC_MM), 5_000.0
    activity = np.repeat(body.outline() * (1 - _insert(body)), slices, axis=0)
    truth = {"background_bqml": background, "contrast": contrast}
    for number, (middle, diameter) in enumerate(pet_places(), 1):
        activity += body.ellipsoid(middle, (diameter / 2,) * 3) * (contrast - 1)
        truth |= _place(body, middle, f"sphere_{number}") | {f"sphere_{number}_mm": diameter}
    seen = ndimage.gaussian_filter1d(blurred(activity, 5.0 / 3.0), 5.0 / 3.0 / 2.3548, axis=0)
    noisy = np.clip(seen + rng.normal(0, 0.06, seen.shape) * np.sqrt(seen), 0, None) * background
    return Phantom(_pet_slices(noisy.astype(np.float32), body), truth)


def pet_places() -> list[tuple[Point3, float]]:
    """Return the middles and the diameters of the hot spheres, 57 mm from the middle."""
    turn = np.deg2rad(60.0 * np.arange(6))
    places = zip(turn, PET_SPHERES_MM, strict=True)
    return [((float(57.2 * np.cos(a)), float(57.2 * np.sin(a)), 12.0), diameter) for a, diameter in places]


def _insert(body: Body) -> Volume:
    _, y, x = body.coordinates()
    return soft((np.hypot(x, y) / 22).astype(np.float32), 22 / body.voxel_mm)


def _pet_slices(values: Volume, body: Body) -> tuple[Acquisition, ...]:
    corner, first = -(body.size - 1) / 2 * body.voxel_mm, (body.slices - 1) / 2 * body.voxel_mm
    made = []
    for number, one in enumerate(values[::-1]):
        slope = max(float(one.max()) / 32_000, 1e-6)
        place = Slice((corner, corner, first - number * body.voxel_mm), body.voxel_mm, slope)
        frames = np.rint(one / slope).astype(np.uint16)[None]
        made.append(
            Acquisition(
                "PET", frames, body.voxel_mm, "PET spheres", (), ("F18",), frame_ms=600_000, slice=place,
                body_part="PHANTOM",
            )
        )  # fmt: skip
    return tuple(made)


def _tomo(
    body: Body,
    orbit: Orbit,
    counts: float,
    optics: Optics,
    rng: np.random.Generator,
    name: str,
    heads: tuple[View, View] = ("ANT", "POST"),
    across: float = 0.0,
) -> Acquisition:
    """Take projections, in three windows where there is scatter; `counts` are those of the photopeak."""
    seen = primary(body.activity, body.voxel_mm, orbit, body.torso, optics)
    if across:
        seen = ndimage.shift(seen, (0, 0, across / body.voxel_mm), order=1, mode="nearest")
    windows = _windows(seen, body.voxel_mm, optics)
    frames = counted_together(windows, counts, rng).reshape(-1, *seen.shape[1:])
    return Acquisition(
        "TOMO", frames, body.voxel_mm, name, heads, WINDOWS[: len(windows)], frame_ms=20_000, orbit=orbit,
        body_part="PHANTOM",
    )  # fmt: skip


def _windows(seen: Expected, voxel_mm: float, optics: Optics) -> Expected:
    return in_windows(seen, scattered(seen, voxel_mm, optics), WIDTHS_KEV) if optics.scatter else seen[None]


def _place(body: Body, point: Sequence[float], name: str) -> dict[str, float]:
    """Voxel of a point: slice from the head down, row from the front back, column from the patient's right."""
    return {
        f"{name}_slice": (body.slices - 1) / 2 - point[2] / body.voxel_mm,
        f"{name}_row": (body.size - 1) / 2 + point[1] / body.voxel_mm,
        f"{name}_column": (body.size - 1) / 2 + point[0] / body.voxel_mm,
    }
