"""Send objects to another node: chosen once, written down as deliveries, sent by a job of the node's own lane.

Each delivery is marked once the node has answered, so that whatever breaks off goes on where it was. Nothing here holds
an object in memory longer than it takes to send it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlmodel import col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from core import access, audit, wire
from core.access import Actor
from core.archive import conversions
from core.errors import Broken, Invalid, NotFound, Refused
from core.model import Batch, Delivery, Exam, Image, Patient, SentPatient, Series, Study
from core.records import Records, Work
from core.scu.peer import Object, Peer, Sent
from core.vocabulary import DELIVERY_AFTER, BatchState, DeliveryState, Operation, may_follow
from core.workflow import commitment, devices, queue
from core.workflow.queue import Ticket

KIND = "send"
ATTEMPTS = 24  # with their pauses, about twenty hours
_AT_ONCE = 500
_WRITE_EVERY = 1.0
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_DATES = re.compile(r"(\d{8})?(-)?(\d{8})?")

# What KEY=VALUE may name of our own objects; values take * and ?, and StudyDate FROM-TO.
KEYS: dict[str, Any] = {
    "PatientID": SentPatient.patient_number,
    "PatientName": SentPatient.name,
    "AccessionNumber": Study.accession,
    "StudyInstanceUID": Study.uid,
    "StudyDate": Study.date,
    "StudyDescription": Study.description,
    "SeriesInstanceUID": Series.uid,
    "Modality": Series.modality,
    "SeriesDescription": Series.description,
    "SOPInstanceUID": Image.sop_uid,
    "SOPClassUID": Image.sop_class,
}


# -- what to send ----------------------------------------------------------------------------------------------------


def choose(work: Work, actor: Actor, query: Sequence[str]) -> list[str]:
    """Return the SOP Instance UIDs a query names, in the order of their arrival; refuse one that names nothing.

    A query is an accession number, a patient number or a Study Instance UID; or KEY=VALUE words, which all must hold.
    """
    access.require(actor, Operation.VIEW_IMAGES)
    if not query:
        raise Invalid("say what to send: an accession, a patient number, a Study UID, or KEY=VALUE")
    if any("=" in word for word in query):
        found = list(work.session.exec(_by_keys(actor.site, query)))
    else:
        found = [uid for word in query for uid in _by_word(work, actor.site, word)]
    if not found:
        raise NotFound("nothing in the archive answers to the query")
    return list(dict.fromkeys(found))


def _images(site: str) -> SelectOfScalar[str]:
    found = select(Image.sop_uid).join(Series, col(Series.id) == Image.series_id)
    found = found.join(Study, col(Study.id) == Series.study_id)
    found = found.join(SentPatient, col(SentPatient.id) == Study.sent_patient_id)
    return found.where(Image.site == site).order_by(col(Image.id))


def _by_keys(site: str, query: Sequence[str]) -> SelectOfScalar[str]:
    found = _images(site)
    for word in query:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS:
            raise Invalid(f"'{key}' is no key to choose by: write KEY=VALUE with one of {', '.join(KEYS)}")
        found = found.where(_holds(key, value))
    return found


def _holds(key: str, value: str) -> Any:  # noqa: ANN401 - a condition
    column = col(KEYS[key])
    if key == "StudyDate":
        return _within(value)
    if "*" in value or "?" in value:
        escaped = re.sub(r"([%_/])", r"/\1", value)
        return column.like(escaped.replace("*", "%").replace("?", "_"), escape="/")
    return column.in_(value.split("\\"))


def _within(value: str) -> Any:  # noqa: ANN401 - a condition
    dates = _DATES.fullmatch(value)
    if not value or dates is None:
        raise Invalid(f"'{value}' is no date: write StudyDate=20260301, or 20260301-20260331")
    first, to, last = dates.groups()
    if not to:
        return col(Study.date) == first
    return (col(Study.date) >= (first or "0")) & (col(Study.date) <= (last or "9"))


def _by_word(work: Work, site: str, word: str) -> Sequence[str]:
    """Look for what a word names: a study, then an exam by its accession, then a patient."""
    filed = select(Batch.id).where(Batch.site == site, Batch.state == BatchState.FILED)
    exam = filed.join(Exam, col(Exam.id) == Batch.exam_id)
    patient = exam.join(Patient, col(Patient.id) == Exam.patient_id)
    ways = [
        Study.uid == word if _UID.fullmatch(word) else None,
        or_(col(Image.batch_id).in_(exam.where(Exam.accession == word)), Study.accession == word),
        or_(col(Image.batch_id).in_(patient.where(Patient.number == word)), SentPatient.patient_number == word),
    ]
    for way in ways:
        found = [] if way is None else work.session.exec(_images(site).where(way)).all()
        if found:
            return found
    raise NotFound(f"nothing in the archive answers to '{word}': give an accession, a patient number or a Study UID")


def enqueue(work: Work, actor: Actor, aet: str, query: Sequence[str], *, commit: bool = False) -> wire.Job:
    """Queue objects to be sent to a known device; with `commit` it is asked to answer for them afterwards."""
    chosen = choose(work, actor, query)
    device = devices.named(work, aet)
    payload: dict[str, object] = {"aet": device.aet, "commit": commit}
    job = work.enqueue(actor.site, KIND, payload, lane=lane_of(device.aet), asked_by=str(actor), attempts=ATTEMPTS)
    job.total = len(chosen)
    rows = [
        {"site": actor.site, "job_id": job.id, "aet": device.aet, "sop_uid": uid, "state": "waiting", "comment": "",
         "transaction_uid": ""}
        for uid in chosen
    ]  # fmt: skip
    work.session.execute(insert(Delivery), rows)
    audit.record(work, actor, "images.send", device.aet, job=job.id, objects=len(chosen), commit=commit)
    return queue.shape(job)


def lane_of(aet: str) -> str:
    """Name the lane of a node: what goes to it goes one after the other."""
    return f"send:{aet}"


# -- the job ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sender:
    """Runs the jobs that send. `call` gives the peer of a device, `local` where an object's file is."""

    records: Records
    call: Callable[[wire.Device], Peer]
    local: Callable[[Image], Path]

    def run(self, ticket: Ticket) -> None:
        """Send what still waits of a job.

        Raises
        ------
        PeerFailed
            The node cannot be reached or breaks off: what it did not take is sent at the next attempt.
        Refused
            It refused some objects for good.
        """
        with self.records.writing() as work:
            peer = self.call(devices.shape(devices.named(work, str(ticket.payload["aet"]))))
            if ticket.attempt == 1:
                _wait_anew(work, ticket.job_id)
        book = _Book(self.records, ticket)
        try:
            for objects in self._pages(ticket, book):
                for sent in peer.send(objects):
                    book.note(sent)
                    if ticket.cancelled():
                        return
        finally:
            book.write()
        self._finish(ticket, peer)

    def _pages(self, ticket: Ticket, book: _Book) -> Iterator[list[Object]]:
        """Yield what still waits, some hundred at a time; what was lost meanwhile is noted as not sent."""
        after = 0
        while True:
            with self.records.reading() as work:
                deliveries = work.session.exec(_waiting(ticket.job_id, after)).all()
                uids = [one.sop_uid for one in deliveries]
                held = select(Image).where(col(Image.sop_uid).in_(uids), Image.site == ticket.site)
                images = {one.sop_uid: one for one in conversions.outgoing(work, work.session.exec(held))}
            if not deliveries:
                return
            after = deliveries[-1].id or 0
            yield [one for uid in uids if (one := self._object(uid, images.get(uid), book))]

    def _object(self, uid: str, image: Image | None, book: _Book) -> Object | None:
        """Return what is to be sent; what is lost is noted, and holds nothing else up."""
        try:
            if image is not None:
                return Object(image.sop_class, uid, image.transfer_syntax, self.local(image))
            lost = "it is no longer in the archive"
        except Broken as error:
            lost = error.detail
        book.note(Sent(uid, None, lost))
        return None

    def _finish(self, ticket: Ticket, peer: Peer) -> None:
        with self.records.writing() as work:
            counts = tally(work, ticket.job_id)
            ticket.result.update(counts)
            if ticket.payload.get("commit"):
                commitment.ask(work, ticket, peer.aet)
            refused = _first_refused(work, ticket.job_id)
        if refused is not None:
            status = "not sent" if refused.status is None else f"status {refused.status:04X}"
            said = f"{status}{': ' if refused.comment else ''}{refused.comment}"
            raise Refused(f"{peer.aet} did not take {counts[DeliveryState.REFUSED]} of {sum(counts.values())} ({said})")


class _Book:
    """Writes down what the node said, some at a time."""

    def __init__(self, records: Records, ticket: Ticket) -> None:
        self._records, self._ticket = records, ticket
        self._noted: list[Sent] = []
        self._written_at = time.monotonic()
        with records.reading() as work:
            counts = tally(work, ticket.job_id)
        self._of = sum(counts.values())
        self._done = self._of - counts[DeliveryState.WAITING]

    def note(self, sent: Sent) -> None:
        self._noted.append(sent)
        if len(self._noted) >= _AT_ONCE or time.monotonic() - self._written_at > _WRITE_EVERY:
            self.write()

    def write(self) -> None:
        if not self._noted:
            return
        with self._records.writing() as work:
            for state, kept in ((DeliveryState.SENT, True), (DeliveryState.REFUSED, False)):
                rows = [
                    {"uid": one.sop_instance, "said": one.status, "told": one.comment[:64]}
                    for one in self._noted
                    if one.kept is kept
                ]
                if rows:
                    _mark(work, self._ticket.job_id, state, rows)
        self._done += len(self._noted)
        self._noted, self._written_at = [], time.monotonic()
        self._ticket.progress(self._done, self._of)


def _mark(work: Work, job_id: int, state: DeliveryState, rows: Sequence[Mapping[str, str | int | None]]) -> None:
    """Move deliveries of a job by what the node said to each."""
    moved = update(Delivery).where(
        col(Delivery.job_id) == job_id, col(Delivery.sop_uid) == bindparam("uid"),
        or_(*(col(Delivery.state) == now for now in before(state))),
    )  # fmt: skip
    told = moved.values(state=state, status=bindparam("said"), comment=bindparam("told"), sent_at=work.now)
    work.session.connection().execute(told, rows)


def before(state: DeliveryState) -> list[DeliveryState]:
    """Return the states a delivery may come from."""
    return [now for now in DeliveryState if may_follow(DELIVERY_AFTER, now, state)]


def tally(work: Work, job_id: int) -> dict[str, int]:
    """Count a job's deliveries by state."""
    counted = select(Delivery.state, func.count()).where(Delivery.job_id == job_id).group_by(Delivery.state)
    return dict.fromkeys(map(str, DeliveryState), 0) | dict(work.session.exec(counted).all())


def _wait_anew(work: Work, job_id: int) -> None:
    """Let what was refused before be tried once more: somebody may have mended the node."""
    refused = (col(Delivery.job_id) == job_id, col(Delivery.state) == DeliveryState.REFUSED)
    work.session.execute(update(Delivery).where(*refused).values(state=DeliveryState.WAITING))


def _first_refused(work: Work, job_id: int) -> Delivery | None:
    refused = select(Delivery).where(Delivery.job_id == job_id, Delivery.state == DeliveryState.REFUSED)
    return work.session.exec(refused.order_by(col(Delivery.id)).limit(1)).first()


def _waiting(job_id: int, after: int) -> SelectOfScalar[Delivery]:
    found = select(Delivery).where(Delivery.job_id == job_id, Delivery.state == DeliveryState.WAITING)
    return found.where(col(Delivery.id) > after).order_by(col(Delivery.id)).limit(_AT_ONCE)
