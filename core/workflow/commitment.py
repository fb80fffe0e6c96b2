"""Storage commitment (PS3.4 J): asking a node to answer for what it was sent, and answering for what we keep.

What we answer is not what the index says but what the files are: each is read again and its checksum compared. A
request is a job before it is acknowledged, so it outlives the service; the report goes out on the association of the
request while that stands, else on one of our own, tried again until it is heard.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Self

from pydicom import Dataset
from sqlmodel import col, select

from core import access, audit, wire
from core.access import Actor
from core.archive.proof import Acknowledged, Fault, again, faults_of
from core.archive.stores import Store
from core.errors import Invalid, NotFound
from core.model import Delivery, Image, Job
from core.records import Records, Work
from core.scu.peer import ALL_COMMITTED, Peer, commitment_report
from core.vocabulary import DELIVERY_AFTER, DeliveryState, JobState, may_follow
from core.workflow import devices, integrity
from core.workflow.queue import OPEN, Ticket

log = logging.getLogger(__name__)

ASK, ANSWER = "commit.ask", "commit.answer"
ATTEMPTS = 24
REPORT_WITHIN = 2.0  # seconds we listen on the association of the request itself
_AT_ONCE = 500
_ASKED_AGAIN = 3  # times
PROCESSING_FAILURE, NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0110, 0x0112, 0x0119  # PS3.3 C.14.1.1
_LONGEST_REQUEST = 100_000


# -- asking ----------------------------------------------------------------------------------------------------------


def ask(work: Work, ticket: Ticket, aet: str) -> None:
    """Queue requests for everything a job sent that nobody has answered for or been asked about."""
    sent = select(Delivery).where(
        Delivery.job_id == ticket.job_id, Delivery.state == DeliveryState.SENT, Delivery.transaction_uid == ""
    )
    rows = work.session.exec(sent.order_by(col(Delivery.id))).all()
    for start in range(0, len(rows), _AT_ONCE):
        transaction = work.new_uid()
        for row in rows[start : start + _AT_ONCE]:
            row.transaction_uid = transaction
        payload: dict[str, object] = {"aet": aet, "transaction_uid": transaction, "sent_by": ticket.job_id}
        work.enqueue(ticket.site, ASK, payload, lane=f"send:{aet}", attempts=ATTEMPTS)


def ask_again(work: Work, longer: timedelta) -> int:
    """Ask anew, a few times, for reports that were asked for longer ago and never came; return of how many objects."""
    found = select(Delivery).where(
        Delivery.state == DeliveryState.SENT, Delivery.transaction_uid != "", col(Delivery.sent_at) < work.now - longer
    )
    silent = groupby(work.session.exec(found.order_by(col(Delivery.transaction_uid))), attrgetter("transaction_uid"))
    rows_of = {transaction: list(rows) for transaction, rows in silent}
    asked = select(Job).where(Job.kind == ASK, Job.state == JobState.DONE, col(Job.finished_at) < work.now - longer)
    again = 0
    for job in work.session.exec(asked).all() if rows_of else ():
        rows = rows_of.get(str(job.arguments["transaction_uid"]), [])
        times = int(str(job.arguments.get("again", 0))) + 1
        if rows and times <= _ASKED_AGAIN:
            again += len(rows)
            _ask_about(work, job, rows, times)
    return again


def _ask_about(work: Work, job: Job, rows: Sequence[Delivery], times: int) -> None:
    """Queue one more request for what is left of an earlier one."""
    transaction = work.new_uid()
    for row in rows:
        row.transaction_uid = transaction
        work.session.add(row)
    work.enqueue(
        job.site, ASK, {**job.arguments, "transaction_uid": transaction, "again": times}, lane=job.lane,
        attempts=ATTEMPTS,
    )  # fmt: skip
    log.warning("%s did not report on %d objects: it is asked again", rows[0].aet, len(rows))
    actor = access.system("commitment", job.site)
    audit.record(work, actor, "commitment.unanswered", rows[0].aet, objects=len(rows), times=times)


def still_asking(work: Work, job_id: int) -> bool:
    """Whether a node is still to be asked for the first time about what a job sent."""
    open_jobs = select(Job).where(Job.kind == ASK, col(Job.state).in_(OPEN), Job.error == "")
    return any(job.arguments["sent_by"] == job_id for job in work.session.exec(open_jobs))


def reported(work: Work, actor: Actor, aet: str, event_type: int, report: Dataset) -> None:
    """Take a node's report on what we asked it to answer for.

    Raises
    ------
    NotFound
        Nobody asked it under this transaction.
    """
    transaction = str(report.get("TransactionUID") or "")
    device = devices.known(work, aet)
    asked = select(Delivery).where(
        Delivery.transaction_uid == transaction, Delivery.aet == (device.aet if device else aet)
    )
    rows = {row.sop_uid: row for row in work.session.exec(asked)} if transaction else {}
    if not rows:
        raise NotFound("no storage commitment was asked for under this Transaction UID")
    failed = {uid: reason for _, uid, reason in _failures(report)}
    for uid in {uid for _, uid in references(report)} | failed.keys():
        row, then = rows.get(uid), DeliveryState.NOT_COMMITTED if uid in failed else DeliveryState.COMMITTED
        if row is not None and may_follow(DELIVERY_AFTER, DeliveryState(row.state), then):
            row.state, row.status = then, failed.get(uid, 0)
            work.session.add(row)
    audit.record(work, actor, "commitment.heard", transaction, failed=len(failed), all=event_type == ALL_COMMITTED)
    for job_id in {row.job_id for row in rows.values()}:
        _settle(work, job_id)


def _settle(work: Work, job_id: int) -> None:
    """Write into a job's result how many of its objects are answered for."""
    job = work.session.get_one(Job, job_id)
    states = [state for (state,) in work.session.execute(select(Delivery.state).where(Delivery.job_id == job_id))]
    job.result = {**job.result, **{state: states.count(state) for state in DeliveryState}}
    work.session.add(job)
    work.tell(job.site, "job", str(job.id), state=job.state, work=job.kind)


def references(information: Dataset) -> list[tuple[str, str]]:
    """Return SOP class and instance of each object a request or report names."""
    return [_reference(item) for item in information.get("ReferencedSOPSequence") or []]


def _reference(item: Dataset) -> tuple[str, str]:
    return str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or "")


def _failures(report: Dataset) -> Iterator[tuple[str, str, int]]:
    for item in report.get("FailedSOPSequence") or []:
        yield (*_reference(item), int(item.get("FailureReason") or PROCESSING_FAILURE))


@dataclass(frozen=True)
class Asker:
    """Runs the jobs that ask. `call` gives the peer of a device."""

    records: Records
    call: Callable[[wire.Device], Peer]

    def run(self, ticket: Ticket) -> None:
        """Ask a node to answer for the objects of one transaction."""
        transaction, aet = str(ticket.payload["transaction_uid"]), str(ticket.payload["aet"])
        with self.records.reading() as work:
            peer = self.call(devices.shape(devices.named(work, aet)))
            asked = select(Image.sop_class, Image.sop_uid).join(
                Delivery, (col(Delivery.sop_uid) == Image.sop_uid) & (col(Delivery.site) == Image.site)
            )
            objects = list(work.session.exec(asked.where(Delivery.transaction_uid == transaction)))

        def take(event_type: int, report: Dataset) -> None:
            with self.records.writing() as work:
                reported(work, access.device(aet, ticket.site), aet, event_type, report)

        peer.request_commitment(transaction, objects, take, wait=REPORT_WITHIN)
        ticket.result["asked"] = len(objects)


# -- answering -------------------------------------------------------------------------------------------------------


def asked(work: Work, actor: Actor, aet: str, transaction: str, request: Dataset) -> None:
    """Write down what a node asks us to answer for (N-ACTION); the report follows on an association of our own.

    Raises
    ------
    Invalid
        It names no transaction, no object, or too many.
    NotFound
        The caller is no registered device: nobody could tell where to report to.
    """
    device = devices.known(work, aet)
    if device is None:
        raise NotFound(f"{aet} is not registered: there is no address to report to")
    objects = references(request)
    if not transaction or not objects or len(objects) > _LONGEST_REQUEST:
        raise Invalid("a commitment needs a Transaction UID and some objects")
    payload: dict[str, object] = {"aet": device.aet, "transaction_uid": transaction, "objects": objects}
    work.enqueue(device.site, ANSWER, payload, lane=f"commit:{device.aet}", asked_by=str(actor), attempts=ATTEMPTS)
    devices.heard(work, aet, device.site, "", "N-ACTION")
    audit.record(work, actor, "commitment.asked", transaction, objects=len(objects))


class Awaited:
    """A report an asker may still hear on its own association; see `Reports`."""

    def __init__(self, leave: Callable[[], object]) -> None:
        self._leave = leave
        self._report: tuple[int, Dataset] | None = None
        self._come, self._over = threading.Event(), threading.Event()
        self._is_heard = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        self._over.set()

    def come(self, within: float) -> tuple[int, Dataset] | None:
        """Wait so many seconds for event type and event information; None while there is none."""
        self._come.wait(within)
        return self._report

    def heard(self) -> None:
        """Say that the asker has taken it."""
        self._is_heard = True

    def tell(self, report: tuple[int, Dataset]) -> bool:
        """Hand the report over, and return whether the asker has taken it."""
        self._report = report
        self._come.set()
        self._over.wait()
        return self._is_heard


class Reports:
    """Reports that askers wait for: whoever makes one looks here first whether the asker is still on the line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: dict[str, Awaited] = {}

    def awaited(self, transaction: str) -> Awaited:
        """Begin to wait for the report of a transaction; leaving the context ends it."""
        awaited = Awaited(lambda: self._taken(transaction, awaited))
        with self._lock:
            self._awaited[transaction] = awaited
        return awaited

    def _taken(self, transaction: str, only: Awaited | None = None) -> Awaited | None:
        with self._lock:
            awaited = self._awaited.get(transaction)
            return self._awaited.pop(transaction) if awaited and only in (None, awaited) else None

    def tell(self, transaction: str, report: tuple[int, Dataset]) -> bool:
        """Tell the asker that waits, and return whether it has taken the report."""
        awaited = self._taken(transaction)
        return awaited is not None and awaited.tell(report)


@dataclass(frozen=True)
class Answerer:
    """Runs the jobs that answer. `store` has the files, `call` gives the peer of a device, `reports` has who waits."""

    records: Records
    store: Store
    call: Callable[[wire.Device], Peer]
    reports: Reports

    def run(self, ticket: Ticket) -> None:
        """Read every object again and report which are kept whole."""
        with self.records.reading() as work:
            peer = self.call(devices.shape(devices.named(work, str(ticket.payload["aet"]))))
        found = _Found()
        objects = ticket.payload["objects"]
        for done, (sop_class, sop_uid) in enumerate(objects, 1):
            reason = self._looked_at(ticket.site, sop_class, sop_uid, found)
            if reason:
                found.failed.append((sop_class, sop_uid, reason))
            else:
                found.kept.append((sop_class, sop_uid))
            ticket.progress(done, len(objects))
            if ticket.cancelled():
                return
        if found.damaged:
            with self.records.writing() as work:
                integrity.come_across(work, f"commitment for {peer.aet}", ticket.site, len(found.kept), found.damaged)
        ticket.result.update(committed=len(found.kept), not_committed=len(found.failed))
        transaction = str(ticket.payload["transaction_uid"])
        if not self.reports.tell(transaction, commitment_report(transaction, found.kept, found.failed)):
            peer.report_commitment(transaction, found.kept, found.failed)

    def _looked_at(self, site: str, sop_class: str, sop_uid: str, found: _Found) -> int:
        """Return 0 for an object that is kept whole, else the failure reason."""
        with self.records.reading() as work:
            image = work.session.exec(select(Image).where(Image.site == site, Image.sop_uid == sop_uid)).first()
        if image is None:
            return NO_SUCH_OBJECT
        if image.sop_class != sop_class:
            return CLASS_CONFLICT
        one = Acknowledged(image.sop_uid, image.path, image.size, image.sha256, site=site, store=image.store)
        fault = next(faults_of(self.store, one, deep=True), None)
        if fault:
            with self.records.reading() as work:
                one = again(work, site, sop_uid, image.path) or one  # it may have been moved while it was looked at
            fault = next(faults_of(self.store, one, deep=True), None)
        found.damaged += [(one, fault)] if fault else []
        return PROCESSING_FAILURE if fault else 0


@dataclass
class _Found:
    """What was found of the objects of one request."""

    kept: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str, int]] = field(default_factory=list)
    damaged: list[tuple[Acknowledged, Fault]] = field(default_factory=list)
