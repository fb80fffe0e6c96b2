"""TLS on the listener, with DCMTK's TLS on the other side."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from core.dimse.association import Association, connect
from core.dimse.negotiation import Proposed
from core.dimse.tls import Certificates, ClientCertificate, TlsFiles
from core.errors import Invalid, PeerFailed
from core.scp.listener import Listener, Manners
from tests.peers.answering import Shelf, answering
from tests.peers.certifying import Authority, Certified
from tests.peers.process import Photopeakd

pytestmark = pytest.mark.peer("openssl", "echoscu", "storescu")

CT_FILE = Path(str(get_testdata_file("CT_small.dcm")))
VERIFICATION = Proposed("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Certified:
    return authority.certify("photopeak")


@pytest.fixture(scope="module")
def camera(authority: Authority) -> Certified:
    return authority.certify("camera")


def _certificates(ours: Certified, authority: Authority, client: str = "off") -> Certificates:
    return Certificates(TlsFiles(ours.certificate, ours.key, authority.certificate, ClientCertificate(client)))


def _by_tls(program: str, port: int, authority: Authority, who: Certified | None, *arguments: object) -> int:
    shown = ("+tls", who.key, who.certificate) if who else ("+tla",)
    line = [program, *shown, "+cf", authority.certificate, "-aec", "PHOTOPEAK", "127.0.0.1", port, *arguments]
    return subprocess.run(list(map(str, line)), timeout=60, check=False, capture_output=True).returncode


def _shown(port: int) -> bytes:
    """Return the certificate the listener shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain) as connection:
        return connection.getpeercert(binary_form=True) or b""


def _in_file(certificate: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.read_text())


@pytest.mark.parametrize(("client", "with_one", "without"), [("off", 0, 0), ("optional", 0, 0), ("required", 0, 1)])
def test_dcmtk_comes_by_tls_with_a_certificate_as_it_is_asked_for(
    authority: Authority, ours: Certified, camera: Certified, client: str, with_one: int, without: int
) -> None:
    shelf = Shelf()
    with answering(shelf, None, _certificates(ours, authority, client)) as running:
        assert _by_tls("echoscu", running.port, authority, camera) == with_one
        assert bool(_by_tls("echoscu", running.port, authority, None)) == bool(without)
        assert _by_tls("storescu", running.port, authority, camera, CT_FILE) == 0
    assert len(shelf.objects) == 1


@pytest.mark.parametrize("client", ["optional", "required"])
def test_a_certificate_of_another_authority_is_not_let_in(
    tmp_path: Path, authority: Authority, ours: Certified, client: str
) -> None:
    stranger = Authority(tmp_path, "stranger").certify("camera")
    with answering(Shelf(), None, _certificates(ours, authority, client)) as running:
        assert _by_tls("echoscu", running.port, authority, stranger) != 0
        assert running.associations_served == 0


def test_no_version_before_1_2_and_no_weak_suite_is_spoken(authority: Authority, ours: Certified) -> None:
    with answering(Shelf(), None, _certificates(ours, authority)) as running:
        for weak in ("-tls1_1", "-tls1_2 -cipher AES128-SHA", "-tls1_2 -cipher ECDHE-RSA-AES128-SHA256"):
            asked = ["openssl", "s_client", "-connect", f"127.0.0.1:{running.port}", *weak.split()]
            said = subprocess.run(asked, input=b"", capture_output=True, timeout=30, check=False)
            assert b"Cipher is (NONE)" in said.stdout, weak


def test_a_silent_connection_in_its_handshake_holds_up_nobody(authority: Authority, ours: Certified) -> None:
    manners = Manners(maximum_associations=2, artim_seconds=60)
    with answering(Shelf(), manners, _certificates(ours, authority)) as running:
        silent = [socket.create_connection(("127.0.0.1", running.port), 10) for _ in range(50)]
        assert _by_tls("echoscu", running.port, authority, None) == 0
        for one in silent:
            one.close()


def test_who_does_not_speak_tls_is_hung_up_on_and_the_next_one_served(authority: Authority, ours: Certified) -> None:
    with answering(Shelf(), None, _certificates(ours, authority)) as running:
        plain = ["echoscu", "-aec", "PHOTOPEAK", "127.0.0.1", str(running.port)]
        assert subprocess.run(plain, timeout=60, check=False, capture_output=True).returncode != 0
        assert _by_tls("echoscu", running.port, authority, None) == 0


def test_a_new_certificate_is_shown_without_a_restart_and_a_broken_one_never(
    tmp_path: Path, authority: Authority, ours: Certified
) -> None:
    used = Certified(tmp_path / "used.pem", tmp_path / "used.key")
    _put(ours, used)
    with answering(Shelf(), None, _certificates(used, authority)) as running:
        assert _shown(running.port) == _in_file(ours.certificate)
        renewed = authority.certify("renewed")
        _put(renewed, used)
        assert _shown(running.port) == _in_file(renewed.certificate)
        used.certificate.write_text("no certificate")
        assert _shown(running.port) == _in_file(renewed.certificate)
        _put(ours, used)
        assert _shown(running.port) == _in_file(ours.certificate)


def _put(certified: Certified, at: Certified) -> None:
    shutil.copy(certified.key, at.key)
    shutil.copy(certified.certificate, at.certificate)


def test_certificates_that_cannot_be_used_are_refused_at_the_start(
    tmp_path: Path, authority: Authority, ours: Certified, camera: Certified
) -> None:
    with pytest.raises(Invalid, match="tls_certificate"):
        Certificates(TlsFiles(tmp_path / "absent.pem"))
    with pytest.raises(Invalid, match="tls_certificate"):
        Certificates(TlsFiles(ours.certificate, camera.key))
    with pytest.raises(Invalid, match="tls_ca"):
        Certificates(TlsFiles(ours.certificate, ours.key, None, ClientCertificate.REQUIRED))


def test_a_release_by_tls_ends_in_good_order(authority: Authority, ours: Certified) -> None:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with answering(Shelf(), None, _certificates(ours, authority)) as running:
        for _ in range(3):
            with _connected(running, context) as association:
                assert association.echo() == 0
        wrong = ssl.create_default_context()
        with pytest.raises(PeerFailed, match="certificate"), _connected(running, wrong):
            pass


def _connected(running: Listener, context: ssl.SSLContext) -> Association:
    return connect("127.0.0.1", running.port, calling="US", called="PHOTOPEAK", contexts=[VERIFICATION], tls=context)


def test_the_service_speaks_tls_beside_plain_dicom(tmp_path: Path, authority: Authority, ours: Certified) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = {"tls_certificate": ours.certificate, "tls_key": ours.key, "dicom_tls": f"127.0.0.1:{port}"}
    with Photopeakd(tmp_path / "data", **files) as service:
        assert service.call("echoscu").returncode == 0
        assert _by_tls("echoscu", port, authority, None) == 0
        service.process.send_signal(1)  # SIGHUP
        assert _by_tls("echoscu", port, authority, None) == 0
        assert service.ready()
