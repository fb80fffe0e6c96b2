"""What is asked over DICOMweb: objects by their UIDs, and answers to a search.

The rights are those of the viewer: who may look at images finds and retrieves them, an outside reader those of their
own cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from sqlmodel import col, select

from core import access, audit
from core.access import Actor
from core.archive import conversions, index
from core.dicom import matching
from core.dicom.information_models import STUDY_ROOT
from core.errors import Broken, Invalid, NotFound
from core.model import Batch, Exam, Image, Series, Study
from core.records import Work
from core.vocabulary import Extent, Operation

_MATRIX = ("Rows", "Columns", "BitsAllocated")
_AT_ONCE = 500
Answer = dict[int, str]
"""An answer to a search: what is known of each attribute, by tag, its values parted by backslashes."""
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID = 0x0020000D, 0x0020000E, 0x00080018


@dataclass(frozen=True)
class Place:
    """What a URL names: a study, one of its series, or one object."""

    study: str
    series: str = ""
    instance: str = ""

    def __str__(self) -> str:
        """Name it for a person."""
        level = "object" if self.instance else "series" if self.series else "study"
        return f"{level} {self.instance or self.series or self.study}"


@dataclass(frozen=True)
class Found:
    """A stored object and the series it belongs to."""

    row: Image
    study: str
    series: str
    modality: str

    @property
    def place(self) -> Place:
        """Where it is found."""
        return Place(self.study, self.series, self.row.sop_uid)


# -- retrieving ------------------------------------------------------------------------------------------------------


def objects(work: Work, actor: Actor, place: Place) -> list[Found]:
    """Return the objects of a place in the order of series and instance numbers.

    Raises
    ------
    NotFound
        Nothing of that name has arrived at the actor's site.
    """
    found: Any = select(Image, Study.uid, Series.uid)  # SQLModel types no select of five
    found = found.add_columns(col(Series.modality), col(Batch.exam_id))
    found = found.join(Series, col(Series.id) == Image.series_id).join(Study, col(Study.id) == Series.study_id)
    found = found.join(Batch, col(Batch.id) == Image.batch_id)
    found = found.where(Image.site == actor.site, Study.uid == place.study)
    if place.series:
        found = found.where(Series.uid == place.series)
    if place.instance:
        found = found.where(Image.sop_uid == place.instance)
    ordered = found.order_by(col(Series.number), col(Series.uid), col(Image.number), col(Image.sop_uid))
    rows = work.session.exec(ordered).all()
    if access.reach(actor, Operation.VIEW_IMAGES) is not Extent.ALL:
        own = bool(rows) and {exam for *_, exam in rows} <= set(_own_exams(work, actor))
        access.require(actor, Operation.VIEW_IMAGES, own=own)
    if not rows:
        raise NotFound(f"no {place} has arrived")
    going = conversions.outgoing(work, [row for row, *_ in rows])
    return [Found(row, *said) for row, (_, *said, _) in zip(going, rows, strict=True)]


def retrieved(work: Work, actor: Actor, place: Place) -> list[Found]:
    """Return the objects of a place for somebody who takes their files away, and note that in the audit trail."""
    found = objects(work, actor, place)
    audit.record(work, actor, "object.retrieve", place.study, objects=len(found), by="dicomweb")
    return found


def _own_exams(work: Work, actor: Actor) -> Sequence[int | None]:
    return work.session.exec(select(Exam.id).where(Exam.site == actor.site, Exam.assigned_to == actor.name)).all()


# -- searching -------------------------------------------------------------------------------------------------------


def search(work: Work, actor: Actor, keys: Dataset, offset: int, limit: int) -> list[Answer]:
    """Return `limit` of what answers the keys from `offset` on, in an order that stays the same.

    Raises
    ------
    Invalid
        A key is malformed; the message says which.
    """
    access.require(actor, Operation.VIEW_IMAGES, own=True)
    wrong = matching.problems(keys, STUDY_ROOT)
    if wrong:
        raise Invalid(wrong[0])
    if access.reach(actor, Operation.VIEW_IMAGES) is Extent.OWN and not _narrowed(work, actor, keys):
        return []
    tags, found = index.held(keys), index.find(work, keys, STUDY_ROOT, actor.site)
    return [dict(zip(tags, texts, strict=True)) for texts in islice(found, offset, offset + limit)]


def left_aside(keys: Dataset, asked: Iterable[int]) -> list[int]:
    """Return what was asked for and is not searched by at the level of the keys, since no table holds it."""
    held = set(index.held(keys))
    return [tag for tag in asked if tag not in held]


def _narrowed(work: Work, actor: Actor, keys: Dataset) -> bool:
    """Narrow the keys to the studies of somebody's own cases; tells whether anything is left to search."""
    mine = set(_own_exams(work, actor))
    exams: dict[str, set[int | None]] = {}
    for uid, exam in work.session.exec(_batches_beside(actor, mine)):
        exams.setdefault(uid, set()).add(exam)
    own = {uid for uid, theirs in exams.items() if theirs <= mine}
    asked = {uid for uid in _values(keys.get("StudyInstanceUID")) if uid}
    left = sorted(own & asked if asked else own)
    keys.StudyInstanceUID = left
    return bool(left)


def _batches_beside(actor: Actor, exams: set[int | None]) -> Any:  # noqa: ANN401 - SQLModel's selects differ in type
    """Select the batches of every study that has one of these exams' images, whoever else has a share in it."""
    theirs = select(Batch.study_uid).where(Batch.site == actor.site, col(Batch.exam_id).in_(exams))
    return select(Batch.study_uid, Batch.exam_id).where(Batch.site == actor.site, col(Batch.study_uid).in_(theirs))


def _values(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | pydicom.multival.MultiValue) else [str(value or "")]


def with_matrix(work: Work, actor: Actor, answers: Sequence[Answer], locate: Callable[[Image], Path]) -> None:
    """Say in answers at the level of objects how large their matrix is, which no table holds but every file."""
    uids = [answer[SOP_INSTANCE_UID] for answer in answers]
    for start in range(0, len(uids), _AT_ONCE):
        found = select(Image).where(Image.site == actor.site, col(Image.sop_uid).in_(uids[start : start + _AT_ONCE]))
        rows = {row.sop_uid: row for row in work.session.exec(found)}
        for answer in answers[start : start + _AT_ONCE]:
            answer.update(_matrix(rows[answer[SOP_INSTANCE_UID]], locate))


def _matrix(row: Image, locate: Callable[[Image], Path]) -> Answer:
    try:
        header = pydicom.dcmread(locate(row), stop_before_pixels=True, force=True, specific_tags=list(_MATRIX))
    except (Broken, OSError):
        return {}  # the answer tells of the object; retrieving it tells what is wrong with its file
    return {tag_for_keyword(one) or 0: str(header.get(one)) for one in _MATRIX if header.get(one) is not None}
