"""The file meta information we write around a dataset (PS3.10 7.1), the only thing of a stored file that is ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

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
    elements = [
        (b"\x01\x00OB\0\0\x02\0\0\0", b"\0\x01"),
        _element(0x02, b"UI", sop_class), _element(0x03, b"UI", sop_instance), _element(0x10, b"UI", syntax),
        _element(0x12, b"UI", _IMPLEMENTATION), _element(0x13, b"SH", _VERSION),
        *([_element(0x16, b"AE", aet)] if aet else ()),
    ]  # fmt: skip
    group = b"".join(b"\x02\0" + head + value for head, value in elements)
    return _PREAMBLE + b"\x02\0\0\0UL\x04\0" + len(group).to_bytes(4, "little") + group


def _element(number: int, vr: bytes, text: str) -> tuple[bytes, bytes]:
    """Write an element of group 0002 in Explicit VR Little Endian; UIDs are padded by NUL, other text by a space."""
    value = text.encode("ascii", "replace")
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return number.to_bytes(2, "little") + vr + len(value).to_bytes(2, "little"), value


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


def sender_of(meta: FileMetaDataset) -> str:
    """Return who sent an object, as the file meta we wrote tells."""
    ours = meta.get("ImplementationClassUID") == _IMPLEMENTATION
    return str(meta.get("SourceApplicationEntityTitle", "")).strip() if ours else ""
