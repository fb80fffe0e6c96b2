"""Bring in what is not standard, and mend what came that way.

A DICOM object with UIDs of its own is kept as it came, and a standard copy goes out. What has none, or is no DICOM at
all, becomes an object, and the file it came in is kept beside it. Nothing is mended unseen: each repair stands on the
object.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlmodel import col, func, select

from core import access, audit, course, wire
from core.access import Actor
from core.archive import conversions
from core.archive.conversions import Placed
from core.archive.keeper import Keeper, Kept, NoRoom, Outcome
from core.archive.keeper.file_meta import file_meta
from core.dicom import convert
from core.dicom.convert import Converted, Origin, Subject
from core.dicom.convert.values import derived_uid
from core.errors import CoreError, NotFound, Refused, place_of
from core.model import Conversion, Examination, Image, Patient, Quarantined
from core.records import Records, Work
from core.vocabulary import Operation
from core.workflow.reception import Reception

log = logging.getLogger(__name__)

_LARGEST = 1 << 30
_SNIFFED = 1024
_LISTED = 200


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a file: kept, already there or kept apart; what it was, and what was mended."""

    outcome: Outcome
    kind: str
    sop_uid: str
    repairs: tuple[str, ...]


@dataclass(frozen=True)
class Intake:
    """Where files come in that may be anything."""

    reception: Reception

    @property
    def _records(self) -> Records:
        return self.reception.records

    @property
    def _keeper(self) -> Keeper:
        return self.reception.keeper

    # -- files -------------------------------------------------------------------------------------------------------

    def bring(self, actor: Actor, path: Path, subject: Subject | None = None) -> Brought:
        """Take a file in, whatever it is; `subject` says whom a picture, paper or Interfile is of.

        Raises
        ------
        Refused
            It is nothing the archive can keep; the message says why.
        Broken
            It could not be kept.
        """
        with path.open("rb") as file:
            kind = convert.kind_of(file.read(_SNIFFED))
        if kind == convert.DICOM:
            try:
                return self._bring_dicom(actor, path)
            except NoRoom:
                raise
            except Refused as refused:
                return self._bring_converted(actor, path, None, refused)
        return self._bring_converted(actor, path, subject, None)

    def _bring_dicom(self, actor: Actor, path: Path) -> Brought:
        """Keep an object as it is, and mend a copy where it is not standard."""
        staged = self._keeper.stage_file(path)
        uid = staged.identity.sop_instance_uid
        kept = self.reception.receive(actor, staged)
        repairs = self.mend(actor, kept.image) if kept.image else ()
        return Brought(kept.outcome, convert.DICOM, uid, repairs)

    def _bring_converted(self, actor: Actor, path: Path, subject: Subject | None, why: Refused | None) -> Brought:
        """Make an object of a file that is none, and keep the file beside it."""
        data = _read(path)
        read: dict[str, bytes] = {}
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone()
        try:
            made = convert.convert(data, Origin(at, partial(_beside, path, read), subject))
        except Refused as refused:
            raise (why if why is not None and not _looks_like_dicom(data) else refused) from refused
        with self._records.reading() as work:
            there = conversions.of_object(work, actor.site, made.sop_uid)
        if there is not None:
            return Brought(Outcome.ALREADY, made.kind, made.sop_uid, tuple(there.repairs))
        original = self._place_original(data, made, path.suffix)
        for name, counts in read.items():
            self._place_original(counts, made, Path(name).suffix)
        kept = self._receive(actor, made)
        if kept.image is not None:
            self._note(actor, made, kept.image, original, _own_file(kept.image))
        return Brought(kept.outcome, made.kind, made.sop_uid, made.repairs)

    def _place_original(self, data: bytes, made: Converted, suffix: str) -> Placed:
        end = suffix.lower() if suffix[1:].isalnum() and suffix.isascii() else ".bin"
        return conversions.place(self._keeper.store, conversions.original_path(made.sop_uid, end), data)

    def _receive(self, actor: Actor, made: Converted) -> Kept:
        with tempfile.TemporaryDirectory(prefix="photopeak-") as folder:
            file = Path(folder) / "standard.dcm"
            file.write_bytes(_file(made))
            return self.reception.receive(actor, self._keeper.stage_file(file))

    # -- objects -----------------------------------------------------------------------------------------------------

    def mend(self, actor: Actor, image: Image) -> tuple[str, ...]:
        """Look for what is not standard in a stored object; make the copy that goes out, and say what was mended.

        An object that cannot be mended goes out as it came, and says so.
        """
        with self._records.reading() as work:
            there = conversions.of_object(work, image.site, image.sop_uid)
        if there is not None:
            return tuple(there.repairs)
        try:
            made = convert.standardised(_read(self._keeper.local(image)), image.sop_class, image.sop_uid)
        except Refused as refused:
            made = Converted(
                convert.DICOM, b"", image.sop_class, image.sop_uid, "", (f"not mended: {refused.detail}",)
            )  # fmt: skip
        if made is None:
            return ()
        copy = Placed("", 0, "")
        if made.dataset:
            copy = conversions.place(self._keeper.store, conversions.standard_path(image.path), _file(made))
        self._note(actor, made, image, _own_file(image), copy)
        return made.repairs

    def _note(self, actor: Actor, made: Converted, image: Image, original: Placed, standard: Placed) -> None:
        """Write down an object's two files and its repairs, once."""
        with self._records.writing() as work:
            if conversions.of_object(work, image.site, made.sop_uid) is not None:
                return
            work.add(
                Conversion(
                    site=image.site, sop_uid=made.sop_uid, kind=made.kind, repairs=list(made.repairs),
                    charset_said=made.charset_said, charset=made.charset, confidence=made.confidence,
                    store=self._keeper.store.name, original_path=original.path, original_size=original.size,
                    original_sha256=original.sha256, standard_path=standard.path, standard_size=standard.size,
                    standard_sha256=standard.sha256, standard_syntax=made.syntax, at=work.now,
                )
            )  # fmt: skip
            audit.record(
                work, actor, "object.convert", made.sop_uid, kind=made.kind, repairs=len(made.repairs),
                charset_said=made.charset_said, charset=made.charset,
            )  # fmt: skip
            work.tell(image.site, "converted", made.sop_uid, what=made.kind, repairs=len(made.repairs))

    def admit(self, actor: Actor, quarantined_id: int) -> Brought:
        """Give an object that was kept apart a UID of its own and take it in; its device used one twice.

        Raises
        ------
        NotFound
            Nothing with this number is kept apart at the actor's site.
        Refused
            The object cannot be read well enough to get another UID.
        """
        access.require(actor, Operation.FILE)
        with self._records.reading() as work:
            row = work.session.get(Quarantined, quarantined_id)
        if row is None or row.site != actor.site:
            raise NotFound(f"nothing with the number {quarantined_id} is kept apart")
        uid = derived_uid("reused", row.sop_uid, row.content_sha256)
        made = convert.renamed(_read(self._keeper.local(row)), uid)
        kept = self._receive(actor, made)
        if kept.image is not None:
            self._note(actor, made, kept.image, Placed(row.path, row.size, row.sha256), _own_file(kept.image))
        return Brought(kept.outcome, made.kind, uid, made.repairs)

    # -- what came over the network ----------------------------------------------------------------------------------

    def newest(self) -> int:
        """Return the number of the latest object that came."""
        with self._records.reading() as work:
            return work.session.exec(select(func.max(Image.id))).one() or 0

    def examine(self, limit: int) -> int:
        """Mend the next objects nobody has looked at, at most `limit`; return how many were looked at."""
        store = self._keeper.store.name
        with self._records.reading() as work:
            done = work.session.get(Examination, store)
            newest = work.session.exec(select(func.max(Image.id))).one() or 0
            begin = min(done.image_id, newest) if done else 0
            found = select(Image).where(col(Image.id) > begin, Image.store == store).order_by(col(Image.id))
            images = list(work.session.exec(found.limit(limit)))
        for image in images:
            self._examine(image)
        # Behind the last one there may be many of other stores, not to be gone through again and again.
        reached = images[-1].id or 0 if len(images) == limit else newest
        if reached > begin:
            with self._records.writing() as work:
                row = work.session.get(Examination, store) or Examination(store=store)
                row.image_id = reached
                work.add(row)
        return len(images)

    def _examine(self, image: Image) -> None:
        try:
            self.mend(access.system("intake", image.site), image)
        except (CoreError, OSError) as error:
            log.warning("object %s could not be examined (%s)", image.sop_uid, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a stranger's bytes must not end the looking
            log.error(  # noqa: TRY400 - the text of the exception may hold what a device sent
                "object %s could not be examined: %s in %s", image.sop_uid, type(error).__name__, place_of(error)
            )


def _looks_like_dicom(data: bytes) -> bool:
    """Whether bytes are DICOM enough for the converter's own word to count more than the reader's."""
    return data[128:132] == b"DICM" or data[:1] in {b"\x08", b"\0"}


def _beside(path: Path, read: dict[str, bytes], name: str) -> bytes:
    """Read a file that lies beside another, by its bare name only, and remember it."""
    read[name] = _read(path.with_name(Path(name).name))
    return read[name]


def _read(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise Refused("it is too large to be mended")
    return path.read_bytes()


def _file(made: Converted) -> bytes:
    return file_meta(made.sop_class, made.sop_uid, made.syntax, "") + made.dataset


def _own_file(image: Image) -> Placed:
    """The file of an object's own row, which may move to another tier: its path stands there alone."""
    return Placed("", image.size, image.sha256)


# -- whom it is of, and what was mended ------------------------------------------------------------------------------


def subject_of(work: Work, actor: Actor, reference: str, description: str = "") -> Subject:
    """Return whom a registered exam is of, so that what is brought in for it is filed to it by its numbers."""
    exam = course.find_exam(work, reference, actor.site)
    patient = work.session.get_one(Patient, exam.patient_id)
    name = f"{patient.name}={patient.name_ideographic}".rstrip("=")
    return Subject(
        patient_id=patient.number, patient_name=name, birth_date=patient.birth_date, sex=patient.sex,
        accession=exam.accession, study_uid=exam.study_instance_uid, description=description,
    )  # fmt: skip


def listing(work: Work, actor: Actor, limit: int = _LISTED) -> list[wire.Conversion]:
    """Return what was mended, the latest first."""
    access.require(actor, Operation.FIND)
    found = select(Conversion).where(Conversion.site == actor.site).order_by(col(Conversion.id).desc())
    return shapes(list(work.session.exec(found.limit(limit))))


def shapes(rows: Sequence[Conversion]) -> list[wire.Conversion]:
    """Return conversions as they travel."""
    return [
        wire.Conversion(
            sop_instance_uid=row.sop_uid, kind=row.kind, repairs=row.repairs, charset_said=row.charset_said,
            charset=row.charset, confidence=row.confidence, original=row.original_path,
            original_sha256=row.original_sha256, standard=row.standard_path, at=wire.local(row.at),
        )
        for row in rows
    ]  # fmt: skip
