"""Compress NM, CT and PET frames by each codec, beside DCMTK and GDCM; prints the table of docs/storage.md.

Ours are measured as the archive runs them, from a dataset in memory to another; the programs of others from file to
file, their start taken off by a file of one pixel. Run by hand: `python tests/bench/codecs.py [--megabytes 40]`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, NuclearMedicineImageStorage, generate_uid

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.dicom import codecs, objects
from core.dicom.codecs import table
from core.dicom.codecs.derive import derive
from core.dicom.codecs.table import Loss

Values = NDArray[Any]
_SHARED = Path(__file__).parents[3] / "shared" / "data"
_PEERS = {
    "jpeg-lossless": {"dcmcjpeg": ["dcmcjpeg", "+e1"], "gdcmconv": ["gdcmconv", "--jpeg"]},
    "jpeg-ls": {"dcmcjpls": ["dcmcjpls", "+el"], "gdcmconv": ["gdcmconv", "--jpegls"]},
    "jpeg2000": {"gdcmconv": ["gdcmconv", "--j2k"]},
    "rle": {"dcmcrle": ["dcmcrle"], "gdcmconv": ["gdcmconv", "--rle"]},
    "deflate": {"dcmconv": ["dcmconv", "+td"]},
}


def _frames() -> Iterator[tuple[str, Values]]:
    """Yield what is compressed: real NM and CT frames, and a PET slice of known activity with the noise of counting."""
    yield "NM, heart SPECT 64x64", _pixels(_SHARED / "nm" / "heart_recon_tomo.dcm")
    yield "NM, Jaszczak SPECT 128x128", _pixels(_SHARED / "nm" / "jaszczak_recon_tomo.dcm")
    yield "NM, whole body 1024x256", _whole_body()
    yield "CT, 128x128 (pydicom's)", _pixels(Path(str(get_testdata_file("CT_small.dcm"))))
    yield "CT, 512x512 phantom", _ct()
    yield "PET, 256x256 phantom", _pet()


def _pixels(path: Path) -> Values:
    read = pydicom.dcmread(path)
    kind = "<i2" if read.PixelRepresentation else "<u2"
    size = read.Rows * read.Columns * int(read.get("NumberOfFrames", 1))
    values: Values = np.frombuffer(bytes(read.PixelData), np.dtype(kind), size).copy()
    return values.reshape(-1, int(read.Rows), int(read.Columns))


def _whole_body() -> Values:
    rng = np.random.default_rng(1)
    row, column = np.mgrid[-1:1:1024j, -1:1:256j]
    body = np.exp(-((column / (0.35 + 0.2 * np.cos(3 * row))) ** 4)) * (3 + 2 * np.cos(40 * row) ** 8)
    return rng.poisson(body, (2, 1024, 256)).astype("<u2")


def _ct() -> Values:
    """Water, bone and air with the noise and the smoothness of a soft tissue kernel."""
    rng = np.random.default_rng(2)
    row, column = np.mgrid[-1:1:512j, -1:1:512j]
    body = np.where((row / 0.7) ** 2 + (column / 0.9) ** 2 < 1, 40.0, -1000.0)
    body[(row - 0.4) ** 2 + column**2 < 0.01] = 700
    body[((row + 0.1) ** 2 + (np.abs(column) - 0.45) ** 2) < 0.06] = -850
    noise = rng.normal(0, 25, (8, 514, 514))
    smooth = (noise[:, 1:-1, 1:-1] + noise[:, :-2, 1:-1] + noise[:, 2:, 1:-1] + noise[:, 1:-1, :-2]) / 2
    values: Values = np.clip(body + np.where(body > -999, smooth, 0), -1024, 3071).round().astype("<i2")
    return values


def _pet() -> Values:
    rng = np.random.default_rng(3)
    row, column = np.mgrid[-1:1:256j, -1:1:256j]
    uptake = np.where((row / 0.6) ** 2 + (column / 0.8) ** 2 < 1, 200.0, 2.0)
    uptake[(row - 0.2) ** 2 + (column - 0.3) ** 2 < 0.004] = 2000
    return (rng.poisson(uptake, (8, 256, 256)) * 13.7).astype("<u2")


def _object(values: Values) -> Dataset:
    one = Dataset()
    one.SOPClassUID = NuclearMedicineImageStorage if len(values) > 1 else CTImageStorage
    one.SOPInstanceUID, one.StudyInstanceUID, one.SeriesInstanceUID = (generate_uid() for _ in range(3))
    one.ImageType, one.Modality = ["ORIGINAL", "PRIMARY"], "NM"
    one.SamplesPerPixel, one.PhotometricInterpretation, one.NumberOfFrames = 1, "MONOCHROME2", len(values)
    one.Rows, one.Columns = values.shape[1:]
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
    one.PixelRepresentation, one.PixelData = int(values.dtype.kind == "i"), values.tobytes()
    one["PixelData"].VR = "OW"
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return one


def _best(run: Callable[[], object], times: int = 3) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


class _Subject:
    """Frames repeated until they are worth measuring, as a file and in memory."""

    def __init__(self, folder: Path, values: Values, megabytes: float) -> None:
        again = max(1, round(megabytes * 1e6 / values.nbytes))
        self.path, self.out, self.dot = (folder / name for name in ("in.dcm", "out.dcm", "dot.dcm"))
        _object(np.concatenate([values] * again)).save_as(self.path, enforce_file_format=True)
        _object(values[:1, :32, :32]).save_as(self.dot, enforce_file_format=True)
        self.data = memoryview(self.path.read_bytes())[objects.dataset_offset(self.path) :]
        self.megabytes = values.nbytes * again / 1e6

    def line(self, codec: table.Codec) -> tuple[float, float, float, dict[str, tuple[float, float]]]:
        """Return ratio, MB/s to compress and to decompress, and what others reach."""
        packed = codecs.converted(self.data, ExplicitVRLittleEndian, codec.syntax)
        assert codecs.converted(memoryview(packed), codec.syntax, ExplicitVRLittleEndian) == self.data
        there = _best(lambda: codecs.converted(self.data, ExplicitVRLittleEndian, codec.syntax))
        back = _best(lambda: codecs.converted(memoryview(packed), codec.syntax, ExplicitVRLittleEndian))
        theirs = {name: self._theirs(command) for name, command in _PEERS.get(codec.name, {}).items()}
        return len(self.data) / len(packed), self.megabytes / there, self.megabytes / back, theirs

    def lossy(self) -> str:
        """Return what a copy of 10:1 is, with its proof, as the last cells of a line."""
        start = time.perf_counter()
        copy = derive(self.data, ExplicitVRLittleEndian, Loss(ratio=10), generate_uid())
        taken = time.perf_counter() - start
        noise = "nothing lost" if copy.psnr_db is None else f"{copy.psnr_db:.1f} dB"
        return f"{copy.ratio:.2f} | {self.megabytes / taken:.0f} with its proof | | {noise}"

    def _theirs(self, command: list[str]) -> tuple[float, float]:
        started = _best(lambda: self._run(command, self.dot))
        taken = _best(lambda: self._run(command, self.path)) - started
        return self.path.stat().st_size / self.out.stat().st_size, self.megabytes / max(taken, 1e-3)

    def _run(self, command: list[str], path: Path) -> None:
        files = ["-i", path, "-o", self.out] if command[0] == "gdcmconv" else [path, self.out]
        subprocess.run([*command, *files], check=True, timeout=600, capture_output=True)


def main() -> None:
    """Print a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=20, help="what each kind of frame is repeated to")
    megabytes = parser.parse_args().megabytes
    print("| frames | codec | ratio | compress MB/s | decompress MB/s | beside (ratio, compress MB/s) |")
    print("|---|---|---|---|---|---|")
    for name, values in _frames():
        folder = Path(tempfile.mkdtemp(prefix="photopeak-codecs-"))
        try:
            subject = _Subject(folder, values, megabytes)
            for codec in (each for each in table.TABLE if each.lossless):
                ratio, there, back, theirs = subject.line(codec)
                beside = ", ".join(f"{peer} {theirs[peer][0]:.2f}, {theirs[peer][1]:.0f}" for peer in theirs)
                print(f"| {name} | {codec.name} | {ratio:.2f} | {there:.0f} | {back:.0f} | {beside} |", flush=True)
            print(f"| {name} | jpeg2000-lossy, 10:1 | {subject.lossy()} |", flush=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
