"""Lay one series over another: by the registration asked for, by the latest stored one, else as they lie.

A registration is one of the same patient's objects that names both images, by their objects or by their frames of
reference. Images of different frames of reference without one are shown as they lie, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlmodel import col, select

from core import wire
from core.access import Actor
from core.dicom.volumes.registration import Registered
from core.errors import Refused
from core.imaging.volume import Affine, Volume
from core.model import Batch, Exam, Image
from core.records import Work
from core.workflow import viewing, volumes
from core.workflow.planes import Above, point_of
from core.workflow.volumes import Asked, Standing, VolumeBox

REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
AS_THEY_LIE = "as_they_lie"
_MOST_REGISTRATIONS = 50


@dataclass(frozen=True, slots=True)
class Objects:
    """The series a look speaks of, and the registrations that may tell how they fit, the latest first.

    `pointed` is the one in whose millimetres the place is told.
    """

    below: Asked
    above: Asked | None = None
    pointed: Asked | None = None
    registrations: Sequence[Image] = ()


@dataclass(frozen=True, slots=True)
class Laid:
    """A volume, what is to be drawn over it, and the look with its place in the volume's own millimetres."""

    below: Standing
    look: wire.VolumeLook
    above: Above | None = None
    notes: tuple[str, ...] = ()


def objects_of(work: Work, actor: Actor, uid: str, look: wire.VolumeLook, box: VolumeBox) -> Objects:
    """Return what a look needs, for somebody who may look at all of it."""
    below = volumes.asked(work, actor, uid, box)
    above = volumes.asked(work, actor, look.over, box) if look.over else None
    elsewhere = look.at and look.at_in and look.at_in != uid
    pointed = volumes.asked(work, actor, look.at_in, box) if elsewhere else None
    if look.registration == "none" or (above is None and pointed is None):
        return Objects(below, above, pointed)
    if look.registration:
        return Objects(below, above, pointed, [viewing.image(work, actor, look.registration)])
    batches = {batch for one in (below, above, pointed) if one for batch in one.batches}
    return Objects(below, above, pointed, _registrations(work, below.site, batches))


def laid(box: VolumeBox, found: Objects, look: wire.VolumeLook) -> Laid:
    """Return the volumes of a look, how the upper one lies on the lower, and where its place is.

    Raises
    ------
    Refused
        They make no volumes, or the registration asked for says nothing of them.
    """
    below = volumes.chosen(box.volumes(found.below), look.volume)
    above: Above | None = None
    notes: tuple[str, ...] = ()
    if found.pointed is not None:
        pointed = volumes.chosen(box.volumes(found.pointed), 0)
        transform, _, notes = _fit(box, pointed.volume, below.volume, found.registrations)
        place = (transform @ np.append(point_of(look.at or ""), 1.0))[:3]
        look = look.model_copy(update={"at": ",".join(f"{one:.4f}" for one in place)})
    if found.above is not None:
        over = volumes.chosen(box.volumes(found.above), look.over_volume)
        transform, how, doubts = _fit(box, below.volume, over.volume, found.registrations)
        if look.registration not in ("", "none", how):
            raise Refused(f"registration {look.registration} says nothing of these two images")
        above, notes = Above(over, transform, how), (*notes, *doubts)
    return Laid(below, look, above, tuple(dict.fromkeys(notes)))


def _fit(
    box: VolumeBox, one: Volume, other: Volume, registrations: Sequence[Image]
) -> tuple[Affine, str, tuple[str, ...]]:
    """Return what takes one volume's millimetres to another's, what told it, and what is to be doubted."""
    for row in registrations:
        transform = fitting(one, other, box.registration(row))
        if transform is not None:
            return transform, row.sop_uid, ()
    return np.eye(4), AS_THEY_LIE, tuple(_doubts(one, other))


def fitting(below: Volume, above: Volume, registered: Sequence[Registered]) -> Affine | None:
    """Return what takes the lower volume's millimetres to the upper one's; none where nothing is said of both."""
    lower, upper = _of(below, registered), _of(above, registered)
    if lower is None or upper is None or lower is upper:
        return None
    return np.asarray(np.linalg.inv(upper.matrix) @ lower.matrix)


def _of(volume: Volume, registered: Sequence[Registered]) -> Registered | None:
    """Return what is said of a volume: by its objects, else of its frame of reference."""
    by_objects = [one for one in registered if one.objects.intersection(volume.sources)]
    by_frame = [
        one for one in registered if one.frame_of_reference and one.frame_of_reference == volume.frame_of_reference
    ]
    return next(iter(by_objects), by_frame[0] if len(by_frame) == 1 else None)


def _doubts(below: Volume, above: Volume) -> Iterator[str]:
    if not below.frame_of_reference or below.frame_of_reference != above.frame_of_reference:
        yield "the images have different frames of reference and no registration: they are shown as they lie"


def _registrations(work: Work, site: str, ids: set[int]) -> list[Image]:
    """Return the registrations in the studies and exams of these batches' patients, the latest first."""
    batches = work.session.exec(select(Batch).where(col(Batch.id).in_(ids))).all()
    exams = {batch.exam_id for batch in batches if batch.exam_id is not None}
    patients = select(Exam.patient_id).where(col(Exam.id).in_(exams))
    theirs = select(Exam.id).where(col(Exam.patient_id).in_(patients))
    found = select(Image).join(Batch, col(Batch.id) == Image.batch_id)
    found = found.where(Image.sop_class == REGISTRATION, Image.site == site)
    found = found.where(
        col(Batch.study_uid).in_({batch.study_uid for batch in batches}) | col(Batch.exam_id).in_(theirs)
    )
    latest = found.order_by(col(Image.received_at).desc(), col(Image.id).desc()).limit(_MOST_REGISTRATIONS)
    return list(work.session.exec(latest).all())
