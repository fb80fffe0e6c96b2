"""Give a stored object out as a DICOM file (PS3.10), in the transfer syntax it is kept in or in another.

What is kept is never touched: another transfer syntax is made for the one who asks, and without loss.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

from core.dicom import objects
from core.errors import Refused

_PIECE = 1 << 18
_PREAMBLE = b"\0" * 128 + b"DICM"


def stored_syntax(path: Path) -> str:
    """Return the transfer syntax a file names."""
    return str(_meta(path).get("TransferSyntaxUID", ""))


def as_stored(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def in_syntax(path: Path, wanted: Collection[str]) -> tuple[str, bytes]:
    """Return the first of the wanted transfer syntaxes that can be had, and the file in it.

    Raises
    ------
    Refused
        The object cannot be written in any of them.
    """
    meta = _meta(path)
    syntax, dataset = _transcode(path, wanted)
    meta.TransferSyntaxUID = UID(syntax)
    out = DicomBytesIO()
    out.write(_PREAMBLE)
    write_file_meta_info(out, meta)
    return syntax, out.getvalue() + dataset


def _meta(path: Path) -> pydicom.dataset.FileMetaDataset:
    with path.open("rb") as file:
        head = io.BytesIO(file.read(objects.dataset_offset(path)))
    return pydicom.dcmread(head, force=True).file_meta


def _transcode(path: Path, wanted: Collection[str]) -> tuple[str, bytes]:
    if ExplicitVRLittleEndian not in wanted:
        raise Refused("the object cannot be written in this transfer syntax")
    try:
        dataset = pydicom.dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_compressed:
            dataset.decompress(generate_instance_uid=False)
        out = DicomBytesIO()
        out.is_little_endian, out.is_implicit_VR = True, False
        write_dataset(out, dataset)
    except Exception as error:
        raise Refused(f"the object cannot be written uncompressed ({type(error).__name__})") from error
    return str(ExplicitVRLittleEndian), out.getvalue()
