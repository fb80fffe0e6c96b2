"""Studies in time: the renogram and the gated blood pool, made from curves whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.imaging.acquisition import Acquisition, Phantom, Phase
from core.imaging.phantom.shapes import Canvas, blurred, counted

RENOGRAM_FRAME_S = 20
STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Kidney:
    """How a kidney handles the tracer: its share of the uptake, when the first drop leaves, how slowly the rest."""

    share: float
    transit_s: float = 150.0
    emptying_s: float = 240.0


def renogram(
    rng: np.random.Generator,
    left: Kidney | None = None,
    right: Kidney | None = None,
    frames: int = 60,
    counts: float = 4_500_000,
) -> Phantom:
    """Posterior renogram of `frames` frames of 20 s, 128 x 128; patient's left is on the left of the picture.

    Truth: `left_share` of the uptake, and when each kidney peaks (s).
    """
    kidneys = (left or Kidney(0.52), right or Kidney(0.48))
    plasma = _plasma(frames * RENOGRAM_FRAME_S)
    curves = [_kidney_curve(kidney, plasma) for kidney in kidneys]
    taken_up = np.cumsum(plasma) * sum(kidney.share for kidney in kidneys) * STEP_S
    bladder = np.clip(taken_up - curves[0] - curves[1], 0, None)
    body, bladder_map, organs = _renogram_field()
    expected = sum(
        _binned(curve)[:, None, None] * organ
        for curve, organ in (
            (plasma * 110, body),
            (bladder, bladder_map),
            (curves[0], organs[0]),
            (curves[1], organs[1]),
        )
    )
    images = counted(blurred(np.asarray(expected, np.float32), 2.2), counts, rng)
    truth = {"left_share": kidneys[0].share / (kidneys[0].share + kidneys[1].share)}
    for name, curve in zip(("left", "right"), curves, strict=True):
        truth[f"{name}_peak_s"] = float(np.argmax(curve) * STEP_S)
    phase = Phase(frames, RENOGRAM_FRAME_S * 1000, "RENOGRAM")
    study = Acquisition(
        "DYNAMIC",
        images,
        3.9,
        "Renogram",
        ("POST",),
        phases=(phase,),
        frame_ms=RENOGRAM_FRAME_S * 1000,
        body_part="KIDNEY",
    )
    return Phantom((study,), truth)


def kidney_pixels(side: str) -> NDArray[np.bool_]:
    """The true region of one kidney, `left` or `right`, in the renogram's 128 x 128 field."""
    _, _, organs = _renogram_field()
    return np.asarray(organs[0 if side == "left" else 1] > 0)


def _plasma(seconds: int) -> NDArray[np.float64]:
    """Tracer in plasma, normalised: it comes after 15 s and leaves in two exponentials."""
    since = np.arange(0, seconds, STEP_S) - 15
    return np.where(since > 0, 0.6 * np.exp(-since / 180) + 0.4 * np.exp(-since / 1500), 0) * (
        1 - np.exp(-np.clip(since, 0, None) / 8)
    )


def _kidney_curve(kidney: Kidney, plasma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Uptake folded with retention: all of it until the transit time, then exponential emptying."""
    since = np.arange(plasma.size) * STEP_S
    retained = np.where(since < kidney.transit_s, 1.0, np.exp(-(since - kidney.transit_s) / kidney.emptying_s))
    length = 2 * plasma.size
    folded = np.fft.irfft(np.fft.rfft(plasma, length) * np.fft.rfft(retained, length), length)[: plasma.size]
    return kidney.share * folded * STEP_S


def _binned(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    return curve.reshape(-1, round(RENOGRAM_FRAME_S / STEP_S)).mean(axis=1)


def _renogram_field() -> tuple[
    NDArray[np.float32], NDArray[np.float32], tuple[NDArray[np.float32], NDArray[np.float32]]
]:
    """Where the tracer can be: body, bladder, and both kidneys; each map adds up to 1."""
    body, bladder, left, right = (Canvas.centred(128, 128, 3.9, (0, 40), mirrored=True) for _ in range(4))
    body.rod([(0, -160), (0, 230)], 165, 0.7)
    body.ellipse((30, -170), (70, 60), 0.9)
    body.ellipse((-70, -85), (85, 55), 0.5)
    bladder.ellipse((0, 215), (45, 38))
    left.ellipse((68, -12), (30, 55), tilt_deg=-12)
    right.ellipse((-68, 4), (30, 55), tilt_deg=12)
    maps = [canvas.activity / canvas.activity.sum() for canvas in (body, bladder, left, right)]
    return maps[0], maps[1], (maps[2], maps[3])


def gated_blood_pool(
    rng: np.random.Generator, ejection_fraction: float = 0.62, slots: int = 24, counts_per_slot: float = 250_000
) -> Phantom:
    """MUGA in the best septal LAO, 64 x 64, `slots` frames of one beat; truth: the left ventricle's ejection fraction.

    Both ventricles scale in volume with the beat, the atria against it; counts follow volume.
    """
    emptied = _emptying(slots)
    expected = np.stack([_blood_pool(1 - ejection_fraction * float(part)) for part in emptied])
    images = counted(blurred(expected, 2.0), counts_per_slot * slots, rng)
    beat_ms = 840
    study = Acquisition(
        "GATED",
        images,
        4.8,
        "Gated blood pool",
        ("LAO",),
        frame_ms=beat_ms // slots,
        time_slots=slots,
        beat_ms=beat_ms,
        body_part="HEART",
    )
    return Phantom((study,), {"ejection_fraction": ejection_fraction, "end_systole_slot": float(np.argmax(emptied))})


def _emptying(slots: int) -> NDArray[np.float64]:
    """How far the ventricle has emptied through the beat, 0 to 1: systole a good third, then filling."""
    at = np.arange(slots) / slots
    systole = 0.5 - 0.5 * np.cos(np.pi * np.clip(at / 0.36, 0, 1))
    filling = 0.5 + 0.5 * np.cos(np.pi * np.clip((at - 0.36) / 0.5, 0, 1))
    curve = np.where(at <= 0.36, systole, filling)  # noqa: PLR2004 - end of systole
    return curve / curve.max()


def _blood_pool(left_volume: float) -> NDArray[np.float32]:
    """One moment: a ventricle of volume v has radii of v^(1/3), so that its counts are as v."""
    canvas = Canvas.centred(64, 64, 4.8)
    canvas.rod([(0, -160), (0, 160)], 165, 0.32)
    radius = left_volume ** (1 / 3)
    right = (1 - 0.8 * (1 - left_volume)) ** (1 / 3)
    atria = (1 + 0.5 * (1 - left_volume)) ** (1 / 3)
    canvas.ellipse((42, 28), (31 * radius, 42 * radius), 1.35 * radius, -28)
    canvas.ellipse((-36, 34), (32 * right, 48 * right), 1.1 * right, 22)
    canvas.ellipse((28, -32), (32 * atria, 26 * atria), 0.7 * atria)
    canvas.ellipse((-46, -30), (28 * atria, 28 * atria), 0.65 * atria)
    canvas.rod([(-8, -60), (10, -95), (30, -92), (38, -60)], 15, 0.75)
    canvas.ellipse((112, 95), (38, 46), 0.95, 15)
    canvas.ellipse((-75, 135), (90, 60), 0.55)
    return canvas.activity
