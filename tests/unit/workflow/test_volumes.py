"""PET and CT of one patient are looked at in planes, from all sides, over each other, and measured."""

from __future__ import annotations

import base64
import io
import itertools
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures
from pydicom import Dataset

from core import wire
from core.access import Actor
from core.archive.keeper import Keeper
from core.archive.stores import LocalStore
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.dicom.volumes import Made, spatial_registration
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.imaging import phantom
from core.workflow import exporting, laying, measuring, planes, viewing, volumes
from core.workflow.reception import Reception
from core.workflow.viewing import LightBox
from core.workflow.volumes import Standing, VolumeBox
from tests.unit.workflow.arrivals import CLERK, DOCTOR, PHYSICIST, Arrivals

SLICES = 12


class Gantry:
    """A PET-CT of A1 has come, a gated heart of A2, both by C-STORE's way in."""

    def __init__(self, folder: Path) -> None:
        self.arrivals = Arrivals(folder)
        self.keeper = Keeper(LocalStore(folder / "archive"))
        self.reception = Reception(self.arrivals.records, self.keeper)
        self.box = VolumeBox(self.keeper.local)
        self.light_box = LightBox(self.keeper.local)
        self._numbers = itertools.count(1)
        rng = np.random.default_rng(1)
        pet = phantom.pet_slices(rng, slices=SLICES)
        self.truth = pet.truth
        self.sent = self.composed((*phantom.ct_slices(rng, slices=SLICES).acquisitions, *pet.acquisitions))
        for one in self.sent:
            self.receive(one)
        self.ct, self.pet = dict.fromkeys(str(one.SeriesInstanceUID) for one in self.sent)

    def uid(self) -> str:
        return f"1.2.88.{next(self._numbers)}"

    def composed(self, acquisitions: Any, tracer: str = "FDG") -> list[Dataset]:  # noqa: ANN401 - of phantoms
        ordered = Ordered(
            "P1", "Zhang^Wei", "19610304", "M", accession="A1", study_instance_uid="1.2.3.1", weight_kg=70, size_m=1.7
        )
        return compose(
            acquisitions, ordered, Camera("PETCT"), TRACERS[tracer], uid=self.uid,
            clock=lambda: datetime(2026, 3, 2, 8, tzinfo=UTC),
        )  # fmt: skip

    def receive(self, dataset: Dataset) -> str:
        path = Path(self.keeper.store.local("sent.dcm"))
        dataset.save_as(path, enforce_file_format=True)
        self.reception.receive(PHYSICIST, self.keeper.stage_file(path, "SPECT1"))
        return str(dataset.SOPInstanceUID)

    def standing(self, uid: str, actor: Actor = DOCTOR) -> Standing:
        with self.arrivals.records.reading() as work:
            asked = volumes.asked(work, actor, uid, self.box)
        return volumes.chosen(self.box.volumes(asked), 0)

    def laid(self, look: wire.VolumeLook) -> laying.Laid:
        with self.arrivals.records.reading() as work:
            found = laying.objects_of(work, DOCTOR, self.ct, look, self.box)
        return laying.laid(self.box, found, look)

    def picture(self, uid: str, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a look says
        return planes.picture(self.standing(uid), wire.VolumeLook(**said))

    def fused(self, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a look says
        look = wire.VolumeLook(over=self.pet, **said)
        found = self.laid(look)
        return planes.picture(found.below, found.look, found.above, found.notes)


@pytest.fixture(scope="module")
def gantry(tmp_path_factory: pytest.TempPathFactory) -> Gantry:
    return Gantry(tmp_path_factory.mktemp("gantry"))


def colours(picture: dict[str, Any]) -> NDArray[np.uint8]:
    pixels = np.frombuffer(zlib.decompress(base64.b64decode(picture["pixels"])), np.uint8)
    table = np.frombuffer(base64.b64decode(picture["colours"]), np.uint8).reshape(256, 3)
    return table[pixels.reshape(2 * picture["rows"], picture["columns"])]


def test_a_series_says_what_it_is_in_space(gantry: Gantry) -> None:
    with gantry.arrivals.records.reading() as work:
        asked = volumes.asked(work, DOCTOR, gantry.pet, gantry.box)
    told = volumes.described(gantry.pet, gantry.box.volumes(asked), 0)
    assert (told.modality, told.unit, told.volumes) == ("PT", "SUVbw", 1)
    assert told.grid[0] == SLICES
    assert "suvlbm" in told.units
    assert told.planes["axial"].slices == SLICES
    assert told.planes["coronal"].rows == SLICES
    assert len(told.sources) == SLICES


def test_every_picture_is_one_of_the_shape_that_travels(gantry: Gantry) -> None:
    for said in ({}, {"plane": "mip", "grid": 4}, {"plane": "sagittal", "grid": 6, "zoom": 2.0}):
        wire.Picture.model_validate(gantry.picture(gantry.pet, **said))
        wire.Picture.model_validate(gantry.fused(**said))


def test_three_planes_at_one_place_show_one_value(gantry: Gantry) -> None:
    middle = gantry.picture(gantry.pet)["place"]["at"]
    at = ",".join(f"{one + 3:.3f}" for one in middle)
    shown = [gantry.picture(gantry.pet, plane=plane, at=at) for plane in ("axial", "coronal", "sagittal")]
    assert len({one["value"] for one in shown}) == 1
    for one in shown:
        place = one["place"]
        row, column = place["cross"]
        there = np.array(place["corner"]) + row * np.array(place["down"]) + column * np.array(place["across"])
        flat = [axis for axis in range(3) if abs(place["down"][axis]) + abs(place["across"][axis]) > 1e-9]
        assert there[flat] == pytest.approx(np.array(place["at"])[flat], abs=1e-6)


def test_two_series_show_the_same_place_side_by_side(gantry: Gantry) -> None:
    at = ",".join(map(str, gantry.picture(gantry.pet, slice=4)["place"]["at"]))
    ct, pet = (gantry.picture(uid, at=at)["place"] for uid in (gantry.ct, gantry.pet))
    assert ct["at"] == pet["at"]
    assert ct["slices"] >= SLICES
    for place in (ct, pet):
        assert place["corner"][2] == pytest.approx(ct["at"][2], abs=4)


def test_uptake_is_told_in_the_unit_asked_for(gantry: Gantry) -> None:
    best, own = gantry.picture(gantry.pet, slice=4), gantry.picture(gantry.pet, slice=4, unit="own")
    assert (best["unit"], own["unit"]) == ("SUVbw", "BQML")
    factor = gantry.standing(gantry.pet).factors["suvbw"]
    assert best["maximum"] == pytest.approx(own["maximum"] * factor, rel=1e-5)
    assert 0.5 < best["maximum"] < 60
    with pytest.raises(Refused, match="SUVbw"):
        gantry.picture(gantry.ct, unit="suvbw")


def test_a_single_slice_of_pet_is_told_in_the_same_unit_as_its_volume(gantry: Gantry) -> None:
    uid = next(str(one.SOPInstanceUID) for one in gantry.sent if one.Modality == "PT")
    with gantry.arrivals.records.reading() as work:
        row = viewing.image(work, DOCTOR, uid)
        look = wire.Look(auto="maximum", scale="series")
        series = viewing.siblings(work, row, look, gantry.light_box)
        assert series is not None
        assert len(series.objects) == SLICES
    shown = gantry.light_box.picture(row, wire.Look(auto="maximum"))
    own = gantry.light_box.picture(row, wire.Look(auto="maximum", unit="own"))
    assert (shown["unit"], own["unit"]) == ("SUVbw", "BQML")
    factor = gantry.standing(gantry.pet).factors["suvbw"]
    assert shown["maximum"] == pytest.approx(float(str(own["maximum"])) * factor, rel=1e-5)
    scaled = gantry.light_box.picture(row, look, series)
    with gantry.arrivals.records.reading() as work:
        again = viewing.siblings(work, row, look, gantry.light_box)
    assert again == viewing.Siblings(series.key)  # known by now: nothing is looked up
    assert gantry.light_box.picture(row, look, again)["window"] == scaled["window"]
    whole = gantry.picture(gantry.pet, auto="maximum", scale="series")
    assert scaled["window"] == pytest.approx(whole["window"], rel=1e-4)


def test_a_window_may_be_that_of_the_slice_or_of_the_series_and_each_end_may_be_moved(gantry: Gantry) -> None:
    own = [gantry.picture(gantry.pet, slice=k, auto="maximum")["window"]["upper"] for k in (0, 5)]
    series = [gantry.picture(gantry.pet, slice=k, auto="maximum", scale="series")["window"]["upper"] for k in (0, 5)]
    assert own[0] != own[1]
    assert series[0] == series[1] >= max(own)
    moved = gantry.picture(gantry.pet, slice=5, upper=3.0)["window"]
    assert moved == {"lower": 0.0, "upper": 3.0}


def test_what_lies_over_is_seen_in_its_own_colours(gantry: Gantry) -> None:
    below = gantry.picture(gantry.ct, slice=5, rows=40, columns=80)
    both = gantry.fused(slice=5, rows=40, columns=80, blend=0.5)
    assert both["over"]["registration"] == "as_they_lie"
    assert both["over"]["unit"] == "SUVbw"
    assert both["notes"] == []  # one frame of reference
    gray, mixed = colours(below).astype(int), colours(both).astype(int)
    assert np.ptp(gray, axis=-1).max() == 0
    assert np.ptp(mixed, axis=-1).max() > 60
    assert both["window"] == below["window"]
    assert both["palette"] == "true_colour"


@pytest.mark.parametrize("said", [{"mode": "checkerboard"}, {"mode": "fused"}, {"plane": "mip", "angle": 30.0}])
def test_checkerboard_fusion_and_the_view_through_show_both(gantry: Gantry, said: dict[str, Any]) -> None:
    alone = {name: value for name, value in said.items() if name != "mode"}
    below = colours(gantry.picture(gantry.ct, slice=5, **alone))
    both = colours(gantry.fused(slice=5, **said))
    assert both.shape == below.shape
    assert (both != below).any(axis=-1).mean() > 0.03


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal", "native", "mip"])
@pytest.mark.parametrize("zoom", [1.0, 3.0])
def test_both_lie_pixel_upon_pixel(gantry: Gantry, plane: str, zoom: float) -> None:
    look = wire.VolumeLook.model_validate({"over": gantry.pet, "plane": plane, "zoom": zoom})
    found = gantry.laid(look)
    drawn = planes.drawn_by(found.below, look, found.above)
    assert drawn.upper is not None
    for below, above in zip(drawn.lower.tiles, drawn.upper.tiles, strict=True):
        assert (below.top, below.left, below.height, below.width) == (above.top, above.left, above.height, above.width)
    body = [np.argwhere(one.rgb.sum(axis=-1) > 60) for one in (drawn.lower, drawn.upper)]
    if zoom == 1:
        assert np.abs(body[0].min(axis=0) - body[1].min(axis=0)).max() <= 3
        assert np.abs(body[0].max(axis=0) - body[1].max(axis=0)).max() <= 3


def test_a_stored_registration_moves_what_lies_over(tmp_path: Path) -> None:
    gantry = Gantry(tmp_path)
    plain = gantry.fused(slice=5, over_map="gray", blend=1.0)
    ct = [one for one in gantry.sent if one.Modality == "CT"]
    pet = [one for one in gantry.sent if one.Modality == "PT"]
    moved = np.eye(4)
    moved[0, 3] = 40.0
    made = Made("test", {}, (), "1", datetime(2026, 3, 2, 9, tzinfo=UTC), gantry.uid(), 9, "registration")
    uid = gantry.receive(spatial_registration(moved, ct, pet, made, gantry.uid))
    shifted = gantry.fused(slice=5, over_map="gray", blend=1.0)
    assert shifted["over"]["registration"] == uid
    across = abs(40.0 / shifted["place"]["across"][0])
    one, other = (colours(each)[..., 0].astype(float) for each in (plain, shifted))
    rolled = np.roll(one, -round(across), axis=1)
    assert np.abs(rolled - other)[:, :60].mean() < 0.3 * np.abs(one - other)[:, :60].mean()
    here = gantry.laid(wire.VolumeLook(at="10,20,4", at_in=gantry.pet)).look.at
    assert [float(one) for one in str(here).split(",")] == [-30.0, 20.0, 4.0]  # PET's millimetres, in those of CT
    assert gantry.fused(slice=5, registration="none")["over"]["registration"] == "as_they_lie"
    assert gantry.fused(slice=5, registration=uid)["over"]["registration"] == uid
    with pytest.raises(Refused, match="says nothing of these two"):
        gantry.fused(slice=5, registration=str(pet[0].SOPInstanceUID))


def test_a_region_on_a_plane_says_where_its_hottest_voxel_lies(gantry: Gantry) -> None:
    standing = gantry.standing(gantry.pet)
    whole = [[0.0, 0.0], [float(size) for size in standing.cut("axial").grid[1:]]]
    for plane in ("axial", "mip"):
        asked = wire.MeasurePlane(shape="rectangle", points=whole, plane=plane, slice=5, angle=20)
        if plane == "mip":
            asked.points[1] = [float(size) for size in standing.projector(-1).cut(20).grid[1:]]
        told = measuring.on_plane(standing, asked)
        assert told.max_at_mm is not None
        value = planes.value_at(standing, -1, np.array(told.max_at_mm), "best")
        assert value == pytest.approx(told.max, rel=0.25 if plane == "mip" else 1e-6)
        assert told.unit == "SUVbw"


def test_a_film_loop_of_slices_and_of_a_turning_view_is_an_animated_png(gantry: Gantry) -> None:
    found = gantry.laid(wire.VolumeLook(over=gantry.pet))
    for said, frames in (({"cine": "slices", "last": 4}, 5), ({"cine": "turn", "plane": "mip", "angles": 6}, 6)):
        asked = wire.VolumeExport(rows=100, columns=120, format="apng", over=gantry.pet, **said)  # type: ignore[arg-type]
        with Pictures.open(io.BytesIO(exporting.of_volume(found.below, asked, found.above))) as opened:
            assert (opened.format, getattr(opened, "n_frames", 1)) == ("PNG", frames)
            assert max(opened.size) >= 100
    single = exporting.of_volume(found.below, wire.VolumeExport(rows=64, columns=64))
    with Pictures.open(io.BytesIO(single)) as opened:
        assert opened.size == (64, 64)


def test_what_is_not_there_is_said(gantry: Gantry) -> None:
    with pytest.raises(NotFound, match="no series or object"):
        gantry.standing("9.9.9")
    with pytest.raises(Invalid, match="there is no slice 99; the axial planes are 0 to 11"):
        gantry.picture(gantry.pet, slice=99)
    with pytest.raises(Invalid, match="there is no moment 3"):
        gantry.picture(gantry.pet, moment=3)
    with pytest.raises(Invalid, match="there is no palette"):
        gantry.picture(gantry.pet, map="purple")
    with pytest.raises(Invalid, match="write x,y,z"):
        gantry.picture(gantry.pet, at="1.1.1,2,3")
    with pytest.raises(Forbidden):
        gantry.standing(gantry.pet, CLERK)


def test_a_volume_is_read_once_and_the_box_stays_small(gantry: Gantry) -> None:
    assert gantry.standing(gantry.pet) is gantry.standing(gantry.pet)
    small = VolumeBox(gantry.keeper.local, held_bytes=1)
    with gantry.arrivals.records.reading() as work:
        for uid in (gantry.pet, gantry.ct):
            small.volumes(volumes.asked(work, DOCTOR, uid, small))
    assert len(small._held) == 1
