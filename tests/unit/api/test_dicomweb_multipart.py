"""Messages of several parts are read the same however they come in pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st

from core.api import dicomweb_multipart as multipart

BOUNDARY = "edge"
MESSAGE = (
    b"a preamble nobody reads\r\n--edge\r\nContent-Type: application/dicom\r\nX-Other: 1\r\n\r\n"
    b"first\r\n--edg\r\nstill first\r\n--edge \t\r\n\r\n\x00second--edge\r\n--edge--\r\nan epilogue\r\n--edge\r\n\r\n"
)
PARTS = [
    ({"content-type": "application/dicom", "x-other": "1"}, b"first\r\n--edg\r\nstill first"),
    ({}, b"\x00second--edge"),
]


class Heard:
    """Keeps the parts it is told."""

    def __init__(self) -> None:
        self.parts: list[tuple[dict[str, str], bytes]] = []
        self.reader = multipart.Reader(BOUNDARY, self.begin)

    def begin(self, headers: dict[str, str]) -> multipart.Fill:
        content = bytearray()

        def fill(piece: bytes | memoryview | None) -> None:
            if piece is None:
                self.parts.append((headers, bytes(content)))
            else:
                content.extend(piece)

        return fill


def heard(*pieces: bytes) -> list[tuple[dict[str, str], bytes]]:
    told = Heard()
    for piece in pieces:
        told.reader.feed(piece)
    told.reader.finish()
    return told.parts


def test_the_parts_of_a_message_are_told_with_their_headers() -> None:
    assert heard(MESSAGE) == PARTS


@given(st.lists(st.integers(0, len(MESSAGE)), max_size=20))
def test_where_a_message_is_cut_on_its_way_makes_no_difference(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(MESSAGE)]
    assert heard(*(MESSAGE[a:b] for a, b in pairwise(places))) == PARTS


def test_byte_by_byte_too() -> None:
    assert heard(*(bytes([one]) for one in MESSAGE)) == PARTS


def test_a_message_may_begin_with_its_boundary_and_hold_an_empty_part() -> None:
    assert heard(b"--edge\r\n\r\n\r\n--edge--") == [({}, b"")]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"--edge\r\n\r\nbreaks off",
        b"--edge\r\n\r\nno end\r\n--edge\r\n",
        b"--edgeless\r\n\r\n",
        b"--edge\r\n" + b"X" * (1 << 15),
    ],
)
def test_a_message_not_built_as_it_says_is_refused(broken: bytes) -> None:
    with pytest.raises(HTTPException) as refused:
        heard(broken)
    assert refused.value.status_code == 400


def test_a_part_of_any_length_is_never_held() -> None:
    told = Heard()
    told.reader.feed(b"--edge\r\n\r\n")
    longest = 0
    for _ in range(100):
        told.reader.feed(b"\r\n--edg" * 1000)
        longest = max(longest, len(told.reader._held))
    assert longest < 100
