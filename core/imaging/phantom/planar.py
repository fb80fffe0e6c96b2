"""Planar studies: bone, thyroid, parathyroid, kidneys (DMSA), sentinel node and the flood of quality control.

Anterior views show the patient's right on the left of the picture. Truths are in pixels (row, column), counts or
fractions.
"""

from __future__ import annotations

import numpy as np

from core.imaging.acquisition import Acquisition, Phantom, Phase, View
from core.imaging.phantom import skeleton
from core.imaging.phantom.shapes import Canvas, Expected, Point, blurred, counted
from core.imaging.phantom.skeleton import Lesion

SWEEP_MM = 2.4
SPOT_MM = 2.4
COLLIMATOR_MM = 9.0


def bone_whole_body(
    rng: np.random.Generator, lesions: tuple[Lesion, ...] = (), counts: float = 1_400_000, rows: int = 1024
) -> Phantom:
    """Whole-body bone scan, anterior and posterior, `rows` x `rows`/4; truth: each lesion's (row, column) in both."""
    pixel = SWEEP_MM * 1024 / rows
    canvases = [_sweep(rows, pixel, lesions, behind=behind) for behind in (False, True)]
    frames = np.stack([counted(blurred(one.activity, COLLIMATOR_MM / pixel), counts, rng) for one in canvases])
    truth = {}
    for number, lesion in enumerate(lesions, 1):
        for name, canvas in zip(("anterior", "posterior"), canvases, strict=True):
            truth[f"lesion_{number}_{name}_row"], truth[f"lesion_{number}_{name}_column"] = canvas.pixel(lesion.at)
    sweep = Acquisition(
        "WHOLE BODY",
        frames,
        pixel,
        "Bone whole body",
        ("ANT", "POST"),
        frame_ms=1_200_000,
        body_part="WHOLEBODY",
        delay_s=10_800,
    )
    return Phantom((sweep,), truth)


def _sweep(rows: int, pixel: float, lesions: tuple[Lesion, ...], *, behind: bool) -> Canvas:
    top = -(rows * pixel - skeleton.HEIGHT_MM) / 2
    canvas = Canvas(rows, rows // 4, pixel, -rows // 4 * pixel / 2, top, mirrored=behind)
    skeleton.draw(canvas, lesions, behind=behind)
    return canvas


def bone_spots(rng: np.random.Generator, lesions: tuple[Lesion, ...] = (), counts: float = 600_000) -> Phantom:
    """Spot views of chest and pelvis, each anterior and posterior, 256 x 256."""
    places = (("Bone spot chest", skeleton.THORAX, "CHEST"), ("Bone spot pelvis", skeleton.PELVIS, "PELVIS"))
    spots = tuple(
        Acquisition(
            "STATIC",
            _spot(rng, middle, lesions, counts),
            SPOT_MM,
            name,
            ("ANT", "POST"),
            frame_ms=300_000,
            body_part=part,
            delay_s=10_800,
        )
        for name, middle, part in places
    )
    return Phantom(spots)


def _spot(
    rng: np.random.Generator, middle: Point, lesions: tuple[Lesion, ...], counts: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    frames = []
    for behind in (False, True):
        canvas = Canvas.centred(256, 256, SPOT_MM, middle, mirrored=behind)
        skeleton.draw(canvas, lesions, behind=behind)
        frames.append(counted(blurred(canvas.activity, COLLIMATOR_MM / SPOT_MM), counts, rng))
    return np.stack(frames)


def bone_three_phase(rng: np.random.Generator, side_ratio: float = 2.5) -> Phantom:
    """Flow, blood pool and delayed view of the knees; the right knee takes up `side_ratio` times the left's excess."""
    knee = Lesion((-88, 1335), 42, 0.35 * side_ratio)
    flow = _knee_flow(rng, side_ratio)
    pool = _knees(256, 2.4, soft=0.5)
    pool.ellipse((-88, 1335), (55, 50), 0.25 * side_ratio)
    late = _knees(256, 2.4, soft=0.06, lesions=(knee,))
    statics = [
        Acquisition(
            "STATIC",
            counted(blurred(canvas.activity, 3.7), counts, rng)[None],
            2.4,
            name,
            frame_ms=300_000,
            body_part="KNEE",
            delay_s=delay,
        )
        for canvas, counts, name, delay in ((pool, 300_000, "Blood pool", 300), (late, 400_000, "Bone delayed", 10_800))
    ]
    return Phantom((flow, *statics), {"knee_right_to_left_excess": side_ratio})


def _knees(size: int, pixel: float, soft: float, lesions: tuple[Lesion, ...] = ()) -> Canvas:
    canvas = Canvas.centred(size, size, pixel, skeleton.KNEES)
    skeleton.draw(canvas, lesions, soft_tissue=soft)
    return canvas


def _knee_flow(rng: np.random.Generator, side_ratio: float) -> Acquisition:
    """Sixty seconds in frames of two: the arteries first, then the tissue, more on the inflamed side."""
    vessels, tissue = (Canvas.centred(128, 128, 4.8, skeleton.KNEES) for _ in range(2))
    for side in (-1.0, 1.0):
        vessels.rod([(side * 100, 1000), (side * 88, 1340), (side * 84, 1700)], 6, 1.0)
        tissue.rod([(side * 95, 1000), (side * 90, 1330), (side * 80, 1700)], 70, 1.0)
    tissue.ellipse((-88, 1335), (55, 50), side_ratio - 1)
    seconds = np.arange(30) * 2 + 1.0
    arterial = np.clip(seconds - 12, 0, None) * np.exp(-np.clip(seconds - 12, 0, None) / 7)
    venous = 1 - np.exp(-np.clip(seconds - 16, 0, None) / 14)
    expected = 14 * arterial[:, None, None] * vessels.activity + 5 * venous[:, None, None] * tissue.activity + 0.02
    frames = counted(blurred(expected.astype(np.float32), 2), 180_000, rng)
    return Acquisition(
        "DYNAMIC", frames, 4.8, "Bone flow", phases=(Phase(30, 2000, "FLOW"),), frame_ms=2000, body_part="KNEE"
    )


def thyroid(
    rng: np.random.Generator, right_share: float = 0.55, nodule: Point | None = None, *, hot: bool = False
) -> Phantom:
    """Anterior pertechnetate scan; truth: the right lobe's share, the nodule's (row, column); it may be `hot`."""
    canvas = _neck()
    _thyroid_lobes(canvas, right_share, 1.0)
    truth = {"right_share": right_share}
    if nodule is not None:
        canvas.ellipse(nodule, (9, 9), 2.0 if hot else -0.8 * _peak_at(canvas, nodule))
        truth["nodule_row"], truth["nodule_column"] = canvas.pixel(nodule)
    np.clip(canvas.activity, 0, None, out=canvas.activity)
    frames = counted(blurred(canvas.activity, 5 / canvas.pixel_mm), 220_000, rng)[None]
    scan = Acquisition("STATIC", frames, canvas.pixel_mm, "Thyroid", frame_ms=600_000, body_part="NECK", delay_s=1_200)
    return Phantom((scan,), truth)


def parathyroid(rng: np.random.Generator, adenoma: Point = (24.0, 34.0)) -> Phantom:
    """Sestamibi early and late: the thyroid washes out, the adenoma stays; truth: its (row, column)."""
    scans = []
    for name, thyroid_level, adenoma_level, counts, delay in (
        ("Parathyroid early", 1.0, 0.9, 500_000, 900),
        ("Parathyroid late", 0.3, 0.8, 260_000, 7_200),
    ):
        canvas = _neck(chest=True)
        _thyroid_lobes(canvas, 0.52, thyroid_level)
        canvas.ellipse(adenoma, (7, 9), adenoma_level)
        frames = counted(blurred(canvas.activity, 6 / canvas.pixel_mm), counts, rng)[None]
        scans.append(
            Acquisition("STATIC", frames, canvas.pixel_mm, name, frame_ms=600_000, body_part="NECK", delay_s=delay)
        )
    row, column = canvas.pixel(adenoma)
    return Phantom(tuple(scans), {"adenoma_row": row, "adenoma_column": column})


def _neck(*, chest: bool = False) -> Canvas:
    """Neck and shoulders with the salivary glands; the thyroid cartilage is at (0, -25)."""
    canvas = Canvas.centred(256, 256, 1.2 if not chest else 1.6, (0, -5 if not chest else 30))
    canvas.rod([(0, -140), (0, 20)], 62, 0.09)
    canvas.rod([(-130, 120), (0, 75), (130, 120)], 70, 0.07)
    for side in (-1.0, 1.0):
        canvas.ellipse((side * 56, -98), (15, 24), 0.45, side * 15)
        canvas.ellipse((side * 30, -68), (13, 10), 0.4, side * 25)
    canvas.ellipse((0, -90), (18, 10), 0.15)
    if chest:
        canvas.ellipse((40, 175), (62, 55), 0.9, 35)
        canvas.ellipse((0, 130), (150, 80), 0.12)
    return canvas


def _thyroid_lobes(canvas: Canvas, right_share: float, level: float) -> None:
    """Two tilted lobes and an isthmus that belongs half to each."""
    for side, share in ((-1.0, right_share), (1.0, 1 - right_share)):
        canvas.ellipse((side * 19, 0), (11, 26), 2 * share * level, side * 10)
    canvas.rod([(-10, 17), (10, 17)], 6, 0.45 * level)


def _peak_at(canvas: Canvas, point: Point) -> float:
    row, column = canvas.pixel(point)
    return float(canvas.activity[round(row), round(column)])


def dmsa(rng: np.random.Generator, left_share: float = 0.52, scar: Point | None = None) -> Phantom:
    """DMSA: anterior and posterior, then both posterior obliques; truth: the left kidney's share, the scar's place."""
    frames: dict[View, Expected] = {}
    truth = {"left_share": left_share}
    looks: tuple[tuple[View, float, float], ...] = (
        ("POST", 1.0, 0),
        ("ANT", 0.55, 0),
        ("LPO", 1.0, -18),
        ("RPO", 1.0, 18),
    )
    for view, level, shift in looks:
        canvas = _dmsa_view(view, level, left_share, scar, shift)
        frames[view] = blurred(canvas.activity, 7 / canvas.pixel_mm)
        if view == "POST" and scar is not None:
            truth["scar_row"], truth["scar_column"] = canvas.pixel(scar)
    takes: tuple[tuple[str, tuple[View, ...], tuple[float, ...]], ...] = (
        ("DMSA anterior posterior", ("ANT", "POST"), (0.55, 1.0)),
        ("DMSA left oblique", ("LPO",), (1.0,)),
        ("DMSA right oblique", ("RPO",), (1.0,)),
    )
    acquisitions = tuple(
        Acquisition(
            "STATIC",
            np.stack(
                [counted(frames[view], 350_000 * weight, rng) for view, weight in zip(views, weights, strict=True)]
            ),
            1.6,
            name,
            views,
            frame_ms=300_000,
            body_part="KIDNEY",
            delay_s=10_800,
        )
        for name, views, weights in takes
    )
    return Phantom(acquisitions, truth)


def _dmsa_view(view: View, level: float, left_share: float, scar: Point | None, shift: float) -> Canvas:
    canvas = Canvas.centred(256, 256, 1.6, mirrored=view != "ANT")
    canvas.rod([(0, -150), (0, 150)], 150, 0.05)
    canvas.ellipse((-70, -75), (75, 50), 0.05)
    for side, share in ((-1.0, 1 - left_share), (1.0, left_share)):
        middle = (side * 65 + shift, 6.0 if side < 0 else -6.0)
        canvas.ellipse(middle, (30, 55), 2 * share * level, -side * 12)
        canvas.ellipse((middle[0] - side * 8, middle[1]), (11, 22), -0.9 * share * level, -side * 12)
    if scar is not None:
        canvas.ellipse((scar[0] + shift, scar[1]), (12, 12), -0.8 * level)
    np.clip(canvas.activity, 0.01, None, out=canvas.activity)
    return canvas


def sentinel_node(rng: np.random.Generator, nodes: tuple[Point, ...] = ((95.0, -45.0), (112.0, -70.0))) -> Phantom:
    """Breast injection with its axillary nodes, anterior and left lateral; truth: the nodes' (row, column)."""
    truth: dict[str, float] = {}
    scans = []
    looks: tuple[tuple[View, float], ...] = (("ANT", 1.0), ("LLAT", 0.5))
    for view, squeeze in looks:
        canvas = Canvas.centred(256, 256, 1.6, (30, 0))
        canvas.rod([(0, -60), (0, 160)], 150, 0.004)
        canvas.ellipse((70 * squeeze, 55), (50, 50), 0.02)
        for x, y in ((62.0, 48.0), (78.0, 48.0), (62.0, 64.0), (78.0, 64.0)):
            canvas.ellipse((x * squeeze, y), (6, 6), 6.0)
        for number, (x, y) in enumerate(nodes, 1):
            canvas.ellipse((x * squeeze, y), (5, 5), 0.9 / number)
            if view == "ANT":
                truth[f"node_{number}_row"], truth[f"node_{number}_column"] = canvas.pixel((x, y))
        frames = counted(blurred(canvas.activity, 5), 200_000, rng)[None]
        scans.append(
            Acquisition(
                "STATIC",
                frames,
                1.6,
                f"Sentinel node {view}",
                (view,),
                frame_ms=300_000,
                body_part="BREAST",
                delay_s=3_600,
            )
        )
    return Phantom(tuple(scans), truth)


def flood(rng: np.random.Generator, counts: float = 6_000_000, tilt_percent: float = 2.0) -> Phantom:
    """Uniformity flood of 256 x 256; truth: the integral uniformity in per cent that a tilt of `tilt_percent` gives."""
    pixel = 2.4
    field = np.zeros((256, 256), np.float32)
    rows, columns = slice(48, 208), slice(18, 238)
    across = np.linspace(-1, 1, 220, dtype=np.float32)[None, :]
    field[rows, columns] = 1 + across * tilt_percent / 100
    frames = counted(blurred(field, 1.5), counts, rng)[None]
    scan = Acquisition("STATIC", frames, pixel, "Uniformity", frame_ms=600_000, flood=True)
    return Phantom((scan,), {"integral_uniformity_percent": tilt_percent})
