"""Give a stored object out as a DICOM file (PS3.10), in the transfer syntax it is kept in or in another.

What is kept is never touched: another transfer syntax is made for the one who asks, and without loss.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from core.dicom import codecs, objects
from core.dicom.conformance import KEPT_SYNTAXES

_PIECE = 1 << 20
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
    known = [syntax for syntax in wanted if syntax in KEPT_SYNTAXES]
    meta = _meta(path)
    syntax, dataset = codecs.transcode(
        path, objects.dataset_offset(path), str(meta.get("TransferSyntaxUID", "")), known
    )
    meta.TransferSyntaxUID = UID(syntax)
    out = DicomBytesIO()
    out.write(_PREAMBLE)
    write_file_meta_info(out, meta)
    return syntax, out.getvalue() + dataset


def _meta(path: Path) -> pydicom.dataset.FileMetaDataset:
    with path.open("rb") as file:
        head = io.BytesIO(file.read(objects.dataset_offset(path)))
    return pydicom.dcmread(head, force=True).file_meta
