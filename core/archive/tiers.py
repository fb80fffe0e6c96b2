"""Writes objects anew for the tier they move to, and proves the way back before the file they were is let go.

The proof is the strongest there is: what was written is read back from its disk, decoded and put together again; the
file must be the one that was acknowledged, byte for byte.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEGLSLossless

from core.archive.keeper import NoRoom
from core.archive.stores import ARCHIVE, COPIES, Store
from core.dicom import objects
from core.dicom.codecs import converted, inflated, raster
from core.dicom.codecs.derive import Derived, derive, may_lose
from core.dicom.codecs.rewriting import EXPLICIT, element, encoding_of, rewritten
from core.dicom.codecs.rules import Rule
from core.dicom.codecs.table import DEFLATE, LOSSLESS_BY_SYNTAX, Codec
from core.errors import Broken, Refused
from core.model import Image
from core.vocabulary import Tier

_META = 132  # where file meta begins, behind preamble and DICM (PS3.10 7.1)
_SYNTAX, _INSTANCE = 0x00020010, 0x00020003


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it was written anew: where, and what it is now. No codec means as it was."""

    path: str
    size: int
    sha256: str
    content_sha256: str
    syntax: str
    codec: str = ""
    pixel_vr: str = ""


@dataclass(frozen=True, slots=True)
class Copied:
    """A second copy; a lossy one has a UID of its own, and a signal-to-noise ratio where something was lost."""

    file: Written
    sop_uid: str
    lossless: bool
    ratio: float
    psnr_db: float | None = None


class Tiers:
    """Moves files between the names of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def archive(self, image: Image, codec: Codec | None) -> Written:
        """Write an object on the archive tier, by the codec, else deflated, else as it is, whichever is proven first.

        Raises
        ------
        Broken
            Its file is not what was acknowledged, or the tier does not take it.
        """
        whole = self._acknowledged(image)
        return self._proven(whole, image, f"{ARCHIVE}/{online_path(image.path)}", codec)

    def recall(self, image: Image, former: Written) -> Written:
        """Write an object online as it was before, byte for byte (`former` says how that was).

        Raises
        ------
        Broken
            What comes back is not what it was.
        """
        whole = unpacked(self._acknowledged(image), image.transfer_syntax, former.syntax, former.pixel_vr)
        if hashlib.sha256(whole).hexdigest() != former.sha256:
            raise Broken(f"object {image.sop_uid} does not come back as it was: it stays on the archive tier")
        self._write(former.path, whole)
        return _written(former.path, whole, former.syntax)

    def copy(self, image: Image, rule: Rule, new_uid: str) -> Copied:
        """Write a second copy by a rule, without loss where the rule's loss is not for such an object."""
        whole = self._acknowledged(image)
        path = f"{COPIES}/{online_path(image.path)}"
        codec = rule.codec
        if rule.lossy:
            codec = self._without_loss(whole, image, rule)
            if codec is None:
                return self._lossy(whole, image, path, rule, new_uid)
        file = self._proven(whole, image, path, codec)
        return Copied(file, image.sop_uid, lossless=True, ratio=image.size / file.size)

    def _without_loss(self, whole: bytes, image: Image, rule: Rule) -> Codec | None:
        """Return the lossless codec for what may lose nothing, or reaches the ratio without loss; else None."""
        dataset, former = _parted(whole)[1], image.transfer_syntax
        if not may_lose(dataset, former):
            return DEFLATE  # documents, palettes, masks: nothing that can be a little wrong
        if not rule.loss.ratio or UID(former).is_compressed:
            return None
        quick = LOSSLESS_BY_SYNTAX[JPEGLSLossless]
        try:
            return quick if len(whole) >= rule.loss.ratio * len(_packed(whole, former, quick)) else None
        except Refused:
            return None

    def _lossy(self, whole: bytes, image: Image, path: str, rule: Rule, new_uid: str) -> Copied:
        head, dataset = _parted(whole)
        lossy: Derived = derive(dataset, image.transfer_syntax, rule.loss, new_uid)
        syntax = rule.codec.syntax if rule.codec else image.transfer_syntax
        copy = _with_meta(head, {_SYNTAX: syntax, _INSTANCE: new_uid}) + lossy.dataset
        path = f"{path[: path.rindex('/')]}/{new_uid}.dcm"
        self._write(path, copy)
        return Copied(_written(path, copy, syntax), new_uid, lossless=False, ratio=lossy.ratio, psnr_db=lossy.psnr_db)

    def _acknowledged(self, image: Image) -> bytes:
        """Return an object's file; raises Broken where it is not the one that was acknowledged."""
        try:
            whole = self.store.local(image.path).read_bytes()
        except OSError as error:
            raise Broken(f"the file of object {image.sop_uid} cannot be read: run 'photopeakd verify'") from error
        if hashlib.sha256(whole).hexdigest() != image.sha256:
            raise Broken(f"the file of object {image.sop_uid} has changed: run 'photopeakd verify --deep'")
        return whole

    def _proven(self, whole: bytes, image: Image, path: str, codec: Codec | None) -> Written:
        """Write a file in the first way that is smaller and holds; as it is holds always."""
        former = image.transfer_syntax
        ways = () if codec is None or UID(former).is_compressed else dict.fromkeys((codec, DEFLATE))
        for way in ways:
            try:
                packed, pixel_vr = _packed(whole, former, way), _pixel_vr(whole, former)
            except Refused:
                continue
            if len(packed) < len(whole):
                self._write(path, packed)
                if self._comes_back(path, way.syntax, former, pixel_vr, image.sha256):
                    return _written(path, packed, way.syntax, way.name, pixel_vr)
        self._write(path, whole)
        if hashlib.sha256(self.store.local(path).read_bytes()).hexdigest() != image.sha256:
            raise Broken(f"object {image.sop_uid} is read back changed from the archive tier: look at its disk")
        return _written(path, whole, former)

    def _comes_back(self, path: str, syntax: str, former: str, pixel_vr: str, sha256: str) -> bool:
        try:
            whole = unpacked(self.store.local(path).read_bytes(), syntax, former, pixel_vr)
        except Refused:
            return False
        return hashlib.sha256(whole).hexdigest() == sha256

    def _write(self, path: str, whole: bytes) -> None:
        """Write a file durably; what lies there already has no row, since rows come after."""
        try:
            file, temporary = self.store.incoming(path)
            try:
                with file:
                    file.write(whole)
                    file.flush()
                    os.fsync(file.fileno())
                self.store.remove(path)
                self.store.place(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            place = path.partition("/")[0]
            raise NoRoom(f"'{place}' does not take a file ({error.strerror}): look at its disk") from error


def unpacked(whole: bytes, syntax: str, former: str, pixel_vr: str) -> bytes:
    """Return a file in the transfer syntax it had."""
    head, dataset = _parted(whole)
    if syntax == former:
        return whole
    again = converted(dataset, syntax, former, pixel_vr=pixel_vr.encode())
    return _with_meta(head, {_SYNTAX: former}) + again


def _packed(whole: bytes, former: str, codec: Codec) -> bytes:
    head, dataset = _parted(whole)
    return _with_meta(head, {_SYNTAX: codec.syntax}) + converted(dataset, former, codec.syntax)


def _pixel_vr(whole: bytes, syntax: str) -> str:
    data = _parted(whole)[1]
    plain = inflated(data) if syntax == DeflatedExplicitVRLittleEndian else data
    pixels = raster.header_of(plain, encoding_of(syntax)).pixels
    return pixels.vr.decode() if pixels else ""


def _parted(whole: bytes) -> tuple[bytes, memoryview]:
    """Part a file into preamble with file meta, and its dataset."""
    at = objects.dataset_start(whole)
    if whole[128:_META] != b"DICM":
        raise Refused("the file has no file meta")
    return whole[:at], memoryview(whole)[at:]


def _with_meta(head: bytes, uids: dict[int, str]) -> bytes:
    """Return preamble and file meta with other UIDs in it, all else as it was."""
    told = {tag: element(tag, b"UI", [uid.encode() + b"\0" * (len(uid) % 2)], EXPLICIT) for tag, uid in uids.items()}
    return head[:_META] + rewritten(memoryview(head)[_META:], EXPLICIT, EXPLICIT, told)


def _written(path: str, whole: bytes, syntax: str, codec: str = "", pixel_vr: str = "") -> Written:
    dataset = _parted(whole)[1]
    content = hashlib.sha256(dataset).hexdigest()
    return Written(path, len(whole), hashlib.sha256(whole).hexdigest(), content, syntax, codec, pixel_vr)


def tier_of(path: str) -> Tier:
    """Return the tier a path of the store is on."""
    return Tier.ARCHIVE if path.startswith(f"{ARCHIVE}/") else Tier.ONLINE


def online_path(path: str) -> str:
    """Return the path a file had before it moved to the archive tier."""
    return path.removeprefix(f"{ARCHIVE}/")
