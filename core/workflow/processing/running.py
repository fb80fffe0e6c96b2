"""Run the job of a processing: gather its images, have it made, put away what was made.

A job may be run again after any crash. What is made twice is put in the place of what was made before, and a row that
moved on meanwhile is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlmodel import col, select

from core import course
from core.archive import conversions
from core.errors import Broken, Refused
from core.model import Batch, Exam, Image, Processing, Series
from core.records import Records, Work
from core.vocabulary import ProcessingState, Recipe
from core.workflow.processing.order import TASK, Order
from core.workflow.processing.recipes import form_of
from core.workflow.processing.shelf import Shelf
from core.workflow.queue import Ticket

_FIRST_SERIES = 1000


class Executor(Protocol):
    """Who has a task done: processes of this machine, or of others."""

    def run(
        self, task: str, argument: Mapping[str, Any], told: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """Return what the task returns, None when `stop` said so; Refused and Broken as the task raises them."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes what the rows ask for; `locate` tells where an object's file is."""

    records: Records
    locate: Callable[[Image], Path]
    shelf: Shelf
    executor: Executor
    version: str

    def run(self, ticket: Ticket) -> None:
        """Work off a job.

        Raises
        ------
        Refused
            The images do not allow it.
        Broken
            It could not be done here and now.
        """
        number = int(ticket.payload["processing"])
        order = self._order(number, ticket)
        if order is None:
            return
        ticket.progress(0, 1)
        made = self.executor.run(TASK, order.as_json(), ticket.progress, ticket.cancelled)
        if made is None or ticket.cancelled():
            return
        try:
            self.shelf.put(number, order.folder)
        except OSError as error:
            raise Broken(f"what was made could not be kept ({error.strerror}): look after the disk") from error
        with self.records.writing() as work:
            self._made(work, number, ticket.job_id, made)

    def _order(self, number: int, ticket: Ticket) -> Order | None:
        """Return what is to be made; None when the row needs nothing made any more."""
        with self.records.writing() as work:
            row = work.session.get(Processing, number)
            if row is None or row.job_id != ticket.job_id or row.state != ProcessingState.RUNNING:
                return None
            if not row.inputs:
                row.inputs, row.over = _chosen(work, row)
            row.version = self.version
            work.session.add(row)
            before = work.session.get(Processing, row.replaces) if row.replaces else None
            inputs, over = self._paths(work, row, row.inputs), self._paths(work, row, row.over)
            registrations = self._paths(work, row, _registrations(work, row)) if row.over else ()
            parameters = form_of(row.recipe).values({}, row.parameters)  # type: ignore[arg-type]  # checked when asked
            at = work.now
        folder = self.shelf.begin(number, ticket.attempt)
        return Order(
            Recipe(row.recipe), parameters, inputs, over, registrations, folder, self.version, at.astimezone(),
            _FIRST_SERIES + 10 * number, _left_by(before),
        )  # fmt: skip

    def _paths(self, work: Work, row: Processing, uids: Sequence[str]) -> tuple[Path, ...]:
        """Return where the objects can be read, the mended copies of mended ones."""
        found = select(Image).where(Image.site == row.site, col(Image.sop_uid).in_(uids))
        images = {image.sop_uid: image for image in work.session.exec(found)}
        for uid in uids:
            if uid not in images:
                raise Refused(f"object {uid} is not in the archive any more: ask for the processing again")
        return tuple(self.locate(one) for one in conversions.outgoing(work, [images[uid] for uid in uids]))

    def _made(self, work: Work, number: int, job_id: int, made: Mapping[str, Any]) -> None:
        row = work.session.get(Processing, number)
        if row is None or row.job_id != job_id or row.state != ProcessingState.RUNNING:
            return
        row.stages, row.results, row.numbers = made["stages"], made["results"], made["numbers"]
        row.warnings, row.said, row.made_at = made["warnings"], made["said"], work.now
        row.done = row.total = 1
        course.move_processing(work, row, ProcessingState.MADE)
        course.settle(work, work.session.get_one(Exam, row.exam_id))  # its images may have been taken away meanwhile


def _left_by(before: Processing | None) -> dict[str, Any]:
    """Return what a pipeline may use again of what is replaced: all its parameters, and the numbers it found."""
    if before is None or not before.made_at:
        return {}
    parameters = form_of(before.recipe).values({}, before.parameters)  # type: ignore[arg-type]  # checked when asked
    return {"parameters": parameters, "numbers": before.numbers}


def _registrations(work: Work, row: Processing) -> list[str]:
    """Return the registrations filed to the patient, the latest first."""
    exam = work.session.get_one(Exam, row.exam_id)
    theirs = select(Exam.id).where(col(Exam.patient_id).in_(course.one_person(work, exam.patient_id)))
    found = select(Image.sop_uid).join(Series, col(Series.id) == Image.series_id)
    found = found.join(Batch, col(Batch.id) == Image.batch_id).where(Image.site == row.site, Series.modality == "REG")
    found = found.where(col(Batch.exam_id).in_(theirs), Batch.state == "filed")
    return list(work.session.exec(found.order_by(col(Image.id).desc())))


# -- which images ----------------------------------------------------------------------------------------------------


def _chosen(work: Work, row: Processing) -> tuple[list[str], list[str]]:
    """Return the images a recipe takes of the exam when none are named; there must be no choice.

    Raises
    ------
    Refused
        There is none, or more than one.
    """
    exam = work.session.get_one(Exam, row.exam_id)
    series = _series(work, exam)
    if row.recipe == Recipe.SPECT:
        scans = [[uid] for one in series for uid in one.scans]
        return _only(scans, exam, "NM TOMO projections"), list(row.over)
    emission = [one.uids for one in series if one.modality == "PT" or one.slices]
    anatomy = [one.uids for one in series if one.modality in {"CT", "MR"}]
    inputs = _only(emission, exam, "series of NM or PET slices")
    return inputs, list(row.over) or ([] if row.recipe == Recipe.LESION else _only(anatomy, exam, "CT or MR series"))


def _only(found: list[list[str]], exam: Exam, what: str) -> list[str]:
    if not found:
        raise Refused(f"{exam.accession} has no {what}: name the images to take, or do without this processing")
    if len(found) > 1:
        raise Refused(f"{exam.accession} has {len(found)} {what}: name the one to take")
    return found[0]


@dataclass(slots=True)
class _Series:
    modality: str
    uids: list[str]
    scans: list[str]
    slices: bool = False


def _series(work: Work, exam: Exam) -> list[_Series]:
    """Return the exam's series in the order of their numbers, and what their objects are."""
    found = select(Image, Series).join(Series, col(Series.id) == Image.series_id)
    found = found.join(Batch, col(Batch.id) == Image.batch_id).where(Batch.exam_id == exam.id, Batch.state == "filed")
    kept: dict[int | None, _Series] = {}
    for image, series in work.session.exec(found.order_by(col(Series.number), col(Image.number), col(Image.id))):
        one = kept.setdefault(series.id, _Series(series.modality, [], []))
        one.uids.append(image.sop_uid)
        if "TOMO" in image.image_type and "RECON" not in image.image_type:
            one.scans.append(image.sop_uid)
        if "RECON" in image.image_type and "TRANSVERSE" in _description(series):
            one.slices = True
    return list(kept.values())


def _description(series: Series) -> str:
    return series.description.upper()
