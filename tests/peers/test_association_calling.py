"""Associations we ask for, of DCMTK, of pynetdicom and of nobody."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from core.dicom.encoding import encoded
from core.dimse import messages, pdu
from core.dimse.association import Association, connect
from core.dimse.link import Patience
from core.dimse.messages import PENDING, Status, Tag
from core.dimse.negotiation import Context, Proposed
from core.errors import PeerFailed
from tests.peers.malformed import pdu as raw
from tests.peers.process import slices

CT, ECHO, FIND = map(str, (CTImageStorage, Verification, StudyRootQueryRetrieveInformationModelFind))
IMPLICIT, EXPLICIT, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"
SOON = Patience(connect=5, artim=5, idle=5, answer=5)


def _connected(port: int, *contexts: Proposed, called: str = "THEM", patience: Patience = SOON) -> Association:
    return connect("127.0.0.1", port, calling="PHOTOPEAK", called=called, contexts=contexts, patience=patience)


def _dataset(path: Path) -> bytes:
    with path.open("rb") as file:
        meta = pydicom.filereader.read_file_meta_info(path)
        file.seek(128 + 4 + 12 + meta.FileMetaInformationGroupLength)
        return file.read()


@contextlib.contextmanager
def _pynetdicom(*handlers: tuple[Any, Any], maximum: int = 16382) -> Iterator[int]:
    ae = AE("THEM")
    ae.maximum_pdu_size = maximum
    for context in (CT, ECHO, FIND, StorageCommitmentPushModel, StudyRootQueryRetrieveInformationModelMove):
        ae.add_supported_context(context, [IMPLICIT, EXPLICIT])
    ae.require_called_aet = True
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        server.server_close()


# -- with peers ------------------------------------------------------------------------------------------------------


@pytest.mark.peer("storescp")
def test_dcmtk_takes_objects_by_the_association_it_agreed_to(
    tmp_path: Path, peer: Callable[[str], Path], free_port: Callable[[], int]
) -> None:
    port, sent = free_port(), slices(tmp_path / "in", 3, size=128)
    (tmp_path / "out").mkdir()
    server = subprocess.Popen([peer("storescp"), "--max-pdu", "4096", "-od", tmp_path / "out", str(port)])
    try:
        with _patiently(port) as association:
            assert association.echo() == 0
            (context,) = (each for each in association.contexts if each.abstract_syntax == CT)
            for path in sent:
                content, uid = _dataset(path), pydicom.dcmread(path).SOPInstanceUID
                pieces = [content[at : at + 9_999] for at in range(0, len(content), 9_999)]
                assert association.store(context, CT, uid, pieces, originator=("CAM1", 5)) == Status(0)
    finally:
        server.terminate()
        server.wait(10)
    kept = {pydicom.dcmread(path).SOPInstanceUID: _dataset(path) for path in (tmp_path / "out").iterdir()}
    assert kept == {pydicom.dcmread(path).SOPInstanceUID: _dataset(path) for path in sent}


def _patiently(port: int) -> Association:
    until = time.monotonic() + 10
    while True:
        try:
            return _connected(port, Proposed(ECHO, (IMPLICIT,)), Proposed(CT, (EXPLICIT,)), Proposed(CT, (RLE,)))
        except PeerFailed:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_what_the_peer_did_not_accept_is_not_among_the_contexts() -> None:
    with (
        _pynetdicom() as port,
        _connected(
            port, Proposed(CT, (RLE,)), Proposed("1.2.3", (IMPLICIT,)), Proposed(CT, (EXPLICIT,))
        ) as association,
    ):
        assert association.contexts == (Context(5, CT, EXPLICIT),)
        with pytest.raises(PeerFailed, match="does not offer"):
            association.echo()


def test_a_status_comes_back_with_its_comment() -> None:
    def refuse(_: evt.Event) -> Dataset:
        said = Dataset()
        said.Status, said.ErrorComment = 0xA700, "no room left"
        return said

    with _pynetdicom((evt.EVT_C_STORE, refuse)) as port, _connected(port, Proposed(CT, (EXPLICIT,))) as association:
        assert association.store(association.contexts[0], CT, "1.2.3", [b"ab"]) == Status(0xA700, "no room left")


@pytest.mark.parametrize("taken", [1, 20], ids=["left after one", "all"])
def test_answers_to_a_query_come_one_by_one_and_leaving_cancels(taken: int) -> None:
    def answer(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(20):
            one = Dataset()
            one.PatientID = str(number)
            yield 0xFF00, one

    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    with (
        _pynetdicom((evt.EVT_C_FIND, answer)) as port,
        _connected(port, Proposed(FIND, (IMPLICIT,)), Proposed(ECHO, (IMPLICIT,))) as association,
    ):
        answers = association.find(association.contexts[0], FIND, encoded(keys, IMPLICIT))
        got = [next(answers) for _ in range(taken)]
        answers.close()  # type: ignore[attr-defined]  # a generator
        assert association.echo() == 0
    assert [status.code for status, _ in got] == [PENDING] * taken
    assert all(b"\x10\0\x20\0" in identifier for _, identifier in got)


def test_a_move_tells_its_counts() -> None:
    def move(event: evt.Event) -> Iterator[Any]:
        assert event.move_destination == "CAM1"
        yield None, None

    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    sop_class = str(StudyRootQueryRetrieveInformationModelMove)
    with _pynetdicom((evt.EVT_C_MOVE, move)) as port, _connected(port, Proposed(sop_class, (IMPLICIT,))) as association:
        ((status, _),) = association.move(association.contexts[0], sop_class, encoded(keys, IMPLICIT), "CAM1")
    assert status.code == 0xA801


def test_an_event_is_reported_and_an_action_asked_for() -> None:
    heard: list[tuple[int | None, str]] = []

    def report(event: evt.Event) -> tuple[int, None]:
        heard.append((event.event_type, str(event.event_information.TransactionUID)))
        return 0, None

    said = Dataset()
    said.TransactionUID = "1.2.3"
    sop_class = str(StorageCommitmentPushModel)
    proposed = Proposed(sop_class, (IMPLICIT,), scu=True, scp=False)
    with (
        _pynetdicom((evt.EVT_N_EVENT_REPORT, report), (evt.EVT_N_ACTION, lambda _event: (0x0112, None))) as port,
        _connected(port, proposed) as association,
    ):
        (context,) = association.contexts
        assert association.n_event_report(context, sop_class, "1.2", 1, encoded(said, IMPLICIT)).code == 0
        assert association.n_action(context, sop_class, "1.2", 1, encoded(said, IMPLICIT)).code == 0x0112
    assert heard == [(1, "1.2.3")]


# -- what may go wrong -----------------------------------------------------------------------------------------------


def test_a_rejection_is_told_in_the_words_of_the_standard() -> None:
    with _pynetdicom() as port, pytest.raises(PeerFailed, match=r"called AE title not recognised .*for good"):
        _connected(port, Proposed(ECHO, (IMPLICIT,)), called="OTHER")


def test_a_node_that_is_not_there_is_named(free_port: Callable[[], int]) -> None:
    port = free_port()
    with pytest.raises(PeerFailed, match=rf"THEM at 127.0.0.1:{port} cannot be reached"):
        _connected(port, Proposed(ECHO, (IMPLICIT,)))


@contextlib.contextmanager
def _strange(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A peer that says these things, each after it heard something, and then listens."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    for answer in answers:
                        heard.append(connection.recv(65536))
                        connection.sendall(answer)
                    while more := connection.recv(65536):
                        heard.append(more)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], heard
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


ACCEPT = pdu.encode(pdu.AssociateAc("THEM", "PHOTOPEAK", (pdu.ContextAc(1, 0, IMPLICIT),), pdu.User(16384, "1.2.3")))


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (raw(2, b"short"), "cut short"),
        (raw(7, bytes(4)), "aborted"),
        (raw(3, b""), "4 bytes"),
        (raw(5, bytes(4)), "does not belong"),
        (raw(4, b"abcd"), "does not belong"),
        (raw(0x77, b"abcd"), "does not belong"),
        (raw(2, b"", length=0x7FFFFFFF), "longer than"),
    ],
)
def test_a_strange_answer_to_a_request_is_an_error_and_no_more(answer: bytes, match: str) -> None:
    with _strange(answer) as (port, _), pytest.raises(PeerFailed, match=match):
        _connected(port, Proposed(ECHO, (IMPLICIT,)))


def test_a_node_that_says_nothing_is_not_waited_for_for_ever() -> None:
    impatient = Patience(connect=1, artim=0.2, answer=0.2)
    with _strange() as (port, _), pytest.raises(PeerFailed, match="silent"):
        _connected(port, Proposed(ECHO, (IMPLICIT,)), patience=impatient)
    with (
        _strange(ACCEPT) as (port, _),
        pytest.raises(PeerFailed, match="silent"),
        _connected(port, Proposed(ECHO, (IMPLICIT,)), patience=impatient) as association,
    ):
        association.echo()


def test_a_release_collision_ends_in_good_order() -> None:
    with _strange(ACCEPT, pdu.RELEASE_RQ, pdu.RELEASE_RP) as (port, heard):
        _connected(port, Proposed(ECHO, (IMPLICIT,))).release()
    assert heard[1:] == [pdu.RELEASE_RQ, pdu.RELEASE_RP]


def test_what_still_comes_after_we_asked_for_release_is_let_go() -> None:
    late = raw(4, b"\0\0\0\2\1\3")
    with _strange(ACCEPT, late + pdu.RELEASE_RP) as (port, heard):
        _connected(port, Proposed(ECHO, (IMPLICIT,))).release()
    assert heard[1:] == [pdu.RELEASE_RQ]


def test_what_goes_wrong_inside_aborts_the_association() -> None:
    with (
        _strange(ACCEPT) as (port, heard),
        contextlib.suppress(KeyError),
        _connected(port, Proposed(ECHO, (IMPLICIT,))),
    ):
        raise KeyError
    assert heard[1:] == [pdu.encode(pdu.Abort())]


def test_a_file_that_breaks_off_before_anything_was_sent_costs_one_object_only() -> None:
    def broken(size: int) -> Iterator[bytes]:
        yield bytes(size)
        raise OSError("the disk")

    with (
        _pynetdicom((evt.EVT_C_STORE, lambda _event: 0)) as port,
        _connected(port, Proposed(CT, (EXPLICIT,)), Proposed(ECHO, (IMPLICIT,))) as association,
    ):
        with pytest.raises(OSError, match="the disk"):
            association.store(association.contexts[0], CT, "1.2.3", broken(100))
        assert association.echo() == 0
        with pytest.raises(OSError, match="the disk"):
            association.store(association.contexts[0], CT, "1.2.4", broken(8 << 20))
        assert not association.is_open


def test_an_answer_to_another_request_is_passed_over() -> None:
    def response(number: int, comment: bytes) -> bytes:
        body = messages.encode(
            {
                Tag.COMMAND_FIELD: 0x8030, Tag.RESPONDED_ID: number, Tag.DATASET_TYPE: 0x0101, Tag.STATUS: 0,
                Tag.COMMENT: comment,
            }
        )  # fmt: skip
        return raw(4, (len(body) + 2).to_bytes(4, "big") + b"\1\3" + body)

    with _strange(ACCEPT, response(7, b"not yours ") + response(1, b"yours ")) as (port, _):
        association = _connected(port, Proposed(ECHO, (IMPLICIT,)))
        assert association.echo() == 0
        association.abort()
