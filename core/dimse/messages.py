"""DIMSE messages: command sets as PS3.7 has them, always Implicit VR Little Endian.

A command is a small dictionary from element number (group 0000H) to its bytes. What repeats within one operation is
prepared once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from core.dimse.pdu import Malformed

LONGEST_COMMAND = 1 << 16
LONGEST_COMMENT = 64
NO_DATASET, A_DATASET = 0x0101, 0x0001
IS_RESPONSE = 0x8000
SUCCESS, CANCELLED, PENDING = 0x0000, 0xFE00, 0xFF00
_ELEMENT = struct.Struct("<HHL")
_GROUP_LENGTH = struct.Struct("<HHLL")


class Field(IntEnum):
    """Command Field of the requests (PS3.7 E.1); a response has 8000H added."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


class Tag(IntEnum):
    """Element numbers of a command set (PS3.7 E.1)."""

    AFFECTED_CLASS = 0x0002
    REQUESTED_CLASS = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    RESPONDED_ID = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    DATASET_TYPE = 0x0800
    STATUS = 0x0900
    COMMENT = 0x0902
    AFFECTED_INSTANCE = 0x1000
    REQUESTED_INSTANCE = 0x1001
    EVENT_TYPE = 0x1002
    ACTION_TYPE = 0x1008
    REMAINING = 0x1020
    COMPLETED = 0x1021
    FAILED = 0x1022
    WARNING = 0x1023
    ORIGINATOR = 0x1030
    ORIGINATOR_ID = 0x1031


@dataclass(frozen=True, slots=True)
class Status:
    """What a peer, or we, said to a request: the status (PS3.7 C) and its Error Comment."""

    code: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command set that came, and the presentation context it came on."""

    context: int
    elements: Mapping[int, bytes]

    def number(self, tag: int) -> int:
        """Return an US element; 0 when it is absent or has another size."""
        value = self.elements.get(tag, b"")
        return int.from_bytes(value, "little") if len(value) == 2 else 0  # noqa: PLR2004 - an US

    def text(self, tag: int) -> str:
        """Return an UI, AE or LO element without its padding; empty when it is absent."""
        return self.elements.get(tag, b"").decode("latin-1").strip("\0 ")

    @property
    def field(self) -> int:
        """What is asked or answered; see `Field`."""
        return self.number(Tag.COMMAND_FIELD)

    @property
    def message_id(self) -> int:
        """The Message ID of a request."""
        return self.number(Tag.MESSAGE_ID)

    @property
    def responded_id(self) -> int:
        """The Message ID Being Responded To, of a response or a cancel."""
        return self.number(Tag.RESPONDED_ID)

    @property
    def sop_class(self) -> str:
        """The SOP Class UID, affected or requested."""
        return self.text(Tag.AFFECTED_CLASS) or self.text(Tag.REQUESTED_CLASS)

    @property
    def sop_uid(self) -> str:
        """The SOP Instance UID, affected or requested."""
        return self.text(Tag.AFFECTED_INSTANCE) or self.text(Tag.REQUESTED_INSTANCE)

    @property
    def has_dataset(self) -> bool:
        """Whether a dataset follows."""
        return self.number(Tag.DATASET_TYPE) != NO_DATASET

    @property
    def status(self) -> Status:
        """The status of a response."""
        return Status(self.number(Tag.STATUS), self.text(Tag.COMMENT))


def decode(content: bytes | bytearray | memoryview, context: int) -> Command:
    """Read a command set.

    Raises
    ------
    Malformed
        It is none: elements of another group, lengths that do not fit, no Command Field, no Data Set Type.
    """
    elements: dict[int, bytes] = {}
    at, end = 0, len(content)
    while at < end:
        if end - at < _ELEMENT.size:
            raise Malformed("a command set is cut short")
        group, element, length = _ELEMENT.unpack_from(content, at)
        at += _ELEMENT.size
        if group or length > end - at:
            raise Malformed("a command set has an element that does not belong or does not fit")
        elements[element] = bytes(content[at : at + length])
        at += length
    if len(elements.get(Tag.COMMAND_FIELD, b"")) != 2 or len(elements.get(Tag.DATASET_TYPE, b"")) != 2:  # noqa: PLR2004
        raise Malformed("a command set without Command Field or Command Data Set Type")
    return Command(context, elements)


def encode(elements: Mapping[int, int | str | bytes]) -> bytes:
    """Return a command set's bytes; numbers become US, texts are padded as UIDs."""
    body = b"".join(
        _ELEMENT.pack(0, tag, len(content)) + content
        for tag, content in sorted((tag, _bytes(value)) for tag, value in elements.items())
    )
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def _bytes(value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(2, "little")
    content = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
    return content + b"\0" if len(content) % 2 else content


def request(
    field: Field, message_id: int, sop_class: str, *, dataset: bool, more: Iterable[tuple[int, int | str | bytes]] = ()
) -> bytes:
    """Return a request's command set; N-SET, N-GET, N-ACTION and N-DELETE name the class they request."""
    requested = field in {Field.N_SET, Field.N_GET, Field.N_ACTION, Field.N_DELETE}
    return encode(
        {
            (Tag.REQUESTED_CLASS if requested else Tag.AFFECTED_CLASS): sop_class,
            Tag.COMMAND_FIELD: int(field),
            Tag.MESSAGE_ID: message_id,
            Tag.DATASET_TYPE: A_DATASET if dataset else NO_DATASET,
            **dict(more),
        }
    )


def response(
    to: Command, status: int, comment: str = "", *, dataset: bool = False,
    more: Mapping[int, int | str | bytes] | None = None,
) -> bytes:  # fmt: skip
    """Return the command set that answers a request; the comment is cut to what LO holds."""
    elements: dict[int, int | str | bytes] = {
        Tag.COMMAND_FIELD: to.field | IS_RESPONSE,
        Tag.RESPONDED_ID: to.message_id,
        Tag.DATASET_TYPE: A_DATASET if dataset else NO_DATASET,
        Tag.STATUS: status,
    }
    if to.sop_class:
        elements[Tag.AFFECTED_CLASS] = to.sop_class
    if to.sop_uid:
        elements[Tag.AFFECTED_INSTANCE] = to.sop_uid
    for tag in (Tag.ACTION_TYPE, Tag.EVENT_TYPE):
        if tag in to.elements and status == SUCCESS:
            elements[tag] = to.number(tag)
    if comment and status != SUCCESS:
        elements[Tag.COMMENT] = _comment(comment)
    return encode(elements | dict(more or {}))


def _comment(text: str) -> bytes:
    content = text.encode("ascii", "replace").replace(b"\\", b"/")[:LONGEST_COMMENT]
    return content + b" " if len(content) % 2 else content


def cancel(message_id: int) -> bytes:
    """Return a C-CANCEL-RQ."""
    return encode({Tag.COMMAND_FIELD: int(Field.C_CANCEL), Tag.RESPONDED_ID: message_id, Tag.DATASET_TYPE: NO_DATASET})
