"""Settings: file, then environment, then flags; what cannot be meant is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import settings
from core.errors import Invalid


def test_flags_go_before_environment_and_environment_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "photopeak.toml").write_text('aet = "FILE"\nhttp = "127.0.0.1:1"\ndicom = "127.0.0.1:2"\n')
    read = settings.load({"data": str(tmp_path), "dicom": "127.0.0.1:9"}, {"PHOTOPEAK_HTTP": "127.0.0.1:5"})
    assert (read.aet, read.http, read.dicom) == ("FILE", "127.0.0.1:5", "127.0.0.1:9")


def test_defaults_are_closed(tmp_path: Path) -> None:
    read = settings.load({"data": str(tmp_path)}, {})
    assert read.http_address == ("127.0.0.1", 11180)
    assert read.dicom_address == ("127.0.0.1", 11112)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("htpp = 'x'", "does not know"),
        ("maximum_pdu = 'many'", "is not a int"),
        ("known_only = 'perhaps'", "is not a bool"),
        ("= broken", "cannot be read"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, written: str, told: str) -> None:
    (tmp_path / "photopeak.toml").write_text(written)
    with pytest.raises(Invalid, match=told):
        settings.load({"data": str(tmp_path)}, {})


@pytest.mark.parametrize("text", ["11180", "host:", "host:99999", ":80", "host:x"])
def test_an_address_without_host_or_port_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="HOST:PORT"):
        settings.address(text)
