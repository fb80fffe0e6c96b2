"""Datasets to bytes and back, in the transfer syntax a presentation context agreed on, without file meta."""

from __future__ import annotations

from io import BytesIO

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from core.errors import Invalid


def encoded(dataset: Dataset, transfer_syntax: str) -> bytes:
    """Write a dataset as one of the uncompressed transfer syntaxes has it."""
    syntax, out = UID(transfer_syntax), DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    write_dataset(out, dataset)
    return bytes(out.getvalue())


def decoded(content: bytes | bytearray | memoryview, transfer_syntax: str) -> Dataset:
    """Read a dataset of one of the uncompressed transfer syntaxes.

    Raises
    ------
    Invalid
        The bytes are no dataset.
    """
    syntax = UID(transfer_syntax)
    try:
        return read_dataset(BytesIO(content), syntax.is_implicit_VR, syntax.is_little_endian)
    except Exception as error:
        raise Invalid("the dataset of the request cannot be read") from error
