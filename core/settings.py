"""What an installation can set, read once from file, environment and flags, then frozen."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from core.errors import Invalid

FILE_NAME = "photopeak.toml"
AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
_LAST_PORT = 65535


@dataclass(frozen=True)
class Settings:
    """Everything the service needs to know before it starts. Lengths are bytes, times seconds."""

    data: Path
    http: str = "127.0.0.1:11180"
    dicom: str = "127.0.0.1:11112"
    dicom_tls: str = ""  # HOST:PORT for TLS beside `dicom`, which speaks TLS itself unless this is given
    aet: str = "PHOTOPEAK"
    site: str = "MAIN"
    site_name: str = "Nuclear medicine"
    database: str = ""  # sqlite in the data folder unless given
    store: str = ""  # a folder in the data folder unless given
    archive_tier: str = ""  # another disk's folder for what is old; once given, it is moved there by itself
    online_days: int = 365  # how long objects stay as they came
    copies: str = ""  # another disk's folder for second copies; once given, they are made by themselves
    compute_workers: int = 0  # how many processings run side by side; as many as the machine has cores unless given
    step_days: int = 30  # how long the steps of a processing can be looked at after it was decided on
    codecs: str = "important: lossless; backup: 10:1"  # which codec for which data
    known_only: bool = False
    allowed_aets: str = ""  # the only AE titles let in, with commas between; all unless given
    any_called_aet: bool = False  # answer callers that call us by another AE title
    maximum_pdu: int = 131072
    maximum_associations: int = 64
    maximum_object: int = 1 << 34  # a larger one is refused while it comes
    artim_seconds: float = 30.0
    idle_seconds: float = 60.0
    tls_certificate: str = ""  # our certificate and its chain, PEM
    tls_key: str = ""  # its key, unless it stands in the same file
    tls_ca: str = ""  # who certifies the nodes we trust; the machine's own list unless given
    tls_client: str = "off"  # whether callers show a certificate of tls_ca: off, optional, required
    session_idle_seconds: float = 12 * 3600.0
    session_seconds: float = 7 * 24 * 3600.0
    lease_seconds: float = 600.0
    report_hours: int = 6  # a storage commitment report that has not come by then is asked for again
    job_days: int = 90  # how long finished work, and what was sent by it, stays on record; 0: for ever
    warn_free_bytes: int = 20_000_000_000  # less on a disk of ours is warned of

    @property
    def database_url(self) -> str:
        """The database's URL; SQLite beside the images by default."""
        return self.database or f"sqlite:///{self.data / 'photopeak.sqlite'}"

    @property
    def store_path(self) -> Path:
        """The folder objects are kept in."""
        return Path(self.store) if self.store else self.data / "archive"

    @property
    def http_address(self) -> tuple[str, int]:
        """Host and port of the HTTP API."""
        return address(self.http)

    @property
    def dicom_address(self) -> tuple[str, int]:
        """Host and port of the DICOM listener."""
        return address(self.dicom)

    @property
    def dicom_tls_address(self) -> tuple[str, int] | None:
        """Host and port of the DICOM listener's TLS, where it has its own."""
        return address(self.dicom_tls) if self.dicom_tls else None


def address(text: str) -> tuple[str, int]:
    """Split HOST:PORT; an IPv6 host stands in brackets."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > _LAST_PORT:
        msg = f"'{text}' is not an address: write HOST:PORT, such as 127.0.0.1:11180"
        raise Invalid(msg)
    return host.strip("[]"), int(port)


def load(flags: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Settings from `photopeak.toml`, then PHOTOPEAK_*, then `flags` (None means not given)."""
    given = {name: value for name, value in flags.items() if value is not None}
    named = str(given.pop("data", None) or environment.get("PHOTOPEAK_DATA") or user_data_path("photopeak"))
    data = Path(named).expanduser().absolute()
    from_flags = {name: _typed(name, value) for name, value in given.items() if name in _TYPES}
    return Settings(data=data, **{**_from_file(data / FILE_NAME), **_from_environment(environment), **from_flags})


_TYPES = {field.name: field.type for field in fields(Settings) if field.name != "data"}


def _from_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {error}. Mend or remove it."
        raise Invalid(msg) from error
    unknown = sorted(set(written) - set(_TYPES))
    if unknown:
        msg = f"{path} sets {', '.join(unknown)}, which photopeak does not know. It knows: {', '.join(sorted(_TYPES))}."
        raise Invalid(msg)
    return {name: _typed(name, value) for name, value in written.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    named = {
        name: environment[f"PHOTOPEAK_{name.upper()}"] for name in _TYPES if f"PHOTOPEAK_{name.upper()}" in environment
    }
    return {name: _typed(name, value) for name, value in named.items()}


def _typed(name: str, value: object) -> Any:  # noqa: ANN401 - one of the settings' types
    """Turn a written value into the setting's own type."""
    wanted = _TYPES[name]
    if name == "aet" and not AE_TITLE.fullmatch(str(value)):
        raise Invalid(f"'{value}' is not an AE title: 1 to 16 printable ASCII characters without a backslash")
    try:
        if wanted == "bool":
            return (
                value
                if isinstance(value, bool)
                else {"1": True, "true": True, "0": False, "false": False}[str(value).lower()]
            )
        return {"int": int, "float": float, "str": str}[str(wanted)](value)
    except (KeyError, ValueError, TypeError) as error:
        msg = f"{name} = {value!r} is not a {wanted}"
        raise Invalid(msg) from error
