"""The viewer's questions over HTTP, as a console asks them: volumes, pictures, regions, curves, files to keep."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as Pictures
from pydicom import Dataset

from core import wire
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.dicom.volumes import Made, recon_tomo
from core.imaging import phantom
from core.imaging.volume import Volume, centred_affine
from core.vocabulary import Role
from core.workflow import staffing
from tests.peers.serving import OPERATOR, Department, serving
from tests.tables import HASHER

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

Ask = Callable[..., httpx.Response]
PASSWORD = "a password that is long enough"
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


class Objects:
    """What came from the cameras: a renogram, PET over CT, and a gated heart that was reconstructed."""

    def __init__(self, department: Department, folder: Path) -> None:
        self._numbers = itertools.count(1)
        rng = np.random.default_rng(3)
        petct = (*phantom.ct_slices(rng, slices=6).acquisitions, *phantom.pet_slices(rng, slices=6).acquisitions)
        slices = self._composed(petct, "FDG")
        [reno] = self._composed(phantom.renogram(rng, frames=12).acquisitions[:1], "MAG3")
        [like] = self._composed(phantom.flood(rng).acquisitions[:1], "CO57")
        self.slots = np.stack([rng.poisson(20 + 5 * slot, (8, 32, 32)) for slot in range(4)]).astype(np.float32)
        moments = tuple(f"slot {slot + 1}" for slot in range(4))
        gated = Volume(
            self.slots, centred_affine((8, 32, 32), (4, 4, 4)), unit="counts", modality="NM", moments=moments
        )
        made = Made("FBP", {}, (), "1", NOW, self.uid(), 5, "gated heart")
        heart = recon_tomo(gated, like, made, self.uid)
        self.ct, self.pet = dict.fromkeys(str(one.SeriesInstanceUID) for one in slices)
        self.reno, self.heart = str(reno.SOPInstanceUID), str(heart.SOPInstanceUID)
        self.first = str(slices[0].SOPInstanceUID)
        for number, one in enumerate([*slices, reno, heart]):
            path = folder / f"{number}.dcm"
            one.save_as(path, enforce_file_format=True)
            department.service.reception.receive(OPERATOR, department.service.keeper.stage_file(path, "CAM1"))

    def uid(self) -> str:
        return f"1.2.99.{next(self._numbers)}"

    def _composed(self, acquisitions: Any, tracer: str) -> list[Dataset]:  # noqa: ANN401 - of phantoms
        ordered = Ordered("P9", "Zhang^Wei", "19610304", "M", weight_kg=70, size_m=1.7)
        return compose(acquisitions, ordered, Camera("CAM1"), TRACERS[tracer], uid=self.uid, clock=lambda: NOW)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Objects, Ask]]:
    with serving(tmp_path_factory.mktemp("viewing")) as department:
        hashed = staffing.hashed(HASHER, PASSWORD)
        with department.records.writing() as work:
            for role in (Role.PHYSICIST, Role.CLERK):
                staffing.add(work, OPERATOR, role.value, [role], password_hash=hashed)
        objects = Objects(department, tmp_path_factory.mktemp("sent"))
        url = f"http://127.0.0.1:{department.service.http_port}/api/v1"
        with httpx.Client(base_url=url, timeout=60) as client:
            tokens = {
                role: client.post("session", json={"username": role, "password": PASSWORD}).json()["token"]
                for role in ("physicist", "clerk")
            }

            def ask(path: str, form: object = None, role: str = "physicist", **query: Any) -> httpx.Response:  # noqa: ANN401 - of a look
                headers = {"Authorization": f"Bearer {tokens[role]}"}
                if form is not None:
                    return client.post(path, json=form, headers=headers)
                return client.get(path, params=query, headers=headers)

            yield objects, ask


def test_a_volume_tells_its_planes_and_draws_them(room: tuple[Objects, Ask]) -> None:
    objects, ask = room
    told = wire.Volume.model_validate(ask(f"volumes/{objects.pet}").json())
    assert (told.grid[0], told.unit, told.modality) == (6, "SUVbw", "PT")
    for query in ({"plane": "coronal"}, {"plane": "mip", "angle": 40}, {"over": objects.ct, "over_map": "gray"}):
        picture = wire.Picture.model_validate(ask(f"volumes/{objects.pet}/picture", **query).json())
        assert picture.place is not None
        assert (picture.over is None) == ("over" not in query)


def test_a_gated_heart_beats_slot_by_slot(room: tuple[Objects, Ask]) -> None:
    objects, ask = room
    told = ask(f"volumes/{objects.heart}").json()
    assert len(told["moments"]) == 4
    totals = [
        ask(f"volumes/{objects.heart}/picture", plane="native", slice=3, moment=slot).json()["total"]
        for slot in range(4)
    ]
    assert totals == pytest.approx(objects.slots[:, 3].sum(axis=(1, 2)), rel=1e-3)
    for scale, windows in (("own", 4), ("series", 1)):  # a beating heart does not flicker
        shown = [
            ask(f"volumes/{objects.heart}/picture", plane="native", moment=slot, scale=scale, auto="maximum").json()
            for slot in range(4)
        ]
        assert len({one["window"]["upper"] for one in shown}) == windows
    region = {"shape": "rectangle", "points": [[4, 4], [20, 20]]}
    curves = ask(f"volumes/{objects.heart}/curves", {"regions": [region], "plane": "native", "slice": 3}).json()
    assert curves["curves"][0]["values"] == pytest.approx(objects.slots[:, 3, 4:20, 4:20].sum(axis=(1, 2)), rel=1e-3)


def test_regions_and_curves_are_measured_on_what_was_counted(room: tuple[Objects, Ask]) -> None:
    objects, ask = room
    region = {"name": "left", "shape": "ellipse", "points": [[40, 20], [80, 60]]}
    measured = wire.Measured.model_validate(ask(f"images/{objects.reno}/regions", {**region, "frame": 4}).json())
    curves = wire.Curves.model_validate(ask(f"images/{objects.reno}/curves", {"regions": [region]}).json())
    assert curves.curves[0].values[4] == measured.total
    assert curves.times_s[0] == 10.0
    line = {"shape": "line", "points": [[1, 1], [1, 11]], "plane": "axial", "slice": 2}
    assert ask(f"volumes/{objects.pet}/regions", line).json()["length_mm"] == pytest.approx(40.0)
    none = ask(f"images/{objects.reno}/regions", {"shape": "polygon", "points": [[1, 1], [5, 5]]})
    assert (none.status_code, "a polygon has 3 points" in none.json()["detail"]) == (422, True)


def test_pictures_are_kept_as_files(room: tuple[Objects, Ask]) -> None:
    objects, ask = room
    for path, query, frames in (
        (f"images/{objects.reno}/export", {"format": "apng"}, 12),
        (f"volumes/{objects.heart}/export", {"format": "apng", "cine": "moments", "plane": "native"}, 4),
        (f"volumes/{objects.pet}/export", {"over": objects.ct, "over_map": "gray"}, 1),
    ):
        answer = ask(path, rows=90, columns=90, **query)
        assert answer.headers["content-type"] == f"image/{query.get('format', 'png')}"
        with Pictures.open(io.BytesIO(answer.content)) as opened:
            assert getattr(opened, "n_frames", 1) == frames


def test_a_header_is_searched(room: tuple[Objects, Ask]) -> None:
    objects, ask = room
    [row] = ask(f"images/{objects.reno}/header", search="patient id").json()
    assert (row["keyword"], row["value"]) == ("PatientID", "P9")


def test_slices_of_one_series_share_a_scale_where_asked(room: tuple[Objects, Ask]) -> None:
    objects, ask = room
    alone, series = (ask(f"images/{objects.first}/picture", scale=scale).json() for scale in ("own", "series"))
    assert wire.Picture.model_validate(series).window.upper >= alone["window"]["upper"]


def test_who_may_not_see_images_sees_no_volume(room: tuple[Objects, Ask]) -> None:
    objects, ask = room
    for path in (f"volumes/{objects.pet}", f"volumes/{objects.pet}/picture", f"images/{objects.reno}/export"):
        assert ask(path, role="clerk").status_code == 403
    assert ask("volumes/9.9.9").status_code == 404
    assert ask(f"volumes/{objects.reno}").status_code == 409  # a renogram has no depth
    assert ask(f"volumes/{objects.pet}/picture", plane="oblique").status_code == 422
