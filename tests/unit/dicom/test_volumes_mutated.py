"""Objects with elements missing, empty or turned to nonsense make volumes, or are refused; nothing else happens."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag

from core.dicom.volumes import (
    acquired_in,
    projected_in,
    recon_tomo,
    segmentation,
    spatial_registration,
    suv_factor,
    volumes_in,
    written_like,
)
from core.errors import Refused
from core.imaging import phantom
from core.imaging.volume import Volume
from tests.volumetric import ct_series, made, objects_of, uid_maker

MUTATIONS = 40
NONSENSE: dict[str, list[Any]] = {
    "DS": ["", "abc", "nan", "-1", "0", "1e308", ["1", "2", "3"]], "IS": ["", "x", "0", "-5", "99999999", "1.5"],
    "US": [0, 1, 65535, [1, 2, 3]], "CS": ["", "?", ["A", "B"]], "UI": ["", "1.2"], "TM": ["", "99"], "DA": ["", "x"],
    "AT": [0, [0x00540080, 0x00540010]], "LO": [""], "SH": [""],
}  # fmt: skip
PIXELS = 0x7FE0


@cache
def _source(name: str) -> Any:  # noqa: ANN401 - an object
    rng = np.random.default_rng(1)
    makers: dict[str, Callable[[], Any]] = {
        "TOMO": lambda: objects_of(phantom.heart_spect(rng).acquisitions)[0],
        "GATED TOMO": lambda: objects_of(phantom.gated_heart_spect(rng).acquisitions)[0],
        "DYNAMIC": lambda: objects_of(phantom.renogram(rng).acquisitions)[0],
        "CT": lambda: ct_series(np.ones((2, 4, 4), np.int16))[0],
        "PT": lambda: ct_series(np.ones((2, 4, 4), np.int16), pet=True)[0],
    }
    one = makers[name]()
    one.Rows = one.Columns = 4
    frames = int(one.get("NumberOfFrames", 1))
    one.PixelData = rng.integers(1, 50, frames * 16).astype("<u2").tobytes()
    return one


def _elements(dataset: Dataset) -> Iterator[tuple[Dataset, BaseTag]]:
    for element in dataset:
        yield dataset, element.tag
        if element.VR == "SQ":
            for one in element.value:
                yield from _elements(one)


def _mutated(name: str, chance: random.Random) -> Any:  # noqa: ANN401 - an object
    one = copy.deepcopy(_source(name))
    places = [place for place in _elements(one) if place[1].group != PIXELS]
    for dataset, tag in chance.sample(places, chance.choice((1, 1, 2, 3))):
        if tag not in dataset:
            continue
        vr = dataset[tag].VR
        how = chance.random()
        if how < 0.4:
            del dataset[tag]
        elif how < 0.55 or vr not in NONSENSE:
            dataset[tag].value = [] if vr == "SQ" else None
        else:
            said = chance.choice(NONSENSE[vr])
            kind = "LO" if said in ("abc", "x") else vr  # pydicom writes no such number; a stranger's program does
            dataset[tag] = DataElement(tag, kind, said, validation_mode=pydicom.config.IGNORE)
    if chance.random() < 0.1:
        one.PixelData = one.PixelData[: chance.randrange(len(one.PixelData))]
    return one


@pytest.fixture(autouse=True)
def _writes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)


def _done_or_refused(*attempts: Callable[[], object]) -> int:
    done = 0
    for attempt in attempts:
        with contextlib.suppress(Refused):
            attempt()
            done += 1
    return done


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom warns of the nonsense
@pytest.mark.parametrize("name", ["TOMO", "GATED TOMO", "DYNAMIC", "CT", "PT"])
def test_nonsense_in_a_header_is_refused_or_overcome(name: str, tmp_path: Path) -> None:
    chance, path, done = random.Random(name), tmp_path / "one.dcm", 0
    body = Volume(np.ones((2, 3, 4), np.float32), np.eye(4))
    new_uid = uid_maker("1.2.3")
    for _ in range(MUTATIONS):
        try:
            _mutated(name, chance).save_as(path, enforce_file_format=False)
        except (TypeError, ValueError, AttributeError, KeyError):
            continue  # what cannot be written cannot be sent
        done += _done_or_refused(lambda: volumes_in([path]), lambda: acquired_in(path), lambda: projected_in(path))
        header = pydicom.dcmread(path, force=True)
        done += _done_or_refused(
            lambda: suv_factor(header, "lbm"),  # noqa: B023 - called at once
            lambda: recon_tomo(body, header, made(), new_uid),  # noqa: B023 - as above
            lambda: written_like(body, header, made(), new_uid),  # noqa: B023 - as above
            lambda: spatial_registration(np.eye(4), [header], [header], made(), new_uid),  # noqa: B023 - as above
            lambda: segmentation({"a": body.array > 0}, body, header, made(), new_uid),  # noqa: B023 - as above
        )
    assert done > MUTATIONS
