"""Associations as the programs of others hold them, and as nobody should."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation, UserIdentityNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)

from core.dimse import messages, pdu
from core.dimse.messages import Field, Tag
from core.scp import Outgoing, Retrieved, Retrieving
from core.scp.listener import Listener, Manners
from tests.peers.answering import Shelf, answering
from tests.peers.malformed import CT, ECHO, Line, associate, command, data, status_of
from tests.peers.malformed import pdu as raw

CT_FILE = Path(str(get_testdata_file("CT_small.dcm")))
FIND = str(StudyRootQueryRetrieveInformationModelFind)
AET = "PHOTOPEAK"


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def listener(shelf: Shelf) -> Iterator[Listener]:
    with answering(shelf, Manners(artim_seconds=5, idle_seconds=5)) as running:
        yield running


def _run(program: str, listener: Listener, *arguments: object, aet: str = AET) -> subprocess.CompletedProcess[str]:
    line = [program, "-v", "-aec", aet, "127.0.0.1", str(listener.port), *map(str, arguments)]
    return subprocess.run(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=60, check=False
    )


def _wait(until: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.01)
    return until()


def _dataset(path: Path) -> bytes:
    with path.open("rb") as file:
        meta = pydicom.filereader.read_file_meta_info(path)
        file.seek(128 + 4 + 12 + meta.FileMetaInformationGroupLength)
        return file.read()


# -- the programs of others ------------------------------------------------------------------------------------------


@pytest.mark.peer("echoscu")
def test_dcmtk_echoes(listener: Listener) -> None:
    assert _run("echoscu", listener, "--repeat", 5).returncode == 0
    assert listener.associations_served == 1


@pytest.mark.peer("storescu")
@pytest.mark.parametrize(
    "limits", [(), ("--max-pdu", 4096), ("--max-send-pdu", 4096)], ids=["plain", "small in", "small out"]
)
def test_dcmtk_stores_in_fragments_of_any_size(listener: Listener, shelf: Shelf, limits: tuple[object, ...]) -> None:
    assert _run("storescu", listener, *limits, CT_FILE).returncode == 0
    ((uid, content),) = shelf.objects.items()
    assert uid == pydicom.dcmread(CT_FILE).SOPInstanceUID
    assert pydicom.dcmread(CT_FILE).PixelData in content
    assert shelf.announced[0].sop_class_uid == CT


@pytest.mark.peer("findscu")
def test_dcmtk_gets_every_answer_to_its_query_in_small_pdus_too(listener: Listener, shelf: Shelf) -> None:
    shelf.answers = 2000
    asked = ("-S", "--max-pdu", 4096, "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID")
    assert _run("findscu", listener, *asked).stdout.count("Find Response:") == 2000
    assert shelf.queries_closed == 1


@pytest.mark.peer("findscu")
def test_dcmtk_cancels_its_query(listener: Listener, shelf: Shelf) -> None:
    shelf.answers = 1_000_000
    asked = ("-S", "--cancel", 5, "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID")
    said = _run("findscu", listener, *asked)
    assert "Cancel" in said.stdout
    assert shelf.yielded < 500_000
    assert shelf.queries_closed == 1


@pytest.mark.peer("findscu")
def test_a_query_that_makes_no_sense_is_told_so(listener: Listener, shelf: Shelf) -> None:
    said = _run("findscu", listener, "-S", "-d", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=WRONG").stdout
    assert "0xa900" in said.lower()
    assert "PatientID cannot be WRONG" in said


@pytest.mark.peer("getscu")
def test_dcmtk_gets_what_it_asks_for_on_its_own_association(listener: Listener, shelf: Shelf, tmp_path: Path) -> None:
    one = pydicom.dcmread(CT_FILE)
    content = _dataset(CT_FILE)
    (tmp_path / "bare").write_bytes(content)

    def retrieve(keys: Dataset, retrieving: Retrieving) -> Retrieved:
        (syntax,) = set(retrieving.accepted(CT)) & {"1.2.840.10008.1.2.1"}
        retrieving.pending(2, 0, 0, 0)
        outgoing = Outgoing(CT, one.SOPInstanceUID, syntax, tmp_path / "bare", 0, len(content))
        assert retrieving.send(outgoing).code == 0
        return Retrieved(0, completed=1)

    shelf.retrieve = retrieve
    out = tmp_path / "out"
    out.mkdir()
    said = _run(
        "getscu", listener, "-S", "-d", "-od", out, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1"
    )
    (got,) = out.iterdir()
    assert pydicom.dcmread(got).PixelData == one.PixelData
    assert "Completed Suboperations       : 1" in said.stdout
    assert "Releasing Association" in said.stdout


def test_what_failed_is_listed_and_a_cancel_is_heard_between_objects(listener: Listener, shelf: Shelf) -> None:
    sent: list[int] = []

    def retrieve(keys: Dataset, retrieving: Retrieving) -> Retrieved:
        (syntax, *_) = retrieving.accepted(CT)
        for number in range(100_000):
            if retrieving.cancelled:
                return Retrieved(0xFE00, completed=number, failed=1, remaining=7, failed_uids=("1.2.3.4",))
            sent.append(retrieving.send(Outgoing(CT, f"1.2.{number}", syntax, CT_FILE, 0, 0), [b"\0\0"] * 3).code)
            retrieving.pending(100_000 - number, number + 1, 0, 0)
        return Retrieved(0)

    shelf.retrieve = retrieve
    ae = AE("ODD")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(CTImageStorage)
    role = build_role(CTImageStorage, scu_role=False, scp_role=True)
    heard: list[Any] = [(evt.EVT_C_STORE, lambda _event: 0)]
    association = ae.associate("127.0.0.1", listener.port, ae_title=AET, ext_neg=[role], evt_handlers=heard)
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    answers = []
    for status, identifier in association.send_c_get(keys, StudyRootQueryRetrieveInformationModelGet, msg_id=5):
        answers.append((status, identifier))
        if len(answers) == 3:
            association.send_c_cancel(5, query_model=StudyRootQueryRetrieveInformationModelGet)
    association.release()
    final, failed = answers[-1]
    assert (final.Status, final.NumberOfRemainingSuboperations, final.NumberOfFailedSuboperations) == (0xFE00, 7, 1)
    assert failed is not None
    assert failed.FailedSOPInstanceUIDList == "1.2.3.4"
    assert len(sent) < 1000
    assert set(sent) == {0}


def test_pynetdicom_with_everything_it_can_negotiate(listener: Listener, shelf: Shelf) -> None:
    ae = AE("ODD")
    for number in range(124):
        ae.add_requested_context(f"1.2.3.{number}")
    ae.add_requested_context(CTImageStorage)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(Verification)
    window, identity = AsynchronousOperationsWindowNegotiation(), UserIdentityNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 5
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"name", b"word"
    identity.positive_response_requested = True
    role = build_role(CTImageStorage, scu_role=True, scp_role=True)
    association = ae.associate("127.0.0.1", listener.port, ae_title=AET, ext_neg=[window, identity, role])
    assert association.is_established
    assert sorted(str(each.abstract_syntax) for each in association.accepted_contexts) == sorted(
        map(str, (CTImageStorage, StudyRootQueryRetrieveInformationModelGet, Verification))
    )
    (taken,) = (each for each in association.accepted_contexts if each.abstract_syntax == CTImageStorage)
    assert (taken.as_scu, taken.as_scp) == (True, True)
    assert association.acceptor.asynchronous_operations == (1, 1)
    assert association.send_c_echo().Status == 0
    association.release()
    assert association.is_released


def test_pynetdicom_is_told_that_it_may_not_n_get(listener: Listener) -> None:
    ae = AE("ODD")
    ae.add_requested_context(StorageCommitmentPushModel)
    association = ae.associate("127.0.0.1", listener.port, ae_title=AET)
    status, _ = association.send_n_get([], StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    assert status.Status == 0x0211
    association.release()


def test_commitment_is_asked_for_and_reported_in_the_roles_agreed(listener: Listener, shelf: Shelf) -> None:
    ae = AE("ODD")
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    association = ae.associate("127.0.0.1", listener.port, ae_title=AET, ext_neg=[role])
    said = Dataset()
    said.TransactionUID = "1.2.3"
    action = (StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    status, _ = association.send_n_action(said, 1, *action)
    assert status.Status == 0
    status, _ = association.send_n_action(said, 2, *action)
    assert status.Status != 0
    status, _ = association.send_n_event_report(said, 1, *action)
    assert status.Status == 0
    association.release()
    assert [(uid, asked.TransactionUID) for uid, asked in shelf.asked] == [("1.2.3", "1.2.3")]
    assert [(kind, told.TransactionUID) for kind, told in shelf.reported] == [(1, "1.2.3")]


@pytest.mark.parametrize(
    ("manners", "result", "reason"),
    [
        (Manners(aet="OTHER"), 1, (1, 7)),
        (Manners(known_only=True), 1, (1, 3)),
        (Manners(allowed=frozenset({"CAM1", "CAM2"})), 1, (1, 3)),
        (Manners(maximum_associations=0), 2, (3, 2)),
    ],
    ids=["another name", "not registered", "not on the list", "no room"],
)
def test_who_is_not_let_in_is_told_why(shelf: Shelf, manners: Manners, result: int, reason: tuple[int, int]) -> None:
    with answering(shelf, manners) as running, Line(running.port) as line:
        line.say(associate())
        assert line.hear() == raw(3, bytes((0, result, *reason)))


def test_who_is_on_the_list_is_let_in(shelf: Shelf) -> None:
    with answering(shelf, Manners(allowed=frozenset({"CAM1", "MALFORMED"}))) as running, Line(running.port) as line:
        line.say(associate())
        assert line.hear()[:1] == b"\2"


# -- fragments, any way a peer may choose ----------------------------------------------------------------------------


def _store_in(pieces: Callable[[bytes, bytes], bytes]) -> bytes:
    return pieces(command(CT, "1.2.3"), b"\x08\0\x18\0UI\6\0001.2.3\0")


FRAGMENTATIONS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "byte by byte": lambda cmd, body: b"".join(
        data(part[at : at + 1], control=kind + (2 if at == len(part) - 1 else 0))
        for part, kind in ((cmd, 1), (body, 0)) for at in range(len(part))
    ),
    "all in one PDU": lambda cmd, body: raw(
        4, b"".join(struct.pack(">LBB", len(part) + 2, 1, control) + part for part, control in ((cmd, 3), (body, 2)))
    ),
    "an empty last fragment": lambda cmd, body: (
        data(cmd, control=1) + data(b"", control=3) + data(body, control=0) + data(b"", control=2)
    ),
    "the command's end beside the dataset's beginning": lambda cmd, body: data(cmd[:40], control=1) + raw(
        4, struct.pack(">LBB", len(cmd) - 38, 1, 3) + cmd[40:] + struct.pack(">LBB", 6, 1, 0) + body[:4]
    ) + data(body[4:], control=2),
}  # fmt: skip


@pytest.mark.parametrize("how", FRAGMENTATIONS)
@pytest.mark.parametrize("at_once", [1, 7, 100_000], ids=["1 byte a segment", "7 bytes a segment", "one segment"])
def test_a_message_may_come_in_any_fragments(listener: Listener, shelf: Shelf, how: str, at_once: int) -> None:
    content = _store_in(FRAGMENTATIONS[how])
    with Line(listener.port) as line:
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.say(associate())
        assert line.hear()[:1] == b"\2"
        line.say(*(content[at : at + at_once] for at in range(0, len(content), at_once)))
        assert status_of(line.hear()) == 0
    assert shelf.objects == {"1.2.3": b"\x08\0\x18\0UI\6\0001.2.3\0"}


# -- collisions and leaving ------------------------------------------------------------------------------------------


def _find_request(number: int = 1) -> bytes:
    asked = messages.request(Field.C_FIND, number, FIND, dataset=True, more=[(Tag.PRIORITY, 0)])
    keys = b"\x08\0\x52\0\6\0\0\0STUDY "
    return data(asked, control=3) + data(keys, control=2)


def _associate_find() -> bytes:
    proposed = (pdu.ContextRq(1, FIND, ("1.2.840.10008.1.2",)),)
    return pdu.encode(pdu.AssociateRq(AET, "RAW", proposed, pdu.User(16384, "1.2.3")))


def test_a_release_asked_for_while_answers_are_on_their_way_comes_after_them(listener: Listener, shelf: Shelf) -> None:
    shelf.answers = 50
    with Line(listener.port) as line:
        line.say(_associate_find())
        line.hear()
        line.say(_find_request() + pdu.RELEASE_RQ)
        heard = [line.hear() for _ in range(102)]
    assert [one[:1] for one in heard] == [b"\4"] * 101 + [b"\6"]
    assert status_of(heard[-2]) == 0


def test_an_abort_in_the_middle_of_answers_ends_the_query(listener: Listener, shelf: Shelf) -> None:
    shelf.answers = 10_000_000
    with Line(listener.port) as line:
        line.say(_associate_find())
        line.hear()
        line.say(_find_request())
        line.hear()
        line.say(pdu.encode(pdu.Abort()))
    assert _wait(lambda: shelf.queries_closed == 1)
    assert shelf.yielded < 10_000_000
    assert _wait(lambda: listener.connections == 0)


def test_another_request_that_comes_while_answers_go_out_is_answered_next(listener: Listener, shelf: Shelf) -> None:
    shelf.answers = 50
    with Line(listener.port) as line:
        line.say(_associate_find())
        line.hear()
        line.say(_find_request(1) + _find_request(2))
        statuses = [status for _ in range(202) if (status := status_of(line.hear())) is not None]
    assert statuses == ([0xFF00] * 50 + [0]) * 2


def test_a_cancel_of_nothing_is_let_go(listener: Listener) -> None:
    with Line(listener.port) as line:
        line.say(_associate_find())
        line.hear()
        line.say(data(messages.cancel(99), control=3), _find_request())
        assert status_of(line.hear()) == 0xFF00


def test_a_peer_that_leaves_in_the_middle_of_an_object_leaves_nothing(listener: Listener, shelf: Shelf) -> None:
    for ending in (b"", pdu.encode(pdu.Abort()), pdu.RELEASE_RQ, raw(9, bytes(4))):
        with Line(listener.port) as line:
            line.say(associate())
            line.hear()
            line.say(data(command(CT, "1.2.3"), control=3) + data(b"half", control=0) + ending)
            if ending:
                line.hear()
    assert _wait(lambda: shelf.abandoned == ["1.2.3"] * 4)
    assert shelf.objects == {}
    assert _wait(lambda: listener.connections == 0)


def test_stopping_aborts_who_stays(shelf: Shelf) -> None:
    with answering(shelf) as running:
        line = Line(running.port)
        line.say(associate())
        line.hear()
    assert line.hear() == raw(7, bytes(4))
    line.socket.close()


# -- limits ----------------------------------------------------------------------------------------------------------


def test_an_object_that_grows_too_large_is_refused_and_the_next_one_kept(shelf: Shelf) -> None:
    with answering(shelf, Manners(largest_object=1000)) as running, Line(running.port) as line:
        line.say(associate())
        line.hear()
        line.say(data(command(CT, "1.2.3"), control=3), *[data(bytes(500), control=0)] * 5, data(b"", control=2))
        assert status_of(line.hear()) == 0xA700
        line.say(data(command(CT, "1.2.4"), control=3) + data(bytes(1000), control=2))
        assert status_of(line.hear()) == 0
    assert list(shelf.objects) == ["1.2.4"]
    assert shelf.abandoned == ["1.2.3"]


def test_a_full_disk_is_told_after_the_object_and_the_association_goes_on(listener: Listener, shelf: Shelf) -> None:
    shelf.full = True
    with Line(listener.port) as line:
        line.say(associate())
        line.hear()
        line.say(data(command(CT, "1.2.3"), control=3), data(bytes(10_000), control=0), data(b"", control=2))
        assert status_of(line.hear()) == 0xA700
        shelf.full = False
        line.say(data(command(CT, "1.2.4"), control=3) + data(bytes(1000), control=2))
        assert status_of(line.hear()) == 0


@pytest.mark.parametrize("kind", [1, 4], ids=["association", "data"])
def test_a_pdu_of_two_gigabytes_is_not_waited_for(listener: Listener, kind: int) -> None:
    with Line(listener.port) as line:
        if kind == 4:
            line.say(associate())
            line.hear()
        line.say(raw(kind, b"1234", length=0x7FFFFFFF))
        assert line.hear()[:1] == b"\7"


def test_who_connects_and_leaves_holds_nothing(listener: Listener) -> None:
    for _ in range(200):
        Line(listener.port).socket.close()
    assert _wait(lambda: listener.connections == 0)
    assert listener.associations_served == 0


def test_silent_connections_keep_nobody_out(shelf: Shelf) -> None:
    with answering(shelf, Manners(maximum_associations=4, artim_seconds=60)) as running:
        silent = [Line(running.port) for _ in range(100)]
        assert _wait(lambda: running.connections == 36)
        with Line(running.port) as line:
            line.say(associate())
            assert line.hear()[:1] == b"\2"
        silent[0].socket.settimeout(5)
        assert silent[0].socket.recv(1) == b""
        for one in silent:
            one.socket.close()
        assert _wait(lambda: running.connections == 0)


def test_associations_are_held_to_their_number_and_the_next_one_gets_in_when_one_ends(shelf: Shelf) -> None:
    with answering(shelf, Manners(maximum_associations=3)) as running:
        lines = [Line(running.port) for _ in range(4)]
        for line in lines[:3]:
            line.say(associate())
            assert line.hear()[:1] == b"\2"
        lines[3].say(associate())
        assert lines[3].hear() == raw(3, bytes((0, 2, 3, 2)))
        lines[0].say(pdu.RELEASE_RQ)
        assert lines[0].hear()[:1] == b"\6"
        assert _wait(lambda: running.associations == 2)
        with Line(running.port) as line:
            line.say(associate())
            assert line.hear()[:1] == b"\2"
        for line in lines:
            line.socket.close()


@pytest.mark.parametrize("begun", [b"", associate()[:3], associate()[:40]], ids=["nothing", "a head", "a part"])
def test_artim_ends_who_does_not_ask(shelf: Shelf, begun: bytes) -> None:
    with answering(shelf, Manners(artim_seconds=0.3)) as running, Line(running.port) as line:
        line.say(begun)
        assert line.hear() == b""


def test_idleness_is_aborted(shelf: Shelf) -> None:
    with answering(shelf, Manners(idle_seconds=0.3)) as running, Line(running.port) as line:
        line.say(associate())
        line.hear()
        assert line.hear() == raw(7, bytes(4))


def test_a_dripping_sender_is_not_waited_for_for_ever(shelf: Shelf) -> None:
    with answering(shelf, Manners(idle_seconds=0.5, artim_seconds=0.5)) as running, Line(running.port) as line:
        line.say(associate())
        line.hear()
        line.say(raw(4, b"", length=1000))
        end = time.monotonic() + 10
        while running.connections and time.monotonic() < end:
            line.say(b"\0")
            time.sleep(0.05)
        assert running.connections == 0


def test_a_peer_that_does_not_read_its_answers_is_left(shelf: Shelf) -> None:
    shelf.answers = 1_000_000
    with answering(shelf, Manners(idle_seconds=0.5)) as running, Line(running.port) as line:
        line.say(_associate_find())
        line.hear()
        line.say(_find_request())
        assert _wait(lambda: shelf.queries_closed == 1, 60)


# -- what a command may say wrongly ----------------------------------------------------------------------------------


def _answered(listener: Listener, *said: bytes) -> bytes:
    with Line(listener.port) as line:
        line.say(associate())
        line.hear()
        line.say(*said)
        return line.hear()


def test_an_object_of_another_class_than_its_context_is_refused(listener: Listener, shelf: Shelf) -> None:
    mr = "1.2.840.10008.5.1.4.1.1.4"
    answer = _answered(listener, data(command(mr, "1.2.3"), control=3), data(b"abcd", control=2))
    assert status_of(answer) == 0x0122
    assert shelf.announced == []


def test_a_store_on_the_context_of_verification_is_refused(listener: Listener, shelf: Shelf) -> None:
    said = data(command(ECHO, "1.2.3"), control=3, context=3), data(b"abcd", control=2, context=3)
    assert status_of(_answered(listener, *said)) == 0x0122
    assert shelf.announced == []


def test_an_operation_nobody_knows_is_unrecognised(listener: Listener) -> None:
    assert (
        status_of(_answered(listener, data(command(CT, "1.2.3", field=0x0777, has_dataset=0x0101), control=3)))
        == 0x0211
    )


ABORTS = {
    "a dataset without a command": (data(b"abcd", control=2), 5),
    "a context nobody agreed on": (data(command(CT, "1"), control=3, context=77), 5),
    "a command inside a dataset": (data(command(CT, "1"), control=3) + data(command(CT, "2"), control=3), 5),
    "a dataset on another context": (data(command(CT, "1"), control=3) + data(b"abcd", control=2, context=3), 5),
    "a command set without end": (data(bytes(16000), control=1) * 6, 6),
    "no fragment": (raw(4, b""), 6),
    "noise": (raw(4, b"\xff" * 50), 6),
    "an unknown PDU": (raw(0x42, b"abcd"), 1),
    "a second request": (associate(), 2),
    "an acceptance": (raw(2, b"abcd"), 2),
    "a release confirmed that nobody asked for": (pdu.RELEASE_RP, 2),
}


@pytest.mark.parametrize("what", ABORTS)
def test_what_does_not_belong_there_is_aborted_with_the_reason(listener: Listener, what: str) -> None:
    said, reason = ABORTS[what]
    assert _answered(listener, said) == raw(7, bytes((0, 0, 2, reason)))
    assert _wait(lambda: listener.connections == 0)


def test_before_the_request_anything_else_is_aborted(listener: Listener) -> None:
    for said in (raw(4, b"abcd"), raw(5, bytes(4)), raw(1, b"short"), raw(0x42, b"abcd")):
        with Line(listener.port) as line:
            line.say(said)
            assert line.hear()[:1] == b"\7"


def test_another_protocol_version_is_rejected_by_the_provider(listener: Listener) -> None:
    asked = bytearray(associate())
    asked[6:8] = b"\0\2"
    with Line(listener.port) as line:
        line.say(bytes(asked))
        assert line.hear() == raw(3, bytes((0, 1, 2, 2)))


def test_another_application_context_is_rejected(listener: Listener) -> None:
    with Line(listener.port) as line:
        line.say(associate().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9"))
        assert line.hear() == raw(3, bytes((0, 1, 1, 2)))
