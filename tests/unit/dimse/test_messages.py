"""Command sets, beside what pydicom makes of them."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydicom.filereader import read_dataset

from core.dimse import messages
from core.dimse.messages import Field, Tag
from core.dimse.pdu import Malformed

STORE = messages.request(
    Field.C_STORE, 7, "1.2.840.10008.5.1.4.1.1.20", dataset=True,
    more=[(Tag.AFFECTED_INSTANCE, "1.2.3"), (Tag.PRIORITY, 0), (Tag.ORIGINATOR, b"CAM1"), (Tag.ORIGINATOR_ID, 5)],
)  # fmt: skip


def test_pydicom_reads_our_request() -> None:
    theirs = read_dataset(BytesIO(STORE), is_implicit_VR=True, is_little_endian=True)
    assert theirs.CommandGroupLength == len(STORE) - 12
    assert (theirs.CommandField, theirs.MessageID, theirs.Priority) == (1, 7, 0)
    assert (theirs.AffectedSOPClassUID, theirs.AffectedSOPInstanceUID) == ("1.2.840.10008.5.1.4.1.1.20", "1.2.3")
    assert (theirs.MoveOriginatorApplicationEntityTitle, theirs.MoveOriginatorMessageID) == ("CAM1", 5)
    assert theirs.CommandDataSetType != 0x0101


def test_a_request_is_read_as_it_was_meant() -> None:
    command = messages.decode(STORE, 3)
    assert (command.field, command.message_id, command.context, command.has_dataset) == (1, 7, 3, True)
    assert (command.sop_class, command.sop_uid) == ("1.2.840.10008.5.1.4.1.1.20", "1.2.3")


def test_a_response_repeats_what_it_answers_and_says_why() -> None:
    request = messages.decode(STORE, 3)
    comment = "no room\\left " * 10
    theirs = read_dataset(
        BytesIO(messages.response(request, 0xA700, comment)), is_implicit_VR=True, is_little_endian=True
    )
    assert (theirs.CommandField, theirs.MessageIDBeingRespondedTo, theirs.Status) == (0x8001, 7, 0xA700)
    assert theirs.AffectedSOPInstanceUID == "1.2.3"
    assert theirs.CommandDataSetType == 0x0101
    assert len(theirs.ErrorComment) <= 64
    assert "\\" not in str(theirs.ErrorComment)


def test_a_set_is_asked_of_what_is_requested_and_answered_of_what_is_affected() -> None:
    asked = messages.request(Field.N_SET, 1, "1.2.3", dataset=True, more=[(Tag.REQUESTED_INSTANCE, "1.2.4")])
    theirs = read_dataset(BytesIO(asked), is_implicit_VR=True, is_little_endian=True)
    assert (theirs.RequestedSOPClassUID, theirs.RequestedSOPInstanceUID) == ("1.2.3", "1.2.4")
    answer = messages.response(messages.decode(asked, 1), 0)
    theirs = read_dataset(BytesIO(answer), is_implicit_VR=True, is_little_endian=True)
    assert (theirs.AffectedSOPClassUID, theirs.AffectedSOPInstanceUID) == ("1.2.3", "1.2.4")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0", STORE[:-1], STORE[:30], b"\x08\0\x05\0\0\0\0\0", messages.encode({Tag.MESSAGE_ID: 1})],
    ids=["nothing", "half a tag", "cut", "cut in a value", "another group", "no field"],
)
def test_what_is_no_command_set_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        messages.decode(content, 1)


@given(some.binary(max_size=300))
def test_any_bytes_are_a_command_set_or_malformed(content: bytes) -> None:
    with suppress(Malformed):
        command = messages.decode(content, 1)
        assert command.message_id >= 0
        assert command.sop_class is not None


@given(some.integers(0, len(STORE) - 1), some.integers(0, 255))
def test_a_command_set_with_a_wrong_byte_is_read_or_malformed(at: int, value: int) -> None:
    content = bytearray(STORE)
    content[at] = value
    with suppress(Malformed):
        messages.decode(bytes(content), 1)
