"""PDUs to bytes and back, beside what pynetdicom makes of them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from core.dimse import pdu
from core.dimse.pdu import (
    Abort,
    AssociateAc,
    AssociateRq,
    ContextAc,
    ContextRq,
    Identity,
    Malformed,
    Reject,
    Roles,
    User,
)

UIDS = some.from_regex(r"1\.2(\.[1-9][0-9]{0,8}){1,6}", fullmatch=True)
TITLES = some.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ ", min_size=1, max_size=16).map(lambda text: text.ljust(16))
USERS = some.builds(
    User,
    maximum_length=some.integers(0, 2**32 - 1),
    implementation_class=UIDS,
    implementation_version=some.text("ABC_123", max_size=16),
    window=some.none() | some.tuples(some.integers(0, 65535), some.integers(0, 65535)),
    roles=some.dictionaries(UIDS, some.tuples(some.booleans(), some.booleans()), max_size=4).map(
        lambda chosen: tuple(Roles(uid, *both) for uid, both in sorted(chosen.items()))
    ),
    extended=some.lists(some.tuples(UIDS, some.binary(max_size=20)), max_size=3).map(tuple),
    identity=some.none()
    | some.builds(Identity, some.integers(1, 5), some.booleans(), some.binary(max_size=40), some.binary(max_size=40)),
)
IDS = some.integers(0, 127).map(lambda number: 2 * number + 1)
REQUESTS = some.builds(
    AssociateRq,
    called=TITLES,
    calling=TITLES,
    contexts=some.lists(
        some.builds(ContextRq, IDS, UIDS, some.lists(UIDS, min_size=1, max_size=5).map(tuple)),
        max_size=8,
        unique_by=lambda context: context.id,
    ).map(tuple),
    user=USERS,
)
ACCEPTS = some.builds(
    AssociateAc,
    called=TITLES,
    calling=TITLES,
    contexts=some.lists(some.builds(ContextAc, IDS, some.integers(0, 4), UIDS), max_size=8).map(tuple),
    user=USERS,
)


def _body(encoded: bytes) -> memoryview:
    assert int.from_bytes(encoded[2:6]) == len(encoded) - 6
    return memoryview(encoded)[6:]


@given(REQUESTS)
def test_a_request_comes_back_as_it_was(request: AssociateRq) -> None:
    assert pdu.decode_request(_body(pdu.encode(request))) == request


@given(ACCEPTS)
def test_an_acceptance_comes_back_as_it_was(accept: AssociateAc) -> None:
    assert pdu.decode_accept(_body(pdu.encode(accept))) == accept


@given(some.integers(1, 2), some.integers(1, 3), some.integers(0, 7))
def test_a_rejection_comes_back_as_it_was_and_has_words(result: int, source: int, reason: int) -> None:
    reject = Reject(result, source, reason)
    assert pdu.decode_reject(_body(pdu.encode(reject))) == reject
    assert reject.words


def test_an_abort_comes_back_as_it_was() -> None:
    assert pdu.decode_abort(_body(pdu.encode(Abort(2, 6)))) == Abort(2, 6)


REQUEST = AssociateRq(
    "PHOTOPEAK       ", "CAM1            ",
    (ContextRq(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")),
     ContextRq(3, "1.2.840.10008.5.1.4.1.1.20", ("1.2.840.10008.1.2.1",))),
    User(16384, "1.2.3", "VERSION", (3, 5), (Roles("1.2.840.10008.5.1.4.1.1.20", scu=False, scp=True),),
         (("1.2.840.10008.5.1.4.1.2.2.1", b"\1\0"),), Identity(2, True, b"name", b"word")),
)  # fmt: skip


def test_pynetdicom_reads_our_request_and_writes_the_same_bytes() -> None:
    encoded = pdu.encode(REQUEST)
    theirs: Any = A_ASSOCIATE_RQ()
    theirs.decode(encoded)
    assert (theirs.called_ae_title.strip(), theirs.calling_ae_title.strip()) == ("PHOTOPEAK", "CAM1")
    assert [context.abstract_syntax for context in theirs.presentation_context] == [
        context.abstract_syntax for context in REQUEST.contexts
    ]
    assert theirs.user_information.maximum_length == 16384
    assert theirs.encode() == encoded
    assert pdu.decode_request(_body(theirs.encode())) == REQUEST


def test_pynetdicom_reads_our_acceptance() -> None:
    user = User(131072, "1.2.3", "PHOTOPEAK", (1, 1), (Roles("1.2.840.10008.5.1.4.1.1.20", scu=True, scp=False),))
    contexts = (ContextAc(1, 0, "1.2.840.10008.1.2"), ContextAc(3, 4, "1.2"))
    accept = AssociateAc("A".ljust(16), "B".ljust(16), contexts, user)
    theirs: Any = A_ASSOCIATE_AC()
    theirs.decode(pdu.encode(accept))
    assert [(context.context_id, context.result) for context in theirs.presentation_context] == [(1, 0), (3, 4)]
    assert theirs.user_information.async_ops_window.maximum_number_operations_invoked == 1
    assert theirs.encode() == pdu.encode(accept)


def test_what_is_unknown_or_out_of_order_is_ignored() -> None:
    encoded = pdu.encode(REQUEST)
    body = bytes(_body(encoded))
    strange = b"\x77\0\0\4abcd"
    assert pdu.decode_request(memoryview(body[:68] + strange + body[68:])) == REQUEST


def test_two_contexts_of_one_identifier_are_malformed() -> None:
    twice = AssociateRq("A", "B", (ContextRq(1, "1.2", ("1.2",)), ContextRq(1, "1.3", ("1.2",))), User())
    with pytest.raises(Malformed, match="one identifier"):
        pdu.decode_request(_body(pdu.encode(twice)))


def test_fragments_are_told_apart() -> None:
    body = b"\0\0\0\5\1\3abc" + b"\0\0\0\2\3\0"
    assert [(context, control, bytes(piece)) for context, control, piece in pdu.fragments(memoryview(body))] == [
        (1, 3, b"abc"),
        (3, 0, b""),
    ]


@pytest.mark.parametrize(
    "body", [b"", b"\0\0\0", b"\0\0\0\1\1", b"\0\0\0\1\1\3x", b"\0\0\0\x09\1\3abc", b"\0\0\0\3\1\3a\0"]
)
def test_fragments_whose_lengths_lie_are_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        list(pdu.fragments(memoryview(body)))


DECODERS = (pdu.decode_request, pdu.decode_accept, pdu.decode_reject, pdu.decode_abort)


@given(some.binary(max_size=400))
@example(b"")
@example(bytes(68))
def test_any_bytes_are_a_pdu_or_malformed_and_nothing_else(body: bytes) -> None:
    for decode in DECODERS:
        with suppress(Malformed):
            decode(memoryview(body))
    with suppress(Malformed):
        list(pdu.fragments(memoryview(body)))


@given(REQUESTS, some.data())
def test_a_request_with_a_wrong_byte_is_read_or_malformed(request: AssociateRq, data: some.DataObject) -> None:
    body = bytearray(_body(pdu.encode(request)))
    at = data.draw(some.integers(0, len(body) - 1))
    body[at] = data.draw(some.integers(0, 255))
    del body[data.draw(some.integers(0, len(body))) :]
    with suppress(Malformed):
        pdu.decode_request(memoryview(bytes(body)))
