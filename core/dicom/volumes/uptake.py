"""Standardised uptake of PET images, by the rules of QIBA's SUV profile (appendix G, vendor-neutral).

Nothing is assumed: where weight, dose, half-life or a time is missing, the factor is refused and the missing one named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from pydicom import Dataset

from core.dicom.elements import item, number, text, texts
from core.dicom.volumes.isotopes import isotope_of
from core.errors import Refused
from core.imaging.grayscale import Body, Sex, decayed

Kind = Literal["bw", "lbm", "lbmj"]

_PHILIPS, _GE = "Philips PET Private Group", "GEMS_PETD_01"
_LEAST_BQ = 100_000.0
"""A dose below this is written in MBq: nobody is given a tenth of a megabecquerel."""

_MASS_G: Mapping[str, Callable[[Body], float]] = {
    "BW": lambda body: body.weight_kg * 1000,
    "LBM": lambda body: body.lean_james_kg() * 1000,
    "LBMJAMES128": lambda body: body.lean_james_kg() * 1000,
    "LBMJANMA": lambda body: body.lean_janmahasatian_kg() * 1000,
    "BSA": lambda body: body.surface_m2() * 10_000,
}
"""By SUV Type (0054,1006), what the concentration is multiplied with over the dose: grams, or square centimetres."""

_TYPE: Mapping[Kind, str] = {"bw": "BW", "lbm": "LBMJAMES128", "lbmj": "LBMJANMA"}


def suv_factor(dataset: Dataset, kind: Literal["bw", "lbm", "lbmj"] = "bw") -> float:
    """Return what a value (after Rescale Slope) is multiplied with to be a SUV.

    Parameters
    ----------
    dataset
        Header of one PET image; its own times count, so each image of a dynamic series has its own factor.
    kind
        Per body weight, per lean body mass of James (128 for men), or per that of Janmahasatian.

    Raises
    ------
    Refused
        It is no PET image corrected for attenuation and decay, or something the factor needs is missing; it is named.
    """
    if text(dataset, "Modality") != "PT":
        raise Refused(f"SUV is for PET images; this is {text(dataset, 'Modality') or 'of no modality'}")
    body = _body(dataset)
    mass = _mass(body, _TYPE[kind])
    unit = text(dataset, "Units")
    if unit in {"GML", "CM2ML"}:
        said = "BSA" if unit == "CM2ML" else text(dataset, "SUVType") or "BW"
        return 1.0 if said == _TYPE[kind] else mass / _mass(body, said)
    if unit == "CNTS" and (factor := _private(dataset, _PHILIPS, 0x7053, 0x00)):
        return factor * mass / _mass(body, "BW")
    _corrected(dataset)
    if unit == "CNTS" and (activity := _private(dataset, _PHILIPS, 0x7053, 0x09)):
        return activity * mass / _dose_bq(dataset)
    if unit != "BQML":
        raise Refused(f"Units are {unit or 'missing'}: SUV needs Bq/ml, or the factor its maker keeps beside counts")
    return mass / _dose_bq(dataset)


def _body(dataset: Dataset) -> Body:
    weight, sex = number(dataset, "PatientWeight"), text(dataset, "PatientSex")
    if not weight or weight < 0:
        raise Refused("the patient's weight is missing: SUV needs it")
    said: Sex | None = "M" if sex == "M" else "F" if sex == "F" else None
    return Body(weight, number(dataset, "PatientSize") or None, said)


def _mass(body: Body, kind: str) -> float:
    if kind not in _MASS_G:
        raise Refused(f"SUV Type {kind} is not known here")
    try:
        found = _MASS_G[kind](body)
    except ValueError as missing:
        raise Refused(f"{missing}: SUV per {kind} needs it") from missing
    if found <= 0:
        raise Refused("the patient's weight and height contradict each other: no lean body mass follows")
    return found


def _corrected(dataset: Dataset) -> None:
    said = texts(dataset, "CorrectedImage")
    lacking = [name for name in ("ATTN", "DECY") if name not in said]
    if lacking:
        raise Refused(
            f"the image is not corrected for {' and '.join(_WORDS[name] for name in lacking)}: no SUV follows"
        )


_WORDS = {"ATTN": "attenuation", "DECY": "decay"}


def _dose_bq(dataset: Dataset) -> float:
    """Return the dose as it was at the moment the image is corrected to."""
    given = item(dataset, "RadiopharmaceuticalInformationSequence")
    dose = number(given, "RadionuclideTotalDose")
    if not dose or dose < 0:
        raise Refused("the dose is missing: Radionuclide Total Dose is empty")
    dose *= 1e6 if dose < _LEAST_BQ else 1.0
    correction = text(dataset, "DecayCorrection")
    if correction == "ADMIN":
        return dose
    if correction != "START":
        raise Refused(
            f"Decay Correction is {correction or 'missing'}: to which moment the image is corrected is not known"
        )
    half_life = isotope_of(dataset)[1]
    if not half_life or half_life < 0:
        raise Refused("the half-life of the isotope is missing")
    began = _began(dataset, half_life)
    elapsed = (began - _injected(given, began)).total_seconds()
    if elapsed < 0:
        raise Refused("the dose was given after the image began: one of the times is wrong")
    return dose * decayed(elapsed, half_life)


def _began(dataset: Dataset, half_life_s: float) -> datetime:
    """Return the moment the image is corrected to (QIBA): series time, unless the series was written later.

    Then it is what GE keeps, or follows from Frame Reference Time: that counts from the moment sought to the one at
    which the frame's mean activity was there, which lies shortly before its middle.
    """
    series, acquired = _moment(dataset, "Series"), _moment(dataset, "Acquisition")
    if series and (acquired is None or series <= acquired):
        return series
    if (own := _ge(dataset)) is not None:
        return own
    if acquired is None:
        raise Refused("the time of the image is missing: Series Time and Acquisition Time are empty")
    reference, frame = number(dataset, "FrameReferenceTime"), number(dataset, "ActualFrameDuration")
    if not reference or not frame:
        return acquired
    rate = math.log(2) / half_life_s
    mean = math.log(rate * frame / 1000 / -math.expm1(-rate * frame / 1000)) / rate
    return acquired + timedelta(seconds=mean - reference / 1000)


def _moment(dataset: Dataset, name: str) -> datetime | None:
    date, time = text(dataset, f"{name}Date"), text(dataset, f"{name}Time")
    return _when(date + time) if date and time else None


def _ge(dataset: Dataset) -> datetime | None:
    try:
        said = dataset.private_block(0x0009, _GE)[0x0D].value
        return _when(said.decode("ascii", "replace") if isinstance(said, bytes) else str(said))
    except (KeyError, ValueError):
        return None


def _injected(given: Dataset, began: datetime) -> datetime:
    if (whole := _when(text(given, "RadiopharmaceuticalStartDateTime"))) is not None:
        return whole
    at = _when(f"{began:%Y%m%d}{text(given, 'RadiopharmaceuticalStartTime')}")
    if at is None or not text(given, "RadiopharmaceuticalStartTime"):
        raise Refused("the time of injection is missing: Radiopharmaceutical Start Time is empty")
    return at if at <= began else at - timedelta(days=1)  # injected before midnight


def _when(said: str) -> datetime | None:
    """Return a date and time written as one; fractions and zone count for nothing here."""
    digits = said.partition(".")[0].partition("+")[0].partition("-")[0].ljust(14, "0")[:14]
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007 - both ends are in the object's own time
    except ValueError:
        return None


def _private(dataset: Dataset, creator: str, group: int, element: int) -> float | None:
    """Return a maker's own factor, None where it is absent or 0."""
    try:
        return float(dataset.private_block(group, creator)[element].value) or None
    except (KeyError, ValueError, TypeError):
        return None
