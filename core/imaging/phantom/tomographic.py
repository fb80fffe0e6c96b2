"""Studies of bodies in depth: heart SPECT (gated or not), lung perfusion in six views, and PET and CT slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.imaging.acquisition import Acquisition, Orbit, Phantom, Slice, View
from core.imaging.phantom.shapes import blurred, counted
from core.imaging.phantom.volumes import Body, Point3, Volume, projections, soft

TORSO = (165.0, 115.0)
HEART_VOXEL_MM = 6.4
VIEW_DEGREES: dict[View, float] = {
    "POST": 0,
    "LPO": 45,
    "LLAT": 90,
    "LAO": 135,
    "ANT": 180,
    "RAO": 225,
    "RLAT": 270,
    "RPO": 315,
}


@dataclass(frozen=True, slots=True)
class Defect:
    """A perfusion defect of the left ventricle.

    `around_deg` is where its middle lies round the axis: 0 anterior, 90 septal, 180 inferior, 270 lateral; `along` is
    where it lies from base (0) to apex (1); `level` is what uptake is left.
    """

    around_deg: float = 180.0
    along: float = 0.55
    half_width_deg: float = 40.0
    half_length: float = 0.3
    level: float = 0.3


@dataclass(frozen=True, slots=True)
class Ventricle:
    """The left ventricle: an ellipsoid shell cut at its base, its axis pointing left, forward and down."""

    middle: Point3 = (42.0, -32.0, -5.0)
    axis: Point3 = (0.62, -0.62, -0.48)
    long_mm: float = 56.0
    short_mm: float = 35.0
    wall_mm: float = 11.0

    def cavity_ml(self, shrink: float = 1.0) -> float:
        """Volume inside the wall, cut at the base plane a third of the long axis above the middle, radii shrunk."""
        along, across = (self.long_mm - self.wall_mm) * shrink, (self.short_mm - self.wall_mm) * shrink
        cut = min(1.0, self.long_mm / 3 / along)
        return float(np.pi * across**2 * along * ((cut - cut**3 / 3) + 2 / 3) / 1000)


def heart_spect(
    rng: np.random.Generator,
    defect: Defect | None = None,
    views: int = 60,
    counts_per_view: float = 60_000,
    *,
    rest: bool = False,
) -> Phantom:
    """Myocardial perfusion SPECT: 64 x 64, `views` over 180 degrees from RAO to LPO, two detectors at right angles.

    Truth: the ventricle's middle in voxels (slice from the head down, row from the front, column from the patient's
    right) and the defect's middle round and along the axis.
    """
    body, ventricle = thorax(), Ventricle()
    volume = body.activity + myocardium(body, ventricle, defect, 1.0)
    images = _camera(body, (volume,), views, counts_per_view, rng)[0]
    name = "Myocardial perfusion rest" if rest else "Myocardial perfusion stress"
    study = Acquisition(
        "TOMO",
        images,
        HEART_VOXEL_MM,
        name,
        _heads(),
        frame_ms=20_000,
        orbit=_orbit(views),
        body_part="HEART",
        delay_s=2_700,
    )
    return Phantom((study,), heart_truth(body, ventricle, defect))


def gated_heart_spect(
    rng: np.random.Generator,
    defect: Defect | None = None,
    views: int = 60,
    slots: int = 8,
    ejection_fraction: float = 0.6,
) -> Phantom:
    """Gated myocardial perfusion SPECT: as `heart_spect`, in `slots` moments; truth also holds EF, EDV and ESV."""
    body, ventricle = thorax(), Ventricle()
    smallest = _shrink_for(ventricle, ejection_fraction)
    emptied = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(slots) / slots)
    moments = [
        body.activity + myocardium(body, ventricle, defect, 1 - (1 - smallest) * float(part)) for part in emptied
    ]
    images = _camera(body, moments, views, 9_000, rng)
    per_head = images.reshape(slots, 2, views // 2, *images.shape[2:]).swapaxes(0, 1)
    beat_ms = 850
    study = Acquisition(
        "GATED TOMO",
        per_head.reshape(-1, *images.shape[2:]),
        HEART_VOXEL_MM,
        "Myocardial perfusion gated",
        _heads(),
        frame_ms=25_000,
        orbit=_orbit(views),
        time_slots=slots,
        beat_ms=beat_ms,
        body_part="HEART",
        delay_s=2_700,
    )
    end_diastole, end_systole = ventricle.cavity_ml(), ventricle.cavity_ml(smallest)
    truth = {
        "end_diastolic_ml": end_diastole,
        "end_systolic_ml": end_systole,
        "ejection_fraction": 1 - end_systole / end_diastole,
    }
    return Phantom((study,), truth | heart_truth(body, ventricle, defect))


def lung_perfusion(
    rng: np.random.Generator, right_share: float = 0.55, defect: Point3 | None = None, counts: float = 500_000
) -> Phantom:
    """Lung perfusion in six views (three pairs of a two-headed camera), 128 x 128; truth: the right lung's share.

    `defect` is the middle (x, y, z in mm) of a missing segment; truth then holds its anterior (row, column).
    """
    body = Body(128, 128, 3.9, TORSO)
    lungs = [_lung(body, side, defect) for side in (-1.0, 1.0)]
    right, left = (lung / lung.sum() for lung in lungs)
    volume = (right * right_share + left * (1 - right_share)).astype(np.float32)
    volume += body.outline() * volume.max() * 0.006
    acquisitions = tuple(
        _lung_pair(body, volume, pair, counts, rng) for pair in (("ANT", "POST"), ("RAO", "LPO"), ("LAO", "RPO"))
    )
    truth = {"right_share": right_share}
    if defect is not None:
        truth |= {"defect_row": 63.5 - defect[2] / 3.9, "defect_column": 63.5 + defect[0] / 3.9}
    return Phantom(acquisitions, truth)


def pet_slices(
    rng: np.random.Generator, slices: int = 40, lesion: Point3 = (-62.0, 10.0, 30.0), lesion_suv: float = 8.0
) -> Phantom:
    """FDG PET of the trunk in transverse slices of 5 mm, 128 x 128 of 4 mm, Bq/ml with a slope of its own each.

    370 MBq in 70 kg, so that SUV 1 is 5286 Bq/ml; truth: the lesion's SUV, slice, row and column, and that factor.
    """
    body, hot = Body(slices, 128, 4.0, TORSO), 370e6 / 70_000
    activity = _fdg(body) + body.ellipsoid(lesion, (14, 14, 14)) * (lesion_suv - 0.5)
    seen = blurred(activity, 1.6)
    noisy = np.clip(seen + rng.normal(0, 1, seen.shape) * 0.12 * np.sqrt(seen), 0, None) * hot
    first = _first_mm(body)
    acquisitions = []
    for number in range(slices):
        values = noisy[slices - 1 - number]
        slope = max(float(values.max()) / 32_000, 1e-6)
        place = Slice((-254.0, -254.0, first - number * 4.0), 4.0, slope)
        acquisitions.append(
            Acquisition(
                "PET",
                np.rint(values / slope).astype(np.uint16)[None],
                4.0,
                "PET WB AC",
                (),
                ("F18",),
                frame_ms=180_000,
                slice=place,
                body_part="CHEST",
                delay_s=3_600,
            )
        )
    return Phantom(
        tuple(acquisitions), {"lesion_suv": lesion_suv, "suv_one_bqml": hot} | _slice_truth(body, lesion, "lesion")
    )


def ct_slices(rng: np.random.Generator, slices: int = 40) -> Phantom:
    """The CT of the same trunk: 256 x 256 of 2 mm, Hounsfield units; nothing about it is quantitative."""
    body = Body(slices, 128, 4.0, TORSO)
    first = _first_mm(body)
    units = np.full(body.activity.shape, -1000, np.float32)
    units += body.outline() * 1040
    for side in (-1.0, 1.0):
        units += _lung(body, side, None) * -840
    units += body.ellipsoid((0, 75, 0), (20, 18, 500)) * 350
    fine = units.repeat(2, axis=1).repeat(2, axis=2) + rng.normal(0, 12, (slices, 256, 256))
    acquisitions = tuple(
        Acquisition(
            "CT",
            np.rint(blurred(fine[slices - 1 - number].astype(np.float32), 2.5)).astype(np.int16)[None],
            2.0,
            "CT WB",
            (),
            (),
            slice=Slice((-255.0, -255.0, first - number * 4.0), 4.0),
            body_part="CHEST",
        )
        for number in range(slices)
    )
    return Phantom(acquisitions)


def thorax() -> Body:
    """Chest and upper abdomen after sestamibi, without the heart: pale lungs, hot liver, gall bladder, some bowel."""
    body = Body(64, 64, HEART_VOXEL_MM, TORSO)
    body.activity += body.outline() * 0.10
    for side in (-1.0, 1.0):
        body.activity -= body.ellipsoid((side * 85, 0, 60), (58, 85, 110)) * 0.06
    body.activity += body.ellipsoid((-72, -5, -105), (78, 85, 55)) * 0.5
    body.activity += body.ellipsoid((85, 55, -110), (32, 35, 42)) * 0.35
    body.activity += body.ellipsoid((-40, -75, -135), (14, 14, 22)) * 1.6
    body.activity += body.ellipsoid((30, -60, -160), (60, 30, 30)) * 0.35
    return body


def myocardium(body: Body, ventricle: Ventricle, defect: Defect | None, shrink: float) -> Volume:
    """The wall's uptake; the wall keeps its mass, so that it thickens as the cavity shrinks."""
    z, y, x = body.coordinates()
    axis = np.array(ventricle.axis) / np.linalg.norm(ventricle.axis)
    dx, dy, dz = x - ventricle.middle[0], y - ventricle.middle[1], z - ventricle.middle[2]
    along = dx * axis[0] + dy * axis[1] + dz * axis[2]
    across = np.sqrt(np.clip(dx**2 + dy**2 + dz**2 - along**2, 0, None))
    long, short = ventricle.long_mm, ventricle.short_mm
    outer_shrink = 1 - (1 - shrink) * 0.35
    outer = soft(np.hypot(along / (long * outer_shrink), across / (short * outer_shrink)), short / body.voxel_mm)
    inner_long, inner_short = (long - ventricle.wall_mm) * shrink, (short - ventricle.wall_mm) * shrink
    inner = soft(np.hypot(along / inner_long, across / inner_short), inner_short / body.voxel_mm)
    wall = (outer - inner) * np.clip((along + long / 3) / body.voxel_mm + 0.5, 0, 1) * (1.6 + 0.6 * (1 - shrink))
    return np.asarray(
        wall if defect is None else wall * _uptake_left(defect, axis, (dx, dy, dz), along / long), np.float32
    )


def _uptake_left(
    defect: Defect, axis: NDArray[np.float64], offset: tuple[Volume, Volume, Volume], along: Volume
) -> Volume:
    """Fraction of uptake left at each voxel: a smooth patch on the wall."""
    front = np.array((0.0, 0.0, 1.0)) - axis * axis[2]
    front /= np.linalg.norm(front)
    septal = np.cross(axis, front)
    septal *= -np.sign(septal[0])
    dx, dy, dz = offset
    anterior = dx * front[0] + dy * front[1] + dz * front[2]
    towards_septum = dx * septal[0] + dy * septal[1] + dz * septal[2]
    angle = np.rad2deg(np.arctan2(towards_septum, anterior))
    turned = (angle - defect.around_deg + 180) % 360 - 180
    from_base = (along + 1 / 3) / (4 / 3)
    patch = np.exp(
        -0.5 * (turned / defect.half_width_deg) ** 4 - 0.5 * ((from_base - defect.along) / defect.half_length) ** 4
    )
    return np.asarray(1 - (1 - defect.level) * patch, np.float32)


def _camera(
    body: Body, volumes: tuple[Volume, ...] | list[Volume], views: int, counts: float, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Take projections of each volume: (volume, view, row, column), views in the order of the two heads."""
    orbit = _orbit(views)
    angles = [start - step * orbit.step_deg for start in orbit.detector_starts_deg for step in range(orbit.views)]
    expected = blurred(projections(volumes, body.voxel_mm, angles, body.torso), 2.2)
    return counted(expected, counts * views * len(volumes), rng)


def _heads() -> tuple[View, View]:
    return ("RAO", "LAO")


def _orbit(views: int) -> Orbit:
    """Right anterior to left posterior oblique, shared by two heads at right angles."""
    return Orbit(views // 2, 225.0, 180.0 / views, 220.0, clockwise=True, detector_starts_deg=(225.0, 135.0))


def _shrink_for(ventricle: Ventricle, ejection_fraction: float) -> float:
    """Find how far the cavity's radii shrink so that so much of its volume is ejected."""
    target = ventricle.cavity_ml() * (1 - ejection_fraction)
    low, high = 0.3, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if ventricle.cavity_ml(middle) < target else (low, middle)
    return (low + high) / 2


def heart_truth(body: Body, ventricle: Ventricle, defect: Defect | None) -> dict[str, float]:
    """Return where the ventricle lies, and its defect."""
    truth = _slice_truth(body, ventricle.middle, "ventricle")
    if defect is not None:
        truth |= {"defect_around_deg": defect.around_deg, "defect_along": defect.along, "defect_level": defect.level}
    return truth


def _slice_truth(body: Body, point: Point3, name: str) -> dict[str, float]:
    """Voxel of a point: slice from the head down, row from the front back, column from the patient's right."""
    return {
        f"{name}_slice": (body.slices - 1) / 2 - point[2] / body.voxel_mm,
        f"{name}_row": (body.size - 1) / 2 + point[1] / body.voxel_mm,
        f"{name}_column": (body.size - 1) / 2 + point[0] / body.voxel_mm,
    }


def _first_mm(body: Body) -> float:
    return (body.slices - 1) / 2 * body.voxel_mm


def _lung(body: Body, side: float, defect: Point3 | None) -> Volume:
    """One lung: a tall ellipsoid, less the diaphragm's dome and, on the left, the heart."""
    z, _, _ = body.coordinates()
    lung = body.ellipsoid((side * 74, 5, -30), (58, 88, 165), -side * 7)
    lung *= np.clip((z + 115) / body.voxel_mm, 0, 1)
    lung *= 1 - body.ellipsoid((side * 78, 0, -125), (75, 100, 55 if side < 0 else 45))
    lung *= 1 - body.ellipsoid((38, -45, -65), (58, 55, 55), 30)
    lung *= 1 - body.ellipsoid((0, 20, 0), (26, 130, 400))
    if defect is not None:
        lung *= 1 - body.ellipsoid(defect, (34, 34, 34))
    return lung


def _lung_pair(
    body: Body, volume: Volume, pair: tuple[View, View], counts: float, rng: np.random.Generator
) -> Acquisition:
    angles = [VIEW_DEGREES[view] for view in pair]
    expected = blurred(projections((volume,), body.voxel_mm, angles, body.torso, 0.006)[0], 2.4)
    images = np.stack([counted(view, counts, rng) for view in expected])
    name = f"Lung perfusion {pair[0]} {pair[1]}"
    return Acquisition("STATIC", images, body.voxel_mm, name, pair, frame_ms=240_000, body_part="LUNG", delay_s=300)


def _fdg(body: Body) -> Volume:
    """FDG in the trunk as SUV: blood and muscle, liver, spleen, heart, kidneys, pale lungs."""
    activity = body.activity + body.outline() * 0.7
    for side in (-1.0, 1.0):
        activity -= _lung(body, side, None) * 0.4
        activity += body.ellipsoid((side * 62, 55, -130), (26, 24, 52)) * 3.0
    activity += body.ellipsoid((-72, -5, -125), (80, 85, 55)) * 1.7
    activity += body.ellipsoid((95, 45, -115), (32, 36, 42)) * 1.2
    activity += myocardium(body, Ventricle((42.0, -40.0, -40.0)), None, 1.0) * 2.2
    activity += body.ellipsoid((10, -20, 20), (30, 34, 60)) * 0.9
    return np.asarray(activity + body.ellipsoid((0, 78, 0), (16, 15, 500)) * 0.8, np.float32)
