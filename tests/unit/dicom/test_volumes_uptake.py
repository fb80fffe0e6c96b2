"""SUV by QIBA's rules, on reference objects whose answer is known; what is missing is named, not assumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from core.dicom.pixels import frames_of
from core.dicom.volumes import suv_factor
from core.errors import Refused
from core.imaging.grayscale import Body, Rescale, Window, decayed, painted
from core.imaging.palettes import PALETTES
from tests.volumetric import ct_series

SUV = Path(__file__).parents[4] / "shared" / "data" / "suv"


@pytest.mark.skipif(not SUV.is_dir(), reason="the reference objects are not beside this checkout")
@pytest.mark.parametrize("name", ["0_0", "1_0", "2_0", "2_1", "2_3", "3_0", "3_2", "4_0", "4_2"])
def test_a_reference_object_has_the_answers_it_was_made_for(name: str) -> None:
    dataset = pydicom.dcmread(SUV / f"dro_{name}.dcm")
    factor = suv_factor(dataset, "bw")
    values = np.unique(frames_of(dataset).array[0]) * factor
    half_a_word = factor * float(dataset.RescaleSlope) if float(dataset.RescaleSlope) < 1 else 0.0
    assert values[values > 0][[0, 1, -1]] == pytest.approx([0.20, 1.00, 4.00], abs=0.005 + half_a_word)


def _pet(**said: Any) -> Any:  # noqa: ANN401 - an object, values of any element
    """Return a PET slice of a man of 70 kg and 175 cm, given 370 MBq of FDG an hour before, corrected to its start."""
    one = ct_series(np.ones((1, 4, 4), np.int16), pet=True)[0]
    given = one.RadiopharmaceuticalInformationSequence[0]
    given.RadionuclideTotalDose, given.RadionuclideHalfLife = "370000000", "6586.2"
    given.RadiopharmaceuticalStartDateTime = "20261012083000"
    one.DecayCorrection, one.SeriesDate, one.AcquisitionDate = "START", "20261012", "20261012"
    one.SeriesTime = one.AcquisitionTime = "093000"
    for name, value in said.items():
        target = given if name.startswith("Radio") else one
        if value is None:
            target.pop(name, None)
        else:
            setattr(target, name, value)
    return one


_NAMED = ("Radiopharmaceutical", "RadiopharmaceuticalCodeSequence")
LEFT = 370e6 * decayed(3600, 6586.2)


def test_uptake_is_concentration_times_mass_over_the_dose_that_is_left() -> None:
    one = _pet()
    assert suv_factor(one, "bw") == pytest.approx(70_000 / LEFT, rel=1e-9)
    assert suv_factor(one, "lbm") == pytest.approx(56_520 / LEFT, rel=1e-6)
    assert suv_factor(one, "lbmj") == pytest.approx(9270 * 70_000 / (6680 + 216 * 70 / 1.75**2) / LEFT, rel=1e-6)


def test_lean_mass_of_women_has_coefficients_of_its_own() -> None:
    woman = Body(60, 1.65, "F")
    assert woman.lean_james_kg() == pytest.approx(1.07 * 60 - 148 * (60 / 165) ** 2)
    assert woman.lean_janmahasatian_kg() == pytest.approx(9270 * 60 / (8780 + 244 * 60 / 1.65**2))


@pytest.mark.parametrize(
    "said",
    [
        {"RadionuclideTotalDose": "370"},  # MBq
        {"RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": "083000"},
        {"SeriesTime": "120000", "RadionuclideHalfLife": None},  # written later: acquisition time counts
        {"TimezoneOffsetFromUTC": "+0800"},
    ],
)
def test_what_is_said_in_another_way_gives_the_same(said: dict[str, Any]) -> None:
    assert suv_factor(_pet(**said), "bw") == pytest.approx(70_000 / LEFT, rel=1e-4)


def test_a_dose_given_before_midnight_is_of_the_day_before() -> None:
    late = _pet(
        SeriesTime="003000", AcquisitionTime="003000", RadiopharmaceuticalStartDateTime=None,
        RadiopharmaceuticalStartTime="233000",
    )  # fmt: skip
    assert suv_factor(late, "bw") == pytest.approx(70_000 / LEFT, rel=1e-9)


def test_an_image_corrected_to_the_injection_takes_the_whole_dose() -> None:
    assert suv_factor(_pet(DecayCorrection="ADMIN"), "bw") == pytest.approx(70_000 / 370e6, rel=1e-9)


def test_counts_of_philips_are_turned_by_the_factor_beside_them() -> None:
    one = _pet(Units="CNTS")
    block = one.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "DS", "0.0005")
    assert suv_factor(one, "bw") == pytest.approx(0.0005)
    assert suv_factor(one, "lbm") == pytest.approx(0.0005 * 56.52 / 70, rel=1e-6)
    del one[0x70531000]
    block.add_new(0x09, "DS", "2.5")
    assert suv_factor(one, "bw") == pytest.approx(2.5 * 70_000 / LEFT, rel=1e-9)


def test_the_start_that_ge_keeps_counts_where_the_series_was_written_later() -> None:
    one = _pet(SeriesTime="120000", AcquisitionTime="094500")
    one.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20261012093000.00")
    assert suv_factor(one, "bw") == pytest.approx(70_000 / LEFT, rel=1e-9)


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"PatientWeight": None}, "weight is missing"),
        ({"PatientWeight": "0"}, "weight is missing"),
        ({"RadionuclideTotalDose": None}, "dose is missing"),
        ({"RadionuclideTotalDose": "0"}, "dose is missing"),
        ({"RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": None}, "time of injection is miss"),
        (dict.fromkeys(("RadionuclideHalfLife", "RadionuclideCodeSequence", *_NAMED)), "half-life"),
        ({"CorrectedImage": ["DECY"]}, "not corrected for attenuation"),
        ({"CorrectedImage": ["ATTN"]}, "not corrected for decay"),
        ({"DecayCorrection": "NONE"}, "Decay Correction is NONE"),
        ({"Units": "PROPCNTS"}, "Units are PROPCNTS"),
        ({"Units": "CNTS"}, "Units are CNTS"),
        ({"SeriesTime": None, "AcquisitionTime": None, "SeriesDate": None}, "time of the image is missing"),
        ({"RadiopharmaceuticalStartDateTime": "20261012113000"}, "given after the image began"),
        ({"Modality": "CT"}, "SUV is for PET images; this is CT"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(said: dict[str, Any], missing: str) -> None:
    with pytest.raises(Refused, match=missing):
        suv_factor(_pet(**said), "bw")


@pytest.mark.parametrize(
    ("said", "missing"), [({"PatientSize": None}, "height is missing"), ({"PatientSex": "O"}, "sex is missing")]
)
def test_lean_mass_needs_height_and_sex(said: dict[str, Any], missing: str) -> None:
    one = _pet(**said)
    assert suv_factor(one, "bw") > 0
    with pytest.raises(Refused, match=missing):
        suv_factor(one, "lbm")


def test_a_header_read_from_a_file_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    _pet().save_as(path, enforce_file_format=True)
    header = pydicom.dcmread(path, stop_before_pixels=True)
    assert isinstance(header, FileDataset)
    assert suv_factor(header, "bw") == pytest.approx(70_000 / LEFT, rel=1e-9)


# -- gray scale --------------------------------------------------------------------------------------------------------


def test_a_line_turns_stored_numbers_into_values() -> None:
    scale = Rescale(0.5, -3, "BQML")
    assert scale.values(np.asarray([0, 65535], np.uint16)).tolist() == [-3.0, 32764.5]
    assert not scale.plain
    assert Rescale().plain


def test_values_are_painted_between_the_ends_of_the_window() -> None:
    painted_values = painted(np.asarray([[-5.0, 0.0, 10.0, 99.0]]), Window(0, 10), "hot_iron")
    assert painted_values.shape == (1, 4, 3)
    assert painted_values[0, 0].tolist() == painted_values[0, 1].tolist() == PALETTES["hot_iron"][0].tolist()
    assert painted_values[0, 3].tolist() == PALETTES["hot_iron"][255].tolist()
