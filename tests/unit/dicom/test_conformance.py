"""One table says what we speak."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydicom import uid
from pynetdicom import AllStoragePresentationContexts

from core.dicom.conformance import KEPT_SYNTAXES, SERVICES, STORAGE, WORKLIST, accepted_contexts, statement


def test_retired_nuclear_medicine_and_ultrasound_are_taken() -> None:
    retired = {each.uid for each in STORAGE.classes if each.retired}
    assert retired == {f"1.2.840.10008.5.1.4.1.1.{last}" for last in (3, 5, 6)}


def test_every_storage_class_others_know_is_taken() -> None:
    known = {context.abstract_syntax for context in AllStoragePresentationContexts}
    assert known <= set(STORAGE.uids)


@pytest.mark.parametrize("outside", ["1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1", "1.2.840.10008.5.1.4.1.1.501.1"])
def test_what_is_no_image_of_ours_is_not_taken(outside: str) -> None:
    assert outside not in STORAGE.uids


def test_every_syntax_of_pixels_is_kept() -> None:
    families = [uid.JPEGTransferSyntaxes, uid.JPEGLSTransferSyntaxes, uid.JPEG2000TransferSyntaxes]
    families += [uid.MPEGTransferSyntaxes, uid.RLETransferSyntaxes, uid.UncompressedTransferSyntaxes]
    assert {syntax for family in families for syntax in family} <= set(KEPT_SYNTAXES)
    assert {uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.HTJ2K} <= set(KEPT_SYNTAXES)


def test_no_sop_class_is_listed_twice() -> None:
    listed = [value for service in SERVICES for value in service.uids]
    assert len(listed) == len(set(listed))


def test_the_statement_names_everything_that_is_accepted() -> None:
    text = statement()
    accepted = {value for value, _ in accepted_contexts()}
    assert all(f"| {value} |" in text for value in accepted)
    assert all(f"| {syntax} |" in text for syntax in KEPT_SYNTAXES)
    assert WORKLIST.as_scp
    assert not WORKLIST.as_scu


def test_the_table_needs_no_network_engine() -> None:
    code = "import sys, core.dicom.conformance; sys.exit('pynetdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_table_is_the_same_whoever_was_imported_first() -> None:
    said = "from core.dicom.conformance import statement; print(statement())"
    alone, behind = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
        for code in (said, f"import pynetdicom; {said}")
    )
    assert alone == behind
