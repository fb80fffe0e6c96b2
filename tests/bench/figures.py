"""The figures of `docs/imaging-figures.md`: what the proofs of the reconstruction measure, beside what is wanted.

.venv/bin/python -m tests.bench.figures
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.imaging.phantom.cameras import NARROW_BEAM_PER_MM
from core.imaging.reconstruction import attenuation, corrections
from core.imaging.reconstruction.backprojection import filtered_backprojection
from core.imaging.reconstruction.filters import Filter, Window
from core.imaging.reconstruction.iterative import Plan, reconstruct
from core.imaging.reconstruction.postfilters import gaussian
from core.imaging.reconstruction.priors import Potential, Prior
from core.imaging.reconstruction.projector import Resolution, projector
from tests.phantoms import test_quality_phantoms as quality
from tests.phantoms import test_reconstruction as proofs
from tests.phantoms.test_reconstruction import Array

Row = tuple[str, str, str]


def main() -> None:
    """Print the rows of the table."""
    print("| what | wanted | measured |\n|---|---|---|")
    for part in (_adjoint, _ellipses, _cylinder, _counted_cylinder, _hot_and_cold, _relative):
        for row in part():
            print("| " + " | ".join(row) + " |", flush=True)


def _adjoint() -> list[Row]:
    rng = np.random.default_rng(3)
    scan = replace(proofs.blank(32, 24, 5), centre=np.asarray([15.2]))
    mu = (rng.random((32, 32, 5)) * 0.02).astype(np.float32)
    rows = []
    for name, resolution in (("attenuation", None), ("attenuation and resolution", Resolution())):
        camera = projector(scan, mu, resolution)
        body, rays = rng.random((32, 32, 5), np.float32), rng.random((24, 32, 5), np.float32)
        forward = float(np.vdot(camera.forward(body, range(24)).astype(float), rays))
        back = float(np.vdot(body.astype(float), camera.back(rays, range(24))))
        rows.append((f"adjoint with {name}: difference of the two products", "1e-6", f"{abs(forward / back - 1):.1e}"))
    return rows


def _ellipses() -> list[Row]:
    turn = proofs.angles(120)
    discs = (((0.0, 0.0), 180.0, 1.0), ((70.0, 30.0), 50.0, 2.0), ((-70.0, 30.0), 50.0, -1.0))
    rays = sum(
        (level * proofs.disk_rays(np.deg2rad(turn), 128, at, radius) for at, radius, level in discs),
        start=np.zeros((120, 128)),
    )
    body = filtered_backprojection(proofs.scan_of(rays, turn), Filter(Window.RAMP))[:, :, 1]
    y, x = proofs.places(128)
    hot, cold = (float(body[np.hypot(x - at, y - 30) < 40].mean()) for at in (70, -70))
    return [
        ("ramp back-projection of analytic ellipses: error of the hot region", "1 %", f"{abs(hot / 3 - 1):.2%}"),
        ("the same: what is left in the cold region, of 1", "0.01", f"{abs(cold):.4f}"),
    ]


def _cylinder() -> list[Row]:
    like, body, mu = proofs.cylinder()
    camera = projector(like, mu)
    scan = replace(like, counts=camera.forward(body, range(60)).swapaxes(1, 2))
    found = reconstruct(scan, camera, Plan(8, 10)).body
    return [
        ("uniform cylinder with attenuation: middle over edge", "1.00 ± 0.03", f"{proofs.centre_to_edge(found):.3f}"),
        ("the same: error of the total", "1 %", f"{abs(found.sum() / body.sum() - 1):.2%}"),
    ]


def _counted_cylinder() -> list[Row]:
    made, scan = quality.cylinder()
    scatter = float(0 if scan.scatter is None else scan.scatter.sum())
    share = scatter / (float(scan.counts.sum()) - scatter)
    mu = attenuation.uniform(quality.ellipse(scan, 108, 108), NARROW_BEAM_PER_MM)
    full = reconstruct(scan, projector(scan, mu, quality.RESOLUTION), Plan(6, 10)).body
    flat, _ = quality.flatness(gaussian(full, 12, (6.6, 6.6, 6.6)))
    bare, _ = quality.flatness(filtered_backprojection(scan, Filter(Window.BUTTERWORTH, 0.5)))
    outline = attenuation.outline_of(filtered_backprojection(corrections.without_scatter(scan)))[:, :, 3:7]
    wide = np.sqrt(outline.sum() / quality.ellipse(scan, 108, 108)[:, :, 3:7].sum())
    return [
        (
            "counted cylinder, 8 million counts, scatter and blur: share of scatter found by three windows",
            f"{made.truth['scatter_to_primary']:.2f}", f"{share:.3f}",
        ),
        ("the same, everything corrected: middle over edge", "1.00 ± 0.03", f"{flat:.3f} ({bare:.2f} by bare FBP)"),
        ("the same: radius of the outline that is found, of the true one", "", f"{wide:.3f}"),
    ]  # fmt: skip


def _seen(image: Array, body: Array, regions: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]) -> Row:
    scaled = image * (body.sum() / image.sum())
    plain = scaled[regions["plain"]]
    return "", f"{float((scaled[regions['hot']].mean() - 1) / 3):.3f}", f"{float(plain.std() / plain.mean()):.3f}"


def _hot_and_cold() -> list[Row]:
    body, regions = proofs.hot_and_cold()
    like = proofs.blank()
    camera = projector(like)
    scan = proofs.measured(camera, like, body, 3e6)
    _, osem, noise = _seen(reconstruct(scan, camera, Plan(4, 10)).body, body, regions)
    _, log_cosh, quiet = _seen(
        reconstruct(scan, camera, Plan(8, 10, Prior(Potential.LOG_COSH, 0.3))).body, body, regions
    )
    return [
        ("hot and cold at 3 million counts: OSEM recovers of the hot region", "0.95", f"{osem} (COV {noise})"),
        ("the same: log-cosh MAP recovers", "0.80 at COV 0.18", f"{log_cosh} at COV {quiet}"),
    ]


def _relative() -> list[Row]:
    body, regions = proofs.hot_and_cold()
    like = proofs.blank()
    camera = projector(like)
    scan = proofs.measured(camera, like, body, 1e6)
    plan = Plan(8, 10, Prior(Potential.RELATIVE_DIFFERENCE, 0.5, 2.0))
    _, hot, noise = _seen(reconstruct(scan, camera, plan).body, body, regions)
    hann = [
        _seen(filtered_backprojection(scan, Filter(Window.HANN, cut)), body, regions)
        for cut in np.arange(0.3, 1.05, 0.05)
    ]
    _, _, filtered = min(hann, key=lambda one: abs(float(one[1]) - float(hot)))
    ratio = float(noise) / float(filtered)
    return [("relative differences: COV of that of Hann FBP at equal recovery", "0.70", f"{ratio:.2f}")]


if __name__ == "__main__":
    main()
