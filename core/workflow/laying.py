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
from core.workflow.planes import Above
from core.workflow.volumes import Asked, Standing, VolumeBox

REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
AS_THEY_LIE = "as_they_lie"
_MOST_REGISTRATIONS = 50


@dataclass(frozen=True, slots=True)
class Objects:
    """The stored objects of both series, and the registrations that may tell how they fit, the latest first."""

    below: Asked
    above: Asked | None = None
    registrations: Sequence[Image] = ()


@dataclass(frozen=True, slots=True)
class Laid:
    """A volume, and what is to be drawn over it."""

    below: Standing
    above: Above | None = None


def objects_of(work: Work, actor: Actor, uid: str, look: wire.VolumeLook, box: VolumeBox) -> Objects:
    """Return what a look needs, for somebody who may look at all of it."""
    below = volumes.asked(work, actor, uid, box)
    if not look.over:
        return Objects(below)
    above = volumes.asked(work, actor, look.over, box)
    if look.registration == "none":
        return Objects(below, above)
    if look.registration:
        return Objects(below, above, [viewing.image(work, actor, look.registration)])
    return Objects(below, above, _registrations(work, below.site, {*below.batches, *above.batches}))


def laid(box: VolumeBox, found: Objects, look: wire.VolumeLook) -> Laid:
    """Return the volumes of a look, and how the upper one lies on the lower.

    Raises
    ------
    Refused
        They make no volumes, or the registration asked for says nothing of them.
    """
    below = volumes.chosen(box.volumes(found.below), look.volume)
    if found.above is None:
        return Laid(below)
    above = volumes.chosen(box.volumes(found.above), look.over_volume)
    for row in found.registrations:
        transform = fitting(below.volume, above.volume, box.registration(row))
        if transform is not None:
            return Laid(below, Above(above, transform, row.sop_uid))
    if look.registration not in ("", "none"):
        raise Refused(f"registration {look.registration} says nothing of these two images")
    return Laid(below, Above(above, np.eye(4), AS_THEY_LIE, tuple(_doubts(below.volume, above.volume))))


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
