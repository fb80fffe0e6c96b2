"""TLS for associations (PS3.15 B.12, BCP 195): the certificates of the listener, read anew when their files change.

We always show a certificate. Whether a caller must show one is the installation's choice; those it may show are signed
by the authority that is named.
"""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.errors import Invalid

log = logging.getLogger(__name__)

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
"""The suites of BCP 195 for TLS 1.2; those of 1.3 are all good."""
_Stamp = tuple[tuple[int, int, int], ...]


class ClientCertificate(StrEnum):
    """Whether a caller shows a certificate."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


_VERIFY = {
    ClientCertificate.OFF: ssl.CERT_NONE,
    ClientCertificate.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientCertificate.REQUIRED: ssl.CERT_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificate (with its chain), its key and the callers' authority lie, all PEM."""

    certificate: Path
    key: Path | None = None
    authority: Path | None = None
    client: ClientCertificate = ClientCertificate.OFF

    def stamp(self) -> _Stamp:
        """Tell one state of the files from another."""
        files = (each for each in (self.certificate, self.key, self.authority) if each)
        return tuple((found.st_ino, found.st_mtime_ns, found.st_size) for found in (each.stat() for each in files))


class Certificates:
    """The listener's TLS context: one that was good is kept until the files hold a better one."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises
        ------
        Invalid
            They cannot be read, do not belong together, or the authority is missing.
        """
        if files.client is not ClientCertificate.OFF and not files.authority:
            raise Invalid(f"tls_client = {files.client.value} needs tls_ca: the authority that certifies the callers")
        self._files = files
        self._lock = threading.Lock()
        self._context, self._stamp = _read(files)

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection, after a look at the files."""
        try:
            stamp = self._files.stamp()
        except OSError:  # being replaced just now
            return self._context
        if stamp != self._stamp:
            self.reload()
        return self._context

    def reload(self) -> None:
        """Read the files again; bad ones are logged once and change nothing."""
        with self._lock:
            try:
                self._context, self._stamp = _read(self._files)
            except Invalid as error:
                log.error("the old certificate stays in use: %s", error.detail)  # noqa: TRY400 - one line
                self._stamp = self._files.stamp() if self._files.certificate.exists() else self._stamp
            else:
                log.info("the certificates of the DICOM listener were read")


def _read(files: TlsFiles) -> tuple[ssl.SSLContext, _Stamp]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        stamp = files.stamp()
        context.load_cert_chain(files.certificate, files.key)
        if files.authority:
            context.load_verify_locations(files.authority)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"the TLS files cannot be read ({error.strerror}): look at tls_certificate, tls_key, tls_ca"
        ) from error
    context.verify_mode = _VERIFY[files.client]
    secure(context)
    return context, stamp


def secure(context: ssl.SSLContext) -> None:
    """Hold a context, of either side, to BCP 195."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
