"""The skeleton of a person of 175 cm as a bone scan shows it.

In mm: y runs from the crown down, x to the patient's left. Whole-body sweeps and spot views are windows onto this one
body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.imaging.phantom.shapes import Canvas, Point

HEIGHT_MM = 1790.0
KNEES: Point = (0.0, 1335.0)
PELVIS: Point = (0.0, 830.0)
THORAX: Point = (0.0, 450.0)


@dataclass(frozen=True, slots=True)
class Lesion:
    """A focus of raised uptake: where, how large, how many times as bright as the spine."""

    at: Point
    radius_mm: float = 14.0
    level: float = 4.0


def draw(canvas: Canvas, lesions: tuple[Lesion, ...] = (), *, behind: bool = False, soft_tissue: float = 0.06) -> None:
    """Draw the body as seen from before or `behind`; what lies deep is paler on the far side."""
    near, far = (0.55, 1.0) if behind else (1.0, 0.55)
    _soft_tissue(canvas, soft_tissue)
    _head(canvas, near, far)
    _spine(canvas, 0.75 + 0.4 * far / 1.0)
    _thorax(canvas, near, far)
    _pelvis(canvas, near, far)
    for side in (-1.0, 1.0):
        _arm(canvas, side)
        _leg(canvas, side, near)
    _urine(canvas, near, far)
    for lesion in lesions:
        canvas.ellipse(lesion.at, (lesion.radius_mm, lesion.radius_mm), lesion.level)


def _sided(side: float, *points: Point) -> list[Point]:
    return [(side * x, y) for x, y in points]


def _soft_tissue(canvas: Canvas, level: float) -> None:
    canvas.ellipse((0, 120), (80, 120), level * 1.4)
    canvas.rod([(0, 200), (0, 320)], 60, level)
    canvas.rod([(0, 430), (0, 600), (0, 800)], 170, level * 2.4)
    for side in (-1.0, 1.0):
        canvas.rod(_sided(side, (190, 350), (220, 650), (245, 900)), 45, level)
        canvas.rod(_sided(side, (95, 880), (90, 1330)), 85, level * 1.6)
        canvas.rod(_sided(side, (85, 1330), (78, 1690)), 55, level * 1.1)


def _head(canvas: Canvas, near: float, far: float) -> None:
    canvas.ellipse((0, 105), (78, 102), 0.55)
    for x, y in ((0.0, 12.0), (0.0, 200.0)):
        canvas.ellipse((x, y), (45, 14), 0.25)
    for side in (-1.0, 1.0):
        canvas.rod(_sided(side, (70, 60), (76, 110), (66, 160)), 9, 0.35)
        canvas.ellipse((side * 30, 185), (18, 14), 0.5 * near)
    canvas.ellipse((0, 180), (42, 34), 0.35 * near)
    canvas.rod([(-45, 205), (-20, 232), (20, 232), (45, 205)], 8, 0.5 * near)
    canvas.ellipse((0, 190), (40, 26), 0.25 * far)


def _spine(canvas: Canvas, level: float) -> None:
    for number, y in enumerate(np.linspace(225, 305, 7)):
        canvas.ellipse((0, float(y)), (15 + number * 0.6, 8), level * 0.6)
    for number, y in enumerate(np.linspace(322, 556, 12)):
        canvas.ellipse((0, float(y)), (18 + number * 0.6, 12), level * 0.85)
    for number, y in enumerate(np.linspace(580, 722, 5)):
        canvas.ellipse((0, float(y)), (26 + number * 1.2, 17), level)
    canvas.ellipse((0, 775), (44, 46), level * 0.75)
    canvas.rod([(0, 800), (0, 850)], 16, level * 0.4)


def _thorax(canvas: Canvas, near: float, far: float) -> None:
    canvas.rod([(0, 345), (0, 375)], 22, 0.8 * near)
    canvas.rod([(0, 380), (0, 500)], 14, 0.5 * near)
    for side in (-1.0, 1.0):
        canvas.rod(_sided(side, (18, 338), (60, 325), (120, 322), (165, 318)), 8, 0.6 * near)
        canvas.rod(_sided(side, (165, 335), (115, 350), (85, 365)), 8, 0.6 * far)
        canvas.rod(_sided(side, (150, 365), (120, 460), (85, 365)), 9, 0.45 * far)
        canvas.ellipse((side * 168, 335), (18, 16), 0.6)
        for number in range(10):
            _rib(canvas, side, number, near, far)


def _rib(canvas: Canvas, side: float, number: int, near: float, far: float) -> None:
    """One rib: from the spine out and down, round the flank, and forward to the breastbone."""
    reach = 78 + 62 * np.sin(np.pi * (number + 1.2) / 11.5)
    y = 330 + number * 22.0
    canvas.rod(_sided(side, (20, y), (reach * 0.6, y + 4), (reach * 0.95, y + 32), (reach, y + 55)), 5.5, 0.55 * far)
    if number < 8:  # noqa: PLR2004 - the lower ribs float
        end = max(20.0, (number - 4) * 26.0)
        forward = ((reach, y + 55), (reach * 0.85, y + 85), (max(end, reach * 0.45), y + 84), (end, y + 62))
        canvas.rod(_sided(side, *forward), 5.5, 0.5 * near)


def _pelvis(canvas: Canvas, near: float, far: float) -> None:
    for side in (-1.0, 1.0):
        canvas.rod(_sided(side, (44, 738), (40, 800)), 10, 1.0 * far)
        canvas.rod(_sided(side, (50, 735), (95, 712), (135, 745), (138, 775)), 12, 0.75)
        canvas.rod(_sided(side, (55, 790), (95, 770), (120, 800), (100, 850)), 22, 0.4)
        canvas.rod(_sided(side, (95, 845), (55, 870), (14, 880)), 10, 0.6 * near)
        canvas.rod(_sided(side, (92, 870), (75, 925), (40, 930), (16, 895)), 10, 0.55)


def _arm(canvas: Canvas, side: float) -> None:
    canvas.ellipse((side * 180, 348), (25, 25), 0.75)
    canvas.rod(_sided(side, (188, 365), (215, 640)), 11, 0.35)
    canvas.ellipse((side * 218, 652), (26, 18), 0.45)
    canvas.rod(_sided(side, (226, 665), (252, 905)), 8, 0.28)
    canvas.rod(_sided(side, (213, 665), (238, 905)), 8, 0.28)
    canvas.ellipse((side * 247, 918), (22, 14), 0.4)
    for finger in range(4):
        canvas.rod(_sided(side, (238 + finger * 8, 930), (234 + finger * 13, 1030)), 5, 0.25)


def _leg(canvas: Canvas, side: float, near: float) -> None:
    canvas.ellipse((side * 100, 862), (26, 26), 0.65)
    canvas.rod(_sided(side, (105, 868), (138, 905)), 15, 0.5)
    canvas.rod(_sided(side, (138, 900), (122, 1050), (95, 1290)), 15, 0.42)
    canvas.ellipse((side * 90, 1312), (40, 22), 0.65)
    canvas.ellipse((side * 90, 1300), (20, 20), 0.35 * near)
    canvas.ellipse((side * 87, 1355), (38, 18), 0.7)
    canvas.rod(_sided(side, (86, 1360), (78, 1680)), 13, 0.42)
    canvas.rod(_sided(side, (112, 1370), (100, 1690)), 6, 0.2)
    canvas.ellipse((side * 82, 1695), (28, 18), 0.55)
    canvas.rod(_sided(side, (82, 1715), (92, 1750)), 24, 0.5)


def _urine(canvas: Canvas, near: float, far: float) -> None:
    canvas.ellipse((-62, 640), (27, 50), 0.75 * far, 8)
    canvas.ellipse((62, 628), (27, 50), 0.75 * far, -8)
    canvas.ellipse((0, 868), (34, 26), 2.6 * near)
