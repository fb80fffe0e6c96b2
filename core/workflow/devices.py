"""Devices: the nodes we know by AE title, and what was heard of any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import String, bindparam, cast, func, update
from sqlmodel import col, select

from core import access, audit, wire
from core.access import Actor, ActorKind
from core.dicom.charset import charset_of, is_known
from core.errors import Invalid, NotFound
from core.model import Device, Heard, Site
from core.model.columns import UtcTime
from core.records import Prepared, Work
from core.settings import AE_TITLE
from core.vocabulary import Operation

_LARGEST_PORT = 65535
_HEARD_AGAIN = Prepared(
    update(Heard)
    .where(col(Heard.aet) == bindparam("who"))
    .values(
        host=func.coalesce(func.nullif(bindparam("host"), ""), col(Heard.host)), service=bindparam("service"),
        at=bindparam("now", type_=UtcTime()), objects=col(Heard.objects) + bindparam("more"),
    )
)  # fmt: skip

_CHARSET = Prepared(select(Device.charset).where(Device.aet == bindparam("aet"), col(Device.enabled)))
_ANY_ALIASES = Prepared(
    select(col(Device.id)).where(col(Device.enabled), cast(col(Device.aliases), String) != "[]").limit(1)
)


def add(work: Work, actor: Actor, device: wire.Device, *, site: str = "") -> Device:
    """Register a node, or change one that is registered."""
    access.require(actor, Operation.ADMINISTER)
    _demand_sense(work, device)
    row = work.session.exec(select(Device).where(Device.aet == device.aet)).first()
    if work.session.get(Site, site or actor.site) is None:
        raise NotFound(f"site {site} is not known: add it with 'photopeakd site add {site} NAME'")
    row = row or Device(site=site or actor.site, aet=device.aet)
    for name in ("host", "port", "modalities", "aliases", "pool", "tls", "charset"):
        setattr(row, name, getattr(device, name))
    row.enabled = True
    work.add(row)
    work.tell(row.site, "device", row.aet)
    audit.record(work, actor, "device.add", row.aet, host=row.host, port=row.port)
    return row


def _demand_sense(work: Work, device: wire.Device) -> None:
    for aet in (device.aet, *device.aliases):
        if not AE_TITLE.fullmatch(aet):
            raise Invalid(f"'{aet}' is not an AE title: 1 to 16 printable ASCII characters without a backslash")
    if not device.host or not 0 < device.port <= _LARGEST_PORT:
        raise Invalid(f"{device.aet} needs a host and a port between 1 and {_LARGEST_PORT}")
    if not is_known(charset_of(device.charset)):
        raise Invalid(f"'{device.charset}' is no Specific Character Set: write it as DICOM does, such as ISO_IR 100")
    for alias in device.aliases:
        other = known(work, alias)
        if other is not None and other.aet != device.aet:
            raise Invalid(f"'{alias}' is already the name of {other.aet}")


def remove(work: Work, actor: Actor, aet: str) -> None:
    """Let a node be unknown again; what it sent stays."""
    access.require(actor, Operation.ADMINISTER)
    row = named(work, aet)
    work.session.delete(row)
    work.tell(row.site, "device", aet)
    audit.record(work, actor, "device.remove", aet)


def named(work: Work, aet: str) -> Device:
    """Return the device an AE title or alias names; raises NotFound."""
    row = known(work, aet)
    if row is None:
        raise NotFound(f"no device is called '{aet}': see 'photopeakd device list'")
    return row


def to_call(work: Work, actor: Actor, aet: str) -> wire.Device:
    """Return where a device is, for somebody who may have it called."""
    access.require(actor, Operation.ADMINISTER)
    row = named(work, aet)
    if actor.kind is ActorKind.PERSON and row.site != actor.site:
        raise NotFound(f"no device is called '{aet}': see 'photopeakd device list'")
    return shape(row)


def known(work: Work, aet: str) -> Device | None:
    """Return the enabled device that calls itself so, by AE title first, then by alias."""
    row = work.session.exec(select(Device).where(Device.aet == aet, col(Device.enabled))).first()
    if row is not None:
        return row
    others = work.session.exec(select(Device).where(col(Device.enabled)))
    return next((device for device in others if aet in device.aliases), None)


def charset(work: Work, aet: str) -> str:
    """Return the character set a device can show, found as `known` finds it; empty when nothing is known."""
    found = _CHARSET.run(work.connection, {"aet": aet}).fetchone()
    if found is None and _ANY_ALIASES.run(work.connection, {}).fetchone():
        device = known(work, aet)
        return device.charset if device else ""
    return str(found[0]) if found else ""


def listing(work: Work, actor: Actor) -> list[wire.Device]:
    """Return the devices of the actor's site, every site's for the operator, with when each was last heard."""
    access.require(actor, Operation.FIND)
    heard_at = {row.aet: row.at for row in work.session.exec(select(Heard))}
    found = select(Device).order_by(col(Device.aet))
    if actor.kind is ActorKind.PERSON:
        found = found.where(Device.site == actor.site)
    return [shape(row, heard_at) for row in work.session.exec(found)]


def shape(row: Device, heard_at: Mapping[str, datetime | None] | None = None) -> wire.Device:
    """Return a device as it travels."""
    times = [at for aet in (row.aet, *row.aliases) if (at := (heard_at or {}).get(aet))]
    return wire.Device(
        aet=row.aet, host=row.host, port=row.port, modalities=row.modalities, aliases=row.aliases, pool=row.pool,
        tls=row.tls, charset=row.charset, enabled=row.enabled, last_heard_at=max(times) if times else None,
    )  # fmt: skip


def heard(work: Work, aet: str, site: str, host: str, service: str, *, objects: int = 0) -> None:
    """Note that an AE title, registered or not, was heard."""
    said = {"who": aet, "host": host, "service": service, "now": work.now, "more": objects}
    if not _HEARD_AGAIN.run(work.connection, said).rowcount:
        work.session.add(Heard(aet=aet, site=site, host=host, service=service, at=work.now, objects=objects))


def heard_lately(work: Work, limit: int = 50) -> Sequence[Heard]:
    """Return who was heard, the latest first."""
    return work.session.exec(select(Heard).order_by(col(Heard.at).desc()).limit(limit)).all()
