"""What DICOM callers may ask of us, in words that know no engine.

A service is a function: it gets who calls and a Dataset (or the bytes of one), answers or yields Datasets, and raises
what `core.errors` has. `listener` alone knows the engine and turns answers and errors into statuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pydicom import Dataset

from core.access import Actor
from core.access import device as device_actor
from core.dicom import conformance
from core.dicom.conformance import Role
from core.dicom.information_models import Model
from core.errors import Refused

OFFERED: tuple[conformance.Service, ...] = (
    conformance.VERIFICATION,
    replace(conformance.STORAGE, role=Role.SCP),
    replace(conformance.FIND, role=Role.SCP),
    conformance.WORKLIST,
    conformance.PROCEDURE_STEP,
)
"""The part of the conformance table this version answers; the rest of it is not claimed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the AE title it gives itself, and the registered device (by title or alias) that makes it, if any."""

    aet: str
    host: str
    site: str
    device: str | None = None
    loopback: bool = False

    @property
    def actor(self) -> Actor:
        """The caller as the rights and the audit trail know it."""
        return device_actor(self.device or self.aet, self.site)

    @property
    def trusted(self) -> bool:
        """Whether it may ask for more than to be heard and to store."""
        return self.device is not None or self.loopback


@dataclass(frozen=True, slots=True)
class Sent:
    """A C-STORE request: its command's UIDs, and the dataset's bytes exactly as they came, without file meta."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Answer:
    """A C-STORE status and what to tell with it."""

    status: int
    comment: str = ""


class Duplicate(Refused):
    """A SOP Instance that is there already was to be created."""


@dataclass(frozen=True)
class Services:
    """What the listener calls, each built by the composition root.

    `who` gets AE title and host. `find` gets the information model (PATIENT_ROOT or STUDY_ROOT); a Dataset it or
    `find_worklist` yields is encoded as it is, with the Specific Character Set it names. `mpps_create` and `mpps_set`
    get the SOP Instance UID of the performed step. A service that raises `Invalid`, `NotFound`, `Forbidden`,
    `Duplicate`, another `Refused` or `Broken` is answered with the status that says so and its detail as Error Comment,
    so details must name no patient.
    """

    who: Callable[[str, str], Caller]
    echo: Callable[[Caller], None]
    store: Callable[[Caller, Sent], Answer]
    find: Callable[[Caller, Dataset, Model], Iterator[Dataset]]
    find_worklist: Callable[[Caller, Dataset], Iterator[Dataset]]
    mpps_create: Callable[[Caller, str, Dataset], None]
    mpps_set: Callable[[Caller, str, Dataset], None]
