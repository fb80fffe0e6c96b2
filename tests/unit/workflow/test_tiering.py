"""What grows old moves to the archive tier: proven, still acknowledged, found again, and back byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLosslessSV1, generate_uid
from sqlmodel import select

from core import access
from core.archive import proof
from core.archive.keeper import Keeper, Outcome
from core.archive.stores import ARCHIVE, COPIES, QUARANTINE, LocalStore
from core.archive.tiers import Tiers
from core.dicom.pixels import frames_of
from core.errors import Forbidden, Invalid
from core.model import AuditEntry, BackupCopy, Image, Job, Receipt, Site, TierMove
from core.records import Records
from core.vocabulary import Role, Tier
from core.workflow import integrity, recovery, tiering
from core.workflow.reception import Reception
from core.workflow.tiering import Tiering, Told

ADMIN = access.person("li.na", "MAIN", Role.ADMIN)
NURSE = access.person("wu.min", "MAIN", Role.NURSE)
CAMERA = access.device("CAM1", "MAIN")
NOW = timedelta(0)


def _nothing(_done: int, _of: int) -> None:
    """Draw no progress."""


class House:
    """A department whose archive has another disk behind it, and one for copies."""

    def __init__(self, folder: Path, tables: Path, rules: str = "") -> None:
        self.behind, self.elsewhere = folder / "behind", folder / "elsewhere"
        self.behind.mkdir()
        self.elsewhere.mkdir()
        shutil.copy(tables, folder / "house.sqlite")
        self.records = Records(f"sqlite:///{folder / 'house.sqlite'}", new_uid=generate_uid)
        with self.records.writing() as work:
            work.add(Site(code="MAIN", name="Nuclear Medicine"))
        store = LocalStore(folder / "archive", elsewhere={ARCHIVE: self.behind, COPIES: self.elsewhere})
        self.keeper = Keeper(store)
        self.tiering = Tiering(self.records, Tiers(store), rules, generate_uid)

    def receive(self, name: str = "CT_small.dcm") -> Image:
        kept = Reception(self.records, self.keeper).receive(CAMERA, self.keeper.stage_file(_sample(name)))
        assert kept.image
        return kept.image

    def move(self) -> Told:
        return self.tiering.move(ADMIN, NOW, _nothing)

    def look(self, image: Image) -> Image:
        with self.records.reading() as work:
            return work.session.exec(select(Image).where(Image.sop_uid == image.sop_uid)).one()

    def place(self, image: Image) -> Path:
        return self.keeper.store.local(image.path)

    def faults(self) -> list[str]:
        """What a deep proof of everything acknowledged finds."""
        with self.records.reading() as work:
            everything = list(proof.acknowledged(work))
        return [fault.fault for one in everything for fault in proof.faults_of(self.keeper.store, one, deep=True)]


@pytest.fixture
def house(tmp_path: Path, empty_tables: Path) -> Iterator[House]:
    house = House(tmp_path, empty_tables)
    yield house
    house.records.close()


def _sample(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


def test_an_old_object_moves_compressed_and_stays_acknowledged(house: House) -> None:
    before = house.receive()
    assert house.move().codecs == {"jpeg-lossless": 1}
    after = house.look(before)
    assert (after.tier, after.transfer_syntax) == (Tier.ARCHIVE, JPEGLosslessSV1)
    assert after.size < before.size
    assert house.place(after).is_relative_to(house.behind)
    assert pydicom.dcmread(house.place(after)).SOPInstanceUID == before.sop_uid
    assert house.faults() == []
    assert (frames_of(house.place(after)).array == frames_of(_sample("CT_small.dcm")).array).all()


def test_what_is_young_stays(house: House) -> None:
    before = house.receive()
    assert house.tiering.move(ADMIN, timedelta(days=1), _nothing).objects == 0
    assert house.look(before).tier == Tier.ONLINE


@pytest.mark.parametrize(
    ("name", "syntax"),
    [("MR_small_bigendian.dcm", JPEGLosslessSV1), ("examples_overlay.dcm", JPEGLosslessSV1),
     ("examples_palette.dcm", JPEGLosslessSV1), ("reportsi.dcm", DeflatedExplicitVRLittleEndian),
     ("rtdose.dcm", DeflatedExplicitVRLittleEndian), ("ExplVR_BigEnd.dcm", DeflatedExplicitVRLittleEndian),
     ("MR_small_padded.dcm", DeflatedExplicitVRLittleEndian),
     ("MR_small_jpeg_ls_lossless.dcm", "1.2.840.10008.1.2.4.80")],
)  # fmt: skip
def test_whatever_it_is_it_comes_back_byte_for_byte(house: House, name: str, syntax: str) -> None:
    before = house.receive(name)
    whole = house.place(before).read_bytes()
    house.move()
    house.tiering.let_go(NOW)
    assert house.look(before).transfer_syntax == syntax
    assert not house.place(before).exists()
    with house.records.reading() as work:
        study = tiering.study_of(work, before)
    assert house.tiering.recall(ADMIN, study, _nothing).objects == 1
    after = house.look(before)
    assert house.place(after).read_bytes() == whole
    assert (after.tier, after.path, after.sha256, after.content_sha256, after.transfer_syntax) == (
        Tier.ONLINE, before.path, before.sha256, before.content_sha256, before.transfer_syntax,
    )  # fmt: skip
    assert house.faults() == []


def test_the_file_that_was_left_goes_after_a_grace_and_only_if_the_new_one_is_whole(house: House) -> None:
    before = house.receive()
    house.move()
    assert house.tiering.let_go() == 0
    assert house.place(before).exists()
    moved = house.place(house.look(before))
    kept = moved.read_bytes()
    moved.write_bytes(b"cut")
    house.tiering.let_go(NOW)
    assert house.place(before).exists()
    moved.write_bytes(kept)
    house.tiering.let_go(NOW)
    assert not house.place(before).exists()
    assert house.faults() == []
    assert house.tiering.let_go(NOW) == 0


def test_an_object_that_changed_on_the_disk_does_not_move(house: House) -> None:
    before, other = house.receive(), house.receive("MR_small.dcm")
    data = bytearray(house.place(before).read_bytes())
    data[-100] ^= 1
    house.place(before).write_bytes(bytes(data))
    told = house.move()
    assert [fault["sop_instance_uid"] for fault in told.faults] == [before.sop_uid]
    assert house.look(before).tier == Tier.ONLINE
    assert house.look(other).tier == Tier.ARCHIVE


def test_without_its_disk_nothing_moves_and_nothing_is_lost(house: House) -> None:
    before = house.receive()
    house.behind.rmdir()
    told = house.move()
    assert "does not take a file" in told.faults[0]["fault"]
    assert not house.behind.exists()
    assert (house.look(before).tier, house.faults()) == (Tier.ONLINE, [])


def test_what_an_interrupted_move_left_is_written_anew(house: House) -> None:
    before = house.receive()
    left = house.keeper.store.local(f"{ARCHIVE}/{before.path}")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a file")
    house.move()
    assert house.look(before).tier == Tier.ARCHIVE
    assert house.faults() == []


def test_an_object_sent_again_after_it_moved_is_the_same(house: House) -> None:
    house.receive()
    house.move()
    again = Reception(house.records, house.keeper).receive(CAMERA, house.keeper.stage_file(_sample("CT_small.dcm")))
    assert again.outcome is Outcome.ALREADY
    assert house.faults() == []


def test_a_rebuilt_index_finds_what_moved_with_its_receipt(house: House) -> None:
    before = house.receive()
    house.move()
    house.tiering.back_up(ADMIN, _nothing)
    moved = house.look(before)
    house.tiering.let_go(NOW)
    store = house.keeper.store
    with house.records.writing() as work:
        rebuilt = recovery.reindex(work, house.keeper, ADMIN, list(store.files()), list(store.files(QUARANTINE)))
    assert (rebuilt.objects, rebuilt.left_out) == (1, [])
    after = house.look(before)
    assert (after.path, after.sha256, after.tier, after.aet) == (moved.path, moved.sha256, Tier.ARCHIVE, before.aet)
    with house.records.reading() as work:
        assert after.received_at == work.session.exec(select(Receipt.at)).one()
    assert house.faults() == []


def test_rules_choose_by_modality(tmp_path: Path, empty_tables: Path) -> None:
    house = House(tmp_path, empty_tables, "important: lossless; important MR: jpeg2000")
    house.receive()
    house.receive("MR_small.dcm")
    assert house.move().codecs == {"jpeg-lossless": 1, "jpeg2000": 1}
    house.records.close()


def test_the_archive_may_not_be_lossy(tmp_path: Path, empty_tables: Path) -> None:
    with pytest.raises(Invalid, match="only a backup may be lossy"):
        House(tmp_path, empty_tables, "important: 10:1")


def test_a_copy_that_lost_something_is_another_object_and_no_part_of_the_archive(house: House) -> None:
    before = house.receive()
    told = house.tiering.back_up(ADMIN, _nothing)
    assert told.objects == 1
    with house.records.reading() as work:
        [copy] = work.session.exec(select(BackupCopy)).all()
        assert len(work.session.exec(select(Image)).all()) == 1
    assert not copy.lossless
    assert copy.copy_uid != before.sop_uid
    assert 9 < copy.ratio < 12
    assert copy.psnr_db
    read = pydicom.dcmread(house.keeper.store.local(copy.path))
    assert read.file_meta.TransferSyntaxUID == JPEG2000
    assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID == copy.copy_uid
    assert house.keeper.store.local(copy.path).is_relative_to(house.elsewhere)
    assert not [path for path in house.keeper.store.files() if path.startswith(COPIES)]
    assert house.tiering.back_up(ADMIN, _nothing).objects == 0


def test_a_copy_that_is_small_enough_without_loss_loses_nothing(tmp_path: Path, empty_tables: Path) -> None:
    house = House(tmp_path, empty_tables, "backup: 1.5:1")
    house.receive()
    house.tiering.back_up(ADMIN, _nothing)
    with house.records.reading() as work:
        [copy] = work.session.exec(select(BackupCopy)).all()
    assert copy.lossless
    assert copy.ratio > 1.5
    house.records.close()


def test_verification_looks_at_second_copies_too(house: House) -> None:
    house.receive()
    house.tiering.back_up(ADMIN, _nothing)
    with house.records.reading() as work:
        [copy] = work.session.exec(select(BackupCopy)).all()
    place = house.keeper.store.local(copy.path)

    def proven() -> list[tuple[str, str]]:
        with house.records.writing() as work:
            row = integrity.begin(work, ADMIN, deep=True)
        integrity.Verifier(house.records, house.keeper.store).run(row.id or 0)
        with house.records.reading() as work:
            return [(one.path, one.fault) for one in integrity.damages(work, ADMIN)]

    assert proven() == []
    whole = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(whole[:-1] + b"!")
    assert proven() == [(copy.path, "its file has other bytes than those received")]
    place.write_bytes(whole)
    assert proven() == []


def test_a_report_is_copied_without_loss(house: House) -> None:
    before = house.receive("reportsi.dcm")
    house.tiering.back_up(ADMIN, _nothing)
    with house.records.reading() as work:
        [copy] = work.session.exec(select(BackupCopy)).all()
    assert copy.lossless
    assert copy.copy_uid == before.sop_uid


def test_an_object_moves_again_and_again(house: House) -> None:
    before = house.receive()
    with house.records.reading() as work:
        study = tiering.study_of(work, before)
    for _ in range(2):
        house.move()
        house.tiering.let_go(NOW)
        house.tiering.recall(ADMIN, study, _nothing)
        house.tiering.let_go(NOW)
    house.move()
    assert house.look(before).tier == Tier.ARCHIVE
    assert house.faults() == []
    with house.records.reading() as work:
        assert len(work.session.exec(select(TierMove)).all()) == 5


def test_a_run_is_stopped_between_groups_and_queued_once(house: House) -> None:
    house.receive()
    assert house.tiering.move(ADMIN, NOW, _nothing, stop=lambda: True).objects == 0
    with house.records.writing() as work:
        assert tiering.queue_run(work, "MAIN", "move", 0)
        assert not tiering.queue_run(work, "MAIN", "move", 0)
        assert tiering.queue_run(work, "MAIN", "copy", 0)
    with house.records.reading() as work:
        assert [job.kind for job in work.session.exec(select(Job))] == ["tier", "tier"]


def test_moving_is_for_administrators_and_in_the_trail(house: House) -> None:
    house.receive()
    with pytest.raises(Forbidden):
        house.tiering.move(NURSE, NOW, _nothing)
    house.move()
    with house.records.reading() as work:
        [said] = work.session.exec(select(AuditEntry).where(AuditEntry.action == "archive.move")).all()
        state = tiering.state(work, ADMIN)
    assert said.detail["objects"] == 1
    assert [held.objects for held in state.tiers[Tier.ARCHIVE]] == [1]


def test_an_explicit_object_keeps_its_syntax_where_the_rule_says_as_it_is(tmp_path: Path, empty_tables: Path) -> None:
    house = House(tmp_path, empty_tables, "important: as-is")
    before = house.receive()
    assert house.move().codecs == {"as-is": 1}
    after = house.look(before)
    assert (after.transfer_syntax, after.sha256, after.tier) == (ExplicitVRLittleEndian, before.sha256, Tier.ARCHIVE)
    house.tiering.let_go(NOW)
    assert house.faults() == []
    house.records.close()
