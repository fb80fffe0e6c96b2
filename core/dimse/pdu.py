"""Protocol data units of the upper layer, to bytes and back (PS3.8 9.3, PS3.7 D.3).

Lengths are believed only as far as the bytes that came. What the standard tells to ignore is ignored: reserved bytes,
unknown items, the order of items.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from core.errors import PeerFailed

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
HEAD = struct.Struct(">BxL")
DATA_HEAD = struct.Struct(">BxLLBB")
"""PDU type, PDU length, PDV length, context, message control header: all that stands before one fragment."""
_PDV_HEAD = struct.Struct(">LBB")
_ITEM = struct.Struct(">BxH")
_FIXED = struct.Struct(">HH16s16s32x")
_SMALL = bytes((0, 0, 0, 4))
_LAST_CONTEXT = 255


class Kind(IntEnum):
    """PDU types."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class Why(IntEnum):
    """Reasons of an A-ABORT by the service-provider (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNISED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class Malformed(PeerFailed):
    """A peer sent bytes that are no PDU or no message; `why` goes out with the A-ABORT."""

    def __init__(self, detail: str, why: Why = Why.INVALID_PARAMETER) -> None:
        super().__init__(detail)
        self.why = why


@dataclass(frozen=True, slots=True)
class ContextRq:
    """A presentation context as proposed."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextAc:
    """A presentation context as answered: `result` 0 accepts (PS3.8 Table 9-18)."""

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Roles:
    """SCP/SCU role selection for one SOP Class, of the requestor (PS3.7 D.3.3.4)."""

    sop_class: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """User identity (PS3.7 D.3.3.7): its type, whether an answer is asked for, and its two fields."""

    kind: int
    wants_answer: bool
    primary: bytes
    secondary: bytes


@dataclass(frozen=True, slots=True)
class User:
    """User information: what each side tells about itself. `maximum_length` 0 means no limit."""

    maximum_length: int = 0
    implementation_class: str = ""
    implementation_version: str = ""
    window: tuple[int, int] | None = None
    roles: tuple[Roles, ...] = ()
    extended: tuple[tuple[str, bytes], ...] = ()
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class AssociateRq:
    """A-ASSOCIATE-RQ."""

    called: str
    calling: str
    contexts: tuple[ContextRq, ...]
    user: User
    application_context: str = APPLICATION_CONTEXT
    version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateAc:
    """A-ASSOCIATE-AC; the AE titles repeat those of the request."""

    called: str
    calling: str
    contexts: tuple[ContextAc, ...]
    user: User
    application_context: str = APPLICATION_CONTEXT


@dataclass(frozen=True, slots=True)
class Reject:
    """A-ASSOCIATE-RJ: result, source, reason (PS3.8 Table 9-21)."""

    result: int
    source: int
    reason: int

    @property
    def words(self) -> str:
        """The reason as the standard words it."""
        reason = _REJECTIONS.get((self.source, self.reason), f"source {self.source}, reason {self.reason}")
        return f"{reason} ({'for now' if self.result == TRANSIENT else 'for good'})"


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT: source 0 is the service-user, 2 the service-provider."""

    source: int = 0
    reason: int = 0


PERMANENT, TRANSIENT = 1, 2
_REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}

# -- to bytes --------------------------------------------------------------------------------------------------------

RELEASE_RQ = HEAD.pack(Kind.RELEASE_RQ, 4) + bytes(4)
RELEASE_RP = HEAD.pack(Kind.RELEASE_RP, 4) + bytes(4)


def encode(pdu: AssociateRq | AssociateAc | Reject | Abort) -> bytes:
    """Return a PDU's bytes."""
    match pdu:
        case AssociateRq():
            contexts = b"".join(map(_proposed, pdu.contexts))
            return _association(Kind.ASSOCIATE_RQ, pdu, contexts)
        case AssociateAc():
            contexts = b"".join(
                _item(0x21, bytes((each.id, 0, each.result, 0)) + _item(0x40, _ascii(each.transfer_syntax)))
                for each in pdu.contexts
            )
            return _association(Kind.ASSOCIATE_AC, pdu, contexts)
        case Reject():
            return HEAD.pack(Kind.ASSOCIATE_RJ, 4) + bytes((0, pdu.result, pdu.source, pdu.reason))
        case Abort():
            return HEAD.pack(Kind.ABORT, 4) + bytes((0, 0, pdu.source, pdu.reason))


def _proposed(context: ContextRq) -> bytes:
    syntaxes = b"".join(_item(0x40, _ascii(each)) for each in context.transfer_syntaxes)
    return _item(0x20, bytes((context.id, 0, 0, 0)) + _item(0x30, _ascii(context.abstract_syntax)) + syntaxes)


def _association(kind: Kind, pdu: AssociateRq | AssociateAc, contexts: bytes) -> bytes:
    fixed = _FIXED.pack(1, 0, _title(pdu.called), _title(pdu.calling))
    body = fixed + _item(0x10, _ascii(pdu.application_context)) + contexts + _item(0x50, _user(pdu.user))
    return HEAD.pack(kind, len(body)) + body


def _user(user: User) -> bytes:
    parts = [_item(0x51, user.maximum_length.to_bytes(4, "big")), _item(0x52, _ascii(user.implementation_class))]
    if user.window:
        parts.append(_item(0x53, struct.pack(">HH", *user.window)))
    parts += [
        _item(0x54, _counted(_ascii(each.sop_class)) + bytes((each.scu, each.scp)))
        for each in sorted(user.roles, key=lambda each: each.sop_class)
    ]
    if user.implementation_version:
        parts.append(_item(0x55, _ascii(user.implementation_version)[:16]))
    parts += [_item(0x56, _counted(_ascii(sop_class)) + info) for sop_class, info in user.extended]
    if user.identity:
        who = user.identity
        head = bytes((who.kind, who.wants_answer))
        parts.append(_item(0x58, head + _counted(who.primary) + _counted(who.secondary)))
    return b"".join(parts)


def _item(kind: int, content: bytes) -> bytes:
    return _ITEM.pack(kind, len(content)) + content


def _counted(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content


def _ascii(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _title(text: str) -> bytes:
    return _ascii(text)[:16].ljust(16)


# -- from bytes ------------------------------------------------------------------------------------------------------


def decode_request(body: memoryview) -> AssociateRq:
    """Read the body of an A-ASSOCIATE-RQ.

    Raises
    ------
    Malformed
        It is none.
    """
    version, called, calling = _fixed(body)
    application, contexts, user = "", [], User()
    for kind, content in _items(body[_FIXED.size :]):
        if kind == 0x10:  # noqa: PLR2004 - item types stand as the standard has them
            application = _text(content)
        elif kind == 0x20:  # noqa: PLR2004
            contexts.append(_context_rq(content))
        elif kind == 0x50:  # noqa: PLR2004
            user = _decode_user(content)
    if len({each.id for each in contexts}) != len(contexts):
        raise Malformed("two presentation contexts have one identifier")
    return AssociateRq(called, calling, tuple(contexts), user, application, version)


def decode_accept(body: memoryview) -> AssociateAc:
    """Read the body of an A-ASSOCIATE-AC; raises Malformed."""
    _, called, calling = _fixed(body)
    application, contexts, user = "", [], User()
    for kind, content in _items(body[_FIXED.size :]):
        if kind == 0x10:  # noqa: PLR2004
            application = _text(content)
        elif kind == 0x21:  # noqa: PLR2004
            contexts.append(_context_ac(content))
        elif kind == 0x50:  # noqa: PLR2004
            user = _decode_user(content)
    return AssociateAc(called, calling, tuple(contexts), user, application)


def decode_reject(body: memoryview) -> Reject:
    """Read the body of an A-ASSOCIATE-RJ; raises Malformed."""
    _demand(len(body) == len(_SMALL), "an A-ASSOCIATE-RJ has 4 bytes")
    return Reject(body[1], body[2], body[3])


def decode_abort(body: memoryview) -> Abort:
    """Read the body of an A-ABORT; raises Malformed."""
    _demand(len(body) == len(_SMALL), "an A-ABORT has 4 bytes")
    return Abort(body[2], body[3])


def fragments(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield context, message control header and bytes of each fragment in a P-DATA-TF.

    Raises
    ------
    Malformed
        The lengths do not fit together.
    """
    at, end = 0, len(body)
    if end < _PDV_HEAD.size:
        raise Malformed("a P-DATA-TF without a fragment")
    while at < end:
        if end - at < _PDV_HEAD.size:
            raise Malformed("a fragment is cut short")
        length, context, control = _PDV_HEAD.unpack_from(body, at)
        following = at + 4 + length
        if length < 2 or following > end:  # noqa: PLR2004 - its own context and control header
            raise Malformed("a fragment's length does not fit")
        yield context, control, body[at + 6 : following]
        at = following


def _fixed(body: memoryview) -> tuple[int, str, str]:
    _demand(len(body) >= _FIXED.size, "an association PDU is cut short")
    version, _, called, calling = _FIXED.unpack_from(body)
    return version, called.decode("latin-1"), calling.decode("latin-1")


def _items(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    at, end = 0, len(content)
    while at < end:
        _demand(end - at >= _ITEM.size, "an item is cut short")
        kind, length = _ITEM.unpack_from(content, at)
        at += _ITEM.size
        _demand(length <= end - at, "an item is longer than what holds it")
        yield kind, content[at : at + length]
        at += length


def _context_rq(content: memoryview) -> ContextRq:
    number = _context_id(content)
    abstract, syntaxes = "", []
    for kind, part in _items(content[4:]):
        if kind == 0x30:  # noqa: PLR2004
            abstract = _text(part)
        elif kind == 0x40:  # noqa: PLR2004
            syntaxes.append(_text(part))
    return ContextRq(number, abstract, tuple(syntaxes))


def _context_ac(content: memoryview) -> ContextAc:
    number = _context_id(content)
    syntax = next((_text(part) for kind, part in _items(content[4:]) if kind == 0x40), "")  # noqa: PLR2004
    return ContextAc(number, content[2], syntax)


def _context_id(content: memoryview) -> int:
    _demand(len(content) >= len(_SMALL), "a presentation context is cut short")
    _demand(content[0] % 2 == 1, "a presentation context's identifier is even")
    return content[0]


def _decode_user(content: memoryview) -> User:
    said: dict[int, memoryview] = {}
    roles, extended = [], []
    for kind, part in _items(content):
        if kind == 0x54:  # noqa: PLR2004
            uid, rest = _uncounted(part)
            _demand(len(rest) >= 2, "a role selection is cut short")  # noqa: PLR2004
            roles.append(Roles(_text(uid), bool(rest[0]), bool(rest[1])))
        elif kind == 0x56:  # noqa: PLR2004
            uid, rest = _uncounted(part)
            extended.append((_text(uid), bytes(rest)))
        else:
            said[kind] = part
    window = _exactly(said[0x53], 4) if 0x53 in said else None  # noqa: PLR2004
    return User(
        int.from_bytes(_exactly(said[0x51], 4)) if 0x51 in said else 0,  # noqa: PLR2004
        _text(said.get(0x52, _NOTHING)), _text(said.get(0x55, _NOTHING)),
        (int.from_bytes(window[:2]), int.from_bytes(window[2:])) if window else None,
        tuple(roles), tuple(extended), _identity(said[0x58]) if 0x58 in said else None,  # noqa: PLR2004
    )  # fmt: skip


def _identity(content: memoryview) -> Identity:
    _demand(len(content) >= 2, "a user identity is cut short")  # noqa: PLR2004
    primary, rest = _uncounted(content[2:])
    secondary, _ = _uncounted(rest)
    return Identity(content[0], bool(content[1]), bytes(primary), bytes(secondary))


def _uncounted(content: memoryview) -> tuple[memoryview, memoryview]:
    _demand(len(content) >= 2, "a counted field is cut short")  # noqa: PLR2004
    length = int.from_bytes(content[:2])
    _demand(length <= len(content) - 2, "a counted field is longer than what holds it")
    return content[2 : 2 + length], content[2 + length :]


def _exactly(content: memoryview, length: int) -> memoryview:
    _demand(len(content) == length, "a field has the wrong length")
    return content


def _text(content: memoryview) -> str:
    return bytes(content).decode("latin-1").strip("\0 ")


def _demand(fits: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not fits:
        raise Malformed(otherwise)


_NOTHING = memoryview(b"")
