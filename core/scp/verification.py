"""Verification as a provider (PS3.4 A), and who a caller is."""

from __future__ import annotations

import ipaddress

from core.records import Records
from core.scp import Caller
from core.workflow import devices


def who_calls(records: Records, site: str, aet: str, host: str) -> Caller:
    """Return the caller an AE title and an address tell; a registered device brings its site."""
    with records.reading() as work:
        device = devices.known(work, aet)
    known = device.aet if device else None
    return Caller(aet, host, device.site if device else site, known, is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether a peer's address is this machine's own."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def echo(records: Records, caller: Caller) -> None:
    """Note that somebody asked whether we are there."""
    with records.writing() as work:
        devices.heard(work, caller.aet, caller.site, caller.host, "C-ECHO")
