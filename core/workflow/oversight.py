"""What those who look after the service see: who called, what the archive holds, who did what."""

from __future__ import annotations

from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from core import access, wire
from core.access import Actor
from core.model import AuditEntry, Device, Image, Quarantined, SentPatient, Series, Study
from core.records import Work
from core.vocabulary import Operation
from core.workflow import devices, integrity


def heard(work: Work, actor: Actor, limit: int = 50) -> list[wire.Heard]:
    """Return who called, registered or not, the latest first."""
    access.require(actor, Operation.FIND)
    known = work.session.exec(select(Device).where(col(Device.enabled)))
    names = {name: device.aet for device in known for name in (*device.aliases, device.aet)}
    return [
        wire.Heard(
            aet=row.aet, host=row.host, service=row.service, at=wire.local(row.at) if row.at else None,
            objects=row.objects, device=names.get(row.aet),
        )
        for row in devices.heard_lately(work, limit)
        if row.site == actor.site
    ]  # fmt: skip


def archive(work: Work, actor: Actor, free_bytes: int | None) -> wire.Archive:
    """Count what the site's archive holds."""
    access.require(actor, Operation.FIND)
    objects = select(func.count(), func.coalesce(func.sum(Image.size), 0)).where(Image.site == actor.site)
    images, size = work.session.exec(objects).one()
    series = select(func.count()).select_from(Series).join(Study, col(Study.id) == Series.study_id)
    apart = select(func.count(), func.coalesce(func.sum(Quarantined.size), 0)).where(Quarantined.site == actor.site)
    quarantined, quarantined_size = work.session.exec(apart).one()
    return wire.Archive(
        patients=work.session.exec(_count(SentPatient, actor)).one(),
        studies=work.session.exec(_count(Study, actor)).one(),
        series=work.session.exec(series.where(Study.site == actor.site)).one(),
        images=images, bytes=int(size) + int(quarantined_size), quarantined=quarantined, free_bytes=free_bytes,
        damaged=integrity.still_damaged(work, actor.site),
    )  # fmt: skip


def _count(table: type[SentPatient | Study], actor: Actor) -> SelectOfScalar[int]:
    return select(func.count()).select_from(table).where(table.site == actor.site)


def trail(work: Work, actor: Actor, subject: str = "", limit: int = 100, offset: int = 0) -> list[wire.AuditEntry]:
    """Return entries of the audit trail, the latest first; those of one subject where it is named."""
    access.require(actor, Operation.READ_AUDIT)
    found = select(AuditEntry).where(AuditEntry.site == actor.site)
    if subject:
        found = found.where(AuditEntry.subject == subject)
    rows = work.session.exec(found.order_by(col(AuditEntry.id).desc()).offset(offset).limit(limit))
    return [
        wire.AuditEntry(
            id=row.id or 0, at=wire.local(row.at), actor=row.actor, action=row.action, subject=row.subject,
            detail=row.detail, hash=row.hash,
        )
        for row in rows
    ]  # fmt: skip
