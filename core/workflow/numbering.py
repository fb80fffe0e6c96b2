"""Numbers the department gives out: upper-case ASCII of at most 16, with a check digit, never reused.

A serial is counted up in the transaction that uses it, and steps over what a hospital gave out by hand.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlmodel import col, select

from core.errors import Invalid
from core.model import Exam, Identifier, Patient, Request, Serial, Site, Step
from core.naming import is_placeholder, normalise_identifier, with_check_digit
from core.records import Work

PREFIXES = {
    "patient_prefix": "P",
    "temporary_prefix": "T",
    "accession_prefix": "A",
    "request_prefix": "R",
    "step_prefix": "S",
}
"""What a site's `rules["numbering"]` may set."""


def patient_number(work: Work, site: str, *, temporary: bool = False) -> str:
    """Return a new patient number."""
    prefix = _prefix(work, site, "temporary_prefix" if temporary else "patient_prefix")

    def taken(number: str) -> bool:
        known = select(Identifier.id).where(Identifier.site == site, Identifier.normalised == number.casefold())
        named = select(Patient.id).where(Patient.site == site, Patient.number == number)
        return bool(work.session.exec(known).first() or work.session.exec(named).first())

    return _next(work, site, prefix, taken)


def accession(work: Work, site: str) -> str:
    """Return a new accession number."""
    found = select(Exam.id).where(Exam.site == site)
    return _next(
        work,
        site,
        _prefix(work, site, "accession_prefix"),
        lambda number: bool(work.session.exec(found.where(Exam.accession == number)).first()),
    )


def request_number(work: Work, site: str) -> str:
    """Return a new request number."""
    found = select(Request.id).where(Request.site == site)
    return _next(
        work,
        site,
        _prefix(work, site, "request_prefix"),
        lambda number: bool(work.session.exec(found.where(Request.number == number)).first()),
    )


def sps_id(work: Work, site: str) -> str:
    """Return a new Scheduled Procedure Step ID."""
    return _next(
        work,
        site,
        _prefix(work, site, "step_prefix"),
        lambda number: bool(work.session.exec(select(Step.id).where(col(Step.sps_id) == number)).first()),
    )


def _prefix(work: Work, site: str, name: str) -> str:
    row = work.session.get(Site, site)
    rules = row.rules.get("numbering") if row else None
    return str(rules.get(name) or PREFIXES[name]) if isinstance(rules, dict) else PREFIXES[name]


def _next(work: Work, site: str, prefix: str, taken: Callable[[str], bool]) -> str:
    serial = work.session.get(Serial, (site, prefix)) or Serial(site=site, prefix=prefix)
    while True:
        serial.last += 1
        number = with_check_digit(prefix, serial.last)
        if not taken(number) and not is_placeholder(number):
            work.add(serial)
            return number


def given(number: str, what: str, *, longest: int) -> str:
    """Return a number that somebody else made, as they wrote it.

    Raises
    ------
    Invalid
        When it is too long, cannot travel in DICOM, or stands for "nothing was said".
    """
    number = number.strip()
    if len(number) > longest:
        msg = f"{what} '{number[:20]}...' has {len(number)} characters: at most {longest} fit"
        raise Invalid(msg)
    if not number.isprintable() or "\\" in number:
        msg = f"the {what} holds a backslash or a control sign: type it again"
        raise Invalid(msg)
    if is_placeholder(number):
        msg = f"{what} '{number}' stands for nothing: give the real one, or leave it out and one is made"
        raise Invalid(msg)
    return number


def normalised(number: str) -> str:
    """Return the form in which numbers are compared."""
    return normalise_identifier(number)
