"""What photopeak speaks: one table, from which the listener takes its presentation contexts and people their statement.

A service that is not in the table is neither offered nor claimed. The UIDs are pydicom's dictionary of PS3.6, so a new
edition of the standard brings its storage classes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydicom import uid
from pydicom._uid_dict import UID_dictionary

IMPLEMENTATION_CLASS_UID = "1.2.826.0.1.3680043.8.498.7077001"
IMPLEMENTATION_VERSION_NAME = "PHOTOPEAK"
MAXIMUM_PDU = 131072
"""Bytes announced as the longest P-DATA-TF (PS3.8 D.1)."""
DATE_TIME = 1
"""Which byte of a query's extended negotiation is combined date-time matching (PS3.4 Table C.5.1-1)."""


class Role(StrEnum):
    """Who asks and who answers (PS3.7 7.5)."""

    SCU = "SCU"
    SCP = "SCP"
    BOTH = "SCU and SCP"


@dataclass(frozen=True, slots=True)
class SopClass:
    """A SOP Class of the standard."""

    uid: str
    name: str
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A service class: its SOP Classes, our role in it, and the transfer syntaxes proposed or accepted, best first.

    `extended` has a byte for each feature its extended negotiation knows, 1 where we offer it as SCP.
    """

    name: str
    part: str
    role: Role
    classes: tuple[SopClass, ...]
    transfer_syntaxes: tuple[str, ...]
    remark: str = ""
    extended: bytes = b""

    @property
    def as_scp(self) -> bool:
        """Whether we answer."""
        return self.role is not Role.SCU

    @property
    def as_scu(self) -> bool:
        """Whether we ask."""
        return self.role is not Role.SCP

    @property
    def uids(self) -> tuple[str, ...]:
        """The UIDs of its SOP Classes."""
        return tuple(sop_class.uid for sop_class in self.classes)


_STORAGE_ROOTS = (
    "1.2.840.10008.5.1.4.1.1.",
    "1.2.840.10008.5.1.4.34.",
    "1.2.840.10008.5.1.4.3",
    "1.2.840.10008.5.1.4.4",
)
_RETIRED_BUT_IN_USE = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.5",  # Nuclear Medicine, which old cameras and their archives still send
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame
    }
)
_NEWER = (
    SopClass("1.2.840.10008.5.1.4.1.1.66.7", "Label Map Segmentation Storage"),
    SopClass("1.2.840.10008.5.1.4.1.1.66.8", "Height Map Segmentation Storage"),
    SopClass("1.2.840.10008.5.1.4.1.1.9.100.1", "Waveform Presentation State Storage"),
    SopClass("1.2.840.10008.5.1.4.1.1.9.100.2", "Waveform Acquisition Presentation State Storage"),
)
"""Storage classes of the standard that pydicom's dictionary does not have yet."""
_NEWER_SYNTAXES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}
"""Transfer syntaxes likewise. pynetdicom adds them to that dictionary; the table must not depend on who came first."""
_NOT_FILES = frozenset(
    {
        "1.2.840.10008.1.2.4.94",  # JPIP: the pixels are elsewhere
        "1.2.840.10008.1.2.4.95",
        "1.2.840.10008.1.2.4.204",
        "1.2.840.10008.1.2.4.205",
        "1.2.840.10008.1.2.6.1",  # MIME and XML: no DICOM dataset
        "1.2.840.10008.1.2.6.2",
        "1.2.840.10008.1.20",  # Papyrus 3: a file format of its own
    }
)
_STREAMS = "1.2.840.10008.1.2.7."
"""SMPTE ST 2110: live video over RTP, never stored."""


def _sop_class(value: str) -> SopClass:
    name, _, _, status, _ = UID_dictionary[value]
    return SopClass(value, name, retired=status == "Retired")


def _storage_classes() -> Iterator[SopClass]:
    """Every storage class that is not retired or of DICOS, and retired NM and US (PS3.4 B.5, PS3.6 A)."""
    yield from (each for each in _NEWER if each.uid not in UID_dictionary)
    for value, (name, kind, info, status, _) in UID_dictionary.items():
        stores = kind == "SOP Class" and "Storage" in name and value.startswith(_STORAGE_ROOTS)
        if stores and "DICOS" not in info and (status != "Retired" or value in _RETIRED_BUT_IN_USE):
            yield _sop_class(value)


def _kept_syntaxes() -> Iterator[str]:
    """Every transfer syntax whose datasets can be kept untouched, the uncompressed ones first."""
    first = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian)
    yield from map(str, first)
    others = _NOT_FILES | {*first} | _NEWER_SYNTAXES.keys()
    for value, (_, kind, _, _, _) in UID_dictionary.items():
        if kind == "Transfer Syntax" and value not in others and not value.startswith(_STREAMS):
            yield value
    yield from _NEWER_SYNTAXES


STORAGE_CLASSES: tuple[SopClass, ...] = tuple(
    sorted(_storage_classes(), key=lambda each: [int(part) for part in each.uid.split(".")])
)
KEPT_SYNTAXES: tuple[str, ...] = tuple(_kept_syntaxes())
MESSAGE_SYNTAXES: tuple[str, ...] = (
    str(uid.ExplicitVRLittleEndian),
    str(uid.ImplicitVRLittleEndian),
    str(uid.ExplicitVRBigEndian),
)
"""For datasets that are never stored: queries, worklist items, MPPS, commitment, print."""


def _classes(*values: str) -> tuple[SopClass, ...]:
    return tuple(map(_sop_class, values))


VERIFICATION = Service(
    "Verification", "PS3.4 A", Role.BOTH, _classes("1.2.840.10008.1.1"), MESSAGE_SYNTAXES, "answered to any caller"
)
STORAGE = Service(
    "Storage",
    "PS3.4 B",
    Role.BOTH,
    STORAGE_CLASSES,
    KEPT_SYNTAXES,
    "level 2 (full): the dataset is kept byte for byte and durable before 0000H is answered; B000H means kept apart, "
    "because another object has the same UID",
)
FIND = Service(
    "Query",
    "PS3.4 C.4.1",
    Role.BOTH,
    _classes("1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"),
    MESSAGE_SYNTAXES,
    "registered devices; keys above the level are matched without negotiation (relational), a person's name whatever "
    "its case and by any of its groups, dates and times each by itself; an attribute we do not hold matches all and "
    "comes back empty; Retrieve AE Title always, Instance Availability, Timezone Offset and the counts where asked "
    "for; extended negotiation: relational queries and combined date-time matching (date and time as one range) are "
    "agreed to; fuzzy matching, timezone adjustment and another view of multi-frame objects are answered with no",
    bytes((1, 1, 0, 0, 0)),
)
MOVE = Service(
    "Retrieve by C-MOVE",
    "PS3.4 C.4.2",
    Role.BOTH,
    _classes("1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.2.2"),
    MESSAGE_SYNTAXES,
    "registered devices, to registered devices of their site; by the unique keys of the level, lists of UIDs; objects "
    "leave as they are kept, or rewritten without loss where the receiver does not take that; extended negotiation: "
    "relational retrieval is agreed to, another view of multi-frame objects is not",
    bytes((1, 0)),
)
GET = Service(
    "Retrieve by C-GET",
    "PS3.4 C.4.3",
    Role.BOTH,
    _classes("1.2.840.10008.5.1.4.1.2.1.3", "1.2.840.10008.5.1.4.1.2.2.3"),
    MESSAGE_SYNTAXES,
    "registered devices; as C-MOVE",
    bytes((1, 0)),
)
WORKLIST = Service(
    "Modality Worklist",
    "PS3.4 K",
    Role.SCP,
    _classes("1.2.840.10008.5.1.4.31"),
    MESSAGE_SYNTAXES,
    "registered devices; Specific Character Set of the answer by request and device",
)
PROCEDURE_STEP = Service(
    "Modality Performed Procedure Step", "PS3.4 F", Role.SCP, _classes("1.2.840.10008.3.1.2.3.3"), MESSAGE_SYNTAXES
)
COMMITMENT = Service(
    "Storage Commitment Push Model",
    "PS3.4 J",
    Role.BOTH,
    _classes("1.2.840.10008.1.20.1"),
    MESSAGE_SYNTAXES,
    "registered devices; a request outlives a restart and is answered on its own association while the asker stays, "
    "else on one of ours, from the checksum of every object read again",
)
PRINTING = Service(
    "Basic Grayscale Print Management",
    "PS3.4 H",
    Role.SCU,
    _classes("1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.1.23"),
    MESSAGE_SYNTAXES[:2],
    "8 and 12 bits; film box and STANDARD layouts; a Presentation LUT where the printer takes one",
)

SERVICES: tuple[Service, ...] = (
    VERIFICATION,
    STORAGE,
    FIND,
    MOVE,
    GET,
    WORKLIST,
    PROCEDURE_STEP,
    COMMITMENT,
    PRINTING,
)
_NEGOTIATED: tuple[str, ...] = (
    f"Implementation Class UID {IMPLEMENTATION_CLASS_UID}, Version Name {IMPLEMENTATION_VERSION_NAME}.",
    "Of the transfer syntaxes a presentation context proposes, the first one accepted here is taken.",
    "SCP/SCU role selection: the storage classes for C-GET, Storage Commitment for its reports.",
    "An asynchronous operations window is answered with one operation at a time.",
    "Extended negotiation of a SOP Class is answered feature by feature where its service says so, else not at all.",
    "User identities are read, not asked for: none is answered.",
    "Rejected: another called AE title (1, 1, 7), a calling one not registered or not on the list (1, 1, 3).",
    "Rejected for now: more associations than set (2, 3, 2); anybody while the database is away (2, 3, 1).",
    "TLS 1.2 and 1.3 with the suites of BCP 195, called and calling; callers' certificates are asked for as set.",
)
"""What an association settles beyond its contexts (PS3.8 9.3, PS3.7 D.3)."""
CHARSETS: tuple[str, ...] = (
    "ISO_IR 6 (default)",
    "ISO_IR 100",
    "ISO_IR 101, 109, 110, 126, 127, 138, 144, 148, 166",
    "ISO_IR 13, ISO 2022 IR 13, 87, 159 (Japanese)",
    "ISO 2022 IR 149 (Korean)",
    "ISO 2022 IR 58, GB18030, GBK (Chinese)",
    "ISO_IR 192 (UTF-8)",
)


def accepted_contexts(services: tuple[Service, ...] = SERVICES) -> list[tuple[str, tuple[str, ...]]]:
    """Abstract syntax and transfer syntaxes of everything we answer, for the listener."""
    return [(value, service.transfer_syntaxes) for service in services if service.as_scp for value in service.uids]


def statement(services: tuple[Service, ...] = SERVICES) -> str:
    """The DICOM Conformance Statement (PS3.2), in Markdown, rendered from the table."""
    return "\n".join(
        [*_opening(services), *_service_sections(services), *_syntax_section(services), *_charset_section()]
    )


def _opening(services: tuple[Service, ...]) -> Iterator[str]:
    yield "# DICOM Conformance Statement: photopeak\n"
    yield "Rendered by `photopeakd conformance` from the table the listener takes its presentation contexts from.\n"
    yield "| service | SCU | SCP | SOP Classes | standard |\n|---|---|---|---|---|"
    for service in services:
        asks, answers = ("yes" if has else "no" for has in (service.as_scu, service.as_scp))
        yield f"| {service.name} | {asks} | {answers} | {len(service.classes)} | {service.part} |"
    yield f"\nAE title PHOTOPEAK unless set otherwise; maximum PDU length {MAXIMUM_PDU} bytes; application context"
    yield "1.2.840.10008.3.1.1.1. Unregistered callers may C-ECHO and C-STORE.\n"
    yield from (f"- {said}" for said in _NEGOTIATED)
    yield ""


def _service_sections(services: tuple[Service, ...]) -> Iterator[str]:
    for service in services:
        yield f"## {service.name}\n"
        kept = service.transfer_syntaxes is KEPT_SYNTAXES
        remark = f"; {service.remark}" if service.remark else ""
        yield f"Role: {service.role}{remark}. Transfer syntaxes: {'all' if kept else 'uncompressed'}.\n"
        yield "| SOP Class | UID |\n|---|---|"
        for each in service.classes:
            yield f"| {each.name}{' (retired)' if each.retired else ''} | {each.uid} |"
        yield ""


def _syntax_section(services: tuple[Service, ...]) -> Iterator[str]:
    yield "## Transfer syntaxes\n"
    yield "| transfer syntax | UID | used for |\n|---|---|---|"
    spoken = dict.fromkeys(syntax for service in services for syntax in service.transfer_syntaxes)
    for syntax in spoken:
        use = "all" if syntax in MESSAGE_SYNTAXES else "storage"
        yield f"| {_NEWER_SYNTAXES.get(syntax) or UID_dictionary[syntax][0]} | {syntax} | {use} |"
    yield ""


def _charset_section() -> Iterator[str]:
    yield "## Character sets\n"
    yield "Read and written:\n"
    yield from (f"- {charset}" for charset in CHARSETS)
    yield ""
    yield "A device is answered in the character set of its request if that holds every text, else in the one it is"
    yield "configured with, else in ISO_IR 192. One configured as ASCII or Latin-1 gets the alphabetic group alone."
    yield "Chinese names whose bytes contradict their label are read by their bytes; the object stays as it came.\n"
