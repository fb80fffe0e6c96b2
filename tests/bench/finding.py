"""C-FIND over many studies beside Orthanc with its default configuration: one match, five thousand, a part of a name.

Run: .venv/bin/python -m tests.bench.finding [STUDIES=200000] [ORTHANC=10000]. Ours are written as rows, Orthanc's are
objects it was given; the same client asks both in turn. Asked for is a ratio of 50 for one match, 10 for 5,000.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pydicom
from pydicom import Dataset
from sqlmodel import insert

from core.dicom import conformance
from core.dicom.encoding import encoded
from core.dimse.association import Association, connect
from core.dimse.messages import PENDING, Field, Tag
from core.dimse.negotiation import Proposed
from core.model import Batch, Image, SentPatient, Series, Study
from core.opening import open_records
from core.settings import Settings
from tests.peers.orthanc import orthanc
from tests.peers.process import Photopeakd, altered, slices

FIND, EXPLICIT = conformance.FIND.uids[1], conformance.MESSAGE_SYNTAXES[0]
MATCHES = 5000
RETURNED = (
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
)
TIMES = 9
_TEMPLATE = 7654321
_AT_ONCE = 10_000
_PORTS = (28042, 24242)


def person(number: int, of: int) -> str:
    """Name every patient; five thousand of them, anywhere among the rest, are called Wang."""
    return f"{'WANG' if number % max(1, of // MATCHES) == 0 else 'CHEN'}^FANG{number:07}"


def uid(level: int, number: int) -> str:
    """Return a UID of a study (1), a series (2) or an object (3), all of one length."""
    return f"1.2.826.0.1.3680043.8.498.{level}.1{number:07}"


def fill(folder: Path, studies: int) -> None:
    """Write rows of so many studies, one series and one object each."""
    records = open_records(Settings(folder))
    with records.writing() as work:
        for first in range(1, studies + 1, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, studies + 1))
            for table, row in (
                (SentPatient, _patient),
                (Study, _study),
                (Series, _series),
                (Batch, _batch),
                (Image, _image),
            ):
                rows = [row(number, studies) for number in numbers]
                extra = {"first_at": work.now, "last_at": work.now} if table is Batch else {}
                extra = {"received_at": work.now} if table is Image else extra
                work.session.connection().execute(insert(table), [{**row, **extra} for row in rows])
    records.close()


def _patient(number: int, of: int) -> dict[str, Any]:
    return {"id": number, "site": "MAIN", "identity_key": str(number), "patient_number": f"P{number:07}",
            "name": person(number, of), "birth_date": "19610304", "sex": "M"}  # fmt: skip


def _date(number: int) -> str:
    return f"{2016 + number % 10}{number // 10 % 12 + 1:02}{number % 28 + 1:02}"


def _study(number: int, of: int) -> dict[str, Any]:
    return {"id": number, "site": "MAIN", "sent_patient_id": number, "uid": uid(1, number),
            "date": _date(number), "time": "101500", "accession": f"A{number:07}", "study_id": str(number),
            "description": "Bone scan whole body"}  # fmt: skip


def _series(number: int, of: int) -> dict[str, Any]:
    return {"id": number, "study_id": number, "uid": uid(2, number), "modality": "NM"}


def _batch(number: int, of: int) -> dict[str, Any]:
    return {
        "id": number,
        "site": "MAIN",
        "study_uid": uid(1, number),
        "identity_key": str(number),
    }


def _image(number: int, of: int) -> dict[str, Any]:
    return {"id": number, "site": "MAIN", "series_id": number, "batch_id": number, "number": 1, "sha256": "",
            "sop_uid": uid(3, number), "sop_class": "1.2.840.10008.5.1.4.1.1.20",
            "transfer_syntax": EXPLICIT, "content_sha256": ""}  # fmt: skip


def give(client: httpx.Client, folder: Path, studies: int) -> None:
    """Give Orthanc so many small objects, each a study of its own, of the same patients."""
    pattern, day = _pattern(folder), _date(0).encode()

    def send(number: int) -> None:
        surname = person(number, studies).split("^")[0].encode()
        content = pattern.replace(f"{_TEMPLATE:07}".encode(), f"{number:07}".encode())
        content = content.replace(b"WANG^", surname + b"^").replace(day, _date(number).encode())
        client.post("/instances", content=content).raise_for_status()

    with ThreadPoolExecutor(2) as senders:
        for _ in senders.map(send, range(1, studies + 1)):
            pass


def _pattern(folder: Path) -> bytes:
    """Return the file of one small object, in which number, surname and date stand to be replaced."""
    (path,) = slices(folder, 1, size=2)
    one = altered(
        pydicom.dcmread(path), PatientID=f"P{_TEMPLATE}", PatientName=f"WANG^FANG{_TEMPLATE}", StudyDate=_date(0),
        AccessionNumber=f"A{_TEMPLATE}", StudyDescription="Bone scan whole body", Modality="NM",
        StudyInstanceUID=uid(1, _TEMPLATE), SeriesInstanceUID=uid(2, _TEMPLATE), SOPInstanceUID=uid(3, _TEMPLATE),
    )  # fmt: skip
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    out = io.BytesIO()
    one.save_as(out)
    return out.getvalue()


def questions(studies: int) -> Iterator[tuple[str, dict[str, str]]]:
    yield "one by number", {"PatientID": f"P{studies // 2:07}"}
    yield "one by accession", {"AccessionNumber": f"A{studies // 3:07}"}
    yield "one by Study UID", {"StudyInstanceUID": uid(1, studies // 4)}
    yield "one by part of a name", {"PatientName": f"*FANG{studies // 2:07}"}
    yield f"{MATCHES} by name", {"PatientName": "WANG*"}
    yield f"{MATCHES}, modalities", {"PatientName": "WANG*", "ModalitiesInStudy": ""}
    yield f"{MATCHES}, counts", {"PatientName": "WANG*", "NumberOfStudyRelatedInstances": ""}


def ask(association: Association, said: dict[str, str]) -> tuple[float, float, int]:
    """Return the milliseconds to the first and to the last answer, and how many there were."""
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    for keyword in RETURNED:
        setattr(keys, keyword, "")
    for keyword, value in said.items():
        setattr(keys, keyword, value or None)
    content = encoded(keys, EXPLICIT)
    began = time.perf_counter()
    association._ask(association.contexts[0], Field.C_FIND, FIND, [content], [(Tag.PRIORITY, 0)])
    first, count = 0.0, -1
    for status in _statuses(association):
        first = first or time.perf_counter() - began
        count += 1
        if status & 0xFF00 != PENDING:
            break
    return 1e3 * first, 1e3 * (time.perf_counter() - began), count


def _statuses(association: Association) -> Iterator[int]:
    """Yield the status of each answer as it comes; no more is read of it, so that the asker is no part of the time."""
    while True:
        _, body = association._link.line.pdu()
        at = 0
        while at < len(body):
            length = int.from_bytes(body[at : at + 4], "big")
            if body[at + 5] & 1:
                command = bytes(body[at + 6 : at + 4 + length])
                place = command.index(b"\0\0\0\x09\x02\0\0\0") + 8
                yield int.from_bytes(command[place : place + 2], "little")
            at += 4 + length


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pid_of(program: str, folder: Path) -> int:
    """Find the process of a program that was started with something in a folder."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        words = place.read_bytes().split(b"\0")
        if words[0].endswith(program.encode()) and any(str(folder).encode() in word for word in words[1:]):
            return int(place.parent.name)
    raise LookupError(program)


def called(port: int, aet: str) -> Association:
    contexts = [Proposed(FIND, (EXPLICIT,))]
    return connect("127.0.0.1", port, calling="BENCH", called=aet, contexts=contexts)


def main(studies: int = 200_000, theirs: int = 10_000) -> None:
    """Print a line for each question."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ours").mkdir()
        fill(folder / "ours", studies)
        http, dicom = _PORTS
        with Photopeakd(folder / "ours") as service, orthanc(folder / "orthanc", http, dicom, service.port) as client:
            give(client, folder / "sent", theirs)
            print(f"photopeak holds {studies} studies, Orthanc {theirs}; median of {TIMES}, in turn")
            pids = service.process.pid, pid_of("Orthanc", folder)
            with called(service.port, "PHOTOPEAK") as us, called(dicom, "ORTHANC") as them:
                for (what, ours), (_, others) in zip(questions(studies), questions(theirs), strict=True):
                    _compare(what, (us, ours, pids[0]), (them, others, pids[1]))


def _compare(what: str, *asked: tuple[Association, dict[str, str], int]) -> None:
    took: list[list[tuple[float, float, int]]] = [[] for _ in asked]
    spent = [0.0 for _ in asked]
    for _ in range(TIMES):
        for which, (association, said, pid) in enumerate(asked):
            before = cpu_seconds(pid)
            took[which].append(ask(association, said))
            spent[which] += cpu_seconds(pid) - before
    (first, ours, mine), (_, others, their) = ([median(column) for column in zip(*rows, strict=True)] for rows in took)
    told = f"{what:22} photopeak {ours:8.2f} ms (first {first:6.2f}) for {mine:.0f}"
    told += f", Orthanc {others:8.2f} ms for {their:.0f}"
    cpu = [1e3 * seconds / TIMES for seconds in spent]
    print(f"{told}: {others / ours:6.1f} times; processor {cpu[0]:.1f} and {cpu[1]:.1f} ms", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
