"""A throw-away department: a service of its own, its staff signed in, its cameras on the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core import access, wire
from core.demo.camera import SimulatedCamera
from core.demo.cases import CAMERAS, STAFF
from core.demo.clock import DemoClock
from core.demo.colleague import Colleague
from core.demo.people import new_password
from core.scu.peer import Peer
from core.service import Service
from core.settings import Settings
from core.vocabulary import Role
from core.workflow import devices, staffing

_LOOPBACK = "127.0.0.1"
_OUT_OF_SERVICE = 9  # the port of a camera that answers nobody: it only calls


@dataclass(frozen=True)
class Settled:
    """What is handed to whoever plays: where the service is, and who works there with which password."""

    http: str
    dicom: str
    aet: str
    data: str
    staff: list[dict[str, str]]


class Department:
    """The made-up department while it runs."""

    def __init__(self, settings: Settings, pause: Callable[[], None] = lambda: None) -> None:
        self.clock = DemoClock()
        self.settings = settings
        self.service = Service(settings, self.clock)
        self.service.start()
        self.server = f"http://{settings.http_address[0]}:{self.service.http_port}"
        self._password = new_password()  # one for all, of this run alone: whoever plays may change roles
        self._hashed = staffing.hashed(self.service.sign_ins.hasher, self._password)
        self.colleagues = {name: self._employ(name, role, title, fields) for name, role, title, fields in STAFF}
        self.cameras = {
            profile.aet: SimulatedCamera(
                profile, self.peer(profile.aet), settings.data / "cameras" / profile.aet, self.clock, seed, pause
            )
            for seed, profile in enumerate(CAMERAS, 1)
        }
        self._register_cameras()

    def _employ(self, name: str, role: Role, title: str, specialty: tuple[str, ...]) -> Colleague:
        with self.service.records.writing() as work:
            staffing.add(
                work,
                self._operator,
                name,
                [role],
                full_name=title,
                specialty=list(specialty),
                password_hash=self._hashed,
            )
        return Colleague(self.server, name, role, self._password)

    def _register_cameras(self) -> None:
        with self.service.records.writing() as work:
            for profile in CAMERAS:
                camera = wire.Device(
                    aet=profile.aet, host=_LOOPBACK, port=_OUT_OF_SERVICE, modalities=list(profile.modalities),
                    pool=profile.pool, charset="\\".join(profile.charset),
                )  # fmt: skip
                devices.add(work, self._operator, camera)

    @property
    def _operator(self) -> access.Actor:
        return access.operator("demo", self.settings.site)

    def peer(self, calling: str) -> Peer:
        """Return our service as a camera of this AE title calls it."""
        host = self.settings.dicom_address[0]
        return Peer(self.settings.aet, host, self.service.dicom_port, calling_aet=calling)

    def everyone_signs_in(self) -> None:
        """Begin the working day."""
        for colleague in self.colleagues.values():
            colleague.sign_in()

    def settled(self) -> Settled:
        """Return what a player needs to know."""
        staff = [
            {"username": one.username, "role": one.role.value, "password": one.password}
            for one in self.colleagues.values()
        ]
        dicom = f"{self.settings.dicom_address[0]}:{self.service.dicom_port}"
        return Settled(self.server, dicom, self.settings.aet, str(self.settings.data), staff)

    def close(self) -> None:
        """Send everybody home and stop the service."""
        for colleague in self.colleagues.values():
            colleague.close()
        self.service.stop()


def demo_settings(data: Path, http: str, dicom: str) -> Settings:
    """Return the settings of a throw-away service; sign-ins outlast the made-up years before today."""
    years = 10 * 365 * 24 * 3600.0
    return Settings(
        data=data, http=http, dicom=dicom, site_name="Nuclear medicine (demo)",
        session_idle_seconds=years, session_seconds=years,
    )  # fmt: skip
