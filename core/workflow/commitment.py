"""Storage commitment (PS3.4 J): asking a node to answer for what it was sent, and answering for what we keep.

What we answer is not what the index says but what the files are: each is read again and its checksum compared. A
request is a job before it is acknowledged, so it outlives the service; the report is tried again until it is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom import Dataset
from sqlmodel import col, select

from core import access, audit, wire
from core.access import Actor
from core.archive.proof import Acknowledged, faults_of
from core.archive.stores import Store
from core.errors import Invalid, NotFound
from core.model import Delivery, Image, Job
from core.records import Records, Work
from core.scu.peer import ALL_COMMITTED, Peer
from core.vocabulary import DELIVERY_AFTER, DeliveryState, may_follow
from core.workflow import devices
from core.workflow.queue import OPEN, Ticket

ASK, ANSWER = "commit.ask", "commit.answer"
ATTEMPTS = 24
REPORT_WITHIN = 2.0  # seconds we listen on the association of the request itself
_AT_ONCE = 500
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


@dataclass(frozen=True)
class Answerer:
    """Runs the jobs that answer. `store` has the files, `call` gives the peer of a device."""

    records: Records
    store: Store
    call: Callable[[wire.Device], Peer]

    def run(self, ticket: Ticket) -> None:
        """Read every object again and report which are kept whole."""
        with self.records.reading() as work:
            peer = self.call(devices.shape(devices.named(work, str(ticket.payload["aet"]))))
        kept: list[tuple[str, str]] = []
        failed: list[tuple[str, str, int]] = []
        objects = ticket.payload["objects"]
        for done, (sop_class, sop_uid) in enumerate(objects, 1):
            reason = self._looked_at(ticket.site, sop_class, sop_uid)
            if reason:
                failed.append((sop_class, sop_uid, reason))
            else:
                kept.append((sop_class, sop_uid))
            ticket.progress(done, len(objects))
            if ticket.cancelled():
                return
        ticket.result.update(committed=len(kept), not_committed=len(failed))
        peer.report_commitment(str(ticket.payload["transaction_uid"]), kept, failed)

    def _looked_at(self, site: str, sop_class: str, sop_uid: str) -> int:
        """Return 0 for an object that is kept whole, else the failure reason."""
        with self.records.reading() as work:
            image = work.session.exec(select(Image).where(Image.site == site, Image.sop_uid == sop_uid)).first()
        if image is None:
            return NO_SUCH_OBJECT
        if image.sop_class != sop_class:
            return CLASS_CONFLICT
        one = Acknowledged(image.sop_uid, image.path, image.size, image.sha256)
        return PROCESSING_FAILURE if any(faults_of(self.store, one, deep=True)) else 0
