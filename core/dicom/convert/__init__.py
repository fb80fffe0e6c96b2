"""Non-standard in, standard out: one call makes a standard object of whatever came, and tells each repair.

Files that are no DICOM at all (pictures, papers, Interfile) are told by their first bytes, never by their name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core.dicom.convert import interfile, wrapping
from core.dicom.convert.mending import Mended, mend, noted
from core.dicom.convert.reading import read
from core.dicom.convert.wrapping import Subject, Wrapped
from core.dicom.encoding import encoded
from core.errors import Refused

DICOM, ACR_NEMA = "dicom", "acr-nema"
PICTURES = frozenset({"png", "jpeg", "tiff"})
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"II*\0", "tiff"), (b"MM\0*", "tiff"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Converted:
    """A standard object: its encoded dataset and what it is, and how it came to be so."""

    kind: str
    dataset: bytes
    sop_class: str
    sop_uid: str
    syntax: str
    repairs: tuple[str, ...]
    charset_said: str = ""
    charset: str = ""
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file came from: what can be read beside it, whom it is of, and when it was made."""

    at: datetime
    beside: Callable[[str], bytes]
    subject: Subject | None = None


def kind_of(head: bytes) -> str:
    """Tell what a file is by its first kilobyte; what is nothing else may be DICOM."""
    if head[128:132] == b"DICM":  # whose preamble may well be that of a TIFF (PS3.10 7.1)
        return DICOM
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if re.search(rb"%PDF-\d", head[:1024]):
        return "pdf"
    return "interfile" if interfile.is_interfile(head) else DICOM


def convert(data: bytes, origin: Origin) -> Converted:
    """Make a standard object of a file's bytes.

    Raises
    ------
    Refused
        It is nothing that can be made an object of, or it lacks pixels, or a subject that was not given.
    """
    kind, digest = kind_of(data[:1024]), hashlib.sha256(data).hexdigest()
    if kind == DICOM:
        return _of_mended(data, digest)
    if kind == "interfile":
        return _of_wrapped(kind, interfile.convert(data, origin.beside, origin.subject, digest, origin.at))
    if origin.subject is None:
        raise Refused("it says nothing of a patient: give --exam, or --patient-id and --patient-name")
    if kind == "pdf":
        return _of_wrapped(kind, wrapping.paper(data, origin.subject, digest, origin.at))
    return _of_wrapped(kind, wrapping.picture(data, kind, origin.subject, digest, origin.at))


def standardised(data: bytes, sop_class: str, sop_uid: str) -> Converted | None:
    """Make a standard object of a stored one, known by these UIDs; None where it is standard as it is.

    Raises
    ------
    Refused
        It cannot be mended truthfully.
    """
    mended = mend(read(data), sop_class=sop_class, sop_uid=sop_uid)
    return _converted(DICOM, noted(mended)) if mended.repairs else None


def renamed(data: bytes, sop_uid: str) -> Converted:
    """Give an object another SOP Instance UID, since its own is another object's."""
    found = read(data)
    mended = mend(found)
    sop_class = mended.sop_class
    mended = mend(found, sop_class=sop_class, sop_uid=sop_uid)
    mended.repairs.insert(0, "SOPInstanceUID: another object had it already; one was derived")
    return _converted(DICOM, noted(mended))


def _of_mended(data: bytes, digest: str) -> Converted:
    found = read(data)
    mended = mend(found, digest=digest)
    if not found.has_preamble:
        mended.repairs.append("the file had no preamble" + ("" if found.meta else " and no file meta"))
    elif not found.named_syntax:
        mended.repairs.append("the file meta named no transfer syntax")
    return _converted(ACR_NEMA if found.is_acr_nema else DICOM, noted(mended) if mended.repairs else mended)


def _converted(kind: str, mended: Mended) -> Converted:
    return Converted(
        kind, mended.encoded(), mended.sop_class, mended.sop_uid, mended.syntax, tuple(mended.repairs),
        "\\".join(mended.charset_said), "\\".join(mended.charset), mended.confidence,
    )  # fmt: skip


def _of_wrapped(kind: str, wrapped: Wrapped) -> Converted:
    dataset = wrapped.dataset
    return Converted(
        kind, encoded(dataset, "1.2.840.10008.1.2.1"), str(dataset.SOPClassUID), str(dataset.SOPInstanceUID),
        wrapped.syntax, wrapped.repairs,
    )  # fmt: skip


__all__ = [
    "ACR_NEMA",
    "DICOM",
    "PICTURES",
    "Converted",
    "Origin",
    "Subject",
    "convert",
    "kind_of",
    "renamed",
    "standardised",
]
