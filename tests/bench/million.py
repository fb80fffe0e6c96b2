"""A million small objects through the listener: are the last taken as quickly as the first, and what disk do they use.

Run: .venv/bin/python -m tests.bench.million FOLDER [OBJECTS]. Four senders, each a process of its own, make static
images of 64 x 64 as they send them: 50 to a study, five to a series. Every block of 10,000 is written down in
FOLDER/blocks.csv; a run that was broken off goes on behind its last block when it is started again on the same folder.
Asked for is that the first and the last 50,000 are within 20 %; beside the rate stands the receiver's CPU time of an
object, which other work on the machine does not change.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, NuclearMedicineImageStorage

from core.dicom.encoding import encoded
from core.dimse.association import connect
from core.dimse.negotiation import Proposed
from tests.peers.process import Photopeakd

SENDERS = 4
BLOCK = 10_000
COMPARED = 50_000
A_STUDY, A_SERIES = 50, 5
SIDE = 64
_ROOT = "1.2.826.0.1.3680043.8.498.8"
_STUDY, _SERIES, _OBJECT = (f"{_ROOT}.{kind}.1000000000" for kind in (1, 2, 3))
_NUMBER = "M1000000000"


@dataclass(frozen=True, slots=True)
class Block:
    """Some thousands of objects: how many there were before, how long they took, and the receiver's CPU time."""

    before: int
    objects: int
    seconds: float
    cpu_seconds: float


def main() -> None:
    """Send what is still to be sent, and print how the rate went."""
    folder, objects = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    folder.mkdir(parents=True, exist_ok=True)
    ledger = folder / "blocks.csv"
    with Photopeakd(folder / "data") as service, _senders() as senders:
        done = _read(ledger)
        while (first := sum(block.objects for block in done)) < objects:
            block = _sent(service, senders, first, min(BLOCK, objects - first))
            with ledger.open("a") as file:
                csv.writer(file).writerow((block.before, block.objects, block.seconds, block.cpu_seconds))
            done.append(block)
            print(f"{first + block.objects:9,} objects  {_told([block])}", flush=True)
        kept = service.rows("SELECT count(*) FROM image")[0][0]
    assert kept == objects, f"{kept} objects are kept of {objects}"
    _conclude(done, objects)
    print(_disk(folder / "data", objects))


def _senders() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(SENDERS, multiprocessing.get_context("spawn"))


def _read(ledger: Path) -> list[Block]:
    if not ledger.exists():
        return []
    with ledger.open() as file:
        return [Block(int(a), int(b), float(c), float(d)) for a, b, c, d in csv.reader(file)]


def _sent(service: Photopeakd, senders: ProcessPoolExecutor, first: int, objects: int) -> Block:
    studies = list(range(first, first + objects, A_STUDY))
    shares = [[(at, min(at + A_STUDY, first + objects)) for at in studies[own::SENDERS]] for own in range(SENDERS)]
    cpu, start = _cpu_seconds(service.process.pid), time.perf_counter()
    assert sum(senders.map(partial(_send, service.port), shares)) == objects, "not every object was acknowledged"
    return Block(first, objects, time.perf_counter() - start, _cpu_seconds(service.process.pid) - cpu)


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _conclude(done: Sequence[Block], objects: int) -> None:
    """Compare the beginning with the end: 50,000 objects each, or a third where there are not as many."""
    compared = min(COMPARED, objects // 3)
    first = [block for block in done if block.before < compared]
    last = [block for block in done if block.before + block.objects > objects - compared]
    print(f"first {_count(first):,}: {_told(first)}")
    print(f"last  {_count(last):,}: {_told(last)}")
    print(f"last to first: rate {_rate(last) / _rate(first):.2f}, CPU time {_cpu(last) / _cpu(first):.2f}")


def _told(blocks: Sequence[Block]) -> str:
    return f"{_rate(blocks):6.0f}/s, {_cpu(blocks) * 1e3:.2f} ms CPU an object"


def _count(blocks: Sequence[Block]) -> int:
    return sum(block.objects for block in blocks)


def _rate(blocks: Sequence[Block]) -> float:
    return _count(blocks) / sum(block.seconds for block in blocks)


def _cpu(blocks: Sequence[Block]) -> float:
    return sum(block.cpu_seconds for block in blocks) / _count(blocks)


def _disk(data: Path, objects: int) -> str:
    """Say what lies on the disk: blocks used, not lengths."""
    used = {"archive": 0, "database": 0}
    for folder, _, names in os.walk(data):
        what = "archive" if Path(folder).is_relative_to(data / "archive") else "database"
        used[what] += sum(Path(folder, name).stat().st_blocks * 512 for name in (*names, "."))
    told = (f"{what} {size / 1e6:,.0f} MB ({size / objects:,.0f} bytes an object)" for what, size in used.items())
    return f"disk use: {', '.join(told)}"


# -- a sender --------------------------------------------------------------------------------------------------------


def _send(port: int, studies: Sequence[tuple[int, int]]) -> int:
    """Send studies, each from its first object up to the one behind its last; return how many were acknowledged."""
    proposed = Proposed(NuclearMedicineImageStorage, (ExplicitVRLittleEndian,))
    acknowledged = 0
    with connect("127.0.0.1", port, calling="MILLION", called="PHOTOPEAK", contexts=[proposed]) as association:
        [context] = association.contexts
        for first, end in studies:
            for uid, dataset in _objects(_template(), first, end):
                said = association.store(context, NuclearMedicineImageStorage, uid, [dataset])
                acknowledged += said.code == 0
    return acknowledged


def _objects(template: bytes, first: int, end: int) -> Iterator[tuple[str, bytes]]:
    of_study = template.replace(_NUMBER.encode(), f"M{10**9 + first}".encode())
    of_study = of_study.replace(_STUDY.encode(), f"{_ROOT}.1.{10**9 + first}".encode())
    for number in range(first, end):
        uid, series = f"{_ROOT}.3.{10**9 + number}", f"{_ROOT}.2.{10**9 + number // A_SERIES}"
        yield uid, of_study.replace(_SERIES.encode(), series.encode()).replace(_OBJECT.encode(), uid.encode())


def _template() -> bytes:
    one: Any = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = NuclearMedicineImageStorage, _OBJECT
    one.StudyDate = one.SeriesDate = one.AcquisitionDate = "20260302"
    one.StudyTime = one.SeriesTime = one.AcquisitionTime = "101500"
    one.Modality, one.ImageType = "NM", ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]
    one.StudyDescription, one.SeriesDescription = "Bone scan", "Static"
    one.PatientName, one.PatientID, one.AccessionNumber = "Bench^Million", _NUMBER, ""
    one.PatientBirthDate, one.PatientSex = "19610304", "M"
    one.StudyInstanceUID, one.SeriesInstanceUID, one.StudyID = _STUDY, _SERIES, "1"
    one.SeriesNumber = one.InstanceNumber = one.NumberOfFrames = 1
    one.EnergyWindowVector = one.DetectorVector = one.NumberOfEnergyWindows = one.NumberOfDetectors = 1
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.Rows = one.Columns = SIDE
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit, one.PixelRepresentation = 15, 0
    one.PixelData = bytes(range(256)) * (SIDE * SIDE * 2 // 256)
    return encoded(one, ExplicitVRLittleEndian)


if __name__ == "__main__":
    main()
