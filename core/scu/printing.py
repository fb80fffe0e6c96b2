"""Print on a DICOM printer: Basic Grayscale Print Management (PS3.4 H).

A film is one association: session, film box, an image into each of its boxes, print. What a printer has not printed by
then it forgets, so that a film that failed can be sent again. Pixels are P-Values where the printer takes a
Presentation LUT (PS3.14), so that a film looks like the screen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    BasicFilmBox,
    BasicFilmSession,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    PresentationLUT,
    PrinterInstance,
)
from pynetdicom.sop_class import Printer as PrinterClass

from core.errors import PeerFailed
from core.scu.peer import Peer

_CONTEXT = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_PRINT = 1  # Action Type ID of PS3.4 Table H.4-10
_NOT_THERE = frozenset({0x0112, 0x0118, 0x0122})  # no such instance, class or class at all: PS3.7 C.5
_NOTES = {
    0x0001: "the printer left out attributes it does not know",
    0x0107: "the printer left out attributes it does not know",
    0x0116: "the printer used another value for one it cannot take",
    0xB600: "the printer does not allocate memory",
    0xB601: "the printer does not support film session printing",
    0xB602: "the printer does not collate",
    0xB603: "a film box was empty",
    0xB604: "an image was larger than its box, and made smaller",
    0xB605: "the printer used other densities than those asked for",
    0xB609: "an image was larger than its box, and cropped",
    0xB60A: "an image was larger than its box, and thinned out",
}
"""Warnings of PS3.4 H.4: the film is printed, and somebody should know."""


@dataclass(frozen=True, slots=True)
class PrinterState:
    """What a printer says of itself (PS3.3 C.13.9)."""

    status: str  # NORMAL, WARNING, FAILURE
    info: str = ""  # what is the matter, such as SUPPLY EMPTY
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""
    software: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """How films are printed (PS3.3 C.13.1, C.13.3); what is empty is left to the printer."""

    columns: int = 1
    rows: int = 1
    bits: Literal[8, 12] = 8
    copies: int = 1
    priority: str = "MED"
    medium: str = ""
    destination: str = ""
    label: str = ""
    film_size: str = ""
    orientation: str = "PORTRAIT"
    magnification: str = ""
    border_density: str = ""
    empty_density: str = ""
    presentation_lut: str = "IDENTITY"  # IDENTITY, LIN OD, or empty for none


@dataclass(slots=True)
class Printed:
    """What came of a film: what the printer warned of."""

    warnings: list[str] = field(default_factory=list)

    def note(self, warning: str) -> None:
        """Keep a warning once."""
        if warning not in self.warnings:
            self.warnings.append(warning)


@dataclass(frozen=True)
class Printer(Peer):
    """A printer as we call it."""

    @classmethod
    def of(cls, peer: Peer) -> Printer:
        """Return the printer that is reached as a peer is."""
        return cls(**{each.name: getattr(peer, each.name) for each in fields(peer)})

    def state(self) -> PrinterState:
        """Ask the printer how it is (N-GET)."""
        with self._association([(BasicGrayscalePrintManagementMeta, _CONTEXT)]) as association:
            return self._state(association)

    def print_film(self, job: Job, images: Sequence[NDArray[np.uint16]], new_uid: Callable[[], str]) -> Printed:
        """Print one film; `images` fill its boxes from the left, then down, and are levels of `job.bits`.

        Raises
        ------
        PeerFailed
            The printer has a fault, or did not take something; nothing was printed then.
        """
        printed = Printed()
        with self._printing(job) as (association, with_lut):
            state = self._state(association)
            if state.status == "FAILURE":
                raise self._failed(f"is out of order ({state.info or 'it does not say why'}); look at the printer")
            if state.status == "WARNING":
                printed.note(f"the printer warns: {state.info or 'it does not say of what'}")
            film = _Film(self, association, job, printed, new_uid)
            try:
                film.printed_with(images, with_lut=with_lut)
            except RuntimeError as error:
                raise self._failed("dropped the association while a film was sent; look at its log") from error
        return printed

    @contextmanager
    def _printing(self, job: Job) -> Iterator[tuple[Association, bool]]:
        """Open an association, with a Presentation LUT where the printer takes one."""
        wanted = [(BasicGrayscalePrintManagementMeta, _CONTEXT)]
        if job.presentation_lut:
            wanted.append((PresentationLUT, _CONTEXT))
        with self._association(wanted) as association:
            accepted = {context.abstract_syntax for context in association.accepted_contexts}
            if BasicGrayscalePrintManagementMeta not in accepted:
                raise self._failed("does not print: it takes no Basic Grayscale Print Management")
            yield association, PresentationLUT in accepted

    def _state(self, association: Association) -> PrinterState:
        status, told = association.send_n_get(
            [], PrinterClass, PrinterInstance, meta_uid=BasicGrayscalePrintManagementMeta
        )
        self._expect(status, "N-GET of its state")
        said = told or Dataset()
        names = ("PrinterStatus", "PrinterStatusInfo", "PrinterName", "Manufacturer", "ManufacturerModelName",
                 "DeviceSerialNumber", "SoftwareVersions")  # fmt: skip
        return PrinterState(*(str(said.get(name) or "").strip() for name in names))

    def fault(self, what: str) -> PeerFailed:
        """Return the error that says what the printer did not do."""
        return self._failed(what)

    def code_of(self, status: Dataset, what: str) -> int:
        """Return a status code; raises PeerFailed where none came."""
        return self._code(status, what)


@dataclass(frozen=True)
class _Film:
    """One film on one association."""

    printer: Printer
    association: Association
    job: Job
    printed: Printed
    new_uid: Callable[[], str]

    def printed_with(self, images: Sequence[NDArray[np.uint16]], *, with_lut: bool) -> None:
        session, _ = self._create(BasicFilmSession, self._session(), "film session")
        film, box = self._create(BasicFilmBox, self._box(session, self._lut() if with_lut else ""), "film box")
        places = [str(item.ReferencedSOPInstanceUID) for item in box.get("ReferencedImageBoxSequence") or []]
        if len(places) < len(images):
            raise self.printer.fault(f"made {len(places)} boxes for {len(images)} images; choose another layout")
        for number, (place, image) in enumerate(zip(places, images, strict=False), 1):
            self._fill(place, number, image)
        status, _ = self.association.send_n_action(
            None, _PRINT, BasicFilmBox, film, meta_uid=BasicGrayscalePrintManagementMeta
        )
        self._minded(status, "N-ACTION to print")
        with contextlib.suppress(RuntimeError):  # the film is printed: whatever becomes of this changes nothing
            self.association.send_n_delete(BasicFilmSession, session, meta_uid=BasicGrayscalePrintManagementMeta)

    def _session(self) -> Dataset:
        job = self.job
        return _given(
            NumberOfCopies=str(job.copies), PrintPriority=job.priority, MediumType=job.medium,
            FilmDestination=job.destination, FilmSessionLabel=job.label,
        )  # fmt: skip

    def _box(self, session: str, lut: str) -> Dataset:
        job = self.job
        box = _given(
            ImageDisplayFormat=f"STANDARD\\{job.columns},{job.rows}", FilmOrientation=job.orientation,
            FilmSizeID=job.film_size, MagnificationType=job.magnification, BorderDensity=job.border_density,
            EmptyImageDensity=job.empty_density,
        )  # fmt: skip
        box.ReferencedFilmSessionSequence = [_reference(BasicFilmSession, session)]
        if lut:
            box.ReferencedPresentationLUTSequence = [_reference(PresentationLUT, lut)]
        return box

    def _lut(self) -> str:
        """Create the Presentation LUT; a printer that has none prints by its own curve, and that is said."""
        uid, shape = self.new_uid(), _given(PresentationLUTShape=self.job.presentation_lut)
        status, _ = self.association.send_n_create(shape, PresentationLUT, uid)
        code = self.printer.code_of(status, "N-CREATE of a Presentation LUT")
        if code and code not in _NOTES:
            self.printed.note("the printer takes no Presentation LUT: grey levels follow its own curve")
            return ""
        return uid

    def _create(self, sop_class: UID, attributes: Dataset, what: str) -> tuple[str, Dataset]:
        """Create an instance, and return its UID and what the printer tells of it."""
        uid = self.new_uid()
        status, told = self.association.send_n_create(
            attributes, sop_class, uid, meta_uid=BasicGrayscalePrintManagementMeta
        )
        self._minded(status, f"N-CREATE of a {what}")
        return uid, told or Dataset()

    def _fill(self, place: str, number: int, image: NDArray[np.uint16]) -> None:
        box = Dataset()
        box.ImageBoxPosition = number
        box.Polarity = "NORMAL"
        box.BasicGrayscaleImageSequence = [pixels(image, self.job.bits)]
        status, _ = self.association.send_n_set(
            box, BasicGrayscaleImageBox, place, meta_uid=BasicGrayscalePrintManagementMeta
        )
        self._minded(status, f"N-SET of image {number}")

    def _minded(self, status: Dataset, what: str) -> None:
        code = self.printer.code_of(status, what)
        if code in _NOTES:
            self.printed.note(_NOTES[code])
        elif code:
            said = f": {status.ErrorComment}" if status.get("ErrorComment") else ""
            raise self.printer.fault(f"answered {what} with status {code:04X}{said}; look at its log")


def pixels(image: NDArray[np.uint16], bits: int) -> Dataset:
    """Return an image of `bits` grey levels as an item of an image box (PS3.3 C.13.5)."""
    item = Dataset()
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
    item.Rows, item.Columns = image.shape
    item.PixelAspectRatio = ["1", "1"]
    item.BitsAllocated = 8 if bits == 8 else 16  # noqa: PLR2004 - a byte
    item.BitsStored, item.HighBit, item.PixelRepresentation = bits, bits - 1, 0
    content = image.astype("<u1" if bits == 8 else "<u2").tobytes()  # noqa: PLR2004 - as above
    item.add_new("PixelData", "OB" if bits == 8 else "OW", content + b"\0" * (len(content) % 2))  # noqa: PLR2004
    return item


def _given(**values: str) -> Dataset:
    """Return a Dataset of what is said; what is empty is the printer's to choose."""
    made = Dataset()
    for keyword, value in values.items():
        if value:
            setattr(made, keyword, value)
    return made


def _reference(sop_class: UID, uid: str) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = sop_class, uid
    return made
