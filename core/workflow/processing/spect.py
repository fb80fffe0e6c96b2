"""SPECT: projections put right, reconstructed, smoothed, and cut along the axes of the heart.

Each step is kept to be looked at. Scatter is in the denominator of iterative methods and subtracted for
back-projection, which has no other way; attenuation is in the projector, or for back-projection Chang's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid
from scipy.spatial.transform import Rotation

from core.dicom.objects import read_header
from core.dicom.pixels import frames_of
from core.dicom.volumes import Acquired, acquired_in, recon_tomo, volume_of
from core.errors import Refused
from core.imaging import orientation
from core.imaging.orientation import HeartAxis
from core.imaging.reconstruction import attenuation, corrections, postfilters, review
from core.imaging.reconstruction.backprojection import filtered_backprojection
from core.imaging.reconstruction.filters import Filter, Window
from core.imaging.reconstruction.iterative import Method, Plan, reconstruct
from core.imaging.reconstruction.placing import map_from_ct
from core.imaging.reconstruction.priors import Potential, Prior
from core.imaging.reconstruction.projections import Projections
from core.imaging.reconstruction.projector import Resolution, projector
from core.imaging.volume import Volume
from core.workflow.processing.making import Product, Step, Stopwatch, Told, made_of
from core.workflow.processing.order import Order
from core.workflow.processing.recipes import FBP, MAP, MLEM, PER_CM

Body: TypeAlias = NDArray[np.float32]
Scans: TypeAlias = list[Projections]

_MOVED_BINS = 1.0
_AGREED_BINS = 0.5
"""Where most views lie farther off than this, the body is alike along the table and nothing can be said of motion."""
_NUCLIDES = {"TC99M": "TC-99M", "TL201": "TL-201", "I123": "I-123", "I131": "I-131", "GA67": "GA-67", "IN111": "IN-111"}


def make(order: Order, told: Told) -> Product:
    """Reconstruct one acquisition; gated ones slot by slot.

    Raises
    ------
    Refused, ValueError
        The images do not allow what is asked for.
    """
    if len(order.inputs) != 1:
        raise Refused(f"one object of projections is reconstructed at a time, not {len(order.inputs)}")
    watch = Stopwatch()
    acquired = acquired_in(order.inputs[0])
    product = Product(warnings=list(acquired.notes))
    watch.lap("read")
    product.said.append(f"energy window {acquired.main}, {len(acquired.projections[acquired.main])} time slots")
    scans = list(acquired.projections[acquired.main])
    _keep_projections(product, "projections", "Projections as acquired", scans)
    scans = _corrected(order, acquired, scans, product)
    _review(product, scans)
    watch.lap("corrected")
    bodies = _reconstructed(order, acquired, scans, product, told)
    bodies = [np.maximum(_smoothed(order, body, scans[0], product, first=n == 0), 0) for n, body in enumerate(bodies)]
    watch.lap("reconstructed")
    volume = acquired.volume(bodies)
    _keep_volume(product, "reconstructed", "Transverse slices", volume)
    _file(order, acquired, product, volume, "Transverse", 0)
    if order.flag("heart_axes"):
        _cut(order, acquired, product, volume)
        watch.lap("heart_axes")
    product.numbers |= {"took_s": watch.laps, "processor_s": watch.work}
    product.numbers["counts_kilo"] = round(sum(float(one.counts.sum(dtype=np.float64)) for one in scans) / 1000, 1)
    product.warnings = list(dict.fromkeys(product.warnings))
    return product


# -- corrections -----------------------------------------------------------------------------------------------------


def _corrected(order: Order, acquired: Acquired, scans: Scans, product: Product) -> Scans:
    before = scans
    if order.flag("uniformity"):
        flood = _flood(order)
        scans = [corrections.uniform(one, flood) for one in scans]
        product.said.append("uniformity by the flood")
    if order.flag("decay"):
        scans = _undecayed(acquired, scans, product)
    scans = _still(order, scans, product)
    scans = _centred(order, scans, product)
    scans = _scattered(order, acquired, scans, product)
    if any(one is not other for one, other in zip(scans, before, strict=True)):
        _keep_projections(product, "corrected", "Projections put right", scans)
    return scans


def _flood(order: Order) -> NDArray[np.float32]:
    for path in order.over:
        header = read_header(path)
        if "STATIC" in [str(part) for part in header.get("ImageType", [])]:
            return np.asarray(frames_of(path).array[0], np.float32)
    raise Refused("uniformity is to be put right, but no flood is named: name a STATIC NM object as the other image")


def _undecayed(acquired: Acquired, scans: Scans, product: Product) -> Scans:
    half_life = acquired.half_life_s
    if not half_life:
        product.warnings.append("decay is not put right: the object does not say the isotope or its half-life")
        return scans
    product.said.append(f"decay, half-life {half_life / 3600:.2f} h")
    return [corrections.undecayed(one, acquired.started_s, half_life) for one in scans]


def _together(scans: Scans) -> Projections:
    """Return all time slots as one: what the whole acquisition counted."""
    return scans[0] if len(scans) == 1 else replace(scans[0], counts=np.sum([one.counts for one in scans], axis=0))


def _still(order: Order, scans: Scans, product: Product) -> Scans:
    motion = corrections.motion_of(_together(scans))
    product.numbers["motion_across_bins"] = _rounded(motion.across)
    product.numbers["motion_down_rows"] = _rounded(motion.down)
    if order.flag("motion"):
        product.said.append(f"motion put right, the largest {motion.largest:.1f} pixels")
        return [corrections.still(one, motion) for one in scans]
    off = np.abs(motion.down)
    if float(off.max()) > _MOVED_BINS and float(np.median(off)) < _AGREED_BINS:
        product.warnings.append(
            f"a view lies {np.abs(motion.down).max():.1f} rows off: look at the linogram for motion"
        )
    return scans


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(one), 2) for one in values]


def _centred(order: Order, scans: Scans, product: Product) -> Scans:
    middle = (scans[0].bins - 1) / 2
    wanted = order.word("centre")
    if wanted == "camera":
        return scans
    centre = (
        middle + order.number("centre_bins") if wanted == "given" else corrections.centre_of_rotation(_together(scans))
    )
    product.numbers["centre_of_rotation_bins"] = round(centre - middle, 2)
    product.said.append(f"centre of rotation {centre - middle:+.2f} bins from the middle")
    return [corrections.centred(one, centre) for one in scans]


def _scattered(order: Order, acquired: Acquired, scans: Scans, product: Product) -> Scans:
    if order.word("scatter") == "none":
        return scans
    lower, upper = acquired.beside(acquired.main)
    if lower is None:
        raise Refused(f"object {acquired.sop_uid} has no energy window below {acquired.main} to take scatter from")
    width = acquired.windows
    below = acquired.projections[lower]
    above = acquired.projections[upper] if upper else (None,) * len(scans)
    product.said.append(f"scatter from the windows {lower}{f' and {upper}' if upper else ' alone'}")
    found = []
    for scan, low, high in zip(scans, below, above, strict=True):
        scatter = corrections.triple_energy_window(
            width[acquired.main].width_kev, low.counts, width[lower].width_kev,
            high.counts if high else None, width[upper].width_kev if upper else 0.0,
        )  # fmt: skip
        found.append(corrections.with_scatter(scan, scatter))
    return [corrections.without_scatter(one) for one in found] if order.word("method") == FBP else found


# -- reconstruction --------------------------------------------------------------------------------------------------


def _reconstructed(order: Order, acquired: Acquired, scans: Scans, product: Product, told: Told) -> list[Body]:
    lost = _attenuation(order, acquired, scans, product)
    if order.word("method") == FBP:
        return _back_projected(order, scans, lost, product, told)
    return _iterated(order, scans, lost, product, told)


def _back_projected(order: Order, scans: Scans, lost: Body | None, product: Product, told: Told) -> list[Body]:
    chosen = _filter(order, scans[0].pixel_mm)
    product.said.append(f"filtered back-projection, {chosen.says(scans[0].pixel_mm)}")
    product.numbers["cut_off_nyquist"] = round(chosen.cut_off, 4)
    product.numbers["cut_off_per_cm"] = round(chosen.cut_off_per_cm(scans[0].pixel_mm), 4)
    factors = None if lost is None else attenuation.chang(scans[0], lost)
    bodies = []
    for number, scan in enumerate(scans, 1):
        body = filtered_backprojection(scan, chosen)
        bodies.append(body if factors is None else body * factors)
        told(number, len(scans))
    return bodies


def _filter(order: Order, pixel_mm: float) -> Filter:
    cut_off = _of_nyquist(order.number("cut_off"), order.word("cut_off_unit"), pixel_mm)
    return Filter(
        Window(order.word("filter")), cut_off, order.number("order"), order.number("metz_power"),
        order.number("metz_fwhm_mm"),
    )  # fmt: skip


def _of_nyquist(cut_off: float, unit: str, pixel_mm: float) -> float:
    """Return a cut-off as a fraction of Nyquist; cycles/cm become one by the size of a pixel."""
    return cut_off * pixel_mm / 5.0 if unit == PER_CM else cut_off


def _iterated(order: Order, scans: Scans, lost: Body | None, product: Product, told: Told) -> list[Body]:
    plan = _plan(order)
    blur = (
        Resolution(order.number("intrinsic_mm"), order.number("collimator_slope")) if order.flag("resolution") else None
    )
    if blur and not len(scans[0].radius_mm):
        raise Refused("resolution by depth needs the radius of the rotation, and the object does not say it")
    camera = projector(scans[0], lost, blur)
    product.said.append(_said_of(plan, blur))
    bodies = []
    for number, scan in enumerate(scans):

        def so_far(done: int, of: int, before: int = number) -> None:
            told(before * of + done, of * len(scans))

        estimate = reconstruct(scan, camera, plan, told=so_far)
        product.warnings += estimate.warnings
        bodies.append(estimate.body)
    return bodies


def _plan(order: Order) -> Plan:
    method = order.word("method")
    prior = None
    if method == MAP:
        prior = Prior(Potential(order.word("prior")), order.number("beta"), order.number("edge"))
    return Plan(
        int(order.number("iterations")), 1 if method == MLEM else int(order.number("subsets")), prior,
        Method.ONE_STEP_LATE if order.flag("one_step_late") else Method.DE_PIERRO,
    )  # fmt: skip


def _said_of(plan: Plan, blur: Resolution | None) -> str:
    name = "MLEM" if plan.subsets == 1 else "OSEM"
    said = f"{name}, {plan.iterations} iterations" + (f" of {plan.subsets} subsets" if plan.subsets > 1 else "")
    if plan.prior:
        how = "one step late" if plan.method is Method.ONE_STEP_LATE else "De Pierro"
        prior = plan.prior
        said = (
            f"MAP ({how}), {prior.potential.replace('_', '-')} prior, beta {prior.beta:g}, edge {prior.edge:g}; {said}"
        )
    return said + (f", resolution {blur.intrinsic_mm:g} mm + {blur.slope:g} of depth" if blur else "")


# -- attenuation -----------------------------------------------------------------------------------------------------


def _attenuation(order: Order, acquired: Acquired, scans: Scans, product: Product) -> Body | None:
    """Return mu per mm in the geometry of the scan, None where it is left out."""
    wanted = order.word("attenuation")
    if wanted == "none":
        return None
    mu = _mu_per_mm(order, acquired)
    if wanted == "ct":
        found = map_from_ct(_ct(order), scans[0], mu, acquired.middle_mm)
        product.said.append(f"attenuation from CT, water {mu * 10:.3f}/cm")
        if not found.any():
            raise Refused("the CT lies elsewhere than the projections: coregister them first")
    else:
        first = filtered_backprojection(_together(scans), Filter(Window.HANN, 0.6))
        outline = attenuation.outline_of(np.maximum(first, 0), order.number("outline"))
        found = attenuation.uniform(outline, mu)
        product.said.append(f"uniform attenuation within the outline, {mu * 10:.3f}/cm")
    map_ = replace(acquired.volume([found]), unit="1/mm", moments=())
    _keep_volume(product, "attenuation", "Map of attenuation", map_)
    return found


def _mu_per_mm(order: Order, acquired: Acquired) -> float:
    given = order.number("mu_per_cm") / 10
    if given:
        return given
    nuclide = _NUCLIDES.get(acquired.nuclide.upper(), "")
    table = attenuation.NARROW_BEAM_PER_MM if order.word("scatter") != "none" else attenuation.BROAD_BEAM_PER_MM
    if nuclide not in table:
        raise Refused(f"the attenuation of water is not known for isotope '{acquired.nuclide}': give mu_per_cm")
    return table[nuclide]


def _ct(order: Order) -> Volume:
    slices = [path for path in order.over if read_header(path).get("Modality") == "CT"]
    if not slices:
        raise Refused("attenuation is to be taken from a CT, but none is named: name its series as the other image")
    return volume_of(slices)


# -- smoothing -------------------------------------------------------------------------------------------------------


def _smoothed(order: Order, body: Body, scan: Projections, product: Product, *, first: bool) -> Body:
    chosen = order.word("post_filter")
    voxel = (scan.pixel_mm, scan.pixel_mm, scan.slice_mm)
    if chosen == "none":
        return body
    if chosen == "gaussian":
        said, made = (
            f"Gaussian {order.number('post_fwhm_mm'):g} mm",
            postfilters.gaussian(body, order.number("post_fwhm_mm"), voxel),
        )
    else:
        cut_off = _of_nyquist(order.number("post_cut_off"), order.word("post_cut_off_unit"), scan.pixel_mm)
        window = Filter(Window(chosen), cut_off, order.number("post_order"), fwhm_mm=order.number("post_fwhm_mm"))
        said, made = window.says(scan.pixel_mm), postfilters.low_pass(body, window, voxel)
    if first:
        product.said.append(f"smoothed: {said}")
    return made


# -- the heart -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cut:
    name: str
    title: str
    place: int


_CUTS = (
    _Cut("short_axis", "Short axis, apex to base", 1),
    _Cut("vertical_long_axis", "Vertical long axis, septum to lateral wall", 2),
    _Cut("horizontal_long_axis", "Horizontal long axis, inferior to anterior wall", 3),
)


def _cut(order: Order, acquired: Acquired, product: Product, volume: Volume) -> None:
    """Find the heart's axis, move it as was said by hand, and cut slices; without a heart the slices stay whole."""
    try:
        axis = _moved(order, orientation.heart_axis(volume))
    except orientation.Unfound as error:
        product.warnings.append(f"no short and long axes: {error}")
        return
    product.numbers |= {
        "axis_base_mm": _rounded(axis.base_mm), "axis_apex_mm": _rounded(axis.apex_mm),
        "axis_radius_mm": round(axis.radius_mm, 1), "axis_certainty": round(axis.certainty, 2),
    }  # fmt: skip
    for cut in _CUTS:
        made: Volume = getattr(orientation, cut.name)(volume, axis)
        _keep_volume(product, cut.name, cut.title, made)
        _file(order, acquired, product, made, cut.title.partition(",")[0], cut.place)


def _moved(order: Order, axis: HeartAxis) -> HeartAxis:
    """Return the axis turned about its middle and moved, as was said by hand."""
    turn = Rotation.from_rotvec([order.number(f"axis_turn_{one}_deg") for one in "xyz"], degrees=True)
    move = np.asarray([order.number(f"axis_{one}_mm") for one in "xyz"])
    middle = (axis.base_mm + axis.apex_mm) / 2
    base, apex = (turn.apply(point - middle) + middle + move for point in (axis.base_mm, axis.apex_mm))
    return replace(axis, base_mm=np.asarray(base), apex_mm=np.asarray(apex))


# -- what is kept ----------------------------------------------------------------------------------------------------


def _keep_projections(product: Product, name: str, title: str, scans: Sequence[Projections]) -> None:
    counts = np.concatenate([one.counts for one in scans])
    voxel = (scans[0].pixel_mm, scans[0].slice_mm, scans[0].pixel_mm)
    product.steps.append(Step(name, title, counts, "projections", "counts", len(scans), voxel))


def _review(product: Product, scans: Scans) -> None:
    whole = _together(scans)
    product.steps.append(Step("sinogram", "Sinograms, row by row", review.sinograms(whole), "sinogram", "counts"))
    product.steps.append(Step("linogram", "Linogram", review.linogram(whole)[None], "linogram", "counts"))


def _keep_volume(product: Product, name: str, title: str, volume: Volume) -> None:
    moments = 1 if volume.array.ndim == 3 else len(volume.array)  # noqa: PLR2004 - (slice, row, column)
    array = volume.array.reshape(-1, *volume.grid[1:])
    product.steps.append(Step(name, title, array, "slices", volume.unit, moments, volume.voxel_mm))


def _file(order: Order, acquired: Acquired, product: Product, volume: Volume, what: str, place: int) -> None:
    header = acquired.header
    named = str(header.get("SeriesDescription", "") or "").strip()
    method = order.word("method").upper()
    made = made_of(order, f"MPR of {method}" if place else method, [header], f"{what} {named}".strip(), place)
    product.objects.append(recon_tomo(volume, header, made, generate_uid))
