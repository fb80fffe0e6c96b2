"""Reads what an object says of itself, what a study has in common only once.

It says what `staged.read` says of the file: what is not plain is read by that. What is remembered is found by the very
bytes it was read from, so nothing ever goes stale.
"""

from __future__ import annotations

from dataclasses import replace
from mmap import ACCESS_READ, mmap

from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from core.archive.keeper import staged as staging
from core.archive.keeper.staged import Staged, Written
from core.dicom import frames, header, objects
from core.dicom.header import Found

_REMEMBERED = 512
_PIXEL_DATA = header.tag_of("PixelData")


class Readings:
    """What objects said that came lately."""

    def __init__(self) -> None:
        self._studies: dict[object, Staged] = {}
        self._series: dict[object, Staged] = {}

    def read(self, one: Written, descriptor: int, offset: int, syntax: str) -> Staged:
        """Read a file whose dataset begins at `offset` in a transfer syntax; raises as `staged.read` does."""
        if one.size <= offset:
            return staging.read(one)
        with mmap(descriptor, one.size, access=ACCESS_READ) as view:
            found = header.scan(view, offset, one.size, syntax)
        if found is None:
            return staging.read(one)
        return self._read(one, found, syntax)

    def _read(self, one: Written, found: Found, syntax: str) -> Staged:
        study = (syntax, one.aet, *header.shared_part(found))
        of_series = header.own_part(found, header.OF_THE_SERIES)
        if of_series is None:
            return _on_its_own(one, found, syntax)
        series = (study, *of_series.items())
        shared = self._series.get(series) or _in_study(self._studies.get(study), of_series)
        staged = _in_series(shared, one, found) or _on_its_own(one, found, syntax)
        self._remember(study, series, staged)
        return staged

    def _remember(self, study: object, series: object, staged: Staged) -> None:
        for known, key in ((self._studies, study), (self._series, series)):
            if len(known) > _REMEMBERED:
                known.clear()
            known[key] = staged


def _in_study(shared: Staged | None, own: dict[str, bytes]) -> Staged | None:
    """Say it of a series that has all else in common with an object read before."""
    said = objects.in_study(shared.identity, own) if shared else None
    if shared is None or said is None:
        return None
    day, moment = staging.date_of(own.get("SeriesDate", b"")), staging.time_of(own.get("SeriesTime", b""))
    return replace(shared, identity=said, series_date=day, series_time=moment)


def _in_series(shared: Staged | None, one: Written, found: Found) -> Staged | None:
    """Say it of an object that has all but its own in common with one read before."""
    own = header.own_part(found, header.OF_THE_OBJECT)
    said = objects.in_series(shared.identity, own) if shared and own is not None else None
    if shared is None or said is None or not said.sop_instance_uid:
        return None
    staging.demand_announced(one, said)
    return replace(
        shared, temporary=one.temporary, size=one.size, sha256=one.sha256, content_sha256=one.content_sha256,
        identity=said, received_at=one.received_at,
    )  # fmt: skip


def _on_its_own(one: Written, found: Found, syntax: str) -> Staged:
    dataset = header.dataset_of(found, syntax)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    if one.aet:
        dataset.file_meta.SourceApplicationEntityTitle = one.aet
    count = frames.frames_received(dataset, found.pixels.get(_PIXEL_DATA) or None)
    return staging.staged_of(one, dataset, count, pixels=bool(found.pixels))
