"""The file meta information we write around a dataset (PS3.10 7.1), the only thing of a stored file that is ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from core.archive.keeper.staged import Unreadable
from core.dicom import objects

_IMPLEMENTATION = "1.2.826.0.1.3680043.8.498.7077001"
_VERSION = "PHOTOPEAK"
_PREAMBLE = b"\0" * 128 + b"DICM"
_LONGEST_UID = 64


def file_meta(sop_class: str, sop_instance: str, syntax: str, aet: str) -> bytes:
    """Preamble and file meta information (PS3.10 7.1) around a dataset that came without."""
    if not (_is_uid(sop_class) and _is_uid(sop_instance)):
        raise Unreadable("the request names no usable SOP Class and Instance UID")
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = _VERSION
    if aet:
        meta.SourceApplicationEntityTitle = aet
    out = DicomBytesIO()
    out.write(_PREAMBLE)
    write_file_meta_info(out, meta)
    return out.getvalue()


def _is_uid(text: str) -> bool:
    """Whether a text is digits and dots, not too long: nothing that leads a path astray (PS3.5 9.1)."""
    return len(text) <= _LONGEST_UID and re.fullmatch(r"[0-9]+(?:\.[0-9]+)+", text) is not None


def missing_meta(file: BinaryIO, header: Dataset, source: Path) -> bytes:
    """Return the file meta a file lacks, and leave `file` where the rest of it begins."""
    said = objects.identity_of(header)
    head = file.read(len(_PREAMBLE))
    if head.endswith(b"DICM") and getattr(header, "file_meta", None) and "TransferSyntaxUID" in header.file_meta:
        file.seek(0)
        return b""
    file.seek(objects.dataset_offset(source))
    return file_meta(said.sop_class_uid, said.sop_instance_uid, said.transfer_syntax_uid, "")


def source(path: Path) -> str:
    """Return who sent an object, as the file meta we wrote tells."""
    meta = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=[]).file_meta
    ours = meta.get("ImplementationClassUID") == _IMPLEMENTATION
    return str(meta.get("SourceApplicationEntityTitle", "")).strip() if ours else ""
