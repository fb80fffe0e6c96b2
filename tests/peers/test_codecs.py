"""What we compress, others read: DCMTK and GDCM decode it to the very pixels there were."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRLittleEndian

from core.dicom import codecs, objects
from core.dicom.codecs import table
from core.dicom.codecs.derive import derive
from core.dicom.codecs.table import Loss
from tests.peers.process import SHARED

pytestmark = pytest.mark.peer("dcmdjpeg", "dcmdjpls", "dcmdrle", "dcmconv", "gdcmconv", "dciodvfy")

DCMTK = {"jpeg-lossless": "dcmdjpeg", "jpeg-ls": "dcmdjpls", "rle": "dcmdrle", "deflate": "dcmconv"}
GDCM = ("jpeg-lossless", "jpeg-ls", "jpeg2000", "rle")  # Debian's knows no HTJ2K


def _ct() -> Dataset:
    return pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))  # signed values


def _nm() -> Dataset:
    return pydicom.dcmread(SHARED / "nm" / "heart_recon_tomo.dcm")  # many frames


def _twelve_bits() -> Dataset:
    """A CT slice as scanners write it: 12 of 16 bits, unsigned."""
    one = _ct()
    ramp = np.arange(one.Rows * one.Columns, dtype="<u2").reshape(one.Rows, one.Columns) % 4096
    one.PixelData, one.BitsStored, one.HighBit, one.PixelRepresentation = ramp.tobytes(), 12, 11, 0
    return one


def _colours() -> Dataset:
    one = pydicom.dcmread(str(get_testdata_file("examples_rgb_color.dcm")))
    one.PixelData = one.PixelData[: one.Rows * one.Columns * 3]
    return one


KINDS: dict[str, Callable[[], Dataset]] = {"ct": _ct, "nm": _nm, "12 bits": _twelve_bits, "colour": _colours}


@pytest.fixture(params=KINDS)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An object as its camera sent it, uncompressed."""
    one, path = KINDS[request.param](), tmp_path / "stored.dcm"
    one.save_as(path, enforce_file_format=True)
    return path


def _write(folder: Path, like: Path, syntax: str, dataset: bytes) -> Path:
    meta = pydicom.dcmread(like, stop_before_pixels=True).file_meta
    meta.TransferSyntaxUID, path = pydicom.uid.UID(syntax), folder / "compressed.dcm"
    head = DicomBytesIO()
    pydicom.filewriter.write_file_meta_info(head, meta)
    path.write_bytes(b"\0" * 128 + b"DICM" + head.getvalue() + dataset)
    return path


def _compress(path: Path, codec: table.Codec) -> Path:
    syntax, dataset = codecs.transcode(path, objects.dataset_offset(path), ExplicitVRLittleEndian, [codec.syntax])
    return _write(path.parent, path, syntax, dataset)


def _pixels(path: Path) -> bytes:
    read = pydicom.dcmread(path)
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    return bytes(read.PixelData)


@pytest.mark.parametrize("name", DCMTK)
def test_dcmtk_decodes_to_the_same_pixels(stored: Path, name: str) -> None:
    compressed, out = _compress(stored, table.named(name)), stored.with_name("out.dcm")
    subprocess.run([DCMTK[name], "+te", compressed, out], check=True, timeout=60)
    assert _pixels(out) == _pixels(stored)


@pytest.mark.parametrize("name", GDCM)
def test_gdcm_decodes_to_the_same_pixels(stored: Path, name: str) -> None:
    compressed, out = _compress(stored, table.named(name)), stored.with_name("out.dcm")
    subprocess.run(["gdcmconv", "--raw", "-i", compressed, "-o", out], check=True, timeout=60)
    assert _pixels(out) == _pixels(stored)


@pytest.mark.parametrize("encode", [["dcmcjpeg", "+e1"], ["dcmcjpls"], ["dcmcrle"], ["gdcmconv", "--j2k"]])
def test_what_others_compressed_is_decoded_to_the_same_pixels(stored: Path, encode: list[str]) -> None:
    theirs = stored.with_name("theirs.dcm")
    into = ["-i", stored, "-o", theirs] if encode[0] == "gdcmconv" else [stored, theirs]
    subprocess.run([*encode, *into], check=True, timeout=60)
    said = str(pydicom.dcmread(theirs, stop_before_pixels=True).file_meta.TransferSyntaxUID)
    _, plain = codecs.transcode(theirs, objects.dataset_offset(theirs), said, [ExplicitVRLittleEndian])
    assert _pixels(_write(stored.parent, stored, ExplicitVRLittleEndian, plain)) == _pixels(stored)


def _faults(path: Path) -> set[str]:
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=60, check=False).stderr
    return {line for line in said.splitlines() if line.startswith("Error")}


def test_a_lossy_copy_is_another_object_that_says_so(stored: Path) -> None:
    before = pydicom.dcmread(stored)
    data = memoryview(stored.read_bytes())[objects.dataset_offset(stored) :]
    copy = derive(data, ExplicitVRLittleEndian, Loss(ratio=10), "1.2.3.4")
    path = _write(stored.parent, stored, table.LOSSY.syntax, copy.dataset)
    after = pydicom.dcmread(path)
    assert (after.SOPInstanceUID, after.ImageType[0], after.LossyImageCompression) == ("1.2.3.4", "DERIVED", "01")
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert after.SeriesInstanceUID == before.SeriesInstanceUID
    assert not {fault for fault in _faults(path) if "Lossy" in fault or "Derivation" in fault or "Source" in fault}


def test_a_lossy_copy_is_read_by_gdcm_and_keeps_its_ratio(tmp_path: Path) -> None:
    stored, out = tmp_path / "stored.dcm", tmp_path / "out.dcm"
    _nm().save_as(stored, enforce_file_format=True)
    data = memoryview(stored.read_bytes())[objects.dataset_offset(stored) :]
    copy = derive(data, ExplicitVRLittleEndian, Loss(ratio=10), "1.2.3.4")
    assert 9 < copy.ratio < 12
    assert copy.psnr_db is not None
    assert copy.psnr_db > 35
    path = _write(tmp_path, stored, table.LOSSY.syntax, copy.dataset)
    subprocess.run(["gdcmconv", "--raw", "-i", path, "-o", out], check=True, timeout=60)
    assert pydicom.dcmread(out).pixel_array.shape == pydicom.dcmread(stored).pixel_array.shape
    assert np.array_equal(pydicom.dcmread(out).pixel_array, pydicom.dcmread(path).pixel_array)
